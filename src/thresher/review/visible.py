"""Text of documents made safe to look at: every character is shown as what it is, none acts."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from markupsafe import Markup, escape

#: Turn the direction of what follows, so that the eye reads another text than the model did (CVE-2021-42574).
_DIRECTION = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
# controls but tab and line feed, the direction controls, and line ends that a browser does not break at
_UNSEEN = re.compile(f"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff\ud800-\udfff{_DIRECTION}]")
_CONTROLS = [
    "NUL",
    "SOH",
    "STX",
    "ETX",
    "EOT",
    "ENQ",
    "ACK",
    "BEL",
    "BS",
    "HT",
    "LF",
    "VT",
    "FF",
    "CR",
    "SO",
    "SI",
    "DLE",
    "DC1",
    "DC2",
    "DC3",
    "DC4",
    "NAK",
    "SYN",
    "ETB",
    "CAN",
    "EM",
    "SUB",
    "ESC",
    "FS",
    "GS",
    "RS",
    "US",
]
_SHORT = {
    "\u202a": "LRE", "\u202b": "RLE", "\u202c": "PDF", "\u202d": "LRO", "\u202e": "RLO",
    "\u2066": "LRI", "\u2067": "RLI", "\u2068": "FSI", "\u2069": "PDI", "\ufeff": "BOM", "\u2028": "LS", "\u2029": "PS",
}  # fmt: skip


def plain(text: str) -> str:
    """For places that hold text only, such as a title: unseen characters become their names in brackets."""
    return _UNSEEN.sub(lambda match: f"[{_name(match[0])}]", text)


def shown(text: str, words: Sequence[str] = ()) -> Markup:
    """As HTML: everything escaped, unseen characters as marks with their names, ``words`` marked where they occur."""
    text = text.replace("\r\n", "\n")
    pattern = re.compile("|".join([_UNSEEN.pattern, *(re.escape(word) for word in words if word)]), re.IGNORECASE)
    parts: list[Markup] = []
    end = 0
    for match in pattern.finditer(text):
        parts.append(escape(text[end : match.start()]))
        parts.append(_mark(match[0]))
        end = match.end()
    return Markup("").join([*parts, escape(text[end:])])


def _mark(found: str) -> Markup:
    if not _UNSEEN.fullmatch(found):
        return Markup("<mark>{}</mark>").format(found)
    return Markup('<span class="unseen" title="{}">{}</span>').format(_long_name(found), _name(found))


def _name(character: str) -> str:
    if character in _SHORT:
        return _SHORT[character]
    code = ord(character)
    return _CONTROLS[code] if code < len(_CONTROLS) else "DEL" if code == 0x7F else f"U+{code:04X}"


def _long_name(character: str) -> str:
    return f"{unicodedata.name(character, 'control character').lower()} (U+{ord(character):04X})"
