"""The same matrix of every expert of a layer, stacked: one tensor to keep and to copy, one product for all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import torch

from thresher.engines.native.kernels.grouped import Groups, grouped_multiply, has_kernel
from thresher.engines.native.kernels.rows import Rows
from thresher.engines.native.linear import Activation, Linear, empty_linear
from thresher.engines.native.linear.storage import StoredLinear


class Experts:
    """Matrices [out, in], one of each expert, in one precision."""

    def __init__(self, one: Linear, tensors: Mapping[str, torch.Tensor]) -> None:
        """``one``: a layer of the same size on ``meta``; ``tensors``: the storage of such layers, stacked."""
        self.one = one
        self._tensors = dict(tensors)

    @classmethod
    def empty(cls, experts: int, out_features: int, in_features: int, precision: str) -> Experts:
        """Without memory, on ``meta``.

        Raises ``ValueError`` as :func:`thresher.engines.native.linear.empty_linear`.
        """
        one = empty_linear(out_features, in_features, precision, "meta")
        return cls(one, {name: t.new_empty((experts, *t.shape)) for name, t in one.tensors().items()})

    @property
    def count(self) -> int:
        """Of experts."""
        return len(next(iter(self._tensors.values())))

    def tensors(self) -> dict[str, torch.Tensor]:
        """The storage by name."""
        return dict(self._tensors)

    def with_tensors(self, tensors: Mapping[str, torch.Tensor]) -> Experts:
        """The same over other storage."""
        return Experts(self.one, tensors)

    def prepared(self) -> Experts:
        """In the precision that is multiplied in; see :meth:`thresher.engines.native.linear.Linear.prepared`."""
        kind = cast(StoredLinear, self.one)
        if kind.prepared_precision is None:
            return self
        one = empty_linear(kind.out_features, kind.in_features, kind.prepared_precision, "meta")
        return Experts(one, type(kind).prepared_stack(self._tensors, kind.out_features))

    def __call__(self, x: Activation, groups: Groups) -> torch.Tensor:
        """Each group of rows of ``x`` [M, in] times its expert's matrix: [M, out] in ``x.dtype``."""
        weight = self._tensors["weight"]
        if not has_kernel(weight.device, weight.dtype):
            return self._one_by_one(x, groups)
        rows = Rows(x.values, x.scales[0] if x.scales else None)
        found = grouped_multiply(rows, weight, self._tensors.get("factors"), groups, x.dtype)
        width = self.one.out_features
        return found if found.shape[1] == width else found[:, :width].contiguous()

    def _one_by_one(self, x: Activation, groups: Groups) -> torch.Tensor:
        out = torch.empty(len(x.values), self.one.out_features, dtype=x.dtype, device=x.values.device)
        start = 0
        for expert, end in enumerate(groups.on_host):
            if end > start:
                linear = self.one.with_tensors({name: tensor[expert] for name, tensor in self._tensors.items()})
                out[start:end] = linear(x.picked(slice(start, end)))
            start = end
        return out
