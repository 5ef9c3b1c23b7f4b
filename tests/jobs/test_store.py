from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from thresher.errors import DiskFullError, InputError, JobError, JobLockedError
from thresher.jobs import Commit, DocumentRead, JobStore, JobView, ListedDocument, Result, RunFacts, location

FACTS = RunFacts(
    task="kind",
    task_fingerprint="t",
    questions=("kind",),
    model="m",
    model_fingerprint="f",
    engine="fake",
    precision="none",
    context_tokens=100,
    long_policy="head-tail",
    parser_version="1",
    labels={"kind": ("a", "b")},
)


def sha(number: int) -> str:
    return f"{number:064x}"


def document(number: int, **changes: object) -> ListedDocument:
    listed = ListedDocument(document_id=f"d{number}", source=f"/in/d{number}", size_bytes=number, mtime_ns=1)
    return replace(listed, **changes)  # type: ignore[arg-type]


def result(number: int, **changes: object) -> Result:
    fields = Result(
        content_sha256=sha(number), question="kind", status="ok", label="a", probability=0.75,
        probabilities={"a": 0.75, "b": 0.25}, label_mass=0.5, document_tokens=7,
    )  # fmt: skip
    return replace(fields, **changes)  # type: ignore[arg-type]


def read(number: int, content: int) -> DocumentRead:
    return DocumentRead(document_id=f"d{number}", content_sha256=sha(content))


def test_jobs_of_older_versions_are_brought_up_to_date_by_their_readers(tmp_path: Path) -> None:
    with JobStore.open(tmp_path / "job") as store:
        store.begin_run(FACTS)
        list_all(store, [document(1), document(2)])
        store.commit(Commit(reads=(read(1, 1), read(2, 1)), results=(result(1),)))
    connection = sqlite3.connect(tmp_path / "job" / location.DATABASE_NAME)
    connection.executescript(
        """
        ALTER TABLE results DROP COLUMN prompt_tokens;
        ALTER TABLE results DROP COLUMN cached_tokens;
        ALTER TABLE documents DROP COLUMN reply_form;
        DROP TABLE calibrations;
        DROP TABLE content_free;
        UPDATE documents SET gold = 'say "b"' WHERE document_id = 'd1';
        DROP TABLE pace;
        DROP TABLE passes;
        PRAGMA user_version = 1;
        """
    )
    connection.close()
    with JobView.open(tmp_path / "job") as view:
        first, second = view.rows()
    assert (first.label, first.prompt_tokens, first.reply_form, first.gold) == ("a", None, None, 'say "b"')
    assert second.gold is None


@pytest.fixture
def store(tmp_path: Path) -> Iterator[JobStore]:
    with JobStore.open(tmp_path / "job") as opened:
        opened.begin_run(FACTS)
        yield opened


def list_all(store: JobStore, documents: list[ListedDocument]) -> None:
    with store.listing() as add:
        add(documents)


def rows(store: JobStore) -> dict[str, tuple[str, object]]:
    with JobView.open(store.folder) as view:
        return {row.document_id: (row.status, row.label) for row in view.rows()}


def test_several_labels_come_back_in_the_order_of_the_questions(tmp_path: Path) -> None:
    facts = replace(
        FACTS, questions=("tags", "kind"), kinds={"tags": "multi", "kind": "choice"},
        labels={"tags": ("x", "y"), "kind": ("a", '["a"]')},
    )  # fmt: skip
    with JobStore.open(tmp_path / "job") as store:
        store.begin_run(facts)
        list_all(store, [document(1), document(2)])
        answers = [result(10, question="kind", label='["a"]'), result(10, question="tags", label=("x", "y"))]
        none = [result(11, question="kind", label=None, status="abstained"), result(11, question="tags", label=())]
        store.commit(Commit(reads=(read(1, 10), read(2, 11)), results=(*answers, *none)))
        with JobView.open(store.folder) as view:
            assert [(row.question, row.label) for row in view.rows()] == [
                ("tags", ("x", "y")), ("kind", '["a"]'), ("tags", ()), ("kind", None),
            ]  # fmt: skip
            counts = view.counts()
    assert counts.label_counts == {"tags": {"x": 1, "y": 1}, "kind": {"a": 0, '["a"]': 1}}
    assert (counts.statuses, counts.left, counts.labelled) == ({"ok": 3, "abstained": 1}, 0, 4)


