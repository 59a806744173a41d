"""TRL's SFTTrainer in the smallest configuration: rows in a fixed order, loss on the trained positions only."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from groundtune.config import TuningSection
from groundtune.tuning import packing
from groundtune.tuning.group import Group
from groundtune.tuning.memory import Way
from groundtune.tuning.plan import Plan, Progress
from groundtune.tuning.rows import IGNORED, Row
from groundtune.tuning.steps import Rows, batches, table
from groundtune.tuning.stopping import KEY, Judge, choice, looks_every, should_stop

_SAME = 1e-3  # relative difference of two ways to compute a loss that rounding explains in float32
_SAME_HALF = 5e-2


@dataclass(frozen=True)
class Job:
    """Everything that one training run is made of. ``way.packing`` says how rows are collated; ``judge`` is None
    without held-out examples; ``group`` are the processes that share the rows of each step.
    """

    rows: tuple[Row, ...]
    plan: Plan
    settings: TuningSection
    way: Way
    rate: float
    work: str
    judge: Judge | None = None
    progress: Callable[[Progress], None] | None = None
    group: Group = Group()


def make_trainer(model: Any, tokenizer: Any, job: Job) -> Any:  # noqa: ANN401
    """A trainer whose one "epoch" is the whole plan, read in order, so that a resumed run sees the same batches, and
    several processes together compute the steps of one.
    """
    from datasets import Dataset
    from transformers import PrinterCallback

    packing.use_attention(model, packing.ATTENTION if job.way.packing else packing.PLAIN)
    arguments = _arguments(job, half=_half(model))
    arguments._n_gpu = min(1, arguments.n_gpu)  # one card per process; transformers would split each batch over all
    filler = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else 0
    trainer = _trainer_class(job)(
        model=model,
        args=arguments,
        train_dataset=Dataset.from_list(table(job.rows[:1])),  # TRL looks at its columns; the batches are our own
        eval_dataset=Dataset.from_list(table(job.judge.rows)) if job.judge else None,
        processing_class=tokenizer,
        data_collator=packing.pack if job.way.packing else partial(packing.pad, filler=filler),
        peft_config=_lora(job.settings),
    )
    trainer.model_accepts_loss_kwargs = True  # our loss is divided by the trained tokens of the whole step
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(_reporter(job))
    return trainer


def verify(trainer: Any, rows: Sequence[Row]) -> bool:  # noqa: ANN401
    """Whether the trainer's loss of two rows together is that of each row alone, computed plainly with all logits:
    no row sees another, positions are right and exactly the answers carry the loss.
    """
    import torch

    model, base = trainer.model, trainer.model.get_base_model()
    two = sorted(rows, key=lambda row: len(row.input_ids))[:2]
    try:
        with _evaluating(model), torch.no_grad():
            batch = trainer._prepare_inputs(trainer.data_collator(table(two)))
            together = float(trainer.compute_loss(model, batch))
            packing.use_attention(base, packing.PLAIN)
            alone = sum(plain_loss(model, row) for row in two) / sum(row.trained for row in two)
    except (ValueError, RuntimeError, TypeError):
        return False
    same = _SAME_HALF if _half(base) else _SAME
    return abs(together - alone) <= same * max(1e-3, abs(alone))


@contextmanager
def _evaluating(model: Any) -> Iterator[None]:  # noqa: ANN401
    """A model in evaluation mode; afterwards in the mode and with the attention of before."""
    base, training = model.get_base_model(), model.training
    used = packing.attention_of(base)
    model.eval()
    try:
        yield
    finally:
        packing.use_attention(base, used)
        model.train(training)


def plain_loss(model: Any, row: Row) -> float:  # noqa: ANN401
    """The loss of one row alone, summed over its trained tokens, with all logits computed."""
    import torch

    device = next(model.parameters()).device
    ids = torch.tensor([row.input_ids], device=device)
    wanted = torch.tensor(row.labels, device=device)
    logits = model(input_ids=ids, use_cache=False).logits[0].float()
    loss = torch.nn.functional.cross_entropy(logits[:-1], wanted[1:], ignore_index=IGNORED, reduction="sum")
    return float(loss)


def _half(model: Any) -> bool:  # noqa: ANN401
    return str(model.dtype) == "torch.bfloat16"


def _lora(settings: TuningSection) -> Any:  # noqa: ANN401
    from peft import LoraConfig

    return LoraConfig(
        r=settings.rank,
        lora_alpha=2 * settings.rank,
        lora_dropout=0.0,
        target_modules="all-linear",
        bias="none",
        task_type="CAUSAL_LM",
        use_dora=settings.dora,
    )


def _arguments(job: Job, *, half: bool) -> Any:  # noqa: ANN401
    import torch
    from trl import SFTConfig

    steps, settings = job.plan.steps, job.settings
    cuda = torch.cuda.is_available()
    extra: dict[str, object] = {"save_steps": min(50, max(5, steps // 10))}
    if job.judge:
        look = looks_every(steps, math.ceil(steps / job.plan.passes))
        extra = {
            "eval_strategy": "steps",
            "eval_steps": look,
            "save_steps": look,
            "load_best_model_at_end": True,
            "metric_for_best_model": KEY,
            "greater_is_better": True,
            "prediction_loss_only": True,
        }
    return SFTConfig(
        output_dir=job.work,
        num_train_epochs=1,
        per_device_train_batch_size=job.way.micro_batch,
        gradient_accumulation_steps=job.way.accumulation,
        train_sampling_strategy="sequential",
        learning_rate=job.rate,
        lr_scheduler_type="linear",
        warmup_steps=max(1, round(0.06 * steps)),
        weight_decay=0.0,
        max_grad_norm=1.0,
        seed=settings.seed,
        data_seed=settings.seed,
        ddp_find_unused_parameters=False,
        ddp_broadcast_buffers=False,
        save_strategy="steps",
        save_total_limit=2,
        logging_strategy="steps",
        logging_steps=1,
        report_to="none",
        disable_tqdm=True,
        use_cpu=not cuda,
        bf16=half,
        activation_checkpointing=job.way.checkpointing,  # TRL switches it on by default
        dataloader_num_workers=0,
        dataloader_pin_memory=False,
        max_length=None,
        dataset_kwargs={"skip_prepare_dataset": True},
        **extra,
    )


def _trainer_class(job: Job) -> Any:  # noqa: ANN401
    """SFTTrainer that reads the plan's batches, computes logits only where an answer is predicted, and looks at held-out examples by having them
    answered.

    TRL's fused head scores every position of a batch on a processor; on rows of 150 tokens with answers of 40 that
    is a quarter of the time of a small model. The loss is the same mean over trained tokens.
    """
    import torch
    from torch.utils.data import DataLoader
    from trl import SFTTrainer

    judge, group = job.judge, job.group

    class AnswerTrainer(SFTTrainer):  # type: ignore[misc]
        control: Any

        def get_train_dataloader(self) -> Any:  # noqa: ANN401
            mine = batches(job.plan, job.way, job.settings.batch_size, group)
            return DataLoader(Rows(job.rows), batch_sampler=mine, collate_fn=self.data_collator)

        def compute_loss(
            self,
            model: Any,  # noqa: ANN401
            inputs: dict[str, Any],
            return_outputs: bool = False,
            num_items_in_batch: Any = None,  # noqa: ANN401
        ) -> Any:  # noqa: ANN401
            if return_outputs:
                return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
            labels = inputs["labels"]
            keep = (labels[:, 1:] != IGNORED).any(dim=0).nonzero().flatten()
            if not len(keep):  # a process whose part of a step has no row: a loss of zero, whose gradients are zero
                keep = keep.new_zeros(1)
            wanted = labels[:, keep + 1]
            shown = {name: inputs[name] for name in packing.INPUTS if name in inputs}
            if packing.keeps_logits(self.accelerator.unwrap_model(model).get_base_model()):
                logits = model(input_ids=inputs["input_ids"], use_cache=False, logits_to_keep=keep, **shown).logits
            else:
                logits = model(input_ids=inputs["input_ids"], use_cache=False, **shown).logits[:, keep]
            total = torch.nn.functional.cross_entropy(
                logits.float().flatten(0, 1), wanted.flatten(), ignore_index=IGNORED, reduction="sum"
            )
            if num_items_in_batch is None:
                return total / (wanted != IGNORED).sum()
            scale = self.accelerator.num_processes if self.args.average_tokens_across_devices else 1
            return total / num_items_in_batch * scale  # gradients are averaged over processes

        def _save_rng_state(self, output_dir: str) -> None:
            super()._save_rng_state(output_dir)
            group.wait()  # the first process then writes what makes the checkpoint count as whole

        def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:  # noqa: ANN401
            """Score and loss on the held-out examples, shared out among the processes; all come to the same."""
            assert judge is not None
            model = self.accelerator.unwrap_model(self.model)
            base = model.get_base_model()
            device = next(model.parameters()).device.type
            # bfloat16 base, float32 adapter
            with _evaluating(model), torch.autocast(device, dtype=torch.bfloat16, enabled=_half(base)):
                lost = self._held_out_loss(group.share(judge.rows))
                packing.use_attention(base, packing.PLAIN)
                scores = group.join(judge.shared(group.share).scores(model, self.processing_class))
            loss = sum(group.gather(lost)) / sum(row.trained for row in judge.rows)
            score = sum(scores) / len(scores)
            decides = choice(self.state.log_history, score, loss, len(scores))
            metrics = {"eval_loss": loss, "eval_score": score, KEY: decides}
            self.log(metrics)
            self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
            return metrics

        def _held_out_loss(self, rows: Sequence[Row]) -> float:
            total, size = 0.0, max(1, self.args.per_device_train_batch_size)
            with torch.no_grad():
                for start in range(0, len(rows), size):
                    part = rows[start : start + size]
                    batch = self._prepare_inputs(self.data_collator(table(part)))
                    unwrapped = self.accelerator.unwrap_model(self.model)
                    total += float(self.compute_loss(unwrapped, batch)) * sum(row.trained for row in part)
            return total

        def create_model_card(self, *_: Any, **__: Any) -> None:  # noqa: ANN401
            """None: a checkpoint is not a published model."""

    return AnswerTrainer


def _reporter(job: Job) -> Any:  # noqa: ANN401
    from transformers import TrainerCallback

    steps, progress = job.plan.steps, job.progress

    class Reporter(TrainerCallback):  # type: ignore[misc]
        """Smoothed loss, score and time left after each step; ends a run that gets no better or has diverged."""

        def __init__(self) -> None:
            self.began: tuple[int, float] | None = None
            self.loss: float | None = None

        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ANN401
            self.began = (state.global_step, time.monotonic())

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ANN401
            if job.judge and state.global_step >= state.max_steps:  # the end counts, wherever the looks fall
                control.should_evaluate = control.should_save = True

        def on_evaluate(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ANN401
            if should_stop(state.log_history, job.settings.patience):
                control.should_training_stop = True

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:  # noqa: ANN401
            if self.began is None or not logs or not ("loss" in logs or KEY in logs):
                return
            if "loss" in logs:
                now = float(logs["loss"])
                if now != now:
                    control.should_training_stop = True
                self.loss = now if self.loss is None else 0.9 * self.loss + 0.1 * now
            if progress is None or self.loss is None or "loss" not in logs:
                return
            done = max(1, state.global_step - self.began[0])
            left = (time.monotonic() - self.began[1]) / done * (steps - state.global_step)
            scores = [float(entry["eval_score"]) for entry in state.log_history if "eval_score" in entry]
            last, best = (scores[-1], max(scores)) if scores else (None, None)
            progress(Progress(state.global_step, steps, self.loss, left, last, best))

    return Reporter()
