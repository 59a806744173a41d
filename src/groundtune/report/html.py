"""``report.html``: one self-contained file that opens anywhere, fetches nothing, and says the verdict first."""

from __future__ import annotations

from pathlib import Path

from groundtune.files import write_whole
from groundtune.measure.results import Report
from groundtune.report import ceilings, examples, figures, verdict_part
from groundtune.report.columns import METRICS, Comparison, better_of, comparison, metric_cell
from groundtune.report.insights import insights
from groundtune.report.markup import Column, Html, bullets, details, esc, join, paragraph, section, table, tag
from groundtune.report.terminal import meaning
from groundtune.report.words import DASH, TAGS, Words, signed
from groundtune.verdict.cost import CostReport
from groundtune.verdict.outcome import Verdict

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
_NAV = (
    "verdict",
    "comparison",
    "charts",
    "others",
    "cost",
    "claims",
    "failures",
    "retrieval",
    "freshness",
    "examples",
    "provenance",
)


def write_html(
    report: Report, verdict: Verdict | None, cost: CostReport | None, path: str | Path, lang: str | None = None
) -> Path:
    """Write the page; a reader of the old file never sees half of a new one. Returns the path."""
    target = Path(path)
    write_whole(target, render(report, verdict, cost, lang))
    return target


def render(
    report: Report, verdict: Verdict | None = None, cost: CostReport | None = None, lang: str | None = None
) -> str:
    """The whole page as text."""
    words = Words.of(lang)
    sections = _sections(report, verdict, cost, words)
    hero = verdict_part.hero(report, verdict, cost, words)
    present = [n for n in _NAV if (n == "verdict" and verdict) or any(f'<section id="{n}"' in s for s in sections)]
    links = join(tag("li", tag("a", words(f"nav.{n}"), href=f"#{n}")) for n in present)
    brand = join([tag("b", "groundtune"), tag("span", report.project, css="project")])
    top = tag(
        "header", join([tag("div", brand, css="brand"), tag("time", _day(report.created), datetime=report.created)])
    )
    body = [
        tag("a", words("skip"), css="skip", href="#main"),
        top,
        tag("nav", tag("ul", links), aria_label=words("contents")),
        tag("main", join([hero, *sections]), id="main"),
        tag("footer", paragraph(words("footer", version=report.version))),
    ]
    css = Path(__file__).with_name("page.css").read_text(encoding="utf-8")
    title = f"{report.project} · groundtune"
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}"><meta name="color-scheme" content="light dark">'
        f"<title>{esc(title)}</title><style>{css}</style>"
    )
    return f'<!doctype html>\n<html lang="{words.tag}">\n<head>{head}</head>\n<body>{join(body, chr(10))}</body>\n</html>\n'


def _sections(report: Report, verdict: Verdict | None, cost: CostReport | None, words: Words) -> list[Html]:
    metric = verdict.metric if verdict else "success"
    charts = [
        figures.success(report, words, metric),
        figures.quality_and_cost(report, cost, words, metric) if cost else "",
    ]
    money = [verdict_part.money(verdict, cost, words)]
    money += [figures.volume(cost, words), figures.tornado(cost, words)] if cost else []
    failures = [figures.attribution(report, words), *ceilings.part(report, verdict, words)]
    failures += [] if report.ceilings else [verdict_part.levers(verdict, words)]
    shown = examples.choose(report)
    cards = examples.render(shown, words, TAGS.get(report.language, report.language or "en"))
    return [
        section(
            "comparison",
            words("nav.comparison"),
            *_comparison(report, cost, words),
            lead=verdict_part.sizes(report, words),
        ),
        section("charts", words("nav.charts"), *charts),
        verdict_part.others(verdict, words),
        section("cost", words("nav.cost"), *money),
        verdict_part.claims(verdict, words),
        section("failures", words("nav.failures"), *failures, lead=words("failures_lead")),
        section("retrieval", words("nav.retrieval"), _retrieval(report, words), lead=words("retrieval_lead")),
        section("freshness", words("nav.freshness"), figures.freshness(report, words), lead=words("freshness_lead")),
        section("examples", words("nav.examples"), cards, lead=words("examples_lead", count=len(shown))),
        section("provenance", words("nav.provenance"), *_provenance(report, verdict, words)),
    ]


def _comparison(report: Report, cost: CostReport | None, words: Words) -> list[Html]:
    found = comparison(report, words, cost)
    parts = [_main_table(found, words)] if found.rows else []
    parts.append(paragraph(words("html_legend"), "muted"))
    skipped = [words("skipped", approach=title, reason=reason) for title, reason in found.skipped]
    failed = [
        words("errors_in", approach=words.approach(a.name), count=a.errors) for a in report.approaches if a.errors
    ]
    parts.append(bullets(insights(report, words)))
    parts.append(bullets([*skipped, *failed, *report.notes], css="notes"))
    if report.contrasts:
        parts.append(details(words("differences"), _contrasts(report, words), "more"))
    parts.append(details(words("all_metrics"), _all_metrics(report, words), "more"))
    return parts


