"""``groundtune tune``: look at what would be trained, train the adapter of the project, try several ways to train."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from groundtune.cli.context import State
from groundtune.cli.engine import Asked, engine_options, ray_trainer
from groundtune.cli.options import Number, option, verb
from groundtune.errors import UserError
from groundtune.messages import say
from groundtune.tuning.plan import Progress

if TYPE_CHECKING:
    from groundtune.project import Project
    from groundtune.tuning.lora import LoraTrainer
    from groundtune.tuning.preflight import Preflight
    from groundtune.types import Adapter

_EVERY = 10.0  # seconds between two lines in a log


class _Talk:
    """One line that is rewritten on a terminal, a line now and then in a log."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._last = 0.0
        self._open = False  # a line on a terminal that has no end yet

    def close(self) -> None:
        """End the line of a training that stopped early."""
        if self._open:
            self._open = False
            self._state.talk("")

    def __call__(self, progress: Progress) -> None:
        key = "progress" if progress.score is None else "progress_score"
        line = say(f"cli.tune.{key}", step=progress.step, steps=progress.steps, loss=f"{progress.loss:.3f}",
                   left=f"{progress.seconds_left:.0f}", score=f"{progress.score or 0.0:.3f}",
                   best=f"{progress.best or 0.0:.3f}")  # fmt: skip
        ended = progress.step >= progress.steps
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{line}\x1b[K" + ("\n" if ended else ""))
            sys.stderr.flush()
            self._open = not ended
        elif ended or time.monotonic() - self._last >= _EVERY:
            self._last = time.monotonic()
            self._state.talk(line)


@verb("tune")
@option("--with-context", is_flag=True)
@option("--preflight", is_flag=True)
@option("--curve", is_flag=True)
@option("--sweep-gold", metavar="P,P", default=None)
@option("--model", metavar="SPEC", default=None)
@option("--processes", type=Number(int, 1, 1024), default=None, metavar="NUMBER")
@option("--hosted", "service", metavar="PROVIDER:MODEL", default=None)
@option("--cancel", is_flag=True)
@option("--allow-private", is_flag=True)
@engine_options
def command(
    state: State,
    with_context: bool,
    preflight: bool,
    curve: bool,
    sweep_gold: str | None,
    model: str | None,
    processes: int | None,
    service: str | None,
    cancel: bool,
    allow_private: bool,
    asked: Asked,
) -> None:
    """The same adapter that ``compare`` would train; one that is there already is not trained again."""
    if processes is not None and (service or preflight or curve or sweep_gold):
        raise UserError("cli.tune.processes_alone")
    if asked.engine == "ray" and (service or cancel or preflight or curve or sweep_gold or processes is not None):
        raise UserError("ray.tune_alone")
    if service or cancel:
        if not service or with_context or model or preflight or curve or sweep_gold:
            raise UserError("cli.tune.hosted_options")
        from groundtune.cli.hosted import hosted

        hosted(state, service, cancel=cancel, allow_private=allow_private)
        return
    if sum((preflight, curve, sweep_gold is not None)) > 1:
        raise UserError("cli.tune.one_of")
    shares = _shares(sweep_gold, with_context) if sweep_gold is not None else ()
    project = state.project().with_model(model)
    if preflight:
        _look(state, project, with_context)
    elif curve:
        _curve(state, project, with_context)
    elif shares:
        _sweep(state, project, shares)
    elif processes is None and asked.ray(project.config):
        with asked.open(state, project.config) as engine:
            assert engine is not None
            _train(state, project, with_context, trainer=ray_trainer(state, project, asked, engine))
    else:
        _train(state, project, with_context, trainer=_trainer(state, project, processes))


def _look(state: State, project: Project, with_context: bool) -> None:
    from groundtune.cli.preflight import describe, table

    report = project.preflight(with_context)
    state.emit(table(report), describe(report, colour=sys.stdout.isatty()))


def _train(
    state: State,
    project: Project,
    with_context: bool,
    trainer: Callable[..., LoraTrainer] | None = None,
    **found: object,
) -> None:
    from groundtune.cli.preflight import describe
    from groundtune.tuning.group import first_process

    def announce(report: Preflight) -> None:
        state.talk(describe(report, colour=sys.stderr.isatty()))
        if report.way.processes > 1:
            state.talk(say("cli.tune.processes_started", count=report.way.processes))

    talk = _Talk(state)
    trainer = trainer or _trainer(state, project, None)
    adapter = project.tune(with_context, progress=talk, announce=announce, trainer=trainer)
    talk.close()
    if not first_process():  # of several that train together, one speaks
        return
    name = re.split(r"[\\/]", adapter.path)[-1]
    state.emit(
        {"name": name, "adapter": adapter, **found},
        say("cli.tune.done", name=name, base=adapter.base, path=adapter.path),
    )
    state.talk(_details(adapter))


def _trainer(state: State, project: Project, asked: int | None) -> Callable[..., LoraTrainer]:
    """What trains: this process, or ``asked`` ones (by default as many as there are cards) that it starts. Raises
    ``UserError`` for processes in one that is already one of several.
    """
    from groundtune.tuning import group
    from groundtune.tuning.launch import LaunchedTrainer
    from groundtune.tuning.lora import LoraTrainer

    if (several := group.processes()) > 1:
        if asked is not None:
            raise UserError("cli.tune.processes_inside", count=several)
        return LoraTrainer
    count = asked or min(group.devices(), project.config.tuning.batch_size)
    if count < 2:
        return LoraTrainer
    return partial(LaunchedTrainer, count=count)


def _details(adapter: Adapter) -> str:
    settings = adapter.settings
    loss = "-" if adapter.final_loss is None else f"{adapter.final_loss:.3f}"
    said = say("cli.tune.details", examples=settings.get("rows", "-"), seconds=f"{adapter.seconds:.0f}", loss=loss)
    score = settings.get("validation_score")
    if not isinstance(score, float):
        return said
    best = say("cli.tune.best", score=f"{score:.3f}", step=settings.get("best_step"), count=settings.get("checked"))
    return f"{said}\n{best}"


def _curve(state: State, project: Project, with_context: bool) -> None:
    from groundtune.cli.preflight import describe_curve

    curve = project.learning_curve(with_context, progress=_Talk(state), tell=_Begins(state, "curve_training"))
    state.emit({"curve": curve, "verdict": curve.verdict}, describe_curve(curve))


def _sweep(state: State, project: Project, shares: tuple[float, ...]) -> None:
    from groundtune.cli.preflight import describe_sweep

    sweep = project.sweep_gold(shares, progress=_Talk(state), tell=_Begins(state, "sweep_training"))
    state.talk(describe_sweep(sweep))
    if sweep.best != project.config.tuning.gold_share:
        state.talk(say("cli.tune.sweep_setting", share=f"{sweep.best:g}"))
    _train(state, project.with_gold_share(sweep.best), True, sweep=sweep)


class _Begins:
    """Which training begins."""

    def __init__(self, state: State, key: str) -> None:
        self._state, self._key = state, key

    def __call__(self, number: int, total: int, value: str) -> None:
        self._state.talk(say(f"cli.tune.{self._key}", number=number, total=total, value=value))


def _shares(text: str, with_context: bool) -> tuple[float, ...]:
    """``0.6,0.8,1`` as numbers. Raises ``UserError`` for anything else, or without ``--with-context``."""
    if not with_context:
        raise UserError("cli.tune.sweep_context")
    try:
        found = tuple(dict.fromkeys(float(part) for part in text.split(",")))
    except ValueError:
        raise UserError("cli.tune.sweep_shares", text=text) from None
    if not all(0.0 <= share <= 1.0 for share in found):
        raise UserError("cli.tune.sweep_shares", text=text)
    return found
