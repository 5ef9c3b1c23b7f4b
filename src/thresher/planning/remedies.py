"""What would fit where a setting does not. Each remedy is planned itself before it is named."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from thresher.hardware import HardwareFacts
from thresher.models.outline import ModelOutline
from thresher.planning.evaluate import LEAST_CONTEXT, evaluate, largest_context
from thresher.planning.fit import Fit
from thresher.planning.formats import gguf_bits, gguf_names
from thresher.planning.precisions import is_coarser, precisions_for
from thresher.planning.setting import Setting

_GIB = 1 << 30
_MOST_GPUS = 64
#: Shares of a device's free memory that weights are tried in, from the most: the rest is for what is computed.
_WEIGHT_SHARES = (0.85, 0.7, 0.55, 0.4, 0.25)


def with_remedies(outline: ModelOutline, fit: Fit, hardware: HardwareFacts) -> Fit:
    """``fit`` with what would fit instead, if it does not: the first of each kind that does."""
    if fit.fits:
        return fit
    found = [_said(fit.setting, other, hardware) for other in _that_fit(outline, fit.setting, hardware)]
    return replace(fit, remedies=tuple(found))


def streaming_limit(outline: ModelOutline, setting: Setting, hardware: HardwareFacts) -> Fit | None:
    """``setting`` with the largest ``--weights-memory`` (in tenths of a GiB) that leaves room for its context."""
    room = evaluate(outline, setting, hardware).available_bytes
    for share in _WEIGHT_SHARES:
        limit = int(share * room * 10 // _GIB) * _GIB // 10
        fit = evaluate(outline, replace(setting, weights_memory_bytes=limit), hardware)
        if fit.fits and fit.streamed_layers and limit != setting.weights_memory_bytes:
            return fit
    return None


def _that_fit(outline: ModelOutline, setting: Setting, hardware: HardwareFacts) -> Iterator[Fit]:
    """Changes in the order in which they cost least: speed, room, exactness, money."""
    if setting.engine == "native":
        whole = evaluate(outline, replace(setting, weights_memory_bytes=None), hardware)
        if whole.fits:
            yield whole
        streamed = streaming_limit(outline, setting, hardware)
        if streamed is not None:
            yield streamed
    yield from _fewer_slots(outline, setting, hardware)
    context = largest_context(outline, setting, hardware)
    if LEAST_CONTEXT <= context < setting.context_tokens:
        yield evaluate(outline, replace(setting, context_tokens=context), hardware)
    for other in (_coarser(outline, setting, hardware), _more_gpus(outline, setting, hardware)):
        if other is not None:
            yield other


def _fewer_slots(outline: ModelOutline, setting: Setting, hardware: HardwareFacts) -> Iterator[Fit]:
    for slots in range((setting.slots or 1) - 1, 0, -1):
        fit = evaluate(outline, replace(setting, slots=slots), hardware)
        if fit.fits:
            yield fit
            return


def _coarser(outline: ModelOutline, setting: Setting, hardware: HardwareFacts) -> Fit | None:
    """The least coarse of the coarser precisions that fits; of llama.cpp other files of the same model."""
    names = precisions_for(setting.engine, outline, hardware)
    if setting.engine in {"llamacpp", "llama-server"}:
        names = gguf_names()
    for precision in names:
        if _is_coarser(outline, precision, setting):
            fit = evaluate(outline, replace(setting, precision=precision), hardware)
            if fit.fits:
                return fit
    return None


def _is_coarser(outline: ModelOutline, precision: str, setting: Setting) -> bool:
    """Whether ``precision`` takes fewer bits than the setting's, whose file may have a name that says no size."""
    if outline.is_gguf and precision != setting.precision and setting.precision not in gguf_names():
        bits = 8 * sum(part.size_bytes for part in outline.stored.values()) / outline.parameters
        return setting.engine in {"llamacpp", "llama-server"} and gguf_bits(precision) < bits
    return is_coarser(precision, setting.precision)


def _more_gpus(outline: ModelOutline, setting: Setting, hardware: HardwareFacts) -> Fit | None:
    if not setting.gpus:
        return None
    together = evaluate(outline, setting, hardware)
    least = setting.gpus * together.parts["weights"] // max(1, together.available_bytes)
    for gpus in range(max(setting.gpus + 1, least), _MOST_GPUS + 1):
        fit = evaluate(outline, replace(setting, gpus=gpus), hardware)
        if fit.fits:
            return fit
    return None


def _said(before: Setting, fit: Fit, hardware: HardwareFacts) -> str:
    """The change from ``before``, in words that name the flag where there is one."""
    after = fit.setting
    if before.weights_memory_bytes is not None and after.weights_memory_bytes is None:
        return "no --weights-memory: all layers fit"
    if after.weights_memory_bytes != before.weights_memory_bytes and after.weights_memory_bytes is not None:
        where = "host memory" if fit.host_bytes <= hardware.free_memory_bytes else "disk, for host memory is too small"
        return (
            f"--weights-memory {after.weights_memory_bytes / _GIB:g}GiB: {fit.streamed_layers} layers are streamed "
            f"from {where} ({fit.host_bytes / _GIB:.1f} GiB)"
        )
    if after.slots != before.slots:
        return f"{after.slots} slots"
    if after.context_tokens != before.context_tokens:
        return f"--context {after.context_tokens}"
    if after.precision != before.precision:
        return f"--precision {after.precision}" if after.engine == "native" else f"the model in {after.precision}"
    return f"{after.gpus} such GPUs"
