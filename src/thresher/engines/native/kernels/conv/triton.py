"""Convolution, SiLU and unit length in one pass over the inputs.

The pass knows nothing of where sequences start, so that no program waits to learn it; a small kernel behind it makes
the first rows of each sequence again.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import triton

from thresher.engines.native.kernels.conv import Convolved, sliding, tiles
from thresher.engines.native.kernels.conv.edges import conv_edges
from thresher.engines.native.kernels.sequences import sequence_offsets


def causal_conv(
    x: torch.Tensor, taps: torch.Tensor, before: torch.Tensor, lengths: Sequence[int], *, key_heads: int, key_dim: int
) -> Convolved:
    """See :func:`thresher.engines.native.kernels.conv.causal_conv`."""
    count, context, channels = before.shape
    queries, keys = (torch.empty(len(x), key_heads, key_dim, dtype=x.dtype, device=x.device) for _ in range(2))
    values = torch.empty(len(x), channels - 2 * key_heads * key_dim, dtype=x.dtype, device=x.device)
    tails = torch.empty(count, context, channels, dtype=x.dtype, device=x.device)
    turned = taps.t().contiguous()  # the taps of neighbouring channels side by side, so that they are loaded together
    made = Convolved(queries, keys, values, tails)
    (_by_sliding if _slides(made, len(turned)) else _by_tiles)(x, turned, made)
    block = triton.next_power_of_2(key_dim)
    conv_edges[(count * context, _heads(made))](
        x,
        turned,
        before.contiguous(),
        sequence_offsets(lengths, x.device),
        queries,
        keys,
        values,
        tails,
        key_dim**-0.5,
        CHANNELS=channels,
        KEY_HEADS=key_heads,
        KEY_DIM=key_dim,
        WIDTH=len(turned),
        BLOCK=block,
        num_warps=1,
    )
    return made


def _heads(made: Convolved) -> int:
    """Heads of queries and keys, and blocks of values."""
    _, key_heads, key_dim = made.keys.shape
    return int(2 * key_heads + triton.cdiv(made.values.shape[1], triton.next_power_of_2(key_dim)))


def _aligned(made: Convolved) -> bool:
    """Whether every head fills a block."""
    block = made.keys.shape[2]
    return bool(block == triton.next_power_of_2(block) and made.values.shape[1] % block == 0)


def _slides(made: Convolved, width: int) -> bool:
    """Whether the faster kernel can make this."""
    tokens, key_heads, key_dim = made.keys.shape
    whole = key_heads % sliding.HEADS == 0 and made.values.shape[1] % (sliding.HEADS * key_dim) == 0
    return width == sliding.TAPS and tokens >= sliding.ROWS and _aligned(made) and whole


def _by_sliding(x: torch.Tensor, taps: torch.Tensor, made: Convolved) -> None:
    tokens, key_heads, key_dim = made.keys.shape
    sliding.conv_sliding[(_heads(made) // sliding.HEADS, triton.cdiv(tokens, sliding.ROWS))](
        x,
        taps,
        made.queries,
        made.keys,
        made.values,
        tokens,
        key_dim**-0.5,
        CHANNELS=x.shape[1],
        KEY_HEADS=key_heads,
        KEY_DIM=key_dim,
        ROWS=sliding.ROWS,
        HEADS=sliding.HEADS,
        num_warps=sliding.WARPS,
    )


def _by_tiles(x: torch.Tensor, taps: torch.Tensor, made: Convolved) -> None:
    tokens, key_heads, key_dim = made.keys.shape
    tiles.conv_tiles[(_heads(made), triton.cdiv(tokens, tiles.ROWS))](
        x,
        taps,
        made.queries,
        made.keys,
        made.values,
        tokens,
        key_dim**-0.5,
        CHANNELS=x.shape[1],
        KEY_HEADS=key_heads,
        KEY_DIM=key_dim,
        ALIGNED=_aligned(made),
        WIDTH=len(taps),
        ROWS=tiles.ROWS,
        BLOCK=triton.next_power_of_2(key_dim),
        num_warps=tiles.WARPS,
    )
