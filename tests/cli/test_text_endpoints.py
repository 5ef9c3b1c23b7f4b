"""``thresher classify --engine openai`` on an endpoint that tells neither tokens nor probabilities nor its context."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Thresher
from tests.support.fault_server import FaultServer
from tests.support.prompts import make_text
from tests.support.simulators import model, openai

LABELS = ("--labels", "invoice,lease,other")


@pytest.fixture
def url() -> Iterator[str]:
    simulator = openai.OpenAiSimulator(model.made_up(), openai.BARE)
    simulator.says = lambda _: "lease"
    with FaultServer(simulator) as server:
        yield server.url


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    inputs = tmp_path / "in"
    inputs.mkdir()
    for number in range(3):
        (inputs / f"{number}.txt").write_text(make_text(3, number))
    return inputs


def test_what_is_not_known_is_empty(thresher: Thresher, folder: Path, url: str, tmp_path: Path) -> None:
    found = thresher("classify", folder, *LABELS, "--model", url, "--engine", "openai", "--job", "job", "--json")
    assert found.code == 0, found.err
    assert "tells no probabilities" in found.err
    assert "documents are sent whole" in found.err
    assert (found.json["engine"], found.json["context"], found.json["labelled"]) == ("openai", None, 3)
    assert found.json["prompt_tokens"] > 0
    assert thresher("status", "job", "--json").json["context"] is None
    assert "a context that its server does not say" in thresher("status", "job").out
    assert thresher("export", "job", "--to", "rows.csv").code == 0
    with (tmp_path / "rows.csv").open() as file:
        rows = list(csv.DictReader(file))
    empty = ("probability", "probabilities", "label_mass", "document_tokens", "context")
    assert [[row[name] for name in ("label", "status", *empty)] for row in rows] == [["lease", "ok", *[""] * 5]] * 3
    again = thresher("classify", folder, *LABELS, "--model", url, "--engine", "openai", "--job", "job", "--json")
    assert (again.code, again.json["resumed"]) == (0, 3)


def test_for_people(thresher: Thresher, folder: Path, url: str) -> None:
    model_and_engine = ("--model", url, "--engine", "openai")
    assert "context not known" in thresher("classify", folder, *LABELS, *model_and_engine, "--job", "job").out
    planned = thresher("classify", folder, *LABELS, *model_and_engine, "--dry-run")
    assert planned.code == 0, planned.err
    assert "the server does not tell its context" in planned.out
    assert thresher("classify", folder, *LABELS, *model_and_engine, "--dry-run", "--json").json["context"] is None


def test_a_limit_that_cannot_be_checked(thresher: Thresher, folder: Path, url: str, tmp_path: Path) -> None:
    task = tmp_path / "task.yaml"
    task.write_text("name: kinds\nlabels: [invoice, lease]\nabstain_below: 0.8\n")
    found = thresher("classify", folder, "--task", task, "--model", url, "--engine", "openai", "--json")
    assert found.code == 0, found.err
    assert found.json["statuses"] == {"abstained": 3}
