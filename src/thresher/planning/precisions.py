"""Which precisions an engine can run a model in on a machine, coarser ones last."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from thresher.errors import UsageError
from thresher.hardware import HardwareFacts
from thresher.models.outline import ModelOutline
from thresher.planning.formats import NATIVE_PRECISIONS, SERVER_BITS, gguf_bits, gguf_names
from thresher.planning.setting import least_gpu
from thresher.suggestions import did_you_mean

#: Compute capabilities from which a GPU multiplies in a precision by its tensor cores (engines/native/precision.py).
_NEEDED: Mapping[str, tuple[int, int]] = {"bf16": (8, 0), "fp8": (8, 9), "int8": (7, 5), "nvfp4": (10, 0)}
#: Formats of weights that carry fp8's error or more (engines/native/precision.py).
_COARSE = re.compile(r"^(UD-)?(I?Q[1-5]|TQ|MXFP4|NVFP4|FP8|F8)", re.IGNORECASE)
#: GGUF files that people have of nearly every model.
_USUAL_GGUF = ("Q8_0", "UD-Q5_K_XL", "Q4_K_M")
_GGUF_ENGINES = frozenset({"llamacpp", "llama-server"})


def precisions_for(engine: str, outline: ModelOutline, hardware: HardwareFacts) -> tuple[str, ...]:
    """What a plan shows for ``engine``: all it can do natively, the file's own or the usual quantizations of llama.cpp.

    vLLM and SGLang need a GPU and read checkpoints; for a GGUF file they have none.
    """
    if engine in _GGUF_ENGINES:
        return (outline.quantization,) if outline.is_gguf and outline.quantization else _USUAL_GGUF
    capability = least_gpu(hardware).capability if hardware.gpus else None
    if engine == "native":
        return _native(hardware, capability)
    if outline.is_gguf or not hardware.gpus:
        return ()
    return tuple(precision for precision in SERVER_BITS if _runs(precision, capability))


def automatic_precision(outline: ModelOutline, hardware: HardwareFacts) -> str:
    """What the native engine takes by itself: the fastest that rounds no more than the weights' own format did.

    As engines/native/precision.py chooses; a test compares them.
    """
    if not hardware.gpus:
        return "fp32"
    capability = least_gpu(hardware).capability or (8, 0)
    if capability < _NEEDED["bf16"]:
        return "fp32"
    coarse = _COARSE.match(outline.quantization or "")
    return "fp8" if coarse and capability >= _NEEDED["fp8"] else "bf16"


def check_precision(precision: str, engines: Sequence[str], outline: ModelOutline) -> dict[str, str]:
    """Engine -> ``precision`` as it spells it, for those of ``engines`` that have it.

    Raises:
        UsageError: none of them has it; says which there are.
    """
    found: dict[str, str] = {}
    for engine in engines:
        own = NATIVE_PRECISIONS if engine == "native" else tuple(SERVER_BITS)
        if engine in _GGUF_ENGINES:
            own = (*gguf_names(), *filter(None, [outline.quantization if outline.is_gguf else None]))
        match = next((name for name in own if name.lower() == precision.lower()), None)
        if match is not None:
            found[engine] = match
    if not found:
        known = dict.fromkeys((*NATIVE_PRECISIONS, *SERVER_BITS, *gguf_names()))
        raise UsageError(
            f"--precision {precision}: no such precision for {', '.join(engines)}{did_you_mean(precision, known)}; "
            f"there are {', '.join(known)}"
        )
    return found


def is_coarser(precision: str, than: str) -> bool:
    """Whether weights in ``precision`` take fewer bits."""
    return _bits(precision) < _bits(than)


def _bits(precision: str) -> float:
    if precision in NATIVE_PRECISIONS:
        return {"fp32": 32.0, "bf16": 16.0, "fp8": 8.0, "int8": 8.0}.get(precision, 4.5)
    return SERVER_BITS[precision] if precision in SERVER_BITS else gguf_bits(precision)


def _native(hardware: HardwareFacts, capability: tuple[int, int] | None) -> tuple[str, ...]:
    if not hardware.gpus:
        return ("fp32", "bf16")
    four_bits = "nvfp4" if capability is None or capability >= _NEEDED["nvfp4"] else "nvfp4-bf16"
    wanted = ("bf16", "fp8", "int8", four_bits)
    return tuple(name for name in wanted if _runs(name.removeprefix("nvfp4-"), capability))


def _runs(precision: str, capability: tuple[int, int] | None) -> bool:
    """Unknown cards are given the benefit of the doubt."""
    return capability is None or capability >= _NEEDED.get(precision, (0, 0))
