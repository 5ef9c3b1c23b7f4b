"""A group of requests -> the tokens of their prompts: what they share, and how a request's own text is cut out.

A request's last message is tokenized whole. The tokens that it has in common with its group at the start and the end
are prefix and suffix, and what is between them is its document; so the seams are token boundaries by construction, and
a message whose tokens begin or end otherwise shares nothing of it.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from thresher.answers import AnswerTrie
from thresher.errors import ModelFormatError, TaskError
from thresher.models.chat_format import ChatFormat
from thresher.models.tokenizer import Tokenizer
from thresher.tasks.batch.sharing import Group
from thresher.tasks.prompt import TaskPrompt
from thresher.tasks.question import Kind
from thresher.types import ChatRequest, Prompt, QuestionPrompt

QUESTION_NAME = "answer"
#: What a text may go on with: tokens that stay the same before all of these are taken to stay so before anything.
_NEIGHBOURS = ("", "a", "Z", " a", "7", ".", '"', "\n", " \n", "\n\n", "é", "漢", "<")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatQuestion:
    """What the requests of a group ask, as a verdict needs it."""

    label_names: tuple[str, ...]
    kind: Kind
    name: str = QUESTION_NAME
    threshold: float = 0.5
    abstain_below: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ChatPrompt:
    """The prompt of a group's requests."""

    task_prompt: TaskPrompt
    head_tokens: tuple[int, ...] = ()  # what the last messages start with, the prompt's prefix included
    tail_tokens: tuple[int, ...] = ()
    lead: str = ""  # what stands before every last message: a system message that the template has no place for

    def message(self, text: str) -> str:
        """The last message as it is to be tokenized, of a request with this ``text``."""
        return self.lead + text

    def document_tokens(self, message_tokens: Sequence[int]) -> Sequence[int] | None:
        """What is a request's own of its last message; None if the message does not share the head and the tail."""
        start, end = len(self.head_tokens), len(message_tokens) - len(self.tail_tokens)
        shares = (
            start <= end
            and tuple(message_tokens[:start]) == self.head_tokens
            and tuple(message_tokens[end:]) == self.tail_tokens
        )
        return message_tokens[start:end] if shares else None


def build_chat_prompt(request: ChatRequest, group: Group | None, tokenizer: Tokenizer, chat: ChatFormat) -> ChatPrompt:
    """The prompt of all requests of ``group``, of which ``request`` is one; without a group nothing is shared of the
    last message.

    Raises:
        ModelFormatError: the model's template does not take such a conversation.
        TaskError: two replies have the same tokens.
    """
    earlier, lead, around = _conversation(request, chat)
    head = _stable_start(lead + group.head, tokenizer) if group else ()
    tail = _stable_end(group.tail, tokenizer) if group else ()
    before: list[int] = []
    for template_text, text in zip(around, [*earlier, None], strict=False):
        before += tokenizer.encode_template(template_text)
        before += [] if text is None else tokenizer.encode(text)
    question = ChatQuestion(label_names=request.labels, kind="score" if request.is_score else "choice")
    asked = QuestionPrompt(
        name=QUESTION_NAME,
        suffix_tokens=(*tail, *tokenizer.encode_template(around[-1])),
        trie=_trie(request, tokenizer, chat),
    )
    prompt = Prompt(prefix_tokens=(*before, *head), questions=(asked,))
    return ChatPrompt(
        task_prompt=TaskPrompt(prompt=prompt, questions=(question,), asked=(1,)),
        head_tokens=head,
        tail_tokens=tail,
        lead=lead,
    )


def takes_system(chat: ChatFormat) -> bool:
    """Whether the model's template has a place for a system message."""
    try:
        chat.conversation(("system", "user"))
    except ModelFormatError:
        return False
    return True


def _conversation(request: ChatRequest, chat: ChatFormat) -> tuple[list[str], str, tuple[str, ...]]:
    """The texts of the messages before the last, what is put before the last, and the template's text around them all.

    A system message that the template has no place for stands in front of the first message of the user's.
    """
    roles = [role for role, _ in request.messages]
    texts = [text for _, text in request.messages]
    try:
        return texts[:-1], "", chat.conversation(roles)
    except ModelFormatError:
        if roles[0] != "system" or len(roles) < 2 or roles[1] != "user":
            raise
        around = chat.conversation(roles[1:])
    lead = texts[0] + "\n\n"
    if len(roles) == 2:
        return [], lead, around
    return [lead + texts[1], *texts[2:-1]], "", around


def _trie(request: ChatRequest, tokenizer: Tokenizer, chat: ChatFormat) -> AnswerTrie:
    end = tokenizer.encode_template(chat.end_of_turn)
    sequences = [[*tokens, *end] for tokens in tokenizer.encode_batch(request.replies())]
    try:
        return AnswerTrie(request.labels, sequences)
    except ValueError as error:
        raise TaskError(f"the model's tokenizer cannot tell its replies apart: {error}") from error


def _stable_start(text: str, tokenizer: Tokenizer) -> tuple[int, ...]:
    """The tokens that a text which starts with ``text`` starts with, whatever follows."""
    encoded = tokenizer.encode_batch([text + neighbour for neighbour in _NEIGHBOURS])
    return _common_tokens(encoded)


def _stable_end(text: str, tokenizer: Tokenizer) -> tuple[int, ...]:
    """The tokens that a text which ends with ``text`` ends with, whatever precedes."""
    encoded = tokenizer.encode_batch([neighbour + text for neighbour in _NEIGHBOURS])
    return _common_tokens([tokens[::-1] for tokens in encoded])[::-1]


def _common_tokens(encoded: Sequence[Sequence[int]]) -> tuple[int, ...]:
    same = itertools.takewhile(lambda column: len(set(column)) == 1, zip(*encoded, strict=False))
    return tuple(column[0] for column in same)
