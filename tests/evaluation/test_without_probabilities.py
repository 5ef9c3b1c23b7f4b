"""Labels whose probabilities an endpoint does not tell: nothing is made up for them."""

from __future__ import annotations

from tests.evaluation.judged import judge
from thresher.evaluation.measuring import measure
from thresher.evaluation.question import QuestionFacts

QUESTION = QuestionFacts(name="q", kind="choice", labels=("a", "b"))


def test_figures_of_labels_alone() -> None:
    judged = [judge("a", "a"), judge("b", "a"), judge("b", "b")]
    found = measure(judged, QUESTION)
    assert found.probability is None
    assert found.coverage == ()


def test_rows_without_a_probability_do_not_count_as_unsure() -> None:
    sure = [judge("a", "a", {"a": 0.9, "b": 0.1}), judge("b", "b", {"a": 0.2, "b": 0.8})]
    found = measure([*sure, judge("a", "b")], QUESTION)
    assert found.probability is not None
    assert found.probability.mean_probability == (0.9 + 0.8) / 2
    assert [point.documents for point in found.coverage] == [1, 2]
    assert found.coverage[-1].coverage == 2 / 3
