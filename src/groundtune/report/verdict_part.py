"""The verdict in HTML: which, why, what it costs, how sure, what would flip it, and the article against the measurement."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len

from groundtune.measure.results import ApproachResult, Report
from groundtune.messages import say
from groundtune.report.markup import Column, Html, bullets, details, join, paragraph, section, table, tag
from groundtune.report.words import DASH, Words, signed
from groundtune.verdict.cost import CostReport
from groundtune.verdict.outcome import Claim, Level, Verdict
from groundtune.verdict.sentence import Sentence

_DOTS = {Level.FIRM: "●●●", Level.PROVISIONAL: "●●○", Level.INCONCLUSIVE: "●○○"}
_SHORT = 60  # cells of a headline that is set large
_SIGNS = {"holds": "✓", "does_not_hold": "✗", "undecided": "?", "not_measured": DASH}


def said(sentences: Sequence[Sentence], words: Words) -> list[str]:
    """The sentences in the reader's language."""
    return [s.text(words.lang) for s in sentences]


def heading(name: str, words: Words) -> str:
    """A heading that the verdict in the terminal has, too."""
    return say(f"verdict.heading.{name}", lang=words.lang)


def hero(report: Report, verdict: Verdict | None, cost: CostReport | None, words: Words) -> Html:
    """The top of the page, to be read in two minutes."""
    if verdict is None:
        return tag("section", join([tag("h1", report.project), paragraph(sizes(report, words), "lead")]), css="hero")
    headline = verdict.headline.text(words.lang)
    badge = join([tag("span", _DOTS[verdict.level], aria_hidden="true"), " ", words(f"level.{verdict.level}")])
    head = [
        paragraph(badge, f"badge {verdict.level}"),
        tag("h1", headline, css="long" if cell_len(headline) > _SHORT else ""),
    ]
    head += [paragraph(verdict.confidence.text(words.lang), "lead"), _facts(report, verdict, cost, words)]
    left = [tag("h2", heading("reasons", words)), bullets(said(verdict.reasons, words), ordered=True, css="why")]
    steps = said(verdict.next_steps, words)
    right = [tag("h2", heading("next", words)), bullets(steps[:3], ordered=True)] if steps else []
    right += [details(words("more", count=len(steps) - 3), bullets(steps[3:]))] if len(steps) > 3 else []
    flips = [f.sentence.text(words.lang) for f in verdict.flips if not f.cost_only]
    left += [tag("h2", heading("flips", words)), bullets(flips[:4])] if flips else []
    left += [details(words("more", count=len(flips) - 4), bullets(flips[4:]))] if len(flips) > 4 else []
    columns = tag("div", join([tag("div", join(left)), tag("div", join(right))]), css="two")
    disagree = said(verdict.disagreements, words)
    note = (
        tag("div", join([tag("h2", heading("disagreements", words)), bullets(disagree)]), css="note")
        if disagree
        else ""
    )
    return tag("section", join([*head, columns, note]), css="hero", id="verdict", aria_label=words("nav.verdict"))


def sizes(report: Report, words: Words) -> str:
    """How much was measured, in one line."""
    names = ("questions", "unanswerable", "examples_held_out", "documents")
    return words("sizes", **{name: words.count(getattr(report, name)) for name in names})


def _facts(report: Report, verdict: Verdict, cost: CostReport | None, words: Words) -> Html:
    name = verdict.winner or verdict.leading
    result = report.approach(name) if name else None
    if name is None or result is None:
        return Html("")
    facts = [_quality(result, verdict.metric, words)]
    priced = cost.approach(name) if cost else None
    if priced and cost:
        detail = words("fact.cost_detail", thousand=words.money(priced.per_1000), low=words.money(priced.p10),
                       high=words.money(priced.p90), months=cost.inputs.horizon_months)  # fmt: skip
        facts.append((words("fact.cost"), words.money(priced.per_month), detail))
    if result.latency_p50 is not None:
        slow = words("fact.latency_detail", value=words.seconds(result.latency_p95))
        facts.append((words("fact.latency"), words.seconds(result.latency_p50), slow))
    facts.append(
        (
            words("fact.items"),
            words.count(verdict.n),
            words("fact.items_detail", documents=words.count(report.documents)),
        )
    )
    cells = [join([tag("dt", t), tag("dd", join([tag("b", v), tag("small", d)]))]) for t, v, d in facts]
    return tag("dl", join(tag("div", cell) for cell in cells), css="facts")


def _quality(result: ApproachResult, metric: str, words: Words) -> tuple[str, str, str]:
    e = result.metrics.get(metric)
    if e is None or e.value is None:
        return words.metric(metric), DASH, ""
    detail = words("fact.interval", interval=words.interval(e.low, e.high))
    return f"{words.approach(result.name)} · {words.metric(metric)}", words.percent(e.value), detail


