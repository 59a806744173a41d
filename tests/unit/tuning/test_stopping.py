import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from test_lora import toy, weights

from groundtune.config import TuningSection
from groundtune.tuning.adapters import Adapters
from groundtune.tuning.lora import LoraTrainer
from groundtune.tuning.rows import build_rows, end_tokens
from groundtune.tuning.scoring import json_score, scoring_for, token_f1
from groundtune.tuning.stopping import FEWEST, KEY, MOST, choice, divide, looks_every, should_stop, write
from groundtune.types import Example, Message

CHECKED = TuningSection(epochs=6, learning_rate=8e-3, rank=8, patience=2)  # 30 steps, a look after every 5


def test_score_follows_the_form_of_the_answers():
    objects = ['{"is": "red", "n": 1}', '{"is": "blue", "n": 2}']
    assert scoring_for(objects).form == "json"
    assert scoring_for([*["yes", "no"] * 5]).form == "label"
    assert scoring_for(["The roof is red and it leaks.", "Nobody was there at all on Monday."]).form == "text"
    assert scoring_for([]).form == "text"
    assert scoring_for(["yes", "no", "yes", "no"]).score("yes", "Yes.") == 1.0


def test_json_counts_right_fields_and_nothing_when_broken():
    gold = '{"is": "red", "n": 1, "tags": ["a", "b"]}'
    assert json_score(gold, '{"n": 1, "is": "Red", "tags": ["b", "a"]}') == 1.0
    assert json_score(gold, '{"is": "red", "n": 2, "tags": ["a", "b"]}') == 0.75
    assert json_score(gold, '{"is": "red"') == 0.0
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}}
    assert json_score(gold, '{"is": "red", "n": "1", "tags": ["a", "b"]}', schema) == 0.0
    assert json_score('{"n": null}', '{"n": null}', {"type": "object"}) == 1.0
    assert token_f1("屋頂是紅色的", "屋頂是藍色的") == pytest.approx(5 / 6)
    assert token_f1("—", "—") == 1.0


def test_examples_are_set_aside_by_document_and_only_when_there_are_many():
    few, many = toy(FEWEST - 1), toy(300)
    settings = TuningSection()
    assert divide(few, settings).checked == ()
    assert divide(many, TuningSection(validation=0.0)).checked == ()
    given = divide(few, settings, few[:3])
    assert given.checked == tuple(few[:3]) and len(given.train) == FEWEST - 1
    different = [example(f"{word} {i * 7919}", f"doc{i % 30}") for i, word in enumerate(["item"] * 300)]
    parts = divide(different, settings)
    assert 20 <= len(parts.checked) <= MOST and len(parts.train) + len(parts.checked) == 300
    assert not {e.metadata["document"] for e in parts.train} & {e.metadata["document"] for e in parts.checked}
    assert divide(different, settings) == parts
    one = [example(f"{i * 7919}", "only" if i else "other") for i in range(300)]
    assert len(divide(one, settings).checked) <= 60


def example(text, document):
    turns = (Message("user", text), Message("assistant", "a"))
    return Example(turns, id=text, metadata={"document": document})


def kept(*looks, checked=10):
    """Index of the look that is kept of (score, loss) pairs."""
    log = []
    for score, loss in looks:
        log.append({KEY: choice(log, score, loss, checked), "eval_score": score, "eval_loss": loss})
    return max(range(len(log)), key=lambda index: log[index][KEY])


def test_the_score_decides_and_the_loss_only_within_one_answer():
    assert kept((0.3, 0.1), (0.6, 9.0)) == 1
    assert kept((0.5, 0.3), (0.45, 0.2), (0.55, 0.25)) == 1
    assert kept((0.5, 0.3), (0.4, 0.2)) == 1 and kept((0.5, 0.3), (0.39, 0.2)) == 0
    assert kept((0.5, 0.3), (0.42, 0.2), (0.55, 0.9)) == 2, "what was kept is now more than one answer behind"
    assert kept((0.5, 0.3), (0.42, 0.2), (0.34, 0.1)) == 1, "no drifting away from the highest score"
    assert kept((0.5, 0.2), (0.5, 0.2)) == 0


