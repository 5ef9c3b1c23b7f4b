"""The gate in plain torch."""

from __future__ import annotations

import torch

from thresher.engines.native.kernels.rows import Rows, rounded


def sigmoid_gate(x: torch.Tensor, gate: torch.Tensor, *, quantize: bool) -> Rows:
    """See :func:`thresher.engines.native.kernels.gate.sigmoid_gate`."""
    product = (x * torch.sigmoid(gate)).reshape(len(x), -1)
    return rounded(product) if quantize else Rows(product)
