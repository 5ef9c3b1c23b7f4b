"""How many tokens are read at once, and how long a request may be. Arithmetic only."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Mapping
from dataclasses import dataclass

from thresher.engines.base import EngineOptions
from thresher.engines.native.config import NativeConfig
from thresher.engines.native.kernels.attention.joined import FEW_KEYS, KEYS_PER_QUERY
from thresher.errors import EngineCapacityError, UsageError
from thresher.models.facts import ModelFacts

logger = logging.getLogger(__name__)

#: Engine-specific settings a profile may hold, with their least and largest values.
SETTINGS: Mapping[str, tuple[int, int]] = {"pack_tokens": (256, 1 << 20), "step_tokens": (64, 1 << 17)}
_CPU_STEP_TOKENS, _GPU_STEP_TOKENS = 1024, 8192
#: Larger steps keep a GPU busier: multiplies have fewer partial waves, the delta rule more sequences, experts more rows
#: each (on an H200, 512 experts: 11% faster in steps of 32,768 tokens than of 16,384).
_LARGE_GPU_STEP_TOKENS = (32_768, 16_384)
#: The activations of a large step may take this share of the memory that the weights leave; with experts the other.
_LARGE_STEP_SHARE, _LARGE_EXPERTS_STEP_SHARE = 1 / 8, 1 / 2
_CPU_PACK_TOKENS, _GPU_PACK_TOKENS, _STREAMED_PACK_TOKENS = 8192, 65_536, 262_144
#: States of DeltaNet that a pack's open segments may take, as a share of the free memory.
_STATE_SHARE = 1 / 8
_MOST_SPANS, _LEAST_SPANS = 1024, 8
#: Copies of the states of a step's spans: before, after, stacked.
_STATE_COPIES = 3
#: Temporaries of the delta rule, in values of one block of heads (kernels/delta_rule/chunked.py).
_DELTA_TEMPORARY_BYTES = 1 << 29
#: Tokens of the prefix for which memory is set aside in every layer.
_PREFIX_TOKENS = 4096
#: The residual stream of a pack stays on the card up to this share of its free memory, else it waits in host memory.
RESIDUAL_SHARE = 0.25
#: Part of the free memory that is left to everything else.
_RESERVE_SHARE = 0.1
#: A context below this could hold no document worth labelling.
_LEAST_CONTEXT = 512
#: With several GPUs: packs small enough that filling and emptying the pipeline is little of a call's time.
_PIPELINED_PACK_TOKENS = 16_384
_GIB = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """Sizes of one open engine."""

    pack_rows: int
    pack_segments: int
    step_rows: int
    step_spans: int
    largest_request_tokens: int


def row_bytes(config: NativeConfig, value_bytes: int, packs_in_flight: int = 1) -> int:
    """Memory that a token takes while its pack is read: residual stream, keys and values of one layer, RoPE tables.

    Of the packs that are read at the same time on other devices, the residual streams may all lie on this one.
    """
    keys_values = 2 * config.kv_heads * config.head_dim if "full" in config.layer_kinds else 0
    return value_bytes * (packs_in_flight * config.hidden_size + keys_values) + 4 * config.rotary_dim


def state_bytes(config: NativeConfig) -> int:
    """Memory of one sequence's state in one DeltaNet layer."""
    delta = config.delta
    if delta is None:
        return 0
    return 4 * (delta.value_heads * delta.key_dim * delta.value_dim + (delta.conv_width - 1) * delta.conv_channels)


def step_row_bytes(config: NativeConfig, value_bytes: int) -> int:
    """Activations of one token within a step, at the widest moment of a layer; an estimate from above."""
    feed_forward = max(3 * config.intermediate_size, _moe_width(config))
    query_size = config.query_heads * config.head_dim
    mixer = [value_bytes * 3 * query_size + 4 * 3 * query_size]
    if config.delta is not None:
        delta = config.delta
        mixer.append(value_bytes * (3 * delta.conv_channels + 3 * delta.value_size) + 4 * 2 * delta.key_size)
    return 4 * value_bytes * config.hidden_size + max(value_bytes * feed_forward, *mixer)


def _moe_width(config: NativeConfig) -> int:
    """Values of a token's rows in its experts: gathered and gate with up, or gate with up, product and output."""
    moe = config.moe
    if moe is None:
        return 0
    return moe.experts_per_token * (config.hidden_size + 3 * moe.expert_size) + 3 * moe.shared_expert_size


def joined_keys_bytes(config: NativeConfig, value_bytes: int, step_rows: int) -> int:
    """Copies of keys and values for one launch of attention (kernels/attention/joined.py), on a GPU."""
    if "full" not in config.layer_kinds:
        return 0
    return max(FEW_KEYS, KEYS_PER_QUERY * step_rows) * 2 * config.kv_heads * config.head_dim * value_bytes


