from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import thresher
from tests.conftest import MODEL
from thresher import ThresherClassifier
from thresher.engines import Engine, open_engine
from thresher.errors import EstimatorError, ModelNotFoundError, UnlabelledError
from thresher.estimator.choosing import choose_examples
from thresher.models import resolve
from thresher.pipeline.kept_engine import KEPT

TEXTS = [
    "Please pay 80 EUR by Friday.",
    "The parties agree as follows.",
    "Invoice 17, due in 30 days",
    "This lease ends",
]
LABELS = ["invoice", "contract", "invoice", "contract"]


def fake(**parameters: Any) -> ThresherClassifier:
    return ThresherClassifier(**{"model": MODEL, "engine": "fake", **parameters})


def test_it_labels_as_classify_does(tmp_path: Path) -> None:
    described = {"invoice": "a request for payment", "contract": "a signed agreement"}
    fitted = ThresherClassifier(labels=described, model=MODEL).fit(TEXTS)
    for number, text in enumerate(TEXTS):
        (tmp_path / f"{number}.txt").write_text(text)
    rows = list(thresher.classify(tmp_path, thresher.Task(described), model=MODEL, job=tmp_path / "job"))
    predicted = fitted.predict(TEXTS).tolist()
    assert predicted == [row.label for row in rows]
    assert fitted.classes_.tolist() == ["contract", "invoice"]  # sorted, as scikit-learn's metrics expect
    expected = [[row.probabilities[name] for name in ("contract", "invoice")] for row in rows]
    assert fitted.predict_proba(TEXTS).tolist() == expected
    assert fitted.score(TEXTS, LABELS) == np.mean([a == b for a, b in zip(predicted, LABELS, strict=True)]) >= 0.75


@pytest.mark.parametrize(
    "container",
    [list, tuple, np.array, lambda texts: np.array(texts, dtype=object), pd.Series],
    ids=["list", "tuple", "array", "array of objects", "Series"],
)
def test_texts_come_in_many_containers(container: Any) -> None:
    fitted = fake().fit(container(TEXTS), container(LABELS))
    assert fitted.predict(container(TEXTS)).tolist() == fitted.predict(TEXTS).tolist()


def test_a_series_with_an_index_of_its_own_is_taken_in_its_order() -> None:
    series = pd.Series(TEXTS, index=[7, 3, 5, 1])
    fitted = fake(labels=LABELS[:2]).fit(series)
    assert fitted.predict(series).tolist() == fitted.predict(TEXTS).tolist()


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ("one text", "X is the single text 'one text'"),
        ([], "X holds 0 texts"),
        (np.array([["a", "b"]]), r"shape \(1, 2\); give one column of texts"),
        (pd.DataFrame({"text": TEXTS}), r"shape \(4, 1\); give one column of texts"),
        (["a", None], "row 1 of X is None"),
        (["a", float("nan")], "row 1 of X is NaN"),
        ([b"a"], r"row 0 of X is b'a' \(bytes\), not text"),
        ((text for text in TEXTS), "give a list, an array or a Series"),
    ],
)
def test_what_is_no_list_of_texts_is_refused(texts: Any, message: str) -> None:
    with pytest.raises(EstimatorError, match=message):
        fake(labels=["a", "b"]).fit(texts)
    with pytest.raises(ValueError, match=message):
        fake(labels=["a", "b"]).fit(TEXTS).predict(texts)


