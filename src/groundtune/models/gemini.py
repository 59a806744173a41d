"""Google Gemini through the google-genai SDK (``gemini:gemini-2.5-flash``)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundtune.errors import ModelRefused
from groundtune.models.embed import RemoteEmbedder
from groundtune.models.gemini_link import GeminiLink
from groundtune.models.spoken import Spoken
from groundtune.ports import Kind
from groundtune.types import Generation, Message, Usage

_EMBED_BATCH = 100
_BLOCKED = frozenset({"SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "MODEL_ARMOR"})


def open_model(
    name: str,
    *,
    base_url: str | None = None,
    api_key: str | None = None,
    timeout: float = 60,
    retries: int = 4,
    thinking_budget: int | None = None,
) -> GeminiModel:
    """A Gemini model. Key: ``api_key``, else GEMINI_API_KEY, else GOOGLE_API_KEY; address: ``base_url``, else
    GOOGLE_GEMINI_BASE_URL, else Google's. ``timeout`` in seconds for one try.
    ``thinking_budget`` in tokens (0 switches thinking off where the model allows it); thoughts count as output tokens.
    Raises ``SpecError``, ``MissingExtra`` or ``ModelUnreachable`` (no key).
    """
    return GeminiModel(GeminiLink(name, base_url, api_key, timeout, retries), thinking_budget)


def open_embedder(
    name: str,
    *,
    base_url: str | None = None,
    api_key: str | None = None,
    timeout: float = 60,
    retries: int = 4,
    dimension: int | None = None,
) -> GeminiEmbedder:
    """An embedding model (``gemini:gemini-embedding-001``); ``dimension`` asks for shorter vectors. Keys and errors as
    for ``open_model``.
    """
    return GeminiEmbedder(GeminiLink(name, base_url, api_key, timeout, retries), dimension)


class GeminiModel:
    """A ``Model`` over generateContent."""

    def __init__(self, link: GeminiLink, thinking_budget: int | None) -> None:
        self.name, self.model = link.name, link.model
        self.link, self.thinking_budget = link, thinking_budget

    def __repr__(self) -> str:
        return f"GeminiModel({self.name!r})"

    def generate(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int = 256,
        temperature: float = 0.0,
        seed: int = 0,
        schema: Mapping[str, Any] | None = None,
    ) -> Generation:
        """Write the next assistant turn. Raises ``ModelUnreachable``, ``ModelRefused`` or ``ModelError``."""
        config = self._config(messages, max_tokens, temperature, seed, schema)
        contents = _contents(messages)
        started = time.perf_counter()
        reply = self.link.call(
            lambda: self.link.client.models.generate_content(model=self.model, contents=contents, config=config)
        )
        return self._generation(reply, time.perf_counter() - started)

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
        """``generate`` that tells its text as it comes."""
        config, contents = self._config(messages, max_tokens, temperature, seed, schema), _contents(messages)
        started, spoken, usage, reason = time.perf_counter(), Spoken(on_text), Usage(), ""

        def begin() -> Iterator[Any]:
            # the request goes out with the first piece
            pieces = self.link.client.models.generate_content_stream(model=self.model, contents=contents, config=config)
            first = next(iter(pieces), None)
            return iter(()) if first is None else chain((first,), pieces)

        pieces = self.link.call(begin)
        with self.link.reading():
            for reply in pieces:
                usage = _usage(reply) if reply.usage_metadata else usage
                reason = self._checked(reply) or reason
                spoken.add(_text(reply))
        if not reason:
            raise self.link.bad_answer("the stream ended before the answer did")
        return Generation(spoken.text, usage, time.perf_counter() - started, self.name, reason != "MAX_TOKENS")

    def _config(
        self,
        messages: Sequence[Message],
        max_tokens: int,
        temperature: float,
        seed: int,
        schema: Mapping[str, Any] | None,
    ) -> dict[str, Any]:
        config: dict[str, Any] = {"max_output_tokens": max_tokens, "temperature": temperature, "seed": seed}
        system = "\n\n".join(message.content for message in messages if message.role == "system")
        if system:
            config["system_instruction"] = system
        if schema is not None:
            config |= {"response_mime_type": "application/json", "response_json_schema": dict(schema)}
        if self.thinking_budget is not None:
            from google.genai import types

            config["thinking_config"] = types.ThinkingConfig(thinking_budget=self.thinking_budget)
        return config

    def _generation(self, reply: Any, seconds: float) -> Generation:  # noqa: ANN401
        if not reply.candidates and getattr(reply, "prompt_feedback", None) is None:
            raise self.link.bad_answer("no candidates")
        reason = self._checked(reply)
        return Generation(_text(reply).strip(), _usage(reply), seconds, self.name, reason != "MAX_TOKENS")

    def _checked(self, reply: Any) -> str:  # noqa: ANN401
        """Why the answer ended, "" while it goes on. Raises ``ModelRefused`` when it was blocked."""
        blocked = getattr(getattr(reply, "prompt_feedback", None), "block_reason", None)
        if not reply.candidates:
            if blocked is not None:
                raise ModelRefused("models.refused_content", model=self.name, reason=_name(blocked))
            return ""
        reason = _name(reply.candidates[0].finish_reason)
        if reason in _BLOCKED:
            raise ModelRefused("models.refused_content", model=self.name, reason=reason)
        return reason


class GeminiEmbedder(RemoteEmbedder):
    """An ``Embedder`` over embedContent."""

    def __init__(self, link: GeminiLink, dimension: int | None) -> None:
        super().__init__(_EMBED_BATCH, dimension)
        self.name = link.name
        self.link = link
        self._asked = dimension

    def _batch(self, texts: list[str], kind: Kind) -> NDArray[Any]:
        config: dict[str, Any] = {"task_type": "RETRIEVAL_QUERY" if kind == "query" else "RETRIEVAL_DOCUMENT"}
        if self._asked:
            config["output_dimensionality"] = self._asked
        contents = [text or " " for text in texts]
        models = self.link.client.models
        reply = self.link.call(lambda: models.embed_content(model=self.link.model, contents=contents, config=config))
        rows = [one.values for one in reply.embeddings or ()]
        if len(rows) != len(texts):
            raise self.link.bad_answer(f"{len(rows)} vectors for {len(texts)} texts")
        return np.asarray(rows, dtype=np.float32)


def _contents(messages: Sequence[Message]) -> list[dict[str, Any]]:
    return [
        {"role": "model" if message.role == "assistant" else "user", "parts": [{"text": message.content}]}
        for message in messages
        if message.role != "system"
    ]


def _text(reply: Any) -> str:  # noqa: ANN401
    content = reply.candidates[0].content if reply.candidates else None
    parts = (content.parts if content else None) or []
    return "".join(part.text or "" for part in parts if not part.thought)


def _name(value: Any) -> str:  # noqa: ANN401 - an enum member or a string
    return str(getattr(value, "name", None) or value or "")


def _usage(reply: Any) -> Usage:  # noqa: ANN401
    usage = reply.usage_metadata
    if usage is None:
        return Usage()
    written = (usage.candidates_token_count or 0) + (usage.thoughts_token_count or 0)
    return Usage(usage.prompt_token_count or 0, written, usage.cached_content_token_count or 0)
