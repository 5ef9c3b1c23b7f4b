"""Attention on a CPU with torch's blockwise kernel, which also yields the logsumexp.

The operation is the one that ``scaled_dot_product_attention`` calls on a CPU; only there is the logsumexp dropped.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from thresher.engines.native.kernels.attention.pieces import KeysValues, Merger, Piece

_OPERATION = "_scaled_dot_product_flash_attention_for_cpu"


def can_run() -> bool:
    """Whether this torch has the operation."""
    return hasattr(torch.ops.aten, _OPERATION)


def attend(queries: torch.Tensor, pieces: Sequence[Piece], pack: KeysValues, held: KeysValues) -> torch.Tensor:
    """See :class:`~thresher.engines.native.kernels.attention.pieces.AttentionKernel`."""
    merger = Merger(queries)
    for piece in pieces:
        source = held if piece.held else pack
        outputs, logsumexps = getattr(torch.ops.aten, _OPERATION)(
            _heads_first(queries[piece.start : piece.stop]),
            _heads_first(source.keys[piece.key_start : piece.key_stop]),
            _heads_first(source.values[piece.key_start : piece.key_stop]),
            0.0,
            piece.causal,
        )
        take = merger.put if piece.causal else merger.add
        take(piece.start, piece.stop, outputs[0].transpose(0, 1), logsumexps[0].transpose(0, 1))
    return merger.result(queries.dtype)


def _heads_first(x: torch.Tensor) -> torch.Tensor:
    return x.transpose(0, 1).unsqueeze(0)
