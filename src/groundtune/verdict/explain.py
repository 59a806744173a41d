"""The words behind a verdict: deciding facts, what would flip it, levers with ceilings, next steps, provenance."""

from __future__ import annotations

from groundtune.config import CONSTRAINED
from groundtune.measure import stats
from groundtune.measure.contrasts import AT
from groundtune.measure.naming import approach_of
from groundtune.measure.results import Report
from groundtune.verdict.breakeven import BreakEven
from groundtune.verdict.breakeven import Case as Sign
from groundtune.verdict.case import Case, Choice
from groundtune.verdict.claims import KNOWLEDGE
from groundtune.verdict.cost import CostReport
from groundtune.verdict.outcome import Claim, Flip, Lever, Standing
from groundtune.verdict.paired import Gap, gap
from groundtune.verdict.rows import TUNED
from groundtune.verdict.sentence import Sentence, sentence

LEVERS = {
    "retrieval": ("retrieval_recall", "retrieval_ranking", "retrieval_packing"),
    "reading": ("reading", "distractor", "hallucination"),
    "format": ("format",),
    "abstention": ("over_refusal", "unsupported_answer"),
    "freshness": ("stale",),
}
ASSUMED = (
    "queries_per_month", "horizon_months", "growth_per_month", "updates_per_month", "retrieved_tokens", "output_tokens",
    "setup_rag", "setup_finetune", "training", "retraining", "tuned_multiplier", "gpu_dollars_per_hour",
    "own_hardware_per_month", "value_per_correct_answer",
)  # fmt: skip


def numbers(found: Gap) -> dict[str, object]:
    """Parameters of a contrast for a sentence, in percentage points."""
    c = found.contrast
    shown = {"difference": c.difference, "size": abs(c.difference), "low": c.low, "high": c.high}
    points = {key: round(value * 100, 1) + 0.0 for key, value in shown.items()}
    points = {key: 0.0 if abs(value) < 0.5 else value for key, value in points.items()}  # never "-0"
    return {"a": c.a, "b": c.b, **points, "n": c.n, "p": c.p_adjusted}


def reasons(case: Case, choice: Choice) -> tuple[Sentence, ...]:
    """The three facts that decided it: against the best rival, on knowledge or against the simplest, and the money."""
    pick = choice.pick
    if pick is None:
        return tuple(_level(case, name) for name in case.measured[:3])
    rivals = sorted((n for n in case.eligible if n != pick), key=lambda n: -(case.level(n).value or 0.0))
    found = [_level(case, pick)]
    if rivals and (best := case.table.get((pick, rivals[0]))):
        found.append(_versus(best))
    simplest = next((n for n in case.eligible if n != pick and n not in rivals[:1]), None)
    knowledge = _knowledge(case, pick)
    if knowledge:
        found.append(knowledge)
    elif simplest and (base := case.table.get((pick, simplest))):
        found.append(_versus(base))
    money = _money(case, pick, rivals[0] if rivals else None)
    return (*([found[1]] if len(found) > 1 else found[:1]), *found[2:3], money) if len(found) > 2 else (*found, money)


def _level(case: Case, name: str) -> Sentence:
    e = case.level(name)
    share = {"value": (e.value or 0) * 100, "low": (e.low or 0) * 100, "high": (e.high or 0) * 100}
    return sentence("reason.level", name=name, metric=sentence(f"metric.{case.metric}"), n=e.n, **share)


def _versus(found: Gap) -> Sentence:
    key = "reason.better" if found.better else "reason.worse" if found.worse else "reason.tie"
    return sentence(key, **numbers(found))


def _knowledge(case: Case, pick: str) -> Sentence | None:
    """Fine-tuning alone against the pick on knowing the documents, when both were measured."""
    if approach_of(pick) == "finetune" or "finetune" not in case.measured:
        return None
    for metric in KNOWLEDGE[:2]:
        found = gap(case.report, metric, pick, "finetune")
        if found and found.contrast.low > 0:
            return sentence("reason.knows", metric=sentence(f"metric.{metric}"), **numbers(found))
    return None


