"""Attention over segments: every query sees some stretches of keys, and the stretches' results are merged exactly.

Shapes: Q queries, H query heads, G key and value heads (H a multiple of G), D head dimension.
"""

from __future__ import annotations

import torch

from thresher.engines.native.kernels.attention.pieces import AttentionKernel, KeysValues, Piece

__all__ = ["AttentionKernel", "KeysValues", "Piece", "choose_attention"]


def choose_attention(device: torch.device, dtype: torch.dtype) -> AttentionKernel:
    """The fastest that can run here."""
    if device.type == "cuda" and dtype in {torch.bfloat16, torch.float16}:
        from thresher.engines.native.kernels.attention import varlen

        if varlen.can_run(device):
            return varlen.attend
    if device.type == "cpu":
        from thresher.engines.native.kernels.attention import cpu_flash

        if cpu_flash.can_run():
            return cpu_flash.attend
    from thresher.engines.native.kernels.attention import reference

    return reference.attend
