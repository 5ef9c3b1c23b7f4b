"""How good a job's labels are: arithmetic on rows and gold labels. Knows no store and no model.

    question.py gold.py    what was asked; gold labels matched to rows
    encoding.py            labels -> matrices; quality.py bootstrap.py slices.py: figures from them
    confidence.py          probabilities against the truth
    fitting.py calibrating.py       calibrations, and whether they help on documents they were not fitted to
    bounds.py betting.py piles.py acceptance.py    what is proven of documents that nobody looked at

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

from thresher.evaluation.acceptance import Acceptance, Decision, accept
from thresher.evaluation.calibrating import CalibrationOutcome, CalibrationTrial, calibrate
from thresher.evaluation.fitting import contextual
from thresher.evaluation.gold import GoldLabel, GoldReport, GoldTable, Judged
from thresher.evaluation.measuring import Measurement, measure
from thresher.evaluation.piles import Candidate, Level
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
