"""Evaluating a job: joins its rows, gold labels and the arithmetic. Imported when asked for, for scikit-learn is slow.

gold_file.py gold_sources.py    gold labels from files, kept ones, reviewed ones
options.py job.py result.py     what is asked, the way, what is found
decisions.py                    what to do with each document, as a table to fill in
"""

from thresher.pipeline.evaluating.decisions import DocumentDecision, document_decisions, write_decisions
from thresher.pipeline.evaluating.job import evaluate, evaluate_if_gold, evaluate_job
from thresher.pipeline.evaluating.options import EvaluateOptions
from thresher.pipeline.evaluating.result import Evaluation, QuestionEvaluation

__all__ = [
    "DocumentDecision",
    "EvaluateOptions",
    "Evaluation",
    "QuestionEvaluation",
    "document_decisions",
    "evaluate",
    "evaluate_if_gold",
    "evaluate_job",
    "write_decisions",
]
