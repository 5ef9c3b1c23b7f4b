"""Which precision to compute in, and why."""

from __future__ import annotations

from typing import NamedTuple


class PrecisionChoice(NamedTuple):
    """A precision of :data:`~thresher.engines.native.linear.PRECISIONS` and a sentence for people."""

    precision: str
    explanation: str


def choose_precision(asked: str, capability: tuple[int, int] | None, stored_format: str) -> PrecisionChoice:
    """The precision to compute in on a CUDA device of this capability (None: a CPU).

    ``asked`` is a precision or "auto"; ``stored_format`` is ``ModelFacts.quantization``, e.g. "BF16", "Q5_K_M", "FP8".

    Raises:
        UsageError: no such precision; names the nearest.
    """
    raise NotImplementedError