def test_a_row_for_every_document_duplicates_included(store: JobStore) -> None:
    list_all(store, [document(1), document(2), document(3), document(4)])
    unreadable = DocumentRead(document_id="d3", unreadable_reason="broken")
    store.commit(
        Commit(reads=(read(1, 10), read(2, 10), unreadable), results=(result(10),), texts=((sha(10), "the téxt"),))
    )
    assert rows(store) == {"d1": ("ok", "a"), "d2": ("ok", "a"), "d3": ("unreadable", None)}
    with JobView.open(store.folder) as view:
        counts = view.counts()
        assert view.text(sha(10)) == "the téxt"
        assert view.text(sha(11)) is None
        row = next(view.rows())
    assert (counts.documents, counts.duplicates, counts.left, counts.labelled, counts.failed) == (4, 1, 1, 2, 1)
    assert counts.label_counts == {"kind": {"a": 2, "b": 0}}
    assert (row.probability, dict(row.probabilities), row.label_mass) == (0.75, {"a": 0.75, "b": 0.25}, 0.5)
    assert (row.model, row.engine, row.context, row.content_sha256) == ("m", "fake", 100, sha(10))


def test_listing_again_keeps_what_is_unchanged_and_forgets_what_changed(store: JobStore) -> None:
    list_all(store, [document(1), document(2), document(3)])
    store.commit(Commit(reads=(read(1, 1), read(2, 2), DocumentRead(document_id="d3", unreadable_reason="bad"))))
    list_all(store, [document(1), document(2, mtime_ns=2), document(3, size_bytes=99)])
    states = store.states(["d1", "d2", "d3", "d4"])
    assert states["d1"].content_sha256 == sha(1)
    assert states["d2"].content_sha256 is None
    assert not states["d3"].unreadable
    assert "d4" not in states


def test_only_documents_of_the_latest_listing_are_shown(store: JobStore) -> None:
    list_all(store, [document(1), document(2)])
    store.commit(Commit(reads=(read(1, 1), read(2, 2)), results=(result(1), result(2))))
    list_all(store, [document(2)])
    assert set(rows(store)) == {"d2"}


def test_a_listing_that_fails_leaves_the_earlier_one_in_force(store: JobStore) -> None:
    list_all(store, [document(1), document(2)])
    store.commit(Commit(reads=(read(1, 1), read(2, 2)), results=(result(1), result(2))))
    with pytest.raises(RuntimeError, match="broken off"), store.listing() as add:
        add([document(2)])
        raise RuntimeError("broken off")
    assert set(rows(store)) == {"d1", "d2"}


@pytest.mark.parametrize("distance", [1, 5_000])
def test_a_repeated_id_is_named_with_both_sources(store: JobStore, distance: int) -> None:
    documents = [document(number) for number in range(distance)]
    repeated = document(0, source="/elsewhere/d0")
    with pytest.raises(InputError, match="'d0' is used twice: by /in/d0 and by /elsewhere/d0"):
        list_all(store, [*documents, repeated])


def test_documents_that_vanish_get_their_failure(store: JobStore) -> None:
    list_all(store, [document(1), document(2)])
    store.commit(Commit(reads=(read(1, 1),), results=(result(1),)))
    assert store.finish_listing() == 1
    assert rows(store)["d2"] == ("unreadable", None)
    assert store.finish_listing() == 0


def test_a_changed_setting_starts_new_rows_and_leaves_the_old(tmp_path: Path) -> None:
    other = replace(FACTS, context_tokens=50)
    with JobStore.open(tmp_path) as store:
        assert store.latest_run() is None
        assert store.begin_run(FACTS) is False
        list_all(store, [document(1)])
        store.commit(Commit(reads=(read(1, 1),), results=(result(1),)))
        assert store.begin_run(other) is False
        list_all(store, [document(1)])
        assert rows(store) == {}
        assert store.scored_contents([sha(1)]) == set()
        assert store.begin_run(FACTS) is True
        assert store.latest_run() == FACTS
        list_all(store, [document(1)])
        assert rows(store) == {"d1": ("ok", "a")}
        assert store.scored_contents([sha(1), sha(2)]) == {sha(1)}


def test_failures_are_forgotten_on_request_only(store: JobStore) -> None:
    list_all(store, [document(1), document(2), document(3)])
    failed = result(2, status="engine_error", label=None, probability=None, probabilities=None, error="boom")
    store.commit(
        Commit(
            reads=(read(1, 1), read(2, 2), DocumentRead(document_id="d3", unreadable_reason="x")),
            results=(result(1), failed),
        )
    )
    states = store.states(["d1", "d2", "d3"])
    assert [states[key].scored or states[key].unreadable for key in ("d1", "d2", "d3")] == [True, True, True]
    assert store.forget_failures() == 2
    states = store.states(["d1", "d2", "d3"])
    assert [states[key].scored or states[key].unreadable for key in ("d1", "d2", "d3")] == [True, False, False]


