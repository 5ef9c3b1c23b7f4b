"""A model's chat template: the text it puts around a user's message, and the token that ends an answer.

The template never sees the message. It renders placeholder words that nobody can guess, laid out as the message is, and
the result is split around them; so no document and no label can change what the template does. Everything about a
template is found by rendering two conversations: the user's message with the opening of an answer, and the same with an
answer given.

Thinking is off: ``enable_thinking`` is false, and where the opening of the answer still leaves ``<think>`` open, the
empty thought is closed. A template whose given answers begin with more markup than its openings (an empty thought,
the final channel of gpt-oss) shows itself how an answer without thinking begins, and that is used.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

from thresher.errors import ModelFormatError
from thresher.models.template_process import render_texts

Message = Mapping[str, object]

_THINK, _END_OF_THINK = "<think>", "</think>"


def render(
    template: str,
    messages: Sequence[Message],
    *,
    enable_thinking: bool = False,
    add_generation_prompt: bool = True,
    bos_token: str = "",
    eos_token: str = "",
) -> str:
    """Render ``template`` as its model's authors do, in a process with limits.

    Raises:
        ModelFormatError: the template is wrong, refuses the messages, or needs more time, memory or text than allowed.
    """
    variables = _variables(messages, enable_thinking, add_generation_prompt, bos_token, eos_token)
    (text,) = render_texts(template, [variables])
    if isinstance(text, Exception):
        raise text
    return text


class ChatTemplate:
    """What a prompt needs of a model's chat template. Renders once, when first asked."""

    def __init__(
        self,
        template: str,
        *,
        bos_token: str = "",
        eos_token: str = "",
        special_tokens: Iterable[str] = (),
        add_bos: bool = False,
    ) -> None:
        """``special_tokens`` are the texts of the vocabulary's control tokens; ``add_bos`` is the file's own flag."""
        self._template = template
        self._bos = bos_token
        self._eos = eos_token
        self._special_tokens = sorted({*special_tokens} - {""}, key=len, reverse=True)
        self._add_bos = add_bos
        self._known_conversations: dict[tuple[str, ...], tuple[str, ...] | ModelFormatError] = {}

    def pieces(self, user_pieces: Sequence[str]) -> tuple[str, ...]:
        """The template's own text before, between and after the pieces of a user's message: one more than pieces.

        Raises:
            ModelFormatError: the template does not keep the message verbatim, or fails.
        """
        if not any(piece.strip() for piece in user_pieces):
            raise ValueError("a message without text cannot be found again in a rendered template")
        before, after = self._around([("user", "".join(map(_placeholder, user_pieces)))])
        return (before, *[""] * (len(user_pieces) - 1), after)

    def conversation(self, roles: Sequence[str]) -> tuple[str, ...]:
        """The template's own text before, between and after messages of these ``roles``: one more than messages.

        The last role is ``"user"``; the text after it opens the answer. Messages have no white space around them.

        Raises:
            ModelFormatError: the template refuses such a conversation or does not keep its messages verbatim.
        """
        key = tuple(roles)
        if key not in self._known_conversations:
            try:
                self._known_conversations[key] = self._around([(role, _placeholder("message")) for role in roles])
            except ModelFormatError as error:
                self._known_conversations[key] = error
        known = self._known_conversations[key]
        if isinstance(known, ModelFormatError):
            raise known
        return known

    @cached_property
    def end_of_turn(self) -> str:
        """The text that ends the assistant's turn: a control token where the template writes one, else the model's own.

        Raises:
            ModelFormatError: neither the template nor the model names such a token.
        """
        _, answered = self._conversations([("user", _placeholder("question"))])
        after = answered.partition(self._answer)[2].lstrip()
        for token in self._special_tokens:
            if after.startswith(token):
                return token
        if self._eos:
            return self._eos
        raise ModelFormatError("neither the chat template nor the model's metadata says which token ends an answer")

    @cached_property
    def next_turn(self) -> tuple[str, str]:
        """The template's own text around a user's second message: behind the first answer's end of turn, and after it.

        Raises:
            ModelFormatError: the template takes one message only, or does not keep the answer before it.
        """
        first, second = _placeholder("first"), _placeholder("second")
        variables = []
        for shape in (str, _as_parts):
            messages = [
                {"role": "user", "content": shape(first)},
                {"role": "assistant", "content": shape(self._answer)},
                {"role": "user", "content": shape(second)},
            ]
            variables.append(_variables(messages, False, True, self._bos, self._eos))
        for text in self._render(variables):
            if isinstance(text, str) and text.count(self._answer) == text.count(second) == 1:
                between = text.partition(self._answer)[2].partition(second)[0]
                return self._without_end_of_turn(between), self.pieces((second,))[-1]
        raise ModelFormatError(
            "the model's chat template takes no second message after an answer, so labels below other labels cannot be "
            "asked for; name the labels without slashes, or use another model"
        )

    def _render(self, variables: Sequence[Mapping[str, Any]]) -> Sequence[str | ModelFormatError]:
        """The template's text for each of ``variables``, or why there is none."""
        return render_texts(self._template, variables)

    def _without_end_of_turn(self, text: str) -> str:
        trimmed = text.lstrip()
        return trimmed.removeprefix(self.end_of_turn) if trimmed.startswith(self.end_of_turn) else text

    def _around(self, turns: Sequence[tuple[str, str]]) -> tuple[str, ...]:
        """The template's text around ``turns``, which are roles and placeholders."""
        (before, *between, after), answered = self._conversations(turns)
        if self._add_bos and not before.startswith(self._bos):
            before = self._bos + before
        given_opening = answered.partition(turns[-1][1])[2].partition(self._answer)[0]
        return before, *between, _answer_opening(after, given_opening)

    def _conversations(self, turns: Sequence[tuple[str, str]]) -> tuple[tuple[str, ...], str]:
        """The rendered question split around its turns, and the question with its answer ("" where it takes none).

        The content is given as text, or else, for templates that want it, as a list with one text in it.
        """
        variables = []
        for shape in (str, _as_parts):
            asked: list[Message] = [{"role": role, "content": shape(content)} for role, content in turns]
            answer: Message = {"role": "assistant", "content": shape(self._answer)}
            variables.append(_variables(asked, False, True, self._bos, self._eos))
            variables.append(_variables([*asked, answer], False, False, self._bos, self._eos))
        texts = self._render(variables)
        for opened, answered in (texts[:2], texts[2:]):
            parts = _split_around(opened, [content for _, content in turns]) if isinstance(opened, str) else None
            if parts is not None:
                return parts, answered if isinstance(answered, str) and self._answer in answered else ""
        if isinstance(texts[0], ModelFormatError):
            raise texts[0]
        raise ModelFormatError(
            "the model's chat template does not keep the user's message verbatim, so no document can be put into it; "
            "use another file of the model"
        )

    @cached_property
    def _answer(self) -> str:
        return _placeholder("answer")


