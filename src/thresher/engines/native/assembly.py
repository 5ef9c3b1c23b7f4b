"""Puts an open engine together: devices, precision, weights, sizes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack

import torch

from thresher.engines.base import EngineInfo, EngineOptions
from thresher.engines.native.devices import choose_devices, describe, free_bytes, gpus_like, least_capability
from thresher.engines.native.engine import NativeEngine
from thresher.engines.native.forward import ForwardPass
from thresher.engines.native.head import Head
from thresher.engines.native.layer_format import LayerFormat, activation_dtype, expanded_bytes
from thresher.engines.native.pipeline import Pipeline, packs_in_flight
from thresher.engines.native.placement import (
    WEIGHTS_SHARE,
    Part,
    Placement,
    free_after_weights,
    lay_over,
    place,
    table_bytes,
)
from thresher.engines.native.precision import PrecisionChoice, choose_precision
from thresher.engines.native.reader import Reader
from thresher.engines.native.sizing import RESIDUAL_SHARE, Sizes, check_settings, plan_sizes
from thresher.engines.native.streaming import LayerStore, layer_formats
from thresher.engines.native.tables import EMBEDDING, Table, head_name
from thresher.engines.native.weights import WeightSource, open_weights
from thresher.errors import ModelFormatError, UsageError
from thresher.hardware.probe import usable_cores
from thresher.models.facts import ModelFacts
from thresher.models.model import Model
from thresher.models.tokenizer import Tokenizer

#: Tokens that the pipeline gives a call at once, for each device; in packs of the engine's size.
_PACKS_PER_CALL, _PIPELINED_PACKS_PER_CALL = 4, 16
_DOCUMENTS_PER_CALL = 512


def open_native(model: Model, options: EngineOptions) -> NativeEngine:
    """Load ``model``.

    Raises:
        UsageError: an option that this engine or model cannot serve.
        EngineUnavailableError: no CUDA device where one is asked for.
        EngineCapacityError: the weights or the context asked for do not fit the memory.
        ModelFormatError: a family, a vocabulary or a file that cannot be read.
    """
    tokenizer = _tokenizer(model)
    check_settings(options.settings)
    devices = choose_devices(options.device)
    _use_threads(options.threads)
    choice = choose_precision(options.precision, least_capability(devices), model.facts.quantization)
    source = open_weights(model)
    try:
        return assemble(model.facts, tokenizer, source, choice, devices, options)
    except BaseException:
        source.close()
        raise


def assemble(
    facts: ModelFacts,
    tokenizer: Tokenizer,
    source: WeightSource,
    choice: PrecisionChoice,
    devices: Sequence[torch.device],
    options: EngineOptions,
) -> NativeEngine:
    """An engine over ``source``, which it closes when it is closed; raises as :func:`open_native`."""
    config, dtype = source.config, activation_dtype(choice.precision)
    limit = options.weights_memory_bytes
    blocks = [form.block_bytes for form in _layer_formats(source, choice.precision)]
    devices = _enough_devices(devices, sum(blocks) + table_bytes(source, dtype), options)
    parts = lay_over(source, devices, blocks, dtype, limit)
    placements = [place(part, source, blocks, dtype, limit) for part in parts]
    free = min(free_after_weights(facts.name, *both) for both in zip(parts, placements, strict=True))
    free -= expanded_bytes(config, choice.precision)
    on_gpu = devices[0].type == "cuda"
    resident = sum(len(placement.resident) for placement in placements)
    sizes = plan_sizes(
        config,
        facts,
        options,
        free_bytes=free,
        value_bytes=dtype.itemsize,
        on_gpu=on_gpu,
        streams=resident < config.layer_count,
        packs_in_flight=packs_in_flight(len(devices)),
    )
    residual = packs_in_flight(len(devices)) * sizes.pack_rows * config.hidden_size * dtype.itemsize
    residual_on_host = residual > RESIDUAL_SHARE * free
    with ExitStack() as undo:
        embedding, head = _tables(source, placements[0].embedding, placements[-1].head, dtype, devices)
        for table in (embedding, head):
            undo.callback(table.close)
        forwards = []
        for part, placement in zip(parts, placements, strict=True):
            store = LayerStore(
                source,
                choice.precision,
                placement.resident,
                part.device,
                keep_on_host=placement.layers_on_host,
                layers=part.layers,
            )
            undo.callback(store.close)
            waits_on = torch.device("cpu") if residual_on_host else part.device
            forwards.append(ForwardPass(config, store, embedding if part.first else None, dtype, part.device, waits_on))
        pipeline = Pipeline(forwards)
        undo.callback(pipeline.close)
        reader = Reader(pipeline, Head(source, head, devices[-1]), sizes)
        close = _closing(undo.pop_all(), source)
    notices = _notices(choice, parts, placements)
    return NativeEngine(reader, tokenizer, _info(facts, devices, sizes, choice, notices), sizes, close)


def _layer_formats(source: WeightSource, precision: str) -> list[LayerFormat]:
    try:
        return layer_formats(source.config, precision)
    except ValueError as error:  # a width that the precision cannot multiply
        raise UsageError(f"--precision {precision} does not fit this model: {error}") from error


def _enough_devices(
    devices: Sequence[torch.device], weights_bytes: int, options: EngineOptions
) -> Sequence[torch.device]:
    """All GPUs where none was named, no limit was given and the first one does not hold the weights."""
    chosen = options.device is not None or options.weights_memory_bytes is not None
    if chosen or len(devices) > 1 or devices[0].type == "cpu":
        return devices
    return devices if weights_bytes <= WEIGHTS_SHARE * free_bytes(devices)[0] else gpus_like(devices[0])


def _tables(
    source: WeightSource,
    embedding_on: torch.device | None,
    head_on: torch.device | None,
    dtype: torch.dtype,
    devices: Sequence[torch.device],
) -> tuple[Table, Table]:
    """Embedding and head; one table where they are tied and kept in the same place."""
    embedding = Table(source, EMBEDDING, dtype, embedding_on, devices[0])
    if source.config.tied_embeddings and head_on == embedding_on:
        return embedding, embedding
    return embedding, Table(source, head_name(source.config), dtype, head_on, devices[-1])


def _closing(held: ExitStack, source: WeightSource) -> Callable[[], None]:
    def close() -> None:
        held.close()
        source.close()

    return close


def _tokenizer(model: Model) -> Tokenizer:
    if model.tokenizer is None:
        raise ModelFormatError(
            f"{model.facts.name}: the engine native has no tokenizer for its vocabulary "
            f"({model.facts.tokenizer_model}); use --engine llamacpp"
        )
    return model.tokenizer


def _use_threads(asked: int | None) -> None:
    if asked is not None and asked < 1:
        raise UsageError(f"--threads {asked}: give at least 1")
    torch.set_num_threads(asked or usable_cores())


def _notices(choice: PrecisionChoice, parts: Sequence[Part], placements: Sequence[Placement]) -> tuple[str, ...]:
    notices = [f"precision: {choice.precision} ({choice.explanation})"]
    if len(parts) > 1:
        shares = ", ".join(f"{len(part.layers)} on {part.device}" for part in parts)
        notices.append(f"layers: {shares}; each device reads the next pack while the one behind it reads this one")
    layers = sum(len(part.layers) for part in parts)
    streamed = layers - sum(len(placement.resident) for placement in placements)
    if streamed:
        source = "host memory" if all(placement.layers_on_host for placement in placements) else "their files"
        notices.append(f"weights: {streamed} of {layers} layers are streamed from {source}")
    return tuple(notices)


def _info(
    facts: ModelFacts,
    devices: Sequence[torch.device],
    sizes: Sizes,
    choice: PrecisionChoice,
    notices: tuple[str, ...],
) -> EngineInfo:
    packs = _PACKS_PER_CALL if len(devices) == 1 else _PIPELINED_PACKS_PER_CALL * len(devices)
    return EngineInfo(
        engine="native",
        model=facts.name,
        model_fingerprint=facts.fingerprint,
        precision=choice.precision,
        version=f"torch {torch.__version__}",
        device=describe(devices),
        largest_request_tokens=sizes.largest_request_tokens,
        batch_tokens=packs * sizes.pack_rows,
        batch_requests=_DOCUMENTS_PER_CALL * len(devices),
        exact_probabilities=True,
        shares_prefix=True,
        notices=notices,
    )
