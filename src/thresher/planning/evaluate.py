"""One setting -> its memory; the most that fits of what was left open."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from thresher.hardware import HardwareFacts
from thresher.models.outline import ModelOutline
from thresher.planning.fit import Fit
from thresher.planning.llamacpp_memory import llamacpp_fit, server_fit
from thresher.planning.native_memory import native_fit
from thresher.planning.server_memory import sglang_fit, vllm_fit
from thresher.planning.setting import Room, Setting, room_for

_FORMULAS: Mapping[str, Callable[[ModelOutline, Setting, Room], Fit]] = {
    "native": lambda outline, setting, room: native_fit(outline.shape, setting, room),
    "llamacpp": llamacpp_fit,
    "llama-server": server_fit,
    "vllm": vllm_fit,
    "sglang": sglang_fit,
}
#: Contexts are worked out in steps of this many tokens, and below the least no document worth labelling fits.
CONTEXT_STEP, LEAST_CONTEXT = 256, 512
#: More requests at a time gain nothing: the cards are busy with a few.
_MOST_SLOTS = 64


def evaluate(outline: ModelOutline, setting: Setting, hardware: HardwareFacts) -> Fit:
    """The memory of exactly this setting."""
    return _FORMULAS[setting.engine](outline, setting, room_for(hardware, setting))


def with_most_slots(outline: ModelOutline, setting: Setting, hardware: HardwareFacts) -> Fit:
    """The memory of ``setting``; where llama-server's slots are left open, with as many as fit (at most 64)."""
    if setting.engine != "llama-server" or setting.slots is not None:
        return evaluate(outline, setting, hardware)
    most = _largest(lambda n: evaluate(outline, replace(setting, slots=n), hardware).fits, 1, _MOST_SLOTS)
    return evaluate(outline, replace(setting, slots=most or 1), hardware)


def largest_context(outline: ModelOutline, setting: Setting, hardware: HardwareFacts) -> int:
    """The longest request that fits, up to the model's own context; 0 where not even the least does."""

    def fits(steps: int) -> bool:
        return evaluate(outline, replace(setting, context_tokens=steps * CONTEXT_STEP), hardware).fits

    most = outline.shape.context_tokens // CONTEXT_STEP
    if CONTEXT_STEP * most < LEAST_CONTEXT:
        least = least_context(outline)
        return least if evaluate(outline, replace(setting, context_tokens=least), hardware).fits else 0
    return CONTEXT_STEP * _largest(fits, LEAST_CONTEXT // CONTEXT_STEP, most)


def least_context(outline: ModelOutline) -> int:
    """The smallest context that an engine opens with: 512 tokens, or the model's own where that is less."""
    return min(LEAST_CONTEXT, outline.shape.context_tokens)


def _largest(fits: Callable[[int], bool], least: int, most: int) -> int:
    """The largest number from ``least`` to ``most`` that fits, when less fits wherever more does; 0 where none."""
    if most < least or not fits(least):
        return 0
    if fits(most):
        return most
    low, high = least, most
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low
