"""The search, over engines whose speed is a formula: what it finds can be known beforehand."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thresher.bench.measurement import CaseFailure, Measurement, Repetition
from thresher.bench.tuning import candidates, tune
from thresher.errors import EngineError

RANGES = {"micro_batch": (32, 8192), "documents": (1, 8)}
Speed = Callable[[Mapping[str, int]], float]


class Machine:
    """Measures by a formula, on a clock of its own."""

    def __init__(self, speed: Speed, *, noise: float = 0.0, seed: int = 0) -> None:
        self.now = 0.0
        self.spoiled: Mapping[str, int] | None = None  # settings that change a label
        self.broken: Mapping[str, int] | None = None  # settings that fail
        self._speed = speed
        self._noise = noise
        self._random = random.Random(seed)

    def clock(self) -> float:
        return self.now

    def measure(self, chosen: Mapping[str, int], documents: int) -> Measurement:
        rate = self._speed(chosen) * self._random.uniform(1 - self._noise, 1 + self._noise)
        seconds = 1000 * documents / rate
        self.now += seconds + 0.5
        labels = ["a"] * documents
        if chosen == self.spoiled:
            labels[-1] = "b"
        failure = CaseFailure(kind="crashed", reason="signal SIGSEGV") if chosen == self.broken else None
        repetition = Repetition(
            seconds=seconds, computed_tokens=1000 * documents, cached_tokens=0, failed=0, latencies_s=(seconds,)
        )
        return Measurement(
            engine="e", precision="p", model="m", version="1", device="cpu", settings=chosen, documents=documents,
            repetitions=() if failure else (repetition,), labels=() if failure else tuple(labels), failure=failure,
        )  # fmt: skip


def faster_by(best: int) -> Speed:
    """Fastest at ``micro_batch`` ``best``; the engine's own choice is 512."""
    return lambda chosen: (
        1000.0
        * (1.2 if chosen.get("micro_batch", 512) == best else 1.0)
        * (0.9 if chosen.get("documents", 1) > 1 else 1.0)
    )


def test_the_fastest_is_found() -> None:
    machine = Machine(faster_by(2048))
    found = tune(RANGES, machine.measure, 100, budget_s=2_000, clock=machine.clock)
    assert found.settings["micro_batch"] == 2048
    assert found.settings.get("documents", 1) == 1
    assert found.ratio == pytest.approx(1.2)


def test_the_engines_own_choice_stands_where_nothing_is_faster() -> None:
    machine = Machine(faster_by(512))
    found = tune(RANGES, machine.measure, 100, budget_s=2_000, clock=machine.clock)
    assert (found.settings, found.ratio) in [({}, 1.0), ({"micro_batch": 512}, pytest.approx(1.2))]


def test_settings_that_change_a_label_are_out_however_fast() -> None:
    machine = Machine(faster_by(2048))
    machine.spoiled = {"micro_batch": 2048}
    found = tune({"micro_batch": RANGES["micro_batch"]}, machine.measure, 100, budget_s=2_000, clock=machine.clock)
    assert found.settings == {}
    assert "other labels" in {trial.verdict for trial in found.trials if trial.settings == machine.spoiled}


def test_settings_that_crash_are_out() -> None:
    machine = Machine(faster_by(2048))
    machine.broken = {"micro_batch": 2048}
    found = tune({"micro_batch": RANGES["micro_batch"]}, machine.measure, 100, budget_s=2_000, clock=machine.clock)
    assert found.settings == {}
    assert "signal SIGSEGV" in {trial.verdict for trial in found.trials}


def test_an_engine_that_cannot_be_measured_is_an_error() -> None:
    machine = Machine(faster_by(2048))
    machine.broken = {}
    with pytest.raises(EngineError, match="SIGSEGV"):
        tune(RANGES, machine.measure, 100, budget_s=100, clock=machine.clock)


@given(seed=st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_noise_alone_is_hardly_ever_called_a_gain(seed: int) -> None:
    machine = Machine(lambda _: 1000.0, noise=0.3, seed=seed)
    found = tune(RANGES, machine.measure, 100, budget_s=500, clock=machine.clock)
    # five pairs of equal speed: at least four faster happens in 6 of 32 cases, and then the gain claimed is small
    assert found.ratio < 1.6


@given(budget=st.floats(10, 5_000), documents=st.integers(1, 400))
@settings(max_examples=40, deadline=None)
def test_the_budget_is_about_kept(budget: float, documents: int) -> None:
    machine = Machine(faster_by(2048))
    tune(RANGES, machine.measure, documents, budget, clock=machine.clock)
    least = 12 * (0.5 + 4 * 1.2) + 10  # a first look, one candidate, five pairs over four documents
    assert machine.now < max(2 * budget, least) + least


def test_candidates_keep_to_what_the_engine_takes() -> None:
    tried = list(candidates({"micro_batch": (256, 1024)}))
    assert tried == [{"micro_batch": value} for value in (256, 512, 1024)]
    assert all(1 <= chosen.get("documents", 1) <= 8 for chosen in candidates(RANGES))
