"""``ThresherClassifier``: a language model that reads labels in its prompt, as a scikit-learn classifier of texts."""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import Tags, check_random_state
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from thresher.errors import EngineError, EstimatorError, UnlabelledError, UsageError
from thresher.estimator.calibrating import calibrate_to, calibration_notices
from thresher.estimator.choosing import choose_examples
from thresher.estimator.texts import as_texts, check_known, checked_y, classes_in, classes_of
from thresher.pipeline import ClassifyOptions, LongPolicy, close_engine, text_labelling
from thresher.tasks import DEFAULT_EXAMPLES_TOKENS, Task
from thresher.types import Prediction

_FAILURES_NAMED = 5


class ThresherClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Gives texts their labels and the exact probabilities of all labels. It trains no weights.

    Args:
        labels: the possible labels, or a mapping of labels to descriptions; None takes them from ``y``. Numbers are
            shown to the model as their digits.
        model: as ``--model``: ``"demo"``, a ``.gguf`` file, or ``"owner/repo[:QUANT]"`` on the hub. Required.
        instructions: what the model is told first; None for the usual words.
        examples: texts with their labels that are shown to the model before each text: pairs, or how many ``fit`` is
            to choose from ``X`` and ``y`` (every label in turn, and texts unlike each other).
        examples_tokens: tokens that the examples may take together; the longest are cut to fit, with a warning.
        engine: a name that ``thresher engines`` lists, or ``"auto"``.
        precision: what the engine computes in; ``"auto"`` is the weights' own.
        context: the largest prompt in tokens; None for the model's own, cut to what memory allows.
        long: what to do with longer texts: ``"head-tail"``, ``"head"``, ``"windows"`` or ``"skip"`` (an error here,
            since every text needs a label).
        threads: CPU threads of the engine.
        device: where the engine computes, e.g. ``"cpu"``.
        calibration: ``"temperature"`` or ``"vector"``: ``fit`` reads the texts of ``X``, fits a calibration to ``y``
            and uses it if it is shown to help on texts held out; None leaves the model's probabilities as they are.
        random_state: which texts are looked at where there are more than a thousand of a label to choose from, and
            which are held out together.

    Attributes:
        classes_: the labels, sorted, of shape (n_classes,) and of the type of ``y``.
        task_: the :class:`~thresher.Task` that is asked of every text.
        examples_: the (text, label) pairs shown to the model.
        engine_: the name of the engine.
        context_: the largest prompt in tokens.
        calibration_: what is applied to probabilities, a ``Calibration``; None where nothing is.
        calibration_trial_: how the calibration did on texts held out, a ``CalibrationTrial``; None where none was asked
            for.

    The engine is opened once for all estimators of the same model and settings in a process, and stays open until
    another is asked for, :func:`thresher.close_engine` is called or the process ends. It is no part of the estimator: a
    clone shares it, and an unpickled estimator opens its own.

    Example:
        >>> from thresher import ThresherClassifier
        >>> clf = ThresherClassifier(labels=["invoice", "contract"], model="demo")
        >>> clf.fit(["Please pay 80 EUR by Friday."]).predict_proba(["The parties agree as follows."]).shape
        (1, 2)
    """

    def __init__(
        self,
        labels: Mapping[Any, str | None] | Sequence[Any] | None = None,
        *,
        model: str | os.PathLike[str] | None = None,
        instructions: str | None = None,
        examples: int | Sequence[tuple[str, Any]] = 0,
        examples_tokens: int = DEFAULT_EXAMPLES_TOKENS,
        engine: str = "auto",
        precision: str = "auto",
        context: int | None = None,
        long: LongPolicy = "head-tail",
        threads: int | None = None,
        device: str | None = None,
        calibration: Literal["temperature", "vector"] | None = None,
        random_state: int | np.random.RandomState | None = 0,
    ) -> None:
        self.labels = labels
        self.model = model
        self.instructions = instructions
        self.examples = examples
        self.examples_tokens = examples_tokens
        self.engine = engine
        self.precision = precision
        self.context = context
        self.long = long
        self.threads = threads
        self.device = device
        self.calibration = calibration
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> Self:  # noqa: N803 - scikit-learn's name
        """Check the parameters and the labels of ``y``, choose examples and calibrate if asked to, open the engine.

        Args:
            X: texts, of shape (n,): a list, an array or a Series.
            y: their labels, of shape (n,); may be left out where ``labels`` is given, no examples are to be chosen and
                nothing is to be calibrated.

        Raises:
            EstimatorError: (a ``ValueError``) a parameter, a text or a label is wrong; names it and the remedy.
            ModelError, EngineError: the model cannot be used.
        """
        with _as_value_errors():
            texts = as_texts(X)
            labels = None if y is None else checked_y(y)
            if labels is not None:
                check_consistent_length(texts, labels)
            classes = self._classes(labels)
            examples = self._examples(texts, labels)
            task = self._task(classes, examples)
            model, options = self._checked_model(), self._options()
            with text_labelling(task, model, options) as labelling:
                info = labelling.info
                outcome = None
                if self.calibration is not None:
                    seed = check_random_state(self.random_state).randint(2**31)
                    outcome = calibrate_to(self.calibration, labelling, task, texts, labels, examples, seed)
        for notice in (*labelling.notices, *calibration_notices(outcome)):
            warnings.warn(notice, UserWarning, stacklevel=2)
        self.classes_, self.examples_, self.task_ = classes, examples, task
        self.calibration_ = None if outcome is None else outcome.calibration
        self.calibration_trial_ = None if outcome is None else outcome.trials[0]
        self.engine_, self.context_ = info.engine, info.largest_request_tokens
        self._opened_with = (
            model,
            replace(options, engine=info.engine, context_tokens=info.largest_request_tokens or None),
        )
        return self

    def predict(self, X: Any) -> np.ndarray[Any, Any]:  # noqa: N803
        """The most probable label of each text, of shape (n,). Raises as :meth:`predict_proba`."""
        probabilities = self.predict_proba(X)
        predicted: np.ndarray[Any, Any] = self.classes_[probabilities.argmax(axis=1)]
        return predicted

    def predict_proba(self, X: Any) -> np.ndarray[Any, Any]:  # noqa: N803
        """The probability of each label for each text, of shape (n, n_classes), columns as in ``classes_``.

        Raises:
            NotFittedError: ``fit`` was not called.
            EstimatorError: (a ``ValueError``) something in ``X`` is not text; names the row.
            UnlabelledError: texts that have no label (empty ones, or too long with ``long="skip"``); names the rows.
            EngineError: the engine cannot go on, or is a server that gives no probabilities.
        """
        check_is_fitted(self)
        texts = as_texts(X)
        with text_labelling(self.task_, *self._opened_with) as labelling:
            predictions = labelling.predictions(texts)
        _check_labelled(predictions)
        _check_probabilities(predictions)
        names = list(map(str, self.classes_))
        shares = [self._calibrated(prediction.probabilities) for prediction in predictions]
        return np.array([[of_text[name] for name in names] for of_text in shares])

    def close(self) -> None:
        """Free the engine, also for other estimators; the next call opens it again. Safe twice."""
        close_engine()

    def __sklearn_tags__(self) -> Tags:
        """Texts in one dimension; accuracy on numbers is not to be expected."""
        tags = super().__sklearn_tags__()
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        tags.target_tags.required = self.labels is None
        tags.classifier_tags.poor_score = True
        return tags

    def _classes(self, y: np.ndarray[Any, Any] | None) -> np.ndarray[Any, Any]:
        if self.labels is None:
            if y is None:
                raise EstimatorError(
                    "This ThresherClassifier estimator requires y to be passed, but the target y is None: "
                    "give y, or the parameter labels"
                )
            return classes_in(y)
        classes = classes_of(self.labels)
        if y is not None:
            check_known(y, classes)
        return classes

    def _examples(self, texts: Sequence[str], y: np.ndarray[Any, Any] | None) -> list[tuple[str, str]]:
        if not isinstance(self.examples, int | np.integer):
            return [(text, str(label)) for text, label in self.examples]
        if self.examples < 0:
            raise EstimatorError(f"examples is {self.examples}; give 0 or more, or pairs of text and label")
        if self.examples == 0:
            return []
        if y is None:
            raise EstimatorError(f"examples is {self.examples}, and there is no y to choose them from; give y")
        random = check_random_state(self.random_state)
        return choose_examples(texts, list(map(str, y)), int(self.examples), random)

    def _calibrated(self, probabilities: Mapping[str, float]) -> Mapping[str, float]:
        return probabilities if self.calibration_ is None else self.calibration_.apply(probabilities)

    def _task(self, classes: np.ndarray[Any, Any], examples: Sequence[tuple[str, str]]) -> Task:
        labels: Any = classes if self.labels is None else self.labels
        described = labels if isinstance(labels, Mapping) else dict.fromkeys(labels)
        return Task(
            {str(label): description for label, description in described.items()},
            instructions=self.instructions,
            examples=examples,
            examples_tokens=self.examples_tokens,
        )

    def _checked_model(self) -> str:
        if self.model is None:
            raise EstimatorError("model is None; give 'demo', a .gguf file, or owner/repo[:QUANT] on the hub")
        return os.fspath(self.model)

    def _options(self) -> ClassifyOptions:
        return ClassifyOptions(
            engine=self.engine, precision=self.precision, context_tokens=self.context, long_policy=self.long,
            threads=self.threads, device=self.device,
        )  # fmt: skip


@contextlib.contextmanager
def _as_value_errors() -> Iterator[None]:
    """scikit-learn's own code expects a ``ValueError`` for whatever a caller gave wrong."""
    try:
        yield
    except EstimatorError:
        raise
    except UsageError as error:
        raise EstimatorError(str(error)) from error


def _check_labelled(predictions: Sequence[Prediction]) -> None:
    failed = [prediction for prediction in predictions if prediction.label is None]
    if failed:
        named = "; ".join(
            f"row {prediction.document_id}: {prediction.error}" for prediction in failed[:_FAILURES_NAMED]
        )
        rest = f"; and {len(failed) - _FAILURES_NAMED} more" if len(failed) > _FAILURES_NAMED else ""
        raise UnlabelledError(f"{len(failed)} of {len(predictions)} texts have no label: {named}{rest}")


def _check_probabilities(predictions: Sequence[Prediction]) -> None:
    without = [prediction.document_id for prediction in predictions if not prediction.probabilities]
    if without:
        raise EngineError(
            f"{len(without)} of {len(predictions)} texts have a label without probabilities (rows "
            f"{', '.join(without[:_FAILURES_NAMED])}): the endpoint does not give them; use predict, or another engine"
        )
