"""A server behind a gateway, which answers in its place when it is away or slow: no document is blamed for that."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import pytest

from tests.engines.servers.conftest import Opening
from tests.engines.servers.test_faults import failed, marked, outcome, requests_for
from tests.support import engine_models, engine_servers
from tests.support.fault_server import Accident, Answer, FaultServer, Hang, Status, forward_to
from tests.support.simulated import TEXTS, ask, connected, prompt_for
from tests.support.simulators.model import made_up
from tests.support.simulators.vllm import VllmSimulator
from thresher.engines import EngineOptions
from thresher.engines.servers.client.patience import Patience
from thresher.engines.servers.client.transport import Client
from thresher.engines.servers.endpoint import Endpoint
from thresher.engines.servers.llama_server.tokens import ServerTokenizer
from thresher.engines.servers.opening import connect, detect_server
from thresher.errors import EngineUnavailableError
from thresher.models import ServedModel

PAGE = b"<html><body><center><h1>502 Bad Gateway</h1></center><hr><center>nginx</center></body></html>"
AWAY: dict[str, Answer] = {
    "502": Status(502, PAGE, {"Content-Type": "text/html"}),
    "502 in JSON": Status(502, {"error": {"message": "upstream"}}),
    "503 as a page": Status(503, b"no available server\n", {"Content-Type": "text/plain"}),
    "504": Status(504, PAGE, {"Content-Type": "text/html"}),
    "404": Status(404, b"404 page not found\n", {"Content-Type": "text/plain"}),  # Traefik, without a route
    "522": Status(522, PAGE, {"Content-Type": "text/html"}),
}


def away(server: FaultServer, answer: Answer, seconds: float, path: str = "/") -> None:
    """From now on, for so long, the gateway alone answers."""
    server.accidents.append(Accident(path, answer, None, until_s=time.monotonic() + seconds))


def completions(server: FaultServer) -> int:
    return server.paths().count("/completion")


@pytest.mark.parametrize(("answer", "seconds"), [("502", 5.0), ("503 as a page", 0.7), ("504", 0.7), ("404", 0.7)])
def test_a_server_that_is_away_behind_its_gateway_is_waited_for(
    server: FaultServer, opening: Opening, answer: str, seconds: float
) -> None:
    said: list[str] = []
    engine = opening(server.url, away_s=60.0, say=said.append)
    requests = requests_for(engine, 8)
    before = completions(server)
    away(server, AWAY[answer], seconds)
    start_s = time.monotonic()
    assert not failed(outcome(engine, requests))
    assert time.monotonic() - start_s > seconds
    assert [text.split("; ")[-1].split(": ")[-1] for text in said] == ["it is asked until it is back", "reads again"]
    # documents go nowhere while the server is away: those that were under way, and each once more
    assert completions(server) - before <= len(requests) + 3 + 1


def test_a_route_that_is_away_while_the_server_answers_all_else(server: FaultServer, opening: Opening) -> None:
    engine = opening(server.url, away_s=60.0)
    requests = requests_for(engine)
    away(server, AWAY["502"], 2.0, "/completion")
    assert not failed(outcome(engine, requests))


def test_it_is_left_alone_for_as_long_as_the_gateway_says(server: FaultServer, opening: Opening) -> None:
    engine = opening(server.url, away_s=0.5)
    requests = requests_for(engine)
    server.accidents.append(Accident("/completion", Status(502, PAGE, {"Retry-After": "1.5"}), 1))
    before = len(server.asked)
    start_s = time.monotonic()
    assert not failed(outcome(engine, requests))
    assert time.monotonic() - start_s > 1.5
    assert "/props" in server.paths()[before:]


def test_another_server_takes_over(server: FaultServer, opening: Opening) -> None:
    with FaultServer(forward_to(engine_servers.saving().url)) as other:
        engine = opening(server.url, other.url, away_s=60.0)
        requests = requests_for(engine, 12)
        away(server, AWAY["502"], 600.0)
        before = completions(other)
        assert not failed(outcome(engine, requests))
        assert completions(other) - before >= len(requests)


@pytest.mark.parametrize("answer", ["502", "503 as a page", "504"])
def test_what_the_gateway_says_of_one_document_alone_is_its_failure(
    server: FaultServer, opening: Opening, answer: str
) -> None:
    engine = opening(server.url, away_s=1.0)
    requests = requests_for(engine, 12)
    server.accidents.append(Accident("/completion", AWAY[answer], None, marked))
    failures = failed(outcome(engine, requests))
    assert list(failures) == [2]
    assert failures[2].status == "engine_error"
    assert " attempts failed, the last one: " in failures[2].reason
    assert "gateway" in failures[2].reason
    assert engine._endpoints[0].limit.in_flight == 0
    assert not failed(outcome(engine, [request for request in requests if request.request_id != 2]))


def test_the_last_document_of_a_run_is_no_exception(server: FaultServer, opening: Opening) -> None:
    engine = opening(server.url, away_s=0.5)
    requests = requests_for(engine)
    server.accidents.append(Accident("/completion", AWAY["504"], None, marked))
    failures = failed(outcome(engine, requests[2:3]))
    assert "the limit is the gateway's own" in failures[2].reason


def test_a_gateway_without_a_server_ends_as_a_server_that_is_gone(server: FaultServer, opening: Opening) -> None:
    engine = opening(server.url, away_s=0.5)
    requests = requests_for(engine)
    away(server, AWAY["502"], 600.0)
    failures = failed(outcome(engine, requests))
    assert len(failures) == 6
    assert all("no server could be reached any more: " in failure.reason for failure in failures.values())
    assert all("a gateway gets no answer from its server" in failure.reason for failure in failures.values())


def test_a_gateway_without_a_server_when_the_run_starts(server: FaultServer, opening: Opening) -> None:
    away(server, AWAY["502"], 1.0)
    engine = opening(server.url, away_s=60.0)
    assert not failed(outcome(engine, requests_for(engine, 3)))
    engine.close()
    away(server, AWAY["502"], 600.0)
    with pytest.raises(EngineUnavailableError, match="a gateway gets no answer from its server"):
        opening(server.url, away_s=0.3)


def test_a_gateway_without_a_server_while_it_is_asked_what_it_is(server: FaultServer) -> None:
    away(server, AWAY["503 as a page"], 0.5)
    assert detect_server(server.url) == "llama-server"


def test_a_wait_at_the_start_is_told(server: FaultServer) -> None:
    said: list[str] = []
    away(server, AWAY["502"], 0.5)
    options = EngineOptions(say=said.append)
    with connect("llama-server", ServedModel(addresses=(server.url,)), options):
        assert said == [
            f"{server.url}: status 502 from /props: a gateway gets no answer from its server; it is waited for"
        ]


def test_a_failure_of_the_server_itself_stays_the_documents(server: FaultServer, opening: Opening) -> None:
    """Also when it comes through a gateway; and where memory was short, the remedy is named."""
    engine = opening(server.url, away_s=60.0)
    body = {"error": {"code": 500, "type": "server_error", "message": "CUDA error: out of memory"}}
    server.accidents.append(Accident("/completion", Status(500, body), None, marked))
    failures = failed(outcome(engine, requests_for(engine)))
    assert list(failures) == [2]
    assert failures[2].status == "engine_error"
    assert "3 attempts failed" in failures[2].reason
    assert "CUDA error: out of memory" in failures[2].reason
    assert "start it with a smaller context" in failures[2].reason
    assert "--retry-failed" in failures[2].reason


def test_too_slow_for_the_gateway_halves_what_the_server_gets_at_once(server: FaultServer, opening: Opening) -> None:
    engine = opening(server.url, away_s=60.0)
    requests = requests_for(engine)
    limit = engine._endpoints[0].limit
    assert limit.allowed == 3
    server.befall("/completion", AWAY["504"], 2)
    assert not failed(outcome(engine, requests))
    assert limit.allowed == 1


@pytest.fixture
def asked_for_tokens(server: FaultServer, opening: Opening) -> Iterator[ServerTokenizer]:
    """The server's own tokenizer, over a connection of the engine's."""
    engine = opening(server.url, away_s=0.5)

    async def made(endpoint: Endpoint) -> ServerTokenizer:
        client = Client(endpoint.client.address, patience=Patience(away_s=2.0))
        stack.push_async_callback(client.close)
        return ServerTokenizer(client, 0)

    stack = contextlib.AsyncExitStack()
    yield engine._loop.run(made(engine._endpoints[0]))
    engine._loop.run(stack.aclose())


def test_texts_wait_for_the_servers_tokenizer(server: FaultServer, asked_for_tokens: ServerTokenizer) -> None:
    away(server, AWAY["502"], 1.0)
    tokenizer = engine_models.shipped().tokenizer
    assert tokenizer is not None
    assert asked_for_tokens.encode_batch(["one text", "another"]) == [
        tokenizer.encode("one text"),
        tokenizer.encode("another"),
    ]


def test_texts_wait_once_and_not_each(server: FaultServer, asked_for_tokens: ServerTokenizer) -> None:
    away(server, AWAY["502"], 600.0)
    with pytest.raises(Exception, match="a gateway gets no answer"):
        asked_for_tokens.encode_batch(["one text", "another"])
    start_s = time.monotonic()
    with pytest.raises(Exception, match="a gateway gets no answer"):
        asked_for_tokens.encode("a third")
    assert time.monotonic() - start_s < 0.5


def test_what_was_left_on_a_server_before_it_was_away_is_removed(server: FaultServer, opening: Opening) -> None:
    engine = opening(server.url, away_s=60.0)
    requests = requests_for(engine, 3)
    assert not failed(outcome(engine, requests))
    server.befall("/completion", AWAY["502"], 1)
    assert not failed(outcome(engine, requests))
    engine.close()
    saved = [asked.json()["filename"] for asked in server.asked if asked.path.endswith("action=save")]
    kept = {name for name in saved if saved.count(name) == 1}
    assert len(set(saved)) == 2  # the prefix, by each of two adapters
    assert not kept  # every file was emptied by being written again


def test_a_gateway_without_a_route_for_health() -> None:
    """One slow document is no reason to give up a server whose gateway passes on less."""
    simulator = VllmSimulator(made_up())
    with connected("vllm", simulator, tokenizer=engine_models.shipped()) as (engine, server):
        prompt = prompt_for(engine, engine.chat)
        assert all(scores.failure is None for scores in ask(engine, prompt, TEXTS[:2]))
        engine._endpoints[0].client.deadline_s = 1.0
        server.befall("/health", AWAY["404"], None)
        last = engine.tokenizer.encode(TEXTS[2])[-8:]
        named = str(last)[1:-1].replace(" ", "")
        server.accidents.append(Accident("/v1/completions", Hang(), None, lambda asked: named in asked.body.decode()))
        found = ask(engine, prompt, TEXTS[:3])
        assert [scores.failure is None for scores in found] == [True, True, False]
        assert found[2].failure is not None
        assert "2 attempts failed" in found[2].failure.reason
