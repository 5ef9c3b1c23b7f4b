"""A real llama-server: the one in xllamacpp's wheel, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

#: As the user has it: loading llama.cpp in this process adds to ``os.environ``.
_ENVIRONMENT = {**os.environ, "OMP_WAIT_POLICY": "passive"}


class LlamaServer:
    """Listens at ``url`` from the start on; ``kill`` as ``kill -9``. Started without any cache of idle slots."""

    def __init__(
        self,
        model: Path,
        *,
        slots: int = 4,
        context: int = 4096,
        threads: int = 1,
        saves: Path | None = None,
        port: int = 0,
        folder: Path | None = None,
        full_precision: bool = False,
        more: dict[str, Any] | None = None,
    ) -> None:
        """``context`` is a slot's; ``saves`` as ``--slot-save-path``; ``folder`` is where it
        runs; ``full_precision`` keeps keys and values in float32; ``more`` are fields of ``CommonParams``."""
        settings = {
            "path": str(model), "slots": slots, "context": slots * context, "threads": threads, "port": port,
            "full_precision": full_precision, "saves": None if saves is None else f"{saves}/", "more": more or {},
        }  # fmt: skip
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__)), json.dumps(settings)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=_ENVIRONMENT,
            cwd=folder,
        )
        assert self.process.stdout is not None
        self.url = next((line.split()[1] for line in self.process.stdout if line.startswith("listening ")), "")
        assert self.url, "the server did not start"

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()

    def __enter__(self) -> LlamaServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


def serve(settings: dict[str, Any]) -> None:
    """Run the server until standard input ends."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = settings["path"]
    params.n_parallel, params.n_ctx = settings["slots"], settings["context"]
    params.n_batch, params.n_ubatch = 4096, 2048
    params.kv_unified, params.cache_ram_mib, params.n_gpu_layers, params.cache_idle_slots = False, 0, 0, False
    params.enable_reasoning, params.ui, params.warmup, params.port = 0, False, False, settings["port"]
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = settings["threads"]
    if settings["full_precision"]:
        params.cache_type_k = params.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
        params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    if settings["saves"] is not None:
        params.slot_save_path = settings["saves"]
    for name, value in settings["more"].items():
        setattr(params, name, value)
    server = xllamacpp.Server(params)
    sys.stdout.write(f"\nlistening {server.listening_address}\n")
    sys.stdout.flush()
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    serve(json.loads(sys.argv[1]))
