"""Models of real shapes with random weights, so that settings are not chosen on the 12 M demo model alone.

Q8_0 matrices with the demo model's vocabulary and chat template. They answer nonsense at the speed of their size.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import gguf
import numpy as np
import numpy.typing as npt

from tests.support.gguf_models import finish, writer_like
from thresher.models import Model, open_model, resolve

#: Gated DeltaNet's convolution, as in Qwen3.5.
_KERNEL = 4
_MOSTLY_Q8_0 = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """One architecture's shape. ``interval``: every so many-th layer is full attention; 1 for attention only."""

    hidden: int
    feed_forward: int
    layers: int
    heads: int
    kv_heads: int
    head_size: int
    interval: int = 1
    state_size: int = 128
    state_heads: int = 0

    @property
    def architecture(self) -> str:
        return "qwen35" if self.interval > 1 else "qwen3"


SIZES = {
    "hybrid-0.1b": Size(
        hidden=768, feed_forward=2048, layers=12, heads=8, kv_heads=2, head_size=256, interval=4, state_heads=8
    ),
    "hybrid-0.5b": Size(
        hidden=1024, feed_forward=3584, layers=24, heads=8, kv_heads=2, head_size=256, interval=4, state_heads=16
    ),
    "dense-0.1b": Size(hidden=768, feed_forward=2048, layers=16, heads=12, kv_heads=4, head_size=64),
    "dense-0.6b": Size(hidden=1024, feed_forward=3072, layers=32, heads=16, kv_heads=8, head_size=128),
    "dense-0.5b": Size(hidden=1024, feed_forward=3072, layers=28, heads=16, kv_heads=8, head_size=128),
}


def write_random_model(name: str, folder: Path) -> Path:
    """The model ``name`` of ``SIZES`` as ``folder/name.gguf``."""
    size = SIZES[name]
    reader = gguf.GGUFReader(resolve_demo())
    target = folder / f"{name}.gguf"
    writer = writer_like(
        reader, target, architecture=size.architecture, drop=("qwen35.", "general.name"), file_type=_MOSTLY_Q8_0
    )
    writer.add_name(f"random {name}")
    _add_figures(writer, size)
    random = np.random.default_rng(5)
    vocabulary = len(reader.fields["tokenizer.ggml.tokens"].contents())
    for tensor, shape in _tensors(size, vocabulary):
        if len(shape) == 1 or "conv1d" in tensor:
            writer.add_tensor(tensor, _vector(tensor, shape, random))
        else:
            values = random.standard_normal(shape, dtype=np.float32) / np.float32(shape[-1] ** 0.5)
            kind = gguf.GGMLQuantizationType.Q8_0
            writer.add_tensor(tensor, gguf.quants.quantize(values, kind), raw_dtype=kind)
    return finish(writer, target)


def open_named(name: str, folder: Path) -> Model:
    """A model reference, or one of the random models."""
    return open_model(resolve(str(write_random_model(name, folder)) if name in SIZES else name))


def resolve_demo() -> Path:
    """The shipped model's file."""
    return open_model(resolve("demo")).files.path


def _add_figures(writer: gguf.GGUFWriter, size: Size) -> None:
    writer.add_block_count(size.layers)
    writer.add_context_length(32_768)
    writer.add_embedding_length(size.hidden)
    writer.add_feed_forward_length(size.feed_forward)
    writer.add_head_count(size.heads)
    writer.add_head_count_kv(size.kv_heads)
    writer.add_key_length(size.head_size)
    writer.add_value_length(size.head_size)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_freq_base(1e6)
    if size.interval > 1:
        writer.add_rope_dimension_count(64)
        writer.add_rope_dimension_sections([11, 11, 10, 0])
        writer.add_ssm_conv_kernel(_KERNEL)
        writer.add_ssm_state_size(size.state_size)
        writer.add_ssm_group_count(size.state_heads)
        writer.add_ssm_time_step_rank(size.state_heads)
        writer.add_ssm_inner_size(size.state_heads * size.state_size)
        writer.add_full_attention_interval(size.interval)


def _tensors(size: Size, vocabulary: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield "token_embd.weight", (vocabulary, size.hidden)
    yield "output_norm.weight", (size.hidden,)
    for layer in range(size.layers):
        attention = (layer + 1) % size.interval == 0
        parts = {**(_attention(size) if attention else _recurrent(size)), **_feed_forward(size)}
        for name, shape in parts.items():
            yield f"blk.{layer}.{name}", shape


def _attention(size: Size) -> dict[str, tuple[int, ...]]:
    width, kv_width = size.heads * size.head_size, size.kv_heads * size.head_size
    gated = 2 if size.interval > 1 else 1  # Qwen3.5's queries come with a gate
    return {
        "attn_q.weight": (gated * width, size.hidden),
        "attn_k.weight": (kv_width, size.hidden),
        "attn_v.weight": (kv_width, size.hidden),
        "attn_output.weight": (size.hidden, width),
        "attn_q_norm.weight": (size.head_size,),
        "attn_k_norm.weight": (size.head_size,),
    }


def _recurrent(size: Size) -> dict[str, tuple[int, ...]]:
    inner = size.state_heads * size.state_size
    return {
        "attn_qkv.weight": (3 * inner, size.hidden),
        "attn_gate.weight": (inner, size.hidden),
        "ssm_alpha.weight": (size.state_heads, size.hidden),
        "ssm_beta.weight": (size.state_heads, size.hidden),
        "ssm_conv1d.weight": (3 * inner, _KERNEL),
        "ssm_out.weight": (size.hidden, inner),
        "ssm_a": (size.state_heads,),
        "ssm_dt.bias": (size.state_heads,),
        "ssm_norm.weight": (size.state_size,),
    }


def _feed_forward(size: Size) -> dict[str, tuple[int, ...]]:
    second = "post_attention_norm.weight" if size.interval > 1 else "ffn_norm.weight"
    return {
        "attn_norm.weight": (size.hidden,),
        second: (size.hidden,),
        "ffn_gate.weight": (size.feed_forward, size.hidden),
        "ffn_up.weight": (size.feed_forward, size.hidden),
        "ffn_down.weight": (size.hidden, size.feed_forward),
    }


def _vector(name: str, shape: tuple[int, ...], random: np.random.Generator) -> npt.NDArray[np.float32]:
    if name.endswith("ssm_a"):
        return -np.ones(shape, dtype=np.float32)
    if "conv1d" in name:
        return random.standard_normal(shape, dtype=np.float32) / np.float32(2)
    return np.ones(shape, dtype=np.float32)
