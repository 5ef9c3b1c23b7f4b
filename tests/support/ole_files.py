"""OLE containers, made by hand ([MS-CFB] version 3)."""

from __future__ import annotations

import struct
from collections.abc import Mapping

_SECTOR = 512
_FREE, _END, _FAT = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD
#: Shorter streams would have to lie in a stream of their own.
_LEAST_STREAM = 4096


def ole(streams: Mapping[str, bytes]) -> bytes:
    """A container with these streams at its root, each padded with zeros to 4 KiB."""
    contents = {name: data.ljust(_LEAST_STREAM, b"\0") for name, data in streams.items()}
    directory_sectors = -(-(len(streams) + 1) // 4)
    fat: list[int] = []
    starts = []
    for data in contents.values():
        starts.append(_chain(fat, -(-len(data) // _SECTOR)))
    directory_start = _chain(fat, directory_sectors)
    fat_sectors = 1
    while (len(fat) + fat_sectors) * 4 > fat_sectors * _SECTOR:
        fat_sectors += 1
    fat_start = len(fat)
    fat += [_FAT] * fat_sectors
    table = struct.pack(f"<{len(fat)}I", *fat).ljust(fat_sectors * _SECTOR, b"\xff")
    entries = [_entry("Root Entry", 5, 1 if streams else _FREE, _FREE, _END, 0)]
    for number, ((name, data), start) in enumerate(zip(contents.items(), starts, strict=True), 1):
        right = number + 1 if number < len(streams) else _FREE
        entries.append(_entry(name, 2, _FREE, right, start, len(data)))
    directory = b"".join(entries).ljust(directory_sectors * _SECTOR, b"\0")
    header = struct.pack("<8s16xHHHHH6x", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", 0x3E, 3, 0xFFFE, 9, 6)
    header += struct.pack("<9I", 0, fat_sectors, directory_start, 0, _LEAST_STREAM, _END, 0, _END, 0)
    places = [fat_start + n for n in range(fat_sectors)]
    header += struct.pack("<109I", *places, *[_FREE] * (109 - len(places)))
    body = b"".join(data.ljust(-(-len(data) // _SECTOR) * _SECTOR, b"\0") for data in contents.values())
    return header + body + directory + table


def _chain(fat: list[int], sectors: int) -> int:
    start = len(fat)
    fat += [start + n + 1 for n in range(sectors - 1)] + [_END]
    return start


def _entry(name: str, kind: int, child: int, right: int, start: int, size: int) -> bytes:
    encoded = (name + "\0").encode("utf-16-le")
    links = (_FREE, right, child)
    return struct.pack("<64sHBB3I16xI16xIQ", encoded, len(encoded), kind, 1, *links, 0, start, size)
