"""Finds and loads the shared library that holds llama.cpp.

Two Python packages bring one: ``xllamacpp`` (prebuilt for CPUs, pinned by this project) and
``llama-cpp-python`` (which people build for CUDA or Metal). Neither package's own Python layer is used for
computing; the first is not even imported, the second only for its parameter structures.
"""

from __future__ import annotations

import ctypes
import importlib
import importlib.metadata
import importlib.util
import os
from dataclasses import dataclass
from pathlib import Path

from thresher.engines.llamacpp import structures
from thresher.errors import EngineUnavailableError

REMEDY = "install the version this release of Thresher was tested with: pip install 'xllamacpp==2026.10.11549'"

#: How often an idle thread looks for work before it sleeps. 1,000 are about ten microseconds.
_SPINS = "1000"


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """A loaded llama.cpp and the structures that its build uses."""

    package: str
    version: str
    path: Path
    functions: ctypes.CDLL
    model_params: type[ctypes.Structure]
    context_params: type[ctypes.Structure]
    supports_gpu: bool

    @property
    def title(self) -> str:
        """Name and version for messages and for the engine's ``version``."""
        build = f", llama.cpp b{self.version.rsplit('.', 1)[-1]}" if self.package == "xllamacpp" else ""
        return f"{self.package} {self.version}{build}"


def load_library(*, want_gpu: bool) -> Library:
    """The library to compute with: one that can use a GPU if that is wanted, else the pinned CPU build.

    Raises ``EngineUnavailableError`` when no package is installed, or none can be loaded.
    """
    problems: list[str] = []
    loaded: list[Library] = []
    for load in (_load_xllamacpp, _load_llama_cpp_python):
        try:
            library = load()
        except EngineUnavailableError as error:
            problems.append(str(error))
            continue
        if library is not None:
            loaded.append(library)
            if library.supports_gpu or not want_gpu:
                return library
    if loaded:
        return loaded[0]
    reason = "; ".join(problems) or "neither xllamacpp nor llama-cpp-python is installed"
    raise EngineUnavailableError(f"llama.cpp cannot be loaded: {reason}; {REMEDY}")


def _load_xllamacpp() -> Library | None:
    spec = importlib.util.find_spec("xllamacpp")
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent
    path = next((p for p in sorted(folder.glob("xllamacpp*")) if p.suffix in {".so", ".pyd", ".dylib"}), None)
    if path is None:
        raise EngineUnavailableError(f"xllamacpp in {folder} has no compiled library")
    version = importlib.metadata.version("xllamacpp")
    functions = _open_library(path)
    return _make_library("xllamacpp", version, path, functions, structures.ModelParams, structures.ContextParams)


def _load_llama_cpp_python() -> Library | None:
    if importlib.util.find_spec("llama_cpp") is None:
        return None
    _set_thread_policy()
    try:
        module = importlib.import_module("llama_cpp.llama_cpp")
    except (ImportError, OSError, RuntimeError) as error:
        raise EngineUnavailableError(f"llama-cpp-python cannot be imported: {_explain(str(error))}") from error
    path = Path(module._lib._name)
    version = importlib.metadata.version("llama-cpp-python")
    functions = _open_library(path)
    return _make_library(
        "llama-cpp-python", version, path, functions, module.llama_model_params, module.llama_context_params
    )


def _make_library(
    package: str,
    version: str,
    path: Path,
    functions: ctypes.CDLL,
    model_params: type[ctypes.Structure],
    context_params: type[ctypes.Structure],
) -> Library:
    try:
        functions.llama_supports_gpu_offload.restype = ctypes.c_bool
        supports_gpu = bool(functions.llama_supports_gpu_offload())
    except AttributeError as error:
        raise EngineUnavailableError(f"{package} {version} does not export the C API of llama.cpp") from error
    return Library(
        package=package,
        version=version,
        path=path,
        functions=functions,
        model_params=model_params,
        context_params=context_params,
        supports_gpu=supports_gpu,
    )


def _open_library(path: Path) -> ctypes.CDLL:
    _set_thread_policy()
    try:
        return ctypes.CDLL(str(path))
    except OSError as error:
        raise EngineUnavailableError(f"{path.name} cannot be loaded: {_explain(str(error))}") from error


def _set_thread_policy() -> None:
    """Idle OpenMP threads spin for microseconds, then sleep, unless the user chose otherwise.

    A prompt is thousands of short parallel regions, so threads that sleep at once are waked all the time; threads that
    spin for long take the cores from the tokenizer and the parsers (measured: docs/llamacpp.md).
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", _SPINS)  # libgomp's; other runtimes know only the policy
        os.environ["OMP_WAIT_POLICY"] = "passive"


def _explain(message: str) -> str:
    if "libgomp" in message:
        return (
            f"{message}. The OpenMP runtime is missing; install it: "
            "'apt install libgomp1' (Debian, Ubuntu) or 'dnf install libgomp' (Fedora, RHEL)"
        )
    return message
