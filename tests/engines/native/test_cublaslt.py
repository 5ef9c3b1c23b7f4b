"""The choice among cuBLASLt's algorithms; its products are compared on a GPU (benchmarks/native_prefill.py)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest
import torch

from thresher.engines.native.linear import cublaslt
from thresher.engines.native.linear.cublaslt_binding import Algorithm, Kind

CPU = torch.device("cpu")
FIRST, SECOND, THIRD = ((name,) for name in (b"first", b"second", b"third"))


def chosen(monkeypatch: pytest.MonkeyPatch, seconds: Mapping[Kind, float]) -> Kind:
    """Of algorithms that take so long; one that takes no time is refused when it is to run."""
    proposals = {kind: Algorithm() for kind in seconds}
    names = {id(algorithm): kind for kind, algorithm in proposals.items()}
    drift: Iterator[float] = iter(1 + 0.001 * turn for turn in range(100))

    def measured(algorithm: Algorithm, *_: object) -> float:
        spent = seconds[names[id(algorithm)]]
        if not spent:
            raise RuntimeError("cuBLASLt failed with status 15")
        return spent * next(drift)

    monkeypatch.setattr(cublaslt, "_seconds", measured)
    return cublaslt._fastest(proposals, lambda _: None, CPU)


def test_the_fastest_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    assert chosen(monkeypatch, {FIRST: 1.0, SECOND: 0.9, THIRD: 0.95}) == SECOND


def test_the_first_is_kept_where_the_gain_is_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    assert chosen(monkeypatch, {FIRST: 1.0, SECOND: 0.995, THIRD: 1.1}) == FIRST


def test_what_the_library_refuses_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    assert chosen(monkeypatch, {FIRST: 1.0, SECOND: 0.0, THIRD: 0.9}) == THIRD
    assert chosen(monkeypatch, {FIRST: 0.0, SECOND: 0.95, THIRD: 0.9}) == THIRD
    with pytest.raises(RuntimeError, match="refuses every algorithm"):
        chosen(monkeypatch, {FIRST: 0.0})
