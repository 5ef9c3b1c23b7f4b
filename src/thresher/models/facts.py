"""What a model is, in figures: read from its own files, never from class defaults."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from thresher.errors import ModelFormatError
from thresher.models.ggml_types import FILE_TYPES
from thresher.models.gguf_file import GgufHeader
from thresher.models.pretokenizers import PRE_TOKENIZERS

#: Tensors that only a layer with a recurrent state has, by the end of their names (llama.cpp's names).
_RECURRENT_TENSORS = (".ssm_conv1d.weight", ".ssm_a", ".time_mix_key.weight", ".shortconv.conv.weight")
_ATTENTION_TENSORS = (".attn_q.weight", ".attn_qkv.weight", ".attn_q_a.weight", ".attn_k.weight")
#: Where neither file nor family says: vocabularies of these kinds begin a text with a token (llama.cpp's defaults).
_KINDS_WITH_BOS = frozenset({"llama", "bert"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """Facts of one model. Token ids and texts are None where the file names none."""

    name: str
    architecture: str
    context_tokens: int  # that it was trained for
    layers: int
    hidden: int
    vocabulary_size: int
    parameters: int
    weights_bytes: int
    quantization: str  # e.g. "Q8_0", "Q5_K_M"
    tokenizer_model: str  # e.g. "gpt2", "llama"
    tokenizer_pre: str  # e.g. "qwen35"; "default" where the file is silent
    chat_template: str | None
    bos_id: int | None
    eos_id: int | None
    eot_id: int | None
    bos_token: str | None
    eos_token: str | None
    add_bos: bool
    recurrent: bool  # has layers with a recurrent state
    hybrid: bool  # has both those and attention layers
    full_attention_interval: int | None  # every n-th layer is full attention, the others keep a state
    fingerprint: str  # 64 hex digits; see thresher.models.fingerprint


def facts_from_headers(name: str, headers: Sequence[GgufHeader], model_fingerprint: str) -> ModelFacts:
    """The facts of the model called ``name`` whose shards have these headers, first shard first.

    Raises:
        ModelFormatError: a key that every model has is missing or wrong; names it.
    """
    first = headers[0]
    tensors = [tensor for header in headers for tensor in header.tensors]
    architecture = first.require("general.architecture", str)
    tokens = first.require("tokenizer.ggml.tokens", tuple)
    tokenizer_pre = first.get("tokenizer.ggml.pre", str, "default") or "default"
    tensor_names = [tensor.name for tensor in tensors]
    recurrent = any(tensor_name.endswith(_RECURRENT_TENSORS) for tensor_name in tensor_names)
    attention = any(tensor_name.endswith(_ATTENTION_TENSORS) for tensor_name in tensor_names)
    bos_id, eos_id = _token_id(first, "bos", len(tokens)), _token_id(first, "eos", len(tokens))
    return ModelFacts(
        name=name,
        architecture=architecture,
        context_tokens=first.require(f"{architecture}.context_length", int),
        layers=first.require(f"{architecture}.block_count", int),
        hidden=first.require(f"{architecture}.embedding_length", int),
        vocabulary_size=len(tokens),
        parameters=sum(tensor.elements for tensor in tensors),
        weights_bytes=sum(tensor.size_bytes for tensor in tensors),
        quantization=stored_quantization(headers),
        tokenizer_model=first.require("tokenizer.ggml.model", str),
        tokenizer_pre=tokenizer_pre,
        chat_template=first.get("tokenizer.chat_template", str, "") or None,
        bos_id=bos_id,
        eos_id=eos_id,
        eot_id=_token_id(first, "eot", len(tokens)),
        bos_token=None if bos_id is None else tokens[bos_id],
        eos_token=None if eos_id is None else tokens[eos_id],
        add_bos=_adds_bos(first, tokenizer_pre),
        recurrent=recurrent,
        hybrid=recurrent and attention,
        full_attention_interval=first.get(f"{architecture}.full_attention_interval", int, 0) or None,
        fingerprint=model_fingerprint,
    )


def _token_id(header: GgufHeader, name: str, vocabulary_size: int) -> int | None:
    key = f"tokenizer.ggml.{name}_token_id"
    token = header.get(key, int, -1)
    if token >= vocabulary_size:
        raise ModelFormatError(f"{header.name}: {key} is {token}, and the vocabulary has {vocabulary_size} tokens")
    return token if token >= 0 else None


def _adds_bos(header: GgufHeader, tokenizer_pre: str) -> bool:
    kind = header.get("tokenizer.ggml.model", str, "")
    if kind == "gemma4":
        return True  # whatever its files say: llama.cpp corrects them
    family = PRE_TOKENIZERS.get(tokenizer_pre)
    by_default = kind in _KINDS_WITH_BOS or bool(family and family.add_bos)
    return header.get("tokenizer.ggml.add_bos_token", bool, by_default)


def stored_quantization(headers: Sequence[GgufHeader]) -> str:
    """The file's own word, else the type that most bytes of weights are stored in."""
    named = FILE_TYPES.get(headers[0].get("general.file_type", int, -1))
    if named is not None:
        return named
    bytes_of: Counter[str] = Counter()
    for header in headers:
        for tensor in header.tensors:
            bytes_of[tensor.type_name] += tensor.size_bytes
    return bytes_of.most_common(1)[0][0] if bytes_of else "none"
