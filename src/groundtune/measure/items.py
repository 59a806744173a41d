"""One item and one answer to one ``ItemResult``: every metric that applies, and the label of what went wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from groundtune.measure.attribution import Facts, Shown, attribute
from groundtune.measure.citations import VersionText, citation_scores, quote_verbatim
from groundtune.measure.format import (
    FormatCheck,
    HouseFormat,
    Parsed,
    extract_field,
    field_scores,
    parse_lenient,
    parse_strict,
    same_value,
)
from groundtune.measure.freshness import old_answer
from groundtune.measure.instructions import RuleScores
from groundtune.measure.plugins import foreign_scores
from groundtune.measure.results import ItemResult, Part, Quote
from groundtune.measure.retrieval import EvidenceRank, evidence_place, evidence_shown, holds
from groundtune.measure.scorers import answer_in_output, exact_match, same_answer, token_f1
from groundtune.measure.slots import slot_coverage
from groundtune.measure.style import StyleReference
from groundtune.measure.support import citations_of, unsupported_share
from groundtune.ports import Scorer
from groundtune.types import Answer, Hit, Question

Search = Callable[[str, int], Sequence[Hit]]
_READ_WHOLE = 8_000  # characters of passages that are looked through sentence by sentence; beyond it by searching
_LOOKED_AT = 5


@dataclass(frozen=True)
class Item:
    """What is asked and what is accepted. ``target`` is a held-out example's accepted output; ``group`` its cluster."""

    id: str
    part: Part
    group: str
    question: Question
    target: str = ""

    @property
    def key(self) -> str:
        """Unique over both parts."""
        return f"{self.part}:{self.id}"

    @property
    def expected(self) -> str:
        """The first accepted answer, or the target."""
        return self.target or (self.question.answers[0] if self.question.answers else "")


@dataclass(frozen=True)
class Rubric:
    """What scoring needs besides the item: house format, the documents' texts and titles by id, stored versions,
    the style of the training examples, the evidence's rank by item key and ``k``; ``search`` finds passages that may
    support a sentence.
    """

    house: HouseFormat = field(default_factory=HouseFormat)
    texts: Mapping[str, str] = field(default_factory=dict)
    titles: Mapping[str, str] = field(default_factory=dict)
    version_text: VersionText = lambda document, version: None
    style: StyleReference | None = None
    ranks: Mapping[str, EvidenceRank] = field(default_factory=dict)
    k: int = 0
    search: Search | None = None
    scorers: tuple[Scorer, ...] = ()
    examples_decide: bool = False  # no questions: ``success`` is the examples' success


@dataclass(frozen=True)
class Read:
    """What an output says: the format check, its JSON, the answer in short form and whether it is a refusal."""

    check: FormatCheck | None
    parsed: Parsed
    short: str
    abstained: bool
    rules: RuleScores | None = None

    @property
    def valid(self) -> float | None:
        """The whole output fits the schema and keeps the rules; None when there is neither."""
        if self.check is None and self.rules is None:
            return None
        return float((self.check is None or self.check.strict) and (self.rules is None or self.rules.strict == 1.0))

    @property
    def lenient(self) -> float | None:
        """The same with text around the JSON allowed, and rules read loosely."""
        if self.check is None and self.rules is None:
            return None
        return float((self.check is None or self.check.lenient) and (self.rules is None or self.rules.loose == 1.0))


def read_output(answer: Answer, house: HouseFormat) -> Read:
    """Take the answer out of the house format. An output without JSON is its own short form."""
    check, rules = house.check(answer.text), house.kept(answer.text)
    parsed = Parsed(check.value, check.found) if check else parse_lenient(answer.text)
    if not house.answer_field or not isinstance(parsed.value, dict):
        return Read(check, parsed, answer.span or answer.text, answer.abstained, rules)
    value = extract_field(parsed.value, house.answer_field)
    refused = house.answer_field in parsed.value and parsed.value[house.answer_field] is None
    return Read(check, parsed, value or "", answer.abstained or refused, rules)


