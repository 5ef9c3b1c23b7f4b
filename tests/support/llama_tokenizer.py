"""llama.cpp's own tokenizer, to compare with: loads the vocabulary of a GGUF file and nothing else."""

from __future__ import annotations

import ctypes
from pathlib import Path

from thresher.engines.llamacpp.binding import open_binding


class LlamaTokenizer:
    def __init__(self, path: Path) -> None:
        self._binding = open_binding(want_gpu=False)
        params = self._binding.model_params()
        params.vocab_only = True
        self._model = self._binding.call.llama_model_load_from_file(str(path).encode(), params)
        assert self._model, f"llama.cpp cannot load the vocabulary of {path}"
        self._vocab = self._binding.call.llama_model_get_vocab(self._model)

    def encode(self, text: str, *, parse_special: bool = False) -> list[int]:
        data = text.encode("utf-8")
        tokens = (ctypes.c_int32 * (len(data) + 8))()
        count = self._binding.call.llama_tokenize(
            self._vocab, data, len(data), tokens, len(tokens), False, parse_special
        )
        assert count >= 0
        return list(tokens[:count])

    def close(self) -> None:
        self._binding.call.llama_model_free(self._model)
