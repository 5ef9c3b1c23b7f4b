"""Which column of a table has the gold labels of which question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from thresher.errors import UsageError

#: Between a question and its column, as in ``topic=true_topic``.
_ASSIGN = "="


def as_given(gold_column: str | Sequence[str] | Mapping[str, str] | None) -> tuple[str, ...]:
    """A column, several, or a mapping of questions to columns, as ``--gold-column`` takes them."""
    if gold_column is None:
        return ()
    if isinstance(gold_column, str):
        return (gold_column,)
    if isinstance(gold_column, Mapping):
        return tuple(f"{question}{_ASSIGN}{column}" for question, column in gold_column.items())
    return tuple(gold_column)


def resolve_gold_columns(given: Sequence[str], questions: Sequence[str]) -> dict[str, str]:
    """Question -> its column, from ``COLUMN`` (of a task with one question) and ``QUESTION=COLUMN``.

    Raises:
        UsageError: a column that could belong to several questions, or two for the same one.
    """
    found: dict[str, str] = {}
    for text in given:
        question, column = _split(text, questions)
        if question in found:
            raise UsageError(f"--gold-column gives {question!r} two columns, {found[question]!r} and {column!r}")
        found[question] = column
    return found


def _split(text: str, questions: Sequence[str]) -> tuple[str, str]:
    named = [question for question in questions if text.startswith(question + _ASSIGN)]
    if named:
        question = max(named, key=len)
        return question, text[len(question) + len(_ASSIGN) :]
    if len(questions) == 1:
        return questions[0], text
    raise UsageError(
        f"--gold-column {text!r} does not say which question it answers; the task asks {', '.join(questions)}: "
        f"write --gold-column '{questions[0]}{_ASSIGN}{text}', once for each question that has gold labels"
    )
