"""Gold labels from everywhere they can come from, and what is stored."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

import thresher
from tests.support.judged_jobs import facts, result, sha, simulated_shares, write_job
from thresher.errors import InputError, JobError, UsageError
from thresher.evaluation import gold_notes
from thresher.jobs import JobView, NewDecision, ReviewedLabels, ReviewLog, export
from thresher.pipeline.evaluating import Evaluation, document_decisions, evaluate, write_decisions
from thresher.pipeline.gold_columns import resolve_gold_columns

ONE = facts({"kind": ("a", "b")}, {"kind": "choice"})
TWO = facts({"kind": ("a", "b"), "tags": ("x", "y")}, {"kind": "choice", "tags": "multi"})
SAID = ["a", "b", "a", "b"]
SHARES = {"a": 0.75, "b": 0.25}


@pytest.fixture
def one(tmp_path: Path) -> Path:
    """Four documents, labelled a, b, a, b."""
    rows = [[result(number, "kind", label, SHARES)] for number, label in enumerate(SAID)]
    return write_job(tmp_path / "one", ONE, rows)


@pytest.fixture
def two(tmp_path: Path) -> Path:
    """Two questions about each of four documents; every document has the tag x."""
    rows = [
        [result(n, "kind", label, SHARES), result(n, "tags", ("x",), {"x": 0.9, "y": 0.1}, probability=0.81)]
        for n, label in enumerate(SAID)
    ]
    return write_job(tmp_path / "two", TWO, rows)


def write(file: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    if file.suffix == ".csv":
        columns = list(rows[0])
        lines = [",".join(columns), *(",".join(str(row[column]) for column in columns) for row in rows)]
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    elif file.suffix == ".parquet":
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist([dict(row) for row in rows]), file)
    else:
        file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


def accuracies(evaluation: Evaluation) -> dict[str, float | None]:
    return {
        q.question: None if q.measurement is None else q.measurement.labels.all.accuracy for q in evaluation.questions
    }


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
@pytest.mark.parametrize("column", ["document_id", "document", "id"])
def test_gold_files(one: Path, tmp_path: Path, suffix: str, column: str) -> None:
    gold = write(tmp_path / f"g{suffix}", [{column: f"d{n}", "label": "a"} for n in range(4)])
    evaluation = evaluate(one, gold)
    assert accuracies(evaluation) == {"kind": 0.5}
    report = evaluation.questions[0].gold
    assert report is not None
    assert (report.given, report.matched, report.rows, report.source) == (4, 4, 4, str(gold))


def test_documents_are_found_by_path_and_by_the_id_that_a_spreadsheet_got(tmp_path: Path) -> None:
    rows = [[result(n, "kind", "a", SHARES)] for n in range(2)]
    job = write_job(tmp_path / "job", ONE, rows)
    gold = write(tmp_path / "g.csv", [{"document": "/in/d0", "label": "a"}, {"document": "'d1", "label": "b"}])
    assert accuracies(evaluate(job, gold)) == {"kind": 0.5}


def test_labels_of_several_questions(two: Path, tmp_path: Path) -> None:
    by_row: list[dict[str, Any]] = [
        *({"document_id": f"d{n}", "question": "kind", "label": "a"} for n in range(4)),
        *({"document_id": f"d{n}", "question": "tags", "label": ["x"] if n else []} for n in range(4)),
    ]
    assert accuracies(evaluate(two, write(tmp_path / "r.jsonl", by_row))) == {"kind": 0.5, "tags": 0.75}
    by_column = [{"document_id": f"d{n}", "kind": "a", "tags": "x|y" if n else "x"} for n in range(4)]
    assert accuracies(evaluate(two, write(tmp_path / "c.csv", by_column))) == {"kind": 0.5, "tags": 0.25}
    of_one = write(tmp_path / "o.csv", [{"document_id": "d1", "label": "b"}])
    assert accuracies(evaluate(two, of_one, question="kind")) == {"kind": 1.0}
    with pytest.raises(UsageError, match="nothing says which question.*kind, tags.*--question"):
        evaluate(two, of_one)
    with pytest.raises(UsageError, match="does not ask 'knid'; did you mean 'kind'"):
        evaluate(two, of_one, question="knid")
    with pytest.raises(InputError, match="question 'tag', which the job does not ask; did you mean 'tags'"):
        evaluate(two, write(tmp_path / "q.jsonl", [{"document_id": "d1", "question": "tag", "label": "x"}]))


def test_what_cannot_be_judged_is_counted_and_named(one: Path, tmp_path: Path) -> None:
    rows = [
        {"document_id": "d0", "label": "a"},
        {"document_id": "d0", "label": "a"},
        {"document_id": "d1", "label": "a"},
        {"document_id": "d1", "label": "b"},
        {"document_id": "d2", "label": "c"},
        {"document_id": "d3", "label": ""},
        {"document_id": "d9", "label": "a"},
    ]
    evaluation = evaluate(one, write(tmp_path / "g.csv", rows))
    (question,) = evaluation.questions
    assert question.gold is not None
    assert question.measurement is not None
    report = question.gold
    assert (report.given, report.matched, report.unmatched) == (4, 3, ("d9",))
    assert (report.conflicting, report.unknown_labels) == (("d1",), {"c": 1})
    assert (question.measurement.documents, question.measurement.labels.all.right) == (2, 1)


@pytest.mark.parametrize(
    ("rows", "error", "message"),
    [
        ([{"document_id": "x", "label": "a"}], InputError, "none of the 1 documents.*the first is 'x'"),
        ([{"file": "d0", "label": "a"}], InputError, "no column 'document_id' or 'document'; it has 'file', 'label'"),
        ([{"document_id": "d0", "lable": "a"}], InputError, "no column 'label'.*did you mean 'lable'"),
        ([{"document_id": "d0", "label": ""}], UsageError, "holds no gold label"),
        ([{"document_id": "", "label": "a"}], InputError, "row 1 names no document"),
        (
            [{"document_id": "d0", "label": "a", "probability": 1, "status": "ok", "engine": "fake"}],
            UsageError, "holds predictions as 'thresher export' writes them",
        ),
    ],
)  # fmt: skip
def test_gold_files_that_are_wrong(
    one: Path, tmp_path: Path, rows: list[dict[str, Any]], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        evaluate(one, write(tmp_path / "g.jsonl", rows))


def test_a_column_of_something_else_is_no_gold_but_a_few_documents_may_be_unforeseen(
    large: Path, tmp_path: Path
) -> None:
    rows = [{"document_id": f"d{n}", "label": "aa"} for n in range(20)]
    with pytest.raises(InputError, match="none of the gold labels.*the most frequent is 'aa'.*labels: a, b"):
        evaluate(large, write(tmp_path / "g.jsonl", rows))
    few = evaluate(large, write(tmp_path / "g.jsonl", rows[:19]))
    assert few.questions[0].gold is not None
    assert few.questions[0].gold.unknown_labels == {"aa": 19}
    assert accuracies(few) == {"kind": 0.0}


@pytest.mark.parametrize("written", ["x;y", "x, y", "['x', 'y']", "x/y", "[x,y]", "x|x;y"])
def test_several_labels_joined_otherwise_say_how_they_are_written(two: Path, tmp_path: Path, written: str) -> None:
    gold = write(tmp_path / "g.jsonl", [{"document_id": "d0", "tags": "x"}, {"document_id": "d1", "tags": written}])
    with pytest.raises(InputError) as raised:
        evaluate(two, gold)
    message = str(raised.value)
    assert f"g.jsonl, document 'd1': the gold label {written!r} is none of the labels of 'tags'" in message
    assert """write 'x|y' or ["x", "y"]""" in message


def test_a_single_label_in_the_list_of_another_language_says_so_too(two: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="""write 'y' or .\"y\"."""):
        evaluate(two, write(tmp_path / "g.jsonl", [{"document_id": "d1", "tags": "['y']"}]))


@pytest.mark.parametrize("written", ["a|b", "a;b", "a, b"])
def test_several_labels_where_a_document_has_one_are_named(large: Path, tmp_path: Path, written: str) -> None:
    rows = [{"document_id": f"d{n}", "label": written} for n in range(20)]
    advice = "names several, and 'kind' gives a document one: keep one of them, or ask it with kind: multi"
    with pytest.raises(InputError, match=advice):
        evaluate(large, write(tmp_path / "g.jsonl", rows))
    report = evaluate(large, write(tmp_path / "g.jsonl", [*rows[:3], {"document_id": "d9", "label": "c;d"}]))
    (question,) = report.questions
    assert question.gold is not None
    assert question.gold.unknown_labels == {written: 3, "c;d": 1}
    assert question.gold.run_together == (written,)
    assert any(f"{written!r} {advice}" in note for note in gold_notes("kind", question.gold))


KINDS = {"kind": ("choice", ("a", "b")), "urgent": ("yes_no", ("yes", "no")), "mood": ("score", ("1", "2", "3"))}


@pytest.mark.parametrize("question", KINDS)
def test_a_document_that_no_label_fits_is_wrong_whatever_is_said_of_it(tmp_path: Path, question: str) -> None:
    kind, labels = KINDS[question]
    shares = {label: 0.75 if label == labels[0] else 0.25 / (len(labels) - 1) for label in labels}
    rows = [[result(n, question, labels[0], shares)] for n in range(29)]
    rows.append([result(29, question, None, {}, "engine_error", error="it is broken")])
    job = write_job(tmp_path / "job", facts({question: labels}, {question: kind}), rows)
    none = [{"document_id": f"d{n}", "label": "[]"} for n in (0, 1, 29)]
    right = [{"document_id": f"d{n}", "label": labels[0]} for n in range(2, 29)]
    (found,) = evaluate(job, write(tmp_path / "g.csv", none + right), target=0.5, calibrate="temperature").questions
    assert found.gold is not None
    assert found.measurement is not None
    assert found.acceptance is not None
    measured = found.measurement
    assert (found.gold.given, found.gold.none_fits, found.gold.unknown_labels) == (30, 3, {})
    assert (measured.documents, measured.labels.all.right) == (30, 27)
    assert [(c.label, c.support, c.predicted, c.recall) for c in measured.classes] == [(labels[0], 27, 29, 1.0)]
    assert measured.classes[0].precision == pytest.approx(27 / 29)
    assert measured.confusion is not None
    assert measured.confusion.gold == (labels[0], "(none of the labels)")
    assert measured.confusion.counts == ((27, 0), (2, 1))
    assert ("(none of the labels)", labels[0], 2) in {(m.gold, m.said, m.documents) for m in measured.mistakes}
    assert found.acceptance.levels[-1].wrong == 2
    assert measured.probability is not None
    assert measured.probability.accuracy == pytest.approx(27 / 29)
    if measured.score is not None:
        assert (measured.score.documents, measured.score.mean_absolute_error) == (27, 0.0)
    assert any("3 documents fit none of the labels" in note for note in gold_notes(question, found.gold))


