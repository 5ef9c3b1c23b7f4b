"""What each INPUT is, and the name its documents carry when there are several."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from thresher.documents.files import printable
from thresher.errors import InputError

TABLE_SUFFIXES = (".csv", ".jsonl", ".parquet")
_WILDCARD = re.compile(r"[*?\[]")

Kind = Literal["file", "folder", "glob", "table"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """One INPUT, looked at but not read."""

    given: str
    kind: Kind
    path: Path  # the file or folder; of a glob the folder before its first wildcard
    pattern: tuple[str, ...] = ()  # of a glob: the parts behind that folder
    name: str = ""  # the shortest end of the path that no other input has
    prefix: str = ""  # put before the ids of the files of a folder or glob: "" or "name/"

    def is_table_glob(self) -> bool:
        """Whether this is a glob that names tables, as ``data/*.csv``."""
        return bool(self.pattern) and self.pattern[-1].lower().endswith(TABLE_SUFFIXES)


def resolve_inputs(inputs: Sequence[str | Path], exclude: Sequence[Path] = ()) -> list[Input]:
    """Tell files, folders, tables and globs apart and give each its name.

    Raises:
        InputError: no input, a path that is not there, one given twice, or one that is excluded.
    """
    if not inputs:
        raise InputError("no INPUT given; name files, folders, globs or tables")
    places = [_look_at(str(given)) for given in inputs]
    outputs = {path.resolve() for path in exclude}
    for given, _, path, pattern in places:
        if not pattern and path.resolve() in outputs:
            raise InputError(f"{given} is both an input and an output of this run; name another")
    names = _names(places)
    several = len(places) > 1
    return [
        Input(
            given=given, kind=kind, path=path, pattern=pattern, name=name, prefix=f"{name}/" if several and name else ""
        )
        for (given, kind, path, pattern), name in zip(places, names, strict=True)
    ]


_Place = tuple[str, Kind, Path, tuple[str, ...]]


def _look_at(given: str) -> _Place:
    path = Path(given)
    if path.is_dir():
        return given, "folder", path, ()
    if os.path.lexists(path):
        return given, "table" if path.suffix.lower() in TABLE_SUFFIXES else "file", path, ()
    if not _WILDCARD.search(given):
        raise InputError(f"{given}: no such file or folder")
    parts = path.parts
    at = next(index for index, part in enumerate(parts) if _WILDCARD.search(part))
    base = Path(*parts[:at])
    if not base.is_dir():
        raise InputError(f"{given}: there is no folder {base}")
    return given, "glob", base, parts[at:]


def _names(places: Sequence[_Place]) -> list[str]:
    """The last part of each path, and as many parents before it as tell it from the others."""
    seen: set[tuple[str, tuple[str, ...]]] = set()
    paths = [os.path.abspath(path) for _, _, path, _ in places]  # noqa: PTH100 - also drops ".."
    for path, (given, _, _, pattern) in zip(paths, places, strict=True):
        if (path, pattern) in seen:
            raise InputError(f"{given} is given twice; name each input once")
        seen.add((path, pattern))
    depths = dict.fromkeys(paths, 1)  # globs may start from one folder
    while True:
        names = {path: "/".join(Path(path).parts[1:][-depth:]) for path, depth in depths.items()}
        counts = Counter(names.values())
        repeated = [path for path, name in names.items() if counts[name] > 1]
        if not repeated:
            return [printable(names[path]) for path in paths]
        for path in repeated:
            depths[path] += 1
