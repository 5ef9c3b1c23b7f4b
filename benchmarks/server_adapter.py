"""Thresher's llama-server adapter beside a plain chat client, on one and the same server in the same run.

    python -m benchmarks.server_adapter [--model demo | ...] [--case prefix-500 | seed] [--documents 24] [--rounds 3]

The server runs on loopback in its own process with 8 slots and ``--slot-save-path``. The client is that of
``benchmarks.llamacpp_server``: a chat request a document, 8 at a time, with a grammar of the labels and thinking off.
Each round reads other documents; in a round each has its turn, and all slots are emptied before it. ``cached_share`` is
the share of prompt tokens that the server says it did not compute.
"""

from __future__ import annotations

import argparse
import tempfile
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.llamacpp_server import (
    CONCURRENCY,
    OVERHEAD_TOKENS,
    Client,
    InProcess,
    Round,
    ServedModel,
    document_lengths,
    make_head,
    parse_arguments,
    summarize,
    take_turns,
)
from benchmarks.machine import save
from benchmarks.random_models import open_named
from thresher.engines import open_engine
from thresher.models import ServedModel as Served


def main() -> None:
    arguments: argparse.Namespace = parse_arguments()
    with tempfile.TemporaryDirectory() as folder:
        model = open_named(arguments.model, Path(folder))
        lengths, head = document_lengths(arguments), make_head()
        tokens_per_slot = max(lengths) + OVERHEAD_TOKENS
        server = ServedModel(model, CONCURRENCY, tokens_per_slot, arguments.threads, saves=Path(folder))
        with open_engine("llama-server", Served(addresses=(server.url,))) as engine:
            systems: dict[str, Callable[[Sequence[str]], Round]] = {
                "thresher": Fresh(server, InProcess(engine, model, head, server.processor_seconds)),
                "plain client, 8 at a time": Fresh(server, Client(server, head)),
            }
            rounds = take_turns(systems, model, lengths, arguments.rounds)
        server.close()
    figures = summarize(rounds)
    for system in figures.values():
        system["cached_share"] = 1 - system["computed_tokens_per_document"] / system["prompt_tokens_per_document"]
    report = {
        "model": model.facts.name, "parameters": model.facts.parameters, "case": arguments.case,
        "shrink": arguments.shrink, "rounds": arguments.rounds, "document_tokens": lengths,
        "threads": arguments.threads, "slots": CONCURRENCY, "systems": figures,
    }  # fmt: skip
    save(f"server_adapter_{arguments.case}_{arguments.model}", report)


class Fresh:
    """A system whose turns find the server's slots empty; emptying is not timed."""

    def __init__(self, server: ServedModel, system: Callable[[Sequence[str]], Round]) -> None:
        self._server = server
        self._system = system

    def __call__(self, texts: Sequence[str]) -> Round:
        for slot in range(CONCURRENCY):
            url = f"{self._server.url}/slots/{slot}?action=erase"
            request = urllib.request.Request(url, b"{}", {"Content-Type": "application/json"})
            with urllib.request.urlopen(request, timeout=60):
                pass
        return self._system(texts)


if __name__ == "__main__":
    main()
