"""Examples to token rows, tokenised here so that exactly the answer and its end token are trained on.

TRL 1.16 silently trains on the prompt of ``messages`` rows, never adds an end token that the chat template lacks,
cuts long answers and drops rows whose prompt is too long. A row that is built and checked here has none of that.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from groundtune.errors import TrainingError
from groundtune.text.normalise import squeeze
from groundtune.tuning.data import line_of
from groundtune.types import Example

IGNORED = -100


@dataclass(frozen=True)
class Row:
    """Token ids of prompt, answer and end token; the last ``trained`` of them carry the loss."""

    id: str
    line: int
    input_ids: tuple[int, ...]
    trained: int

    @property
    def labels(self) -> tuple[int, ...]:
        """``input_ids`` with the prompt masked by -100."""
        return (IGNORED,) * (len(self.input_ids) - self.trained) + self.input_ids[-self.trained :]


def build_rows(examples: Iterable[Example], tokenizer: Any, max_tokens: int) -> tuple[Row, ...]:  # noqa: ANN401
    """One row per example. Raises ``TrainingError`` naming the example when it is longer than ``max_tokens`` tokens,
    when the chat template changes the answer, or when there is no end token to learn.
    """
    rows = tuple(row_of(example, tokenizer) for example in examples)
    long = [row for row in rows if len(row.input_ids) > max_tokens]
    if long:
        worst = max(long, key=lambda row: len(row.input_ids))
        raise TrainingError(
            "tuning.too_long", count=len(long), id=worst.id, tokens=len(worst.input_ids), max_tokens=max_tokens
        )
    return rows


def length(example: Example, tokenizer: Any) -> int:  # noqa: ANN401
    """Tokens of prompt, answer and end token."""
    return len(row_of(example, tokenizer).input_ids)


def end_tokens(rows: Sequence[Row]) -> tuple[int, ...]:
    """The ids that end an answer, as trained."""
    return tuple(sorted({row.input_ids[-1] for row in rows}))


def row_of(example: Example, tokenizer: Any) -> Row:  # noqa: ANN401
    """The row of one example. Raises ``TrainingError`` as ``build_rows`` does, length aside."""
    if not getattr(tokenizer, "chat_template", None):
        raise TrainingError("tuning.no_template")
    if not example.target.strip():  # a trainer would learn to end at once
        raise TrainingError("tuning.empty_target", id=example.id)
    turns = [message.as_dict() for message in example.messages]
    try:
        prompt = template_text(tokenizer, turns[:-1], add_generation_prompt=True)
        whole = template_text(tokenizer, turns)
    except _Refused as refused:
        reason = refused.params["reason"]
        raise TrainingError("tuning.template_refuses", id=example.id, reason=reason) from None
    prompt_ids = _encode(tokenizer, prompt)
    whole_ids = _encode(tokenizer, whole)
    if whole_ids[: len(prompt_ids)] == prompt_ids:
        completion = whole_ids[len(prompt_ids) :]
    elif whole.startswith(prompt):
        completion = _encode(tokenizer, whole[len(prompt) :])
    else:  # the template writes a finished turn differently from the start of one (e.g. an empty reasoning block)
        completion = _encode(tokenizer, example.target)
    completion = _ended(completion, tokenizer)
    answer = decode(tokenizer, completion[:-1])
    if not same_text(answer, example.target):
        raise TrainingError("tuning.template_changes", id=example.id, answer=answer[:80], target=example.target[:80])
    return Row(example.id, line_of(example), (*prompt_ids, *completion), len(completion))


class _Refused(TrainingError):
    """The chat template raised, e.g. because two user turns follow each other."""


def template_text(tokenizer: Any, turns: list[dict[str, str]], **options: bool) -> str:  # noqa: ANN401
    """The chat as the template writes it. Raises ``TrainingError`` with the template's own reason."""
    try:
        return str(tokenizer.apply_chat_template(turns, tokenize=False, **options))
    except Exception as error:  # jinja2's errors and whatever the template's own code raises
        reason = squeeze(str(error))[:160] or type(error).__name__
        raise _Refused("tuning.template_refuses", id="-", reason=reason) from error


def special_tokens(tokenizer: Any) -> tuple[str, ...]:  # noqa: ANN401
    """Texts of the tokens that mark turns and ends."""
    added = getattr(tokenizer, "added_tokens_decoder", {})
    marked = [str(token) for token in added.values() if getattr(token, "special", False)]
    return tuple(dict.fromkeys([*map(str, tokenizer.all_special_tokens), *marked]))


def _ended(completion: list[int], tokenizer: Any) -> list[int]:  # noqa: ANN401
    """Up to and including the last end token; the tokenizer's own is added when the template writes none."""
    special = set(tokenizer.all_special_ids) | {
        number for number, token in tokenizer.added_tokens_decoder.items() if token.special
    }
    for index in range(len(completion) - 1, -1, -1):
        if completion[index] in special:
            return completion[: index + 1]
        if decode(tokenizer, completion[index : index + 1]).strip():
            break
    if tokenizer.eos_token_id is None:
        raise TrainingError("tuning.no_end_token")
    return [*completion, int(tokenizer.eos_token_id)]


def same_text(answer: str, target: str) -> bool:
    """Equal, or equal after what tokenizers and templates commonly do: NFKC and trimmed white space."""
    return answer == target or squeeze(unicodedata.normalize("NFKC", answer)) == squeeze(
        unicodedata.normalize("NFKC", target)
    )


def _encode(tokenizer: Any, text: str) -> list[int]:  # noqa: ANN401
    return [int(number) for number in tokenizer(text, add_special_tokens=False)["input_ids"]]


def decode(tokenizer: Any, ids: Sequence[int]) -> str:  # noqa: ANN401
    """The text of token ids, special tokens included."""
    return str(tokenizer.decode(list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False))
