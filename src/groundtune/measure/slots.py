"""Which parts of a form are filled in? The slots of an accepted output (JSON fields, ``Label:`` lines, headings,
【labels】) that an output has and fills too, whatever it writes into them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from groundtune.measure.format import parse_lenient, parse_strict
from groundtune.text.normalise import fold, squeeze

_LABEL = re.compile(
    r"^[ \t]*(?:#{1,6}[ \t]+(?P<head>[^\n]+?)[ \t#]*$|[【［〔](?P<box>[^】］〕\n]{1,40})[】］〕]|"
    r"(?:[-*+•・■◆●▪□]\s*|\d{1,2}[.)、]\s*)?(?:\*\*|__)?(?P<label>[^\s:：*#|][^:：\n|]{0,39}?)(?:\*\*|__)?\s*[:：](?!//)(?:\*\*|__)?)",
    re.MULTILINE,
)


def slot_coverage(target: str, output: str) -> float | None:
    """Share of the target's filled slots that are filled in the output; None when the target has none."""
    gold = parse_strict(target)
    if gold.found and isinstance(gold.value, dict | list):
        wanted, given = set(_paths(gold.value)), set(_paths(parse_lenient(output).value))
    else:
        wanted, given = set(_labels(target)), set(_labels(output))
    return len(wanted & given) / len(wanted) if wanted else None


def _labels(text: str) -> Iterator[str]:
    """Labels with something after them before the next label."""
    found = list(_LABEL.finditer(text))
    for at, match in enumerate(found):
        end = found[at + 1].start() if at + 1 < len(found) else len(text)
        if text[match.end() : end].strip(" \t\n*_-#"):
            yield squeeze(fold(match["head"] or match["box"] or match["label"]))


def _paths(value: Any, path: str = "") -> Iterator[str]:  # noqa: ANN401 - any JSON
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _paths(item, f"{path}/{key}")
    elif isinstance(value, list):
        for item in value:
            yield from _paths(item, f"{path}[]")
    elif value is not None and value != "":
        yield path
