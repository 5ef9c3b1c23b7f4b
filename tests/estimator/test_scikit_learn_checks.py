"""scikit-learn's own checks.

Its suite makes tables of numbers and skips estimators of texts whole. So it runs twice: as it is, where it must find
nothing to complain about, and over :class:`OfNumbers`, the same estimator behind a few lines that write each row of
numbers as a text, so that the checks of everything but the kind of input are really made.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, Self

import numpy as np
import pytest
from sklearn.exceptions import SkipTestWarning
from sklearn.utils import Tags, estimator_checks
from sklearn.utils.validation import check_is_fitted, validate_data

from tests.conftest import MODEL
from thresher import ThresherClassifier


class OfNumbers(ThresherClassifier):
    """Classifies rows of numbers, written as texts."""

    def fit(self, X: Any, y: Any = None) -> Self:  # noqa: N803
        rows, y = validate_data(self, X, y)
        super().fit(_as_texts(rows), y)
        return self

    def predict_proba(self, X: Any) -> Any:  # noqa: N803
        check_is_fitted(self)
        return super().predict_proba(_as_texts(validate_data(self, X, reset=False)))

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.one_d_array = tags.input_tags.string = False
        tags.input_tags.two_d_array = True
        return tags


def _as_texts(rows: Any) -> list[str]:
    return [" ".join(f"{value:.6g}" for value in row) for row in rows]


@estimator_checks.parametrize_with_checks([OfNumbers(model=MODEL, engine="fake")])  # type: ignore[untyped-decorator]
def test_as_a_classifier_of_anything(estimator: Any, check: Callable[[Any], None]) -> None:
    check(estimator)


def test_as_a_classifier_of_texts() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SkipTestWarning)  # it says that it makes no texts
        estimator_checks.check_estimator(ThresherClassifier(model=MODEL, engine="fake"))


@pytest.mark.parametrize(
    "check",
    [
        estimator_checks.check_estimator_cloneable,
        estimator_checks.check_estimator_repr,
        estimator_checks.check_estimator_tags_renamed,
        estimator_checks.check_valid_tag_types,
        estimator_checks.check_no_attributes_set_in_init,
        estimator_checks.check_do_not_raise_errors_in_init_or_set_params,
        estimator_checks.check_parameters_default_constructible,
        estimator_checks.check_get_params_invariance,
        estimator_checks.check_set_params,
        estimator_checks.check_mixin_order,
    ],
    ids=lambda check: check.__name__,
)
def test_checks_that_need_no_data(check: Callable[[str, Any], None]) -> None:
    check("ThresherClassifier", ThresherClassifier(model=MODEL, engine="fake"))


def test_labels_of_numbers_keep_their_type() -> None:
    fitted = ThresherClassifier(model=MODEL, engine="fake").fit(["a", "b", "c"], np.array([5, 1, 5]))
    assert fitted.classes_.tolist() == [1, 5]
    assert set(fitted.predict(["x", "y", "z"]).tolist()) <= {1, 5}
