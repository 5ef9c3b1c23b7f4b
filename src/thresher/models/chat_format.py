"""What a prompt needs of a chat template, wherever that comes from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class ChatFormat(Protocol):
    """A model's chat template, what stands in for it, or the turns of an endpoint that takes messages."""

    def pieces(self, user_pieces: tuple[str, ...]) -> tuple[str, ...]:
        """The template's own text before, between and after the pieces of a user's message."""

    def conversation(self, roles: Sequence[str]) -> tuple[str, ...]:
        """The template's own text before, between and after messages of these roles, the last one the user's."""

    @property
    def end_of_turn(self) -> str:
        """The text that ends the assistant's turn; one control token."""

    @property
    def next_turn(self) -> tuple[str, str]:
        """The template's own text around a user's second message: behind the first answer's end of turn, and after."""
