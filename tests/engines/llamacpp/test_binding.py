"""Finding, loading and checking the library."""

from __future__ import annotations

import ctypes
import importlib.util
from dataclasses import replace

import pytest

from thresher.engines.llamacpp import library, structures
from thresher.engines.llamacpp.binding import Binding, open_binding
from thresher.errors import EngineUnavailableError


def test_the_installed_library_is_the_pinned_one() -> None:
    binding = open_binding(want_gpu=False)
    assert binding.library.title.startswith(("xllamacpp 2026.10.11549, llama.cpp b11549", "llama-cpp-python "))
    assert "=" in binding.system_info()


def test_there_is_one_binding_per_library() -> None:
    assert open_binding(want_gpu=False) is open_binding(want_gpu=False)
    if not open_binding(want_gpu=True).library.supports_gpu:
        assert open_binding(want_gpu=True) is open_binding(want_gpu=False)


class ShiftedParams(ctypes.Structure):
    """As ``llama_context_params``, were a field missing in the middle."""

    _fields_ = tuple(f for f in structures.ContextParams._fields_ if f[0] != "unnamed")


def test_a_library_with_another_layout_is_refused() -> None:
    shifted = replace(library.load_library(want_gpu=False), context_params=ShiftedParams)
    with pytest.raises(EngineUnavailableError, match=r"llama_context_params .* expected .* pip install"):
        Binding(shifted)


def test_a_library_without_a_function_is_refused() -> None:
    loaded = library.load_library(want_gpu=False)
    other = replace(loaded, functions=ctypes.CDLL(None))
    with pytest.raises(EngineUnavailableError, match="lacks the function llama_"):
        Binding(other)


def test_a_missing_openmp_runtime_names_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str) -> ctypes.CDLL:
        raise OSError("libgomp.so.1: cannot open shared object file: No such file or directory")

    monkeypatch.setattr(ctypes, "CDLL", refuse)
    with pytest.raises(EngineUnavailableError, match=r"apt install libgomp1.*dnf install libgomp"):
        library.load_library(want_gpu=False)


def test_no_package_at_all_names_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(EngineUnavailableError, match=r"neither xllamacpp nor llama-cpp-python .* pip install"):
        library.load_library(want_gpu=False)
