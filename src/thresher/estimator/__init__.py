"""The scikit-learn estimator. The only room that imports scikit-learn, and only when it is asked for."""

from __future__ import annotations

from thresher.errors import ExtraMissingError

try:
    import sklearn  # noqa: F401
except ImportError as error:
    raise ExtraMissingError(
        "ThresherClassifier needs scikit-learn 1.6 or newer; install it with: pip install 'thresher[sklearn]'"
    ) from error

from thresher.estimator.classifier import ThresherClassifier

__all__ = ["ThresherClassifier"]
