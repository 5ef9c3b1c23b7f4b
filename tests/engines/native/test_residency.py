from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thresher.engines.native.residency import SLOTS, resident_layers, weights_bytes
from thresher.errors import EngineCapacityError


@given(st.lists(st.integers(1, 100), min_size=1, max_size=80), st.integers(0, 10_000))
def test_what_stays_fits_the_memory(blocks: list[int], memory: int) -> None:
    if memory < min(sum(blocks), SLOTS * max(blocks)):
        with pytest.raises(EngineCapacityError):
            resident_layers(blocks, memory)
        return
    resident = resident_layers(blocks, memory)
    assert weights_bytes(blocks, resident) <= memory
    if len(resident) < len(blocks):
        assert sum(blocks) > memory


def test_without_a_limit_all_stays() -> None:
    assert resident_layers([5, 6, 7], None) == {0, 1, 2}


def test_streamed_layers_are_spread_evenly() -> None:
    streamed = sorted(set(range(64)) - resident_layers([10] * 64, 10 * (2 + 48)))
    assert len(streamed) == 16
    assert {after - before for before, after in pairwise(streamed)} == {4}


def test_too_little_memory_names_the_least() -> None:
    mib = 1 << 20
    with pytest.raises(EngineCapacityError, match=r"19\.0 MiB: the least is two of the largest layers, 20\.0 MiB"):
        resident_layers([10 * mib] * 64, 19 * mib)


def test_a_byte_too_little_is_not_rounded_away() -> None:
    mib = 1 << 20
    with pytest.raises(EngineCapacityError, match=r"19\.9 MiB: the least is two of the largest layers, 20\.0 MiB"):
        resident_layers([10 * mib] * 64, 20 * mib - 1)
