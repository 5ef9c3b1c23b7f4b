"""Which engines there are; each is imported when it is asked for."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, cast

from thresher.engines.base import Engine, EngineOptions
from thresher.errors import EngineUnavailableError, ThresherError, UsageError
from thresher.hardware import GpuFacts
from thresher.models.files import ModelFiles
from thresher.models.model import Model, open_model
from thresher.models.served import ServedModel
from thresher.suggestions import did_you_mean

#: Name -> what opens it, of the engines that drive servers.
SERVERS: Mapping[str, str] = {
    "llama-server": "thresher.engines.servers.kinds:LlamaServer",
    "vllm": "thresher.engines.servers.kinds:Vllm",
    "sglang": "thresher.engines.servers.kinds:Sglang",
    "openai": "thresher.engines.servers.kinds:OpenAi",
}
#: Name -> what opens it, of all engines.
ENGINES: Mapping[str, str] = {
    "native": "thresher.engines.native.opening:Native",
    "llamacpp": "thresher.engines.llamacpp.opening:LlamaCpp",
    **SERVERS,
    "fake": "thresher.engines.fake:Fake",
}
AUTO = "auto"
#: What ``auto`` tries, in this order, and why it is taken.
_PREFERRED: Mapping[str, str] = {
    "native": "reads this model layer by layer, prefill only",
    "llamacpp": "runs GGUF models inside this process",
}


class EngineKind(Protocol):
    """What a name in :data:`ENGINES` leads to. Those in :data:`SERVERS` open served models, too."""

    @staticmethod
    def open(model: Model | ServedModel, options: EngineOptions) -> Engine:
        """Open the engine for ``model``, served only for those in :data:`SERVERS`.

        Raises ``UsageError``, ``EngineError`` or ``ModelError``.
        """

    @staticmethod
    def version() -> str:
        """Of the library that computes. Raises ``EngineUnavailableError`` when it cannot be used here."""

    @staticmethod
    def about() -> str:
        """What it runs on here, in a few words; asked only after ``version``."""

    @staticmethod
    def unsuited(model: Model) -> str:
        """Why ``auto`` should not take it for ``model`` here; empty where it may."""


class StartsServers(Protocol):
    """What a name in :data:`SERVERS` leads to."""

    @staticmethod
    def command(model: Model | ServedModel, options: EngineOptions) -> str:
        """The command line that would serve ``model``. Raises ``UsageError`` or ``EngineError``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Availability:
    """Whether an engine can run on this machine."""

    name: str
    available: bool
    version: str  # empty when not available
    reason: str  # what it runs on, or why it cannot


def open_engine(name: str, model: ModelFiles | Model | ServedModel, options: EngineOptions | None = None) -> Engine:
    """Open the engine called ``name`` (or ``auto``) for ``model``.

    Raises:
        UsageError: no such engine, or options it cannot serve.
        EngineError: its library is missing, or the model does not fit the memory.
        ModelError: the model cannot be read.
    """
    opened = open_model(model) if isinstance(model, ModelFiles) else model
    chosen, _ = choose_engine(name, opened)
    return _load(chosen).open(opened, options or EngineOptions())


def choose_engine(name: str, model: Model | ServedModel) -> tuple[str, str]:
    """The engine to use for ``model``, and why. ``auto`` asks a server of which kind it is.

    Raises:
        UsageError: no such engine, or one that reads files for a model that a server holds.
        EngineUnavailableError: ``auto`` finds none that can run here, or no known server at the address.
    """
    if name not in {AUTO, *ENGINES}:
        known = [*ENGINES, AUTO]
        raise UsageError(f"there is no engine {name!r}, only {', '.join(known)}{did_you_mean(name, known)}")
    if isinstance(model, ServedModel):
        return _choose_server(name, model)
    if name != AUTO:
        return name, "as asked"
    problems: list[str] = []
    for candidate, reason in _PREFERRED.items():
        found = probe(candidate)
        problem = _load(candidate).unsuited(model) if found.available else found.reason
        if not problem:
            return candidate, reason
        problems.append(f"{candidate}: {problem}")
    raise EngineUnavailableError(f"no engine can run this model here: {'; '.join(problems)}")


def _choose_server(name: str, model: ServedModel) -> tuple[str, str]:
    address = model.addresses[0]
    if name == AUTO:
        from thresher.engines.servers.opening import detect_server  # only here: HTTP takes long to import

        return detect_server(address), f"answers at {address}"
    if name not in SERVERS:
        raise UsageError(
            f"--engine {name} reads a model's files, and --model {address} is a server; leave --engine out, or give "
            f"one of {', '.join(SERVERS)}"
        )
    return name, "as asked"


def server_command(name: str, model: Model | ServedModel, options: EngineOptions) -> str:
    """The command line, quoted for a shell, with which the engine called ``name`` starts its server.

    Raises:
        UsageError: the engine starts none, or options it cannot serve.
        EngineError: the server is not installed, or the model does not fit the memory.
    """
    if name not in SERVERS:
        raise UsageError(
            f"--print-command: the engine {name} starts no server; give --engine llama-server, vllm or sglang"
        )
    return cast(StartsServers, _load(name)).command(model, options)


def engine_gpus(name: str, device: str | None) -> tuple[GpuFacts, ...] | None:
    """The GPUs that an engine would compute on with this ``device``, none for the CPU.

    None where the engine takes no memory of this machine's that a plan is made for: servers, the fake engine.

    Raises:
        UsageError, EngineUnavailableError: as ``open_engine`` would for that device.
    """
    find: Callable[[str | None], tuple[GpuFacts, ...]] | None = getattr(_load(name), "gpus", None)
    return None if find is None else find(device)


def engine_settings(name: str) -> Mapping[str, tuple[int, int]]:
    """Settings of an engine that a profile may hold, with their least and largest values; it must be in ENGINES."""
    find: Callable[[], Mapping[str, tuple[int, int]]] | None = getattr(_load(name), "settings", None)
    return {} if find is None else find()


def engine_names() -> tuple[str, ...]:
    """What ``open_engine`` takes as a name; imports none of them."""
    return (AUTO, *ENGINES)


def availability() -> list[Availability]:
    """Every engine, and whether it can run on this machine."""
    return [probe(name) for name in ENGINES]


def probe(name: str) -> Availability:
    """Whether the engine called ``name`` can run on this machine. It must be in :data:`ENGINES`."""
    try:
        kind = _load(name)
        return Availability(name=name, available=True, version=kind.version(), reason=kind.about())
    except ThresherError as error:
        return Availability(name=name, available=False, version="", reason=str(error))


def _load(name: str) -> EngineKind:
    module, _, kind = ENGINES[name].partition(":")
    return cast(EngineKind, getattr(importlib.import_module(module), kind))
