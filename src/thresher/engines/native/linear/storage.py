"""What the layers of all precisions share: named tensors that move together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Self

import torch

from thresher.engines.native.linear.base import Activation

#: Storage by name.
Tensors = Mapping[str, torch.Tensor]


class StoredLinear:
    """A layer over named tensors. A precision says what they are and how they are multiplied."""

    precision: ClassVar[str]
    #: Of what :meth:`prepared` makes; None: the storage is multiplied as it is.
    prepared_precision: ClassVar[str | None] = None

    def __init__(self, tensors: Mapping[str, torch.Tensor], *, in_features: int, out_features: int) -> None:
        self._tensors = dict(tensors)
        self.in_features = in_features
        self.out_features = out_features

    @classmethod
    def from_weight(cls, weight: torch.Tensor) -> Self:
        """Convert ``weight`` [out, in] of any floating dtype, on the device where it is."""
        out_features, in_features = weight.shape
        return cls(cls.convert(weight), in_features=in_features, out_features=out_features)

    @classmethod
    def convert(cls, weight: torch.Tensor) -> dict[str, torch.Tensor]:
        """The storage of ``weight`` [out, in]."""
        raise NotImplementedError

    @classmethod
    def random(cls, out_features: int, in_features: int, device: torch.device | str) -> dict[str, torch.Tensor]:
        """Storage of that size with random contents whose products are finite."""
        raise NotImplementedError

    def prepared(self) -> StoredLinear:
        """See :meth:`~thresher.engines.native.linear.base.Linear.prepared`."""
        return self

    @classmethod
    def prepared_stack(cls, tensors: Tensors, out_features: int) -> Tensors:  # noqa: ARG003 - for those that expand
        """Storage of :meth:`prepared`, of many layers stacked along a new first dimension."""
        return tensors

    def multiply(self, x: Activation) -> torch.Tensor:
        """[T, in] to [T, out] in ``x.dtype``, as fast as the device can."""
        raise NotImplementedError

    def reference(self, x: Activation) -> torch.Tensor:
        """The same as :meth:`multiply` in plain arithmetic."""
        raise NotImplementedError

    def quantize_activation(self, x: torch.Tensor) -> Activation:
        """See :class:`~thresher.engines.native.linear.base.Linear`."""
        raise NotImplementedError

    def __call__(self, x: torch.Tensor | Activation) -> torch.Tensor:
        """See :class:`~thresher.engines.native.linear.base.Linear`."""
        return self.multiply(self.quantized(x))

    def add_to(self, total: torch.Tensor, x: torch.Tensor | Activation) -> None:
        """See :class:`~thresher.engines.native.linear.base.Linear`."""
        total.add_(self(x))

    def into(self, out: torch.Tensor, x: torch.Tensor | Activation) -> None:
        """See :class:`~thresher.engines.native.linear.base.Linear`; by way of a copy where nothing better is there."""
        out.copy_(self(x))

    def quantized(self, x: torch.Tensor | Activation) -> Activation:
        """``x`` as this layer multiplies it."""
        if isinstance(x, torch.Tensor):
            return self.quantize_activation(x)
        if x.precision != self.precision:
            raise ValueError(f"activations quantized for {x.precision} cannot be multiplied in {self.precision}")
        return x

    @property
    def weight_bytes(self) -> int:
        """Bytes of the storage."""
        return sum(tensor.nbytes for tensor in self._tensors.values())

    def cut(self, y: torch.Tensor) -> torch.Tensor:
        """``y`` [T, out padded] without the padding, contiguous."""
        return y[:, : self.out_features].contiguous()

    def tensors(self) -> dict[str, torch.Tensor]:
        """The storage by name."""
        return dict(self._tensors)

    def with_tensors(self, tensors: Mapping[str, torch.Tensor]) -> Self:
        """The same layer over ``tensors``; their names, shapes and dtypes must be those of :meth:`tensors`."""
        layout = {name: (tensor.shape, tensor.dtype) for name, tensor in self._tensors.items()}
        given = {name: (tensor.shape, tensor.dtype) for name, tensor in tensors.items()}
        if given != layout:
            raise ValueError(f"a {self.precision} layer of this size is stored as {layout}, not as {given}")
        return type(self)(tensors, in_features=self.in_features, out_features=self.out_features)

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Self:
        """The same layer with its storage on ``device``."""
        return self.with_tensors(
            {name: tensor.to(device, non_blocking=non_blocking) for name, tensor in self._tensors.items()}
        )
