"""A trained checkpoint to GGUF, as llama.cpp's architecture ``qwen35``.

    python export.py CHECKPOINT... TOKENIZER OUT.gguf [--float32]

llama.cpp's conventions: norm weights hold one plus the offset, ``ssm_a`` holds ``-exp(A_log)``, and DeltaNet's value heads
go round the key heads (0, 2, 1, 3 for two groups of two) where the checkpoint keeps each group together.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import gguf
import numpy as np
import torch
from architecture import Architecture
from network import Network
from tokenizers import Tokenizer
from vocabulary import CONTROL_TOKENS, THINK_TOKENS

_QUANT = gguf.GGMLQuantizationType
_RENAMED = {
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "post_attention_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "linear_attn.in_proj_qkv": "attn_qkv",
    "linear_attn.in_proj_z": "attn_gate",
    "linear_attn.in_proj_a": "ssm_alpha",
    "linear_attn.in_proj_b": "ssm_beta",
    "linear_attn.conv1d": "ssm_conv1d",
    "linear_attn.out_proj": "ssm_out",
}


def export(network: Network, tokenizer: Tokenizer, path: Path, *, float32: bool = False) -> None:
    """Write ``path``: matrices in Q8_0 (or float32), vectors and convolutions in float32."""
    writer = gguf.GGUFWriter(path, "qwen35")
    _write_facts(writer, network.a)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32 if float32 else gguf.LlamaFileType.MOSTLY_Q8_0)
    _write_tokenizer(writer, tokenizer)
    writer.add_chat_template(Path(__file__).with_name("chat_template.jinja").read_text().strip())
    for name, values in _tensors(network):
        if float32 or values.ndim == 1 or "conv1d" in name:
            writer.add_tensor(name, values)
        else:
            writer.add_tensor(name, gguf.quants.quantize(values, _QUANT.Q8_0), raw_dtype=_QUANT.Q8_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _write_facts(writer: gguf.GGUFWriter, a: Architecture) -> None:
    writer.add_name("Thresher demo")
    writer.add_description("Small zero-shot document classifier that shows Thresher at work; see MODEL_CARD.md")
    writer.add_license("apache-2.0")
    writer.add_block_count(a.layers)
    writer.add_context_length(a.context)
    writer.add_embedding_length(a.hidden)
    writer.add_feed_forward_length(a.feed_forward)
    writer.add_head_count(a.query_heads)
    writer.add_head_count_kv(a.kv_heads)
    writer.add_key_length(a.head_dim)
    writer.add_value_length(a.head_dim)
    writer.add_layer_norm_rms_eps(a.norm_eps)
    writer.add_rope_freq_base(a.rotary_base)
    writer.add_rope_dimension_count(a.rotary_dim)
    writer.add_rope_dimension_sections(list(a.rotary_sections))
    writer.add_ssm_conv_kernel(a.conv_width)
    writer.add_ssm_state_size(a.delta_dim)
    writer.add_ssm_group_count(a.key_heads)
    writer.add_ssm_time_step_rank(a.value_heads)
    writer.add_ssm_inner_size(a.value_size)
    writer.add_full_attention_interval(a.full_attention_interval)


def _write_tokenizer(writer: gguf.GGUFWriter, tokenizer: Tokenizer) -> None:
    names = [tokenizer.id_to_token(i) for i in range(tokenizer.get_vocab_size())]
    kinds = [gguf.TokenType.NORMAL] * len(names)
    for name in CONTROL_TOKENS:
        kinds[tokenizer.token_to_id(name)] = gguf.TokenType.CONTROL
    for name in THINK_TOKENS:
        kinds[tokenizer.token_to_id(name)] = gguf.TokenType.USER_DEFINED
    merges = json.loads(tokenizer.to_str())["model"]["merges"]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen35")
    writer.add_token_list(names)
    writer.add_token_types(kinds)
    writer.add_token_merges([" ".join(pair) for pair in merges])
    writer.add_eos_token_id(tokenizer.token_to_id("<|im_end|>"))
    writer.add_pad_token_id(tokenizer.token_to_id("<|endoftext|>"))
    writer.add_add_bos_token(False)


def _tensors(network: Network) -> Iterator[tuple[str, np.ndarray]]:
    for name, value in network.state_dict().items():
        yield _gguf_name(name), _gguf_value(name, value.float(), network.a).contiguous().numpy()


def _gguf_name(name: str) -> str:
    if name == "embed_tokens.weight":
        return "token_embd.weight"
    if name == "norm.weight":
        return "output_norm.weight"
    _, layer, rest = name.split(".", 2)
    plain = {"linear_attn.A_log": "ssm_a", "linear_attn.dt_bias": "ssm_dt.bias", "linear_attn.norm": "ssm_norm.weight"}
    return f"blk.{layer}." + (plain.get(rest) or _RENAMED[rest.removesuffix(".weight")] + ".weight")


def _gguf_value(name: str, value: torch.Tensor, a: Architecture) -> torch.Tensor:
    if name.endswith("norm.weight"):
        return value + 1
    if ".linear_attn." not in name or name.endswith("linear_attn.norm"):
        return value
    if "conv1d" in name:
        value = value.squeeze(1)
    if "A_log" in name:
        value = -value.exp()
    if "out_proj" in name:
        return value[:, _around(a, a.delta_dim)]
    if "in_proj_qkv" in name or "conv1d" in name:
        fixed = 2 * a.key_size
        return torch.cat([value[:fixed], value[fixed:][_around(a, a.delta_dim)]])
    return value[_around(a, a.delta_dim if "in_proj_z" in name else 1)]


def _around(a: Architecture, size: int) -> torch.Tensor:
    """Indices that take value heads of ``size`` entries from grouped to going round the key heads."""
    grouped = torch.arange(a.value_heads * size).reshape(a.key_heads, -1, size)
    return grouped.transpose(0, 1).reshape(-1)


def load(*checkpoints: Path) -> Network:
    """The network of the files that ``train.py`` wrote."""
    network = Network(Architecture())
    weights: dict[str, torch.Tensor] = {}
    for path in checkpoints:
        weights |= torch.load(path, map_location="cpu", weights_only=True)
    network.load_state_dict({name: value.float() for name, value in weights.items()})
    return network.eval()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoints", type=Path, nargs="+")
    parser.add_argument("tokenizer", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--float32", action="store_true")
    options = parser.parse_args()
    export(
        load(*options.checkpoints), Tokenizer.from_file(str(options.tokenizer)), options.out, float32=options.float32
    )


if __name__ == "__main__":
    main()
