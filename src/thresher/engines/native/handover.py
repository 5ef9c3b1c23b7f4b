"""How a residual stream passes from one device to the next."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True, slots=True)
class Handed:
    """A residual stream that may still be on its way."""

    x: torch.Tensor
    arrived: torch.cuda.Event | None  # None: it is there

    def take(self) -> torch.Tensor:
        """The stream; what is computed from now on, on the current stream of its device, waits for it."""
        if self.arrived is not None:
            stream = torch.cuda.current_stream(self.x.device)
            stream.wait_event(self.arrived)
            self.x.record_stream(stream)
        return self.x


class Handover:
    """From one device to the next, on streams of its own.

    A copy between GPUs waits for the current streams of both, so on those it would wait until the next device has done
    all that it was given, and hold up everything behind it on this one.
    """

    def __init__(self, target: torch.device) -> None:
        self._target = target
        self._streams: tuple[torch.cuda.Stream, torch.cuda.Stream] | None = None  # made for the first copy

    def send(self, x: torch.Tensor) -> Handed:
        """``x`` on the target; the copy begins when what was computed so far on its device is done."""
        if x.device == self._target:
            return Handed(x, None)
        if x.device.type != "cuda" or self._target.type != "cuda":
            return Handed(x.to(self._target), None)
        leaving, arriving = self._streams_from(x.device)
        leaving.wait_stream(torch.cuda.current_stream(x.device))
        with torch.cuda.stream(arriving), torch.cuda.stream(leaving):
            copy = torch.empty_like(x, device=self._target)
            copy.copy_(x, non_blocking=True)
        x.record_stream(leaving)
        arrived = torch.cuda.Event()  # type: ignore[no-untyped-call]
        arrived.record(arriving)
        return Handed(copy, arrived)

    def _streams_from(self, source: torch.device) -> tuple[torch.cuda.Stream, torch.cuda.Stream]:
        if self._streams is None:
            self._streams = torch.cuda.Stream(source), torch.cuda.Stream(self._target)  # type: ignore[no-untyped-call]
        return self._streams
