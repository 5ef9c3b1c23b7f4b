"""Which documents a run is about: the inputs, and the store's record of them."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from thresher.documents import Item, discover, hash_text
from thresher.errors import InputError
from thresher.jobs import JobStore, ListedDocument
from thresher.pipeline.options import ClassifyOptions
from thresher.pipeline.progress import Progress

_LISTED_AT_A_TIME = 10_000


class Inputs:
    """The documents that a run is about; they can be gone through more than once."""

    def __init__(
        self, places: Sequence[str | os.PathLike[str]], options: ClassifyOptions, exclude: Sequence[Path]
    ) -> None:
        self.places = tuple(os.fspath(place) for place in places)
        self._options = options
        self._exclude = exclude
        if not places:
            raise InputError("no input was given; name files, folders, globs or tables")

    def __iter__(self) -> Iterator[Item]:
        options = self._options
        items = discover(
            self.places,
            text_column=options.text_column,
            id_column=options.id_column,
            gold_column=options.gold_column,
            exclude=self._exclude,
        )
        return itertools.islice(items, options.limit)

    def in_reading_order(self) -> Iterator[Item]:
        """As they are to be read: in the order of the listing."""
        return iter(self)

    def check(self) -> None:
        """Find at least one document. Raises ``InputError`` when there is none, or an input is wrong."""
        next(iter(self))


def content_hash(item: Item) -> str | None:
    """The ``content_sha256`` of an item where it is known before reading: of a request or of a row's text."""
    if item.request is not None:
        return item.request.content_sha256()
    return None if item.text is None else hash_text(item.text)


def list_documents(store: JobStore, inputs: Iterable[Item], progress: Progress, stop: threading.Event) -> None:
    """Record every document of ``inputs``. Raises ``InputError`` naming an id that is used twice.

    Raises ``KeyboardInterrupt`` when the run is to stop: nothing was scored yet, the earlier listing stays in force.
    """
    with store.listing() as add:
        items = iter(inputs)
        while chunk := list(itertools.islice(items, _LISTED_AT_A_TIME)):
            progress.listed(add(_listed(chunk)))
            if stop.is_set():
                raise KeyboardInterrupt


def _listed(items: Iterable[Item]) -> Iterator[ListedDocument]:
    for item in items:
        yield ListedDocument(
            document_id=item.document_id,
            source=item.source,
            size_bytes=item.size_bytes,
            mtime_ns=item.mtime_ns,
            gold=item.gold,
            content_sha256=content_hash(item),
            reply_form=None if item.request is None else item.request.reply_form,
        )
