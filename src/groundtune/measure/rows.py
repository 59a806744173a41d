"""Which rows a comparison has: approaches times base models. Rows of further models are named ``rag @ model``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from groundtune import registry
from groundtune.approaches.opening import plain_name
from groundtune.config import BROUGHT, Config, is_brought
from groundtune.errors import ConfigError
from groundtune.measure.contrasts import AT


@dataclass(frozen=True)
class Row:
    """One approach with one base model. ``name`` is unique in the report; the first model's rows have no ``@``, so that
    the verdict and everything after it concern that model.
    """

    approach: str
    config: Config
    name: str

    @property
    def model(self) -> str:
        """The base model's spec."""
        return self.config.models.base


def rows_of(config: Config, approaches: Sequence[str] | None, models: Sequence[str] = ()) -> tuple[Row, ...]:
    """The rows in the order in which they are measured: model by model. An approach that the user brings has its own
    model and comes once. Raises ``ConfigError`` for an unknown approach.
    """
    names = known_names(config, approaches)
    specs = tuple(dict.fromkeys(models)) or (config.models.base,)
    rows: list[Row] = []
    for position, spec in enumerate(specs):
        chosen = replace(config, models=replace(config.models, base=spec))
        asked = names if position == 0 else tuple(name for name in names if not is_brought(name))
        rows += [Row(name, chosen, name if position == 0 else f"{name}{AT}{spec}") for name in asked]
    return tuple(rows)


def known_names(config: Config, approaches: Sequence[str] | None) -> tuple[str, ...]:
    """The approaches without repetitions. Raises ``ConfigError`` when there is none or one is unknown."""
    names = tuple(dict.fromkeys(approaches if approaches is not None else config.compare.approaches))
    known = registry.providers("approach")
    for name in names or ("",):
        if plain_name(name) not in known and not is_brought(name):
            listed = ", ".join((*known, *(f"{kind}:…" for kind in BROUGHT)))
            raise ConfigError("measure.unknown_approach", name=name, known=listed)
    return names


def plain_row(name: str) -> str:
    """The approach of a row's name."""
    return name.partition(AT)[0]
