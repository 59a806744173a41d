"""The promoted adapter in place of training: what a project answers with once somebody has decided for an adapter."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from groundtune.errors import TrainingError
from groundtune.tuning.adapters import Adapters
from groundtune.tuning.lora import LoraTrainer
from groundtune.types import Adapter, Example


class Promoted(LoraTrainer):
    """A trainer that trains nothing and returns the adapter that is in service."""

    def __init__(self, adapter: Adapter) -> None:
        super().__init__(minimum=0)
        self._adapter = adapter

    def train(self, examples: Sequence[Example], *, base: str, out: str) -> Adapter:
        """The promoted adapter. Raises ``TrainingError`` when it belongs to another base model."""
        if self._adapter.base != base:
            name = Path(self._adapter.path).name
            raise TrainingError("tuning.service_base", name=name, adapter_base=self._adapter.base, base=base)
        return self._adapter


def promoted(folder: Path, approach: str) -> Promoted | None:
    """The trainer for the adapter that ``folder`` has in service for an approach, None when there is none. Raises
    ``DataError`` when that adapter is gone or damaged, ``TrainingError`` when it never saw passages and would have to
    read them.
    """
    adapters = Adapters(folder)
    name = adapters.in_service().get(approach)
    if not name:
        return None
    adapter = adapters.get(name)
    if approach == "rag+finetune" and adapter.settings.get("context") is False:  # an older promotion, or moved by hand
        raise TrainingError("tuning.adapter_closed_book", name=name)
    return Promoted(adapter)
