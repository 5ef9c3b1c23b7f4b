"""Gold labels from a table: which column is what, and which question a label answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from thresher.documents import cell_text, open_table
from thresher.errors import InputError, UsageError
from thresher.evaluation import GoldLabel, QuestionFacts
from thresher.suggestions import did_you_mean

_DOCUMENT_COLUMNS = ("document_id", "document", "id")
_LABEL_COLUMN, _QUESTION_COLUMN = "label", "question"
#: Columns of an export, whose ``label`` is the model's own answer.
_OF_PREDICTIONS = frozenset({"probability", "status", "engine"})


def read_gold(path: Path, questions: Sequence[QuestionFacts], only: str | None = None) -> Iterator[GoldLabel]:
    """The gold labels in a ``.csv``, ``.jsonl`` or ``.parquet`` file.

    A row names its document (``document_id``, ``document`` or ``id``) and has its ``label``, for the question in its
    column ``question``, for the one that the job asks, or for ``only``. Or there is a column for each question, of its
    name. A row without a label says nothing; that no label of ``multi`` applies is written ``[]``.

    Raises:
        UsageError: nothing says which of several questions a label answers, or the file holds predictions.
        InputError: the file cannot be read or lacks a column; or a row is damaged.
    """
    table = open_table(path)
    there = table.columns()
    document = _document_column(path, there)
    if set(there) >= _OF_PREDICTIONS:
        raise UsageError(
            f"{path} holds predictions as 'thresher export' writes them: its column 'label' is what the model said, "
            "no gold labels; give a file with the columns document_id and label"
        )
    columns = _label_columns(path, there, [question.name for question in questions], only)
    question_column = _QUESTION_COLUMN if _QUESTION_COLUMN in there else None
    wanted = [document, *columns.values(), *([question_column] if question_column else [])]
    for row in table.rows(document, wanted):
        if row.problem is not None:
            raise InputError(f"{path}: {row.problem}; mend or remove the row")
        name = cell_text(row.fields.get(document))
        if name is None:
            raise InputError(f"{path}, row {row.number} names no document ({document!r} is empty); remove the row")
        asked = cell_text(row.fields.get(question_column)) if question_column else None
        for question, column in columns.items():
            written = cell_text(row.fields.get(column))
            if written is not None and (asked is None or only in (None, asked)):
                yield GoldLabel(document=name, question=asked or question, written=written)


def _document_column(path: Path, there: Sequence[str]) -> str:
    found = next((column for column in _DOCUMENT_COLUMNS if column in there), None)
    if found is None:
        raise InputError(f"{path} has no column 'document_id' or 'document'; it has {', '.join(map(repr, there))}")
    return found


def _label_columns(path: Path, there: Sequence[str], questions: Sequence[str], only: str | None) -> Mapping[str, str]:
    """Question -> the column of its labels; with a column ``question`` the name here is not used."""
    asked = [only] if only is not None else list(questions)
    own = {question: question for question in asked if question in there}
    if _LABEL_COLUMN not in there:
        if own:
            return own
        raise InputError(
            f"{path} has no column 'label', and none named as a question ({', '.join(questions)}); it has "
            f"{', '.join(map(repr, there))}{did_you_mean(_LABEL_COLUMN, there)}"
        )
    if _QUESTION_COLUMN in there or len(asked) == 1:
        return {asked[0]: _LABEL_COLUMN}
    if own:
        return own
    raise UsageError(
        f"nothing says which question the labels in {path} answer; the job asks {', '.join(questions)}: add a column "
        "'question', name a column after each question, or choose one with --question"
    )
