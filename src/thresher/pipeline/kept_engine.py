"""The engine that texts are read with: opened when first asked for, kept until another is, closed at the end.

A grid search makes hundreds of estimators for one model, and a notebook calls again and again; loading the weights
each time would cost more than reading the texts. There is one engine at a time, because a second model's weights may
not fit beside the first, and one caller at a time, because they would share the hardware anyway.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from thresher.engines import EngineInfo
from thresher.errors import EngineError, EngineUnavailableError
from thresher.pipeline.admission import Admission, LongPolicy
from thresher.pipeline.opening import Opened, References, find_model, open_chosen
from thresher.pipeline.options import ClassifyOptions
from thresher.pipeline.setup import put_into_tokens
from thresher.tasks import Task, TaskPrompt

#: Tasks whose tokens are kept with the engine.
_KEPT_TASKS = 16


@dataclass(frozen=True, slots=True)
class _Wish:
    """What an engine was opened for; equal wishes share it."""

    models: tuple[str, ...]
    options: ClassifyOptions  # without what is no business of the engine
    file: tuple[int, int] | None  # size and time of change: a model that was replaced is opened again

    @classmethod
    def of(cls, model: References, options: ClassifyOptions) -> _Wish:
        models = (os.fspath(model),) if isinstance(model, (str, os.PathLike)) else tuple(model)
        only_engine = ClassifyOptions(
            engine=options.engine, precision=options.precision, context_tokens=options.context_tokens,
            threads=options.threads, device=options.device, weights_memory_bytes=options.weights_memory_bytes,
            tokenizer=options.tokenizer, deadline_s=options.deadline_s, settings=options.settings,
            use_profile=options.use_profile,
        )  # fmt: skip
        try:
            status = Path(models[0]).stat()
        except OSError:  # no file: the demo model, or one of the hub or of a server
            return cls(models, only_engine, None)
        return cls(models, only_engine, (status.st_size, status.st_mtime_ns))

    def settled(self, info: EngineInfo) -> _Wish:
        """The same with engine and context as they came out."""
        options = replace(self.options, engine=info.engine, context_tokens=info.largest_request_tokens or None)
        return replace(self, options=options)


class OpenEngine:
    """An engine, and the tasks put into the tokens of its model so far."""

    def __init__(self, opened: Opened) -> None:
        self.engine = opened.engine
        self.notices = opened.notices
        self._opened = opened
        self._tasks: dict[tuple[str, LongPolicy], tuple[TaskPrompt, Admission]] = {}

    def outfit(self, task: Task, policy: LongPolicy) -> tuple[TaskPrompt, Admission]:
        """See :func:`~thresher.pipeline.setup.put_into_tokens`; the same again for an equal task."""
        key = (f"{task.name}\0{task.fingerprint}", policy)
        found = self._tasks.pop(key, None) or put_into_tokens(task, self._opened, policy)
        self._tasks[key] = found  # the latest stands last
        if len(self._tasks) > _KEPT_TASKS:
            del self._tasks[next(iter(self._tasks))]
        return found


class KeptEngine:
    """Lends one engine at a time to one caller at a time; may be used from several threads."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._used = False  # an engine was opened in this process
        self._inherited = False  # or in one that this process was forked from
        self._wish: _Wish | None = None
        self._open: OpenEngine | None = None

    @contextlib.contextmanager
    def lend(self, model: References, options: ClassifyOptions) -> Iterator[OpenEngine]:
        """The engine for ``model``, for the caller alone until the block ends.

        Raises:
            UsageError, EngineError, ModelError: it cannot be opened.
        """
        wish = _Wish.of(model, options)
        with self._mutex:
            try:
                yield self._opened(wish)
            except EngineError:  # it may not go on; the next caller gets a fresh one
                self._give_back()
                raise

    def close(self) -> None:
        """Free the engine; the next caller opens it again. Waits for a caller that has it. Safe twice."""
        with self._mutex:
            self._give_back()

    def close_if_idle(self) -> None:
        """As ``close``, but an engine in use is left to the end of the process."""
        if self._mutex.acquire(blocking=False):
            try:
                self._give_back()
            finally:
                self._mutex.release()

    def after_fork(self) -> None:
        """In a forked process: let go without freeing, for threads and devices are still the parent's."""
        self._inherited = self._inherited or self._used
        self._mutex = threading.Lock()  # another thread of the parent may hold it
        self._wish, self._open = None, None

    def _opened(self, wish: _Wish) -> OpenEngine:
        if self._open is not None and self._serves(self._open, wish):
            return self._open
        if self._inherited:  # OpenMP and CUDA hang or fail in a child of a process that has used them
            raise EngineUnavailableError(
                "this process was forked from one that had used an engine, and engines do not survive that; start "
                "processes with 'spawn' (or with joblib's own, loky), or fork before the first use"
            )
        self._give_back()  # first, so that both need not fit
        self._used = True
        opened = open_chosen(find_model(wish.models, wish.options), wish.options)
        self._wish, self._open = wish, OpenEngine(opened)
        return self._open

    def _serves(self, opened: OpenEngine, wish: _Wish) -> bool:
        """What it was opened for, or by its name what was chosen when the choice was left open."""
        return self._wish is not None and wish in (self._wish, self._wish.settled(opened.engine.info))

    def _give_back(self) -> None:
        opened, self._open, self._wish = self._open, None, None
        if opened is not None:
            opened.engine.close()


KEPT = KeptEngine()
atexit.register(KEPT.close_if_idle)
if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=KEPT.after_fork)
