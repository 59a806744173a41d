"""What a comparison measured with an adapter goes into the adapter's card, so that ``groundtune adapters`` can show it."""

from __future__ import annotations

from pathlib import Path

from groundtune.config import CONSTRAINED
from groundtune.measure.results import ApproachResult
from groundtune.ports import Approach
from groundtune.tuning.adapter_files import NOTE
from groundtune.tuning.adapters import Adapters
from groundtune.types import Adapter


def keep_scores(approach: Approach, result: ApproachResult) -> None:
    """Record the means of a whole measurement of a trained approach; constrained decoding under names of its own. Nothing
    for other approaches, for a measurement that stopped early, and for an adapter that is not registered.
    """
    adapter = getattr(approach, "adapter", None)
    if not isinstance(adapter, Adapter) or result.skipped or result.missing or not result.items:
        return
    folder = Path(adapter.path)
    if not (folder / NOTE).is_file():
        return
    before = "constrained." if result.name.endswith(CONSTRAINED) else ""
    found = {f"{before}{name}": mean.value for name, mean in result.metrics.items() if mean.value is not None}
    Adapters(folder.parent).record(folder.name, found)
