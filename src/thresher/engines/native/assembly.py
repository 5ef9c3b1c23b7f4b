"""Puts an open engine together: device, precision, weights, sizes."""

from __future__ import annotations

import os
from dataclasses import dataclass

import psutil
import torch

from thresher.engines.base import EngineInfo, EngineOptions
from thresher.engines.host_memory import available_bytes
from thresher.engines.native.engine import NativeEngine
from thresher.engines.native.forward import ForwardPass
from thresher.engines.native.head import Head
from thresher.engines.native.layer_format import activation_dtype
from thresher.engines.native.precision import PrecisionChoice, choose_precision
from thresher.engines.native.reader import Reader
from thresher.engines.native.residency import resident_layers, weights_bytes
from thresher.engines.native.sizing import Sizes, check_settings, plan_sizes
from thresher.engines.native.streaming import LayerStore, layer_formats
from thresher.engines.native.tables import EMBEDDING, Table, head_name
from thresher.engines.native.weights import WeightSource, open_weights
from thresher.errors import EngineCapacityError, EngineUnavailableError, ModelFormatError, UsageError
from thresher.models.facts import ModelFacts
from thresher.models.model import Model
from thresher.models.tokenizer import Tokenizer

_PACKS_PER_CALL = 4
_DOCUMENTS_PER_CALL = 512
#: The residual stream of a pack stays on the card up to this share of its free memory, else it waits in host memory.
_RESIDUAL_SHARE = 0.25
#: The embedding goes to the device too as long as no more than this share of its free memory is then taken.
_TABLES_SHARE = 0.7
_GIB = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class _Placement:
    """Where weights are kept."""

    resident: frozenset[int]
    layers_on_host: bool  # streamed layers: in pinned memory, else in their files
    head: torch.device | None  # None: in its file
    embedding: torch.device | None
    device_bytes: int  # that all of it takes on the device


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
    device = _device(options.device)
    _use_threads(options.threads)
    capability = torch.cuda.get_device_capability(device) if device.type == "cuda" else None
    choice = choose_precision(options.precision, capability, model.facts.quantization)
    source = open_weights(model)
    try:
        return assemble(model.facts, tokenizer, source, choice, device, options)
    except BaseException:
        source.close()
        raise


def assemble(
    facts: ModelFacts,
    tokenizer: Tokenizer,
    source: WeightSource,
    choice: PrecisionChoice,
    device: torch.device,
    options: EngineOptions,
) -> NativeEngine:
    """An engine over ``source``, which it closes when it is closed; raises as :func:`open_native`."""
    config, dtype = source.config, activation_dtype(choice.precision)
    blocks = [form.block_bytes for form in layer_formats(config, choice.precision)]
    placement = _place(source, blocks, device, dtype, options.weights_memory_bytes)
    free = _free_after_weights(facts, placement, device)
    sizes = plan_sizes(
        config,
        facts,
        options,
        free_bytes=free,
        value_bytes=dtype.itemsize,
        on_gpu=device.type == "cuda",
        streams=len(placement.resident) < config.layer_count,
    )
    residual = sizes.pack_rows * config.hidden_size * dtype.itemsize
    residual_device = device if residual <= _RESIDUAL_SHARE * free else torch.device("cpu")
    store = LayerStore(source, choice.precision, placement.resident, device, keep_on_host=placement.layers_on_host)
    try:
        embedding, head = _tables(source, placement, dtype)
        forward = ForwardPass(config, store, embedding, dtype, device, residual_device)
        reader = Reader(forward, Head(source, head, device), sizes)
    except BaseException:
        store.close()
        raise

    def close() -> None:
        store.close()
        source.close()

    info = _info(facts, device, sizes, choice, _notices(choice, placement, config.layer_count))
    return NativeEngine(reader, tokenizer, info, sizes, close)


def _free_after_weights(facts: ModelFacts, placement: _Placement, device: torch.device) -> int:
    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else available_bytes()
    if free <= placement.device_bytes:
        raise EngineCapacityError(
            f"the weights of {facts.name} take {placement.device_bytes / _GIB:.2f} GiB in the compute format, "
            f"and {free / _GIB:.2f} GiB are free; give --weights-memory or a smaller --precision, or free memory"
        )
    return free - placement.device_bytes


