"""Numbers of spreadsheet cells as the sheet shows them: Excel's format codes (ECMA-376 part 1, 18.8.30 and 18.8.31).

What depends on the reader's own system (built-in dates) comes out as ``2024-03-01``; month and day names are English.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from thresher.documents.parsers.date_format import DateFormat

_DATE, _TIME = "yyyy-mm-dd", "h:mm"
#: Numbers of formats that files use without giving their codes.
BUILT_IN: dict[int, str] = (
    {0: "General", 1: "0", 2: "0.00", 3: "#,##0", 4: "#,##0.00", 9: "0%", 10: "0.00%", 11: "0.00E+00"}
    | {12: "General", 13: "General", 14: _DATE, 15: "d-mmm-yy", 16: "d-mmm", 17: "mmm-yy", 18: "h:mm AM/PM"}
    | {19: "h:mm:ss AM/PM", 20: _TIME, 21: "h:mm:ss", 22: f"{_DATE} {_TIME}", 37: "#,##0;(#,##0)"}
    | {38: "#,##0;(#,##0)", 39: "#,##0.00;(#,##0.00)", 40: "#,##0.00;(#,##0.00)", 45: "mm:ss", 46: "[h]:mm:ss"}
    | {47: "mm:ss.0", 48: "##0.0E+0", 49: "@"}
    | dict.fromkeys((27, 28, 29, 30, 31, 36, 50, 51, 52, 53, 54, 57, 58), _DATE)
    | dict.fromkeys((32, 33, 34, 35, 55, 56), _TIME)
)
_TOKEN = re.compile(
    r'"(?P<quoted>[^"]*)"?|\\(?P<escaped>.)|[_*](?P<padding>.)|\[\$(?P<currency>[^\]-]*)[^\]]*\]|\[(?P<elapsed>h+|m+|s+)\]'
    r"|\[(?P<condition>[<>=]+-?[\d.]+)\]|\[[^\]]*\]|(?P<general>General)|(?P<exponent>E[+-]0+)|(?P<half>AM/PM|A/P)"
    r"|(?P<date>y+|m+|d+|h+|s+(?:\.0+)?|e+|g+)|(?P<digits>[0#?.,]+)|(?P<percent>%)|(?P<end>;)|(?P<other>.)",
    re.I | re.S,
)
_CONDITION = re.compile(r"([<>=]+)(-?[\d.]+)")
_NOT_ZERO = re.compile("[1-9]")
_NUMBERS = frozenset(["digits", "exponent", "general"])
_MAX_CODE_CHARACTERS = 255  # as in Excel
_MAX_DECIMALS = 30  # likewise

Format = Callable[[float], str]


def general(value: float) -> str:
    """A number in a cell without a format."""
    if value == int(value) and abs(value) < 1e11:
        return str(int(value))
    return f"{value:.10G}"


def compile_format(code: str, *, from_1904: bool = False) -> Format:
    """What shows a number under a format code.

    Args:
        code: as the file has it: ``#,##0.00 "EUR";[Red]-#,##0.00``.
        from_1904: days are counted from 1904 (old files of Macs).
    """
    if len(code) > _MAX_CODE_CHARACTERS:
        return general
    sections = [_Section(tokens, from_1904=from_1904) for tokens in _split(code)]
    if len(sections) == 1 and sections[0].is_general:
        return general
    choose = _by_condition if any(section.condition for section in sections) else _by_sign

    def show(value: float) -> str:
        try:
            return choose(sections, value)
        except (ValueError, OverflowError):  # a date before all time, infinity
            return general(value) if abs(value) < 1e300 else str(value)

    return show


Token = tuple[str, str]


def _split(code: str) -> list[list[Token]]:
    sections: list[list[Token]] = [[]]
    for match in _TOKEN.finditer(code):
        kind = match.lastgroup
        if kind == "end":
            sections.append([])
        elif kind and kind != "padding":
            sections[-1].append((kind, match[kind]))
    return sections[:4]


def _by_condition(sections: list[_Section], value: float) -> str:
    chosen = next((section for section in sections if section.holds(value)), None)
    return chosen.show(value) if chosen else general(value)


def _by_sign(sections: list[_Section], value: float) -> str:
    """Positive; negative; zero."""
    if value < 0 and len(sections) > 1:
        return sections[1].show(-value)
    return sections[2 if value == 0 and len(sections) > 2 else 0].show(value)


class _Section:
    """One part of a format code, between semicolons."""

    def __init__(self, tokens: list[Token], *, from_1904: bool) -> None:
        kinds = {kind for kind, _ in tokens}
        self.condition = next((text for kind, text in tokens if kind == "condition"), "")
        self.is_general = "general" in kinds or (kinds == {"other"} and tokens == [("other", "@")])
        self._tokens = [token for token in tokens if token[0] != "condition"]
        self._fraction = "digits" in kinds and ("other", "/") in tokens
        dated = kinds & {"date", "elapsed"} and "general" not in kinds
        self._date = DateFormat(self._tokens, from_1904=from_1904) if dated else None
        self._places = [sum(map(text.count, "0#?")) for kind, text in tokens if kind == "digits"]
        self._number = _Number("".join(text for kind, text in tokens if kind == "digits"), tokens)

    def holds(self, value: float) -> bool:
        """Whether the section's condition does; without one, always."""
        found = _CONDITION.fullmatch(self.condition)
        if not found:
            return True
        relation = "<" if value < float(found[2]) else ">" if value > float(found[2]) else "="
        return relation in found[1]

    def show(self, value: float) -> str:
        """``value`` with the literals around it."""
        if self._date:
            return self._date.show(value)
        if self._fraction:  # as a decimal
            return general(value)
        number = self._number.show(abs(value))
        numbers = iter([number] if len(self._places) < 2 or self._number.exponent else self._spread(abs(value)))
        shown = [next(numbers, "") if kind in _NUMBERS or text == "@" else text for kind, text in self._tokens]
        text = "".join(shown).strip()
        return f"-{text}" if value < 0 and _NOT_ZERO.search(text) else text

    def _spread(self, value: float) -> Iterator[str]:
        """The digits of a whole number over several places, as in ``000-00-0000``."""
        digits = f"{value:.0f}".rjust(sum(self._places), "0" if self._number.zeros else " ")
        end = len(digits) - sum(self._places[1:])
        yield digits[:end].strip()
        for count in self._places[1:]:
            yield digits[end : end + count].strip()
            end += count


