"""How many tokens the native engine reads at once, and what it sets aside for them: the model of its own sizing.

The same as engines/native/sizing.py chooses, without torch. A test runs both over models, precisions and memories and
compares what they choose, so the two cannot drift apart.
"""

from __future__ import annotations

from dataclasses import dataclass

from thresher.models.shape import ModelShape
from thresher.planning.costs import state_bytes_per_layer
from thresher.planning.counting import TYPICAL_DOCUMENT_TOKENS, TYPICAL_PREFIX_TOKENS
from thresher.planning.formats import activation_bytes
from thresher.planning.setting import Setting

_CPU_STEP_TOKENS, _GPU_STEP_TOKENS = 1024, 8192
_LARGE_GPU_STEP_TOKENS = (32_768, 16_384)
_LARGE_STEP_SHARE, _LARGE_EXPERTS_STEP_SHARE = 1 / 8, 1 / 2
_RESIDUAL_SHARE = 0.25
_KEYS_PER_QUERY, _FEW_KEYS = 4, 8192
_CPU_PACK_TOKENS, _GPU_PACK_TOKENS, _STREAMED_PACK_TOKENS, _PIPELINED_PACK_TOKENS = 8192, 65_536, 262_144, 16_384
_STATE_SHARE = 1 / 8
_MOST_SPANS, _LEAST_SPANS = 1024, 8
_STATE_COPIES = 3
_DELTA_TEMPORARY_BYTES = 1 << 29
_DELTA_BLOCK = 1 << 17
_PREFIX_TOKENS = 4096
_RESERVE_SHARE = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class NativeSizes:
    """What the engine sets aside beside its weights, and what that leaves room for."""

    step_tokens: int
    activation_bytes: int  # of a step
    set_aside_bytes: int  # for states and the delta rule, whatever the documents
    state_bytes: int  # what of that documents of this length take
    row_bytes: int
    tokens_that_fit: int
    pack_tokens: int


def row_bytes(shape: ModelShape, value_bytes: int, packs_in_flight: int = 1) -> int:
    """A token of a pack: its residual stream, keys and values of the one layer at work, its RoPE tables (float32).

    Qwen3.5-27B in 16 bits: 10 + 4 KiB + 256 bytes (MODEL.md, "Costs").
    """
    keys_values = 2 * shape.kv_size if shape.full_layers else 0
    return value_bytes * (packs_in_flight * shape.hidden + keys_values) + 4 * shape.rotary_dim


def step_row_bytes(shape: ModelShape, value_bytes: int) -> int:
    """Activations of one token of a step at the widest moment of a layer, from above: four residual streams, and the
    widest of the feed-forward's three streams, the rows that its experts read and write, attention's queries, gates
    and outputs, DeltaNet's inputs and outputs.
    """
    moe = shape.moe
    width = 3 * shape.feed_forward
    if moe is not None:
        rows = moe.experts_per_token * (shape.hidden + 3 * moe.expert_size)
        width = max(width, rows + 3 * moe.shared_expert_size)
    mixer = [value_bytes * 3 * shape.query_size + 4 * 3 * shape.query_size]
    if shape.delta is not None:
        delta = shape.delta
        mixer.append(value_bytes * 3 * (delta.conv_channels + delta.value_size) + 4 * 2 * delta.key_size)
    return 4 * value_bytes * shape.hidden + max(value_bytes * width, *mixer)


def native_sizes(
    shape: ModelShape, setting: Setting, *, free_bytes: int, on_gpu: bool, streams: bool, packs_in_flight: int
) -> NativeSizes:
    """What the engine would choose with ``free_bytes`` left beside the weights; a tenth of it is left alone."""
    value_bytes = activation_bytes(setting.precision)
    usable = int(free_bytes * (1 - _RESERVE_SHARE))
    state = state_bytes_per_layer(shape)
    each = step_row_bytes(shape, value_bytes)
    step = _step_tokens(each, usable, on_gpu=on_gpu, experts=shape.moe is not None)
    spans = _spans(usable, _STATE_COPIES * state)
    set_aside = _STATE_COPIES * spans * state + (_DELTA_TEMPORARY_BYTES if state else 0)
    prefix = _prefix_bytes(shape, value_bytes, _PREFIX_TOKENS)
    per_row = row_bytes(shape, value_bytes, packs_in_flight)
    activations = step * each + (_joined_keys_bytes(shape, value_bytes, step) if on_gpu else 0)
    fits = max(0, usable - activations - set_aside - prefix) // per_row
    wished = _STREAMED_PACK_TOKENS if streams else _GPU_PACK_TOKENS if on_gpu else _CPU_PACK_TOKENS
    if packs_in_flight > 1 and on_gpu and not streams:
        wished = _PIPELINED_PACK_TOKENS
    if on_gpu:
        wished = min(wished, int(_RESIDUAL_SHARE * free_bytes) // (packs_in_flight * shape.hidden * value_bytes))
    return NativeSizes(
        step_tokens=step,
        activation_bytes=activations,
        set_aside_bytes=set_aside + prefix,
        state_bytes=_states_in_use(shape, setting, step, spans)
        + _prefix_bytes(shape, value_bytes, TYPICAL_PREFIX_TOKENS),
        row_bytes=per_row,
        tokens_that_fit=fits,
        pack_tokens=min(setting.pack_tokens or wished, max(fits, setting.context_tokens)),
    )


def _prefix_bytes(shape: ModelShape, value_bytes: int, tokens: int) -> int:
    """What all layers hold of a prefix: a state, or its keys and values, which the layer at work has once more."""
    copies = shape.full_layers + min(1, shape.full_layers)
    keys_values = copies * 2 * shape.kv_size * value_bytes * tokens
    return keys_values + (shape.layers - shape.full_layers) * state_bytes_per_layer(shape)


def _states_in_use(shape: ModelShape, setting: Setting, step_tokens: int, most_spans: int) -> int:
    """Of the documents in one step, and temporaries of the delta rule: 8 of a block of heads in float32, a block being
    at most 2^17 rows times heads (engines/native/kernels/delta_rule/chunked.py).
    """
    if shape.delta is None:
        return 0
    length = min(setting.context_tokens, TYPICAL_DOCUMENT_TOKENS)
    spans = min(most_spans, -(-step_tokens // length) + 1)
    rows = min(step_tokens * shape.delta.value_heads, _DELTA_BLOCK)
    temporaries = min(_DELTA_TEMPORARY_BYTES, 8 * 4 * rows * max(shape.delta.key_dim, shape.delta.value_dim))
    return _STATE_COPIES * spans * state_bytes_per_layer(shape) + temporaries


def _step_tokens(bytes_each: int, usable_bytes: int, *, on_gpu: bool, experts: bool) -> int:
    if not on_gpu:
        return _CPU_STEP_TOKENS
    most = usable_bytes * (_LARGE_EXPERTS_STEP_SHARE if experts else _LARGE_STEP_SHARE)
    return next((tokens for tokens in _LARGE_GPU_STEP_TOKENS if tokens * bytes_each <= most), _GPU_STEP_TOKENS)


def _joined_keys_bytes(shape: ModelShape, value_bytes: int, step_tokens: int) -> int:
    if not shape.full_layers:
        return 0
    return max(_FEW_KEYS, _KEYS_PER_QUERY * step_tokens) * 2 * shape.kv_size * value_bytes


def _spans(usable_bytes: int, bytes_each: int) -> int:
    if not bytes_each:
        return _MOST_SPANS
    return max(_LEAST_SPANS, min(_MOST_SPANS, int(usable_bytes * _STATE_SHARE) // bytes_each))
