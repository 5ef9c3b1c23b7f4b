from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thresher.answers import Answer
from thresher.tasks import Question
from thresher.tasks.verdict import reach_verdict


def test_choice_takes_the_likeliest_and_the_first_of_equals() -> None:
    chosen = reach_verdict(Question(name="q", labels=["a", "b", "c"]), [Answer((0.2, 0.4, 0.4), 0.9)])
    assert (chosen.label, chosen.probability, chosen.label_mass) == ("b", 0.4, 0.9)
    assert chosen.probabilities == {"a": 0.2, "b": 0.4, "c": 0.4}
    assert (chosen.expected, chosen.abstained) == (None, False)


def test_below_the_limit_there_is_no_label_but_the_figures_stay() -> None:
    question = Question(name="q", labels=["a", "b"], abstain_below=0.7)
    doubtful = reach_verdict(question, [Answer((0.6, 0.4), None)])
    assert (doubtful.label, doubtful.abstained, doubtful.probability) == (None, True, 0.6)
    assert doubtful.probabilities == {"a": 0.6, "b": 0.4}
    assert reach_verdict(question, [Answer((0.3, 0.7), None)]).label == "b"


def test_score_gives_the_mean() -> None:
    question = Question(name="q", kind="score", instructions="?", score_range=(1, 3))
    scored = reach_verdict(question, [Answer((0.5, 0.2, 0.3), 1.0)])
    assert scored.label == "1"
    assert scored.expected == pytest.approx(1.8)


def test_multi_takes_every_label_at_the_threshold() -> None:
    question = Question(name="q", kind="multi", labels=["a", "b", "c"], threshold=0.4)
    found = reach_verdict(question, [Answer((0.9, 0.1), 0.8), Answer((0.4, 0.6), 0.7), Answer((0.1, 0.9), 0.95)])
    assert found.label == ("a", "b")
    assert found.probabilities == {"a": 0.9, "b": 0.4, "c": 0.1}
    assert found.probability == pytest.approx(0.9 * 0.4 * 0.9)
    assert found.label_mass == 0.7
    assert reach_verdict(question, [Answer((0.1, 0.9), None)] * 3).label == ()


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.floats(0, 1))
def test_the_probability_of_a_multi_verdict_is_that_of_all_its_decisions(yes: list[float], threshold: float) -> None:
    labels = [f"l{n}" for n in range(len(yes))]
    question = Question(name="q", kind="multi", labels=labels, threshold=threshold)
    found = reach_verdict(question, [Answer((p, 1 - p), None) for p in yes])
    assert found.probability is not None
    assert 0.0 <= found.probability <= 1.0
    assert found.label == tuple(label for label, p in zip(labels, yes, strict=True) if p >= threshold)


def test_a_label_whose_probability_is_unknown() -> None:
    found = reach_verdict(Question(name="q", labels=["a", "b"]), [Answer((), None, choice=1)])
    assert (found.label, found.probability, found.probabilities) == ("b", None, {})
    assert reach_verdict(Question(name="q", kind="score", instructions="?", score_range=(1, 3)),
                         [Answer((), None, choice=0)]).expected is None  # fmt: skip


def test_a_limit_that_cannot_be_checked_is_not_taken_for_kept() -> None:
    question = Question(name="q", labels=["a", "b"], abstain_below=0.1)
    assert reach_verdict(question, [Answer((), None, choice=0)]).abstained
    yes, no = Answer((), None, choice=0), Answer((), None, choice=1)
    even = Question(name="q", kind="multi", labels=["a", "b", "c"])
    assert reach_verdict(even, [yes, no, Answer((0.8, 0.2), None)]).label == ("a", "c")
    strict = Question(name="q", kind="multi", labels=["a", "b"], threshold=0.9)
    assert reach_verdict(strict, [yes, no]).abstained
