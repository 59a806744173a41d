import json
from dataclasses import replace
from pathlib import Path

import pytest

from groundtune.config import TuningSection
from groundtune.errors import TrainingError
from groundtune.tuning import loading, memory
from groundtune.tuning.memory import GIB, Shape, choose, estimate, free_memory, is_out_of_memory
from groundtune.tuning.rows import Row

# A model of half a billion parameters with a large vocabulary.
LARGE = Shape(
    parameters=494_000_000, linear=24 * 40_000, linears=358_000_000, layers=24, hidden=896, intermediate=4864,
    vocabulary=151_936,
)  # fmt: skip
ROWS = tuple(Row(str(i), i, tuple(range(5, 5 + 100 + 10 * (i % 30))), 40) for i in range(60))
SETTINGS = TuningSection()


def chosen(free, **options):
    settings = replace(SETTINGS, **options)
    return choose(LARGE, settings, ROWS, half=False, threads=1, free=free * GIB if free is not None else None)


def test_the_first_way_that_fits_is_taken_and_the_batch_stays_the_same():
    roomy = chosen(1000)
    assert (roomy.micro_batch, roomy.accumulation, roomy.checkpointing) == (8, 1, False)
    assert chosen(None).micro_batch == 8
    previous = roomy
    for free in (12, 8, 6, 5, 4):
        way = chosen(free)
        assert way.micro_batch * way.accumulation == 8 and way.estimate.total <= 0.9 * free * GIB
        assert way.estimate.total <= previous.estimate.total
        previous = way
    assert chosen(4).checkpointing and not chosen(8).checkpointing


def test_too_little_memory_is_said_before_anything_starts():
    with pytest.raises(TrainingError, match=r"needs about \d\.\d GiB even one row at a time, and 1\.0 GiB are free"):
        chosen(1)


def test_estimate_grows_with_what_needs_memory():
    def total(way=(8, False, False, True), **options):
        return estimate(LARGE, replace(SETTINGS, **options), ROWS, way)

    assert total().total > total((4, False, False, True)).total > total((4, True, False, True)).total
    assert total((8, False, True, True)).weights == total().weights / 2
    assert total(four_bit=True).weights < total((8, False, True, True)).weights / 1.5
    assert total(rank=32).adapter == 2 * total(rank=16).adapter > 0
    assert total((8, False, False, False)).activations >= total().activations  # padding


def test_free_memory_is_that_of_the_settings_or_of_the_container(tmp_path, monkeypatch):
    assert free_memory(TuningSection(memory_gb=2.5)) == 2.5 * GIB
    pytest.importorskip("torch")
    measured = free_memory(SETTINGS)
    assert measured is not None and measured > 0
    limit, used = tmp_path / "max", tmp_path / "current"
    limit.write_text(f"{3 << 30}\n")
    used.write_text(f"{1 << 30}\n")
    monkeypatch.setattr(memory, "_LIMITS", ((limit, used),))
    found = free_memory(SETTINGS)
    assert found is not None and found <= 2 * GIB
    limit.write_text("max\n")
    assert memory._container(limit, used) is None and memory._container(tmp_path / "no", used) is None


def test_torch_says_in_two_ways_that_memory_is_used_up():
    class OutOfMemoryError(RuntimeError):
        pass

    said = RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes")
    assert is_out_of_memory(said) and is_out_of_memory(OutOfMemoryError("CUDA out of memory"))
    assert is_out_of_memory(MemoryError()) and not is_out_of_memory(RuntimeError("shape mismatch"))


@pytest.mark.tune
def test_counted_activations_are_those_that_torch_keeps(tiny_base):
    import torch
    from peft import LoraConfig, get_peft_model

    from groundtune.tuning import packing

    shape, settings = memory.shape_of(tiny_base), TuningSection(rank=8)
    base = loading.load_base(tiny_base, half=False)
    assert shape.parameters == sum(p.numel() for p in base.parameters())
    model = get_peft_model(base, LoraConfig(r=8, target_modules="all-linear", task_type="CAUSAL_LM"))
    assert 8 * shape.linear == sum(p.numel() for p in model.parameters() if p.requires_grad)
    weights = {p.untyped_storage().data_ptr() for p in model.parameters()}
    rows = tuple(Row(str(i), i, tuple(range(6 + i, 66 + 11 * i)), 9) for i in range(4))
    features = [{"input_ids": list(row.input_ids), "labels": list(row.labels)} for row in rows]
    batch = packing.pack(features)
    packing.use_attention(base, packing.ATTENTION)
    kept: dict[int, int] = {}

    def keep(tensor):
        storage = tensor.untyped_storage()
        kept.setdefault(storage.data_ptr(), storage.nbytes())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        shown = {name: batch[name] for name in ("input_ids", *packing.INPUTS) if name in batch}
        model(**shown, use_cache=False, logits_to_keep=1)
    counted = estimate(shape, settings, rows, (4, False, False, True)).activations
    found = sum(size for place, size in kept.items() if place not in weights)
    assert 0.7 * found < counted < 1.5 * found


