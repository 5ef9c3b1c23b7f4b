"""A checkpoint's JSON files: objects whose keys are asked for by type, and named when they are missing or wrong."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from thresher.errors import ModelFormatError, ModelNotFoundError

T = TypeVar("T")

#: A file this long is taken for damage: the largest tokenizer.json in use has 35 MB.
_LIMIT_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class ConfigSection:
    """One JSON object; ``name`` says for messages which."""

    name: str
    values: Mapping[str, object]

    def get(self, key: str, kind: type[T], default: T) -> T:
        """The value of ``key``, or ``default`` where it is missing or null. Raises as :meth:`require` for another."""
        return default if self.values.get(key) is None else self.require(key, kind)

    def require(self, key: str, kind: type[T]) -> T:
        """The value of ``key``. Raises ``ModelFormatError`` naming it when it is missing or of another type.

        A whole number is a fine ``float``, a boolean is no number.
        """
        value = self.values.get(key)
        if value is None:
            raise ModelFormatError(f"{self.name}: the key {key!r} is missing; use the model's own, complete file")
        if kind is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise ModelFormatError(
                f"{self.name}: the key {key!r} should be of type {kind.__name__}, and is {value!r:.80}"
            )
        return value

    def positive(self, key: str) -> int:
        """As :meth:`require`, for a whole number above 0."""
        value = self.require(key, int)
        if value < 1:
            raise ModelFormatError(f"{self.name}: the key {key!r} is {value}; it must be positive")
        return value

    def strings(self, key: str) -> tuple[str, ...] | None:
        """A list of texts; None where the key is missing or null."""
        values = self.get(key, list, [])
        if any(not isinstance(value, str) for value in values):
            raise ModelFormatError(f"{self.name}: the key {key!r} should be a list of texts, and is {values!r:.80}")
        return tuple(values) or None

    def section(self, key: str) -> ConfigSection | None:
        """The object below ``key``; None where it is missing or null."""
        values = self.get(key, dict, {})
        return ConfigSection(f"{self.name}: {key}", values) if values else None

    def only(self, key: str, wanted: object) -> None:
        """Refuse another value than ``wanted``, because it changes what the model computes; silence is ``wanted``."""
        value = self.values.get(key)
        if value is not None and value != wanted:
            raise ModelFormatError(
                f"{self.name}: {key} is {value!r:.80}, and the native engine knows only {wanted!r}; "
                "fetch a GGUF of the model for --engine llamacpp"
            )

    def language_model(self) -> ConfigSection:
        """The part of a ``config.json`` about text: its ``text_config``, else all of it.

        Whether embedding and head are tied may be said for the whole model only.
        """
        text = self.section("text_config")
        if text is None:
            return self
        tied = {key: self.values[key] for key in ("tie_word_embeddings",) if key in self.values}
        return ConfigSection(text.name, {**tied, **text.values})


def read_config_file(path: Path) -> ConfigSection:
    """The JSON object in the file at ``path``.

    Raises:
        ModelNotFoundError: there is no such file, or it cannot be read.
        ModelFormatError: it is not a JSON object, or longer than any such file.
    """
    try:
        if path.stat().st_size > _LIMIT_BYTES:
            raise ModelFormatError(f"{path}: has {path.stat().st_size:,} bytes, the limit is {_LIMIT_BYTES:,}; damaged")
        return parse_config(str(path), path.read_bytes())
    except OSError as error:
        raise ModelNotFoundError(f"{path}: cannot be read: {error.strerror or error}") from error


def parse_config(name: str, content: bytes) -> ConfigSection:
    """As :func:`read_config_file`, from the file's content."""
    try:
        values = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ModelFormatError(f"{name}: is no valid JSON ({error}); download it again") from error
    if not isinstance(values, dict):
        raise ModelFormatError(f"{name}: should hold a JSON object and holds {values!r:.40}")
    return ConfigSection(name, values)
