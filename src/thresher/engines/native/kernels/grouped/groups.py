"""Rows in groups, as grouped products take them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch


@dataclass(frozen=True)
class Groups:
    """M rows in G groups. ``ends`` int32 [G]: the row behind each group, on the device; the last one is M."""

    ends: torch.Tensor
    rows: int

    @cached_property
    def on_host(self) -> list[int]:
        """``ends`` as numbers, which a device is waited for."""
        return [int(end) for end in self.ends.tolist()]

    def tiles(self, size: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The groups in tiles of up to ``size`` rows: group and first row of each, int32; group G where there is none.

        There are as many as any groups of so many rows could need, so that the host need not know how many.
        """
        groups = len(self.ends)
        starts = torch.cat([self.ends.new_zeros(1), self.ends[:-1]])
        tile_ends = ((self.ends - starts + size - 1) // size).cumsum(0)
        numbers = torch.arange(-(-self.rows // size) + groups, device=self.ends.device)
        of_tile = torch.searchsorted(tile_ends, numbers, right=True)
        known = of_tile.clamp(max=groups - 1)
        before = torch.where(known > 0, tile_ends[known - 1], 0)
        return of_tile.int(), (starts[known] + (numbers - before) * size).int()
