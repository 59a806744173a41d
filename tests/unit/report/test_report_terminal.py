from __future__ import annotations

import io

import pytest
import report_sample as sample
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from groundtune.measure.answering import Progress
from groundtune.report.columns import comparison
from groundtune.report.progress import ProgressPrinter
from groundtune.report.terminal import STAR, comparison_table, print_comparison, print_verdict, wrap
from groundtune.report.words import DASH, Words

LANGS = ("en", "zh-TW", "ja")


def printed(width: int, lang: str, **options: object) -> list[str]:
    report = sample.make_report(lang, 36, **options)
    out = io.StringIO()
    print_comparison(report, Console(file=out, width=width), lang, sample.make_cost(report))
    return out.getvalue().splitlines()


@pytest.mark.parametrize("lang", LANGS)
@pytest.mark.parametrize("width", [80, 100, 160])
def test_no_line_is_wider_than_the_terminal_and_nothing_is_cut(lang: str, width: int) -> None:
    lines = printed(width, lang)
    assert max(cell_len(line.rstrip()) for line in lines) <= width
    assert not any("…" in line for line in lines)


@pytest.mark.parametrize("lang", LANGS)
def test_every_approach_metric_and_contrast_is_there(lang: str) -> None:
    words, report = Words.of(lang), sample.make_report(lang, 36)
    text = "\n".join(printed(170, lang))
    for result in report.approaches:
        assert words.approach(result.name) in text
    for metric in ("success", "answer_in_output", "format_valid", "citation_precision", "false_answer", "over_refusal"):
        assert words.metric(metric) in text
    assert text.count("[") >= len(report.contrasts)
    assert words.metric("per_1000") in text


def test_best_is_marked_without_colour_and_in_the_right_direction() -> None:
    report = sample.make_report("en", 60)
    found = comparison(report, Words.of("en"), sample.make_cost(report))
    for index, head in enumerate(found.heads):
        cells = [row.cells[index] for row in found.rows]
        values = [c.value for c in cells if c.value is not None]
        best = max(values) if head.better == "high" else min(values)
        assert any(c.best for c in cells), head.key
        assert all(c.value == best or c.text == next(x.text for x in cells if x.value == best) for c in cells if c.best)
    assert sum(line.count(STAR) for line in printed(170, "en")) > len(found.heads)
    rates = {head.key: head.better for head in found.heads}
    assert rates["false_answer"] == rates["latency"] == rates["per_1000"] == "low" and rates["success"] == "high"


def test_a_skipped_approach_is_named_with_its_reason() -> None:
    lines = printed(80, "en", skip="finetune")
    assert any("Not measured: Fine-tuning. Torch is missing." in line for line in lines)
    header = next(line for line in lines if "Few-shot" in line)
    assert "Fine-tuning  " not in header


def test_a_cell_without_a_measurement_is_a_dash() -> None:
    report = sample.make_report("en", 36)
    found = comparison(report, Words.of("en"))
    keys = [head.key for head in found.heads]
    prompt = next(row for row in found.rows if row.name == "prompt")
    assert prompt.cells[keys.index("citation_precision")].text == DASH
    assert "per_1000" not in keys


def test_comparison_table_has_one_row_per_approach() -> None:
    assert comparison_table(sample.make_report("ja", 36), "ja").row_count == 5


@pytest.mark.parametrize("lang", LANGS)
@pytest.mark.parametrize("full", [False, True])
def test_the_verdict_fits_and_comes_first(lang: str, full: bool) -> None:
    verdict = sample.make_verdict(sample.make_report(lang, 60))
    out = io.StringIO()
    print_verdict(verdict, Console(file=out, width=72), lang, full=full)
    lines = [line for line in out.getvalue().splitlines() if line.strip()]
    assert lines[0].startswith(verdict.headline.text(lang)[:10])
    assert max(cell_len(line) for line in lines) <= 72
    joined = "".join(out.getvalue().split())
    for claim in verdict.claims:
        assert "".join(claim.sentence.text(lang).split()) in joined


@given(st.text(alphabet="abc DEF，。「」（）中文字テスト、 %1，", max_size=80), st.integers(6, 40))
def test_wrapping_loses_nothing_and_fits(text: str, width: int) -> None:
    lines = wrap(text, width)
    assert all(cell_len(line) <= width for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())


def test_wrapping_keeps_punctuation_with_its_word() -> None:
    for width in range(8, 40):
        lines = wrap("結論明確：以 120 題實測，其他方案（例如「微調」）明顯較差，成本是 88 % 左右。", width)
        assert not any(line[0] in "，。：）」%" for line in lines if line)
        assert not any(line[-1] in "（「" for line in lines if line)


def progress(console: Console, steps: list[Progress], every: float = 1000.0) -> None:
    ticks = iter(range(10_000))
    printer = ProgressPrinter(console, "en", every=every, clock=lambda: float(next(ticks)))
    for step in steps:
        printer(step)
    printer.close()


STEPS = [Progress("index"), *(Progress("answer", "rag", n, 50, float(50 - n)) for n in range(1, 51))]


def test_a_log_gets_few_plain_lines() -> None:
    out = io.StringIO()
    progress(Console(file=out, width=80), STEPS)
    lines = out.getvalue().splitlines()
    assert len(lines) == 3 and "\r" not in out.getvalue() and "\x1b" not in out.getvalue()
    assert (
        lines[1].startswith("Answering with RAG") and lines[1].endswith("1/50  about 49 s left") and "50/50" in lines[2]
    )


def test_a_log_hears_again_after_a_while() -> None:
    out = io.StringIO()
    progress(Console(file=out, width=80), STEPS, every=10.0)
    assert 5 <= len(out.getvalue().splitlines()) <= 9


def test_a_terminal_gets_one_line_that_is_rewritten() -> None:
    out = io.StringIO()
    progress(Console(file=out, width=40, force_terminal=True, color_system=None, _environ={"TERM": "xterm"}), STEPS)
    shown = out.getvalue().rstrip("\n").split("\n")[-1].split("\r")
    assert len(shown) >= 50 and all(cell_len(part) <= 40 for part in shown)
    assert out.getvalue().endswith("\n")
