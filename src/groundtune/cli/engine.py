"""``--engine``: the options of the verbs whose work can be done on a Ray cluster, and the engine that they ask for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial, wraps
from typing import TYPE_CHECKING, Any

from groundtune.cli.context import State
from groundtune.cli.options import Number, OneOf, option
from groundtune.config import ENGINES, Config
from groundtune.errors import UserError
from groundtune.messages import say

if TYPE_CHECKING:
    from groundtune.parallel_ray import RayEngine
    from groundtune.project import Project
    from groundtune.tuning.lora import LoraTrainer


@dataclass(frozen=True)
class Asked:
    """What the options say; what they leave open is in ``[scale]`` of the settings."""

    engine: str | None
    address: str | None
    workers: int | None

    def ray(self, config: Config) -> bool:
        """Whether Ray is asked for. Raises ``UserError`` for its options without it."""
        name = self.engine or config.scale.engine
        if name != "ray" and (self.address is not None or self.workers is not None):
            raise UserError("ray.engine_alone")
        return name == "ray"

    def count(self, config: Config) -> int:
        """How many workers are asked for; 0: no number."""
        return config.scale.workers if self.workers is None else self.workers

    @contextmanager
    def open(self, state: State, config: Config) -> Iterator[RayEngine | None]:
        """The engine while it is needed; None where the work is done here. Raises ``UserError`` or ``MissingExtra``."""
        if not self.ray(config):
            yield None
            return
        from groundtune.parallel_ray import RayEngine, describe

        address = config.scale.address if self.address is None else self.address
        with RayEngine(address, self.count(config)) as engine:
            state.talk(describe(engine))
            yield engine


def engine_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options; the function gets them as ``asked``."""

    @wraps(function)
    def run(*args: Any, engine: str | None, address: str | None, ray_workers: int | None, **rest: Any) -> Any:  # noqa: ANN401
        return function(*args, asked=Asked(engine, address, ray_workers), **rest)

    made: Callable[..., Any] = run
    for add in (
        option("--ray-workers", type=Number(int, 0, 100_000), default=None, help_key="ray.option_workers"),
        option("--address", default=None, metavar="HOST:PORT", help_key="ray.option_address"),
        option("--engine", type=OneOf(ENGINES), default=None, help_key="ray.option_engine"),
    ):
        made = add(made)
    return made


def ray_trainer(state: State, project: Project, asked: Asked, engine: RayEngine) -> Callable[..., LoraTrainer]:
    """What trains as a Ray Train job."""
    from groundtune.tuning.ray_job import RayTrainer

    def again(number: int) -> None:
        state.talk(say("ray.training_again", number=number))

    return partial(RayTrainer, engine=engine, count=asked.count(project.config), again=again)
