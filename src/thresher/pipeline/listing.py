"""Which documents a run is about: the inputs, and the store's record of them."""

from __future__ import annotations

import hashlib
import itertools
import os
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from thresher.documents import Frame, Item, ReaderPool, discover, hash_text, with_attachments
from thresher.errors import InputError
from thresher.jobs import JobStore, ListedDocument
from thresher.pipeline.options import ClassifyOptions
from thresher.pipeline.progress import Progress

_LISTED_AT_A_TIME = 10_000
_ROWS_IN_NAME = 100


Places = Sequence[str | os.PathLike[str]] | Frame


class Inputs:
    """The documents that a run is about; they can be gone through more than once.

    Args:
        places: files, folders, globs and tables, or one table in memory.
        options: of them the columns, ``attachments`` and ``limit``.
        exclude: files and folders that are never documents.
        gold_columns: question -> the column of its gold labels.
    """

    def __init__(
        self,
        places: Places,
        options: ClassifyOptions,
        exclude: Sequence[Path] = (),
        gold_columns: Mapping[str, str] | None = None,
    ) -> None:
        self._places = places if isinstance(places, Frame) else tuple(os.fspath(place) for place in places)
        self._options = options
        self._exclude = exclude
        self._gold_columns = gold_columns or {}
        if not isinstance(places, Frame) and not places:
            raise InputError("no input was given; name files, folders, globs or tables")

    def names(self) -> tuple[str, ...]:
        """What the record of the run and the job's default folder call the inputs; a table in memory by its start."""
        if not isinstance(self._places, Frame):
            return self._places
        digest = hashlib.sha256()
        for item in itertools.islice(self._discover(), _ROWS_IN_NAME):
            digest.update(f"{item.document_id}\0{item.text}\0".encode("utf-8", "replace"))
        return (f"{self._places.source} {digest.hexdigest()[:16]}",)

    def items(self, pool: ReaderPool) -> Iterator[Item]:
        """The documents, lazily and in order; with ``--attachments`` the pool looks into the mails among them."""
        items = self._discover()
        if self._options.attachments:
            items = with_attachments(items, pool)
        return itertools.islice(items, self._options.limit)

    def check(self) -> None:
        """Find at least one document. Raises ``InputError`` when there is none, or an input is wrong."""
        next(self._discover())

    def _discover(self) -> Iterator[Item]:
        options = self._options
        return discover(
            self._places,
            text_column=options.text_column,
            id_column=options.id_column,
            gold_columns=self._gold_columns,
            exclude=self._exclude,
        )

    def items_to_read(self, pool: ReaderPool) -> Iterator[Item]:
        """As they are to be read: in the order of the listing."""
        return self.items(pool)


def content_hash(item: Item) -> str | None:
    """The ``content_sha256`` of an item where it is known before reading: of a request or of a row's text."""
    if item.request is not None:
        return item.request.content_sha256()
    return None if item.text is None else hash_text(item.text)


def list_documents(store: JobStore, items: Iterator[Item], progress: Progress, stop: threading.Event) -> None:
    """Record every document. Raises ``InputError`` naming an id that is used twice.

    Raises ``KeyboardInterrupt`` when the run is to stop: nothing was scored yet, the earlier listing stays in force.
    """
    with store.listing() as add:
        while chunk := list(itertools.islice(_unless(stop, items), _LISTED_AT_A_TIME)):
            progress.listed(add(_listed(chunk)))


def _unless(stop: threading.Event, items: Iterator[Item]) -> Iterator[Item]:
    for item in items:
        if stop.is_set():
            raise KeyboardInterrupt
        yield item


def _listed(items: Iterable[Item]) -> Iterator[ListedDocument]:
    for item in items:
        yield ListedDocument(
            document_id=item.document_id,
            source=item.source,
            size_bytes=item.size_bytes,
            mtime_ns=item.mtime_ns,
            golds=item.golds,
            content_sha256=content_hash(item),
            reply_form=None if item.request is None else item.request.reply_form,
        )
