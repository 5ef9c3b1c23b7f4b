"""How the registry opens the engines that are servers: one class for each kind."""

from __future__ import annotations

from typing import ClassVar

from thresher.engines.base import Engine, EngineOptions
from thresher.engines.servers.managed.installed import NotInstalledError
from thresher.engines.servers.managed.opening import managed_about, managed_command, managed_version, open_managed
from thresher.engines.servers.managed.programs import PROGRAMS
from thresher.engines.servers.opening import connect
from thresher.errors import EngineUnavailableError, UsageError
from thresher.models.model import Model
from thresher.models.served import ServedModel

NO_COMMAND = (
    "only servers that Thresher starts have a command; give --engine llama-server, vllm or sglang and a model's files"
)


class _Servers:
    """A kind of server, called ``name`` in the registry."""

    name: ClassVar[str]

    @classmethod
    def open(cls, model: Model | ServedModel, options: EngineOptions) -> Engine:
        """Drive the servers that hold ``model``; one in files is served first, by a program that is started for it."""
        if isinstance(model, ServedModel):
            return connect(cls.name, model, options)
        if cls.name in PROGRAMS:
            return open_managed(cls.name, model, options)
        raise EngineUnavailableError(
            f"--engine {cls.name}: start the server with {model.files.reference}, and give its address to --model "
            "(http://HOST:PORT)"
        )

    @classmethod
    def command(cls, model: Model | ServedModel, options: EngineOptions) -> str:
        """The command line that would serve ``model``."""
        if isinstance(model, ServedModel) or cls.name not in PROGRAMS:
            raise UsageError(f"--print-command: {NO_COMMAND}")
        return managed_command(cls.name, model, options)

    @classmethod
    def version(cls) -> str:
        """Of the program that is installed; a server that runs elsewhere says its version when it is asked."""
        try:
            return managed_version(cls.name) if cls.name in PROGRAMS else "any"
        except EngineUnavailableError:
            return "any"

    @classmethod
    def about(cls) -> str:
        """How to use it."""
        running = "a server that runs already: --model http://HOST:PORT"
        if cls.name not in PROGRAMS:
            return running
        try:
            return f"{running}; for models in files started here: {managed_about(cls.name)}"
        except NotInstalledError as error:
            return f"{running}; cannot be started here: {error.reason}"
        except EngineUnavailableError as error:
            return f"{running}; cannot be started here: {error}"

    @staticmethod
    def unsuited(model: Model | ServedModel) -> str:
        """Models in files are read in this process."""
        return "" if isinstance(model, ServedModel) else "it is for servers"


class LlamaServer(_Servers):
    """llama.cpp's server."""

    name = "llama-server"


class Vllm(_Servers):
    """vLLM's server."""

    name = "vllm"


class Sglang(_Servers):
    """SGLang's server."""

    name = "sglang"


class OpenAi(_Servers):
    """Any endpoint that speaks OpenAI's chat completions."""

    name = "openai"
