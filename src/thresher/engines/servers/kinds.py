"""How the registry opens the engines that are servers: one class for each kind."""

from __future__ import annotations

from typing import ClassVar

from thresher.engines.base import Engine, EngineOptions
from thresher.engines.servers.opening import connect
from thresher.errors import EngineUnavailableError
from thresher.models.model import Model
from thresher.models.served import ServedModel


class _Servers:
    """A kind of server, called ``name`` in the registry."""

    name: ClassVar[str]

    @classmethod
    def open(cls, model: Model | ServedModel, options: EngineOptions) -> Engine:
        """Drive the servers that hold ``model``."""
        if isinstance(model, ServedModel):
            return connect(cls.name, model, options)
        raise EngineUnavailableError(
            f"--engine {cls.name}: start the server with {model.files.reference}, and give its address to --model "
            "(http://HOST:PORT)"
        )

    @staticmethod
    def version() -> str:
        """It runs elsewhere, and says its version when it is asked."""
        return "any"

    @staticmethod
    def about() -> str:
        """How to use it."""
        return "a server that runs already: --model http://HOST:PORT"

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
