from __future__ import annotations

import numpy as np
from sklearn import metrics

from tests.evaluation.judged import judge
from thresher.evaluation.bootstrap import percentile_interval, resampled_counts, resampled_figures
from thresher.evaluation.encoding import encode
from thresher.evaluation.quality import views
from thresher.evaluation.question import QuestionFacts


def test_each_resample_is_scikit_learn_on_the_documents_drawn() -> None:
    random = np.random.default_rng(3)
    labels = ["a", "b", "c", "rare"]
    gold = [labels[i] for i in random.choice(4, 60, p=[0.5, 0.3, 0.18, 0.02])]
    said = [label if random.random() < 0.7 else labels[random.integers(4)] for label in gold]
    judged = [judge(label, right) for label, right in zip(said, gold, strict=True)]
    question = QuestionFacts(name="q", kind="choice", labels=tuple(labels))
    figures = resampled_figures(encode(judged, question), seed=5, resamples=40)
    counts = np.concatenate(list(resampled_counts(60, 5, 40)))
    for number, drawn in enumerate(counts):
        truth, answers = np.repeat(gold, drawn), np.repeat(said, drawn)
        assert np.isclose(figures["accuracy"][number], metrics.accuracy_score(truth, answers))
        for average in ("macro", "weighted", "micro"):
            expected = metrics.f1_score(truth, answers, average=average, zero_division=0)
            assert np.isclose(figures[f"{average}_f1"][number], expected), average


def test_intervals_are_seeded_and_cover_the_truth_as_often_as_they_say() -> None:
    question = QuestionFacts(name="q", kind="choice", labels=("a", "b"))
    random, covered = np.random.default_rng(1), 0
    for repetition in range(60):
        judged = [judge("a", "a" if random.random() < 0.8 else "b") for _ in range(150)]
        encoded = encode(judged, question)
        low, high = percentile_interval(resampled_figures(encoded, repetition, 200)["accuracy"])
        covered += low <= 0.8 <= high
    assert covered >= 50  # 57 of 60 expected; fewer than 50 has a chance of 1 in 3,000
    first, again, other = (views(encoded, [True] * 150, seed).all for seed in (1, 1, 2))
    assert first == again
    assert first.accuracy_interval != other.accuracy_interval or first.macro_f1_interval != other.macro_f1_interval
