import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from groundtune.config import TuningSection
from groundtune.errors import DataError, TrainingError
from groundtune.tuning import memory, packing, rows
from groundtune.tuning.adapters import Adapters
from groundtune.tuning.base import base_path
from groundtune.tuning.lora import LoraTrainer, load_base, load_tokenizer
from groundtune.tuning.plan import make_plan, passes_for
from groundtune.tuning.trainer import Job, make_trainer, verify
from groundtune.types import Example, Message

pytestmark = pytest.mark.tune
FAST = TuningSection(epochs=12, learning_rate=8e-3, rank=8, seed=1)  # 60 steps
SHORT = TuningSection(epochs=5, learning_rate=5e-3, rank=8)  # 25 steps, a checkpoint every 5


def toy(count=40, start=0):
    from tiny_llama import toy_rows

    return [
        Example((Message("system", "sort"), Message("user", q), Message("assistant", a)), id=f"e{i}")
        for i, (q, a) in enumerate(toy_rows(count, start))
    ]


def weights(folder):
    from safetensors.numpy import load_file

    return load_file(str(Path(folder) / "adapter_model.safetensors"))


def write_as(out, base, inputs):
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(out)
    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base.partition(":")[2]), out)
    texts = []
    for text in inputs:
        turns = [{"role": "system", "content": "sort"}, {"role": "user", "content": text}]
        ids = tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_tensors="pt", return_dict=True)
        wrote = model.generate(**ids, max_new_tokens=30, do_sample=False)
        texts.append(tokenizer.decode(wrote[0, ids["input_ids"].shape[1] :]))
    return texts


def test_trained_model_answers_held_out_inputs_in_the_format(tiny_base, tmp_path):
    seen = []
    trainer = LoraTrainer(FAST, progress=seen.append)
    held_out = [example.input for example in toy(10, start=45)]
    adapter = trainer.train(toy(), base=tiny_base, out=str(tmp_path / "a"))
    texts = write_as(adapter.path, tiny_base, held_out)
    form = re.compile(r'\{"is": "[a-z]+"\}<\|end\|>')
    assert sum(form.fullmatch(text) is not None for text in texts) >= 9, texts
    assert [p.step for p in seen] == list(range(1, 61)) and seen[-1].steps == 60 and seen[-1].seconds_left == 0
    assert not (tmp_path / "a" / "checkpoints").exists()
    assert Adapters(tmp_path).list() == {"a": adapter}
    again = LoraTrainer(FAST, progress=lambda _: pytest.fail("trained again"))
    assert again.train(toy(), base=tiny_base, out=adapter.path) == adapter
    other = LoraTrainer(TuningSection(epochs=1)).train(toy(), base=tiny_base, out=adapter.path)
    assert other.digest != adapter.digest


def test_only_the_answer_and_its_end_token_are_trained(tiny_base):
    tokenizer = load_tokenizer(tiny_base)
    for row, example in zip(rows.build_rows(toy(), tokenizer, 100), toy(), strict=True):
        labels = [label for label in row.labels if label != rows.IGNORED]
        assert tokenizer.decode(labels) == example.target + "<|end|>"
        assert row.labels[: -row.trained] == (rows.IGNORED,) * (len(row.input_ids) - row.trained)
    check = LoraTrainer(FAST).preflight(toy(), tiny_base)
    assert check.trained == '{"is": "red"}<|end|>' and check.text.endswith(check.trained)
    assert check.end_token == "<|end|>" and check.steps == 60 and check.dropped == 0


def test_end_token_is_added_when_the_template_writes_none(tmp_path):
    from tiny_llama import TEMPLATE, make_base

    base = f"hf:{make_base(tmp_path, template=TEMPLATE.replace('<|end|>', ''))}"
    (row, *_) = rows.build_rows(toy(), load_tokenizer(base), 100)
    assert load_tokenizer(base).decode(row.input_ids[-row.trained :]) == '{"is": "red"}<|end|>'


def test_template_that_rewrites_answers_is_refused(tmp_path):
    from tiny_llama import TEMPLATE, make_base

    shouting = TEMPLATE.replace("m['content']", "m['content'] | upper")
    base = f"hf:{make_base(tmp_path, template=shouting)}"
    with pytest.raises(TrainingError, match="changes the answer of example “e0”"):
        rows.build_rows(toy(), load_tokenizer(base), 100)


