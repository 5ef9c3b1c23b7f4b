"""Stand-ins for servers that cannot run here: they print the options of a named version, and refuse others.

Asked to serve, they say their arguments and the names of what was set in their environment, and answer ``/health``. All
else is passed on to the server whose URL is in ``STUB_SERVER``, from callers with the key that the stand-in was given.
"""

from __future__ import annotations

from pathlib import Path

from tests.support.help_texts import HELP
from tests.support.programs import write_program

_STUB = """
import http.server, json, os, sys, urllib.error, urllib.request
HELP, VERSION, HELP_ARGUMENTS, VERSION_ARGUMENTS = {help!r}, {version!r}, {help_arguments!r}, {version_arguments!r}
arguments = sys.argv[1:]
if arguments == VERSION_ARGUMENTS:
    print(VERSION)
elif arguments == HELP_ARGUMENTS:
    print(HELP)
elif arguments == ["--list-devices"]:
    print("Available devices:\\n  (none)")
elif "--port" not in arguments:
    sys.exit("error: unrecognized arguments: " + " ".join(arguments))
else:
    print("arguments", json.dumps(arguments), flush=True)
    print("variables", json.dumps(sorted(os.environ)), flush=True)
    key = os.environ.get("VLLM_API_KEY")
    if "--api-key" in arguments:
        key = arguments[arguments.index("--api-key") + 1]
    if "--config" in arguments:
        path = arguments[arguments.index("--config") + 1]
        print("mode", oct(os.stat(path).st_mode & 0o777), flush=True)
        with open(path) as file:
            name, _, value = file.read().strip().partition(": ")
        assert name == "api-key" and path.endswith(".yaml")
        key = json.loads(value)
        print(f"server_args=ServerArgs(api_key={{key!r}})", flush=True)  # as the real one does
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        def do_GET(self):
            self.answer(None)
        def do_POST(self):
            self.answer(self.rfile.read(int(self.headers["Content-Length"])))
        def answer(self, body):
            if self.path == "/health":
                self.send(200, b"")
            elif self.headers["Authorization"] != f"Bearer {{key}}":
                self.send(401, b"{{}}")
            else:
                try:
                    with urllib.request.urlopen(os.environ["STUB_SERVER"] + self.path, body) as found:
                        self.send(found.status, found.read())
                except urllib.error.HTTPError as refusal:
                    self.send(refusal.code, refusal.read())
        def send(self, status, content):
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
        def log_message(self, *_):
            pass
    port = int(arguments[arguments.index("--port") + 1])
    http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""
#: Program and version -> what it prints as its version, and what it is asked with.
_VERSIONS = {
    ("llama-server", "b11434"): ("version: 11434 (unknown)\nbuilt with GNU 12.2.0", ["--help"], ["--version"]),
    ("llama-server", "2025-02"): ("version: 4700 (abcdef1)\nbuilt with cc", ["--help"], ["--version"]),
    ("vllm", "0.30.0"): ("0.30.0", ["serve", "--help=all"], ["--version"]),
    ("vllm", "0.8.5"): ("0.8.5", ["serve", "--help"], ["--version"]),
    ("sglang", "0.5.23"): ("sglang version: 0.5.23\ngit revision: abcdef1", ["serve", "--help"], ["version"]),
    ("sglang", "0.4.6"): ("sglang version: 0.4.6", ["serve", "--help"], ["version"]),
}


def write_stub(folder: Path, name: str, version: str) -> Path:
    """An executable called ``name`` in ``folder``, as it was in ``version``."""
    told, help_arguments, version_arguments = _VERSIONS[name, version]
    source = _STUB.format(
        help=HELP[name, version], version=told, help_arguments=help_arguments, version_arguments=version_arguments
    )
    return write_program(folder / name, source)


#: Speaks like docker: has one image, and runs what it is given from a folder of programs. ``DOCKER_LOG`` is a file to
#: which it writes its commands.
_DOCKER = """
import json, os, subprocess, sys
arguments = sys.argv[1:]
with open(os.environ["DOCKER_LOG"], "a") as log:
    log.write(json.dumps(arguments) + "\\n")
if arguments[0] == "version" and os.environ.get("DOCKER_DAEMON") == "down":
    print("Client: Docker Engine - Community\\n Version:           29.0.0\\n Context:           default")
    sys.exit("a warning\\nCannot connect to the Docker daemon. Is the docker daemon running?")
if arguments[:2] == ["image", "inspect"] and os.environ.get("DOCKER_IMAGE") == "missing":
    sys.exit("No such image")
if arguments[0] == "run":
    entry_point = arguments.index("--entrypoint")
    program, rest = arguments[entry_point + 1], arguments[entry_point + 3 :]
    if "--publish" in arguments:
        host, port, inner = arguments[arguments.index("--publish") + 1].split(":")
        rest[rest.index("--port") + 1] = port  # the network inside is not that outside
    path = os.path.join({programs!r}, os.path.basename(program))
    os.execv(path, [path, *rest])
"""


def write_docker(folder: Path, programs: Path) -> Path:
    """An executable ``docker`` whose containers hold the executables of ``programs``."""
    return write_program(folder / "docker", _DOCKER.format(programs=str(programs)))
