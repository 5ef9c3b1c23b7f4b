"""Layers made of random numbers in the compute format itself: hundreds of gigabytes in seconds, none of them shared."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast
from unittest.mock import patch

import torch

from thresher.engines.native.layer_format import LayerFormat
from thresher.engines.native.linear.storage import StoredLinear
from thresher.engines.native.weights import WeightSource


@contextmanager
def random_layers() -> Iterator[None]:
    """Within it, layers are not loaded but drawn on the device that computes; the same numbers each time."""
    with patch.object(LayerFormat, "fill", _fill):
        yield


def _fill(form: LayerFormat, block: torch.Tensor, source: WeightSource, device: torch.device) -> None:
    torch.manual_seed(form.layer)
    drawn = block if block.device == device else torch.empty_like(block, device=device)
    views = form.views(drawn)
    for name, linear in form.linears.items():
        for part, tensor in _random(cast(StoredLinear, linear), 1, device).items():
            views[f"{name}/{part}"].copy_(tensor)
    for name, experts in form.experts.items():
        for part, tensor in _random(cast(StoredLinear, experts.one), experts.count, device).items():
            view = views[f"{name}/{part}"]
            view.copy_(tensor.view(view.shape) if tensor.numel() == view.numel() else tensor.expand(view.shape))
    for name in form.vectors:
        views[name].copy_(source.load(f"layers.{form.layer}.{name}", torch.float32).view(views[name].shape))
    if drawn is not block:
        block.copy_(drawn)


def _random(one: StoredLinear, count: int, device: torch.device) -> dict[str, torch.Tensor]:
    """Storage of ``count`` matrices, one below the other."""
    return type(one).random(count * one.out_features, one.in_features, device)
