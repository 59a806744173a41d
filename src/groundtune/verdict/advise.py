"""Advice before there is data: a short interview, the gates that it fires, a first path, and what to measure next."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import date
from typing import Any

from groundtune.config import Config, CostSection
from groundtune.errors import ConfigError
from groundtune.messages import say
from groundtune.verdict.cost import CostReport, cost_table, inputs_from
from groundtune.verdict.gates import ENOUGH_EXAMPLES, Gate, GateFacts, fire
from groundtune.verdict.rows import SIMPLEST_FIRST, is_local
from groundtune.verdict.sentence import Sentence, sentence
from groundtune.verdict.signals import Signal
from groundtune.verdict.tco import CostInputs

FREQUENCIES = {"never": 0.0, "yearly": 1 / 12, "monthly": 1.0, "weekly": 4.3, "daily": 30.0, "live": 720.0}
CHOICES: dict[str, tuple[str, ...]] = {
    "update_frequency": tuple(FREQUENCIES),
    "knowledge_location": ("documents", "live", "none"),
    "task_regularity": ("fixed", "mixed", "open"),
    "privacy": ("none", "local", "per_user"),
}


@dataclass(frozen=True)
class Interview:
    """The answers. ``volume`` is queries a month, ``budget`` dollars a month (0: none stated); ``knowledge_location``
    none means that everything the task needs stands in the request or is common knowledge. ``origins`` says where an
    answer came from: asked, flag, toml or data; anything else is a default; ``facts`` what in the data said so. Raises
    ``ConfigError`` for an unknown choice.
    """

    update_frequency: str = "monthly"
    citations_needed: bool = False
    knowledge_location: str = "documents"
    fixed_format_or_tone: bool = False
    task_regularity: str = "mixed"
    examples_count: int = 0
    volume: float = 10000.0
    privacy: str = "none"
    budget: float = 0.0
    wants_to_train_knowledge: bool = False
    origins: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, Sentence] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, known in CHOICES.items():
            if getattr(self, name) not in known:
                raise ConfigError("verdict.advise_choice", name=name, value=getattr(self, name), known=", ".join(known))
        for name in ("examples_count", "volume", "budget"):
            if getattr(self, name) < 0:
                raise ConfigError("verdict.advise_negative", name=name, value=getattr(self, name))

    @classmethod
    def from_config(cls, config: Config, examples_count: int = 0) -> Interview:
        """The answers that groundtune.toml already gives; a setting left at its default counts as not answered."""
        need, money = config.requirements, config.cost
        frequency = _nearest(money.updates_per_month)
        location = need.knowledge_location if need.knowledge_location in CHOICES["knowledge_location"] else "documents"
        given = cls(
            update_frequency=frequency,
            citations_needed=need.citations,
            knowledge_location=location,
            fixed_format_or_tone=need.fixed_format,
            task_regularity=need.task_regularity if need.task_regularity in CHOICES["task_regularity"] else "mixed",
            examples_count=examples_count,
            volume=money.queries_per_month,
            privacy="per_user" if need.access_control else "local" if need.data_must_stay_local else "none",
            budget=need.budget_per_month,
            wants_to_train_knowledge=need.train_knowledge,
        )
        blank = cls()
        stated = {n: "toml" for n in ANSWERS if getattr(given, n) != getattr(blank, n)}
        if money.updates_per_month != CostSection().updates_per_month:
            stated["update_frequency"] = "toml"
        if examples_count:
            stated["examples_count"] = "data"
        return replace(given, origins=stated)

    def with_signals(self, signals: Sequence[Signal]) -> Interview:
        """What the data says, where groundtune.toml does not say otherwise."""
        changed: dict[str, Any] = {}
        facts: dict[str, Sentence] = {}
        for signal in signals:
            name, value = _answered(signal)
            if name in self.origins:
                continue
            changed[name], facts[name] = value, signal.fact
        origins = {**self.origins, **dict.fromkeys(changed, "data")}
        return replace(self, **changed, origins=origins, facts={**self.facts, **facts})


ANSWERS = tuple(f.name for f in fields(Interview) if f.name not in ("origins", "facts"))


def _nearest(updates: float) -> str:
    """The choice whose rate is nearest, by factors."""
    if updates <= 1 / 48:
        return "never"
    rates = {name: rate for name, rate in FREQUENCIES.items() if rate}
    return min(rates, key=lambda name: abs(math.log(rates[name] / updates)))


def _answered(signal: Signal) -> tuple[str, object]:
    names = {"updates": "update_frequency", "fixed": "fixed_format_or_tone", "citations": "citations_needed"}
    value = _nearest(float(signal.value)) if signal.name == "updates" else signal.value
    return names.get(signal.name, signal.name), value


@dataclass(frozen=True)
class InterviewQuestion:
    """One question of the interactive interview. ``kind``: choice, yes_no or number; ``choices``: value to label."""

    name: str
    text: str
    kind: str
    choices: Mapping[str, str] = field(default_factory=dict)
    default: str | float | bool = ""


@dataclass(frozen=True)
class Advice:
    """``path``: approaches in the order to try them, the first being ``first``; ``candidate`` is what may pay later and
    must beat the first; ``avoid`` what the gates exclude.
    """

    interview: Interview
    first: str
    path: tuple[str, ...]
    candidate: str | None
    avoid: tuple[str, ...]
    gates: tuple[Gate, ...]
    why: tuple[Sentence, ...]
    warning: Sentence | None
    cost: CostReport
    outlook: tuple[Sentence, ...]
    measure_next: tuple[Sentence, ...]
    used: tuple[Sentence, ...]

    def to_json(self, lang: str | None = None) -> str:
        """JSON with each sentence in ``lang``."""
        table: dict[str, object] = {
            "first": self.first, "path": list(self.path), "candidate": self.candidate, "avoid": list(self.avoid),
            "interview": _plain(self.interview, lang), "warning": self.warning.as_dict(lang) if self.warning else None,
            "gates": [{"rule": g.rule.id, "effect": g.rule.effect, "approaches": list(g.approaches),
                       "source": g.rule.source(lang), "cites": list(g.rule.cites), "reason": g.sentence.as_dict(lang)} for g in self.gates],
        }  # fmt: skip
        for name in ("why", "outlook", "measure_next", "used"):
            table[name] = [s.as_dict(lang) for s in getattr(self, name)]
        table["cost"] = json.loads(self.cost.to_json(lang))
        return json.dumps(table, ensure_ascii=False, indent=1)


def _plain(interview: Interview, lang: str | None) -> dict[str, object]:
    facts = {name: fact.as_dict(lang) for name, fact in interview.facts.items()}
    return asdict(replace(interview, facts={})) | {"facts": facts}


def questions(lang: str | None = None) -> tuple[InterviewQuestion, ...]:
    """The interview, in order, in ``lang``."""
    found = []
    for name in ANSWERS:
        default = getattr(Interview(), name)
        text = say(f"verdict.ask.{name}", lang=lang)
        options = {c: say(f"verdict.choice.{name}_{c}", lang=lang) for c in CHOICES.get(name, ())}
        kind = "choice" if options else "yes_no" if isinstance(default, bool) else "number"
        found.append(InterviewQuestion(name, text, kind, options, default))
    return tuple(found)


def advise(interview: Interview, config: Config | None = None, *, start: date | None = None) -> Advice:
    """Advice from the answers, the rules of ``evidence.toml`` and the cost model. RAG first where facts are needed."""
    settings = config or Config()
    cost = cost_table(_inputs(interview, settings, start))
    gates = fire(_facts(interview, settings, cost))
    avoid = tuple(dict.fromkeys(name for g in gates if g.excludes for name in g.approaches))
    path, candidate = _path(interview, avoid)
    return Advice(
        interview=interview,
        first=path[0],
        path=path,
        candidate=candidate,
        avoid=avoid,
        gates=gates,
        why=_why(interview, path[0], candidate),
        warning=sentence("advise.misconception") if interview.wants_to_train_knowledge else None,
        cost=cost,
        outlook=_outlook(cost, path[0], candidate),
        measure_next=_measure_next(interview, path[0], candidate),
        used=_used(interview),
    )


def _needs_knowledge(interview: Interview) -> bool:
    return interview.knowledge_location != "none" or interview.citations_needed or interview.wants_to_train_knowledge


def _needs_form(interview: Interview) -> bool:
    return interview.fixed_format_or_tone or interview.task_regularity == "fixed"


def _inputs(interview: Interview, config: Config, start: date | None) -> CostInputs:
    base = inputs_from(config, start=start)
    return replace(
        base,
        queries_per_month=interview.volume,
        updates_per_month=FREQUENCIES[interview.update_frequency] if _needs_knowledge(interview) else 0.0,
        draws=4000,
    )


def _facts(interview: Interview, config: Config, cost: CostReport) -> GateFacts:
    base = config.models.base
    return GateFacts(
        citations=interview.citations_needed,
        access_control=interview.privacy == "per_user",
        data_must_stay_local=interview.privacy == "local",
        base_is_local=is_local(base),
        base_model=base,
        prices=config.cost.prices,
        hosting=config.cost.hosting,
        start=cost.inputs.start,
        horizon_months=config.cost.horizon_months,
        examples=interview.examples_count,
        corpus_tokens=cost.inputs.corpus_tokens,
        updates_per_month=FREQUENCIES[interview.update_frequency],
        wants_format=_needs_form(interview),
        knowledge=_needs_knowledge(interview),
        train_knowledge=interview.wants_to_train_knowledge,
        budget_per_month=interview.budget,
        monthly=tuple((a.name, a.per_month) for a in cost.approaches),
        approaches=SIMPLEST_FIRST if _needs_knowledge(interview) else ("prompt", "few-shot", "finetune"),
    )


def _path(interview: Interview, avoid: tuple[str, ...]) -> tuple[tuple[str, ...], str | None]:
    """Order of trial. What the gates exclude is left out, but something always remains: the last resort is said."""
    knowledge, form = _needs_knowledge(interview), _needs_form(interview)
    if knowledge:
        candidate = "rag+finetune" if form else None
        wanted = ["rag", *(["rag+finetune"] if form else [])]
    else:
        wanted = ["few-shot", "finetune"] if form else ["prompt", "few-shot"]
        candidate = "finetune" if form else None
    kept = [name for name in wanted if name not in avoid]
    return tuple(kept or wanted[:1]), candidate if candidate in kept else None


def _why(interview: Interview, first: str, candidate: str | None) -> tuple[Sentence, ...]:
    found = []
    if first == "rag":
        if FREQUENCIES[interview.update_frequency] >= 1:
            found.append(sentence("advise.why_updates", frequency=_label("update_frequency", interview)))
        if interview.citations_needed:
            found.append(sentence("advise.why_citations"))
        if interview.knowledge_location != "none":
            found.append(sentence(f"advise.why_{interview.knowledge_location}"))
    else:
        found.append(sentence("advise.why_no_knowledge"))
    if _needs_form(interview):
        key = "advise.why_form_rag" if first == "rag" else "advise.why_form"
        found.append(sentence(key))
        few = interview.examples_count < ENOUGH_EXAMPLES
        if few:
            found.append(sentence("advise.collect", n=interview.examples_count, enough=ENOUGH_EXAMPLES))
    if candidate:
        found.append(sentence("advise.candidate", candidate=candidate, first=first))
    return tuple(found)


def _label(name: str, interview: Interview) -> Sentence:
    return sentence(f"choice.{name}_{getattr(interview, name)}")


def _outlook(cost: CostReport, first: str, candidate: str | None) -> tuple[Sentence, ...]:
    found = []
    for name in dict.fromkeys(n for n in (first, candidate, "finetune") if n):
        row = cost.approach(name)
        if row:
            months = cost.inputs.horizon_months
            found.append(
                sentence("advise.cost", name=name, month=row.per_month, thousand=row.per_1000, p10=row.p10, p90=row.p90,
                         months=months)
            )  # fmt: skip
    wanted = ("Q*", "rho*") if first == "rag" else ()
    found += [b.sentence() for b in cost.break_evens if b.name in wanted and b.challenger == "finetune"]
    low, high = (round((x - 1) * 100) for x in cost.article_premium)
    real = sorted(m.input for m in cost.multipliers)
    found.append(
        sentence("priced.multiplier", low=low, high=high, least=real[0], most=real[-1],
                 used=cost.inputs.tuned_multiplier, as_of=cost.as_of)
    )  # fmt: skip
    return tuple(found)


def _measure_next(interview: Interview, first: str, candidate: str | None) -> tuple[Sentence, ...]:
    found = [sentence("advise.questions" if first == "rag" else "advise.examples")]
    if first == "rag":
        found.append(sentence("advise.failures"))
    if _needs_form(interview):
        found.append(sentence("advise.form_first"))
    if candidate:
        found.append(sentence("advise.then_compare", candidate=candidate, first=first))
    return tuple(found)


def _used(interview: Interview) -> tuple[Sentence, ...]:
    found = []
    for name in ANSWERS:
        value = getattr(interview, name)
        shown: object = _label(name, interview) if name in CHOICES else value
        if isinstance(value, bool):
            shown = sentence("advise.yes" if value else "advise.no")
        elif not isinstance(value, str):
            shown = f"{value:,.0f}"
        origin = interview.facts.get(name) or sentence(f"advise.origin_{interview.origins.get(name, 'default')}")
        found.append(sentence("advise.used", name=sentence(f"answer.{name}"), value=shown, origin=origin))
    return tuple(found)
