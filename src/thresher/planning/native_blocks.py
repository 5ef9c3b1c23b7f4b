"""How the native engine keeps weights: a block of bytes for each layer, a table for the embedding and one for the head.

The model of engines/native/layer_format.py, residency.py and split.py, which need torch; a test proves that both agree.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence

from thresher.models.shape import ModelShape
from thresher.models.shape_weights import Part, Weight, layer_weights
from thresher.planning.formats import activation_bytes, is_kept_plain, native_weight_bytes

_ALIGNMENT = 256
#: Two matrices that are multiplied as one: a feed-forward's gate and up, DeltaNet's a and b.
_FIRSTS, _SECONDS = (".gate_proj", ".in_proj_a"), (".up_proj", ".in_proj_b")
#: One block is computed with while the next is on its way.
SLOTS = 2


def block_bytes(shape: ModelShape, layer: int, precision: str) -> int:
    """Bytes of one layer: each tensor begins at a multiple of 256; vectors and the convolution are float32."""
    return sum(size for _, size in _tensors(shape, layer, precision))


@functools.cache
def all_block_bytes(shape: ModelShape, precision: str) -> tuple[int, ...]:
    """The same for every layer."""
    of_kind = {kind: block_bytes(shape, shape.layer_kinds.index(kind), precision) for kind in set(shape.layer_kinds)}
    return tuple(of_kind[kind] for kind in shape.layer_kinds)


def expanded_bytes(shape: ModelShape, precision: str) -> int:
    """The largest layer in the precision that it is multiplied in, where it is stored in another one."""
    multiplied_in = precision.removeprefix("nvfp4-")
    return 0 if multiplied_in == precision else max(all_block_bytes(shape, multiplied_in))


def table_bytes(shape: ModelShape, precision: str) -> int:
    """The embedding, or the head: a row of activations' values for each token of the vocabulary."""
    return shape.vocabulary * shape.hidden * activation_bytes(precision)


def parts_of_native(shape: ModelShape, precision: str) -> dict[Part, int]:
    """Bytes by part, all in the compute format."""
    found: dict[Part, int] = {"embedding": table_bytes(shape, precision)}
    if not shape.tied:
        found["head"] = table_bytes(shape, precision)
    for layer in range(shape.layers):
        for part, size in _tensors(shape, layer, precision):
            found[part] = found.get(part, 0) + size
    return found


def resident_count(blocks: Sequence[int], limit_bytes: int) -> int | None:
    """Layers that stay within ``limit_bytes``, beside two slots for the largest; None where even those do not fit."""
    if sum(blocks) <= limit_bytes:
        return len(blocks)
    slots = SLOTS * max(blocks)
    if limit_bytes < slots:
        return None
    for streamed in range(SLOTS + 1, len(blocks)):
        resident = _resident(len(blocks), streamed)
        if slots + sum(blocks[layer] for layer in resident) <= limit_bytes:
            return len(resident)
    return 0


def resident_bytes(blocks: Sequence[int], resident: int) -> int:
    """Bytes of so many resident layers and of the slots of the others."""
    if resident == len(blocks):
        return sum(blocks)
    layers = _resident(len(blocks), len(blocks) - resident)
    return SLOTS * max(blocks) + sum(blocks[layer] for layer in layers)


def split_over(blocks: Sequence[int], devices: int, room: int, last_room: int) -> list[range] | None:
    """Contiguous layers for each of several devices, the largest part as small as can be; None where no split fits.

    All devices have ``room``, but for the last, which holds the head too. Then filling each device as far as a cap goes
    leaves the least to the others, so the least cap is found by bisection. engines/native/split.py, for any rooms,
    comes to a largest part of the same size.
    """
    low, high = max(blocks), sum(blocks)
    if _filled(blocks, devices, room, last_room, high) is None:
        return None
    while low < high:
        middle = (low + high) // 2
        fits = _filled(blocks, devices, room, last_room, middle) is not None
        low, high = (low, middle) if fits else (middle + 1, high)
    return _filled(blocks, devices, room, last_room, high)


def _filled(blocks: Sequence[int], devices: int, room: int, last_room: int, cap: int) -> list[range] | None:
    """Each device in turn takes layers up to ``cap``; every device gets at least one."""
    ranges: list[range] = []
    start = 0
    for device in range(devices):
        most = min(cap, room if device < devices - 1 else last_room)
        stop, used = start, 0
        behind = devices - device - 1
        while stop < len(blocks) - behind and used + blocks[stop] <= most:
            used += blocks[stop]
            stop += 1
        if stop == start:
            return None
        ranges.append(range(start, stop))
        start = stop
    return ranges if start == len(blocks) else None


def _resident(layers: int, streamed: int) -> list[int]:
    """Streamed layers are spread evenly between these."""
    return [i for i in range(layers) if (i + 1) * streamed // layers == i * streamed // layers]


def _tensors(shape: ModelShape, layer: int, precision: str) -> Iterator[tuple[Part, int]]:
    """Part and aligned bytes of every stored tensor of a layer, as far as they are not part of another one.

    Experts are stacked.
    """
    plain = "fp32" if precision == "fp32" else "bf16"
    for weight in layer_weights(shape, layer):
        if not weight.is_matrix:
            yield weight.part, _aligned(4 * weight.elements)
        elif not weight.name.endswith(_SECONDS):
            rows, columns = _fused(weight)
            kept = plain if is_kept_plain(weight) else precision
            for size in native_weight_bytes(rows, columns, kept):
                yield weight.part, _aligned(weight.copies * size)


def _fused(weight: Weight) -> tuple[int, int]:
    rows, columns = weight.shape
    return (2 * rows if weight.name.endswith(_FIRSTS) else rows), columns


def _aligned(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT
