"""RAFT rows: a training example with retrieved passages before its question, in exactly the form used at inference.

Recipe: Zhang et al., "RAFT: Adapting Language Model to Domain Specific RAG" (arXiv 2403.10131): for a share P of the
examples the gold passage stands among distractors, for the rest there are distractors only, and the loss is the
ordinary one. Where this departs from the paper: without the gold passage the paper keeps the answer, which teaches
a model to answer from memory; here the target becomes the refusal, when the caller has one, because answers must be
grounded. The distractors are what the retriever found beside the gold passage (hard), not random chunks (easy). The
paper's answers quote the passage between marks; here, when asked for, an answer in words begins with the sentence that
it rests on, word for word and in quotation marks, and answers in JSON stay as their schema wants them.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import replace

from groundtune.text.prompts import Shown, render
from groundtune.text.scripts import cjk_share
from groundtune.text.sentences import enclosing_sentence
from groundtune.tuning.scoring import whole_json
from groundtune.types import Example, Message


def raft_example(
    example: Example,
    gold: Shown | None,
    distractors: Sequence[Shown],
    *,
    keep_gold: bool,
    seed: int,
    refusal: str | None,
    quote: str = "",
) -> Example:
    """``example`` with passages before its last user turn.

    With ``gold`` and ``keep_gold`` the gold passage stands at a random place among ``distractors`` (whose order is
    kept). With ``gold`` but not ``keep_gold`` only the distractors are shown and the target becomes ``refusal`` when
    one is given. Without ``gold`` (the documents do not answer) the distractors are shown and the target stays.
    ``metadata["gold_shown"]`` tells which; ``seed`` and the example's input decide the place. With ``quote``, which must
    stand in the gold passage, an answer in words that is given with that passage begins with it.
    """
    passages = [shown for shown in distractors if gold is None or shown.text != gold.text]
    kept = gold if keep_gold else None
    target = example.target
    if kept is not None:
        place = random.Random(f"{seed}:{example.input}").randint(0, len(passages))
        passages.insert(place, kept)
        target = quoted(target, quote, kept) if quote else target
    elif gold is not None and refusal is not None:
        target = refusal
    messages = (*with_passages(example.prompt, passages), Message("assistant", target))
    return replace(example, messages=messages, metadata={**example.metadata, "gold_shown": kept is not None})


def with_passages(prompt: Sequence[Message], passages: Sequence[Shown]) -> tuple[Message, ...]:
    """The turns with ``passages`` rendered into the last user turn."""
    last = max(i for i, message in enumerate(prompt) if message.role == "user")
    shown = Message("user", render(prompt[last].content, passages))
    return (*prompt[:last], shown, *prompt[last + 1 :])


def quoted(target: str, quote: str, gold: Shown) -> str:
    """``target`` after ``quote`` in quotation marks of its script; as it is when it is JSON, when it quotes already, or
    when the passage does not hold the quote word for word.
    """
    if quote not in gold.text.replace("**", "") or quote in target or isinstance(whole_json(target), dict | list):
        return target
    opening, closing = ("「", "」") if cjk_share(quote) > 0.3 else ("“", "”")
    return f"{opening}{quote}{closing}\n{target}"


def quote_for(gold: Shown, proof: str) -> str:
    """The sentence of the gold passage that holds ``proof`` (an answer or a quote); empty when it is not found."""
    text = gold.text.replace("**", "")
    start = text.find(proof)
    if not proof or start < 0:
        return ""
    span = enclosing_sentence(text, start, start + len(proof))
    return text[span.start : span.end].strip()


def refusal_like(target: str) -> str | None:
    """A refusal in the form of an answer: the same JSON object with null everywhere; None for an answer in words."""
    value = whole_json(target)
    return json.dumps(dict.fromkeys(value), ensure_ascii=False) if isinstance(value, dict) and value else None
