"""JSON as documents: what people wrote stays, escaped letters are letters."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thresher.documents.parsers.json_text import parse


def text(source: str) -> str:
    return parse(source.encode(), "a.json")


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (r'{"a": "Gr\u00f6\u00dfe"}', '{"a": "Größe"}'),
        (r'"\u041f\u0440\u0438\u0432\u0435\u0442"', '"Привет"'),
        (r'"\ud83d\ude00\u0041"', '"😀A"'),
        (r'"\\u00f6"', r'"\\u00f6"'),  # a backslash and a word
        (r'"\\\u00f6"', r'"\\ö"'),
        (r'"\u0022 \u005c \u000a \u007f"', r'"\u0022 \u005c \u000a \u007f"'),
        (r'"\ud83d alone"', r'"\ud83d alone"'),
        (r'"\u12"', r'"\u12"'),
        ('{"n": 1.50, "n": 1e400}\n\n', '{"n": 1.50, "n": 1e400}\n\n'),
        (r'{"cut": "\u00e4', '{"cut": "ä'),
    ],
)
def test_escapes(source: str, expected: str) -> None:
    assert text(source) == expected


@given(
    st.recursive(
        st.text() | st.integers() | st.none(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_it_stays_the_same_json(value: object) -> None:
    assert json.loads(text(json.dumps(value).encode("ascii").decode())) == value


def test_many_backslashes_take_no_time() -> None:
    assert text("\\" * 2_000_001 + "u00e4").endswith("ä")
