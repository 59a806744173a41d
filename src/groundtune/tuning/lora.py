"""LoRA with PEFT and TRL: rows that we tokenised, a fixed plan of batches, checkpoints, resume, reuse.

Defaults by size of model and data, from the recipe measurements of the project: adapters on every linear layer,
alpha = 2 r, no dropout (a resumed run must not depend on random numbers), linear decay after a short warm-up.
The base is computed in bfloat16 where the machine is faster that way (9 M parameters, AVX-512 BF16, one thread,
8 x 150 tokens forward and backward: 0.66 s against 0.89 s), the adapter is kept and stepped in float32.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from groundtune.config import TuningSection
from groundtune.errors import TrainingError
from groundtune.registry import missing
from groundtune.tuning import adapters, rows
from groundtune.tuning.base import base_path, data_digest, training_digest
from groundtune.tuning.data import require_enough
from groundtune.tuning.plan import Progress, make_plan
from groundtune.types import Adapter, Example

SMALL = 50_000_000  # parameters; smaller models need larger steps


class LoraTrainer:
    """Fills ``ports.Trainer``. ``held_out`` switches early stopping on: the loss on them is measured once per pass
    and training ends after ``patience`` passes without a better one, keeping the best adapter.
    """

    def __init__(
        self,
        settings: TuningSection | None = None,
        *,
        progress: Callable[[Progress], None] | None = None,
        held_out: Sequence[Example] = (),
        patience: int = 2,
        threads: int = 1,
        minimum: int = 10,
    ) -> None:
        self.settings = settings or TuningSection()
        self.progress = progress
        self.held_out = tuple(held_out)
        self.patience = patience
        self.threads = threads
        self.minimum = minimum

    def preflight(self, examples: Sequence[Example], base: str) -> rows.Preflight:
        """What would be trained on, without training. Raises what ``train`` would raise for the data."""
        require_enough(examples, self.minimum)
        tokenizer = load_tokenizer(base)
        built = rows.build_rows(examples, tokenizer, self.limit(base))
        plan = make_plan([len(row.input_ids) for row in built], self.settings)
        return rows.preflight(built, tokenizer, passes=plan.passes, steps=plan.steps)

    def lengths(self, examples: Sequence[Example], base: str) -> list[int]:
        """Tokens of each example with its end token, as trained."""
        tokenizer = load_tokenizer(base)
        return [rows.length(example, tokenizer) for example in examples]

    def limit(self, base: str) -> int:
        """The longest row in tokens: ``tuning.max_tokens``, or what the model's positions allow."""
        config = _load("AutoConfig").from_pretrained(base_path(base))
        positions = getattr(config, "max_position_embeddings", None)
        return min(self.settings.max_tokens, positions) if isinstance(positions, int) else self.settings.max_tokens

    def train(self, examples: Sequence[Example], *, base: str, out: str) -> Adapter:
        """Train on ``examples`` and write a PEFT folder with tokenizer and ``adapter.json`` to ``out``.

        A finished adapter of the same data, base and settings is returned as it is; an interrupted run of them goes
        on from its last checkpoint; anything else in ``out`` is replaced. Raises ``DataError`` for fewer examples
        than ``minimum`` and ``TrainingError`` as ``rows.build_rows`` does.
        """
        require_enough(examples, self.minimum)
        digest = training_digest(examples, base, self.settings, self.held_out)
        folder = Path(out)
        finished = adapters.read(folder)
        if finished is not None and finished.digest == digest:
            return finished
        tokenizer = load_tokenizer(base)
        built = rows.build_rows(examples, tokenizer, self.limit(base))
        checked = rows.build_rows(self.held_out, tokenizer, self.limit(base))
        work = _workspace(folder, digest)
        started = time.monotonic()
        with _quiet(self.threads):
            model, loss, steps = self._run(built, checked, tokenizer, base, work)
            _save(model, tokenizer, folder, rows.end_tokens(built))
        settings = {**asdict(self.settings), "rows": len(built), "steps": steps, "data_digest": data_digest(examples)}
        adapter = Adapter(str(folder), base, digest, settings, time.monotonic() - started, loss)
        adapters.write(folder, adapter)
        shutil.rmtree(work, ignore_errors=True)
        return adapter

    def _run(
        self,
        built: Sequence[rows.Row],
        checked: Sequence[rows.Row],
        tokenizer: Any,  # noqa: ANN401
        base: str,
        work: Path,
    ) -> tuple[Any, float, int]:
        from peft.helpers import disable_input_dtype_casting

        from groundtune.tuning.trainer import make_trainer

        model = load_base(base)
        size = sum(parameter.numel() for parameter in model.parameters())
        plan = make_plan([len(row.input_ids) for row in built], self.settings)
        rate = self.settings.learning_rate or (1.5e-3 if size < SMALL else 2e-4)
        trainer = make_trainer(
            model, tokenizer, built, checked, plan, self.settings, rate, str(work), self.progress, self.patience
        )

        with disable_input_dtype_casting(trainer.model):  # autocast casts; a second cast to float32 only costs time
            trainer.train(resume_from_checkpoint=last_checkpoint(work))
        losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
        tail = losses[-max(1, len(losses) // 10) :]
        if not tail or any(loss != loss for loss in tail):
            raise TrainingError("tuning.diverged", rate=rate)
        return trainer.model, sum(tail) / len(tail), trainer.state.global_step


def last_checkpoint(work: Path) -> str | None:
    """The newest checkpoint that was written completely (``trainer_state.json`` is written last)."""
    found = [path for path in work.glob("checkpoint-*") if path.name.rpartition("-")[2].isdigit()]
    for path in sorted(found, key=lambda path: -int(path.name.rpartition("-")[2])):
        try:
            json.loads((path / "trainer_state.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            shutil.rmtree(path, ignore_errors=True)
            continue
        return str(path)
    return None


def load_tokenizer(base: str) -> Any:  # noqa: ANN401
    """The base model's tokenizer. Raises ``TrainingError`` when it cannot be read."""
    return _pretrained("AutoTokenizer", base)


def load_base(base: str, *, half: bool | None = None) -> Any:  # noqa: ANN401
    """The base model for training, in bfloat16 where that is fast (``half`` decides otherwise) and float32 elsewhere.
    The adapter is float32 in both cases.
    """
    import torch

    dtype = torch.bfloat16 if (bfloat16_is_fast() if half is None else half) else torch.float32
    return _pretrained("AutoModelForCausalLM", base, dtype=dtype)


@cache
def bfloat16_is_fast() -> bool:
    """True on an accelerator, and on a processor whose bfloat16 products take less than two thirds of the time."""
    import torch

    if torch.cuda.is_available():
        return True
    best = []
    for dtype in (torch.bfloat16, torch.float32):
        matrix = torch.ones(512, 512, dtype=dtype)
        times = []
        for _ in range(6):
            started = time.perf_counter()
            torch.mm(matrix, matrix)
            times.append(time.perf_counter() - started)
        best.append(min(times))
    return best[0] < best[1] / 1.5


def _pretrained(kind: str, base: str, **options: Any) -> Any:  # noqa: ANN401
    path = base_path(base)
    try:
        return _load(kind).from_pretrained(path, **options)
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise TrainingError("tuning.base_unreadable", base=base, reason=reason) from error


def _load(kind: str) -> Any:  # noqa: ANN401
    try:
        import transformers
    except ModuleNotFoundError as error:
        raise missing(error, "groundtune tune") from error
    return getattr(transformers, kind)


def _workspace(folder: Path, digest: str) -> Path:
    """``folder/checkpoints`` for this digest; what another run left in ``folder`` is removed first."""
    work = folder / "checkpoints"
    note = work / "digest"
    if not (note.is_file() and note.read_text(encoding="utf-8") == digest):
        shutil.rmtree(folder, ignore_errors=True)
        work.mkdir(parents=True)
        temporary = work / "digest.tmp"
        temporary.write_text(digest, encoding="utf-8")
        os.replace(temporary, note)
    return work


def _save(model: Any, tokenizer: Any, folder: Path, ends: Sequence[int]) -> None:  # noqa: ANN401
    model.save_pretrained(str(folder), save_embedding_layers=False)
    tokenizer.save_pretrained(str(folder))
    generation = model.get_base_model().generation_config
    known = generation.eos_token_id
    known = known if isinstance(known, list) else [known] if known is not None else []
    table = {"eos_token_id": [*known, *(end for end in ends if end not in known)]}
    (folder / "generation_config.json").write_text(json.dumps(table, indent=1), encoding="utf-8")


@contextmanager
def _quiet(threads: int) -> Iterator[None]:
    """One thread unless asked (two are slower on a busy machine for small models), no library chatter."""
    import warnings

    import torch
    from transformers.utils import logging

    before, verbosity = torch.get_num_threads(), logging.get_verbosity()
    torch.set_num_threads(threads)
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        torch.set_num_threads(before)
        logging.set_verbosity(verbosity)
