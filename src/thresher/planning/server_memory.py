"""The memory of vLLM and SGLang, as their documents describe it. Nothing here was measured with them.

Both lay a model over several GPUs by tensor parallelism: each holds its share of weights, keys, values and states. The
number of GPUs must divide the query heads.
"""

from __future__ import annotations

from thresher.models.outline import ModelOutline
from thresher.models.shape import ModelShape
from thresher.planning.costs import kv_bytes_per_token, state_bytes_per_sequence
from thresher.planning.fit import Fit
from thresher.planning.formats import parts_of_server
from thresher.planning.native_sizes import step_row_bytes
from thresher.planning.setting import Room, Setting

#: ``--gpu-memory-utilization``: of the whole card, all that vLLM takes (docs.vllm.ai, CacheConfig: 0.92; 0.9 before).
_VLLM_SHARE = 0.9
#: ``--mem-fraction-static``: of the card, what SGLang takes for weights and pools; the rest is for activations.
_SGLANG_SHARE = 0.85
#: vLLM's default ``--max-num-batched-tokens`` on cards under and from 70 GiB; SGLang's ``--chunked-prefill-size``.
_SMALL_BATCH, _LARGE_BATCH, _LARGE_CARD_BYTES = 2048, 8192, 70 << 30
#: Captured graphs and what the libraries take beside torch's allocator.
_LIBRARY_BYTES = 1 << 30
#: Rows of logits that vLLM's profiling pass computes: ``--max-num-seqs``, in 32 bits.
_LOGIT_ROWS = 256


def vllm_fit(outline: ModelOutline, setting: Setting, room: Room) -> Fit:
    """VLLM profiles a pass of its largest batch, and gives what is left of its share to the cache.

    ``cache = share * card - weights - peak activations - libraries`` (vllm/utils/mem_utils.py, MemoryProfilingResult);
    it starts only if the cache holds one request of ``--max-model-len``.
    """
    shape = outline.shape
    devices = max(1, setting.gpus)
    activations = _batch_tokens(room) * step_row_bytes(shape, 2) // devices + 4 * _LOGIT_ROWS * shape.vocabulary
    budget = min(int(_VLLM_SHARE * room.total_bytes), room.device_bytes)
    return _fit(outline, setting, budget=budget, activations=activations)


def sglang_fit(outline: ModelOutline, setting: Setting, room: Room) -> Fit:
    """SGLang: ``pools = fraction * card - weights`` (docs.sglang.io, server arguments: mem-fraction-static).

    Activations must fit beside the fraction; where they do not, the fraction is what has to give.
    """
    shape = outline.shape
    activations = _batch_tokens(room) * step_row_bytes(shape, 2) // max(1, setting.gpus)
    budget = min(int(_SGLANG_SHARE * room.total_bytes) + activations + _LIBRARY_BYTES, room.device_bytes)
    return _fit(outline, setting, budget=budget, activations=activations)


def _fit(outline: ModelOutline, setting: Setting, *, budget: int, activations: int) -> Fit:
    shape = outline.shape
    devices = max(1, setting.gpus)
    weights = sum(parts_of_server(shape, setting.precision).values()) // devices
    kv = setting.context_tokens * _kv_bytes(shape, devices)
    state = -(-state_bytes_per_sequence(shape, conv_value_bytes=2) // devices)
    cache = budget - weights - activations - _LIBRARY_BYTES
    most = max(0, cache) // (kv + state)
    slots = setting.slots or max(1, min(most, _LOGIT_ROWS))
    parts = {
        "weights": weights,
        "kv": slots * kv,
        "state": slots * state,
        "activations": activations,
        "overhead": _LIBRARY_BYTES,
    }
    fits = slots <= most and shape.query_heads % devices == 0
    return Fit(setting=setting, parts=parts, available_bytes=budget, fits=fits, slots=slots)


def _kv_bytes(shape: ModelShape, devices: int) -> int:
    """Heads are shared out over devices; where there are more devices than heads, some hold the same head."""
    return kv_bytes_per_token(shape) // min(devices, shape.kv_heads)


def _batch_tokens(room: Room) -> int:
    return _LARGE_BATCH if room.total_bytes >= _LARGE_CARD_BYTES else _SMALL_BATCH
