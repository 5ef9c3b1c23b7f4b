from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.support import engine_servers
from tests.support.fault_server import FaultServer, forward_to
from thresher.engines import EngineOptions
from thresher.engines.servers.client.patience import Patience
from thresher.engines.servers.engine import ServerEngine
from thresher.engines.servers.opening import connect
from thresher.models import ServedModel

Opening = Callable[..., ServerEngine]


@pytest.fixture
def server() -> Iterator[FaultServer]:
    """A real llama-server behind a socket that has accidents."""
    with FaultServer(forward_to(engine_servers.saving().url)) as faulty:
        yield faulty


@pytest.fixture
def opening() -> Iterator[Opening]:
    """Opens engines over URLs, and closes them at the end."""
    engines: list[ServerEngine] = []

    def open_engine(
        *urls: str, deadline_s: float = 30.0, away_s: float = 1.0, say: Callable[[str], None] = lambda _: None
    ) -> ServerEngine:
        patience = Patience(deadline_s=deadline_s, away_s=away_s)
        options = EngineOptions(say=say)
        engines.append(connect("llama-server", ServedModel(addresses=urls), options, patience=patience))
        return engines[-1]

    yield open_engine
    for engine in engines:
        engine.close()
