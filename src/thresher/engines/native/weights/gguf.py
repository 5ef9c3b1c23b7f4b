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
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch

from thresher.engines.native.config import DeltaConfig, NativeConfig
from thresher.engines.native.config_gguf import read_gguf_config
from thresher.engines.native.weights.dequantize import DEQUANTIZERS, dequantize
from thresher.engines.native.weights.entries import Entry, Joined, Mapped, Reordered, Reshaped, Stored
from thresher.engines.native.weights.entry_source import EntrySource
from thresher.engines.native.weights.files import WeightFile
from thresher.errors import ModelFormatError
from thresher.models.ggml_types import TENSOR_TYPES
from thresher.models.gguf_file import GgufHeader, TensorInfo

#: The entry of a tensor by llama.cpp's name; None where the files do not have it.
Find = Callable[[str], Entry | None]

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

    def find(name: str) -> Entry | None:
        path, tensor = infos.get(name, (None, None))
        return None if path is None or tensor is None else _stored(files[path], tensor)

    try:
        return EntrySource(shards[0][1].name, config, _entries(config, find), list(files.values()))
    except BaseException:
        for file in files.values():
            file.close()
        raise


def _stored(file: WeightFile, tensor: TensorInfo) -> Entry:
    kind = next(kind for kind in TENSOR_TYPES.values() if kind.name == tensor.type_name)
    if kind.name not in DEQUANTIZERS:
        raise ModelFormatError(
            f"{file.path}: tensor {tensor.name!r} is stored as {kind.name}, and the native engine reads "
            f"{', '.join(DEQUANTIZERS)}; use --engine llamacpp or another quantization"
        )
    shape = tensor.shape[::-1]
    if not shape or shape[-1] % kind.block_elements:
        raise ModelFormatError(
            f"{file.path}: the rows of tensor {tensor.name!r} of shape {shape} are no multiple of the "
            f"{kind.block_elements} elements of a {kind.name} block; the file is damaged"
        )
    decode = functools.partial(_decode, kind.name)
    return Stored(file, tensor.offset, tensor.size_bytes, shape, decode)


def _decode(type_name: str, raw: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    return dequantize(raw, type_name, dtype)


def _entries(config: NativeConfig, find: Find) -> dict[str, Entry]:
    names = dict(_MODEL_NAMES)
    plain = config.norm_offset == 0.0
    below = {**_LAYER_NAMES, **_PLAIN_FAMILY_NAMES} if plain else _LAYER_NAMES
    for layer in range(config.layer_count):
        names |= {f"layers.{layer}.{ours}": f"blk.{layer}.{theirs}" for ours, theirs in below.items()}
    found = {ours: find(theirs) for ours, theirs in names.items()}
    if config.moe:
        for layer in range(config.layer_count):
            found[f"layers.{layer}.mlp.experts.gate_up_proj"] = _gate_up(find, f"blk.{layer}.ffn")
    return {name: _undone(name, entry, config) for name, entry in found.items() if entry is not None}


def _gate_up(find: Find, prefix: str) -> Entry | None:
    """Gate and up of all experts: in one tensor, or in two of [experts, size, hidden] each."""
    gate, up = find(f"{prefix}_gate_exps.weight"), find(f"{prefix}_up_exps.weight")
    if gate is None or up is None:
        return find(f"{prefix}_gate_up_exps.weight")
    if gate.shape != up.shape or len(gate.shape) != 3:
        raise ModelFormatError(
            f"the tensors {prefix}_gate_exps.weight and {prefix}_up_exps.weight have the shapes {gate.shape} and "
            f"{up.shape}, and should have one shape of three dimensions; the file is damaged"
        )
    return Joined((gate, up))


def _undone(name: str, entry: Entry, config: NativeConfig) -> Entry:
    """``entry`` as the checkpoint had it."""
    if name.endswith("norm.weight") and not name.endswith("linear_attn.norm.weight"):
        return Mapped(entry, lambda stored: stored - config.norm_offset) if config.norm_offset else entry
    if name.endswith("shared_expert_gate.weight"):
        return Reshaped(entry, (1, config.hidden_size)) if entry.shape == (config.hidden_size,) else entry
    if config.delta is None or ".linear_attn." not in name:
        return entry
    return _undone_delta(name.partition(".linear_attn.")[2], entry, config.delta)


def _undone_delta(name: str, entry: Entry, delta: DeltaConfig) -> Entry:
    heads, values, qkv = _grouped(delta)
    if name == "A_log":
        entry = Mapped(entry, functools.partial(_log_of_negative, name))
    if name in {"A_log", "dt_bias", "in_proj_a.weight", "in_proj_b.weight"}:
        return Reordered(entry, heads)
    if name == "in_proj_z.weight":
        return Reordered(entry, values)
    if name == "out_proj.weight":
        return Reordered(entry, values, columns=True)
    if name == "in_proj_qkv.weight":
        return Reordered(entry, qkv)
    if name == "conv1d.weight" and len(entry.shape) == 2:
        return Reshaped(Reordered(entry, qkv), (entry.shape[0], 1, entry.shape[1]))
    return entry


@functools.cache
def _grouped(delta: DeltaConfig) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """The checkpoint's order -> the file's, of value heads, of their values, and of queries, keys and values."""
    per_key = delta.value_heads // delta.key_heads
    heads = [(head % per_key) * delta.key_heads + head // per_key for head in range(delta.value_heads)]
    values = [head * delta.value_dim + place for head in heads for place in range(delta.value_dim)]
    before = 2 * delta.key_size
    return tuple(heads), tuple(values), (*range(before), *(before + value for value in values))


def _log_of_negative(name: str, stored: torch.Tensor) -> torch.Tensor:
    if not bool((stored < 0).all()):
        raise ModelFormatError(f"the tensor {name!r} should be negative everywhere in a GGUF file; the file is damaged")
    return (-stored).log()
