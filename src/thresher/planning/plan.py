"""A model, a machine and what is wished -> the plan: what there is to hold, what fits, how fast it can be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from thresher.errors import UsageError
from thresher.hardware import HardwareFacts
from thresher.models.outline import ModelOutline
from thresher.models.shape_weights import Part
from thresher.planning.costs import active_parameters, kv_bytes_per_token, state_bytes_per_sequence
from thresher.planning.counting import TYPICAL_DOCUMENT_TOKENS, DocumentCounts
from thresher.planning.evaluate import evaluate, largest_context, with_most_slots
from thresher.planning.fit import Fit
from thresher.planning.formats import NATIVE_PRECISIONS, SERVER_BITS, gguf_names, parts_of_gguf, parts_of_server
from thresher.planning.native_blocks import parts_of_native
from thresher.planning.precisions import check_precision, precisions_for
from thresher.planning.remedies import streaming_limit, with_remedies
from thresher.planning.setting import ENGINES, Setting
from thresher.planning.speed import Speed, estimate_speed
from thresher.suggestions import did_you_mean


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What a plan is asked for. None and empty leave it open."""

    engines: Sequence[str] = ()
    precisions: Sequence[str] = ()
    context_tokens: int | None = None  # None: the model's own, cut for each setting to what fits
    slots: int | None = None
    weights_memory_bytes: int | None = None
    on_cpu: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The result; every figure in bytes, tokens or seconds."""

    outline: ModelOutline
    hardware: HardwareFacts
    parameters: int
    active_parameters: int
    kv_bytes_per_token: int  # in 16 bits
    state_bytes_per_sequence: int
    weights: Mapping[str, Mapping[Part, int]]  # precision -> part -> bytes
    fits: tuple[Fit, ...]
    speeds: tuple[Speed, ...]  # of settings that fit
    documents: DocumentCounts | None


def make_plan(
    outline: ModelOutline, hardware: HardwareFacts, wishes: Wishes, documents: DocumentCounts | None = None
) -> Plan:
    """Plan every engine and precision wished for.

    Raises:
        UsageError: an engine or a precision that there is not, or a context that the model does not have.
    """
    _check(outline, wishes)
    if wishes.on_cpu:
        hardware = replace(hardware, gpus=())
    fits = tuple(
        fit for setting in _settings(outline, hardware, wishes) for fit in _fits(outline, setting, hardware, wishes)
    )
    attended = documents.attended_tokens if documents else float(TYPICAL_DOCUMENT_TOKENS)
    tokens = documents.tokens if documents else None
    speeds = (estimate_speed(outline.shape, fit, hardware, attended, tokens) for fit in fits if fit.fits)
    return Plan(
        outline=outline,
        hardware=hardware,
        parameters=outline.parameters,
        active_parameters=active_parameters(outline.shape),
        kv_bytes_per_token=kv_bytes_per_token(outline.shape),
        state_bytes_per_sequence=state_bytes_per_sequence(outline.shape),
        weights=weights_by_precision(outline),
        fits=fits,
        speeds=tuple(speed for speed in speeds if speed is not None),
        documents=documents,
    )


def weights_by_precision(outline: ModelOutline) -> dict[str, dict[Part, int]]:
    """Bytes by part: the file's own under its name, then every format an engine may keep the weights in."""
    found: dict[str, dict[Part, int]] = {}
    if outline.stored and outline.quantization:
        found[outline.quantization] = {part: stored.size_bytes for part, stored in outline.stored.items()}
    for precision in NATIVE_PRECISIONS:
        found.setdefault(precision, parts_of_native(outline.shape, precision))
    found["int4"] = parts_of_server(outline.shape, "int4")
    for quantization in gguf_names():
        found.setdefault(quantization, parts_of_gguf(outline, quantization))
    return found


def _check(outline: ModelOutline, wishes: Wishes) -> None:
    for engine in wishes.engines:
        if engine not in ENGINES:
            raise UsageError(
                f"--engine {engine}: no plans are made for it{did_you_mean(engine, ENGINES)}; there are "
                f"{', '.join(ENGINES)}"
            )
    most = outline.shape.context_tokens
    if wishes.context_tokens is not None and not 1 <= wishes.context_tokens <= most:
        raise UsageError(
            f"--context {wishes.context_tokens:,}: {outline.name} was trained for {most:,} tokens; give 1 to that many"
        )
    if wishes.slots is not None and wishes.slots < 1:
        raise UsageError(f"--slots {wishes.slots}: give at least 1")


def _settings(outline: ModelOutline, hardware: HardwareFacts, wishes: Wishes) -> Iterator[Setting]:
    engines = wishes.engines or ENGINES
    asked = [check_precision(precision, engines, outline) for precision in wishes.precisions]
    for engine in engines:
        own = [found[engine] for found in asked if engine in found]
        names = own if wishes.precisions else precisions_for(engine, outline, hardware)
        for precision in names:
            if engine in {"vllm", "sglang"} and (not hardware.gpus or precision not in SERVER_BITS):
                continue
            yield Setting(
                engine=engine,
                precision=precision,
                context_tokens=wishes.context_tokens or outline.shape.context_tokens,
                slots=None if engine in {"native", "llamacpp"} else wishes.slots,
                gpus=len(hardware.gpus),
                weights_memory_bytes=wishes.weights_memory_bytes if engine == "native" else None,
            )


def _fits(outline: ModelOutline, setting: Setting, hardware: HardwareFacts, wishes: Wishes) -> Iterator[Fit]:
    """The setting; where it does not fit and the native engine can stream weights, that too."""
    if wishes.context_tokens is None:
        context = largest_context(outline, setting, hardware)
        setting = replace(setting, context_tokens=context or setting.context_tokens)
    fit = with_remedies(outline, with_most_slots(outline, setting, hardware), hardware)
    yield fit
    if not fit.fits and setting.engine == "native" and setting.weights_memory_bytes is None:
        streamed = streaming_limit(outline, setting, hardware)
        if streamed is not None:
            yield streamed


def plan_one(outline: ModelOutline, hardware: HardwareFacts, setting: Setting) -> Fit:
    """The memory of one setting, with remedies where it does not fit."""
    return with_remedies(outline, evaluate(outline, setting, hardware), hardware)
