from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from thresher.engines.llamacpp.planner import PackLimits, plan_chunks, plan_packs

LIMITS = st.builds(
    PackLimits,
    tokens=st.integers(1, 600),
    documents=st.integers(1, 20),
    padding_share=st.sampled_from([0.0, 0.1, 1.0]),
)


@given(st.lists(st.integers(0, 700)), LIMITS)
def test_packs_hold_every_document_once_and_keep_to_the_limits(lengths: list[int], limits: PackLimits) -> None:
    packs = plan_packs(lengths, limits)
    assert sorted(index for pack in packs for index in pack) == list(range(len(lengths)))
    for pack in packs:
        longest, shortest = max(lengths[i] for i in pack), min(lengths[i] for i in pack)
        assert len(pack) <= limits.documents
        assert longest * len(pack) <= limits.tokens or len(pack) == 1
        assert longest - shortest <= limits.padding_share * longest


def test_like_lengths_go_together() -> None:
    limits = PackLimits(tokens=450, documents=8, padding_share=0.1)
    assert plan_packs([100, 200, 101, 199, 1000], limits) == [[4], [1, 3], [2, 0]]


@given(st.integers(0, 5000), st.integers(1, 30), st.integers(32, 600))
def test_chunks_cover_everything_and_fit_a_micro_batch(longest: int, sequences: int, micro_batch: int) -> None:
    chunks = plan_chunks(longest, sequences, micro_batch)
    assert [position for chunk in chunks for position in chunk] == list(range(longest))
    assert all(len(chunk) * sequences <= micro_batch for chunk in chunks)
    assert len(chunks) == -(-longest // (micro_batch // sequences))


def test_chunks_are_even() -> None:
    assert [len(chunk) for chunk in plan_chunks(1025, 1, 512)] == [342, 342, 341]