@pytest.mark.parametrize(
    ("parameters", "y", "message"),
    [
        ({"labels": ["invoice", "contract"]}, ["invoice", "contrct", "x", "x"], r"'contrct' \(row 1\), 'x' \(row 2\)"),
        ({"labels": ["invoice", "contract"]}, ["contrct"] * 4, "did you mean 'contract'"),
        ({"labels": ["1", "2"]}, [1, 2, 1, 2], r"not among the parameter labels \(2\): 1 \(row 0\)"),
        ({"labels": "invoice"}, None, "labels is the single text"),
        ({"labels": ["a", 1]}, None, "mixes texts and numbers"),
        ({"labels": ["a"]}, None, "holds 1 class"),
        ({"labels": [" a", "b"]}, None, "white space around it"),
        ({"labels": ["a", "b"], "model": None}, None, "model is None"),
        ({"labels": ["a", "b"], "engine": "fkae"}, None, "did you mean 'fake'"),
        ({"labels": ["a", "b"], "long": "tail"}, None, "--long is 'tail'"),
        ({"labels": ["a", "b"], "context": 3}, None, "at least 64"),
        ({"labels": ["a", "b"], "examples": 2}, None, "there is no y to choose them from"),
        ({"labels": ["a", "b"], "examples": -1}, None, "examples is -1"),
        ({"labels": ["a", "b"], "examples": [("text", "c")]}, None, "not a label of the task"),
        ({}, None, "target y is None"),
        ({}, ["a", None, "b", "a"], "row 1 of y is None"),
        ({}, ["a", 1, "b", "a"], "y mixes texts and numbers"),
        ({}, np.array(["a", 1, "b", "a"], dtype=object), "y mixes texts and numbers"),
        ({}, [0.5, 1.25, 0.5, 1.0], "continuous"),
        ({}, ["a", "b"], "inconsistent numbers of samples"),
    ],
)
def test_what_is_wrong_is_said_by_fit(parameters: dict[str, Any], y: Any, message: str) -> None:
    estimator = fake(**parameters)  # stores what it is given, whatever it is
    with pytest.raises(ValueError, match=message):
        estimator.fit(TEXTS, y)


def test_a_fit_that_fails_leaves_the_estimator_as_it_was() -> None:
    fitted = fake(labels=["a", "b"]).fit(TEXTS)
    before = fitted.predict(TEXTS).tolist()
    with pytest.raises(EstimatorError):
        fitted.set_params(labels=["c", "d"], engine="nothing").fit(TEXTS)
    assert fitted.predict(TEXTS).tolist() == before
    with pytest.raises(NotFittedError):
        clone(fitted).predict(TEXTS)


def test_a_model_that_is_not_there_is_said_by_fit() -> None:
    with pytest.raises(ModelNotFoundError):
        fake(labels=["a", "b"], model="nowhere.gguf").fit(TEXTS)
    with pytest.raises(NotFittedError):
        fake().predict(TEXTS)


def test_no_text_gets_a_label_that_the_model_did_not_give() -> None:
    fitted = fake(labels=["a", "b"], long="skip", context=200).fit(TEXTS)
    with pytest.raises(UnlabelledError, match=r"2 of 3 texts have no label: row 1: the text is empty; row 2: .*tokens"):
        fitted.predict(["fine", " ", "long " * 1_000])
    fitted.set_params(long="head-tail")  # of effect once it is fitted again
    with pytest.raises(UnlabelledError):
        fitted.predict(["long " * 1_000])
    fitted.fit(TEXTS)
    assert len(fitted.predict(["fine", "long " * 1_000])) == 2


def test_it_works_in_pipelines_and_searches() -> None:
    lower = FunctionTransformer(lambda texts: [text.lower() for text in texts])
    pipeline = make_pipeline(lower, fake()).fit(TEXTS, LABELS)
    assert pipeline.predict(TEXTS).tolist() == fake().fit(TEXTS, LABELS).predict(list(map(str.lower, TEXTS))).tolist()
    grid: dict[str, list[Any]] = {"instructions": ["What is it?", "Decide what it is."], "examples": [0, 2]}
    search = GridSearchCV(fake(), grid, cv=2, scoring=["accuracy", "roc_auc", "neg_log_loss"], refit="accuracy")
    search.fit(TEXTS, LABELS)
    assert search.best_params_["instructions"] in grid["instructions"]
    assert not np.isnan(search.cv_results_["mean_test_roc_auc"]).any()
    assert cross_val_score(fake(), TEXTS, LABELS, cv=2).shape == (2,)
    assert cross_val_predict(fake(), TEXTS, LABELS, cv=2, method="predict_proba").shape == (4, 2)


@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_it_works_side_by_side(backend: str) -> None:
    alone = cross_val_score(fake(), TEXTS * 4, LABELS * 4, cv=4)
    with joblib.parallel_backend(backend):
        side_by_side = cross_val_score(fake(), TEXTS * 4, LABELS * 4, cv=4, n_jobs=2)
    assert side_by_side.tolist() == alone.tolist()
    if backend == "loky":
        from joblib.externals.loky import get_reusable_executor

        get_reusable_executor().shutdown(wait=True)


