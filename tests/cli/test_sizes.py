from __future__ import annotations

import pytest

from thresher.cli.sizes import parse_size
from thresher.errors import UsageError


@pytest.mark.parametrize(
    ("text", "size"),
    [("12GiB", 12 << 30), ("800MB", 800 * 10**6), ("1.5 g", 1_500_000_000), ("4096", 4096), ("0.5kib", 512)],
)
def test_sizes_as_people_write_them(text: str, size: int) -> None:
    assert parse_size(text, "--ram") == size


@pytest.mark.parametrize("text", ["", "12 apples", "-1GiB", "GiB", "0", "0.1", "1e9"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(UsageError, match="--ram: .* is no size"):
        parse_size(text, "--ram")
