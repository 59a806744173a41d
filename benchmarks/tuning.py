"""LoRA training beside plain TRL: `python benchmarks/tuning.py --data DATA`.

The same base (builtin:base), the same examples (snips-json, prompt and completion), rank, learning rate, batch, number
of steps and thread count, each side in a process of its own. `trl` is `SFTTrainer` as its documentation shows LoRA, with
its own defaults (checkpointed activations, padded rows); `trl-fast` is the same without checkpointing and with rows of like
length in a batch, to be fair to somebody who knows the switches. Speed is tokens per second of processor time between the first and the
last step, so that other programs do not count; the held-out score is that of the same judge for all sides.
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


def examples(data: Path, part: str, count: int) -> list[Any]:
    from groundtune.types import Example, Message

    with gzip.open(data / "format" / "snips-json" / f"{part}.jsonl.gz", "rt", encoding="utf-8") as stream:
        found = [json.loads(line) for line in stream]
    chosen = found[:: max(1, len(found) // count)][:count]
    return [
        Example(tuple(Message(t["role"], t["content"]) for t in row["messages"]), id=f"e{i}")
        for i, row in enumerate(chosen)
    ]


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


def ours(train: list[Any], passes: int, clock: Clock) -> tuple[Any, float, int]:
    from peft import PeftModel

    from groundtune.config import TuningSection
    from groundtune.tuning.lora import LoraTrainer, load_base

    settings = TuningSection(rank=RANK, epochs=passes, learning_rate=RATE, batch_size=BATCH, validation=0.0)
    with tempfile.TemporaryDirectory() as folder:
        trainer = LoraTrainer(settings, progress=lambda _: clock())
        adapter = trainer.train(train, base="builtin:base", out=f"{folder}/a")
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        model = PeftModel.from_pretrained(load_base("builtin:base", half=False), adapter.path)
        model.eval()
        return model, float(adapter.final_loss or 0.0), peak


def trl(train: list[Any], passes: int, clock: Clock, *, fast: bool) -> tuple[Any, float, int]:
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
    switches = {"gradient_checkpointing": False, "train_sampling_strategy": "group_by_length"} if fast else {}
    with tempfile.TemporaryDirectory() as folder:
        settings = {
            "output_dir": folder, "max_steps": steps, "per_device_train_batch_size": BATCH, "learning_rate": RATE,
            "warmup_steps": max(1, round(0.06 * steps)), "use_cpu": True, "bf16": False, "report_to": "none",
            "logging_steps": 1, "save_strategy": "no", "disable_tqdm": True,
        }  # fmt: skip
        trainer = SFTTrainer(
            model=load_base("builtin:base", half=False),
            args=SFTConfig(**{**settings, **switches}),
            train_dataset=Dataset.from_list(table),
            processing_class=load_tokenizer("builtin:base"),
            peft_config=LoraConfig(
                r=RANK, lora_alpha=2 * RANK, target_modules="all-linear", lora_dropout=0.0, task_type="CAUSAL_LM"
            ),
            callbacks=[Steps()],
        )
        trainer.train()
        losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        trainer.model.eval()
        return trainer.model, sum(losses[-4:]) / len(losses[-4:]), peak


def held_out_loss(model: Any, rows: Sequence[Any]) -> float:
    """Mean over the trained tokens, each row alone."""
    import torch

    from groundtune.tuning.trainer import plain_loss

    with torch.no_grad():
        return sum(plain_loss(model, row) for row in rows) / sum(row.trained for row in rows)


def run(side: str, data: Path, count: int, passes: int, held_out: int) -> Row:
    import torch

    torch.set_num_threads(1)
    from groundtune.tuning.lora import load_tokenizer
    from groundtune.tuning.rows import build_rows, end_tokens
    from groundtune.tuning.scoring import scoring_for
    from groundtune.tuning.stopping import Judge

    train, dev = examples(data, "train", count), examples(data, "dev", held_out)
    tokenizer = load_tokenizer("builtin:base")
    built, asked = build_rows(train, tokenizer, 1024), build_rows(dev, tokenizer, 1024)
    clock = Clock()
    if side == "groundtune":
        model, loss, peak = ours(train, passes, clock)
    else:
        model, loss, peak = trl(train, passes, clock, fast=side == "trl-fast")
    judge = Judge(tuple(dev), asked, scoring_for([e.target for e in dev]), end_tokens(built))
    scores = judge.scores(model, tokenizer)
    tokens = passes * sum(len(row.input_ids) for row in built)
    cpu, wall = clock.last[1] - clock.first[1], clock.last[0] - clock.first[0]
    part = (clock.steps - 1) / clock.steps
    return Row(
        side, peers.version("groundtune" if side == "groundtune" else "trl"), len(train), clock.steps, tokens,
        round(clock.first[0] - STARTED, 1), round(cpu, 2), round(wall, 2), round(tokens * part / cpu, 1), peak // 1024,
        round(loss, 4), round(held_out_loss(model, asked), 4), round(sum(scores) / len(scores), 4), len(dev),
    )  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--rows", type=int, default=160)
    parser.add_argument("--passes", type=int, default=2)
    parser.add_argument("--held-out", type=int, default=40)
    parser.add_argument("--sides", nargs="+", default=list(SIDES), choices=SIDES)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--side", choices=SIDES, help="run one side in this process and print its row")
    options = parser.parse_args()
    if options.side:
        row = run(options.side, options.data, options.rows, options.passes, options.held_out)
        print(json.dumps(asdict(row)))
        return 0
    rows: list[Row] = []
    for side in options.sides:
        command = [sys.executable, "-W", "ignore", __file__, "--data", str(options.data), "--side", side]
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
