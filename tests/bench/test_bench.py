from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from tests.cli.conftest import Thresher
from thresher.bench import Case, Measurement, Results, compare
from thresher.bench.child import run_case
from thresher.bench.measurement import Repetition, agreement
from thresher.bench.results import knee
from thresher.errors import UsageError
from thresher.models import Model
from thresher.pipeline.opening import find_model
from thresher.pipeline.options import ClassifyOptions
from thresher.pipeline.profile import subject_of
from thresher.planning import Profile, load_profile, profile_file, save_profile


def row(
    rate: float, *, value: int | None = None, labels: tuple[str, ...] = ("a", "b"), engine: str = "e"
) -> Measurement:
    repetition = Repetition(seconds=1.0, computed_tokens=int(rate), cached_tokens=5, failed=0, latencies_s=(0.5, 1.0))
    return Measurement(
        engine=engine, precision="p", model="m", version="1", device="cpu", sweep="concurrency" if value else "",
        value=value, settings={}, documents=2, repetitions=(repetition,), labels=labels,
        probabilities=tuple(0.5 for _ in labels),
    )  # fmt: skip


def workload_file(folder: Path, lengths: tuple[int, ...] = (40, 60, 80)) -> str:
    file = folder / "w.json"
    file.write_text(json.dumps({"prefix_tokens": 100, "document_tokens": lengths, "texts": []}), encoding="utf-8")
    return str(file)


def case(folder: Path, **changes: object) -> Case:
    fields = Case(
        models=("demo",), engine="fake", workload="w", workload_file=workload_file(folder), documents=3, repetitions=2
    )
    return replace(fields, **changes)  # type: ignore[arg-type]


class TestCase:
    def test_figures_are_those_of_the_repetitions(self, tmp_path: Path) -> None:
        found = run_case(case(tmp_path))
        assert found.failure is None
        assert len(found.repetitions) == 2
        assert len(found.labels) == 3
        assert all(found.labels)
        first = found.repetitions[0]
        assert first.computed_tokens >= 40 + 60 + 80
        assert found.tokens_per_second == pytest.approx(sum(found.rates) / 2)
        assert (found.peak_memory_bytes or 0) > 10 << 20
        assert found == Measurement.from_json(json.loads(json.dumps(found.to_json())))

    def test_a_real_engine(self, tmp_path: Path) -> None:
        found = run_case(case(tmp_path, engine="llamacpp", precision="auto", concurrency=2))
        assert (found.engine, found.failure) == ("llamacpp", None)
        assert found.repetitions[0].cached_tokens > 0

    def test_a_context_that_does_not_fit_is_a_row(self, tmp_path: Path) -> None:
        found = run_case(case(tmp_path, engine="llamacpp", context_tokens=1 << 40))
        assert found.failure is not None
        assert found.repetitions == ()

    def test_a_killed_worker_is_a_row(self, tmp_path: Path) -> None:
        def kill(_: str) -> None:
            for child in psutil.Process().children():
                if "thresher.bench.worker" in child.cmdline():
                    child.kill()

        found = run_case(case(tmp_path), kill)
        assert found.failure is not None
        assert found.failure.kind == "out_of_memory"

    def test_a_worker_ends_with_its_parent(self, tmp_path: Path) -> None:
        code = (
            "import json,sys; from thresher.bench.cases import Case; from thresher.bench.child import run_case;"
            "run_case(Case.from_json(json.loads(sys.argv[1])))"
        )
        endless = case(tmp_path, repetitions=1_000_000)
        parent = subprocess.Popen([sys.executable, "-c", code, json.dumps(endless.to_json())])
        children: list[psutil.Process] = []
        deadline = time.monotonic() + 60
        while not children and time.monotonic() < deadline:
            children = psutil.Process(parent.pid).children()
            time.sleep(0.05)
        os.kill(parent.pid, signal.SIGKILL)
        parent.wait()
        _, alive = psutil.wait_procs(children, timeout=60)
        assert children
        assert not alive


