"""Engines over simulated servers, what they are asked, and what llama.cpp in this process says of it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from functools import cache

from tests.support import engine_models
from tests.support.fault_server import FaultServer
from tests.support.prompts import make_text
from tests.support.simulators.routes import Simulator
from thresher.engines import Engine, EngineOptions, open_engine
from thresher.engines.servers.engine import ServerEngine
from thresher.engines.servers.opening import connect
from thresher.models import ChatFormat, Model, ServedModel
from thresher.tasks import Task, TaskPrompt, build_prompt
from thresher.types import Request, Scores

TASK = Task(
    labels={
        "invoice": "a request for payment",
        "software report": "an error of a program",
        "lease": "rental of property",
        "minutes": "what a meeting decided",
        "resume": "a person applies for work",
    },
    instructions="Decide what kind of document this is.",
)
TEXTS = [make_text(length, start) + "\n" for length in (1, 3) for start in range(3)]


@contextlib.contextmanager
def connected(
    name: str,
    simulator: Simulator,
    *,
    tokenizer: Model | None = None,
    context_tokens: int | None = None,
    model: str | None = None,
    accidents: Callable[[FaultServer], None] = lambda _: None,
) -> Iterator[tuple[ServerEngine, FaultServer]]:
    """The engine called ``name`` over a simulated server, and that server."""
    with FaultServer(simulator) as server:
        accidents(server)
        address = server.url if model is None else f"{server.url}#{model}"
        served = ServedModel(addresses=(address,), tokenizer=tokenizer)
        with connect(name, served, EngineOptions(context_tokens=context_tokens)) as engine:
            yield engine, server


def prompt_for(engine: Engine, chat: ChatFormat, task: Task = TASK) -> TaskPrompt:
    return build_prompt(task, engine.tokenizer, chat)


def ask(engine: Engine, built: TaskPrompt, texts: Sequence[str]) -> list[Scores]:
    """In the order of the texts."""
    requests = [
        Request(request_id=number, prompt=built.prompt, document_tokens=engine.tokenizer.encode(text))
        for number, text in enumerate(texts)
    ]
    found = {scores.request_id: scores for scores in engine.score(requests)}
    assert sorted(found) == list(range(len(texts)))
    return [found[number] for number in range(len(texts))]


@cache
def expected() -> list[Scores]:
    """What llama.cpp in this process says of ``TEXTS``, with the weights that simulators of the real model have."""
    model = engine_models.float32()
    with open_engine("llamacpp", model, EngineOptions(context_tokens=2048, threads=1)) as engine:
        return ask(engine, prompt_for(engine, model.chat), TEXTS)
