"""What passes from step to step within a layer, and from the prefix to the packs behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from thresher.engines.native.config import DeltaConfig, NativeConfig
from thresher.engines.native.kernels.attention import KeysValues
from thresher.engines.native.pack import HELD, Span


@dataclass(frozen=True, slots=True)
class DeltaState:
    """Where a sequence stands in a DeltaNet layer."""

    recurrent: torch.Tensor  # [Hv, K, V], float32
    tail: torch.Tensor  # [conv_width - 1, channels]: the last inputs of the convolution


#: What one layer keeps of the held prefix.
HeldLayer = KeysValues | DeltaState


class AttentionMemory:
    """Keys and values in the layer at work: those of the held prefix, then a pack's by row.

    The prefix's are copied there once per pack: so they and the first document are one stretch, and what any other
    document sees is gathered from one tensor.
    """

    def __init__(
        self, config: NativeConfig, rows: int, dtype: torch.dtype, device: torch.device, held: KeysValues | None
    ) -> None:
        self._held_tokens = 0 if held is None else len(held.keys)
        shape = (self._held_tokens + rows, config.kv_heads, config.head_dim)
        self.seen = KeysValues(
            torch.empty(shape, dtype=dtype, device=device), torch.empty(shape, dtype=dtype, device=device)
        )
        if held is not None:
            self.seen.keys[: self._held_tokens] = held.keys
            self.seen.values[: self._held_tokens] = held.values

    def of_rows(self, start: int, stop: int) -> KeysValues:
        """Where the keys and values of the pack's rows ``start`` to ``stop`` belong."""
        place = slice(self._held_tokens + start, self._held_tokens + stop)
        return KeysValues(self.seen.keys[place], self.seen.values[place])

    def after(self, segment: int) -> KeysValues:  # noqa: ARG002 - a prefix is a pack of one segment
        """What a pack of one segment, behind nothing held, leaves behind."""
        return self.seen


class DeltaMemory:
    """States of the segments that something goes on from, in the layer at work."""

    def __init__(self, delta: DeltaConfig, dtype: torch.dtype, device: torch.device, held: DeltaState | None) -> None:
        if held is None:
            held = DeltaState(
                torch.zeros(delta.value_heads, delta.key_dim, delta.value_dim, device=device),
                torch.zeros(delta.conv_width - 1, delta.conv_channels, dtype=dtype, device=device),
            )
        self._states = {HELD: held}

    def before(self, sources: Sequence[int]) -> DeltaState:
        """The states of ``sources``, stacked along a new first dimension."""
        states = [self._states[source] for source in sources]
        return DeltaState(_stack([state.recurrent for state in states]), torch.stack([state.tail for state in states]))

    def keep(self, spans: Sequence[Span], states: DeltaState) -> None:
        """Take the stacked states after ``spans``, of those that something goes on from."""
        for index, span in enumerate(spans):
            if span.carries_on:
                self._states[span.segment] = DeltaState(states.recurrent[index], states.tail[index])

    def after(self, segment: int) -> DeltaState:
        """Where ``segment`` ended; a copy, so that nothing else is kept alive by it."""
        state = self._states[segment]
        return DeltaState(state.recurrent.clone(), state.tail.clone())


def _stack(states: Sequence[torch.Tensor]) -> torch.Tensor:
    """Along a new first dimension; states that are kept [V, K] (as a kernel left them) stay so."""
    if all(state.mT.is_contiguous() for state in states):
        return torch.stack([state.mT for state in states]).mT
    return torch.stack(list(states))


Memory = AttentionMemory | DeltaMemory
