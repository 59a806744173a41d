"""``finetune``: a LoRA adapter trained on the examples alone; it knows the form, not the documents."""

from __future__ import annotations

from collections.abc import Sequence

from groundtune.approaches.common import ask, house_example, prepared, system_prompt
from groundtune.approaches.setting import Setting, load_schema
from groundtune.errors import TrainingError
from groundtune.tuning.base import base_path, training_digest
from groundtune.tuning.lora import LoraTrainer
from groundtune.types import Adapter, Answer, Document, Example, Question


class FineTune:
    """The base model with an adapter. ``adapter`` is None before ``fit``."""

    name = "finetune"

    def __init__(self, setting: Setting, *, trainer: LoraTrainer | None = None) -> None:
        self._setting = setting
        self._trainer = trainer or trainer_of(setting)
        self._system = system_prompt(setting.config)
        self.adapter: Adapter | None = None

    def fit(self, documents: Sequence[Document], examples: Sequence[Example]) -> None:
        """Train, or take the adapter that the same examples and settings gave before.

        Raises ``TrainingError`` (a base that cannot be trained here, an example that is too long) or ``DataError``.
        """
        base_path(self._setting.config.models.base)
        self._setting, self._system = prepared(self._setting, examples)
        rows = [house_example(example, self._system) for example in examples]
        self.adapter = train_adapter(self._setting, self._trainer, rows, self.name)

    def answer(self, question: Question) -> Answer:
        """One call to the tuned model. Raises ``TrainingError`` before ``fit``."""
        model = self._setting.open_model(fitted(self.adapter, self.name).path)
        return ask(self._setting, model, self._system, question.text, live=True)


def trainer_of(setting: Setting) -> LoraTrainer:
    """The trainer that the project's settings ask for. Raises ``DataError`` for a schema that cannot be read."""
    return LoraTrainer(setting.config.tuning, progress=setting.progress, schema=load_schema(setting.config))


def train_adapter(setting: Setting, trainer: LoraTrainer, rows: Sequence[Example], name: str) -> Adapter:
    """Train on ``rows`` into a folder named after the approach and the digest, so that no other adapter is replaced."""
    base = setting.config.models.base
    digest = training_digest(rows, base, trainer.settings, trainer.held_out)
    folder = setting.adapters / f"{name.replace('+', '-')}-{digest[:8]}"
    return trainer.train(rows, base=base, out=str(folder))


def fitted(adapter: Adapter | None, name: str) -> Adapter:
    """The adapter. Raises ``TrainingError`` when ``fit`` was not called."""
    if adapter is None:
        raise TrainingError("approaches.not_fitted", name=name)
    return adapter
