"""Which precision to compute in, and why.

``auto`` takes the fastest whose own rounding is no coarser than what the file's format did to the weights already. The
relative errors it goes by are of normally distributed numbers, measured (tests/engines/native/test_linear.py and
docs/native.md): 0.5% for weights in Q8_0 and 4% in the 5-bit formats; 4% for a product in fp8, weights and activations
together.
"""

from __future__ import annotations

import difflib
import re
from typing import NamedTuple

from thresher.engines.native.linear import PRECISIONS
from thresher.errors import UsageError

AUTO = "auto"
#: Compute capabilities from which a GPU multiplies in a precision by its tensor cores.
_NEEDED: dict[str, tuple[int, int]] = {"bf16": (8, 0), "fp8": (8, 9), "int8": (7, 5), "nvfp4": (10, 0)}
#: Formats of weights that carry fp8's error or more: 5 bits and fewer, and fp8 itself.
_COARSE = re.compile(r"^(UD-)?(I?Q[1-5]|TQ|MXFP4|NVFP4|FP8|F8)", re.IGNORECASE)


class PrecisionChoice(NamedTuple):
    """A precision of :data:`~thresher.engines.native.linear.PRECISIONS` and why, in words that follow its name."""

    precision: str
    explanation: str


def choose_precision(asked: str, capability: tuple[int, int] | None, stored_format: str) -> PrecisionChoice:
    """The precision to compute in on a CUDA device of this capability (None: a CPU).

    ``asked`` is a precision or "auto"; ``stored_format`` is ``ModelFacts.quantization``, e.g. "BF16", "Q5_K_M", "FP8".

    Raises:
        UsageError: no such precision, with the nearest, or one that this device cannot multiply in.
    """
    wanted = asked.lower()
    if wanted == AUTO:
        return _automatic(capability, stored_format)
    if wanted not in PRECISIONS:
        near = difflib.get_close_matches(wanted, [*PRECISIONS, AUTO], 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise UsageError(f"--precision {asked}: the native engine has {', '.join([*PRECISIONS, AUTO])}{hint}")
    return _as_asked(wanted, capability)


def _automatic(capability: tuple[int, int] | None, stored_format: str) -> PrecisionChoice:
    if capability is None:
        return PrecisionChoice("fp32", "a CPU computes in it without rounding; it is slow and meant for tests")
    if capability < _NEEDED["bf16"]:
        return PrecisionChoice("fp32", f"{_named(capability)} has no bf16")
    if capability < _NEEDED["fp8"]:
        return PrecisionChoice("bf16", f"{_named(capability)} multiplies fastest in it without coarser rounding")
    if _COARSE.match(stored_format):
        return PrecisionChoice("fp8", f"twice the rate of bf16, and rounds no more than {stored_format} did already")
    return PrecisionChoice(
        "bf16", f"fp8 would round more than the weights' own format, {stored_format}; ask for it to go faster"
    )


def _as_asked(wanted: str, capability: tuple[int, int] | None) -> PrecisionChoice:
    multiplied_in = wanted.removeprefix("nvfp4-")
    if capability is None:
        slow = multiplied_in in {"fp8", "nvfp4"}
        return PrecisionChoice(wanted, "as asked" + ("; a CPU only simulates it, slowly" if slow else ""))
    needed = _NEEDED.get(multiplied_in)
    if needed is None or capability >= needed:
        return PrecisionChoice(wanted, "as asked")
    if wanted == "nvfp4" and capability >= _NEEDED["bf16"]:
        return PrecisionChoice(
            "nvfp4-bf16",
            f"{_named(capability)} does not multiply in nvfp4 ({_named(needed)} and later do): the weights are kept in "
            "nvfp4 and multiplied in bf16",
        )
    possible = [name for name in PRECISIONS if capability >= _NEEDED.get(name.removeprefix("nvfp4-"), (0, 0))]
    raise UsageError(
        f"--precision {wanted}: {_named(capability)} does not multiply in it, {_named(needed)} and later do; "
        f"this GPU has {', '.join(possible)}"
    )


def _named(capability: tuple[int, int]) -> str:
    return f"compute capability {capability[0]}.{capability[1]}"
