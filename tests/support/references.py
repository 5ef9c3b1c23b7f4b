"""Logits of the same tokens by others: llama.cpp from a GGUF file, transformers from weights that Thresher read."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from thresher.engines.llamacpp.binding import open_binding
from thresher.engines.llamacpp.context import F32, Context, Piece, Shape
from thresher.engines.llamacpp.loaded_model import LoadedModel
from thresher.engines.native.config import NativeConfig
from thresher.engines.native.weights import WeightSource
from thresher.models import Model

os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")  # it warns that its CPU path is slow


def llama_logits(model: Model, tokens: Sequence[int], last: int = 16) -> torch.Tensor:
    """Of the ``last`` of at most 512 tokens, float32 [last, vocabulary]."""
    binding = open_binding(want_gpu=False)
    loaded = LoadedModel(binding, model.files.path, on_gpu=False)
    try:
        shape = Shape(cells=1024, sequences=last, micro_batch=512, threads=2, kv_type=F32)
        context = Context(binding, loaded.handle, loaded.vocabulary_size, shape)
        piece = Piece(0, 0, np.array(tokens, dtype=np.int32), tuple(range(len(tokens) - last, len(tokens))))
        logits = torch.from_numpy(context.decode([piece]).copy())
        context.close()
    finally:
        loaded.close()
    return logits


def transformers_logits(source: WeightSource, tokens: Sequence[int], last: int = 16) -> torch.Tensor:
    """As :func:`llama_logits`, computed by transformers with the weights of ``source``."""
    model = transformers_model(source.config)
    weights = {name: source.load(name, torch.float32) for name in source.names()}
    if source.config.tied_embeddings:
        weights["lm_head.weight"] = weights["embed_tokens.weight"]
    model.load_state_dict({name if name == "lm_head.weight" else f"model.{name}": w for name, w in weights.items()})
    with torch.no_grad():
        logits: torch.Tensor = model(torch.tensor([list(tokens)])).logits[0, -last:]
    return logits


def transformers_model(config: NativeConfig) -> Any:
    """A causal language model of transformers with random weights, float32."""
    import transformers

    classes = {
        "qwen3": (transformers.Qwen3Config, transformers.Qwen3ForCausalLM),
        "qwen3_moe": (transformers.Qwen3MoeConfig, transformers.Qwen3MoeForCausalLM),
        "qwen3_5": (transformers.Qwen3_5TextConfig, transformers.Qwen3_5ForCausalLM),
        "qwen3_5_moe": (transformers.Qwen3_5MoeTextConfig, transformers.Qwen3_5MoeForCausalLM),
    }
    config_class, model_class = classes[config.family]
    torch.manual_seed(0)
    return model_class(config_class(**_settings(config))).eval()


def _settings(config: NativeConfig) -> dict[str, Any]:
    names = {"delta": "linear_attention", "full": "full_attention"}
    settings: dict[str, Any] = {
        "vocab_size": config.vocabulary_size,
        "hidden_size": config.hidden_size,
        "intermediate_size": config.intermediate_size,
        "num_hidden_layers": config.layer_count,
        "layer_types": [names[kind] for kind in config.layer_kinds],
        "num_attention_heads": config.query_heads,
        "num_key_value_heads": config.kv_heads,
        "head_dim": config.head_dim,
        "rms_norm_eps": config.rms_norm_eps,
        "tie_word_embeddings": config.tied_embeddings,
        "max_position_embeddings": 4096,
        "rope_parameters": {"rope_type": "default", "rope_theta": config.rope_theta},
    }
    if config.output_gate:
        half = config.rotary_dim // 2
        settings["rope_parameters"] |= {
            "partial_rotary_factor": config.rotary_dim / config.head_dim,
            "mrope_section": [half - 2 * (half // 3), half // 3, half // 3],
            "mrope_interleaved": True,
        }
    if config.delta:
        settings |= {
            "linear_num_key_heads": config.delta.key_heads,
            "linear_num_value_heads": config.delta.value_heads,
            "linear_key_head_dim": config.delta.key_dim,
            "linear_value_head_dim": config.delta.value_dim,
            "linear_conv_kernel_dim": config.delta.conv_width,
        }
    if config.moe:
        settings |= {
            "num_experts": config.moe.experts,
            "num_experts_per_tok": config.moe.experts_per_token,
            "moe_intermediate_size": config.moe.expert_size,
        }
        if config.moe.shared_expert_size:
            settings["shared_expert_intermediate_size"] = config.moe.shared_expert_size
        else:
            settings["norm_topk_prob"] = config.moe.normalize_top_k
    return settings