def test_a_second_writer_is_kept_out_and_readers_are_not(store: JobStore) -> None:
    list_all(store, [document(1)])
    with pytest.raises(JobLockedError, match="another thresher is writing"):
        JobStore.open(store.folder)
    code = f"from thresher.jobs import JobStore; JobStore.open(__import__('pathlib').Path({str(store.folder)!r}))"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "JobLockedError" in other.stderr
    assert rows(store) == {}
    store.close()
    store.close()
    JobStore.open(store.folder).close()


def test_folder_and_files_are_private(store: JobStore) -> None:
    list_all(store, [document(1)])
    assert stat.S_IMODE(store.folder.stat().st_mode) == 0o700
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in store.folder.iterdir()}
    assert set(modes.values()) == {0o600}, modes


def test_writes_are_durable_by_settings(store: JobStore) -> None:
    connection = store._database._connection
    assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    assert connection.execute("PRAGMA synchronous").fetchone()[0] == 2  # FULL


def test_a_full_disk_is_a_clear_error_and_loses_nothing_committed(store: JobStore) -> None:
    list_all(store, [document(number) for number in range(2_000)])
    store.commit(Commit(reads=(read(1, 1),), results=(result(1),)))
    pages = store._database._connection.execute("PRAGMA page_count").fetchone()[0]
    store._database._connection.execute(
        f"PRAGMA max_page_count = {pages}"
    )  # what SQLite meets is the same as on a full disk
    texts = tuple((sha(number), os.urandom(2_000).hex()) for number in range(2, 200))
    with pytest.raises(DiskFullError, match="no space is left.*everything committed so far is safe"):
        store.commit(Commit(reads=(read(2, 2),), results=(result(2),), texts=texts))
    assert rows(store) == {"d1": ("ok", "a")}
    store._database._connection.execute("PRAGMA max_page_count = 1000000")
    store.commit(Commit(reads=(read(2, 2),), results=(result(2),), texts=texts))
    assert rows(store)["d2"] == ("ok", "a")


def test_a_full_file_system(tmp_path: Path) -> None:
    """The same on a file system of 2 MiB that is really full."""
    mount = tmp_path / "small"
    mount.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(mount)]
    if subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("a small file system can only be mounted as root")
    try:
        with JobStore.open(mount / "job") as store:
            store.begin_run(FACTS)
            list_all(store, [document(1), document(2)])
            store.commit(Commit(reads=(read(1, 1),), results=(result(1),)))
            with pytest.raises(DiskFullError, match="no space is left"):
                for number in range(3, 100):
                    store.commit(Commit(texts=((sha(number), os.urandom(100_000).hex()),)))
            assert rows(store) == {"d1": ("ok", "a")}
    finally:
        subprocess.run(["umount", str(mount)], check=True)


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    folder = tmp_path / "job"
    folder.mkdir(mode=0o555)
    user = os.geteuid()
    tmp_path.chmod(0o755)
    for parent in tmp_path.parents:
        if parent.name.startswith("pytest"):
            parent.chmod(0o755)
    if user == 0:
        os.seteuid(65534)  # root may write everywhere
    try:
        with pytest.raises(JobError, match="cannot be written: Permission denied"):
            JobStore.open(folder)
    finally:
        os.seteuid(user)


def test_a_file_in_the_place_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "job").write_text("x")
    with pytest.raises(JobError, match="is a file; choose another --job"):
        JobStore.open(tmp_path / "job")


def test_a_network_file_system_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(location, "file_system_of", lambda folder: "nfs4")
    with pytest.raises(JobError, match=r"network file system \(nfs4\).*local disk"):
        JobStore.open(tmp_path)


def test_the_file_system_of_a_folder_is_that_of_its_nearest_mount(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Partition:
        def __init__(self, mountpoint: str, fstype: str) -> None:
            self.mountpoint, self.fstype = mountpoint, fstype

    mounts = [Partition("/", "ext4"), Partition(str(tmp_path), "NFS"), Partition(str(tmp_path / "in"), "xfs")]
    monkeypatch.setattr("thresher.jobs.location.psutil.disk_partitions", lambda all: mounts)
    assert location.file_system_of(tmp_path / "job") == "nfs"
    assert location.file_system_of(tmp_path / "in" / "job") == "xfs"
    assert location.file_system_of(Path(str(tmp_path) + "2")) == "ext4"


def test_something_else_in_the_file(tmp_path: Path) -> None:
    (tmp_path / "job.sqlite").write_bytes(b"this is not a database, and long enough to be looked at" * 20)
    with pytest.raises(JobError, match="not a job file"):
        JobStore.open(tmp_path)
    with pytest.raises(JobError, match="holds no job"):
        JobView.open(tmp_path / "nowhere")


def test_a_file_of_a_newer_version_is_refused(store: JobStore) -> None:
    store.close()
    connection = sqlite3.connect(store.folder / "job.sqlite")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(JobError, match="newer version of Thresher"):
        JobStore.open(store.folder)
