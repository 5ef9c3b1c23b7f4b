"""``fit`` calibrates: the training texts' own probabilities, against their labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from thresher.errors import EstimatorError
from thresher.evaluation import CalibrationOutcome, Judged, QuestionFacts, calibrate
from thresher.pipeline.texts import TextLabelling
from thresher.tasks import Task

METHODS = ("temperature", "vector")


def calibrate_to(
    method: Any,
    labelling: TextLabelling,
    task: Task,
    texts: Sequence[str],
    y: np.ndarray[Any, Any] | None,
    shown: Sequence[tuple[str, str]],
    seed: int,
) -> CalibrationOutcome:
    """Fit to the ``texts`` that are not ``shown`` to the model as examples.

    Raises:
        EstimatorError: an unknown method, or no ``y``.
        UsageError: too few texts to hold any out.
    """
    if method not in METHODS:
        raise EstimatorError(f"calibration is {method!r}; give None, {' or '.join(map(repr, METHODS))}")
    if y is None:
        raise EstimatorError(f"calibration is {method!r}, and there is no y to calibrate to; give y")
    examples = {text for text, _ in shown}
    rows = [(text, str(label)) for text, label in zip(texts, y, strict=True) if text not in examples]
    predictions = labelling.predictions([text for text, _ in rows])
    judged = [Judged(row=row, gold=(gold,)) for row, (_, gold) in zip(predictions, rows, strict=True)]
    question = task.questions[0]
    facts = QuestionFacts(name=question.name, kind=question.kind, labels=question.label_names)
    return calibrate(judged, facts, methods=[method], seed=seed)


def calibration_notices(outcome: CalibrationOutcome | None) -> Iterator[str]:
    """What a user should know of a calibration that was tried."""
    if outcome is not None and outcome.calibration is None:
        yield (
            f"{outcome.trials[0].method} calibration is not shown to help on texts held out; probabilities stay as the "
            "model gives them (see calibration_trial_)"
        )
