"""One launch of FlashAttention over sequences of different lengths, by the fastest build that is installed."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
from collections.abc import Callable
from functools import cache
from typing import Any, cast

import torch

#: FlashAttention 3 (Shah et al., 2024): its own module's name, and that of its forward-only wheel. For Hopper alone.
_VERSION_3 = ("flash_attn_interface", "fa3_fwd_interface")
_HOPPER = (9, 0)
_CAUSAL, _ALL = (-1, 0), (-1, -1)


def flash_causal(
    queries: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    query_offsets: torch.Tensor,
    key_offsets: torch.Tensor,
    longest_query: int,
    longest_key: int,
) -> torch.Tensor:
    """Causal attention, the last query of a sequence seeing all of its keys. [Q, H, D] to [Q, H, D]."""
    places = (query_offsets, key_offsets, longest_query, longest_key)
    third = version_3(queries.device)
    if third is not None:
        found = third(queries, keys, values, *places, causal=True)
        return cast(torch.Tensor, found[0] if isinstance(found, tuple) else found)
    return cast(torch.Tensor, _varlen()(queries, keys, values, *places, window_size=_CAUSAL, **_grouped()))


def flash_with_sums(
    queries: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    query_offsets: torch.Tensor,
    key_offsets: torch.Tensor,
    longest_query: int,
    longest_key: int,
    *,
    causal: bool,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Outputs [Q, H, D] and logsumexps [Q, H]."""
    from torch.nn.attention.varlen import AuxRequest

    outputs, logsumexps = _varlen()(
        queries,
        keys,
        values,
        query_offsets,
        key_offsets,
        longest_query,
        longest_key,
        return_aux=AuxRequest(lse=True),
        window_size=_CAUSAL if causal else _ALL,
        **_grouped(),
    )
    return outputs, logsumexps.transpose(0, 1)


def version_3(device: torch.device) -> Callable[..., Any] | None:
    """FlashAttention 3's function, where it is installed and made for the card."""
    return _version_3() if torch.cuda.get_device_capability(device) == _HOPPER else None


@cache
def _version_3() -> Callable[..., Any] | None:
    for name in _VERSION_3:
        if importlib.util.find_spec(name) is not None:
            return getattr(importlib.import_module(name), "flash_attn_varlen_func")  # type: ignore[no-any-return]  # noqa: B009
    return None


@cache
def _varlen() -> Callable[..., Any]:
    from torch.nn.attention.varlen import varlen_attn

    return varlen_attn


@cache
def _grouped() -> dict[str, bool]:
    """Torch asks to be told of grouped key heads from 2.13 on; before, it takes them without."""
    return {"enable_gqa": True} if "enable_gqa" in inspect.signature(_varlen()).parameters else {}
