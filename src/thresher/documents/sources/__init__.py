"""Where documents come from: files, folders, globs and tables, as one lazy stream of items."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from thresher.documents.items import Item
from thresher.documents.sources.arrow import ParquetRows
from thresher.documents.sources.folders import walk
from thresher.documents.sources.frames import Frame, is_frame, open_frame
from thresher.documents.sources.globs import Pattern
from thresher.documents.sources.inputs import Input, resolve_inputs
from thresher.documents.sources.rows import CsvRows, JsonlRows, TableFile
from thresher.documents.sources.single import file_item
from thresher.documents.sources.tables import Columns, RowSource, Table, cell_text
from thresher.errors import InputError

__all__ = ["Frame", "cell_text", "discover", "is_frame", "open_frame", "open_table"]

#: What reads a table, by its suffix: the keys are those of ``inputs.TABLE_SUFFIXES``.
TABLES: Mapping[str, type[TableFile]] = {".csv": CsvRows, ".jsonl": JsonlRows, ".parquet": ParquetRows}


def discover(
    inputs: Sequence[str | Path] | Frame,
    *,
    text_column: str | None = None,
    id_column: str | None = None,
    gold_columns: Mapping[str, str] | None = None,
    exclude: Sequence[Path] = (),
) -> Iterator[Item]:
    """The documents of all inputs, lazily, in a stable order: inputs as given, names sorted within a folder.

    An input is a file, a folder (read recursively; hidden files and folders skipped), a glob with ``*``, ``?``,
    ``[...]`` and ``**``, or a table: a ``.csv``, ``.jsonl`` or ``.parquet`` file named here, or by a glob that ends so.
    A symbolic link is followed only to a file inside its folder; links out of it, pipes, devices and sockets become
    items with a problem. A link to a folder inside is passed over, for the files there are found by their own path.

    Document ids: the path relative to the input folder (of a glob: to the part before the first wildcard), prefixed
    with the folder's name where there are several inputs; a single file's name; a row's id column, else ``file:row``.
    Inputs of the same name are told apart by as many of their parent folders as it takes. Repeated ids (from id
    columns) are for the caller to find.

    Memory is bounded by the names of the folders on the way down to the document at hand.

    Args:
        inputs: paths or globs; a path that exists is never taken for a glob. Or one table of
            :func:`~thresher.documents.sources.frames.open_frame`.
        text_column: of tables; default ``text``, else the only one of ``content``, ``body``, ``document`` there is.
        id_column: of tables; default ``document_id`` or ``id`` where there is one. A row without id gets ``file:row``.
        gold_columns: of tables: question -> the column of its gold labels.
        exclude: files and folders to pass over inside input folders, such as job folders and outputs.

    Raises:
        InputError: a missing path, the same input twice, no document at all, a table without the columns, columns
            given without a table. Raised by this call, not later (a table's rows that are wrong become items with a
            problem).
    """
    columns = Columns(text=text_column, id=id_column, golds=gold_columns or {})
    if isinstance(inputs, Frame):
        return Table(inputs, name=inputs.source, columns=columns).items()
    resolved = resolve_inputs(inputs, exclude)
    if columns.given() and not any(item.kind == "table" or item.is_table_glob() for item in resolved):
        raise InputError(f"{columns.given()} given, but no INPUT is a table; name a .csv, .jsonl or .parquet file")
    excluded = frozenset(path.resolve() for path in exclude)
    streams = [_open(source, columns, excluded) for source in resolved]
    items = itertools.chain.from_iterable(streams)
    first = next(items, None)
    if first is None:
        places = ", ".join(str(source.given) for source in resolved[:5])
        raise InputError(f"no document found in {places}; hidden files are skipped")
    return itertools.chain([first], items)


def _open(source: Input, columns: Columns, excluded: frozenset[Path]) -> Iterator[Item]:
    if source.kind == "table":
        return Table(open_table(source.path), name=source.name, columns=columns).items()
    if source.kind == "file":
        return iter([file_item(source.path, source.name)])
    if source.kind == "folder":
        return walk(source.path, prefix=source.prefix, excluded=excluded)
    return _matches(source, columns, excluded)


def _matches(source: Input, columns: Columns, excluded: frozenset[Path]) -> Iterator[Item]:
    """A glob's documents. That there is none, or that a table is wrong, is found out before the first is used."""
    found = walk(source.path, prefix=source.prefix, excluded=excluded, pattern=Pattern(source.pattern))
    first = next(found, None)
    if first is None:
        raise InputError(f"no file matches {source.given}; hidden files are skipped")
    items = itertools.chain([first], found)
    if not source.is_table_glob():
        return items
    return itertools.chain.from_iterable([_table_rows(item, columns) for item in items])


def _table_rows(item: Item, columns: Columns) -> Iterator[Item]:
    if item.path is None or item.problem is not None:
        return iter([item])
    return Table(open_table(item.path, item.source), name=item.document_id, columns=columns).items()


def open_table(path: Path, source: str | None = None) -> RowSource:
    """The rows of a ``.csv``, ``.jsonl`` or ``.parquet`` file.

    Raises:
        InputError: another suffix, the file cannot be opened, or pyarrow is missing.
    """
    reader = TABLES.get(path.suffix.lower())
    if reader is None:
        raise InputError(f"{path} is no table; its name must end in one of {', '.join(TABLES)}")
    return reader(path, source)
