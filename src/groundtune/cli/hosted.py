"""``groundtune tune --hosted PROVIDER:MODEL``: the same examples, trained at a service."""

from __future__ import annotations

from groundtune.approaches.common import house_example, system_prompt
from groundtune.cli.context import State
from groundtune.errors import ConfigError
from groundtune.measure.plan import make_plan
from groundtune.messages import say
from groundtune.tuning.hosted import Hosted, Job, Status
from groundtune.tuning.hosted_openai import LAST_ANSWERS, LAST_JOBS
from groundtune.tuning.hosted_result import register


def hosted(state: State, spec: str, *, cancel: bool, allow_private: bool) -> None:
    """Upload, train, follow, download. Ctrl-C leaves the job running; the same command goes on with it."""
    project = state.project()
    config = project.config
    if config.requirements.data_must_stay_local:
        raise ConfigError("cli.tune.hosted_local", provider=spec.partition(":")[0])
    plan = make_plan(config)
    plan.kb.close()
    system = system_prompt(config, plan.train)
    examples = [house_example(example, system) for example in plan.train]
    root = config.state / "hosted"
    job_of = Hosted(root, spec, examples, config.tuning, tell=_Talk(state))
    if job_of.provider == "openai":
        state.talk(say("cli.tune.hosted_openai", last=LAST_JOBS.isoformat(), gone=LAST_ANSWERS.isoformat()))
    if cancel:
        job = job_of.cancel()
        state.emit({"job": job}, say("cli.tune.hosted_cancelled", job=job.job, provider=job.provider))
        return
    if job_of.kept() is None:
        state.talk(say("cli.tune.hosted_sends", count=len(examples), provider=job_of.provider))
    job = job_of.run(allow_private=allow_private)
    name = register(job_of, job, root, config.state / "adapters")
    key = "registered" if name else "archive" if job.downloaded else "remote"
    path = root / job.downloaded if job.downloaded else ""
    sentence = say(f"cli.tune.hosted_{key}", name=name, model=job.result or job.job, path=path)
    state.emit({"job": job, "adapter": name or None}, sentence)


class _Talk:
    """A line when something changed."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._last = ""

    def __call__(self, job: Job, status: Status) -> None:
        percent = f" {status.percent:.0f} %" if status.percent is not None else ""
        name = say(f"cli.tune.state_{status.state}")
        line = say("cli.tune.hosted_state", provider=job.provider, job=job.job, state=f"{name}{percent}")
        if line != self._last:
            self._last = line
            self._state.talk(line)
