"""The context at work: made when first needed, made larger when a longer request comes."""

from __future__ import annotations

import logging
from dataclasses import replace

from thresher.engines.llamacpp.binding import Binding
from thresher.engines.llamacpp.context import CELL_STEP, Context, Shape
from thresher.engines.llamacpp.loaded_model import LoadedModel
from thresher.engines.llamacpp.reader import Reader

logger = logging.getLogger(__name__)


class Session:
    """Hands out a :class:`Reader` whose context holds as many tokens as asked for."""

    def __init__(self, binding: Binding, model: LoadedModel, smallest: Shape, largest_cells: int) -> None:
        self._binding = binding
        self._model = model
        self._shape = smallest
        self.largest_cells = largest_cells
        self._context: Context | None = None
        self._reader: Reader | None = None

    @property
    def spare_sequences(self) -> int:
        """Sequences beside the prefix's."""
        return self._shape.sequences - 1

    def reader(self, cells: int) -> Reader:
        """A reader for packs of ``cells`` tokens, prefix included. Growing forgets the prefix held.

        Raises ``EngineCapacityError`` when the memory for it cannot be had; the session stays usable.
        """
        if self._reader is not None and cells <= self._shape.cells:
            return self._reader
        return self._grow(cells)

    def _grow(self, cells: int) -> Reader:
        wanted = max(cells, min(2 * self._shape.cells, self.largest_cells)) if self._context else cells
        shape = replace(self._shape, cells=max(self._shape.cells, -(-wanted // CELL_STEP) * CELL_STEP))
        self.close()
        logger.debug("making a context of %d tokens and %d sequences", shape.cells, shape.sequences)
        self._context = Context(self._binding, self._model.handle, self._model.vocabulary_size, shape)
        self._reader = Reader(self._context, keeps_state=self._model.keeps_state)
        self._shape = shape
        return self._reader

    def reset(self) -> None:
        """Forget all that was decoded; to be called after any error."""
        if self._reader is not None:
            self._reader.reset()

    def close(self) -> None:
        """Free the context. Safe to call twice."""
        self._reader = None
        if self._context is not None:
            self._context.close()
            self._context = None
