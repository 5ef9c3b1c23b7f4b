"""How the native engine keeps weights: a block of bytes for each layer, a table for the embedding and one for the head.

The model of engines/native/layer_format.py, residency.py and split.py, which need torch; a test proves that both agree.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from itertools import accumulate

from thresher.models.shape import ModelShape
from thresher.models.shape_weights import Part, Weight, layer_weights
from thresher.planning.formats import activation_bytes, is_kept_plain, native_weight_bytes

_ALIGNMENT = 256
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


def split_over(blocks: Sequence[int], rooms: Sequence[int]) -> list[range] | None:
    """Contiguous layers for each device, the largest part as small as can be; None where no split fits.

    By dynamic programming over (device, layers laid out so far), as in engines/native/split.py; every device gets one.
    """
    best: dict[int, tuple[int, tuple[int, ...]]] = {0: (0, ())}  # layers laid out -> largest part, ends of parts
    for room in rooms:
        further: dict[int, tuple[int, tuple[int, ...]]] = {}
        for start, (largest, stops) in best.items():
            for stop, part in zip(range(start + 1, len(blocks) + 1), accumulate(blocks[start:]), strict=True):
                if part > room:
                    break
                found = (max(largest, part), (*stops, stop))
                further[stop] = min(further.get(stop, found), found, key=_preference)
        best = further
    if len(blocks) not in best:
        return None
    stops = best[len(blocks)][1]
    return [range(start, stop) for start, stop in zip((0, *stops), stops, strict=False)]


def _preference(found: tuple[int, tuple[int, ...]]) -> tuple[int, list[int]]:
    """Of equal splits the one that gives later devices less: the last has the head too."""
    largest, stops = found
    return largest, [-stop for stop in stops]


def _resident(layers: int, streamed: int) -> list[int]:
    """Streamed layers are spread evenly between these."""
    return [i for i in range(layers) if (i + 1) * streamed // layers == i * streamed // layers]


def _tensors(shape: ModelShape, layer: int, precision: str) -> Iterator[tuple[Part, int]]:
    """Part and aligned bytes of every stored tensor of a layer. Gate and up of a feed-forward are one matrix."""
    plain = "fp32" if precision == "fp32" else "bf16"
    for weight in layer_weights(shape, layer):
        if not weight.is_matrix:
            yield weight.part, _aligned(4 * weight.elements)
        elif not weight.name.endswith(".up_proj"):
            rows, columns = _fused(weight)
            kept = plain if is_kept_plain(weight) else precision
            for size in native_weight_bytes(rows, columns, kept):
                yield weight.part, weight.copies * _aligned(size)


def _fused(weight: Weight) -> tuple[int, int]:
    rows, columns = weight.shape
    return (2 * rows if weight.name.endswith(".gate_proj") else rows), columns


def _aligned(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT
