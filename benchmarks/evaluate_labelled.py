"""What ``thresher evaluate`` finds on labelled public data read by a model, and how many labels a proof takes there.

    python -m benchmarks.evaluate_labelled [--model demo] [--jobs FOLDER] [--threads 1]

Reads samples of ``../shared/data/labelled``. For a walk, labels are given in the order that ``--decisions`` asks for,
twenty at a time, until nothing more is asked for.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import thresher
from benchmarks.machine import save
from thresher.pipeline.evaluating import QuestionEvaluation, document_decisions, evaluate

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "labelled"
LABELLED_AT_A_TIME = 20
Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class DataSet:
    """Documents with their labels, and what is asked of them."""

    rows: Callable[[], list[Row]]
    task: Callable[[list[Row]], thresher.Task]
    context_tokens: int | None = None
    targets: tuple[float, ...] = ()


def load(name: str) -> list[Row]:
    return [json.loads(line) for line in (DATA / name).read_text(encoding="utf-8").splitlines()]


#: Files of long documents -> how many are read.
SAMPLES = {"eip_category_cc0.jsonl": 400, "kep_sig_apache2.jsonl": 200, "rustsec_multilabel_cc0.jsonl": 400}


def sample(name: str) -> list[Row]:
    """Some of a file's rows; the same whichever files are asked for."""
    source = random.Random(1)
    return {file: source.sample(load(file), count) for file, count in SAMPLES.items()}[name]


def intents() -> list[Row]:
    """All requests of twenty intents of CLINC150, and 120 requests of none."""
    rows = [{**row, "label": row["label"].replace("_", " ")} for row in load("clinc150_test_ccby3.jsonl")]
    chosen = sorted({row["label"] for row in rows} - {"oos"})[::7][:20]
    outside = random.Random(1).sample([row for row in rows if row["label"] == "oos"], 120)
    return [row for row in rows if row["label"] in chosen] + outside


def names(rows: Iterable[Row]) -> list[str]:
    return sorted({row["label"] for row in rows} - {"oos"})


SETS = {
    "clinc20": DataSet(
        rows=intents,
        task=lambda rows: thresher.Task(
            names(rows), name="clinc20", instructions="What does the customer want from the assistant?"
        ),
        targets=(0.8, 0.9),
    ),
    "eip": DataSet(
        rows=lambda: sample("eip_category_cc0.jsonl"),
        task=lambda _: thresher.Task(
            {
                "ERC": "application standards such as tokens, wallets and contract interfaces",
                "Core": "changes to the consensus and the virtual machine",
                "Networking": "the peer to peer protocol between nodes",
                "Interface": "APIs of clients and contract languages",
                "Meta": "processes around Ethereum, hard forks",
                "Informational": "design issues and general guidelines",
            },
            name="eip",
            instructions="Decide which category this Ethereum proposal belongs to.",
        ),
        context_tokens=1024,
        targets=(0.8,),
    ),
    "kep": DataSet(
        rows=lambda: sample("kep_sig_apache2.jsonl"),
        task=lambda _: thresher.Task(
            names(load("kep_sig_apache2.jsonl")),
            name="kep",
            instructions="Decide which special interest group owns this Kubernetes proposal.",
        ),
        context_tokens=1024,
    ),
    "rustsec": DataSet(
        rows=lambda: [{**row, "label": row["labels"]} for row in sample("rustsec_multilabel_cc0.jsonl")],
        task=lambda _: thresher.Task(
            sorted({label for row in load("rustsec_multilabel_cc0.jsonl") for label in row["labels"]}),
            name="rustsec",
            kind="multi",
            instructions="Decide which kinds of problem this advisory reports.",
        ),
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="demo")
    parser.add_argument("--jobs", type=Path)
    parser.add_argument("--threads", type=int)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.jobs or Path(temporary)
        found = {
            name: measure(folder, name, data_set, arguments.model, arguments.threads) for name, data_set in SETS.items()
        }
    save("evaluate_labelled", {"model": arguments.model, "sets": found})


def measure(folder: Path, name: str, data_set: DataSet, model: str, threads: int | None) -> dict[str, Any]:
    rows = data_set.rows()
    table = folder / f"{name}.jsonl"
    table.write_text("".join(json.dumps({"id": r["id"], "text": r["text"], "gold": r["label"]}) + "\n" for r in rows))
    run = thresher.classify(
        [table], data_set.task(rows), model=model, job=folder / name, gold_column="gold",
        context=data_set.context_tokens, threads=threads,
    )  # fmt: skip
    job = Path(run.job)
    evaluate(job, calibrate="none")
    (raw,) = evaluate(job).questions
    (tried,) = evaluate(job, calibrate="auto").questions
    evaluate(job, calibrate="none")
    return {**figures(raw, tried), "walks": [walk(job, folder / f"{name}-walk.csv", t) for t in data_set.targets]}


def figures(raw: QuestionEvaluation, tried: QuestionEvaluation) -> dict[str, Any]:
    measured, outcome = raw.measurement, tried.calibrating
    assert measured is not None
    assert measured.probability is not None
    assert outcome is not None
    quality = measured.labels.all
    half = next(point for point in measured.coverage if point.coverage >= 0.5)
    return {
        "documents": quality.documents,
        "accuracy": quality.accuracy,
        "accuracy_interval": quality.accuracy_interval,
        "macro_f1": quality.macro_f1,
        "accuracy_of_the_surest_half": half.accuracy,
        "expected_calibration_error": measured.probability.expected_calibration_error,
        "calibration_chosen": outcome.chosen,
        "calibration_trials": {
            trial.method: {
                "brier": [trial.brier_before, trial.brier_after],
                "brier_change_interval": trial.brier_change_interval,
                "expected_calibration_error": [
                    trial.expected_calibration_error_before, trial.expected_calibration_error_after,
                ],
                "improvement_shown": trial.improvement_shown,
            }
            for trial in outcome.trials
        },
    }  # fmt: skip


def walk(job: Path, file: Path, target: float) -> dict[str, Any]:
    """Give labels as they are asked for; what is accepted in the end, and how much of it is right."""
    gold = {entry.row.document_id: entry.row for entry in document_decisions(evaluate(job, target=target))}
    known = [min(gold)]  # a job without any gold label would fall back to those that classify kept
    while True:
        lines = [json.dumps({"document_id": name, "label": gold[name].gold}) for name in known]
        file.with_suffix(".jsonl").write_text("\n".join(lines) + "\n")
        evaluation = evaluate(job, file.with_suffix(".jsonl"), target=target)
        decisions = list(document_decisions(evaluation))
        asked = sorted((d.decision.check_order, d.row.document_id) for d in decisions if d.decision.check_order)
        if not asked:
            break
        known += [name for _, name in asked[:LABELLED_AT_A_TIME]]
    acceptance = evaluation.questions[0].acceptance
    assert acceptance is not None
    unseen = [d.row for d in decisions if d.decision.decision == "accept"]
    pile = [row for row in gold.values() if acceptance.threshold and (row.probability or 0) >= acceptance.threshold]
    return {
        "target": target,
        "labels": len(known),
        "proven_pile": acceptance.guaranteed,
        "threshold": acceptance.threshold,
        "right_of_the_pile": sum(row.label == row.gold for row in pile),
        "accepted_unseen": len(unseen),
        "right_of_those_unseen": sum(row.label == row.gold for row in unseen),
        "left_to_check": acceptance.to_check,
    }


if __name__ == "__main__":
    main()
