from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest
import report_sample as sample

from groundtune.measure.results import Ceiling, MoreQuestions, Report
from groundtune.report.html import render, write_html
from groundtune.report.markdown import to_document, to_markdown
from groundtune.report.markup import Column, esc, join, table, tag
from groundtune.report.words import Words

LANGS = ("en", "zh-TW", "ja")
VOID = {"meta", "br", "link", "img", "hr", "input"}
EMPTY = Report("p", "en", "2026-11-23", "0.1.0", "builtin:base", "builtin:reader", 0, 0, 0, 0, 0)


class Page(HTMLParser):
    """Collects elements and checks that they are nested properly."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-3:]}"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] != "style":
            self.words.append(data)

    def all(self, name: str) -> list[dict[str, str | None]]:
        return [attrs for tag, attrs in self.elements if tag == name]


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    return {lang: full(sample.make_report(lang, 60), lang) for lang in LANGS}


def full(report: Report, lang: str) -> str:
    return render(report, sample.make_verdict(report), sample.make_cost(report), lang)


@pytest.mark.parametrize("lang", LANGS)
def test_the_page_is_well_formed_and_in_its_language(pages: dict[str, str], lang: str) -> None:
    page = Page(pages[lang])
    assert not page.open
    assert page.all("html")[0]["lang"] == {"en": "en", "zh-TW": "zh-Hant-TW", "ja": "ja"}[lang]
    assert len(page.all("h1")) == 1 and len(page.all("main")) == 1


@pytest.mark.parametrize("lang", LANGS)
def test_the_page_fetches_nothing_and_runs_nothing(pages: dict[str, str], lang: str) -> None:
    text, page = pages[lang], Page(pages[lang])
    assert not re.search(r"(?:https?:)?//[\w.-]+\.\w", text)
    assert not {"script", "link", "iframe", "object", "embed", "img", "base", "form"} & {
        tag for tag, _ in page.elements
    }
    assert "@import" not in text and "url(" not in text
    for _, attrs in page.elements:
        assert not any(name.startswith("on") or name in ("src", "srcset", "action", "style") for name in attrs)
        assert (attrs.get("href") or "#").startswith("#")
    assert "default-src 'none'" in text


@pytest.mark.parametrize("lang", LANGS)
def test_ids_are_unique_and_everything_referred_to_exists(pages: dict[str, str], lang: str) -> None:
    page = Page(pages[lang])
    ids = [attrs["id"] for _, attrs in page.elements if attrs.get("id")]
    assert len(ids) == len(set(ids))
    for _, attrs in page.elements:
        wanted = (attrs.get("aria-labelledby") or "").split() + [(attrs.get("href") or "")[1:]]
        assert all(name in ids for name in wanted if name), attrs


@pytest.mark.parametrize("lang", LANGS)
def test_a_screen_reader_finds_its_way(pages: dict[str, str], lang: str) -> None:
    page = Page(pages[lang])
    assert page.elements[[tag for tag, _ in page.elements].index("body") + 1][1].get("class") == "skip"
    assert all(attrs.get("scope") in ("col", "row") for attrs in page.all("th"))
    assert len(page.all("caption")) == len(page.all("table")) > 8
    assert all(attrs.get("role") == "img" for attrs in page.all("svg"))
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1


@pytest.mark.parametrize("lang", LANGS)
def test_six_charts_in_two_widths_each_with_its_numbers(pages: dict[str, str], lang: str) -> None:
    found = re.findall(r"<svg.*?</svg>", pages[lang], re.DOTALL)
    assert len(found) == 12
    for svg in found:
        ElementTree.fromstring(svg)
    figures = re.findall(r"<figure.*?</figure>", pages[lang], re.DOTALL)
    assert len(figures) == 6 and all("<table" in figure for figure in figures)


@pytest.mark.parametrize("lang", LANGS)
def test_the_verdict_comes_first_in_words(pages: dict[str, str], lang: str) -> None:
    verdict = sample.make_verdict(sample.make_report(lang, 60))
    text = "".join(Page(pages[lang]).words)
    places = [text.index(verdict.headline.text(lang)), text.index(verdict.confidence.text(lang))]
    places += [text.index(s.text(lang)) for s in verdict.reasons]
    comparison = Page(pages[lang]).words.index(Words.of(lang).metric("success"))
    assert places == sorted(places)
    assert len("".join(Page(pages[lang]).words[:comparison])) > places[-1]
    for sentence in (*verdict.next_steps, *(r.reason for r in verdict.rejected), *verdict.assumed, *verdict.priced):
        assert sentence.text(lang) in text
    for claim in verdict.claims:
        assert Words.of(lang)(f"standing.{claim.standing}") in text


def test_document_text_is_data_and_never_markup() -> None:
    report = sample.make_report("en", 36, evil=True)
    text = full(report, "en")
    page = Page(text)
    assert not page.open and "<script" not in text
    assert not page.all("script")
    assert "&lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt; &amp; &quot;quoted&quot;" in text
    assert sample.EVIL in "".join(page.words)


def test_provenance_is_named(pages: dict[str, str]) -> None:
    text = "".join(Page(pages["en"]).words)
    for part in (
        "builtin:base",
        "builtin:reader",
        "5f2c9a7e11d04b6c",
        "0.1.0",
        "2026-11-23",
        "context_sentences",
        "16 source",
    ):
        assert part in text


def test_a_skipped_approach_and_a_missing_verdict_are_no_problem() -> None:
    report = sample.make_report("en", 36, skip="finetune")
    text = render(report, None, None, "en")
    assert "Not measured: Fine-tuning. Torch is missing." in text and not Page(text).open
    assert 'id="cost"' not in text and 'href="#cost"' not in text


@pytest.mark.parametrize("lang", LANGS)
def test_an_empty_report_still_is_a_page(lang: str) -> None:
    assert not Page(render(EMPTY, None, None, lang)).open


def test_the_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    target = tmp_path / "out" / "report.html"
    report = sample.make_report("ja", 36)
    assert write_html(report, None, None, target, "ja") == target
    assert target.read_text(encoding="utf-8").endswith("</html>\n")
    assert [p.name for p in target.parent.iterdir()] == ["report.html"]


@pytest.mark.parametrize("lang", LANGS)
def test_markdown_is_a_table_with_the_best_in_bold(lang: str) -> None:
    report = sample.make_report(lang, 36, skip="few-shot")
    lines = to_markdown(report, lang, sample.make_cost(report)).splitlines()
    rows = [line for line in lines if line.startswith("|")]
    assert len(rows) == 2 + 4
    assert len({line.count("|") for line in rows}) == 1
    assert sum(line.count("**") for line in rows) >= 12
    assert "Torch is missing." in lines[-1]


@pytest.mark.parametrize("lang", LANGS)
def test_the_markdown_document_says_the_verdict_first_and_all_of_it(lang: str) -> None:
    report = sample.make_report(lang, 36)
    verdict = sample.make_verdict(report)
    lines = to_document(report, verdict, sample.make_cost(report), lang).splitlines()
    assert lines[0] == f"# {verdict.headline.text(lang)}"
    assert sum(line.startswith("|") for line in lines) == 2 + len(report.approaches)
    headings = [line for line in lines if line.startswith("## ")]
    assert len(headings) >= 4 and len(set(headings)) == len(headings)
    assert sum(line.startswith(("- ", "1. ")) for line in lines) >= len(headings)
    assert to_document(report, lang=lang).startswith(f"# {report.project}\n\n|")


def test_markdown_escapes_names() -> None:
    report = sample.make_report("en", 36, evil=True)
    assert "<script" not in to_markdown(report, "en")
    assert "<script" not in to_document(report, sample.make_verdict(report), lang="en")


def test_markup_escapes_unless_it_is_markup() -> None:
    assert tag("p", "<b>") == "<p>&lt;b&gt;</p>"
    assert tag("p", tag("b", "x"), css='a"b', hidden=True, id=None) == '<p class="a&quot;b" hidden><b>x</b></p>'
    assert join(["<", tag("i", ">")]) == "&lt;<i>&gt;</i>" and esc(esc("&")) == "&amp;"
    assert 'aria-label="&lt;"' in table("<", [Column("a")], [["b"]])


def with_rows(lang: str) -> Report:
    """The sample with a schema-guided row, a further model, a brought one, ceilings and what more questions would bring."""
    report = sample.make_report(lang)
    rag = report.approach("rag")
    assert rag is not None
    names = ("rag+constrained", "rag @ ollama:qwen3", "url:http://localhost:9/v1")
    ceilings = tuple(
        Ceiling(name, lever, 0.12, 0.05, 0.2, 120, 0.4)
        for name in ("rag+finetune", "rag")
        for lever in ("retrieval", "format", "abstention", "reading", "closed_book")
    )
    more = MoreQuestions(50, "rag+finetune", 0.004, 0.002, 0.12, 54.0)
    return replace(
        report, approaches=(*report.approaches, *(replace(rag, name=n) for n in names)), ceilings=ceilings, more=more
    )


@pytest.mark.parametrize("lang", LANGS)
def test_ceilings_further_rows_and_insights_are_on_the_page(lang: str) -> None:
    report = with_rows(lang)
    page = render(report, sample.make_verdict(report), sample.make_cost(report), lang)
    assert 'id="fig-ceilings"' in page and Words.of(lang)("ceilings_legend") in page
    for name in ("rag+constrained", "rag @ ollama:qwen3"):
        assert Words.of(lang).approach(name) in page
    assert "url:http://localhost:9/v1" in page and "54.00" in page
    assert 'class="dot a-rag"' in page and 'class="dot a-own"' in page
    assert not re.search(r"\{[a-z_]+[:}]", page.partition("</style>")[2])
    assert set(re.findall(r'class="(?:dot|ring|band) (a-[^"]*)"', page)) <= {
        "a-prompt", "a-few-shot", "a-rag", "a-finetune", "a-rag-finetune", "a-long-context", "a-own",
    }  # fmt: skip


def test_without_ceilings_the_page_says_how_to_measure_them() -> None:
    report = sample.make_report("en")
    page = render(report, sample.make_verdict(report), sample.make_cost(report), "en")
    assert "counterfactual = true" in page and 'id="fig-ceilings"' not in page


def test_sources_of_rules_are_in_the_language_of_the_page() -> None:
    for lang, words in (("en", "is for it"), ("zh-TW", "支持"), ("ja", "は支持")):
        report = sample.make_report(lang)
        assert words in render(report, sample.make_verdict(report), sample.make_cost(report), lang)
