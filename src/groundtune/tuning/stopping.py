"""When to stop and which checkpoint to keep: by the task's own score on examples that are not trained on.

The loss on held-out examples can rise while answers get better (Zhou et al., LIMA, arXiv 2305.11206), so it decides only
between checkpoints whose scores are at most one answer apart, which is chance. What decides is computed from the log that a
checkpoint carries, so that a resumed run stops where an uninterrupted one would.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from groundtune.config import TuningSection
from groundtune.tuning.rows import Row, decode
from groundtune.tuning.scoring import Scoring
from groundtune.tuning.split import split_examples
from groundtune.types import Example

FEWEST = 100  # below it every example is trained on
MOST = 40  # enough to choose a checkpoint by; each one costs an answer at every look
LOOKS = 6  # at most so many looks in a run: with 40 answers each, more took a quarter of a small model's training
KEY = "eval_choice"
_ROOM = 16  # tokens that an answer may be longer than the longest right one


@dataclass(frozen=True)
class Parts:
    """What is trained on and what chooses the checkpoint (may be empty)."""

    train: tuple[Example, ...]
    checked: tuple[Example, ...]


def divide(examples: Sequence[Example], settings: TuningSection, given: Sequence[Example] = ()) -> Parts:
    """``tuning.validation`` of the examples, at most 40, whole documents at a time, when there are 100 or more;
    ``given`` ones instead when there are any.
    """
    if given:
        return Parts(tuple(examples), tuple(given))
    if settings.validation <= 0 or len(examples) < FEWEST:
        return Parts(tuple(examples), ())
    share = min(settings.validation, MOST / len(examples))
    split = split_examples(examples, share, settings.seed)
    if not 0 < len(split.held_out) <= 2 * share * len(examples):  # one document holds too much
        return Parts(tuple(examples), ())
    return Parts(split.train, split.held_out)


def looks_every(steps: int, per_pass: int) -> int:
    """Steps between two looks: once per pass, and less often where that were more than ``LOOKS``."""
    return max(1, per_pass, -(-steps // LOOKS))


def choice(history: Sequence[Mapping[str, Any]], score: float, loss: float, checked: int) -> float:
    """What is maximised, as a number that is larger than all in a trainer's log when this look is the best so far: its score
    is within one of ``checked`` answers of the highest, and its loss smaller than that of the best before it, or that
    one's score has fallen out of this range.
    """
    looks = [entry for entry in history if KEY in entry]
    if not looks:
        return 0.0
    best = max(looks, key=lambda entry: float(entry[KEY]))
    least = max(score, *(float(entry["eval_score"]) for entry in looks)) - (1 + 1e-9) / checked
    better = score >= least and (loss < float(best["eval_loss"]) or float(best["eval_score"]) < least)
    return float(best[KEY]) + (1.0 if better else -1.0)


def should_stop(history: Sequence[Mapping[str, Any]], patience: int) -> bool:
    """True when the last ``patience`` looks in a trainer's log brought nothing better than an earlier one."""
    looks = [float(entry[KEY]) for entry in history if KEY in entry]
    return len(looks) > patience and max(looks[-patience:]) <= max(looks[:-patience])


@dataclass(frozen=True)
class Judge:
    """Has a model answer held-out examples and scores what it wrote."""

    examples: tuple[Example, ...]
    rows: tuple[Row, ...]
    scoring: Scoring
    ends: tuple[int, ...]
    batch: int = 16
    longest: int = 0  # trained tokens of the longest row, where these are a part of the examples

    def shared(self, share: Callable[[Sequence[Any]], Sequence[Any]]) -> Judge:
        """The same for a part of the examples (may be none)."""
        return replace(
            self, examples=tuple(share(self.examples)), rows=tuple(share(self.rows)), longest=_longest(self.rows)
        )

    def scores(self, model: Any, tokenizer: Any) -> list[float]:  # noqa: ANN401
        """A score in [0, 1] per example, in their order."""
        texts = write(model, tokenizer, self.rows, self.ends, self.batch, self.longest)
        return [self.scoring.score(example.target, text) for example, text in zip(self.examples, texts, strict=True)]


def write(
    model: Any,  # noqa: ANN401
    tokenizer: Any,  # noqa: ANN401
    rows: Sequence[Row],
    ends: Sequence[int],
    batch: int = 16,
    longest: int = 0,
) -> list[str]:
    """Greedy answers to the prompts of ``rows``, prompts of like length together, filled up on the left; somewhat longer
    than the longest right one (``longest`` tokens, where ``rows`` are a part) they may be.
    """
    import torch

    texts = [""] * len(rows)
    order = sorted(range(len(rows)), key=lambda index: len(rows[index].input_ids) - rows[index].trained)
    filler = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else ends[0]
    most = (longest or _longest(rows)) + _ROOM
    device = next(model.parameters()).device
    for start in range(0, len(order), batch):
        part = order[start : start + batch]
        prompts = [rows[index].input_ids[: -rows[index].trained] for index in part]
        width = max(map(len, prompts))
        ids = torch.tensor([[filler] * (width - len(p)) + list(p) for p in prompts], device=device)
        mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts], device=device)
        with torch.no_grad():
            wrote = model.generate(
                input_ids=ids, attention_mask=mask, max_new_tokens=most, do_sample=False,
                eos_token_id=list(ends), pad_token_id=filler,
            )  # fmt: skip
        for index, answer in zip(part, wrote[:, width:].tolist(), strict=True):
            stop = next((place for place, token in enumerate(answer) if token in ends), len(answer))
            texts[index] = decode(tokenizer, answer[:stop])
    return texts


def _longest(rows: Sequence[Row]) -> int:
    """Tokens of the longest answer, at most twice what nine of ten need: one very long answer must not let every wrong
    one run on.
    """
    sizes = sorted(row.trained for row in rows)
    return min(sizes[-1], 2 * sizes[9 * len(sizes) // 10])
