from __future__ import annotations

import importlib
from dataclasses import replace

import pytest

from tests.support import engine_models
from thresher.engines import EngineOptions, availability, choose_engine, open_engine
from thresher.engines.llamacpp import opening
from thresher.engines.registry import ENGINES, probe
from thresher.errors import EngineUnavailableError, ModelFormatError, UsageError


def test_every_name_leads_to_something() -> None:
    for target in ENGINES.values():
        module, _, kind = target.partition(":")
        assert hasattr(importlib.import_module(module), kind)


def test_both_engines_can_run_here() -> None:
    found = {engine.name: engine for engine in availability()}
    assert set(found) == set(ENGINES)
    assert all(engine.available and engine.version and engine.reason for engine in found.values())


def test_an_unknown_engine_is_answered_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="no engine 'llama-cpp'.*did you mean 'llamacpp'"):
        choose_engine("llama-cpp", engine_models.shipped())


def test_auto_says_why() -> None:
    assert choose_engine("auto", engine_models.shipped()) == ("llamacpp", "runs GGUF models inside this process")
    assert choose_engine("fake", engine_models.shipped()) == ("fake", "as asked")


def test_an_engine_that_cannot_run_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*, want_gpu: bool) -> None:
        raise EngineUnavailableError("no library")

    monkeypatch.setattr(opening, "open_binding", refuse)
    found = probe("llamacpp")
    assert not found.available
    assert found.reason == "no library"
    with pytest.raises(EngineUnavailableError, match="llamacpp: no library"):
        choose_engine("auto", engine_models.shipped())


def test_files_or_an_opened_model() -> None:
    model = engine_models.shipped()
    with open_engine("fake", model) as first, open_engine("fake", model.files, EngineOptions()) as second:
        assert first.info == second.info


def test_a_vocabulary_that_fake_cannot_read() -> None:
    with pytest.raises(ModelFormatError, match="another model"):
        open_engine("fake", replace(engine_models.shipped(), tokenizer=None))
