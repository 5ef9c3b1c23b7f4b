"""How one layer's weights are stored in the compute format: one block of bytes, and where each tensor lies in it.

A block is what is loaded, kept, copied to the card and thrown away as a whole.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch

from thresher.engines.native.config import NativeConfig
from thresher.engines.native.layers.experts import Experts
from thresher.engines.native.layers.parts import Parts
from thresher.engines.native.linear import Linear, empty_linear, make_linear
from thresher.engines.native.weights import WeightSource
from thresher.engines.native.weights.layout import layer_shapes

_ALIGNMENT = 256
#: Matrices that stay in a plain precision whatever is asked for: small, and errors in them weigh more.
_PLAIN = ("linear_attn.in_proj_ab", "mlp.gate", "mlp.shared_expert_gate")
#: Matrices of the same rows that are multiplied as one: the first's rows, then the second's -> its name.
_FUSED = {(".gate_proj", ".up_proj"): ".gate_up_proj", (".in_proj_a", ".in_proj_b"): ".in_proj_ab"}
_EXPERTS = "mlp.experts."
_NORMS = ("input_layernorm", "post_attention_layernorm", "self_attn.q_norm", "self_attn.k_norm")


def plain_precision(precision: str) -> str:
    """What is not quantized is computed in: fp32 beside fp32, else bf16."""
    return "fp32" if precision == "fp32" else "bf16"


def activation_dtype(precision: str) -> torch.dtype:
    """Of the residual stream and all that is not accumulated."""
    return torch.float32 if precision == "fp32" else torch.bfloat16


@dataclass(frozen=True, slots=True)
class _Entry:
    offset: int
    shape: torch.Size
    dtype: torch.dtype


class LayerFormat:
    """The block of one layer. Layers of the same kind have equal formats."""

    def __init__(self, config: NativeConfig, layer: int, precision: str) -> None:
        self._config = config
        self.layer = layer
        self._precision = precision
        shapes = layer_shapes(config, layer)
        self.experts = {
            name: Experts.empty(shape[0], shape[1], shape[2], precision)
            for name, shape in shapes.items()
            if name.startswith(_EXPERTS)
        }
        self.linears = self._empty_linears(shapes)
        self.vectors = {name: shape for name, shape in shapes.items() if _is_vector(name, shape)}
        self._entries: dict[str, _Entry] = {}
        self.block_bytes = self._place()

    def _empty_linears(self, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Linear]:
        linears: dict[str, Linear] = {}
        for name, shape in shapes.items():
            if name not in self.experts and not _is_vector(name, shape):
                own, parts = _fused(name.removesuffix(".weight"))
                precision = plain_precision(self._precision) if own in _PLAIN else self._precision
                linears[own] = empty_linear(parts * shape[0], shape[1], precision, "meta")
        return linears

    def _place(self) -> int:
        end = 0
        matrices: dict[str, Linear | Experts] = {**self.linears, **self.experts}
        stored = {f"{name}/{part}": t for name, matrix in matrices.items() for part, t in matrix.tensors().items()}
        vectors = {name: torch.empty(shape, device="meta") for name, shape in self.vectors.items()}
        for name, tensor in {**stored, **vectors}.items():
            offset = -(-end // _ALIGNMENT) * _ALIGNMENT
            self._entries[name] = _Entry(offset, tensor.shape, tensor.dtype)
            end = offset + tensor.nbytes
        return -(-end // _ALIGNMENT) * _ALIGNMENT

    def views(self, block: torch.Tensor) -> dict[str, torch.Tensor]:
        """``block`` as the tensors that lie in it: ``name/part`` of matrices, the names of vectors."""
        return {
            name: block[entry.offset : entry.offset + math.prod(entry.shape) * entry.dtype.itemsize]
            .view(entry.dtype)
            .view(entry.shape)
            for name, entry in self._entries.items()
        }

    def fill(self, block: torch.Tensor, source: WeightSource, device: torch.device) -> None:
        """Load the layer from ``source`` into ``block``, uint8 [block_bytes] on any device; converted on ``device``."""
        views = self.views(block)
        for name, linear in self.linears.items():
            made = make_linear(self._weight(source, name, device), linear.precision, device)
            for part, tensor in made.tensors().items():
                views[f"{name}/{part}"].copy_(tensor)
        for name, experts in self.experts.items():
            for expert in range(experts.count):
                made = make_linear(self._expert(source, name, expert, device), experts.one.precision, device)
                for part, tensor in made.tensors().items():
                    views[f"{name}/{part}"][expert].copy_(tensor)
        for name in self.vectors:
            views[name].copy_(source.load(f"layers.{self.layer}.{name}", torch.float32).view(self.vectors[name]))

    def _weight(self, source: WeightSource, name: str, device: torch.device) -> torch.Tensor:
        base = f"layers.{self.layer}.{name}"
        dtype = activation_dtype(self._precision)
        for parts, fused in _FUSED.items():
            if name.endswith(fused):
                own = base.removesuffix(fused)
                return torch.cat([source.load(f"{own}{part}.weight", dtype, device) for part in parts])
        return source.load(f"{base}.weight", dtype, device)

    def _expert(self, source: WeightSource, name: str, expert: int, device: torch.device) -> torch.Tensor:
        dtype = activation_dtype(self._precision)
        return source.load_rows(f"layers.{self.layer}.{name}", [expert], dtype, device)[0]

    def parts(self, block: torch.Tensor) -> Parts:
        """The layer's weights over a filled ``block`` on the device that computes; shared, not copied."""
        views = self.views(block)
        linears = {
            name: linear.with_tensors({part: views[f"{name}/{part}"] for part in linear.tensors()})
            for name, linear in self.linears.items()
        }
        experts = {
            name: stacked.with_tensors({part: views[f"{name}/{part}"] for part in stacked.tensors()})
            for name, stacked in self.experts.items()
        }
        vectors = {name: views[name] for name in self.vectors}
        offset = self._config.norm_offset
        norms = {name: views[f"{name}.weight"] + offset for name in _NORMS if f"{name}.weight" in vectors}
        return Parts(linears, experts, vectors, norms)


def expanded_bytes(config: NativeConfig, precision: str) -> int:
    """Memory of the largest layer in the precision that it is multiplied in, where it is stored in another one."""
    multiplied_in = precision.removeprefix("nvfp4-")
    if multiplied_in == precision:
        return 0
    first = {kind: config.layer_kinds.index(kind) for kind in config.layer_kinds}
    return max(LayerFormat(config, layer, multiplied_in).block_bytes for layer in first.values())


def _fused(name: str) -> tuple[str, int]:
    """The matrix that ``name`` is multiplied in, and of how many it is made."""
    for parts, fused in _FUSED.items():
        for part in parts:
            if name.endswith(part):
                return name.removesuffix(part) + fused, len(parts)
    return name, 1


def _is_vector(name: str, shape: tuple[int, ...]) -> bool:
    return len(shape) == 1 or name.endswith("conv1d.weight")
