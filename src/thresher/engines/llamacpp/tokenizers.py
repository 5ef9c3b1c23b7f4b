"""Which tokenizer an open model gets: the fast one if it agrees with llama.cpp's, else llama.cpp's own."""

from __future__ import annotations

import logging

from thresher.engines.llamacpp.vocabulary import LlamaTokenizer
from thresher.models.tokenizer import Tokenizer

logger = logging.getLogger(__name__)

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


def choose_tokenizer(fast: Tokenizer | None, own: LlamaTokenizer, model_name: str) -> Tokenizer:
    """``fast`` if there is one and both give the same tokens for every probe; else ``own``, which is slower."""
    if fast is None:
        logger.info("%s: this vocabulary is read by llama.cpp's own tokenizer, which is slower", model_name)
        return own
    for probe in PROBES:
        if fast.encode(probe) != own.encode(probe):
            logger.warning(
                "%s: the fast tokenizer disagrees with llama.cpp on %r; using llama.cpp's, which is slower",
                model_name,
                probe[:30],
            )
            return own
    return fast
