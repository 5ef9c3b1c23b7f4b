"""Small byte-level BPE vocabularies, and GGUF files around them.

Training cuts the text at line ends only. So merges run across words, and any difference in how two tokenizers cut words
shows in their tokens.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from tokenizers import Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.trainers import BpeTrainer

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED = 1, 2, 3, 4, 5
CHAT_TOKENS = {
    "<|endoftext|>": CONTROL,
    "<|im_start|>": CONTROL,
    "<|im_end|>": CONTROL,
    "<think>": USER_DEFINED,
    "</think>": USER_DEFINED,
    "<tool_call>": USER_DEFINED,
}


#: Text of many kinds and scripts, written for these tests.
SAMPLES = (
    "Don't we'll you're I'M it'S o'clock; the cat's toys aren't THE DOG'S. He'd've gone, they'll say.",
    "  \n\n\t x  \r\n\r\n  y   z   \n\n\n# Heading\n\n* item one\n* item two\n\n    code = [1, 2, 3]\n",
    "Invoice 12345: 1,234,567.89 EUR, due 2026-11-24, VAT 19%. Call +49 30 1234567. ٣٤٥ ①②③ ½ 二〇二六",
    "日本語のテキスト、漢字とかな。カタカナ！ 中文文件：合同與發票。 한국어 문장입니다. 가나다",
    "Привет, мир! Ёлка ЁЛКА. Ελληνικά ΑΒΓ αβγ. Ünïcödé ÄÖÜ äöü ßẞ. Łódź, żółć.",
    "שָׁלוֹם עֲלֵיכֶם. العقد المبرم بين الطرفين. हिन्दी में लिखा हुआ पाठ। ภาษาไทยไม่มีวรรค",
    "emoji 👩‍👩‍👧‍👦 🇩🇪 ✊🏽 and a\u0301e\u0308 marks, \u200b zero\u00a0width\u3000space\u2028line",
    "<|im_end|> </s> [INST] <|endoftext|> $100 + €200 = £300 <a href='x'>`code`|pipe~^ //// http://x.y/z?q=1#a\\b",
    "camelCaseHTTPServer XMLHttpRequest snake_case_name SCREAMING_SNAKE x\x00y\x01z\x7f ﬁ ﬂ Ⅷ ª º",
    "This agreement is made between the landlord and the tenant. The rent is due on the first day of each month.",
    "trailing   ",
    "\n",
    "\t\t\t",
    " ",
    "",
)


@dataclass(frozen=True)
class Vocabulary:
    tokens: tuple[str, ...]
    merges: tuple[str, ...]
    extra: Mapping[str, int] = field(default_factory=dict)  # further tokens and their types

    @property
    def all_tokens(self) -> list[str]:
        return [*self.tokens, *self.extra]

    @property
    def types(self) -> list[int]:
        return [NORMAL] * len(self.tokens) + list(self.extra.values())


def train(texts: Iterable[str], *, size: int = 2000, extra: Mapping[str, int] = CHAT_TOKENS) -> Vocabulary:
    """A vocabulary of ``size`` ordinary tokens, all 256 bytes among them, and the ``extra`` ones."""
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False, use_regex=False)
    trainer = BpeTrainer(
        vocab_size=size, initial_alphabet=ByteLevel.alphabet(), show_progress=False, max_token_length=16
    )
    tokenizer.train_from_iterator((line for text in texts for line in text.splitlines(keepends=True)), trainer)
    model = json.loads(tokenizer.to_str())["model"]
    by_id = sorted(model["vocab"], key=model["vocab"].__getitem__)
    return Vocabulary(tuple(by_id), tuple(" ".join(merge) for merge in model["merges"]), dict(extra))


def write_gguf(
    path: Path,
    vocabulary: Vocabulary,
    *,
    pre: str = "qwen35",
    architecture: str = "qwen35",
    chat_template: str | None = None,
    tensors: Mapping[str, Sequence[int]] | None = None,
    name: str = "tiny",
    **metadata: int | bool | str,
) -> Path:
    """A GGUF file with this vocabulary and zero weights in F32; ``metadata`` keys have ``__`` for dots."""
    writer = gguf.GGUFWriter(str(path), architecture)
    writer.add_name(name)
    writer.add_context_length(4096)
    writer.add_block_count(2)
    writer.add_embedding_length(8)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(vocabulary.all_tokens)
    writer.add_token_types(vocabulary.types)
    writer.add_token_merges(list(vocabulary.merges))
    if "<|im_end|>" in vocabulary.extra:
        writer.add_eos_token_id(vocabulary.all_tokens.index("<|im_end|>"))
    if chat_template is not None:
        writer.add_chat_template(chat_template)
    for key, value in metadata.items():
        add: Any = {bool: writer.add_bool, int: writer.add_uint32, str: writer.add_string}[type(value)]
        add(key.replace("__", "."), value)
    for tensor, shape in (tensors or {}).items():
        writer.add_tensor(tensor, np.zeros(shape, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