def test_pickles_hold_no_engine_and_predict_the_same_elsewhere(tmp_path: Path) -> None:
    fitted = ThresherClassifier(model=MODEL, examples=2).fit(TEXTS, LABELS)
    before = fitted.predict_proba(TEXTS)
    assert len(pickle.dumps(fitted)) < 10_000
    joblib.dump(fitted, tmp_path / "fitted.joblib")
    program = (
        "import joblib, json, sys; fitted = joblib.load(sys.argv[1]); "
        "print(json.dumps(fitted.predict_proba(json.loads(sys.argv[2])).tolist()))"
    )
    command = [sys.executable, "-W", "error", "-c", program, str(tmp_path / "fitted.joblib"), json.dumps(TEXTS)]
    other = subprocess.run(command, capture_output=True, text=True, check=True)
    assert other.stderr == ""  # nothing left open at its end
    assert json.loads(other.stdout) == before.tolist()


def test_one_engine_serves_all_clones_until_another_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Engine] = []

    def open_and_note(*given: Any) -> Engine:
        opened.append(open_engine(*given))
        return opened[-1]

    monkeypatch.setattr("thresher.pipeline.opening.open_engine", open_and_note)
    thresher.close_engine()
    fitted = fake().fit(TEXTS, LABELS)
    clone(fitted).set_params(instructions="Decide.", examples=1).fit(TEXTS, LABELS).predict(TEXTS)
    pickle.loads(pickle.dumps(fitted)).predict(TEXTS)
    assert len(opened) == 1
    fake(context=500).fit(TEXTS, LABELS)
    assert len(opened) == 2
    with pytest.raises(thresher.ThresherError, match="closed"):
        opened[0].score([])  # it was freed before the other was opened
    fitted.close()
    fitted.close()
    assert len(fitted.predict(TEXTS)) == 4
    assert len(opened) == 3


def test_an_engine_that_fails_is_opened_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    fitted = fake().fit(TEXTS, LABELS)
    assert KEPT._open is not None
    KEPT._open.engine.close()
    with pytest.raises(thresher.ThresherError, match="closed"):
        fitted.predict(TEXTS)
    assert len(fitted.predict(TEXTS)) == 4


def test_a_model_file_that_was_replaced_is_opened_again(tmp_path: Path) -> None:
    file = tmp_path / "model.gguf"
    file.write_bytes(resolve(MODEL).path.read_bytes())
    fitted = fake(model=file).fit(TEXTS, LABELS)
    before = KEPT._open
    fitted.predict(TEXTS)
    assert KEPT._open is before
    file.write_bytes(resolve(MODEL).path.read_bytes())
    fitted.predict(TEXTS)
    assert KEPT._open is not before


def test_chosen_examples_are_shown_and_the_same_each_time() -> None:
    fitted = fake(examples=2, random_state=3).fit(TEXTS, LABELS)
    assert sorted(label for _, label in fitted.examples_) == ["contract", "invoice"]
    assert [(e.text, e.label) for e in fitted.task_.questions[0].examples] == fitted.examples_
    assert clone(fitted).fit(TEXTS, LABELS).examples_ == fitted.examples_
    given = fake(examples=[("Pay now", "invoice")], labels=["invoice", "contract"]).fit(TEXTS)
    assert given.examples_ == [("Pay now", "invoice")]


def test_long_examples_are_cut_with_a_warning() -> None:
    with pytest.warns(UserWarning, match="examples were cut to"):
        fake(examples=2, examples_tokens=100).fit(["word " * 300, "other " * 300], ["a", "b"])


@given(
    labels=st.lists(st.sampled_from("abcd"), min_size=1, max_size=30),
    count=st.integers(0, 12),
    seed=st.integers(0, 3),
)
def test_every_label_is_shown_before_any_twice(labels: list[str], count: int, seed: int) -> None:
    texts = [f"text {number % 7} of {label}" for number, label in enumerate(labels)]
    chosen = choose_examples(texts, labels, count, np.random.RandomState(seed))
    assert chosen == choose_examples(texts, labels, count, np.random.RandomState(seed))
    assert len(chosen) == min(count, len(texts))
    assert all(pair in set(zip(texts, labels, strict=True)) for pair in chosen)
    shown = [label for _, label in chosen]
    assert len(set(shown)) == min(count, len(set(labels)))


