"""nvfp4 weights on hardware that does not multiply them: expanded at every call, and multiplied in bf16 or fp8.

They take the memory and the bandwidth of 4 bits; the multiplication runs at the rate, and with the activations, of the
other precision.
"""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name

from thresher.engines.native.linear.base import Activation
from thresher.engines.native.linear.fp8 import Fp8Linear, quantize_activation
from thresher.engines.native.linear.nvfp4 import Nvfp4Linear


class Nvfp4Bf16Linear(Nvfp4Linear):
    """nvfp4 weights, multiplied in bfloat16."""

    precision = "nvfp4-bf16"

    def quantize_activation(self, x: torch.Tensor) -> Activation:
        """``x`` itself in bfloat16."""
        return Activation(self.precision, x.to(torch.bfloat16), (), x.dtype)

    def multiply(self, x: Activation) -> torch.Tensor:
        """``x @ weight.T``."""
        return self.cut(F.linear(x.values, self.expanded(torch.bfloat16))).to(x.dtype)

    def reference(self, x: Activation) -> torch.Tensor:
        """The same product in float32."""
        return self.cut(x.values.float() @ self.expanded(torch.float32).t()).to(x.dtype)


class Nvfp4Fp8Linear(Nvfp4Linear):
    """nvfp4 weights, rounded once more and multiplied in fp8."""

    precision = "nvfp4-fp8"

    def quantize_activation(self, x: torch.Tensor) -> Activation:
        """As fp8's."""
        return replace(quantize_activation(x), precision=self.precision)

    def multiply(self, x: Activation) -> torch.Tensor:
        """As fp8's."""
        return self._as_fp8().multiply(x)

    def reference(self, x: Activation) -> torch.Tensor:
        """As fp8's."""
        return self._as_fp8().reference(x)

    def _as_fp8(self) -> Fp8Linear:
        tensors = Fp8Linear.convert(self.expanded(torch.bfloat16))
        return Fp8Linear(tensors, in_features=self.in_features, out_features=self.out_features)
