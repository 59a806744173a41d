"""Rules that an output keeps or breaks, checked without a judge, strictly and loosely as in IFEval (Zhou et al., arXiv
2311.07911): strictly means the output as it is; loosely, one of eight variants without its first line, its last line,
both, and each of these without asterisks.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from groundtune.errors import ConfigError
from groundtune.measure.scorers import tokens
from groundtune.text.scripts import language_of
from groundtune.text.sentences import sentence_spans

_COUNTS: dict[str, Callable[[str], int]] = {
    "words": lambda text: len(tokens(text)),
    "characters": lambda text: len(text.strip()),
    "sentences": lambda text: len(sentence_spans(text)),
    "lines": lambda text: sum(bool(line.strip()) for line in text.splitlines()),
    "paragraphs": lambda text: len([p for p in re.split(r"\n\s*\n", text.strip()) if p.strip()]),
    "bullets": lambda text: len(re.findall(r"^\s*(?:[-*•・]|\d+[.)、])\s*\S", text, re.MULTILINE)),
    "headings": lambda text: len(re.findall(r"^#{1,6}\s*\S", text, re.MULTILINE)),
}
_COMPARE: dict[str, Callable[[int, int], bool]] = {
    "<=": operator.le, ">=": operator.ge, "=": operator.eq, "<": operator.lt, ">": operator.gt,
}  # fmt: skip
_TESTS: dict[str, Callable[[str, str], bool]] = {
    "contains": lambda text, wanted: wanted.casefold() in text.casefold(),
    "without": lambda text, wanted: wanted.casefold() not in text.casefold(),
    "starts": lambda text, wanted: text.strip().startswith(wanted),
    "ends": lambda text, wanted: text.strip().endswith(wanted),
    "matches": lambda text, wanted: re.search(wanted, text, re.MULTILINE) is not None,
    "language": lambda text, wanted: f"{language_of(text)}-".casefold().startswith(f"{wanted}-".casefold()),
}
_COUNTED = re.compile(rf"({'|'.join(_COUNTS)})\s*(<=|>=|=|<|>)\s*(\d+)")
FORMS = (*(f"{name} <= 60" for name in list(_COUNTS)[:2]), "bullets = 3", *(f"{name}: …" for name in _TESTS))


@dataclass(frozen=True)
class Rule:
    """One rule as it is written in the settings and the check that it stands for."""

    text: str
    kept: Callable[[str], bool]


@dataclass(frozen=True)
class RuleScores:
    """All rules kept (0 or 1), and the share that was kept, strictly and loosely: IFEval's four numbers for one output.
    Its instruction-level means weigh every rule alike, so they are the means of the shares where all outputs have as
    many rules.
    """

    strict: float
    loose: float
    share_strict: float
    share_loose: float


def parse_rules(written: Sequence[str]) -> tuple[Rule, ...]:
    """``words <= 60``, ``contains: Regards`` and so on. Raises ``ConfigError`` for one that cannot be read."""
    return tuple(map(_rule, written))


def check_rules(output: str, rules: Sequence[Rule]) -> RuleScores:
    """An empty output keeps no rule. Raises ValueError without rules."""
    if not rules:
        raise ValueError("no rules to check")
    strict = [bool(output.strip()) and rule.kept(output) for rule in rules]
    loose = [any(bool(variant.strip()) and rule.kept(variant) for variant in variants(output)) for rule in rules]
    return RuleScores(float(all(strict)), float(all(loose)), sum(strict) / len(rules), sum(loose) / len(rules))


def variants(output: str) -> tuple[str, ...]:
    """IFEval's eight readings of an output."""
    lines = output.split("\n")
    cut = (output, "\n".join(lines[1:]).strip(), "\n".join(lines[:-1]).strip(), "\n".join(lines[1:-1]).strip())
    return (*cut, *(text.replace("*", "") for text in cut))


def _rule(written: str) -> Rule:
    counted = _COUNTED.fullmatch(written.strip())
    if counted:
        count, compare, bound = _COUNTS[counted[1]], _COMPARE[counted[2]], int(counted[3])
        return Rule(written, lambda text: compare(count(text), bound))
    name, colon, wanted = written.partition(":")
    test, wanted = _TESTS.get(name.strip()), wanted.strip()
    if not colon or test is None or not wanted:
        raise ConfigError("measure.rule_form", rule=written, forms=", ".join(FORMS))
    if name.strip() == "matches":
        try:
            re.compile(wanted)
        except re.error as error:
            raise ConfigError("measure.rule_pattern", rule=written, reason=error) from error
    return Rule(written, lambda text: test(text, wanted))
