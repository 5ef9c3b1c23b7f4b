"""The header of a safetensors file: names, types, shapes and places of its tensors, without touching them.

Layout: a little-endian u64 with the length of a JSON object, the object, then the data. The object maps a name to
``{"dtype", "shape", "data_offsets": [begin, end]}``, offsets counted from the end of the object.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from thresher.errors import ModelFormatError, ModelNotFoundError
from thresher.models.gguf_parser import ByteSource, FileSource
from thresher.models.not_gguf import describe_foreign_file

#: The format's own limit (safetensors 0.4 and later).
_HEADER_LIMIT_BYTES = 100_000_000

#: Type -> bits of one value.
TYPE_BITS: Mapping[str, int] = {
    "BOOL": 8,
    "U8": 8,
    "I8": 8,
    "F8_E5M2": 8,
    "F8_E4M3": 8,
    "F8_E8M0": 8,
    "F4": 4,
    "U16": 16,
    "I16": 16,
    "F16": 16,
    "BF16": 16,
    "U32": 32,
    "I32": 32,
    "F32": 32,
    "U64": 64,
    "I64": 64,
    "F64": 64,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTensor:
    """Where a tensor lies. ``shape`` is row-major: the last dimension is contiguous."""

    name: str
    path: Path
    type_name: str
    shape: tuple[int, ...]
    offset: int  # from the start of the file
    size_bytes: int

    @property
    def elements(self) -> int:
        """Values in the tensor."""
        return math.prod(self.shape)


@dataclass(frozen=True, slots=True, kw_only=True)
class SafetensorsHeader:
    """What a safetensors file says about itself."""

    path: Path
    tensors: tuple[StoredTensor, ...]
    data_offset: int


def read_safetensors_header(path: Path) -> SafetensorsHeader:
    """Read the header of the file at ``path``.

    Raises:
        ModelNotFoundError: there is no such file, or it cannot be opened.
        ModelFormatError: not a safetensors file, damaged, or shorter than its tensors need.
    """
    try:
        with path.open("rb") as file:
            return parse_safetensors_header(FileSource(str(path), file), path)
    except OSError as error:
        raise ModelNotFoundError(f"{path}: cannot be read: {error.strerror or error}") from error


def parse_safetensors_header(source: ByteSource, path: Path) -> SafetensorsHeader:
    """As :func:`read_safetensors_header`, from any source of byte ranges; ``path`` is what tensors name as theirs."""
    start = source.read(0, 512)
    length = int.from_bytes(start[:8], "little")
    if start[8:9] != b"{" or length > _HEADER_LIMIT_BYTES:
        raise ModelFormatError(f"{source.name}: not a safetensors file: it is {describe_foreign_file(start)}")
    text = source.read(8, length)
    if len(text) < length:
        raise ModelFormatError(
            f"{source.name}: the file is cut short: its header has {length:,} bytes and the file "
            f"{source.size_bytes:,}; download it again"
        )
    tensors = _parse(path, text, 8 + length)
    _check_complete(path, tensors, source.size_bytes)
    return SafetensorsHeader(path=path, tensors=tensors, data_offset=8 + length)


def _parse(path: Path, text: bytes, data_offset: int) -> tuple[StoredTensor, ...]:
    try:
        entries = json.loads(text)
        return tuple(
            _tensor(path, data_offset, name, str(entry["dtype"]), entry["shape"], *entry["data_offsets"])
            for name, entry in entries.items()
            if name != "__metadata__"
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ModelFormatError(f"{path}: the header is damaged ({error!r:.200}); download the file again") from error


def _tensor(
    path: Path, data_offset: int, name: str, type_name: str, shape: list[int], begin: int, end: int
) -> StoredTensor:
    if type_name not in TYPE_BITS:
        raise ModelFormatError(
            f"{path}: tensor {name!r} is stored as {type_name!r}, which this version does not know, "
            f"only {', '.join(TYPE_BITS)}"
        )
    needed = -(-math.prod(shape) * TYPE_BITS[type_name] // 8)
    if begin < 0 or any(size < 0 for size in shape) or end - begin != needed:
        raise ModelFormatError(
            f"{path}: tensor {name!r} of shape {tuple(shape)} in {type_name} needs {needed:,} bytes and has "
            f"{end - begin:,}; the file is damaged"
        )
    return StoredTensor(
        name=name,
        path=path,
        type_name=type_name,
        shape=tuple(shape),
        offset=data_offset + begin,
        size_bytes=needed,
    )


def _check_complete(path: Path, tensors: tuple[StoredTensor, ...], file_bytes: int) -> None:
    missing = [tensor for tensor in tensors if tensor.offset + tensor.size_bytes > file_bytes]
    if missing:
        first = min(missing, key=lambda tensor: tensor.offset)
        needed = max(tensor.offset + tensor.size_bytes for tensor in missing)
        raise ModelFormatError(
            f"{path}: the file is cut short: it has {file_bytes:,} bytes and needs {needed:,}; the first incomplete "
            f"tensor is {first.name!r}, {len(missing)} of {len(tensors)} are missing; download it again"
        )
