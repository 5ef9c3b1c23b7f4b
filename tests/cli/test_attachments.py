"""``--attachments`` and ``--ocr`` as a user meets them."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

import thresher
from tests.cli.conftest import Thresher
from tests.support.document_files import pdf
from tests.support.mail_files import eml
from thresher.jobs import JobView


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    folder = tmp_path / "inbox"
    folder.mkdir()
    attached = [
        ("bill.pdf", pdf(["an invoice"])),
        ("bill.pdf", pdf(["a contract"])),
        ("pack.zip", b"PK\5\6" + bytes(18)),
    ]
    (folder / "a.eml").write_bytes(eml("Two papers", attached=attached))
    (folder / "b.txt").write_text("a letter")
    return folder


def rows(job: Path) -> dict[str, Any]:
    with JobView.open(job) as view:
        return {row.document_id: row for row in view.rows()}


def test_attachments_have_rows_of_their_own(classify: Thresher, inbox: Path) -> None:
    outcome = classify(inbox, "--attachments")
    assert outcome.code == 3
    assert outcome.json["statuses"] == {"ok": 4, "unreadable": 1}
    found = rows(Path("job"))
    assert list(found) == ["a.eml", "a.eml/bill.pdf", "a.eml/bill (2).pdf", "a.eml/pack.zip", "b.txt"]
    assert found["a.eml/bill (2).pdf"].source == f"{inbox}/a.eml#attachment 2"
    assert found["a.eml/pack.zip"].error == "zip archive files are not supported"


def test_the_flag_decides_what_is_listed_and_answers_are_kept(classify: Thresher, inbox: Path) -> None:
    assert classify(inbox).json["documents"] == 2
    with_them = classify(inbox, "--attachments").json
    assert (with_them["documents"], with_them["resumed"]) == (5, 2)
    again = classify(inbox, "--attachments").json
    assert (again["documents"], again["resumed"]) == (5, 5)
    assert classify(inbox).json["documents"] == 2


def test_limit_and_dry_run_count_attachments(classify: Thresher, inbox: Path) -> None:
    assert classify(inbox, "--attachments", "--limit", "3").json["documents"] == 3
    assert classify(inbox, "--attachments", "--dry-run").json["documents"] == 5


def test_from_python(inbox: Path, model: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    task = thresher.Task(["invoice", "contract"])
    run = thresher.classify(inbox, task, model=model, engine="fake", attachments=True)
    assert len(run) == 5


def test_ocr_without_its_extra_names_the_remedy(
    classify: Thresher, inbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "rapidocr" else found(name))
    outcome = classify(inbox, "--ocr")
    assert outcome.code == 2
    assert "--ocr needs rapidocr; install it: pip install 'thresher[ocr]'" in outcome.err


def test_ocr_makes_another_run_and_reads_pictures(classify: Thresher, tmp_path: Path) -> None:
    pytest.importorskip("rapidocr")
    from tests.support.pictures import picture

    folder = tmp_path / "scans"
    folder.mkdir()
    (folder / "a.png").write_bytes(picture("INVOICE 2026", "PNG"))
    assert classify(folder).json["statuses"] == {"unreadable": 1}
    outcome = classify(folder, "--ocr")
    assert outcome.json["statuses"] == {"ok": 1}
    assert "parser version changed" in outcome.err
