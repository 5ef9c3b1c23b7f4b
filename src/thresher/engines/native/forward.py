"""The forward pass, layer-major: every token of a pack through one layer, then through the next.

So only the layer at work has keys, values and states in memory, its weights can come while the layer before computes,
and what remains per token is the residual stream. The last layer computes queries, output and feed-forward for the
wanted rows only.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch

from thresher.engines.native.config import NativeConfig
from thresher.engines.native.layers.memory import HeldLayer
from thresher.engines.native.layers.rope import rotary_tables
from thresher.engines.native.pack import Pack
from thresher.engines.native.step_view import StepView, step_views
from thresher.engines.native.streaming import LayerStore
from thresher.engines.native.tables import Table


@dataclass(frozen=True, slots=True)
class HeldPrefix:
    """What every layer keeps of a prefix."""

    layers: tuple[HeldLayer, ...]


class ForwardPass:
    """Reads packs through one model."""

    def __init__(
        self,
        config: NativeConfig,
        store: LayerStore,
        embedding: Table,
        dtype: torch.dtype,
        device: torch.device,
        residual_device: torch.device,
    ) -> None:
        """``residual_device``: where the residual stream waits between layers, the device or the host."""
        self._config = config
        self._store = store
        self._embedding = embedding
        self._dtype = dtype
        self._device = device
        self._residual_device = residual_device

    @torch.inference_mode()
    def run(self, pack: Pack, held: HeldPrefix | None) -> torch.Tensor:
        """The residual stream after the last layer at ``pack.outputs``, [outputs, hidden] on the device."""
        with self._current_device():
            hidden, _ = self._run(pack, held, hold=False)
        return hidden

    @torch.inference_mode()
    def hold(self, pack: Pack) -> HeldPrefix:
        """Read a prefix, a pack of one segment, and keep what packs behind it need."""
        with self._current_device():
            _, layers = self._run(pack, None, hold=True)
        return HeldPrefix(tuple(layers))

    def _current_device(self) -> AbstractContextManager[object]:
        """Triton launches on the current device, whatever the tensors' is."""
        return torch.cuda.device(self._device) if self._device.type == "cuda" else nullcontext()

    def _run(self, pack: Pack, held: HeldPrefix | None, *, hold: bool) -> tuple[torch.Tensor, list[HeldLayer]]:
        x = self._embedding.rows(pack.tokens).to(self._dtype).to(self._residual_device)
        tables = rotary_tables(pack.positions, self._config.rotary_dim, self._config.rope_theta, self._device)
        views = step_views(pack, *tables)
        waits_elsewhere = x.device.type != self._device.type
        kept: list[HeldLayer] = []
        found: list[torch.Tensor] = []
        for index, layer in enumerate(self._store.visit()):
            memory = layer.memory(len(pack.tokens), held.layers[index] if held else None)
            pruned = index == self._config.layer_count - 1
            for view in views:
                out = layer(x[view.start : view.stop].to(self._device), view, memory, pruned=pruned)
                if pruned:
                    found.append(out)
                elif waits_elsewhere:
                    x[view.start : view.stop] = out  # else the layer wrote over it
            if hold:
                kept.append(memory.after(0))
            del memory
        return _outputs(torch.cat(found), views, pack), kept


def _outputs(hidden: torch.Tensor, views: list[StepView], pack: Pack) -> torch.Tensor:
    """Pick ``pack.outputs`` from the wanted rows of all steps."""
    rows = [view.start + row for view in views for row in view.wanted_rows.tolist()]
    place = {row: index for index, row in enumerate(rows)}
    return hidden[torch.tensor([place[row] for row in pack.outputs], dtype=torch.long, device=hidden.device)]
