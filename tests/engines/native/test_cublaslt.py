"""What is kept for cuBLASLt's products; they are compared on a GPU (benchmarks/native_prefill.py, test_linear.py)."""

from __future__ import annotations

from typing import cast

import pytest
import torch

from thresher.engines.native.linear import cublaslt, cublaslt_binding
from thresher.engines.native.linear.cublaslt_binding import Plan, Session


def test_only_the_plans_last_used_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    destroyed: list[object] = []

    def make(session: object, rows: int, out: int, width: int) -> str:
        made.append(rows)
        return f"plan of {rows}"

    monkeypatch.setattr(cublaslt_binding, "make_plan", make)
    monkeypatch.setattr(cublaslt_binding, "destroy", destroyed.append)
    device = cublaslt._Device(cast(Session, None))

    def plan(rows: int) -> Plan:
        return device.plan(rows, 16, 16)

    for rows in range(cublaslt._KEPT_PLANS):
        plan(rows)
    assert plan(0) == cast(Plan, "plan of 0")
    assert made == list(range(cublaslt._KEPT_PLANS))  # once each
    plan(1000)
    assert destroyed == ["plan of 1"]  # not 0, which was in use since
    plan(1)
    assert made[-1] == 1


@pytest.mark.parametrize(("dtype", "rows"), [(torch.bfloat16, 256), (torch.float32, 256), (torch.bfloat16, 1)])
def test_a_cpu_has_none(dtype: torch.dtype, rows: int) -> None:
    x = torch.zeros(rows, 32, dtype=torch.float8_e4m3fn)
    assert not cublaslt.can_add(torch.zeros(rows, 16, dtype=dtype), x, torch.zeros(16, 32).to(torch.float8_e4m3fn))
