"""The engine as users meet it: options, streamed weights, memory that runs out. The contract is in contracts/."""

from __future__ import annotations

import dataclasses
import gc
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.support import engine_models
from tests.support.checkpoints import tiny_config, write_checkpoint
from tests.support.prompts import make_prompt, make_requests, make_text
from thresher.answers import Answer
from thresher.engines import Engine, EngineOptions, choose_engine, open_engine
from thresher.engines.native import opening
from thresher.engines.native.forward import ForwardPass, HeldPrefix
from thresher.engines.native.pack import HELD, Pack
from thresher.engines.registry import probe
from thresher.errors import EngineCapacityError, EngineError, EngineUnavailableError, UsageError
from thresher.models import open_model, resolve
from thresher.types import Prompt, Scores

DEVICES = ("cpu", "cpu,cpu")
LABELS = ("invoice", "invoice from abroad", "contract", "minutes")
MIB = 1 << 20


def open_native(**options: object) -> Engine:
    return open_engine("native", engine_models.shipped(), EngineOptions(threads=1, **options))  # type: ignore[arg-type]


def score(engine: Engine, prompt: Prompt | None = None) -> list[Scores]:
    prompt = prompt or make_prompt(engine.tokenizer, LABELS)
    documents = [engine.tokenizer.encode(make_text(n, n)) for n in (0, 2, 7)]
    return sorted(engine.score(make_requests(prompt, documents)), key=lambda scores: scores.request_id)


def answers(found: Sequence[Scores]) -> list[Answer]:
    assert all(scores.failure is None for scores in found)
    return [answer for scores in found for answer in scores.answers]


def live_bytes() -> int:
    """Of all tensors in this process, storages counted once."""
    gc.collect()
    storages = {}
    for thing in gc.get_objects():
        if type(thing) is torch.Tensor and thing.device.type == "cpu":
            storage = thing.untyped_storage()
            storages[storage.data_ptr()] = storage.nbytes()
    return sum(storages.values())


def test_weights_in_a_quarter_of_their_memory() -> None:
    before = live_bytes()
    with open_native() as engine:
        expected = answers(score(engine))
        whole = live_bytes() - before
    limit = whole // 4
    before = live_bytes()
    with open_native(weights_memory_bytes=limit) as engine:
        assert "8 layers are streamed from their files" in engine.info.notices[1]
        found = answers(score(engine))
        held = live_bytes() - before
        assert answers(score(engine)) == found
    assert held <= limit + MIB, "a prefix of some tokens and the answers' rows of the head are not weights' memory"
    for one, other in zip(found, expected, strict=True):
        assert one.probabilities == pytest.approx(other.probabilities, abs=1e-6)
        assert one.label_mass == pytest.approx(other.label_mass, abs=1e-6)
    assert live_bytes() - before < MIB, "a closed engine gives its memory back"


