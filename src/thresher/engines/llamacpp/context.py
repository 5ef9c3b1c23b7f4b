"""One ``llama_context``: sequences of tokens go in, rows of logits come out."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from thresher.engines.llamacpp.binding import Binding
from thresher.engines.llamacpp.library import REMEDY
from thresher.engines.llamacpp.structures import Batch
from thresher.errors import EngineCapacityError, EngineError, EngineUnavailableError

#: Values of ``enum ggml_type``.
F32, F16 = 0, 1
_FLASH_ATTENTION_OFF = 0

#: llama.cpp rounds a context up to a multiple of this.
CELL_STEP = 256

Logits = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What a context is made for. ``cells`` are the tokens it can hold over all its sequences."""

    cells: int
    sequences: int
    micro_batch: int
    threads: int
    kv_type: int  # of keys and values: F32 or F16

    @property
    def largest_outputs(self) -> int:
        """Rows of logits that one call of ``decode`` may ask for."""
        return 2 * self.sequences


@dataclass(slots=True)
class Piece:
    """Tokens to append to one sequence, and at which of them (by offset) logits are wanted."""

    sequence: int
    start: int  # position of the first token
    tokens: npt.NDArray[np.int32]
    outputs: tuple[int, ...] = ()


class DecodeError(EngineError):
    """``llama_decode`` refused or failed; ``code`` is what it returned."""

    def __init__(self, code: int, detail: str) -> None:
        super().__init__(f"llama_decode returned {code}{f' ({detail})' if detail else ''}")
        self.code = code


class Context:
    """Owns the memory of the sequences; freed by ``close``."""

    def __init__(self, binding: Binding, model: int, vocabulary_size: int, shape: Shape) -> None:
        self.shape = shape
        self._binding = binding
        self._call = binding.call
        self._vocabulary_size = vocabulary_size
        self._sequence_ids = np.arange(shape.sequences, dtype=np.int32)
        self._handle = self._create(model)
        self._memory = self._call.llama_get_memory(self._handle)
        self._check()

    def _create(self, model: int) -> int:
        params = self._binding.context_params()
        shape = self.shape
        params.n_ctx = shape.cells
        params.n_batch = params.n_ubatch = shape.micro_batch
        params.n_seq_max = shape.sequences
        params.n_threads = params.n_threads_batch = shape.threads
        params.type_k = params.type_v = shape.kv_type
        params.kv_unified = True  # forks share the prefix's cells, and few documents at a time keep attention narrow
        if shape.kv_type == F32 and hasattr(params, "flash_attn_type"):
            params.flash_attn_type = _FLASH_ATTENTION_OFF  # it would round keys and values to half precision
        if hasattr(params, "n_outputs_max"):  # bounds the buffer of logits, which is large with large vocabularies
            params.n_outputs_max = shape.largest_outputs
        self._binding.log.clear()
        handle = self._call.llama_init_from_model(model, params)
        if not handle:
            detail = "; ".join(self._binding.log.errors()[-2:])
            raise EngineCapacityError(
                f"llama.cpp cannot make a context of {shape.cells:,} tokens and {shape.sequences} sequences"
                f"{f' ({detail})' if detail else ''}; use a smaller context"
            )
        return int(handle)

    def _check(self) -> None:
        """Compare with what was made; more tokens in a call than ``n_batch`` would end the process."""
        made = {
            "n_ctx": self._call.llama_n_ctx(self._handle),
            "n_seq_max": self._call.llama_n_seq_max(self._handle),
            "n_ubatch": self._call.llama_n_ubatch(self._handle),
        }
        cells = -(-self.shape.cells // CELL_STEP) * CELL_STEP
        batch = min(cells, self.shape.micro_batch)
        if made != {"n_ctx": cells, "n_seq_max": self.shape.sequences, "n_ubatch": batch}:
            self.close()
            raise EngineUnavailableError(
                f"{self._binding.library.title} made a context of {made} where {self.shape} was asked for; {REMEDY}"
            )
        self.shape = replace(self.shape, cells=cells, micro_batch=batch)

    def decode(self, pieces: list[Piece]) -> Logits:
        """Append ``pieces`` (at most ``shape.micro_batch`` tokens, each sequence once).

        Returns the wanted rows, float32 [rows, vocabulary], in the order of the pieces and their outputs.
        Raises :class:`DecodeError`.
        """
        lengths = [len(piece.tokens) for piece in pieces]
        total = sum(lengths)
        tokens = np.concatenate([piece.tokens for piece in pieces])
        positions = np.concatenate([np.arange(p.start, p.start + n) for p, n in zip(pieces, lengths, strict=True)])
        sequences = np.repeat([piece.sequence for piece in pieces], lengths)
        starts = np.cumsum([0, *lengths[:-1]])
        rows = [int(start) + offset for start, piece in zip(starts, pieces, strict=True) for offset in piece.outputs]
        wanted = np.zeros(total, dtype=np.int8)
        wanted[rows] = 1
        self._decode(tokens.astype(np.int32), positions.astype(np.int32), sequences, wanted)
        return self._read(rows)

    def _decode(
        self,
        tokens: npt.NDArray[np.int32],
        positions: npt.NDArray[np.int32],
        sequences: npt.NDArray[np.int64],
        wanted: npt.NDArray[np.int8],
    ) -> None:
        counts = np.ones(len(tokens), dtype=np.int32)
        pointers = self._sequence_ids.ctypes.data + 4 * sequences.astype(np.uint64)
        batch = Batch(
            n_tokens=len(tokens),
            token=tokens.ctypes.data,
            pos=positions.ctypes.data,
            n_seq_id=counts.ctypes.data,
            seq_id=pointers.ctypes.data,
            logits=wanted.ctypes.data,
        )
        self._binding.log.clear()
        code = self._call.llama_decode(self._handle, batch)
        if code != 0:
            raise DecodeError(code, "; ".join(self._binding.log.errors()[-1:]))

    def _read(self, rows: list[int]) -> Logits:
        logits = np.empty((len(rows), self._vocabulary_size), dtype=np.float32)
        for index, row in enumerate(rows):
            pointer = self._call.llama_get_logits_ith(self._handle, row)
            if not pointer:
                raise EngineError(f"llama.cpp gave no logits for token {row} of a batch")
            ctypes.memmove(logits[index].ctypes.data, pointer, logits[index].nbytes)
        return logits

    def fork(self, source: int, target: int) -> None:
        """Make ``target``, which must be empty, a copy of ``source``."""
        self._call.llama_memory_seq_cp(self._memory, source, target, -1, -1)

    def drop(self, sequence: int) -> None:
        """Empty one sequence."""
        self._call.llama_memory_seq_rm(self._memory, sequence, -1, -1)

    def clear(self, *, overwrite: bool = False) -> None:
        """Empty all sequences. ``overwrite`` also the values, which may be NaN: zero times NaN would reach others."""
        self._call.llama_memory_clear(self._memory, overwrite)

    def close(self) -> None:
        """Free the memory. Safe to call twice."""
        if self._handle:
            self._call.llama_free(self._handle)
            self._handle = 0
