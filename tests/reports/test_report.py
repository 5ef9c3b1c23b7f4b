from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.cli.conftest import Thresher
from thresher.errors import JobError
from thresher.jobs import Commit, DocumentRead, JobStore, JobView, ListedDocument, PassFacts, Result, RunFacts
from thresher.pipeline.evaluating import evaluate
from thresher.reports import gather, page
from thresher.reports.samples import Reservoir, excerpt_of
from thresher.tasks import Question, Task

HOSTILE = '<script>alert("x")</script><img src=x onerror=alert(1)>\u202e'
FACTS = RunFacts(
    task="kind", task_fingerprint="t", questions=("kind",), model="m", model_fingerprint="f", engine="fake",
    precision="none", context_tokens=100, long_policy="head-tail", parser_version="1", labels={"kind": ("a", "b")},
)  # fmt: skip
PASS = PassFacts(
    started_at=1_700_000_000.0, load_seconds=1.5, thresher_version="0", engine_version="fake 1", device="cpu",
    machine={"processor": "slide rule"}, command="thresher classify in --labels a,b",
)  # fmt: skip


class Page(HTMLParser):
    """The tags of a page, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def sha(number: int) -> str:
    return f"{number:064x}"


def job_with(
    folder: Path, results: list[Result], *, texts: dict[int, str] | None = None, end: bool = True, run: RunFacts = FACTS
) -> Path:
    """A job with one document for each of ``results``, and one that could not be read."""
    with JobStore.open(folder) as store:
        store.begin_run(run)
        store.begin_pass(PASS)
        with store.listing() as add:
            add(
                ListedDocument(document_id=f"d{n}", source=f"/in/d{n}", size_bytes=1, mtime_ns=1)
                for n in range(len(results) + 1)
            )
        reads = [DocumentRead(document_id=f"d{n}", content_sha256=sha(n)) for n in range(len(results))]
        bad = DocumentRead(document_id=f"d{len(results)}", unreadable_reason="page 17 is missing")
        stored = tuple((sha(n), text) for n, text in (texts or {}).items())
        store.commit(Commit(reads=(*reads, bad), results=tuple(results), texts=stored, computed_tokens=700))
        if end:
            store.end_pass("finished")
    return folder


def result(number: int, **changes: object) -> Result:
    fields = Result(
        content_sha256=sha(number), question="kind", status="ok", label="a", probability=0.75,
        probabilities={"a": 0.75, "b": 0.25}, document_tokens=7,
    )  # fmt: skip
    return replace(fields, **changes)  # type: ignore[arg-type]


def test_what_is_gathered_is_what_the_rows_say(tmp_path: Path) -> None:
    results = [
        result(0), result(1, label="b", probability=1.0), result(2, probability=None, truncated_tokens=5),
        result(3, label=None, status="abstained", probability=0.31),
        result(4, status="oversize", label=None, probability=None, error="1,234 tokens, over 100"),
        result(5, status="oversize", label=None, probability=None, error="99,999 tokens, over 100"),
    ]  # fmt: skip
    with JobView.open(job_with(tmp_path / "job", results)) as view:
        facts = gather(view)
    (answers,) = facts.answers
    assert dict(answers.label_counts) == {"a": 2, "b": 1}
    assert (answers.rows, answers.abstained, answers.without_probability) == (4, 1, 1)
    assert {place: n for place, n in enumerate(answers.probability_bins) if n} == {6: 1, 15: 1, 19: 1}
    assert [(group.status, group.count, group.documents) for group in facts.failures] == [
        ("oversize", 2, ("d4", "d5")),
        ("unreadable", 1, ("d6",)),
    ]
    assert facts.failures[0].reason == "1,234 tokens, over 100"
    assert (facts.document_tokens, facts.truncated_documents, facts.truncated_tokens) == (42, 1, 5)
    (record,) = facts.passes
    assert (record.outcome, record.facts, record.pace[0].computed_tokens) == ("finished", PASS, 700)


def test_a_killed_pass_says_that_its_end_is_not_known(tmp_path: Path) -> None:
    with JobView.open(job_with(tmp_path / "job", [result(0)], end=False)) as view:
        facts = gather(view)
    assert facts.passes[0].outcome is None
    assert "no end on record" in page(facts)


def test_a_killed_pass_makes_no_run_look_faster(tmp_path: Path) -> None:
    folder = job_with(tmp_path / "job", [result(0)], end=False)
    with JobStore.open(folder) as store:
        store.begin_run(FACTS)
        store.begin_pass(PASS)
        store.commit(Commit(results=(result(1),), computed_tokens=100))
        store.end_pass("finished")
    with JobView.open(folder) as view:
        facts = gather(view)
    killed, finished = facts.passes
    assert (killed.seconds, killed.pace[0].computed_tokens) == (None, 700)
    timed = replace(facts, passes=(killed, replace(finished, seconds=10.0)))
    assert "in 10.0 s" in page(timed)
    assert re.search(r"tokens read a second</dt><dd>10<", page(timed))


def test_labels_given_to_nobody_and_answers_without_label_are_said(tmp_path: Path) -> None:
    kinds = {"kinds": {"kind": "multi"}, "labels": {"kind": ("a", "b", "<c>")}}
    results = [result(0, label=("a",)), result(1, label=()), result(2, label=())]
    folder = job_with(tmp_path / "job", results, run=replace(FACTS, **kinds))  # type: ignore[arg-type]
    with JobView.open(folder) as view:
        facts = gather(view)
    (answers,) = facts.answers
    assert (dict(answers.label_counts), answers.never_given, answers.none_applies) == ({"a": 1}, ("b", "<c>"), 2)
    shown = Page(page(facts)).text
    assert "Given to no document: b, <c>." in shown
    assert "(none of them applies)2" in shown


def test_what_is_told_before_several_questions_is_shown(tmp_path: Path) -> None:
    questions = [Question(name="kind", labels=["a", "b"]), Question(name="urgent", kind="yes_no", instructions="Now?")]
    task = Task(name="two", instructions="These are faxes.", questions=questions)
    run = replace(FACTS, definition=task.canonical_json())
    with JobView.open(job_with(tmp_path / "job", [result(0)], run=run)) as view:
        shown = Page(page(gather(view))).text
    assert "Before all questions: These are faxes." in shown


@pytest.mark.parametrize("kind", ["multi", "choice"])
def test_the_f1_of_several_labels_is_that_of_evaluate(tmp_path: Path, kind: str) -> None:
    said = [("a",), ("a", "b"), (), ("b",)] if kind == "multi" else ["a", "b", "a", "b"]
    folder = job_with(
        tmp_path / "job", [result(n, label=label) for n, label in enumerate(said)],
        run=replace(FACTS, kinds={"kind": kind}),
    )  # fmt: skip
    gold = tmp_path / "gold.csv"
    gold.write_text("document_id,label\nd0,a\nd1,a\nd2,b\nd3,b\n", encoding="utf-8")
    evaluation = evaluate(folder, gold)
    measured = evaluation.questions[0].measurement
    assert measured is not None
    with JobView.open(folder) as view:
        shown = Page(page(gather(view), evaluation)).text
    quality = measured.labels.all
    assert (f"Micro F1 {quality.micro_f1:.3f}, macro F1 {quality.macro_f1:.3f}" in shown) == (kind == "multi")
    assert (f"Macro F1 {quality.macro_f1:.3f}, weighted F1 {quality.weighted_f1:.3f}" in shown) == (kind == "choice")


def test_whatever_a_document_holds_stays_text(tmp_path: Path) -> None:
    failed = result(1, status="engine_error", label=None, probability=None, error=HOSTILE)
    folder = job_with(tmp_path / "job", [result(0, label=HOSTILE), failed], texts={0: f"{HOSTILE} {HOSTILE}"})
    with JobView.open(folder) as view:
        shown = Page(page(gather(view)))
    tags = {tag for tag, _ in shown.tags}
    assert not tags & {"script", "img", "link", "iframe", "object", "form"}
    assert not [name for _, attributes in shown.tags for name in attributes if name.startswith("on")]
    assert shown.text.count("alert(1)") >= 3


def test_the_page_asks_for_no_other_file(tmp_path: Path) -> None:
    with JobView.open(job_with(tmp_path / "job", [result(0)])) as view:
        shown = Page(page(gather(view)))
    for _, attributes in shown.tags:
        assert not attributes.keys() & {"src", "srcset"}
        assert (attributes.get("href") or "#").startswith("#")
        assert (attributes.get("xlink:href") or "#").startswith("#")
    policies = [attributes["content"] for tag, attributes in shown.tags if "http-equiv" in attributes and tag == "meta"]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'"]


def test_a_job_without_a_run_has_nothing_to_report(tmp_path: Path) -> None:
    JobStore.open(tmp_path / "job").close()
    with JobView.open(tmp_path / "job") as view, pytest.raises(JobError, match="nothing to report"):
        gather(view)


def test_every_item_of_a_stream_is_as_likely_to_be_kept() -> None:
    from random import Random

    random = Random(3)
    kept = [0] * 10
    for _ in range(3_000):
        reservoir: Reservoir[int] = Reservoir(2, random)
        for item in range(10):
            reservoir.add(item)
        for item in reservoir.chosen:
            kept[item] += 1
    assert all(500 < count < 700 for count in kept)  # 600 expected, standard deviation 22


def test_excerpts_end_at_a_word() -> None:
    assert excerpt_of("  two\n\nwords ") == "two words"
    long = excerpt_of("word " * 1_000)
    assert len(long) < 300
    assert long.endswith("word …")
    assert len(excerpt_of("x" * 10_000_000)) < 300


class TestCommand:
    def test_the_report_of_a_run(self, classify: Thresher, thresher: Thresher, examples: Path, tmp_path: Path) -> None:
        assert classify(examples / "documents", "--limit", "12").code == 0
        outcome = thresher("report", "job", "--to", "report.html")
        assert (outcome.code, outcome.out) == (0, "")
        shown = Page((tmp_path / "report.html").read_text("utf-8"))
        assert "thresher classify" in shown.text
        assert "--limit 12" in shown.text
        assert [tag for tag, _ in shown.tags].count("blockquote") >= 2
        assert thresher("report", "job", "--to", "report.html").code == 2
        assert thresher("report", "job", "--to", "report.html", "--overwrite", "--samples", "0").code == 0
        assert "<blockquote" not in (tmp_path / "report.html").read_text("utf-8")

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (("report", "nowhere", "--to", "r.html"), "nowhere"),
            (("report", "job", "--to", "r.pdf"), ".html"),
            (("report", "job", "--to", "missing/r.html"), "does not exist"),
        ],
    )
    def test_what_cannot_be_written_is_said(
        self, classify: Thresher, thresher: Thresher, tmp_path: Path, arguments: tuple[str, ...], said: str
    ) -> None:
        (tmp_path / "in.txt").write_text("an invoice", encoding="utf-8")
        classify("in.txt")
        outcome = thresher(*arguments)
        assert outcome.code in (1, 2)
        assert said in outcome.err
        assert not list(tmp_path.glob("r.*"))


@pytest.mark.skipif(shutil.which("chromium") is None, reason="no Chromium here: apt-get install chromium")
def test_a_browser_prints_it(classify: Thresher, thresher: Thresher, examples: Path, tmp_path: Path) -> None:
    classify(examples / "documents", "--limit", "5")
    thresher("report", "job", "--to", "report.html")
    subprocess.run(
        [
            "chromium", "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}",
            f"--print-to-pdf={tmp_path / 'report.pdf'}", (tmp_path / "report.html").as_uri(),
        ],
        check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")
