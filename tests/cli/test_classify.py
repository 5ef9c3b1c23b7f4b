from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet
import pytest

from tests.cli.conftest import Outcome, Thresher
from thresher.engines import EngineInfo, fake
from thresher.jobs import JobView
from thresher.types import Request, Scores

FIELDS = {
    "job", "documents", "labelled", "statuses", "resumed", "duplicates", "prompt_tokens", "cached_tokens", "seconds",
    "documents_per_second", "tokens_per_second", "label_counts", "engine", "model", "precision", "context",
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Seven documents: three alike, one broken, one hidden."""
    inputs = tmp_path / "in"
    (inputs / "sub").mkdir(parents=True)
    for name, text in {"a.txt": "one", "b.txt": "two", "sub/c.md": "one", "d.txt": "one", ".hidden": "x"}.items():
        (inputs / name).write_text(text)
    (inputs / "e.pdf").write_bytes(b"%PDF-1.4 broken")
    (inputs / "f.html").write_text("<html><body><p>three</p></body></html>")
    return inputs


def test_every_document_has_its_row_and_the_figures_add_up(classify: Thresher, folder: Path) -> None:
    outcome = classify(folder)
    found = outcome.json
    assert outcome.code == 3
    assert set(found) >= FIELDS
    assert (found["documents"], found["labelled"], found["duplicates"], found["resumed"]) == (6, 5, 2, 0)
    assert found["statuses"] == {"ok": 5, "unreadable": 1}
    assert sum(found["label_counts"]["labels"].values()) == 5
    assert found["engine"] == "fake"
    assert 0 < found["cached_tokens"] < found["prompt_tokens"]
    computed = found["prompt_tokens"] - found["cached_tokens"]
    assert found["tokens_per_second"] == pytest.approx(computed / found["seconds"])
    with JobView.open(Path("job")) as view:
        rows = list(view.rows())
    assert [row.document_id for row in rows] == ["a.txt", "b.txt", "d.txt", "e.pdf", "f.html", "sub/c.md"]
    assert all(Path(row.source).is_absolute() for row in rows)


def test_running_again_resumes_and_computes_nothing(classify: Thresher, folder: Path) -> None:
    classify(folder)
    (folder / "new.txt").write_text("new")
    (folder / "b.txt").write_text("changed")
    found = classify(folder).json
    assert found["documents"] == 7
    assert found["resumed"] == 5
    assert found["prompt_tokens"] > 0
    again = classify(folder).json
    assert (again["resumed"], again["prompt_tokens"], again["tokens_per_second"]) == (7, 0, 0)


def test_failures_are_tried_again_only_when_asked(classify: Thresher, folder: Path) -> None:
    classify(folder)
    assert classify(folder).json["resumed"] == 6
    again = classify(folder, "--retry-failed")
    assert "1 failures are tried again" in again.err
    assert again.json["resumed"] == 5
    assert again.code == 3


def test_limit_takes_the_first(classify: Thresher, folder: Path) -> None:
    found = classify(folder, "--limit", "2").json
    assert (found["documents"], found["labelled"]) == (2, 2)
    assert classify(folder).json["resumed"] == 2


@pytest.mark.parametrize(
    ("policy", "status"),
    [("head-tail", "truncated"), ("head", "truncated"), ("windows", "ok"), ("skip", "oversize")],
)
def test_long_documents(classify: Thresher, tmp_path: Path, policy: str, status: str) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "long.txt").write_text("Many words of a long text. " * 500)
    (tmp_path / "in" / "short.txt").write_text("Few words.")
    outcome = classify("in", "--context", "300", "--long", policy)
    assert outcome.code == (3 if policy == "skip" else 0)
    with JobView.open(Path("job")) as view:
        rows = {row.document_id: row for row in view.rows()}
    long = rows["long.txt"]
    assert (long.status, rows["short.txt"].status) == (status, "ok")
    assert long.context == 300
    assert long.document_tokens is not None
    assert long.document_tokens > 1_000
    assert (long.truncated_tokens > 0) == (status == "truncated")
    assert (long.label is None) == (status == "oversize")
    assert (long.error is None) == (status != "oversize")


def test_a_table_with_ids_and_gold(classify: Thresher, thresher: Thresher, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("key,body,truth\nk1,first text,invoice\nk2,second text,other\nk3,,other\n")
    outcome = classify(
        "t.csv", "--text-column", "body", "--id-column", "key", "--gold-column", "truth", "--out", "o.csv"
    )
    assert outcome.code == 3
    with (tmp_path / "o.csv").open(newline="") as stream:
        rows = {row["document_id"]: row for row in csv.DictReader(stream)}
    assert [row["gold"] for row in rows.values()] == ["invoice", "other", "other"]
    assert rows["k3"]["status"] == "unreadable"
    assert rows["k1"]["source"].endswith("t.csv#1")


def test_out_and_export_write_the_same_rows(classify: Thresher, thresher: Thresher, folder: Path) -> None:
    assert classify(folder, "--out", "rows.jsonl").code == 3
    lines = [json.loads(line) for line in Path("rows.jsonl").read_text().splitlines()]
    assert thresher("export", "job", "--to", "rows.csv").code == 0
    assert thresher("export", "job", "--to", "rows.parquet").code == 0
    with Path("rows.csv").open(newline="") as stream:
        cells = list(csv.DictReader(stream))
    table = pyarrow.parquet.read_table("rows.parquet").to_pylist()
    for rows in (cells, table):
        assert [row["document_id"] for row in rows] == [line["document_id"] for line in lines]
        assert [row["label"] or None for row in rows] == [line["label"] for line in lines]
        assert [float(row["probability"] or 0) for row in rows] == [line["probability"] or 0 for line in lines]
    refused = thresher("export", "job", "--to", "rows.csv")
    assert (refused.code, "add --overwrite" in refused.err) == (2, True)
    assert thresher("export", "job", "--to", "rows.csv", "--overwrite").code == 0


def test_job_and_output_inside_the_input_are_no_documents(classify: Thresher, folder: Path) -> None:
    flags = (folder, "--job", folder / "job", "--out", folder / "rows.csv", "--overwrite")
    assert classify(*flags).json["documents"] == 6
    assert classify(*flags).json["documents"] == 6


def test_an_interrupted_run_leaves_the_name_of_its_output_free(
    classify: Thresher, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Interrupted(fake.FakeEngine):
        @property
        def info(self) -> EngineInfo:
            return replace(super().info, batch_requests=1)

        def score(self, requests: Sequence[Request]) -> Iterator[Scores]:
            signal.raise_signal(signal.SIGINT)
            return super().score(requests)

    with monkeypatch.context() as patched:
        patched.setattr(fake, "FakeEngine", Interrupted)
        found = classify(folder, "--out", "rows.csv")
    assert (found.code, found.json["interrupted"]) == (130, True)
    assert "run the same command again to go on; rows.csv is written when all are done" in found.err
    assert not (tmp_path / "rows.csv").exists()
    assert classify(folder, "--out", "rows.csv").json["left"] == 0
    assert (tmp_path / "rows.csv").exists()


def test_the_default_job_is_found_again(thresher: Thresher, folder: Path, model: str) -> None:
    command = ("classify", folder, "--labels", "a,b", "--model", model, "--engine", "fake", "--json")
    first, second = thresher(*command), thresher(*command)
    assert first.json["job"] == second.json["job"]
    assert Path(first.json["job"]).parent.name == "thresher-jobs"
    assert second.json["resumed"] == 6


def test_other_jobs_in_the_working_folder_are_no_documents(thresher: Thresher, folder: Path, model: str) -> None:
    for labels in ("a,b", "a,c"):
        found = thresher("classify", ".", "--labels", labels, "--model", model, "--engine", "fake", "--json")
        assert found.json["documents"] == 6


def test_text_is_kept_unless_told_otherwise(classify: Thresher, folder: Path) -> None:
    classify(folder)
    classify(folder, "--job", "other", "--no-store-text")
    for job, kept in (("job", True), ("other", False)):
        with JobView.open(Path(job)) as view:
            row = next(row for row in view.rows() if row.document_id == "b.txt")
            assert (view.text(row.content_sha256 or "") is not None) == kept


def test_a_dry_run_counts_and_stores_nothing(classify: Thresher, folder: Path, tmp_path: Path) -> None:
    (folder / "long.txt").write_text("Many words of a long text. " * 500)
    found = classify(folder, "--dry-run", "--context", "300").json
    assert (found["documents"], found["readable"], found["duplicates"], found["unreadable"]) == (7, 6, 2, 1)
    assert list(found["longest"]) == ["long.txt"]
    assert found["too_long"] == 1
    assert found["expected_seconds"] > 0
    assert list(found["unreadable_reasons"]) == ["e.pdf"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in"]


def test_status_says_where_a_job_stands(classify: Thresher, thresher: Thresher, folder: Path) -> None:
    classify(folder)
    found = thresher("status", "job", "--json")
    assert found.code == 0
    assert {key: found.json[key] for key in ("documents", "labelled", "failed", "left")} == {
        "documents": 6, "labelled": 5, "failed": 1, "left": 0,
    }  # fmt: skip
    assert "unreadable" in thresher("status", "job").out
    missing = thresher("status", "nowhere")
    assert (missing.code, "holds no job" in missing.err) == (1, True)


def test_people_get_a_table(thresher: Thresher, folder: Path, model: str) -> None:
    shown = thresher("classify", folder, "--labels", "a,b", "--model", model, "--engine", "fake")
    assert "sub/c.md" in shown.out
    assert "tok/s" in shown.out
    assert "1 of 6 rows failed" in shown.err
    assert "\x1b" not in shown.out + shown.err  # not a terminal


def test_engines_are_listed(thresher: Thresher) -> None:
    found = thresher("engines", "--json").json["engines"]
    assert {engine["name"]: engine["available"] for engine in found} == {
        "native": True, "llamacpp": True, "llama-server": True, "vllm": True, "sglang": True, "openai": True,
        "fake": True,
    }  # fmt: skip
    assert "llamacpp" in thresher("engines").out


def test_version_and_help(thresher: Thresher) -> None:
    assert thresher("--version").out.startswith("thresher 0.")
    assert "classify" in thresher("--help").out


def start_slow_run(folder: Path, model: str) -> subprocess.Popen[str]:
    program = Path(__file__).parents[1] / "pipeline" / "killed_run.py"
    command = [sys.executable, str(program), str(folder), str(folder.parent / "job"), str(folder.parent / "log"), model]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def wait_for_rows(job: Path, thresher: Thresher) -> Outcome:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        outcome = thresher("status", job, "--json")
        if outcome.code == 0 and outcome.json["labelled"] > 0:
            return outcome
        time.sleep(0.05)
    raise AssertionError("no row appeared")


def test_ctrl_c_finishes_the_batch_and_the_job_goes_on(
    classify: Thresher, thresher: Thresher, tmp_path: Path, model: str
) -> None:
    inputs = tmp_path / "many"
    inputs.mkdir()
    for number in range(2_000):
        (inputs / f"{number}.txt").write_text(f"Document {number}")
    process = start_slow_run(inputs, model)
    wait_for_rows(tmp_path / "job", thresher)  # readers are not locked out
    locked = classify(inputs)
    assert (locked.code, "another thresher is writing" in locked.err) == (1, True)
    process.send_signal(signal.SIGINT)
    out, error = process.communicate(timeout=60)
    documents, left = map(int, out.split())
    assert process.returncode == 0, error
    assert documents == 2_000
    assert 0 < left < 2_000
    assert (tmp_path / "log").read_text().count("\n") == 2_000 - left  # and nothing scored in vain
    found = classify(inputs)
    assert (found.code, found.json["resumed"], found.json["labelled"]) == (0, 2_000 - left, 2_000)
