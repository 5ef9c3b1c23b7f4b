"""Which kinds of server there are, and which one answers at an address."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import cast

from thresher.engines.servers.adapter import AdapterKind
from thresher.engines.servers.client.transport import Client
from thresher.engines.servers.fault import AbsentError, BadAnswerError, BadRequestError

#: Name of the engine -> its adapter, in the order in which ``auto`` asks: what every server can do comes last.
ADAPTERS: Mapping[str, str] = {
    "llama-server": "thresher.engines.servers.llama_server.adapter:LlamaServer",
    "vllm": "thresher.engines.servers.vllm.adapter:Vllm",
    "sglang": "thresher.engines.servers.sglang.adapter:Sglang",
    "openai": "thresher.engines.servers.openai.adapter:OpenAi",
}


def adapter_kind(name: str) -> AdapterKind:
    """The adapter of the engine called ``name``, which must be in :data:`ADAPTERS`."""
    module, _, kind = ADAPTERS[name].partition(":")
    return cast(AdapterKind, getattr(importlib.import_module(module), kind))


async def detect(client: Client) -> str:
    """The name of the engine for the server that ``client`` speaks with.

    Raises:
        AbsentError: it is none of those known.
        ServerError: it cannot be asked.
    """
    for name in ADAPTERS:
        try:
            if await adapter_kind(name).recognises(client):
                return name
        except (AbsentError, BadAnswerError, BadRequestError):
            continue
    raise AbsentError(
        f"{client.address}: a server answers there, but it is none of {', '.join(ADAPTERS)}; mend the address, or name "
        "the kind of server with --engine"
    )
