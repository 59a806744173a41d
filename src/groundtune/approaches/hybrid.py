"""``rag+finetune``: an adapter trained with retrieved passages in the prompt, so that it reads them in the house form."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from groundtune.approaches.common import house_example, prepared, system_prompt, unanswerable
from groundtune.approaches.finetune import fitted, train_adapter, trainer_of
from groundtune.approaches.gold import find_gold
from groundtune.approaches.rag import answer_grounded
from groundtune.approaches.retrieve import knowledge_of, retrieve
from groundtune.approaches.setting import Setting, load_schema
from groundtune.messages import say
from groundtune.text.prompts import Shown
from groundtune.tuning.base import base_path
from groundtune.tuning.lora import LoraTrainer
from groundtune.tuning.raft import quote_for, raft_example, refusal_like
from groundtune.tuning.scoring import fits
from groundtune.types import Adapter, Answer, Document, Example, Question


@dataclass(frozen=True)
class RaftRows:
    """Training rows with passages, and how many of them show the gold passage, had it taken away (their target is then
    the refusal, if the examples have one), or never had one (unanswerable, or the answer is not in the documents).
    """

    examples: tuple[Example, ...]
    with_gold: int
    gold_dropped: int
    without_gold: int


@dataclass(frozen=True)
class _Draft:
    """One row in the making: the gold passage, the other passages that were retrieved, and how many passages a question
    like this one is shown.
    """

    example: Example
    gold: Shown | None
    others: tuple[Shown, ...]
    places: int
    keep_gold: bool = True
    quote: str = ""


class RagFineTune:
    """A tuned model with retrieval. ``adapter`` and ``rows`` are None before ``fit``."""

    name = "rag+finetune"

    def __init__(self, setting: Setting, *, trainer: LoraTrainer | None = None) -> None:
        self._setting = setting
        self._trainer = trainer or trainer_of(setting)
        self._system = system_prompt(setting.config)
        self.adapter: Adapter | None = None
        self.rows: RaftRows | None = None

    def fit(self, documents: Sequence[Document], examples: Sequence[Example]) -> None:
        """Retrieve for each example as for a question, make RAFT rows, train (or take the adapter of the same rows).

        Raises as ``FineTune.fit`` does, and ``DataError`` without a knowledge base.
        """
        base_path(self._setting.config.models.base)
        knowledge_of(self._setting)
        self._setting, self._system = prepared(self._setting, examples)
        house = [house_example(example, self._system) for example in examples]
        texts = {document.id: document.text for document in documents}
        self.rows = make_rows(self._setting, self._trainer, house, texts)
        self.adapter = train_adapter(self._setting, self._trainer, self.rows.examples, self.name)

    def answer(self, question: Question) -> Answer:
        """Search, one call to the tuned model, citations. Raises ``TrainingError`` before ``fit``."""
        model = self._setting.open_model(fitted(self.adapter, self.name).path)
        return answer_grounded(self._setting, model, self._system, question.text)


def make_rows(
    setting: Setting, trainer: LoraTrainer, examples: Sequence[Example], texts: Mapping[str, str]
) -> RaftRows:
    """RAFT rows: ``tuning.gold_share`` of the examples with a gold passage keep it. Distractors are the other passages
    that were retrieved, at most ``tuning.distractors`` and as many as inference would show beside the gold one; a row
    that is too long loses distractors.
    """
    tuning = setting.config.tuning
    drafts = [_draft(setting, example, texts) for example in examples]
    refusal = _refusal(setting, examples)
    having = [index for index, draft in enumerate(drafts) if draft.gold is not None]
    spare = [index for index in having if drafts[index].others]  # the others would be left without any passage
    random.Random(tuning.seed).shuffle(spare)
    # without a refusal to teach, a row without its passage would teach to answer from memory
    dropped = spare[: round((1 - tuning.gold_share) * len(having))] if refusal is not None else []
    for index in dropped:
        drafts[index] = replace(drafts[index], keep_gold=False)
    rows = _fitting(setting, trainer, drafts, refusal)
    return RaftRows(rows, len(having) - len(dropped), len(dropped), len(examples) - len(having))


def _draft(setting: Setting, example: Example, texts: Mapping[str, str]) -> _Draft:
    found = retrieve(setting, example.input)
    refused = unanswerable(example, setting.config.format.answer_field)
    gold = None if refused else find_gold(setting, example, found, texts)
    others = tuple(passage for passage in found.shown if gold is None or not gold.in_(passage))
    quote = quote_for(gold.shown, gold.proof) if gold and setting.config.tuning.quotes else ""
    return _Draft(example, gold.shown if gold else None, others, len(found.shown), quote=quote)


def _refusal(setting: Setting, examples: Sequence[Example]) -> str | None:
    """What a row without its passage is trained to answer: the examples' own refusal; else a sentence, or the answers'
    JSON with null everywhere, as far as the schema allows that; else None.
    """
    config = setting.config
    own = next((e.target for e in examples if unanswerable(e, config.format.answer_field)), None)
    if own is not None or not examples:
        return own
    made = refusal_like(examples[0].target)
    if made is None:
        return None if config.format.schema else say("approaches.refusal", config.project.language)
    schema = load_schema(config)
    return made if schema is None or fits(schema, json.loads(made)) else None


def _fitting(
    setting: Setting, trainer: LoraTrainer, drafts: Sequence[_Draft], refusal: str | None
) -> tuple[Example, ...]:
    tuning, base = setting.config.tuning, setting.config.models.base
    limit = trainer.limit(base)
    rows: list[Example] = [_row(draft, tuning.distractors, tuning.seed, refusal) for draft in drafts]
    for most in range(tuning.distractors - 1, -1, -1):
        long = [index for index, tokens in enumerate(trainer.lengths(rows, base)) if tokens > limit]
        if not long:
            break
        for index in long:
            rows[index] = _row(drafts[index], most, tuning.seed, refusal)
    return tuple(rows)


def _row(draft: _Draft, most: int, seed: int, refusal: str | None) -> Example:
    taken = 1 if draft.gold is not None and draft.keep_gold else 0
    others = draft.others[: max(0, min(most, draft.places - taken))]
    return raft_example(
        draft.example, draft.gold, others, keep_gold=draft.keep_gold, seed=seed, refusal=refusal, quote=draft.quote
    )
