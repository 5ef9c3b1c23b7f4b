"""A line of a batch file as a request: its conversation and the replies that it allows, or why it cannot be answered.

Requests are those of https://platform.openai.com/docs/api-reference/batch/request-input, with the lists of choices that
vLLM adds: ``structured_outputs`` and its older ``guided_choice`` and ``guided_json``, also inside ``extra_body``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from thresher.errors import UnreadableError
from thresher.tasks.batch.schema import Replies, replies_of_choice, replies_of_schema
from thresher.types import ChatRequest

_MOST_LABELS = 10_000
_URL_END = "/chat/completions"
_SYSTEM_ROLES = ("system", "developer")
_ROLES = (*_SYSTEM_ROLES, "user", "assistant")
_TEXT_PARTS = ("text", "input_text")
#: Ask for more than one answer from a list; harmless where empty.
_REFUSED = ("tools", "functions", "audio", "web_search_options")
_CONSTRAINTS = (
    "response_format",
    "structured_outputs",
    "guided_choice",
    "guided_json",
    "guided_regex",
    "guided_grammar",
)
#: Parameters that no notice is given of; in the place of the model stands that of --model.
_READ = frozenset({"model", "messages", "n", "extra_body", *_REFUSED, *_CONSTRAINTS})
_REMEDY = "give a response_format with a JSON schema that lists the answers (an enum)"


class RequestReader:
    """Reads lines; ``ignored`` gathers the parameters that were passed over."""

    def __init__(self) -> None:
        self.ignored: set[str] = set()

    def __call__(self, line: Mapping[str, Any]) -> ChatRequest:
        """The request of a line. Raises ``UnreadableError`` with the reason why it cannot be answered."""
        _check_target(line)
        body = line.get("body")
        if not isinstance(body, Mapping):
            raise UnreadableError("it has no 'body' with the request")
        extra = body.get("extra_body")
        body = {**extra, **body} if isinstance(extra, Mapping) else body
        _check_alone(body)
        replies = _replies(body)
        if len(replies.labels) > _MOST_LABELS:
            raise UnreadableError(
                f"it lists {len(replies.labels):,} answers; at most {_MOST_LABELS:,} can be told apart"
            )
        request = ChatRequest(
            messages=_messages(body.get("messages")),
            labels=tuple(map(_clean, replies.labels)),
            reply_form=replies.form,
        )
        self.ignored.update(str(key) for key in body if key not in _READ)
        return request


def _check_target(line: Mapping[str, Any]) -> None:
    if line.get("method", "POST") not in ("POST", None):
        raise UnreadableError(f"its method is {line['method']!r}; only POST requests can be answered")
    url = line.get("url") or _URL_END
    if not isinstance(url, str) or not url.rstrip("/").endswith(_URL_END):
        raise UnreadableError(f"its url is {url!r}; only requests to /v1/chat/completions can be answered")


def _check_alone(body: Mapping[str, Any]) -> None:
    if body.get("n") not in (None, 1):
        raise UnreadableError(f"it asks for n={body['n']!r} replies; the answer with all probabilities is given once")
    refused = next((key for key in _REFUSED if body.get(key)), None)
    if refused is not None:
        raise UnreadableError(f"it uses {refused!r}, which cannot be answered by choosing from a list; remove it")


def _replies(body: Mapping[str, Any]) -> Replies:
    found = [found for key in _CONSTRAINTS if body.get(key) and (found := _OF_CONSTRAINT[key](body[key])) is not None]
    if not found:
        raise UnreadableError(f"it asks for free text, and only a choice from a list can be answered; {_REMEDY}")
    if len(found) > 1:
        raise UnreadableError("it constrains its reply in more than one way; leave one of them")
    return found[0]


def _of_response_format(value: object) -> Replies | None:
    kind = value.get("type") if isinstance(value, Mapping) else None
    if kind == "text":
        return None
    if isinstance(value, Mapping) and kind == "json_schema":
        inner = value.get("json_schema")
        return replies_of_schema(inner.get("schema") if isinstance(inner, Mapping) else None)
    if isinstance(value, Mapping) and kind == "json_object" and "schema" in value:  # as llama.cpp has it
        return replies_of_schema(value["schema"])
    raise UnreadableError(f"its response_format is of type {kind!r}, which lists no answers; {_REMEDY}")


def _of_structured_outputs(value: object) -> Replies:
    given = {key: v for key, v in value.items() if v is not None} if isinstance(value, Mapping) else {}
    if "choice" in given:
        return replies_of_choice(given["choice"])
    if "json" in given:
        return _of_json(given["json"])
    raise UnreadableError(f"its structured_outputs has {sorted(map(str, given))}; 'choice' and 'json' can be answered")


def _of_json(value: object) -> Replies:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError) as error:
            raise UnreadableError(f"its JSON schema is not JSON: {error}") from error
    return replies_of_schema(value)


def _of_pattern(_: object) -> Replies:
    raise UnreadableError(f"its reply is constrained by a pattern or grammar, which lists no answers; {_REMEDY}")


_OF_CONSTRAINT: Mapping[str, Callable[[object], Replies | None]] = {
    "response_format": _of_response_format,
    "structured_outputs": _of_structured_outputs,
    "guided_choice": replies_of_choice,
    "guided_json": _of_json,
    "guided_regex": _of_pattern,
    "guided_grammar": _of_pattern,
}


def _messages(value: object) -> tuple[tuple[str, str], ...]:
    """Roles and texts, without white space around; system messages at the start become one."""
    if not isinstance(value, list) or not value:
        raise UnreadableError("it has no 'messages'")
    turns = [_message(number, message) for number, message in enumerate(value, 1)]
    start = next((place for place, (role, _) in enumerate(turns) if role != "system"), len(turns))
    system = "\n\n".join(text for _, text in turns[:start] if text)
    turns = [*([("system", system)] if system else []), *turns[start:]]
    if not turns or turns[-1][0] != "user" or not turns[-1][1]:
        raise UnreadableError("its last message is not a text of the user's, so there is nothing to answer")
    return tuple(turns)


def _message(number: int, message: object) -> tuple[str, str]:
    role = message.get("role") if isinstance(message, Mapping) else None
    if not isinstance(message, Mapping) or role not in _ROLES:
        raise UnreadableError(f"message {number} has the role {role!r}; use one of {', '.join(_ROLES)}")
    if message.get("tool_calls") or message.get("function_call"):
        raise UnreadableError(f"message {number} calls tools; only texts can be read")
    return "system" if role in _SYSTEM_ROLES else str(role), _clean(_text(number, message.get("content"))).strip()


def _text(number: int, content: object) -> str:
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise UnreadableError(f"message {number} has no text")
    texts: list[str] = []
    for part in content:
        kind = part.get("type") if isinstance(part, Mapping) else None
        if not isinstance(part, Mapping) or kind not in _TEXT_PARTS or not isinstance(part.get("text"), str):
            raise UnreadableError(f"message {number} has a part of type {kind!r}; only texts can be read")
        texts.append(part["text"])
    return "\n".join(texts)


def _clean(text: str) -> str:
    """Lone surrogates, which no tokenizer and no file can hold, become U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