class PlainFormat:
    """The prompt of a base model, which has no chat template: the message, and the answer on the next line."""

    #: Ends an answer: a base model goes on after its line.
    end_of_turn = "\n"
    #: A second message stands in a paragraph of its own.
    next_turn = ("\n", "\n\nAnswer:\n")

    def __init__(self, *, bos_token: str = "", add_bos: bool = False) -> None:
        self._before = bos_token if add_bos else ""

    def pieces(self, user_pieces: Sequence[str]) -> tuple[str, ...]:
        """As :meth:`ChatTemplate.pieces`."""
        return (self._before, *[""] * (len(user_pieces) - 1), "\n\nAnswer:\n")

    def conversation(self, roles: Sequence[str]) -> tuple[str, ...]:
        """As :meth:`ChatTemplate.conversation`: the messages as paragraphs."""
        return (self._before, *["\n\n"] * (len(roles) - 1), "\n\nAnswer:\n")


def _variables(
    messages: Sequence[Message], enable_thinking: bool, add_generation_prompt: bool, bos_token: str, eos_token: str
) -> dict[str, object]:
    return {
        "messages": list(messages),
        "enable_thinking": enable_thinking,
        "add_generation_prompt": add_generation_prompt,
        "bos_token": bos_token,
        "eos_token": eos_token,
    }


def _split_around(text: str, contents: Sequence[str]) -> tuple[str, ...] | None:
    """``text`` without ``contents``, each of which must be in it once and in their order."""
    parts: list[str] = []
    rest = text
    for content in contents:
        part, found, rest = rest.partition(content)
        if not found or content in rest:
            return None
        parts.append(part)
    return (*parts, rest)


def _as_parts(text: str) -> list[dict[str, str]]:
    return [{"type": "text", "text": text}]


def _placeholder(piece: str) -> str:
    """A word nobody can guess in the place of ``piece``, with the white space around it that a template might trim."""
    core = piece.strip()
    if not core:
        return piece
    start = piece.index(core[0])
    return piece[:start] + "piece" + secrets.token_hex(16) + piece[start + len(core) :]


def _answer_opening(opening: str, given_opening: str) -> str:
    """Where an answer begins, thinking closed; ``given_opening`` is what stood before an answer already given."""
    more = given_opening.removeprefix(opening)
    if len(more) < len(given_opening) and more.strip():
        return given_opening
    if opening.rfind(_THINK) > opening.rfind(_END_OF_THINK):
        return opening.rstrip("\n") + "\n\n" + _END_OF_THINK + "\n\n"
    return opening
