"""What each lever could still win, at most: failures asked again with the right passage, without any, or read leniently.

The shares are ceilings: an item counts for a lever when the lever alone would have made it right.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from groundtune.approaches.oracle import Oracle
from groundtune.approaches.prompt import Prompt
from groundtune.approaches.setting import Setting
from groundtune.config import CONSTRAINED, Config
from groundtune.measure.answering import Asking, Listener, silent
from groundtune.measure.cache import AnswerCache, cache_key
from groundtune.measure.items import Item, Rubric, score_item
from groundtune.measure.limits import Meter
from groundtune.measure.needs import answer_key
from groundtune.measure.plan import Plan
from groundtune.measure.results import ApproachResult, Ceiling, ItemResult
from groundtune.measure.stats import estimate
from groundtune.ports import Approach

LEVERS = ("retrieval", "format", "abstention", "reading", "closed_book")


@dataclass(frozen=True)
class Counterfactual:
    """What the reruns of one approach need. ``config`` is that of the approach's model."""

    config: Config
    plan: Plan
    setting: Setting
    rubric: Rubric
    cache: AnswerCache
    meter: Meter
    listener: Listener = silent
    refresh: bool = False
    constrained: bool = False  # the row decodes under the schema, and so do its reruns

    @property
    def closed_name(self) -> str:
        """The approach whose answers a closed book gives."""
        return Prompt.name + (CONSTRAINED if self.constrained else "")


def ceilings_of(run: Counterfactual, result: ApproachResult, adapter: str | None, code: str) -> tuple[Ceiling, ...]:
    """One ceiling per lever that has anything to say, over the answerable and unanswerable questions that were scored.

    ``adapter`` is the folder of a tuned approach's adapter, ``code`` its digest. Raises what asking raises.
    """
    scored = [i for i in result.items if i.part == "question" and i.scores.get("success") is not None]
    if not scored:
        return ()
    items = {item.id: item for item in run.plan.items if item.part == "question"}
    failed = [i for i in scored if i.scores["success"] != 1.0]
    gold = [items[i.id] for i in failed if i.answerable and items[i.id].question.evidence is not None]
    saved = _oracle(run, result, gold, adapter, code)
    known = _closed(run, [items[i.id] for i in failed if i.answerable])
    wins: dict[str, Callable[[ItemResult], bool]] = {
        "retrieval": lambda i: i.id in saved and saved[i.id],
        "format": lambda i: i.label == "format",
        "abstention": lambda i: i.label in ("unsupported_answer", "over_refusal"),
        "reading": lambda i: i.id in saved and not saved[i.id] and i.label != "format",
        "closed_book": lambda i: known.get(i.id, False),
    }
    success = sum(i.scores["success"] or 0.0 for i in scored) / len(scored)
    groups = [i.group for i in scored]
    ids = {i.id for i in failed}
    found: list[Ceiling] = []
    for lever in LEVERS:
        values = [float(i.id in ids and wins[lever](i)) for i in scored]
        share = estimate(values, groups, seed=run.config.compare.seed)
        assert share.value is not None and share.low is not None and share.high is not None
        found.append(Ceiling(result.name, lever, share.value, share.low, share.high, share.n, success))
    return tuple(found)


def _oracle(
    run: Counterfactual, result: ApproachResult, items: Sequence[Item], adapter: str | None, code: str
) -> dict[str, bool]:
    """Success with the gold passage, by item id; what was not asked or failed is not in it."""
    approach = Oracle(run.setting, adapter)
    approach.fit(run.plan.documents, run.plan.train)
    plain = answer_key(run.config, run.plan, run.closed_name, code)
    knowledge = run.plan.knowledge
    return _asked(
        run, approach, items, lambda item: cache_key({"gold": plain(item), "knowledge": knowledge}), result.name
    )


def _closed(run: Counterfactual, items: Sequence[Item]) -> dict[str, bool]:
    """Success without any passage; the answers of ``prompt`` are taken where it was measured."""
    approach = Prompt(run.setting)
    approach.fit(run.plan.documents, run.plan.train)
    return _asked(run, approach, items, answer_key(run.config, run.plan, run.closed_name, ""), run.closed_name)


def _asked(
    run: Counterfactual, approach: Approach, items: Sequence[Item], key: Callable[[Item], str], name: str
) -> dict[str, bool]:
    if not items:
        return {}
    asking = Asking(
        approach, run.cache, key, listener=run.listener, refresh=run.refresh, meter=run.meter, name=name,
        model=run.config.models.base,
    )  # fmt: skip
    found: dict[str, bool] = {}
    for outcome in asking.run(items):
        if outcome.answer is not None:
            scored = score_item(outcome.item, outcome.answer, run.rubric, retrieves=False)
            found[outcome.item.id] = scored.scores.get("success") == 1.0
    return found
