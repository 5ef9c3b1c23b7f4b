"""ggml's types with one scale for 32 values, and floats: blocks uint8 [blocks, bytes] -> float32 [blocks, values].

Layouts are those of ggml-common.h of llama.cpp. A byte holds value ``i`` of a block in its low half and value
``i + 16`` in its high half.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

#: The values that 4 bits stand for in IQ4_NL and IQ4_XS (kvalues_iq4nl), and in MXFP4 (twice E2M1).
IQ4_VALUES = (-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113)
_E2M1_TWICE = (0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12)


def half_floats(raw: torch.Tensor) -> torch.Tensor:
    """Little-endian float16 in uint8 [blocks, 2 * n] as float32 [blocks, n]."""
    return raw.contiguous().view(torch.float16).float()


def unpack(packed: torch.Tensor, bits: int, shifts: Sequence[int]) -> torch.Tensor:
    """Numbers of ``bits`` in each byte of uint8 [..., n], n a multiple of 8: [..., len(shifts), n], uint8.

    Eight bytes are shifted at once as one word; what crosses from byte to byte is masked away.
    """
    words = packed.contiguous().view(torch.int64)
    mask = 0x0101010101010101 * ((1 << bits) - 1)
    return torch.stack([(words >> shift) & mask for shift in shifts], dim=-2).view(torch.uint8)


def nibbles(raw: torch.Tensor) -> torch.Tensor:
    """Uint8 [blocks, n] as 4-bit numbers [blocks, 2 * n], all low halves first."""
    return unpack(raw, 4, (0, 4)).flatten(1)


def lookup(indices: torch.Tensor, values: tuple[int, ...]) -> torch.Tensor:
    """``values[indices]`` as float32, indices uint8."""
    table = torch.tensor(values, dtype=torch.float32, device=indices.device)
    return table.index_select(0, indices.flatten().int()).view(indices.shape)


def q4_0(raw: torch.Tensor) -> torch.Tensor:
    """f16 scale, 16 bytes of 4 bits less 8."""
    return nibbles(raw[:, 2:]).float().sub_(8).mul_(half_floats(raw[:, :2]))


def q4_1(raw: torch.Tensor) -> torch.Tensor:
    """f16 scale and minimum, 16 bytes of 4 bits."""
    return nibbles(raw[:, 4:]).float().mul_(half_floats(raw[:, :2])).add_(half_floats(raw[:, 2:4]))


def q5_0(raw: torch.Tensor) -> torch.Tensor:
    """f16 scale, 32 fifth bits, 16 bytes of 4 bits; less 16."""
    return _five_bits(raw[:, 2:6], raw[:, 6:]).float().sub_(16).mul_(half_floats(raw[:, :2]))


def q5_1(raw: torch.Tensor) -> torch.Tensor:
    """f16 scale and minimum, 32 fifth bits, 16 bytes of 4 bits."""
    values = _five_bits(raw[:, 4:8], raw[:, 8:]).float()
    return values.mul_(half_floats(raw[:, :2])).add_(half_floats(raw[:, 2:4]))


def q8_0(raw: torch.Tensor) -> torch.Tensor:
    """f16 scale, 32 signed bytes."""
    return raw[:, 2:].view(torch.int8).float().mul_(half_floats(raw[:, :2]))


def iq4_nl(raw: torch.Tensor) -> torch.Tensor:
    """f16 scale, 16 bytes of 4 bits that stand for :data:`IQ4_VALUES`."""
    return lookup(nibbles(raw[:, 2:]), IQ4_VALUES).mul_(half_floats(raw[:, :2]))


def mxfp4(raw: torch.Tensor) -> torch.Tensor:
    """A power of two (E8M0), 16 bytes of E2M1."""
    half_scale = torch.exp2(raw[:, :1].float() - 128)
    return lookup(nibbles(raw[:, 1:]), _E2M1_TWICE).mul_(half_scale)


def f32(raw: torch.Tensor) -> torch.Tensor:
    """Float32 as it is."""
    return raw.view(torch.float32)


def f16(raw: torch.Tensor) -> torch.Tensor:
    """IEEE half precision."""
    return raw.view(torch.float16).float()


def bf16(raw: torch.Tensor) -> torch.Tensor:
    """The upper half of a float32."""
    return raw.view(torch.bfloat16).float()


def _five_bits(fifth: torch.Tensor, low: torch.Tensor) -> torch.Tensor:
    """Bit ``i`` of the four bytes ``fifth`` is the fifth bit of value ``i``."""
    shifts = torch.arange(8, dtype=torch.uint8, device=fifth.device)
    bits = (fifth.unsqueeze(-1) >> shifts) & 1
    return nibbles(low) | (bits.reshape(len(fifth), 32) << 4)
