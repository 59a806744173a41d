"""Freshness in practice: answer the changed questions on the earlier edition, update the index, answer them again."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from groundtune.approaches.opening import open_approach
from groundtune.approaches.setting import make_setting, open_index
from groundtune.config import Config
from groundtune.errors import ConfigError, DataError
from groundtune.knowledge.base import KnowledgeBase
from groundtune.measure.answering import Asking, Listener, silent
from groundtune.measure.cache import AnswerCache
from groundtune.measure.freshness import FreshnessChange, changed_questions, freshness, outcome
from groundtune.measure.items import read_output
from groundtune.measure.needs import answer_key, missing_for, needs_of
from groundtune.measure.plan import Plan, make_plan, question_item, state_of
from groundtune.measure.results import Freshness
from groundtune.measure.run import CACHE
from groundtune.ports import Approach

_DOCUMENTS = "documents"


def measure_freshness(
    config: Config, old_documents: Path, approach: str = "rag", *, progress: Listener | None = None
) -> FreshnessChange:
    """Shares of new, stale and other answers to the changed questions before and after the update.

    ``old_documents`` is the folder of the earlier edition. Works on a copy in ``.groundtune/freshness``; the project's
    own index is not touched. Raises ``DataError`` when the folder is missing or no question has an ``old_answer``.
    """
    if not old_documents.is_dir():
        raise DataError("measure.old_missing", path=old_documents)
    plan = make_plan(config)
    plan.kb.close()
    if not changed_questions(plan.questions):
        raise DataError("measure.no_changed")
    if reason := missing_for(plan, needs_of(approach)):
        raise ConfigError("measure.not_measurable", name=approach, reason=reason)
    stage = config.state / "freshness"
    shutil.rmtree(stage, ignore_errors=True)
    staged = replace(config, folder=stage, project=replace(config.project, documents=(_DOCUMENTS,)))
    sources = ([old_documents], list(config.files))
    with open_index(staged) as kb:
        _copy(sources[0], stage / _DOCUMENTS)
        kb.sync([stage / _DOCUMENTS])
        made = open_approach(approach, make_setting(staged, kb, run_folder=config.state))
        made.fit(plan.documents, plan.train)
        before = _answers(config, _now(plan, kb), made, progress or silent)
        _copy(sources[1], stage / _DOCUMENTS)
        kb.sync([stage / _DOCUMENTS])
        after = _answers(config, _now(plan, kb), made, progress or silent)
    return FreshnessChange(before, after)


def _now(plan: Plan, kb: KnowledgeBase) -> Plan:
    documents = kb.documents()
    return replace(plan, kb=kb, documents=documents, knowledge=state_of(documents))


def _answers(config: Config, plan: Plan, approach: Approach, listener: Listener) -> Freshness:
    adapter = str(getattr(getattr(approach, "adapter", None), "digest", ""))
    items = [question_item(question) for question in changed_questions(plan.questions)]
    with AnswerCache(config.state.joinpath(*CACHE)) as cache:
        key = answer_key(config, plan, approach.name, adapter)
        outcomes = Asking(approach, cache, key, listener=listener).run(items)
    answered = [(o.item.question, o.answer) for o in outcomes if o.answer is not None]
    return freshness(
        approach.name, [outcome(question, a, read_output(a, plan.house).short) for question, a in answered]
    )


def _copy(sources: list[Path], target: Path) -> None:
    """Make ``target`` hold exactly the files of the sources (files, or folders by their contents)."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for source in sources:
        if source.is_dir():
            shutil.copytree(source, target, dirs_exist_ok=True)
        elif source.is_file():
            shutil.copy2(source, target / source.name)
