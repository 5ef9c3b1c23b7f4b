"""The convolution in plain torch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name

from thresher.engines.native.kernels.conv import Convolved
from thresher.engines.native.kernels.sequences import sequence_offsets
from thresher.engines.native.layers.norm import l2_norm


def causal_conv(
    x: torch.Tensor, taps: torch.Tensor, before: torch.Tensor, lengths: Sequence[int], *, key_heads: int, key_dim: int
) -> Convolved:
    """See :func:`thresher.engines.native.kernels.conv.causal_conv`."""
    starts = sequence_offsets(lengths, x.device)
    mixed = F.silu(_convolve(x, taps.to(x.dtype), before, starts), inplace=True)
    keys_size = key_heads * key_dim
    queries, keys, values = mixed.tensor_split((keys_size, 2 * keys_size), dim=-1)
    return Convolved(
        l2_norm(queries.reshape(-1, key_heads, key_dim)).mul_(key_dim**-0.5),
        l2_norm(keys.reshape(-1, key_heads, key_dim)),
        values.contiguous(),
        tails(x, before, starts),
    )


def _convolve(x: torch.Tensor, taps: torch.Tensor, before: torch.Tensor, offsets: torch.Tensor) -> torch.Tensor:
    context = before.shape[1]
    weights = taps.t().unbind()
    out = x * weights[context]
    for back in range(1, context + 1):
        out[back:].addcmul_(x[:-back], weights[context - back])  # across sequences too: corrected below
    starts, counts = offsets[:-1], offsets.diff()
    inside = torch.arange(context, device=x.device)
    real = inside < counts[:, None]
    heads = torch.where(real, starts[:, None] + inside, 0)  # [N, context]: first rows of each sequence
    window = torch.cat([before, x[heads]], dim=1)  # [N, 2 * context, channels]
    fixed = sum((window[:, tap : tap + context] * weights[tap] for tap in range(1, context + 1)),
                window[:, :context] * weights[0])  # fmt: skip
    out[heads[real]] = fixed[real]
    return out


def tails(x: torch.Tensor, before: torch.Tensor, offsets: torch.Tensor) -> torch.Tensor:
    """The last inputs of each sequence; a sequence shorter than that is topped up with what was to its left."""
    context = before.shape[1]
    starts, counts = offsets[:-1], offsets.diff()
    place = counts[:, None] - context + torch.arange(context, device=x.device)  # negative: to the left
    last = x[(starts[:, None] + place).clamp(min=0)]
    older = before.gather(1, (place + context).clamp(0, context - 1)[..., None].expand_as(last))
    return torch.where((place >= 0)[..., None], last, older)