def test_examples_of_a_label_are_unlike_each_other() -> None:
    texts = ["pay 10 EUR", "pay 11 EUR", "pay 12 EUR", "the weather in Oslo", "pay 13 EUR"]
    chosen = choose_examples(texts, ["a"] * 5, 2, np.random.RandomState(0))
    assert chosen[0][0].startswith("pay")
    assert chosen[1][0] == "the weather in Oslo"


def test_many_texts_of_a_label_are_sampled() -> None:
    texts = [f"text number {number}" for number in range(3_000)]
    first = choose_examples(texts, ["a"] * 3_000, 3, np.random.RandomState(0))
    assert first == choose_examples(texts, ["a"] * 3_000, 3, np.random.RandomState(0))
    assert first != choose_examples(texts, ["a"] * 3_000, 3, np.random.RandomState(1))


def test_without_scikit_learn_the_error_says_what_to_install() -> None:
    program = (
        "import sys; sys.modules['sklearn'] = None\n"
        "import thresher\n"
        "try: thresher.ThresherClassifier\n"
        "except ImportError as error: print(error)\n"
    )
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert "pip install 'thresher[sklearn]'" in shown


MANY = [f"text number {number}" for number in range(80)]


def test_fit_applies_a_calibration_that_is_shown_to_help() -> None:
    """Labels drawn at random: the engine's certainty is unfounded, and a calibration lowers it."""
    y = np.random.default_rng(0).choice(["a", "b", "c"], len(MANY))
    raw = fake().fit(MANY, y)
    assert (raw.calibration_, raw.calibration_trial_) == (None, None)
    fitted = fake(calibration="temperature").fit(MANY, y)
    assert fitted.calibration_trial_ is not None
    assert fitted.calibration_ is not None
    assert fitted.calibration_trial_.improvement_shown
    assert fitted.calibration_trial_.documents == len(MANY)
    assert fitted.calibration_.scale < 1
    before, after = raw.predict_proba(MANY), fitted.predict_proba(MANY)
    assert after.max() < before.max()
    assert np.allclose(after.sum(axis=1), 1)
    assert (before.argmax(axis=1) == after.argmax(axis=1)).all()
    assert pickle.loads(pickle.dumps(fitted)).predict_proba(MANY[:3]).tolist() == after[:3].tolist()


def test_fit_applies_no_calibration_that_is_not_shown_to_help() -> None:
    raw = fake(labels=["a", "b", "c"]).fit(MANY)
    random = np.random.default_rng(0)
    y = [str(random.choice(raw.classes_, p=shares)) for shares in raw.predict_proba(MANY)]  # as the engine promises
    with pytest.warns(UserWarning, match="temperature calibration is not shown to help"):
        fitted = fake(calibration="temperature").fit(MANY, y)
    assert fitted.calibration_ is None
    assert fitted.calibration_trial_ is not None
    assert not fitted.calibration_trial_.improvement_shown
    assert fitted.predict_proba(MANY).tolist() == raw.predict_proba(MANY).tolist()


def test_texts_shown_as_examples_calibrate_nothing() -> None:
    y = np.random.default_rng(0).choice(["a", "b"], len(MANY))
    fitted = fake(calibration="temperature", examples=4).fit(MANY, y)
    assert fitted.calibration_trial_ is not None
    assert fitted.calibration_trial_.documents == len(MANY) - 4


def test_what_calibrating_needs() -> None:
    wrong: list[tuple[Any, list[str] | None, str]] = [
        ("isotonic", LABELS, "calibration is 'isotonic'; give None, 'temperature' or 'vector'"),
        ("vector", None, "there is no y to calibrate to"),
        ("vector", LABELS, "needs at least 10"),
    ]
    for calibration, y, message in wrong:
        with pytest.raises(EstimatorError, match=message):
            fake(labels=LABELS[:2], calibration=calibration).fit(TEXTS, y)