def test_where_no_label_fits_any_document_every_figure_is_nothing(one: Path, tmp_path: Path) -> None:
    evaluation = evaluate(one, write(tmp_path / "g.csv", [{"document_id": f"d{n}", "label": "[]"} for n in range(4)]))
    assert accuracies(evaluation) == {"kind": 0.0}


def test_files_that_are_no_gold(one: Path, tmp_path: Path) -> None:
    (tmp_path / "g.txt").write_text("d0 a")
    with pytest.raises(InputError, match=r"no table; its name must end in one of .csv, .jsonl, .parquet"):
        evaluate(one, tmp_path / "g.txt")
    with pytest.raises(InputError, match="cannot be read"):
        evaluate(one, tmp_path / "none.csv")
    with pytest.raises(JobError, match="holds no job"):
        evaluate(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="there are no gold labels"):
        evaluate(one)


def test_an_export_of_the_job_is_no_gold_for_it(one: Path, tmp_path: Path) -> None:
    with JobView.open(one) as view:
        export(view, tmp_path / "rows.csv")
    with pytest.raises(UsageError, match="holds predictions"):
        evaluate(one, tmp_path / "rows.csv")


def test_gold_that_classify_kept_knows_its_question(tmp_path: Path, model: str) -> None:
    table = write(
        tmp_path / "t.jsonl",
        [{"id": f"r{n}", "text": f"text {n}", "true kind": "a", "tags=": ["x"] if n % 2 else []} for n in range(6)],
    )
    task = thresher.Task(
        questions=[
            thresher.Question(name="kind", labels=["a", "b"]),
            thresher.Question(name="tags", kind="multi", labels=["x", "y"]),
        ]
    )
    asked = {"kind": "true kind", "tags": "tags="}
    run = thresher.classify([table], task, model=model, engine="fake", job=tmp_path / "job", gold_column=asked)
    rows = list(run)
    assert {(row.question, row.gold) for row in rows} == {("kind", "a"), ("tags", '["x"]'), ("tags", "[]")}
    (kind, tags) = evaluate(run.job).questions
    assert kind.measurement is not None
    assert tags.measurement is not None
    assert kind.measurement.labels.all.right == sum(row.label == "a" for row in rows)
    right = [row.label == (("x",) if int(row.document_id[1:]) % 2 else ()) for row in rows if row.question == "tags"]
    assert tags.measurement.labels.all.right == sum(right)


