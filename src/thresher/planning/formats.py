"""Bytes of weights in every format that an engine keeps them in."""

from __future__ import annotations

import functools
import json
from collections import defaultdict
from collections.abc import Mapping
from importlib import resources
from typing import Any

from thresher.errors import UsageError
from thresher.models.outline import ModelOutline
from thresher.models.shape import ModelShape
from thresher.models.shape_weights import Part, Weight, weights_of
from thresher.suggestions import did_you_mean

#: Of the native engine (engines/native/linear).
NATIVE_PRECISIONS = ("fp32", "bf16", "fp8", "int8", "nvfp4", "nvfp4-bf16", "nvfp4-fp8")
#: Of vLLM and SGLang: precision -> bits of a weight of a quantized layer, scales included. fp8: a float32 factor for
#: 128 x 128 weights; int4 (AWQ, GPTQ): a 16-bit factor and a 4-bit zero for 128; nvfp4: an 8-bit factor for 16.
SERVER_BITS: Mapping[str, float] = {"bf16": 16.0, "fp8": 8.0 + 32 / 128**2, "int4": 4.0 + 20 / 128, "nvfp4": 4.5}
#: What servers' quantizers leave in 16 bits.
_SERVER_PLAIN: frozenset[Part] = frozenset({"embedding", "head", "other"})
_ROW_STEP, _BLOCK = 16, 16


def native_weight_bytes(out_features: int, in_features: int, precision: str) -> tuple[int, ...]:
    """Bytes of each tensor that one matrix is stored as (engines/native/linear: the modules' storage).

    fp8 and int8: rows padded to 16, a float32 factor per row. nvfp4: the same rows at half a byte a weight, an 8-bit
    factor per 16 weights, one float32 factor.
    """
    if precision in {"fp32", "bf16"}:
        return (out_features * in_features * (4 if precision == "fp32" else 2),)
    rows = -(-out_features // _ROW_STEP) * _ROW_STEP
    if precision in {"fp8", "int8"}:
        return (rows * in_features, 4 * rows)
    return (rows * in_features // 2, rows * in_features // _BLOCK, 4)


def activation_bytes(precision: str) -> int:
    """Of one value of the native engine's residual stream: float32 beside fp32, else bfloat16."""
    return 4 if precision == "fp32" else 2


def gguf_names() -> tuple[str, ...]:
    """Quantizations whose size is known without a file."""
    return tuple(_mixes()["bits"])


def gguf_bits(quantization: str) -> float:
    """Bits per parameter of a GGUF file. Raises ``UsageError`` for a name whose size is not known."""
    bits: Mapping[str, float] = _mixes()["bits"]
    found = next((own for own in bits if own.lower() == quantization.lower()), None)
    if found is None:
        raise UsageError(
            f"--precision {quantization}: its size is not known without a file{did_you_mean(quantization, bits)}; "
            f"known are {', '.join(bits)}, or give the file"
        )
    return bits[found]


def parts_of_gguf(outline: ModelOutline, quantization: str) -> dict[Part, int]:
    """Bytes by part of a GGUF file: as stored, or of another quantization by its bits per parameter."""
    if outline.is_gguf and (outline.quantization or "").lower() == quantization.lower():
        return {part: stored.size_bytes for part, stored in outline.stored.items()}
    bits = gguf_bits(quantization)
    return {part: round(elements * bits / 8) for part, elements in elements_by_part(outline.shape).items()}


def parts_of_server(shape: ModelShape, precision: str) -> dict[Part, int]:
    """Bytes by part of a checkpoint in a server's precision; embedding, head, norms and routers stay in 16 bits."""
    bits = SERVER_BITS[precision]
    return {
        part: round(elements * (16.0 if part in _SERVER_PLAIN else bits) / 8)
        for part, elements in elements_by_part(shape).items()
    }


@functools.cache
def elements_by_part(shape: ModelShape) -> Mapping[Part, int]:
    """Parameters of each part."""
    found: dict[Part, int] = defaultdict(int)
    for weight in weights_of(shape):
        found[weight.part] += weight.elements
    return dict(found)


def is_kept_plain(weight: Weight) -> bool:
    """Whether the native engine keeps a matrix unquantized (engines/native/layer_format.py)."""
    return weight.name.endswith(("in_proj_a", "in_proj_b", "mlp.gate", "shared_expert_gate"))


@functools.cache
def _mixes() -> Mapping[str, Any]:
    text = (resources.files("thresher.planning") / "mixes.json").read_text("utf-8")
    mixes: Mapping[str, Any] = json.loads(text)
    return mixes