def test_what_cannot_be_trained_is_said(tiny_base, tmp_path):
    trainer = LoraTrainer(TuningSection(max_tokens=40))
    long = Example((Message("user", "x"), Message("assistant", "red " * 60)), id="long one")
    with pytest.raises(TrainingError, match="“long one” with "):
        trainer.train([*toy(), long], base=tiny_base, out=str(tmp_path / "a"))
    with pytest.raises(DataError, match="at least 10"):
        trainer.train(toy(9), base=tiny_base, out=str(tmp_path / "a"))
    with pytest.raises(TrainingError, match="openai:gpt-5-mini cannot be fine-tuned"):
        trainer.train(toy(), base="openai:gpt-5-mini", out=str(tmp_path / "a"))
    with pytest.raises(TrainingError, match="cannot be loaded"):
        trainer.train(toy(), base=f"hf:{tmp_path}/nowhere", out=str(tmp_path / "a"))
    with pytest.raises(TrainingError, match="not part of this installation"):
        base_path("builtin:nonesuch")
    assert not (tmp_path / "a").exists()


@pytest.fixture(scope="module")
def trainers(tiny_base, tmp_path_factory):
    """Rows of different lengths, a trainer that packs and one that pads, of the same weights."""
    tokenizer = load_tokenizer(tiny_base)
    short = Example((Message("user", "item red"), Message("assistant", "{}")), id="short")
    built = rows.build_rows([*toy(7), short], tokenizer, 100)
    plan = make_plan([len(row.input_ids) for row in built], FAST)
    made = {}
    for packed in (True, False):
        way = memory.Way(8, 1, False, False, packed, 1, memory.Estimate(0, 0, 0, 0))
        work = str(tmp_path_factory.mktemp("work"))
        made[packed] = make_trainer(
            load_base(tiny_base, half=False), tokenizer, Job(built, plan, FAST, way, 1e-3, work)
        )
    return built, made


def loss_of(trainer, built):
    import torch

    table = [{"input_ids": list(row.input_ids), "labels": list(row.labels)} for row in built]
    with torch.no_grad():
        return trainer.compute_loss(trainer.model, trainer.data_collator(table)).item()


def test_loss_is_that_of_trl_and_neither_padding_nor_packing_changes_it(trainers):
    import torch
    from trl import SFTTrainer

    built, made = trainers
    table = [{"input_ids": list(row.input_ids), "labels": list(row.labels)} for row in built]
    with torch.no_grad():
        trl = SFTTrainer.compute_loss(made[False], made[False].model, made[False].data_collator(table)).item()
    alone = sum(loss_of(made[False], [row]) * row.trained for row in built) / sum(row.trained for row in built)
    assert loss_of(made[False], built) == pytest.approx(trl, rel=1e-5)
    assert loss_of(made[True], built) == pytest.approx(alone, rel=1e-5)
    assert loss_of(made[False], built) == pytest.approx(alone, rel=1e-5)


def logits_of(trainer, batch):
    import torch

    shown = {name: batch[name] for name in ("input_ids", *packing.INPUTS) if name in batch}
    with torch.no_grad():
        return trainer.model(**shown, use_cache=False).logits[0]


def test_packed_rows_do_not_see_each_other_and_nothing_is_padded(trainers, monkeypatch):
    import torch

    built, made = trainers
    features = [{"input_ids": list(row.input_ids), "labels": list(row.labels)} for row in built[:2]]
    monkeypatch.setattr(packing, "shared_tokens", lambda features: 0)
    first, changed = packing.pack(features), packing.pack(features)
    assert first["input_ids"].shape == (1, sum(len(row.input_ids) for row in built[:2]))
    size = len(built[0].input_ids)
    assert first["position_ids"][0].tolist() == [*range(size), *range(len(built[1].input_ids))]
    changed["input_ids"][0, :size] = changed["input_ids"][0, :size].flip(0)
    assert torch.equal(logits_of(made[True], first)[size:], logits_of(made[True], changed)[size:])
    whole = {**first, "row_lengths": (first["input_ids"].shape[1],)}
    leaked = logits_of(made[True], whole)[size:]
    assert not torch.allclose(logits_of(made[True], first)[size:], leaked, atol=1e-3)  # without the lengths


def test_what_all_rows_begin_with_is_computed_once_and_to_the_same_gradients(trainers, monkeypatch):
    import torch

    built, made = trainers
    features = [{"input_ids": list(row.input_ids), "labels": list(row.labels)} for row in built[:4]]
    once = packing.pack(features)
    shared = once["shared"]
    assert shared >= 8 and once["input_ids"].shape[1] == sum(map(len, (f["input_ids"] for f in features))) - 3 * shared
    assert (once["labels"] >= 0).sum() == sum(row.trained for row in built[:4])
    found = {}
    for times in ("once", "each"):
        if times == "each":
            monkeypatch.setattr(packing, "shared_tokens", lambda features: 0)
        model = made[True].model
        model.zero_grad()
        loss = made[True].compute_loss(model, packing.pack(features))
        loss.backward()
        found[times] = (loss.item(), [p.grad.clone() for p in model.parameters() if p.grad is not None])
        model.zero_grad()
    assert found["once"][0] == pytest.approx(found["each"][0], rel=1e-5)
    assert len(found["once"][1]) > 0
    for ours, plain in zip(found["once"][1], found["each"][1], strict=True):
        assert torch.allclose(ours, plain, rtol=1e-3, atol=1e-6)


