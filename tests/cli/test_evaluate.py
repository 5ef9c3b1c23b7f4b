"""``thresher evaluate`` as a user and a script meet it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.cli.conftest import Outcome
from tests.support.judged_jobs import facts, result, simulated_shares, write_job

Thresher = Callable[..., Outcome]
LABELS = ("invoice", "contract/lease", "contract/nda")


@pytest.fixture
def job(tmp_path: Path) -> Path:
    """Sixty documents of which the first 54 are right; the last is unreadable."""
    random = np.random.default_rng(0)
    run = facts({"kind": LABELS}, {"kind": "choice"})
    rows, golds = [], []
    for number, shares in enumerate(simulated_shares(random, 59, LABELS, 4.0)):
        label = max(shares, key=shares.__getitem__)
        rows.append([result(number, "kind", label, shares)])
        wrong = LABELS[(LABELS.index(label) + 1) % 3]
        golds.append({"kind": label if number < 54 else wrong})
    return write_job(tmp_path / "job", run, rows, [*golds, {"kind": "invoice"}], unreadable=1)


def test_the_tables_and_the_json_agree(thresher: Thresher, job: Path) -> None:
    told = thresher("evaluate", job, "--target", "0.9")
    assert told.code == 0, told.err
    assert "0.900 (0." in told.out
    assert "60 documents with gold labels: 59 have a label, 0 abstained, 1 failed" in told.out
    assert "kind: gold labels of 60 of 60 documents, from classify --gold-column" in told.err
    found = thresher("evaluate", job, "--target", "0.9", "--json")
    assert found.code == 0
    (question,) = found.json["questions"]
    measured = question["measurement"]
    assert measured["labels"]["all"]["accuracy"] == 54 / 60
    assert measured["labels"]["answered"]["accuracy"] == 54 / 59
    assert measured["parents"]["all"]["right"] >= 54
    assert question["acceptance"]["target"] == 0.9
    assert set(found.json) == {"job", "task", "model", "engine", "precision", "seed", "left", "questions"}
    assert "decisions" not in question


def test_scripts_learn_of_labels_that_are_not_good_enough(thresher: Thresher, job: Path) -> None:
    assert thresher("evaluate", job, "--min-accuracy", "0.9").code == 0
    told = thresher("evaluate", job, "--min-accuracy", "0.91")
    assert told.code == 4
    assert "0.9000, failures counted as wrong, is below --min-accuracy 0.91" in told.err
    assert thresher("evaluate", job, "--min-accuracy", "90").code == 2


def test_decisions_are_written_once(thresher: Thresher, job: Path, tmp_path: Path) -> None:
    told = thresher("evaluate", job, "--target", "0.9", "--decisions", "d.csv")
    assert "60 decisions written to d.csv" in told.err
    assert len((tmp_path / "d.csv").read_text(encoding="utf-8").splitlines()) == 61
    assert "exists already; add --overwrite" in thresher("evaluate", job, "--target", "0.9", "--decisions", "d.csv").err
    assert thresher("evaluate", job, "--target", "0.9", "--decisions", "d.csv", "--overwrite").code == 0
    assert "give --target" in thresher("evaluate", job, "--decisions", "e.csv").err
    assert "must end in .csv" in thresher("evaluate", job, "--target", "0.9", "--decisions", "e.txt").err


def test_what_is_asked_for_wrongly(thresher: Thresher, job: Path) -> None:
    for arguments, message in {
        ("--target", "95"): "--target is 95.0; it must be above 0 and below 1",
        ("--target", "0.9", "--confidence", "1"): "--confidence is 1.0",
        ("--force",): "name it with --calibrate",
        ("--random-sample",): "give --target, too",
        ("--calibrate", "contextual"): "run classify again with --content-free",
        ("--gold", "none.csv"): "table none.csv cannot be read",
    }.items():
        told = thresher("evaluate", job, *arguments)
        assert (told.code, message in told.err) == (2, True), told.err


def test_calibrating_says_what_was_shown(thresher: Thresher, job: Path) -> None:
    told = thresher("evaluate", job, "--calibrate", "temperature")
    assert told.code == 0, told.err
    assert "no improvement shown; nothing is applied" in told.out or "temperature is applied" in told.out
    forced = thresher("evaluate", job, "--calibrate", "temperature", "--force")
    assert "temperature is applied" in forced.out
    assert "calibrated_probability" in thresher("evaluate", job).out


def test_without_its_libraries_the_command_names_them(job: Path) -> None:
    program = (
        "import sys; sys.modules['sklearn'] = None\n"
        f"from thresher import cli; raise SystemExit(cli.run(['evaluate', {str(job)!r}]))"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert told.returncode == 1
    assert "pip install 'thresher[evaluate]'" in told.stderr
    assert "Traceback" not in told.stderr
