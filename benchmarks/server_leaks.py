"""Ten thousand short requests through one llama-server on loopback: memory, sockets and threads before and after.

    python -m benchmarks.server_leaks [--requests 10000] [--seconds 540]

The first tenth warms up; then memory is taken after every tenth, here and in the server. It ends after ``--seconds``
whatever was reached, and says how far it came.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import psutil

from benchmarks.machine import save
from tests.support import engine_models
from tests.support.llama_server import LlamaServer
from tests.support.prompts import make_prompt, make_requests
from thresher.engines import open_engine
from thresher.models import ServedModel

_BATCH = 250
_LABELS = ("invoice", "contract", "minutes", "report")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=540.0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        server = LlamaServer(engine_models.shipped().files.path, slots=8, context=512, threads=2, saves=Path(folder))
        with server, open_engine("llama-server", ServedModel(addresses=(server.url,))) as engine:
            prompt = make_prompt(engine.tokenizer, _LABELS)
            samples, sent, failed, start = list[dict[str, Any]](), 0, 0, time.monotonic()
            while sent < arguments.requests and time.monotonic() - start < arguments.seconds:
                documents = [[500 + (sent + n) % 15_000, 700 + n] for n in range(_BATCH)]
                failed += sum(s.failure is not None for s in engine.score(make_requests(prompt, documents)))
                sent += _BATCH
                if sent % max(_BATCH, arguments.requests // 10) == 0:
                    samples.append({"requests": sent, **_look(server.process.pid)})
            seconds = time.monotonic() - start
    save(
        "server_leaks", {"requests": sent, "failed": failed, "requests_per_second": sent / seconds, "samples": samples}
    )


def _look(server: int) -> dict[str, Any]:
    here = psutil.Process()
    return {
        "memory_bytes": here.memory_info().rss,
        "server_memory_bytes": psutil.Process(server).memory_info().rss,
        "sockets": len(here.net_connections()),
        "open_files": here.num_fds(),
        "threads": threading.active_count(),
    }


if __name__ == "__main__":
    main()
