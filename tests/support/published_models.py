"""Published models by their figures: ``config.json`` files, and the header of a GGUF file without its weights.

The figures are those of the models' own ``config.json`` files as public projects quote them.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gguf
import numpy as np

from thresher.models.shape import ModelShape
from thresher.models.shape_weights import Weight, weights_of

_QWEN3_5 = {
    "head_dim": 256,
    "hidden_act": "silu",
    "full_attention_interval": 4,
    "linear_conv_kernel_dim": 4,
    "linear_key_head_dim": 128,
    "linear_value_head_dim": 128,
    "linear_num_key_heads": 16,
    "max_position_embeddings": 262_144,
    "rms_norm_eps": 1e-6,
    "rope_parameters": {"rope_theta": 10_000_000, "partial_rotary_factor": 0.25, "rope_type": "default"},
    "tie_word_embeddings": False,
    "vocab_size": 248_320,
}
_MIXTURE = {**_QWEN3_5, "model_type": "qwen3_5_moe_text", "num_key_value_heads": 2}
CONFIGS: dict[str, dict[str, Any]] = {
    "Qwen3.5-27B": {
        **_QWEN3_5,
        "model_type": "qwen3_5_text",
        "hidden_size": 5120,
        "intermediate_size": 17_408,
        "linear_num_value_heads": 48,
        "num_attention_heads": 24,
        "num_hidden_layers": 64,
        "num_key_value_heads": 4,
    },
    "Qwen3.5-35B-A3B": {
        **_MIXTURE,
        "hidden_size": 2048,
        "linear_num_value_heads": 32,
        "num_attention_heads": 16,
        "num_hidden_layers": 40,
        "num_experts": 256,
        "num_experts_per_tok": 8,
        "moe_intermediate_size": 512,
        "shared_expert_intermediate_size": 512,
    },
    "Qwen3.5-397B-A17B": {
        **_MIXTURE,
        "hidden_size": 4096,
        "linear_num_value_heads": 64,
        "num_attention_heads": 32,
        "num_hidden_layers": 60,
        "num_experts": 512,
        "num_experts_per_tok": 10,
        "moe_intermediate_size": 1024,
        "shared_expert_intermediate_size": 1024,
    },
    "Qwen3-32B": {
        "model_type": "qwen3",
        "head_dim": 128,
        "hidden_act": "silu",
        "hidden_size": 5120,
        "intermediate_size": 25_600,
        "max_position_embeddings": 40_960,
        "num_attention_heads": 64,
        "num_hidden_layers": 64,
        "num_key_value_heads": 8,
        "rms_norm_eps": 1e-6,
        "rope_theta": 1_000_000,
        "tie_word_embeddings": False,
        "vocab_size": 151_936,
    },
}

_FLOAT32 = np.dtype(np.float32)
_GGUF_NAMES = {
    "embed_tokens": "token_embd.weight",
    "norm": "output_norm.weight",
    "lm_head": "output.weight",
    "input_layernorm": "attn_norm.weight",
    "post_attention_layernorm": "post_attention_norm.weight",
    "self_attn.q_proj": "attn_q.weight",
    "self_attn.k_proj": "attn_k.weight",
    "self_attn.v_proj": "attn_v.weight",
    "self_attn.o_proj": "attn_output.weight",
    "self_attn.q_norm": "attn_q_norm.weight",
    "self_attn.k_norm": "attn_k_norm.weight",
    "linear_attn.in_proj_qkv": "attn_qkv.weight",
    "linear_attn.in_proj_z": "attn_gate.weight",
    "linear_attn.in_proj_a": "ssm_alpha.weight",
    "linear_attn.in_proj_b": "ssm_beta.weight",
    "linear_attn.conv1d": "ssm_conv1d.weight",
    "linear_attn.A_log": "ssm_a",
    "linear_attn.dt_bias": "ssm_dt.bias",
    "linear_attn.norm": "ssm_norm.weight",
    "linear_attn.out_proj": "ssm_out.weight",
    "mlp.gate_proj": "ffn_gate.weight",
    "mlp.up_proj": "ffn_up.weight",
    "mlp.down_proj": "ffn_down.weight",
}


def write_config(folder: Path, name: str, **changes: object) -> Path:
    """A folder with just the ``config.json`` of a model of :data:`CONFIGS`; None in ``changes`` removes a key."""
    target = folder / name
    target.mkdir(parents=True, exist_ok=True)
    config = {**CONFIGS[name], **changes}
    (target / "config.json").write_text(json.dumps({key: v for key, v in config.items() if v is not None}))
    return target


def write_dynamic_q5(folder: Path, shape: ModelShape) -> Path:
    """``Qwen3.5-27B-UD-Q5_K_XL.gguf``: its real header, and zeros that take no disk for the weights.

    The file's types are counted as llama.cpp's loader lists them (f32 353, f16 96, q8_0 48, q4_K 16, q5_K 181,
    q6_K 157); which of the large matrices has which of the three last is not published, and chosen here.
    """
    target = folder / "Qwen3.5-27B-UD-Q5_K_XL.gguf"
    writer = gguf.GGUFWriter(target, "qwen35")
    _add_figures(writer, shape)
    seen: Counter[str] = Counter()
    for weight in weights_of(shape):
        kind = _dynamic_type(weight, seen[weight.name])
        seen[weight.name] += 1
        sizes = gguf.GGML_QUANT_SIZES[kind]
        count = weight.elements // sizes[0] * sizes[1]
        prefix = "" if weight.layer is None else f"blk.{weight.layer}."
        writer.add_tensor_info(f"{prefix}{_GGUF_NAMES[weight.name]}", weight.shape, _FLOAT32, count, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    writer.close()
    end = target.stat().st_size
    with target.open("r+b") as file:
        file.truncate(end + sum(_padded_sizes(writer)) + 64)
    return target


def _padded_sizes(writer: gguf.GGUFWriter) -> Iterator[int]:
    for tensors in writer.tensors:
        for tensor in tensors.values():
            yield -(-tensor.nbytes // 32) * 32


def _dynamic_type(weight: Weight, earlier: int) -> gguf.GGMLQuantizationType:
    kinds = gguf.GGMLQuantizationType
    if not weight.is_matrix:
        return kinds.F32
    if weight.name.endswith(("in_proj_a", "in_proj_b")):
        return kinds.F16
    if weight.name.endswith("out_proj"):
        return kinds.Q8_0
    if weight.name == "embed_tokens" or (weight.name.endswith("q_proj") and earlier < 15):
        return kinds.Q4_K
    if weight.name.endswith(("in_proj_qkv", "in_proj_z")) or (weight.name.endswith("down_proj") and earlier >= 3):
        return kinds.Q6_K
    return kinds.Q5_K


def _add_figures(writer: gguf.GGUFWriter, shape: ModelShape) -> None:
    delta = shape.delta
    assert delta is not None
    writer.add_block_count(shape.layers)
    writer.add_context_length(shape.context_tokens)
    writer.add_embedding_length(shape.hidden)
    writer.add_feed_forward_length(shape.feed_forward)
    writer.add_head_count(shape.query_heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_key_length(shape.head_dim)
    writer.add_value_length(shape.head_dim)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_freq_base(1e7)
    writer.add_rope_dimension_count(shape.rotary_dim)
    writer.add_ssm_conv_kernel(delta.conv_width)
    writer.add_ssm_state_size(delta.key_dim)
    writer.add_ssm_group_count(delta.key_heads)
    writer.add_ssm_time_step_rank(delta.value_heads)
    writer.add_ssm_inner_size(delta.value_size)
    writer.add_full_attention_interval(4)
    writer.add_file_type(17)  # "Q5_K - Medium", which llama.cpp says of this file
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen35")
    writer.add_token_list([f"t{number}" for number in range(shape.vocabulary)])
