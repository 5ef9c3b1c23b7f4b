"""An OpenAI-compatible endpoint, as OpenAI's API reference of 2026 describes chat completions.

``Offer`` says what it does otherwise, as the endpoints in use do: some refuse fields that they do not know, some pass
over them, some think. It decodes greedily, within the grammar of a structured reply where that is asked for, and tells
the log probabilities of free decoding.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tests.support.simulators.model import Logprobs, SimulatedModel
from tests.support.simulators.routes import Body, Handle, RefusalError, Simulator

_KNOWN = {
    "model", "messages", "temperature", "max_tokens", "max_completion_tokens", "logprobs", "top_logprobs",
    "response_format",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Offer:
    """How an endpoint behaves."""

    top_logprobs: int | None = 20  # None: refuses them
    silent_about_logprobs: bool = False  # passes over the wish for them
    structure: Literal["taken", "refused", "ignored"] = "taken"
    strict: bool = True  # refuses unknown fields
    template_switch: bool = False  # knows chat_template_kwargs (and is not strict about it)
    thinks: bool = False  # unless it is told not to by a field that it knows
    new_names: bool = False  # takes max_completion_tokens in place of max_tokens, and no temperature
    context_tokens: int = 4096
    states_context: bool = False
    counts_tokens: bool = True
    lists_models: bool = True


OPENAI = Offer()
PLAIN = Offer(structure="ignored", strict=False)
MUTE = Offer(top_logprobs=None)
BARE = Offer(top_logprobs=None, structure="refused")
LOCAL = Offer(strict=False, template_switch=True, thinks=True, states_context=True, structure="ignored")
STUBBORN = Offer(thinks=True)


class OpenAiSimulator(Simulator):
    """One model."""

    def __init__(self, model: SimulatedModel, offer: Offer = OPENAI, *, api_key: str | None = None) -> None:
        super().__init__(api_key=api_key)
        self.model = model
        self.offer = offer
        self.name = "simulated-model"
        self.says: Callable[[str], str] = lambda reply: reply  # changes every reply

    def routes(self) -> Mapping[tuple[str, str], Handle]:
        """The two that are needed."""
        routes: dict[tuple[str, str], Handle] = {("POST", "/v1/chat/completions"): self.complete}
        if self.offer.lists_models:
            routes["GET", "/v1/models"] = lambda _: {"object": "list", "data": [self._card()]}
        return routes

    def unauthorized(self) -> object:
        """As OpenAI does."""
        return _error("Incorrect API key provided", "invalid_request_error", None, "invalid_api_key")

    def _card(self) -> dict[str, Any]:
        stated = {"context_length": self.offer.context_tokens} if self.offer.states_context else {}
        return {"id": self.name, "object": "model", "owned_by": "someone", **stated}

    def complete(self, body: Body) -> dict[str, Any]:
        """One reply."""
        self._check(body)
        switch = (
            body.get("chat_template_kwargs", {}).get("enable_thinking", True) if self.offer.template_switch else True
        )
        prompt = self.model.chat_tokens(body["messages"], thinking=False)
        limit = body.get("max_tokens") or body["max_completion_tokens"]
        if len(prompt) + limit > self.offer.context_tokens:
            message = f"This model's maximum context length is {self.offer.context_tokens} tokens."
            raise RefusalError(400, _error(message, "invalid_request_error", "messages", "context_length_exceeded"))
        structured = body.get("response_format") if self.offer.structure == "taken" else None
        grammar = self._grammar(structured) if structured else None
        tokens = self._decode(prompt, limit, grammar)
        content = self.says(self.model.tokenizer.decode(tokens))
        said: dict[str, Any] = {"role": "assistant", "content": content}
        if self.offer.thinks and switch:
            said = {"role": "assistant", "content": "", "reasoning_content": "Okay, the user wants a label."}
        choice: dict[str, Any] = {"index": 0, "message": said, "finish_reason": "stop", "logprobs": None}
        if body.get("logprobs") and not self.offer.silent_about_logprobs:
            choice["logprobs"] = {"content": self._logprobs(prompt, tokens, body["top_logprobs"])}
        reply = {"id": "chatcmpl-1", "object": "chat.completion", "model": self.name, "choices": [choice]}
        usage = {
            "prompt_tokens": len(prompt),
            "completion_tokens": len(tokens),
            "total_tokens": len(prompt) + len(tokens),
        }
        return {**reply, "usage": usage} if self.offer.counts_tokens else reply

    def _check(self, body: Body) -> None:
        if body["model"] != self.name:
            message = f"The model `{body['model']}` does not exist"
            raise RefusalError(404, _error(message, "invalid_request_error", None, "model_not_found"))
        known = _KNOWN | ({"chat_template_kwargs"} if self.offer.template_switch else set())
        if self.offer.strict and (unknown := sorted(set(body) - known)):
            raise RefusalError(
                400, _error(f"Unrecognized request argument supplied: {unknown[0]}", "invalid_request_error")
            )
        if self.offer.new_names and ("max_tokens" in body or "temperature" in body):
            raise RefusalError(
                400, _error("Unsupported parameter", "invalid_request_error", "max_tokens", "unsupported_parameter")
            )
        if body.get("response_format") and self.offer.structure == "refused":
            raise RefusalError(
                400, _error("response_format is not supported", "invalid_request_error", "response_format")
            )
        if (body.get("top_logprobs") or 0) > (self.offer.top_logprobs or 0):
            raise RefusalError(400, _error("top_logprobs is too large", "invalid_request_error", "top_logprobs"))

    def _grammar(self, structured: Mapping[str, Any]) -> list[list[int]]:
        """The token sequences of all replies in the schema's form."""
        schema = structured["json_schema"]["schema"]
        (name,) = schema["properties"]
        values = schema["properties"][name]["enum"]
        encode = self.model.tokenizer.encode
        ends = [self.model.end_of_turn]
        return [
            [*encode(f'{{"{name}": "'), *encode(json.dumps(value, ensure_ascii=False)[1:-1]), *encode('"}'), *ends]
            for value in values
        ]

    def _decode(self, prompt: Sequence[int], limit: int, grammar: list[list[int]] | None) -> list[int]:
        tokens: list[int] = []
        while len(tokens) < limit:
            following = (
                None if grammar is None else {way[len(tokens)] for way in grammar if way[: len(tokens)] == tokens}
            )
            if following is not None and len(following) == 1:
                (token,) = following
            else:
                logprobs = self.model.logprobs([*prompt, *tokens])
                token = int(logprobs.argmax()) if following is None else max(following, key=logprobs.__getitem__)
            if token == self.model.end_of_turn:
                break
            tokens.append(token)
        return tokens

    def _logprobs(self, prompt: Sequence[int], tokens: Sequence[int], top: int) -> list[dict[str, Any]]:
        entries = []
        for place, token in enumerate(tokens):
            logprobs = self.model.logprobs([*prompt, *tokens[:place]])
            likeliest = self.model.likeliest([*prompt, *tokens[:place]], top)
            listed = [self._entry(other, logprobs) for other in likeliest]
            entries.append({**self._entry(token, logprobs), "top_logprobs": listed})
        return entries

    def _entry(self, token: int, logprobs: Logprobs) -> dict[str, Any]:
        text = self.model.tokenizer.decode([token])
        return {"token": text, "logprob": float(logprobs[token]), "bytes": list(text.encode())}


def _error(message: str, kind: str, parameter: str | None = None, code: str | None = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": parameter, "code": code}}
