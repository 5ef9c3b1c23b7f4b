"""int8: weights with a factor per output, activations with a factor per token, found anew for each token.

Storage: ``weight`` int8 [out padded to 16, in], ``factors`` float32 [1, out padded].
Activation: values int8 [T, in], scales (float32 [T, 1],).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name

from thresher.engines.native.linear.base import Activation
from thresher.engines.native.linear.rows import check_width, pad_rows, padded, quantize_rows, scale_sums
from thresher.engines.native.linear.storage import StoredLinear

_LARGEST = 127.0
_FEWEST_TOKENS = 17  # that torch._int_mm takes on CUDA
_CHUNK_TOKENS = 8192  # whose 32-bit sums exist at a time


class Int8Linear(StoredLinear):
    """Multiplied by ``torch._int_mm``, exact in 32 bits on every device."""

    precision = "int8"

    @classmethod
    def convert(cls, weight: torch.Tensor) -> dict[str, torch.Tensor]:
        """Each row divided by its factor and rounded to nearest."""
        check_width(cls.precision, weight.shape[1])
        values, factors = quantize_rows(pad_rows(weight), _LARGEST, torch.int8)
        return {"weight": values, "factors": factors.view(1, -1)}

    @classmethod
    def random(cls, out_features: int, in_features: int, device: torch.device | str) -> dict[str, torch.Tensor]:
        """Any numbers, with factors that keep products small."""
        check_width(cls.precision, in_features)
        rows = padded(out_features)
        weight = torch.randint(-127, 128, (rows, in_features), dtype=torch.int8, device=device)
        factors = torch.full((1, rows), 0.01 * in_features**-0.5, dtype=torch.float32, device=device)
        return {"weight": weight, "factors": factors}

    def quantize_activation(self, x: torch.Tensor) -> Activation:
        """Each token divided by its factor and rounded to nearest."""
        values, factors = quantize_rows(x, _LARGEST, torch.int8)
        return Activation(self.precision, values, (factors,), x.dtype)

    def multiply(self, x: Activation) -> torch.Tensor:
        """The result in ``x.dtype``."""
        y = torch.empty(len(x.values), self.out_features, dtype=x.dtype, device=x.values.device)
        self.into(y, x)
        return y

    def into(self, out: torch.Tensor, x: torch.Tensor | Activation) -> None:
        """See :class:`~thresher.engines.native.linear.base.Linear`."""
        x = self.quantized(x)
        for start in range(0, len(out), _CHUNK_TOKENS):
            rows = slice(start, min(start + _CHUNK_TOKENS, len(out)))
            scale_sums(self._sums(x.values[rows]), x.scales[0][rows], self._tensors["factors"], out[rows])

    def _sums(self, values: torch.Tensor) -> torch.Tensor:
        """int32 [T, out padded]."""
        tokens = len(values)
        if values.device.type == "cuda" and tokens < _FEWEST_TOKENS:
            values = F.pad(values, (0, 0, 0, _FEWEST_TOKENS - tokens))
        return torch._int_mm(values, self._tensors["weight"].t())[:tokens]

    def reference(self, x: Activation) -> torch.Tensor:
        """The same product in float64."""
        y = x.values.double() @ self._tensors["weight"].double().t()
        return self.cut(y * x.scales[0] * self._tensors["factors"]).to(x.dtype)
