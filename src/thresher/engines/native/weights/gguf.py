"""Weights of GGUF files in the checkpoint's names, order and meaning.

What llama.cpp's converter did to a checkpoint of Qwen3.5 (conversion/qwen.py, October 2026) is undone here:

- norm weights, ``ssm_norm`` excepted, hold 1 + w;
- ``ssm_a`` holds -exp(A_log);
- the convolution lost its middle dimension, and the shared expert's gate its first;
- DeltaNet's value heads go round the key heads: of ``r`` value heads per key head, head ``j`` of the file is the
  checkpoint's ``(j % key_heads) * r + j // key_heads``. That goes for the rows of z, a, b, A_log, dt_bias, for the
  value part of qkv and of the convolution, and for the columns of the output projection.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from thresher.engines.native.config import DeltaConfig, NativeConfig
from thresher.engines.native.config_gguf import read_gguf_config
from thresher.engines.native.weights.dequantize import DEQUANTIZERS, dequantize
from thresher.engines.native.weights.entries import Entry, Joined, Mapped, Reordered, Reshaped, Stored
from thresher.engines.native.weights.entry_source import EntrySource
from thresher.engines.native.weights.files import WeightFile
from thresher.errors import ModelFormatError
from thresher.models.gguf_file import GgufHeader, TensorInfo

_MODEL_NAMES: Mapping[str, str] = {
    "embed_tokens.weight": "token_embd.weight",
    "norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight",
}
#: Name below ``layers.N.`` -> name below ``blk.N.``; the same in all families but for one norm.
_LAYER_NAMES: Mapping[str, str] = {
    "input_layernorm.weight": "attn_norm.weight",
    "post_attention_layernorm.weight": "post_attention_norm.weight",
    "self_attn.q_proj.weight": "attn_q.weight",
    "self_attn.k_proj.weight": "attn_k.weight",
    "self_attn.v_proj.weight": "attn_v.weight",
    "self_attn.o_proj.weight": "attn_output.weight",
    "self_attn.q_norm.weight": "attn_q_norm.weight",
    "self_attn.k_norm.weight": "attn_k_norm.weight",
    "linear_attn.in_proj_qkv.weight": "attn_qkv.weight",
    "linear_attn.in_proj_z.weight": "attn_gate.weight",
    "linear_attn.in_proj_a.weight": "ssm_alpha.weight",
    "linear_attn.in_proj_b.weight": "ssm_beta.weight",
    "linear_attn.conv1d.weight": "ssm_conv1d.weight",
    "linear_attn.A_log": "ssm_a",
    "linear_attn.dt_bias": "ssm_dt.bias",
    "linear_attn.norm.weight": "ssm_norm.weight",
    "linear_attn.out_proj.weight": "ssm_out.weight",
    "mlp.gate_proj.weight": "ffn_gate.weight",
    "mlp.up_proj.weight": "ffn_up.weight",
    "mlp.down_proj.weight": "ffn_down.weight",
    "mlp.gate.weight": "ffn_gate_inp.weight",
    "mlp.experts.down_proj": "ffn_down_exps.weight",
    "mlp.shared_expert.gate_proj.weight": "ffn_gate_shexp.weight",
    "mlp.shared_expert.up_proj.weight": "ffn_up_shexp.weight",
    "mlp.shared_expert.down_proj.weight": "ffn_down_shexp.weight",
    "mlp.shared_expert_gate.weight": "ffn_gate_inp_shexp.weight",
}
_PLAIN_FAMILY_NAMES: Mapping[str, str] = {"post_attention_layernorm.weight": "ffn_norm.weight"}


def open_gguf(shards: Sequence[tuple[Path, GgufHeader]]) -> EntrySource:
    """The weights in these files, first shard first.

    Raises:
        ModelNotFoundError: a file cannot be opened.
        ModelFormatError: see :func:`~thresher.engines.native.weights.open_weights`.
    """
    infos = {tensor.name: (path, tensor) for path, header in shards for tensor in header.tensors}
    config = read_gguf_config(shards[0][1], {name: tensor.shape for name, (_, tensor) in infos.items()})
    files = {path: WeightFile(path) for path, _ in shards}
    try:
        stored = {name: _stored(files[path], tensor) for name, (path, tensor) in infos.items()}
        return EntrySource(shards[0][1].name, config, _entries(config, stored), list(files.values()))
    except BaseException:
        for file in files.values():
            file.close()
        raise


def _stored(file: WeightFile, tensor: TensorInfo) -> Entry:
    decode = functools.partial(_decode, file.path, tensor)
    return Stored(file, tensor.offset, tensor.size_bytes, tensor.shape[::-1], decode)


def _decode(path: Path, tensor: TensorInfo, raw: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    if tensor.type_name not in DEQUANTIZERS:
        raise ModelFormatError(
            f"{path}: tensor {tensor.name!r} is stored as {tensor.type_name}, and the native engine reads "
            f"{', '.join(DEQUANTIZERS)}; use --engine llamacpp or another quantization"
        )
    return dequantize(raw, tensor.type_name, dtype)


def _entries(config: NativeConfig, stored: Mapping[str, Entry]) -> dict[str, Entry]:
    entries = {ours: stored[theirs] for ours, theirs in _MODEL_NAMES.items() if theirs in stored}
    plain = config.norm_offset == 0.0
    names = {**_LAYER_NAMES, **_PLAIN_FAMILY_NAMES} if plain else _LAYER_NAMES
    for layer in range(config.layer_count):
        for ours, theirs in names.items():
            if (entry := stored.get(f"blk.{layer}.{theirs}")) is not None:
                entries[f"layers.{layer}.{ours}"] = entry
        experts = _gate_up(stored, layer)
        if experts is not None:
            entries[f"layers.{layer}.mlp.experts.gate_up_proj"] = experts
    return {name: _undone(name, entry, config) for name, entry in entries.items()}


def _gate_up(stored: Mapping[str, Entry], layer: int) -> Entry | None:
    """Gate and up of all experts: in one tensor, or in two of [experts, size, hidden] each."""
    fused = stored.get(f"blk.{layer}.ffn_gate_up_exps.weight")
    gate, up = (stored.get(f"blk.{layer}.ffn_{part}_exps.weight") for part in ("gate", "up"))
    if fused is not None or gate is None or up is None:
        return fused
    return Joined((gate, up))


def _undone(name: str, entry: Entry, config: NativeConfig) -> Entry:
    """``entry`` as the checkpoint had it."""
    if name.endswith("norm.weight") and not name.endswith("linear_attn.norm.weight"):
        return Mapped(entry, lambda stored: stored - config.norm_offset, entry.shape) if config.norm_offset else entry
    if name.endswith("shared_expert_gate.weight"):
        return Reshaped(entry, (1, config.hidden_size)) if entry.shape == (config.hidden_size,) else entry
    if config.delta is None or ".linear_attn." not in name:
        return entry
    return _undone_delta(name.partition(".linear_attn.")[2], entry, config.delta)


def _undone_delta(name: str, entry: Entry, delta: DeltaConfig) -> Entry:
    heads = _grouped(delta)
    values = [head * delta.value_dim + place for head in heads for place in range(delta.value_dim)]
    qkv = [*range(2 * delta.key_size), *(2 * delta.key_size + value for value in values)]
    if name == "A_log":
        entry = Mapped(entry, functools.partial(_log_of_negative, name), entry.shape)
    if name in {"A_log", "dt_bias", "in_proj_a.weight", "in_proj_b.weight"}:
        return Reordered(entry, tuple(heads))
    if name == "in_proj_z.weight":
        return Reordered(entry, tuple(values))
    if name == "out_proj.weight":
        return Reordered(entry, tuple(values), columns=True)
    if name == "in_proj_qkv.weight":
        return Reordered(entry, tuple(qkv))
    if name == "conv1d.weight" and len(entry.shape) == 2:
        return Reshaped(Reordered(entry, tuple(qkv)), (entry.shape[0], 1, entry.shape[1]))
    return entry


def _grouped(delta: DeltaConfig) -> list[int]:
    """Checkpoint's value head ``i`` -> its place in the file."""
    per_key = delta.value_heads // delta.key_heads
    return [(head % per_key) * delta.key_heads + head // per_key for head in range(delta.value_heads)]


def _log_of_negative(name: str, stored: torch.Tensor) -> torch.Tensor:
    if not bool((stored < 0).all()):
        raise ModelFormatError(f"the tensor {name!r} should be negative everywhere in a GGUF file; the file is damaged")
    return (-stored).log()
