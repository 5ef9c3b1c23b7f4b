"""The chat template of a served model, rendered by its server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Protocol

from thresher.engines.servers.fault import BadRequestError
from thresher.errors import ModelFormatError
from thresher.models.chat_template import ChatTemplate
from thresher.models.tokenizer import Tokenizer


class Renderer(Protocol):
    """A server that puts a conversation into its model's template."""

    def render(self, messages: Sequence[Any], *, add_generation_prompt: bool) -> str:
        """The text, thinking off. Raises ``ServerError``."""


class ServedTemplate(ChatTemplate):
    """As a template in a file; only placeholders are rendered."""

    def __init__(self, renderer: Renderer, tokenizer: Tokenizer) -> None:
        super().__init__("")
        self._renderer = renderer
        self._tokenizer = tokenizer

    def _render(self, variables: Sequence[Mapping[str, Any]]) -> Sequence[str | ModelFormatError]:
        return [self._render_one(of_text) for of_text in variables]

    def _render_one(self, variables: Mapping[str, Any]) -> str | ModelFormatError:
        try:
            return self._renderer.render(
                variables["messages"], add_generation_prompt=variables["add_generation_prompt"]
            )
        except BadRequestError as refusal:
            return ModelFormatError(f"the server's chat template refuses a conversation: {refusal}")

    @cached_property
    def end_of_turn(self) -> str:
        """The first token after a given answer."""
        answered = self._render_one(
            {
                "messages": [{"role": "user", "content": "?"}, {"role": "assistant", "content": self._answer}],
                "add_generation_prompt": False,
            }
        )
        after = answered.partition(self._answer)[2].lstrip() if isinstance(answered, str) else ""
        tokens = self._tokenizer.encode_template(after)
        if not tokens:
            raise ModelFormatError("the server's chat template does not say which token ends an answer")
        return self._tokenizer.decode(tokens[:1])
