"""A model opened for use: one reading of its header serves its facts, its tokenizer and its chat template."""

from __future__ import annotations

from dataclasses import dataclass

from thresher.models.chat_template import ChatTemplate, PlainFormat
from thresher.models.facts import ModelFacts, facts_from_headers
from thresher.models.fingerprint import fingerprint
from thresher.models.gguf_file import GgufHeader, read_header
from thresher.models.gguf_tokenizer import GgufTokenizer, build_tokenizer, special_texts
from thresher.models.reference import ModelFiles


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Model:
    """All that is known of a model without loading its weights."""

    files: ModelFiles
    header: GgufHeader  # of the first shard
    facts: ModelFacts
    tokenizer: GgufTokenizer | None  # None: only llama.cpp can read this kind of vocabulary
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
    headers = [read_header(path) for path in files.shards]
    sampled = fingerprint([(path, header.data_offset) for path, header in zip(files.shards, headers, strict=True)])
    facts = facts_from_headers(files.name, headers, sampled)
    tokenizer = build_tokenizer(headers[0])
    return Model(
        files=files, header=headers[0], facts=facts, tokenizer=tokenizer, chat=_chat(facts, headers[0], tokenizer)
    )


def _chat(facts: ModelFacts, header: GgufHeader, tokenizer: GgufTokenizer | None) -> ChatTemplate | PlainFormat:
    if facts.chat_template is None:
        return PlainFormat(bos_token=facts.bos_token or "", add_bos=facts.add_bos)
    return ChatTemplate(
        facts.chat_template,
        bos_token=facts.bos_token or "",
        eos_token=facts.eos_token or "",
        special_tokens=special_texts(header) if tokenizer is None else tokenizer.special_tokens,
        add_bos=facts.add_bos,
    )
