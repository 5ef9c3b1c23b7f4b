"""Which of a repository's GGUF files is meant: the quantization after the colon, or the usual one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from thresher.errors import ModelNotFoundError
from thresher.models.checkpoint import SMALL_FILES
from thresher.models.shards import is_first_file, model_name, shards_of
from thresher.suggestions import did_you_mean

#: Taken, in this order, where a reference names no quantization. llama.cpp does the same.
DEFAULT_QUANTIZATIONS = ("Q4_K_M", "Q8_0")

_LABEL = re.compile(
    r"(?:^|[-._/])((?:UD-)?(?:I?Q\d\w*|TQ\d_\d|BF16|F16|FP16|F32|FP32|MXFP4(?:_MOE)?|NVFP4))$", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class RepositoryModel:
    """One model of a repository: the paths of its files, the first GGUF shard first."""

    files: tuple[str, ...]
    stem: str  # path without shard numbers and ".gguf"
    quantization: str  # e.g. "UD-Q5_K_XL"; the file's name where it tells none


def models_among(paths: Sequence[str]) -> list[RepositoryModel]:
    """The GGUF models among the files of a repository, by name; projectors and importance matrices are none."""
    found = []
    for path in sorted(map(PurePosixPath, paths)):
        if not is_first_file(path.name) or "imatrix" in path.name.lower():
            continue
        name = model_name(path.name)
        label = _LABEL.search(name)
        files = tuple(str(path.with_name(shard.name)) for shard in shards_of(path))
        found.append(RepositoryModel(files, str(path.with_name(name)), label[1] if label else name))
    return found


def choose(repository: str, paths: Sequence[str], quantization: str | None) -> RepositoryModel:
    """The model meant by ``quantization``, matched as llama.cpp does: the end of a file's name in any case.

    Raises:
        ModelNotFoundError: there is no such model, or more than one; lists those available.
    """
    models = models_among(paths)
    if not models:
        if quantization is None and (checkpoint := _checkpoint_among(paths)):
            return checkpoint
        kind = "safetensors weights" if any(path.endswith(".safetensors") for path in paths) else "no model"
        asked = f", and {quantization!r} names one" if quantization else ""
        raise ModelNotFoundError(
            f"{repository}: holds {kind} and no GGUF file{asked}; "
            f"look for a repository named {repository.split('/')[-1]}-GGUF"
        )
    if quantization is None and len(models) == 1:
        return models[0]
    for wanted in DEFAULT_QUANTIZATIONS if quantization is None else (quantization,):
        matching = _matching(models, wanted)
        if len(matching) == 1:
            return matching[0]
        if matching:
            names = ", ".join(model.stem for model in matching)
            raise ModelNotFoundError(
                f"{repository}: {wanted} is the name of {len(matching)} models: {names}; write more"
            )
    available = [model.quantization for model in models]
    problem = "name a quantization" if quantization is None else f"no quantization {quantization!r}"
    near = "" if quantization is None else did_you_mean(quantization, available, most=3)
    raise ModelNotFoundError(
        f"{repository}: {problem}{near}; available: {', '.join(dict.fromkeys(available))} "
        f"(write {repository}:{available[0]})"
    )


def _checkpoint_among(paths: Sequence[str]) -> RepositoryModel | None:
    """The checkpoint at the root of a repository: its small files first, then its weights."""
    weights = sorted(path for path in paths if re.fullmatch(r"model[\w.-]*\.safetensors", path))
    small = [name for name in SMALL_FILES if name in paths]
    return RepositoryModel((*small, *weights), "checkpoint", "safetensors") if weights else None


def _matching(models: Sequence[RepositoryModel], wanted: str) -> list[RepositoryModel]:
    """Models whose quantization is ``wanted``, else those whose path ends with it."""
    folded = wanted.casefold()
    exact = [model for model in models if model.quantization.casefold() == folded]
    ending = re.compile(rf"(?:^|[-._/]){re.escape(folded)}$")
    return exact or [model for model in models if ending.search(model.stem.casefold())]
