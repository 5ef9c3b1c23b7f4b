"""Documents as Label Studio tasks: texts with predictions to correct, and the labelling configuration that fits them.

The formats are those of https://labelstud.io/guide/predictions and https://labelstud.io/tags: one task a document, one
control a question, ``choices`` or ``number`` results. Labels below other labels are offered by their whole names.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Sequence
from operator import attrgetter
from pathlib import Path
from typing import Any

from thresher.errors import UsageError
from thresher.gold import gold_labels
from thresher.jobs.exporters.base import ExportSource, Written
from thresher.jobs.exporters.label_studio_config import TEXT_TAG, Controls
from thresher.types import Prediction


class LabelStudioExporter:
    """Writes a JSON array of tasks, task by task, and the configuration beside it."""

    def write(self, source: ExportSource, file: Path) -> Written:
        """Write one task for each document.

        Raises:
            UsageError: the job keeps no texts, or a label cannot stand in the configuration.
        """
        tasks = _Tasks(source)
        count = 0
        with file.open("w", encoding="utf-8", newline="\n", errors="replace") as stream:
            stream.write("[")
            for task in tasks:
                stream.write(",\n" if count else "\n")
                stream.write(json.dumps(task, ensure_ascii=False))
                count += 1
            stream.write("\n]\n")
        return Written(entries=count, beside={".config.xml": tasks.controls.to_xml()})


class _Tasks:
    """The tasks, lazily; ``controls`` is complete when they have all gone by."""

    def __init__(self, source: ExportSource) -> None:
        self._source = source
        self.controls = Controls(source.run)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for _, rows in itertools.groupby(self._source.rows, key=attrgetter("document_id")):
            yield self._task(list(rows))

    def _task(self, rows: Sequence[Prediction]) -> dict[str, Any]:
        first = rows[0]
        for row in rows:
            self.controls.add(row.question, row.probabilities)
        data = {
            TEXT_TAG: self._text(first),
            "document_id": first.document_id,
            "source": first.source,
            "content_sha256": first.content_sha256,
            "gold": first.gold if len(rows) == 1 else {row.question: row.gold for row in rows if row.gold is not None},
            "answers": {row.question: _answer(row) for row in rows},
        }
        return {"data": data, "predictions": self._predictions(rows), "annotations": self._annotations(rows)}

    def _text(self, row: Prediction) -> str:
        """The text; empty for a document that could not be read, for it is listed all the same."""
        if row.status == "unreadable" or row.content_sha256 is None:
            return ""
        text = self._source.text_of(row.content_sha256)
        if text is None:
            raise UsageError(
                f"the job keeps no text of {row.document_id!r} (--no-store-text), and Label Studio tasks need the "
                "texts; run classify again without --no-store-text in a new --job, or export to .jsonl"
            )
        return text

    def _predictions(self, rows: Sequence[Prediction]) -> list[dict[str, Any]]:
        answered = [row for row in rows if row.label is not None]
        if not answered:
            return []
        row = answered[0]
        regions = [self.controls.region(row.question, row.label, row.probability) for row in answered]
        return [
            {
                "model_version": f"{row.model} {row.precision} on {row.engine}",
                # Label Studio sorts by it, so that the least certain come first
                "score": min(row.probability or 0.0 for row in answered),
                "result": [region for region in regions if region is not None],
            }
        ]

    def _annotations(self, rows: Sequence[Prediction]) -> list[dict[str, Any]]:
        """The gold labels where they are labels of their questions."""
        regions = [self._gold_region(row) for row in rows if row.gold is not None]
        if not regions or any(region is None for region in regions):
            return []
        return [{"ground_truth": True, "result": [region for region in regions if region]}]

    def _gold_region(self, row: Prediction) -> dict[str, Any] | None:
        """The region that says the gold label; empty where no label applies, None where it is no label."""
        named = gold_labels(row.gold or "", self.controls.kind(row.question))
        if not self.controls.has_labels(row.question, named):
            return None
        return self.controls.region(row.question, named, None) or {}


def _answer(row: Prediction) -> dict[str, Any]:
    return {
        "status": row.status,
        "label": row.label,
        "probability": row.probability,
        "probabilities": dict(row.probabilities),
        "error": row.error,
    }
