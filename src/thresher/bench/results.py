"""What a benchmark found out, in one JSON file that grows case by case; and two of them beside each other."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from thresher.bench.cases import Case
from thresher.bench.measurement import Measurement, agreement
from thresher.errors import UsageError
from thresher.jobs import new_file
from thresher.pipeline import machine_in_words

FILE_NAME = "bench.json"
_FORMAT = 1
#: A sweep's knee: the first value that reaches this share of the best throughput. More adds waiting, not speed.
_KNEE_SHARE = 0.95


class Results:
    """The measurements of one benchmark. ``add`` has them on the disk when it returns."""

    def __init__(self, file: Path | None, header: Mapping[str, Any], rows: Sequence[tuple[str, Measurement]]) -> None:
        self.header = dict(header)
        self._file = file
        self._rows = dict(rows)

    @classmethod
    def begin(cls, folder: Path | None, workload: str) -> Results:
        """Go on with the benchmark in ``folder``, which is there, or begin one; with None it is in memory only.

        Raises:
            UsageError: what is there is another machine's or version's, or cannot be read.
        """
        header = {
            "format": _FORMAT, "made_at": time.time(), "thresher": version("thresher"), "machine": machine_in_words(),
            "workload": workload,
        }  # fmt: skip
        if folder is None:
            return cls(None, header, [])
        file = folder / FILE_NAME
        if not file.exists():
            return cls(file, header, [])
        old = cls.load(file)
        for what in ("thresher", "machine", "workload"):
            if old.header[what] != header[what]:
                raise UsageError(
                    f"{file} was measured with {what} {old.header[what]}, and this is {header[what]}; choose another "
                    f"--out, and compare with --compare {file}"
                )
        return cls(file, old.header, list(old._rows.items()))

    @classmethod
    def load(cls, file: Path) -> Results:
        """The results in ``file``. Raises ``UsageError`` when it has none."""
        try:
            fields = json.loads(file.read_text("utf-8"))
            if fields["format"] != _FORMAT:
                raise UsageError(f"{file} has format {fields['format']}, and this version reads {_FORMAT}")
            rows = [(row["key"], Measurement.from_json(row["measured"])) for row in fields["rows"]]
            return cls(file, fields["header"] | {"format": _FORMAT}, rows)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UsageError(f"{file} is not a result of thresher bench: {error}") from error

    @property
    def measured(self) -> Mapping[str, Measurement]:
        """Case's key -> what was measured, in the order of measuring."""
        return self._rows

    def add(self, case: Case, measurement: Measurement) -> None:
        """Keep it, durably where there is a file."""
        self._rows[case.key] = measurement
        if self._file is not None:
            with new_file(self._file, overwrite=True) as temporary:
                temporary.write_text(json.dumps(self.to_json(), indent=1), encoding="utf-8")

    def to_json(self) -> dict[str, Any]:
        """Everything, unrounded; ``rows`` have what was measured and what is drawn from it."""
        rows = list(self._rows.items())
        first = next((row for _, row in rows if row.labels), None)
        header = {name: value for name, value in self.header.items() if name != "format"}
        return {
            "format": _FORMAT,
            "header": header,
            "rows": [
                {"key": key, "measured": row.to_json(), "agreement": _agreement_json(first, row)} for key, row in rows
            ],
        }


def _agreement_json(first: Measurement | None, row: Measurement) -> dict[str, Any] | None:
    found = None if first is None or row is first else agreement(first, row)
    if found is None:
        return None
    return {"documents": found.documents, "equal": found.equal, "largest_gap": found.largest_gap}


def knee(rows: Sequence[Measurement]) -> Measurement | None:
    """Of a sweep over one engine, the first row that reads nearly as fast as the fastest."""
    best = max((row.tokens_per_second or 0.0 for row in rows), default=0.0)
    ranked = sorted((row for row in rows if row.value is not None), key=lambda row: row.value or 0)
    return next((row for row in ranked if best and (row.tokens_per_second or 0.0) >= _KNEE_SHARE * best), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A row now and the same in an earlier benchmark."""

    now: Measurement
    before: Measurement
    ratio: float | None  # of the throughputs, now to before


def compare(now: Results, before: Results) -> list[Comparison]:
    """Rows of equal engine, precision, settings and swept value; those that only one has are left out."""

    def name(row: Measurement) -> tuple[object, ...]:
        return row.engine, row.precision, row.sweep, row.value, tuple(sorted(row.settings.items()))

    earlier = {name(row): row for row in before.measured.values()}
    found = [(row, earlier[name(row)]) for row in now.measured.values() if name(row) in earlier]
    return [
        Comparison(
            now=row, before=old,
            ratio=row.tokens_per_second / old.tokens_per_second
            if row.tokens_per_second and old.tokens_per_second else None,
        )
        for row, old in found
    ]  # fmt: skip
