"""A model whose layers lie on several devices; here each of them is the CPU."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import pytest
import torch

from tests.engines.native.test_engine import LABELS, open_native
from tests.support.prompts import make_prompt, make_requests, make_text
from thresher.engines import Engine
from thresher.engines.native.devices import choose_devices
from thresher.engines.native.forward import ForwardPass
from thresher.engines.native.reader import Flight, Reader
from thresher.types import Prompt, Request, Scores

SMALL = {"pack_tokens": 256, "step_tokens": 64}
#: Documents of at most one pack each, so that there are many packs.
SENTENCES = (9, 12, 0, 10, 7, 11, 8, 12)


def requests_of(engine: Engine, prompt: Prompt | None = None) -> list[Request]:
    prompt = prompt or make_prompt(engine.tokenizer, LABELS)
    return make_requests(prompt, [engine.tokenizer.encode(make_text(n, n)) for n in SENTENCES])


def in_order(found: Sequence[Scores]) -> list[Scores]:
    return sorted(found, key=lambda scores: scores.request_id)


def pipeline_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("thresher-cpu")]


@pytest.fixture(scope="module")
def alone() -> list[Scores]:
    with open_native(settings=SMALL) as engine:
        return in_order(list(engine.score(requests_of(engine))))


@pytest.mark.parametrize("count", [2, 3, 8])
def test_the_same_answers_bit_for_bit(alone: list[Scores], count: int) -> None:
    with open_native(settings=SMALL, device=",".join(["cpu"] * count)) as engine:
        assert engine.info.device == f"{count} x cpu, 1 threads"
        assert f"{8 // count + bool(8 % count)} on cpu" in engine.info.notices[1]
        assert in_order(list(engine.score(requests_of(engine)))) == alone
    assert not pipeline_threads()


def test_streamed_weights_on_every_device(alone: list[Scores]) -> None:
    with open_native(settings=SMALL, device="cpu,cpu", weights_memory_bytes=7_400_000) as engine:
        assert "8 of 8 layers are streamed from their files" in engine.info.notices[2]
        assert in_order(list(engine.score(requests_of(engine)))) == alone


def test_the_first_device_goes_on_while_the_second_works(monkeypatch: pytest.MonkeyPatch) -> None:
    begun = threading.Semaphore(0)
    met: list[bool] = []
    run = ForwardPass.run

    def meet(part: ForwardPass, *arguments: Any) -> torch.Tensor:
        if arguments[2] is None:
            begun.release()
        elif not met:
            met.append(all(begun.acquire(timeout=60) for _ in range(2)))
        return run(part, *arguments)

    monkeypatch.setattr(ForwardPass, "run", meet)
    with open_native(settings=SMALL, device="cpu,cpu") as engine:
        assert len(list(engine.score(requests_of(engine)))) == len(SENTENCES)
    assert met == [True], "the second pack began on the first device before the first had ended on the second"


def test_packs_in_flight_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = [0]
    send, land = Reader.send, Flight.land

    def count_sent(*arguments: Any) -> Flight:
        counts.append(counts[-1] + 1)
        return send(*arguments)

    def count_landed(flight: Flight) -> int:
        counts.append(counts[-1] - 1)
        return land(flight)

    monkeypatch.setattr(Reader, "send", count_sent)
    monkeypatch.setattr(Flight, "land", count_landed)
    with open_native(settings=SMALL, device="cpu,cpu") as engine:
        assert len(list(engine.score(requests_of(engine)))) == len(SENTENCES)
    assert max(counts) == 3
    assert counts[-1] == 0


def test_a_call_left_half_read_leaves_nothing_behind(alone: list[Scores]) -> None:
    with open_native(settings=SMALL, device="cpu,cpu") as engine:
        prompt = make_prompt(engine.tokenizer, LABELS)
        for _ in range(3):
            scoring = engine.score(requests_of(engine, prompt))
            next(iter(scoring))
            del scoring
        again = in_order(list(engine.score(requests_of(engine, prompt))))
        assert [scores.answers for scores in again] == [scores.answers for scores in alone]
        next(iter(engine.score(requests_of(engine))))
    assert not pipeline_threads()


@pytest.mark.parametrize(
    ("asked", "expected"),
    [(None, ["cpu"]), ("cpu", ["cpu"]), ("cpu,cpu", ["cpu", "cpu"]), ("cpu, cpu", ["cpu", "cpu"])],
)
@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_devices_by_name(asked: str | None, expected: list[str]) -> None:
    assert [str(device) for device in choose_devices(asked)] == expected
