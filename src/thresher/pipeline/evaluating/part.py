"""One question of an evaluation: its rows, and what comes of them."""

from __future__ import annotations

from thresher.calibration import Calibration, Method
from thresher.errors import UsageError
from thresher.evaluation import (
    Acceptance,
    CalibrationOutcome,
    Candidates,
    Decisions,
    GoldTable,
    Judged,
    QuestionFacts,
    accept,
    calibrate,
    contextual,
    measure,
)
from thresher.jobs import JobView
from thresher.pipeline.evaluating.options import Calibrating, EvaluateOptions
from thresher.pipeline.evaluating.result import QuestionEvaluation


class Part:
    """One question's rows, and what comes of them."""

    def __init__(self, view: JobView, facts: QuestionFacts, options: EvaluateOptions) -> None:
        self.facts = facts
        self.judged: list[Judged] = []
        self.candidates = Candidates()  # all rows as a guarantee sees them
        self.calibration = view.calibrations.get(facts.name)
        self._content_free = view.content_free().get(facts.name)
        self._options = options

    def evaluate(self, table: GoldTable | None) -> QuestionEvaluation:
        """What was asked for, once all rows are there; settles ``calibration``, which is for the caller to store."""
        tried = self._calibrate()
        acceptance, decisions = self._accept()
        return QuestionEvaluation(
            question=self.facts.name,
            kind=self.facts.kind,
            gold=None if table is None else table.report(self.facts.name),
            measurement=measure(self.judged, self.facts, self._options.seed) if self.judged else None,
            calibrating=tried,
            calibration=self.calibration,
            acceptance=acceptance,
            decisions=decisions,
        )

    def _calibrate(self) -> CalibrationOutcome | None:
        """Settle which calibration the job is to have. A new one that is not shown to help leaves the old in place."""
        wish = self._options.calibrate
        if wish is None:
            return None
        if wish == "none":
            self.calibration = None
            return None
        if not self.judged:
            self.calibration = self._untried(wish)
            return None
        outcome = calibrate(
            self.judged, self.facts, methods=self._methods(wish), content_free=self._content_free,
            force=self._options.force, seed=self._options.seed,
        )  # fmt: skip
        self.calibration = outcome.calibration or self.calibration
        return outcome

    def _methods(self, wish: Calibrating) -> list[Method]:
        every: list[Method] = ["temperature", "vector", *(["contextual"] if self._content_free else [])]  # type: ignore[list-item]
        return every if wish == "auto" else [wish]  # type: ignore[list-item]

    def _untried(self, wish: Calibrating) -> Calibration:
        """Contextual calibration needs no gold labels, but without them nothing shows that it helps."""
        if wish == "contextual" and self._content_free and self._options.force:
            return contextual(self._content_free, multi=self.facts.is_multi)
        raise UsageError(
            f"--calibrate {wish} needs gold labels for {self.facts.name!r}, to fit and to show that it helps; give "
            "--gold FILE (or, with classify --content-free, --calibrate contextual --force, unproven)"
        )

    def _accept(self) -> tuple[Acceptance | None, Decisions | None]:
        options = self._options
        if options.target is None:
            return None, None
        return accept(
            self.candidates, target=options.target, confidence=options.confidence, declared_random=options.random_sample
        )
