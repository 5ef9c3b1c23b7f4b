"""Calibrations: found where they are needed, not claimed where they are not."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.evaluation.judged import judge
from tests.support.judged_jobs import simulated_shares
from thresher.calibration import Calibration
from thresher.errors import UsageError
from thresher.evaluation import Judged, QuestionFacts, calibrate, contextual

LABELS = ("a", "b", "c")
QUESTION = QuestionFacts(name="q", kind="choice", labels=LABELS)
MULTI = QuestionFacts(name="q", kind="multi", labels=LABELS)


def moved(shares: Mapping[str, float], scale: float, shift: Mapping[str, float] | None = None) -> dict[str, float]:
    return Calibration(method="vector", scale=scale, shifts=shift or {}).apply(shares)


def sample(seed: int, count: int, scale: float = 1.0, shift: Mapping[str, float] | None = None) -> list[Judged]:
    """Rows whose gold labels are drawn from true probabilities, and whose own are those moved by scale and shift."""
    random = np.random.default_rng(seed)
    found = []
    for number, true in enumerate(simulated_shares(random, count, LABELS, 1.5)):
        gold = str(random.choice(LABELS, p=list(true.values())))
        shares = moved(true, scale, shift)
        found.append(judge(max(shares, key=shares.__getitem__), gold, shares, document=f"d{number}"))
    return found


def test_temperature_is_found_and_shown_to_help() -> None:
    outcome = calibrate(sample(0, 600, scale=3.0), QUESTION, methods=["temperature"])
    (trial,) = outcome.trials
    assert outcome.calibration is not None
    assert outcome.calibration.scale == pytest.approx(1 / 3, rel=0.2)
    assert trial.improvement_shown
    assert trial.brier_change_interval[1] < 0
    assert trial.expected_calibration_error_after < 0.07 < trial.expected_calibration_error_before
    assert trial.log_loss_after < trial.log_loss_before
    assert (outcome.chosen, outcome.forced, outcome.documents) == ("temperature", False, 600)


def test_vector_scaling_mends_what_one_temperature_cannot() -> None:
    outcome = calibrate(sample(1, 600, shift={"a": 2.5, "c": -1.0}), QUESTION)
    temperature, vector = outcome.trials
    assert outcome.chosen == "vector"
    assert vector.brier_after < temperature.brier_after
    assert outcome.calibration is not None
    shifts = outcome.calibration.shifts
    assert shifts["a"] - shifts["b"] == pytest.approx(-2.5, abs=0.8)
    assert shifts["c"] - shifts["b"] == pytest.approx(1.0, abs=0.8)


def test_probabilities_that_are_right_already_are_left_alone() -> None:
    shown = sum(_is_shown(sample(seed, 150), seed) for seed in range(2, 62))
    assert shown <= 5  # 1.5 of 60 expected: the interval of 95% has two sides


def _is_shown(rows: list[Judged], seed: int) -> bool:
    return calibrate(rows, QUESTION, methods=["temperature"], seed=seed).chosen is not None


def test_nothing_is_applied_that_is_not_shown_unless_forced() -> None:
    rows = sample(50, 100)
    outcome = calibrate(rows, QUESTION)
    assert (outcome.chosen, outcome.calibration) == (None, None)
    forced = calibrate(rows, QUESTION, force=True)
    assert forced.forced
    assert forced.calibration is not None
    assert not forced.calibration.improvement_shown
    assert forced.chosen == min(forced.trials, key=lambda trial: trial.brier_after).method


def test_the_stored_arithmetic_is_the_one_that_was_tried() -> None:
    """With everything held in, the figures of a trial follow from what exports apply."""
    rows = sample(3, 300, scale=2.0)
    calibration = calibrate(rows, QUESTION, methods=["vector"]).calibration
    assert calibration is not None
    applied = [calibration.of_label(entry.row.label or "", entry.row.probabilities) for entry in rows]
    losses = [-math.log(calibration.apply(entry.row.probabilities)[entry.gold[0]]) for entry in rows]
    raw = [-math.log(entry.row.probabilities[entry.gold[0]]) for entry in rows]
    assert np.mean(losses) < np.mean(raw)
    assert all(p is not None and 0 < p < 1 for p in applied)
    assert Calibration.from_json(calibration.to_json()) == calibration


def test_multi_is_calibrated_by_decision() -> None:
    random = np.random.default_rng(4)
    rows = []
    for number in range(500):
        true = {label: float(p) for label, p in zip(LABELS, random.uniform(0.05, 0.95, 3), strict=True)}
        gold = tuple(label for label, p in true.items() if random.random() < p)
        shares = Calibration(method="temperature", multi=True, scale=3.0).apply(true)
        said = tuple(label for label, p in shares.items() if p >= 0.5)
        probability = math.prod(p if label in said else 1 - p for label, p in shares.items())
        rows.append(judge(said, gold, shares, probability, f"d{number}"))
    outcome = calibrate(rows, MULTI, methods=["temperature"])
    assert outcome.calibration is not None
    assert outcome.calibration.multi
    assert outcome.calibration.scale == pytest.approx(1 / 3, rel=0.2)
    row = rows[0].row
    calibrated = outcome.calibration.of_label(row.label or (), row.probabilities)
    assert calibrated is not None
    assert row.probability is not None
    assert calibrated < row.probability


def test_a_text_without_content_gets_every_label_alike() -> None:
    leaning = {"a": 0.7, "b": 0.2, "c": 0.1}
    calibration = contextual(leaning, multi=False)
    assert calibration.apply(leaning) == pytest.approx(dict.fromkeys(LABELS, 1 / 3))
    # Zhao et al. 2021: diag(content-free probabilities) inverted, times the probabilities, normalised
    shares = {"a": 0.5, "b": 0.3, "c": 0.2}
    weights = np.array(list(shares.values())) / np.array(list(leaning.values()))
    assert list(calibration.apply(shares).values()) == pytest.approx((weights / weights.sum()).tolist())
    by_decision = contextual(leaning, multi=True)
    assert by_decision.apply(leaning) == pytest.approx(dict.fromkeys(LABELS, 0.5))
    rows = sample(5, 400, shift={"a": 2.0})
    outcome = calibrate(
        rows, QUESTION, methods=["contextual"], content_free=moved(dict.fromkeys(LABELS, 1 / 3), 1.0, {"a": 2.0})
    )
    assert outcome.chosen == "contextual"


def test_documents_of_equal_content_are_held_out_together() -> None:
    """Gold labels at random: nothing can be learnt, unless a document's duplicate gives its label away."""
    random = np.random.default_rng(6)
    rows = []
    for number in range(60):
        (shares,) = simulated_shares(random, 1, LABELS, 1.0)
        entry = judge(max(shares, key=shares.__getitem__), str(random.choice(LABELS)), shares)
        rows += [replace(entry, row=replace(entry.row, content_sha256=f"{number:064}")) for _ in range(8)]
    alike = calibrate(rows, QUESTION, methods=["vector"]).trials[0]
    once = calibrate(rows[::8], QUESTION, methods=["vector"]).trials[0]
    assert alike.brier_after > 0.9 * once.brier_after