def _tables(source: WeightSource, placement: _Placement, dtype: torch.dtype) -> tuple[Table, Table]:
    """Embedding and head; one table where they are tied and kept in the same place."""
    embedding = Table(source, EMBEDDING, dtype, placement.embedding)
    if source.config.tied_embeddings and placement.head == placement.embedding:
        return embedding, embedding
    return embedding, Table(source, head_name(source.config), dtype, placement.head)


def _place(
    source: WeightSource, blocks: list[int], device: torch.device, dtype: torch.dtype, limit: int | None
) -> _Placement:
    """Layers first, then the head, as far as ``limit`` bytes on the device reach.

    The embedding is looked up in host memory where the device has no room to spare. On a CPU a limit
    holds for host memory too: then tables and streamed layers stay in their files.
    """
    config = source.config
    resident = resident_layers(blocks, limit)
    layers = weights_bytes(blocks, resident)
    host = torch.device("cpu")
    rows, columns = source.shape(EMBEDDING)
    table = rows * columns * dtype.itemsize
    head_fits = limit is None or layers + table <= limit
    on_device = layers + (table if head_fits else 0)
    if device.type == "cpu":
        tied_or_none = table if limit is None and not config.tied_embeddings else 0
        return _Placement(
            resident=resident,
            layers_on_host=False,
            head=host if head_fits else None,
            embedding=host if limit is None else None,
            device_bytes=on_device + tied_or_none,
        )
    free = torch.cuda.mem_get_info(device)[0]
    embedding_fits = limit is None and on_device + table <= _TABLES_SHARE * free
    streamed = sum(block for layer, block in enumerate(blocks) if layer not in resident)
    free_on_host = available_bytes()
    return _Placement(
        resident=resident,
        layers_on_host=streamed + 2 * table < free_on_host,
        head=device if head_fits else host if 2 * table < free_on_host else None,
        embedding=device if embedding_fits else host if 2 * table < free_on_host else None,
        device_bytes=on_device + (table if embedding_fits and not config.tied_embeddings else 0),
    )


def _tokenizer(model: Model) -> Tokenizer:
    if model.tokenizer is None:
        raise ModelFormatError(
            f"{model.facts.name}: the engine native has no tokenizer for its vocabulary "
            f"({model.facts.tokenizer_model}); use --engine llamacpp"
        )
    return model.tokenizer


def _device(asked: str | None) -> torch.device:
    if asked == "cpu" or (asked is None and not torch.cuda.is_available()):
        return torch.device("cpu")
    if asked not in {None, "gpu", "cuda"} and not (asked or "").removeprefix("cuda:").isdecimal():
        raise UsageError(f"--device {asked}: the engine native knows the devices cpu, gpu and cuda:N")
    number = int((asked or "").removeprefix("cuda:")) if (asked or "").startswith("cuda:") else 0
    if number >= torch.cuda.device_count():
        raise EngineUnavailableError(
            f"--device {asked}: torch {torch.__version__} finds {torch.cuda.device_count()} CUDA devices; "
            "install a CUDA build of torch and a driver for it, or use --device cpu"
        )
    return torch.device("cuda", number)


def _use_threads(asked: int | None) -> None:
    if asked is not None and asked < 1:
        raise UsageError(f"--threads {asked}: give at least 1")
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    torch.set_num_threads(asked or max(1, min(psutil.cpu_count(logical=False) or usable, usable)))


def _notices(choice: PrecisionChoice, placement: _Placement, layers: int) -> tuple[str, ...]:
    chosen = f"precision: {choice.precision} ({choice.explanation})"
    streamed = layers - len(placement.resident)
    if not streamed:
        return (chosen,)
    source = "host memory" if placement.layers_on_host else "their files"
    return chosen, f"weights: {streamed} of {layers} layers are streamed from {source}"


def _info(
    facts: ModelFacts, device: torch.device, sizes: Sizes, choice: PrecisionChoice, notices: tuple[str, ...]
) -> EngineInfo:
    on_gpu = device.type == "cuda"
    return EngineInfo(
        engine="native",
        model=facts.name,
        model_fingerprint=facts.fingerprint,
        precision=choice.precision,
        version=f"torch {torch.__version__}",
        device=torch.cuda.get_device_name(device) if on_gpu else f"cpu, {torch.get_num_threads()} threads",
        largest_request_tokens=sizes.largest_request_tokens,
        batch_tokens=_PACKS_PER_CALL * sizes.pack_rows,
        batch_requests=_DOCUMENTS_PER_CALL,
        exact_probabilities=True,
        shares_prefix=True,
        notices=notices,
    )
