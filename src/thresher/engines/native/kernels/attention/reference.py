"""Attention in plain matrix products; scores of a block of queries are held at once."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from thresher.engines.native.kernels.attention.pieces import KeysValues, Merger, Piece

_QUERY_BLOCK = 512


def attend(queries: torch.Tensor, pieces: Sequence[Piece], seen: KeysValues) -> torch.Tensor:
    """See :class:`~thresher.engines.native.kernels.attention.pieces.AttentionKernel`."""
    merger = Merger(queries)
    for piece in pieces:
        keys = seen.keys[piece.key_start : piece.key_stop]
        values = seen.values[piece.key_start : piece.key_stop]
        for start in range(piece.start, piece.stop, _QUERY_BLOCK):
            stop = min(start + _QUERY_BLOCK, piece.stop)
            visible = stop - piece.start if piece.causal else len(keys)
            first_seen = start - piece.start + 1 if piece.causal else None
            take = merger.put if piece.causal else merger.add
            take(start, stop, *_attend_block(queries[start:stop], keys[:visible], values[:visible], first_seen))
    return merger.result(queries.dtype)


def _attend_block(
    queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, first_seen: int | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """``first_seen``: the first query sees so many keys, and each next one more; None: all see all."""
    count, heads, size = queries.shape
    groups = keys.shape[1]
    grouped = queries.float().view(count, groups, heads // groups, size)
    scores = torch.einsum("qghd,kgd->qghk", grouped, keys.float()) * size**-0.5
    if first_seen is not None:
        hidden = torch.ones(count, len(keys), dtype=torch.bool, device=keys.device).triu_(first_seen)
        scores.masked_fill_(hidden[:, None, None, :], -torch.inf)
    logsumexps = scores.logsumexp(-1)
    weights = scores.sub_(logsumexps.unsqueeze(-1)).exp_()
    outputs = torch.einsum("qghk,kgd->qghd", weights, values.float())
    return outputs.reshape(count, heads, size), logsumexps.reshape(count, heads)
