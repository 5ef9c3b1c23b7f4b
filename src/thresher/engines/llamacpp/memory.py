"""How much memory a context takes, and how long a context this machine can hold. Arithmetic only.

Formulas follow llama.cpp's allocations (src/llama-kv-cache.cpp, src/llama-memory-recurrent.cpp); the working memory
is an estimate from above, with flash attention on.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from thresher.engines.llamacpp.context import F32, Shape
from thresher.models.gguf_file import GgufHeader, TensorInfo
from thresher.models.gguf_parser import Value

_KEY_TENSORS = (".attn_k.weight", ".attn_v.weight")
#: Activations alive at once, in residual streams and in outputs of the widest matrix of a layer; and copies of one
#: recurrent layer's states. Fitted from above to what llama.cpp reserves for models of 12 M to 0.6 B parameters.
_LIVE_STREAMS, _LIVE_OUTPUTS, _STATE_COPIES = 5, 3, 2.25


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelMemory:
    """What one model needs, in bytes or in elements."""

    weights_bytes: int
    kv_elements: int  # per token, keys and values of all layers
    state_bytes: int  # per sequence, of recurrent layers
    layer_state_bytes: int  # per sequence, of the largest recurrent layer
    activation_elements: int  # per token of a micro-batch
    heads: int  # of queries
    vocabulary_size: int

    def context_bytes(self, shape: Shape) -> int:
        """KV cache, recurrent state, attention mask, activations and logits of one context."""
        state = shape.sequences * self.state_bytes
        activations = 4 * self.activation_elements * shape.micro_batch
        activations += int(_STATE_COPIES * shape.sequences * self.layer_state_bytes)
        logits = 2 * 4 * shape.largest_outputs * self.vocabulary_size  # as computed, and copied out
        return shape.cells * self._bytes_per_cell(shape) + state + activations + logits

    def largest_cells(self, shape: Shape, free_bytes: int) -> int:
        """The most cells with which a context like ``shape`` fits ``free_bytes``; below 1 if none does."""
        fixed = self.context_bytes(replace(shape, cells=0))
        return (free_bytes - fixed) // self._bytes_per_cell(shape)

    def _bytes_per_cell(self, shape: Shape) -> int:
        """Keys and values, its column of the attention mask and, without flash attention, of the scores."""
        if shape.kv_type == F32:
            return 4 * self.kv_elements + 4 * shape.micro_batch * (1 + 2 * self.heads)
        return 2 * self.kv_elements + 2 * shape.micro_batch


def model_memory(headers: Sequence[GgufHeader]) -> ModelMemory:
    """The needs of the model whose shards have ``headers``, first shard first."""
    first = headers[0]
    tensors = [tensor for header in headers for tensor in header.tensors]
    architecture = first.require("general.architecture", str)
    hidden = first.require(f"{architecture}.embedding_length", int)
    states = _state_bytes(first, tensors, architecture)
    experts = first.get(f"{architecture}.expert_used_count", int, 1)
    return ModelMemory(
        weights_bytes=sum(tensor.size_bytes for tensor in tensors),
        kv_elements=_kv_elements(first, tensors, architecture),
        state_bytes=sum(states),
        layer_state_bytes=max(states, default=0),
        activation_elements=_LIVE_STREAMS * hidden + _LIVE_OUTPUTS * _widest_output(tensors, experts),
        heads=max(_numbers(first.metadata.get(f"{architecture}.attention.head_count", 1))),
        vocabulary_size=len(first.require("tokenizer.ggml.tokens", tuple)),
    )


def _kv_elements(header: GgufHeader, tensors: Sequence[TensorInfo], architecture: str) -> int:
    """The widths of the key and value projections where they are separate tensors, else heads times head size."""
    separate = sum(tensor.shape[-1] for tensor in tensors if tensor.name.endswith(_KEY_TENSORS))
    if separate:
        return separate
    heads = max(_numbers(header.metadata.get(f"{architecture}.attention.head_count", 1)))
    kv_heads = _numbers(header.metadata.get(f"{architecture}.attention.head_count_kv", heads))
    layers = header.require(f"{architecture}.block_count", int)
    size = header.require(f"{architecture}.embedding_length", int) // max(1, heads)
    key = header.get(f"{architecture}.attention.key_length", int, size)
    value = header.get(f"{architecture}.attention.value_length", int, size)
    return (sum(kv_heads) if len(kv_heads) > 1 else kv_heads[0] * layers) * (key + value)


def _widest_output(tensors: Sequence[TensorInfo], experts_per_token: int) -> int:
    """Of the matrices within layers; a token goes through so many of the experts, whose matrices have 3 dimensions."""
    inside = [tensor for tensor in tensors if tensor.name.startswith("blk.") and len(tensor.shape) > 1]
    return max((t.shape[1] * (experts_per_token if len(t.shape) > 2 else 1) for t in inside), default=0)


def _state_bytes(header: GgufHeader, tensors: Sequence[TensorInfo], architecture: str) -> list[int]:
    """Of each recurrent layer: ``inner_size`` x ``state_size`` and the convolution's left context, both float32."""
    convolutions = [tensor for tensor in tensors if tensor.name.endswith(".ssm_conv1d.weight")]
    inner = header.get(f"{architecture}.ssm.inner_size", int, 0)
    state = header.get(f"{architecture}.ssm.state_size", int, 0)
    return [4 * (inner * state + (tensor.shape[0] - 1) * math.prod(tensor.shape[1:])) for tensor in convolutions]


def _numbers(value: Value) -> list[int]:
    """A figure that some models give per layer."""
    values = value if isinstance(value, tuple) else (value,)
    return [number for number in values if isinstance(number, int)] or [0]
