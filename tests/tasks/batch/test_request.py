"""Lines of batch files: which can be answered, with what, and why the others cannot."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thresher.errors import UnreadableError
from thresher.tasks.batch import RequestReader
from thresher.types import ChatRequest, ReplyForm

USER = [{"role": "user", "content": "Is it a lease?"}]
CHOICE = {"guided_choice": ["yes", "no"]}


def line(**body: Any) -> dict[str, Any]:
    body = {"model": "m", "messages": USER, **body}
    return {"custom_id": "1", "method": "POST", "url": "/v1/chat/completions", "body": body}


def read(**body: Any) -> ChatRequest:
    return RequestReader()(line(**body))


def json_schema(schema: object) -> dict[str, Any]:
    return {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "strict": True, "schema": schema}}}


def obj(value: object, key: str = "label") -> dict[str, Any]:
    schema = {"type": "object", "properties": {key: value}, "required": [key], "additionalProperties": False}
    return json_schema(schema)


PYDANTIC_ENUM = {
    "$defs": {"Kind": {"enum": ["lease", "loan"], "title": "Kind", "type": "string"}},
    "properties": {"kind": {"$ref": "#/$defs/Kind", "description": "what it is"}},
    "required": ["kind"],
    "title": "Answer",
    "type": "object",
}


@pytest.mark.parametrize(
    ("body", "replies"),
    [
        (CHOICE, ["yes", "no"]),
        ({"structured_outputs": {"choice": ["yes", "no", "yes"]}}, ["yes", "no"]),
        ({"extra_body": CHOICE}, ["yes", "no"]),
        ({"extra_body": {"structured_outputs": {"choice": ["請求書", "a b"], "json": None}}}, ["請求書", "a b"]),
        (json_schema({"type": "string", "enum": ["lease", "loan"]}), ['"lease"', '"loan"']),
        (json_schema({"const": "only"}), ['"only"']),
        (obj({"type": "string", "enum": ["lease", 'a "b"']}), ['{"label": "lease"}', '{"label": "a \\"b\\""}']),
        (obj({"const": "x"}, 'ki"nd'), ['{"ki\\"nd": "x"}']),
        (obj({"anyOf": [{"const": "a"}, {"const": "b", "title": "B"}]}), ['{"label": "a"}', '{"label": "b"}']),
        (obj({"oneOf": [{"const": "a"}, {"enum": ["b"]}]}), ['{"label": "a"}', '{"label": "b"}']),
        (obj({"type": "boolean"}), ['{"label": true}', '{"label": false}']),
        (obj({"enum": [False, True]}), ['{"label": false}', '{"label": true}']),
        (obj({"type": "integer", "enum": [3, 1]}), ['{"label": 3}', '{"label": 1}']),
        (obj({"type": "integer", "minimum": 0, "exclusiveMaximum": 3}), [f'{{"label": {n}}}' for n in range(3)]),
        (json_schema({"type": "integer", "minimum": -1, "maximum": 1}), ["-1", "0", "1"]),
        (json_schema(PYDANTIC_ENUM), ['{"kind": "lease"}', '{"kind": "loan"}']),
        (
            json_schema({**PYDANTIC_ENUM, "properties": {"k": {"allOf": [{"$ref": "#/$defs/Kind"}], "title": "K"}}}),
            ['{"k": "lease"}', '{"k": "loan"}'],
        ),
        ({"guided_json": json.dumps(PYDANTIC_ENUM)}, ['{"kind": "lease"}', '{"kind": "loan"}']),
        ({"structured_outputs": {"json": PYDANTIC_ENUM}}, ['{"kind": "lease"}', '{"kind": "loan"}']),
        ({"response_format": {"type": "json_object", "schema": {"enum": ["a"]}}}, ['"a"']),
        ({"response_format": {"type": "text"}, **CHOICE}, ["yes", "no"]),
    ],
)
def test_the_replies_that_a_request_allows(body: dict[str, Any], replies: list[str]) -> None:
    assert list(read(**body).replies()) == replies


@given(st.lists(st.text(min_size=1), min_size=1, unique=True), st.text())
def test_replies_are_json_that_says_the_label(values: list[str], key: str) -> None:
    request = read(**obj({"enum": values}, key))
    for reply, label, value in zip(request.replies(), request.labels, values, strict=True):
        assert json.loads(reply) == {key: value}
        assert label == value


def test_numbers_are_scores() -> None:
    request = read(**obj({"type": "integer", "minimum": 1, "maximum": 5}))
    assert request.labels == ("1", "2", "3", "4", "5")
    assert request.is_score
    assert request.reply_form == ReplyForm(key="label", json_type="integer")
    assert not read(**CHOICE).is_score


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({}, "asks for free text"),
        ({"response_format": {"type": "text"}}, "asks for free text"),
        ({"response_format": {"type": "json_object"}}, "'json_object', which lists no answers"),
        ({"response_format": "json"}, "type None"),
        ({"guided_regex": "a|b"}, "pattern or grammar"),
        ({"structured_outputs": {"regex": "a|b"}}, r"has \['regex'\]"),
        ({**CHOICE, "structured_outputs": {"choice": ["a"]}}, "more than one way"),
        ({**CHOICE, "n": 2}, "n=2"),
        ({**CHOICE, "tools": [{"type": "function"}]}, "'tools'"),
        ({"guided_choice": "yes"}, "list of texts"),
        ({"guided_choice": ["yes", 1]}, "list of texts"),
        ({"guided_choice": [str(n) for n in range(10_001)]}, "10,001 answers; at most 10,000"),
        (obj({"type": "string"}), "'string' and lists no values"),
        (obj({"type": "array", "items": {"enum": ["a"]}}), "'array' and lists no values"),
        (obj({"enum": []}), "empty"),
        (obj({"enum": ["a", None]}), "not all texts"),
        (obj({"enum": [1.5]}), "not all texts"),
        (obj({"enum": [1, True]}), "not all texts"),
        (obj({"anyOf": [{"const": "a"}, {"type": "null"}]}), "alternative that lists no values"),
        (obj({"anyOf": "a"}), "not an object"),
        (obj({"type": "integer", "minimum": 1}), "without minimum and maximum"),
        (obj({"type": "integer", "minimum": True, "maximum": 3}), "without minimum and maximum"),
        (obj({"type": "integer", "minimum": 1, "maximum": 10**9}), "1 to 1001 values"),
        (obj({"type": "integer", "minimum": 3, "maximum": 1}), "1 to 1001 values"),
        (obj("a"), "not an object"),
        (json_schema({"type": "object", "properties": {"a": {}, "b": {}}}), "2 properties"),
        (json_schema({"type": "object"}), "0 properties"),
        (json_schema(None), "not an object"),
        (json_schema({"$ref": "#"}), "not inside it"),
        (json_schema({"$ref": "#/a", "a": {"$ref": "#/a"}}), "refers to itself"),
        (json_schema({"$ref": "#/b"}), "does not have"),
        (json_schema({"$ref": "http://example.com/schema"}), "not inside it"),
        ({"guided_json": "{"}, "not JSON"),
        ({"guided_json": "[" * 100_000}, "not JSON"),
    ],
)
def test_what_cannot_be_answered_has_a_reason(body: dict[str, Any], reason: str) -> None:
    with pytest.raises(UnreadableError, match=reason):
        read(**body)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"body": None}, "no 'body'"),
        ({"method": "GET"}, "'GET'; only POST"),
        ({"url": "/v1/embeddings"}, "'/v1/embeddings'; only requests to"),
        ({"url": "/v1/completions"}, "'/v1/completions'; only requests to"),
        ({"url": 7}, "7; only requests to"),
    ],
)
def test_other_endpoints_have_a_reason(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(UnreadableError, match=reason):
        RequestReader()({**line(**CHOICE), **changes})


def test_hosts_and_missing_addresses_are_fine() -> None:
    for changes in ({"url": "https://host/v1/chat/completions"}, {"url": None, "method": None}):
        assert RequestReader()({**line(**CHOICE), **changes}).labels == ("yes", "no")


def test_messages_are_read_as_texts() -> None:
    messages = [
        {"role": "system", "content": " Be brief. "},
        {"role": "developer", "content": [{"type": "text", "text": "Be right."}]},
        {"role": "user", "content": "An example"},
        {"role": "assistant", "content": "yes"},
        {"role": "user", "content": [{"type": "text", "text": "One"}, {"type": "text", "text": "two \ud800\n"}]},
    ]
    assert read(messages=messages, **CHOICE).messages == (
        ("system", "Be brief.\n\nBe right."),
        ("user", "An example"),
        ("assistant", "yes"),
        ("user", "One\ntwo \N{REPLACEMENT CHARACTER}"),
    )
    assert read(messages=[{"role": "system", "content": ""}, *USER], **CHOICE).messages == (("user", "Is it a lease?"),)


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        (None, "no 'messages'"),
        ([], "no 'messages'"),
        ("hello", "no 'messages'"),
        (["hello"], "message 1 has the role None"),
        ([{"role": "tool", "content": "x"}], "message 1 has the role 'tool'"),
        ([{"role": "user", "content": None}], "message 1 has no text"),
        ([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}], "part of type 'image_url'"),
        ([{"role": "user", "content": ["text"]}], "part of type None"),
        ([*USER, {"role": "assistant", "content": "x"}], "last message is not a text of the user's"),
        ([{"role": "system", "content": "x"}], "last message is not a text of the user's"),
        ([{"role": "user", "content": " \n"}], "last message is not a text of the user's"),
        ([{"role": "assistant", "content": "", "tool_calls": [{}]}, *USER], "message 1 calls tools"),
    ],
)
def test_messages_that_cannot_be_read_have_a_reason(messages: Any, reason: str) -> None:
    with pytest.raises(UnreadableError, match=reason):
        read(messages=messages, **CHOICE)


def test_parameters_passed_over_are_gathered() -> None:
    reader = RequestReader()
    reader(line(temperature=0, max_tokens=3, logprobs=True, **CHOICE))
    reader(line(extra_body={"chat_template_kwargs": {}}, top_p=1, **CHOICE))
    assert reader.ignored == {"temperature", "max_tokens", "logprobs", "chat_template_kwargs", "top_p"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.dictionaries(
        st.sampled_from(["messages", "response_format", "structured_outputs", "guided_choice", "extra_body", "n"]), JSON
    ),
    JSON,
)
def test_no_body_breaks_the_reader(body: dict[str, Any], schema: object) -> None:
    for given_body in (body, {"messages": USER, **body}, {"messages": USER, **json_schema(schema)}):
        with contextlib.suppress(UnreadableError):
            assert RequestReader()({"custom_id": "x", "body": given_body}).replies()


def test_the_content_is_the_conversation_and_the_replies() -> None:
    bodies: list[dict[str, Any]] = [
        CHOICE,
        {"guided_choice": ["no", "yes"]},
        {"guided_choice": ["yes", "no", "maybe"]},
        obj({"enum": ["yes", "no"]}),
        obj({"enum": ["yes", "no"]}, "other"),
        {**CHOICE, "messages": [{"role": "system", "content": "x"}, *USER]},
        {**CHOICE, "messages": [{"role": "user", "content": "Is it a loan?"}]},
    ]
    assert len({read(**body).content_sha256() for body in bodies}) == len(bodies)
    same: list[dict[str, Any]] = [
        CHOICE,
        {"structured_outputs": {"choice": ["yes", "no"]}},
        {**CHOICE, "temperature": 1, "model": "other"},
    ]
    assert len({read(**body).content_sha256() for body in same}) == 1
