"""Engines over stand-ins for vLLM and SGLang that are started, with simulated servers behind them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import yaml

from tests.support.checkpoints import tiny_config, write_checkpoint
from tests.support.fault_server import FaultServer
from tests.support.server_stubs import write_stub
from tests.support.simulated import TEXTS, ask, connected, prompt_for
from tests.support.simulators.model import SimulatedModel
from tests.support.simulators.routes import Simulator
from tests.support.simulators.sglang import SglangSimulator
from tests.support.simulators.vllm import VllmSimulator
from thresher.engines import EngineOptions, open_engine
from thresher.models import open_model, resolve


@pytest.mark.parametrize(
    ("name", "version", "simulator"),
    [("vllm", "0.30.0", VllmSimulator), ("sglang", "0.5.23", SglangSimulator)],
)
def test_a_started_server_is_read_through_as_one_that_runs(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    version: str,
    simulator: Callable[[SimulatedModel], Simulator],
) -> None:
    write_checkpoint(tmp_path / "model", tiny_config("qwen3_5"))
    model = open_model(resolve(str(tmp_path / "model")))
    monkeypatch.setenv(f"THRESHER_{name.upper()}", str(write_stub(tmp_path, name, version)))
    with connected(name, simulator(SimulatedModel(model)), tokenizer=model) as (engine, _):
        expected = ask(engine, prompt_for(engine, engine.chat), TEXTS)
    said: list[str] = []
    options = EngineOptions(context_tokens=2048, job_folder=tmp_path / "job", say=said.append)
    with FaultServer(simulator(SimulatedModel(model))) as behind:
        monkeypatch.setenv("STUB_SERVER", behind.url)
        with open_engine(name, model, options) as managed:
            assert managed.info.model_fingerprint == model.facts.fingerprint
            assert managed.info.largest_request_tokens == 2048
            found = ask(managed, prompt_for(managed, model.chat), TEXTS)
            if name == "sglang":
                key = yaml.safe_load((tmp_path / "job" / "slots" / "key.yaml").read_text())["api-key"]
                commands = [" ".join(process.cmdline()) for process in psutil.Process().children(recursive=True)]
                assert any("--config" in command for command in commands)
                assert not any(key in command for command in commands)
    assert [scores.answers for scores in found] == [scores.answers for scores in expected]
    assert all(scores.failure is None for scores in found)
    assert any(line.startswith(f"{name} is ready after") for line in said)
    log = (tmp_path / "job" / "logs" / f"{name}.log").read_text()
    if name == "sglang":
        assert "mode 0o600" in log
        assert "--config" in log
    assert "--api-key" not in log
    assert not (tmp_path / "job" / "slots").exists()
