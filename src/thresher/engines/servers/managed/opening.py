"""Opens an engine over a server of our own: found, sized, started, connected to."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

from thresher.engines.base import EngineInfo, EngineOptions
from thresher.engines.servers.engine import ServerEngine
from thresher.engines.servers.managed.engine import ManagedEngine
from thresher.engines.servers.managed.installed import find_installed
from thresher.engines.servers.managed.launch import Place
from thresher.engines.servers.managed.launcher import Launcher, make_launcher
from thresher.engines.servers.managed.ports import LOOPBACK, reserve_port
from thresher.engines.servers.managed.programs import PROGRAMS
from thresher.engines.servers.managed.server_log import ServerLog
from thresher.engines.servers.managed.supervisor import Supervisor, Vigilance
from thresher.engines.servers.opening import connect, patience_of
from thresher.errors import UsageError
from thresher.models.model import Model
from thresher.models.served import ServedModel

START_TIMEOUT_VARIABLE = "THRESHER_SERVER_START_TIMEOUT"
#: Beside the time that weights take from a slow disk or network.
_START_S, _WEIGHTS_BYTES_PER_S = 600.0, 50e6
_NEVER_S = float("inf")  # the supervisor says when a server will not come back
_LOGS, _SCRATCH = "logs", "slots"


def open_managed(
    name: str, model: Model, options: EngineOptions, *, vigilance: Vigilance | None = None
) -> ManagedEngine:
    """Start the server called ``name`` for ``model`` and open the engine over it.

    Its log is ``logs/<name>.log`` in the job's folder.

    Raises:
        UsageError: an option that it cannot serve.
        EngineUnavailableError: it is not installed, or too old.
        EngineCapacityError: the model or the context does not fit the memory.
        EngineError: it does not start; the message ends with its log's end.
        JobError: its log cannot be written.
    """
    with contextlib.ExitStack() as resources:
        folder = options.job_folder or Path(
            resources.enter_context(tempfile.TemporaryDirectory(prefix="thresher-server-", ignore_cleanup_errors=True))
        )
        log = ServerLog(folder / _LOGS / f"{name}.log")
        scratch = folder / _SCRATCH
        scratch.mkdir(mode=0o700, exist_ok=True)
        resources.callback(shutil.rmtree, scratch, ignore_errors=True)
        launcher = make_launcher(PROGRAMS[name], model, options, scratch=scratch, say=options.say)
        chosen = vigilance or _vigilance(model)
        supervisor = resources.enter_context(Supervisor(name, launcher, log, chosen, options.say))
        for notice in launcher.notices:
            options.say(notice)
        place = supervisor.start()
        inner = resources.enter_context(_connect(name, model, options, place, supervisor))
        return ManagedEngine(inner, supervisor, _info(inner.info, launcher, model), resources.pop_all())


def _info(served: EngineInfo, launcher: Launcher, model: Model) -> EngineInfo:
    """What the server says of itself, but for what is known better here: the model's own files, and where it runs."""
    return replace(
        served,
        model=model.facts.name,
        model_fingerprint=model.facts.fingerprint,
        precision=model.facts.quantization,
        version=launcher.version,
        device="gpu" if launcher.facts.on_gpu else "cpu",
    )


def _connect(name: str, model: Model, options: EngineOptions, place: Place, supervisor: Supervisor) -> ServerEngine:
    """The context is left to the server, which was started with the one that is asked for or fits."""
    return connect(
        name,
        ServedModel(addresses=(place.url,), tokenizer=model),
        EngineOptions(deadline_s=options.deadline_s, context_tokens=options.context_tokens),
        patience=replace(patience_of(options), away_s=_NEVER_S, given_up=lambda: supervisor.failure is not None),
        secret=place.api_key,
    )


def managed_command(name: str, model: Model, options: EngineOptions) -> str:
    """The command line that ``open_managed`` would run, quoted for a shell. Raises as that does before it starts."""
    launcher = make_launcher(PROGRAMS[name], model, options, scratch=None, say=options.say)
    return launcher.shown(Place(host=LOOPBACK, port=reserve_port(), api_key=None))


def managed_version(name: str) -> str:
    """Of what would be started. Raises ``EngineUnavailableError`` when nothing can be."""
    return find_installed(PROGRAMS[name]).version()


def managed_about(name: str) -> str:
    """What would be started, for people. Raises as ``managed_version`` does."""
    installed = find_installed(PROGRAMS[name])
    return f"container {installed.container.image}" if installed.container else " ".join(installed.command)


def _vigilance(model: Model) -> Vigilance:
    given = os.environ.get(START_TIMEOUT_VARIABLE, "").strip()
    if not given:
        return Vigilance(start_timeout_s=_START_S + model.facts.weights_bytes / _WEIGHTS_BYTES_PER_S)
    try:
        seconds = float(given)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < _NEVER_S:
        raise UsageError(f"{START_TIMEOUT_VARIABLE}={given!r}: give the seconds that a server may take to start")
    return Vigilance(start_timeout_s=seconds)
