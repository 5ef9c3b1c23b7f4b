"""What turns a model's probabilities into calibrated ones: parameters that travel, and how they are applied."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Literal

Method = Literal["temperature", "vector", "contextual"]
#: A probability of exactly 0 or 1 is a rounding, not knowledge; its logarithm must stay finite.
SMALLEST_PROBABILITY = 1e-30


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """A scale and a shift for the logarithm of each label's probability.

    One label: ``softmax(scale * log(p) + shift)`` over the labels. Several (kind ``multi``): of each label's decision
    alone, ``sigmoid(scale * logit(p) + shift)``. Temperature scaling has one scale, ``1 / T``, and no shift; vector
    scaling has a scale and a shift for each label (both: Guo et al. 2017, "On Calibration of Modern Neural Networks");
    contextual calibration has the shift ``-log(p on texts without content)`` (Zhao et al. 2021, "Calibrate Before
    Use").
    """

    method: Method
    multi: bool = False
    scale: float = 1.0  # of labels without their own
    scales: Mapping[str, float] = field(default_factory=dict)
    shifts: Mapping[str, float] = field(default_factory=dict)
    documents: int = 0  # that it was fitted to
    improvement_shown: bool = False  # on documents that it was not fitted to

    def apply(self, probabilities: Mapping[str, float]) -> dict[str, float]:
        """The calibrated probability of each label."""
        if self.multi:
            return {label: _sigmoid(self._moved(label, _logit(p))) for label, p in probabilities.items()}
        moved = {label: self._moved(label, _log(p)) for label, p in probabilities.items()}
        largest = max(moved.values(), default=0.0)
        weights = {label: math.exp(value - largest) for label, value in moved.items()}
        total = math.fsum(weights.values())
        return {label: weight / total for label, weight in weights.items()}

    def of_label(self, label: str | tuple[str, ...], probabilities: Mapping[str, float]) -> float | None:
        """The calibrated probability of the label given; for ``multi`` the product over its decisions."""
        calibrated = self.apply(probabilities)
        if isinstance(label, str):
            return calibrated.get(label)
        return math.prod(p if name in label else 1.0 - p for name, p in calibrated.items())

    def to_json(self) -> str:
        """The parameters as JSON, for the store."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Calibration:
        """The parameters from the store."""
        return cls(**json.loads(text))

    def _moved(self, label: str, value: float) -> float:
        return self.scales.get(label, self.scale) * value + self.shifts.get(label, 0.0)


def _log(p: float) -> float:
    return math.log(max(p, SMALLEST_PROBABILITY))


def _logit(p: float) -> float:
    return _log(p) - _log(1.0 - p)


def _sigmoid(value: float) -> float:
    if value >= 0:
        return 1.0 / (1.0 + math.exp(-value))
    weight = math.exp(value)
    return weight / (1.0 + weight)
