"""What is known of a model before its weights are: shape, stored sizes, vocabulary."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from thresher.errors import ModelFormatError
from thresher.models.checkpoint_facts import is_scale, reads_text, stored_format
from thresher.models.config_file import ConfigSection
from thresher.models.facts import stored_quantization
from thresher.models.gguf_file import GgufHeader
from thresher.models.safetensors_file import SafetensorsHeader
from thresher.models.shape import ModelShape
from thresher.models.shape_config import shape_of_config
from thresher.models.shape_gguf import shape_of_gguf
from thresher.models.shape_weights import Part, part_of, weights_of
from thresher.models.tokenizer import Tokenizer


@dataclass(frozen=True, slots=True)
class StoredPart:
    """What a model's files hold of one part of it."""

    elements: int  # scales of quantized weights not counted
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ModelOutline:
    """A model without its weights."""

    reference: str
    name: str
    source: str  # what was read, e.g. "GGUF header", "config.json"
    shape: ModelShape
    quantization: str | None  # of the files; None where only a config.json is known
    stored: Mapping[Part, StoredPart] = field(default_factory=dict)  # empty where only a config.json is known
    types: Mapping[str, int] = field(default_factory=dict)  # storage type -> bytes
    is_gguf: bool = False
    load_tokenizer: Callable[[], Tokenizer | None] = lambda: None

    @property
    def parameters(self) -> int:
        """Values in all tensors that read text: counted in the files where there are any, else by the shape."""
        if self.stored:
            return sum(part.elements for part in self.stored.values())
        return sum(weight.elements for weight in weights_of(self.shape))


def outline_of_gguf(reference: str, name: str, headers: Sequence[GgufHeader], source: str) -> ModelOutline:
    """The outline of a GGUF model from its shards' headers. Raises ``ModelFormatError``."""
    from thresher.models.gguf_tokenizer import build_tokenizer

    shape = shape_of_gguf(headers)
    tensors = [tensor for header in headers for tensor in header.tensors if not _predicts(tensor.name, shape)]
    return ModelOutline(
        reference=reference,
        name=name,
        source=source,
        shape=shape,
        quantization=stored_quantization(headers),
        stored=_by_part((tensor.name, tensor.elements, tensor.size_bytes) for tensor in tensors),
        types=_sums((tensor.type_name, tensor.size_bytes) for tensor in tensors),
        is_gguf=True,
        load_tokenizer=lambda: build_tokenizer(headers[0]),
    )


def outline_of_checkpoint(
    reference: str,
    name: str,
    config: ConfigSection,
    headers: Sequence[SafetensorsHeader],
    source: str,
    load_tokenizer: Callable[[], Tokenizer | None],
) -> ModelOutline:
    """The outline of a checkpoint, whose weights (``headers``) may not be known. Raises ``ModelFormatError``."""
    tensors = [tensor for header in headers for tensor in header.tensors if reads_text(tensor.name)]
    return ModelOutline(
        reference=reference,
        name=name,
        source=source,
        shape=shape_of_config(config),
        quantization=stored_format(config, tensors) if tensors else None,
        stored=_by_part((t.name, 0 if is_scale(t.name) else t.elements, t.size_bytes) for t in tensors),
        types=_sums((tensor.type_name, tensor.size_bytes) for tensor in tensors),
        load_tokenizer=load_tokenizer,
    )


def tokenizer_in(folder: Path) -> Callable[[], Tokenizer | None]:
    """Builds the tokenizer of the checkpoint in ``folder`` when called; None where it has none."""

    def load() -> Tokenizer | None:
        from thresher.models.checkpoint import TOKENIZER
        from thresher.models.checkpoint_tokenizer import build_checkpoint_tokenizer

        path = folder / TOKENIZER
        return build_checkpoint_tokenizer(path) if path.is_file() else None

    return load


def check_has_config(folder: Path, has_config: bool) -> None:
    """Raise where weights lie without the file that says what they are."""
    if not has_config:
        raise ModelFormatError(
            f"{folder}: holds weights and no config.json, which says what they are; copy the model's own beside them"
        )


def _predicts(name: str, shape: ModelShape) -> bool:
    """Whether a GGUF tensor belongs to a layer behind the last, which predicts further tokens."""
    block, _, rest = name.removeprefix("blk.").partition(".")
    return name.startswith("blk.") and bool(rest) and block.isdigit() and int(block) >= shape.layers


def _by_part(tensors: Iterable[tuple[str, int, int]]) -> Mapping[Part, StoredPart]:
    elements: dict[Part, int] = defaultdict(int)
    sizes: dict[Part, int] = defaultdict(int)
    for name, count, size_bytes in tensors:
        elements[part_of(name)] += count
        sizes[part_of(name)] += size_bytes
    return {part: StoredPart(elements[part], sizes[part]) for part in sizes}


def _sums(pairs: Iterable[tuple[str, int]]) -> Mapping[str, int]:
    found: dict[str, int] = defaultdict(int)
    for key, number in pairs:
        found[key] += number
    return dict(sorted(found.items(), key=lambda item: -item[1]))
