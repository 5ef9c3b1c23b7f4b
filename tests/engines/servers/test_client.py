"""The parts of the client that need no server: addresses and keys, limits, pauses, the loop's thread."""

from __future__ import annotations

import asyncio
import email.utils
import math
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thresher.engines.servers.client.address import Address
from thresher.engines.servers.client.limit import Limit
from thresher.engines.servers.client.loop import LoopThread, Outlet
from thresher.engines.servers.client.refusal import Refusal
from thresher.engines.servers.client.retry import Backoff, retry_after_seconds
from thresher.errors import EngineError, UsageError


@pytest.mark.parametrize(
    ("given_url", "url", "openai_url", "model"),
    [
        ("http://localhost:8080", "http://localhost:8080", "http://localhost:8080/v1", None),
        (" HTTPS://Host.example/v1/ ", "https://host.example", "https://host.example/v1", None),
        ("https://h/api/v1#a/b", "https://h/api", "https://h/api/v1", "a/b"),
        ("https://h/v1beta/openai", "https://h/v1beta/openai", "https://h/v1beta/openai", None),
        ("http://[::1]:80/", "http://[::1]:80", "http://[::1]:80/v1", None),
    ],
)
def test_addresses(given_url: str, url: str, openai_url: str, model: str | None) -> None:
    address = Address(given_url)
    assert (address.url, address.openai_url, address.model) == (url, openai_url, model)


@pytest.mark.parametrize(
    "wrong", ["ftp://h", "http://", "http://h:99999", "http://name:secret@h", "http://h?key=secret"]
)
def test_what_is_no_address(wrong: str) -> None:
    with pytest.raises(UsageError, match="--model") as error:
        Address(wrong)
    assert "secret" not in str(error.value)


def test_the_key_of_the_server_goes_before_the_common_one(monkeypatch: pytest.MonkeyPatch) -> None:
    address = Address("http://gpu-1.example:8000")
    assert address.key() is None
    for value, variable in enumerate(reversed(address.key_variables())):
        monkeypatch.setenv(variable, str(value))
        assert address.key() == str(value)
    assert address.key_variables() == (
        "THRESHER_API_KEY_GPU_1_EXAMPLE_8000", "THRESHER_API_KEY_GPU_1_EXAMPLE", "THRESHER_API_KEY",
    )  # fmt: skip
    assert Address("http://other:8000").key() == "0"


def test_a_key_is_taken_without_what_is_around_it_and_a_broken_one_is_not_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    address = Address("http://gpu-1.example:8000")
    monkeypatch.setenv("THRESHER_API_KEY", " sk-1\n")
    assert address.key() == "sk-1"
    for broken in ("sk-secret\nX-Other: 1", "sk-secrét"):
        monkeypatch.setenv("THRESHER_API_KEY", broken)
        with pytest.raises(UsageError, match="THRESHER_API_KEY: a key has ASCII") as error:
            address.key()
        assert "secr" not in str(error.value)


def test_only_fields_that_are_one_value_are_typed_fields() -> None:
    error = {"type": "a", "code": ["b"], "param": {"c": 1}, "n_ctx": 7}
    refusal = Refusal(400, {"error": error}, {}, "/")
    assert [refusal.error_field(name) for name in (*error, "none")] == ["a", None, None, 7, None]


def test_only_this_machine_is_loopback() -> None:
    assert [Address(f"http://{host}").is_loopback for host in ("localhost", "127.0.0.9", "[::1]", "10.0.0.1", "h")] == [
        True, True, True, False, False,
    ]  # fmt: skip


def test_when_to_come_again() -> None:
    assert retry_after_seconds(None) is None
    assert retry_after_seconds("1.5") == 1.5
    assert retry_after_seconds("-3") == 0
    assert retry_after_seconds("1e9") == 600
    assert retry_after_seconds("nan") is None
    assert retry_after_seconds("soon") is None
    in_ten = retry_after_seconds(email.utils.formatdate(time.time() + 10, usegmt=True))
    assert in_ten is not None
    assert 7 < in_ten <= 10


@given(st.integers(1, 10_000))
def test_pauses_are_bounded(failures: int) -> None:
    assert 0 <= Backoff(first_s=0.5, most_s=4).pause_s(failures) <= min(4, 0.5 * 2 ** min(failures - 1, 3))


@given(st.lists(st.booleans(), max_size=60), st.integers(1, 6))
def test_lanes_are_below_the_limit_and_never_given_twice(takes: list[bool], slots: int) -> None:
    limit, held = Limit(slots), list[int]()
    for take in takes:
        if take:
            lane = limit.take()
            assert (lane is None) == (len(held) == slots)
            if lane is not None:
                assert lane not in held
                assert 0 <= lane < slots
                held.append(lane)
        elif held:
            limit.give_back(held.pop(0))
        assert limit.in_flight == len(held)


def simulate(limit: Limit, speed: float, knee: int, requests: int = 3000) -> None:
    """Requests through a server that grows faster up to ``knee`` at once, and then only queues."""
    now = 0.0
    for _ in range(requests):
        now += 100 / (speed * min(limit.allowed, knee))
        limit.was_read(100, now)


@pytest.mark.parametrize("knee", [1, 8, 40, 200])
def test_the_limit_climbs_to_where_more_is_no_faster(knee: int) -> None:
    limit = Limit()
    simulate(limit, speed=50.0, knee=knee)
    assert min(knee, 8) <= limit.allowed <= max(8, math.ceil(knee * 1.6))
    assert min(limit.allowed, knee) >= 0.6 * knee  # no less than that speed


def test_a_busy_server_gets_half_and_then_slowly_more() -> None:
    limit = Limit(16)
    limit.was_busy()
    assert limit.allowed == 8
    simulate(limit, 1.0, 16, 40)
    assert limit.allowed == 9
    simulate(limit, 1.0, 16, 3000)
    assert limit.allowed == 16
    for _ in range(10):
        limit.was_busy()
    assert limit.allowed == 1


def test_a_stream_holds_no_more_than_its_capacity() -> None:
    started: list[int] = []

    async def work(outlet: Outlet[int]) -> None:
        for number in range(100):
            await outlet.room()
            started.append(number)
            outlet.put(number)

    loop = LoopThread("test")
    try:
        stream = loop.stream(work, 5)
        assert next(stream) == 0
        time.sleep(0.2)
        assert len(started) == 6
        assert list(stream) == list(range(1, 100))
    finally:
        loop.close()


def test_a_stream_that_is_left_is_cancelled_and_one_that_breaks_says_so() -> None:
    ended = threading.Event()

    async def endless(outlet: Outlet[int]) -> None:
        try:
            outlet.put(1)
            await asyncio.sleep(60)
        finally:
            ended.set()

    async def broken(outlet: Outlet[int]) -> None:
        outlet.put(1)
        raise ValueError("broken")

    loop = LoopThread("test")
    try:
        stream = loop.stream(endless, 2)
        assert next(stream) == 1
        stream.close()  # type: ignore[attr-defined]
        assert ended.is_set()
        with pytest.raises(ValueError, match="broken"):
            list(loop.stream(broken, 2))
    finally:
        loop.close()
    loop.close()
    with pytest.raises(EngineError, match="closed"):
        loop.run(asyncio.sleep(0))
