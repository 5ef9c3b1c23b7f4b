"""What the names of GGUF files tell: which shards belong together, which file is a model at all."""

from __future__ import annotations

import re
from pathlib import Path, PurePath
from typing import TypeVar

AnyPath = TypeVar("AnyPath", bound=PurePath)

_SHARD = re.compile(r"^(?P<stem>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})\.gguf$", re.IGNORECASE)


def shards_of(path: AnyPath) -> tuple[AnyPath, ...]:
    """All shards of the model that ``path`` is a shard of, in order; just ``path`` when it is the only file."""
    match = _SHARD.match(path.name)
    if not match:
        return (path,)
    count = int(match["count"])
    suffix = path.name[-len(".gguf") :]
    return tuple(
        path.with_name(f"{match['stem']}-{number:05d}-of-{count:05d}{suffix}") for number in range(1, count + 1)
    )


def model_name(file_name: str) -> str:
    """What people call the model in a file of this name."""
    match = _SHARD.match(file_name)
    return match["stem"] if match else Path(file_name).stem


def is_projector(file_name: str) -> bool:
    """Whether a GGUF file of this name holds a vision or audio projector, which reads no text."""
    return "mmproj" in file_name.lower()


def is_first_file(file_name: str) -> bool:
    """Whether a file of this name is a GGUF model or the first shard of one."""
    match = _SHARD.match(file_name)
    is_gguf = file_name.lower().endswith(".gguf") and not is_projector(file_name) and not file_name.startswith(".")
    return is_gguf and (match is None or int(match["number"]) == 1)
