"""What a comparison says beyond its table, in sentences: when it stopped, what more questions would bring, how much
trainings differ, and what the judge is worth.
"""

from __future__ import annotations

from groundtune.measure.results import Duel, JudgeReport, MoreQuestions, Report, Stopping
from groundtune.report.words import Words


def insights(report: Report, words: Words) -> tuple[str, ...]:
    """The sentences, empty for a plain comparison with one approach."""
    lines: list[str] = []
    if report.stopping is not None:
        lines += _stopping(report.stopping, words)
    if report.more is not None:
        lines += _more(report.more, words)
    for result in report.approaches:
        found = [one.means["success"] for one in result.seeds if "success" in one.means]
        if found:
            spread = {"low": words.percent(min(found)), "high": words.percent(max(found))}
            lines.append(words("insight.seeds", approach=words.approach(result.name), count=len(found), **spread))
    if report.judge is not None:
        lines += _judge(report.judge, words)
    return tuple(lines)


def _stopping(stop: Stopping, words: Words) -> list[str]:
    """Whether it was decided, and what that saved."""
    named = {"leader": words.approach(stop.leader), "asked": stop.asked, "total": stop.total}
    margin = f"{stop.margin * 100:.0f}"
    lines = [words("insight.decided" if stop.decided else "insight.undecided", margin=margin, **named)]
    if stop.equal:
        equal = words.listed([words.approach(name) for name in stop.equal])
        lines.append(words("insight.equal", names=equal, margin=margin, leader=named["leader"]))
    if saved := sum(stop.saved.values()):
        lines.append(words("insight.saved", count=words.count(saved)))
    return lines


def _more(more: MoreQuestions, words: Words) -> list[str]:
    """What another batch of questions is expected to bring."""
    numbers = {
        "items": more.items,
        "now": f"{more.loss_now * 100:.1f}",
        "then": f"{more.loss_then * 100:.1f}",
        "chance": words.percent(more.other_leads),
        "leader": words.approach(more.leader),
    }
    lines = [words("insight.more_clear" if more.clear_now else "insight.more", **numbers)]
    if more.dollars is not None:
        lines.append(words("insight.more_dollars", items=more.items, dollars=words.money(more.dollars)))
    return lines


def _judge(judge: JudgeReport, words: Words) -> list[str]:
    """How far the judge can be relied on, and what it said of pairs."""
    cost = {"calls": words.count(judge.calls), "dollars": words.money(judge.dollars), "model": judge.model}
    lines = [words("insight.judge", **cost)]
    found = judge.agreement
    if found is None:
        lines.append(words("insight.judge_alone"))
    else:
        interval = words.interval(found.raw_low, found.raw_high)
        kappa = {"kappa": f"{found.kappa:.2f}", "low": f"{found.kappa_low:.2f}", "high": f"{found.kappa_high:.2f}"}
        key = "insight.judge_trusted" if judge.trusted else "insight.judge_doubted"
        lines.append(words(key, n=found.n, raw=words.percent(found.raw), interval=interval, **kappa))
    lines += [_duel(duel, words) for duel in judge.duels]
    if judge.errors:
        lines.append(words("insight.judge_errors", count=judge.errors))
    return lines


def _duel(duel: Duel, words: Words) -> str:
    names = {"a": words.approach(duel.a), "b": words.approach(duel.b), "p": words.p_value(duel.p_value)}
    counts = {"wins": duel.wins, "losses": duel.losses, "ties": duel.ties, "flips": duel.flips}
    return words("insight.duel", **names, **counts)
