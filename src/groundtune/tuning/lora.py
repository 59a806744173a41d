"""LoRA with PEFT and TRL: rows that we tokenised, a fixed plan of batches, checkpoints, resume, reuse.

Defaults by size of model and data, from the recipe measurements of the project: adapters on every linear layer,
alpha = 2 r, no dropout (a resumed run must not depend on random numbers), linear decay after a short warm-up.
The base is computed in bfloat16 where the machine is faster that way (9 M parameters, AVX-512 BF16, one thread,
8 x 150 tokens forward and backward: 0.66 s against 0.89 s), the adapter is kept and stepped in float32.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from groundtune.config import TuningSection
from groundtune.errors import TrainingError
from groundtune.tuning import adapters, memory, packing, rows
from groundtune.tuning.adapter_files import token_ids
from groundtune.tuning.base import data_digest, training_digest
from groundtune.tuning.data import require_enough
from groundtune.tuning.loading import load_base, load_tokenizer, pretrained, require_four_bit, wants_half
from groundtune.tuning.plan import Plan, Progress, make_plan
from groundtune.tuning.preflight import Preflight, report
from groundtune.tuning.quiet import quiet, threads
from groundtune.tuning.scoring import Scoring, scoring_for
from groundtune.tuning.stopping import Judge, Parts, divide
from groundtune.tuning.workspace import first_process, keep_way, kept_way, last_checkpoint, open_workspace, processes
from groundtune.types import Adapter, Example

__all__ = ["LoraTrainer", "load_base", "load_tokenizer"]


@dataclass(frozen=True)
class _Ready:
    """What is known before the first step."""

    parts: Parts
    tokenizer: Any
    built: tuple[rows.Row, ...]
    checked: tuple[rows.Row, ...]
    plan: Plan
    way: memory.Way
    shape: memory.Shape
    rate: float
    scoring: Scoring


class LoraTrainer:
    """Fills ``ports.Trainer``. Part of the examples (``tuning.validation``), or ``held_out`` when given, choose the
    checkpoint by the task's score and end the training after ``tuning.patience`` looks without a better one; JSON
    answers must fit ``schema``. ``announce`` hears what will be trained before the first step; ``free`` is the memory
    that may be used in bytes (default: as measured).
    """

    def __init__(
        self,
        settings: TuningSection | None = None,
        *,
        progress: Callable[[Progress], None] | None = None,
        announce: Callable[[Preflight], None] | None = None,
        held_out: Sequence[Example] = (),
        schema: Mapping[str, Any] | None = None,
        minimum: int = 10,
        free: float | None = None,
    ) -> None:
        self.settings = settings or TuningSection()
        self.progress = progress
        self.announce = announce
        self.held_out = tuple(held_out)
        self.schema = schema
        self.minimum = minimum
        self.free = free

    def preflight(self, examples: Sequence[Example], base: str) -> Preflight:
        """What would be trained on, without training. Raises what ``train`` would raise for the data."""
        require_enough(examples, self.minimum)
        return self._report(self._ready(examples, base, None))

    def lengths(self, examples: Sequence[Example], base: str) -> list[int]:
        """Tokens of each example with its end token, as trained."""
        tokenizer = load_tokenizer(base)
        return [rows.length(example, tokenizer) for example in examples]

    def limit(self, base: str) -> int:
        """The longest row in tokens: ``tuning.max_tokens``, or what the model's positions allow."""
        positions = getattr(pretrained("AutoConfig", base), "max_position_embeddings", None)
        return min(self.settings.max_tokens, positions) if isinstance(positions, int) else self.settings.max_tokens

    def train(self, examples: Sequence[Example], *, base: str, out: str) -> Adapter:
        """Train on ``examples`` and write a PEFT folder with tokenizer and ``adapter.json`` to ``out``.

        A finished adapter of the same data, base and settings is returned as it is; an interrupted run of them goes
        on from its last checkpoint; anything else in ``out`` is replaced. Raises ``DataError`` for fewer examples
        than ``minimum`` and ``TrainingError`` as ``rows.build_rows`` does, and where memory is too small.
        """
        require_enough(examples, self.minimum)
        digest = training_digest(examples, base, self.settings, self.held_out)
        folder = Path(out)
        finished = adapters.read(folder)
        if finished is not None and finished.digest == digest:
            return finished
        ready = self._ready(examples, base, kept_way(folder, digest))
        if self.announce is not None and first_process():
            self.announce(self._report(ready))
        work = open_workspace(folder, digest)
        if first_process():
            keep_way(work, ready.way)
        started = time.monotonic()
        with quiet("groundtune tune"), threads(ready.way.threads):
            table = self._run(ready, base, folder, work)
        settings = {**asdict(self.settings), **table, "data_digest": data_digest(examples)}
        settings["context"] = any("gold_shown" in example.metadata for example in examples)
        adapter = Adapter(str(folder), base, digest, settings, time.monotonic() - started, table["loss"])
        del settings["loss"]
        if first_process():
            adapters.write(folder, adapter)
            if "validation_score" in table:
                scores = {"validation": float(table["validation_score"])}
                adapters.Adapters(folder.parent).record(folder.name, scores)
            shutil.rmtree(work, ignore_errors=True)
        return adapter

    def _ready(self, examples: Sequence[Example], base: str, kept: memory.Way | None) -> _Ready:
        settings = self.settings
        tokenizer = load_tokenizer(base)
        if settings.four_bit:
            require_four_bit()
        parts = divide(examples, settings, self.held_out)
        limit = self.limit(base)
        built = rows.build_rows(parts.train, tokenizer, limit)
        checked = rows.build_rows(parts.checked, tokenizer, limit)
        shape = memory.shape_of(base)
        allowed = settings.memory_gb * memory.GIB
        if kept is not None and 0 < allowed * memory.ROOM < kept.estimate.total:
            kept = None  # it ran out of memory, and whoever starts it again has said so
        way = kept or memory.choose(
            shape, settings, built, half=wants_half(settings), threads=memory.default_threads(shape),
            free=self.free if self.free is not None else memory.free_memory(settings), processes=processes(),
        )  # fmt: skip
        plan = make_plan([len(row.input_ids) for row in built], settings, sort=not way.packing)
        rate = settings.learning_rate or (1.5e-3 if shape.parameters < memory.SMALL else 2e-4)
        scoring = scoring_for([example.target for example in parts.checked or parts.train], self.schema)
        return _Ready(parts, tokenizer, built, checked, plan, way, shape, rate, scoring)

    def _report(self, ready: _Ready) -> Preflight:
        return report(
            ready.built, len(ready.checked), ready.tokenizer, ready.plan, ready.way, ready.shape, self.settings,
            ready.rate, ready.scoring.form,
        )  # fmt: skip

    def _run(self, ready: _Ready, base: str, folder: Path, work: Path) -> dict[str, Any]:
        from peft.helpers import disable_input_dtype_casting

        try:
            trainer, packed = self._trainer(ready, base, work)
            with disable_input_dtype_casting(trainer.model):  # autocast casts; a second cast only costs time
                trainer.train(resume_from_checkpoint=last_checkpoint(work))
        except (RuntimeError, MemoryError) as error:
            if not memory.is_out_of_memory(error):
                raise
            need = memory.in_gib(ready.way.estimate.total)
            raise TrainingError("tuning.out_of_memory", need=need, batch=self.settings.batch_size) from error
        log = trainer.state.log_history
        losses = [entry["loss"] for entry in log if "loss" in entry]
        tail = losses[-max(1, len(losses) // 10) :]
        if not tail or any(loss != loss for loss in tail):
            raise TrainingError("tuning.diverged", rate=ready.rate)
        if trainer.accelerator.is_main_process:
            _save(
                trainer.accelerator.unwrap_model(trainer.model), ready.tokenizer, folder, rows.end_tokens(ready.built)
            )
        trainer.accelerator.wait_for_everyone()
        table: dict[str, Any] = {
            "rows": len(ready.built), "steps": trainer.state.global_step, "passes": ready.plan.passes, "packed": packed,
            "half": ready.way.half, "loss": sum(tail) / len(tail),
        }  # fmt: skip
        return table | _looks(trainer.state, ready)

    def _trainer(self, ready: _Ready, base: str, work: Path) -> tuple[Any, bool]:
        """The trainer, and whether rows are packed: they are not where the model's settings or its losses speak against
        it. Raises ``TrainingError`` when even padded rows do not give the loss that each row has alone.
        """
        from groundtune.tuning.trainer import Job, make_trainer, verify

        longest = max(len(row.input_ids) for row in ready.built)
        judge = None
        if ready.checked:
            ends = rows.end_tokens(ready.built)
            judge = Judge(ready.parts.checked, ready.checked, ready.scoring, ends)
        for packed in (True, False) if ready.way.packing else (False,):
            model = load_base(base, half=ready.way.half, four_bit=self.settings.four_bit)
            if packed and not packing.can_pack(model, longest):
                continue
            way = replace(ready.way, packing=packed)
            plan = ready.plan
            if packed != ready.way.packing:  # padding is saved by batches of like length
                plan = make_plan([len(row.input_ids) for row in ready.built], self.settings)
            progress = self.progress if first_process() else None
            job = Job(ready.built, plan, self.settings, way, ready.rate, str(work), judge, progress)
            trainer = make_trainer(model, ready.tokenizer, job)
            if verify(trainer, ready.built):
                return trainer, packed
        raise TrainingError("tuning.loss_differs", base=base)


def _looks(state: Any, ready: _Ready) -> dict[str, Any]:  # noqa: ANN401
    """What the held-out examples said about the checkpoint that was kept."""
    looks = [entry for entry in state.log_history if "eval_score" in entry]
    if not looks:
        return {}
    best = max(looks, key=lambda entry: entry["eval_choice"])
    return {
        "checked": len(ready.checked), "best_step": best["step"], "validation_score": round(best["eval_score"], 6),
        "validation_loss": round(best["eval_loss"], 6), "score_form": ready.scoring.form,
        "looks": [[entry["step"], round(entry["eval_score"], 4), round(entry["eval_loss"], 4)] for entry in looks],
    }  # fmt: skip


def _save(model: Any, tokenizer: Any, folder: Path, ends: Sequence[int]) -> None:  # noqa: ANN401
    model.save_pretrained(str(folder), save_embedding_layers=False)
    tokenizer.save_pretrained(str(folder))
    generation = model.get_base_model().generation_config
    known = token_ids(generation.eos_token_id)
    table = {"eos_token_id": [*known, *(end for end in ends if end not in known)]}
    (folder / "generation_config.json").write_text(json.dumps(table, indent=1), encoding="utf-8")
