"""What was taken for what."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.metrics import confusion_matrix, multilabel_confusion_matrix

from thresher.evaluation.encoding import Encoded

#: Said of a row without a label.
NO_LABEL = "(no label)"
#: Of a document that fits none of the question's labels.
NONE_FITS = "(none of the labels)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Confusion:
    """Counts of documents: a row for each gold label, a column for each label given, the last for none given.

    Where some documents fit no label, the last row is theirs.
    """

    gold: tuple[str, ...]
    said: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelConfusion:
    """Of a ``multi`` question: one label's four counts of documents."""

    label: str
    true_negative: int
    false_positive: int
    false_negative: int
    true_positive: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """A frequent confusion."""

    gold: str
    said: str
    documents: int


def confusion(encoded: Encoded) -> Confusion:
    """The matrix of a question with one label."""
    columns = len(encoded.classes) + 1
    gold, said = (np.asarray(matrix.argmax(axis=1)).ravel() for matrix in (encoded.gold_nc1, encoded.said_nc1))
    none_fits = np.asarray(encoded.gold_nc1.sum(axis=1)).ravel() == 0
    gold[none_fits] = len(encoded.classes)
    names = (*encoded.classes, *([NONE_FITS] if none_fits.any() else []))
    counts = confusion_matrix(gold, said, labels=list(range(columns)))[: len(names)]
    return Confusion(
        gold=names,
        said=(*encoded.classes, NO_LABEL),
        counts=tuple(tuple(map(int, row)) for row in counts),
    )


def label_confusions(encoded: Encoded) -> tuple[LabelConfusion, ...]:
    """The counts of each label of a ``multi`` question."""
    matrices = multilabel_confusion_matrix(encoded.gold_nc1, encoded.said_nc1)
    return tuple(
        LabelConfusion(
            label=label, true_negative=int(m[0, 0]), false_positive=int(m[0, 1]), false_negative=int(m[1, 0]),
            true_positive=int(m[1, 1]),
        )
        for label, m in zip(encoded.classes, matrices[: len(encoded.classes)], strict=True)
    )  # fmt: skip


def frequent_mistakes(matrix: Confusion, most: int = 20) -> tuple[Mistake, ...]:
    """The most frequent confusions."""
    wrong = [
        Mistake(gold=gold, said=said, documents=count)
        for gold, row in zip(matrix.gold, matrix.counts, strict=True)
        for said, count in zip(matrix.said, row, strict=True)
        if count and gold != said
    ]
    return tuple(sorted(wrong, key=lambda mistake: -mistake.documents)[:most])
