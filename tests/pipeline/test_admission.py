from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thresher.answers import Answer, AnswerTrie
from thresher.errors import UsageError
from thresher.pipeline.admission import Admission, Admitted, LongPolicy, join_windows
from thresher.types import Failure, Prompt, QuestionPrompt

PROMPT = Prompt(
    prefix_tokens=(1,) * 10,
    questions=(QuestionPrompt(name="q", suffix_tokens=(2,) * 5, trie=AnswerTrie(["a", "b"], [[1, 9], [2, 3, 9]])),),
)
GAP = [7, 7, 7]


class Characters:
    """A tokenizer of which only the gap mark is asked."""

    vocabulary_size = 10

    def encode(self, text: str) -> list[int]:
        return list(GAP)

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        return [self.encode(text) for text in texts]

    def encode_template(self, text: str) -> list[int]:
        return self.encode(text)

    def decode(self, tokens: Sequence[int]) -> str:
        return ""


def admission(policy: LongPolicy, context_tokens: int = 118) -> Admission:
    return Admission(context_tokens=context_tokens, prompt=PROMPT, policy=policy, tokenizer=Characters())


def test_what_fits_is_read_whole_and_one_token_more_is_not() -> None:
    limit = admission("skip").capacity_tokens
    assert limit == 118 - 10 - 5 - 3
    assert admission("skip").admit([0] * limit) == Admitted(windows=([0] * limit,))
    failure = admission("skip").admit([0] * (limit + 1))
    assert isinstance(failure, Failure)
    assert failure.status == "oversize"
    assert "101 tokens and 100 fit" in failure.reason


def test_head_tail_keeps_start_and_end_and_marks_the_gap() -> None:
    admitted = admission("head-tail").admit(list(range(1000, 1200)))
    assert isinstance(admitted, Admitted)
    (window,) = admitted.windows
    assert list(window) == [*range(1000, 1049), *GAP, *range(1152, 1200)]
    assert len(window) == 100
    assert admitted.truncated_tokens == 200 - 97


def test_head_keeps_the_start() -> None:
    admitted = admission("head").admit(list(range(250)))
    assert admitted == Admitted(windows=(list(range(100)),), truncated_tokens=150)


@given(length=st.integers(min_value=101, max_value=2_000))
def test_windows_cover_every_token_once(length: int) -> None:
    admitted = admission("windows").admit(list(range(length)))
    assert isinstance(admitted, Admitted)
    assert [token for window in admitted.windows for token in window] == list(range(length))
    assert max(map(len, admitted.windows)) <= 100
    assert max(map(len, admitted.windows)) - min(map(len, admitted.windows)) <= 1
    assert admitted.truncated_tokens == 0


@given(policy=st.sampled_from(["head-tail", "head"]), length=st.integers(min_value=101, max_value=500))
def test_kept_and_cut_tokens_add_up(policy: LongPolicy, length: int) -> None:
    admitted = admission(policy).admit([0] * length)
    assert isinstance(admitted, Admitted)
    gap = len(GAP) if policy == "head-tail" else 0
    assert len(admitted.windows[0]) - gap + admitted.truncated_tokens == length


def test_a_task_that_leaves_no_room_is_named() -> None:
    with pytest.raises(UsageError, match="take 18 tokens and the context is 20 tokens"):
        admission("head", context_tokens=20)


def test_windows_are_averaged_in_log_space_by_tokens() -> None:
    answers = [Answer((0.9, 0.1), 0.8), Answer((0.2, 0.8), 0.4)]
    joined = join_windows(answers, [300, 100])
    weights = [0.9**0.75 * 0.2**0.25, 0.1**0.75 * 0.8**0.25]
    assert joined.probabilities == pytest.approx([weight / sum(weights) for weight in weights])
    assert joined.label_mass == pytest.approx(0.7)
    assert join_windows([answers[0], Answer((0.5, 0.5), None)], [1, 1]).label_mass is None


def test_one_window_is_left_as_it_is_and_zeros_stay_finite() -> None:
    answer = Answer((1.0, 0.0), None)
    assert join_windows([answer], [5]) is answer
    joined = join_windows([answer, Answer((0.0, 1.0), None)], [1, 1])
    assert all(map(math.isfinite, joined.probabilities))
    assert joined.probabilities == pytest.approx((0.5, 0.5))


def test_windows_without_probabilities_must_agree() -> None:
    assert join_windows([Answer((), None, choice=1), Answer((0.2, 0.8), None)], [9, 9]) == Answer((), None, choice=1)
    with pytest.raises(ValueError, match="different labels"):
        join_windows([Answer((), None, choice=1), Answer((0.8, 0.2), None)], [9, 9])
