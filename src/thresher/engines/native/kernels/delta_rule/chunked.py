"""The gated delta rule in chunks: matrix products within a chunk, one product per chunk to carry the state on.

With ``G`` the running sum of log decays in a chunk, ``D_ij = exp(G_i - G_j)`` for i >= j and
``A = strictly lower (beta_i k_i.k_j D_ij)``, the chunk's updates are ``U - W S`` where
``[U | W] = (I + A)^-1 [beta v | beta exp(G) k]`` (section 3.3 of the paper; the WY form of Bischof and Van Loan, 1987).
The padding of a last chunk has log decay 0 and rate 0, and changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from thresher.engines.native.kernels.delta_rule.contract import DeltaRuleInputs

_LARGEST_CHUNK, _SMALLEST_CHUNK = 64, 4
#: Rows times value heads worked on at once: bounds the temporaries (at 128 dimensions 64 MiB each).
_LARGEST_BLOCK = 1 << 17
#: Up to this size a triangular inverse is a product of powers; larger ones are put together from two halves.
_POWER_SIZE = 16


@dataclass(frozen=True, slots=True)
class _Chunks:
    """Which rows make up which chunk. Chunks lie in rounds: every sequence's first one, then the second ones."""

    size: int
    order: list[int]  # of the sequences, longest first
    rounds: list[int]  # sequences that are in the n-th round: the first so many of ``order``
    rows: torch.Tensor  # [chunks * size]; a pad's row is T, one behind the last


def run(inputs: DeltaRuleInputs) -> tuple[torch.Tensor, torch.Tensor]:
    """See :class:`~thresher.engines.native.kernels.delta_rule.contract.DeltaRuleKernel`."""
    chunks = _chunks(inputs.lengths, inputs.values.device)
    outputs = torch.empty_like(inputs.values)
    states = torch.empty_like(inputs.states)
    key_heads = inputs.keys.shape[1]
    repeats = inputs.values.shape[1] // key_heads
    at_once = max(1, _LARGEST_BLOCK // (len(chunks.rows) * repeats))
    for first in range(0, key_heads, at_once):
        stop = min(first + at_once, key_heads)
        _run_heads(inputs, chunks, slice(first, stop), slice(first * repeats, stop * repeats), outputs, states)
    return outputs, states


def _chunks(lengths: Sequence[int], device: torch.device) -> _Chunks:
    size = min(_LARGEST_CHUNK, max(_SMALLEST_CHUNK, 1 << (max(lengths) - 1).bit_length()))
    order = sorted(range(len(lengths)), key=lambda index: -lengths[index])
    starts = torch.tensor([0, *lengths[:-1]]).cumsum(0)
    rounds: list[int] = []
    rows: list[torch.Tensor] = []
    ordered = torch.tensor([lengths[index] for index in order])
    ordered_starts = starts[order]
    inside = torch.arange(size)
    for begin in range(0, max(lengths), size):
        count = int((ordered > begin).sum())
        tokens = begin + inside
        row = ordered_starts[:count, None] + tokens
        rows.append(torch.where(tokens < ordered[:count, None], row, sum(lengths)).flatten())
        rounds.append(count)
    return _Chunks(size, order, rounds, torch.cat(rows).to(device))


def _run_heads(
    inputs: DeltaRuleInputs, chunks: _Chunks, keyed: slice, valued: slice, outputs: torch.Tensor, states: torch.Tensor
) -> None:
    """Key heads ``keyed`` with their value heads ``valued``; fills their part of ``outputs`` and ``states``."""
    size = chunks.size
    queries, keys = (_cut(x[:, keyed], chunks) for x in (inputs.queries, inputs.keys))  # [C, hk, size, K]
    values = _cut(inputs.values[:, valued], chunks)  # [C, hv, size, V]
    rates = _cut(inputs.rates[:, valued, None], chunks)  # [C, hv, size, 1]
    sums = _cut(inputs.log_decays[:, valued, None], chunks).squeeze(-1).cumsum(-1)  # [C, hv, size]
    repeats = values.shape[1] // keys.shape[1]
    lower = torch.ones(size, size, dtype=torch.bool, device=sums.device).tril_()
    # masked before exp: above the diagonal the difference is positive and would overflow
    decays = (sums[..., :, None] - sums[..., None, :]).masked_fill_(~lower, -torch.inf).exp_()
    among_keys = _repeat(keys @ keys.transpose(-1, -2), repeats)
    inside = _repeat(queries @ keys.transpose(-1, -2), repeats).mul_(decays)
    inverse = _unit_lower_inverse(among_keys.mul_(decays).mul_(rates).tril_(-1))
    keys, queries = _repeat(keys, repeats), _repeat(queries, repeats)
    grown = sums.exp().unsqueeze_(-1)
    fresh = inverse @ (values * rates)
    known = inverse @ (keys * (rates * grown))
    last = sums[..., -1:]
    keys.mul_((last - sums).exp_().unsqueeze_(-1))
    queries.mul_(grown)
    state = inputs.states[chunks.order, valued].contiguous()  # [N, hv, K, V]
    first = 0
    for count in chunks.rounds:
        here = slice(first, first + count)
        before = state[:count]
        update = fresh[here].sub_(known[here] @ before)
        values[here] = (queries[here] @ before).add_(inside[here] @ update)
        before.mul_(last[here].exp().unsqueeze_(-1)).add_(keys[here].transpose(-1, -2) @ update)
        first += count
    states[chunks.order, valued] = state
    _put_back(values, chunks, outputs[:, valued])


def _cut(x: torch.Tensor, chunks: _Chunks) -> torch.Tensor:
    """[T, heads, n] to float32 [chunks, heads, size, n], zeros in the padding."""
    padded = torch.cat([x, x.new_zeros(1, *x.shape[1:])])
    return padded[chunks.rows].float().view(-1, chunks.size, *x.shape[1:]).transpose(1, 2).contiguous()


def _put_back(x: torch.Tensor, chunks: _Chunks, target: torch.Tensor) -> None:
    """[chunks, heads, size, n] into the rows [T, heads, n] they came from."""
    flat = x.transpose(1, 2).reshape(-1, x.shape[1], x.shape[3])
    real = chunks.rows < len(target)
    target[chunks.rows[real]] = flat[real].to(target.dtype)


def _repeat(x: torch.Tensor, repeats: int) -> torch.Tensor:
    """A copy in which each head comes ``repeats`` times in a row."""
    return x.repeat_interleave(repeats, dim=1)


def _unit_lower_inverse(strict: torch.Tensor) -> torch.Tensor:
    """``(I + strict)^-1`` for strictly lower triangular matrices [..., n, n], n a power of two."""
    size = strict.shape[-1]
    if size <= _POWER_SIZE:
        return _power_inverse(strict)
    half = size // 2
    diagonal = torch.stack([strict[..., :half, :half], strict[..., half:, half:]])
    first, second = _unit_lower_inverse(diagonal).unbind()
    inverse = torch.zeros_like(strict)
    inverse[..., :half, :half] = first
    inverse[..., half:, half:] = second
    inverse[..., half:, :half] = (second @ strict[..., half:, :half] @ first).neg_()
    return inverse


def _power_inverse(strict: torch.Tensor) -> torch.Tensor:
    """``(I - A)(I + A^2)(I + A^4)...``: ends, because A^n is 0. The powers stay small up to 16 rows."""
    size = strict.shape[-1]
    power = strict.neg()
    inverse = power + torch.eye(size, dtype=strict.dtype, device=strict.device)
    for _ in range(max(0, size.bit_length() - 2)):
        power = power @ power
        inverse = inverse + inverse @ power
    return inverse
