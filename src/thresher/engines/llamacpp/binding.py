"""The functions of ``llama.h`` that this engine calls, with their types, behind an ABI check.

ctypes releases the interpreter lock during every call. Nothing here keeps state beyond the loaded library.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from ctypes import POINTER, c_bool, c_char_p, c_float, c_int32, c_size_t, c_uint32, c_uint64, c_void_p
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from thresher.engines.llamacpp import structures
from thresher.engines.llamacpp.library import REMEDY, Library, load_library
from thresher.engines.llamacpp.log import LOG_CALLBACK, LogCapture
from thresher.errors import EngineUnavailableError

#: Function -> (result type, argument types). ``None`` stands for ``void``.
SIGNATURES: Mapping[str, tuple[Any, tuple[Any, ...]]] = {
    "llama_backend_init": (None, ()),
    "llama_log_set": (None, (LOG_CALLBACK, c_void_p)),
    "llama_print_system_info": (c_char_p, ()),
    "llama_model_free": (None, (c_void_p,)),
    "llama_model_get_vocab": (c_void_p, (c_void_p,)),
    "llama_model_n_ctx_train": (c_int32, (c_void_p,)),
    "llama_model_size": (c_uint64, (c_void_p,)),
    "llama_model_has_encoder": (c_bool, (c_void_p,)),
    "llama_model_is_recurrent": (c_bool, (c_void_p,)),
    "llama_model_is_hybrid": (c_bool, (c_void_p,)),
    "llama_model_is_diffusion": (c_bool, (c_void_p,)),
    "llama_vocab_n_tokens": (c_int32, (c_void_p,)),
    "llama_tokenize": (c_int32, (c_void_p, c_char_p, c_int32, c_void_p, c_int32, c_bool, c_bool)),
    "llama_detokenize": (c_int32, (c_void_p, c_void_p, c_int32, c_void_p, c_int32, c_bool, c_bool)),
    "llama_free": (None, (c_void_p,)),
    "llama_n_ctx": (c_uint32, (c_void_p,)),
    "llama_n_seq_max": (c_uint32, (c_void_p,)),
    "llama_n_batch": (c_uint32, (c_void_p,)),
    "llama_n_ubatch": (c_uint32, (c_void_p,)),
    "llama_get_memory": (c_void_p, (c_void_p,)),
    "llama_memory_clear": (None, (c_void_p, c_bool)),
    "llama_memory_seq_rm": (c_bool, (c_void_p, c_int32, c_int32, c_int32)),
    "llama_memory_seq_cp": (None, (c_void_p, c_int32, c_int32, c_int32, c_int32)),
    "llama_memory_seq_pos_max": (c_int32, (c_void_p, c_int32)),
    "llama_decode": (c_int32, (c_void_p, structures.Batch)),
    "llama_get_logits_ith": (POINTER(c_float), (c_void_p, c_int32)),
    "ggml_backend_dev_count": (c_size_t, ()),
    "ggml_backend_dev_get": (c_void_p, (c_size_t,)),
    "ggml_backend_dev_type": (c_int32, (c_void_p,)),
    "ggml_backend_dev_description": (c_char_p, (c_void_p,)),
    "ggml_backend_dev_memory": (None, (c_void_p, POINTER(c_size_t), POINTER(c_size_t))),
}


#: Values of ``enum ggml_backend_dev_type`` for GPUs with memory of their own and with the host's.
_GPU_TYPES = (1, 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """A device llama.cpp can compute on."""

    description: str
    free_bytes: int


class Binding:
    """``binding.call.llama_decode(...)`` and the like, for one library."""

    def __init__(self, library: Library) -> None:
        self.library = library
        self.log = LogCapture()
        self.call: Any = library.functions
        self._declare()
        self._check_defaults()
        self.call.llama_log_set(self.log.callback, None)
        self.call.llama_backend_init()

    def _declare(self) -> None:
        signatures = {
            **SIGNATURES,
            "llama_model_default_params": (structures.with_slack(self.library.model_params), ()),
            "llama_context_default_params": (structures.with_slack(self.library.context_params), ()),
            "llama_model_load_from_file": (c_void_p, (c_char_p, self.library.model_params)),
            "llama_init_from_model": (c_void_p, (c_void_p, self.library.context_params)),
        }
        for name, (result, arguments) in signatures.items():
            try:
                function = getattr(self.call, name)
            except AttributeError as error:
                raise EngineUnavailableError(f"{self.library.title} lacks the function {name}; {REMEDY}") from error
            function.restype, function.argtypes = result, list(arguments)

    def _check_defaults(self) -> None:
        pinned = self.library.package == "xllamacpp"
        model = {**structures.COMMON_MODEL_DEFAULTS, **(structures.PINNED_MODEL_DEFAULTS if pinned else {})}
        context = {**structures.COMMON_CONTEXT_DEFAULTS, **(structures.PINNED_CONTEXT_DEFAULTS if pinned else {})}
        self._compare("llama_model_params", self.model_params(), model)
        self._compare("llama_context_params", self.context_params(), context)

    def model_params(self) -> Any:
        """The library's default ``llama_model_params``."""
        return self.call.llama_model_default_params().params

    def context_params(self) -> Any:
        """The library's default ``llama_context_params``."""
        return self.call.llama_context_default_params().params

    def _compare(self, name: str, answered: ctypes.Structure, expected: Mapping[str, float]) -> None:
        for field, value in expected.items():
            found = getattr(answered, field, None)
            if found != value:
                raise EngineUnavailableError(
                    f"{self.library.title} lays out {name} in a way this release does not know: "
                    f"{field} is {found}, expected {value}; {REMEDY}"
                )

    def gpus(self) -> list[Gpu]:
        """The GPUs that the library finds, with their free memory now."""
        found: list[Gpu] = []
        for index in range(self.call.ggml_backend_dev_count()):
            device = self.call.ggml_backend_dev_get(index)
            if self.call.ggml_backend_dev_type(device) in _GPU_TYPES:
                free, total = c_size_t(), c_size_t()
                self.call.ggml_backend_dev_memory(device, ctypes.byref(free), ctypes.byref(total))
                description = self.call.ggml_backend_dev_description(device).decode("utf-8", "replace")
                found.append(Gpu(description=description, free_bytes=free.value))
        return found

    def system_info(self) -> str:
        """The instruction sets and backends the library uses on this machine."""
        return str(self.call.llama_print_system_info().decode("utf-8", "replace")).strip(" |")


#: One per library, because a library has one log.
_bindings: dict[Path, Binding] = {}


@cache
def open_binding(*, want_gpu: bool) -> Binding:
    """The binding of this process; loading happens once. Raises ``EngineUnavailableError``."""
    library = load_library(want_gpu=want_gpu)
    if library.path not in _bindings:
        _bindings[library.path] = Binding(library)
    return _bindings[library.path]
