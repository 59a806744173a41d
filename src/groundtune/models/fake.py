"""Models that need nothing and always answer the same: for tests, demos and dry runs. They go in by the same door as
the real ones (``fake:echo``, ``fake:fixed=TEXT``, ``fake:script=PATH.jsonl``, ``fake:extract``).
"""

from __future__ import annotations

import difflib
import json
import re
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundtune.errors import DataError, SpecError
from groundtune.models.embed import unit_rows
from groundtune.ports import Kind
from groundtune.text.scripts import CJK
from groundtune.text.sentences import sentence_spans
from groundtune.text.tokenise import search_terms
from groundtune.types import Generation, Hit, Message, Reading, Usage

Answerer = Callable[[Sequence[Message]], str]
_MODELS = ("echo", "fixed=TEXT", "script=PATH.jsonl", "extract")
_TOKEN = re.compile(f"[{CJK}]|[^\\s{CJK}]+")
_LABEL = re.compile(r"^\[\d+\] .*$")


def open_model(name: str, **options: object) -> FakeModel:
    """``echo`` repeats the last user turn; ``fixed=TEXT`` always says TEXT; ``script=PATH.jsonl`` answers by the last
    user turn from lines ``{"input": …, "output": …}`` (a line without ``input`` is the default); ``extract`` repeats
    the sentence of the prompt's passages that shares most terms with its last paragraph. Options of real models
    (adapter, threads, …) are accepted and ignored. Raises ``SpecError`` or ``DataError``.
    """
    kind, _, value = name.partition("=")
    if kind == "echo":
        return FakeModel(name, _last_user)
    if kind == "fixed":
        return FakeModel(name, lambda _: value)
    if kind == "script":
        return FakeModel(name, _script(Path(value)))
    if kind == "extract":
        return FakeModel(name, extract)
    close = difflib.get_close_matches(kind, [known.partition("=")[0] for known in _MODELS], n=1)
    key = "models.fake_unknown_hint" if close else "models.fake_unknown"
    raise SpecError(key, name=name, known=", ".join(_MODELS), hint=close[0] if close else "")


def open_reader(name: str = "", **options: object) -> FakeReader:
    """A lexical reader; any name is accepted."""
    return FakeReader(name)


def open_reranker(name: str = "", **options: object) -> FakeReranker:
    """Shares of the question's search terms; any name is accepted."""
    return FakeReranker(name)


def open_embedder(name: str = "", **options: object) -> FakeEmbedder:
    """Hashed bags of search terms; any name is accepted."""
    return FakeEmbedder(name)


def count_tokens(text: str) -> int:
    """Words between white space plus single CJK characters: what the fakes call a token."""
    return len(_TOKEN.findall(text))


class FakeModel:
    """A ``Model`` whose answer is a function of the chat. ``calls`` holds every chat it was shown, in order."""

    def __init__(self, name: str, answer: Answerer) -> None:
        self.name = f"fake:{name}"
        self.calls: list[tuple[Message, ...]] = []
        self._answer = answer

    def generate(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int = 256,
        temperature: float = 0.0,
        seed: int = 0,
        schema: Mapping[str, Any] | None = None,
    ) -> Generation:
        """The function's answer, cut after ``max_tokens`` fake tokens; sampling and schema change nothing."""
        started = time.perf_counter()
        self.calls.append(tuple(messages))
        text = self._answer(messages)
        tokens = list(_TOKEN.finditer(text))
        finished = len(tokens) <= max_tokens
        if not finished:
            text = text[: tokens[max_tokens - 1].end()]
        read = sum(count_tokens(message.content) for message in messages)
        usage = Usage(read, min(len(tokens), max_tokens))
        return Generation(text, usage, time.perf_counter() - started, self.name, finished)

    def stream(
        self,
        messages: Sequence[Message],
        on_text: Callable[[str], None],
        *,
        max_tokens: int = 256,
        temperature: float = 0.0,
        seed: int = 0,
        schema: Mapping[str, Any] | None = None,
    ) -> Generation:
        """``generate``, told token by token."""
        made = self.generate(messages, max_tokens=max_tokens, temperature=temperature, seed=seed, schema=schema)
        start = 0
        for token in _TOKEN.finditer(made.text):
            on_text(made.text[start : token.end()])
            start = token.end()
        if made.text[start:]:
            on_text(made.text[start:])
        return made


