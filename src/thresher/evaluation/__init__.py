"""How good a job's labels are: arithmetic on rows and gold labels. Knows no store and no model.

    question.py gold.py    what was asked; gold labels matched to rows
    encoding.py            labels -> matrices; quality.py bootstrap.py slices.py: figures from them
    confidence.py          probabilities against the truth
    calibrating.py         fitting calibrations, and whether they help on documents they were not fitted to
    bounds.py betting.py acceptance.py   what is proven of documents that nobody looked at

Metrics are scikit-learn's, distributions scipy's; both are an extra.
"""

from __future__ import annotations

from thresher.errors import ExtraMissingError

try:
    import scipy  # noqa: F401
    import sklearn  # noqa: F401
except ImportError as error:
    raise ExtraMissingError(
        "evaluating needs scikit-learn 1.6 or newer and scipy; install them with: pip install 'thresher[evaluate]'"
    ) from error

from thresher.evaluation.acceptance import Acceptance, Candidate, Decision, Level, accept
from thresher.evaluation.calibrating import CalibrationOutcome, CalibrationTrial, calibrate, contextual
from thresher.evaluation.gold import GoldLabel, GoldReport, GoldTable, Judged
from thresher.evaluation.measuring import Measurement, measure
from thresher.evaluation.question import QuestionFacts

__all__ = [
    "Acceptance",
    "CalibrationOutcome",
    "CalibrationTrial",
    "Candidate",
    "Decision",
    "GoldLabel",
    "GoldReport",
    "GoldTable",
    "Judged",
    "Level",
    "Measurement",
    "QuestionFacts",
    "accept",
    "calibrate",
    "contextual",
    "measure",
]
