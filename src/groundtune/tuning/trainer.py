"""TRL's SFTTrainer in the smallest configuration: rows in a fixed order, loss on the trained positions only."""

from __future__ import annotations

import inspect
import math
import time
from collections.abc import Callable, Sequence
from typing import Any

from groundtune.config import TuningSection
from groundtune.tuning.plan import Plan, Progress
from groundtune.tuning.rows import IGNORED, Row


def make_trainer(
    model: Any,  # noqa: ANN401
    tokenizer: Any,  # noqa: ANN401
    built: Sequence[Row],
    checked: Sequence[Row],
    plan: Plan,
    settings: TuningSection,
    rate: float,
    work: str,
    progress: Callable[[Progress], None] | None,
    patience: int,
) -> Any:  # noqa: ANN401
    """A trainer whose one "epoch" is the whole plan, read in order, so that a resumed run sees the same batches."""
    from datasets import Dataset
    from transformers import EarlyStoppingCallback, PrinterCallback

    dataset = Dataset.from_list(_table(built)).select(plan.order)
    watched = Dataset.from_list(_table(checked)) if checked else None
    trainer = _trainer_class()(
        model=model,
        args=_arguments(plan, settings, rate, work, len(built), half=_half(model), watched=bool(checked)),
        train_dataset=dataset,
        eval_dataset=watched,
        processing_class=tokenizer,
        peft_config=_lora(settings),
        callbacks=[EarlyStoppingCallback(early_stopping_patience=patience)] if checked else None,
    )
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(_reporter(plan.steps, progress))
    return trainer


def _half(model: Any) -> bool:  # noqa: ANN401
    return str(model.dtype) == "torch.bfloat16"


def _table(built: Sequence[Row]) -> list[dict[str, list[int]]]:
    return [{"input_ids": list(row.input_ids), "labels": list(row.labels)} for row in built]


def _lora(settings: TuningSection) -> Any:  # noqa: ANN401
    from peft import LoraConfig

    return LoraConfig(
        r=settings.rank,
        lora_alpha=2 * settings.rank,
        lora_dropout=0.0,
        target_modules="all-linear",
        bias="none",
        task_type="CAUSAL_LM",
    )


def _arguments(
    plan: Plan, settings: TuningSection, rate: float, work: str, rows: int, *, half: bool, watched: bool
) -> Any:  # noqa: ANN401
    import torch
    from trl import SFTConfig

    per_pass = max(1, math.ceil(rows / settings.batch_size))
    cuda = torch.cuda.is_available()
    stop_early: dict[str, object] = {"save_steps": min(50, max(5, plan.steps // 10))}
    if watched:
        stop_early = {
            "eval_strategy": "steps",
            "eval_steps": per_pass,
            "save_steps": per_pass,
            "load_best_model_at_end": True,
            "metric_for_best_model": "eval_loss",
            "greater_is_better": False,
            "prediction_loss_only": True,
        }
    return SFTConfig(
        output_dir=work,
        num_train_epochs=1,
        per_device_train_batch_size=settings.batch_size,
        per_device_eval_batch_size=settings.batch_size,
        train_sampling_strategy="sequential",
        learning_rate=rate,
        lr_scheduler_type="linear",
        warmup_steps=max(1, round(0.06 * plan.steps)),
        weight_decay=0.0,
        max_grad_norm=1.0,
        seed=settings.seed,
        data_seed=settings.seed,
        save_strategy="steps",
        save_total_limit=2,
        logging_strategy="steps",
        logging_steps=1,
        report_to="none",
        disable_tqdm=True,
        use_cpu=not cuda,
        bf16=half,
        gradient_checkpointing=False,
        dataloader_num_workers=0,
        dataloader_pin_memory=False,
        max_length=None,
        dataset_kwargs={"skip_prepare_dataset": True},
        **stop_early,
    )


def _trainer_class() -> Any:  # noqa: ANN401
    """SFTTrainer that computes logits only where an answer is predicted.

    TRL's fused head scores every position of a batch on a processor; on rows of 150 tokens with answers of 40 that
    is a quarter of the time of a small model. The loss is the same mean over trained tokens.
    """
    import torch
    from trl import SFTTrainer

    class AnswerTrainer(SFTTrainer):  # type: ignore[misc]
        def compute_loss(
            self,
            model: Any,  # noqa: ANN401
            inputs: dict[str, Any],
            return_outputs: bool = False,
            num_items_in_batch: Any = None,  # noqa: ANN401
        ) -> Any:  # noqa: ANN401
            forward = self.accelerator.unwrap_model(model).get_base_model().forward
            if return_outputs or "logits_to_keep" not in inspect.signature(forward).parameters:
                return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
            labels = inputs["labels"]
            keep = (labels[:, 1:] != IGNORED).any(dim=0).nonzero().flatten()
            wanted = labels[:, keep + 1]
            logits = model(
                input_ids=inputs["input_ids"],
                attention_mask=inputs["attention_mask"],
                use_cache=False,
                logits_to_keep=keep,
            ).logits
            total = torch.nn.functional.cross_entropy(
                logits.float().flatten(0, 1), wanted.flatten(), ignore_index=IGNORED, reduction="sum"
            )
            return total / (num_items_in_batch if num_items_in_batch is not None else (wanted != IGNORED).sum())

        def create_model_card(self, *_: Any, **__: Any) -> None:  # noqa: ANN401
            """None: a checkpoint is not a published model."""

    return AnswerTrainer


def _reporter(steps: int, progress: Callable[[Progress], None] | None) -> Any:  # noqa: ANN401
    from transformers import TrainerCallback

    class Reporter(TrainerCallback):  # type: ignore[misc]
        """Smoothed loss and time left after each step."""

        def __init__(self) -> None:
            self.began: tuple[int, float] | None = None
            self.loss: float | None = None

        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ANN401
            self.began = (state.global_step, time.monotonic())

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:  # noqa: ANN401
            if progress is None or self.began is None or not logs or "loss" not in logs:
                return
            now = float(logs["loss"])
            self.loss = now if self.loss is None else 0.9 * self.loss + 0.1 * now
            done = max(1, state.global_step - self.began[0])
            left = (time.monotonic() - self.began[1]) / done * (steps - state.global_step)
            progress(Progress(state.global_step, steps, self.loss, left))

    return Reporter()
