"""The servers that can be started here: how they are called, found, asked and installed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from thresher.engines.servers.managed.facts import LaunchFacts
from thresher.engines.servers.managed.options import Wish
from thresher.engines.servers.managed.recipes import llama_server, sglang, vllm


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """The official container of a program; what it runs is named, because entry points changed between versions."""

    gpu: str
    cpu: str | None  # None: it needs a GPU
    entry_point: str
    arguments: tuple[str, ...]  # between the entry point and the options


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """One kind of server. Names of variables hold a command or an image."""

    name: str  # of the engine
    executable: str  # looked for on the PATH
    subcommand: tuple[str, ...]  # between it and its options
    help_arguments: tuple[tuple[str, ...], ...]  # that print all options; the first that do
    version_arguments: tuple[str, ...]
    variable: str
    image: Image
    image_variable: str
    install: str  # how, for people
    wishes: Callable[[LaunchFacts], list[Wish]]
    reads: str  # the kind of model: "gguf" or "checkpoint"
    model_is_positional: bool = False
    key_variable: str | None = None  # of the environment it takes its API key from; None: an option only
    key_file_option: str | None = None  # that names a YAML file of options, which may hold the key
    environment: Mapping[str, str]  # set unless the user has


#: Idle OpenMP threads look for work a thousand times and then sleep; by themselves they keep the cores busy that others
#: need. See docs/llamacpp.md for what that costs and gains.
PATIENT_OPENMP = {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "1000"}

PROGRAMS: Mapping[str, Program] = {
    "llama-server": Program(
        name="llama-server",
        executable="llama-server",
        subcommand=(),
        help_arguments=(("--help",),),
        version_arguments=("--version",),
        variable="THRESHER_LLAMA_SERVER",
        image=Image(
            gpu="ghcr.io/ggml-org/llama.cpp:server-cuda",
            cpu="ghcr.io/ggml-org/llama.cpp:server",
            entry_point="/app/llama-server",
            arguments=(),
        ),
        image_variable="THRESHER_LLAMA_SERVER_IMAGE",
        install="install llama.cpp (a package of your system, or a build from its repository)",
        wishes=llama_server.wishes,
        reads="gguf",
        key_variable="LLAMA_API_KEY",
        environment=PATIENT_OPENMP,
    ),
    "vllm": Program(
        name="vllm",
        executable="vllm",
        subcommand=("serve",),
        help_arguments=(("--help=all",), ("--help",)),
        version_arguments=("--version",),
        variable="THRESHER_VLLM",
        image=Image(gpu="vllm/vllm-openai:latest", cpu=None, entry_point="vllm", arguments=("serve",)),
        image_variable="THRESHER_VLLM_IMAGE",
        install="pip install vllm, in an environment of its own",
        wishes=vllm.wishes,
        reads="checkpoint",
        model_is_positional=True,
        key_variable="VLLM_API_KEY",
        environment={"VLLM_NO_USAGE_STATS": "1"},
    ),
    "sglang": Program(
        name="sglang",
        executable="sglang",
        subcommand=("serve",),
        help_arguments=(("--help",),),
        version_arguments=("version",),
        variable="THRESHER_SGLANG",
        image=Image(
            gpu="lmsysorg/sglang:latest", cpu=None, entry_point="python3", arguments=("-m", "sglang.launch_server")
        ),
        image_variable="THRESHER_SGLANG_IMAGE",
        install="pip install sglang, in an environment of its own",
        wishes=sglang.wishes,
        reads="checkpoint",
        key_file_option="--config",
        environment={},
    ),
}
