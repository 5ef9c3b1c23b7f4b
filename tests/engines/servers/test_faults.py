"""Every fault that a server can have: each document ends in a row, the others have their labels, the run ends."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import socket
import threading
import time
from pathlib import Path

import pytest

from tests.engines.servers.conftest import Opening
from tests.support import engine_models, engine_servers
from tests.support.fault_server import (
    SELF_SIGNED,
    Accident,
    Answer,
    Asked,
    Changed,
    Cut,
    FaultServer,
    Hang,
    Slow,
    Status,
    forward_to,
)
from tests.support.llama_server import LlamaServer
from tests.support.prompts import make_prompt, make_requests, make_text
from thresher.engines.servers import endpoint
from thresher.engines.servers.client.address import Address
from thresher.engines.servers.client.transport import Client
from thresher.engines.servers.engine import ServerEngine
from thresher.engines.servers.fault import UnreachableError
from thresher.errors import EngineUnavailableError, UsageError
from thresher.types import Failure, Request

LABELS = ("invoice", "contract", "minutes", "report")
#: Tokens that only one of the documents has.
MARK = [17_001, 17_002, 17_003]
KEY = "sk-never-shown-anywhere"


def requests_for(engine: ServerEngine, count: int = 6) -> list[Request]:
    """Document 2 has the mark."""
    prompt = make_prompt(engine.tokenizer, LABELS)
    documents = [engine.tokenizer.encode(make_text(2 + n % 3, n)) for n in range(count)]
    documents[2] = [*documents[2], *MARK]
    return make_requests(prompt, documents)


def outcome(engine: ServerEngine, requests: list[Request]) -> dict[int, Failure | None]:
    found = {scores.request_id: scores for scores in engine.score(requests)}
    assert sorted(found) == [request.request_id for request in requests]
    assert all((scores.failure is None) == bool(scores.answers) for scores in found.values())
    return {request_id: scores.failure for request_id, scores in found.items()}


def marked(asked: Asked) -> bool:
    return asked.path == "/completion" and str(MARK)[1:-1].replace(" ", "") in asked.body.decode()


def failed(outcomes: dict[int, Failure | None]) -> dict[int, Failure]:
    return {request_id: failure for request_id, failure in outcomes.items() if failure is not None}


def test_no_server_there(opening: Opening) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(EngineUnavailableError, match=f"127.0.0.1:{port}: no server answers there"):
        opening(f"http://127.0.0.1:{port}")


def test_a_server_that_takes_no_connection_was_never_sent_a_document(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("thresher.engines.servers.client.transport._CONNECT_TIMEOUT_S", 0.2)

    async def ask(url: str) -> None:
        client = Client(Address(url))
        try:
            await client.get("/health")
        finally:
            await client.close()

    with socket.socket() as listener, contextlib.ExitStack() as waiting:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):  # nobody accepts them, and the system takes no more
            client = waiting.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(listener.getsockname())
        with pytest.raises(UnreachableError, match="no server answers there") as error:
            asyncio.run(ask(f"http://127.0.0.1:{listener.getsockname()[1]}"))
    assert not error.value.in_flight


def test_a_server_that_falls_while_answers_wait_to_be_taken_keeps_its_slots(
    server: FaultServer, opening: Opening, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("thresher.engines.servers.engine._MOST_IN_HAND", 2)
    engine = opening(server.url, away_s=60.0)
    requests = requests_for(engine)
    for _ in range(3):
        server.befall("/completion", Cut(0), 2)
        assert not failed(outcome(engine, requests))
    assert engine._endpoints[0].limit.in_flight == 0


def test_another_model_than_wanted(server: FaultServer, opening: Opening) -> None:
    with pytest.raises(UsageError, match="holds demo, not other"):
        opening(f"{server.url}#other")
    assert opening(f"{server.url}#demo").info.model == "demo"


def test_no_key_and_a_wrong_one(server: FaultServer, opening: Opening, monkeypatch: pytest.MonkeyPatch) -> None:
    server.befall("/props", Status(401, {"error": {"type": "authentication_error", "message": "Invalid"}}), None)
    with pytest.raises(EngineUnavailableError, match="the server wants a key; set THRESHER_API_KEY "):
        opening(server.url)
    monkeypatch.setenv("THRESHER_API_KEY", KEY)
    with pytest.raises(EngineUnavailableError, match="does not accept the key of THRESHER_API_KEY ") as error:
        opening(server.url)
    assert KEY not in str(error.value)


def test_a_key_that_is_taken_back(server: FaultServer, opening: Opening, monkeypatch: pytest.MonkeyPatch) -> None:
    port = server.url.rpartition(":")[2]
    monkeypatch.setenv("THRESHER_API_KEY", "for others")
    monkeypatch.setenv(f"THRESHER_API_KEY_127_0_0_1_{port}", KEY)
    engine = opening(server.url)
    server.befall("/completion", Status(401, {}), None)
    failures = failed(outcome(engine, requests_for(engine)))
    assert len(failures) == 6
    assert all(
        "does not accept the key" in failure.reason and KEY not in failure.reason for failure in failures.values()
    )
    assert {asked.headers.get("authorization") for asked in server.asked} == {f"Bearer {KEY}"}


@pytest.mark.parametrize("headers", [{"Retry-After": "0.3"}, {}], ids=["when to come again", "no word of when"])
def test_too_many_requests(server: FaultServer, opening: Opening, headers: dict[str, str]) -> None:
    engine = opening(server.url)
    server.befall("/completion", Status(429, {}, headers), 3)
    start = time.monotonic()
    assert not failed(outcome(engine, requests_for(engine)))
    assert time.monotonic() - start > (0.3 if headers else 0.0)


def test_too_many_requests_for_ever(server: FaultServer, opening: Opening) -> None:
    engine = opening(server.url, away_s=0.1)
    server.befall("/completion", Status(429, {}), None)
    failures = failed(outcome(engine, requests_for(engine)))
    assert len(failures) == 6
    assert all("takes no more requests" in failure.reason for failure in failures.values())


PASSING: dict[str, Answer] = {
    "500": Status(500, {"error": {"type": "server_error", "message": "out of memory"}}),
    "503": Status(503, {"error": {"type": "unavailable_error", "message": "Loading model"}}),
    "cut": Cut(80),
    "reset": Cut(0),
    "no JSON": Status(200, b"<html>"),
    "no probabilities": Changed(lambda answer: {"timings": answer["timings"]}),
}


@pytest.mark.parametrize("accident", PASSING.values(), ids=list(PASSING))
def test_what_happens_once_is_tried_again(server: FaultServer, opening: Opening, accident: Answer) -> None:
    engine = opening(server.url)
    server.accidents.append(Accident("/completion", accident, 1, marked))
    assert not failed(outcome(engine, requests_for(engine)))
    assert server.accidents[0].times == 0


LASTING: dict[str, tuple[Answer, str]] = {
    "500": (PASSING["500"], "3 attempts failed, the last one: .* status 500 from /completion: the server failed"),
    "reset": (
        Cut(0),
        "the server went away 2 times while it read this document: .*if it was short of memory, start it",
    ),
    "cut": (Cut(80), "the server went away 2 times while it read this document: .*if it was short of memory, start it"),
    "no JSON": (PASSING["no JSON"], "3 attempts failed.* is no JSON"),
    "no probabilities": (PASSING["no probabilities"], "has no probabilities"),
    "not what was asked": (Changed(lambda _: {"timings": {"prompt_n": 1}, "completion_probabilities": [{}]}), "lacks"),
    "refused": (Status(400, {"error": {"type": "invalid_request_error", "message": "no"}}), "refuses the request: no"),
    "slow": (Slow(0.05), "2 attempts failed.*no answer from /completion within 1 s"),
    "hang": (Hang(), "2 attempts failed.*no answer from /completion within 1 s"),
}


@pytest.mark.parametrize(("accident", "reason"), LASTING.values(), ids=list(LASTING))
def test_what_one_document_always_does_is_its_own_failure(
    server: FaultServer, opening: Opening, accident: Answer, reason: str
) -> None:
    engine = opening(server.url)
    requests = requests_for(engine)
    assert not failed(outcome(engine, requests[:1]))  # the prefix is read now, so that the deadline is for a document
    for reached in engine._endpoints:
        reached.client.deadline_s = 1.0 if isinstance(accident, (Slow, Hang)) else 30.0
    server.accidents.append(Accident("/completion", accident, None, marked))
    failures = failed(outcome(engine, requests))
    assert list(failures) == [2]
    assert failures[2].status == "engine_error"
    assert re.search(reason, failures[2].reason)


def test_a_server_that_hangs_altogether(server: FaultServer, opening: Opening) -> None:
    engine = opening(server.url, deadline_s=1.0, away_s=0.5)
    requests = requests_for(engine)
    server.befall("/", Hang(), None)
    failures = failed(outcome(engine, requests))
    assert len(failures) == 6
    assert all("no answer from" in failure.reason for failure in failures.values())


def test_a_server_that_says_it_is_well_and_reads_nothing(server: FaultServer, opening: Opening) -> None:
    """It is taken out as one that is gone, instead of holding every document for two deadlines; and comes back."""
    engine = opening(server.url, deadline_s=30.0, away_s=0.5)
    requests = requests_for(engine, 24)
    assert not failed(outcome(engine, requests[:3]))
    engine._endpoints[0].client.deadline_s = 1.0
    server.befall("/completion", Hang(), None)
    before = server.paths().count("/completion")
    failures = failed(outcome(engine, requests))
    assert len(failures) == 24
    assert server.paths().count("/completion") - before < 24  # few were given to it
    assert all("no answer from /completion within 1 s" in failure.reason for failure in failures.values())
    server.accidents.clear()
    engine._endpoints[0].client.deadline_s = 30.0
    deadline = time.monotonic() + 30
    while not engine._endpoints[0].up and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not failed(outcome(engine, requests[:3]))


def test_loading_when_opened(server: FaultServer, opening: Opening) -> None:
    server.befall("/props", PASSING["503"], 2)
    assert not failed(outcome(opening(server.url), requests_for(opening(server.url))))


def test_a_prompt_that_the_server_finds_too_long(server: FaultServer, opening: Opening) -> None:
    def boast(props: dict[str, dict[str, int]]) -> object:
        return props | {"default_generation_settings": {"n_ctx": 20_000}}

    server.befall("/props", Changed(boast))
    engine = opening(server.url)
    requests = requests_for(engine, 4)
    long = make_requests(requests[0].prompt, [[500] * 9000], first_id=4)
    failures = failed(outcome(engine, [*requests, *long]))
    assert list(failures) == [4]
    assert failures[4].status == "oversize"
    assert "9,0" in failures[4].reason
    assert "8,192" in failures[4].reason


def test_nothing_goes_to_another_host(server: FaultServer, opening: Opening, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THRESHER_API_KEY", KEY)
    with FaultServer(forward_to(server.url)) as elsewhere:
        engine = opening(server.url)
        requests = requests_for(engine)
        server.befall("/completion", Status(307, {}, {"Location": f"{elsewhere.url}/completion?token=x"}), None)
        failures = failed(outcome(engine, requests))
        assert len(failures) == 6
        assert all(f"sends its callers to {elsewhere.url}/completion;" in f.reason for f in failures.values())
        assert not elsewhere.asked


def test_a_redirect_to_what_is_no_address_is_a_fault_as_any(server: FaultServer, opening: Opening) -> None:
    engine = opening(server.url)
    server.befall("/completion", Status(307, {}, {"Location": "http://h/" + "x" * 70_000}), None)
    failures = failed(outcome(engine, requests_for(engine)))
    assert len(failures) == 6
    assert all("sends its callers to an address that is none" in failure.reason for failure in failures.values())


def test_a_certificate_signed_by_nobody(opening: Opening) -> None:
    with (
        FaultServer(forward_to(engine_servers.saving().url), tls=True) as server,
        pytest.raises(EngineUnavailableError, match="certificate cannot be verified.*SSL_CERT_FILE"),
    ):
        opening(server.url)


def test_a_certificate_of_an_authority_that_is_named(opening: Opening, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(SELF_SIGNED))
    with FaultServer(forward_to(engine_servers.saving().url), tls=True) as server:
        engine = opening(server.url)
        assert not failed(outcome(engine, requests_for(engine, 3)))


def test_a_proxy_is_not_asked_for_this_machine(
    server: FaultServer, opening: Opening, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FaultServer(lambda _: Status(502, {})) as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        engine = opening(server.url)
        assert not failed(outcome(engine, requests_for(engine, 3)))
        assert not proxy.asked


def test_ready_to_be_asked_and_never_to_read(
    server: FaultServer, opening: Opening, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoint, "_MOST_RETURNS_IN_VAIN", 2)
    engine = opening(server.url, away_s=60)
    server.befall("/completion", PASSING["503"], None)
    failures = failed(outcome(engine, requests_for(engine)))
    assert len(failures) == 6


def test_killed_in_the_middle_of_a_run_and_not_started_again(opening: Opening) -> None:
    with LlamaServer(engine_models.shipped().files.path, slots=2) as real:
        engine = opening(real.url, away_s=0.5)
        requests = requests_for(engine, 8)
        scores = engine.score(requests)
        found = [next(scores)]
        os.kill(real.process.pid, signal.SIGKILL)
        found += scores
    assert sorted(s.request_id for s in found) == list(range(8))
    failures = [s.failure for s in found if s.failure is not None]
    assert failures
    assert all("no server could be reached any more" in failure.reason for failure in failures)


def test_killed_in_the_middle_of_a_run_and_started_again(opening: Opening, tmp_path: Path) -> None:
    model = engine_models.shipped().files.path
    with LlamaServer(model, slots=2, saves=tmp_path) as real:
        engine = opening(real.url, away_s=60)
        scores = engine.score(requests_for(engine, 8))
        found = [next(scores)]
        port = int(real.url.rpartition(":")[2])
        real.kill()
        restarted: list[LlamaServer] = []
        thread = threading.Thread(
            target=lambda: restarted.append(LlamaServer(model, slots=2, saves=tmp_path, port=port))
        )
        thread.start()
        found += scores
        thread.join()
    with restarted[0]:
        assert sorted(s.request_id for s in found) == list(range(8))
        assert all(s.failure is None for s in found)
        engine.close()
