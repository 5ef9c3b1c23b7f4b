"""What users hand to ``fit`` and ``predict`` -> a list of texts and an array of classes, or an error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d

from thresher.errors import EstimatorError
from thresher.suggestions import did_you_mean

_NAMED = 5


def as_texts(X: Any) -> list[str]:  # noqa: N803 - scikit-learn's name
    """A list of texts from a list, an array or a Series of them.

    Raises:
        EstimatorError: not a sequence, empty, of two dimensions, or something in it is not text; names the row.
    """
    if isinstance(X, str | bytes | Mapping) or not hasattr(X, "__len__") or not hasattr(X, "__getitem__"):
        raise EstimatorError(f"X is {_kind(X)}; give a list, an array or a Series of texts")
    shape = getattr(X, "shape", None)
    if shape is not None and len(shape) != 1:
        raise EstimatorError(
            f"X has the shape {tuple(shape)}; give one column of texts (of a table: X['text'], or select it with a "
            "ColumnTransformer that names the column without a list)"
        )
    texts = list(X)
    if not texts:
        raise EstimatorError("X holds 0 texts; give at least one")
    for row, text in enumerate(texts):
        if not isinstance(text, str):
            raise EstimatorError(f"row {row} of X is {_kind(text)}, not text; convert or remove it")
    return list(map(str, texts))  # numpy's texts become Python's


def classes_of(labels: Any) -> np.ndarray[Any, Any]:
    """The classes in ``labels`` (a list, an array or a mapping), sorted as scikit-learn does.

    Raises:
        EstimatorError: a single text, or labels of several types, or fewer than two.
    """
    if isinstance(labels, str | bytes) or not isinstance(labels, Mapping | Sequence | np.ndarray):
        raise EstimatorError(
            f"labels is {_kind(labels)}; give a list of labels, or a mapping of labels to descriptions"
        )
    given = list(labels)
    _check_one_type(given, "labels")
    return _distinct(np.asarray(given), "labels")


def _check_one_type(given: Sequence[Any], what: str) -> None:
    if len({isinstance(label, str) for label in given}) > 1:
        raise EstimatorError(f"{what} mixes texts and numbers: {given[:_NAMED]}; use one type for all labels")


def checked_y(y: Any) -> np.ndarray[Any, Any]:
    """The labels of the training texts as one column.

    Raises:
        EstimatorError: two dimensions, missing values, or numbers that are no classes.
    """
    try:
        column = column_or_1d(y, warn=True)
        _check_labels(column.tolist() if isinstance(y, np.ndarray) else list(y))
        check_classification_targets(column)
        return np.asarray(column.tolist()) if column.dtype == object else column
    except EstimatorError:
        raise
    except ValueError as error:
        raise EstimatorError(str(error)) from error


def _check_labels(given: Sequence[Any]) -> None:
    missing = next((row for row, label in enumerate(given) if label is None or label != label), None)
    if missing is not None:
        raise EstimatorError(f"row {missing} of y is {given[missing]}: Input y contains NaN or None; remove the row")
    _check_one_type(given, "y")


def check_known(y: np.ndarray[Any, Any], classes: np.ndarray[Any, Any]) -> None:
    """Raise ``EstimatorError`` naming what is in ``y`` and not among ``classes``."""
    known = set(classes.tolist())
    unknown = [label for label in dict.fromkeys(y.tolist()) if label not in known]
    if not unknown:
        return
    named = ", ".join(f"{label!r} (row {y.tolist().index(label)})" for label in unknown[:_NAMED])
    hint = did_you_mean(str(unknown[0]), map(str, classes))
    raise EstimatorError(f"y has labels that are not among the parameter labels ({len(unknown)}): {named}{hint}")


def _distinct(values: np.ndarray[Any, Any], what: str) -> np.ndarray[Any, Any]:
    found: np.ndarray[Any, Any] = np.unique(values)
    if len(found) < 2:
        raise EstimatorError(f"{what} holds {len(found)} class; a choice needs at least two")
    return found


def classes_in(y: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The classes of ``y``, sorted. Raises ``EstimatorError`` when there is only one."""
    return _distinct(y, "y")


def _kind(value: Any) -> str:
    if isinstance(value, str):
        return f"the single text {value[:40]!r}"
    if isinstance(value, float) and value != value:
        return "NaN (a missing value)"
    return f"{value!r:.40} ({type(value).__name__})"
