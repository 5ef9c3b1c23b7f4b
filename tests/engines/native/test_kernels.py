"""Every kernel against its plain reference, on inputs that would show a mistake: ragged, strided, extreme."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from thresher.engines.native.kernels.attention import KeysValues, Piece, choose_attention, cpu_flash
from thresher.engines.native.kernels.attention import reference as attention_reference
from thresher.engines.native.kernels.delta_rule import DeltaRuleInputs, choose_delta_rule, chunked
from thresher.engines.native.kernels.delta_rule import reference as delta_reference

CPU = torch.device("cpu")


def delta_inputs(lengths: list[int], *, decay: float = 1.0, seed: int = 0) -> DeltaRuleInputs:
    random = torch.Generator().manual_seed(seed)
    tokens, key_heads, value_heads, key_dim, value_dim = sum(lengths), 2, 6, 8, 12

    def unit(*shape: int) -> torch.Tensor:
        return torch.nn.functional.normalize(torch.randn(*shape, generator=random), dim=-1)

    return DeltaRuleInputs(
        queries=unit(tokens, key_heads, key_dim) * key_dim**-0.5,
        keys=unit(tokens, key_heads, key_dim),
        values=torch.randn(tokens, value_heads, value_dim, generator=random),
        log_decays=-decay * torch.rand(tokens, value_heads, generator=random),
        rates=torch.rand(tokens, value_heads, generator=random),
        lengths=lengths,
        states=torch.randn(len(lengths), value_heads, key_dim, value_dim, generator=random),
    )


@settings(max_examples=30, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 150), min_size=1, max_size=6),
    decay=st.sampled_from([0.0, 0.1, 1.0, 30.0]),
    seed=st.integers(0, 9),
)
def test_the_chunked_rule_equals_the_rule(lengths: list[int], decay: float, seed: int) -> None:
    inputs = delta_inputs(lengths, decay=decay, seed=seed)
    before = inputs.states.clone()
    outputs, states = chunked.run(inputs)
    expected_outputs, expected_states = delta_reference.run(inputs)
    torch.testing.assert_close(outputs, expected_outputs, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(states, expected_states, rtol=1e-4, atol=1e-5)
    assert torch.equal(inputs.states, before)


def test_the_rule_in_blocks_of_heads(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = delta_inputs([70, 3, 129])
    whole, _ = chunked.run(inputs)
    monkeypatch.setattr(chunked, "_LARGEST_BLOCK", 1)
    blocks, _ = chunked.run(inputs)
    torch.testing.assert_close(blocks, whole)


def test_a_sequence_goes_on_from_a_state() -> None:
    inputs = delta_inputs([100])
    whole, _ = chunked.run(inputs)
    _, states = chunked.run(part(inputs, 0, 37, inputs.states))
    rest, _ = chunked.run(part(inputs, 37, 100, states))
    torch.testing.assert_close(rest, whole[37:], rtol=1e-4, atol=1e-5)


def part(inputs: DeltaRuleInputs, start: int, stop: int, states: torch.Tensor) -> DeltaRuleInputs:
    return DeltaRuleInputs(
        queries=inputs.queries[start:stop],
        keys=inputs.keys[start:stop],
        values=inputs.values[start:stop],
        log_decays=inputs.log_decays[start:stop],
        rates=inputs.rates[start:stop],
        lengths=[stop - start],
        states=states,
    )


def plain_attention(queries: torch.Tensor, pieces: list[Piece], keys_values: KeysValues) -> torch.Tensor:
    """Query by query, in double precision, one softmax over all keys seen."""
    repeats = queries.shape[1] // keys_values.keys.shape[1]
    outputs = torch.empty(queries.shape, dtype=torch.float64)
    for row, query in enumerate(queries.double()):
        seen: list[tuple[torch.Tensor, torch.Tensor]] = []
        for piece in (piece for piece in pieces if piece.start <= row < piece.stop):
            stop = piece.key_start + row - piece.start + 1 if piece.causal else piece.key_stop
            seen.append((keys_values.keys[piece.key_start : stop], keys_values.values[piece.key_start : stop]))
        keys = torch.cat([k for k, _ in seen]).double().repeat_interleave(repeats, dim=1)
        values = torch.cat([v for _, v in seen]).double().repeat_interleave(repeats, dim=1)
        weights = (torch.einsum("hd,khd->kh", query, keys) / math.sqrt(query.shape[-1])).softmax(0)
        outputs[row] = torch.einsum("kh,khd->hd", weights, values)
    return outputs.to(queries.dtype)


@pytest.mark.parametrize("kernel", [attention_reference, cpu_flash], ids=["reference", "cpu_flash"])
@settings(max_examples=15, deadline=None)
@given(
    prefix=st.integers(0, 40),
    documents=st.lists(st.integers(1, 50), min_size=1, max_size=4),
    scale=st.sampled_from([1.0, 30.0]),
)
def test_attention_equals_one_softmax(kernel: object, prefix: int, documents: list[int], scale: float) -> None:
    random = torch.Generator().manual_seed(prefix)
    rows = sum(documents)

    def normal(count: int, heads: int) -> torch.Tensor:
        return torch.randn(count, heads, 16, generator=random)

    queries = normal(rows, 6) * scale
    seen = KeysValues(normal(prefix + rows, 2), normal(prefix + rows, 2))
    pieces: list[Piece] = []
    start = 0
    for length in documents:
        pieces.append(Piece(start, start + length, prefix + start, prefix + start + length, True))
        if start:  # every document also sees the first one
            pieces.append(Piece(start, start + length, prefix, prefix + documents[0], False))
        start += length
    if prefix:
        pieces.append(Piece(0, rows, 0, prefix, False))
    found = kernel.attend(queries, pieces, seen)  # type: ignore[attr-defined]
    # scores of a hundred and more are rounded at their seventh digit, and exp makes that relative
    tolerance = 1e-5 if scale == 1 else 1e-4
    torch.testing.assert_close(found, plain_attention(queries, pieces, seen), rtol=1e-4, atol=tolerance)


def test_what_a_cpu_gets() -> None:
    assert choose_attention(CPU, torch.float32) is cpu_flash.attend
    assert choose_delta_rule(CPU, 128, 128) is chunked.run
