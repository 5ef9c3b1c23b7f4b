"""Labels, and the tree that names with slashes make of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from thresher.errors import TaskError
from thresher.gold import NONE_APPLIES

#: Stands between a label's parent and its own name.
SEPARATOR = "/"


@dataclass(frozen=True, slots=True)
class Label:
    """One possible answer, with what it means."""

    name: str
    description: str = ""


@dataclass(frozen=True, slots=True)
class LabelNode:
    """A label in its place: an answer, or a parent whose children are asked for once it is the answer."""

    name: str  # as it is answered: the part that its parent does not say already
    path: str  # the whole name, "parent/child"
    description: str = ""
    children: tuple[LabelNode, ...] = ()

    def answers(self) -> tuple[str, ...]:
        """The whole names of the answers at or below this node."""
        if not self.children:
            return (self.path,)
        return tuple(answer for child in self.children for answer in child.answers())


@dataclass(slots=True)
class _Branch:
    """A node while the tree grows."""

    path: str
    description: str = ""
    children: dict[str, _Branch] = field(default_factory=dict)

    def frozen(self, name: str) -> LabelNode:
        children = tuple(branch.frozen(child) for child, branch in self.children.items())
        return LabelNode(name, self.path, self.description, children)


def as_labels(labels: Mapping[str, str | None] | Iterable[str]) -> tuple[Label, ...]:
    """Names, or names with descriptions, as labels. Raises ``TaskError`` for a single text."""
    if isinstance(labels, str):
        raise TaskError(f"labels must be a list or a mapping, not the text {labels!r}; write labels=[{labels!r}, ...]")
    if isinstance(labels, Mapping):
        return tuple(Label(name, (text or "").strip()) for name, text in labels.items())
    return tuple(Label(name) for name in labels)


def label_tree(labels: Sequence[Label]) -> tuple[LabelNode, ...]:
    """The top of the tree that the labels make.

    A name with a slash in it lies below its parent where the parent is a label too, or has two labels or more below
    it; so ``N/A`` alone is an ordinary label. A parent is never an answer itself.
    """
    parents = _parents(labels)
    root = _Branch("")
    for label in labels:
        place, start = root, 0
        for parent in (prefix for prefix in _prefixes(label.name) if prefix in parents):
            place = place.children.setdefault(parent[start:], _Branch(parent))
            start = len(parent) + len(SEPARATOR)
        place.children.setdefault(label.name[start:], _Branch(label.name)).description = label.description
    return root.frozen("").children


def _parents(labels: Sequence[Label]) -> set[str]:
    names = {label.name for label in labels}
    below = Counter(prefix for name in names for prefix in _prefixes(name))
    return {prefix for prefix, count in below.items() if count > 1 or prefix in names}


def _prefixes(name: str) -> list[str]:
    """The parents that ``name`` could lie below, outermost first."""
    parts = name.split(SEPARATOR)
    if not all(part.strip() for part in parts):
        return []
    return [SEPARATOR.join(parts[:end]) for end in range(1, len(parts))]


def check_labels(names: Sequence[object], *, least: int) -> None:
    """Raise ``TaskError`` for a name that cannot be a label, one given twice, or fewer than ``least``."""
    for name in names:
        if not isinstance(name, str) or not name.strip():
            raise TaskError(f"a label's name is {name!r}; it must be a word or a few words")
        if name != name.strip() or "\n" in name or "\r" in name:
            raise TaskError(f"label {name!r} has white space around it or a line break in it; remove it")
        if name == NONE_APPLIES:
            raise TaskError(f"label {name!r} is how gold labels say that no label applies; give it another name")
    repeated = next((name for name, count in Counter(names).items() if count > 1), None)
    if repeated is not None:
        raise TaskError(f"label {repeated!r} is given twice; remove one or give it another name")
    if not names:
        raise TaskError("there are no labels; give at least two, as in --labels invoice,contract")
    if len(names) < least:
        raise TaskError(f"there is only one label, {names[0]!r}; a choice needs at least two (add 'other'?)")
