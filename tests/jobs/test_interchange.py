"""The formats of others, checked with their own code: Label Studio's SDK and OpenAI's types."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from openai.types.chat import ChatCompletion

from thresher.errors import UsageError
from thresher.jobs import RunFacts
from thresher.jobs.exporters import ExportSource, exporter_for
from thresher.types import Prediction, ReplyForm

KINDS = {"topic": "choice", "is it urgent?": "yes_no", "mood": "score", "tags": "multi", "is it urgent!": "choice"}
LABELS: dict[str, tuple[str, ...]] = {
    "topic": ("legal/lease", "legal/nda", 'say "<a> & b"', "請求書"),
    "is it urgent?": ("yes", "no"),
    "mood": ("1", "2", "3"),
    "tags": ("private", "signed"),
    "is it urgent!": ("a", "b"),
}
RUN = RunFacts(
    task="inbox", task_fingerprint="t", questions=tuple(KINDS), model="m", model_fingerprint="f", engine="fake",
    precision="none", context_tokens=100, long_policy="head-tail", parser_version="1", labels=LABELS, kinds=KINDS,
)  # fmt: skip
ANSWERS: dict[str, str | tuple[str, ...]] = {
    "topic": 'say "<a> & b"', "is it urgent?": "yes", "mood": "2", "tags": ("private", "signed"), "is it urgent!": "b",
}  # fmt: skip


def prediction(question: str = "topic", **changes: Any) -> Prediction:
    fields: dict[str, Any] = {
        "document_id": "a.txt", "source": "/in/a.txt", "question": question, "status": "ok",
        "label": ANSWERS.get(question), "probability": 0.75,
        "probabilities": dict.fromkeys(LABELS.get(question, ()), 0.5),
        "label_mass": 0.5, "document_tokens": 7, "context": 100, "model": "m", "engine": "fake", "precision": "none",
        "content_sha256": "ab", "prompt_tokens": 50, "cached_tokens": 40,
    }  # fmt: skip
    return Prediction(**(fields | changes))


def failure(status: str, **changes: Any) -> Prediction:
    empty: dict[str, Any] = {
        "label": None,
        "probability": None,
        "probabilities": {},
        "label_mass": None,
        "prompt_tokens": None,
    }
    return prediction(**(empty | {"status": status, "error": f"it is {status}", "cached_tokens": None} | changes))


def tasks(rows: Sequence[Prediction], folder: Path, run: RunFacts | None = RUN) -> tuple[list[dict[str, Any]], str]:
    file = folder / "tasks.json"
    texts = {"ab": "The text, 請求書."}
    written = exporter_for(".json", "label-studio").write(ExportSource(rows=rows, run=run, text_of=texts.get), file)
    return json.loads(file.read_text(encoding="utf-8")), written.beside[".config.xml"]


def lines(rows: Sequence[Prediction], folder: Path) -> list[dict[str, Any]]:
    file = folder / "out.jsonl"
    exporter_for(".jsonl", "openai-batch").write(ExportSource(rows=rows), file)
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def test_label_studio_accepts_its_tasks(tmp_path: Path) -> None:
    interface = pytest.importorskip(
        "label_studio_sdk.label_interface", reason="label-studio-sdk is not installed (it is too heavy for 'dev')"
    )
    rows = [
        *(prediction(question) for question in KINDS),
        *(prediction(question, document_id="b", label=None, status="abstained") for question in KINDS),
        failure("unreadable", document_id="c", content_sha256=None),
    ]
    found, config = tasks(rows, tmp_path)
    labelling = interface.LabelInterface(config)
    labelling.validate()
    for task in found:
        assert labelling.validate_task({"data": task["data"]})
        for given in task["predictions"]:
            assert labelling.validate_prediction(given, return_errors=True) == []
    wrong = {"result": [{**found[0]["predictions"][0]["result"][0], "value": {"choices": ["no label of it"]}}]}
    assert labelling.validate_prediction(wrong, return_errors=True) != []
    (gold,), config = tasks([prediction(gold="請求書")], tmp_path)
    assert interface.LabelInterface(config).validate_annotation(gold["annotations"][0])


def test_a_task_has_a_control_for_each_question(tmp_path: Path) -> None:
    (task,), config = tasks([prediction(question) for question in KINDS], tmp_path)
    assert task["data"]["text"] == "The text, 請求書."
    assert task["data"]["document_id"] == "a.txt"
    (given,) = task["predictions"]
    assert given["model_version"] == "m none on fake"
    assert given["score"] == 0.75
    assert [(r["from_name"], r["value"]) for r in given["result"]] == [
        ("topic", {"choices": ['say "<a> & b"']}),
        ("is_it_urgent", {"choices": ["yes"]}),
        ("mood", {"number": 2}),
        ("tags", {"choices": ["private", "signed"]}),
        ("is_it_urgent_2", {"choices": ["b"]}),
    ]
    assert '<Number name="mood" toName="text" min="1" max="3"' in config
    assert '<Choices name="tags" toName="text" choice="multiple">' in config
    assert '<Choice value="legal/lease" />' in config


def test_what_has_no_label_has_no_prediction(tmp_path: Path) -> None:
    rows = [
        prediction(document_id="doubtful", label=None, status="abstained"),
        failure("oversize", document_id="long"),
        failure("unreadable", document_id="broken", content_sha256=None),
        prediction("tags", document_id="none of them", label=()),
    ]
    found, _ = tasks(rows, tmp_path)
    assert [task["data"]["document_id"] for task in found] == ["doubtful", "long", "broken", "none of them"]
    assert [task["predictions"] for task in found[:3]] == [[], [], []]
    assert found[3]["predictions"][0]["result"] == []
    assert [task["data"]["text"] for task in found] == [*["The text, 請求書."] * 2, "", "The text, 請求書."]
    assert found[2]["data"]["answers"]["topic"]["error"] == "it is unreadable"


def test_gold_labels_are_annotations_where_they_are_labels(tmp_path: Path) -> None:
    rows = [
        prediction(document_id="1", gold="請求書"),
        prediction(document_id="2", gold="no such label"),
        prediction("tags", document_id="3", gold="private|signed"),
        prediction("tags", document_id="5", gold='["private", "signed"]'),
        prediction("tags", document_id="6", gold="[]"),
        *(prediction(question, document_id="4", gold="yes") for question in KINDS),
    ]
    found, _ = tasks(rows, tmp_path)
    assert found[0]["annotations"][0]["result"][0]["value"] == {"choices": ["請求書"]}
    assert found[0]["annotations"][0]["ground_truth"] is True
    assert found[1]["annotations"] == []
    assert found[1]["data"]["gold"] == "no such label"
    assert found[2]["annotations"][0]["result"][0]["value"] == {"choices": ["private", "signed"]}
    assert found[3]["annotations"] == found[2]["annotations"]
    assert found[4]["annotations"] == [{"ground_truth": True, "result": []}]
    assert found[5]["annotations"] == []  # "yes" answers one of the questions only
    assert found[5]["data"]["gold"] == dict.fromkeys(KINDS, "yes")


def test_gold_labels_of_several_questions_are_one_annotation(tmp_path: Path) -> None:
    golds = {"topic": "請求書", "is it urgent?": "true", "mood": "3", "tags": "[]", "is it urgent!": "b"}
    (task,), _ = tasks([prediction(question, gold=gold) for question, gold in golds.items()], tmp_path)
    (annotation,) = task["annotations"]
    assert [(region["from_name"], region["value"]) for region in annotation["result"]] == [
        ("topic", {"choices": ["請求書"]}),
        ("is_it_urgent", {"choices": ["yes"]}),
        ("mood", {"number": 3}),
        ("is_it_urgent_2", {"choices": ["b"]}),
    ]


def test_labels_that_rows_bring_themselves_are_all_offered(tmp_path: Path) -> None:
    rows = [prediction("answer", document_id=d, label=d, probabilities={d: 1.0, "other": 0.0}) for d in ("x", "y")]
    _, config = tasks(rows, tmp_path, run=None)
    assert [label for label in ("x", "y", "other") if f'<Choice value="{label}" />' in config] == ["x", "y", "other"]


def test_label_studio_needs_texts_and_labels_that_xml_can_hold(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"keeps no text of 'a.txt' \(--no-store-text\)"):
        tasks([prediction(content_sha256="cd")], tmp_path)
    with pytest.raises(UsageError, match=r"'bell\\x07' has a character that XML"):
        tasks([prediction("q", label="bell\x07", probabilities={"bell\x07": 1.0})], tmp_path)


def test_openai_accepts_its_answers(tmp_path: Path) -> None:
    rows = [
        prediction(document_id="plain", label="legal/lease"),
        prediction(document_id="json", label="legal/lease", reply_form=ReplyForm(key='ki"nd')),
        prediction(document_id="bool", label="true", reply_form=ReplyForm(key="ok", json_type="boolean")),
        prediction(document_id="number", label="3", reply_form=ReplyForm(json_type="integer")),
        prediction(document_id="text", label="ロ", reply_form=ReplyForm()),
        prediction("tags", document_id="several labels"),
        *(prediction(question, document_id="several questions") for question in KINDS),
        prediction(document_id="doubtful", label=None, status="abstained"),
        prediction(document_id="old", prompt_tokens=None, cached_tokens=None),
    ]
    contents: dict[str, Any] = {}
    for line in lines(rows, tmp_path):
        assert list(line) == ["id", "custom_id", "response", "error"]
        assert line["error"] is None
        assert line["response"]["status_code"] == 200
        completion = ChatCompletion.model_validate(line["response"]["body"])
        contents[line["custom_id"]] = completion.choices[0].message.content
        assert completion.choices[0].finish_reason == "stop"
        assert completion.choices[0].logprobs is None
        if line["custom_id"] == "old":
            assert completion.usage is None
            continue
        assert completion.usage is not None
        assert completion.usage.prompt_tokens == completion.usage.total_tokens == 50
        assert completion.usage.prompt_tokens_details is not None
        assert completion.usage.prompt_tokens_details.cached_tokens == 40
    several = contents.pop("several questions")
    assert json.loads(several) == {**ANSWERS, "tags": ["private", "signed"]}
    assert contents == {
        "plain": "legal/lease", "json": '{"ki\\"nd": "legal/lease"}', "bool": '{"ok": true}', "number": "3",
        "text": '"ロ"', "several labels": '["private", "signed"]', "doubtful": None, "old": ANSWERS["topic"],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("status", "code"),
    [("unreadable", "unreadable"), ("oversize", "context_length_exceeded"), ("engine_error", "engine_error")],
)
def test_failures_are_lines_with_their_reasons(tmp_path: Path, status: str, code: str) -> None:
    (line,) = lines([failure(status)], tmp_path)
    assert line["error"] == {"code": code, "message": f"it is {status}"}
    assert line["response"]["status_code"] == (500 if status == "engine_error" else 400)
    assert line["response"]["body"]["error"]["message"] == f"it is {status}"
    assert line["custom_id"] == "a.txt"


def test_ids_differ_between_documents_and_stay_between_exports(tmp_path: Path) -> None:
    rows = [prediction(document_id=f"d{n}") for n in range(50)]
    first = [line["id"] for line in lines(rows, tmp_path)]
    assert len(set(first)) == 50
    assert [line["id"] for line in lines(rows, tmp_path)] == first
