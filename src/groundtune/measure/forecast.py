"""What a comparison would ask, before anything is asked: calls, tokens and dollars of every row.

The prompts are really written (with retrieval and examples) and counted instead of sent, a sample of them where there
are many. Tuned rows are counted without training: by the prompts of the same approach without the adapter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from groundtune import registry
from groundtune.approaches.common import answer_tokens
from groundtune.approaches.longcontext import count_tokens
from groundtune.approaches.opening import open_approach, plain_name
from groundtune.approaches.setting import make_setting
from groundtune.config import CONSTRAINED, Config, is_brought
from groundtune.errors import CannotRun, GroundtuneError
from groundtune.measure.cache import AnswerCache
from groundtune.measure.items import Item
from groundtune.measure.limits import Limits
from groundtune.measure.needs import answer_key, missing_for, needs_of
from groundtune.measure.plan import Plan, make_plan
from groundtune.measure.rows import Row, rows_of
from groundtune.measure.run import CACHE
from groundtune.ports import Model
from groundtune.types import Generation, Message, Usage

SAMPLE = 20  # prompts that are written per row; the rest is taken to be like them
_STAND_IN = {"finetune": "prompt", "rag+finetune": "rag"}
_LOCAL = ("builtin", "hf")  # can be asked for their window without asking them anything else


@dataclass(frozen=True)
class Forecast:
    """One row: ``calls`` still to be made (``kept`` answers are on disk), mean-based ``input_tokens`` in all, at most
    ``output_tokens`` and ``dollars``. ``known`` is False for code of the user's own, whose calls nobody can see;
    ``trains``: an adapter may be trained first; ``skipped`` is why the row would not run.
    """

    name: str
    model: str
    calls: int = 0
    kept: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    dollars: float | None = 0.0
    known: bool = True
    trains: bool = False
    skipped: str = ""


def forecast(
    config: Config,
    *,
    approaches: Sequence[str] | None = None,
    models: Sequence[str] = (),
    refresh: bool = False,
    limits: Limits | None = None,
) -> tuple[Forecast, ...]:
    """The rows that ``compare`` would measure. Raises ``DataError`` or ``ConfigError`` as ``compare`` does."""
    rows = rows_of(config, approaches, models)
    plan = make_plan(config)
    with plan.kb, AnswerCache(config.state.joinpath(*CACHE)) as cache:
        return tuple(_row(plan, row, None if refresh else cache, limits or Limits()) for row in rows)


def _row(plan: Plan, row: Row, cache: AnswerCache | None, limits: Limits) -> Forecast:
    needs = needs_of(row.approach)
    total = len(plan.items)
    if reason := missing_for(plan, needs):
        return Forecast(row.name, row.model, skipped=reason)
    if is_brought(row.approach):
        return Forecast(row.name, "", calls=total, dollars=None, known=False)
    key = answer_key(row.config, plan, row.approach, "")
    # the key of a tuned row holds the digest of an adapter that does not exist before training
    left = [i for i in plan.items if needs.trains or cache is None or cache.get(key(i)) is None]
    if not left and not needs.reads:
        return Forecast(row.name, row.model, kept=total, trains=needs.trains)
    try:
        mean = _mean_prompt(plan, row, left or plan.items)
    except CannotRun as error:
        return Forecast(row.name, row.model, skipped=error.sentence())
    usage = Usage(round(mean * len(left)), len(left) * answer_tokens(row.config, plan.train))
    dollars = limits.price(row.model, usage)
    return Forecast(
        row.name,
        row.model,
        len(left),
        total - len(left),
        usage.input_tokens,
        usage.output_tokens,
        dollars,
        trains=needs.trains,
    )


def _mean_prompt(plan: Plan, row: Row, items: Sequence[Item]) -> float:
    counter = _Counter(row.model)
    setting = replace(make_setting(row.config, plan.kb), open_model=lambda adapter: counter)
    plain = plain_name(row.approach)
    name = _STAND_IN.get(plain, plain) + (CONSTRAINED if plain != row.approach else "")
    approach = open_approach(name, setting)
    approach.fit(plan.documents, plan.train)
    count = min(SAMPLE, len(items))
    for i in range(count):
        approach.answer(items[i * len(items) // count].question)
    return sum(counter.read) / count


class _Counter:
    """A ``Model`` that counts what it is sent and says nothing."""

    def __init__(self, spec: str) -> None:
        self.name = spec
        self.read: list[int] = []
        self._model: Model | None = None

    @property
    def limit(self) -> int | None:
        """The window of a model on this computer, None of any other."""
        if self.name.partition(":")[0] not in _LOCAL:
            return None
        if self._model is None:
            try:
                self._model = registry.load("model", self.name)
            except GroundtuneError:
                return None
        return getattr(self._model, "limit", None)

    def generate(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int = 256,
        temperature: float = 0.0,
        seed: int = 0,
        schema: Mapping[str, Any] | None = None,
    ) -> Generation:
        """Counts the prompt; exactly where the model was opened, else by an estimate."""
        self.read.append(count_tokens(self._model or self, messages))
        return Generation("", Usage(self.read[-1]), 0.0, self.name)
