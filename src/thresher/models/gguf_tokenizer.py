"""The fast tokenizer: the ``tokenizers`` library (Rust), fed with a GGUF file's own vocabulary.

It serves byte-level BPE vocabularies (``tokenizer.ggml.model = gpt2``) whose pre-tokenizer is in
:mod:`~thresher.models.pretokenizers`; these are nearly all models since 2024. For other kinds
:func:`build_tokenizer` returns None, and an engine uses llama.cpp's tokenizer: slower and right.

Plain text never becomes a control token because the library is not told about them: the vocabulary it merges in
holds ordinary tokens only. That also covers tokens which converters mark as user-defined, such as ``<think>`` and
``<tool_call>``, where llama.cpp would recognise them in a document. User-defined tokens that are nothing but white
space are words and stay.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from tokenizers import AddedToken, Regex, Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel, Split
from tokenizers.pre_tokenizers import Sequence as PreTokenizerSequence

from thresher.errors import ModelFormatError
from thresher.models.gguf_file import GgufHeader
from thresher.models.pretokenizers import PRE_TOKENIZERS, PreTokenizer

_NORMAL, _UNKNOWN, _CONTROL, _USER_DEFINED = 1, 2, 3, 4

#: Texts that llama.cpp takes for control tokens whatever type the file gives them (src/llama-vocab.cpp).
_CONTROL_TEXTS = frozenset(
    {
        "<|eot_id|>", "<|im_end|>", "<|end|>", "<|return|>", "<|call|>", "<|flush|>",
        "<|calls|>", "<end_of_turn>", "<|endoftext|>", "<|eom_id|>", "<EOT>", "_<EOT>",
        "[EOT]", "[EOS]", "<|end_of_text|>", "<end_of_utterance>", "<eos>", "<turn|>",
        "<|tool_response>", "<｜end▁of▁sentence｜>", "[e~[", "<|channel|>", "<|message|>", "<|start|>",
        "<|constrain|>", "<|fim_prefix|>", "<fim-prefix>", "<fim_prefix>", "<｜fim▁begin｜>", "<PRE>",
        "<|code_prefix|>", "<|prefix|>", "<|fim_suffix|>", "<fim-suffix>", "<fim_suffix>", "<｜fim▁hole｜>",
        "<SUF>", "<|code_suffix|>", "<|suffix|>", "<|fim_middle|>", "<fim-middle>", "<fim_middle>",
        "<｜fim▁end｜>", "<MID>", "<|code_middle|>", "<|middle|>", "<|fim_pad|>", "<fim-pad>",
        "<fim_pad>", "<PAD>", "[PAD]", "<|fim_repo|>", "<|repo_name|>", "<fim-repo>",
        "<REPO>", "<reponame>", "<|file_sep|>",
    }
)  # fmt: skip


class GgufTokenizer:
    """A :class:`~thresher.models.tokenizer.Tokenizer` over a GGUF file's vocabulary. Safe to share between threads."""

    def __init__(self, plain: Tokenizer, texts: Sequence[str], special_tokens: Mapping[str, int]) -> None:
        """``plain`` merges ordinary tokens only; ``texts[i]`` is token i as the file writes it."""
        self._plain = plain
        self._texts = texts
        #: Text -> id of control, unknown and user-defined tokens: what only a template can say.
        self.special_tokens = special_tokens
        self._special_ids = frozenset(special_tokens.values())
        self._longest_first = sorted(special_tokens, key=lambda text: -len(text.encode("utf-8", "surrogatepass")))

    @property
    def vocabulary_size(self) -> int:
        """Tokens in the vocabulary, control tokens and unused ones included."""
        return len(self._texts)

    def encode(self, text: str) -> list[int]:
        """Tokens of ``text`` as plain text."""
        return self.encode_batch([text])[0]

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Tokens of each text, on all cores, without the interpreter's lock.

        A lone surrogate, which no encoding of a file can hold, is read as U+FFFD.
        """
        try:
            found = self._plain.encode_batch_fast(list(texts), add_special_tokens=False)
        except (TypeError, UnicodeEncodeError):
            well_formed = [text.encode("utf-16", "surrogatepass").decode("utf-16", "replace") for text in texts]
            found = self._plain.encode_batch_fast(well_formed, add_special_tokens=False)
        return [encoding.ids for encoding in found]

    def encode_template(self, text: str) -> list[int]:
        """Tokens of a template's text; a longer control token is looked for before a shorter one, as llama.cpp does."""
        parts: list[str | int] = [text]
        for special in self._longest_first:
            if special in text:
                parts = [piece for part in parts for piece in self._cut(part, special)]
        tokens: list[int] = []
        for part in parts:
            tokens.extend([part] if isinstance(part, int) else self.encode(part))
        return tokens

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of ``tokens``, control tokens by name; bytes that are no UTF-8 become U+FFFD."""
        return b"".join(map(self._token_bytes, tokens)).decode("utf-8", "replace")

    def is_special(self, token: int) -> bool:
        """Whether ``token`` is one that plain text never becomes."""
        return token in self._special_ids

    def _cut(self, part: str | int, special: str) -> Iterable[str | int]:
        if isinstance(part, int):
            yield part
            return
        first, *rest = part.split(special)
        if first:
            yield first
        for text in rest:
            yield self.special_tokens[special]
            if text:
                yield text

    def _token_bytes(self, token: int) -> bytes:
        text = self._texts[token]
        if token not in self._special_ids:
            try:
                return bytes(map(_BYTE_OF_CHARACTER.__getitem__, text))
            except KeyError:
                pass  # a white-space token is written as it is
        return text.encode("utf-8", "surrogateescape")


def build_tokenizer(header: GgufHeader) -> GgufTokenizer | None:
    """The tokenizer of the model with this header, or None when its vocabulary is of a kind not served here.

    Raises:
        ModelFormatError: the vocabulary is missing, or two of its tokens are the same.
    """
    pre_tokenizer = _pre_tokenizer(header)
    if pre_tokenizer is None:
        return None
    texts = _strings(header, "tokenizer.ggml.tokens")
    special_tokens, spaces = _special_tokens(header, texts)
    special_ids = set(special_tokens.values())
    vocabulary = {text: token for token, text in enumerate(texts) if token not in special_ids}
    if len(vocabulary) + len(special_ids) != len(texts):
        raise ModelFormatError(f"{header.name}: the vocabulary holds a token twice; the file is damaged")
    merges = _merges(header, vocabulary, special_tokens)
    if merges is None or not vocabulary.keys() >= _BYTE_OF_CHARACTER.keys():
        return None
    model = BPE(vocab=vocabulary, merges=merges, ignore_merges=pre_tokenizer.ignore_merges)
    plain = Tokenizer(model)
    cuts = [Split(Regex(expression), "isolated") for expression in pre_tokenizer.expressions]
    plain.pre_tokenizer = PreTokenizerSequence([*cuts, ByteLevel(add_prefix_space=False, use_regex=False)])
    plain.add_tokens([AddedToken(text, normalized=False) for text in spaces])
    return GgufTokenizer(plain, texts, special_tokens)


def special_texts(header: GgufHeader) -> frozenset[str]:
    """The texts of the control, unknown and user-defined tokens of any kind of vocabulary."""
    return frozenset(_special_tokens(header, _strings(header, "tokenizer.ggml.tokens"))[0])


def _pre_tokenizer(header: GgufHeader) -> PreTokenizer | None:
    if header.require("tokenizer.ggml.model", str) != "gpt2":
        return None
    if "phi-3" in (name := header.get("general.name", str, "").lower()) or "phi3" in name:
        return None  # llama.cpp strips the white space after this family's control tokens
    return PRE_TOKENIZERS.get(header.get("tokenizer.ggml.pre", str, "default") or "default")


def _strings(header: GgufHeader, key: str) -> tuple[str, ...]:
    values = header.require(key, tuple)
    if not values or not isinstance(values[0], str):
        raise ModelFormatError(f"{header.name}: {key} should be a list of texts and is not; the file is damaged")
    return values


def _special_tokens(header: GgufHeader, texts: Sequence[str]) -> tuple[dict[str, int], list[str]]:
    """Text -> id of what is not ordinary text, and the user-defined tokens that are white space."""
    types = header.get("tokenizer.ggml.token_type", tuple, ()) or (_NORMAL,) * len(texts)
    if len(types) < len(texts):
        raise ModelFormatError(f"{header.name}: {len(texts)} tokens and only {len(types)} token types; damaged")
    special: dict[str, int] = {}
    spaces: list[str] = []
    for token, (text, kind) in enumerate(zip(texts, types, strict=False)):
        if kind == _USER_DEFINED and text.isspace():
            spaces.append(text)
        elif kind in (_CONTROL, _USER_DEFINED, _UNKNOWN) or text in _CONTROL_TEXTS:
            special[text] = token
    return special, spaces


def _merges(
    header: GgufHeader, vocabulary: Mapping[str, int], special_tokens: Mapping[str, int]
) -> list[tuple[str, str]] | None:
    """The merges among ordinary tokens by rank; None when one leads out of the vocabulary, as llama.cpp allows."""
    merges: dict[tuple[str, str], None] = {}
    for merge in _strings(header, "tokenizer.ggml.merges"):
        left, _, right = merge.partition(" ")
        if left + right in vocabulary:
            if left in vocabulary and right in vocabulary:
                merges[left, right] = None
        elif left + right not in special_tokens:
            return None
    return list(merges)


def _byte_alphabet() -> dict[str, int]:
    """GPT-2's printable character for each byte: itself where printable, else the next free one from U+0100."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(0x100 + i): byte for i, byte in enumerate(others)}


_BYTE_OF_CHARACTER = _byte_alphabet()
