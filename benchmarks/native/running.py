"""What the benchmarks of the native engine do alike: read requests, empty the device, say what is installed."""

from __future__ import annotations

import gc
import platform
import time
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch

from thresher.engines.native.engine import NativeEngine
from thresher.types import Request

_PACKAGES = ("thresher", "torch", "triton", "fla-core", "flashinfer-python", "flash-attn-3", "fa3-fwd", "numpy")


def read(engine: NativeEngine, requests: list[Request]) -> dict[str, Any]:
    """Read all; figures of it."""
    start = time.perf_counter()
    found = list(engine.score(requests))
    seconds = time.perf_counter() - start
    failed = [scores.failure for scores in found if scores.failure]
    if failed:
        raise SystemExit(f"a request failed: {failed[0].reason}")
    computed = sum(scores.computed_tokens for scores in found)
    cached = sum(scores.cached_tokens for scores in found)
    return {
        "tokens_per_second": computed / seconds,
        "prompt_tokens_per_second": (computed + cached) / seconds,
        "documents_per_second": len(found) / seconds,
        "seconds": seconds,
        "computed_tokens": computed,
        "cached_tokens": cached,
    }


def forget(device: torch.device) -> None:
    """Give back what is not in use, and count the peak anew."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.init()  # type: ignore[no-untyped-call]  # may be the first that is asked of it
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


def versions() -> dict[str, str | None]:
    """Of Python, CUDA and the packages that speed depends on; None where one is not installed."""
    return {"python": platform.python_version(), "cuda": torch.version.cuda} | {
        name: _version(name) for name in _PACKAGES
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
