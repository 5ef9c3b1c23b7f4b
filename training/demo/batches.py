"""Rows of like length gathered into batches of a few fixed shapes, in worker processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from rows import MAX_ANSWER, MAX_LABELS, Row, RowMaker
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

#: Row length -> rows in a batch: about 65,000 tokens each. Lengths are multiples of the delta rule's chunk.
SHAPES = {224: 292, 448: 146, 1024: 64, 3104: 21}
Batch = dict[str, Tensor]


def collate(rows: list[Row], length: int) -> Batch:
    """Right-padded tensors; absent labels have weight 0 and an empty span, absent answer tokens are -1."""
    count = len(rows)
    batch = {
        "tokens": torch.zeros(count, length, dtype=torch.int32),
        "at": torch.zeros(count, MAX_ANSWER, dtype=torch.int64),
        "answer": torch.full((count, MAX_ANSWER), -1),
        "first": torch.zeros(count, MAX_LABELS, dtype=torch.int64),
        "weights": torch.zeros(count, MAX_LABELS),
        "spans": torch.zeros(count, MAX_LABELS, 2, dtype=torch.int64),
        "names": torch.full((count, MAX_LABELS), -1),
        "descriptions": torch.full((count, MAX_LABELS), -1),
        "document": torch.zeros(count, dtype=torch.int64),
        "said": torch.zeros(count, dtype=torch.int64),
    }
    for i, row in enumerate(rows):
        k = len(row.weights)
        batch["tokens"][i, : len(row.tokens)] = torch.tensor(row.tokens, dtype=torch.int32)
        batch["at"][i] = torch.arange(row.answer_at, row.answer_at + MAX_ANSWER).clamp(max=length - 1)
        batch["answer"][i, : len(row.answer)] = torch.tensor(row.answer)
        batch["first"][i, :k] = torch.tensor(row.first_tokens)
        batch["weights"][i, :k] = torch.tensor(row.weights)
        batch["spans"][i, :k] = torch.tensor(row.spans)
        batch["names"][i, :k] = torch.tensor(row.name_vectors)
        batch["descriptions"][i, :k] = torch.tensor(row.description_vectors)
        batch["document"][i] = row.document_vector
        batch["said"][i] = row.said
    return batch


class Batches(IterableDataset[Batch]):
    """Endless batches; each worker draws its own."""

    def __init__(self, make: Callable[[int], RowMaker]) -> None:
        self._make = make

    def __iter__(self) -> Iterator[Batch]:
        worker = get_worker_info()
        maker = self._make(worker.id if worker else 0)
        waiting: dict[int, list[Row]] = {length: [] for length in SHAPES}
        while True:
            row = maker.draw()
            length = next(n for n in SHAPES if len(row.tokens) <= n)
            waiting[length].append(row)
            if len(waiting[length]) == SHAPES[length]:
                yield collate(waiting[length], length)
                waiting[length] = []


def loader(make: Callable[[int], RowMaker], workers: int) -> DataLoader[Batch]:
    """Batches made ahead in ``workers`` processes."""
    if not workers:
        return DataLoader(Batches(make), batch_size=None)
    return DataLoader(
        Batches(make),
        batch_size=None,
        num_workers=workers,
        prefetch_factor=6,
        pin_memory=True,
        multiprocessing_context="fork",
    )
