"""From addresses to an engine: which server answers there, what it holds, whether all hold the same."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from thresher.engines.base import EngineOptions
from thresher.engines.servers.adapter import Wishes
from thresher.engines.servers.adapters import adapter_kind, detect
from thresher.engines.servers.client.address import Address
from thresher.engines.servers.client.loop import LoopThread
from thresher.engines.servers.client.patience import Patience
from thresher.engines.servers.client.retry import Backoff
from thresher.engines.servers.client.transport import Client
from thresher.engines.servers.endpoint import Endpoint, close_all
from thresher.engines.servers.engine import ServerEngine
from thresher.engines.servers.fault import BadAnswerError, ServerError, ServerFailedError, UnreachableError
from thresher.errors import EngineUnavailableError, UsageError
from thresher.models.served import ServedModel

T = TypeVar("T")
_DETECT_DEADLINE_S = 10.0
_ATTEMPTS = 3


def detect_server(address: str) -> str:
    """The name of the engine for the server at ``address``.

    Raises:
        UsageError: it is no address.
        EngineUnavailableError: no server answers there, or none that is known.
    """
    loop = LoopThread("thresher-detect")
    try:
        return loop.run(_detect(Address(address)))
    except ServerError as fault:
        raise EngineUnavailableError(str(fault)) from fault
    finally:
        loop.close()


def connect(
    name: str,
    model: ServedModel,
    options: EngineOptions,
    *,
    patience: Patience | None = None,
    wishes: Wishes | None = None,
    secret: str | None = None,
) -> ServerEngine:
    """The engine called ``name`` over the servers of ``model``; waits while they load.

    ``secret`` is the key of servers that we started; others have theirs in the environment.

    Raises:
        UsageError: an option that servers do not have, another context than they have, or different models.
        EngineUnavailableError: a server cannot be used; the message says which and why.
        ModelError: the model's tokenizer or chat template cannot be used.
    """
    _check_options(options)
    patience = patience or patience_of(options)
    wishes = wishes or Wishes(tokenizer=model.tokenizer, context_tokens=options.context_tokens)
    loop = LoopThread("thresher-servers")
    try:
        addresses = [Address(address, secret=secret) for address in model.addresses]
        endpoints = loop.run(_connect_all(name, addresses, wishes, patience, options.say))
        try:
            _check_same(endpoints)
            return ServerEngine(loop, endpoints, _context_tokens(endpoints, options))
        except BaseException:
            loop.run(close_all(endpoints))
            raise
    except ServerError as fault:
        loop.close()
        raise EngineUnavailableError(str(fault)) from fault
    except BaseException:
        loop.close()
        raise


def patience_of(options: EngineOptions) -> Patience:
    """As long as the options say."""
    return Patience() if options.deadline_s is None else Patience(deadline_s=options.deadline_s)


def _check_options(options: EngineOptions) -> None:
    given = {
        "--precision": options.precision not in {"auto"}, "--device": options.device is not None,
        "--threads": options.threads is not None, "--weights-memory": options.weights_memory_bytes is not None,
    }  # fmt: skip
    if flag := next((flag for flag, was_given in given.items() if was_given), None):
        raise UsageError(f"{flag}: a running server decides that itself; leave the option out, or start the server so")


async def _detect(address: Address) -> str:
    client = Client(address, patience=Patience(deadline_s=_DETECT_DEADLINE_S))
    try:
        return await _when_ready(lambda: detect(client), client.patience, lambda _: None)
    finally:
        await client.close()


async def _connect_all(
    name: str, addresses: Sequence[Address], wishes: Wishes, patience: Patience, say: Callable[[str], None]
) -> list[Endpoint]:
    endpoints = list[Endpoint]()
    try:
        for address in addresses:
            endpoints.append(await _connect_one(name, address, wishes, patience, say))
    except BaseException:
        await close_all(endpoints)
        raise
    return endpoints


async def _connect_one(
    name: str, address: Address, wishes: Wishes, patience: Patience, say: Callable[[str], None]
) -> Endpoint:
    client, kind = Client(address, patience=patience), adapter_kind(name)
    try:
        adapter = await _when_ready(lambda: kind.connect(client, wishes), patience, say)
    except BaseException:
        await client.close()
        raise
    return Endpoint(name, kind, client, adapter, wishes, say)


async def _when_ready(ask: Callable[[], Awaitable[T]], patience: Patience, say: Callable[[str], None]) -> T:
    """What ``ask`` gives; asked again while the server loads, is busy, is behind a gateway that waits, or stumbles."""
    patience = replace(patience, away_s=min(patience.away_s, Patience().away_s))
    start_s, waits, stumbles = time.monotonic(), 0, 0
    while True:
        try:
            return await ask()
        except UnreachableError:
            raise
        except (ServerFailedError, BadAnswerError):
            stumbles, wish_s = stumbles + 1, 0.0
            if stumbles >= _ATTEMPTS:
                raise
        except ServerError as fault:
            if not (fault.passes and fault.of_server and patience.lasts(fault, start_s)):
                raise
            wish_s = fault.retry_after_s or 0.0
            if not waits:
                say(f"{fault}; it is waited for")
        waits += 1
        await asyncio.sleep(max(wish_s, Backoff(most_s=2.0).pause_s(waits)))


def _check_same(endpoints: Sequence[Endpoint]) -> None:
    """Raises ``UsageError`` where two servers hold different models."""
    first, *others = endpoints
    for other in others:
        if other.adapter.facts.model_fingerprint != first.adapter.facts.model_fingerprint:
            raise UsageError(
                f"{first.client.address} holds {first.adapter.facts.model} and {other.client.address} holds "
                f"{other.adapter.facts.model}, which are not the same; labels of one run must come from one model"
            )


def _context_tokens(endpoints: Sequence[Endpoint], options: EngineOptions) -> int:
    smallest = min(endpoints, key=lambda endpoint: endpoint.adapter.facts.context_tokens)
    most = smallest.adapter.facts.context_tokens
    if options.context_tokens is not None and options.context_tokens > most:
        raise UsageError(
            f"--context {options.context_tokens:,}: {smallest.client.address} has a context of {most:,} tokens for "
            "each request; start it with a larger one, or leave the option out"
        )
    return options.context_tokens or most
