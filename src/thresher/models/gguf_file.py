"""The header of a GGUF file: metadata and the list of tensors, read without touching the tensors.

Layout, little-endian (docs/gguf.md of ggml): ``GGUF``, u32 version, u64 tensor count, u64 metadata count; then
metadata as (string key, u32 type, value), then tensors as (string name, u32 rank, u64 per dimension, u32 type,
u64 offset); then, aligned, the tensors' data. A string is a u64 length and UTF-8 bytes.

The ``gguf`` package reads the same, but builds NumPy views for each array element: a vocabulary of 248,320 tokens
takes it 13 s, and this module 0.3 s. The bytes come through :class:`~thresher.models.gguf_parser.ByteSource`, so that a
header can be read from anything that serves byte ranges.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from thresher.errors import ModelFormatError, ModelNotFoundError
from thresher.models.ggml_types import TENSOR_TYPES
from thresher.models.gguf_parser import ByteSource, FileSource, GgufParser, Value

T = TypeVar("T")

_DEFAULT_ALIGNMENT = 32


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """Where a tensor lies. ``shape`` is in ggml's order: the first dimension is contiguous."""

    name: str
    shape: tuple[int, ...]
    type_name: str
    elements: int
    size_bytes: int
    offset: int  # from the start of the file


@dataclass(frozen=True, slots=True, kw_only=True)
class GgufHeader:
    """What a GGUF file says about itself."""

    name: str  # of the file, for messages
    version: int
    metadata: Mapping[str, Value]
    tensors: tuple[TensorInfo, ...]
    alignment: int
    data_offset: int  # bytes before the tensors' data
    file_bytes: int

    def get(self, key: str, kind: type[T], default: T) -> T:
        """The value of ``key``, or ``default`` where it is missing. Raises ``ModelFormatError`` for another type."""
        return self.require(key, kind) if key in self.metadata else default

    def require(self, key: str, kind: type[T]) -> T:
        """The value of ``key``. Raises ``ModelFormatError`` naming the key when it is missing or of another type."""
        if key not in self.metadata:
            raise ModelFormatError(f"{self.name}: the metadata key {key!r} is missing; convert the model anew")
        value = self.metadata[key]
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise ModelFormatError(
                f"{self.name}: the metadata key {key!r} should be of type {kind.__name__}, not {type(value).__name__}"
            )
        return value


def read_header(path: Path | str) -> GgufHeader:
    """Read the header of the GGUF file at ``path``.

    Raises:
        ModelNotFoundError: there is no such file, or it cannot be opened.
        ModelFormatError: not GGUF, of a version unknown here, damaged, or shorter than its tensors need.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            return parse_header(FileSource(str(path), file))
    except OSError as error:
        raise ModelNotFoundError(f"{path}: cannot be read: {error.strerror or error}") from error


def parse_header(source: ByteSource) -> GgufHeader:
    """As :func:`read_header`, from any source of byte ranges."""
    parser = GgufParser(source)
    version, tensor_count, key_count = parser.read_preamble()
    metadata: dict[str, Value] = {}
    for _ in range(key_count):
        key, value = parser.whole(parser.read_key_value)
        metadata[key] = value
    alignment = metadata.get("general.alignment", _DEFAULT_ALIGNMENT)
    if not isinstance(alignment, int) or alignment < 1:
        raise ModelFormatError(f"{source.name}: general.alignment is {alignment!r}; it must be a positive number")
    raw_tensors = [parser.whole(parser.read_tensor_info) for _ in range(tensor_count)]
    data_offset = -(-parser.position // alignment) * alignment
    tensors = tuple(_tensor_info(source.name, data_offset, *raw) for raw in raw_tensors)
    _check_complete(source, tensors)
    return GgufHeader(
        name=source.name,
        version=version,
        metadata=metadata,
        tensors=tensors,
        alignment=alignment,
        data_offset=data_offset,
        file_bytes=source.size_bytes,
    )


def _tensor_info(
    file_name: str, data_offset: int, name: str, shape: tuple[int, ...], type_number: int, offset: int
) -> TensorInfo:
    kind = TENSOR_TYPES.get(type_number)
    if kind is None:
        raise ModelFormatError(
            f"{file_name}: tensor {name!r} is stored as type {type_number}, which this version does not know"
        )
    elements = math.prod(shape)
    if elements % kind.block_elements:
        raise ModelFormatError(
            f"{file_name}: tensor {name!r} of shape {shape} is no multiple of "
            f"the {kind.block_elements} elements of a {kind.name} block; the file is damaged"
        )
    size_bytes = elements // kind.block_elements * kind.block_bytes
    return TensorInfo(name, shape, kind.name, elements, size_bytes, data_offset + offset)


def _check_complete(source: ByteSource, tensors: tuple[TensorInfo, ...]) -> None:
    missing = [tensor for tensor in tensors if tensor.offset + tensor.size_bytes > source.size_bytes]
    if missing:
        first = min(missing, key=lambda tensor: tensor.offset)
        needed = max(tensor.offset + tensor.size_bytes for tensor in missing)
        raise ModelFormatError(
            f"{source.name}: the file is cut short: it has {source.size_bytes:,} bytes and needs {needed:,}; the first "
            f"incomplete tensor is {first.name!r}, {len(missing)} of {len(tensors)} are missing; download it again"
        )
