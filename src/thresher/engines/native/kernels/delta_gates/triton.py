"""Both gates of a block of rows in one program."""

from __future__ import annotations

import torch
import triton
import triton.language as tl

_ROWS, _WARPS = 32, 4


def delta_gates(ab: torch.Tensor, a_log: torch.Tensor, dt_bias: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """See :func:`thresher.engines.native.kernels.delta_gates.delta_gates`."""
    tokens, heads = len(ab), len(a_log)
    log_decays, rates = (torch.empty(tokens, heads, dtype=torch.float32, device=ab.device) for _ in range(2))
    if tokens:
        _delta_gates[(triton.cdiv(tokens, _ROWS),)](
            ab,
            a_log,
            dt_bias,
            log_decays,
            rates,
            ab.stride(0),
            tokens,
            heads,
            ROWS=_ROWS,
            BLOCK=triton.next_power_of_2(heads),
            num_warps=_WARPS,
        )
    return log_decays, rates


@triton.jit
def _delta_gates(ab, a_log, dt_bias, log_decays, rates, stride, tokens, heads, ROWS: tl.constexpr, BLOCK: tl.constexpr):
    row = (tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS))[:, None]
    head = tl.arange(0, BLOCK)[None, :]
    inside = head < heads
    mask = (row < tokens) & inside
    a = tl.load(ab + row * stride + head, mask=mask, other=0.0).to(tl.float32)
    b = tl.load(ab + row * stride + heads + head, mask=mask, other=0.0).to(tl.float32)
    step = a + tl.load(dt_bias + head, mask=inside, other=0.0)
    softplus = tl.maximum(step, 0.0) + tl.log(1.0 + tl.exp(-tl.abs(step)))
    decay = -tl.exp(tl.load(a_log + head, mask=inside, other=0.0)) * softplus
    tl.store(log_decays + row * heads + head, decay, mask=mask)
    tl.store(rates + row * heads + head, tl.sigmoid(b), mask=mask)
