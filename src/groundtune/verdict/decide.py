"""Measurements, rules and money to a verdict: gates, dominance beyond noise, then the simplest approach that suffices."""

from __future__ import annotations

from dataclasses import replace
from math import ceil

from groundtune.config import CONSTRAINED, Config, RequirementsSection
from groundtune.measure.contrasts import AT
from groundtune.measure.results import Report
from groundtune.verdict import claims, explain
from groundtune.verdict.case import Case, Choice
from groundtune.verdict.cost import CostReport
from groundtune.verdict.gates import facts_of, fire
from groundtune.verdict.outcome import Level, Rejection, Verdict
from groundtune.verdict.paired import gaps
from groundtune.verdict.rows import simplicity
from groundtune.verdict.sentence import Sentence, sentence

PRIMARY = ("success", "example_success")
USELESS = 0.05  # when the best approach succeeds on fewer than this, none is worth choosing


def decide(report: Report, cost: CostReport, requirements: RequirementsSection, config: Config) -> Verdict:
    """The verdict on a comparison.

    1. gates take approaches out; 2. approaches that another beats beyond noise (paired interval excludes 0, Holm) at no
    higher cost leave; 3. of the rest the simplest that meets ``requirements.target`` with its lower bound, else climb
    in order of complexity only when the paired gain is clear and pays. A rival that may still be better by
    ``requirements.minimum_gain`` makes the verdict provisional, or inconclusive when nothing at all was shown.
    """
    case = build(report, cost, replace(config, requirements=requirements))
    choice = choose(case)
    verdict_level = _level(case, choice)
    winner = choice.pick if verdict_level is not Level.INCONCLUSIVE else None
    needed = items_needed(case, choice)
    checked = claims.check(report, case.margin)
    levers = explain.levers(report, winner or choice.pick, case.metric)
    n = max((case.level(name).n for name in case.measured), default=0)
    return Verdict(
        winner=winner,
        leading=choice.pick,
        level=verdict_level,
        headline=_headline(case, choice, winner, needed),
        confidence=_confidence(case, choice, verdict_level, n, needed),
        reasons=explain.reasons(case, choice),
        rejected=rejections(case, choice, winner),
        gates=case.gates,
        dominated=tuple(name for name, _ in choice.dominated),
        flips=explain.flips(case, choice),
        claims=checked,
        levers=levers,
        next_steps=explain.next_steps(case, choice, winner, needed, levers),
        measured=explain.measured(case),
        assumed=explain.assumed(cost),
        priced=explain.priced(cost),
        disagreements=explain.disagreements(case, checked, winner),
        items_needed=needed,
        metric=case.metric,
        n=n,
        created=report.created,
    )


def build(report: Report, cost: CostReport, config: Config) -> Case:
    """Gather the facts: which approaches were measured, which gates fire, all paired gaps."""
    fired = fire(facts_of(config, report, cost))
    metric = next((m for m in PRIMARY if any(_scored(report, a.name, m) for a in report.approaches)), PRIMARY[0])
    scored = [a.name for a in report.approaches if _scored(report, a.name, metric)]
    measured = tuple(sorted(scored, key=lambda name: _place(name, cost)))
    out = {name for gate in fired if gate.excludes for name in gate.approaches}
    eligible = tuple(name for name in measured if name not in out)
    table = gaps(report, metric, measured)
    if eligible != measured:
        table |= gaps(report, metric, eligible)
    return Case(report, cost, config, fired, metric, measured, eligible, table)


def _place(name: str, cost: CostReport) -> tuple[int, float, bool]:
    """Simplest first, then cheapest, then without a schema; sorting keeps the order of the report otherwise."""
    row = cost.approach(name)
    return simplicity(name), row.total if row else float("inf"), name.partition(AT)[0].endswith(CONSTRAINED)


def _scored(report: Report, name: str, metric: str) -> bool:
    result = report.approach(name)
    found = result.metrics.get(metric) if result and not result.skipped else None
    return bool(found and found.n and found.value is not None)


def choose(case: Case) -> Choice:
    """Dominance, then the climb."""
    if not case.eligible or max(case.level(n).value or 0.0 for n in case.eligible) < USELESS:
        return Choice(None)
    dominated = []
    for name in case.eligible:
        by = next((b for b in case.eligible if b != name and _dominates(case, b, name)), None)
        if by:
            dominated.append((name, by))
    gone = {name for name, _ in dominated}
    survivors = [name for name in case.eligible if name not in gone]
    target = case.config.requirements.target
    enough = [name for name in survivors if target > 0 and (case.level(name).low or 0.0) >= target]
    if enough:
        pick, dear = enough[0], list[str]()
    else:
        pick, dear = _climb(case, survivors)
    rivals = [name for name in survivors if name != pick and name not in dear]
    simpler = [name for name in rivals if case.simpler(name, pick)]
    gap = case.table
    return Choice(
        pick,
        open=() if enough else tuple(n for n in rivals if _open(case, n, pick)),
        unsettled=() if enough else tuple(n for n in simpler if (pick, n) in gap and not gap[pick, n].better),
        beaten=tuple(n for n in case.eligible if (pick, n) in gap and gap[pick, n].better),
        dominated=tuple(dominated),
        too_dear=tuple(dear),
        by_target=bool(enough),
    )


