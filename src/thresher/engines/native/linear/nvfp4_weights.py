"""nvfp4 weights on hardware that does not multiply them: expanded, and multiplied in bf16 or fp8.

They take the memory and the bandwidth of 4 bits; the multiplication runs at the rate, and with the activations, of the
other precision. A layer is expanded once for all that it reads of a pack (:meth:`prepared`).
"""

from __future__ import annotations

from dataclasses import replace

import torch

from thresher.engines.native.linear.base import Activation
from thresher.engines.native.linear.fp8 import Fp8Linear, quantize_activation
from thresher.engines.native.linear.nvfp4 import Nvfp4Linear
from thresher.engines.native.linear.nvfp4_expand import expand, expand_fp8
from thresher.engines.native.linear.plain import Bf16Linear
from thresher.engines.native.linear.storage import StoredLinear, Tensors


class _Expanded(Nvfp4Linear):
    def prepared(self) -> StoredLinear:
        """The layer of the precision that it is multiplied in."""
        raise NotImplementedError

    def multiply(self, x: Activation) -> torch.Tensor:
        """As the other precision's."""
        return self.prepared().multiply(x)

    def reference(self, x: Activation) -> torch.Tensor:
        """As the other precision's."""
        return self.prepared().reference(x)


class Nvfp4Bf16Linear(_Expanded):
    """nvfp4 weights, multiplied in bfloat16."""

    precision = "nvfp4-bf16"
    prepared_precision = "bf16"

    def quantize_activation(self, x: torch.Tensor) -> Activation:
        """``x`` itself in bfloat16."""
        return Activation(self.precision, x.to(torch.bfloat16), (), x.dtype)

    def prepared(self) -> StoredLinear:
        """In bfloat16."""
        weight = expand(*_rows(self._tensors), torch.bfloat16)[: self.out_features]
        return Bf16Linear({"weight": weight}, in_features=self.in_features, out_features=self.out_features)

    @classmethod
    def prepared_stack(cls, tensors: Tensors, out_features: int) -> Tensors:
        """See :meth:`~thresher.engines.native.linear.storage.StoredLinear.prepared_stack`."""
        matrices, rows, _ = tensors["weight"].shape
        return {"weight": expand(*_rows(tensors), torch.bfloat16).view(matrices, rows, -1)[:, :out_features]}


class Nvfp4Fp8Linear(_Expanded):
    """nvfp4 weights, rounded once more and multiplied in fp8."""

    precision = "nvfp4-fp8"
    prepared_precision = "fp8"

    def quantize_activation(self, x: torch.Tensor) -> Activation:
        """As fp8's."""
        return replace(quantize_activation(x), precision=self.precision)

    def prepared(self) -> StoredLinear:
        """In E4M3."""
        values, factors = expand_fp8(*_rows(self._tensors))
        tensors = {"weight": values, "factors": factors.view(1, -1)}
        return Fp8Linear(tensors, in_features=self.in_features, out_features=self.out_features)

    @classmethod
    def prepared_stack(cls, tensors: Tensors, out_features: int) -> Tensors:  # noqa: ARG003 - fp8 is padded too
        """See :meth:`~thresher.engines.native.linear.storage.StoredLinear.prepared_stack`."""
        matrices, rows, _ = tensors["weight"].shape
        values, factors = expand_fp8(*_rows(tensors))
        return {"weight": values.view(matrices, rows, -1), "factors": factors.view(matrices, 1, rows)}


def _rows(tensors: Tensors) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """One matrix's storage, or that of many stacked, as rows: packed numbers, block factors, a factor for each row."""
    packed, blocks, factor = tensors["weight"], tensors["blocks"], tensors["factor"]
    rows = factor.reshape(-1, 1).expand(-1, packed.shape[-2]).reshape(-1)
    return packed.flatten(0, -2), blocks.flatten(0, -2), rows.contiguous()