def test_a_processor_without_bfloat16_is_not_even_measured(tmp_path, monkeypatch):
    torch = pytest.importorskip("torch")
    flags = tmp_path / "cpuinfo"
    flags.write_text("model name : x\nflags\t\t: fpu sse2 avx2 fma\n")
    assert loading.cpu_flags(flags) == {"fpu", "sse2", "avx2", "fma"} and not loading.cpu_flags(tmp_path / "none")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(loading, "_CPU", flags)
    monkeypatch.setattr(torch, "mm", lambda *_: pytest.fail("measured"))
    loading.bfloat16_is_fast.cache_clear()
    try:
        assert loading.bfloat16_is_fast() is False
        assert loading.wants_half(SETTINGS) is False and loading.wants_half(replace(SETTINGS, precision="bfloat16"))
    finally:
        loading.bfloat16_is_fast.cache_clear()


@pytest.mark.tune
def test_qlora_without_cuda_is_one_sentence(tiny_base, tmp_path):
    import torch
    from test_lora import toy

    from groundtune.tuning.lora import LoraTrainer

    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    trainer = LoraTrainer(TuningSection(four_bit=True))
    with pytest.raises(TrainingError, match="needs an NVIDIA GPU"):
        trainer.train(toy(), base=tiny_base, out=str(tmp_path / "a"))
    assert not (tmp_path / "a").exists()


@pytest.mark.tune
def test_a_small_machine_trains_the_same_in_smaller_pieces_and_a_tiny_one_refuses(tiny_base, tmp_path):
    import numpy as np
    from test_lora import toy, weights

    from groundtune.tuning.lora import LoraTrainer

    settings = TuningSection(epochs=1, learning_rate=5e-3, rank=8, precision="float32")
    with pytest.raises(TrainingError, match="even one row at a time"):
        LoraTrainer(settings, free=0.1 * GIB).train(toy(), base=tiny_base, out=str(tmp_path / "no"))
    assert not (tmp_path / "no").exists()
    seen = []
    need = LoraTrainer(settings).preflight(toy(), tiny_base).way.estimate
    tight = need.total - 0.6 * (need.activations + need.logits)
    pieces = LoraTrainer(settings, free=tight / memory.ROOM, announce=seen.append)
    small = pieces.train(toy(), base=tiny_base, out=str(tmp_path / "small"))
    assert seen[0].way.accumulation > 1 and seen[0].way.micro_batch * seen[0].way.accumulation == 8
    whole = LoraTrainer(settings).train(toy(), base=tiny_base, out=str(tmp_path / "whole"))
    ours, theirs = weights(small.path), weights(whole.path)
    assert max(float(np.abs(ours[key] - theirs[key]).max()) for key in ours) < 2e-3
    assert json.loads((Path(small.path) / "adapter.json").read_text())["settings"]["steps"] == 5


@pytest.mark.tune
def test_dora_trains_magnitudes(tiny_base, tmp_path):
    from test_lora import toy, weights

    from groundtune.tuning.lora import LoraTrainer

    settings = TuningSection(epochs=1, dora=True, rank=4)
    adapter = LoraTrainer(settings).train(toy(), base=tiny_base, out=str(tmp_path / "a"))
    assert any("magnitude" in name for name in weights(adapter.path))
    assert json.loads((Path(adapter.path) / "adapter_config.json").read_text())["use_dora"] is True


@pytest.mark.tune
def test_bfloat16_when_asked_for_trains_and_scores(tiny_base, tmp_path):
    from test_lora import toy, weights

    from groundtune.tuning.lora import LoraTrainer

    settings = TuningSection(epochs=1, precision="bfloat16", rank=4)
    trainer = LoraTrainer(settings, held_out=toy(2, start=45))
    adapter = trainer.train(toy(12), base=tiny_base, out=str(tmp_path / "a"))
    assert adapter.settings["half"] is True and adapter.settings["checked"] == 2
    assert {str(weight.dtype) for weight in weights(adapter.path).values()} == {"float32"}


@pytest.mark.tune
def test_a_run_that_was_given_less_memory_goes_on_in_smaller_pieces(tiny_base, tmp_path):
    from test_lora import toy

    from groundtune.tuning.base import training_digest
    from groundtune.tuning.lora import LoraTrainer
    from groundtune.tuning.workspace import keep_way, kept_way, open_workspace

    settings = TuningSection(epochs=1)
    roomy = LoraTrainer(settings).preflight(toy(), tiny_base).way
    digest = training_digest(toy(), tiny_base, settings)
    less = replace(settings, memory_gb=roomy.estimate.total / GIB)  # of which nine tenths are used
    assert training_digest(toy(), tiny_base, less) == digest != training_digest(toy(), tiny_base, TuningSection())
    keep_way(open_workspace(tmp_path, digest), roomy)
    kept = kept_way(tmp_path, digest)
    assert kept == roomy and kept_way(tmp_path, "other") is None
    assert LoraTrainer(settings)._ready(toy(), tiny_base, kept).way is kept
    with pytest.raises(TrainingError, match="even one row at a time"):
        LoraTrainer(less)._ready(toy(), tiny_base, kept)
