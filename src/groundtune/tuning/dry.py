"""A trainer that trains nothing: it looks at the rows that an approach hands it and keeps the report."""

from __future__ import annotations

from collections.abc import Sequence

from groundtune.tuning.lora import LoraTrainer
from groundtune.tuning.preflight import Preflight
from groundtune.types import Adapter, Example


class DryTrainer(LoraTrainer):
    """``report`` is None before ``train``."""

    report: Preflight | None = None

    def train(self, examples: Sequence[Example], *, base: str, out: str) -> Adapter:
        """The pre-flight in place of the training. Raises what a training would raise before its first step."""
        self.report = self.preflight(examples, base)
        return Adapter(out, base, "")
