"""OLE containers (MS-CFB, version 3), written by hand so that tests can also break them."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Union

_SECTOR, _MINI, _CUTOFF = 512, 64, 4096
_END, _FREE, _FAT, _NONE = 0xFFFFFFFE, 0xFFFFFFFF, 0xFFFFFFFD, 0xFFFFFFFF

#: Names -> bytes of a stream, or what is in a storage.
Storage = Mapping[str, Union[bytes, "Storage"]]


@dataclass
class _Entry:
    name: str
    kind: int  # 1 storage, 2 stream, 5 root
    data: bytes = b""
    start: int = _END
    size: int = 0
    left: int = _NONE
    right: int = _NONE
    child: int = _NONE

    def packed(self) -> bytes:
        name = self.name.encode("utf-16-le") + b"\0\0"
        head = name.ljust(64, b"\0") + struct.pack(
            "<HBBIII", len(name), self.kind, 1, self.left, self.right, self.child
        )
        return head + bytes(36) + struct.pack("<IQ", self.start, self.size)


@dataclass
class _Sectors:
    size: int
    data: bytearray = field(default_factory=bytearray)
    table: list[int] = field(default_factory=list)

    def put(self, content: bytes) -> int:
        if not content:
            return _END
        first, count = len(self.table), -(-len(content) // self.size)
        self.data += content.ljust(count * self.size, b"\0")
        self.table += [*range(first + 1, first + count), _END]
        return first


def ole_file(storage: Storage) -> bytes:
    """A container of these streams and storages."""
    entries = [_Entry("Root Entry", 5)]
    entries[0].child = _add(entries, storage)
    mini, sectors = _Sectors(_MINI), _Sectors(_SECTOR)
    for entry in entries:
        if entry.kind == 2:
            entry.size = len(entry.data)
            entry.start = (mini if entry.size < _CUTOFF else sectors).put(entry.data)
    entries[0].start, entries[0].size = sectors.put(bytes(mini.data)), len(mini.data)
    mini_table = _table(mini.table)
    mini_start = sectors.put(mini_table)
    while len(entries) % 4:
        entries.append(_Entry("", 0))
    directory = sectors.put(b"".join(entry.packed() for entry in entries))
    fat_start = len(sectors.table)
    fat_count = 1
    while -(-(len(sectors.table) + fat_count) * 4 // _SECTOR) > fat_count:
        fat_count += 1
    sectors.table += [_FAT] * fat_count
    header = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16) + struct.pack("<HHHHH", 0x3E, 3, 0xFFFE, 9, 6) + bytes(6)
    header += struct.pack(
        "<IIIIIIIII", 0, fat_count, directory, 0, _CUTOFF, mini_start, len(mini_table) // _SECTOR, _END, 0
    )
    fats = [*range(fat_start, fat_start + fat_count)]
    header += struct.pack("<109I", *fats, *[_FREE] * (109 - fat_count))
    return header + bytes(sectors.data) + _table(sectors.table)


def _add(entries: list[_Entry], storage: Storage) -> int:
    """Append what is in a storage; its entry that is the root of their (balanced) tree."""
    numbers = []
    for name in sorted(storage, key=lambda name: (len(name), name.upper())):
        content = storage[name]
        numbers.append(len(entries))
        if isinstance(content, bytes):
            entries.append(_Entry(name, 2, content))
        else:
            entry = _Entry(name, 1)
            entries.append(entry)
            entry.child = _add(entries, content)
    return _tree(entries, numbers)


def _tree(entries: list[_Entry], numbers: list[int]) -> int:
    if not numbers:
        return _NONE
    middle = len(numbers) // 2
    entries[numbers[middle]].left = _tree(entries, numbers[:middle])
    entries[numbers[middle]].right = _tree(entries, numbers[middle + 1 :])
    return numbers[middle]


def _table(numbers: list[int]) -> bytes:
    data = struct.pack(f"<{len(numbers)}I", *numbers)
    return data.ljust(-(-len(data) // _SECTOR) * _SECTOR, b"\xff")