def test_the_last_token_before_an_answer_is_never_shared():
    row = {"input_ids": [*range(20)], "labels": [-100] * 15 + [*range(15, 20)]}
    assert packing.shared_tokens([row, row]) == 14
    assert packing.shared_tokens([row]) == 0
    short = {"input_ids": [0, 1, 2, 9, 9], "labels": [-100] * 4 + [9]}
    assert packing.shared_tokens([row, short]) == 0  # three tokens are not worth it


def test_a_model_whose_packed_loss_is_wrong_is_found(trainers, monkeypatch):
    built, made = trainers
    assert verify(made[True], built) and verify(made[False], built)
    leaking = packing.packed_attention

    def leak(*args, row_lengths=(), **rest):
        return leaking(*args, row_lengths=(sum(row_lengths),), **rest)

    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    monkeypatch.setitem(ALL_ATTENTION_FUNCTIONS._global_mapping, packing.ATTENTION, leak)
    monkeypatch.setattr(packing, "packed_attention", leak)
    assert not verify(made[True], built)


_KILLED = """
import os, signal, sys
sys.path[:0] = {path!r}
from test_lora import SHORT, toy
from groundtune.tuning.lora import LoraTrainer
def watch(progress):
    if progress.step == {step}:
        os.kill(os.getpid(), signal.SIGKILL)
LoraTrainer(SHORT, progress=watch).train(toy(), base={base!r}, out={out!r})
"""


def test_killed_run_resumes_to_the_same_weights(tiny_base, tmp_path):
    import numpy as np

    out, whole = str(tmp_path / "killed"), str(tmp_path / "whole")
    script = _KILLED.format(path=[str(Path(__file__).parent)], step=17, base=tiny_base, out=out)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    killed = subprocess.run([sys.executable, "-W", "ignore", "-c", script], env=environment, capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr[-2000:]
    assert Adapters(tmp_path).list() == {}
    broken = Path(out) / "checkpoints" / "checkpoint-9999"
    broken.mkdir()
    (broken / "trainer_state.json").write_text('{"global_st')
    steps = []
    resumed = LoraTrainer(SHORT, progress=lambda p: steps.append(p.step)).train(toy(), base=tiny_base, out=out)
    straight = LoraTrainer(SHORT).train(toy(), base=tiny_base, out=whole)
    assert steps[0] == 16 and steps[-1] == 25
    assert resumed.digest == straight.digest
    ours, theirs = weights(out), weights(whole)
    assert ours.keys() == theirs.keys()
    assert all(np.array_equal(ours[key], theirs[key]) for key in ours)  # bit for bit


def test_plan_has_every_row_in_every_pass_and_little_padding():
    lengths = [10 + 7 * (i % 23) for i in range(203)]
    settings = TuningSection(batch_size=8)
    plan = make_plan(lengths, settings)
    assert plan.passes == passes_for(203) == 8 and plan.steps == -(-203 * 8 // 8)
    assert sorted(plan.order) == sorted(list(range(203)) * 8)
    batches = [plan.order[i : i + 8] for i in range(0, len(plan.order), 8)]
    padded = sum(max(lengths[i] for i in batch) * len(batch) for batch in batches)
    assert padded < 1.1 * sum(lengths) * 8
    assert make_plan(lengths, settings) == plan
    mixed = make_plan(lengths, settings, sort=False)
    assert (mixed.steps, sorted(mixed.order)) == (plan.steps, sorted(plan.order)) and mixed.order != plan.order
    assert [passes_for(n) for n in (10, 40, 100, 200, 300, 1000)] == [25, 25, 10, 8, 6, 3]


def test_adapters_are_listed_named_and_deleted(tiny_base, tmp_path):
    LoraTrainer(TuningSection(epochs=1)).train(toy(), base=tiny_base, out=str(tmp_path / "house"))
    (tmp_path / "unfinished").mkdir()
    registry = Adapters(tmp_path)
    assert list(registry.list()) == ["house"]
    with pytest.raises(DataError, match="Did you mean “house”"):
        registry.get("hous")
    with pytest.raises(DataError):
        registry.delete("../house")
    registry.delete("house")
    assert registry.list() == {} and not (tmp_path / "house").exists()
