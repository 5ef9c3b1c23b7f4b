"""Rotary positions over the first dimensions of each head, in rotate-half pairs (Su et al., "RoFormer", 2021).

For text, the interleaved multi-axis positions of Qwen3.5 are all the same and reduce to this.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from thresher.engines.native.transfer import to_device


def rotary_tables(
    positions: npt.NDArray[np.int64], rotary_dim: int, theta: float, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """Cosines and sines [positions, 1, rotary_dim / 2], float32: in half precision far positions blur."""
    exponents = torch.arange(0, rotary_dim, 2, dtype=torch.float32) / rotary_dim
    frequencies = 1.0 / torch.tensor(theta, dtype=torch.float32) ** exponents
    angles = to_device(positions, device).float()[:, None, None] * to_device(frequencies.numpy(), device)
    return angles.cos(), angles.sin()


def rotate(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """``x`` [T, heads, D], of which the first ``2 * cos.shape[-1]`` dimensions are turned."""
    half = cos.shape[-1]
    first, second, rest = x[..., :half].float(), x[..., half : 2 * half].float(), x[..., 2 * half :]
    turned = [(first * cos - second * sin).to(x.dtype), (second * cos + first * sin).to(x.dtype)]
    return torch.cat([*turned, rest], dim=-1)