def score_item(item: Item, answer: Answer, rubric: Rubric, *, retrieves: bool) -> ItemResult:
    """All metrics of one answer. ``retrieves`` says whether the approach looks things up."""
    read = read_output(answer, rubric.house)
    shown = evidence_shown(item.question, rubric.texts, answer.context) if retrieves else None
    if item.part == "question":
        scores = _question_scores(item.question, answer, read, rubric)
        success, right = scores["success"] == 1.0, _content_right(item.question, answer, read, rubric.house)
        labelled = True
    else:
        scores = _example_scores(item, answer, read, rubric)
        success, right = scores["example_success"] == 1.0, _target_right(item.target, read)
        labelled = parse_strict(item.target).found  # free text is rarely equal word for word: no verdict on why
    facts = _facts(item, answer, read, rubric, retrieves, shown, success, right)
    return ItemResult(
        id=item.id,
        part=item.part,
        group=item.group,
        question=item.question.text,
        expected=item.expected,
        output=answer.text,
        answerable=item.question.answerable,
        abstained=read.abstained,
        scores=scores | _style(answer, rubric) | foreign_scores(rubric.scorers, item.question, answer),
        citations=tuple(Quote(c.document_id, c.start, c.end, c.quote, c.title, c.heading) for c in answer.citations),
        retrieved=tuple(hit.chunk.document_id for hit in answer.context),
        evidence_shown=shown,
        input_tokens=answer.usage.input_tokens,
        output_tokens=answer.usage.output_tokens,
        cached_tokens=answer.usage.cached_tokens,
        seconds=answer.seconds,
        label=attribute(facts) if labelled or success else "",
    )


def failed_item(item: Item, sentence: str) -> ItemResult:
    """The model or the harness failed: no scores, counted apart."""
    question = item.question
    return ItemResult(
        item.id,
        item.part,
        item.group,
        question.text,
        item.expected,
        "",
        question.answerable,
        label="error",
        error=sentence,
    )


def _question_scores(question: Question, answer: Answer, read: Read, rubric: Rubric) -> dict[str, float | None]:
    house, valid = rubric.house, read.valid
    scores: dict[str, float | None] = {"success": 0.0, "format_valid": valid, **_form(read)}
    if not question.answerable:
        scores["success"] = float(read.abstained and valid != 0.0)
        scores["false_answer"] = float(not read.abstained)
        scores["quote_verbatim"] = quote_verbatim(answer.citations, rubric.version_text)
        return scores
    answered = not read.abstained
    right = _right_in_format(question, answer, read, house)
    scores["success"] = float(answered and valid != 0.0 and right)
    scores["answer_em"] = exact_match(read.short, question.answers) if answered else 0.0
    scores["answer_f1"] = token_f1(read.short, question.answers) if answered else 0.0
    scores["answer_in_output"] = answer_in_output(answer.text, question.answers) if answered else 0.0
    scores["over_refusal"] = float(read.abstained)
    scores["quote_verbatim"] = quote_verbatim(answer.citations, rubric.version_text)
    if answered and rubric.texts:
        scores |= _sentences(answer, read, rubric)
    if question.evidence is not None and question.evidence.document in rubric.texts:
        cited = citation_scores(answer.citations, question.evidence, question.answers, rubric.version_text)
        scores["citation_precision"], scores["citation_recall"] = cited.precision, cited.recall
        if house.source_field:
            title = rubric.titles.get(question.evidence.document, question.evidence.document)
            scores["source_right"] = _field_right(read, house.source_field, title)
    if house.place_field and (place := _place(question, house.place_field)):
        scores["place_right"] = _field_right(read, house.place_field, place)
    return scores


def _example_scores(item: Item, answer: Answer, read: Read, rubric: Rubric) -> dict[str, float | None]:
    gold = parse_strict(item.target)
    success = float(same_value(item.target, answer.text) and read.valid != 0.0)
    if gold.found:
        overlap = field_scores(gold.value, read.parsed.value).f1 if read.parsed.found else 0.0
    else:
        overlap = token_f1(answer.text, [item.target])
    scores: dict[str, float | None] = {"example_success": success, "field_f1": overlap, **_form(read)}
    scores["example_format_valid"] = read.valid
    scores["slot_coverage"] = slot_coverage(item.target, answer.text)
    if rubric.examples_decide:
        scores["success"] = success
        scores["format_valid"] = scores["example_format_valid"]
    return scores


