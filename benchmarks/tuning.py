"""LoRA training beside plain TRL: `python benchmarks/tuning.py --data DATA`.

The same base (builtin:base), the same examples (snips-json, prompt and completion), rank, learning rate, batch, number
of steps and thread count, each side in a process of its own. `trl` is `SFTTrainer` as its documentation shows LoRA, with
its own defaults (checkpointed activations, padded rows); `trl-fast` is the same without checkpointing and with rows of like
length in a batch, to be fair to somebody who knows the switches. Speed is tokens per second of processor time between
the first and the last step, so that other programs do not count; the held-out score is that of the same judge for all
sides.

`--llama 0.5b` trains a randomly initialised Llama of that size instead (`tiny` shows on a processor that it runs): with an
NVIDIA card both sides use it in bfloat16, time is by the wall, memory is the card's, and `of_card` is the fraction of the
card's measured matrix rate that the training reaches (forward and backward through frozen weights: 4 operations per
weight and token).
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import peers

STARTED = time.time()
SIDES = ("groundtune", "trl", "trl-fast")
RATE, RANK, BATCH = 1.5e-3, 16, 8
LLAMAS = {"tiny": (64, 2, 4), "0.5b": (1024, 24, 16), "1b": (2048, 16, 32)}  # hidden, layers, heads


@dataclass(frozen=True)
class Row:
    """One side. Tokens are those of the rows, padding not counted; memory in MiB; ``score`` in [0, 1]."""

    side: str
    version: str
    rows: int
    steps: int
    tokens: int
    first_step_s: float
    train_cpu_s: float
    train_wall_s: float
    tokens_per_cpu_s: float
    peak_mib: int
    loss: float
    held_out_loss: float
    score: float
    held_out: int
    device: str = "cpu"
    of_card: float | None = None


def examples(data: Path, part: str, count: int) -> list[Any]:
    from groundtune.types import Example, Message

    with gzip.open(data / "format" / "snips-json" / f"{part}.jsonl.gz", "rt", encoding="utf-8") as stream:
        found = [json.loads(line) for line in stream]
    chosen = found[:: max(1, len(found) // count)][:count]
    return [
        Example(tuple(Message(t["role"], t["content"]) for t in row["messages"]), id=f"e{i}")
        for i, row in enumerate(chosen)
    ]


def make_llama(size: str, folder: Path) -> str:
    """A Llama with random weights and the tokenizer of builtin:base, as a base spec."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from groundtune.tuning.lora import load_tokenizer

    tokenizer = load_tokenizer("builtin:base")
    hidden, layers, heads = LLAMAS[size]
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=hidden, intermediate_size=4 * hidden, num_hidden_layers=layers,
        num_attention_heads=heads, num_key_value_heads=heads, max_position_embeddings=2048, tie_word_embeddings=True,
        pad_token_id=tokenizer.pad_token_id, eos_token_id=tokenizer.eos_token_id, bos_token_id=tokenizer.bos_token_id,
    )  # fmt: skip
    LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return f"hf:{folder}"


def peak_mib(cuda: bool) -> int:
    import torch

    if cuda:
        return int(torch.cuda.max_memory_allocated() >> 20)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


class Clock:
    """When the first and the last step ended, by the wall and by this process."""

    def __init__(self) -> None:
        self.first = self.last = (0.0, 0.0)
        self.steps = 0

    def __call__(self) -> None:
        self.last = (time.time(), time.process_time())
        self.steps += 1
        if self.steps == 1:
            self.first = self.last


def ours(train: list[Any], base: str, passes: int, clock: Clock, cuda: bool) -> tuple[Any, float, int]:
    from peft import PeftModel

    from groundtune.config import TuningSection
    from groundtune.tuning.lora import LoraTrainer, load_base

    settings = TuningSection(rank=RANK, epochs=passes, learning_rate=RATE, batch_size=BATCH, validation=0.0)
    with tempfile.TemporaryDirectory() as folder:
        trainer = LoraTrainer(settings, progress=lambda _: clock())
        adapter = trainer.train(train, base=base, out=f"{folder}/a")
        peak = peak_mib(cuda)
        model = PeftModel.from_pretrained(load_base(base, half=cuda), adapter.path).to("cuda" if cuda else "cpu")
        model.eval()
        return model, float(adapter.final_loss or 0.0), peak


