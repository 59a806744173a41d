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
from groundtune.tuning.group import ALONE, Group, on_cards, open_group, processes
from groundtune.tuning.loading import load_base, load_tokenizer, pretrained, require_four_bit, wants_half
from groundtune.tuning.plan import Plan, Progress, choose_open, make_plan
from groundtune.tuning.preflight import Preflight, report
from groundtune.tuning.quiet import quiet, threads
from groundtune.tuning.scoring import Scoring, scoring_for
from groundtune.tuning.stopping import Judge, Parts, divide
from groundtune.tuning.swap import swapped_rows
from groundtune.tuning.workspace import keep_way, kept_way, last_checkpoint, open_workspace
from groundtune.types import Adapter, Example

__all__ = ["LoraTrainer", "finished_adapter", "load_base", "load_tokenizer"]


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
    scoring: Scoring
    settings: TuningSection  # with what they leave open chosen
    count: int  # rows of one pass; ``built`` may hold other rows for each pass


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
        return self._report(self._ready(examples, base))

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

        Where several processes train together (``group.open_group``), each of them calls this with the same arguments:
        they share the rows of every step, and all return the one adapter.
        """
        require_enough(examples, self.minimum)
        folder, digest = Path(out), training_digest(examples, base, self.settings, self.held_out)
        finished = finished_adapter(folder, digest)
        if finished is not None and processes() == 1:
            return finished
        with quiet("groundtune tune"):
            group = open_group()
            finished = group.agree(finished)
            return finished or self._trained(examples, base, folder, digest, group)

    def _trained(self, examples: Sequence[Example], base: str, folder: Path, digest: str, group: Group) -> Adapter:
        ready = self._ready(examples, base, kept_way(folder, digest), group)
        if self.announce is not None and group.first:
            self.announce(self._report(ready))
        work = open_workspace(folder, digest, group)
        if group.first:
            keep_way(work, ready.way)
        started = time.monotonic()
        with threads(ready.way.threads):
            table = self._run(ready, base, folder, work, group)
        settings = {
            **asdict(self.settings),
            "rank": ready.settings.rank,
            "learning_rate": ready.settings.learning_rate,
            **table,
            "data_digest": data_digest(examples),
        }
        settings["context"] = any("gold_shown" in example.metadata for example in examples)
        adapter = Adapter(str(folder), base, digest, settings, time.monotonic() - started, table["loss"])
        del settings["loss"]
        if group.first:
            adapters.write(folder, adapter)
            if "validation_score" in table:
                scores = {"validation": float(table["validation_score"])}
                adapters.Adapters(folder.parent).record(folder.name, scores)
            shutil.rmtree(work, ignore_errors=True)
        return group.agree(adapter)

    def _ready(
        self, examples: Sequence[Example], base: str, kept: memory.Way | None = None, group: Group = ALONE
    ) -> _Ready:
        settings = self.settings
        tokenizer = load_tokenizer(base)
        if settings.four_bit:
            require_four_bit()
        parts = divide(examples, settings, self.held_out)
        limit = self.limit(base)
        built = rows.build_rows(parts.train, tokenizer, limit)
        checked = rows.build_rows(parts.checked, tokenizer, limit)
        shape = memory.shape_of(base)
        small, count = shape.parameters < memory.SMALL, len(built)
        settings = choose_open(settings, count, small=small)
        if settings.swaps and small:
            built += swapped_rows(parts.train, built, settings, tokenizer, limit)
        way = self._way(shape, settings, built, kept, group)
        plan = make_plan([len(row.input_ids) for row in built], settings, sort=not way.packing, count=count)
        scoring = scoring_for([example.target for example in parts.checked or parts.train], self.schema)
        return _Ready(parts, tokenizer, built, checked, plan, way, shape, scoring, settings, count)

    def _way(
        self,
        shape: memory.Shape,
        settings: TuningSection,
        built: Sequence[rows.Row],
        kept: memory.Way | None,
        group: Group,
    ) -> memory.Way:
        """The same in all processes: what the first one found, within the memory of the one that has least."""
        kept = group.agree(kept)
        if kept is not None and kept.processes == group.size:
            allowed = settings.memory_gb * memory.GIB
            if not 0 < allowed * memory.ROOM < kept.estimate.total:
                return kept
            # it ran out of memory, and whoever starts it again has said so
        sharing = 1 if on_cards() else group.local
        free = self.free if self.free is not None else memory.free_memory(settings, sharing)
        return memory.choose(
            shape, settings, built, half=group.agree(wants_half(settings)),
            threads=group.agree(memory.default_threads(shape)),
            free=min((found for found in group.gather(free) if found is not None), default=None), processes=group.size,
        )  # fmt: skip

    def _report(self, ready: _Ready) -> Preflight:
        return report(
            ready.built[: ready.count], len(ready.checked), ready.tokenizer, ready.plan, ready.way, ready.shape, self.settings,
            ready.settings, ready.scoring.form,
        )  # fmt: skip

    def _run(self, ready: _Ready, base: str, folder: Path, work: Path, group: Group) -> dict[str, Any]:
        from peft.helpers import disable_input_dtype_casting

        try:
            trainer, packed = self._trainer(ready, base, work, group)
            resume = group.agree(last_checkpoint(work) if group.first else None)
            with disable_input_dtype_casting(trainer.model):  # autocast casts; a second cast only costs time
                trainer.train(resume_from_checkpoint=resume)
        except (RuntimeError, MemoryError) as error:
            if not memory.is_out_of_memory(error):
                raise
            need = memory.in_gib(ready.way.estimate.total)
            raise TrainingError("tuning.out_of_memory", need=need, batch=self.settings.batch_size) from error
        log = trainer.state.log_history
        losses = [entry["loss"] for entry in log if "loss" in entry]
        tail = losses[-max(1, len(losses) // 10) :]
        if not tail or any(loss != loss for loss in tail):
            raise TrainingError("tuning.diverged", rate=ready.settings.learning_rate)
        if group.first:
            model = trainer.accelerator.unwrap_model(trainer.model)
            _save(model, ready.tokenizer, folder, rows.end_tokens(ready.built))
        table: dict[str, Any] = {
            "rows": ready.count, "steps": trainer.state.global_step, "passes": ready.plan.passes, "packed": packed,
            "half": ready.way.half, "loss": sum(tail) / len(tail),
        }  # fmt: skip
        return table | _looks(trainer.state, ready)

    def _trainer(self, ready: _Ready, base: str, work: Path, group: Group) -> tuple[Any, bool]:
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
                plan = make_plan([len(row.input_ids) for row in ready.built], ready.settings, count=ready.count)
            progress = self.progress if group.first else None
            rate = ready.settings.learning_rate
            job = Job(ready.built, plan, ready.settings, way, rate, str(work), judge, progress, group)
            trainer = make_trainer(model, ready.tokenizer, job)
            if verify(trainer, ready.built):
                return trainer, packed
        raise TrainingError("tuning.loss_differs", base=base)


def finished_adapter(folder: Path, digest: str) -> Adapter | None:
    """The adapter in ``folder`` if it is whole and of this digest."""
    found = adapters.read(folder)
    return found if found is not None and found.digest == digest else None


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
