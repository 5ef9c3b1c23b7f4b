"""The facts of a checkpoint: from its config.json, its tokenizer and the headers of its weights."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from thresher.errors import ModelFormatError
from thresher.models.byte_level_tokenizer import ByteLevelTokenizer
from thresher.models.checkpoint import SMALL_FILES, Checkpoint
from thresher.models.config_file import ConfigSection
from thresher.models.facts import ModelFacts
from thresher.models.fingerprint import fingerprint
from thresher.models.safetensors_file import StoredTensor

#: Parts of a checkpoint that read no text: begin or go on with these names.
_OTHER_PARTS = ("visual.", "vision_tower.", "mtp.", "audio_tower.")
_NAMES_OF_TYPES = {"F8_E4M3": "FP8", "F8_E5M2": "FP8"}


def checkpoint_facts(name: str, checkpoint: Checkpoint, tokenizer: ByteLevelTokenizer) -> ModelFacts:
    """The facts of the checkpoint called ``name``.

    Raises:
        ModelFormatError: a key that every model has is missing from config.json; names it.
    """
    text = checkpoint.config.language_model()
    tensors = [tensor for tensor in checkpoint.tensors.values() if reads_text(tensor.name)]
    kinds = set(text.strings("layer_types") or ())
    recurrent = "linear_attention" in kinds or "linear_num_value_heads" in text.values
    bos, eos = checkpoint.token("bos_token"), checkpoint.token("eos_token")
    return ModelFacts(
        name=name,
        architecture=text.require("model_type", str),
        context_tokens=text.positive("max_position_embeddings"),
        layers=text.positive("num_hidden_layers"),
        hidden=text.positive("hidden_size"),
        vocabulary_size=text.positive("vocab_size"),
        parameters=sum(tensor.elements for tensor in tensors if not is_scale(tensor.name)),
        weights_bytes=sum(tensor.size_bytes for tensor in tensors),
        quantization=stored_format(checkpoint.config, tensors),
        tokenizer_model="gpt2",  # GGUF's name for byte-level BPE, the only kind that a checkpoint is read with
        tokenizer_pre="tokenizer.json",
        chat_template=checkpoint.chat_template,
        bos_id=_token_id(checkpoint, tokenizer, bos),
        eos_id=_token_id(checkpoint, tokenizer, eos),
        eot_id=None,
        bos_token=bos,
        eos_token=eos,
        add_bos=bool(bos) and checkpoint.tokenizer_config.get("add_bos_token", bool, False),
        recurrent=recurrent,
        hybrid=recurrent and (not kinds or "full_attention" in kinds),
        full_attention_interval=text.get("full_attention_interval", int, 0) or None,
        fingerprint=_fingerprint(checkpoint),
    )


def reads_text(tensor_name: str) -> bool:
    """Whether a tensor of this name belongs to the language model rather than to eyes, ears or further predictions."""
    return not any(tensor_name.startswith(part) or f".{part}" in tensor_name for part in _OTHER_PARTS)


def is_scale(name: str) -> bool:
    """Whether a tensor of this name holds the factors of a quantized one."""
    return name.endswith(("_scale_inv", "_scale"))


def stored_format(config: ConfigSection, tensors: Sequence[StoredTensor]) -> str:
    """The quantizer's own name where it is not fp8, else the type that most bytes of weights are stored in."""
    settings = config.section("quantization_config")
    if settings is not None and (method := settings.get("quant_method", str, "fp8")) != "fp8":
        return method
    bytes_of: Counter[str] = Counter()
    for tensor in tensors:
        bytes_of[tensor.type_name] += tensor.size_bytes
    most = bytes_of.most_common(1)[0][0] if bytes_of else "none"
    return _NAMES_OF_TYPES.get(most, most)


def _token_id(checkpoint: Checkpoint, tokenizer: ByteLevelTokenizer, text: str | None) -> int | None:
    if text is None:
        return None
    tokens = tokenizer.encode_template(text)
    if len(tokens) != 1:
        raise ModelFormatError(
            f"{checkpoint.tokenizer_config.name}: names the token {text!r}, which tokenizer.json does not have"
        )
    return tokens[0]


def _fingerprint(checkpoint: Checkpoint) -> str:
    """Of the small files as a whole and the weights as :mod:`~thresher.models.fingerprint` samples them."""
    small = [checkpoint.folder / name for name in SMALL_FILES if (checkpoint.folder / name).is_file()]
    parts: list[tuple[Path, int]] = [(path, path.stat().st_size) for path in small]
    return fingerprint([*parts, *((header.path, header.data_offset) for header in checkpoint.headers)])
