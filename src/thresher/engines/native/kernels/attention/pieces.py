"""The contract of attention, and how results over several stretches of keys become one.

A softmax over the keys of two stretches is the mean of the softmaxes over each, weighted by their sums of exponentials;
so each stretch is attended on its own and only outputs and logsumexps meet (Milakov and Gimelshein, "Online normalizer
calculation for softmax", 2018).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch


@dataclass(frozen=True, slots=True)
class Piece:
    """Queries ``start`` to ``stop`` see keys ``key_start`` to ``key_stop``.

    ``causal``: as many keys as queries, and each query sees the keys up to its own.
    """

    start: int
    stop: int
    key_start: int
    key_stop: int
    causal: bool


@dataclass(frozen=True, slots=True)
class KeysValues:
    """Keys after RoPE and values, both [tokens, G, D]."""

    keys: torch.Tensor
    values: torch.Tensor


class AttentionKernel(Protocol):
    """Softmax attention of queries over their pieces."""

    def __call__(self, queries: torch.Tensor, pieces: Sequence[Piece], seen: KeysValues) -> torch.Tensor:
        """[Q, H, D] to [Q, H, D], scaled by ``D ** -0.5``; every query is in one causal piece, which comes first."""


class Merger:
    """Collects outputs [rows, H, D] and logsumexps [rows, H] of pieces into those of all their keys together."""

    def __init__(self, queries: torch.Tensor) -> None:
        self._outputs = torch.empty(queries.shape, dtype=torch.float32, device=queries.device)
        self._logsumexps = torch.empty(queries.shape[:2], dtype=torch.float32, device=queries.device)

    def put(self, start: int, stop: int, outputs: torch.Tensor, logsumexps: torch.Tensor) -> None:
        """Take what queries ``start`` to ``stop`` found in their first piece."""
        self._outputs[start:stop] = outputs
        self._logsumexps[start:stop] = logsumexps

    def add(self, start: int, stop: int, outputs: torch.Tensor, logsumexps: torch.Tensor) -> None:
        """Take what they found in another one."""
        before = self._logsumexps[start:stop]
        together = torch.logaddexp(before, logsumexps.float())
        kept = (before - together).exp_().unsqueeze_(-1)
        fresh = (logsumexps.float() - together).exp_().unsqueeze_(-1)
        self._outputs[start:stop].mul_(kept).addcmul_(outputs.float(), fresh)
        self._logsumexps[start:stop] = together

    def result(self, dtype: torch.dtype) -> torch.Tensor:
        """[Q, H, D]."""
        return self._outputs.to(dtype)
