"""Thresher labels large piles of documents with a language model on your own hardware, at the speed of the hardware.

    import thresher

    task = thresher.Task(labels={"invoice": "a request for payment", "contract": "a signed agreement"})
    for prediction in thresher.classify(["inbox/"], task, model="demo"):
        print(prediction.document_id, prediction.label, prediction.probability)

The names below are imported when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from thresher.errors import ThresherError
    from thresher.estimator import ThresherClassifier
    from thresher.pipeline import Run, RunSummary, classify, classify_texts, close_engine
    from thresher.pipeline.evaluating import Evaluation, evaluate
    from thresher.tasks import Question, Task, load_task
    from thresher.types import Prediction

__all__ = [
    "Evaluation",
    "Prediction",
    "Question",
    "Run",
    "RunSummary",
    "Task",
    "ThresherClassifier",
    "ThresherError",
    "__version__",
    "classify",
    "classify_texts",
    "close_engine",
    "evaluate",
    "load_task",
]

_PLACES = {
    "Evaluation": "thresher.pipeline.evaluating",
    "Prediction": "thresher.types",
    "Question": "thresher.tasks",
    "Run": "thresher.pipeline",
    "RunSummary": "thresher.pipeline",
    "Task": "thresher.tasks",
    "ThresherClassifier": "thresher.estimator",
    "ThresherError": "thresher.errors",
    "classify": "thresher.pipeline",
    "classify_texts": "thresher.pipeline",
    "close_engine": "thresher.pipeline",
    "evaluate": "thresher.pipeline.evaluating",
    "load_task": "thresher.tasks",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version  # slow to import, and every parser process imports this package

        return version("thresher")
    if name in _PLACES:
        return getattr(import_module(_PLACES[name]), name)
    raise AttributeError(f"module 'thresher' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
