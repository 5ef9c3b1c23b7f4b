"""The passes of a run: each ``classify`` over its documents, on which machine, and how fast it went."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

#: How a pass ended. One that was killed had no time to say.
Outcome = Literal["finished", "interrupted", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PassFacts:
    """What is known when a pass begins."""

    started_at: float  # seconds since the epoch
    load_seconds: float  # from the model's files to an open engine
    thresher_version: str
    engine_version: str  # of the library that computes
    device: str  # what the engine computes on
    machine: Mapping[str, str] = field(default_factory=dict)  # what for people -> value, e.g. "processor"
    command: str = ""  # as it was typed, where it was


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """What was stored within a stretch of a pass."""

    second: int  # since the pass began, where the stretch begins
    documents: int
    computed_tokens: int
    cached_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PassRecord:
    """A pass as the store knows it."""

    facts: PassFacts
    seconds: float | None  # None while it runs, and where it was killed
    outcome: Outcome | None
    stretch_seconds: int  # length of the stretches of ``pace``
    pace: tuple[Pace, ...]  # stretches without a commit are left out


def insert_pass(connection: sqlite3.Connection, run_id: int, facts: PassFacts) -> int:
    """Take down that a pass begins; returns its number."""
    cursor = connection.execute(
        "INSERT INTO passes (run_id, started_at, load_seconds, thresher_version, engine_version, device, machine, "
        "command) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            run_id, facts.started_at, facts.load_seconds, facts.thresher_version, facts.engine_version, facts.device,
            json.dumps(dict(facts.machine), ensure_ascii=False), facts.command,
        ),
    )  # fmt: skip
    return int(cursor.lastrowid or 0)


def add_pace(connection: sqlite3.Connection, pass_id: int, pace: Pace) -> None:
    """Add what a commit brought to its second."""
    connection.execute(
        """
        INSERT INTO pace (pass_id, second, documents, computed_tokens, cached_tokens) VALUES (?, ?, ?, ?, ?)
        ON CONFLICT (pass_id, second) DO UPDATE SET
            documents = documents + excluded.documents,
            computed_tokens = computed_tokens + excluded.computed_tokens,
            cached_tokens = cached_tokens + excluded.cached_tokens
        """,
        (pass_id, pace.second, pace.documents, pace.computed_tokens, pace.cached_tokens),
    )


def end_pass(connection: sqlite3.Connection, pass_id: int, seconds: float, outcome: Outcome) -> None:
    """Take down how a pass ended."""
    connection.execute("UPDATE passes SET seconds = ?, outcome = ? WHERE pass_id = ?", (seconds, outcome, pass_id))


def passes_of(connection: sqlite3.Connection, run_id: int, most_stretches: int) -> tuple[PassRecord, ...]:
    """Every pass of a run, the oldest first, each with at most ``most_stretches`` stretches of equal length."""
    rows = connection.execute(
        "SELECT p.pass_id, p.started_at, p.load_seconds, p.thresher_version, p.engine_version, p.device, p.machine, "
        "p.command, p.seconds, p.outcome, (SELECT MAX(second) FROM pace WHERE pass_id = p.pass_id) "
        "FROM passes AS p WHERE p.run_id = ? ORDER BY p.pass_id",
        (run_id,),
    ).fetchall()
    return tuple(_record(connection, row, most_stretches) for row in rows)


def _record(connection: sqlite3.Connection, row: Sequence[Any], most_stretches: int) -> PassRecord:
    pass_id, started_at, load_seconds, thresher, engine, device, machine, command, seconds, outcome, last = row
    width = -(-((last or 0) + 1) // most_stretches)
    stretches = connection.execute(
        "SELECT second / ? * ?, SUM(documents), SUM(computed_tokens), SUM(cached_tokens) FROM pace "
        "WHERE pass_id = ? GROUP BY second / ? ORDER BY 1",
        (width, width, pass_id, width),
    ).fetchall()
    facts = PassFacts(
        started_at=started_at, load_seconds=load_seconds, thresher_version=thresher, engine_version=engine,
        device=device, machine=json.loads(machine), command=command,
    )  # fmt: skip
    pace = tuple(
        Pace(second=second, documents=documents, computed_tokens=computed, cached_tokens=cached)
        for second, documents, computed, cached in stretches
    )
    return PassRecord(facts=facts, seconds=seconds, outcome=outcome, stretch_seconds=width, pace=pace)
