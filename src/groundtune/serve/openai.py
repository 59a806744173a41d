"""The OpenAI chat completions protocol as plain data: requests read, answers and errors written.

Citations are ``url_citation`` annotations of the message, as OpenAI's own search models send them; each URL is the
stored document version. Everything else that an answer knows is under ``groundtune``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from groundtune.errors import DataError
from groundtune.types import Answer, Citation, Span

_PIECE = re.compile(r"\s*[^\s\u3040-\u30ff\u3400-\u9fff]+|\s*.", re.DOTALL)
ROLES = ("system", "developer", "user", "assistant", "tool")


@dataclass(frozen=True)
class ChatRequest:
    """What a client asked. ``question`` is the last user turn; earlier turns are not used for retrieval."""

    model: str
    question: str
    stream: bool
    include_usage: bool


def read_request(body: object) -> ChatRequest:
    """Raises ``DataError`` with a sentence for a body that is not a chat completion request."""
    if not isinstance(body, dict):
        raise DataError("serve.not_an_object")
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise DataError("serve.no_messages")
    if body.get("n", 1) not in (1, None):
        raise DataError("serve.one_choice")
    if body.get("tools") or body.get("functions"):
        raise DataError("serve.no_tools")
    turns = [_turn(message, position) for position, message in enumerate(messages, start=1)]
    asked = [text for role, text in turns if role == "user"]
    if not asked or not asked[-1].strip():
        raise DataError("serve.no_question")
    model, stream, options = body.get("model", ""), body.get("stream", False), body.get("stream_options")
    if not isinstance(model, str) or not isinstance(stream, bool | None):
        raise DataError("serve.bad_field", name="model" if not isinstance(model, str) else "stream")
    usage = isinstance(options, dict) and options.get("include_usage") is True
    return ChatRequest(model, asked[-1].strip(), bool(stream), usage)


def _turn(message: object, position: int) -> tuple[str, str]:
    if not isinstance(message, dict) or message.get("role") not in ROLES:
        raise DataError("serve.bad_turn", position=position)
    content = message.get("content")
    if isinstance(content, list):
        parts = [part.get("text") for part in content if isinstance(part, dict) and part.get("type") == "text"]
        if len(parts) != len(content) or not all(isinstance(part, str) for part in parts):
            raise DataError("serve.text_only", position=position)
        content = "".join(str(part) for part in parts)
    if content is None and message["role"] == "assistant":
        content = ""
    if not isinstance(content, str):
        raise DataError("serve.bad_turn", position=position)
    return str(message["role"]), content


def citation_url(base: str, citation: Citation) -> str:
    """Where the cited document version can be read."""
    place = urlencode({"version": citation.version, "start": citation.start, "end": citation.end})
    return f"{base.rstrip('/')}/documents/{quote(citation.document_id)}?{place}"


def citations_of(answer: Answer, base: str) -> list[dict[str, Any]]:
    """One per citation. Its range is where the quote stands in the answer, else the sentence that it supports, else the
    whole answer.
    """
    found = []
    for citation in answer.citations:
        start = answer.text.find(citation.quote) if citation.quote else -1
        sentence = citation.sentence or Span(0, len(answer.text))
        span = (start, start + len(citation.quote)) if start >= 0 else (sentence.start, sentence.end)
        title = " | ".join(part for part in (citation.title, citation.heading) if part) or citation.document_id
        url = citation_url(base, citation)
        found.append(
            {
                "type": "url_citation",
                "url_citation": {"start_index": span[0], "end_index": span[1], "url": url, "title": title},
            }
        )
    return found


def details(answer: Answer, approach: str) -> dict[str, Any]:
    """What OpenAI's format has no field for. Offsets are code points of the stored version."""
    names = ("document_id", "version", "start", "end", "quote", "title", "heading", "superseded", "newer")
    return {
        "approach": approach,
        "abstained": answer.abstained,
        "confidence": answer.confidence,
        "seconds": round(answer.seconds, 4),
        "model": answer.model,
        "dropped_citations": answer.dropped_citations,
        "unsupported": [answer.text[span.start : span.end] for span in answer.unsupported],
        "stale": answer.stale,
        "citations": [{name: getattr(citation, name) for name in names} for citation in answer.citations],
    }


def usage(answer: Answer) -> dict[str, Any]:
    """Token counts of an answer."""
    spent = answer.usage
    return {
        "prompt_tokens": spent.input_tokens,
        "completion_tokens": spent.output_tokens,
        "total_tokens": spent.input_tokens + spent.output_tokens,
        "prompt_tokens_details": {"cached_tokens": spent.cached_tokens},
    }


@dataclass(frozen=True)
class Reply:
    """An answer and what its envelope needs. ``created`` in Unix seconds; ``base`` is the URL clients reach us by."""

    answer: Answer
    approach: str
    model: str
    id: str
    created: int
    base: str

    def completion(self) -> dict[str, Any]:
        """The body of a reply that is not streamed."""
        message = {
            "role": "assistant",
            "content": self.answer.text,
            "refusal": None,
            "annotations": citations_of(self.answer, self.base),
        }
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
        return {
            **self._head("chat.completion"),
            "choices": [choice],
            "usage": usage(self.answer),
            "groundtune": details(self.answer, self.approach),
        }

    def chunks(self, include_usage: bool = False) -> Iterator[dict[str, Any]]:
        """The same as chunks. The answer is checked before it is shown, so it is cut up after it is complete."""
        yield self.opening()
        yield from self.rest("", include_usage)

    def opening(self) -> dict[str, Any]:
        """The first chunk."""
        return self._chunk({"role": "assistant", "content": "", "refusal": None})

    def piece(self, text: str) -> dict[str, Any]:
        """A chunk with some text."""
        return self._chunk({"content": text})

    def rest(self, told: str, include_usage: bool = False) -> Iterator[dict[str, Any]]:
        """The chunks after those with the text ``told``."""
        for piece in _PIECE.findall(self.answer.text.removeprefix(told)):
            yield self.piece(piece)
        last = self._chunk({"annotations": citations_of(self.answer, self.base)}, "stop")
        yield {**last, "groundtune": details(self.answer, self.approach)}
        if include_usage:
            yield {**self._head("chat.completion.chunk"), "choices": [], "usage": usage(self.answer)}

    def _chunk(self, delta: Mapping[str, Any], finish: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": dict(delta), "logprobs": None, "finish_reason": finish}
        return {**self._head("chat.completion.chunk"), "choices": [choice]}

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model}


def model_list(names: tuple[str, ...], created: int) -> dict[str, Any]:
    """The body of ``GET /v1/models``."""
    rows = [{"id": name, "object": "model", "created": created, "owned_by": "groundtune"} for name in names]
    return {"object": "list", "data": rows}


def error_body(message: str, kind: str, code: str | None = None) -> dict[str, Any]:
    """An error as OpenAI's clients read it."""
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}
