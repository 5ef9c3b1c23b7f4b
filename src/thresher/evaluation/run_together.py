"""What is said of gold labels that run several together in a way that is not read as several."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from thresher.errors import InputError
from thresher.evaluation.question import QuestionFacts
from thresher.gold import LABEL_JOINER, labels_run_together


def check_joined(written: str, named: Iterable[str], question: QuestionFacts, where: str) -> None:
    """Raise ``InputError`` where ``written``, read as the labels ``named``, joins several otherwise than is read."""
    for name in named:
        parts = labels_run_together(name, question.labels)
        if parts:
            raise InputError(
                f"{where}: the gold label {written!r} is none of the labels of {question.name!r}; several are joined "
                f"by {LABEL_JOINER} or given as a JSON list: write {LABEL_JOINER.join(parts)!r} or "
                f"{json.dumps(parts, ensure_ascii=False)}"
            )


def one_label_only(question: str, run_together: Sequence[str]) -> str:
    """The end of a message about gold labels that name several where a document has one; empty without such."""
    if not run_together:
        return ""
    return (
        f"; {run_together[0]!r} names several, and {question!r} gives a document one: keep one of them, or ask it with "
        "kind: multi"
    )
