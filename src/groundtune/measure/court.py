"""``compare --judge``: a model judges answers too, one by one and in pairs; how well it agrees with people is said.

Its verdicts decide nothing: they are one more measure, beside those that need no judge. Two answers are compared twice,
in both orders, since models prefer a place; a verdict that goes with the place counts as a tie.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from groundtune import registry
from groundtune.config import Config
from groundtune.measure.agreement import agreement, trusted
from groundtune.measure.answering import Asking
from groundtune.measure.bench import Bench
from groundtune.measure.cache import cache_key
from groundtune.measure.contrasts import best_by_success
from groundtune.measure.format import parse_lenient
from groundtune.measure.items import Item
from groundtune.measure.labels import Labels, load_labels, write_sheet
from groundtune.measure.results import Agreement, ApproachResult, Duel, ItemResult, JudgeReport
from groundtune.measure.stats import paired_p
from groundtune.measure.summary import metrics_of
from groundtune.messages import say
from groundtune.ports import Model
from groundtune.text.control import neutralise
from groundtune.types import Answer, Document, Example, Message, Question, Usage

_TOKENS = 60


@dataclass(frozen=True)
class Judging:
    """Which model judges, and the file with what people think (None: nobody was asked)."""

    model: str
    labels: Path | None = None


class _Bar:
    """The judging model as an approach, so that it is asked, kept, priced and counted like any other."""

    name = "judge"

    def __init__(self, model: Model, system: str, schema: Mapping[str, Any]) -> None:
        self._model, self._system, self._schema = model, system, schema

    def fit(self, documents: Sequence[Document], examples: Sequence[Example]) -> None:
        """Nothing to prepare."""

    def answer(self, question: Question) -> Answer:
        messages = (Message("system", self._system), Message("user", neutralise(question.text)))
        wrote = self._model.generate(messages, max_tokens=_TOKENS, schema=self._schema)
        return Answer(wrote.text, usage=wrote.usage, seconds=wrote.seconds, model=wrote.model)


class Court:
    """Judges one comparison."""

    def __init__(self, judging: Judging, model: Model, labels: Labels, language: str) -> None:
        self._judging, self._model, self._labels, self._language = judging, model, labels, language
        self._calls = self._errors = 0
        self._usage = Usage()

    @classmethod
    def open(cls, judging: Judging, config: Config) -> Court:
        """Raises ``SpecError``, ``MissingExtra``, ``ModelUnreachable`` or ``DataError`` before anything is asked."""
        labels = load_labels(judging.labels) if judging.labels else Labels()
        return cls(judging, registry.load("model", judging.model), labels, config.project.language)

    def sit(self, bench: Bench, results: Sequence[ApproachResult]) -> tuple[list[ApproachResult], JudgeReport]:
        """The results with ``judged_right``, and what else was judged. Raises what asking raises."""
        judged = [self._pointwise(bench, result) for result in results]
        duels = self._duels(bench, judged)
        found = self._agreement(bench)
        if self._judging.labels and not self._judging.labels.is_file():
            write_sheet(self._judging.labels, judged)
        report = JudgeReport(
            model=self._judging.model,
            calls=self._calls,
            input_tokens=self._usage.input_tokens,
            output_tokens=self._usage.output_tokens,
            dollars=bench.meter.price(self._judging.model, self._usage),
            trusted=trusted(found),
            errors=self._errors,
            agreement=found,
            duels=duels,
        )
        return judged, report

    def _pointwise(self, bench: Bench, result: ApproachResult) -> ApproachResult:
        """Right or wrong, for every answered question that has an answer; a refusal is wrong without asking."""
        asked = [i for i in result.items if _judgeable(i) and not i.abstained]
        said = self._ask(bench, "judge_right", [_rating(i.question, (i.expected,), i.output) for i in asked])
        verdicts = {item.id: verdict == "true" for item, verdict in zip(asked, said, strict=True) if verdict}

        def scored(item: ItemResult) -> ItemResult:
            if not _judgeable(item):
                return item
            value = 0.0 if item.abstained else float(verdicts[item.id]) if item.id in verdicts else None
            return replace(item, scores={**item.scores, "judged_right": value})

        if not result.items:
            return result
        items = tuple(map(scored, result.items))
        found = metrics_of([i for i in items if not i.error], seed=bench.config.compare.seed)
        own = {"judged_right": found["judged_right"]} if "judged_right" in found else {}
        return replace(result, items=items, metrics={**result.metrics, **own})

    def _duels(self, bench: Bench, results: Sequence[ApproachResult]) -> tuple[Duel, ...]:
        """The leader by success against every other approach."""
        best = best_by_success(results)
        others = [r for r in results if r.items and best is not None and r.name != best.name]
        return tuple(self._duel(bench, best, other) for other in others) if best is not None else ()

    def _duel(self, bench: Bench, a: ApproachResult, b: ApproachResult) -> Duel:
        twins = {i.id: i for i in b.items if _judgeable(i)}
        pairs = [(i, twins[i.id]) for i in a.items if _judgeable(i) and i.id in twins]
        differ = [(x, y) for x, y in pairs if x.output.strip() != y.output.strip()]
        said = self._both_orders(bench, [(x.question, (x.expected,), x.output, y.output) for x, y in differ])
        wins = [float(verdict == "a") for verdict in said if verdict]
        losses = [float(verdict == "b") for verdict in said if verdict]
        groups = [x.group for (x, _), verdict in zip(differ, said, strict=True) if verdict]
        won, lost, flips = int(sum(wins)), int(sum(losses)), said.count("flip")
        ties = sum(verdict in ("same", "flip") for verdict in said) + len(pairs) - len(differ)
        p_value = paired_p(wins, losses, groups) if wins else 1.0
        return Duel(a.name, b.name, won, lost, ties, flips, p_value)

    def _both_orders(self, bench: Bench, pairs: Sequence[tuple[str, tuple[str, ...], str, str]]) -> list[str]:
        """``a``, ``b``, ``same``, ``flip`` when the verdict went with the place, or empty where the judge failed."""
        there = self._ask(bench, "judge_better", [_pairing(q, golds, a, b) for q, golds, a, b in pairs])
        back = self._ask(bench, "judge_better", [_pairing(q, golds, b, a) for q, golds, a, b in pairs])
        return [_consistent(first, second) for first, second in zip(there, back, strict=True)]

    def _agreement(self, bench: Bench) -> Agreement | None:
        """With people, on the ratings and on the comparisons that they made."""
        rated, compared = self._labels.rated, self._labels.compared
        said = self._ask(bench, "judge_right", [_rating(r.question, r.accepted, r.answer) for r in rated])
        pairs = [(verdict, str(r.right).lower()) for verdict, r in zip(said, rated, strict=True) if verdict]
        both = self._both_orders(bench, [(c.question, c.accepted, c.a, c.b) for c in compared])
        both = ["same" if verdict == "flip" else verdict for verdict in both]
        pairs += [(verdict, c.better) for verdict, c in zip(both, compared, strict=True) if verdict]
        if not pairs:
            return None
        return agreement([p for p, _ in pairs], [h for _, h in pairs], seed=bench.config.compare.seed)

    def _ask(self, bench: Bench, kind: str, texts: Sequence[str]) -> list[str]:
        """The judge's word on each text, empty where it failed or said something else."""
        if not texts:
            return []
        system, schema = say(f"measure.{kind}", lang=self._language), _SCHEMAS[kind]
        key = _key(self._judging.model, system)
        asking = Asking(
            _Bar(self._model, system, schema), bench.cache, key, listener=bench.listener, refresh=bench.refresh,
            workers=bench.workers, meter=bench.meter, name="judge", model=self._judging.model,
        )  # fmt: skip
        items = [Item(str(n), "question", str(n), Question(text, id=str(n))) for n, text in enumerate(texts)]
        found: list[str] = []
        for outcome in asking.run(items):
            word = _word(outcome.answer.text, kind) if outcome.answer else ""
            self._calls += 1
            self._errors += not word
            if outcome.answer:
                self._usage += outcome.answer.usage
            found.append(word)
        return found


