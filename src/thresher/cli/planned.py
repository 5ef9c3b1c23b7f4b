"""How a plan is shown: tables for people, one JSON object for programs."""

from __future__ import annotations

from typing import Any

from thresher.cli.console import print_line, print_table
from thresher.durations import duration
from thresher.hardware import HardwareFacts
from thresher.planning import Fit, Plan, Speed

_GIB = 1 << 30
_MIB = 1 << 20


def print_plan(plan: Plan) -> None:
    """Everything as tables on stdout."""
    _print_model(plan)
    _print_weights(plan)
    _print_fits(plan)
    _print_speeds(plan)
    if plan.documents is not None:
        counts = plan.documents
        print_line(
            f"documents: {counts.documents:,} ({counts.duplicates:,} duplicates, {counts.unreadable:,} unreadable), "
            f"{counts.tokens:,} tokens, the longest {counts.longest_tokens:,}; a task's own words come on top"
        )


def as_json(plan: Plan) -> dict[str, Any]:
    """The same, unrounded."""
    documents = plan.documents
    return {
        "model": plan.outline.name,
        "reference": plan.outline.reference,
        "source": plan.outline.source,
        "architecture": plan.outline.shape.architecture,
        "quantization": plan.outline.quantization,
        "context": plan.outline.shape.context_tokens,
        "parameters": plan.parameters,
        "active_parameters": plan.active_parameters,
        "kv_bytes_per_token": plan.kv_bytes_per_token,
        "state_bytes_per_sequence": plan.state_bytes_per_sequence,
        "weights_bytes": {precision: sum(parts.values()) for precision, parts in plan.weights.items()},
        "weights_bytes_by_part": {precision: dict(parts) for precision, parts in plan.weights.items()},
        "stored_types_bytes": dict(plan.outline.types),
        "hardware": _hardware_json(plan.hardware),
        "fits": [_fit_json(fit) for fit in plan.fits],
        "speed": [_speed_json(speed) for speed in plan.speeds],
        "documents": None
        if documents is None
        else {
            "documents": documents.documents,
            "duplicates": documents.duplicates,
            "unreadable": documents.unreadable,
            "tokens": documents.tokens,
            "longest_tokens": documents.longest_tokens,
        },
    }


def _hardware_json(hardware: HardwareFacts) -> dict[str, Any]:
    return {
        "this_machine": hardware.present,
        "cpu": hardware.cpu,
        "cores": hardware.cores,
        "memory_bytes": hardware.memory_bytes,
        "free_memory_bytes": hardware.free_memory_bytes,
        "gpus": [
            {
                "name": gpu.name,
                "memory_bytes": gpu.memory_bytes,
                "free_bytes": gpu.free_bytes,
                "bandwidth_bytes_per_second": gpu.bandwidth,
                "operations_per_second": dict(gpu.rates),
                "measured_operations_per_second": dict(gpu.measured_rates),
                "source": gpu.source,
            }
            for gpu in hardware.gpus
        ],
    }


def _fit_json(fit: Fit) -> dict[str, Any]:
    setting = fit.setting
    return {
        "engine": setting.engine,
        "precision": setting.precision,
        "context": setting.context_tokens,
        "slots": fit.slots,
        "pack": fit.pack_tokens,
        "gpus": setting.gpus,
        "weights_memory_bytes": setting.weights_memory_bytes,
        "streamed_layers": fit.streamed_layers,
        "streamed_bytes": fit.streamed_bytes,
        "bytes": fit.bytes,
        "bytes_by_part": dict(fit.parts),
        "available_bytes": fit.available_bytes,
        "host_bytes": fit.host_bytes,
        "fits": fit.fits,
        "remedy": fit.remedy,
        "remedies": list(fit.remedies),
        "basis": fit.basis,
    }


def _speed_json(speed: Speed) -> dict[str, Any]:
    names = Speed.__dataclass_fields__
    return {name: getattr(speed, name) for name in names}