def _last_user(messages: Sequence[Message]) -> str:
    return next((message.content for message in reversed(messages) if message.role == "user"), "")


def _script(path: Path) -> Answerer:
    if not path.is_file():
        raise DataError("core.file_missing", path=path)
    answers: dict[str | None, str] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), start=1):
        if line.strip():
            said, output = _line(path, number, line)
            answers[said] = output

    def answer(messages: Sequence[Message]) -> str:
        said = _last_user(messages)
        found = answers.get(said, answers.get(None))
        if found is None:
            raise DataError("models.fake_script_no_answer", path=path, input=said[:80])
        return found

    return answer


def _line(path: Path, number: int, line: str) -> tuple[str | None, str]:
    try:
        record = json.loads(line)
        return record.get("input"), str(record["output"])
    except (ValueError, KeyError, AttributeError) as error:
        raise DataError("models.fake_script_line", path=path, line=number, reason=repr(error)) from error


def extract(messages: Sequence[Message]) -> str:
    """The sentence of the passages in the last user turn that shares most terms with the question after them."""
    shown, _, question = _last_user(messages).strip().rpartition("\n\n")
    lines = [line for line in shown.split("\n") if not _LABEL.match(line)]
    passages = "\n".join(lines)
    best = FakeReader("").read(question, [passages], k=1)
    return passages[best[0].start : best[0].end] if best else ""


class FakeReader:
    """A ``Reader``: the span is the sentence with the largest share of the question's search terms, and that share is
    the probability. Of equal sentences the first one wins.
    """

    def __init__(self, name: str) -> None:
        self.name = f"fake:{name}"
        self.threshold = 0.3

    def read(self, question: str, passages: Sequence[str], k: int = 5) -> list[Reading]:
        """Best ``k`` sentences over all passages, best first; none without a shared term."""
        asked = set(search_terms(question))
        readings: list[Reading] = []
        for index, passage in enumerate(passages):
            for span in sentence_spans(passage):
                shared = asked & set(search_terms(passage[span.start : span.end]))
                if shared:
                    share = len(shared) / len(asked)
                    readings.append(Reading(index, span.start, span.end, span.start, span.end, share, share))
        return sorted(readings, key=lambda reading: -reading.score)[:k]


class FakeEmbedder:
    """An ``Embedder``: each search term adds one to a place (and a sign) that its CRC-32 names."""

    dimension = 256

    def __init__(self, name: str) -> None:
        self.name = f"fake:{name}"

    def embed(self, texts: Sequence[str], *, kind: Kind) -> NDArray[Any]:
        """float32 array of shape (len(texts), 256), rows of length 1 (a text without terms points along axis 0)."""
        rows = np.zeros((len(texts), self.dimension), dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            for term in search_terms(text):
                code = zlib.crc32(term.encode("utf-8"))
                row[code % self.dimension] += 1.0 if code >> 31 else -1.0
            if not row.any():
                row[0] = 1.0
        return unit_rows(rows)


class FakeReranker:
    """A ``Reranker``: a hit's score is the share of the question's search terms that its text holds."""

    def __init__(self, name: str) -> None:
        self.name = f"fake:{name}"

    def rerank(self, query: str, hits: Sequence[Hit]) -> list[Hit]:
        """The same hits with new scores, best first; equal ones keep their order."""
        asked = set(search_terms(query))
        shares = [len(asked & set(search_terms(hit.chunk.text))) / max(1, len(asked)) for hit in hits]
        made = [replace(hit, score=share) for hit, share in zip(hits, shares, strict=True)]
        return sorted(made, key=lambda hit: -hit.score)
