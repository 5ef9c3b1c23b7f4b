"""Small GGUF models made at test time: float32 copies, and a random one with attention layers only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf
import numpy as np
import numpy.typing as npt

_FILE_TYPE = "general.file_type"
_ALL_F32 = 0


def write_float32_copy(source: Path, target: Path) -> Path:
    """The same model with every tensor dequantized."""
    reader = gguf.GGUFReader(source)
    writer = writer_like(reader, target, architecture=_architecture(reader), drop=())
    for tensor in reader.tensors:
        values = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        writer.add_tensor(tensor.name, np.ascontiguousarray(values, dtype=np.float32))
    return finish(writer, target)


def write_with_architecture(source: Path, target: Path, architecture: str) -> Path:
    """The same file under another architecture's name."""
    reader = gguf.GGUFReader(source)
    writer = writer_like(reader, target, architecture=architecture, drop=())
    old = _architecture(reader)
    for name, field in reader.fields.items():
        if name.startswith(f"{old}."):
            _add(writer, name.replace(old, architecture, 1), field)
    for tensor in reader.tensors:
        writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
    return finish(writer, target)


def write_plain_attention_model(
    vocabulary_from: Path, target: Path, *, seed: int = 7, nan_token: int | None = None, without: str = ""
) -> Path:
    """A random two-layer ``qwen3`` model, float32, with the vocabulary and the chat template of another model.

    ``nan_token`` is embedded as NaN; the tensor ``without`` is left out.
    """
    reader = gguf.GGUFReader(vocabulary_from)
    old = _architecture(reader)
    writer = writer_like(reader, target, architecture="qwen3", drop=(f"{old}.",))
    hidden, feed_forward, heads, kv_heads, head_size, layers = 64, 128, 4, 2, 16, 2
    writer.add_block_count(layers)
    writer.add_context_length(4096)
    writer.add_embedding_length(hidden)
    writer.add_feed_forward_length(feed_forward)
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv_heads)
    writer.add_key_length(head_size)
    writer.add_value_length(head_size)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_freq_base(10_000.0)
    random = np.random.default_rng(seed)

    def weights(rows: int, columns: int) -> npt.NDArray[np.float32]:
        values = random.standard_normal((rows, columns), dtype=np.float32)
        return values / np.float32(columns**0.5)

    def ones(size: int) -> npt.NDArray[np.float32]:
        return np.ones(size, dtype=np.float32)

    vocabulary = len(reader.fields["tokenizer.ggml.tokens"].contents())
    embedding = weights(vocabulary, hidden)
    if nan_token is not None:
        embedding[nan_token] = np.nan
    tensors = {
        "token_embd.weight": embedding,
        "output.weight": 2 * weights(vocabulary, hidden),
        "output_norm.weight": ones(hidden),
    }
    for layer in range(layers):
        shapes = {
            "attn_q": (heads * head_size, hidden),
            "attn_k": (kv_heads * head_size, hidden),
            "attn_v": (kv_heads * head_size, hidden),
            "attn_output": (hidden, heads * head_size),
            "ffn_gate": (feed_forward, hidden),
            "ffn_up": (feed_forward, hidden),
            "ffn_down": (hidden, feed_forward),
        }
        for name, shape in shapes.items():
            tensors[f"blk.{layer}.{name}.weight"] = weights(*shape)
        for name, size in (
            ("attn_norm", hidden),
            ("ffn_norm", hidden),
            ("attn_q_norm", head_size),
            ("attn_k_norm", head_size),
        ):
            tensors[f"blk.{layer}.{name}.weight"] = ones(size)
    for name, values in tensors.items():
        if name != without:
            writer.add_tensor(name, values)
    return finish(writer, target)


def _architecture(reader: gguf.GGUFReader) -> str:
    return str(reader.fields["general.architecture"].contents())


def writer_like(
    reader: gguf.GGUFReader, target: Path, *, architecture: str, drop: tuple[str, ...], file_type: int = _ALL_F32
) -> gguf.GGUFWriter:
    writer = gguf.GGUFWriter(target, architecture)
    writer.add_file_type(file_type)
    skipped = ("GGUF.", "general.architecture", _FILE_TYPE, *drop)
    for name, field in reader.fields.items():
        if not name.startswith(skipped):
            _add(writer, name, field)
    return writer


def _add(writer: gguf.GGUFWriter, name: str, field: Any) -> None:
    inner = field.types[-1] if len(field.types) > 1 else None
    writer.add_key_value(name, field.contents(), field.types[0], inner)


def finish(writer: gguf.GGUFWriter, target: Path) -> Path:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return target
