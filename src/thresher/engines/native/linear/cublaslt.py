"""E4M3 products that are added to what is there, by cuBLASLt: torch has them only into memory of their own.

So the residual stream is read and written by the product that adds to it, and by nothing else. (Looking for a faster
algorithm than the library's first proposal is in vain: in a burst they differ by 30%, but large products run a card
into its power limit within a second, and there all good ones of the 27B's shapes were within the noise of 2%, on an
H200 with torch 2.11.)
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from functools import cache
from threading import Lock

import torch

from thresher.engines.native.linear import cublaslt_binding as binding
from thresher.engines.native.linear.cublaslt_binding import Plan, Session

#: The only generation that this was run on.
_CAPABILITY = (9, 0)
#: From which the library takes a factor for each row: 12.9.
_LEAST_VERSION = 120_900
#: Smaller products take no time.
_LEAST_ROWS = 128
_KEPT_PLANS = 64


@dataclass(frozen=True, slots=True)
class _Device:
    """A plan is told of its operands' factors, then run: no other thread may come between (one GPU may have two)."""

    session: Session
    lock: Lock = field(default_factory=Lock)
    plans: OrderedDict[tuple[int, int, int], Plan] = field(default_factory=OrderedDict)

    def plan(self, rows: int, out: int, width: int) -> Plan:
        """Made once for all layers of a step."""
        key = (rows, out, width)
        if key not in self.plans:
            if len(self.plans) == _KEPT_PLANS:
                binding.destroy(self.plans.popitem(last=False)[1])
            self.plans[key] = binding.make_plan(self.session, *key)
        self.plans.move_to_end(key)
        return self.plans[key]


def can_add(total: torch.Tensor, x: torch.Tensor, weight: torch.Tensor) -> bool:
    """Whether :func:`add_product` takes these, and it is worth it."""
    fits = total.dtype == torch.bfloat16 and total.is_contiguous() and total.shape == (len(x), len(weight))
    return fits and x.device.type == "cuda" and len(x) >= _LEAST_ROWS and x.is_contiguous() and _usable(x.device)


def add_product(
    total: torch.Tensor, x: torch.Tensor, x_factors: torch.Tensor, weight: torch.Tensor, weight_factors: torch.Tensor
) -> None:
    """``total`` bfloat16 [T, out] += ``x`` [T, in] @ ``weight`` [out, in].T, both E4M3, contiguous and of 16s.

    Factors are float32, [T, 1] and [1, out]. The sum is made in float32 and rounded once. Raises ``RuntimeError`` where
    the library fails.
    """
    device = _device(x.device)
    with device.lock:
        plan = device.plan(len(x), len(weight), x.shape[1])
        binding.run(device.session, plan, x, x_factors, weight, weight_factors, total)


@cache
def _usable(device: torch.device) -> bool:
    if torch.cuda.get_device_capability(device) != _CAPABILITY:
        return False
    try:
        version = binding.library().cublasLtGetVersion()
    except OSError:
        return False
    return int(version) >= _LEAST_VERSION


@cache
def _device(device: torch.device) -> _Device:
    return _Device(binding.open_session(device))
