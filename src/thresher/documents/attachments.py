"""Attachments of mails as documents of their own."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future

from thresher.documents.items import Item
from thresher.documents.parsers.mail.mail import ListedAttachment
from thresher.documents.reading.pool import ReaderPool
from thresher.documents.reading.results import AttachmentList

#: Files that are looked into ahead of the one at hand, so that all workers have something to do.
_FILES_AHEAD = 64


def with_attachments(items: Iterable[Item], pool: ReaderPool) -> Iterator[Item]:
    """Every item, and behind each mail its attachments, those of attached mails behind these; lazily, in order.

    Mails are hostile, so the pool's processes open them. An attachment's id is the mail's id, ``/`` and its name; its
    source is the mail's and ``#attachment 2`` (``#attachment 2.1`` for the first one of the mail that is the second).
    The same mail gives the same ids. Where a mail's attachments cannot be listed there is one item that says why.
    """
    waiting: deque[tuple[Item, Future[AttachmentList] | None]] = deque()
    for item in items:
        opened = item.path is not None and item.problem is None
        waiting.append((item, pool.list_attachments(item.path) if opened and item.path else None))
        if len(waiting) > _FILES_AHEAD:
            yield from _expanded(*waiting.popleft())
    while waiting:
        yield from _expanded(*waiting.popleft())


def _expanded(item: Item, listing: Future[AttachmentList] | None) -> Iterator[Item]:
    yield item
    if listing is None:
        return
    found = listing.result()
    for entry in found.entries:
        yield _attachment(item, entry)
    if found.failure is not None:
        yield _not_listed(item, found.failure.reason)


def _attachment(mail: Item, entry: ListedAttachment) -> Item:
    return Item(
        document_id=f"{mail.document_id}/{entry.name}",
        source=f"{mail.source}#attachment {'.'.join(map(str, entry.address))}",
        path=mail.path,
        address=entry.address,
        size_bytes=entry.size_bytes,
        mtime_ns=mail.mtime_ns,
        problem=entry.problem,
    )


def _not_listed(mail: Item, reason: str) -> Item:
    return Item(
        document_id=f"{mail.document_id}/attachments",
        source=f"{mail.source}#attachments",
        path=mail.path,
        size_bytes=0,
        mtime_ns=mail.mtime_ns,
        problem=f"the attachments of this mail cannot be listed: {reason}",
    )