def test_weights_memory_below_the_least() -> None:
    with pytest.raises(EngineCapacityError, match=r"--weights-memory 1\.0 MiB: the least is two of the largest layers"):
        open_native(weights_memory_bytes=MIB)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"precision": "fp31"}, "did you mean 'fp32'"),
        ({"device": "tpu"}, "cpu, gpu and cuda:N"),
        ({"device": "cpu,,cpu"}, "cpu, gpu and cuda:N"),
        ({"device": ",".join(["cpu"] * 9)}, "names 9 devices, and the model has 8 layers"),
        ({"settings": {"pack_token": 700}}, "did you mean 'pack_tokens'"),
        ({"settings": {"step_tokens": 1}}, "it may be 64 to"),
        ({"context_tokens": 10**6}, "trained for"),
    ],
)
def test_options_that_make_no_sense(options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        open_native(**options)


@pytest.mark.parametrize("precision", ["int8", "fp8", "nvfp4"])
def test_a_width_that_a_precision_cannot_multiply(precision: str, tmp_path: Path) -> None:
    write_checkpoint(tmp_path, dataclasses.replace(tiny_config("qwen3"), intermediate_size=168))
    model = open_model(resolve(str(tmp_path)))
    with pytest.raises(UsageError, match=rf"--precision {precision} .* has 168; use bf16"):
        open_engine("native", model, EngineOptions(threads=1, precision=precision))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
@pytest.mark.parametrize("device", ["gpu", "gpus", "cuda:3", "cpu,cuda:0"])
def test_a_gpu_where_there_is_none(device: str) -> None:
    with pytest.raises(EngineUnavailableError, match="finds 0 CUDA devices"):
        open_native(device=device)


def test_bf16_is_near_fp32() -> None:
    with open_native() as exact, open_native(precision="bf16") as rounded:
        assert rounded.info.precision == "bf16"
        for one, other in zip(answers(score(rounded)), answers(score(exact)), strict=True):
            assert one.probabilities == pytest.approx(other.probabilities, abs=0.1)


@pytest.mark.parametrize("device", DEVICES)
def test_memory_that_runs_out_costs_a_smaller_pack(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, device: str
) -> None:
    with open_native(device=device) as engine:
        prompt = make_prompt(engine.tokenizer, LABELS)
        expected = answers(score(engine, prompt))
        run = ForwardPass.run

        def run_one_at_most(
            part: ForwardPass, pack: Pack, held: HeldPrefix | None, x: torch.Tensor | None = None
        ) -> torch.Tensor:
            if sum(segment.parent == HELD for segment in pack.segments) > 1:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")
            return run(part, pack, held, x)

        monkeypatch.setattr(ForwardPass, "run", run_one_at_most)
        for one, other in zip(answers(score(engine, prompt)), expected, strict=True):
            assert one.probabilities == pytest.approx(other.probabilities, abs=1e-5)
        said = [record.getMessage() for record in caplog.records]
        assert "did not hold a pack of" in said[0]
        assert "CUDA out of memory" in said[0]
        assert len(said) == 2, "of three documents, and then of the half with two"


def test_memory_that_ran_out_is_remembered(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    run = ForwardPass.run
    rows: list[int] = []

    def run_some_rows(
        part: ForwardPass, pack: Pack, held: HeldPrefix | None, x: torch.Tensor | None = None
    ) -> torch.Tensor:
        if len(pack.tokens) > 450:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")
        rows.append(len(pack.tokens))
        return run(part, pack, held, x)

    with open_native() as engine:
        prompt = make_prompt(engine.tokenizer, LABELS)
        documents = [engine.tokenizer.encode(make_text(3, 3))[:80]] * 16
        requests = make_requests(prompt, documents)
        expected = answers(list(engine.score(requests)))
        monkeypatch.setattr(ForwardPass, "run", run_some_rows)
        assert len(answers(list(engine.score(requests)))) == len(expected)
        assert "packs have at most" in caplog.records[-1].getMessage()
        caplog.clear()
        rows.clear()
        assert len(answers(list(engine.score(requests)))) == len(expected)
        assert not caplog.records, "packs are made small enough from now on"
        assert max(rows) > 225, "and no smaller than needed"


@pytest.mark.parametrize("device", DEVICES)
def test_memory_that_does_not_hold_one_request(monkeypatch: pytest.MonkeyPatch, device: str) -> None:
    def run_out(*_: object) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")

    monkeypatch.setattr(ForwardPass, "run", run_out)
    with open_native(device=device) as engine:
        for scores in score(engine):
            assert scores.failure is not None
            assert scores.failure.status == "engine_error"
            assert "does not hold this request: CUDA out of memory" in scores.failure.reason


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("pass_", ["run", "hold"])
def test_what_torch_cannot_do_stops_the_engine(monkeypatch: pytest.MonkeyPatch, device: str, pass_: str) -> None:
    with open_native(device=device, settings={"pack_tokens": 256}) as engine:
        prompt = make_prompt(engine.tokenizer, LABELS)
        with monkeypatch.context() as patch:
            patch.setattr(ForwardPass, pass_, _break_down_on_the_last(getattr(ForwardPass, pass_)))
            with pytest.raises(EngineError, match="illegal memory access"):
                score(engine, prompt)
        assert answers(score(engine, prompt)), "what was not held is held now"


def _break_down_on_the_last(method: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    def break_down(part: ForwardPass, *arguments: Any) -> torch.Tensor:
        if part._store._layers.stop == 8:
            raise RuntimeError("an illegal memory access was encountered")
        return method(part, *arguments)

    return break_down


def test_without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "_has_torch", lambda: False)
    found = probe("native")
    assert not found.available
    assert "pip install 'thresher[native]'" in found.reason
    assert choose_engine("auto", engine_models.shipped())[0] == "llamacpp"
