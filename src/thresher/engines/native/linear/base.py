"""The contract of a linear layer in any precision: ``y = x @ weight.T`` without bias.

Shapes: ``T`` tokens, ``in`` and ``out`` features. A weight is [out, in], as in a checkpoint.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, Self

import torch


@dataclass(frozen=True, slots=True)
class Activation:
    """Activations in the form in which a precision multiplies them; made once and given to several layers.

    ``values`` and ``scales`` are of the precision's own layout (:mod:`.fp8`, :mod:`.int8`, :mod:`.nvfp4`); where it has
    none (fp32, bf16), ``values`` are the activations themselves and ``scales`` is empty.
    """

    precision: str
    values: torch.Tensor
    scales: tuple[torch.Tensor, ...]
    dtype: torch.dtype  # of the activations before, and so of the layer's output

    def picked(self, rows: slice | torch.Tensor) -> Activation:
        """These rows of it."""
        return Activation(
            self.precision, _take(self.values, rows), tuple(_take(scale, rows) for scale in self.scales), self.dtype
        )


class Linear(Protocol):
    """One weight in the form in which it is multiplied.

    Layers of one precision take each other's quantized activations if their ``in_features`` are the same.
    """

    @property
    def precision(self) -> str:
        """A name of :data:`~thresher.engines.native.linear.PRECISIONS`."""

    @property
    def in_features(self) -> int:
        """Width of the input."""

    @property
    def out_features(self) -> int:
        """Width of the output."""

    @property
    def weight_bytes(self) -> int:
        """Bytes of the storage, scales and padding included."""

    def __call__(self, x: torch.Tensor | Activation) -> torch.Tensor:
        """[T, in] to [T, out]; the output has the input's dtype (float32 or bfloat16), before quantization."""

    def add_to(self, total: torch.Tensor, x: torch.Tensor | Activation) -> None:
        """Add what ``__call__`` would return to ``total`` [T, out], contiguous and of its dtype."""

    def into(self, out: torch.Tensor, x: torch.Tensor | Activation) -> None:
        """``__call__`` written to ``out`` [T, out], contiguous and of the output's dtype."""

    def quantize_activation(self, x: torch.Tensor) -> Activation:
        """What ``__call__`` would do first with ``x`` [T, in]; a fused kernel may make the same."""

    def prepared(self) -> Linear:
        """A layer that multiplies as this one does, many times: what has to be expanded first is, in other memory."""

    def tensors(self) -> dict[str, torch.Tensor]:
        """The storage by name, contiguous; the same names and shapes for the same sizes and precision."""

    def with_tensors(self, tensors: Mapping[str, torch.Tensor]) -> Self:
        """The same layer over other storage, shared and not copied, such as views into a block on the card."""

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Self:
        """The same layer with its storage on ``device``."""


def _take(x: torch.Tensor, rows: slice | torch.Tensor) -> torch.Tensor:
    if isinstance(rows, slice):
        return x[rows]
    if x.element_size() > 1:
        return x.index_select(0, rows)
    wide = torch.int64 if x.shape[1] % 8 == 0 else torch.uint8  # rows of bytes are copied eight at a time
    return x.contiguous().view(wide).index_select(0, rows).view(x.dtype)
