"""The causal depthwise convolution of DeltaNet over sequences that follow one another without padding."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name


def causal_conv(
    x: torch.Tensor, taps: torch.Tensor, before: torch.Tensor, lengths: Sequence[int]
) -> tuple[torch.Tensor, torch.Tensor]:
    """SiLU of the convolution of each sequence with its own left context.

    ``x`` [T, channels] holds N sequences of ``lengths``; ``taps`` [channels, width], the last for the row itself;
    ``before`` [N, width - 1, channels] are the inputs to the left. Returns [T, channels] and the last ``width - 1``
    inputs of each sequence [N, width - 1, channels], those to its left counted.
    """
    context = before.shape[1]
    weights = taps.to(x.dtype).t().unbind()
    out = x * weights[context]
    for back in range(1, context + 1):
        out[back:].addcmul_(x[:-back], weights[context - back])  # across sequences too: corrected below
    starts, counts = _starts(lengths, x.device)
    heads = starts[:, None] + torch.arange(context, device=x.device)  # [N, context] first rows of each sequence
    real = torch.arange(context, device=x.device) < counts[:, None]
    heads = torch.where(real, heads, 0)
    window = torch.cat([before, x[heads]], dim=1)  # [N, 2 * context, channels]
    fixed = sum((window[:, tap : tap + context] * weights[tap] for tap in range(1, context + 1)),
                window[:, :context] * weights[0])  # fmt: skip
    out[heads[real]] = fixed[real]
    return F.silu(out, inplace=True), _tails(x, before, starts, counts)


def _starts(lengths: Sequence[int], device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    counts = torch.tensor(lengths)
    return (counts.cumsum(0) - counts).to(device), counts.to(device)


def _tails(x: torch.Tensor, before: torch.Tensor, starts: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
    """The last inputs of each sequence; a sequence shorter than that is topped up with what was to its left."""
    context = before.shape[1]
    places = counts[:, None] - context + torch.arange(context, device=x.device)  # negative: to the left
    own = x[(starts[:, None] + places).clamp(min=0)]
    older = before.gather(1, (places + context).clamp(0, context - 1)[..., None].expand_as(own))
    return torch.where((places >= 0)[..., None], own, older)