def _money(case: Case, pick: str, rival: str | None) -> Sentence:
    mine = case.cost.approach(pick)
    other = case.cost.approach(rival) if rival else None
    if mine is None:
        return sentence("reason.unpriced", name=pick)
    params = {"name": pick, "month": mine.per_month, "thousand": mine.per_1000, "p10": mine.p10, "p90": mine.p90,
              "months": case.cost.inputs.horizon_months}  # fmt: skip
    if other is None:
        return sentence("reason.cost_alone", **params)
    share = case.cost.pairs.get(f"{pick}<{rival}", 0.0) * 100
    return sentence("reason.cost", rival=rival, rival_month=other.per_month, share=share, **params)


def flips(case: Case, choice: Choice) -> tuple[Flip, ...]:
    """What would change the verdict: accuracy, worth of an answer, volume, update rate, retrieved tokens, prices."""
    pick = choice.pick
    if pick is None:
        return ()
    found: list[Flip] = []
    rivals = sorted((n for n in case.eligible if n != pick), key=lambda n: -(case.level(n).value or 0.0))[:2]
    for rival in rivals:
        if contrast := case.table.get((pick, rival)):
            found.append(Flip("accuracy", _accuracy(case, contrast)))
    for point in case.cost.break_evens:
        involved = {point.challenger, point.incumbent}
        if pick in involved and point.name == "v*" and involved - {pick} <= set(rivals):
            # v* is meaningful only where the difference in quality is more than noise
            if (g := case.table.get((point.challenger, point.incumbent))) and g.clear and _turns(point):
                found.append(Flip("worth", point.sentence()))
    found += _cost_flips(case, pick)
    return tuple(found)


def _accuracy(case: Case, found: Gap) -> Sentence:
    c = found.contrast
    needed = max(0.0, c.difference) + (0.0 if case.simpler(c.b, c.a) else case.margin)
    return sentence("flip.accuracy", rival=c.b, pick=c.a, points=needed * 100, n=c.n)


def _turns(point: BreakEven) -> bool:
    return point.case in (Sign.ABOVE, Sign.BELOW)


def _cost_flips(case: Case, pick: str) -> list[Flip]:
    kinds = {"Q*": "volume", "rho*": "updates", "L*": "retrieved_tokens"}
    found = []
    for point in case.cost.break_evens:
        if point.name not in kinds or pick not in (point.challenger, point.incumbent):
            continue
        other = point.challenger if pick == point.incumbent else point.incumbent
        worse = (g := case.table.get((other, pick))) is not None and g.worse
        found.append(Flip(kinds[point.name], point.sentence(), worse or other not in case.eligible, _turns(point)))
    if pick in case.cost.pair:
        other = next(n for n in case.cost.pair if n != pick)
        worse = (g := case.table.get((other, pick))) is not None and g.worse
        for bar in case.cost.tornado:
            if bar.flips:
                label = sentence(f"input.{bar.name}")
                said = sentence("flip.input", name=label, low=bar.low_input, high=bar.high_input,
                                a=case.cost.pair[0], b=case.cost.pair[1])  # fmt: skip
                kind = "price" if bar.name in ("price_level", "tuned_multiplier") else "input"
                found.append(Flip(kind, said, worse or other not in case.eligible))
    return found


def levers(report: Report, name: str | None, metric: str) -> tuple[Lever, ...]:
    """Failures of one approach grouped by the work that could remove them, widest first: measured by asking them again
    where the comparison did that, else by their labels.
    """
    again = [c for c in report.ceilings if c.approach == name and c.lever != "closed_book" and c.share > 0]
    if again:
        found = [Lever(c.lever, c.share, c.low, c.high, c.n, min(1.0, c.success + c.share), True) for c in again]
        return tuple(sorted(found, key=lambda lever: -lever.share))
    return _labelled(report, name, metric)


