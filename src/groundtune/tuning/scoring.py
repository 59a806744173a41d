"""How right is an output? The task's own score on held-out examples, chosen by what their answers look like.

JSON answers: the F1 over their leaves, zero for what is no JSON or breaks the schema. Labels (few different short
answers): exact match. Other texts: token F1 (one token per CJK character, as for question answering).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from groundtune.text.normalise import answer_key, answer_tokens, fold, squeeze

Form = Literal["json", "label", "text"]
_SHARE = 0.9  # of the answers that must have a form
_LABEL_TOKENS = 4


@dataclass(frozen=True)
class Scoring:
    """One way to score; ``schema`` only counts for JSON."""

    form: Form
    schema: Mapping[str, Any] | None = None

    def score(self, target: str, output: str) -> float:
        """A number in [0, 1]."""
        if self.form == "json":
            return json_score(target, output, self.schema)
        if self.form == "label":
            return float(_key(output) == _key(target))
        return token_f1(target, output)


def scoring_for(targets: Sequence[str], schema: Mapping[str, Any] | None = None) -> Scoring:
    """The score that fits most of ``targets``."""
    parsed = sum(isinstance(whole_json(target), dict | list) for target in targets)
    if targets and parsed >= _SHARE * len(targets):
        return Scoring("json", schema)
    short = sum(len(answer_tokens(target)) <= _LABEL_TOKENS for target in targets)
    few = len({_key(target) for target in targets}) <= max(2, len(targets) // 3)
    return Scoring("label" if targets and short >= _SHARE * len(targets) and few else "text")


def json_score(target: str, output: str, schema: Mapping[str, Any] | None = None) -> float:
    """F1 over the leaves: right when the same path holds the same value (case, width and punctuation aside); items of a
    list match in any order. 0 when the whole output is no JSON or does not fit ``schema``.
    """
    found = whole_json(output)
    if found is None and output.strip() != "null":
        return 0.0
    if schema is not None and not fits(schema, found):
        return 0.0
    return _f1(Counter(_leaves(whole_json(target))), Counter(_leaves(found)))


def token_f1(target: str, output: str) -> float:
    """Harmonic mean of precision and recall over the multiset of tokens."""
    gold, given = Counter(answer_tokens(target)), Counter(answer_tokens(output))
    if not gold or not given:
        return float(_key(target) == _key(output))
    return _f1(gold, given)


def _f1(gold: Counter[Any], given: Counter[Any]) -> float:
    return 2.0 * (gold & given).total() / (gold.total() + given.total())


def whole_json(text: str) -> Any:  # noqa: ANN401 - any JSON
    """The JSON value that a whole text is, white space around it aside; None when it is none."""
    try:
        return json.loads(text.strip())
    except (ValueError, RecursionError):
        return None


def fits(schema: Mapping[str, Any], value: Any) -> bool:  # noqa: ANN401 - any JSON
    """Whether a JSON value keeps to a schema (draft 2020-12)."""
    from jsonschema import Draft202012Validator

    try:
        return bool(Draft202012Validator(schema).is_valid(value))
    except RecursionError:
        return False


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, str]]:  # noqa: ANN401
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _leaves(item, f"{path}/{key}")
    elif isinstance(value, list) and value:
        for item in value:
            yield from _leaves(item, f"{path}[]")
    elif isinstance(value, str):
        yield path, f"text {_key(value)}"
    else:
        yield path, json.dumps(value)


def _key(text: str) -> str:
    return answer_key(text) or squeeze(fold(text))
