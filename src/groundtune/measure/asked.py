"""What an approach would ask its model: the chats of held-out items, taken at the door of the model, and the form that
they share. Exports are checked on them, so that a check sees what will be asked later.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from groundtune.approaches.common import system_prompt
from groundtune.approaches.opening import open_approach
from groundtune.approaches.setting import make_setting
from groundtune.config import Config
from groundtune.measure.items import Item
from groundtune.measure.needs import needs_of
from groundtune.measure.plan import make_plan
from groundtune.ports import Approach
from groundtune.text.prompts import Shown, render
from groundtune.tuning.export_card import PromptForm
from groundtune.types import Generation, Message, Usage

Chat = tuple[Message, ...]
# What asks in the same way without an adapter: a chat does not depend on the weights that read it.
_UNTRAINED = {"finetune": "prompt", "rag+finetune": "rag"}


@dataclass(frozen=True)
class Asked:
    """``chats`` of held-out items, those that the documents answer and those that they do not (``unanswerable``), and how
    the approach asks. ``targets`` are the answers that the adapter was trained on.
    """

    chats: tuple[Chat, ...]
    unanswerable: tuple[Chat, ...]
    form: PromptForm
    targets: tuple[str, ...]


def asked_chats(config: Config, approach: str, *, most: int) -> Asked:
    """The chats of at most ``most`` held-out items spread over them (and as many unanswerable ones) as ``approach`` asks
    them; with an empty ``approach`` those of ``finetune``. No model is called. Raises as ``make_plan`` does.
    """
    name = approach or "finetune"
    plan = make_plan(config)
    with plan.kb:
        ear = _Ear()
        setting = replace(make_setting(config, plan.kb), open_model=lambda _: ear)
        made = open_approach(_UNTRAINED.get(name, name), setting)
        made.fit(plan.documents, plan.train)
        right = [item for item in plan.items if item.question.answerable]
        wrong = [item for item in plan.items if not item.question.answerable]
        chats, refused = (_heard(made, ear, _spread(items, most)) for items in (right, wrong))
    system = system_prompt(config, plan.train)
    passages = [Shown("{title}", "{passage}")] if needs_of(name).documents else []
    form = PromptForm(approach, system, render("{question}", passages))
    return Asked(chats, refused, form, tuple(example.target for example in plan.train))


def _heard(approach: Approach, ear: _Ear, items: Sequence[Item]) -> tuple[Chat, ...]:
    ear.chats.clear()
    for item in items:
        approach.answer(item.question)
    return tuple(ear.chats)


def _spread(items: Sequence[Item], most: int) -> list[Item]:
    if len(items) <= most:
        return list(items)
    return [items[index * len(items) // most] for index in range(most)]


class _Ear:
    """A ``Model`` that keeps what it is asked and says nothing."""

    name = "ear"

    def __init__(self) -> None:
        self.chats: list[Chat] = []

    def generate(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int = 256,
        temperature: float = 0.0,
        seed: int = 0,
        schema: Mapping[str, Any] | None = None,
    ) -> Generation:
        self.chats.append(tuple(messages))
        return Generation("", Usage(), 0.0, self.name)
