"""How the engine is sized for one model on one machine: arithmetic over what memory and options allow."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace

from thresher.engines.base import EngineOptions
from thresher.engines.llamacpp.binding import Binding
from thresher.engines.llamacpp.context import CELL_STEP, F16, F32, Shape
from thresher.engines.llamacpp.memory import ModelMemory
from thresher.engines.llamacpp.planner import PackLimits
from thresher.errors import EngineCapacityError, UsageError
from thresher.hardware.host_memory import available_bytes
from thresher.hardware.probe import usable_cores
from thresher.models.facts import ModelFacts
from thresher.suggestions import did_you_mean

logger = logging.getLogger(__name__)

#: Engine-specific settings a profile may hold, with their least and largest values.
SETTINGS: Mapping[str, tuple[int, int]] = {"micro_batch": (32, 8192), "documents": (1, 200)}
#: Documents read together. A CPU is as fast with one at a time, and then llama.cpp computes bit for bit the same
#: whatever else is in the batch: its kernels round differently with the number of rows, and quantized activations
#: amplify that.
_CPU_DOCUMENTS, _GPU_DOCUMENTS = 1, 32
#: The prefix, the documents read together, and forks of them. The least: prefix, document, question, branch.
_MOST_SEQUENCES, _LEAST_SEQUENCES = 33, 4
#: The first context is made for this many tokens; it grows when a request needs more.
_FIRST_CELLS = 4096
#: A context below this could hold no document worth labelling.
_LEAST_CONTEXT = 512
#: Part of the free memory that is left to everything else.
_RESERVE_SHARE = 0.1
#: Part of the free memory that recurrent state may take.
_STATE_SHARE = 1 / 8
#: In a pack, a document may be padded by this share of the longest one.
_PADDING_SHARE = 1 / 16
_GIB = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Sizes of one open engine."""

    shape: Shape  # of the first context
    largest_cells: int
    largest_request_tokens: int
    pack_limits: PackLimits


def plan_sizes(
    facts: ModelFacts, memory: ModelMemory, binding: Binding, options: EngineOptions, *, on_gpu: bool
) -> Plan:
    """Choose the sizes.

    Raises:
        UsageError: a setting, the threads or the context asked for make no sense for this model.
        EngineCapacityError: the weights, or the context asked for, do not fit the memory.
    """
    settings = _settings(options.settings)
    free = _free_after_weights(facts, memory, binding, on_gpu=on_gpu)
    sequences = _MOST_SEQUENCES
    if memory.state_bytes:
        sequences = max(_LEAST_SEQUENCES, min(sequences, int(free * _STATE_SHARE) // memory.state_bytes))
    shape = Shape(
        cells=CELL_STEP,
        sequences=sequences,
        micro_batch=settings.get("micro_batch", 2048 if on_gpu else 512),
        threads=_threads(options.threads),
        kv_type=F32 if facts.quantization == "F32" else F16,
    )
    context = _context_tokens(facts, memory, shape, options.context_tokens, free)
    cells = -(-context // CELL_STEP) * CELL_STEP
    return Plan(
        shape=replace(shape, cells=min(_FIRST_CELLS, cells)),
        largest_cells=cells,
        largest_request_tokens=context,
        pack_limits=PackLimits(
            tokens=shape.micro_batch,
            documents=settings.get("documents", _GPU_DOCUMENTS if on_gpu else _CPU_DOCUMENTS),
            padding_share=_PADDING_SHARE,
        ),
    )


def _settings(settings: Mapping[str, int]) -> Mapping[str, int]:
    for name, value in settings.items():
        if name not in SETTINGS:
            hint = did_you_mean(name, SETTINGS)
            raise UsageError(f"the engine llamacpp has no setting {name!r}, it has {', '.join(SETTINGS)}{hint}")
        least, largest = SETTINGS[name]
        if not least <= value <= largest:
            raise UsageError(f"the setting {name} is {value}; it may be {least} to {largest}")
    return settings


def _threads(asked: int | None) -> int:
    """The cores of this machine that the process may use, unless told otherwise."""
    if asked is not None:
        if asked < 1:
            raise UsageError(f"--threads {asked}: give at least 1")
        return asked
    return usable_cores()


def _free_after_weights(facts: ModelFacts, memory: ModelMemory, binding: Binding, *, on_gpu: bool) -> int:
    free = sum(gpu.free_bytes for gpu in binding.gpus()) if on_gpu else available_bytes()
    left = int(free * (1 - _RESERVE_SHARE)) - memory.weights_bytes
    if left <= 0:
        raise EngineCapacityError(
            f"the weights of {facts.name} take {memory.weights_bytes / _GIB:.1f} GiB, and {free / _GIB:.1f} GiB are "
            "free; use a smaller quantization or model, or free memory"
        )
    return left


def _context_tokens(facts: ModelFacts, memory: ModelMemory, shape: Shape, asked: int | None, free: int) -> int:
    """The longest request to serve: as asked, else the model's own context, cut to what the memory holds."""
    if asked is not None and not 1 <= asked <= facts.context_tokens:
        raise UsageError(
            f"--context {asked:,}: {facts.name} was trained for {facts.context_tokens:,} tokens; give 1 to that many"
        )
    wanted = asked or facts.context_tokens
    fits = memory.largest_cells(shape, free)
    if wanted <= fits:
        return wanted
    if asked is not None or fits < _LEAST_CONTEXT:
        needed = memory.context_bytes(replace(shape, cells=wanted))
        raise EngineCapacityError(
            f"a context of {wanted:,} tokens takes {needed / _GIB:.2f} GiB beside the weights, and "
            f"{free / _GIB:.2f} GiB are free: at most {max(0, fits):,} tokens fit; "
            "give a smaller --context or free memory"
        )
    logger.warning("the context is cut from %d to %d tokens: the memory holds no more", wanted, fits)
    return fits // CELL_STEP * CELL_STEP