def _print_model(plan: Plan) -> None:
    shape, outline = plan.outline.shape, plan.outline
    kinds = f"{shape.layers} layers"
    if shape.delta is not None:
        kinds += f" ({shape.full_layers} with attention, {shape.layers - shape.full_layers} Gated DeltaNet)"
    rows = [
        ("read from", outline.source),
        ("architecture", f"{shape.architecture}, {kinds}, context {shape.context_tokens:,}"),
        ("parameters", f"{plan.parameters / 1e9:.2f} B, {plan.active_parameters / 1e9:.2f} B active for a token"),
        ("KV cache", f"{plan.kv_bytes_per_token:,} bytes a token in 16 bits"),
        ("recurrent state", f"{plan.state_bytes_per_sequence / _MIB:,.1f} MiB a sequence"),
        ("machine", _machine(plan.hardware)),
    ]
    print_table(("model", outline.name), rows)
    print_line("")


def _machine(hardware: HardwareFacts) -> str:
    memory = f"{hardware.free_memory_bytes / _GIB:.1f} GiB of host memory"
    memory += " free here" if hardware.present else ""
    if not hardware.gpus:
        return f"no GPU: {hardware.cores} cores of {hardware.cpu}, {memory}"
    gpu = hardware.gpus[0]
    count = f"{len(hardware.gpus)} x " if len(hardware.gpus) > 1 else ""
    return f"{count}{gpu.name}, {gpu.memory_bytes / _GIB:.1f} GiB ({gpu.source}); {memory}"


def _print_weights(plan: Plan) -> None:
    shown = {fit.setting.precision for fit in plan.fits} | {plan.outline.quantization}
    precisions = [name for name in plan.weights if name in shown]
    parts = list(plan.weights[precisions[0]]) if precisions else []
    rows = [
        (name, f"{sum(plan.weights[name].values()) / _GIB:,.2f}",
         *(f"{plan.weights[name].get(part, 0) / _GIB:,.2f}" for part in parts))
        for name in precisions
    ]  # fmt: skip
    columns = ("weights, GiB", "all", *parts)
    print_table(columns, rows, right=columns[1:])
    print_line("")


def _print_fits(plan: Plan) -> None:
    rows = []
    for fit in plan.fits:
        setting = fit.setting
        rows.append(
            (setting.engine, setting.precision, f"{setting.context_tokens:,}", _work(fit),
             f"{fit.bytes / _GIB:,.1f}", f"{fit.available_bytes / _GIB:,.1f}", "yes" if fit.fits else "no",
             _note(fit))
        )  # fmt: skip
    each = " each" if len(plan.hardware.gpus) > 1 else ""
    columns = (
        "engine",
        "precision",
        "context",
        "work",
        f"GiB{each}",
        "free",
        "fits",
        "what would fit, or what it takes",
    )
    print_table(columns, rows, right=("context", f"GiB{each}", "free"))
    print_line("")


def _work(fit: Fit) -> str:
    if fit.pack_tokens:
        return f"pack {fit.pack_tokens:,}"
    return "" if fit.slots is None else f"{fit.slots} slot{'s' if fit.slots > 1 else ''}"


def _note(fit: Fit) -> str:
    limit = fit.setting.weights_memory_bytes
    if fit.fits and limit is not None and fit.streamed_layers:
        return f"--weights-memory {limit / _GIB:g}GiB, {fit.streamed_layers} layers streamed"
    return "" if fit.fits else fit.remedy or fit.problem or "nothing that was tried"


def _print_speeds(plan: Plan) -> None:
    rows = [_speed_row(speed) for speed in plan.speeds]
    if rows:
        columns = ("engine", "precision", "weights", "tokens/s", "range", "known by", "time for the documents")
        print_table(columns, rows, right=("tokens/s", "range"))
    elif any(fit.fits for fit in plan.fits):
        print_line("speed: the rates of this machine are not known; thresher classify --dry-run measures on the spot")
    else:
        print_line("speed: nothing fits as asked")


def _speed_row(speed: Speed) -> tuple[str, ...]:
    return (
        speed.engine,
        speed.precision,
        "streamed" if speed.streamed_layers else "",
        f"{speed.tokens_per_second:,.0f}",
        f"{speed.low:,.0f} to {speed.high:,.0f}",
        speed.basis,
        _time(speed),
    )


def _time(speed: Speed) -> str:
    if speed.seconds is None or speed.seconds_low is None or speed.seconds_high is None:
        return ""
    return f"{duration(speed.seconds)} ({duration(speed.seconds_low)} to {duration(speed.seconds_high)})"