def test_stopping_is_read_from_the_log():
    log = [{KEY: value} for value in (0.2, 0.5, 0.4, 0.45)]
    assert should_stop(log, 2) and not should_stop(log, 3) and not should_stop(log[:3], 2)
    assert not should_stop([*log, {"loss": 1.0}, {KEY: 0.6}], 2)
    assert looks_every(60, 5) == 10 and looks_every(30, 5) == 5


@pytest.mark.tune
def test_answers_are_those_of_one_prompt_at_a_time(tiny_base):
    from groundtune.tuning.loading import load_base, load_tokenizer

    tokenizer, model = load_tokenizer(tiny_base), load_base(tiny_base, half=False)
    short = Example((Message("user", "red"), Message("assistant", "{}")), id="short")
    built = build_rows([*toy(3), short], tokenizer, 100)
    ends = end_tokens(built)
    assert write(model, tokenizer, built, ends, 4) == write(model, tokenizer, built, ends, 1)


@pytest.mark.tune
def test_a_run_that_gets_no_better_stops_and_keeps_the_best(tiny_base, tmp_path):
    wrong = [Example((*e.prompt, Message("assistant", "red green blue black")), id=e.id) for e in toy(6, start=45)]
    settings = TuningSection(epochs=20, learning_rate=2e-2, rank=8, patience=2)
    seen = []
    trainer = LoraTrainer(settings, held_out=wrong, progress=seen.append)
    adapter = trainer.train(toy(), base=tiny_base, out=str(tmp_path / "a"))
    looks = adapter.settings["looks"]
    assert adapter.settings["steps"] < 100 and len(looks) >= 3
    best = looks[kept(*(look[1:] for look in looks), checked=len(wrong))]
    assert adapter.settings["best_step"] == best[0] and best not in looks[-2:]
    assert Adapters(tmp_path).card("a").scores == {"validation": adapter.settings["validation_score"]}
    assert seen[-1].score is not None and seen[-1].best >= seen[-1].score and seen[0].score is None
    # what was kept is the checkpoint that was best: its loss on the held-out examples is the one logged then
    assert held_out_loss(adapter.path, tiny_base, wrong) == pytest.approx(best[2], abs=2e-3)


def held_out_loss(folder, base, examples):
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base.partition(":")[2]), folder)
    total = count = 0
    for row in build_rows(examples, tokenizer, 100):
        with torch.no_grad():
            loss = model(input_ids=torch.tensor([row.input_ids]), labels=torch.tensor([row.labels])).loss
        total, count = total + float(loss) * row.trained, count + row.trained
    return total / count


_KILLED = """
import os, signal, sys
sys.path[:0] = {path!r}
from test_lora import toy
from test_stopping import CHECKED
from groundtune.tuning.lora import LoraTrainer
def watch(progress):
    if progress.step == {step}:
        os.kill(os.getpid(), signal.SIGKILL)
LoraTrainer(CHECKED, progress=watch, held_out=toy(5, start=45)).train(toy(), base={base!r}, out={out!r})
"""


@pytest.mark.tune
def test_killed_run_with_scores_resumes_bit_for_bit(tiny_base, tmp_path):
    import numpy as np

    out = str(tmp_path / "killed")
    script = _KILLED.format(path=[str(Path(__file__).parent)], step=18, base=tiny_base, out=out)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    killed = subprocess.run([sys.executable, "-W", "ignore", "-c", script], env=environment, capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr[-2000:]
    steps = []
    held_out = toy(5, start=45)
    resumed = LoraTrainer(CHECKED, progress=lambda p: steps.append(p.step), held_out=held_out)
    resumed = resumed.train(toy(), base=tiny_base, out=out)
    straight = LoraTrainer(CHECKED, held_out=held_out).train(toy(), base=tiny_base, out=str(tmp_path / "whole"))
    assert steps[0] == 16
    assert resumed.settings == straight.settings and len(resumed.settings["looks"]) >= 3
    ours, theirs = weights(out), weights(straight.path)
    assert ours.keys() == theirs.keys() and all(np.array_equal(ours[key], theirs[key]) for key in ours)
