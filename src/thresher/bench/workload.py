"""What is read in a benchmark: documents of known lengths behind one shared prefix, or the user's own."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from thresher.errors import UsageError
from thresher.jobs import JobView
from thresher.pipeline import ClassifyOptions, run_classify
from thresher.suggestions import did_you_mean
from thresher.tasks import Task

_SHORT_DOCUMENTS, _SHORT_TOKENS = 2_000, 150
_LONG_DOCUMENTS, _LONG_TOKENS = 8, 131_072
_PREFIX_TOKENS = 500
#: What ``--workload`` takes beside inputs of the user's own.
WORKLOADS = ("seed-320", "short", "long-128k")


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """Either lengths, whose documents are made up, or texts."""

    name: str
    prefix_tokens: int = _PREFIX_TOKENS  # about: a task's words are made so long
    document_tokens: tuple[int, ...] = ()  # without prefix and suffix
    texts: tuple[str, ...] = ()

    @property
    def documents(self) -> int:
        """How many there are."""
        return len(self.texts) or len(self.document_tokens)

    def first(self, count: int) -> Workload:
        """``count`` of its documents, evenly through them from short to long, in an order that mixes both."""
        places = _spread(self.texts or self.document_tokens, count)
        return Workload(
            name=self.name,
            prefix_tokens=self.prefix_tokens,
            document_tokens=tuple(self.document_tokens[place] for place in places) if self.document_tokens else (),
            texts=tuple(self.texts[place] for place in places) if self.texts else (),
        )

    def of_length(self, tokens: int) -> Workload:
        """One document of ``tokens`` behind the same prefix."""
        return Workload(name=f"{tokens} tokens", prefix_tokens=self.prefix_tokens, document_tokens=(tokens,))


def open_workload(name: str) -> Workload:
    """The workload called ``name``, or the documents that it leads to.

    Raises:
        UsageError: neither.
        InputError: the inputs have no readable document.
    """
    if name == "seed-320":
        return _from_file(name)
    if name == "short":
        return Workload(name=name, document_tokens=(_SHORT_TOKENS,) * _SHORT_DOCUMENTS)
    if name == "long-128k":
        return Workload(name=name, document_tokens=(_LONG_TOKENS,) * _LONG_DOCUMENTS)
    if not Path(name).exists():
        raise UsageError(
            f"--workload {name}: neither a file or folder nor one of {', '.join(WORKLOADS)}"
            f"{did_you_mean(name, WORKLOADS)}"
        )
    return Workload(name=name, texts=_texts_of(name))


def _from_file(name: str) -> Workload:
    text = (resources.files("thresher.bench") / "workloads" / f"{name}.json").read_text("utf-8")
    loaded = json.loads(text)
    prefix = loaded["prefix_tokens"]
    return Workload(
        name=name, prefix_tokens=prefix, document_tokens=tuple(max(1, n - prefix) for n in loaded["prompt_tokens"])
    )


def _texts_of(place: str) -> tuple[str, ...]:
    """The documents as ``classify`` would read them: it reads them, with an engine that costs nothing."""
    with tempfile.TemporaryDirectory(prefix="thresher-bench-") as folder:
        options = ClassifyOptions(engine="fake", job=Path(folder) / "job")
        run_classify([place], Task(["a", "b"]), "demo", options)
        with JobView.open(Path(folder) / "job") as view:
            contents = dict.fromkeys(row.content_sha256 for row in view.rows() if row.content_sha256)
            texts = tuple(text for text in map(view.text, contents) if text)
    if not texts:
        raise UsageError(f"--workload {place}: no document in it could be read")
    return texts


def _spread(items: Sequence[str] | Sequence[int], count: int) -> list[int]:
    """Places of ``count`` items: every length is met as often as among all of them."""
    if count >= len(items):
        return list(range(len(items)))
    sizes = [len(item) if isinstance(item, str) else item for item in items]
    ranked = sorted(range(len(items)), key=lambda place: (sizes[place], place))
    return sorted(ranked[int((index + 0.5) * len(items) / count)] for index in range(count))
