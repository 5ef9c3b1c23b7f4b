"""Text to token ids, exactly as the model's own tokenizer does it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

#: Texts on which tokenizers come apart: scripts, digits, white space, contractions, marks, emoji, code.
PROBES = (
    "The quick brown fox doesn't jump; it WON'T. We've 3,141,592 reasons (and 27°C)!",
    "  leading, trailing and\tinner   spaces \r\n\r\n  \n new paragraph\n",
    "Größe, façade, naïve, Ångström, İstanbul, ﬁnance, e\u0301te\u0301",
    "Быстрая лисица перепрыгнула через 12 345 собак — «ёлка».",
    "快速的棕色狐狸跳过了懒狗。価格は１２３４円です。한국어 문장입니다.",
    "الثعلب البني السريع ١٢٣ يقفز، नमस्ते दुनिया १२३ क्षत्रिय, สวัสดีชาวโลก",
    "def f(x):\n    return {'a': [x**2, 0x1F], \"b\": x != -1}  # comment\n\t\tpass;;",
    "👩‍👩‍👧‍👦 🇩🇪 ☕️ \u200b\ufeff\u00a0x\u2028y",
    'https://example.org/a?b=c&d=%20 <p class="x">$1.99</p> user@example.com ####----====',
    "I'll he'd 'tis THEY'RE rock'n'roll 1st 2nd 100km 3.5e-10 a1b2c3 __init__ CamelCaseWord",
)


class Tokenizer(Protocol):
    """Turns text into the model's token ids.

    ``encode`` and ``encode_batch`` treat their input as plain text: a control token's name in it becomes
    ordinary tokens, never the control token. ``encode_template`` is for text that comes from the model's
    own chat template, where control tokens mean themselves. None of them adds tokens of its own.
    """

    @property
    def vocabulary_size(self) -> int:
        """Tokens in the vocabulary, control tokens and unused ones included."""

    def encode(self, text: str) -> list[int]:
        """Tokens of ``text`` as plain text."""

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """``[encode(text) for text in texts]``, faster."""

    def encode_template(self, text: str) -> list[int]:
        """Tokens of a template's text, control tokens among them."""

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of ``tokens``."""
