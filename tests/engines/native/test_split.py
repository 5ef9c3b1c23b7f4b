from __future__ import annotations

from itertools import combinations, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thresher.engines.native.split import split_layers
from thresher.errors import EngineCapacityError, UsageError

BLOCKS = st.lists(st.integers(1, 50), min_size=1, max_size=9)


def best_by_force(blocks: list[int], rooms: list[int]) -> int | None:
    """The smallest largest part of all splits that fit."""
    found = []
    for cuts in combinations(range(1, len(blocks)), len(rooms) - 1):
        parts = [sum(blocks[start:stop]) for start, stop in pairwise((0, *cuts, len(blocks)))]
        if all(part <= room for part, room in zip(parts, rooms, strict=True)):
            found.append(max(parts))
    return min(found, default=None)


@given(BLOCKS, st.lists(st.integers(0, 200), min_size=1, max_size=4))
def test_the_largest_part_is_the_smallest_possible(blocks: list[int], rooms: list[int]) -> None:
    if len(rooms) > len(blocks):
        with pytest.raises(UsageError, match=f"the model has {len(blocks)} layers"):
            split_layers(blocks, rooms)
        return
    expected = best_by_force(blocks, rooms)
    if expected is None:
        with pytest.raises(EngineCapacityError, match="the devices have room for"):
            split_layers(blocks, rooms)
        return
    ranges = split_layers(blocks, rooms)
    assert [layer for part in ranges for layer in part] == list(range(len(blocks)))
    parts = [sum(blocks[layer] for layer in part) for part in ranges]
    assert all(0 < part <= room for part, room in zip(parts, rooms, strict=True))
    assert max(parts) == expected


def test_a_small_device_gets_less() -> None:
    assert split_layers([10] * 8, [1000, 30, 1000]) == [range(3), range(3, 6), range(6, 8)]
    assert split_layers([10] * 8, [1000, 10, 1000]) == [range(4), range(4, 5), range(5, 8)]
