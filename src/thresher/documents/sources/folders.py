"""Folders: a sorted walk that holds names only, and what to do with links and special files."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from thresher.documents.files import printable, special_kind
from thresher.documents.items import Item
from thresher.documents.sources.globs import Pattern, State
from thresher.documents.sources.single import file_item, problem_item

_EVERYTHING = Pattern(["**"])


def walk(
    root: Path, *, prefix: str = "", excluded: frozenset[Path] = frozenset(), pattern: Pattern = _EVERYTHING
) -> Iterator[Item]:
    """The documents below ``root``, depth first, names sorted; hidden ones skipped.

    Args:
        root: the folder; may itself be a link or hidden, since it was named.
        prefix: put before each document id, which is the path relative to ``root``.
        excluded: resolved paths to pass over.
        pattern: matched against the path relative to ``root``.
    """
    return _Walk(root, prefix, excluded, pattern).items()


class _Walk:
    def __init__(self, root: Path, prefix: str, excluded: frozenset[Path], pattern: Pattern) -> None:
        self._root = root
        self._real_root = root.resolve()
        self._prefix = prefix
        self._excluded = {os.fspath(path) for path in excluded}
        self._pattern = pattern

    def items(self) -> Iterator[Item]:
        start = self._pattern.start()
        stack: list[tuple[str, State, list[str]]] = []  # folder (relative), state there, names left (last first)
        yield from self._enter("", start, stack)
        while stack:
            folder, state, names = stack[-1]
            if not names:
                stack.pop()
                continue
            name = names.pop()
            reached = self._pattern.step(state, name)
            if reached:
                yield from self._visit(folder + name, reached, stack)

    def _enter(self, folder: str, state: State, stack: list[tuple[str, State, list[str]]]) -> Iterator[Item]:
        try:
            listed = os.listdir(self._root / folder)  # noqa: PTH208 - names are all that is held of a million files
        except OSError as error:
            path = self._root / folder
            yield problem_item(path, self._id(folder.rstrip("/")), f"folder cannot be listed: {error.strerror}")
            return
        names = sorted((name for name in listed if not name.startswith(".")), reverse=True)
        stack.append((folder, state, names))

    def _visit(self, relative: str, state: State, stack: list[tuple[str, State, list[str]]]) -> Iterator[Item]:
        path = self._root / relative
        if self._excluded and os.fspath(self._real_root / relative) in self._excluded:
            return
        try:
            status = path.lstat()
        except FileNotFoundError:
            return  # gone since the folder was listed
        except OSError as error:
            yield problem_item(path, self._id(relative), f"cannot be opened: {error.strerror}")
            return
        if stat.S_ISDIR(status.st_mode):
            yield from self._enter(f"{relative}/", state, stack)
        elif self._pattern.matched(state):
            yield from self._file(path, relative, status)

    def _file(self, path: Path, relative: str, status: os.stat_result) -> Iterator[Item]:
        document_id = self._id(relative)
        if stat.S_ISLNK(status.st_mode):
            yield from self._link(path, document_id, status)
        elif kind := special_kind(status.st_mode):
            yield problem_item(path, document_id, f"is {kind}, not a file", status)
        else:
            yield Item(
                document_id=document_id,
                source=printable(os.path.abspath(path)),  # noqa: PTH100 - Path.absolute keeps ".."
                path=self._real_root / relative,
                size_bytes=status.st_size,
                mtime_ns=status.st_mtime_ns,
            )

    def _link(self, path: Path, document_id: str, status: os.stat_result) -> Iterator[Item]:
        try:
            target = path.resolve(strict=True)
        except (OSError, RuntimeError):
            yield problem_item(path, document_id, "is a symbolic link that leads nowhere", status)
            return
        if not target.is_relative_to(self._real_root):
            yield problem_item(path, document_id, f"is a symbolic link out of the folder {self._root}", status)
        elif not target.is_dir():
            yield file_item(path, document_id)

    def _id(self, relative: str) -> str:
        return (self._prefix + printable(relative)) or printable(self._real_root.name)
