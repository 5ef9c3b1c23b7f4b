"""States that pass from step to step."""

from __future__ import annotations

import torch

from thresher.engines.native.config import DeltaConfig
from thresher.engines.native.layers.memory import DeltaMemory, DeltaState
from thresher.engines.native.pack import Span

DELTA = DeltaConfig(key_heads=1, value_heads=2, key_dim=3, value_dim=5, conv_width=4)


def test_stacked_states_are_those_that_were_kept_however_they_lie() -> None:
    values = torch.arange(90.0).view(3, 2, 3, 5)
    for kept in (values, values.mT.contiguous().mT):
        memory = DeltaMemory(DELTA, torch.float32, torch.device("cpu"), None)
        spans = [Span(segment=index, start=0, length=1, wanted=0, carries_on=index != 1) for index in range(3)]
        memory.keep(spans, DeltaState(kept, torch.zeros(3, 3, DELTA.conv_channels)))
        found = memory.before([2, 0]).recurrent
        assert torch.equal(found, values[[2, 0]])
        assert found.mT.is_contiguous() == kept.mT.is_contiguous()
