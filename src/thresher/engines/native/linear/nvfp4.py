"""nvfp4: E2M1 numbers in blocks of 16 with an E4M3 factor each, and one float32 factor above them.

Storage: ``weight`` uint8 [out padded to 16, in / 2], the first number of a byte in its low half; ``blocks``
float8_e4m3fn [out padded, in / 16]; ``factor`` float32 [1].
Activation: values uint8 [T, in / 2], scales (float8_e4m3fn [T, in / 16], float32 [T, 1]). The factor above the blocks
is each token's own and not the whole tensor's, so that a token's result does not depend on its neighbours; it is
multiplied into the output.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name

from thresher.engines.native.linear.base import Activation
from thresher.engines.native.linear.rows import check_width, pad_rows, padded, row_factors
from thresher.engines.native.linear.storage import StoredLinear

BLOCK = 16
_LARGEST_NUMBER, _LARGEST_BLOCK_FACTOR = 6.0, 448.0
_LARGEST = _LARGEST_NUMBER * _LARGEST_BLOCK_FACTOR
_LEAST_BLOCK_FACTOR = 2.0**-9  # the smallest E4M3 above 0
_NUMBERS = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)
#: Half way between two numbers; a tie goes to the even one of them, so >= and > take turns.
_HALF_WAYS = (0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5.0)


class Nvfp4Linear(StoredLinear):
    """4-bit weights and activations; by the tensor cores from compute capability 10.0 on, by reference elsewhere."""

    precision = "nvfp4"

    @classmethod
    def convert(cls, weight: torch.Tensor) -> dict[str, torch.Tensor]:
        """Rounded to nearest within blocks whose largest value becomes 6."""
        check_width(cls.precision, weight.shape[1])
        weight = pad_rows(weight)
        factor = row_factors(weight.reshape(1, -1), _LARGEST)
        packed, blocks = quantize(weight, factor)
        return {"weight": packed, "blocks": blocks, "factor": factor.view(1)}

    @classmethod
    def random(cls, out_features: int, in_features: int, device: torch.device | str) -> dict[str, torch.Tensor]:
        """Any numbers in blocks with factors from 1/32 to 8."""
        check_width(cls.precision, in_features)
        rows = padded(out_features)
        blocks = torch.randint(0x10, 0x50, (rows, in_features // BLOCK), dtype=torch.uint8, device=device)
        return {
            "weight": torch.randint(0, 256, (rows, in_features // 2), dtype=torch.uint8, device=device),
            "blocks": blocks.view(torch.float8_e4m3fn),
            "factor": torch.full((1,), 0.1 * in_features**-0.5, dtype=torch.float32, device=device),
        }

    def quantize_activation(self, x: torch.Tensor) -> Activation:
        """As the weight, with a factor per token."""
        factors = row_factors(x, _LARGEST)
        packed, blocks = quantize(x, factors)
        return Activation(self.precision, packed, (blocks, factors), x.dtype)

    def multiply(self, x: Activation) -> torch.Tensor:
        """The result in ``x.dtype``; by way of bfloat16 on the tensor cores."""
        if not _has_tensor_cores(x.values.device):
            return self.reference(x)
        y = torch._scaled_mm(
            x.values.view(torch.float4_e2m1fn_x2),
            self._tensors["weight"].view(torch.float4_e2m1fn_x2).t(),
            scale_a=tiled(x.scales[0]),
            scale_b=tiled(self._tensors["blocks"]),
            out_dtype=torch.bfloat16,
        )
        return self.cut(y * (x.scales[1] * self._tensors["factor"])).to(x.dtype)

    def reference(self, x: Activation) -> torch.Tensor:
        """The same product in float32."""
        y = dequantize(x.values, x.scales[0], x.scales[1]) @ self.expanded(torch.float32).t()
        return self.cut(y).to(x.dtype)

    def expanded(self, dtype: torch.dtype) -> torch.Tensor:
        """The weight's values, [out padded, in]."""
        tensors = self._tensors
        return dequantize(tensors["weight"], tensors["blocks"], tensors["factor"]).to(dtype)


def quantize(x: torch.Tensor, factors: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """``x`` [rows, in] over ``factors`` ([rows, 1] or [1, 1]): packed uint8 [rows, in / 2], E4M3 [rows, in / 16]."""
    scaled = (x / factors).view(len(x), -1, BLOCK)
    blocks = (scaled.abs().amax(dim=2) / _LARGEST_NUMBER).clamp_(_LEAST_BLOCK_FACTOR, _LARGEST_BLOCK_FACTOR)
    blocks = blocks.to(torch.float8_e4m3fn)
    scaled = scaled.div_(blocks.float().unsqueeze(2))
    size = scaled.abs()
    codes = torch.zeros(size.shape, dtype=torch.uint8, device=x.device)
    for place, half_way in enumerate(_HALF_WAYS):
        codes += size >= half_way if place % 2 else size > half_way
    codes += (scaled < 0) * 8
    low, high = codes.view(len(x), -1, 2).unbind(2)
    return low | (high << 4), blocks


def dequantize(packed: torch.Tensor, blocks: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
    """The values as float32 [rows, in]; ``factors`` broadcast against them."""
    numbers = torch.tensor([*_NUMBERS, *(-number for number in _NUMBERS)], device=packed.device)
    codes = torch.stack([packed & 15, packed >> 4], dim=2).flatten(1)
    values = numbers[codes.int()].view(*blocks.shape, BLOCK) * blocks.float().unsqueeze(2)
    return values.flatten(1).mul_(factors)


def tiled(blocks: torch.Tensor) -> torch.Tensor:
    """Block factors [rows, columns] in the order in which the tensor cores read them, flat.

    Tiles of 128 rows by 4 columns, padded with zeros; within a tile (row % 32, row // 32, column). Source: NVIDIA's
    cuBLAS documentation, "1D block scaling factors layout".
    """
    rows, columns = blocks.shape
    whole = F.pad(blocks.view(torch.uint8), (0, -columns % 4, 0, -rows % 128))
    tiles = whole.view(-1, 4, 32, whole.shape[1] // 4, 4).permute(0, 3, 2, 1, 4)
    return tiles.contiguous().view(torch.float8_e4m3fn).flatten()


def _has_tensor_cores(device: torch.device) -> bool:
    return device.type == "cuda" and torch.cuda.get_device_capability(device) >= (10, 0)
