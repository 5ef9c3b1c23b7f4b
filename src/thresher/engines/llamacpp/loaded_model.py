"""One loaded ``llama_model``."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Sequence
from pathlib import Path

from thresher.engines.llamacpp.binding import Binding
from thresher.errors import EngineCapacityError, EngineError, ModelFormatError

#: More layers than any model has: all of them.
_ALL_LAYERS = 9999


class LoadedModel:
    """Weights and vocabulary of one GGUF model, shared by the contexts made from it."""

    def __init__(self, binding: Binding, path: Path, *, on_gpu: bool) -> None:
        """Load ``path``, which is the first shard of a model in several.

        Raises ``ModelFormatError`` for what llama.cpp cannot read, ``EngineCapacityError`` for what does not fit.
        """
        self._binding = binding
        self._call = binding.call
        self.path = path
        self.handle = self._load(on_gpu)
        self.vocabulary = int(self._call.llama_model_get_vocab(self.handle))
        self.vocabulary_size = int(self._call.llama_vocab_n_tokens(self.vocabulary))
        self.keeps_state = bool(
            self._call.llama_model_is_recurrent(self.handle) or self._call.llama_model_is_hybrid(self.handle)
        )
        self._refuse_other_kinds()

    def _load(self, on_gpu: bool) -> int:
        params = self._binding.model_params()
        no_devices = (ctypes.c_void_p * 1)(None)
        if on_gpu:
            params.n_gpu_layers = _ALL_LAYERS
        else:
            params.n_gpu_layers = 0
            params.devices = ctypes.cast(no_devices, ctypes.c_void_p).value  # an empty list: not even large products
        self._binding.log.clear()
        handle = self._call.llama_model_load_from_file(str(self.path).encode(), params)
        if not handle:
            raise self._explain(self._binding.log.errors())
        return int(handle)

    def _explain(self, lines: Sequence[str]) -> EngineError | ModelFormatError:
        text = " ".join(lines)
        title = self._binding.library.title
        unknown = re.search(r"unknown model architecture: '([^']*)'", text)
        if unknown:
            return ModelFormatError(
                f"{self.path}: {title} does not know the architecture {unknown[1]!r}; "
                "use a model of an architecture it knows, or a later release of Thresher"
            )
        if re.search(r"failed to allocate|unable to allocate|out of memory|alloc_tensor_range", text):
            return EngineCapacityError(
                f"{self.path}: {title} cannot get the memory for the weights; use a smaller quantization ({lines[-1]})"
            )
        said = re.sub(r"^\w+: (error loading model: )?", "", lines[0]) if lines else "it gave no reason"
        return ModelFormatError(f"{self.path}: {title} cannot load this model: {said}; download or convert it again")

    def _refuse_other_kinds(self) -> None:
        if self._call.llama_model_has_encoder(self.handle) or self._call.llama_model_is_diffusion(self.handle):
            self.close()
            raise ModelFormatError(
                f"{self.path}: not a model that continues text (it has an encoder or denoises); use a causal model"
            )

    def close(self) -> None:
        """Free the weights. Safe to call twice; contexts must be closed before."""
        if self.handle:
            self._call.llama_model_free(self.handle)
            self.handle = 0
