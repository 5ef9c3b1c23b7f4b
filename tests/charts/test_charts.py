from __future__ import annotations

import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thresher.charts import Series, bars, curves, histogram

FINITE = st.floats(0, 1e12, allow_nan=False)


def texts(svg: str) -> list[str]:
    return [text for element in ElementTree.fromstring(svg).iter() if (text := (element.text or "").strip())]


def test_a_chart_says_what_it_shows_and_keeps_its_text() -> None:
    svg = histogram([1, 2, 3, 4], 0.0, 1.0, x_label="probability", y_label="documents", description='"Four" <bins>')
    root = ElementTree.fromstring(svg)
    assert root.tag.endswith("svg")
    assert root.attrib["aria-label"] == '"Four" <bins>'
    assert {"probability", "documents"} <= set(texts(svg))


@pytest.mark.parametrize("most", [1, 2, 3, 7, 1_500])
def test_counts_have_whole_ticks_each_once(most: int) -> None:
    svg = histogram([0, most], 0.0, 1.0, x_label="probability", y_label="documents", description="d")
    ticks = [text.replace(",", "") for text in texts(svg) if re.fullmatch(r"[\d,]+", text)]
    assert len(ticks) >= 2
    assert len(ticks) == len(set(ticks))


def test_ticks_below_one_are_not_rounded_to_it() -> None:
    line = Series(name="waiting", x=[1, 2, 4], y=[0.1, 0.15, 0.3])
    ticks = texts(curves([line], x_label="requests", y_label="seconds", description="d", logarithmic_x=True))
    assert {"0.1", "0.2", "0.3"} & set(ticks)
    assert ticks.count("0") <= 1


def test_the_same_figures_give_the_same_chart_without_dates() -> None:
    first, second = (bars([0, 1], [3, 4], 1, x_label="x", y_label="y", description="d") for _ in range(2))
    assert first == second
    assert not re.search(r"\b20\d\d-\d\d-\d\d", first)


def test_names_are_text_whatever_is_in_them() -> None:
    line = Series(name="<script>alert(1)</script> $x^2$ & 100%", x=[1, 2], y=[1, 2])
    svg = curves([line, Series(name="other", x=[1, 2], y=[2, 1])], x_label="x", y_label="y", description="d")
    assert "<script" not in svg
    assert line.name in texts(svg)


@given(heights=st.lists(FINITE, min_size=1, max_size=30))
@settings(max_examples=15, deadline=None)
def test_any_figures_can_be_drawn(heights: Sequence[float]) -> None:
    svg = bars(range(len(heights)), heights, 1, x_label="x", y_label="y", description="d")
    assert ElementTree.fromstring(svg).tag.endswith("svg")


def test_shares_have_a_square_of_their_own() -> None:
    diagonal = Series(name="as stated", x=[0, 1], y=[0, 1], dashed=True)
    measured = Series(name="measured", x=[0.2, 0.8], y=[0.3, 0.7], low=[0.1, 0.6], high=[0.4, 0.8], mark=(0.8, 0.7))
    svg = curves([diagonal, measured], x_label="x", y_label="y", description="d", unit_square=True)
    assert {"as stated", "measured", "0.0", "1.0"} <= set(texts(svg))


@pytest.mark.parametrize("module", ["thresher", "thresher.cli", "thresher.charts", "thresher.reports"])
def test_matplotlib_is_loaded_only_to_draw(module: str) -> None:
    code = f"import {module}, sys; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
