"""One model on several servers."""

from __future__ import annotations

import threading
import time
from collections import Counter

import pytest

from tests.engines.servers.conftest import Opening
from tests.engines.servers.test_faults import LABELS, failed, outcome, requests_for
from tests.support import engine_servers
from tests.support.fault_server import Accident, Asked, Cut, FaultServer, Status, forward_to
from tests.support.prompts import make_prompt, make_requests
from thresher.errors import UsageError


def late(pause_s: float) -> FaultServer:
    """The same server, slower."""
    real = forward_to(engine_servers.saving().url)

    def usual(asked: Asked) -> Status:
        answer = real(asked)
        if asked.path == "/completion":
            time.sleep(pause_s)
        return answer

    return FaultServer(usual)


def read(server: FaultServer) -> int:
    return sum(asked.path == "/completion" for asked in server.asked)


def test_different_models_are_refused_by_both_names(opening: Opening) -> None:
    first, second = engine_servers.saving().url, engine_servers.plain().url
    with pytest.raises(UsageError, match=f"{first} holds demo and {second} holds float32, which are not the same"):
        opening(first, second)


def test_an_address_twice_and_one_beside_files() -> None:
    from thresher.models import served_addresses

    with pytest.raises(UsageError, match="is given twice"):
        served_addresses(["http://h:1", "http://h:1"])
    with pytest.raises(UsageError, match="demo: several models must all be addresses"):
        served_addresses(["http://h:1", "demo"])
    with pytest.raises(UsageError, match="given 2 times"):
        served_addresses(["demo", "other.gguf"])
    assert served_addresses(["demo"]) == ()


def test_the_faster_server_gets_more(opening: Opening) -> None:
    with late(0.0) as fast, late(1.0) as slow:
        engine = opening(fast.url, slow.url)
        prompt = make_prompt(engine.tokenizer, LABELS)
        requests = make_requests(prompt, [[500 + n, 600, 700] for n in range(60)])
        assert not failed(outcome(engine, requests))
        assert read(slow) > 0
        assert read(fast) > 2 * read(slow)


def test_one_that_dies_is_left_and_its_documents_go_to_the_other(server: FaultServer, opening: Opening) -> None:
    with FaultServer(forward_to(engine_servers.saving().url)) as mortal:
        engine = opening(server.url, mortal.url, away_s=60)
        requests = requests_for(engine, 16)
        scores = engine.score(requests)
        found = [next(scores)]
        mortal.end()
        found += scores
        assert Counter(s.request_id for s in found) == Counter(range(16))
        assert all(s.failure is None for s in found)
        before = read(mortal)
        assert not failed(outcome(engine, requests))
        assert read(mortal) == before


def test_one_that_was_away_comes_back(server: FaultServer, opening: Opening) -> None:
    with FaultServer(forward_to(engine_servers.saving().url)) as other:
        engine = opening(server.url, other.url, away_s=60)
        other.befall("/completion", Cut(0), 2)
        other.befall("/props", Status(503, {"error": {"type": "unavailable_error"}}), 1)
        requests = requests_for(engine, 12)
        assert not failed(outcome(engine, requests))
        deadline = time.monotonic() + 20
        while not all(endpoint.up for endpoint in engine._endpoints) and time.monotonic() < deadline:
            time.sleep(0.05)
        before = read(other)
        assert not failed(outcome(engine, requests))
        assert read(other) > before


def test_one_that_comes_back_with_another_model_is_left(server: FaultServer, opening: Opening) -> None:
    upstream = [engine_servers.saving().url]
    with FaultServer(lambda asked: forward_to(upstream[0])(asked)) as other:
        engine = opening(other.url, away_s=60)
        requests = requests_for(engine, 4)
        assert not failed(outcome(engine, requests))
        upstream[0] = engine_servers.plain().url
        other.accidents.append(Accident("/completion", Cut(0), 4))
        failures = failed(outcome(engine, requests))
    assert len(failures) == 4
    assert all("serves float32 now, and this run began with demo" in failure.reason for failure in failures.values())


def test_what_may_have_killed_a_server_is_read_alone(opening: Opening) -> None:
    """Two documents are there when the connection is cut; each is read again, with nothing beside it."""
    real, lock = forward_to(engine_servers.saving().url), threading.Lock()
    at_once = most_at_once = 0

    def usual(asked: Asked) -> Status:
        nonlocal at_once, most_at_once
        if asked.path != "/completion":
            return real(asked)
        with lock:
            at_once += 1
            most_at_once = max(most_at_once, at_once)
        time.sleep(0.1)
        answer = real(asked)
        with lock:
            at_once -= 1
        return answer

    with FaultServer(usual) as server:
        engine = opening(server.url)
        requests = requests_for(engine)
        assert not failed(outcome(engine, requests))
        assert most_at_once > 1
        server.befall("/completion", Cut(0), 2)
        most_at_once = 0
        assert not failed(outcome(engine, requests[:2]))
        assert most_at_once == 1
