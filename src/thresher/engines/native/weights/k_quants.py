"""ggml's types with scales for groups of 16 or 32 values: blocks uint8 [blocks, bytes] -> float32 [blocks, 256].

Layouts are those of ggml-common.h and dequantize_row_* of llama.cpp. Numbers stay bytes until the last multiplication.
"""

from __future__ import annotations

import torch

from thresher.engines.native.weights.block_quants import IQ4_VALUES, half_floats, lookup, unpack

_PAIRS, _BITS = (0, 2, 4, 6), tuple(range(8))


def q2_k(raw: torch.Tensor) -> torch.Tensor:
    """16 x (4-bit scale, 4-bit minimum), 64 bytes of 2 bits, f16 scale of scales and of minima."""
    scales, numbers = raw[:, :16], _two_bits(raw[:, 16:80])
    scale, least = half_floats(raw[:, 80:82]), half_floats(raw[:, 82:84])
    return _affine(numbers.view(len(raw), 16, 16), (scales & 15) * scale, (scales >> 4) * least)


def q3_k(raw: torch.Tensor) -> torch.Tensor:
    """256 third bits, 64 bytes of 2 bits, 16 x 6-bit scale less 32, f16 scale of scales; less 4 where the bit is 0."""
    bits = unpack(raw[:, :32], 1, _BITS).view(len(raw), 256)
    numbers = _two_bits(raw[:, 32:96]) | (bits << 2)
    packed = raw[:, 96:108]
    low = torch.cat([packed[:, :8] & 15, packed[:, :8] >> 4], dim=1)
    high = _unpack_few(packed[:, None, 8:], dim=1).view(len(raw), 16)
    scales = ((low | (high << 4)).view(torch.int8) - 32) * half_floats(raw[:, 108:])
    return _scaled(numbers.view(len(raw), 16, 16), 4, scales)


def q4_k(raw: torch.Tensor) -> torch.Tensor:
    """f16 scale of scales and of minima, 8 x (6-bit scale, 6-bit minimum), 128 bytes of 4 bits."""
    return _affine(_four_bits(raw[:, 16:]), *_scales_and_minima(raw))


def q5_k(raw: torch.Tensor) -> torch.Tensor:
    """As :func:`q4_k`, with 32 bytes before the 4 bits: bit g of byte i is the fifth of value i of group g."""
    fifth = unpack(raw[:, 16:48], 1, _BITS)
    return _affine(_four_bits(raw[:, 48:]) | (fifth << 4), *_scales_and_minima(raw))


def q6_k(raw: torch.Tensor) -> torch.Tensor:
    """128 bytes of 4 bits, 64 bytes of the upper 2, 16 signed scales, f16 scale of scales; less 32."""
    low = unpack(raw[:, :128].reshape(-1, 2, 64), 4, (0, 4)).view(-1, 2, 4, 32)
    high = unpack(raw[:, 128:192].reshape(-1, 2, 32), 2, _PAIRS)
    scales = raw[:, 192:208].view(torch.int8) * half_floats(raw[:, 208:])
    return _scaled((low | (high << 4)).view(-1, 16, 16), 32, scales)


def iq4_xs(raw: torch.Tensor) -> torch.Tensor:
    """f16 scale, 8 x 6-bit scale less 32 (2 upper bits each, then 4 lower), 128 bytes that stand for IQ4_VALUES."""
    high = _unpack_few(raw[:, 2:4, None], dim=2).view(len(raw), 8)
    low = torch.stack([raw[:, 4:8] & 15, raw[:, 4:8] >> 4], dim=-1).view(len(raw), 8)
    scales = ((low | (high << 4)).view(torch.int8) - 32) * half_floats(raw[:, :2])
    numbers = unpack(raw[:, 8:].reshape(len(raw), 8, 16), 4, (0, 4)).view(len(raw), 8, 32)
    return lookup(numbers, IQ4_VALUES).mul_(scales.unsqueeze(-1)).view(len(raw), 256)


def _affine(numbers: torch.Tensor, scales: torch.Tensor, minima: torch.Tensor) -> torch.Tensor:
    """``numbers * scale - minimum`` per group; numbers [blocks, groups, size]."""
    values = numbers.float().mul_(scales.unsqueeze(-1))
    return values.sub_(minima.unsqueeze(-1)).view(len(numbers), 256)


def _scaled(numbers: torch.Tensor, less: int, scales: torch.Tensor) -> torch.Tensor:
    """``(numbers - less) * scale`` per group; numbers [blocks, groups, size]."""
    return numbers.float().sub_(less).mul_(scales.unsqueeze(-1)).view(len(numbers), 256)


def _scales_and_minima(raw: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Of 8 groups, [blocks, 8] each, from 2 f16 and 12 bytes.

    Bytes 0-3 and 4-7 hold scales and minima 0-3 in their low 6 bits, bytes 8-11 the low halves of scales and minima
    4-7, whose upper 2 bits are the upper 2 bits of bytes 0-7.
    """
    scale, least = half_floats(raw[:, :2]), half_floats(raw[:, 2:4])
    first, last = raw[:, 4:12], raw[:, 12:16]
    upper = (first >> 6) << 4
    scales = torch.cat([first[:, :4] & 63, (last & 15) | upper[:, :4]], dim=1)
    minima = torch.cat([first[:, 4:] & 63, (last >> 4) | upper[:, 4:]], dim=1)
    return scales * scale, minima * least


def _four_bits(packed: torch.Tensor) -> torch.Tensor:
    """128 bytes [blocks, 128] as [blocks, 8, 32]: 32 low halves, then the 32 high halves of the same bytes."""
    return unpack(packed.reshape(-1, 4, 32), 4, (0, 4)).view(-1, 8, 32)


def _two_bits(packed: torch.Tensor) -> torch.Tensor:
    """64 bytes as [blocks, 256]: of each 32 bytes first the lowest 2 bits of all, then the next 2."""
    return unpack(packed.reshape(-1, 2, 32), 2, _PAIRS).view(-1, 256)


def _unpack_few(packed: torch.Tensor, dim: int) -> torch.Tensor:
    """Pairs of bits of too few bytes for words; the four of a byte go along ``dim``, which is 1 long."""
    return torch.cat([(packed >> shift) & 3 for shift in _PAIRS], dim=dim)
