from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from thresher.answers import AnswerTrie
from thresher.engines.llamacpp.layout import lay_out
from thresher.engines.llamacpp.planner import PackLimits, even_out, pack_cells, plan_chunks, plan_forks, plan_packs
from thresher.types import Prompt, QuestionPrompt

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


@given(st.lists(st.tuples(st.integers(1, 300), st.booleans()), min_size=1, max_size=20))
def test_evening_out_pads_only_what_may_be_padded_and_only_a_little(tails: list[tuple[int, bool]]) -> None:
    lengths = [length for length, _ in tails]
    evened = even_out(lengths, [may_pad for _, may_pad in tails])
    for (length, may_pad), padded in zip(tails, evened, strict=True):
        assert padded == length or (may_pad and padded in lengths and 0 < padded - length <= max(8, padded / 16))
    assert max(evened) == max(lengths)


def test_evening_out_makes_few_lengths() -> None:
    assert even_out([30, 100, 27, 96, 25], [True] * 5) == [30, 100, 30, 100, 30]
    assert even_out([30, 27, 25], [True, False, True]) == [30, 27, 27]


TOKENS = st.lists(st.integers(0, 3), max_size=30).map(tuple)
TRIES = st.sampled_from(
    [
        AnswerTrie(["yes", "no"], [(1, 9), (2, 9)]),
        AnswerTrie(["only"], [(5, 5, 9)]),
        AnswerTrie(["a", "b", "c"], [(1, 1, 9), (1, 2, *[7] * 200, 9), (1, 2, *[7] * 200, 8)]),
    ]
)
PROMPTS = st.builds(
    Prompt,
    prefix_tokens=TOKENS,
    questions=st.lists(
        st.builds(QuestionPrompt, name=st.just("q"), suffix_tokens=TOKENS, trie=TRIES), min_size=1, max_size=120
    ).map(tuple),
)


@given(PROMPTS, st.integers(1, 2000))
def test_what_a_layout_shares_is_shared_and_leaves_a_token_to_every_question(prompt: Prompt, seed: int) -> None:
    layout = lay_out(prompt)
    for question, ending in zip(prompt.questions, layout.endings, strict=True):
        assert ending[: len(question.suffix_tokens)] == question.suffix_tokens
        assert ending[: max(0, layout.shared)] == layout.endings[0][: max(0, layout.shared)]
        if layout.questions:
            assert layout.shared < len(question.suffix_tokens)


@given(PROMPTS, st.integers(1, 8), st.integers(1, 3000), st.integers(3, 40), st.integers(0, 20_000))
def test_forks_fit_the_sequences_and_the_cells(
    prompt: Prompt, documents: int, longest: int, sequences: int, spare_cells: int
) -> None:
    """Cells for one request of this length are enough for one document, whatever is asked of it."""
    layout = lay_out(prompt)
    documents = min(documents, sequences - 2)
    cells = prompt.overhead_tokens() + documents * longest + (documents - 1) * layout.longest_ending + spare_cells
    forks = plan_forks(layout, documents, longest, sequences=sequences, cells=cells)
    assert (forks.branches >= 1) == (layout.branchings > 0)
    assert (forks.questions >= 1) == (len(prompt.questions) > 1)
    assert documents + forks.questions + forks.branches <= sequences
    assert pack_cells(layout, documents, longest, forks) <= cells