def _main_table(found: Comparison, words: Words) -> Html:
    columns = [Column(words("approach_head"))]
    for head in found.heads:
        arrow = "↑" if head.better == "high" else "↓"
        columns.append(
            Column(
                join(
                    [
                        tag("abbr", head.title, title=head.hint),
                        tag("span", f" {arrow}", css="muted", aria_hidden="true"),
                    ]
                ),
                True,
            )
        )
    rows = []
    for row in found.rows:
        cells: list[object] = [row.title]
        for cell in row.cells:
            star = (
                tag("span", "★", css="star", title=words("best"), role="img", aria_label=words("best"))
                if cell.best
                else ""
            )
            value = tag("b" if cell.best else "span", join([cell.text, star]), css="v")
            cells.append(join([value, tag("small", cell.detail)]) if cell.detail else value)
        rows.append(cells)
    return table(words("nav.comparison"), columns, rows)


def _contrasts(report: Report, words: Words) -> Html:
    keys = ("metric_head", "contrast", "difference", "interval", "p", "n", "detectable", "meaning")
    columns = [Column(words(key), 1 < index < 7) for index, key in enumerate(keys)]
    rows = [
        [words.metric(c.metric), f"{words.approach(c.a)} − {words.approach(c.b)}", signed(c.difference * 100),
         f"[{signed(c.low * 100)}, {signed(c.high * 100)}]", words.p_value(c.p_adjusted), str(c.n),
         DASH if c.detectable is None else f"{c.detectable * 100:.0f}", meaning(c, words)]
        for c in report.contrasts
    ]  # fmt: skip
    return join([table(words("differences"), columns, rows), paragraph(words("contrasts_note"), "muted")])


def _all_metrics(report: Report, words: Words) -> Html:
    ran = [a for a in report.approaches if not a.skipped]
    shown = {metric for metric, _ in METRICS}
    names = list(dict.fromkeys([*(m for m, _ in METRICS), *(m for a in ran for m in a.metrics)]))
    columns = [Column(words("metric_head")), *(Column(words.approach(a.name), True) for a in ran)]
    rows: list[list[object]] = []
    for name in names:
        cells = [metric_cell(a, name, words) for a in ran]
        if any(c.value is not None for c in cells):
            ending = "" if name in shown or better_of(name) == "high" else " ↓"
            row: list[object] = [f"{words.metric(name)}{ending}"]
            row += [join([tag("span", c.text, css="v"), tag("small", c.detail)]) for c in cells]
            rows.append(row)
    rows.append([words("fit_time"), *(words.duration(a.fit_seconds) if a.fit_seconds else DASH for a in ran)])
    return table(words("all_metrics"), columns, rows)


def _retrieval(report: Report, words: Words) -> Html:
    """Recall by depth, for the right document and for the evidence itself."""
    depths = sorted({int(k.rpartition("@")[2]) for k in report.retrieval if k.rpartition("@")[2].isdigit()})
    columns = [Column(words("found_head")), *(Column(words("at_depth", n=n), True) for n in depths)]
    rows = []
    for kind in dict.fromkeys(k.rpartition("@")[0] for k in report.retrieval if "@" in k):
        rows.append(
            [words.named("retrieval", kind), *(words.percent(report.retrieval.get(f"{kind}@{n}")) for n in depths)]
        )
    plain = {k: v for k, v in report.retrieval.items() if "@" not in k}
    lines = [f"{words.colon(_retrieval_name(k, words))}{_number(v)}" for k, v in plain.items()]
    return join([table(words("nav.retrieval"), columns, rows) if rows else "", bullets(lines)])


def _retrieval_name(key: str, words: Words) -> str:
    """``document_shown[rag]`` is a share per approach; the other keys stand for themselves."""
    kind, _, approach = key.partition("[")
    name = words.named("retrieval", kind)
    return f"{name} ({words.approach(approach.removesuffix(']'))})" if approach else name


def _provenance(report: Report, verdict: Verdict | None, words: Words) -> list[Html]:
    models = sorted({a.model for a in report.approaches if a.model and a.model != report.base_model})
    facts = [
        ("project", report.project), ("created", report.created), ("version", report.version), ("base_model", report.base_model),
        ("reader", report.reader), ("other_models", words.listed(models)), ("data_digest", report.data_digest),
        ("sizes", verdict_part.sizes(report, words)), ("examples_trained", words.count(report.examples_trained)),
        ("language", report.language), ("schema", str(report.schema_version)),
    ]  # fmt: skip
    rows = [[words(f"prov.{key}"), value] for key, value in facts if value]
    columns = [Column(words("setting_head")), Column(words("value_head"))]
    run = table(words("run_head"), columns, rows)
    settings = (
        table(words("settings"), columns, [[k, str(v)] for k, v in report.settings.items()]) if report.settings else ""
    )
    parts = [verdict_part.provenance(verdict, words), details(words("run_head"), run, "more")]
    return [*parts, details(words("settings"), settings, "more") if settings else Html("")]


def _number(value: float) -> str:
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:.2f}"


def _day(created: str) -> str:
    return created[:10]
