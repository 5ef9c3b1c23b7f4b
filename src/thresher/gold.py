"""Gold labels as tables and exports write them -> labels. The one place that knows how."""

from __future__ import annotations

import json
import re
from collections.abc import Collection

#: Between the labels of one cell, where a format has no lists; no label of kind ``multi`` has it in its name.
LABEL_JOINER = "|"
#: What says that none of a question's labels applies, where an empty cell says nothing.
NONE_APPLIES = "[]"
#: How people join labels too, and what they put around them.
_OTHER_JOINERS = re.compile(r"[;,|/\t\n]")
_AROUND = " []{}()'\""
_BOOLEANS = {"true": "yes", "false": "no"}


def gold_labels(written: str, kind: str) -> tuple[str, ...]:
    """The labels that ``written`` means for a question of this kind: one, or for ``multi`` any number, or none.

    Several labels are a JSON list, as tables with lists have it, or joined by ``|``. ``[]`` says that none applies,
    which for kinds of one label means that no answer is right. For ``yes_no`` JSON's ``true`` and ``false`` are yes and
    no; for ``score`` ``3.0`` is 3, which is what a column of whole numbers becomes where some are missing.
    """
    if written.strip() == NONE_APPLIES:
        return ()
    if kind == "multi":
        return tuple(dict.fromkeys(_several(written)))
    if kind == "yes_no":
        return (_BOOLEANS.get(written, written),)
    if kind == "score":
        return (written.removesuffix(".0"),)
    return (written,)


def _several(written: str) -> list[str]:
    try:
        listed = json.loads(written)
    except ValueError:
        listed = None
    return list(map(str, listed)) if isinstance(listed, list) else written.split(LABEL_JOINER)


def labels_run_together(name: str, labels: Collection[str]) -> tuple[str, ...]:
    """The labels that ``name``, which is none of ``labels`` itself, joins in a way that is not read here; else none.

    ``invoice; letter`` and ``['invoice', 'letter']`` are such names.
    """
    if name in labels:
        return ()
    parts = tuple(part for part in (piece.strip(_AROUND) for piece in _OTHER_JOINERS.split(name)) if part)
    return parts if set(parts) <= set(labels) else ()