class TestResults:
    def test_what_was_measured_is_kept(self, tmp_path: Path) -> None:
        results = Results.begin(tmp_path, "short")
        measured = case(tmp_path)
        results.add(measured, row(100))
        again = Results.begin(tmp_path, "short")
        assert again.measured == {measured.key: row(100)}
        with pytest.raises(UsageError, match="choose another --out"):
            Results.begin(tmp_path, "seed-320")

    @pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 99}', '{"format": 1}'])
    def test_what_is_no_result_is_said(self, tmp_path: Path, text: str) -> None:
        file = tmp_path / "bench.json"
        file.write_text(text, encoding="utf-8")
        with pytest.raises(UsageError, match=r"bench\.json"):
            Results.load(file)

    def test_rows_are_compared_with_the_same_rows_only(self, tmp_path: Path) -> None:
        now, before = Results(None, {}, []), Results(None, {}, [])
        for results, rate in ((now, 300), (before, 200)):
            results.add(case(tmp_path), row(rate))
        now.add(case(tmp_path, engine="llamacpp"), row(100, engine="other"))
        (found,) = compare(now, before)
        assert found.ratio == pytest.approx(1.5)

    def test_the_knee_is_where_more_brings_little(self) -> None:
        rows = [row(rate, value=value) for value, rate in ((1, 100), (2, 190), (4, 290), (8, 300), (16, 299))]
        bend = knee(rows)
        assert bend is not None
        assert bend.value == 4
        assert knee([]) is None

    def test_agreement_counts_documents_that_both_answered(self) -> None:
        found = agreement(row(1, labels=("a", "b", "", "c")), row(1, labels=("a", "c", "a", "c")))
        assert found is not None
        assert (found.documents, found.equal, found.largest_gap) == (3, 2, 0.0)
        assert agreement(row(1), row(1, labels=("a",))) is None


class TestCommand:
    def test_engines_side_by_side(self, thresher: Thresher, tmp_path: Path) -> None:
        arguments = ("bench", "--model", "demo", "--engine", "fake", "--engine", "llamacpp", "--workload", "short")
        outcome = thresher(*arguments, "--limit", "3", "--repetitions", "2", "--out", "b", "--json")
        assert outcome.code == 0
        rows = outcome.json["rows"]
        assert [row["measured"]["engine"] for row in rows] == ["fake", "llamacpp"]
        assert rows[1]["agreement"]["documents"] == 3
        assert outcome.json["header"]["machine"]["processor"]
        page = (tmp_path / "b" / "bench.html").read_text("utf-8")
        assert "llamacpp" in page
        assert "<script" not in page
        again = thresher(*arguments, "--limit", "3", "--repetitions", "2", "--out", "b", "--compare", "b/bench.json")
        assert "2 of 2 cases were measured before" in again.err
        assert "1.00" in again.out

    def test_a_sweep_marks_the_knee(self, thresher: Thresher, tmp_path: Path) -> None:
        outcome = thresher(
            "bench", "--model", "demo", "--engine", "fake", "--workload", "short", "--limit", "4", "--repetitions", "1",
            "--sweep", "concurrency", "--values", "1,4", "--out", "b",
        )  # fmt: skip
        assert outcome.code == 0, outcome.err
        page = (tmp_path / "b" / "bench.html").read_text("utf-8")
        assert "the knee is at" in page
        assert page.count("<figure>") == 3

    def test_a_context_too_long_is_a_row_among_others(self, thresher: Thresher) -> None:
        outcome = thresher(
            "bench", "--model", "demo", "--engine", "llamacpp", "--repetitions", "1", "--sweep", "context", "--values",
            "64,9000000", "--out", "b", "--json",
        )  # fmt: skip
        assert outcome.code == 0, outcome.err
        first, second = (row["measured"] for row in outcome.json["rows"])
        assert first["failure"] is None
        assert second["failure"] is not None

    def test_only_the_same_workload_is_compared(self, thresher: Thresher, tmp_path: Path) -> None:
        (tmp_path / "old").mkdir()
        results = Results.begin(tmp_path / "old", "seed-320")
        results.header["machine"] = {"processor": "slide rule"}
        results.add(case(tmp_path), row(100))
        arguments = ("bench", "--model", "demo", "--engine", "fake", "--limit", "2", "--repetitions", "1")
        other = thresher(*arguments, "--workload", "short", "--compare", "old/bench.json")
        assert other.code == 2
        assert "measured with workload seed-320, and this is short" in other.err
        same = thresher(*arguments, "--out", "b", "--compare", "old/bench.json")
        assert same.code == 0, same.err
        assert "another machine: slide rule" in same.err

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (("--workload", "sed-320"), "did you mean"),
            (("--sweep", "speed"), "one of concurrency, context, batch"),
            (("--values", "1,2"), "--values needs --sweep"),
            (("--sweep", "context", "--values", "1,b"), "whole numbers"),
            (("--engine", "lamacpp"), "did you mean"),
            (("--engine", "fake", "--sweep", "batch", "--limit", "1"), "no size of batch"),
            (("--compare", "nothing.json"), "nothing.json"),
            (("--repetitions", "0"), "at least 1"),
            (("--out", "w.txt/b"), "--out w.txt/b cannot be made"),
            (("--out", "deep/er", "--workload", "sed-320"), "did you mean"),
        ],
    )
    def test_wrong_usage_is_said_and_leaves_nothing_behind(
        self, thresher: Thresher, tmp_path: Path, arguments: tuple[str, ...], said: str
    ) -> None:
        (tmp_path / "w.txt").write_text("a file", encoding="utf-8")
        before = set(tmp_path.iterdir())
        outcome = thresher("bench", "--model", "demo", *arguments)
        assert outcome.code == 2
        assert said in outcome.err
        assert set(tmp_path.iterdir()) == before

    def test_a_folder_that_was_there_before_stays(self, thresher: Thresher, tmp_path: Path) -> None:
        (tmp_path / "b").mkdir()
        assert thresher("bench", "--model", "demo", "--workload", "sed-320", "--out", "b/c").code == 2
        assert list((tmp_path / "b").iterdir()) == []


