"""Correct before fast: every kernel of this device against its plain reference, and a small model end to end."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import Any, cast

import torch

from benchmarks.native.random_model import RandomSource, open_random
from benchmarks.native.shapes import SHAPES
from benchmarks.native.workload import SUFFIX_TOKENS, make_requests
from thresher.engines.native.kernels.attention import KeysValues, Piece, choose_attention
from thresher.engines.native.kernels.choice import runs_triton
from thresher.engines.native.kernels.delta_rule import DeltaRuleInputs, choose_delta_rule
from thresher.engines.native.kernels.rows import Rows
from thresher.engines.native.linear import make_linear
from thresher.engines.native.linear.storage import StoredLinear

#: Largest relative errors (norm of the difference over norm of the reference).
LIMITS = {"kernel bf16": 0.01, "kernel fp8": 0.04, "logits fp32": 1e-4, "logits, times": 1.3}
_LENGTHS = (1, 2, 3, 64, 65, 200, 777, 1500)
_EPS = 1e-6


def check_kernels(device: torch.device) -> dict[str, float]:
    """Relative error of each kernel that ``device`` runs, against plain torch in float32. Empty on a CPU."""
    if not runs_triton(device):
        return {}
    errors: dict[str, float] = {}
    for name, operation, arguments in _elementwise(device):
        fast, plain = (
            getattr(importlib.import_module(f"thresher.engines.native.kernels.{operation}.{kind}"), name)
            for kind in ("triton", "reference")
        )
        errors |= _compare(name, fast, plain, arguments)
    parts = (
        _check_norm_of_many_rows,
        _check_conv,
        _check_rotate,
        _check_gates,
        _check_delta_rule,
        _check_attention,
        _check_products,
    )
    return errors | {name: error for check in parts for name, error in check(device).items()}


def check_model(device: torch.device, precision: str) -> dict[str, float]:
    """Relative error of the logits of answers against float32 on the CPU: of ``device``, and of plain torch.

    A precision rounds, and a random model carries that on and on; so what is checked is that the fast path is not
    further from float32 than plain arithmetic in the same precision.
    """
    config = SHAPES["check" if device.type == "cuda" else "tiny"]
    source = RandomSource(config, torch.device("cpu"))
    prefix_tokens, lengths = (100, _LENGTHS) if device.type == "cuda" else (20, (1, 3, 65))
    requests = make_requests(
        prefix_tokens, [prefix_tokens + SUFFIX_TOKENS + length for length in lengths], config.vocabulary_size
    )
    settings = {"pack_tokens": 1024, "step_tokens": 512}

    def logits(where: torch.device, how: str, at_once: int = len(requests)) -> torch.Tensor:
        with open_random("check", source, how, where, settings) as engine:
            parts = [requests[start : start + at_once] for start in range(0, len(requests), at_once)]
            found = {scores.request_id: scores for part in parts for scores in engine.score(part)}
        failed = [scores.failure for scores in found.values() if scores.failure]
        if failed:
            raise SystemExit(f"the check failed: {failed[0]}")
        answers = torch.tensor([found[request.request_id].answers[0].probabilities for request in requests]).log()
        return answers - answers.mean(dim=1, keepdim=True)

    fast, alone = logits(device, precision), logits(device, precision, at_once=1)
    plain = logits(torch.device("cpu"), precision)
    exact = logits(torch.device("cpu"), "fp32")
    rounding = relative_error(plain, exact)
    return {
        f"logits {precision}": relative_error(fast, exact),
        f"logits {precision}, each document alone": relative_error(alone, exact),
        f"logits {precision}, plain": rounding,
        "logits, times the plain": relative_error(fast, exact) / max(rounding, 1e-5),
        "logits, times the plain, each document alone": relative_error(alone, exact) / max(rounding, 1e-5),
    }


def failures(errors: dict[str, float]) -> list[str]:
    """What is over its limit, in words; NaN is."""
    found = []
    for name, error in errors.items():
        limit = next((limit for key, limit in LIMITS.items() if name.startswith(key)), None)
        if limit is not None and not error <= limit:
            found.append(f"{name}: relative error {error:.4g}, the limit is {limit:g}")
    return found


def relative_error(found: torch.Tensor, expected: torch.Tensor) -> float:
    """Norm of the difference over norm of what is expected."""
    found, expected = found.double(), expected.double()
    return float((found - expected).norm() / expected.norm())


def _numbers(*shape: int, device: torch.device) -> torch.Tensor:
    return torch.randn(shape, device=device)


def _elementwise(device: torch.device) -> Iterator[tuple[str, str, dict[str, Any]]]:
    tokens = 1003
    scale = 1 + 0.1 * _numbers(5120, device=device)
    yield "norm", "norm", {"x": _numbers(tokens, 5120, device=device), "scale": scale, "eps": _EPS}
    yield "swiglu", "swiglu", {"gate_up": _numbers(tokens, 2 * 17_408, device=device)}
    heads = _numbers(tokens, 48, 128, device=device)
    gates = _numbers(tokens, 48 * 128, device=device)
    yield "gated_norm", "gated_norm", {"x": heads, "gate": gates, "scale": scale[:128].contiguous(), "eps": _EPS}
    queries = _numbers(tokens, 24, 512, device=device)
    yield "sigmoid_gate", "gate", {"x": _numbers(tokens, 24, 256, device=device), "gate": queries[..., 256:]}


def _compare(
    name: str, fast: Callable[..., Any], plain: Callable[..., Any], arguments: dict[str, Any]
) -> dict[str, float]:
    """The kernel in bf16 and fp8 against the reference in float32, on the same bf16 numbers."""
    errors = {}
    for quantize in (False, True):
        flags = {"quantize": quantize}
        if name == "norm":
            flags["plain"] = not quantize
        half = {key: _halved(value) if key != "scale" else value for key, value in arguments.items()}
        wide = {key: value.float() if isinstance(value, torch.Tensor) else value for key, value in half.items()}
        exact_flags = {key: key == "plain" for key in flags}
        _poison(arguments)
        found = _values(fast(**half, **flags))
        expected = _values(plain(**wide, **exact_flags))
        errors[f"kernel {'fp8' if quantize else 'bf16'} {name}"] = relative_error(found, expected)
    return errors


def _halved(value: Any) -> Any:
    return value.to(torch.bfloat16) if isinstance(value, torch.Tensor) else value


def _poison(arguments: dict[str, Any]) -> None:
    """Leave NaN in the memory that the kernel's outputs will get."""
    like = next(value for value in arguments.values() if isinstance(value, torch.Tensor))
    garbage = [torch.full_like(like, torch.nan, dtype=torch.bfloat16) for _ in range(4)]
    del garbage


