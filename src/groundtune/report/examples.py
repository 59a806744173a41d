"""Which items to show side by side, and how: those on which the approaches part ways, as different as possible."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from groundtune.measure.numerals import forms
from groundtune.measure.results import ItemResult, Quote, Report
from groundtune.report.markup import Html, details, esc, join, paragraph, tag
from groundtune.report.words import Words

MOST = 12
_LONG = 600  # characters of an output that are shown


@dataclass(frozen=True)
class Side:
    """One item through all approaches that answered it."""

    item: ItemResult
    answers: tuple[tuple[str, ItemResult], ...]

    @property
    def pattern(self) -> tuple[str, ...]:
        """What happened, by approach; equal patterns teach the same."""
        return tuple(outcome(answer) for _, answer in self.answers)

    @property
    def agreed(self) -> bool:
        return len({succeeded(answer) for _, answer in self.answers}) == 1


def succeeded(item: ItemResult) -> bool:
    """The primary score of an item, whichever part it is from."""
    score = item.scores.get("success" if item.part == "question" else "example_success")
    return bool(score is not None and score >= 1.0)


def outcome(item: ItemResult) -> str:
    """The label, or ``ok`` where an item succeeded without one."""
    return item.label or ("ok" if succeeded(item) else "")


def choose(report: Report, most: int = MOST) -> tuple[Side, ...]:
    """At most ``most`` items: first one of each pattern in which approaches disagree, frequent patterns first, with the
    unanswerable ones among them; then more of the frequent patterns; then items on which all agree.
    """
    sides = _sides(report)
    patterns: dict[tuple[bool, bool, tuple[str, ...]], list[Side]] = {}
    for side in sides:
        patterns.setdefault((side.agreed, side.item.answerable, side.pattern), []).append(side)
    queues = sorted(patterns.items(), key=lambda entry: (entry[0][0], -len(entry[1])))
    open_ended = [list(group) for key, group in queues if not key[0]]
    refusals = [group for group in open_ended if not group[0].item.answerable][:3]
    ordered = [g for g in open_ended if g[0].item.answerable]
    for place, group in enumerate(refusals):
        ordered.insert(min(len(ordered), 2 + 3 * place), group)
    seen: set[str] = set()
    chosen = _round_robin(ordered, most, seen)
    if len(chosen) < most:
        chosen += _round_robin([list(group) for key, group in queues if key[0]], min(3, most - len(chosen)), seen)
    return tuple(chosen)


def _sides(report: Report) -> list[Side]:
    ran = [(a.name, {(i.part, i.id): i for i in a.items}) for a in report.approaches if a.items and not a.skipped]
    if not ran:
        return []
    return [
        Side(item, tuple((name, table[key]) for name, table in ran if key in table and not table[key].error))
        for key, item in ran[0][1].items()
        if any(key in table and not table[key].error for _, table in ran)
    ]


def _round_robin(groups: Sequence[list[Side]], most: int, seen: set[str]) -> list[Side]:
    """One of each group, then the next of each; no question twice (``seen`` is filled)."""
    chosen: list[Side] = []
    depth = 0
    while len(chosen) < most and any(depth < len(group) for group in groups):
        for group in groups:
            fresh = [side for side in group[depth:] if side.item.question not in seen]
            if fresh and len(chosen) < most:
                chosen.append(fresh[0])
                seen.add(fresh[0].item.question)
        depth += 1
    return chosen


def render(sides: Sequence[Side], words: Words, data_tag: str) -> Html:
    """Cards to open; the first two stand open. ``data_tag`` is the language of the data."""
    return join(_card(side, words, data_tag, index < 2) for index, side in enumerate(sides))


def _card(side: Side, words: Words, data_tag: str, opened: bool) -> Html:
    item = side.item
    good = sum(succeeded(answer) for _, answer in side.answers)
    count = tag("span", words("example.score", good=good, total=len(side.answers)), css="score")
    summary = join([tag("span", item.question, lang=data_tag, css="q"), count])
    if item.answerable:
        expected = join([tag("b", words.colon(words("example.expected"))), tag("span", item.expected, lang=data_tag)])
    else:
        expected = tag("b", words("example.unanswerable"))
    answers = join(_answer(name, answer, words, data_tag) for name, answer in side.answers)
    card = details(summary, join([paragraph(expected, "expected"), tag("div", answers, css="answers")]), "example")
    return Html(card.replace("<details", "<details open", 1)) if opened else card


def _answer(name: str, item: ItemResult, words: Words, data_tag: str) -> Html:
    good = succeeded(item)
    sign = tag("span", "✓" if good else "✗", css="sign", aria_hidden="true")
    label = outcome(item)
    verdict = words.label(label) if label else words("yes" if good else "no")
    head = tag(
        "h4",
        join(
            [words.approach(name), tag("span", join([sign, " ", verdict]), css="pill " + ("good" if good else "bad"))]
        ),
    )
    output = item.output if len(item.output) <= _LONG else item.output[:_LONG] + "…"
    body = (
        tag("pre", marked(output, item.expected), lang=data_tag)
        if output.strip()
        else paragraph(words("example.empty"), "muted")
    )
    quotes = join(_quote(quote, item.expected, words, data_tag) for quote in item.citations[:3])
    return tag("div", join([head, body, quotes]), css="answer")


def _quote(quote: Quote, expected: str, words: Words, data_tag: str) -> Html:
    place = " › ".join(dict.fromkeys(p for p in (quote.title or quote.document, quote.heading) if p))
    source = tag("cite", join([words.colon(words("example.cites")), tag("span", place, lang=data_tag)]))
    return tag("blockquote", join([tag("p", marked(quote.quote, expected), lang=data_tag), source]))


def marked(text: str, expected: str) -> Html:
    """The text with the first place that holds the expected answer word for word in ``<mark>``."""
    wanted = [expected, *forms(expected)] if expected else []
    for form in wanted:
        at = text.casefold().find(form.casefold()) if len(form) > 1 else text.find(form)
        if form and at >= 0 and len(text.casefold()) == len(text):
            end = at + len(form)
            return join([text[:at], tag("mark", text[at:end]), esc(text[end:])])
    return esc(text)