def others(verdict: Verdict | None, words: Words) -> Html:
    """Why not the other approaches, the rules that fired, and what turns only the cost order."""
    if verdict is None:
        return Html("")
    columns = [Column(words("approach_head")), Column(words("cause_head")), Column(words("reason_head"))]
    rows = [
        [words.approach(r.approach), words.named("cause", r.cause), r.reason.text(words.lang)] for r in verdict.rejected
    ]
    rejected = table(heading("rejected", words), columns, rows) if rows else Html("")
    gates = [
        join([g.sentence.text(words.lang), " ", tag("small", words("rule", id=g.rule.id, strength=words.named("strength", g.rule.strength),
              source=g.rule.source(words.lang)), css="muted")])
        for g in verdict.gates
    ]  # fmt: skip
    fired = join([tag("h3", heading("gates", words)), bullets(gates)]) if gates else Html("")
    return section("others", heading("rejected", words), rejected, fired)


def claims(verdict: Verdict | None, words: Words) -> Html:
    """What the article says, and what was measured here."""
    if verdict is None or not verdict.claims:
        return Html("")
    columns = [
        Column(words("claim_head")),
        Column(words("standing_head")),
        Column(words("measured_head")),
        Column(words("n"), True),
    ]
    rows = [_claim(claim, words) for claim in verdict.claims]
    return section("claims", words("nav.claims"), table(words("nav.claims"), columns, rows), lead=words("claims_lead"))


def _claim(claim: Claim, words: Words) -> list[object]:
    text = capital(say(f"verdict.claim.{claim.id}", lang=words.lang))
    standing = words(f"standing.{claim.standing}")
    pill = tag(
        "span",
        join([tag("span", _SIGNS[claim.standing], aria_hidden="true"), " ", standing]),
        css=f"pill s-{claim.standing}",
    )
    if claim.difference is None or claim.low is None or claim.high is None:
        return [text, pill, DASH, DASH]
    pair = f"{words.approach(claim.a)} − {words.approach(claim.b)}"
    size = f"{words.points(claim.difference)} [{signed(claim.low * 100)}, {signed(claim.high * 100)}]"
    return [
        text,
        pill,
        join([tag("b", size), tag("small", f"{words.metric(claim.metric)}{words('sep')}{pair}")]),
        str(claim.n),
    ]


def levers(verdict: Verdict | None, words: Words) -> Html:
    """What each kind of work could still win for the approach that leads."""
    if verdict is None or not verdict.levers:
        return Html("")
    keys = ("lever_head", "share_head", "interval", "ceiling_head")
    columns = [Column(words(key), index > 0) for index, key in enumerate(keys)]
    rows = [
        [words.named("lever", x.name), words.percent(x.share), words.interval(x.low, x.high), words.percent(x.ceiling)]
        for x in verdict.levers
    ]
    name = words.approach(verdict.winner or verdict.leading or "")
    title = words("levers", name=name, n=verdict.levers[0].n)
    return join([tag("h3", title), paragraph(words("levers_note"), "muted"), table(title, columns, rows)])


def money(verdict: Verdict | None, cost: CostReport | None, words: Words) -> Html:
    """The cost of each approach as a table, the break-evens and the price assumptions in sentences."""
    if cost is None:
        return Html("")
    keys = ("approach_head", "cost.month", "cost.thousand", "cost.once", "cost.total", "cost.range", "cost.cheapest")
    columns = [Column(words(key, months=cost.inputs.horizon_months), index > 0) for index, key in enumerate(keys)]
    rows = [
        [words.approach(a.name), words.money(a.per_month), words.money(a.per_1000), words.money(a.one_off), words.money(a.total),
         f"{words.money(a.p10)} {DASH} {words.money(a.p90)}", words.percent(a.cheapest)]
        for a in cost.approaches
    ]  # fmt: skip
    points = [b.sentence().text(words.lang) for b in cost.break_evens if b.name != "v*"]
    turning = [f.sentence.text(words.lang) for f in verdict.flips if f.cost_only] if verdict else []
    turning = [text for text in turning if text not in points]
    parts = [table(words("nav.cost"), columns, rows), paragraph(words("cost.note"), "muted")]
    parts += [tag("h3", heading("break_evens", words)), bullets(points)] if points else []
    parts += [tag("h3", heading("cost_only", words)), bullets(turning)] if turning else []
    return join(parts)


def provenance(verdict: Verdict | None, words: Words) -> Html:
    """What was measured, assumed and priced on a date."""
    if verdict is None:
        return Html("")
    parts = []
    for name in ("measured", "assumed", "priced"):
        lines = said(getattr(verdict, name), words)
        if lines:
            parts.append(tag("div", join([tag("h3", heading(name, words)), bullets(lines)])))
    return tag("div", join(parts), css="three")


def capital(text: str) -> str:
    """The text beginning with a capital."""
    return text[:1].upper() + text[1:]
