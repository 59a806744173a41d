"""What will be measured: the project's data read, checked and split, the knowledge base brought up to date."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from groundtune.approaches.setting import open_index
from groundtune.config import Config, ProjectSection
from groundtune.errors import ConfigError, DataError
from groundtune.knowledge.base import KnowledgeBase
from groundtune.measure.format import HouseFormat, extract_field, load_schema, parse_strict
from groundtune.measure.instructions import parse_rules
from groundtune.measure.items import Item
from groundtune.messages import say
from groundtune.tuning.data import check_evidence, load_examples, load_questions
from groundtune.tuning.split import Split, similar_groups, split_examples
from groundtune.types import Document, Evidence, Example, Hit, Question, SyncReport, digest

_SHOWN_NAMES = 5


@dataclass(frozen=True)
class Plan:
    """Everything that the approaches get and are asked. ``knowledge`` is a digest of the documents in the index."""

    kb: KnowledgeBase
    documents: tuple[Document, ...]
    train: tuple[Example, ...]
    items: tuple[Item, ...]
    house: HouseFormat
    knowledge: str
    notes: tuple[str, ...] = ()
    total_questions: int = 0

    @property
    def questions(self) -> tuple[Question, ...]:
        return tuple(item.question for item in self.items if item.part == "question")

    @property
    def texts(self) -> Mapping[str, str]:
        """Current text by document id."""
        return {document.id: document.text for document in self.documents}

    @property
    def train_digest(self) -> str:
        """Digest of the training examples."""
        chats = [[message.as_dict() for message in example.messages] for example in self.train]
        return digest(json.dumps(chats, ensure_ascii=False))

    def version_text(self, document: str, version: str) -> str | None:
        """Stored text of any version of a document, None when there is none."""
        return self.kb.text(document, version)

    def search(self, text: str, k: int) -> list[Hit]:
        """The index as every retrieving approach sees it."""
        return self.kb.search(text, k=k)

    @property
    def data_digest(self) -> str:
        """Changes when the documents, the items or the training examples do."""
        rows = [[item.part, item.id, item.question.text, item.expected] for item in self.items]
        return digest(json.dumps([self.knowledge, rows, self.train_digest], ensure_ascii=False))


def load_house(config: Config) -> HouseFormat:
    """The house format of a project. Raises ``DataError`` for a wrong schema and ``ConfigError`` for a field that the
    schema does not have or a rule that cannot be read.
    """
    fields = config.format
    schema: Mapping[str, Any] | None = None
    if fields.schema:
        path = config.path(fields.schema)
        schema = load_schema(path)
        known = schema.get("properties")
        for key in ("answer_field", "source_field", "place_field"):
            name = getattr(fields, key).partition(".")[0]
            if name and isinstance(known, dict) and name not in known:
                raise ConfigError("measure.no_answer_field", path=path, key=key, field=name, known=", ".join(known))
    rules = parse_rules(fields.rules)
    return HouseFormat(schema, fields.answer_field, fields.source_field, fields.place_field, rules)


def make_plan(config: Config) -> Plan:
    """Read and check everything, synchronise the knowledge base, split the examples by source document. The caller closes
    ``plan.kb``.

    Raises ``DataError`` or ``ConfigError`` with a sentence for anything that is wrong or when nothing can be measured.
    """
    house = load_house(config)
    question_path, example_path = config.path(config.project.questions), config.path(config.project.examples)
    questions = load_questions(question_path) if config.project.questions and question_path.is_file() else ()
    examples = load_examples(example_path) if config.project.examples and example_path.is_file() else ()
    if not questions and not examples:
        raise DataError("measure.nothing_to_measure", questions=question_path, examples=example_path)
    split = split_examples(examples, config.compare.held_out, config.compare.seed)
    if not questions and not split.held_out:
        raise DataError("measure.no_held_out", count=len(examples), questions=question_path, examples=example_path)
    kb = open_index(config)
    try:
        return _planned(config, kb, house, questions, examples, split)
    except BaseException:
        kb.close()
        raise


def _planned(
    config: Config,
    kb: KnowledgeBase,
    house: HouseFormat,
    questions: Sequence[Question],
    examples: Sequence[Example],
    split: Split,
) -> Plan:
    notes: list[str] = []
    documents = sync_documents(config, kb, notes, asked=bool(questions))
    texts = {document.id: document.text for document in documents}
    checked = check_evidence(questions, texts) if documents else questions
    chosen = _chosen(checked, config.compare.max_questions)
    _note_data(notes, split, chosen, checked, examples)
    train, leaks = without_leaks(split.train, [q.text for q in chosen])
    if leaks:
        notes.append(say("measure.leaks", count=leaks))
    items = (*map(question_item, chosen), *(example_item(e, house, texts) for e in split.held_out))
    return Plan(kb, documents, train, items, house, state_of(documents), tuple(notes), len(questions))


def question_item(question: Question) -> Item:
    """An item clustered by its evidence's document; a question without evidence is a cluster of its own."""
    group = question.evidence.document if question.evidence else f"question:{question.id}"
    return Item(question.id, "question", group, question)


