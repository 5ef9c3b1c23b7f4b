"""The plan before a run: what cannot fit is refused with what would, before anything is loaded."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

import thresher
from tests.cli.conftest import Outcome
from tests.conftest import MODEL, PROJECT
from tests.support import engine_models
from tests.support.published_models import write_config
from thresher import cli
from thresher.engines import EngineOptions
from thresher.engines.llamacpp.loaded_model import LoadedModel
from thresher.errors import EngineCapacityError, UsageError
from thresher.hardware import GpuFacts, probe_hardware
from thresher.models import outline
from thresher.pipeline import planning
from thresher.pipeline.planning import check_memory, describe

GIB, MIB = 1 << 30, 1 << 20
TASK = thresher.Task(["invoice", "contract"])


def with_free_memory(monkeypatch: pytest.MonkeyPatch, free_bytes: int) -> None:
    here = dataclasses.replace(probe_hardware(), memory_bytes=64 * GIB, free_memory_bytes=free_bytes)
    monkeypatch.setattr(planning, "probe_hardware", lambda: here)


@pytest.mark.parametrize("engine", ["llamacpp", "native"])
def test_a_run_says_what_it_will_take(engine: str) -> None:
    fit = check_memory(engine, engine_models.shipped(), EngineOptions(device="cpu"))
    assert fit is not None
    assert "weights 0.0" in describe(fit)
    assert "GiB of memory are free" in describe(fit)


def test_an_engine_whose_memory_is_not_ours() -> None:
    assert check_memory("fake", engine_models.shipped(), EngineOptions()) is None


@pytest.mark.parametrize("engine", ["llamacpp", "native"])
def test_what_does_not_fit_is_refused(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with_free_memory(monkeypatch, 8 * MIB)
    with pytest.raises(EngineCapacityError, match=rf"demo does not fit: {engine} in .* are free; .*would"):
        check_memory(engine, engine_models.shipped(), EngineOptions(device="cpu", context_tokens=8192))


def test_the_remedy_is_named_and_does(monkeypatch: pytest.MonkeyPatch) -> None:
    with_free_memory(monkeypatch, 150 * MIB)
    options = EngineOptions(device="cpu", context_tokens=32_768)
    with pytest.raises(EngineCapacityError, match=r"what would fit: --context \d+") as caught:
        check_memory("llamacpp", engine_models.shipped(), options)
    context = int(str(caught.value).partition("--context ")[2].split(";")[0])
    assert check_memory("llamacpp", engine_models.shipped(), dataclasses.replace(options, context_tokens=context))


@pytest.mark.parametrize(("gib", "gpus"), [(80, 1), (40, 2)])
def test_all_gpus_where_one_does_not_do(gib: int, gpus: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    card = GpuFacts(name="a card", memory_bytes=gib * GIB, free_bytes=gib * GIB, capability=(9, 0), in_use=True)
    found = outline(str(write_config(tmp_path, "Qwen3.5-27B")))
    monkeypatch.setattr(planning, "engine_gpus", lambda engine, device: (card, card))
    monkeypatch.setattr(planning, "outline_of_model", lambda model: found)
    fit = check_memory("native", engine_models.shipped(), EngineOptions())
    assert fit is not None
    assert (fit.setting.precision, fit.setting.gpus) == ("bf16", gpus)


def test_a_setting_the_engine_does_not_have_is_its_own_to_refuse() -> None:
    with pytest.raises(UsageError, match="tpu"):
        check_memory("native", engine_models.shipped(), EngineOptions(device="tpu"))


def test_classify_refuses_before_it_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_free_memory(monkeypatch, 8 * MIB)
    monkeypatch.setattr(LoadedModel, "__init__", lambda *_, **__: pytest.fail("the model is loaded"))
    documents = PROJECT / "examples" / "documents"
    with pytest.raises(EngineCapacityError, match="demo does not fit"):
        thresher.classify(documents, TASK, model=MODEL, engine="llamacpp", job=tmp_path / "job")
    with pytest.raises(EngineCapacityError, match="demo does not fit"):
        thresher.classify_texts(["a text"], TASK, model=MODEL, engine="llamacpp", context=4096)


def test_the_command_says_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def classify() -> Outcome:
        (tmp_path / "a.txt").write_text("an invoice")
        arguments = ["classify", str(tmp_path / "a.txt"), "--labels", "invoice,contract", "--model", MODEL]
        code = cli.run([*arguments, "--engine", "llamacpp", "--job", str(tmp_path / "job")])
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    fine = classify()
    assert fine.code == 0
    assert "plan: Q8_0 takes about" in fine.err
    with_free_memory(monkeypatch, 8 * MIB)
    refused = classify()
    assert refused.code == 1
    assert "does not fit" in refused.err
