"""vLLM's server, as its documentation describes it.

Followed: the OpenAI-compatible server, the tokenizer API and the generative scoring API of the documentation of v0.10.0
(no generative scoring), v0.22.1 (generative scoring) and of the main branch of autumn 2026 (pull request 43463:
``logprob_token_ids`` in completions, at most 128 of them). Unknown fields of a request are ignored, as there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.support.simulators.model import SMALLEST_LOGPROB, SimulatedModel, likeliest, narrowed
from tests.support.simulators.routes import Body, Handle, RefusalError, Simulator

_LARGEST_LOGPROB_TOKEN_IDS = 128


@dataclass(frozen=True, kw_only=True)
class Offer:
    """What a version of vLLM offers, and how it was started."""

    version: str
    logprob_token_ids: bool = False
    generative_scoring: bool = False
    max_logprobs: int = 20
    processed_logprobs: bool = False  # --logprobs-mode processed_logprobs
    max_model_len: int = 4096
    states_length: bool = True  # max_model_len in the list of models
    prompt_tokens_details: bool = True  # --enable-prompt-tokens-details
    tokenizes: bool = True


V0_10 = Offer(version="0.10.0")
V0_22 = Offer(version="0.22.1", generative_scoring=True)
MAIN = Offer(version="0.27.0", generative_scoring=True, logprob_token_ids=True)


class VllmSimulator(Simulator):
    """One model under one name."""

    def __init__(self, model: SimulatedModel, offer: Offer = MAIN, *, api_key: str | None = None) -> None:
        super().__init__(api_key=api_key)
        self.model = model
        self.offer = offer
        self.name = model.model.facts.name

    def routes(self) -> Mapping[tuple[str, str], Handle]:
        """Those of the version."""
        routes: dict[tuple[str, str], Handle] = {
            ("GET", "/health"): lambda _: {},
            ("GET", "/version"): lambda _: {"version": self.offer.version},
            ("GET", "/v1/models"): lambda _: {"object": "list", "data": [self._card()]},
            ("POST", "/v1/completions"): self.complete,
        }
        if self.offer.tokenizes:
            routes |= {("POST", "/tokenize"): self.tokenize, ("POST", "/detokenize"): self.detokenize}
        if self.offer.generative_scoring:
            routes["POST", "/generative_scoring"] = self.score
        return routes

    def _card(self) -> dict[str, Any]:
        length = self.offer.max_model_len if self.offer.states_length else None
        return {"id": self.name, "object": "model", "owned_by": "vllm", "root": self.name, "max_model_len": length}

    def tokenize(self, body: Body) -> dict[str, Any]:
        """Text, or a conversation put into the template; control tokens are recognised in both."""
        if "messages" in body:
            thinking = body.get("chat_template_kwargs", {}).get("enable_thinking", True)
            opened = body.get("add_generation_prompt", True)
            tokens = self.model.chat_tokens(body["messages"], thinking=thinking, opened=opened)
        else:
            tokens = self.model.tokenizer.encode_template(body["prompt"])
        reply = {"count": len(tokens), "max_model_len": self.offer.max_model_len, "tokens": tokens}
        strings = [self.model.tokenizer.decode([t]) for t in tokens] if body.get("return_token_strs") else None
        return {**reply, "token_strs": strings}

    def detokenize(self, body: Body) -> dict[str, Any]:
        """The text, control tokens written out."""
        return {"prompt": self.model.tokenizer.decode(body["tokens"])}

    def complete(self, body: Body) -> dict[str, Any]:
        """One token after a prompt of token ids, with log probabilities."""
        self._check_model(body)
        prompt = body["prompt"]
        assert isinstance(prompt, list), "the adapter sends token ids"
        assert body["max_tokens"] == 1
        self._check_length(prompt, 1)
        wanted = body.get("logprob_token_ids") if self.offer.logprob_token_ids else None
        count = body.get("logprobs")
        if wanted is not None:
            if count is None:
                raise _refusal("when using `logprob_token_ids`, `logprobs` must be set.", "logprob_token_ids")
            if len(wanted) > _LARGEST_LOGPROB_TOKEN_IDS:
                raise _refusal("too many logprob_token_ids", "logprob_token_ids")
        elif count is not None and count > self.offer.max_logprobs:
            raise _refusal(f"Requested sample logprobs of {count}, which is greater than max allowed", "logprobs")
        cached = self.model.cached_tokens(prompt)
        raw = self.model.logprobs(prompt)
        allowed = body.get("allowed_token_ids")
        shown = narrowed(raw, allowed) if self.offer.processed_logprobs and allowed is not None else raw
        sampled = int(raw.argmax()) if allowed is None else max(allowed, key=raw.__getitem__)
        listed = wanted if wanted is not None else likeliest(shown, count or 0)
        top = {_token_id(t): max(float(shown[t]), SMALLEST_LOGPROB) for t in [sampled, *listed]}
        assert body.get("return_tokens_as_token_ids"), "texts of tokens are not unique"
        logprobs = {
            "tokens": [_token_id(sampled)],
            "token_logprobs": [float(shown[sampled])],
            "top_logprobs": [top],
            "text_offset": [0],
        }
        text = self.model.tokenizer.decode([sampled])
        choice = {
            "index": 0,
            "text": text,
            "logprobs": logprobs if count is not None else None,
            "finish_reason": "length",
        }
        usage: dict[str, Any] = {"prompt_tokens": len(prompt), "completion_tokens": 1, "total_tokens": len(prompt) + 1}
        if self.offer.prompt_tokens_details:
            usage["prompt_tokens_details"] = {"cached_tokens": cached}
        return {
            "id": "cmpl-1",
            "object": "text_completion",
            "model": self.name,
            "choices": [choice],
            "usage": usage,
        }

    def score(self, body: Body) -> dict[str, Any]:
        """The probability of the first label token after query and item; what is too long is cut, as there."""
        self._check_model(body)
        labels = body["label_token_ids"]
        data, total = [], 0
        for index, item in enumerate(body["items"]):
            prompt = [*body["query"], *item][: self.offer.max_model_len - 1]
            total += len(prompt)
            raw = self.model.logprobs(prompt)
            shown = narrowed(raw, labels) if body.get("apply_softmax", True) else raw
            data.append({"index": index, "object": "score", "score": math.exp(shown[labels[0]])})
        usage = {"prompt_tokens": total, "completion_tokens": len(data), "total_tokens": total + len(data)}
        return {"id": "generative-scoring-1", "object": "list", "model": self.name, "data": data, "usage": usage}

    def _check_model(self, body: Body) -> None:
        if body.get("model") not in (None, self.name):
            message = f"The model `{body['model']}` does not exist."
            error = {"message": message, "type": "NotFoundError", "param": "model", "code": 404}
            raise RefusalError(404, {"error": error})

    def _check_length(self, prompt: Sequence[int], output_tokens: int) -> None:
        if len(prompt) + output_tokens > self.offer.max_model_len:
            raise _refusal(f"This model's maximum context length is {self.offer.max_model_len} tokens.", "input_tokens")


def _refusal(message: str, parameter: str) -> RefusalError:
    error = {"message": message, "type": "BadRequestError", "param": parameter, "code": 400}
    return RefusalError(400, {"error": error})


def _token_id(token: int) -> str:
    return f"token_id:{token}"
