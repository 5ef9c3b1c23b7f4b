"""The values of a GGUF header, read one after another from anything that serves byte ranges."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import BinaryIO, Protocol, TypeVar, cast

from thresher.errors import ModelFormatError
from thresher.models.not_gguf import describe_foreign_file

Value = str | int | float | bool | tuple["Value", ...]
T = TypeVar("T")

#: A header this long is taken for damage: the largest vocabularies in use need 20 MB.
HEADER_LIMIT_BYTES = 256 * 1024 * 1024
_FIRST_WINDOW_BYTES = 256 * 1024
_DEEPEST_ARRAY = 4
_STRING, _ARRAY = 8, 9
_NUMBER_FORMATS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}


class ByteSource(Protocol):
    """Something that serves byte ranges. ``read`` returns fewer bytes only at the end."""

    @property
    def name(self) -> str:
        """What messages call it."""

    @property
    def size_bytes(self) -> int:
        """Bytes in all."""

    def read(self, offset: int, length: int) -> bytes:
        """The bytes from ``offset`` on."""


class FileSource:
    """Byte ranges of an open file."""

    def __init__(self, name: str, file: BinaryIO) -> None:
        self.name = name
        self.size_bytes = file.seek(0, 2)
        self._file = file

    def read(self, offset: int, length: int) -> bytes:
        """The bytes from ``offset`` on; fewer than ``length`` at the end of the file."""
        self._file.seek(offset)
        return self._file.read(length)


class _WindowTooSmallError(Exception):
    """A value goes on behind the bytes fetched so far."""


class GgufParser:
    """Reads values one after another from a window of bytes that grows as needed."""

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self._window = source.read(0, _FIRST_WINDOW_BYTES)
        self.position = 0

    def read_preamble(self) -> tuple[int, int, int]:
        """Version, number of tensors, number of metadata keys."""
        name, start = self._source.name, self._window
        if start[:4] != b"GGUF":
            raise ModelFormatError(f"{name}: not a GGUF file: it is {describe_foreign_file(start[:512])}")
        if len(start) < 24:
            raise ModelFormatError(f"{name}: the file is cut short: it has only {len(start)} bytes; download it again")
        version, tensor_count, key_count = struct.unpack_from("<IQQ", start, 4)
        if version & 0xFFFF == 0:
            raise ModelFormatError(f"{name}: a big-endian GGUF file; convert it with `gguf-convert-endian`")
        if version not in (2, 3):
            raise ModelFormatError(f"{name}: GGUF version {version}; this version of Thresher reads 2 and 3")
        self.position = 24
        self._check_count(tensor_count, 24)
        self._check_count(key_count, 13)
        return version, tensor_count, key_count

    def whole(self, read: Callable[[], T]) -> T:
        """Call ``read``; when it runs out of the window, fetch more and call it again from the same place."""
        start = self.position
        while True:
            try:
                return read()
            except (_WindowTooSmallError, struct.error):
                self.position = start
                self._grow()

    def read_key_value(self) -> tuple[str, Value]:
        """One entry of the metadata."""
        key = self._string("replace")
        return key, self._value(self._number("I"), depth=0)

    def read_tensor_info(self) -> tuple[str, tuple[int, ...], int, int]:
        """Name, shape, number of the type and offset in the data section of one tensor."""
        name = self._string("replace")
        rank = self._number("I")
        if rank > 8:
            raise ModelFormatError(f"{self._source.name}: tensor {name!r} has {rank} dimensions; the file is damaged")
        shape = tuple(self._number("Q") for _ in range(rank))
        return name, shape, self._number("I"), self._number("Q")

    def _value(self, kind: int, depth: int) -> Value:
        if kind == _STRING:
            return self._string("replace")
        if kind == _ARRAY:
            return self._array(depth)
        return cast(Value, self._number(self._format(kind)))

    def _array(self, depth: int) -> Value:
        kind, count = self._number("I"), self._number("Q")
        if kind == _ARRAY:
            if depth >= _DEEPEST_ARRAY:
                raise ModelFormatError(f"{self._source.name}: arrays nested over {_DEEPEST_ARRAY} deep")
            self._check_count(count, 12)
            return tuple(self._array(depth + 1) for _ in range(count))
        if kind == _STRING:
            self._check_count(count, 8)
            return self._strings(count)
        layout = struct.Struct(f"<{self._checked(count, kind)}{self._format(kind)}")
        values = layout.unpack_from(self._window, self.position)
        self.position += layout.size
        return values

    def _checked(self, count: int, kind: int) -> int:
        self._check_count(count, struct.calcsize("<" + self._format(kind)))
        return count

    def _strings(self, count: int) -> tuple[str, ...]:
        """The hot loop: two slices per string. Reading past the window is noticed once, at the end."""
        window, position, length_of = self._window, self.position, int.from_bytes
        found: list[str] = []
        for _ in range(count):
            start = position + 8
            position = start + length_of(window[position:start], "little")
            found.append(str(window[start:position], "utf-8", "surrogateescape"))
            if position > len(window):
                self._check_count(position - self.position, 1)
                raise _WindowTooSmallError
        self.position = position
        return tuple(found)

    def _string(self, errors: str) -> str:
        length = self._number("Q")
        self._check_count(length, 1)
        text = self._window[self.position : self.position + length]
        if len(text) < length:
            raise _WindowTooSmallError
        self.position += length
        return str(text, "utf-8", errors)

    def _number(self, code: str) -> int:
        layout = struct.Struct("<" + code)
        (value,) = layout.unpack_from(self._window, self.position)
        self.position += layout.size
        return cast(int, value)

    def _format(self, kind: int) -> str:
        code = _NUMBER_FORMATS.get(kind)
        if code is None:
            raise ModelFormatError(f"{self._source.name}: metadata of type {kind}, which GGUF does not have; damaged")
        return code

    def _check_count(self, count: int, least_bytes_each: int) -> None:
        """Refuse a count that the rest of the file cannot hold, before memory is taken for it."""
        needed = self.position + count * least_bytes_each
        if needed > self._source.size_bytes:
            raise ModelFormatError(
                f"{self._source.name}: the header is cut short or damaged: at byte {self.position:,} it promises "
                f"at least {needed:,} bytes, and the file has {self._source.size_bytes:,}; download it again"
            )

    def _grow(self) -> None:
        have = len(self._window)
        if have >= self._source.size_bytes:
            raise ModelFormatError(
                f"{self._source.name}: the header is cut short: the file ends after {have:,} bytes; download it again"
            )
        if have >= HEADER_LIMIT_BYTES:
            raise ModelFormatError(
                f"{self._source.name}: the header is longer than {HEADER_LIMIT_BYTES:,} bytes; the file is damaged"
            )
        self._window += self._source.read(have, 3 * have)