def trl(
    train: list[Any], base: str, passes: int, clock: Clock, cuda: bool, *, fast: bool
) -> tuple[Any, float, int]:
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import TrainerCallback
    from trl import SFTConfig, SFTTrainer

    from groundtune.tuning.lora import load_base, load_tokenizer

    class Steps(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            clock()

    table = [
        {"prompt": [m.as_dict() for m in e.prompt], "completion": [{"role": "assistant", "content": e.target}]}
        for e in train
    ]
    steps = -(-len(train) * passes // BATCH)
    switches = {"activation_checkpointing": False, "train_sampling_strategy": "group_by_length"} if fast else {}
    with tempfile.TemporaryDirectory() as folder:
        settings = {
            "output_dir": folder, "max_steps": steps, "per_device_train_batch_size": BATCH, "learning_rate": RATE,
            "warmup_steps": max(1, round(0.06 * steps)), "use_cpu": not cuda, "bf16": cuda, "report_to": "none",
            "logging_steps": 1, "save_strategy": "no", "disable_tqdm": True,
        }  # fmt: skip
        trainer = SFTTrainer(
            model=load_base(base, half=cuda),
            args=SFTConfig(**{**settings, **switches}),
            train_dataset=Dataset.from_list(table),
            processing_class=load_tokenizer(base),
            peft_config=LoraConfig(
                r=RANK, lora_alpha=2 * RANK, target_modules="all-linear", lora_dropout=0.0, task_type="CAUSAL_LM"
            ),
            callbacks=[Steps()],
        )
        trainer.train()
        losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
        peak = peak_mib(cuda)
        trainer.model.eval()
        return trainer.model, sum(losses[-4:]) / len(losses[-4:]), peak


def held_out_loss(model: Any, rows: Sequence[Any]) -> float:
    """Mean over the trained tokens, each row alone."""
    import torch

    from groundtune.tuning.trainer import plain_loss

    with torch.no_grad():
        return sum(plain_loss(model, row) for row in rows) / sum(row.trained for row in rows)


def run(side: str, base: str, data: Path, count: int, passes: int, held_out: int) -> Row:
    import torch

    torch.set_num_threads(1)
    cuda = torch.cuda.is_available()
    from groundtune.tuning.lora import load_tokenizer
    from groundtune.tuning.rows import build_rows, end_tokens
    from groundtune.tuning.scoring import scoring_for
    from groundtune.tuning.stopping import Judge

    train, dev = examples(data, "train", count), examples(data, "dev", held_out)
    tokenizer = load_tokenizer(base)
    built, asked = build_rows(train, tokenizer, 1024), build_rows(dev, tokenizer, 1024)
    clock = Clock()
    if side == "groundtune":
        model, loss, peak = ours(train, base, passes, clock, cuda)
    else:
        model, loss, peak = trl(train, base, passes, clock, cuda, fast=side == "trl-fast")
    judge = Judge(tuple(dev), asked, scoring_for([e.target for e in dev]), end_tokens(built))
    scores = judge.scores(model, tokenizer)
    tokens = passes * sum(len(row.input_ids) for row in built)
    cpu, wall = clock.last[1] - clock.first[1], clock.last[0] - clock.first[0]
    part = (clock.steps - 1) / clock.steps
    speed = tokens * part / (wall if cuda else cpu)
    return Row(
        side, peers.version("groundtune" if side == "groundtune" else "trl"), len(train), clock.steps, tokens,
        round(clock.first[0] - STARTED, 1), round(cpu, 2), round(wall, 2), round(speed, 1), peak,
        round(loss, 4), round(held_out_loss(model, asked), 4), round(sum(scores) / len(scores), 4), len(dev),
        torch.cuda.get_device_name() if cuda else "cpu", of_card(model, speed) if cuda else None,
    )  # fmt: skip


def of_card(model: Any, tokens_per_s: float) -> float:
    """Operations of the training per second, by those of a large bfloat16 matrix product."""
    import torch

    left, right = (torch.randn(8192, 8192, dtype=torch.bfloat16, device="cuda") for _ in range(2))
    best = float("inf")
    for _ in range(10):
        torch.cuda.synchronize()
        started = time.perf_counter()
        left @ right
        torch.cuda.synchronize()
        best = min(best, time.perf_counter() - started)
    weights = sum(parameter.numel() for parameter in model.parameters() if not parameter.requires_grad)
    return round(4.0 * weights * tokens_per_s / (2.0 * 8192**3 / best), 4)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--rows", type=int, default=160)
    parser.add_argument("--passes", type=int, default=2)
    parser.add_argument("--held-out", type=int, default=40)
    parser.add_argument("--sides", nargs="+", default=list(SIDES), choices=SIDES)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--llama", choices=tuple(LLAMAS), help="a random Llama of this size in place of builtin:base")
    parser.add_argument("--base", default="builtin:base")
    parser.add_argument("--side", choices=SIDES, help="run one side in this process and print its row")
    options = parser.parse_args()
    if options.side:
        row = run(options.side, options.base, options.data, options.rows, options.passes, options.held_out)
        print(json.dumps(asdict(row)))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        base = make_llama(options.llama, Path(folder)) if options.llama else options.base
        return compare(options, base)


def compare(options: argparse.Namespace, base: str) -> int:
    rows: list[Row] = []
    for side in options.sides:
        command = [sys.executable, "-W", "ignore", __file__, "--data", str(options.data), "--side", side, "--base", base]
        command += ["--rows", str(options.rows), "--passes", str(options.passes), "--held-out", str(options.held_out)]
        done = subprocess.run(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True)
        if done.returncode:
            print(done.stderr[-3000:], file=sys.stderr)
            return 1
        row = Row(**json.loads(done.stdout.strip().splitlines()[-1]))
        rows.append(row)
        print(f"{row.side:12}{row.tokens_per_cpu_s:9.1f} tokens/cpu s  first step {row.first_step_s:6.1f} s  "
              f"peak {row.peak_mib} MiB  held-out loss {row.held_out_loss:.3f}  score {row.score:.3f} (n={row.held_out})", flush=True)  # fmt: skip
    own = next((row for row in rows if row.side == "groundtune"), None)
    ratios = {
        row.side: round(own.tokens_per_cpu_s / row.tokens_per_cpu_s, 2)
        for row in rows if own is not None and row.side != "groundtune"
    }  # fmt: skip
    peers.keep("tuning", rows, {}, options.out, speed_over=ratios)
    return 0


if __name__ == "__main__":
    sys.exit(main())
