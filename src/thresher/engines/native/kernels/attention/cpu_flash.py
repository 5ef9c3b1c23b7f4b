"""Attention on a CPU with torch's blockwise kernel, which also yields the logsumexp.

The operation is the one that ``scaled_dot_product_attention`` calls on a CPU; only there is the logsumexp dropped.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from thresher.engines.native.kernels.attention.pieces import KeysValues, Merger, Piece

#: Keys seen at once: the operation copies what it is given.
_KEY_BLOCK = 8192
_OPERATION = "_scaled_dot_product_flash_attention_for_cpu"


def can_run() -> bool:
    """Whether this torch has the operation."""
    return hasattr(torch.ops.aten, _OPERATION)


def attend(queries: torch.Tensor, pieces: Sequence[Piece], seen: KeysValues) -> torch.Tensor:
    """See :class:`~thresher.engines.native.kernels.attention.pieces.AttentionKernel`."""
    merger = Merger(queries)
    for piece in pieces:
        own = queries[piece.start : piece.stop]
        if piece.causal:
            keys, values = (x[piece.key_start : piece.key_stop] for x in (seen.keys, seen.values))
            outputs, logsumexps = _run(_heads_first(own), keys, values, causal=True)
            merger.put(piece.start, piece.stop, outputs.transpose(0, 1), logsumexps.t())
            continue
        for start in range(piece.key_start, piece.key_stop, _KEY_BLOCK):
            stop = min(start + _KEY_BLOCK, piece.key_stop)
            merger.add(piece.start, piece.stop, *_run_grouped(own, seen.keys[start:stop], seen.values[start:stop]))
    return merger.result(queries.dtype)


def _run_grouped(queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """All queries see all keys, so the heads of a group are more queries of one head: keys are not copied for each."""
    count, heads, size = queries.shape
    groups = keys.shape[1]
    folded = queries.view(count, groups, heads // groups, size).permute(1, 2, 0, 3).reshape(groups, -1, size)
    outputs, logsumexps = _run(folded, keys, values, causal=False)
    outputs = outputs.reshape(heads, count, size).transpose(0, 1)
    return outputs, logsumexps.reshape(heads, count).t()


def _run(
    queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, *, causal: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """Queries [heads, n, D], keys and values [m, G, D]; outputs like the queries, logsumexps [heads, n]."""
    operation = getattr(torch.ops.aten, _OPERATION)
    outputs, logsumexps = operation(queries[None], _heads_first(keys)[None], _heads_first(values)[None], 0.0, causal)
    return outputs[0], logsumexps[0]


def _heads_first(x: torch.Tensor) -> torch.Tensor:
    return x.transpose(0, 1)
