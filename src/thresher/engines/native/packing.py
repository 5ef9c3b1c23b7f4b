"""Which requests are read in one pass. Arithmetic only."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from thresher.engines.native.pack import Tree

Item = TypeVar("Item")


def packs_of(
    items: Iterator[tuple[Item, Tree]], most_rows: Callable[[], int], segments: int
) -> Iterator[list[tuple[Item, Tree]]]:
    """``items`` in their order, in packs of up to so many rows and segments; a larger tree is alone.

    ``most_rows`` is asked anew for every item: what a pack may hold can turn out to be less while packs are read.
    """
    pack: list[tuple[Item, Tree]] = []
    used_rows = used_segments = 0
    for item, tree in items:
        full = used_rows + tree.rows > most_rows() or used_segments + len(tree.drafts) > segments
        if pack and full:
            yield pack
            pack, used_rows, used_segments = [], 0, 0
        pack.append((item, tree))
        used_rows += tree.rows
        used_segments += len(tree.drafts)
    if pack:
        yield pack


def halves(pack: Sequence[Item]) -> tuple[Sequence[Item], Sequence[Item]]:
    """The pack in two."""
    middle = len(pack) // 2
    return pack[:middle], pack[middle:]