def _values(made: Any) -> torch.Tensor:
    """The rows in float32, factors multiplied in."""
    if not isinstance(made, Rows):
        made = made.rows or Rows(made.plain)
    values: torch.Tensor = made.values.float()
    return values if made.factors is None else values * made.factors


def _check_norm_of_many_rows(device: torch.device) -> dict[str, float]:
    """More rows than programs, and a width that leaves a remainder; both forms at once."""
    from thresher.engines.native.kernels.norm import reference, triton

    errors = {}
    for tokens, width in ((10_007, 5120), (3001, 5000), (9, 40_000)):
        x, scale = _numbers(tokens, width, device=device).bfloat16(), 1 + 0.1 * _numbers(width, device=device)
        found = triton.norm(x, scale, _EPS, plain=True, quantize=True)
        expected = reference.norm(x.float(), scale, _EPS, plain=True, quantize=False).plain_rows()
        errors[f"kernel bf16 norm of {tokens} x {width}"] = relative_error(found.plain_rows(), expected)
        errors[f"kernel fp8 norm of {tokens} x {width}"] = relative_error(_values(found.rows), expected)
    return errors


def _check_conv(device: torch.device) -> dict[str, float]:
    from thresher.engines.native.kernels.conv import reference, triton

    cases: dict[str, tuple[Sequence[int], int]] = {
        "": (_LENGTHS, 16),
        " of short sequences": ([1, 2, 3, 4, 5, 67] * 100, 16),
        " of one sequence": ([4001], 16),
        " of one sequence, its last block a row on": ([65], 16),
        " of few rows": ([3, 60], 16),
        " in tiles": (_LENGTHS, 15),  # heads that do not go into blocks of four
    }
    errors = {}
    for name, (lengths, key_heads) in cases.items():
        sizes = {"key_heads": key_heads, "key_dim": 128}
        channels = 2 * key_heads * 128 + 6144
        x = _numbers(sum(lengths), channels, device=device).to(torch.bfloat16)
        taps = _numbers(channels, 4, device=device)
        before = _numbers(len(lengths), 3, channels, device=device).to(torch.bfloat16)
        found = triton.causal_conv(x, taps, before, lengths, **sizes)
        expected = reference.causal_conv(x.float(), taps, before.float(), lengths, **sizes)
        for part in ("queries", "keys", "values", "tails"):
            errors[f"kernel bf16 conv{name} {part}"] = relative_error(getattr(found, part), getattr(expected, part))
    return errors


def _check_rotate(device: torch.device) -> dict[str, float]:
    from thresher.engines.native.kernels.rotate import reference, triton

    x = _numbers(1003, 24, 512, device=device).to(torch.bfloat16)[..., :256]
    scale, angles = 1 + 0.1 * _numbers(256, device=device), 100 * _numbers(1003, 1, 32, device=device)
    found = torch.full((1003, 24, 256), torch.nan, dtype=torch.bfloat16, device=device)
    expected = torch.empty(1003, 24, 256, device=device)
    triton.norm_rotate(x, scale, _EPS, angles.cos(), angles.sin(), found)
    reference.norm_rotate(x.float(), scale, _EPS, angles.cos(), angles.sin(), expected)
    return {"kernel bf16 norm_rotate": relative_error(found, expected)}