def test_columns_of_gold_labels() -> None:
    assert resolve_gold_columns(["truth"], ["kind"]) == {"kind": "truth"}
    assert resolve_gold_columns(["kind=truth"], ["kind"]) == {"kind": "truth"}
    assert resolve_gold_columns(["a=b"], ["kind"]) == {"kind": "a=b"}
    assert resolve_gold_columns(["a=b=c", "a=x"], ["a", "a=b"]) == {"a=b": "c", "a": "x"}
    with pytest.raises(UsageError, match="does not say which question it answers.*--gold-column 'kind=truth'"):
        resolve_gold_columns(["truth"], ["kind", "tags"])
    with pytest.raises(UsageError, match="gives 'kind' two columns, 'a' and 'b'"):
        resolve_gold_columns(["a", "b"], ["kind"])


def decide(job: Path, number: int, label: str | None, queue: str = "random") -> None:
    new = NewDecision(
        question="kind", subject=sha(number), document_id=f"d{number}", action="correct" if label else "skip",
        label=label, model_label="a", queue=queue, run_fingerprint="", reviewer="ada",  # type: ignore[arg-type]
    )  # fmt: skip
    with ReviewLog.open(job) as log:
        assert log.decide(new, seen=0).stored


def test_reviewed_labels_are_gold(one: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nobody has reviewed"):
        evaluate(one, reviewed=True)
    decide(one, 0, "a")
    decide(one, 1, "a", "doubtful")
    decide(one, 2, None)
    (question,) = evaluate(one).questions
    assert question.gold is not None
    assert question.measurement is not None
    assert question.gold.queues == {"random": 1, "doubtful": 1}
    assert (question.measurement.documents, question.measurement.labels.all.right) == (2, 1)
    other = write(tmp_path / "g.csv", [{"document_id": "d3", "label": "b"}])
    assert accuracies(evaluate(one, other)) == {"kind": 1.0}
    with pytest.raises(UsageError, match="either --gold FILE or --reviewed"):
        evaluate(one, other, reviewed=True)


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """Three hundred documents; none is wrong."""
    random = np.random.default_rng(0)
    shares = simulated_shares(random, 300, ("a", "b"), 8.0)
    return write_job(
        tmp_path / "large", ONE, [[result(n, "kind", max(s, key=s.__getitem__), s)] for n, s in enumerate(shares)]
    )


def truth(job: Path) -> dict[str, str]:
    with JobView.open(job) as view:
        return {row.document_id: str(row.label) for row in view.rows()}


def test_decisions_are_filled_in_and_given_back_until_the_target_is_proven(large: Path, tmp_path: Path) -> None:
    labels = truth(large)
    file = tmp_path / "check.csv"
    evaluation = evaluate(large, target=0.9)
    assert write_decisions(evaluation, file, overwrite=False) == 300
    header, *lines = file.read_text(encoding="utf-8").splitlines()
    assert header.endswith(",label")
    first = evaluation.questions[0].acceptance
    assert first is not None
    assert first.threshold is None
    filled = [line + labels[line.split(",")[1]] if line[0] != "," else line for line in lines]
    assert sum(not line.endswith(",") for line in filled) == first.next_labels > 0
    file.write_text("\n".join([header, *filled]) + "\n", encoding="utf-8")
    found = evaluate(large, file, target=0.9).questions[0].acceptance
    assert found is not None
    assert found.threshold is not None
    assert found.accepted == found.guaranteed - first.next_labels > 0
    assert found.counted == first.next_labels


def test_decisions_stand_in_the_order_in_which_people_work_and_are_of_the_run_that_was_evaluated(
    large: Path, tmp_path: Path
) -> None:
    gold = write(tmp_path / "g.jsonl", [{"document_id": f"d{n}", "label": "a"} for n in range(40, 80)])
    evaluation = evaluate(large, gold, target=0.9)
    entries = list(document_decisions(evaluation))
    assert [entry.row.document_id for entry in entries] == [f"d{n}" for n in range(300)]
    asked = [entry for entry in entries if entry.decision.check_order is not None]
    expected = sorted(asked, key=lambda entry: entry.decision.check_order or 0)
    for what in ("check", "labelled", "accept"):
        rest = [e for e in entries if e.decision.check_order is None and e.decision.decision == what]
        expected += sorted(rest, key=lambda entry: entry.row.probability or 0.0)
    write_decisions(evaluation, tmp_path / "check.csv", overwrite=False)
    with (tmp_path / "check.csv").open(encoding="utf-8", newline="") as stream:
        written = [(row["document_id"], row["decision"]) for row in csv.DictReader(stream)]
    assert written == [(entry.row.document_id, entry.decision.decision) for entry in expected]
    write_job(large, replace(ONE, model_fingerprint="another"), [])
    with pytest.raises(JobError, match="new run since it was evaluated"):
        list(document_decisions(evaluation))


def test_a_review_in_doubtful_first_order_proves_nothing(large: Path) -> None:
    labels = truth(large)
    with ReviewLog.open(large):
        reviews = ReviewedLabels.of_job(large)
    order = sorted(labels, key=lambda document: reviews.sample_key(document) or "")
    for document in order[1:150]:  # all but the first of the random order
        decide(large, int(document[1:]), labels[document], "doubtful")
    found = evaluate(large, target=0.9).questions[0].acceptance
    assert found is not None
    assert found.levels[-1].labelled == 0
    decide(large, int(order[0][1:]), None)  # skipped, which counts as wrong
    found = evaluate(large, target=0.9).questions[0].acceptance
    assert found is not None
    assert (found.levels[-1].labelled, found.levels[-1].wrong, found.levels[-1].proven) == (150, 1, True)


def overconfident(folder: Path, count: int = 400) -> tuple[Path, Path]:
    """A job whose probabilities promise too much, and its gold labels."""
    random = np.random.default_rng(1)
    rows, gold = [], []
    for number, shares in enumerate(simulated_shares(random, count, ("a", "b"), 6.0)):
        label = max(shares, key=shares.__getitem__)
        rows.append([result(number, "kind", label, shares)])
        right = random.random() < 0.5 + 0.4 * (shares[label] - 0.5)
        gold.append({"document_id": f"d{number}", "label": label if right else ("b" if label == "a" else "a")})
    return write_job(folder / "job", ONE, rows), write(folder / "gold.jsonl", gold)


def test_a_calibration_is_stored_and_applied_beside_the_raw_probabilities(tmp_path: Path) -> None:
    job, gold = overconfident(tmp_path)
    with JobView.open(job) as view:
        before = list(view.rows())
    assert all(row.calibrated_probability is None for row in before)
    (question,) = evaluate(job, gold, calibrate="auto").questions
    assert question.calibrating is not None
    assert question.calibrating.chosen is not None
    with JobView.open(job) as view:
        after = list(view.rows())
        assert "calibrated_probability" in exported_columns(view, tmp_path / "rows.csv")
        assert "calibrated_probability" in exported_columns(view, tmp_path / "rows.parquet")
    assert [(r.label, r.probability, r.probabilities) for r in after] == [
        (r.label, r.probability, r.probabilities) for r in before
    ]
    calibrated = [row.calibrated_probability for row in after if row.calibrated_probability is not None]
    assert len(calibrated) == len(after)
    (again,) = evaluate(job, gold).questions
    assert again.measurement is not None
    assert again.measurement.probability is not None
    assert again.measurement.calibrated_probability is not None
    assert again.measurement.calibrated_probability.brier < again.measurement.probability.brier - 0.05
    assert evaluate(job, gold, calibrate="none").questions[0].calibration is None
    with JobView.open(job) as view:
        assert all(row.calibrated_probability is None for row in view.rows())


def exported_columns(view: JobView, file: Path) -> list[str]:
    export(view, file)
    if file.suffix == ".parquet":
        return list(pyarrow.parquet.read_schema(file).names)
    return file.read_text(encoding="utf-8").splitlines()[0].split(",")


def test_a_calibration_that_is_not_shown_to_help_is_not_stored(tmp_path: Path) -> None:
    job, gold = overconfident(tmp_path, 12)
    (question,) = evaluate(job, gold, calibrate="temperature").questions
    assert question.calibrating is not None
    assert not question.calibrating.trials[0].improvement_shown
    assert question.calibration is None
    (forced,) = evaluate(job, gold, calibrate="temperature", force=True).questions
    assert forced.calibration is not None
    assert not forced.calibration.improvement_shown
    with pytest.raises(UsageError, match="no gold labels to|needs gold labels"):
        evaluate(job, calibrate="temperature")


def test_texts_without_content_are_read_once_and_asked_for(tmp_path: Path, model: str) -> None:
    (tmp_path / "a.txt").write_text("some text")
    task = thresher.Task(["a", "b"])
    common: dict[str, Any] = {"model": model, "engine": "fake", "job": tmp_path / "job"}
    plain = thresher.classify([tmp_path / "a.txt"], task, **common)
    with pytest.raises(UsageError, match="--content-free"):
        evaluate(plain.job, calibrate="contextual", force=True)
    run = thresher.classify([tmp_path / "a.txt"], task, content_free=True, **common)
    assert run.summary.resumed == 1  # nothing else is read again
    with JobView.open(run.job) as view:
        (shares,) = view.content_free().values()
    assert sum(shares.values()) == pytest.approx(1)
    assert set(shares) == {"a", "b"}
    with pytest.raises(UsageError, match="needs gold labels"):
        evaluate(run.job, calibrate="contextual")
    (question,) = evaluate(run.job, calibrate="contextual", force=True).questions
    assert question.calibration is not None
    (row,) = run
    weights = {label: row.probabilities[label] / shares[label] for label in shares}
    assert row.calibrated_probability == pytest.approx(weights[str(row.label)] / sum(weights.values()))