def _labelled(report: Report, name: str | None, metric: str) -> tuple[Lever, ...]:
    result = report.approach(name) if name else None
    if result is None:
        return ()
    scored = [i for i in result.items if i.scores.get(metric) is not None and not i.error]
    if not scored:
        return ()
    success = sum(float(i.scores[metric] or 0.0) for i in scored) / len(scored)
    found = []
    for lever, labels in LEVERS.items():
        count = sum(i.label in labels for i in scored)
        if count:
            low, high = stats.wilson(count, len(scored))
            share = count / len(scored)
            found.append(Lever(lever, share, low, high, len(scored), min(1.0, success + share)))
    return tuple(sorted(found, key=lambda lever: -lever.share))


READY = 0.6  # our choice: below it the best approach is a finding about approaches, not something to put before users


def next_steps(
    case: Case, choice: Choice, winner: str | None, needed: int | None, found: tuple[Lever, ...]
) -> tuple[Sentence, ...]:
    """The staged path: what to do now, then only what can still pay."""
    steps = []
    if winner is None:
        key = "step.measure_more" if needed else "step.check_setup"
        steps.append(sentence(key, needed=needed or 0, leading=choice.pick or ""))
    else:
        value = case.level(winner).value or 0.0
        if value < READY and not choice.by_target:
            steps.append(sentence("step.not_ready", winner=winner, value=value * 100))
        else:
            steps.append(sentence("step.run", winner=winner))
        if needed:
            steps.append(
                sentence("step.settle", needed=needed, rivals=tuple(dict.fromkeys((*choice.open, *choice.unsettled))))
            )
    if coarse := _coarse(case, choice.pick):
        steps.append(coarse)
    target = case.config.requirements.target
    if target > 0 and not choice.by_target:
        best = max((case.level(name).value or 0.0 for name in case.eligible), default=0.0)
        steps.append(sentence("step.target_missed", target=target * 100, best=best * 100))
    knowledge = case.config.requirements.knowledge_location != "none"
    ran = {approach_of(name) for name in case.measured}
    if knowledge and "rag" not in ran:
        steps.append(sentence("step.rag_first"))
    steps += _lever_steps(case, found, winner or choice.pick or "")
    if approach_of(winner or "") not in TUNED and found and not any(lever.name == "format" for lever in found):
        steps.append(sentence("step.no_format_gain", n=found[0].n, name=winner or choice.pick))
    if approach_of(winner or "") == "finetune" and case.cost.retrain:
        steps.append(sentence("step.retrain", months=min(case.cost.retrain.exact, 999.0)))
    if any(g.rule.id == "fits_window" for g in case.gates) and "long-context" not in ran:
        steps.append(_long_context(case))
    return tuple(steps)


def _long_context(case: Case) -> Sentence:
    """Measure it as well; where it was tried and left out, with a model of a larger window."""
    tokens = case.cost.inputs.corpus_tokens
    if any(approach_of(result.name) == "long-context" for result in case.report.approaches):
        return sentence("step.long_context_model", tokens=tokens, model=case.report.base_model)
    return sentence("step.long_context", tokens=tokens)


def _coarse(case: Case, pick: str | None) -> Sentence | None:
    """How little these items can show, where that is less than what matters."""
    seen = [g.contrast for n in case.eligible if n != pick and (g := case.table.get((pick or "", n)))]
    sizes = [c.detectable if c.detectable is not None else 1.0 for c in seen]
    if not sizes or max(sizes) <= case.margin:
        return None
    least, most = round(min(sizes) * 100), round(max(sizes) * 100)
    span = f"{least}" if least == most else f"{least}–{most}"
    return sentence("step.coarse", n=seen[0].n, points=span, margin=case.margin * 100)


