"""FlashAttention over pieces, by one causal launch or one per kind: the same attention as piece by piece."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from thresher.engines.native.kernels.attention import KeysValues, Piece, reference, varlen
from thresher.engines.native.kernels.attention.joined import join
from thresher.engines.native.pack import HELD, Pack, Step, Tree, lay_out
from thresher.engines.native.step_view import attention_pieces

HEADS, GROUPS, SIZE = 4, 2, 8
CPU = torch.device("cpu")


def numbers(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


def simulated_with_sums(
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
    """What FlashAttention computes, the last query of a sequence aligned with its last key."""
    outputs, sums = torch.empty_like(queries), torch.empty(queries.shape[:2])
    lengths = [(int(offsets.diff().max()), int(offsets[-1])) for offsets in (query_offsets, key_offsets)]
    assert lengths == [(longest_query, len(queries)), (longest_key, len(keys))]
    assert len(keys) == len(values)
    for (start, stop), (first, last) in zip(
        pairwise(query_offsets.tolist()), pairwise(key_offsets.tolist()), strict=True
    ):
        repeated = keys[first:last].repeat_interleave(HEADS // GROUPS, dim=1)
        scores = torch.einsum("qhd,khd->qhk", queries[start:stop], repeated) * SIZE**-0.5
        if causal:
            hidden = torch.ones(stop - start, last - first).triu(last - first - (stop - start) + 1).bool()
            scores.masked_fill_(hidden[:, None], -torch.inf)
        weighted = values[first:last].repeat_interleave(HEADS // GROUPS, dim=1)
        outputs[start:stop] = torch.einsum("qhk,khd->qhd", scores.softmax(-1), weighted)
        sums[start:stop] = scores.logsumexp(-1)
    return outputs, sums


@pytest.fixture
def simulated(monkeypatch: pytest.MonkeyPatch) -> None:
    def causal(*arguments: torch.Tensor) -> torch.Tensor:
        return simulated_with_sums(*arguments, causal=True)[0]  # type: ignore[arg-type]

    monkeypatch.setattr(varlen, "flash_causal", causal)
    monkeypatch.setattr(varlen, "flash_with_sums", simulated_with_sums)


def make_pack(documents: Sequence[int], held_tokens: int, step_rows: int, branches: Sequence[int]) -> Pack:
    """Documents with as many branches behind each as lengths are given."""
    trees = []
    for length in documents:
        tree = Tree(held_tokens)
        document = tree.append(HELD, range(length))
        tree.want(document)
        for branch in branches:
            tree.want(tree.append(document, range(branch)))
        trees.append(tree)
    return lay_out(trees, step_rows, 8)[0]


def steps_with_pieces(pack: Pack) -> Iterator[tuple[Step, list[Piece]]]:
    """Those of all rows, and of the wanted ones."""
    for step in pack.steps:
        for counts in ([span.length for span in step.spans], [span.wanted for span in step.spans]):
            if any(counts):
                yield step, attention_pieces(pack, step.spans, counts)


@pytest.mark.usefixtures("simulated")
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    documents=st.lists(st.integers(1, 30), min_size=1, max_size=5),
    held_tokens=st.integers(0, 9),
    step_rows=st.integers(3, 40),
    branches=st.lists(st.integers(1, 4), max_size=3),
)
def test_the_same_attention(documents: list[int], held_tokens: int, step_rows: int, branches: list[int]) -> None:
    pack = make_pack(documents, held_tokens, step_rows, branches)
    rows = held_tokens + len(pack.tokens)
    seen = KeysValues(numbers(rows, GROUPS, SIZE), numbers(rows, GROUPS, SIZE) + 1)
    for _, pieces in steps_with_pieces(pack):
        queries = numbers(max(piece.stop for piece in pieces), HEADS, SIZE)
        assert join(pieces, CPU) is not None
        expected = reference.attend(queries, pieces, seen)
        for attend in (varlen.attend, varlen.attend_by_kind):
            torch.testing.assert_close(attend(queries, pieces, seen), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("documents", "held_tokens", "branches"),
    [([7], 5, []), ([100], 5, []), ([100], 5, [3]), ([7, 9, 4], 0, []), ([100], 0, [])],
    ids=["alone behind a prefix", "in steps", "with one question", "without a prefix", "in steps without a prefix"],
)
def test_what_lies_so_already_is_not_copied(documents: list[int], held_tokens: int, branches: list[int]) -> None:
    pack = make_pack(documents, held_tokens, 32, branches)
    rows = held_tokens + len(pack.tokens)
    seen = KeysValues(numbers(rows, GROUPS, SIZE), numbers(rows, GROUPS, SIZE))
    for step in pack.steps:
        joined = join(attention_pieces(pack, step.spans, [span.length for span in step.spans]), CPU)
        assert joined is not None
        laid = joined.keys_values(seen)
        for found, memory in ((laid.keys, seen.keys), (laid.values, seen.values)):
            assert found.untyped_storage().data_ptr() == memory.untyped_storage().data_ptr()
            assert len(found) == held_tokens + step.stop


def test_forks_of_a_prefix_are_copied() -> None:
    pack = make_pack([7, 9], 5, 32, [])
    joined = join(next(pieces for _, pieces in steps_with_pieces(pack)), CPU)
    assert joined is not None
    rows = torch.arange(21)[:, None, None].expand(-1, GROUPS, SIZE)
    laid = joined.keys_values(KeysValues(rows, rows))
    assert laid.keys[:, 0, 0].tolist() == [*range(12), *range(5), *range(12, 21)]
    assert laid.values[:, 0, 0].tolist() == laid.keys[:, 0, 0].tolist()


def test_much_shared_keys_are_not_copied() -> None:
    pack = make_pack([9000], 0, 20_000, [2] * 8)
    branches = pack.steps[1]
    assert join(attention_pieces(pack, branches.spans, [span.length for span in branches.spans]), CPU) is None
    first = pack.steps[0]
    assert join(attention_pieces(pack, first.spans, [span.length for span in first.spans]), CPU) is not None


@pytest.mark.usefixtures("simulated")
def test_whole_documents_are_one_launch_whatever_their_number() -> None:
    """No limit on copies where there is none to make: the last rows of many documents, too."""
    pack = make_pack([9000, 9000], 0, 20_000, [])
    joined = join(attention_pieces(pack, pack.steps[0].spans, [9000, 9000]), CPU)
    assert joined is not None
    assert joined.rows == slice(0, 18_000)
    few = attention_pieces(pack, pack.steps[0].spans, [1, 1])
    assert (plan := join(few, CPU)) is not None
    assert plan.rows == slice(0, 18_000)
