"""The traps of TRL 1.16 that are about its own settings: the trainer that we make has none of them."""

import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

from groundtune.config import TuningSection
from groundtune.tuning import memory, rows
from groundtune.tuning.plan import choose_open, make_plan
from groundtune.tuning.scoring import Scoring
from groundtune.tuning.stopping import KEY, Judge

pytestmark = pytest.mark.tune
PYPROJECT = Path(__file__).resolve().parents[3] / "pyproject.toml"


def job(tmp_path, *, checkpointing=False, judged=False, batch=8, micro=8):
    from groundtune.tuning.trainer import Job

    built = tuple(rows.Row(str(i), i, tuple(range(5, 40)), 9) for i in range(24))
    settings = TuningSection(batch_size=batch)
    way = memory.Way(micro, batch // micro, checkpointing, False, True, 1, memory.Estimate(0, 0, 0, 0))
    judge = Judge((), built[:3], Scoring("text"), (1,)) if judged else None
    plan = make_plan([len(row.input_ids) for row in built], settings, sort=False)
    return Job(built, plan, settings, way, 1.5e-3, str(tmp_path), judge)


def arguments(*args, **options):
    from groundtune.tuning.trainer import _arguments

    return _arguments(job(*args, **options), half=False)


def test_7_defaults_fit_this_machine_and_lora(tmp_path):
    import torch

    made = arguments(tmp_path)
    assert made.use_cpu is not torch.cuda.is_available() and made.bf16 is False
    assert made.learning_rate == 1.5e-3  # TRL's own default, 2e-5, is for full fine-tuning
    assert made.report_to == [] and made.max_length is None
    assert made.activation_checkpointing is False  # TRL's own default is True: a third slower
    assert arguments(tmp_path, checkpointing=True).activation_checkpointing is True


def test_7_small_models_get_a_higher_rank_and_rate():
    small, large = (choose_open(TuningSection(), 1000, small=small) for small in (True, False))
    assert small.rank > large.rank > 0 and small.learning_rate > large.learning_rate > 2e-5
    own = choose_open(TuningSection(rank=4, learning_rate=3e-4, epochs=2), 1000, small=True)
    assert (own.rank, own.learning_rate, own.epochs) == (4, 3e-4, 2)
    assert small.epochs > large.epochs > 1


def test_8_early_stopping_has_the_metric_that_it_needs(tmp_path):
    made = arguments(tmp_path, judged=True)
    assert made.metric_for_best_model == KEY and made.greater_is_better and made.load_best_model_at_end
    assert made.eval_strategy == "steps" and made.save_steps == made.eval_steps
    assert arguments(tmp_path).eval_strategy == "no"


def test_9_the_trainer_is_pinned_to_the_versions_that_were_tested():
    table = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))
    wanted = dict(line.split("==") for line in table["project"]["optional-dependencies"]["tune"] if "==" in line)
    assert {"torch", "transformers", "peft", "trl", "accelerate"} <= wanted.keys()
    for name in ("transformers", "peft", "trl", "accelerate"):
        assert version(name) == wanted[name]


def test_9_the_settings_of_the_trainer_are_not_deprecated(tmp_path, recwarn):
    import warnings

    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        arguments(tmp_path, judged=True)
    assert [str(w.message) for w in heard if issubclass(w.category, FutureWarning)] == []


def test_10_small_models_get_one_thread(monkeypatch):
    import torch

    monkeypatch.setattr(torch, "get_num_threads", lambda: 7)
    small = memory.Shape(6_000_000, 1, 1, 4, 256, 704, 12_288)
    assert memory.default_threads(small) == 1
    assert memory.default_threads(memory.Shape(500_000_000, 1, 1, 24, 896, 4864, 151_936)) == 7


def test_a_step_is_the_same_examples_in_pieces(tmp_path):
    made = arguments(tmp_path, batch=8, micro=2)
    assert (made.per_device_train_batch_size, made.gradient_accumulation_steps) == (2, 4)
    assert made.train_sampling_strategy == "sequential"
