"""Every nasty document through the real worker processes: one outcome each, the right one, and none hangs."""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.nasty_documents import NASTY, Nasty
from thresher.documents import Item, ReaderPool, ReadResult, discover, with_attachments
from thresher.documents.files import printable

#: No document may take longer, whatever it is; the pool's own limit is 30 s.
LONGEST_SECONDS = 20.0

Outcome = tuple[Item, ReadResult | None]  # None: never opened, for the item has a problem


@pytest.fixture(scope="module")
def pool() -> Iterator[ReaderPool]:
    with ReaderPool(2) as shared:
        yield shared


@pytest.fixture(scope="module")
def outcomes(pool: ReaderPool, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Outcome]]:
    """All outcomes of the folder by document id."""
    folder = tmp_path_factory.mktemp("nasty")
    for case in NASTY:
        case.write(folder)
    items = list(discover([folder]))
    futures = [pool.submit(item.path) if item.path and not item.problem else None for item in items]
    found: dict[str, list[Outcome]] = {}
    for item, future in zip(items, futures, strict=True):
        found.setdefault(item.document_id, []).append((item, future.result(timeout=120) if future else None))
    return found


def outcome(found: list[Outcome]) -> tuple[str | None, str | None]:
    """Text and reason."""
    (item, result), *others = found
    assert not others
    if result is None:
        return None, item.problem
    return result.text, None if result.failure is None else result.failure.reason


def test_there_are_many() -> None:
    assert len(NASTY) >= 100
    assert len({case.name for case in NASTY}) == len(NASTY)
    assert all((case.says is None) != (case.reason is None) for case in NASTY)


@pytest.mark.parametrize("case", [pytest.param(case, id=repr(case.name)[1:40].strip("'")) for case in NASTY])
def test_it_ends_as_it_must(case: Nasty, outcomes: dict[str, list[Outcome]]) -> None:
    text, reason = outcome(outcomes[printable(case.name)])
    if case.says is not None:
        assert case.says in (text or ""), reason or (text or "")[:300]
    else:
        assert reason, (text or "")[:300]
        assert re.search(case.reason or "", reason), reason


def test_nothing_is_lost_and_nothing_is_added(outcomes: dict[str, list[Outcome]]) -> None:
    assert set(outcomes) == {printable(case.name) for case in NASTY}


def test_none_takes_long_and_no_parser_is_surprised(outcomes: dict[str, list[Outcome]]) -> None:
    for found in outcomes.values():
        for item, result in found:
            reason = outcome(found)[1] or ""
            assert result is None or result.seconds < LONGEST_SECONDS, item.document_id
            assert "the parser failed" not in reason, item.document_id
            assert "reader process" not in reason, item.document_id


def test_texts_can_be_stored(outcomes: dict[str, list[Outcome]]) -> None:
    for found in outcomes.values():
        text = outcome(found)[0]
        assert text is None or (text.strip() and "\0" not in text)
        (text or "").encode()


def test_the_same_with_attachments(outcomes: dict[str, list[Outcome]], pool: ReaderPool) -> None:
    """Looking for attachments in all of them loses none of them, and each attachment has its own outcome."""
    items = [item for found in outcomes.values() for item, _ in found]
    expanded = list(with_attachments(items, pool))
    assert len({item.document_id for item in expanded}) == len(expanded)
    attached = [item for item in expanded if item.address]
    assert len(attached) > 1_000
    assert len(expanded) - len(attached) == len(items)
    futures = [pool.submit(item.path, item.address) for item in attached if item.path and not item.problem]
    results = [future.result(timeout=120) for future in futures]
    assert all((result.text is None) != (result.failure is None) for result in results)
    assert all("reader process" not in result.failure.reason for result in results if result.failure)


def test_files_that_change_while_they_are_read(pool: ReaderPool, tmp_path: Path) -> None:
    path = tmp_path / "changing.txt"
    path.write_text("words " * 100_000)
    stop = threading.Event()

    def change() -> None:
        while not stop.is_set():
            with path.open("r+") as file:
                os.truncate(file.fileno(), 10)
                file.seek(0, os.SEEK_END)
                file.write("words " * 100_000)
            time.sleep(0.001)

    writer = threading.Thread(target=change)
    writer.start()
    try:
        results = [pool.submit(path).result(timeout=60) for _ in range(50)]
    finally:
        stop.set()
        writer.join()
    assert all((result.text is None) != (result.failure is None) for result in results)
    assert any(result.text for result in results)
