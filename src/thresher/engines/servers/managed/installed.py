"""A server program on this machine: its command, its version and the options it knows."""

from __future__ import annotations

import os
import re
import shlex
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from thresher.engines.servers.managed.asking import ask
from thresher.engines.servers.managed.container import Container, find_container
from thresher.engines.servers.managed.devices import parse_devices
from thresher.engines.servers.managed.options import KnownOptions, parse_help
from thresher.engines.servers.managed.programs import Program
from thresher.errors import EngineUnavailableError
from thresher.hardware import GpuFacts
from thresher.hardware.nvidia import nvidia_gpus

_VERSION = re.compile(r"version:?\s+v?(\S+)|^\s*v?(\d+\.\d+\S*)", re.IGNORECASE | re.MULTILINE)
_LIST_DEVICES = "--list-devices"


class NotInstalledError(EngineUnavailableError):
    """There is no program, for this ``reason``; the message also says how to install it and what may name it."""

    def __init__(self, program: Program, reason: str) -> None:
        super().__init__(f"{reason}; {program.install}, or name the program in {program.variable}")
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """A program that can be started: as a command here, or in a container."""

    program: Program
    command: tuple[str, ...]  # up to its options; unused in a container
    container: Container | None

    def version(self) -> str:
        """As it tells it; the image where it is a container. Raises ``EngineUnavailableError`` when it cannot run."""
        if self.container is not None:
            return self.container.image
        whole = self.command[1:] != self.program.subcommand  # such as python -m sglang.launch_server
        try:
            told = ask([*self.command, "--version"] if whole else [self.command[0], *self.program.version_arguments])
        except EngineUnavailableError:
            if whole:  # a module need not know the option
                return "unknown"
            raise
        found = _VERSION.search(told)
        return next(filter(None, found.groups())) if found else "unknown"

    def options(self) -> KnownOptions:
        """What it knows, by its own help. Raises ``EngineUnavailableError`` when it does not tell."""
        problem = "it lists no options"
        for arguments in self.program.help_arguments:
            try:
                known = parse_help(ask(self._question(arguments)))
            except EngineUnavailableError as error:
                problem = str(error)
                continue
            if "--host" in known and "--port" in known:
                return known
        raise EngineUnavailableError(f"{self.program.name} cannot be asked for its options: {problem}")

    def gpus(self, known: KnownOptions) -> tuple[GpuFacts, ...]:
        """Those it would compute on."""
        if self.program.reads == "checkpoint" or _LIST_DEVICES not in known:
            return nvidia_gpus()
        return parse_devices(ask(self._question((_LIST_DEVICES,))))

    def model_arguments(self, path: str) -> list[str]:
        """The model, where it is not an option like others: ``vllm serve MODEL``, but ``api_server --model MODEL``."""
        if not self.program.model_is_positional:
            return []
        words = self.command if self.container is None else self.container.arguments
        return [path] if "serve" in words else ["--model", path]

    def _question(self, arguments: Sequence[str]) -> Sequence[str]:
        return [*self.command, *arguments] if self.container is None else self.container.question(arguments)


def find_installed(program: Program, *, want_gpu: bool | None = None) -> Installed:
    """What the variable of ``program`` names, else its executable on the PATH, else its container.

    Raises:
        NotInstalledError: nothing of these is there.
        EngineUnavailableError: the variable names no program.
    """
    named = os.environ.get(program.variable, "").strip()
    if named:
        return Installed(program=program, command=_named_command(program, named), container=None)
    executable = shutil.which(program.executable)
    if executable is not None:
        return Installed(program=program, command=(executable, *program.subcommand), container=None)
    try:
        container = find_container(program, want_gpu=want_gpu)
    except EngineUnavailableError as error:
        raise NotInstalledError(program, f"there is no {program.executable} on the PATH, and {error}") from error
    return Installed(program=program, command=(), container=container)


def _named_command(program: Program, named: str) -> tuple[str, ...]:
    """A path, which may hold spaces, or a whole command to which options are added."""
    words = [named] if Path(named).exists() else shlex.split(named)
    executable = shutil.which(words[0])
    if executable is None:
        raise EngineUnavailableError(f"{program.variable}={named!r}: there is no such program; {program.install}")
    return (executable, *(words[1:] or program.subcommand))
