"""The forgetting check of one adapter of a project, kept in its card."""

from __future__ import annotations

from collections.abc import Callable

from groundtune.approaches.setting import make_setting
from groundtune.config import Config
from groundtune.errors import DataError
from groundtune.measure.asked import Asked, asked_chats
from groundtune.measure.forgetting import Forgetting, check_forgetting
from groundtune.tuning.adapters import Adapters
from groundtune.tuning.export_card import PromptForm

_OWN = 20  # unanswerable questions of the project that are asked as well, at most
# The project has nothing that could be asked: the bundled questions remain.
EMPTY = frozenset({"measure.nothing_to_measure", "measure.no_held_out"})


def check_adapter(config: Config, name: str, progress: Callable[[int, int], None] | None = None) -> Forgetting:
    """Measure before and after and record it. Raises ``DataError`` for an unknown or damaged adapter, and what the
    models do.
    """
    adapters = Adapters(config.state / "adapters")
    card = adapters.sound(name)
    asked = held_out(config, card.approach, most=_OWN)
    setting = make_setting(config, None)
    before, after = setting.open_model(None), setting.open_model(card.adapter.path)
    found = check_forgetting(
        before,
        after,
        adapter=name,
        system=asked.form.system,
        answer_field=config.format.answer_field,
        targets=asked.targets,
        unanswerable=asked.unanswerable if card.approach == "rag+finetune" else (),
        progress=progress,
    )
    adapters.record(name, found.scores)
    adapters.record_check(name, found.as_dict())
    return found


def held_out(config: Config, approach: str, *, most: int) -> Asked:
    """As ``asked_chats``; without any chats for a project that has nothing to ask."""
    try:
        return asked_chats(config, approach, most=most)
    except DataError as error:
        if error.key not in EMPTY:
            raise
        return Asked((), (), PromptForm(approach, config.format.instruction.strip()), ())
