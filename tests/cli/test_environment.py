from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Outcome, Thresher
from thresher.jobs import JobView


@pytest.fixture
def label(thresher: Thresher, tmp_path: Path, model: str, monkeypatch: pytest.MonkeyPatch) -> Thresher:
    """Runs ``classify`` with the model and the engine in the environment only."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text("a document")
    monkeypatch.setenv("THRESHER_MODEL", model)
    monkeypatch.setenv("THRESHER_ENGINE", "fake")
    return lambda *flags: thresher("classify", "in", "--labels", "a,b", "--job", "job", "--json", *flags)


def test_variables_stand_in_for_flags(label: Thresher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THRESHER_CONTEXT", "512")
    monkeypatch.setenv("THRESHER_LONG", "windows")
    monkeypatch.setenv("THRESHER_NO_STORE_TEXT", "1")
    outcome: Outcome = label()
    assert (outcome.code, outcome.json["engine"], outcome.json["context"]) == (0, "fake", 512)
    with JobView.open(Path("job")) as view:
        assert view.run is not None
        assert view.run.long_policy == "windows"
        assert view.text(next(view.rows()).content_sha256 or "") is None


def test_a_flag_wins_over_a_variable(label: Thresher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THRESHER_CONTEXT", "512")
    assert label("--context", "600").json["context"] == 600


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("THRESHER_THREADS", "many"), ("THRESHER_THREADS", "0"), ("THRESHER_CONTEXT", "3"), ("THRESHER_LONG", "midle"),
        ("THRESHER_ENGINE", "fkae"),
    ],
)  # fmt: skip
def test_a_bad_value_is_named_with_its_variable(
    label: Thresher, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    outcome = label()
    assert outcome.code == 2
    assert variable in outcome.err


def test_a_model_that_is_not_there_is_named_with_its_variable(label: Thresher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THRESHER_MODEL", "nowhere.gguf")
    assert "THRESHER_MODEL='nowhere.gguf'" in label().err
    assert "THRESHER_MODEL" not in label("--model", "elsewhere.gguf").err


def test_an_error_about_something_else_does_not_blame_the_environment(label: Thresher) -> None:
    assert "environment" not in label("--context", "3").err


def test_a_figure_that_happens_to_be_a_variables_value_does_not_either(
    label: Thresher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THRESHER_THREADS", "6")
    assert "environment" not in label("--context", "3").err  # must be at least 64
    monkeypatch.setenv("THRESHER_MODEL", "demo")
    assert "environment" not in label("--context", "3").err


def test_verbose_says_where_the_time_went(label: Thresher, thresher: Thresher) -> None:
    stages = label("--verbose").json["stages"]
    assert list(stages) == ["listing", "reading", "tokenizing", "engine", "committing", "waiting"]
    for name in ("listing", "reading", "tokenizing", "engine", "committing"):
        assert stages[name]["documents"] == 1, name
        assert stages[name]["busy_seconds"] > 0, name
    assert stages["engine"]["tokens"] > stages["tokenizing"]["tokens"] > 0
    assert 0 < stages["waiting"]["share"] < 1
    assert "stages" not in label().json
    shown = thresher("classify", "in", "--labels", "a,b", "--job", "other", "-v")
    assert [line.split()[0] for line in shown.err.splitlines()[-7:]] == ["stage", *stages]
    assert "busy" not in shown.out
    assert label("--dry-run", "-v").json["stages"]["tokenizing"]["documents"] == 1
