"""SGLang's server, as its documentation describes it.

Followed: the native API, the sampling parameters and the scoring API of docs.sglang.io of 2026 (v0.5). ``REDUCED`` has
neither ``token_ids_logprob`` nor ``/v1/score``, as servers before 2025. Errors of the native routes are
``{"error": {"message"}}``, those of the OpenAI-compatible ones are flat. Unknown fields of a request are ignored, as
there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tests.support.simulators.model import Logprobs, SimulatedModel, likeliest
from tests.support.simulators.routes import Body, Handle, RefusalError, Simulator


@dataclass(frozen=True, kw_only=True)
class Offer:
    """What a version of SGLang offers, and how it was started."""

    version: str
    token_ids_logprob: bool = True
    generate: bool = True  # false behind a gateway that passes /v1 only
    prefill_only: bool = True  # takes max_new_tokens 0
    score: bool = True
    text_vocabulary: int | None = None  # what /v1/score takes for the vocabulary: without added tokens
    multi_item_scoring_delimiter: int | None = None
    context_length: int = 4096
    truncates: bool = False  # --allow-auto-truncate
    server_info: str = "/get_server_info"
    tokenizes: bool = True


REDUCED = Offer(version="0.4.0", token_ids_logprob=False, score=False, prefill_only=False, tokenizes=False)
V0_5 = Offer(version="0.5.9")
GATEWAY = Offer(version="0.5.9", generate=False, server_info="/server_info")


class SglangSimulator(Simulator):
    """One model under its path."""

    def __init__(self, model: SimulatedModel, offer: Offer = V0_5, *, api_key: str | None = None) -> None:
        super().__init__(api_key=api_key)
        self.model = model
        self.offer = offer
        self.name = model.model.facts.name
        self.stated_length: int | None = self.offer.context_length

    def routes(self) -> Mapping[tuple[str, str], Handle]:
        """Those of the version."""
        routes: dict[tuple[str, str], Handle] = {
            ("GET", "/health"): lambda _: {},
            ("GET", "/v1/models"): lambda _: {"object": "list", "data": [self._card()]},
            ("GET", "/get_model_info"): lambda _: self._model_info(),
            ("GET", self.offer.server_info): lambda _: self._server_info(),
        }
        if self.offer.tokenizes:
            routes |= {("POST", "/tokenize"): self.tokenize, ("POST", "/detokenize"): self.detokenize}
        if self.offer.generate:
            routes["POST", "/generate"] = self.generate
        if self.offer.score:
            routes["POST", "/v1/score"] = self.score
        return routes

    def _card(self) -> dict[str, Any]:
        return {"id": self.name, "object": "model", "owned_by": "sglang", "root": self.name,
                "max_model_len": self.stated_length}  # fmt: skip

    def _model_info(self) -> dict[str, Any]:
        return {
            "model_path": self.name,
            "tokenizer_path": self.name,
            "is_generation": True,
            "weight_version": "default",
        }

    def _server_info(self) -> dict[str, Any]:
        return {
            "model_path": self.name,
            "served_model_name": self.name,
            "context_length": self.stated_length,
            "multi_item_scoring_delimiter": self.offer.multi_item_scoring_delimiter,
            "max_total_num_tokens": 100_000,
            "max_req_input_len": None if self.stated_length is None else self.stated_length - 6,
            "version": self.offer.version,
            "internal_states": [{}],
        }

    def tokenize(self, body: Body) -> dict[str, Any]:
        """One text or several; control tokens are recognised."""
        encode = self.model.tokenizer.encode_template
        prompt = body["prompt"]
        tokens: list[Any] = encode(prompt) if isinstance(prompt, str) else [encode(text) for text in prompt]
        count = len(tokens) if isinstance(prompt, str) else list(map(len, tokens))
        return {"tokens": tokens, "count": count, "max_model_len": self.offer.context_length}

    def detokenize(self, body: Body) -> dict[str, Any]:
        """The text, control tokens written out if asked for."""
        assert body.get("skip_special_tokens") is False
        return {"text": self.model.tokenizer.decode(body["tokens"])}

    def generate(self, body: Body) -> dict[str, Any]:
        """No token or one after a prompt of token ids, with log probabilities of what comes next."""
        sampling = body["sampling_params"]
        prompt, new_tokens = body["input_ids"], sampling["max_new_tokens"]
        if new_tokens < 1 and not self.offer.prefill_only:
            raise _native_refusal("max_new_tokens must be at least 1")
        cached = self.model.cached_tokens(prompt)
        prompt = self._checked(prompt, _native_refusal)
        logprobs = _biased(self.model.logprobs(prompt), sampling.get("logit_bias") or {})
        meta: dict[str, Any] = {"id": "1", "prompt_tokens": len(prompt), "cached_tokens": cached}
        meta |= {"completion_tokens": new_tokens, "finish_reason": {"type": "length", "length": new_tokens}}
        if body.get("return_logprob"):
            assert body["logprob_start_len"] == -1, "no log probabilities of the prompt"
            wanted = body.get("token_ids_logprob") if self.offer.token_ids_logprob else None
            sampled = int(logprobs.argmax())
            meta["output_token_logprobs"] = [[float(logprobs[sampled]), sampled, None]] if new_tokens else []
            meta["output_token_ids_logprobs"] = [[[float(logprobs[t]), t, None] for t in wanted]] if wanted else []
            count = body.get("top_logprobs_num") or 0
            top = likeliest(logprobs, count)
            meta["output_top_logprobs"] = [[[float(logprobs[t]), t, None] for t in top]] if top else []
        return {"text": "", "output_ids": [], "meta_info": meta}

    def score(self, body: Body) -> dict[str, Any]:
        """The probabilities of label tokens after query and item."""
        assert self.offer.multi_item_scoring_delimiter is None, "items would see each other"
        size = self.offer.text_vocabulary or self.model.tokenizer.vocabulary_size
        labels = body["label_token_ids"]
        if any(token >= size for token in labels):
            raise _flat_refusal(f"Token ID {max(labels)} is out of vocabulary (vocab size: {size})")
        assert body["apply_softmax"] is False
        scores, total = [], 0
        for item in body["items"]:
            prompt = self._checked([*body["query"], *item], _flat_refusal)
            total += len(prompt)
            logprobs = self.model.logprobs(prompt)
            scores.append([math.exp(logprobs[token]) for token in labels])
        usage = {"prompt_tokens": total, "total_tokens": total, "completion_tokens": 0}
        return {"scores": scores, "model": body.get("model"), "usage": usage, "object": "scoring"}

    def _checked(self, prompt: Sequence[int], refusal: Any) -> Sequence[int]:
        if len(prompt) < self.offer.context_length:
            return prompt
        if self.offer.truncates:
            return prompt[: self.offer.context_length - 1]
        message = f"The input ({len(prompt)} tokens) is longer than the model's context length"
        raise refusal(f"{message} ({self.offer.context_length} tokens).")


def _native_refusal(message: str) -> RefusalError:
    return RefusalError(400, {"error": {"message": message}})


def _flat_refusal(message: str) -> RefusalError:
    body = {"object": "error", "message": message, "type": "BadRequestError", "param": None, "code": 400}
    return RefusalError(400, body)


def _biased(logprobs: Logprobs, bias: Mapping[str, float]) -> Logprobs:
    """Log probabilities after a bias was added to some logits."""
    logits = logprobs.copy()
    for token, value in bias.items():
        logits[int(token)] += value
    biased: Logprobs = logits - logits.max()
    return biased - math.log(np.exp(biased).sum())
