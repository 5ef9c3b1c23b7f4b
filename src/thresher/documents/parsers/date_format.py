"""Days and times of spreadsheet cells, counted in days from 1900 or 1904, as a format code shows them."""

from __future__ import annotations

from calendar import day_name, month_name
from datetime import datetime, timedelta

_LAST_DAY = 2958466  # 10000-01-01


class DateFormat:
    """One section of a format code that shows a date, a time or a duration.

    Args:
        tokens: pairs of a kind and its text: ``date`` (``yyyy``), ``elapsed`` (``h``), ``half`` (``AM/PM``), literals.
        from_1904: whether day 0 is 1904-01-01.
    """

    def __init__(self, tokens: list[tuple[str, str]], *, from_1904: bool) -> None:
        self._tokens = _with_minutes(tokens)
        self._from_1904 = from_1904
        self._half_days = any(kind == "half" for kind, _ in tokens)
        marks = [text for kind, text in self._tokens if kind == "date" and text[0] == "s"]
        self._decimals = max((len(text.partition(".")[2]) for text in marks), default=0)

    def show(self, days: float) -> str:
        """The moment ``days`` after day 0.

        Raises:
            ValueError: before day 0, or after the year 9999.
        """
        if not 0 <= days < _LAST_DAY:
            raise ValueError(f"no day has the number {days}")
        seconds = round(days * 86400, self._decimals)
        moment = self._epoch(days) + timedelta(seconds=seconds)
        parts = [self._part(kind, text, moment, seconds) for kind, text in self._tokens]
        return "".join(parts).strip()

    def _epoch(self, days: float) -> datetime:
        if self._from_1904:
            return datetime(1904, 1, 1)
        return datetime(1899, 12, 30 if days >= 60 else 31)

    def _part(self, kind: str, text: str, moment: datetime, seconds: float) -> str:
        if kind == "elapsed":
            return str(int(seconds // {"h": 3600, "m": 60, "s": 1}[text[0].lower()])).rjust(len(text), "0")
        if kind == "half":
            return text.split("/")[moment.hour >= 12]
        return self._date_part(text.lower(), moment) if kind == "date" else _minutes(kind, text, moment)

    def _date_part(self, text: str, moment: datetime) -> str:
        mark, length = text[0], len(text)
        if mark == "y" or mark == "e":
            return f"{moment.year:04}" if length > 2 or mark == "e" else f"{moment.year % 100:02}"
        if mark == "m":
            return _named(moment.month, month_name[moment.month], length)
        if mark == "d":
            return _named(moment.day, day_name[moment.weekday()], length)
        if mark == "h":
            hour = (moment.hour % 12 or 12) if self._half_days else moment.hour
            return f"{hour:0{min(length, 2)}}"
        if mark == "s":
            whole, _, fraction = text.partition(".")
            decimals = f"{moment.microsecond:06}"[: len(fraction)]
            return f"{moment.second:0{min(len(whole), 2)}}" + (f".{decimals}" if decimals else "")
        return ""  # g: the era


def _named(number: int, name: str, length: int) -> str:
    """5 as ``5``, ``05``, ``May``, ``May`` or ``M``."""
    return (str(number), f"{number:02}", name[:3], name, name[:1])[min(length, 5) - 1]


def _minutes(kind: str, text: str, moment: datetime) -> str:
    return f"{moment.minute:0{min(len(text), 2)}}" if kind == "minutes" else text


def _with_minutes(tokens: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """``m`` behind hours or before seconds means minutes."""
    times = [(n, text[0].lower()) for n, (kind, text) in enumerate(tokens) if kind in ("date", "elapsed")]
    minutes = {
        n
        for place, (n, mark) in enumerate(times)
        if mark == "m"
        and tokens[n][0] == "date"
        and ((place and times[place - 1][1] == "h") or (place + 1 < len(times) and times[place + 1][1] == "s"))
    }
    return [("minutes", text) if n in minutes else (kind, text) for n, (kind, text) in enumerate(tokens)]