def _check_gates(device: torch.device) -> dict[str, float]:
    from thresher.engines.native.kernels.delta_gates import reference, triton

    ab = _numbers(1003, 96, device=device).to(torch.bfloat16)
    vectors = _numbers(48, device=device), _numbers(48, device=device)
    pairs = zip(("decays", "rates"), triton.delta_gates(ab, *vectors), reference.delta_gates(ab, *vectors), strict=True)
    return {f"kernel bf16 delta gates, {part}": relative_error(found, expected) for part, found, expected in pairs}


def _check_products(device: torch.device) -> dict[str, float]:
    """On the numbers as they are rounded."""
    errors = {}
    x = _numbers(5003, 4096, device=device).to(torch.bfloat16)
    for precision in ("bf16", "fp8"):
        linear = make_linear(0.02 * _numbers(4096, 4096, device=device), precision, device)
        expected = cast(StoredLinear, linear).reference(linear.quantize_activation(x)).float()
        _poison({"like": _numbers(5003, 4096, device=device)})
        errors[f"kernel bf16 product in {precision}"] = relative_error(linear(x), expected)
        total = _numbers(5003, 4096, device=device).to(torch.bfloat16)
        sum_expected = total.float() + expected
        linear.add_to(total, x)
        errors[f"kernel bf16 product in {precision}, added"] = relative_error(total, sum_expected)

    return errors | _check_written_products(x)


def _check_written_products(x: torch.Tensor) -> dict[str, float]:
    """Of a layer as wide as values are, into rows of a memory."""
    errors = {}
    for precision in ("bf16", "fp8"):
        linear = make_linear(0.02 * _numbers(1024, x.shape[1], device=x.device), precision, x.device)
        memory = torch.full((len(x) + 9, 1024), torch.nan, dtype=torch.bfloat16, device=x.device)
        linear.into(memory[7:-2], x)
        expected = cast(StoredLinear, linear).reference(linear.quantize_activation(x))
        errors[f"kernel bf16 product in {precision}, written"] = relative_error(memory[7:-2], expected)
        if not memory[:7].isnan().all() or not memory[-2:].isnan().all():
            errors[f"kernel bf16 product in {precision}, rows beside it"] = torch.inf
    return errors


def _check_delta_rule(device: torch.device) -> dict[str, float]:
    from thresher.engines.native.kernels.delta_rule import chunked

    tokens, sequences = sum(_LENGTHS), len(_LENGTHS)
    unit = torch.nn.functional.normalize
    inputs = DeltaRuleInputs(
        queries=unit(_numbers(tokens, 16, 128, device=device), dim=-1) * 128**-0.5,
        keys=unit(_numbers(tokens, 16, 128, device=device), dim=-1),
        values=_numbers(tokens, 48, 128, device=device).to(torch.bfloat16),
        log_decays=-_numbers(tokens, 48, device=device).abs(),
        rates=_numbers(tokens, 48, device=device).sigmoid(),
        lengths=_LENGTHS,
        states=_numbers(sequences, 48, 128, 128, device=device),
    )
    found, expected = choose_delta_rule(device, 128, 128)(inputs), chunked.run(inputs)
    return {
        f"kernel bf16 delta rule {part}": relative_error(*pair)
        for part, pair in zip(("outputs", "states"), zip(found, expected, strict=True), strict=True)
    }


def _check_attention(device: torch.device) -> dict[str, float]:
    from thresher.engines.native.kernels.attention import reference, varlen

    held, rows = 333, sum(_LENGTHS)
    queries = _numbers(rows, 24, 256, device=device).to(torch.bfloat16)
    seen = KeysValues(*(_numbers(held + rows, 4, 256, device=device).to(torch.bfloat16) for _ in range(2)))
    on_held = [Piece(0, rows, 0, held, False)]
    cases = {  # of which the first alone copies keys
        "of forks": [*_documents(held, _LENGTHS), *on_held],
        "of one document": [*_documents(held, (rows,)), *on_held],
        "without a prefix": _documents(held, _LENGTHS),
    }
    attends = {"": choose_attention(device, torch.bfloat16), " by kind": varlen.attend_by_kind}
    return {
        f"kernel bf16 attention{how} {name}": relative_error(
            attend(queries, pieces, seen), reference.attend(queries.float(), pieces, seen)
        )
        for name, pieces in cases.items()
        for how, attend in attends.items()
    }


def _documents(first_key: int, lengths: Sequence[int]) -> list[Piece]:
    """Each sees itself; the first from ``first_key`` on."""
    return [
        Piece(stop - length, stop, first_key + stop - length, first_key + stop, True)
        for length, stop in zip(lengths, accumulate(lengths), strict=True)
    ]
