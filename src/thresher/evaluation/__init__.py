"""How good a job's labels are: arithmetic on rows and gold labels. Knows no store and no model.

    question.py gold.py    what was asked; gold labels matched to rows; gold_notes.py run_together.py: words about them
    encoding.py            labels -> matrices; quality.py bootstrap.py slices.py: figures from them
    confidence.py          probabilities against the truth
    fitting.py calibrating.py       calibrations, and whether they help on documents they were not fitted to
    bounds.py betting.py candidates.py piles.py acceptance.py decisions.py
                           what is proven of documents that nobody looked at

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

from thresher.evaluation.acceptance import Acceptance, accept
from thresher.evaluation.calibrating import CalibrationOutcome, CalibrationTrial, calibrate
from thresher.evaluation.candidates import Candidate, Candidates
from thresher.evaluation.decisions import Decision, Decisions
from thresher.evaluation.fitting import contextual
from thresher.evaluation.gold import GoldLabel, GoldReport, GoldTable, Judged
from thresher.evaluation.gold_notes import gold_notes
from thresher.evaluation.measuring import Measurement, measure
from thresher.evaluation.piles import Level
from thresher.evaluation.question import QuestionFacts

__all__ = [
    "Acceptance",
    "CalibrationOutcome",
    "CalibrationTrial",
    "Candidate",
    "Candidates",
    "Decision",
    "Decisions",
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
    "gold_notes",
    "measure",
]
