"""RAFT rows: a training example with retrieved passages before its question, in exactly the form used at inference.

Recipe: Zhang et al., "RAFT: Adapting Language Model to Domain Specific RAG" (arXiv 2403.10131): for a share P of the
examples the gold passage stands among distractors, for the rest there are distractors only, and the loss is the
ordinary one. Where this departs from the paper: without the gold passage the paper keeps the answer, which teaches
a model to answer from memory; here the target becomes the refusal, when the caller has one, because answers must be
grounded. The distractors are what the retriever found beside the gold passage (hard), not random chunks (easy).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

from groundtune.text.prompts import Shown, render
from groundtune.types import Example, Message


def raft_example(
    example: Example,
    gold: Shown | None,
    distractors: Sequence[Shown],
    *,
    keep_gold: bool,
    seed: int,
    refusal: str | None,
) -> Example:
    """``example`` with passages before its last user turn.

    With ``gold`` and ``keep_gold`` the gold passage stands at a random place among ``distractors`` (whose order is
    kept). With ``gold`` but not ``keep_gold`` only the distractors are shown and the target becomes ``refusal`` when
    one is given. Without ``gold`` (the documents do not answer) the distractors are shown and the target stays.
    ``metadata["gold_shown"]`` tells which; ``seed`` and the example's input decide the place.
    """
    passages = [shown for shown in distractors if gold is None or shown.text != gold.text]
    shown_gold = gold is not None and keep_gold
    if gold is not None and keep_gold:
        place = random.Random(f"{seed}:{example.input}").randint(0, len(passages))
        passages.insert(place, gold)
    target = refusal if gold is not None and not keep_gold and refusal is not None else example.target
    messages = (*with_passages(example.prompt, passages), Message("assistant", target))
    return replace(example, messages=messages, metadata={**example.metadata, "gold_shown": shown_gold})


def with_passages(prompt: Sequence[Message], passages: Sequence[Shown]) -> tuple[Message, ...]:
    """The turns with ``passages`` rendered into the last user turn."""
    last = max(i for i, message in enumerate(prompt) if message.role == "user")
    shown = Message("user", render(prompt[last].content, passages))
    return (*prompt[:last], shown, *prompt[last + 1 :])
