"""Raw ggml blocks -> floats, for every type that occurs in files of 2 bits and more without a codebook.

The arithmetic is float32 as in llama.cpp; the result is rounded to the wanted dtype once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch

from thresher.engines.native.weights import block_quants, k_quants
from thresher.models.ggml_types import TENSOR_TYPES

_BY_NAME = {kind.name: kind for kind in TENSOR_TYPES.values()}
#: Values converted at a time. On a CPU for each thread: enough for the steps to pay, few enough to stay in the caches.
#: On a GPU: what lies between the steps takes some ten bytes a value.
_CHUNK_VALUES, _GPU_CHUNK_VALUES = 1 << 19, 1 << 26

#: Type -> raw blocks [blocks, bytes] to float32 [blocks, values].
DEQUANTIZERS: Mapping[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "F32": block_quants.f32,
    "F16": block_quants.f16,
    "BF16": block_quants.bf16,
    "Q4_0": block_quants.q4_0,
    "Q4_1": block_quants.q4_1,
    "Q5_0": block_quants.q5_0,
    "Q5_1": block_quants.q5_1,
    "Q8_0": block_quants.q8_0,
    "IQ4_NL": block_quants.iq4_nl,
    "MXFP4": block_quants.mxfp4,
    "Q2_K": k_quants.q2_k,
    "Q3_K": k_quants.q3_k,
    "Q4_K": k_quants.q4_k,
    "Q5_K": k_quants.q5_k,
    "Q6_K": k_quants.q6_k,
    "IQ4_XS": k_quants.iq4_xs,
}


def dequantize(raw: torch.Tensor, type_name: str, dtype: torch.dtype) -> torch.Tensor:
    """The values of ``raw``, whole blocks as uint8 [bytes] on any device, as [values] of ``dtype`` on the same.

    ``type_name`` must be one of :data:`DEQUANTIZERS`.
    """
    kind = _BY_NAME[type_name]
    blocks = raw.view(-1, kind.block_bytes)
    convert = DEQUANTIZERS[type_name]
    values = torch.empty(len(blocks), kind.block_elements, dtype=dtype, device=raw.device)
    chunk_values = _CHUNK_VALUES * torch.get_num_threads() if raw.device.type == "cpu" else _GPU_CHUNK_VALUES
    step = chunk_values // kind.block_elements
    for start in range(0, len(blocks), step):
        values[start : start + step] = convert(blocks[start : start + step])
    return values.view(-1)
