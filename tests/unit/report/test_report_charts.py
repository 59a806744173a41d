from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundtune.report import charts
from groundtune.report.charts import NARROW, WIDE, Caption
from groundtune.report.svg import clip, log_ticks, spread, text_width, ticks

NASTY = "<b>&\"' 微調整と『引用』"
CAPTION = Caption("c", f"title {NASTY}", f"desc {NASTY}")
NAMES = ("RAG", NASTY, "ファインチューニング", "長い名前" * 12)


def money(value: float) -> str:
    return f"US${value:,.2f}"


def draw(kind: str, width: float) -> str:
    if kind == "intervals":
        rows = [
            charts.IntervalRow(n, 0.1 + i / 5, i / 5, 0.3 + i / 5, "30% (10–50%)", "a-rag") for i, n in enumerate(NAMES)
        ]
        return charts.intervals(rows, CAPTION, width)
    if kind == "scatter":
        points = [charts.ScatterPoint(n, 10.0**i, 0.5, 0.4, 0.6, i % 2 == 0) for i, n in enumerate(NAMES)]
        return charts.scatter(points, CAPTION, money=money, x_title=NASTY, y_title="y", width=width)
    if kind == "lines":
        curves = [charts.Curve(n, (10.0, 100.0, 5000.0), (1.0 + i, 5.0, 80.0 * (i + 1))) for i, n in enumerate(NAMES)]
        marks = [charts.Mark(20.0, NASTY), charts.Mark(4900.0, "planned")]
        return charts.lines(
            curves, marks, CAPTION, x_format=money, y_format=money, x_title=NASTY, y_title="y", width=width
        )
    if kind == "tornado":
        bars = [charts.RangeBar(n, -50.0 * i, 100.0 / (i + 1), "1", "9", "⚑" if i else "") for i, n in enumerate(NAMES)]
        return charts.tornado(
            bars, 20.0, CAPTION, money=money, sides=(NASTY, "B cheaper"), base_words="base", width=width
        )
    parts = [charts.StackPart(str(i), n, f"l-{i}") for i, n in enumerate(NAMES)]
    rows2 = [charts.StackRow(n, {"0": 50.0, "1": float(i), "2": 0.0}) for i, n in enumerate(NAMES)]
    return charts.stacked(rows2, parts, CAPTION, value=lambda v: f"{v:.0f}", width=width)


KINDS = ("intervals", "scatter", "lines", "tornado", "stacked")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_a_chart_is_well_formed_and_named(kind: str, width: float) -> None:
    root = ElementTree.fromstring(draw(kind, width))
    assert root.tag == "svg" and root.get("role") == "img"
    ids = {node.get("id"): node.text for node in root if node.tag in ("title", "desc")}
    assert ids == {"c-t": CAPTION.title, "c-d": CAPTION.desc}
    assert root.get("aria-labelledby") == "c-t c-d"
    assert "NaN" not in ElementTree.tostring(root, "unicode") and "inf" not in draw(kind, width).replace("info", "")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_nothing_is_drawn_outside_of_the_picture(kind: str, width: float) -> None:
    root = ElementTree.fromstring(draw(kind, width))
    height = float(root.get("height") or 0)
    for node in root.iter("rect"):
        x, w, y = (float(node.get(k) or 0) for k in ("x", "width", "y"))
        assert -1 <= x <= x + w <= width + 1 and 0 <= y <= height
    for node in root.iter("circle"):
        assert 0 <= float(node.get("cx") or 0) <= width
    for node in root.iter("text"):
        x, y, size = float(node.get("x") or 0), float(node.get("y") or 0), text_width(node.text or "")
        start = x - {"start": 0.0, "middle": size / 2, "end": size}[node.get("text-anchor") or "start"]
        assert 0 < y <= height, node.text
        assert start >= -0.06 * width, node.text
        assert start + size <= width * 1.06, node.text


def test_a_value_stands_in_the_stack_only_where_it_fits() -> None:
    parts = [charts.StackPart("a", "A", "l-ok"), charts.StackPart("b", "B", "l-error")]
    svg = charts.stacked([charts.StackRow("x", {"a": 999.0, "b": 1.0})], parts, CAPTION, value=lambda v: f"{v:.0f}")
    inside = re.findall(r'class="in [^"]*"[^>]*>(\d+)<', svg)
    assert inside == ["999"]


@given(st.lists(st.floats(0, 300), min_size=1, max_size=8))
def test_labels_are_spread_apart(wanted: list[float]) -> None:
    placed = sorted(spread(wanted, 18, 0, 300))
    assert all(b - a >= 18 - 1e-6 for a, b in zip(placed, placed[1:], strict=False))
    assert placed[-1] <= 300 + 1e-6


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
def test_ticks_enclose_the_range(low: float, span: float) -> None:
    found = ticks(low, low + span)
    step = found[1] - found[0] if len(found) > 1 else span
    assert found[0] <= low + step * 1e-6 and found[-1] >= low + span - step * 1e-6
    assert len(found) <= 9


@given(st.floats(1e-4, 1e5), st.floats(1.5, 1e6))
def test_log_ticks_lie_inside(low: float, factor: float) -> None:
    assert all(low * 0.99 <= v <= low * factor * 1.01 for v in log_ticks(low, low * factor))


@given(st.text(max_size=40), st.floats(20, 300))
def test_a_clipped_text_fits(text: str, width: float) -> None:
    assert text_width(clip(text, width)) <= width
