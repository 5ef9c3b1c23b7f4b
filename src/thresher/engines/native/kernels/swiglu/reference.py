"""SwiGLU's gate in plain torch."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name

from thresher.engines.native.kernels.rows import Rows, rounded


def swiglu(gate_up: torch.Tensor, *, quantize: bool) -> Rows:
    """See :func:`thresher.engines.native.kernels.swiglu.swiglu`."""
    gate, up = gate_up.chunk(2, dim=-1)
    product = F.silu(gate).mul_(up)
    return rounded(product) if quantize else Rows(product)
