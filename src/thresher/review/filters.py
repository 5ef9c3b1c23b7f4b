"""Which rows a person wants to see and in which order: from and to a URL's query, and to SQL."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from thresher.errors import UsageError
from thresher.jobs import Queue
from thresher.review.index import spaced
from thresher.suggestions import did_you_mean

#: Order -> what it sorts by. The last column makes it total.
ORDERS: Mapping[str, tuple[str, str]] = {
    "doubtful": ("confidence", "row_no"),
    "random": ("key", "row_no"),
    "listed": ("position", "row_no"),
}
#: What people did with a row -> the condition on the decision that stands (d).
STATES: Mapping[str, str] = {
    "open": "s.decision_id IS NULL",
    "decided": "d.action IN ('accept', 'correct')",
    "accepted": "d.action = 'accept'",
    "corrected": "d.action = 'correct'",
    "none": "d.label = '[]'",
    "skipped": "d.action = 'skip'",
    "all": "1",
}
STATUSES = ("ok", "truncated", "abstained", "oversize", "unreadable", "engine_error")
_MOST_CHARACTERS = 300
_TERM = re.compile(r'"([^"]*)"|(\S+)')


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """What to show. Empty texts filter nothing."""

    question: str
    order: str = "doubtful"
    state: str = "open"
    label: str = ""  # the model's
    status: str = ""
    text: str = ""
    low: int = 0  # confidence in percent, from
    high: int = 100  # to
    tab: str = ""  # tells one tab of the browser from another

    @classmethod
    def of_query(cls, query: Mapping[str, str], questions: Sequence[str]) -> Filters:
        """The filters that a query names. Raises ``UsageError`` for a value that is none."""
        question = _one_of("question", query.get("question") or questions[0], questions)
        return cls(
            question=question,
            order=_one_of("order", query.get("order") or "doubtful", tuple(ORDERS)),
            state=_one_of("state", query.get("state") or "open", tuple(STATES)),
            label=query.get("label", ""),
            status=_one_of("status", query.get("status", ""), ("", *STATUSES)),
            text=_search_words(query.get("text", "")),
            low=_percent(query.get("low") or "0"),
            high=_percent(query.get("high") or "100"),
            tab=query.get("tab", "")[:16],
        )

    def to_query(self, **more: str) -> str:
        """As a URL's query, with what else it should say; what is as usual is left out."""
        usual = Filters(question="")
        named = {name: getattr(self, name) for name in usual.__slots__}
        changed = {name: value for name, value in named.items() if value != getattr(usual, name)}
        return urlencode({**changed, **more}, errors="replace")

    def but(self, **changes: Any) -> Filters:
        """The same with other values."""
        return replace(self, **changes)

    def usual(self) -> Filters:
        """The same question and tab with nothing else asked for."""
        return Filters(question=self.question, tab=self.tab)

    @property
    def narrowed(self) -> bool:
        """Whether rows are left out for what they are, so that what is left is no sample of the whole."""
        return self != self.usual().but(order=self.order)

    @property
    def queue(self) -> Queue:
        """How a row that is met with these filters came before the person."""
        if self.narrowed or self.order == "listed":
            return "picked"
        return "random" if self.order == "random" else "doubtful"

    def condition(self) -> tuple[str, list[object]]:
        """SQL for what the rows (r) themselves must be, and its parameters; ``STATES`` is about their decisions."""
        parts: list[str] = ["r.question = ?"]
        values: list[object] = [self.question]
        if self.label:  # the first part is fast, the second exact
            parts.append("instr(r.label, ?) > 0 AND EXISTS (SELECT 1 FROM json_each(r.label) AS e WHERE e.value = ?)")
            values += [json.dumps(self.label, ensure_ascii=False), self.label]
        if self.status:
            parts.append("r.status = ?")
            values.append(self.status)
        if (self.low, self.high) != (0, 100):
            parts.append("r.confidence BETWEEN ? AND ?")
            values += [self.low / 100, self.high / 100]
        if self.text:
            words = words_query(self.text)
            parts.append(f"r.row_no IN ({_BY_NAME}{_OR_BY_WORDS if words else ''})")
            values += [self.question, self.text.casefold(), *([words] if words else [])]
        return " AND ".join(parts), values


_BY_NAME = "SELECT row_no FROM rows WHERE question = ? AND instr(name, ?) > 0"
_OR_BY_WORDS = " UNION ALL SELECT row_no FROM rows WHERE content_no IN (SELECT rowid FROM words WHERE words MATCH ?)"


def words_query(text: str) -> str:
    """What a person typed as a full-text query: all words must be there; one in quotes as it is, others may go on.

    Empty where nothing of it is a word.
    """
    terms = []
    for quoted, bare in _TERM.findall(spaced(text) if '"' in text else text):
        words = spaced(quoted or bare).replace('"', " ").strip()
        if any(character.isalnum() for character in words):
            unspaced = words != (quoted or bare).replace('"', " ").strip()
            terms.append(f'"{words}"' + ("" if quoted or unspaced else " *"))
    return " ".join(terms)


def _search_words(text: str) -> str:
    if len(text) > _MOST_CHARACTERS:
        raise UsageError(f"the search has {len(text):,} characters; use one of {_MOST_CHARACTERS} at most")
    return text.strip()


def _one_of(name: str, value: str, known: Sequence[str]) -> str:
    if value not in known:
        raise UsageError(
            f"{name} is {value!r}{did_you_mean(value, known)}; use one of {', '.join(filter(None, known))}"
        )
    return value


def _percent(value: str) -> int:
    if not (value.isascii() and value.isdigit() and int(value[:4]) <= 100):
        raise UsageError(f"a confidence of {value!r} is none; give a whole number of percent, 0 to 100")
    return int(value)
