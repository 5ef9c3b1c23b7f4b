"""From a model and what is installed to the command that serves it."""

from __future__ import annotations

import json
import os
import secrets
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from thresher.engines.base import EngineOptions
from thresher.engines.servers.managed.container import INNER_HOST, INNER_PORT, folders_of
from thresher.engines.servers.managed.facts import LaunchFacts
from thresher.engines.servers.managed.installed import Installed, find_installed
from thresher.engines.servers.managed.launch import Launch, Place
from thresher.engines.servers.managed.options import KnownOptions, Wish, spell
from thresher.engines.servers.managed.programs import Program
from thresher.engines.servers.managed.sizing import (
    Sizes,
    batching_sizes,
    check_settings,
    llama_server_sizes,
)
from thresher.errors import EngineUnavailableError, UsageError
from thresher.hardware import GpuFacts
from thresher.models.model import Model

_API_KEY = "--api-key"
#: Inside a container.
_INNER_SCRATCH = "/tmp"  # noqa: S108


@dataclass(frozen=True, slots=True, kw_only=True)
class Launcher:
    """Starts one program for one model, again and again."""

    installed: Installed
    known: KnownOptions
    version: str
    facts: LaunchFacts  # host, port and key are those of a place
    model_path: Path
    secrets_folder: Path | None  # of ours alone; None where nothing may be written
    notices: tuple[str, ...]

    def __call__(self, place: Place) -> Launch:
        """How the server is started at ``place``."""
        program, container = self.installed.program, self.installed.container
        key_variable = program.key_variable if self.takes_key and place.api_key else None
        environment = {name: value for name, value in program.environment.items() if name not in os.environ}
        if key_variable is not None and place.api_key is not None:
            environment[key_variable] = place.api_key
        key_file = self._write_key_file(place.api_key) if place.api_key and self.keeps_key_in_file else None
        arguments = self.arguments(place, key_file)
        if container is None:
            return Launch(command=(*self.installed.command, *arguments), environment=environment)
        name = f"thresher-{program.name}-{secrets.token_hex(4)}"
        folders = [*folders_of(self.model_path), *([] if key_file is None else [key_file.parent])]
        command = container.run(arguments, name=name, place=place, folders=folders, variables=environment)
        return Launch(command=command, environment=environment, cleanup=container.remove(name), listens_itself=False)

    def arguments(self, place: Place, key_file: Path | None = None) -> list[str]:
        """The program's arguments for ``place``, in the spelling of the version that is installed."""
        inside = self.installed.container is not None
        as_argument = self.takes_key and self.installed.program.key_variable is None and key_file is None
        facts = replace(
            self.facts,
            host=INNER_HOST if inside else place.host,
            port=INNER_PORT if inside else place.port,
            api_key=place.api_key if as_argument else None,
            key_file=None if key_file is None else str(key_file),
        )
        spelled, unmet = spell(self.installed.program.wishes(facts), self.known)
        needed = [_names(one) for one in unmet if one.needed]
        if needed:
            raise EngineUnavailableError(
                f"{self.installed.program.name} {self.version} has no option {' and no '.join(needed)}, which Thresher "
                f"needs; install another version, or start it yourself and give its URL to --model"
            )
        return [*self.installed.model_arguments(facts.model_path), *spelled]

    @property
    def takes_key(self) -> bool:
        """Whether this version asks its callers for a key."""
        return _API_KEY in self.known

    @property
    def keeps_key_in_file(self) -> bool:
        """Whether this version reads its key from a file of options, and the file can be written."""
        option = self.installed.program.key_file_option
        return self.takes_key and option in self.known and self.secrets_folder is not None

    def _write_key_file(self, api_key: str) -> Path:
        assert self.secrets_folder is not None, "it was looked for"  # noqa: S101
        path = self.secrets_folder.absolute() / "key.yaml"
        path.unlink(missing_ok=True)
        with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
            file.write(f"{_API_KEY.lstrip('-')}: {json.dumps(api_key)}\n")  # a JSON string is a YAML one
        return path

    def unknown_options(self) -> tuple[str, ...]:
        """What was wished for and this version does not know."""
        _, unmet = spell(self.installed.program.wishes(self.facts), self.known)
        return tuple(_names(one) for one in unmet)

    def shown(self, place: Place) -> str:
        """The command line for people to copy, without the key: a server of their own has its own."""
        launch = self(replace(place, api_key=None))
        return shlex.join([*(f"{name}={value}" for name, value in launch.environment.items()), *launch.command])