_SCHEMAS: dict[str, Mapping[str, Any]] = {
    "judge_right": {
        "type": "object",
        "properties": {"right": {"type": "boolean"}},
        "required": ["right"],
        "additionalProperties": False,
    },
    "judge_better": {
        "type": "object",
        "properties": {"better": {"enum": ["1", "2", "same"]}},
        "required": ["better"],
        "additionalProperties": False,
    },
}


def _judgeable(item: ItemResult) -> bool:
    return item.part == "question" and item.answerable and not item.error


def _key(model: str, system: str) -> Callable[[Item], str]:
    return lambda item: cache_key({"judge": model, "system": system, "text": item.question.text})


def _rating(question: str, accepted: Sequence[str], answer: str) -> str:
    return json.dumps({"question": question, "accepted": list(accepted), "answer": answer}, ensure_ascii=False)


def _pairing(question: str, accepted: Sequence[str], first: str, second: str) -> str:
    shown = {"question": question, "accepted": list(accepted), "1": first, "2": second}
    return json.dumps(shown, ensure_ascii=False)


def _word(text: str, kind: str) -> str:
    value = parse_lenient(text).value
    said = value.get(kind.removeprefix("judge_")) if isinstance(value, dict) else None
    if kind == "judge_right":
        return str(said).lower() if isinstance(said, bool) else ""
    return str(said) if str(said) in ("1", "2", "same") else ""


def _consistent(first: str, second: str) -> str:
    """Two verdicts on the same pair, the second with the places changed."""
    if not first or not second:
        return ""
    if first == second and first != "same":
        return "flip"
    return {("1", "2"): "a", ("2", "1"): "b"}.get((first, second), "same")
