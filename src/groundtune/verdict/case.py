"""What a decision looks at and what it chose, before it is put into words."""

from __future__ import annotations

from dataclasses import dataclass

from groundtune.config import Config
from groundtune.measure.results import Estimate, Report
from groundtune.verdict.cost import CostReport
from groundtune.verdict.gates import Gate
from groundtune.verdict.paired import Gap


@dataclass(frozen=True)
class Case:
    """What a decision looks at. ``measured`` and ``eligible`` are rows, simplest first (of one approach with several
    models the cheapest first); ``table`` holds all ordered pairs of ``measured`` on ``metric``.
    """

    report: Report
    cost: CostReport
    config: Config
    gates: tuple[Gate, ...]
    metric: str
    measured: tuple[str, ...]
    eligible: tuple[str, ...]
    table: dict[tuple[str, str], Gap]

    @property
    def margin(self) -> float:
        return self.config.requirements.minimum_gain

    def level(self, name: str) -> Estimate:
        """Success of an approach."""
        result = self.report.approach(name)
        return (result.metrics.get(self.metric) if result else None) or Estimate(None, None, None, 0)

    def simpler(self, a: str, b: str) -> bool:
        """``a`` comes before ``b``; what was not measured comes last."""
        place = {name: index for index, name in enumerate(self.measured)}
        return place.get(a, len(place)) < place.get(b, len(place))

    def dollars(self, name: str) -> float | None:
        row = self.cost.approach(name)
        return row.total if row else None

    def pays(self, gap: Gap) -> bool:
        """The gain is worth its extra cost; always, when the worth of a correct answer was not stated."""
        worth = self.cost.inputs.value_per_correct_answer
        high, low = self.cost.approach(gap.contrast.a), self.cost.approach(gap.contrast.b)
        if worth <= 0 or high is None or low is None or not high.per_1000:
            return True
        asked = high.total / high.per_1000 * 1000
        return asked * worth * gap.contrast.difference > high.total - low.total


@dataclass(frozen=True)
class Choice:
    """The outcome of the climb. ``open`` are rivals that may still be better by more than the margin; ``unsettled``
    simpler ones that the pick has not clearly beaten; ``too_dear`` better ones whose gain does not pay.
    """

    pick: str | None
    open: tuple[str, ...] = ()
    unsettled: tuple[str, ...] = ()
    beaten: tuple[str, ...] = ()
    dominated: tuple[tuple[str, str], ...] = ()
    too_dear: tuple[str, ...] = ()
    by_target: bool = False
