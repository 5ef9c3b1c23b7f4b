"""Prompts in text: the bytes of a conversation in place of tokens, and the way back to its messages.

An endpoint without a tokenizer is given one whose tokens are UTF-8 bytes, with two control tokens beside them that open
and close a message. So everything that fits, cuts and splits documents works as it does with a model's tokens, and no
document can write a control token, whatever its text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from thresher.answers import AnswerTrie, Path
from thresher.models.byte_tokenizer import ByteTokenizer

OPEN, CLOSE = "<|im_start|>", "<|im_end|>"
TOKENIZER = ByteTokenizer((OPEN, CLOSE))
_OPEN, _CLOSE = 256, 257
_USER, _ASSISTANT = f"{OPEN}user\n", f"{OPEN}assistant\n"


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation."""

    role: str
    content: str


class TurnFormat:
    """What stands in for a chat template: each message opened by its role's name and closed."""

    end_of_turn = CLOSE
    next_turn = (f"\n{_USER}", f"{CLOSE}\n{_ASSISTANT}")

    def pieces(self, user_pieces: Sequence[str]) -> tuple[str, ...]:
        """As :meth:`~thresher.models.chat_template.ChatTemplate.pieces`."""
        return (_USER, *[""] * (len(user_pieces) - 1), f"{CLOSE}\n{_ASSISTANT}")

    def conversation(self, roles: Sequence[str]) -> tuple[str, ...]:
        """As :meth:`~thresher.models.chat_template.ChatTemplate.conversation`."""
        opened = [f"{OPEN}{role}\n" for role in roles]
        return (opened[0], *(f"{CLOSE}\n{text}" for text in opened[1:]), f"{CLOSE}\n{_ASSISTANT}")


def messages_of(tokens: Sequence[int]) -> list[Message]:
    """The conversation in ``tokens``, without the answer that it opens at its end.

    Raises:
        ValueError: they are no conversation.
    """
    messages = [_message(turn) for turn in _split(tokens, _OPEN)[1:]]
    if not messages or messages[-1] != Message("assistant", ""):
        raise ValueError("a prompt in text must end where an answer begins")
    return messages[:-1]


def _message(turn: Sequence[int]) -> Message:
    role, _, content = text_of(turn[: _first(turn, _CLOSE)]).partition("\n")
    return Message(role, content)


def text_of(tokens: Sequence[int]) -> str:
    """The text of bytes; what a cut left of a character at an end is dropped."""
    return bytes(tokens).decode("utf-8", "ignore")


@dataclass(slots=True)
class Replies:
    """An answer trie as a conversation: which replies are possible at each place, and what follows them.

    ``steps`` has one token for each reply in place of those of its text; labels without children have one reply.

    Raises:
        ValueError: the answers do not end where a turn does.
    """

    trie: AnswerTrie
    steps: AnswerTrie = field(init=False)
    texts: list[str] = field(init=False, default_factory=list)  # of the steps' tokens
    _tokens: dict[Path, tuple[int, ...]] = field(init=False, default_factory=dict)  # of what leads to a place

    def __post_init__(self) -> None:
        numbers: dict[tuple[Path, str], int] = {}
        sequences: list[Path] = []
        for sequence in self.trie.sequences:
            path: Path = ()
            self._tokens[path] = ()
            for reply, end in _replies(sequence):
                number = numbers.setdefault((path, reply), len(numbers))
                if number == len(self.texts):
                    self.texts.append(reply)
                path = (*path, number)
                self._tokens[path] = sequence[:end]
            sequences.append(path)
        self.steps = AnswerTrie(self.trie.labels, sequences)

    def options(self, path: Path) -> tuple[str, ...]:
        """The replies possible at a branching of ``steps``, in the order of its tokens."""
        return tuple(self.texts[number] for number in self.steps.branchings[path].tokens)

    def tokens(self, path: Path) -> tuple[int, ...]:
        """The answer's tokens that lead to ``path``, the user's next messages among them."""
        return self._tokens[path]


def _replies(sequence: Sequence[int]) -> list[tuple[str, int]]:
    """The assistant's replies in an answer, each with the place where what follows it ends."""
    replies, start = list[tuple[str, int]](), 0
    while start < len(sequence):
        close = start + _first(sequence[start:], _CLOSE)
        text = text_of(sequence[start:close])
        opened = _opening_of_answer(sequence, close + 1)
        replies.append((text, opened))
        start = opened
    return replies


def _opening_of_answer(sequence: Sequence[int], start: int) -> int:
    """Where the assistant's next reply begins; the end where there is none."""
    if start >= len(sequence):
        return len(sequence)
    opening = TOKENIZER.encode_template(_ASSISTANT)
    for place in range(start, len(sequence) - len(opening)):
        if list(sequence[place : place + len(opening)]) == opening:
            return place + len(opening)
    raise ValueError("an answer goes on after its end without another turn")


def _first(tokens: Sequence[int], wanted: int) -> int:
    return next((place for place, token in enumerate(tokens) if token == wanted), len(tokens))


def _split(tokens: Sequence[int], separator: int) -> list[Sequence[int]]:
    parts, start = list[Sequence[int]](), 0
    for place, token in enumerate(tokens):
        if token == separator:
            parts.append(tokens[start:place])
            start = place + 1
    return [*parts, tokens[start:]]
