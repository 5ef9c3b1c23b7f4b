"""A model opened for use: one reading of its files' headers serves its facts, its tokenizer and its chat template."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from thresher.models.byte_level_tokenizer import ByteLevelTokenizer
from thresher.models.chat_template import ChatTemplate, PlainFormat
from thresher.models.checkpoint import TOKENIZER, Checkpoint, open_checkpoint
from thresher.models.checkpoint_facts import checkpoint_facts
from thresher.models.checkpoint_tokenizer import build_checkpoint_tokenizer
from thresher.models.facts import ModelFacts, facts_from_headers
from thresher.models.files import ModelFiles
from thresher.models.fingerprint import fingerprint
from thresher.models.gguf_file import GgufHeader, read_header
from thresher.models.gguf_tokenizer import build_tokenizer, special_texts


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Model:
    """All that is known of a model without loading its weights."""

    files: ModelFiles
    headers: tuple[GgufHeader, ...]  # of the GGUF shards; empty for a checkpoint
    checkpoint: Checkpoint | None  # None for GGUF
    facts: ModelFacts
    tokenizer: ByteLevelTokenizer | None  # None: only llama.cpp can read this kind of vocabulary
    chat: ChatTemplate | PlainFormat

    @property
    def notices(self) -> tuple[str, ...]:
        """What a user should know about this model before trusting its labels."""
        if isinstance(self.chat, PlainFormat):
            return (
                f"{self.facts.name} has no chat template: it is used as a base model with a plain prompt, "
                "and its labels may be poor; prefer a model trained for chat or instructions",
            )
        return ()


def open_model(files: ModelFiles) -> Model:
    """Read everything but the weights.

    Raises:
        ModelNotFoundError: a file cannot be opened.
        ModelFormatError: a file is damaged or lacks what every model has; the message names it.
    """
    return _open_checkpoint(files) if files.is_checkpoint else _open_gguf(files)


def load_facts(files: ModelFiles) -> ModelFacts:
    """``open_model(files).facts``, for GGUF without building the tokenizer."""
    return _open_checkpoint(files).facts if files.is_checkpoint else _read_gguf(files)[1]


def _read_gguf(files: ModelFiles) -> tuple[tuple[GgufHeader, ...], ModelFacts]:
    headers = tuple(read_header(path) for path in files.shards)
    sampled = fingerprint([(path, header.data_offset) for path, header in zip(files.shards, headers, strict=True)])
    return headers, facts_from_headers(files.name, headers, sampled)


def _open_gguf(files: ModelFiles) -> Model:
    headers, facts = _read_gguf(files)
    tokenizer = build_tokenizer(headers[0])
    special = special_texts(headers[0]) if tokenizer is None else tokenizer.special_tokens
    return Model(
        files=files, headers=headers, checkpoint=None, facts=facts, tokenizer=tokenizer, chat=_chat(facts, special)
    )


def _open_checkpoint(files: ModelFiles) -> Model:
    checkpoint = open_checkpoint(files.path, files.shards)
    tokenizer = build_checkpoint_tokenizer(files.path / TOKENIZER)
    facts = checkpoint_facts(files.name, checkpoint, tokenizer)
    return Model(
        files=files,
        headers=(),
        checkpoint=checkpoint,
        facts=facts,
        tokenizer=tokenizer,
        chat=_chat(facts, tokenizer.special_tokens),
    )


def _chat(facts: ModelFacts, special_tokens: Iterable[str]) -> ChatTemplate | PlainFormat:
    if facts.chat_template is None:
        return PlainFormat(bos_token=facts.bos_token or "", add_bos=facts.add_bos)
    return ChatTemplate(
        facts.chat_template,
        bos_token=facts.bos_token or "",
        eos_token=facts.eos_token or "",
        special_tokens=special_tokens,
        add_bos=facts.add_bos,
    )
