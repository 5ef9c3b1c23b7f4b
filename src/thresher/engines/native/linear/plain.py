"""fp32 and bf16: the weight as it is, multiplied by the library of the device."""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name

from thresher.engines.native.linear.base import Activation
from thresher.engines.native.linear.storage import StoredLinear


class _Plain(StoredLinear):
    dtype: ClassVar[torch.dtype]

    @classmethod
    def convert(cls, weight: torch.Tensor) -> dict[str, torch.Tensor]:
        """``weight`` [out, in], rounded to nearest."""
        return {"weight": weight.to(cls.dtype).contiguous()}

    @classmethod
    def random(cls, out_features: int, in_features: int, device: torch.device | str) -> dict[str, torch.Tensor]:
        """Normal weights of variance 1 / in."""
        weight = torch.empty(out_features, in_features, dtype=cls.dtype, device=device)
        return {"weight": weight.normal_(std=in_features**-0.5)}

    def quantize_activation(self, x: torch.Tensor) -> Activation:
        """``x`` itself, in the precision's dtype."""
        return Activation(self.precision, x.to(self.dtype), (), x.dtype)

    def multiply(self, x: Activation) -> torch.Tensor:
        """``x @ weight.T``."""
        return F.linear(x.values, self._tensors["weight"]).to(x.dtype)

    def add_to(self, total: torch.Tensor, x: torch.Tensor | Activation) -> None:
        """See :class:`~thresher.engines.native.linear.base.Linear`; the sum is rounded once."""
        values, weight = self.quantized(x).values, self._tensors["weight"]
        if total.dtype != self.dtype:
            super().add_to(total, x)
        else:
            total.addmm_(values, weight.t())

    def into(self, out: torch.Tensor, x: torch.Tensor | Activation) -> None:
        """By the product itself where the output has the weight's dtype."""
        x = self.quantized(x)
        if out.dtype == self.dtype:
            torch.mm(x.values, self._tensors["weight"].t(), out=out)
        else:
            super().into(out, x)

    def reference(self, x: Activation) -> torch.Tensor:
        """The same product in float32."""
        return (x.values.float() @ self._tensors["weight"].float().t()).to(x.dtype)


class Fp32Linear(_Plain):
    """32-bit floats: the reference for every other precision."""

    precision = "fp32"
    dtype = torch.float32


class Bf16Linear(_Plain):
    """bfloat16 weights and activations, summed in 32-bit floats by the hardware."""

    precision = "bf16"
    dtype = torch.bfloat16
