"""Scorers of installed packages (entry points ``groundtune.scorer``), named under ``[compare] scorers``."""

from __future__ import annotations

from collections.abc import Sequence

from groundtune import registry
from groundtune.config import Config
from groundtune.errors import CannotRun, ConfigError, GroundtuneError
from groundtune.measure.results import METRICS, ItemResult
from groundtune.ports import Scorer
from groundtune.types import Answer, Question


def load_scorers(config: Config) -> tuple[Scorer, ...]:
    """Those of the settings. Raises ``SpecError`` for an unknown one and ``ConfigError`` for one whose name is taken."""
    made: dict[str, Scorer] = {}
    for spec in config.compare.scorers:
        scorer: Scorer = registry.load("scorer", spec)
        if scorer.name in METRICS or scorer.name in made:
            raise ConfigError("measure.scorer_name", spec=spec, name=scorer.name)
        made[scorer.name] = scorer
    return tuple(made.values())


def foreign_scores(scorers: Sequence[Scorer], question: Question, answer: Answer) -> dict[str, float | None]:
    """Scores by metric name. Raises ``CannotRun`` for a scorer that raises or whose score is not in [0, 1]."""
    found: dict[str, float | None] = {}
    for scorer in scorers:
        try:
            value = scorer.score(question, answer).value
            value = None if value is None else float(value)
        except GroundtuneError:
            raise
        except Exception as error:
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
            raise CannotRun("measure.scorer_failed", name=scorer.name, reason=reason) from error
        if value is not None and not 0.0 <= value <= 1.0:
            raise CannotRun("measure.scorer_range", name=scorer.name, value=value)
        found[scorer.name] = value
    return found


def metric_names(items: Sequence[ItemResult]) -> tuple[str, ...]:
    """Ours in their order, then those of scorers as they come."""
    return tuple(dict.fromkeys([*METRICS, *(name for item in items for name in item.scores)]))