class _Number:
    """What stands in the place for digits."""

    def __init__(self, digits: str, tokens: list[Token]) -> None:
        whole, _, fraction = digits.partition(".")
        self.exponent = any(kind == "exponent" for kind, _ in tokens)
        self.zeros = whole.count("0")
        self._general = not digits
        decimals = min(sum(map(fraction.count, "0#?")), _MAX_DECIMALS)
        self._least_decimals = fraction.count("0")
        self._optional = decimals > self._least_decimals
        self._layout = f".{decimals}E" if self.exponent else f"{',' if ',' in whole.strip(',') else ''}.{decimals}f"
        thousands = len(whole) - len(whole.rstrip(",")) if not fraction else 0
        percents = sum(kind == "percent" for kind, _ in tokens)
        self._factor = (1 + 1e-15) * 100.0**percents / 1000.0**thousands  # a half is rounded up, as people do

    def show(self, value: float) -> str:
        """A number that is not negative."""
        if self._general:
            return general(value)
        text = format(value * self._factor, self._layout)
        if self._optional and not self.exponent:
            integer, _, rest = text.partition(".")
            rest = rest[: self._least_decimals] + rest[self._least_decimals :].rstrip("0")
            text = f"{integer}.{rest}" if rest else integer
        if not self.zeros and text[:1] == "0":
            return text[1:]
        if self.zeros > 1 and not self.exponent:
            integer, point, rest = text.partition(".")
            return integer.rjust(self.zeros, "0") + point + rest
        return text
