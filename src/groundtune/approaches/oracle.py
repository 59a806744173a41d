"""The gold passage alone before the question: what would be right if retrieval never failed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from groundtune.approaches.common import ask, prepared, system_prompt
from groundtune.approaches.setting import Setting
from groundtune.knowledge.quotes import find_quote
from groundtune.text.prompts import Shown, label, render
from groundtune.text.sentences import enclosing_sentence
from groundtune.types import Answer, Document, Example, Question


class Oracle:
    """The base model, or a tuned one (``adapter``: its folder), with the sentence that holds the evidence."""

    name = "oracle"

    def __init__(self, setting: Setting, adapter: str | None = None) -> None:
        self._setting = setting
        self._adapter = adapter
        self._system = system_prompt(setting.config)
        self._documents: Mapping[str, Document] = {}

    def fit(self, documents: Sequence[Document], examples: Sequence[Example]) -> None:
        """Keeps the documents, to cut the passages from."""
        self._setting, self._system = prepared(self._setting, examples)
        self._documents = {document.id: document for document in documents}

    def answer(self, question: Question) -> Answer:
        """One call. Raises ValueError for a question without evidence."""
        model = self._setting.open_model(self._adapter)
        return ask(self._setting, model, self._system, render(question.text, [self._gold(question)]))

    def _gold(self, question: Question) -> Shown:
        if question.evidence is None:
            raise ValueError("a question without evidence has no gold passage")
        document, quote = self._documents.get(question.evidence.document), question.evidence.quote
        if document is None:
            return Shown(label(question.evidence.document), quote)
        start = document.text.find(quote)
        span = find_quote(document.text, quote) if start < 0 else None
        if span is not None:
            start, quote = span.start, document.text[span.start : span.end]
        if start < 0:
            return Shown(label(document.title), quote)
        whole = enclosing_sentence(document.text, start, start + len(quote))
        return Shown(label(document.title), document.text[whole.start : whole.end])