def make_launcher(
    program: Program, model: Model, options: EngineOptions, *, scratch: Path | None, say: Callable[[str], None]
) -> Launcher:
    """Find ``program``, ask it what it knows, and choose its settings for ``model``.

    Raises:
        UsageError: an option that it cannot serve, or a kind of model that it does not read.
        EngineUnavailableError: it is not installed, or cannot be asked.
        EngineCapacityError: the model or the context asked for does not fit the memory.
    """
    _check(program, model, options)
    want_gpu = {"cpu": False, "gpu": True}.get(options.device or "")
    installed = find_installed(program, want_gpu=want_gpu)
    if installed.container is not None:
        installed.container.pull(say)
    known, version = installed.options(), installed.version()
    gpus = () if want_gpu is False else installed.gpus(known)
    if want_gpu and not gpus:
        raise EngineUnavailableError(
            f"--device gpu: {program.name} finds no GPU; use --device cpu, or another build of it"
        )
    sizes = _sizes(program, model, options, gpus)
    facts = _facts(installed, model, options, sizes, on_gpu=bool(gpus), scratch=scratch)
    launcher = Launcher(
        installed=installed, known=known, version=version, facts=facts, model_path=model.files.path,
        secrets_folder=scratch, notices=sizes.notices,
    )  # fmt: skip
    return replace(launcher, notices=_notices(launcher, gpus))


def _check(program: Program, model: Model, options: EngineOptions) -> None:
    kind = "gguf" if model.checkpoint is None else "checkpoint"
    if kind != program.reads:
        other = (
            "a GGUF file, or --engine vllm or sglang"
            if kind == "checkpoint"
            else "a checkpoint, or --engine llama-server"
        )
        raise UsageError(
            f"--engine {program.name}: {model.facts.name} is a {kind}, which it is not started with; give {other}"
        )
    if options.device not in {None, "cpu", "gpu"}:
        raise UsageError(f"--device {options.device}: a server that Thresher starts knows cpu and gpu")
    if options.device == "cpu" and program.reads == "checkpoint":
        raise UsageError(
            f"--device cpu: {program.name} is started for GPUs only; use --engine llama-server or llamacpp"
        )
    if options.precision.lower() not in {"auto", model.facts.quantization.lower()}:
        raise UsageError(
            f"--precision {options.precision}: {program.name} is started with the precision of the file, "
            f"{model.facts.quantization}; leave the option out, or give another file"
        )
    if options.weights_memory_bytes is not None:
        raise UsageError(f"--weights-memory: {program.name} keeps all weights in memory; use --engine native")
    check_settings(options.settings, program.name)


def _sizes(program: Program, model: Model, options: EngineOptions, gpus: Sequence[GpuFacts]) -> Sizes:
    sizes = llama_server_sizes if program.reads == "gguf" else batching_sizes
    return sizes(model, options, gpus)


def _facts(
    installed: Installed, model: Model, options: EngineOptions, sizes: Sizes, *, on_gpu: bool, scratch: Path | None
) -> LaunchFacts:
    inner_scratch = _INNER_SCRATCH if installed.container is not None else None
    return LaunchFacts(
        model_path=str(model.files.path.absolute()),
        model_name=model.facts.name,
        host="",
        port=0,
        context_tokens=sizes.context_tokens,
        slots=sizes.slots,
        on_gpu=on_gpu,
        gpus=sizes.gpus,
        threads=options.threads,
        micro_batch_tokens=sizes.micro_batch_tokens,
        full_precision=model.facts.quantization == "F32",
        recurrent=model.facts.recurrent,
        scratch_folder=inner_scratch or (None if scratch is None else str(scratch)),
    )


def _notices(launcher: Launcher, gpus: Sequence[GpuFacts]) -> tuple[str, ...]:
    program, facts = launcher.installed.program, launcher.facts
    where = "on the CPU"
    if facts.on_gpu:
        where = f"on {', '.join(gpu.name for gpu in gpus)}"
    elif program.reads == "checkpoint":
        where = "on the GPUs that it finds"
    chosen = (
        f"{program.name} {launcher.version} is started {where}: {facts.slots} requests at once of up to "
        f"{facts.context_tokens:,} tokens"
    )
    unknown = launcher.unknown_options()
    missing = (f"this {program.name} has no option {', '.join(unknown)}; it is started without",) if unknown else ()
    return (chosen, *launcher.notices, *missing, *_exposure(launcher))


def _exposure(launcher: Launcher) -> tuple[str, ...]:
    program = launcher.installed.program
    option = program.key_file_option
    if option is None or option in launcher.known or not launcher.takes_key:
        return ()
    return (
        f"this {program.name} has no option {option}: its key stands in the list of processes, where other users of "
        f"this machine can see it for as long as the server runs; a newer {program.name} reads it from a file",
    )


def _names(one: Wish) -> str:
    return " or ".join(name for name, _ in one.spellings)
