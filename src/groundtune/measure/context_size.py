"""How much context is enough? For each size: is the evidence in what a model would be shown, and how long is that?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from groundtune.approaches.retrieve import select
from groundtune.approaches.setting import make_setting
from groundtune.config import Config
from groundtune.errors import DataError
from groundtune.knowledge.context import estimate_tokens
from groundtune.measure.plan import Plan, make_plan
from groundtune.measure.results import Estimate
from groundtune.measure.retrieval import covered, evidence_place
from groundtune.measure.stats import estimate

SIZES = (1, 2, 3, 5, 0)


@dataclass(frozen=True)
class ContextSize:
    """One size: ``sentences`` (0: whole chunks), share of answerable questions whose evidence is fully shown, mean
    length of what is shown in tokens (estimated: one per CJK character, one per four others).
    """

    sentences: int
    evidence_shown: Estimate
    tokens: float


def measure_context(config: Config, sizes: Sequence[int] = SIZES) -> tuple[ContextSize, ...]:
    """Measure retrieval with each context size on the project's answerable questions; no model is asked.

    Raises ``DataError`` when no question has evidence.
    """
    plan = make_plan(config)
    with plan.kb:
        return _measured(config, plan, sizes)


def _measured(config: Config, plan: Plan, sizes: Sequence[int]) -> tuple[ContextSize, ...]:
    texts = plan.texts
    asked = [(q, place) for q in plan.questions if q.answerable and (place := evidence_place(q, texts)) is not None]
    if not asked:
        raise DataError("measure.no_evidence", questions=config.path(config.project.questions))
    setting = make_setting(config, plan.kb)
    hits = [plan.search(question.text, config.retrieval.k) for question, _ in asked]
    groups = [q.evidence.document if q.evidence else "" for q, _ in asked]
    found: list[ContextSize] = []
    for size in sizes:
        sized = replace(setting, config=replace(config, retrieval=replace(config.retrieval, context_sentences=size)))
        shown = [select(sized, q.text, h).context for (q, _), h in zip(asked, hits, strict=True)]
        inside = [
            float(covered(place, group, texts[group], context))
            for (_, place), group, context in zip(asked, groups, shown, strict=True)
        ]
        tokens = [sum(estimate_tokens(hit.chunk.text) for hit in context) for context in shown]
        share = estimate(inside, groups, seed=config.compare.seed)
        found.append(ContextSize(size, share, sum(tokens) / len(tokens)))
    return tuple(found)
