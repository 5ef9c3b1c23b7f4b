"""What a model costs by its shape alone, whatever computes it."""

from __future__ import annotations

import functools

from thresher.models.shape import ModelShape
from thresher.models.shape_weights import Weight, weights_of


def kv_bytes_per_token(shape: ModelShape, value_bytes: int = 2) -> int:
    """Keys and values of all layers: ``2 * full layers * KV heads * head dim * bytes``.

    Qwen3.5-27B in 16 bits: 2 * 16 * 4 * 256 * 2 = 65,536 (MODEL.md, "Costs": 64 KiB for all 16 layers).
    """
    return 2 * shape.full_layers * shape.kv_size * value_bytes


def state_bytes_per_layer(shape: ModelShape, conv_value_bytes: int = 4) -> int:
    """One sequence's state in one Gated DeltaNet layer: ``value heads * K * V`` in float32, and the convolution's left
    context, ``(width - 1) * channels`` (MODEL.md, "Subtleties" 1 and 3; llama.cpp keeps both in float32,
    src/llama-memory-recurrent.cpp).
    """
    delta = shape.delta
    if delta is None:
        return 0
    recurrent = 4 * delta.value_heads * delta.key_dim * delta.value_dim
    return recurrent + conv_value_bytes * (delta.conv_width - 1) * delta.conv_channels


def state_bytes_per_sequence(shape: ModelShape, conv_value_bytes: int = 4) -> int:
    """The same for all layers. Qwen3.5-27B: 48 * (3 MiB + 120 KiB) = 149.6 MiB."""
    return (shape.layers - shape.full_layers) * state_bytes_per_layer(shape, conv_value_bytes)


@functools.cache
def active_parameters(shape: ModelShape) -> int:
    """Parameters that one token is computed with: of experts those picked; the embedding's row is looked up."""
    return sum(_active(shape, weight) for weight in weights_of(shape) if weight.part != "embedding")


@functools.cache
def matmul_flops_per_token(shape: ModelShape) -> int:
    """``2 * out * in`` of every matrix that a prompt token is multiplied by (a multiplication and an addition each).

    The last layer is left out but for its keys and values (or DeltaNet's inputs), because only the rows that answers
    are read from need the rest of it, and so is the head (MODEL.md, "Costs": 48.0 GFLOP for Qwen3.5-27B).
    """
    last = shape.layers - 1
    return sum(
        2 * _active(shape, weight)
        for weight in weights_of(shape)
        if weight.is_matrix and weight.layer is not None and (weight.layer != last or _feeds_memory(weight))
    )


def core_flops_per_token(shape: ModelShape, attended_tokens: float) -> float:
    """Attention and the delta rule.

    Attention: 2 products of ``2 * query size * keys seen``, and half of a document's tokens are seen on average. Delta
    rule in its recurrent form: ``6 * value heads * K * V`` a layer (Yang et al., "Gated Delta Networks", 2024, eq. 10:
    decay, read, correct, write, read). The same formulas as in benchmarks/native/ceilings.py, whose measured shares of
    the ceiling :mod:`~thresher.planning.speed` goes by.
    """
    attention = shape.full_layers * 4 * shape.query_size * attended_tokens / 2
    delta = shape.delta
    if delta is None:
        return attention
    return attention + (shape.layers - shape.full_layers) * 6 * delta.value_heads * delta.key_dim * delta.value_dim


def traffic_bytes_per_token(shape: ModelShape, value_bytes: int) -> int:
    """The least: the residual stream, read and written once by each layer."""
    return shape.layers * 2 * shape.hidden * value_bytes


def _active(shape: ModelShape, weight: Weight) -> int:
    if weight.part != "experts" or shape.moe is None:
        return weight.elements
    return weight.elements // weight.copies * shape.moe.experts_per_token


def _feeds_memory(weight: Weight) -> bool:
    return weight.name.endswith((".k_proj", ".v_proj", ".in_proj_qkv", ".in_proj_a", ".in_proj_b"))
