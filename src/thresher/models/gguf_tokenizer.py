"""A GGUF file's vocabulary, fed to the fast tokenizer (:mod:`~thresher.models.byte_level_tokenizer`).

It serves byte-level BPE vocabularies (``tokenizer.ggml.model = gpt2``) whose pre-tokenizer is in
:mod:`~thresher.models.pretokenizers`; these are nearly all models since 2024. For other kinds
:func:`build_tokenizer` returns None, and an engine uses llama.cpp's tokenizer: slower and right.

Plain text never becomes a control token because the library is not told about them: the vocabulary it merges in
holds ordinary tokens only. That also covers tokens which converters mark as user-defined, such as ``<think>`` and
``<tool_call>``, where llama.cpp would recognise them in a document. User-defined tokens that are nothing but white
space are words and stay.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tokenizers import AddedToken, Regex, Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel, Split
from tokenizers.pre_tokenizers import Sequence as PreTokenizerSequence

from thresher.errors import ModelFormatError
from thresher.models.byte_level_tokenizer import BYTE_OF_CHARACTER, ByteLevelTokenizer
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


def build_tokenizer(header: GgufHeader) -> ByteLevelTokenizer | None:
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
    if merges is None or not vocabulary.keys() >= BYTE_OF_CHARACTER.keys():
        return None
    model = BPE(vocab=vocabulary, merges=merges, ignore_merges=pre_tokenizer.ignore_merges)
    plain = Tokenizer(model)
    cuts = [Split(Regex(expression), "isolated") for expression in pre_tokenizer.expressions]
    plain.pre_tokenizer = PreTokenizerSequence([*cuts, ByteLevel(add_prefix_space=False, use_regex=False)])
    plain.add_tokens([AddedToken(text, normalized=False) for text in spaces])
    return ByteLevelTokenizer(plain, texts, special_tokens)


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
