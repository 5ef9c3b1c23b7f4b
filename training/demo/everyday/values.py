"""Computed slots: numbers, amounts, dates and identifiers, in a style that is the same throughout a document."""

import random
from collections.abc import Callable
from dataclasses import dataclass

Value = Callable[[random.Random, "Style"], str]

_MONTHS = {
    "en": [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ],
    "de": [
        "Januar",
        "Februar",
        "März",
        "April",
        "Mai",
        "Juni",
        "Juli",
        "August",
        "September",
        "Oktober",
        "November",
        "Dezember",
    ],
    "fr": [
        "janvier",
        "février",
        "mars",
        "avril",
        "mai",
        "juin",
        "juillet",
        "août",
        "septembre",
        "octobre",
        "novembre",
        "décembre",
    ],
    "es": [
        "enero",
        "febrero",
        "marzo",
        "abril",
        "mayo",
        "junio",
        "julio",
        "agosto",
        "septiembre",
        "octubre",
        "noviembre",
        "diciembre",
    ],
}
_WEEKDAYS = {
    "en": ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"],
    "de": ["Montag", "Dienstag", "Mittwoch", "Donnerstag", "Freitag", "Samstag", "Sonntag"],
    "fr": ["lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche"],
    "es": ["lunes", "martes", "miércoles", "jueves", "viernes", "sábado", "domingo"],
}
_CURRENCIES = ("€{}", "{} EUR", "EUR {}", "${}", "{} USD", "£{}", "{} €", "CHF {}", "${}", "{}")
_DATE_FORMS = 8


@dataclass(slots=True)
class Style:
    """How one document writes dates, amounts and lists; `language` is en, de, fr or es.

    `clock_s` runs on with every time stamp the document writes, in seconds.
    """

    language: str
    date_form: int
    currency: str
    comma: bool
    thousands: str
    bullet: str
    number_mark: str
    year: int
    clock_s: int


def make_style(rng: random.Random, language: str) -> Style:
    """Draw a document's style."""
    return Style(
        language=language,
        date_form=rng.randrange(_DATE_FORMS),
        currency=rng.choice(_CURRENCIES) if language == "en" else rng.choice(("{} €", "€ {}", "{} EUR")),
        comma=language != "en",
        thousands=rng.choice((",", ",", ",", "", " ", "'")),
        bullet=rng.choice(("- ", "- ", "* ", "• ", "", "– ", "  - ")),
        number_mark=rng.choice((".", ".", ")", ":", " -")),
        year=rng.randint(2009, 2027),
        clock_s=rng.randrange(20 * 86400),
    )


def _range(argument: str | None, default: tuple[int, int]) -> tuple[int, int]:
    if not argument:
        return default
    low, _, high = argument.partition("-")
    return int(low), int(high)


def _number(argument: str | None) -> Value:
    low, high = _range(argument, (1, 99))
    span = high - low + 1
    return lambda rng, _style: str(low + int(rng.random() * span))


def _money(argument: str | None) -> Value:
    low, high = _range(argument, (20, 4000))

    def amount(rng: random.Random, style: Style) -> str:
        value = low + rng.random() * (high - low)
        text = f"{value:,.0f}" if rng.random() < 0.2 else f"{value:,.2f}"
        if style.comma:
            text = text.translate({44: ".", 46: ","})
        elif style.thousands != ",":
            text = text.replace(",", style.thousands)
        return style.currency.format(text)

    return amount


def _identifier(argument: str | None) -> Value:
    pattern = argument or "####"

    def identifier(rng: random.Random, _style: Style) -> str:
        out = []
        for char in pattern:
            if char == "9":
                out.append("0123456789"[int(rng.random() * 10)])
            elif char == "@":
                out.append("ABCDEFGHJKLMNPRSTUVWXYZ"[int(rng.random() * 23)])
            elif char == "%":
                out.append("0123456789abcdef"[int(rng.random() * 16)])
            else:
                out.append(char)
        return "".join(out)

    return identifier


def _date(_argument: str | None) -> Value:
    def date(rng: random.Random, style: Style) -> str:
        day, month = 1 + int(rng.random() * 28), int(rng.random() * 12)
        return _format_date(day, month, style)

    return date


def _format_date(day: int, month: int, style: Style) -> str:
    name, year, form = _MONTHS[style.language][month], style.year, style.date_form
    if style.language == "de":
        return f"{day:02}.{month + 1:02}.{year}" if form % 2 else f"{day}. {name} {year}"
    if style.language != "en":
        return f"{day:02}/{month + 1:02}/{year}" if form % 2 else f"{day} {name} {year}"
    forms = (
        f"{day} {name} {year}",
        f"{name} {day}, {year}",
        f"{year}-{month + 1:02}-{day:02}",
        f"{day:02}/{month + 1:02}/{year}",
        f"{month + 1}/{day}/{year}",
        f"{day:02}.{month + 1:02}.{year}",
        f"{day} {name[:3]} {year}",
        f"{name[:3]} {day}, {year}",
    )
    return forms[form]


def _month(_argument: str | None) -> Value:
    return lambda rng, style: _MONTHS[style.language][int(rng.random() * 12)]


def _weekday(_argument: str | None) -> Value:
    return lambda rng, style: _WEEKDAYS[style.language][int(rng.random() * 7)]


def _year(argument: str | None) -> Value:
    low, high = _range(argument, (0, 0))
    return lambda rng, style: str(style.year - low - int(rng.random() * (high - low + 1)))


def _time(argument: str | None) -> Value:
    low, high = _range(argument, (7, 20))

    def time(rng: random.Random, style: Style) -> str:
        hour, minute = low + int(rng.random() * (high - low + 1)), 5 * int(rng.random() * 12)
        if style.date_form in (1, 4, 7) and style.language == "en":
            return f"{(hour - 1) % 12 + 1}:{minute:02} {'pm' if hour > 11 else 'am'}"
        return f"{hour:02}:{minute:02}"

    return time


def _stamp(_argument: str | None) -> Value:
    def stamp(rng: random.Random, style: Style) -> str:
        _tick(rng, style)
        day = f"{style.year}-{1 + style.date_form:02}-{1 + style.clock_s // 86400 % 28:02}"
        return f"{day}{'T' if style.date_form % 2 else ' '}{_clock_text(style)}"

    return stamp


def _clock(_argument: str | None) -> Value:
    def clock(rng: random.Random, style: Style) -> str:
        _tick(rng, style)
        return _clock_text(style)[: 8 if style.date_form % 2 else 5]

    return clock


def _tick(rng: random.Random, style: Style) -> None:
    style.clock_s += 1 + int(rng.expovariate(1 / 90))


def _clock_text(style: Style) -> str:
    seconds = style.clock_s % 86400
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"


VALUES: dict[str, Callable[[str | None], Value]] = {
    "n": _number,
    "money": _money,
    "id": _identifier,
    "date": _date,
    "month": _month,
    "weekday": _weekday,
    "year": _year,
    "time": _time,
    "stamp": _stamp,
    "clock": _clock,
}
