"""Corrected documents as examples of the task."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.cli.conftest import Outcome
from tests.support.review_jobs import KIND, TAGS, Told, content_of, make_job
from thresher import cli
from thresher.errors import JobError, UsageError
from thresher.jobs import JobStore, NewDecision, Queue, ReviewedLabel, ReviewLog, sample_key
from thresher.review.diversity import diverse
from thresher.review.examples import shortened, write_examples
from thresher.tasks import Example, load_task


def correct(
    job: Path,
    labels: Mapping[str, ReviewedLabel],
    documents: Mapping[str, Told],
    *,
    question: str = "kind",
    queue: Queue = "doubtful",
) -> None:
    with ReviewLog.open(job) as log:
        for name, label in labels.items():
            text = documents[name].text
            log.decide(
                NewDecision(
                    question=question, subject=content_of(name if text is None else text), document_id=name,
                    action="correct", label=label, model_label=None, queue=queue, run_fingerprint="f", reviewer="ada",
                ),
                seen=0,
            )  # fmt: skip


def examples_in(file: Path) -> dict[str, ReviewedLabel]:
    return {example.text: example.label for question in load_task(file).questions for example in question.examples}


def test_corrected_documents_become_examples_of_the_task(tmp_path: Path) -> None:
    documents = {name: Told(text=f"text of {name}") for name in ("a", "b", "c")}
    job = make_job(tmp_path / "job", documents, (KIND, TAGS))
    correct(job, {"a": "invoice", "b": "legal/lease"}, documents)
    correct(job, {"c": ("old", "signed"), "a": ()}, documents, question="tags")
    written = write_examples(job, tmp_path / "task.yaml", count=5)
    assert (written.corrected, written.examples) == (4, 4)
    task = load_task(tmp_path / "task.yaml")
    assert [question.name for question in task.questions] == ["kind", "tags"]
    assert {(e.text, e.label) for e in task.questions[0].examples} == {
        ("text of a", "invoice"),
        ("text of b", "legal/lease"),
    }
    assert {(e.text, e.label) for e in task.questions[1].examples} == {
        ("text of a", ()),
        ("text of c", ("old", "signed")),
    }


def test_documents_that_no_label_fits_are_no_examples(tmp_path: Path) -> None:
    documents = {name: Told(text=f"text of {name}") for name in ("a", "b")}
    job = make_job(tmp_path / "job", documents)
    correct(job, {"a": "invoice", "b": ()}, documents)
    written = write_examples(job, tmp_path / "task.yaml", count=5)
    assert examples_in(tmp_path / "task.yaml") == {"text of a": "invoice"}
    assert "1 left out: fit none of the task's labels" in written.summary


def test_none_is_taken_from_what_the_labels_are_measured_with(tmp_path: Path) -> None:
    documents = {f"d{n}": Told(text=f"text {n}") for n in range(40)}
    documents["gold"] = Told(text="has a gold label", gold="invoice")
    documents["copy of gold"] = Told(text="has a gold label")
    job = make_job(tmp_path / "job", documents)
    with ReviewLog.open(job) as log:
        order = sorted(documents, key=lambda name: sample_key(log.seed, name))
    sampled = [name for name in order[:10] if "gold" not in name]
    correct(job, {sampled[-1]: "invoice"}, documents, queue="random")  # the sample goes as far as this one
    correct(job, {name: "invoice" for name in documents if name != sampled[-1]}, documents)
    write_examples(job, tmp_path / "task.yaml", count=100)
    found = set(examples_in(tmp_path / "task.yaml"))
    assert not found & {documents[name].text for name in [*sampled, "gold"]}
    assert found == {documents[name].text for name in order if name not in sampled and "gold" not in name}


def test_when_nothing_can_be_an_example_the_reasons_are_said(tmp_path: Path) -> None:
    documents = {"a": Told(), "b": Told(text=" \n "), "c": Told()}
    job = make_job(tmp_path / "job", documents)
    with pytest.raises(UsageError, match="0 documents are corrected"):
        write_examples(job, tmp_path / "task.yaml", count=5)
    correct(job, {"a": "a label of another task", "b": "invoice"}, documents)
    with pytest.raises(UsageError, match=r"2 documents are corrected.*no text.*") as raised:
        write_examples(job, tmp_path / "task.yaml", count=5)
    assert "have a label that the task has no more" in str(raised.value)
    assert not (tmp_path / "task.yaml").exists()
    without = make_job(tmp_path / "without", documents, store_texts=False)
    correct(without, {"a": "invoice"}, documents)
    with pytest.raises(UsageError, match="no text in the job"):
        write_examples(without, tmp_path / "task.yaml", count=5)


def test_labels_take_turns_and_texts_differ() -> None:
    lease = [Example(f"The tenant pays the rent for flat {n} every month.", "lease") for n in range(20)]
    odd = Example("Garage, parking space and cellar are let to a cycling club.", "lease")
    work = [Example("The employee works forty hours.", "work")]
    chosen = diverse([*lease, odd, *work, *lease], 4)
    assert [example.label for example in chosen] == ["lease", "work", "lease", "lease"]
    assert odd in chosen[:3]  # the least like the first
    assert len({example.text for example in chosen}) == 4
    assert len(diverse([*lease, odd, *work, *lease], 100)) == 22
    assert diverse([*lease, odd, *work], 4) == chosen
    assert diverse([], 4) == []
    assert len(diverse([Example("租赁合同", "a"), Example("!!", "a")], 4)) == 2


def test_long_texts_keep_start_and_end() -> None:
    text = " ".join(str(number) for number in range(10_000))
    cut = shortened(text)
    assert len(cut) <= 6_000
    assert cut.startswith("0 1 2 ")
    assert cut.endswith(" 9998 9999")
    assert "[...]" in cut
    assert shortened(" short\n") == "short"


def test_the_command_writes_a_new_file_or_none(tmp_path: Path, thresher_command: object) -> None:
    assert callable(thresher_command)
    documents = {"a": Told()}
    job = make_job(tmp_path / "job", documents)
    correct(job, {"a": "invoice"}, documents)
    target = tmp_path / "task.yaml"
    outcome: Outcome = thresher_command("review", job, "--to-examples", target)
    assert outcome.code == 0
    assert "1 examples of 1 labels, from 1 corrected documents" in outcome.err
    target.write_text("mine", encoding="utf-8")
    outcome = thresher_command("review", job, "--to-examples", target)
    assert outcome.code == 2
    assert "--overwrite" in outcome.err
    assert target.read_text(encoding="utf-8") == "mine"
    assert thresher_command("review", job, "--to-examples", target, "--overwrite").code == 0
    assert examples_in(target) == {"a": "invoice"}
    assert thresher_command("review", job, "--to-examples", tmp_path / "task.txt").code == 2
    assert thresher_command("review", job, "--to-examples", tmp_path / "no" / "task.yaml").code == 2
    assert sorted(file.name for file in tmp_path.iterdir()) == ["job", "task.yaml"]


def test_a_job_without_a_task_cannot_have_examples(tmp_path: Path) -> None:
    JobStore.open(tmp_path / "job").close()
    with pytest.raises(JobError, match="nothing was begun"):
        write_examples(tmp_path / "job", tmp_path / "task.yaml", count=5)


@pytest.fixture
def thresher_command(capsys: pytest.CaptureFixture[str]) -> object:
    def call(*arguments: object) -> Outcome:
        capsys.readouterr()
        code = cli.run([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return call
