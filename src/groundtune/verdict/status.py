"""Does the last verdict still hold? What changed since: documents, prices, traffic; and the decision taken again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum

from groundtune.config import Config
from groundtune.measure.results import Report
from groundtune.verdict.cost import cost_table, inputs_from
from groundtune.verdict.decide import decide
from groundtune.verdict.outcome import Verdict
from groundtune.verdict.prices import overlay
from groundtune.verdict.sentence import Sentence, sentence

STALE_SHARE = 0.2  # of the measured items: beyond it the scores speak about documents that no longer exist
OLD_DAYS = 90


class Holds(StrEnum):
    """YES (recomputed, the same), NO (recomputed, another), MEASURE_AGAIN (too much changed to recompute)."""

    YES = "yes"
    NO = "no"
    MEASURE_AGAIN = "measure_again"


@dataclass(frozen=True)
class Status:
    """``changed_share`` of the documents and ``affected_share`` of the measured items, None when the digests of then
    are unknown; ``price_age_days`` since the newest price was read; ``before`` at the report's date, ``now`` today.
    """

    holds: Holds
    headline: Sentence
    changes: tuple[Sentence, ...]
    changed: tuple[str, ...]
    changed_share: float | None
    affected_share: float | None
    report_age_days: int
    price_age_days: int
    volume: float
    before: Verdict
    now: Verdict

    def to_json(self, lang: str | None = None) -> str:
        """JSON with both verdicts in full."""
        plain = {n: getattr(self, n) for n in ("holds", "changed_share", "affected_share", "report_age_days",
                                               "price_age_days", "volume")}  # fmt: skip
        table = plain | {
            "changed": list(self.changed),
            "headline": self.headline.as_dict(lang),
            "changes": [s.as_dict(lang) for s in self.changes],
            "before": json.loads(self.before.to_json(lang)),
            "now": json.loads(self.now.to_json(lang)),
        }
        return json.dumps(table, ensure_ascii=False, indent=1)


def status(
    report: Report,
    config: Config,
    *,
    documents: Mapping[str, str],
    documents_then: Mapping[str, str] | None = None,
    volume: float | None = None,
    overrides: Mapping[str, float] | None = None,
    today: date | None = None,
) -> Status:
    """Compare then and now and decide again.

    ``documents`` maps document id to its current digest; ``documents_then`` the same at the time of the report (default:
    the report's setting ``document_digests``, a JSON object). ``volume`` replaces the queries a month of the settings.
    """
    day = today or date.today()
    then = _day(report.created, day)
    old = documents_then if documents_then is not None else _digests(report)
    changed = tuple(sorted(_changed(old, documents))) if old is not None else ()
    share = len(changed) / max(1, len(set(old) | set(documents))) if old is not None else None
    affected = _affected(report, set(changed)) if old is not None else None
    before = _verdict(report, config, then, None)
    traffic = volume if volume is not None else config.cost.queries_per_month
    fresh = replace(config, cost=replace(config.cost, queries_per_month=traffic))
    now = _verdict(report, fresh, day, overrides)
    if affected is not None and affected > STALE_SHARE:
        holds = Holds.MEASURE_AGAIN
    else:
        holds = Holds.YES if before.winner == now.winner else Holds.NO
    age = (day - max(row.read for row in overlay())).days
    return Status(
        holds=holds,
        headline=_headline(holds, before, now, affected),
        changes=_changes(report, share, changed, affected, (day - then).days, age, config, traffic),
        changed=changed,
        changed_share=share,
        affected_share=affected,
        report_age_days=(day - then).days,
        price_age_days=age,
        volume=traffic,
        before=before,
        now=now,
    )


def _verdict(report: Report, config: Config, day: date, overrides: Mapping[str, float] | None) -> Verdict:
    cost = cost_table(inputs_from(config, report, overrides=overrides, start=day), today=day)
    return decide(report, cost, config.requirements, config)


def _day(created: str, otherwise: date) -> date:
    try:
        return date.fromisoformat(created[:10])
    except ValueError:
        return otherwise


def _digests(report: Report) -> Mapping[str, str] | None:
    stored = report.settings.get("document_digests")
    found = json.loads(stored) if isinstance(stored, str) and stored else None
    return {str(k): str(v) for k, v in found.items()} if isinstance(found, dict) else None


def _changed(then: Mapping[str, str], now: Mapping[str, str]) -> set[str]:
    return {name for name in set(then) | set(now) if then.get(name) != now.get(name)}


def _affected(report: Report, changed: set[str]) -> float:
    """Share of the measured questions whose source document changed."""
    items = {(i.part, i.id): i.group for a in report.approaches for i in a.items if i.part == "question"}
    return sum(group in changed for group in items.values()) / len(items) if items else 0.0


def _headline(holds: Holds, before: Verdict, now: Verdict, affected: float | None) -> Sentence:
    if holds is Holds.MEASURE_AGAIN:
        return sentence("status.measure_again", share=(affected or 0.0) * 100)
    names = [v.winner or sentence("status.no_winner") for v in (before, now)]
    return sentence("status.holds" if holds is Holds.YES else "status.changed", before=names[0], now=names[1])


def _changes(
    report: Report,
    share: float | None,
    changed: tuple[str, ...],
    affected: float | None,
    age: int,
    price_age: int,
    config: Config,
    volume: float,
) -> tuple[Sentence, ...]:
    found = [sentence("status.report_age", days=age, created=report.created[:10])]
    if share is None:
        found.append(sentence("status.documents_unknown"))
    elif changed:
        found.append(
            sentence("status.documents", count=len(changed), share=share * 100, affected=(affected or 0.0) * 100)
        )
    else:
        found.append(sentence("status.documents_same"))
    found.append(sentence("status.prices_old" if price_age > OLD_DAYS else "status.prices", days=price_age))
    if volume != config.cost.queries_per_month:
        found.append(sentence("status.volume", now=volume, planned=config.cost.queries_per_month))
    return tuple(found)
