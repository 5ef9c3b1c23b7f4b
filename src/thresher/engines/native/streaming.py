"""Weights layer by layer: resident ones stay on the device, the others come while the layer before computes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import torch

from thresher.engines.native.config import NativeConfig
from thresher.engines.native.layer_format import LayerFormat, activation_dtype
from thresher.engines.native.layers.layer import Layer
from thresher.engines.native.pinned import PinnedMemory
from thresher.engines.native.residency import SLOTS
from thresher.engines.native.weights import WeightSource

#: Fills a block (uint8) with a layer.
Fetch = Callable[[int, torch.Tensor], None]


@dataclass(slots=True)
class _Slot:
    block: torch.Tensor
    layer: int
    arriving: Future[None] = field(default_factory=Future)
    arrived: torch.cuda.Event | None = None  # CUDA only: the copy into it is done
    released: torch.cuda.Event | None = None  # CUDA only: the computation with it is done


class Streamer:
    """Brings blocks in the order in which a pass needs them, over and over, into two slots on the device.

    ``take`` and ``release`` are called in turn for the layers of ``order``. On CUDA the copies run on a stream of
    their own and the host does not wait for them.
    """

    def __init__(self, order: Sequence[int], fetch: Fetch, slot_bytes: int, device: torch.device) -> None:
        self._order = list(order)
        self._fetch = fetch
        self._device = device
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None  # type: ignore[no-untyped-call]
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="thresher-weights")
        self._slots = [
            _Slot(torch.empty(slot_bytes, dtype=torch.uint8, device=device), layer) for layer in self._order[:SLOTS]
        ]
        self._turn = 0  # of ``order``: the layer to be taken next
        for slot in self._slots:
            self._send(slot)

    def rewind(self) -> None:
        """Be ready for the first layer of the order, also after a pass that broke off."""
        if self._turn % len(self._order) == 0:
            return
        self._turn = 0
        for slot, layer in zip(self._slots, self._order, strict=False):
            if not slot.arriving.cancel():
                slot.arriving.exception()
            self._give_back(slot)
            slot.layer = layer
            self._send(slot)

    def take(self) -> torch.Tensor:
        """The next layer's block, filled. Raises what went wrong when it was fetched."""
        slot = self._slots[self._turn % SLOTS]
        slot.arriving.result()
        if slot.arrived is not None:
            torch.cuda.current_stream(self._device).wait_event(slot.arrived)
        return slot.block

    def release(self) -> None:
        """The block taken last may be written over: fetch the layer after next into it."""
        slot = self._slots[self._turn % SLOTS]
        self._give_back(slot)
        slot.layer = self._order[(self._turn + SLOTS) % len(self._order)]
        self._turn += 1
        self._send(slot)

    def close(self) -> None:
        """Stop fetching."""
        self._worker.shutdown(wait=True, cancel_futures=True)
        self._slots = []

    def _give_back(self, slot: _Slot) -> None:
        """What is copied into ``slot`` from now on waits for all that was computed with it."""
        if self._stream is not None:
            slot.released = torch.cuda.Event()  # type: ignore[no-untyped-call]
            slot.released.record(torch.cuda.current_stream(self._device))

    def _send(self, slot: _Slot) -> None:
        slot.arriving = self._worker.submit(self._bring, slot)

    def _bring(self, slot: _Slot) -> None:
        if self._stream is None:
            self._fetch(slot.layer, slot.block)
            return
        with torch.cuda.stream(self._stream):
            if slot.released is not None:
                self._stream.wait_event(slot.released)
            self._fetch(slot.layer, slot.block)
            arrived = torch.cuda.Event()  # type: ignore[no-untyped-call]
            arrived.record(self._stream)
            slot.arrived = arrived


class LayerStore:
    """The layers of a model, or some that follow one another, to be visited in order."""

    def __init__(
        self,
        source: WeightSource,
        precision: str,
        resident: frozenset[int],
        device: torch.device,
        *,
        keep_on_host: bool,
        layers: range | None = None,
    ) -> None:
        """``keep_on_host``: streamed layers are kept in pinned host memory, else read from their files each time.

        ``layers``: all when not given; ``resident`` are numbers of layers among them.
        """
        self._config = source.config
        self._source = source
        self._dtype = activation_dtype(precision)
        self._device = device
        self._layers = range(source.config.layer_count) if layers is None else layers
        self._formats = {layer: LayerFormat(source.config, layer, precision) for layer in self._layers}
        self._resident = {layer: self._layer(layer, self._load(layer, device)) for layer in sorted(resident)}
        self._on_host: dict[int, torch.Tensor] = {}
        streamed = [layer for layer in self._layers if layer not in resident]
        self._pinned: list[PinnedMemory] = []
        self._streamer: Streamer | None = None
        try:
            self._on_host = {layer: self._load_on_host(layer) for layer in streamed} if keep_on_host else {}
        except BaseException:
            self.close()
            raise
        slot_bytes = max(form.block_bytes for form in self._formats.values())
        if streamed:
            self._streamer = Streamer(streamed, self._fetch, slot_bytes, device)

    def visit(self) -> Iterator[tuple[int, Layer]]:
        """Every layer in order, with its number; one that is streamed is valid until the next one is asked for."""
        if self._streamer is not None:
            self._streamer.rewind()
        for index in self._layers:
            if self._streamer is None or index in self._resident:
                yield index, self._resident[index]
            else:
                yield index, self._layer(index, self._streamer.take())
                self._streamer.release()

    def close(self) -> None:
        """Give the memory back."""
        if self._streamer is not None:
            self._streamer.close()
            self._streamer = None
        self._resident, self._on_host = {}, {}
        for memory in self._pinned:
            memory.close()
        self._pinned = []

    def _layer(self, index: int, block: torch.Tensor) -> Layer:
        parts = self._formats[index].parts(block)
        return Layer(self._config, self._config.layer_kinds[index], parts, self._dtype, self._device)

    def _load(self, index: int, device: torch.device) -> torch.Tensor:
        block = torch.empty(self._formats[index].block_bytes, dtype=torch.uint8, device=device)
        self._formats[index].fill(block, self._source, device)
        return block

    def _load_on_host(self, index: int) -> torch.Tensor:
        """The layer in host memory, pinned for a card."""
        size = self._formats[index].block_bytes
        if self._device.type == "cuda":
            self._pinned.append(PinnedMemory(size))
            block = self._pinned[-1].block
        else:
            block = torch.empty(size, dtype=torch.uint8)
        self._formats[index].fill(block, self._source, self._device)
        return block

    def _fetch(self, index: int, slot: torch.Tensor) -> None:
        block = slot[: self._formats[index].block_bytes]
        if index in self._on_host:
            block.copy_(self._on_host[index], non_blocking=True)
        else:
            self._formats[index].fill(block, self._source, self._device)


def layer_formats(config: NativeConfig, precision: str) -> list[LayerFormat]:
    """The format of every layer."""
    return [LayerFormat(config, layer, precision) for layer in range(config.layer_count)]
