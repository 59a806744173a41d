"""Answers given by the workers of an engine. Each worker opens the project's models once, whatever is asked of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from platform import node

from groundtune import registry
from groundtune.approaches.opening import open_approach
from groundtune.approaches.setting import KNOWLEDGE, Setting, make_setting, open_index
from groundtune.config import Config, is_brought
from groundtune.errors import ApproachFailed, GroundtuneError, ModelError, UserError
from groundtune.knowledge.base import KnowledgeBase
from groundtune.measure.plan import Plan, state_of
from groundtune.parallel import Engine
from groundtune.ports import Approach
from groundtune.tuning.service import Promoted
from groundtune.types import Adapter, Answer, Example, Question

Said = Answer | ApproachFailed | ModelError


@dataclass(frozen=True)
class Put:
    """A question to one approach; ``adapter`` is the one that was trained for it here."""

    approach: str
    seed: int
    adapter: Adapter | None
    question: Question


@dataclass(frozen=True)
class Answering:
    """The work: a ``Put`` in, what was said out. ``knowledge`` is the digest of the documents that all must see."""

    config: Config
    knowledge: str
    train: tuple[Example, ...]

    def open(self) -> Callable[[Put], Said]:
        """Raises ``UserError`` where the project, its index or its models cannot be seen."""
        registry.look_in(self.config.folder)
        if not (self.config.state / KNOWLEDGE).is_dir():
            raise UserError("ray.not_shared", node=node(), path=self.config.folder)
        kb = open_index(self.config)
        if state_of(kb.documents()) != self.knowledge:
            kb.close()
            raise UserError("ray.other_index", node=node(), path=self.config.state)
        setting = make_setting(self.config, kb)
        fitted: dict[tuple[str, int, str], Approach] = {}

        def there(put: Put) -> Said:
            key = put.approach, put.seed, put.adapter.path if put.adapter else ""
            try:
                if key not in fitted:
                    fitted[key] = self._fitted(put, setting, kb)
                return fitted[key].answer(put.question)
            except (ApproachFailed, ModelError) as error:
                return error

        return there

    def _fitted(self, put: Put, setting: Setting, kb: KnowledgeBase) -> Approach:
        tuning = replace(self.config.tuning, seed=put.seed)
        options = {"trainer": Promoted(put.adapter)} if put.adapter is not None else {}
        try:
            approach = open_approach(
                put.approach, replace(setting, config=replace(self.config, tuning=tuning)), **options
            )
            approach.fit(kb.documents(), self.train)
        except ModelError:
            raise
        except GroundtuneError as error:
            raise UserError("ray.cannot_open", node=node(), reason=error.sentence()) from error
        return approach


@dataclass(frozen=True)
class Away:
    """How one approach is asked elsewhere."""

    engine: Engine
    work: Answering
    approach: str
    seed: int
    adapter: Adapter | None

    def said(self, questions: Iterable[Question]) -> Iterator[tuple[int, Said]]:
        """``(number of the question, what was said)`` as it comes."""
        puts = (Put(self.approach, self.seed, self.adapter, question) for question in questions)
        return self.engine.arriving(self.work, puts, lambda _, error: ApproachFailed(error.key, **error.params))


def away(engine: Engine, config: Config, plan: Plan, approach: str, adapter: Adapter | None) -> Away:
    """How ``approach`` (fitted here already, with ``adapter``) is asked by the workers of ``engine``."""
    shared = replace(config, folder=config.folder.absolute(), tuning=replace(config.tuning, seed=0))
    kept = None if is_brought(approach) else adapter
    return Away(engine, Answering(shared, plan.knowledge, plan.train), approach, config.tuning.seed, kept)
