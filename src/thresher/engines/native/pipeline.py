"""Puts packs through a model whose layers lie on several devices: each works on one pack while the next device works on
the pack before.

Every device has a thread, and a thread does what it is given in turn: so packs keep their order on every device, what
waits for the device before waits for work that is already ahead of it, and nothing can wait in a circle.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any, Generic, TypeVar

import torch

from thresher.engines.native.forward import ForwardPass, HeldPrefix
from thresher.engines.native.handover import Handed, Handover
from thresher.engines.native.pack import Pack

Result = TypeVar("Result")


class Sent(Generic[Result]):
    """A pack on its way."""

    def __init__(self, steps: Sequence[Future[Any]], end: Future[Result]) -> None:
        self._steps: Sequence[Future[Any]] = steps
        self._end = end

    def result(self) -> Result:
        """Wait for it. Raises what went wrong on any device, without what was computed until then."""
        try:
            return self._end.result()
        except BaseException as error:
            traceback.clear_frames(error.__traceback__)
            raise
        finally:
            if self._end.done():
                self._steps = ()  # they have residual streams

    def abandon(self) -> None:
        """Leave out what has not begun."""
        for step in (self._end, *reversed(self._steps)):
            step.cancel()


class Pipeline:
    """The parts of a model, in the order of its layers."""

    def __init__(self, parts: Sequence[ForwardPass]) -> None:
        self._parts = parts
        self._handovers = [Handover(part.residual_device) for part in parts[1:]]
        self._workers: list[Executor] = [_AtOnce()] if len(parts) == 1 else [_worker(part.device) for part in parts]

    @property
    def packs_in_flight(self) -> int:
        """How many packs to have on their way: one for each device, and one to be laid out and answered meanwhile."""
        if len(self._parts) == 1 and self._parts[0].device.type == "cuda":
            return 2  # work is queued on the device, which frees what it has done with before it begins the next pack
        return packs_in_flight(len(self._parts))

    def run(self, pack: Pack, held: HeldPrefix | None, finish: Callable[[torch.Tensor], Result]) -> Sent[Result]:
        """Read ``pack``; ``finish`` gets the residual stream of its outputs, on the thread of the last device."""
        steps: list[Future[Handed]] = []
        for index, worker in enumerate(self._workers):
            steps.append(worker.submit(self._run, index, pack, held, steps[-1] if steps else None))
        last = steps[-1]
        return Sent(steps, self._workers[-1].submit(lambda: finish(last.result().x)))

    def hold(self, pack: Pack) -> tuple[HeldPrefix, Sent[None]]:
        """Read a prefix, a pack of one segment. Packs sent after it may go on from it; it is whole when they begin."""
        prefix = HeldPrefix()
        steps: list[Future[Handed]] = []
        for index, worker in enumerate(self._workers):
            steps.append(worker.submit(self._hold, index, pack, prefix, steps[-1] if steps else None))
        last = steps[-1]
        return prefix, Sent(steps, self._workers[-1].submit(lambda: _wait(last)))

    def close(self) -> None:
        """End the threads; what has not begun is left out."""
        for worker in self._workers:
            worker.shutdown(wait=True, cancel_futures=True)

    def _run(self, index: int, pack: Pack, held: HeldPrefix | None, before: Future[Handed] | None) -> Handed:
        x = None if before is None else before.result().take()
        return self._handed_over(index, self._parts[index].run(pack, held, x))

    def _hold(self, index: int, pack: Pack, prefix: HeldPrefix, before: Future[Handed] | None) -> Handed:
        x = None if before is None else before.result().take()
        return self._handed_over(index, self._parts[index].hold(pack, prefix, x))

    def _handed_over(self, index: int, x: torch.Tensor) -> Handed:
        """``x`` on its way to where the next device takes it; sent before this one begins the next pack."""
        return Handed(x, None) if index == len(self._handovers) else self._handovers[index].send(x)


def packs_in_flight(devices: int) -> int:
    """Of a pipeline over so many devices, those that are a residual stream in memory."""
    return 1 if devices == 1 else devices + 1


class _AtOnce(Executor):
    """Does what it is given before ``submit`` returns: one device needs no thread."""

    def submit(self, fn: Callable[..., Result], /, *args: Any, **kwargs: Any) -> Future[Result]:
        future: Future[Result] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - an executor's future takes any
            future.set_exception(error)
        return future


def _worker(device: torch.device) -> Executor:
    return ThreadPoolExecutor(1, thread_name_prefix=f"thresher-{device}", initializer=_enter, initargs=(device,))


def _enter(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.set_device(device)


def _wait(step: Future[Handed]) -> None:
    step.result()
