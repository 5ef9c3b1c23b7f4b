"""The forward pass, layer-major: every token of a pack through one layer, then through the next.

So only the layer at work has keys, values and states in memory, its weights can come while the layer before computes,
and what remains per token is the residual stream. The last layer computes queries, output and feed-forward for the
wanted rows only.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

import numpy as np
import torch

from thresher.engines.native.config import NativeConfig
from thresher.engines.native.layers.memory import HeldLayer
from thresher.engines.native.layers.rope import rotary_tables
from thresher.engines.native.pack import Pack
from thresher.engines.native.step_view import StepView, step_views
from thresher.engines.native.streaming import LayerStore
from thresher.engines.native.tables import Table
from thresher.engines.native.transfer import to_device


@dataclass(frozen=True, slots=True)
class HeldPrefix:
    """What layers keep of a prefix, by the layer's number; whoever computes a layer puts its own."""

    layers: dict[int, HeldLayer] = field(default_factory=dict)


class ForwardPass:
    """Reads packs through the layers of one store: a whole model's, or those that one of several devices computes."""

    def __init__(
        self,
        config: NativeConfig,
        store: LayerStore,
        embedding: Table | None,
        dtype: torch.dtype,
        device: torch.device,
        residual_device: torch.device,
    ) -> None:
        """``residual_device``: where the residual stream waits between layers, the device or the host.

        ``embedding``: None where the first layer is not here.
        """
        self._config = config
        self._store = store
        self._embedding = embedding
        self._dtype = dtype
        self.device = device
        self.residual_device = residual_device

    def run(self, pack: Pack, held: HeldPrefix | None, x: torch.Tensor | None = None) -> torch.Tensor:
        """The residual stream after these layers.

        ``x`` [rows, hidden] is the stream before them, on the residual device, and may be written over; None where the
        first layer is here. Returned is [rows, hidden] there; after the model's last layer [outputs, hidden] on the
        device, of ``pack.outputs`` only.
        """
        with self._current_device():
            return self._run(pack, held, x, None)

    def hold(self, pack: Pack, prefix: HeldPrefix, x: torch.Tensor | None = None) -> torch.Tensor:
        """:meth:`run` for a prefix, a pack of one segment, which puts what packs behind it need into ``prefix``."""
        with self._current_device():
            return self._run(pack, None, x, prefix)

    def _current_device(self) -> AbstractContextManager[object]:
        """Triton launches on the current device, whatever the tensors' is."""
        return torch.cuda.device(self.device) if self.device.type == "cuda" else nullcontext()

    @torch.inference_mode()
    def _run(
        self, pack: Pack, held: HeldPrefix | None, x: torch.Tensor | None, hold: HeldPrefix | None
    ) -> torch.Tensor:
        x = self._embedded(pack) if x is None else x
        tables = rotary_tables(pack.positions, self._config.rotary_dim, self._config.rope_theta, self.device)
        views = step_views(pack, *tables)
        waits_elsewhere = x.device.type != self.device.type
        found: list[torch.Tensor] = []
        for index, stored in self._store.visit():
            layer = stored.prepared()
            memory = layer.memory(len(pack.tokens), held.layers[index] if held else None)
            pruned = index == self._config.layer_count - 1
            for view in views:
                out = layer(x[view.start : view.stop].to(self.device), view, memory, pruned=pruned)
                if pruned:
                    found.append(out)
                elif waits_elsewhere:
                    x[view.start : view.stop] = out  # else the layer wrote over it
            if hold is not None:
                hold.layers[index] = memory.after(0)
            del layer, memory  # before the next ones are made
        return _outputs(torch.cat(found), views, pack) if found else x

    def _embedded(self, pack: Pack) -> torch.Tensor:
        if self._embedding is None:
            raise ValueError("the first layer is not here: the residual stream before these layers is needed")
        return self._embedding.rows(pack.tokens, self.residual_device).to(self._dtype)


def _outputs(hidden: torch.Tensor, views: list[StepView], pack: Pack) -> torch.Tensor:
    """Pick ``pack.outputs`` from the wanted rows of all steps."""
    rows = [view.start + row for view in views for row in view.wanted]
    place = {row: index for index, row in enumerate(rows)}
    wanted = np.array([place[row] for row in pack.outputs], dtype=np.int64)
    return hidden[to_device(wanted, hidden.device)]
