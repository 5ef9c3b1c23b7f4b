"""A checkpoint's ``tokenizer.json``, fed to the fast tokenizer without the tokens that plain text must never become.

The file is the ``tokenizers`` library's own, so that what the model's authors chose (normalization, the cut into words)
stays theirs. Its added tokens are control tokens for Thresher, be they marked as special or not, as ``<think>`` is not;
those that are nothing but white space are words and stay.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer

from thresher.errors import ModelFormatError
from thresher.models.byte_level_tokenizer import BYTE_OF_CHARACTER, ByteLevelTokenizer
from thresher.models.config_file import ConfigSection, read_config_file


def build_checkpoint_tokenizer(path: Path) -> ByteLevelTokenizer:
    """The tokenizer in the ``tokenizer.json`` at ``path``.

    Raises:
        ModelNotFoundError: there is no such file.
        ModelFormatError: it is damaged, or of a kind other than byte-level BPE.
    """
    file = read_config_file(path)
    vocabulary = _vocabulary(file)
    added = _added_tokens(file)
    special = {text: token for text, token in added.items() if not text.isspace()}
    spaces = {text: token for text, token in added.items() if text.isspace()}
    words = {text: token for text, token in vocabulary.items() if text not in special} | spaces
    try:
        plain = Tokenizer.from_str(json.dumps(_plain(file, words, special)))
    except Exception as error:  # the library raises this and nothing narrower
        raise ModelFormatError(f"{path}: the tokenizer cannot be used: {error}") from error
    plain.add_tokens([AddedToken(text, normalized=False) for text in spaces])
    return ByteLevelTokenizer(plain, _texts({**words, **special}), special)


def _vocabulary(file: ConfigSection) -> dict[str, int]:
    model = file.section("model")
    if (
        model is None
        or model.get("type", str, "BPE") != "BPE"
        or '"ByteLevel"' not in json.dumps(file.values.get("pre_tokenizer"))
    ):
        raise ModelFormatError(
            f"{file.name}: a tokenizer of another kind than byte-level BPE, which is the only one that Thresher reads "
            "from a checkpoint; fetch a GGUF of the model"
        )
    vocabulary = model.require("vocab", dict)
    if not vocabulary.keys() >= BYTE_OF_CHARACTER.keys():
        raise ModelFormatError(f"{file.name}: the vocabulary does not have every byte; the file is damaged")
    if any(not isinstance(token, int) or not 0 <= token < 1 << 24 for token in vocabulary.values()):
        raise ModelFormatError(f"{file.name}: the vocabulary holds a token id that is no number; the file is damaged")
    return vocabulary


def _added_tokens(file: ConfigSection) -> dict[str, int]:
    entries = file.get("added_tokens", list, [])
    try:
        return {str(entry["content"]): int(entry["id"]) for entry in entries if entry["content"]}
    except (KeyError, TypeError, ValueError) as error:
        raise ModelFormatError(f"{file.name}: added_tokens is damaged ({error!r})") from error


def _plain(file: ConfigSection, words: dict[str, int], special: dict[str, int]) -> dict[str, Any]:
    """The file's contents with a vocabulary of words only, and nothing added around a text."""
    model: dict[str, Any] = {**file.require("model", dict), "vocab": words}
    if model.get("unk_token") in special:
        model["unk_token"] = None
    nothing = dict.fromkeys(("post_processor", "truncation", "padding"))
    return {**file.values, **nothing, "added_tokens": [], "model": model}


def _texts(tokens: dict[str, int]) -> list[str]:
    """Id -> text; ids that no token has are empty."""
    texts = [""] * (max(tokens.values()) + 1)
    for text, token in tokens.items():
        texts[token] = text
    return texts