def _dominates(case: Case, b: str, a: str) -> bool:
    gap = case.table.get((b, a))
    mine, theirs = case.dollars(b), case.dollars(a)
    return gap is not None and gap.better and mine is not None and theirs is not None and mine <= theirs


def _climb(case: Case, survivors: list[str]) -> tuple[str, list[str]]:
    pick, dear = survivors[0], list[str]()
    for name in survivors[1:]:
        gap = case.table.get((name, pick))
        if gap is None or not gap.better:
            continue
        if case.pays(gap):
            pick = name
        else:
            dear.append(name)
    return pick, dear


def _open(case: Case, rival: str, pick: str) -> bool:
    """The rival may still be better than the pick by more than the margin."""
    gap = case.table.get((rival, pick))
    return gap is None or (not gap.clear and gap.contrast.high > case.margin)


def _level(case: Case, choice: Choice) -> Level:
    if choice.pick is None:
        return Level.INCONCLUSIVE
    if choice.open and not choice.beaten:
        return Level.INCONCLUSIVE
    alone = len(case.measured) < 2
    return Level.PROVISIONAL if choice.open or choice.unsettled or alone else Level.FIRM


def items_needed(case: Case, choice: Choice) -> int | None:
    """More items that would settle the open rivals (80 % power, or an interval inside the margin); None when settled."""
    more = []
    for rival in (*choice.open, *choice.unsettled):
        gap = case.table.get((rival, choice.pick or ""))
        if gap is None:
            continue
        c = gap.contrast
        size = abs(c.difference)
        half = max((c.high - c.low) / 2, 1e-3)
        room = size if size >= case.margin / 2 else case.margin - size
        wanted = max(gap.needed(max(case.margin, size)), ceil(c.n * (half / room) ** 2))
        more.append(max(10, wanted - c.n))
    return max(more, default=None)


def _headline(case: Case, choice: Choice, winner: str | None, needed: int | None) -> Sentence:
    if winner:
        return sentence("headline.winner", winner=winner)
    if choice.pick is None:
        return sentence("headline.nothing_left" if not case.eligible else "headline.nothing_works")
    return sentence("headline.inconclusive", leading=choice.pick, needed=needed or 0)


def _confidence(case: Case, choice: Choice, level: Level, n: int, needed: int | None) -> Sentence:
    rivals = tuple(dict.fromkeys((*choice.open, *choice.unsettled)))
    if level is Level.FIRM:
        return sentence("confidence.target" if choice.by_target else "confidence.firm", n=n, margin=case.margin * 100)
    if level is Level.PROVISIONAL:
        key = "confidence.provisional" if rivals else "confidence.alone"
        return sentence(key, n=n, rivals=rivals, needed=needed or 0)
    if choice.pick is None:
        return sentence("confidence.nothing", n=n)
    return sentence("confidence.inconclusive", n=n, rivals=rivals, needed=needed or 0, margin=case.margin * 100)


def rejections(case: Case, choice: Choice, winner: str | None) -> tuple[Rejection, ...]:
    """Every other approach and why not."""
    found = []
    asked = [a.name for a in case.report.approaches]
    place = {name: index for index, name in enumerate(case.measured)}
    for name in sorted(asked, key=lambda n: (simplicity(n), place.get(n, len(place)))):
        if name not in (winner, None if winner else choice.pick):
            found.append(_rejection(case, choice, name))
    return tuple(found)


def _rejection(case: Case, choice: Choice, name: str) -> Rejection:
    for gate in case.gates:
        if gate.excludes and name in gate.approaches:
            return Rejection(name, "gate", gate.sentence)
    result = case.report.approach(name)
    if name not in case.measured:
        why = result.skipped if result and result.skipped else sentence("reject.unscored")
        return Rejection(name, "skipped", sentence("reject.skipped", why=why))
    by = dict(choice.dominated).get(name)
    gap = case.table.get((name, by or choice.pick or ""))
    if gap is None:
        return Rejection(name, "skipped", sentence("reject.skipped", why=sentence("reject.unscored")))
    cause = "dominated" if by else "too_dear" if name in choice.too_dear else "worse" if gap.worse else "tie"
    if cause == "tie" and case.margin < gap.contrast.high:
        cause = "open"
    if cause == "tie" and gap.contrast.high < 0:
        cause = "worse"
    return Rejection(name, cause, sentence(f"reject.{cause}", **explain.numbers(gap)))
