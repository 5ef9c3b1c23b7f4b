"""The kernels of experts and of 4-bit weights on a GPU: first that they are right, then how long they take."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from benchmarks.native.ceilings import median_seconds
from benchmarks.native.checks import relative_error
from thresher.engines.native.config import MoeConfig, NativeConfig
from thresher.engines.native.kernels.combine import reference as combine_reference
from thresher.engines.native.kernels.combine import triton as combine_triton
from thresher.engines.native.kernels.grouped import Groups
from thresher.engines.native.kernels.grouped import reference as grouped_reference
from thresher.engines.native.kernels.grouped import triton as grouped_triton
from thresher.engines.native.kernels.lookup import lookup
from thresher.engines.native.kernels.rows import Rows
from thresher.engines.native.linear import nvfp4, nvfp4_expand, nvfp4_kernels
from thresher.engines.native.linear.rows import quantize_rows
from thresher.engines.native.pinned import pinned_copy

_HOPPER = (9, 0)
#: Rows of experts, none and few and many.
_COUNTS = (0, 1, 17, 300, 0, 128, 129, 5)


def multiply_by_torch(
    x: Rows, weight: torch.Tensor, factors: torch.Tensor | None, groups: Groups, dtype: torch.dtype
) -> torch.Tensor:
    """The grouped products that torch brings for Hopper, to hold ours against."""
    turned = weight.transpose(1, 2)
    if x.factors is None or factors is None:
        return torch._grouped_mm(x.values, turned, offs=groups.ends).to(dtype)
    scales = (x.factors.view(-1), factors.view(len(weight), -1))
    return torch._scaled_grouped_mm(x.values, turned, *scales, offs=groups.ends, out_dtype=dtype, use_fast_accum=True)


def check_moe_kernels(device: torch.device) -> dict[str, float]:
    """Relative error of each kernel against plain torch; 0 means bit for bit."""
    torch.manual_seed(0)
    return _check_grouped(device) | _check_expanding(device) | _check_rest(device)


def _check_grouped(device: torch.device) -> dict[str, float]:
    groups = Groups(torch.tensor(_COUNTS, device=device).cumsum(0).int(), sum(_COUNTS))
    x, weight = torch.randn(groups.rows, 512, device=device), torch.randn(len(_COUNTS), 384, 512, device=device)
    values, factors = quantize_rows(x, 448.0, torch.float8_e4m3fn)
    stored, columns = quantize_rows(weight.view(-1, 512), 448.0, torch.float8_e4m3fn)
    cases: dict[str, tuple[Rows, torch.Tensor, torch.Tensor | None]] = {
        "bf16": (Rows(x.bfloat16()), weight.bfloat16(), None),
        "fp8": (Rows(values, factors), stored.view_as(weight), columns.view(len(_COUNTS), 1, -1)),
    }
    kernels = _kernels(device)
    errors = {}
    for precision, case in cases.items():
        expected = grouped_reference.grouped_multiply(*case, groups, torch.float32)
        for name, kernel in kernels.items():
            found = kernel(*case, groups, torch.bfloat16)
            errors[f"kernel bf16 grouped {precision}, {name}"] = relative_error(found, expected)
            alone = slice(1, 18)  # the third expert's rows with nothing else
            few = Groups(torch.tensor([0, 0, 17, *[17] * 5], device=device).int(), 17)
            rows = Rows(case[0].values[alone], None if case[0].factors is None else case[0].factors[alone])
            errors[f"alone and with others, grouped {precision}, {name}"] = relative_error(
                kernel(rows, case[1], case[2], few, torch.bfloat16), found[alone]
            )
    return errors


def _check_expanding(device: torch.device) -> dict[str, float]:
    x = torch.randn(999, 4096, device=device)
    factors = x.abs().amax(dim=1, keepdim=True) / 2688
    packed, blocks = nvfp4.quantize(x, factors)
    stored = (packed, blocks, factors.flatten())
    wide = nvfp4_kernels.expand(*stored, torch.bfloat16)
    values, found = nvfp4_expand.expand_fp8(*stored)
    expected, divisors = nvfp4_expand.expand_fp8_reference(*stored)
    exact = nvfp4_expand.expand_reference(*stored, torch.float32)
    return {
        "kernel exact expand bf16": relative_error(wide, nvfp4_expand.expand_reference(*stored, torch.bfloat16)),
        "kernel exact expand fp8": relative_error(values, expected) + relative_error(found, divisors),
        "kernel fp8 expand and the 4-bit weights": relative_error(values.float() * found[:, None], exact),
    }


def _check_rest(device: torch.device) -> dict[str, float]:
    found = torch.randn(7770, 4096, device=device).bfloat16()
    places = torch.randperm(7770, device=device).view(777, 10)
    weights, gate = torch.rand(777, 10, device=device), torch.randn(777, 1, device=device).bfloat16()
    shared = torch.randn(777, 4096, device=device).bfloat16()
    arguments = (places, weights, shared, gate)
    total = torch.randn(777, 4096, device=device).bfloat16()
    expected = total.float()
    combine_triton.combine(found, *arguments, total)
    combine_reference.combine(found.float(), *arguments, expected)
    table, memory = pinned_copy(torch.randn(1000, 4096).bfloat16())
    rows = torch.randint(0, 1000, (5000,))
    looked_up = lookup(table, rows.numpy(), device).cpu()
    errors = {
        "kernel bf16 combine": relative_error(total, expected),
        "kernel exact lookup": relative_error(looked_up, table[rows]),
    }
    memory.close()
    return errors


def time_moe(config: NativeConfig, moe: MoeConfig, device: torch.device, tokens: int) -> dict[str, Any]:
    """Milliseconds of each operation of one layer's experts over so many tokens, and rates of the products."""
    count = moe.experts_per_token
    chosen = torch.rand(tokens, moe.experts, device=device)
    picked = chosen.topk(count, dim=-1).indices.flatten()
    groups = Groups(torch.bincount(picked, minlength=moe.experts).cumsum(0).int(), len(picked))
    times: dict[str, Any] = {
        "tokens": tokens,
        "best experts, ms": 1e3 * median_seconds(lambda: chosen.softmax(-1).topk(count, dim=-1), device),
        "sort, ms": 1e3 * median_seconds(lambda: picked.sort(stable=True), device),
    }
    for name, out, inner in (
        ("gate and up", 2 * moe.expert_size, config.hidden_size),
        ("down", config.hidden_size, moe.expert_size),
    ):
        times[name] = _time_matrix((moe.experts, out, inner), groups, device)
    return times


