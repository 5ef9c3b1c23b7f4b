"""llama.cpp's memory, in this process (``llamacpp``) and as its own server (``llama-server``).

Formulas follow its allocations (src/llama-kv-cache.cpp, src/llama-memory-recurrent.cpp) and those of the engine in this
process (engines/llamacpp/memory.py and sizing.py), which a test compares with these. The server is planned as the seed
job ran it: separate slots (``--no-kv-unified``), 16-bit keys and values, flash attention, no vision projector.
"""

from __future__ import annotations

from thresher.models.outline import ModelOutline
from thresher.models.shape import ModelShape
from thresher.planning.costs import kv_bytes_per_token, state_bytes_per_layer, state_bytes_per_sequence
from thresher.planning.fit import Fit
from thresher.planning.formats import parts_of_gguf
from thresher.planning.setting import Room, Setting, process_bytes

_CELL_STEP = 256
_MOST_SEQUENCES, _LEAST_SEQUENCES, _STATE_SHARE = 33, 4, 1 / 8
_CPU_MICRO_BATCH, _GPU_MICRO_BATCH = 512, 2048
_LIVE_STREAMS, _LIVE_OUTPUTS, _STATE_COPIES = 5, 3, 2.25
_RESERVE_SHARE = 0.1
#: The server keeps up to 32 states to go back to (checkpoints) in host memory; a plan for labelling turns them off.
_SERVER_LOGIT_ROWS = 1


def llamacpp_fit(outline: ModelOutline, setting: Setting, room: Room) -> Fit:
    """The engine in this process: one cache for all sequences, the prefix held once and forked to documents.

    It takes as many sequences as an eighth of the free memory holds states for, 4 to 33; a tenth is left alone.
    """
    weights = _weights(outline, setting, room)
    devices = max(1, setting.gpus)
    free = devices * room.device_bytes
    left = int(free * (1 - _RESERVE_SHARE)) - weights
    state = state_bytes_per_sequence(outline.shape)
    sequences = _MOST_SEQUENCES
    if state:
        sequences = max(_LEAST_SEQUENCES, min(_MOST_SEQUENCES, int(max(0, left) * _STATE_SHARE) // state))
    context = context_parts(
        outline.shape,
        cells=_up_to_step(setting.context_tokens),
        sequences=sequences,
        micro_batch=_micro_batch(room),
        float32=setting.precision.upper() == "F32",
        logit_rows=2 * sequences,
    )
    parts = {name: size // devices for name, size in {"weights": weights, **context}.items()}
    parts["overhead"] = 0 if room.on_gpu else process_bytes(outline.shape.vocabulary)
    fits = left > 0 and sum(context.values()) <= left
    return Fit(setting=setting, parts=parts, available_bytes=room.device_bytes, fits=fits, slots=sequences - 1)


def server_fit(outline: ModelOutline, setting: Setting, room: Room) -> Fit:
    """The server: ``slots`` caches of the context each, a state for each."""
    slots = setting.slots or 1
    devices = max(1, setting.gpus)
    context = context_parts(
        outline.shape,
        cells=slots * _up_to_step(setting.context_tokens),
        sequences=slots,
        micro_batch=_micro_batch(room),
        float32=False,
        logit_rows=_SERVER_LOGIT_ROWS * slots,
    )
    weights = _weights(outline, setting, room)
    parts = {name: size // devices for name, size in {"weights": weights, **context}.items()}
    fits = sum(parts.values()) <= room.device_bytes
    return Fit(setting=setting, parts=parts, available_bytes=room.device_bytes, fits=fits, slots=slots)


def context_parts(
    shape: ModelShape, *, cells: int, sequences: int, micro_batch: int, float32: bool, logit_rows: int
) -> dict[str, int]:
    """KV cache, recurrent state, working memory and logits of one ``llama_context``, in bytes.

    ``kv``: keys and values of every cell in 16 or 32 bits. ``state``: float32, of every sequence. ``activations``: for
    each token of a micro-batch 5 residual streams and 3 outputs of the widest matrix in float32, and for each sequence
    2.25 states of one layer, fitted from above to what llama.cpp reserves (tests/engines/llamacpp/test_memory.py); its
    column of the mask (16 bits with flash attention, else 32 with the scores of all heads) for every cell; logits
    twice, as computed and as copied out.
    """
    kv = kv_bytes_per_token(shape, 4 if float32 else 2)
    mask = 4 * micro_batch * (1 + 2 * shape.query_heads) if float32 else 2 * micro_batch
    working = 4 * (_LIVE_STREAMS * shape.hidden + _LIVE_OUTPUTS * _widest_output(shape)) * micro_batch
    working += int(_STATE_COPIES * sequences * state_bytes_per_layer(shape))
    return {
        "kv": cells * kv,
        "state": sequences * state_bytes_per_sequence(shape),
        "activations": working + cells * mask + 2 * 4 * logit_rows * shape.vocabulary,
    }


def _widest_output(shape: ModelShape) -> int:
    """Of the matrices within layers: queries with their gates, DeltaNet's inputs, gate or up of the feed-forward."""
    moe = shape.moe
    widths = [shape.query_size * (2 if shape.output_gate else 1), shape.feed_forward, shape.hidden]
    if moe is not None:
        widths += [moe.experts, moe.experts_per_token * max(moe.expert_size, shape.hidden), moe.shared_expert_size]
    return max(*widths, shape.delta.conv_channels if shape.delta is not None else 0)


def _weights(outline: ModelOutline, setting: Setting, room: Room) -> int:
    """On a GPU without the embedding, which llama.cpp leaves in host memory unless it is the head as well."""
    parts = parts_of_gguf(outline, setting.precision)
    left_out = parts.get("embedding", 0) if room.on_gpu and not outline.shape.tied else 0
    return sum(parts.values()) - left_out


def _micro_batch(room: Room) -> int:
    return _GPU_MICRO_BATCH if room.on_gpu else _CPU_MICRO_BATCH


def _up_to_step(tokens: int) -> int:
    return -(-tokens // _CELL_STEP) * _CELL_STEP
