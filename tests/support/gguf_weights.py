"""Weights by transformers' names, written as llama.cpp's converter writes them, so that llama.cpp can judge them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import gguf
import numpy as np
import torch

from tests.support.vocabularies import Vocabulary
from thresher.engines.native.config import DeltaConfig, NativeConfig

_ARCHITECTURES = {"qwen3": "qwen3", "qwen3_moe": "qwen3moe", "qwen3_5": "qwen35", "qwen3_5_moe": "qwen35moe"}


def write_gguf_model(
    path: Path, config: NativeConfig, weights: Mapping[str, torch.Tensor], vocabulary: Vocabulary, **extra: int | str
) -> Path:
    """A GGUF model in float32; ``extra`` are further keys below the architecture's name, ``__`` for dots."""
    writer = gguf.GGUFWriter(path, _ARCHITECTURES[config.family])
    _write_facts(writer, config)
    for key, setting in extra.items():
        name = f"{_ARCHITECTURES[config.family]}.{key.replace('__', '.')}"
        writer.add_string(name, setting) if isinstance(setting, str) else writer.add_uint32(name, setting)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen35")
    writer.add_token_list(vocabulary.all_tokens)
    writer.add_token_types(vocabulary.types)
    writer.add_token_merges(list(vocabulary.merges))
    writer.add_eos_token_id(vocabulary.all_tokens.index("<|im_end|>"))
    for name, value in weights.items():
        if name == "lm_head.weight" and config.tied_embeddings:
            continue
        for theirs, tensor in _converted(name.removeprefix("model."), value.float(), config).items():
            writer.add_tensor(theirs, np.ascontiguousarray(tensor.numpy()))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _write_facts(writer: gguf.GGUFWriter, config: NativeConfig) -> None:
    writer.add_block_count(config.layer_count)
    writer.add_context_length(4096)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size or 1)
    writer.add_head_count(config.query_heads)
    writer.add_head_count_kv(config.kv_heads)
    writer.add_key_length(config.head_dim)
    writer.add_value_length(config.head_dim)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_theta)
    writer.add_rope_dimension_count(config.rotary_dim)
    if config.delta:
        half = config.rotary_dim // 2
        writer.add_rope_dimension_sections([half - 2 * (half // 3), half // 3, half // 3, 0])
        writer.add_ssm_conv_kernel(config.delta.conv_width)
        writer.add_ssm_state_size(config.delta.key_dim)
        writer.add_ssm_group_count(config.delta.key_heads)
        writer.add_ssm_time_step_rank(config.delta.value_heads)
        writer.add_ssm_inner_size(config.delta.value_size)
        writer.add_full_attention_interval(config.layer_kinds.index("full") + 1)
    if config.moe:
        writer.add_expert_count(config.moe.experts)
        writer.add_expert_used_count(config.moe.experts_per_token)
        writer.add_expert_feed_forward_length(config.moe.expert_size)
        if config.moe.shared_expert_size:
            writer.add_expert_shared_feed_forward_length(config.moe.shared_expert_size)


_NAMES = {
    "embed_tokens": "token_embd", "norm": "output_norm", "lm_head": "output", "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm",
    "linear_attn.in_proj_qkv": "attn_qkv", "linear_attn.in_proj_z": "attn_gate", "linear_attn.in_proj_a": "ssm_alpha",
    "linear_attn.in_proj_b": "ssm_beta", "linear_attn.conv1d": "ssm_conv1d", "linear_attn.norm": "ssm_norm",
    "linear_attn.out_proj": "ssm_out", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down", "mlp.gate": "ffn_gate_inp", "mlp.shared_expert.gate_proj": "ffn_gate_shexp",
    "mlp.shared_expert.up_proj": "ffn_up_shexp", "mlp.shared_expert.down_proj": "ffn_down_shexp",
    "mlp.shared_expert_gate": "ffn_gate_inp_shexp",
}  # fmt: skip


def _converted(name: str, value: torch.Tensor, config: NativeConfig) -> dict[str, torch.Tensor]:
    """The tensors that ``name``, relative to the language model, becomes."""
    if not name.startswith("layers."):
        return {f"{_NAMES[name.removesuffix('.weight')]}.weight": value + _offset(name, config)}
    _, layer, below = name.split(".", 2)
    if below == "mlp.experts.gate_up_proj":
        gate, up = value.chunk(2, dim=1)
        return {f"blk.{layer}.ffn_gate_exps.weight": gate, f"blk.{layer}.ffn_up_exps.weight": up}
    if below == "mlp.experts.down_proj":
        return {f"blk.{layer}.ffn_down_exps.weight": value}
    if below == "self_attn.q_proj.bias":
        return {f"blk.{layer}.attn_q.bias": value}
    plain = {"linear_attn.A_log": "ssm_a", "linear_attn.dt_bias": "ssm_dt.bias"}
    norm = "post_attention_norm" if config.norm_offset else "ffn_norm"
    short = below.removesuffix(".weight")
    theirs = plain.get(below) or (norm if short == "post_attention_layernorm" else _NAMES[short]) + ".weight"
    if ".linear_attn." in name and config.delta:
        value = _tiled(below.removeprefix("linear_attn."), value, config.delta)
    if below == "mlp.shared_expert_gate.weight":
        value = value.squeeze(0)
    return {f"blk.{layer}.{theirs}": value + _offset(name, config)}


def _offset(name: str, config: NativeConfig) -> float:
    return config.norm_offset if name.endswith("norm.weight") and "linear_attn" not in name else 0.0


def _tiled(name: str, value: torch.Tensor, delta: DeltaConfig) -> torch.Tensor:
    """Value heads from grouped by key head to going round the key heads."""

    def around(rows: torch.Tensor) -> torch.Tensor:
        grouped = rows.reshape(delta.key_heads, delta.value_heads // delta.key_heads, -1)
        return grouped.transpose(0, 1).reshape(rows.shape)

    if name == "norm.weight":
        return value
    if name == "A_log":
        return around(-value.exp())
    if name == "out_proj.weight":
        return around(value.T.contiguous()).T
    if name in {"in_proj_qkv.weight", "conv1d.weight"}:
        value = value.squeeze(1) if name == "conv1d.weight" else value
        return torch.cat([value[: 2 * delta.key_size], around(value[2 * delta.key_size :])])
    return around(value)
