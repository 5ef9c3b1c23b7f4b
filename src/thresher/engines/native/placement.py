"""Where the weights of a model, or of one device's part of it, are kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from thresher.engines.native.devices import CPU, free_bytes
from thresher.engines.native.residency import resident_layers, weights_bytes
from thresher.engines.native.split import split_layers
from thresher.engines.native.tables import EMBEDDING
from thresher.engines.native.weights import WeightSource
from thresher.errors import EngineCapacityError
from thresher.hardware.host_memory import available_bytes

#: The embedding goes to a GPU too as long as no more than this share of its free memory is then taken.
_TABLES_SHARE = 0.7
#: Weights may take this share of a device's free memory, so that something is left to what is computed.
WEIGHTS_SHARE = 0.85
_GIB = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What one device computes."""

    device: torch.device
    layers: range
    free_bytes: int  # on the device, before anything of this is there
    first: bool  # it has the embedding
    last: bool  # it has the head


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where weights of a part are kept."""

    resident: frozenset[int]
    layers_on_host: bool  # streamed layers: in pinned memory, else in their files
    head: torch.device | None  # None: in its file
    embedding: torch.device | None
    device_bytes: int  # that all of it takes on the device


def table_bytes(source: WeightSource, dtype: torch.dtype) -> int:
    """Memory of the embedding, and of the head."""
    rows, columns = source.shape(EMBEDDING)
    return rows * columns * dtype.itemsize


def lay_over(
    source: WeightSource,
    devices: Sequence[torch.device],
    blocks: Sequence[int],
    dtype: torch.dtype,
    limit: int | None,
) -> list[Part]:
    """The model's parts, one for each of ``devices``; a device that streams (``limit``) has room for any layers.

    Raises as :func:`~thresher.engines.native.split.split_layers`.
    """
    free = free_bytes(devices)
    if len(devices) == 1:
        ranges = [range(len(blocks))]  # whether they fit is seen when tables are counted too
    elif limit is not None:
        ranges = split_layers(blocks, [sum(blocks)] * len(devices))
    else:
        rooms = [int(WEIGHTS_SHARE * room) for room in free]
        rooms[-1] -= table_bytes(source, dtype)
        ranges = split_layers(blocks, rooms)
    return [
        Part(
            device=device,
            layers=layers,
            free_bytes=room,
            first=layers.start == 0,
            last=layers.stop == len(blocks),
        )
        for device, layers, room in zip(devices, ranges, free, strict=True)
    ]


def place(
    part: Part, source: WeightSource, block_bytes: Sequence[int], dtype: torch.dtype, limit_bytes: int | None
) -> Placement:
    """Layers first, then the head, as far as ``limit_bytes`` on the device reach.

    ``block_bytes`` are those of all layers of the model. The embedding is looked up in host memory where the device has
    no room to spare. On a CPU a limit holds for host memory too: then tables and streamed layers stay in their files.

    Raises:
        EngineCapacityError: the limit is below the least.
    """
    blocks = [block_bytes[layer] for layer in part.layers]
    own_resident = resident_layers(blocks, limit_bytes)
    resident = frozenset(part.layers[layer] for layer in own_resident)
    table = table_bytes(source, dtype)
    layers = weights_bytes(blocks, own_resident)
    head_fits = part.last and (limit_bytes is None or layers + table <= limit_bytes)
    on_device = layers + (table if head_fits else 0)
    tied = source.config.tied_embeddings
    if part.device.type == "cpu":
        embedding_too = part.first and limit_bytes is None and not tied
        return Placement(
            resident=resident,
            layers_on_host=False,
            head=CPU if head_fits else None,
            embedding=CPU if limit_bytes is None else None,
            device_bytes=on_device + (table if embedding_too else 0),
        )
    embedding_fits = part.first and limit_bytes is None and on_device + table <= _TABLES_SHARE * part.free_bytes
    streamed = sum(block_bytes[layer] for layer in part.layers if layer not in resident)
    free_on_host = available_bytes()
    share = len(part.layers) / len(block_bytes)  # the other parts need theirs
    in_host_memory = CPU if 2 * table < free_on_host else None
    return Placement(
        resident=resident,
        layers_on_host=streamed < share * (free_on_host - 2 * table),
        head=part.device if head_fits else in_host_memory,
        embedding=part.device if embedding_fits else in_host_memory,
        device_bytes=on_device + (table if embedding_fits and not (tied and part.last) else 0),
    )


def free_after_weights(model_name: str, part: Part, placement: Placement) -> int:
    """What is left of the device's memory. Raises ``EngineCapacityError`` where nothing is."""
    if part.free_bytes <= placement.device_bytes:
        raise EngineCapacityError(
            f"the weights of {model_name} take {placement.device_bytes / _GIB:.2f} GiB on {part.device} in the compute "
            f"format, and {part.free_bytes / _GIB:.2f} GiB are free; give --weights-memory or a smaller --precision, "
            "or free memory"
        )
    return part.free_bytes - placement.device_bytes
