"""llama.cpp's own tokenizer, for vocabularies that the fast one does not serve."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import numpy as np

from thresher.engines.llamacpp.binding import Binding
from thresher.engines.llamacpp.loaded_model import LoadedModel
from thresher.errors import EngineError


class LlamaTokenizer:
    """A :class:`~thresher.models.tokenizer.Tokenizer` over a loaded model; usable until the model is closed."""

    def __init__(self, binding: Binding, model: LoadedModel) -> None:
        self._call = binding.call
        self._model = model

    @property
    def vocabulary_size(self) -> int:
        """Tokens in the vocabulary."""
        return self._model.vocabulary_size

    def encode(self, text: str) -> list[int]:
        """Plain text; the name of a control token in it is text."""
        return self._tokenize(text, parse_special=False)

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """As ``encode``, for each text."""
        return [self.encode(text) for text in texts]

    def encode_template(self, text: str) -> list[int]:
        """Text of a chat template, where control tokens mean themselves."""
        return self._tokenize(text, parse_special=True)

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of ``tokens``, control tokens written out."""
        ids = np.array(tokens, dtype=np.int32)
        room = 16 + 8 * len(ids)
        while True:
            buffer = ctypes.create_string_buffer(room)
            written = self._call.llama_detokenize(
                self._vocabulary(), ids.ctypes.data, len(ids), ctypes.addressof(buffer), room, False, True
            )
            if written >= 0:
                return buffer.raw[:written].decode("utf-8", "replace")
            room = -written

    def _tokenize(self, text: str, *, parse_special: bool) -> list[int]:
        data = text.encode("utf-8", "replace")
        room = len(data) + 8
        while True:
            ids = np.empty(room, dtype=np.int32)
            found = self._call.llama_tokenize(
                self._vocabulary(), data, len(data), ids.ctypes.data, room, False, parse_special
            )
            if found >= 0:
                return [int(token) for token in ids[:found]]
            room = -found

    def _vocabulary(self) -> int:
        if not self._model.handle:
            raise EngineError("the engine is closed, and its tokenizer with it; open a new one")
        return self._model.vocabulary
