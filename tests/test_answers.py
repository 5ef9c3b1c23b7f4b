from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thresher.answers import AnswerTrie, AnswerWalk, softmax

END = 99
token = st.integers(min_value=0, max_value=4)
sequences = st.lists(st.lists(token, min_size=1, max_size=4), min_size=1, max_size=8, unique_by=tuple)


def logit(path: tuple[int, ...], next_token: int, scale: float = 3.0) -> float:
    """A fixed pseudo-random logit for each place in the vocabulary tree."""
    return scale * math.sin(1.0 + sum((i + 2) * (t + 3) for i, t in enumerate((*path, next_token))) * 12.9898)


def walk_down(trie: AnswerTrie, walk: AnswerWalk, scale: float = 3.0) -> list[tuple[int, ...]]:
    seen = []
    while paths := walk.wanted():
        for path in paths:
            seen.append(path)
            walk.observe(path, [logit(path, t, scale) for t in trie.branchings[path].tokens])
    return seen


def brute_force(answers: list[list[int]], scale: float = 3.0) -> list[float]:
    """Each answer's probability by decoding step by step, restricted to answers that begin like this one."""
    result = []
    for answer in answers:
        probability = 1.0
        for position in range(len(answer)):
            start = tuple(answer[:position])
            valid = sorted({a[position] for a in answers if tuple(a[:position]) == start and len(a) > position})
            shares = softmax([logit(start, t, scale) for t in valid])
            probability *= shares[valid.index(answer[position])]
        result.append(probability)
    return result


@given(sequences)
def test_probabilities_equal_constrained_decoding(labels: list[list[int]]) -> None:
    answers = [[*label, END] for label in labels]
    trie = AnswerTrie([str(label) for label in labels], answers)
    walk = AnswerWalk(trie, unexplored_mass_limit=0.0)
    walk_down(trie, walk)
    probabilities = walk.answer().probabilities
    assert probabilities == pytest.approx(brute_force(answers), abs=1e-12)
    assert math.fsum(probabilities) == pytest.approx(1.0, abs=1e-12)


@given(sequences)
def test_what_is_left_unexplored_changes_little(labels: list[list[int]]) -> None:
    answers = [[*label, END] for label in labels]
    trie = AnswerTrie([str(label) for label in labels], answers)
    walk = AnswerWalk(trie)
    walk_down(trie, walk, scale=20.0)
    difference = max(abs(a - b) for a, b in zip(walk.answer().probabilities, brute_force(answers, 20.0), strict=True))
    assert difference <= 1e-4


def test_single_children_cost_nothing() -> None:
    trie = AnswerTrie(["new york", "new jersey"], [[7, 8, 1, END], [7, 8, 2, 5, END]])
    assert trie.root_path == (7, 8)
    assert list(trie.branchings) == [(7, 8)]
    assert trie.first_tokens == (7,)


def test_a_label_that_begins_another_is_told_apart_by_the_end() -> None:
    trie = AnswerTrie(["net", "network"], [[1, END], [1, 2, END]])
    walk = AnswerWalk(trie)
    walk.observe((1,), [math.log(3.0), math.log(1.0)])
    assert walk.answer().probabilities == pytest.approx((0.75, 0.25))


def test_unlikely_branches_are_not_followed() -> None:
    trie = AnswerTrie(["a", "bc", "bd"], [[1, END], [2, 3, END], [2, 4, END]])
    walk = AnswerWalk(trie)
    walk.observe((), [20.0, 0.0])
    assert walk.wanted() == []
    answer = walk.answer()
    assert answer.probabilities[1] == answer.probabilities[2] > 0
    assert math.fsum(answer.probabilities) == pytest.approx(1.0)


def test_many_small_branches_are_followed_until_little_is_left() -> None:
    labels = [[i, j, END] for i in range(1, 21) for j in (1, 2)]
    trie = AnswerTrie([str(label) for label in labels], labels)
    walk = AnswerWalk(trie)
    # one branch takes nearly all, nineteen have 5e-5 each: only two of them may be left unexplored
    walk.observe((), [0.0, *[math.log(5e-5)] * 19])
    wanted = walk.wanted()
    assert len(wanted) == 18
    assert wanted[0] == (1,)


def test_one_label_is_certain() -> None:
    walk = AnswerWalk(AnswerTrie(["only"], [[1, 2, END]]))
    assert walk.wanted() == []
    assert walk.answer().probabilities == (1.0,)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_logit_that_is_no_number_is_refused(bad: float) -> None:
    walk = AnswerWalk(AnswerTrie(["a", "b"], [[1, END], [2, END]]))
    with pytest.raises(ValueError, match="not a number"):
        walk.observe((), [0.0, bad])


@pytest.mark.parametrize("answers", [[[1], [1]], [[1], [1, 2]], [[], [1]], [[]]])
def test_answers_that_cannot_be_told_apart_are_refused(answers: list[list[int]]) -> None:
    with pytest.raises(ValueError, match="repeats or begins"):
        AnswerTrie([str(i) for i in range(len(answers))], answers)


def test_label_mass_is_null_until_measured() -> None:
    walk = AnswerWalk(AnswerTrie(["a", "b"], [[1, END], [2, END]]))
    walk.observe((), [0.0, 1.0])
    assert walk.answer().label_mass is None
    walk.observe_label_mass(0.25)
    assert walk.answer().label_mass == 0.25
