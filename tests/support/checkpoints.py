"""Tiny random checkpoints of every family, written by transformers, with a tokenizer and a chat template."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import safetensors.torch
import torch
from tokenizers import Regex, Tokenizer
from tokenizers.models import BPE
from tokenizers.normalizers import NFC
from tokenizers.pre_tokenizers import ByteLevel, Sequence, Split

from tests.support.references import transformers_model
from tests.support.vocabularies import SAMPLES, Vocabulary, train
from thresher.engines.native.config import DeltaConfig, Family, MoeConfig, NativeConfig, every_nth_full
from thresher.models.pretokenizers import PRE_TOKENIZERS

FAMILIES: tuple[Family, ...] = ("qwen3", "qwen3_moe", "qwen3_5", "qwen3_5_moe")
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def tiny_config(family: Family, *, vocabulary_size: int = 320, tied: bool = False) -> NativeConfig:
    """Sizes that no two dimensions share, with three value heads per key head, in which order shows."""
    hybrid, mixture = family.startswith("qwen3_5"), family.endswith("_moe")
    return NativeConfig(
        family=family,
        hidden_size=96,
        layer_count=4,
        layer_kinds=every_nth_full(4, 2 if hybrid else 1),
        intermediate_size=0 if mixture else 160,
        vocabulary_size=vocabulary_size,
        rms_norm_eps=2**-20,
        norm_offset=1.0 if hybrid else 0.0,
        query_heads=6,
        kv_heads=2,
        head_dim=64,
        rotary_dim=16 if hybrid else 64,
        rope_theta=1e6,
        output_gate=hybrid,
        tied_embeddings=tied,
        delta=DeltaConfig(key_heads=2, value_heads=6, key_dim=32, value_dim=32, conv_width=4) if hybrid else None,
        moe=MoeConfig(
            experts=8,
            experts_per_token=2,
            expert_size=64,
            shared_expert_size=48 if hybrid else 0,
            normalize_top_k=True,
        )
        if mixture
        else None,
    )


_FOLDER = tempfile.TemporaryDirectory(prefix="thresher-checkpoints-")


def random_weights(config: NativeConfig) -> dict[str, torch.Tensor]:
    """By transformers' names, float32; norms and the like are not what they begin with, so that mistakes show."""
    return dict(_saved(config, 10**9)[1])


def write_checkpoint(folder: Path, config: NativeConfig, *, shard_bytes: int = 10**9) -> dict[str, torch.Tensor]:
    """A checkpoint with a tokenizer; returns the weights by transformers' names."""
    saved, weights = _saved(config, shard_bytes)
    shutil.copytree(saved, folder, dirs_exist_ok=True)
    return dict(weights)


@cache
def _saved(config: NativeConfig, shard_bytes: int) -> tuple[Path, Mapping[str, torch.Tensor]]:
    """Written once per process: transformers takes its time."""
    folder = Path(tempfile.mkdtemp(dir=_FOLDER.name))
    model = transformers_model(config)
    torch.manual_seed(1)
    weights = {
        name: value + 0.1 * torch.randn_like(value) if value.ndim == 1 else 3 * value
        for name, value in model.state_dict().items()
    }
    model.load_state_dict(weights)
    model.save_pretrained(folder, max_shard_size=shard_bytes)
    write_tokenizer(folder)
    return folder, weights


def rewrite_weights(folder: Path, weights: Mapping[str, torch.Tensor]) -> None:
    """Replace the weights of the checkpoint in ``folder``."""
    for path in folder.glob("*.safetensors*"):
        path.unlink()
    contiguous = {name: value.contiguous() for name, value in weights.items()}
    safetensors.torch.save_file(contiguous, folder / "model.safetensors")


def change_config(folder: Path, **changes: object) -> None:
    """Set keys of ``config.json``; None removes one."""
    path = folder / "config.json"
    config = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({key: value for key, value in config.items() if value is not None}))


def write_tokenizer(folder: Path, vocabulary: Vocabulary | None = None) -> Vocabulary:
    """``tokenizer.json`` as Qwen's are made, ``tokenizer_config.json`` and ``chat_template.jinja``."""
    vocabulary = vocabulary or train(SAMPLES, size=300)
    words = {text: token for token, text in enumerate(vocabulary.tokens)}
    tokenizer = Tokenizer(BPE(words, [(a, b) for a, b in (merge.split(" ") for merge in vocabulary.merges)]))
    tokenizer.normalizer = NFC()
    (expression,) = PRE_TOKENIZERS["qwen35"].expressions
    cut = Split(Regex(expression), "isolated")
    tokenizer.pre_tokenizer = Sequence([cut, ByteLevel(add_prefix_space=False, use_regex=False)])
    contents = json.loads(tokenizer.to_str())
    contents["added_tokens"] = [
        {
            "id": len(words) + place,
            "content": text,
            "special": not text.startswith(("<think", "</think")),
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
        }
        for place, text in enumerate(vocabulary.extra)
    ]
    (folder / "tokenizer.json").write_text(json.dumps(contents))
    settings = {"eos_token": "<|im_end|>", "bos_token": None, "add_bos_token": False}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    (folder / "chat_template.jinja").write_text(TEMPLATE)
    return vocabulary
