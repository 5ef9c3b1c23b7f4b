"""How large a server's context is and how many requests it reads at once: arithmetic over model, memory and wishes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from thresher.engines.base import EngineOptions
from thresher.engines.llamacpp.context import CELL_STEP, F16, F32, Shape
from thresher.engines.llamacpp.memory import ModelMemory, model_memory
from thresher.errors import EngineCapacityError, UsageError
from thresher.hardware import GpuFacts
from thresher.hardware.host_memory import available_bytes
from thresher.models.model import Model
from thresher.suggestions import did_you_mean

#: Settings a profile may hold, with their least and largest values.
SETTINGS: Mapping[str, tuple[int, int]] = {"slots": (1, 1024), "micro_batch": (32, 65_536)}
#: llama.cpp: prompts longer than the micro-batch gain nothing from more slots, and on a CPU none do.
_GPU_SLOTS, _CPU_SLOTS = 4, 1
_GPU_MICRO_BATCH, _CPU_MICRO_BATCH = 2048, 512
#: Rather fewer slots than a context below this, where nothing was asked for.
_GOOD_CONTEXT_TOKENS = 16_384
#: Part of the free memory that is left to everything else; part of the rest that a context may take of the host's,
#: where it was not asked for, for llama.cpp writes to all of it at the start.
_RESERVE_SHARE, _HOST_CONTEXT_SHARE = 0.1, 0.25
#: vLLM and SGLang share their memory among requests by themselves.
_SEQUENCES = 128
_BATCH_TOKENS = 16_384
_DEFAULT_CONTEXT_TOKENS = 32_768
#: Of a GPU's memory, what weights may take there: the rest is for what is computed.
_WEIGHTS_SHARE = 0.8
_GIB = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """What is chosen for one server."""

    context_tokens: int
    slots: int
    micro_batch_tokens: int
    gpus: int = 1  # that weights are split over
    notices: tuple[str, ...] = ()


def check_settings(settings: Mapping[str, int], engine: str) -> None:
    """Raises ``UsageError`` for a setting that managed servers do not have, or out of its range."""
    for name, value in settings.items():
        if name not in SETTINGS:
            hint = did_you_mean(name, SETTINGS)
            raise UsageError(f"the engine {engine} has no setting {name!r}, it has {', '.join(SETTINGS)}{hint}")
        least, largest = SETTINGS[name]
        if not least <= value <= largest:
            raise UsageError(f"the setting {name} is {value}; it may be {least} to {largest}")


def llama_server_sizes(model: Model, options: EngineOptions, gpus: Sequence[GpuFacts]) -> Sizes:
    """For llama-server on ``gpus``, or on the CPU where there are none.

    Raises:
        UsageError: the context asked for is longer than the model's.
        EngineCapacityError: the weights, or the context asked for, do not fit the memory.
    """
    memory = model_memory(model.headers)
    free = sum(gpu.free_bytes for gpu in gpus) if gpus else available_bytes()
    left = int(free * (1 - _RESERVE_SHARE)) - memory.weights_bytes
    if left <= 0:
        raise _too_large(model, memory.weights_bytes, free, "free; use a smaller quantization or model, or free memory")
    asked = _checked_context(model, options)
    if asked is None and not gpus:
        left = int(left * _HOST_CONTEXT_SHARE)
    sizes = Sizes(
        context_tokens=asked or model.facts.context_tokens,
        slots=options.settings.get("slots", _GPU_SLOTS if gpus else _CPU_SLOTS),
        micro_batch_tokens=options.settings.get("micro_batch", _GPU_MICRO_BATCH if gpus else _CPU_MICRO_BATCH),
    )
    kv_type = F32 if model.facts.quantization == "F32" else F16
    return _fitted(sizes, memory, left, asked, kv_type)


def _fitted(sizes: Sizes, memory: ModelMemory, left: int, asked: int | None, kv_type: int) -> Sizes:
    """Fewer slots, then a shorter context, until it fits ``left`` bytes."""
    wanted = min(sizes.context_tokens, asked or _GOOD_CONTEXT_TOKENS)
    slots, fits = sizes.slots, _context_that_fits(memory, sizes, sizes.slots, left, kv_type)
    while slots > 1 and fits < wanted:
        slots -= 1
        fits = _context_that_fits(memory, sizes, slots, left, kv_type)
    if fits < (asked or CELL_STEP):
        raise EngineCapacityError(
            f"{left / _GIB:.2f} GiB are left beside the weights, which hold a context of {max(0, fits):,} tokens; "
            "give a smaller --context, a smaller quantization or model, or free memory"
        )
    context = min(sizes.context_tokens, fits)
    notices = []
    if context < sizes.context_tokens:
        notices.append(
            f"the context is cut from {sizes.context_tokens:,} to {context:,} tokens: the memory holds no more"
        )
    return replace(sizes, context_tokens=context, slots=slots, notices=tuple(notices))


def _context_that_fits(memory: ModelMemory, sizes: Sizes, slots: int, left: int, kv_type: int) -> int:
    """Tokens of each slot's context, in llama.cpp's steps."""
    shape = Shape(cells=CELL_STEP, sequences=slots, micro_batch=sizes.micro_batch_tokens, threads=1, kv_type=kv_type)
    return memory.largest_cells(shape, left) // slots // CELL_STEP * CELL_STEP


def batching_sizes(model: Model, options: EngineOptions, gpus: Sequence[GpuFacts]) -> Sizes:
    """For vLLM and SGLang, which lay out their memory themselves. Without ``gpus`` nothing is known of them.

    Raises:
        UsageError: the context asked for is longer than the model's.
        EngineCapacityError: the weights do not fit all GPUs together.
    """
    asked = _checked_context(model, options)
    own = model.facts.context_tokens
    context = asked or min(own, _DEFAULT_CONTEXT_TOKENS)
    notices = []
    if context < own and asked is None:
        notices.append(f"the context is {context:,} of the model's {own:,} tokens; --context asks for more")
    return Sizes(
        context_tokens=context,
        slots=options.settings.get("slots", _SEQUENCES),
        micro_batch_tokens=options.settings.get("micro_batch", _BATCH_TOKENS),
        gpus=_gpus_needed(model, gpus),
        notices=tuple(notices),
    )


def _gpus_needed(model: Model, gpus: Sequence[GpuFacts]) -> int:
    """The fewest GPUs whose memory holds the weights: 1, 2, 4, ..., for heads are split evenly."""
    weights = model.facts.weights_bytes
    count = 1
    while gpus and count <= len(gpus):
        if weights <= _WEIGHTS_SHARE * count * min(gpu.memory_bytes for gpu in gpus):
            return count
        count *= 2
    if gpus:
        total = sum(gpu.memory_bytes for gpu in gpus)
        raise _too_large(model, weights, total, "on all GPUs; use weights of a smaller precision, or a smaller model")
    return 1


def _checked_context(model: Model, options: EngineOptions) -> int | None:
    asked, facts = options.context_tokens, model.facts
    if asked is not None and not 1 <= asked <= facts.context_tokens:
        raise UsageError(
            f"--context {asked:,}: {facts.name} was trained for {facts.context_tokens:,} tokens; give 1 to that many"
        )
    return asked


def _too_large(model: Model, weights_bytes: int, memory_bytes: int, remedy: str) -> EngineCapacityError:
    return EngineCapacityError(
        f"the weights of {model.facts.name} take {weights_bytes / _GIB:.1f} GiB, and {memory_bytes / _GIB:.1f} GiB are "
        f"{remedy}"
    )