def example_item(example: Example, house: HouseFormat, texts: Mapping[str, str]) -> Item:
    """A held-out example as an item: its last user turn is asked, its target accepted. ``metadata`` may name the
    ``document`` and ``quote`` that it rests on.
    """
    gold = parse_strict(example.target)
    answer: str | None = example.target
    if house.answer_field and isinstance(gold.value, dict) and house.answer_field in gold.value:
        answer = extract_field(gold.value, house.answer_field)
    question = Question(
        example.input, (answer,) if answer else (), None, bool(answer), example.id, metadata=dict(example.metadata)
    )
    document, quote = example.metadata.get("document"), example.metadata.get("quote")
    group = str(document) if document else f"example:{example.id}"
    if isinstance(document, str) and isinstance(quote, str) and quote.strip():
        try:
            (question,) = check_evidence([replace(question, evidence=Evidence(document, quote))], texts)
        except DataError:
            pass  # examples may come from documents that are not in the project: only questions must be grounded
    return Item(example.id, "example", group, question, example.target)


def without_leaks(train: Sequence[Example], questions: Sequence[str]) -> tuple[tuple[Example, ...], int]:
    """Training examples that ask none of the questions (nor a near-duplicate of one), and how many were left out."""
    groups = similar_groups([*questions, *(example.input for example in train)])
    asked = set(groups[: len(questions)])
    kept = tuple(e for e, group in zip(train, groups[len(questions) :], strict=True) if group not in asked)
    return kept, len(train) - len(kept)


def sync_documents(config: Config, kb: KnowledgeBase, notes: list[str], *, asked: bool) -> tuple[Document, ...]:
    """Bring the index up to date with the configured documents and return what it holds, by id. Unreadable
    files go to ``notes``. Raises ``DataError`` for a configured path that does not exist and, when questions are
    ``asked``, for an empty folder; a project of examples alone needs no document.
    """
    roots = config.files  # what came from the web is brought in by ``ingest`` alone
    for root in roots:
        if not root.exists() and config.project.documents != ProjectSection().documents:
            raise DataError("core.file_missing", path=root)
    present = [root for root in roots if root.exists() and (asked or not _empty(root))]
    report = kb.sync(present) if present else SyncReport()
    if report.failed:
        names = ", ".join(sorted(report.failed)[:_SHOWN_NAMES])
        notes.append(say("measure.documents_failed", count=len(report.failed), names=names))
    return kb.documents()


def _empty(root: Path) -> bool:
    """Whether a folder holds nothing, as ``groundtune init`` makes it."""
    return root.is_dir() and not any(root.iterdir())


def state_of(documents: Sequence[Document]) -> str:
    """Digest of what is in an index: ids, versions and titles."""
    return digest(json.dumps(sorted((d.id, d.version, d.title) for d in documents), ensure_ascii=False))


def _chosen(questions: Sequence[Question], limit: int) -> tuple[Question, ...]:
    """All questions, or ``limit`` of them spread evenly over the file."""
    if limit <= 0 or limit >= len(questions):
        return tuple(questions)
    return tuple(questions[i * len(questions) // limit] for i in range(limit))


def _note_data(
    notes: list[str], split: Split, chosen: Sequence[Question], total: Sequence[Question], examples: Sequence[Example]
) -> None:
    if split.duplicates:
        notes.append(say("measure.duplicates", count=split.duplicates))
    if len(chosen) < len(total):
        notes.append(say("measure.cut_questions", count=len(chosen), total=len(total)))
    if not examples:
        notes.append(say("measure.no_examples"))
    if not chosen:
        notes.append(say("measure.no_questions"))
    groups = {question.evidence.document for question in chosen if question.evidence}
    if 0 < len(groups) < 10:
        notes.append(say("measure.few_groups", count=len(groups)))
