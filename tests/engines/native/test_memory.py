"""What passes from step to step."""

from __future__ import annotations

import torch

from tests.support.native_models import make_twin
from thresher.engines.native.config import DeltaConfig
from thresher.engines.native.kernels.attention import KeysValues
from thresher.engines.native.layers.memory import AttentionMemory, DeltaMemory, DeltaState
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


def test_a_pack_comes_behind_a_copy_of_the_prefix() -> None:
    config = make_twin("qwen3", layers=1).config
    held = KeysValues(*torch.randn(2, 3, config.kv_heads, config.head_dim))
    memory = AttentionMemory(config, 5, torch.float32, torch.device("cpu"), held)
    own = memory.of_rows(1, 5)
    own.keys.fill_(7)
    own.values.fill_(8)
    for seen, before, value in ((memory.seen.keys, held.keys, 7), (memory.seen.values, held.values, 8)):
        assert len(seen) == 8
        assert torch.equal(seen[:3], before)
        assert seen[:3].data_ptr() != before.data_ptr()
        assert (seen[4:] == value).all()
