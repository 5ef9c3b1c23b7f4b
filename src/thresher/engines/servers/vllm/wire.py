"""vLLM's tokenizer and chat template over the wire."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from thresher.engines.servers.client.transport import Client
from thresher.engines.servers.fault import BadAnswerError
from thresher.engines.servers.remote import Remote


class VllmWire:
    """Its tokenizer and its chat template."""

    def __init__(self, client: Client, model: str) -> None:
        self._client = client
        self._remote = Remote(client)
        self._model = model

    async def ask(self, text: str) -> Sequence[int]:
        """The tokens of one text, within the loop."""
        return _tokens(await self._client.post("/tokenize", self._tokenize(text)))

    def tokens_of(self, texts: Sequence[str]) -> list[list[int]]:
        """See :class:`~thresher.engines.servers.remote_tokenizer.TokenWire`."""
        return list(map(_tokens, self._remote.post_all("/tokenize", [self._tokenize(text) for text in texts])))

    def text_of(self, tokens: Sequence[int]) -> str:
        """See :class:`~thresher.engines.servers.remote_tokenizer.TokenWire`."""
        answer = self._remote.post("/detokenize", {"model": self._model, "tokens": list(tokens)})
        if not isinstance(answer, dict) or not isinstance(answer.get("prompt"), str):
            raise BadAnswerError("/detokenize gave no text")
        return str(answer["prompt"])

    def render(self, messages: Sequence[Any], *, add_generation_prompt: bool) -> str:
        """See :class:`~thresher.engines.servers.served_template.Renderer`."""
        body = {
            "model": self._model, "messages": list(messages), "add_generation_prompt": add_generation_prompt,
            "add_special_tokens": False, "chat_template_kwargs": {"enable_thinking": False},
        }  # fmt: skip
        return self.text_of(_tokens(self._remote.post("/tokenize", body)))

    def _tokenize(self, text: str) -> dict[str, Any]:
        return {"model": self._model, "prompt": text, "add_special_tokens": False}


def _tokens(answer: Any) -> list[int]:
    tokens = answer.get("tokens") if isinstance(answer, dict) else None
    if not isinstance(tokens, list) or not all(isinstance(token, int) for token in tokens):
        raise BadAnswerError("/tokenize gave no tokens")
    return tokens
