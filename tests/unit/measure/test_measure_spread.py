"""Answers by the workers of an engine: the report of a local run, the same journal, and what only an engine can meet."""

import pickle
import shutil
from dataclasses import replace

import pytest
from measure_project import calls, make_project, register

from groundtune.errors import GroundtuneError, ModelUnreachable, UserError
from groundtune.measure.limits import Limits
from groundtune.measure.plan import make_plan
from groundtune.measure.run import compare
from groundtune.measure.spread import Answering, Put, away
from groundtune.types import Question

register()


class Nearby:
    """An engine in this process, everything pickled on its way; the last of each few items comes first."""

    workers = 3

    def __init__(self, dies_after=0, deadly="nothing"):
        self.left = dies_after
        self.deadly = deadly

    def arriving(self, work, items, lost=None):
        opened = pickle.loads(pickle.dumps(work)).open()
        waiting = []

        def there(put):
            if self.deadly in put.question.text:
                return lost(put, GroundtuneError("ray.worker_lost", count=4, reason="killed"))
            return opened(put)

        for numbered in enumerate(items):
            waiting.append(numbered)
            if len(waiting) == 3:
                yield from self._done(there, waiting)
        yield from self._done(there, waiting)

    def _done(self, there, waiting):
        while waiting:
            number, item = waiting.pop()
            if self.left:
                self.left -= 1
                if not self.left:
                    raise KeyboardInterrupt
            yield number, pickle.loads(pickle.dumps(there(pickle.loads(pickle.dumps(item)))))


@pytest.fixture
def config(tmp_path):
    return make_project(tmp_path / "project")


def facts(report):
    """The report without its seconds."""
    rows = []
    for result in report.approaches:
        metrics = {name: value for name, value in result.metrics.items() if "seconds" not in name}
        items = [replace(item, seconds=0.0) for item in result.items]
        rows.append((result.name, metrics, items, result.labels, result.skipped))
    return rows, report.retrieval, report.notes, report.data_digest


def test_the_same_report_as_here(config, tmp_path):
    there = compare(config, engine=Nearby())
    asked = len(calls(config))
    assert facts(compare(config)) == facts(there) and len(calls(config)) == asked  # one journal for both
    assert facts(compare(config, refresh=True)) == facts(there)


def test_a_race_there(config):
    assert compare(config, engine=Nearby(), until_decided=True).stopping == compare(config, until_decided=True).stopping


def test_interrupted_and_run_again(config):
    whole = len(compare(config, approaches=["prompt"]).approach("prompt").items)
    shutil.rmtree(config.state / "runs")
    before = len(calls(config))
    with pytest.raises(KeyboardInterrupt):
        compare(config, approaches=["prompt"], engine=Nearby(dies_after=5))
    assert len(calls(config)) - before == 4
    report = compare(config, approaches=["prompt"], engine=Nearby())
    assert len(report.approach("prompt").items) == whole and len(calls(config)) - before == whole


def test_limits_hold(config):
    report = compare(config, approaches=["prompt"], engine=Nearby(), limits=Limits(max_minutes=0))
    assert report.approach("prompt").skipped and calls(config) == []


def test_a_model_that_nobody_reaches(tmp_path):
    gone = make_project(tmp_path / "gone", style="gone")
    with pytest.raises(ModelUnreachable):
        compare(gone, approaches=["prompt"], engine=Nearby())
    assert len(calls(gone)) <= 8


def test_a_question_that_kills_its_workers_is_an_error_of_its_own(config):
    result = compare(config, approaches=["prompt"], engine=Nearby(deadly="hotel")).approach("prompt")
    assert result.errors == 1 and [i.error for i in result.items if i.error][0].count("4 times") == 1


def test_an_approach_of_the_users_own(config):
    (config.folder / "own_spread.py").write_text(
        "def answer(question):\n    if 'hotel' in question:\n        raise ValueError('no hotel')\n    return '25 days'\n"
    )
    own = "python:own_spread:answer"
    here, there = compare(config, approaches=[own]), compare(config, approaches=[own], engine=Nearby(), refresh=True)
    assert facts(here) == facts(there) and there.approach(own).errors == 1


def test_a_worker_that_sees_another_project(config, tmp_path):
    plan = make_plan(config)
    plan.kb.close()
    work = away(Nearby(), config, plan, "prompt", None).work
    elsewhere = replace(work, config=replace(work.config, folder=tmp_path / "nowhere"))
    with pytest.raises(UserError, match="cannot see"):
        elsewhere.open()
    with pytest.raises(UserError, match="another state"):
        replace(work, knowledge="other").open()
    with pytest.raises(UserError, match="cannot load"):
        work.open()(Put("python:nothing_of_this_name:answer", 0, None, Question("?", ())))
    assert isinstance(pickle.loads(pickle.dumps(work)), Answering)
