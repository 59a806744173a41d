"""Answers that do not do what most do: form, JSON fields and types, schema, language, script, empty or white space."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from groundtune.text.scripts import language_of
from groundtune.text.tokenise import reading_units
from groundtune.tuning.facts import json_values
from groundtune.tuning.findings import Finding, at, clip
from groundtune.types import Example

_USUAL = 0.7  # what this share of the answers does is the rule that the others break
_LETTERS = 4  # a language needs some letters to be told from another
_FENCE = re.compile(r"^```[\w-]*\n.*\n```$", re.DOTALL)
_LIST = re.compile(r"^\s*(?:[-*•・]|\d+[.)、．])\s*\S")
# Characters of one script only, frequent enough to show which script a text is written in.
_SIMPLIFIED = frozenset(
    "们这为国说对时会过发还进个么没东车门问间见觉让应该实现样经给变级组织线练总结续维护单据标准备导师电脑网络软开关请书员务产业区质量长与"
)
_TRADITIONAL = frozenset(
    "們這為國說對時會過發還進個麼沒東車門問間見覺讓應該實現樣經給變級組織線練總結續維護單據標準備導師電腦網絡軟開關請書員務產業區質長與"
)
_BOTH = "准据"  # simplified forms that Traditional Chinese writes as well (核准, 拮据)
_ONLY_SIMPLIFIED = _SIMPLIFIED - _TRADITIONAL - set(_BOTH)
_ONLY_TRADITIONAL = _TRADITIONAL - _SIMPLIFIED


def form_of(text: str) -> str:
    """``json_object``, ``json_array``, ``fenced`` (a Markdown code block), ``table``, ``list`` or ``text``."""
    stripped = text.strip()
    value = parsed(stripped)
    if isinstance(value, dict):
        return "json_object"
    if isinstance(value, list):
        return "json_array"
    if _FENCE.match(stripped):
        return "fenced"
    lines = [line for line in stripped.splitlines() if line.strip()]
    if len(lines) >= 2 and all(line.strip().startswith("|") for line in lines):
        return "table"
    if len(lines) >= 2 and sum(bool(_LIST.match(line)) for line in lines) > len(lines) / 2:
        return "list"
    return "text"


def parsed(text: str) -> Any:  # noqa: ANN401 - any JSON value
    """The JSON object or array that the whole text is, None otherwise."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict | list) else None


def answers(examples: Sequence[Example], max_tokens: int, *, counted: bool) -> list[Finding]:
    """Empty answers and, unless a tokenizer counts them elsewhere (``counted``), answers that are too long for sure."""
    found = []
    for example in examples:
        target = example.target
        if not target.strip():
            found.append(at(example, "empty_answer", "error"))
            continue
        tokens = len(reading_units(target))
        if not counted and tokens > max_tokens:
            found.append(at(example, "too_long", "error", tokens=tokens, max_tokens=max_tokens))
        if target != target.strip():
            found.append(at(example, "edges", "info"))
    return found


def forms(examples: Sequence[Example], schema: Mapping[str, Any] | None = None) -> list[Finding]:
    """The minority form with what it looks like; JSON that does not parse, other fields, other types, other schema."""
    kinds = [form_of(example.target) for example in examples]
    found = []
    for example, kind, usual, share in minority(examples, kinds):
        shown = {"found_kind": kind, "usual_kind": usual, "share": f"{share:.0%}", "excerpt": clip(example.target)}
        broken = usual.startswith("json") and kind == "text" and example.target.strip()[:1] in ("{", "[")
        found.append(
            at(example, "broken_json" if broken else "mixed_format", "error" if broken else "warning", **shown)
        )
    objects = [(e, value) for e in examples if isinstance(value := parsed(e.target), dict)]
    return found + _fields(objects) + (_schema(examples, schema) if schema else [])


def _fields(objects: Sequence[tuple[Example, dict[str, Any]]]) -> list[Finding]:
    found = []
    names = [", ".join(sorted(value)) for _, value in objects]
    for example, fields, usual, _ in minority([example for example, _ in objects], names):
        found.append(at(example, "mixed_keys", "warning", found=fields or "-", usual=usual))
    for key in sorted({key for _, value in objects for key in value}):
        having = [(example, value[key]) for example, value in objects if value.get(key) is not None]
        types = [_type(value) for _, value in having]
        for example, kind, usual, _ in minority([example for example, _ in having], types):
            found.append(at(example, "mixed_types", "warning", field=key, found_kind=kind, usual_kind=usual))
    return found


def _type(value: object) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    return "string" if isinstance(value, str) else "json_array" if isinstance(value, list) else "json_object"


def _schema(examples: Sequence[Example], schema: Mapping[str, Any]) -> list[Finding]:
    from jsonschema import Draft202012Validator

    validator = Draft202012Validator(schema)
    found = []
    for example in examples:
        value = parsed(example.target)
        if value is None:
            continue
        error = next(iter(sorted(validator.iter_errors(value), key=lambda e: [str(part) for part in e.path])), None)
        if error is not None:
            place = "/".join(str(part) for part in error.absolute_path) or "/"
            found.append(at(example, "breaks_schema", "error", place=place, reason=clip(error.message, 100)))
    return found


def languages(examples: Sequence[Example]) -> list[Finding]:
    """Answers in another language than most, and answers that mix Simplified and Traditional characters."""
    texts = [(example, _prose(example.target)) for example in examples]
    spoken = [(e, language) for e, _ in texts if (language := spoken_language(e.target))]
    found = [
        at(example, "mixed_language", "warning", found=language, usual=usual, share=f"{share:.0%}")
        for example, language, usual, share in minority([e for e, _ in spoken], [language for _, language in spoken])
    ]
    for example, text in texts:
        if language_of(text) == "ja":  # Japanese has characters of both
            continue
        simplified = {c for c in text if c in _ONLY_SIMPLIFIED}
        traditional = {c for c in text if c in _ONLY_TRADITIONAL}
        if simplified and traditional:
            params = {"simplified": "".join(sorted(simplified)[:5]), "traditional": "".join(sorted(traditional)[:5])}
            found.append(at(example, "mixed_script", "warning", **params))
    return found


def spoken_language(target: str) -> str:
    """Language of an answer (of the values of a JSON answer), empty when there are too few letters to tell."""
    text = _prose(target)
    known = sum(c.isalpha() for c in text) >= _LETTERS
    return language_of(text.translate(dict.fromkeys(map(ord, _BOTH)))) if known else ""


def _prose(target: str) -> str:
    """The text that a reader sees: string values of a JSON answer, the answer itself otherwise."""
    return " ".join(json_values(target)) if parsed(target) is not None else target


def minority(items: Sequence[Example], kinds: Sequence[str]) -> list[tuple[Example, str, str, float]]:
    """Items that do not do what most do, when there is such a rule: item, its kind, the usual kind and its share."""
    if not kinds:
        return []
    usual, count = Counter(kinds).most_common(1)[0]
    share = count / len(kinds)
    if share < _USUAL:
        return []
    return [(item, kind, usual, share) for item, kind in zip(items, kinds, strict=True) if kind != usual]
