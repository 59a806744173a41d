"""What the base model's own tokenizer and chat template would make of the examples, before anything is trained.

Each check is a trap that was measured in TRL 1.16 or reported by users: loss on the prompt or on nothing, no end token,
answers cut off, rows dropped, special tokens inside a text, a system prompt that the template swallows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from groundtune.errors import TrainingError
from groundtune.tuning.findings import Finding, at
from groundtune.tuning.rows import IGNORED, Row, decode, row_of, same_text, special_tokens, template_text
from groundtune.types import Example

_RULES = {
    "tuning.no_template": "no_template", "tuning.no_end_token": "no_end_at_all",
    "tuning.template_changes": "template_changes", "tuning.template_refuses": "template_refuses",
}  # fmt: skip
_ONCE = {"no_template", "no_end_at_all"}


def check_template(examples: Sequence[Example], tokenizer: Any, max_tokens: int) -> list[Finding]:  # noqa: ANN401
    """Findings for every example; those about the template itself once. ``max_tokens`` limits prompt and answer."""
    found = [*_end(tokenizer), *_own_mask(examples, tokenizer)]
    for example in examples:
        if not example.target.strip():
            continue  # said elsewhere
        special = next((t for m in example.messages for t in special_tokens(tokenizer) if t and t in m.content), None)
        if special is not None:
            found.append(at(example, "special_in_text", "error", token=special))
            continue
        try:
            row = row_of(example, tokenizer)
        except TrainingError as error:
            rule = _RULES.get(error.key, "template_refuses")
            if rule in _ONCE:
                return [*found, Finding(rule, "error")]
            found.append(at(example, rule, "error", **{k: v for k, v in error.params.items() if k != "id"}))
            continue
        found += _lengths(example, row, max_tokens)
        problem = mask_problem(row.input_ids, row.labels, example, tokenizer)
        if problem is not None:
            found.append(at(example, problem, "error"))
        if _system_lost(example, tokenizer):
            found.append(at(example, "system_lost", "warning"))
    return found


def mask_problem(
    input_ids: Sequence[int],
    labels: Sequence[int],
    example: Example,
    tokenizer: Any,  # noqa: ANN401
) -> str | None:
    """What is wrong with a loss mask (-100 means: not trained), as the name of a rule; None when exactly the answer and
    an end token are trained. Works for masks of any trainer.
    """
    trained = [label for label in labels if label != IGNORED]
    if not trained:
        return "mask_nothing"
    text = decode(tokenizer, trained)
    last = decode(tokenizer, trained[-1:])
    if last in special_tokens(tokenizer):
        text = decode(tokenizer, trained[:-1])
        if not text.strip():
            return "mask_nothing"
    else:
        return "mask_no_end" if same_text(text, example.target) else _wrong(text, example)
    return None if same_text(text, example.target) else _wrong(text, example)


def _wrong(text: str, example: Example) -> str:
    return "mask_prompt" if example.target.strip() and example.target.strip() in text else "mask_cut"


def _lengths(example: Example, row: Row, max_tokens: int) -> list[Finding]:
    tokens = len(row.input_ids)
    if tokens <= max_tokens:
        return []
    prompt = tokens - row.trained
    if prompt >= max_tokens:
        return [at(example, "prompt_too_long", "error", prompt=prompt, max_tokens=max_tokens)]
    cut = tokens - max_tokens
    return [at(example, "answer_cut", "error", tokens=tokens, max_tokens=max_tokens, cut=cut, answer=row.trained)]


def _end(tokenizer: Any) -> list[Finding]:  # noqa: ANN401
    if not getattr(tokenizer, "chat_template", None):
        return []
    turns = [{"role": "user", "content": "x"}, {"role": "assistant", "content": "ANSWER"}]
    try:
        after = template_text(tokenizer, turns).rpartition("ANSWER")[2]
    except TrainingError:
        return []  # the examples will say why
    return (
        []
        if any(token and token in after for token in special_tokens(tokenizer))
        else [Finding("no_end_token", "info")]
    )


def _own_mask(examples: Sequence[Example], tokenizer: Any) -> list[Finding]:  # noqa: ANN401
    """Whether the template's own ``{% generation %}`` marks cover the answers: trainers that rely on them train on
    nothing otherwise. groundtune does not use them.
    """
    template = getattr(tokenizer, "chat_template", None)
    example = next((e for e in examples if e.target.strip()), None)
    if example is None or not isinstance(template, str):
        return []
    if "generation %}" not in template.replace("-", " "):
        return [Finding("template_unmarked", "info")]
    turns = [message.as_dict() for message in example.messages]
    try:
        table = tokenizer.apply_chat_template(turns, return_dict=True, return_assistant_tokens_mask=True)
        ids, mask = list(table["input_ids"]), list(table["assistant_masks"])
    except Exception:  # a template written in another dialect: nothing can be said about its marks
        return []
    return [] if any(mask[-len(ids) :]) else [Finding("template_unmarked", "info")]


def _system_lost(example: Example, tokenizer: Any) -> bool:  # noqa: ANN401
    systems = [m.content.strip() for m in example.messages if m.role == "system" and m.content.strip()]
    if not systems:
        return False
    whole = template_text(tokenizer, [message.as_dict() for message in example.messages])
    return any(system not in whole for system in systems)
