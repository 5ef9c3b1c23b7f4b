"""What is around FlashInfer's delta rule; the rule itself is compared on a GPU (benchmarks/native_prefill.py)."""

from __future__ import annotations

import logging
import time

import pytest

from thresher.engines.native.kernels.delta_rule import flashinfer


def test_the_sizes_that_it_takes() -> None:
    assert flashinfer.takes(128, 128)
    assert not flashinfer.takes(128, 64)


def test_minutes_of_compiling_are_announced(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(flashinfer, "_COMPILES_AFTER_S", 0.01)
    with caplog.at_level(logging.WARNING), flashinfer._told_of_compiling():
        deadline = time.monotonic() + 10
        while not caplog.messages and time.monotonic() < deadline:
            time.sleep(0.01)
    assert ["compiles" in message for message in caplog.messages] == [True]


def test_a_kernel_that_is_there_is_not(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(flashinfer, "_COMPILES_AFTER_S", 0.2)
    with caplog.at_level(logging.WARNING), flashinfer._told_of_compiling():
        pass
    time.sleep(0.4)
    assert not caplog.messages