class TestTune:
    def test_what_is_found_is_saved_and_taken(
        self, thresher: Thresher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("THRESHER_PROFILES", str(tmp_path / "profiles"))
        outcome = thresher(
            "tune", "--model", "demo", "--engine", "llamacpp", "--workload", "short", "--budget", "10", "--json"
        )
        assert outcome.code == 0, outcome.err
        assert (outcome.json["profile"] is None) == (not outcome.json["settings"])
        options = ClassifyOptions()
        model = find_model("demo", options)
        assert isinstance(model, Model)
        profile = Profile(settings={"micro_batch": 256}, ratio=1.25, found_at=0.0, model="demo", workload="short")
        save_profile(subject_of("llamacpp", model, options), profile)  # whatever this machine found
        (tmp_path / "a.txt").write_text("an invoice", encoding="utf-8")
        arguments = ("classify", "a.txt", "--labels", "a,b", "--model", "demo", "--engine", "llamacpp", "--job", "j")
        assert "profile: micro_batch 256, 1.25 times" in thresher(*arguments).err
        assert "profile" not in thresher(*arguments, "--no-profile").err

    def test_a_damaged_profile_is_left_alone(
        self, thresher: Thresher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("THRESHER_PROFILES", str(tmp_path))
        options = ClassifyOptions()
        model = find_model("demo", options)
        assert isinstance(model, Model)
        subject = subject_of("llamacpp", model, options)
        for text in ("", "[]", '{"format": 1, "subject": {}, "profile": {}}'):
            profile_file(subject).write_text(text, encoding="utf-8")
            assert load_profile(subject) is None

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [(("--engine", "fake"), "no settings to tune"), (("--engine", "x"), "no engine"), (("--budget", "1"), "10")],
    )
    def test_wrong_usage_is_said(self, thresher: Thresher, arguments: tuple[str, ...], said: str) -> None:
        outcome = thresher("tune", "--model", "demo", *arguments)
        assert outcome.code == 2
        assert said in outcome.err
