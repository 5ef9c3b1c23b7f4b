"""A program with llama-server's options that runs the server inside the xllamacpp wheel, which has its routes.

What tests do to it comes in variables: ``TEST_SERVER_STARTS`` names a file to which every start adds its process id;
``TEST_SERVER_DELAY_S`` is how long it waits before it loads the model;
``TEST_SERVER_ABORT_ON`` holds token ids (JSON): a request that has them one after the other aborts the process.
"""

from __future__ import annotations

import argparse
import http.client
import http.server
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

#: Names and value of the options of llama.cpp b11434 that matter here, as its help has them.
OPTIONS: tuple[tuple[str, str], ...] = (
    ("-h,    --help, --usage", ""),
    ("--version", ""),
    ("-t,    --threads", "N"),
    ("-c,    --ctx-size", "N"),
    ("-b,    --batch-size", "N"),
    ("-ub,   --ubatch-size", "N"),
    ("-fa,   --flash-attn", "[on|off|auto]"),
    ("-dev,  --device", "<dev1,dev2,..>"),
    ("--list-devices", ""),
    ("-ngl,  --gpu-layers, --n-gpu-layers", "N"),
    ("-m,    --model", "FNAME"),
    ("-a,    --alias", "STRING"),
    ("--offline", ""),
    ("-cram, --cache-ram", "N"),
    ("-kvu,  --kv-unified, -no-kvu, --no-kv-unified", ""),
    ("--cache-idle-slots, --no-cache-idle-slots", ""),
    ("--context-shift, --no-context-shift", ""),
    ("-np,   --parallel", "N"),
    ("--mmproj-auto, --no-mmproj, --no-mmproj-auto", ""),
    ("--host", "HOST"),
    ("--port", "PORT"),
    ("--ui,  --webui, --no-ui, --no-webui", ""),
    ("--api-key", "KEY"),
    ("--slot-save-path", "PATH"),
    ("-rea,  --reasoning", "[on|off|auto]"),
)
VERSION = "11549"


def main() -> None:
    arguments = _parse()
    if arguments.help:
        print("----- common params -----\n")
        for names, value in OPTIONS:
            option, meaning = f"{names} {value}".rstrip(), "what it means (default: something)"
            print(option.ljust(40) + meaning if len(option) < 40 else f"{option}\n{'':40}{meaning}")
    elif arguments.version:
        print(f"version: {VERSION} (xllamacpp)\nbuilt with a wheel", file=sys.stderr)
    elif arguments.list_devices:
        print("Available devices:\n  (none)")
    else:
        serve(arguments)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    for names, value in OPTIONS:
        flags = [name.strip() for name in names.split(",")]
        if value:
            parser.add_argument(*flags, dest=flags[-1].lstrip("-").replace("-", "_"))
        else:
            for flag in flags:
                parser.add_argument(flag, action="store_true")
    return parser.parse_args()


def serve(arguments: argparse.Namespace) -> None:
    if starts := os.environ.get("TEST_SERVER_STARTS"):
        with Path(starts).open("a") as file:
            file.write(f"{os.getpid()}\n")
    time.sleep(float(os.environ.get("TEST_SERVER_DELAY_S", "0")))
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = arguments.model
    params.model_alias = {arguments.alias or "model"}
    params.n_parallel, params.n_ctx = int(arguments.parallel or 1), int(arguments.ctx_size or 0)
    params.n_batch, params.n_ubatch = int(arguments.batch_size or 2048), int(arguments.ubatch_size or 512)
    params.kv_unified, params.cache_idle_slots = not arguments.no_kv_unified, not arguments.no_cache_idle_slots
    params.cache_ram_mib, params.n_gpu_layers = int(arguments.cache_ram or 8192), 0
    params.enable_reasoning, params.ui = -1 if arguments.reasoning != "off" else 0, False
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = int(arguments.threads or os.cpu_count() or 1)
    params.slot_save_path = f"{arguments.slot_save_path}/" if arguments.slot_save_path else ""
    if key := os.environ.get("LLAMA_API_KEY"):
        params.api_keys = [key]
    abort_on = json.loads(os.environ.get("TEST_SERVER_ABORT_ON", "null"))
    params.port = 0 if abort_on else int(arguments.port)
    server = xllamacpp.Server(params)
    print(f"main: server is listening on {server.listening_address}", flush=True)
    if abort_on:
        inner = int(server.listening_address.rsplit(":", 1)[1])
        proxy = http.server.ThreadingHTTPServer((arguments.host, int(arguments.port)), _proxy_to(inner, abort_on))
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
    signal.sigwait({signal.SIGTERM})
    os._exit(0)


def _proxy_to(port: int, abort_on: list[int]) -> type[http.server.BaseHTTPRequestHandler]:
    class Proxy(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.command == "POST" and _holds(json.loads(body or b"null"), abort_on):
                print("GGML_ASSERT(false) failed: that document", flush=True)
                os.abort()
            connection = http.client.HTTPConnection("127.0.0.1", port)
            connection.request(self.command, self.path, body, dict(self.headers))
            answer = connection.getresponse()
            content = answer.read()
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.headers.get("Content-Type", "application/json"))
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    return Proxy


def _holds(value: Any, tokens: list[int]) -> bool:
    """Whether ``value`` has a list in it with ``tokens`` one after the other."""
    if isinstance(value, dict):
        return any(_holds(part, tokens) for part in value.values())
    if isinstance(value, list):
        found = any(value[at : at + len(tokens)] == tokens for at in range(len(value)))
        return found or any(_holds(part, tokens) for part in value if isinstance(part, (list, dict)))
    return False


if __name__ == "__main__":
    main()