def test_documents_out_of_the_task_are_held_out_too() -> None:
    rows = sample(7, 300)
    outside = [judge(entry.row.label, "none of them", entry.row.probabilities) for entry in sample(8, 300)]
    before = calibrate(rows, QUESTION, methods=["temperature"]).trials[0]
    after = calibrate([*rows, *outside], QUESTION, methods=["temperature"]).trials[0]
    assert after.documents == 600
    assert after.expected_calibration_error_before > before.expected_calibration_error_before + 0.1
    assert after.log_loss_before == pytest.approx(before.log_loss_before)


def test_too_few_documents() -> None:
    with pytest.raises(UsageError, match="9 documents of 'q' have a label and a gold label.*at least 10"):
        calibrate(sample(9, 9), QUESTION)
    with pytest.raises(UsageError, match="--content-free"):
        calibrate(sample(9, 20), QUESTION, methods=["contextual"])


@given(st.lists(st.floats(0, 1), min_size=2, max_size=6), st.floats(0.05, 20))
def test_applying_gives_probabilities_and_one_scale_keeps_their_order(weights: list[float], scale: float) -> None:
    total = sum(weights)
    shares = {f"l{i}": (w / total if total else 1 / len(weights)) for i, w in enumerate(weights)}
    calibrated = Calibration(method="temperature", scale=scale).apply(shares)
    assert math.fsum(calibrated.values()) == pytest.approx(1)
    pairs = sorted(zip(shares.values(), calibrated.values(), strict=True))
    assert all(low[1] <= high[1] * (1 + 1e-9) for low, high in itertools.pairwise(pairs) if low[0] < high[0])
    assert Calibration(method="temperature").apply(shares) == pytest.approx(shares, abs=1e-12)
    several = Calibration(method="temperature", multi=True, scale=scale).apply(shares)
    assert all(0 <= p <= 1 for p in several.values())
    assert all((p >= 0.5) == (several[label] >= 0.5) for label, p in shares.items() if abs(p - 0.5) > 1e-9)