def _form(read: Read) -> dict[str, float | None]:
    """How well an output keeps to the form, on questions and examples alike."""
    kept = read.rules
    scores: dict[str, float | None] = {"format_lenient": read.lenient}
    if kept is not None:
        scores |= {"rules_strict": kept.strict, "rules_loose": kept.loose}
        scores |= {"rule_share_strict": kept.share_strict, "rule_share_loose": kept.share_loose}
    return scores


def _sentences(answer: Answer, read: Read, rubric: Rubric) -> dict[str, float | None]:
    """Citations sentence by sentence where passages were shown, and what nothing supports."""
    text = read.short if rubric.house.answer_field and isinstance(read.parsed.value, dict) else answer.text
    shown = [hit.chunk.text for hit in answer.context]
    scores: dict[str, float | None] = {}
    if shown:
        cited = citations_of(answer, text)
        scores = {"sentence_citation_precision": cited.precision, "sentence_citation_recall": cited.recall}
    whole, search = bool(shown) and sum(map(len, shown)) <= _READ_WHOLE, rubric.search

    def find(claim: str) -> list[str]:
        return shown if whole or search is None else [hit.chunk.text for hit in search(claim, _LOOKED_AT)]

    if whole or search is not None:
        scores["unsupported_sentences"] = unsupported_share(text, find)
    return scores


def _style(answer: Answer, rubric: Rubric) -> dict[str, float | None]:
    if rubric.style is None:
        return {}
    scores = rubric.style.score(answer.text)
    return {"style_profile": scores.profile, "style_form": scores.form}


def _right_in_format(question: Question, answer: Answer, read: Read, house: HouseFormat) -> bool:
    """The answer field is right; where no field is configured, the answer stands in the output."""
    if not house.answer_field:
        return answer_in_output(answer.text, question.answers) == 1.0
    return isinstance(read.parsed.value, dict) and exact_match(read.short, question.answers) == 1.0


def _content_right(question: Question, answer: Answer, read: Read, house: HouseFormat) -> bool:
    """Right when the format is ignored: the field of any JSON in the output, or the answer anywhere without JSON."""
    if read.abstained or not question.answerable:
        return False
    if house.answer_field and isinstance(read.parsed.value, dict):
        return exact_match(read.short, question.answers) == 1.0
    return answer_in_output(answer.text, question.answers) == 1.0


def _target_right(target: str, read: Read) -> bool:
    gold = parse_strict(target)
    return gold.found and read.parsed.found and field_scores(gold.value, read.parsed.value).equal


def _facts(
    item: Item,
    answer: Answer,
    read: Read,
    rubric: Rubric,
    retrieves: bool,
    shown: bool | None,
    success: bool,
    right: bool,
) -> Facts:
    question = item.question
    place = evidence_place(question, rubric.texts)
    passages = tuple(Shown(hit.chunk.text, place is not None and holds(hit, question, place)) for hit in answer.context)
    return Facts(
        answerable=question.answerable,
        success=success,
        abstained=read.abstained,
        content_right=right,
        retrieves=retrieves,
        evidence_shown=shown,
        evidence_rank=rubric.ranks.get(item.key, EvidenceRank()).quote,
        k=rubric.k,
        answer=read.short,
        golds=question.answers,
        old_answer=old_answer(question),
        shown=passages,
    )


def _field_right(read: Read, name: str, expected: str) -> float:
    value = extract_field(read.parsed.value, name)
    return float(value is not None and same_answer(value, expected))


def _place(question: Question, name: str) -> str:
    for key in (name, "place", "article"):
        value: Any = question.metadata.get(key)
        if value is not None and str(value):
            return str(value)
    return ""