def _lever_steps(case: Case, found: tuple[Lever, ...], name: str) -> list[Sentence]:
    """What can still pay, widest first; then, where it was measured, what cannot."""
    small = [lever for lever in found if lever.measured and lever.high < case.margin]
    steps = []
    for lever in [lever for lever in found if lever not in small][:3]:
        kind = "ceiling" if lever.measured else "lever"
        numbers = {"share": lever.share * 100, "low": lever.low * 100, "high": lever.high * 100, "n": lever.n}
        guided = "_guided" if (kind, lever.name) == ("ceiling", "format") and CONSTRAINED in name else ""
        steps.append(sentence(f"step.{kind}_{lever.name}{guided}", ceiling=lever.ceiling * 100, name=name, **numbers))
    if small:
        kinds = tuple(sentence(f"lever.{lever.name}") for lever in small)
        most = max(lever.high for lever in small) * 100
        steps.append(sentence("step.not_worth", levers=kinds, most=most, n=small[0].n))
    return steps


def measured(case: Case) -> tuple[Sentence, ...]:
    """What was measured: success of each approach, tokens, freshness."""
    found = [_level(case, name) for name in case.measured]
    if case.cost.inputs.measured:
        i = case.cost.inputs
        found.append(
            sentence("measured.tokens", base=case.report.base_model, question=i.question_tokens, static=i.static_tokens,
                     retrieved=i.retrieved_tokens, output=i.output_tokens)
        )  # fmt: skip
    found += [
        sentence("measured.fresh", name=f.approach, new=f.new * 100, stale=f.stale * 100, n=f.n)
        for f in case.report.freshness
    ]
    return tuple(found)


def assumed(cost: CostReport) -> tuple[Sentence, ...]:
    """Inputs that nobody measured: from the settings, or defaults that nobody touched."""
    found = []
    skip = {"token": ("gpu_dollars_per_hour", "own_hardware_per_month"), "gpu": ("own_hardware_per_month",
            "tuned_multiplier"), "own": ("gpu_dollars_per_hour", "tuned_multiplier")}[cost.inputs.hosting]  # fmt: skip
    for name in ASSUMED:
        if name in cost.inputs.measured or name in skip:
            continue
        key = "assumed.given" if name in cost.inputs.given else "assumed.default"
        found.append(sentence(key, name=sentence(f"input.{name}"), value=float(getattr(cost.inputs, name))))
    others = tuple(n for n in cost.inputs.approaches if AT in n and n not in cost.inputs.row_prices)
    if others and cost.inputs.prices:
        found.append(sentence("assumed.stand_in", names=others, prices=cost.inputs.prices))
    return tuple(found)


def priced(cost: CostReport) -> tuple[Sentence, ...]:
    """Prices with the month from which they hold and where they were read, and the tuned multipliers."""
    found = [
        sentence("priced.tokens", model=p.name, since=p.since, input=p.input, output=p.output, source=p.source,
                 read=p.read or cost.as_of)
        for p in cost.prices_used
    ]  # fmt: skip
    found += [sentence(f"price_{w.key}", row=w.row, detail=w.detail) for w in cost.warnings]
    low, high = (round((x - 1) * 100) for x in cost.article_premium)
    real = sorted(m.input for m in cost.multipliers)
    used = cost.inputs.tuned_multiplier
    if real:
        found.append(
            sentence("priced.multiplier", low=low, high=high, least=real[0], most=real[-1], used=used, as_of=cost.as_of)
        )
    return tuple(found)


def disagreements(case: Case, checked: tuple[Claim, ...], winner: str | None) -> tuple[Sentence, ...]:
    """Where the measurement speaks against the article or a rule."""
    found = [c.sentence for c in checked if c.standing is Standing.FAILS]
    best = max(case.measured, key=lambda n: case.level(n).value or 0.0, default=None)
    for gate in case.gates:
        if gate.excludes and best in gate.approaches and winner and (g := case.table.get((best, winner))) and g.better:
            found.append(sentence("disagree.gate", rule=gate.rule.id, **numbers(g)))
    return tuple(found)
