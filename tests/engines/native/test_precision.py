"""Which precision is chosen, and what is said about it."""

from __future__ import annotations

import pytest

from thresher.engines.native.linear import PRECISIONS
from thresher.engines.native.precision import choose_precision
from thresher.errors import UsageError

CAPABILITIES = [None, (7, 0), (7, 5), (8, 0), (8, 6), (8, 9), (9, 0), (10, 0), (12, 0)]


@pytest.mark.parametrize(
    ("capability", "stored", "chosen", "said"),
    [
        (None, "BF16", "fp32", "slow and meant for tests"),
        ((7, 5), "Q4_K_M", "fp32", "7.5 has no bf16"),
        ((8, 6), "Q4_K_M", "bf16", "8.6 multiplies fastest"),
        ((8, 9), "BF16", "bf16", "fp8 would round more than the weights' own format, BF16"),
        ((9, 0), "Q8_0", "bf16", "Q8_0"),
        ((9, 0), "Q6_K", "bf16", "Q6_K"),
        ((9, 0), "Q5_K_M", "fp8", "rounds no more than Q5_K_M"),
        ((12, 0), "UD-Q4_K_XL", "fp8", "UD-Q4_K_XL"),
        ((9, 0), "IQ4_XS", "fp8", "IQ4_XS"),
        ((9, 0), "FP8", "fp8", "FP8"),
    ],
)
def test_auto_explains_itself(capability: tuple[int, int] | None, stored: str, chosen: str, said: str) -> None:
    precision, explanation = choose_precision("auto", capability, stored)
    assert precision == chosen
    assert said in explanation


#: Precision -> the first capability that serves it; those that are not here run everywhere.
FIRST = {"bf16": (8, 0), "nvfp4-bf16": (8, 0), "nvfp4": (8, 0), "fp8": (8, 9), "nvfp4-fp8": (8, 9), "int8": (7, 5)}


@pytest.mark.parametrize("capability", CAPABILITIES)
@pytest.mark.parametrize("precision", PRECISIONS)
def test_what_is_asked_is_done_or_refused(precision: str, capability: tuple[int, int] | None) -> None:
    if capability is not None and capability < FIRST.get(precision, (0, 0)):
        with pytest.raises(UsageError, match=rf"--precision {precision}: compute capability .* this GPU has fp32"):
            choose_precision(precision, capability, "BF16")
        return
    chosen, explanation = choose_precision(precision.upper(), capability, "BF16")
    if precision == "nvfp4" and capability is not None and capability < (10, 0):
        assert chosen == "nvfp4-bf16"
        assert "multiplied in bf16" in explanation
    else:
        assert chosen == precision
        assert explanation.startswith("as asked")


def test_a_precision_that_does_not_exist_suggests_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"--precision fp16: the native engine has fp32, .*did you mean 'bf16'|'fp8'"):
        choose_precision("fp16", (9, 0), "BF16")
