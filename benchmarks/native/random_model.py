"""A model of any shape with random weights, made on the device that computes, and an engine over it."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from typing import Any, cast

import torch

from thresher.engines.base import EngineOptions
from thresher.engines.native.assembly import assemble
from thresher.engines.native.config import NativeConfig
from thresher.engines.native.engine import NativeEngine
from thresher.engines.native.precision import PrecisionChoice
from thresher.engines.native.weights.layout import expected_shapes
from thresher.models.facts import ModelFacts

_CONTEXT_TOKENS = 262_144


class RandomSource:
    """A :class:`~thresher.engines.native.weights.WeightSource` that makes each tensor when it is asked for.

    A tensor is the same each time on the same device. Norms are near 1, decays and rates cover their range, and
    matrices keep the scale of what they multiply, so that no activation degenerates.
    """

    def __init__(self, config: NativeConfig, device: torch.device) -> None:
        self.config = config
        self._device = device
        self._shapes = expected_shapes(config)

    def names(self) -> Iterable[str]:
        return self._shapes

    def shape(self, name: str) -> tuple[int, ...]:
        return self._shapes[name]

    def load(self, name: str, dtype: torch.dtype, device: torch.device | str = "cpu") -> torch.Tensor:  # noqa: ARG002
        return self._make(name, self._shapes[name], dtype)

    def load_rows(
        self,
        name: str,
        rows: torch.Tensor | Sequence[int],
        dtype: torch.dtype,
        device: torch.device | str = "cpu",  # noqa: ARG002
    ) -> torch.Tensor:
        """Rows of a matrix too large to be made whole; they differ from those of :meth:`load`."""
        return self._make(name, (len(rows), *self._shapes[name][1:]), dtype)

    def stored_bytes(self, name: str) -> int:
        return 2 * torch.Size(self._shapes[name]).numel()

    def close(self) -> None:
        return

    def _make(self, name: str, shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
        generator = torch.Generator(self._device).manual_seed(zlib.crc32(name.encode()))
        made = torch.empty(shape, dtype=torch.bfloat16, device=self._device).normal_(generator=generator).to(dtype)
        if name.endswith("A_log"):
            return made.add_(1.0)
        if name.endswith("dt_bias"):
            return made.sub_(3.0)
        if name.endswith("linear_attn.norm.weight"):
            return made.mul_(0.1).add_(1.0)
        if len(shape) == 1:
            return made.mul_(0.1).add_(1.0 - self.config.norm_offset)
        return made.mul_(0.5 if "conv1d" in name else shape[-1] ** -0.5)


def open_random(
    name: str,
    source: Any,
    precision: str,
    device: torch.device | Sequence[torch.device],
    settings: dict[str, int] | None = None,
    weights_memory_bytes: int | None = None,
) -> NativeEngine:
    """The engine as ``thresher classify`` would assemble it for this machine, over ``source``."""
    choice = PrecisionChoice(precision, "as asked")
    options = EngineOptions(
        precision=precision, settings=settings or {}, weights_memory_bytes=weights_memory_bytes, context_tokens=None
    )
    devices = [device] if isinstance(device, torch.device) else device
    return assemble(_facts(name, source.config), cast(Any, None), source, choice, devices, options)


def _facts(name: str, config: NativeConfig) -> ModelFacts:
    return ModelFacts(
        name=f"{name}, random weights",
        architecture=config.family,
        context_tokens=_CONTEXT_TOKENS,
        layers=config.layer_count,
        hidden=config.hidden_size,
        vocabulary_size=config.vocabulary_size,
        parameters=sum(torch.Size(shape).numel() for shape in expected_shapes(config).values()),
        weights_bytes=0,
        quantization="BF16",
        tokenizer_model="",
        tokenizer_pre="",
        chat_template=None,
        bos_id=None,
        eos_id=None,
        eot_id=None,
        bos_token=None,
        eos_token=None,
        add_bos=False,
        recurrent=config.delta is not None,
        hybrid=config.delta is not None,
        full_attention_interval=4 if config.delta else None,
        fingerprint="0" * 64,
    )
