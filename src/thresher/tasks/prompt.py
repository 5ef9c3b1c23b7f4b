"""Task + chat template + tokenizer -> the tokens of a prompt: prefix, (document), suffixes, answers.

The user's message is

    {instructions}

    Labels:
    {label}: {description}
    ...

    Document:
    {document}
    ---
    Answer with exactly one label from the list, and nothing else.

A label stands at the start of its line, so that it has the same tokens there as in the answer. The document
ends with a line break and what follows it begins with "-": the pre-tokenizers in use never join the two, so
the seams are token boundaries of the joined text too.
"""

from __future__ import annotations

import unicodedata
from typing import Protocol

from thresher.answers import AnswerTrie
from thresher.errors import ModelFormatError, TaskError
from thresher.models.tokenizer import Tokenizer
from thresher.tasks.task import Question, Task
from thresher.types import Prompt, QuestionPrompt

_ANSWER_REQUEST = "---\nAnswer with exactly one label from the list, and nothing else."


class ChatFormat(Protocol):
    """The part of a model's chat template that a prompt needs."""

    def pieces(self, user_pieces: tuple[str, ...]) -> tuple[str, ...]:
        """The template's own text before, between and after the pieces of a user's message."""

    @property
    def end_of_turn(self) -> str:
        """The text that ends the assistant's turn; one control token."""


def build_prompt(task: Task, tokenizer: Tokenizer, chat: ChatFormat) -> Prompt:
    """The shared tokens of all prompts of ``task`` for the model that ``tokenizer`` and ``chat`` belong to.

    Raises:
        TaskError: two labels have the same tokens.
        ModelFormatError: the template does not keep the message together.
    """
    question = task.questions[0]
    head, tail = _message_head(question), _ANSWER_REQUEST
    before, middle, between, after = chat.pieces((head, document_text("x"), tail))
    if middle or between:
        raise ModelFormatError("the chat template puts text inside the user's message; it cannot be used")
    prefix = [*tokenizer.encode_template(before), *tokenizer.encode(head)]
    suffix = [*tokenizer.encode(tail), *tokenizer.encode_template(after)]
    trie = _answer_trie(question, tokenizer, chat.end_of_turn)
    return Prompt(
        prefix_tokens=tuple(prefix),
        questions=(QuestionPrompt(name=question.name, suffix_tokens=tuple(suffix), trie=trie),),
    )


def document_text(text: str) -> str:
    """A document as it stands in the prompt: outer white space removed, NFC as the models were trained on."""
    return unicodedata.normalize("NFC", text).strip() + "\n"


def _message_head(question: Question) -> str:
    lines = [question.instructions, "", "Labels:"]
    lines += [f"{label.name}: {label.description}" if label.description else label.name for label in question.labels]
    if question.examples:
        lines += ["", "Examples:"]
        for example in question.examples:
            lines += ["", "Document:", document_text(example.text) + "---", f"Label: {example.label}"]
    return "\n".join([*lines, "", "Document:", ""])


def _answer_trie(question: Question, tokenizer: Tokenizer, end_of_turn: str) -> AnswerTrie:
    end = tokenizer.encode_template(end_of_turn)
    sequences = [[*tokenizer.encode(name), *end] for name in question.label_names]
    try:
        return AnswerTrie(question.label_names, sequences)
    except ValueError as error:
        raise TaskError(f"the model's tokenizer cannot tell the labels apart: {error}; rename one") from error
