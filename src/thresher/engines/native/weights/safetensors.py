"""Weights of a safetensors checkpoint, from every layout in use under the same names.

Text-only checkpoints keep the language model below ``model.``, multimodal ones below ``model.language_model.``. Experts
are fused, or single tensors below ``experts.E.``. In fp8 a tensor's factors lie beside it as ``<name>_scale_inv``
(DeepSeek's way, which Qwen's own fp8 repositories follow) or ``<name>_scale`` (compressed-tensors): for blocks, for
rows or for the whole tensor, as their shape tells; the value is number times factor in either case.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path

import torch

from thresher.engines.native.config import NativeConfig
from thresher.engines.native.config_json import read_json_config
from thresher.engines.native.weights.entries import BlockScaled, Entry, Stacked, Stored, scale_shape
from thresher.engines.native.weights.entry_source import EntrySource
from thresher.engines.native.weights.files import WeightFile
from thresher.engines.native.weights.layout import expected_shapes
from thresher.errors import ModelFormatError
from thresher.models.checkpoint import Checkpoint
from thresher.models.config_file import ConfigSection
from thresher.models.safetensors_file import StoredTensor

_PREFIXES = ("model.language_model.", "model.", "language_model.model.", "")
_HEADS = ("lm_head.weight", "language_model.lm_head.weight")
_FLOATS: Mapping[str, torch.dtype] = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
}
_FP8: Mapping[str, torch.dtype] = {"F8_E4M3": torch.float8_e4m3fn, "F8_E5M2": torch.float8_e5m2}
_SCALE_ENDINGS = ("_scale_inv", "_scale")


def open_checkpoint_weights(checkpoint: Checkpoint) -> EntrySource:
    """The weights of ``checkpoint``.

    Raises:
        ModelNotFoundError: a file cannot be opened.
        ModelFormatError: see :func:`~thresher.engines.native.weights.open_weights`.
    """
    config = read_json_config(checkpoint.config.language_model())
    block = _fp8_block(checkpoint.config)
    files = {header.path: WeightFile(header.path) for header in checkpoint.headers}
    try:
        finder = _Finder(checkpoint, files, block)
        entries = {name: entry for name in expected_shapes(config) if (entry := finder.find(name, config)) is not None}
        return EntrySource(str(checkpoint.folder), config, entries, list(files.values()))
    except BaseException:
        for file in files.values():
            file.close()
        raise


def _fp8_block(config: ConfigSection) -> tuple[int, int] | None:
    """The size of fp8's blocks where the config names one. Raises ``ModelFormatError`` for other quantizations."""
    settings = config.section("quantization_config") or config.language_model().section("quantization_config")
    if settings is None:
        return None
    method, layout = settings.require("quant_method", str), settings.get("format", str, "")
    if method != "fp8" and (method, layout) != ("compressed-tensors", "float-quantized"):
        raise ModelFormatError(
            f"{settings.name}: the weights are quantized by {' '.join(filter(None, (method, layout)))!r}, and the "
            "native engine reads fp8 and unquantized checkpoints; fetch one of these, or a GGUF of the model"
        )
    size = settings.get("weight_block_size", list, [])
    if size and (len(size) != 2 or any(not isinstance(side, int) or side < 1 for side in size)):
        raise ModelFormatError(f"{settings.name}: weight_block_size should be two positive numbers and is {size!r}")
    return (size[0], size[1]) if size else None


class _Finder:
    """Finds the engine's tensors among a checkpoint's."""

    def __init__(self, checkpoint: Checkpoint, files: Mapping[Path, WeightFile], block: tuple[int, int] | None) -> None:
        self._tensors = checkpoint.tensors
        self._files = files
        self._block = block
        found = [prefix for prefix in _PREFIXES if f"{prefix}embed_tokens.weight" in self._tensors]
        if not found:
            raise ModelFormatError(
                f"{checkpoint.folder}: the tensor 'embed_tokens.weight' is missing, with or without a prefix; the "
                f"files hold {len(self._tensors)} tensors, such as {', '.join(list(self._tensors)[:3]) or 'none'}"
            )
        self._prefix = found[0]

    def find(self, name: str, config: NativeConfig) -> Entry | None:
        """The entry of the engine's tensor ``name``; None where the checkpoint does not have it."""
        if name == "lm_head.weight":
            return next((self._entry(head) for head in _HEADS if head in self._tensors), None)
        theirs = self._prefix + name
        if theirs in self._tensors:
            return self._entry(theirs)
        if ".experts." in name and config.moe is not None:
            return self._stacked(theirs, config.moe.experts)
        return None

    def _stacked(self, name: str, experts: int) -> Entry | None:
        """Single experts' tensors as the fused one called ``name``."""
        below, _, kind = name.rpartition(".")
        parts = ("gate_proj", "up_proj") if kind == "gate_up_proj" else ("down_proj",)
        names = [[f"{below}.{expert}.{part}.weight" for part in parts] for expert in range(experts)]
        missing = [single for group in names for single in group if single not in self._tensors]
        if len(missing) == experts * len(parts):
            return None
        if missing:
            raise ModelFormatError(
                f"{self._any_file()}: {len(missing)} experts' tensors are missing, {missing[0]!r} first; "
                "the files are not those of one complete model"
            )
        shapes = {self._tensors[single].shape: single for group in names for single in group}
        if len(shapes) > 1:
            raise ModelFormatError(
                f"{self._any_file()}: the experts are not of one shape: "
                f"{', '.join(f'{single!r} has {shape}' for shape, single in list(shapes.items())[:2])}"
            )
        return Stacked(tuple(tuple(self._entry(single) for single in group) for group in names))

    def _entry(self, name: str) -> Entry:
        tensor = self._tensors[name]
        numbers = self._stored(tensor)
        if tensor.type_name not in _FP8:
            return numbers
        scales = next((self._tensors[name + end] for end in _SCALE_ENDINGS if name + end in self._tensors), None)
        if scales is None:
            raise ModelFormatError(
                f"{tensor.path}: the tensor {name!r} is in fp8 and its factors are missing, "
                f"{' or '.join(repr(name + end) for end in _SCALE_ENDINGS)}"
            )
        return BlockScaled(numbers, self._stored(scales), self._block_of(tensor, scales))

    def _block_of(self, tensor: StoredTensor, scales: StoredTensor) -> tuple[int, int] | None:
        """How far a factor of ``scales`` reaches in ``tensor``; None: all over it."""
        if scales.elements == 1:
            return None
        if len(tensor.shape) > 1:
            for block in ((1, tensor.shape[-1]), self._block):
                if block is not None and scales.shape == scale_shape(tensor.shape, block):
                    return block
        raise ModelFormatError(
            f"{scales.path}: the factors {scales.name!r} have the shape {scales.shape}; a tensor of {tensor.shape} has "
            f"one for the whole, one for each row, or one for each block (weight_block_size is {self._block})"
        )

    def _stored(self, tensor: StoredTensor) -> Entry:
        dtype = _FLOATS.get(tensor.type_name) or _FP8.get(tensor.type_name)
        if dtype is None:
            raise ModelFormatError(
                f"{tensor.path}: the tensor {tensor.name!r} is stored as {tensor.type_name}, and the native engine "
                f"reads {', '.join([*_FLOATS, *_FP8])}"
            )
        return Stored(
            self._files[tensor.path], tensor.offset, tensor.size_bytes, tensor.shape, functools.partial(_decode, dtype)
        )

    def _any_file(self) -> str:
        return str(next(iter(self._tensors.values())).path.parent)


def _decode(stored: torch.dtype, raw: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    return raw.view(stored).to(dtype)
