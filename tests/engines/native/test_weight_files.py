from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from thresher.engines.native.weights.files import WeightFile
from thresher.errors import ModelFormatError

ROWS, ROW_BYTES, OFFSET = 50, 3, 7


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("weights") / "matrix.bin"
    file.write_bytes(bytes(OFFSET) + bytes(range(ROWS * ROW_BYTES)))
    return file


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.integers(0, ROWS - 1), max_size=80))
def test_rows_in_any_order(path: Path, rows: Sequence[int]) -> None:
    expected = torch.arange(ROWS * ROW_BYTES, dtype=torch.uint8).view(ROWS, ROW_BYTES)[list(rows)]
    file = WeightFile(path)
    assert torch.equal(file.read_rows(OFFSET, ROW_BYTES, rows).view(-1, ROW_BYTES), expected)
    file.close()


def test_rows_that_follow_one_another_are_one_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    offsets: list[int] = []
    read = os.preadv

    def count(descriptor: int, buffers: list[memoryview], offset: int) -> int:
        offsets.append(offset)
        return read(descriptor, buffers, offset)

    monkeypatch.setattr(os, "preadv", count)
    file = WeightFile(path)
    file.read_rows(OFFSET, ROW_BYTES, [4, 5, 6, 9, 8, 10, 11])
    assert offsets == [OFFSET + ROW_BYTES * row for row in (4, 9, 8, 10)]
    file.close()


def test_rows_past_the_end_of_the_file(path: Path) -> None:
    file = WeightFile(path)
    with pytest.raises(ModelFormatError, match="cut short"):
        file.read_rows(OFFSET, ROW_BYTES, [ROWS - 1, ROWS])
    file.close()
