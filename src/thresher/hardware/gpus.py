"""The table of named GPUs (``gpus.json``), with the source of each figure."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from importlib import resources
from typing import Any

from thresher.errors import UsageError
from thresher.hardware.facts import GpuFacts
from thresher.suggestions import did_you_mean

_MIB = 1 << 20
_RATES = ("bf16", "fp8", "int8", "nvfp4")
_OWN = "measured by this project"


def gpu_names() -> tuple[str, ...]:
    """What ``--gpu`` takes."""
    return tuple(_table()["gpus"])


def named_gpu(name: str) -> GpuFacts:
    """The GPU called ``name``, as its maker describes it. Raises ``UsageError`` for a name not in the table."""
    key = name.strip().lower().replace("_", "-").replace(" ", "-")
    entries: Mapping[str, Any] = _table()["gpus"]
    if key not in entries:
        key = next((own for own in entries if key in {f"nvidia-{own}", own.replace("-", ""), f"rtx-{own}"}), key)
    if key not in entries:
        raise UsageError(
            f"--gpu {name}: not in the table of GPUs{did_you_mean(key, entries, most=3)}; known are "
            f"{', '.join(entries)}; for another one give its memory, as in --vram 24"
        )
    return _facts(entries[key], key)


def known_gpu(title: str, memory_bytes: int, free_bytes: int, capability: tuple[int, int] | None) -> GpuFacts:
    """The GPU that the driver calls ``title``: with the table's rates where it is in there, else without any."""
    entries: Mapping[str, Any] = _table()["gpus"]
    key = next((own for own, entry in entries.items() if entry["title"] == title), None)
    if key is None:
        return GpuFacts(
            name=title, memory_bytes=memory_bytes, free_bytes=free_bytes, capability=capability, source="its driver"
        )
    facts = _facts(entries[key], title)
    return GpuFacts(
        name=title,
        memory_bytes=memory_bytes,
        free_bytes=free_bytes,
        capability=capability or facts.capability,
        bandwidth=facts.bandwidth,
        host_bandwidth=facts.host_bandwidth,
        rates=facts.rates,
        measured_rates=facts.measured_rates,
        source=f"its driver; rates: {facts.source}",
    )


def unnamed_gpu(memory_bytes: int) -> GpuFacts:
    """A GPU of which only the memory is known."""
    gib = memory_bytes / (1 << 30)
    return GpuFacts(
        name=f"a GPU with {gib:g} GiB", memory_bytes=memory_bytes, free_bytes=memory_bytes, source="as asked"
    )


def _facts(entry: Mapping[str, Any], name: str) -> GpuFacts:
    measured: Mapping[str, float] = entry.get("measured", {})
    memory = entry["memory_mib"] * _MIB
    return GpuFacts(
        name=name,
        memory_bytes=memory,
        free_bytes=memory,
        capability=(entry["capability"][0], entry["capability"][1]),
        bandwidth=1e9 * measured.get("bandwidth", entry["bandwidth"]),
        host_bandwidth=1e9 * entry["host"],
        rates={rate: 1e12 * entry[rate] for rate in _RATES if rate in entry},
        measured_rates={rate: 1e12 * measured[rate] for rate in _RATES if rate in measured},
        source=_table()["sources"][entry["source"]] + (f"; some {_OWN}" if measured else ""),
    )


@functools.cache
def _table() -> Mapping[str, Any]:
    text = (resources.files("thresher.hardware") / "gpus.json").read_text("utf-8")
    table: Mapping[str, Any] = json.loads(text)
    return table
