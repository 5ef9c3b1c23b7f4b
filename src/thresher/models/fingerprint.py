"""A model's fingerprint: the same weights have the same one wherever they lie, and others have another.

SHA-256 over, for each shard in order: its size, its whole header (vocabulary, chat template, tensor list), 256 evenly
spaced blocks of 4 KiB of the tensors' data and its last block. So a file of 20 GB costs about 20 MB of reading. A
fine-tuned or requantized model differs in nearly every block; two files of one size that differ in a few
bytes between the blocks are not told apart, which is the price of not reading 20 GB before each run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from thresher.errors import ModelNotFoundError

_BLOCK_BYTES = 4096
_BLOCKS = 256


def fingerprint(shards: Sequence[tuple[Path, int]]) -> str:
    """64 hex digits for a model stored in files, each given with the length of its header in bytes.

    Raises:
        ModelNotFoundError: a file cannot be read.
    """
    digest = hashlib.sha256()
    for path, header_bytes in shards:
        try:
            _add_file(digest, path, header_bytes)
        except OSError as error:
            raise ModelNotFoundError(f"{path}: cannot be read: {error.strerror or error}") from error
    return digest.hexdigest()


def _add_file(digest: hashlib._Hash, path: Path, header_bytes: int) -> None:
    with path.open("rb") as file:
        size = file.seek(0, 2)
        digest.update(size.to_bytes(8, "little"))
        file.seek(0)
        digest.update(file.read(header_bytes))
        for offset, length in _sampled(header_bytes, size):
            file.seek(offset)
            digest.update(file.read(length))


def _sampled(start: int, end: int) -> list[tuple[int, int]]:
    """(offset, length) of the blocks read between ``start`` and ``end``; everything, where that is little."""
    last = end - _BLOCK_BYTES
    if last - start <= _BLOCKS * _BLOCK_BYTES:
        return [(start, max(0, end - start))]
    step = (last - start) // _BLOCKS
    return [(start + step * block, _BLOCK_BYTES) for block in range(_BLOCKS)] + [(last, _BLOCK_BYTES)]