def plan_sizes(
    config: NativeConfig,
    facts: ModelFacts,
    options: EngineOptions,
    *,
    free_bytes: int,
    value_bytes: int,
    on_gpu: bool,
    streams: bool,
    packs_in_flight: int = 1,
) -> Sizes:
    """Choose the sizes; ``free_bytes`` is what is free once the weights are in place, on the fullest of the devices.

    Raises:
        UsageError: a setting or the context asked for make no sense for this model.
        EngineCapacityError: the context asked for does not fit the memory.
    """
    settings = check_settings(options.settings)
    states = state_bytes(config)
    usable = int(free_bytes * (1 - _RESERVE_SHARE))
    step_rows = settings.get("step_tokens") or _step_tokens(config, value_bytes, usable, on_gpu=on_gpu)
    step_spans = _spans(usable, _STATE_COPIES * states)
    fixed = (
        step_rows * step_row_bytes(config, value_bytes)
        + _STATE_COPIES * step_spans * states
        + (_DELTA_TEMPORARY_BYTES if states else 0)
        + (joined_keys_bytes(config, value_bytes, step_rows) if on_gpu else 0)
        + _prefix_bytes(config, value_bytes, states)
    )
    fits = max(0, usable - fixed) // row_bytes(config, value_bytes, packs_in_flight)
    context = _context_tokens(facts, options.context_tokens, fits)
    wished = _wished_pack_tokens(on_gpu=on_gpu, streams=streams, pipelined=packs_in_flight > 1)
    if on_gpu:  # a smaller pack costs less than a residual stream that waits in host memory
        wished = min(wished, int(RESIDUAL_SHARE * free_bytes) // (packs_in_flight * config.hidden_size * value_bytes))
    return Sizes(
        pack_rows=min(settings.get("pack_tokens", wished), max(fits, context)),
        pack_segments=_spans(usable, states),
        step_rows=step_rows,
        step_spans=step_spans,
        largest_request_tokens=context,
    )


def _wished_pack_tokens(*, on_gpu: bool, streams: bool, pipelined: bool) -> int:
    if streams:
        return _STREAMED_PACK_TOKENS
    if not on_gpu:
        return _CPU_PACK_TOKENS
    return _PIPELINED_PACK_TOKENS if pipelined else _GPU_PACK_TOKENS


def check_settings(settings: Mapping[str, int]) -> Mapping[str, int]:
    """``settings``, all of them known and in range. Raises ``UsageError``."""
    for name, value in settings.items():
        if name not in SETTINGS:
            near = difflib.get_close_matches(name, SETTINGS, 1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise UsageError(f"the engine native has no setting {name!r}, it has {', '.join(SETTINGS)}{hint}")
        least, largest = SETTINGS[name]
        if not least <= value <= largest:
            raise UsageError(f"the setting {name} is {value}; it may be {least} to {largest}")
    return settings


def _step_tokens(config: NativeConfig, value_bytes: int, usable_bytes: int, *, on_gpu: bool) -> int:
    if not on_gpu:
        return _CPU_STEP_TOKENS
    bytes_each = step_row_bytes(config, value_bytes)
    most = usable_bytes * (_LARGE_STEP_SHARE if config.moe is None else _LARGE_EXPERTS_STEP_SHARE)
    return next((tokens for tokens in _LARGE_GPU_STEP_TOKENS if tokens * bytes_each <= most), _GPU_STEP_TOKENS)


def _spans(usable_bytes: int, bytes_each: int) -> int:
    if not bytes_each:
        return _MOST_SPANS
    return max(_LEAST_SPANS, min(_MOST_SPANS, int(usable_bytes * _STATE_SHARE) // bytes_each))


def _prefix_bytes(config: NativeConfig, value_bytes: int, states: int) -> int:
    """What all layers hold of a prefix; keys and values are in the memory of the layer at work once more."""
    full_layers = config.layer_kinds.count("full")
    keys_values = 2 * config.kv_heads * config.head_dim * value_bytes
    copies = full_layers + min(1, full_layers)
    return copies * keys_values * _PREFIX_TOKENS + (config.layer_count - full_layers) * states


def _context_tokens(facts: ModelFacts, asked: int | None, fits: int) -> int:
    """The longest request to serve: as asked, else the model's own context, cut to what the memory holds."""
    if asked is not None and not 1 <= asked <= facts.context_tokens:
        raise UsageError(
            f"--context {asked:,}: {facts.name} was trained for {facts.context_tokens:,} tokens; give 1 to that many"
        )
    wanted = asked or facts.context_tokens
    if wanted <= fits:
        return wanted
    if asked is not None or fits < _LEAST_CONTEXT:
        raise EngineCapacityError(
            f"a context of {wanted:,} tokens does not fit the memory that the weights leave: at most {fits:,} tokens "
            "do; give a smaller --context or --weights-memory, or free memory"
        )
    logger.warning("the context is cut from %d to %d tokens: the memory holds no more", wanted, fits)
    return fits