def _time_matrix(shape: tuple[int, int, int], groups: Groups, device: torch.device) -> dict[str, float]:
    """One matrix of all experts: milliseconds of expanding it, TFLOP/s of multiplying by it."""
    experts, out, inner = shape
    packed = torch.randint(0, 256, (experts * out, inner // 2), dtype=torch.uint8, device=device)
    blocks = torch.randint(0x10, 0x50, (experts * out, inner // 16), dtype=torch.uint8, device=device)
    factors = torch.full((experts * out,), 0.1 / inner**0.5, device=device)
    stored = (packed, blocks.view(torch.float8_e4m3fn), factors)
    found = {"4 bits to fp8, ms": 1e3 * median_seconds(lambda: nvfp4_expand.expand_fp8(*stored), device)}
    x = torch.randn(groups.rows, inner, device=device).bfloat16()
    values, divisors = nvfp4_expand.expand_fp8(*stored)
    rounded = Rows(*quantize_rows(x, 448.0, torch.float8_e4m3fn))
    fp8 = _rates(rounded, values.view(shape), divisors.view(experts, 1, out), groups, device)
    found |= {f"fp8, {name}": rate for name, rate in fp8.items()}
    del values, rounded
    wide = nvfp4_expand.expand(*stored, torch.bfloat16).view(shape)
    return found | {f"bf16, {name}": rate for name, rate in _rates(Rows(x), wide, None, groups, device).items()}


def _rates(
    x: Rows, weight: torch.Tensor, factors: torch.Tensor | None, groups: Groups, device: torch.device
) -> dict[str, float]:
    """TFLOP/s by kernel."""
    flops = 2e-12 * groups.rows * weight.shape[1] * weight.shape[2]
    runs = {
        name: partial(kernel, x, weight, factors, groups, torch.bfloat16) for name, kernel in _kernels(device).items()
    }
    return {f"{name}, TFLOP/s": flops / median_seconds(run, device) for name, run in runs.items()}


def _kernels(device: torch.device) -> dict[str, Callable[..., torch.Tensor]]:
    kernels: dict[str, Callable[..., torch.Tensor]] = {"Triton": grouped_triton.grouped_multiply}
    if torch.cuda.get_device_capability(device) == _HOPPER:
        kernels["torch"] = multiply_by_torch
    return kernels
