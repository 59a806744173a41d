"""Any OpenAI-compatible endpoint through the official SDK (``openai:gpt-5-mini``, ``openai:name@http://host:port/v1``)."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from groundtune.errors import ModelError, ModelRefused, ModelUnreachable, SpecError
from groundtune.models.embed import RemoteEmbedder
from groundtune.models.http import check_address, extra_for, is_local, key_from, without_password
from groundtune.models.sdk import Caller
from groundtune.models.spoken import Spoken
from groundtune.ports import Kind
from groundtune.types import Generation, Message, Usage

Result = TypeVar("Result")
OPENAI_URL = "https://api.openai.com/v1"
_NO_KEY = "none"
# Parameters that some servers or models refuse, in the words of their error, and what is sent instead.
_NEGOTIABLE = ("max_completion_tokens", "temperature", "seed", "stream_options")
_EMBED_BATCH = 128


def open_model(
    name: str,
    *,
    base_url: str | None = None,
    api_key: str | None = None,
    timeout: float = 60,
    retries: int = 4,
    reasoning_effort: str | None = None,
) -> OpenAIModel:
    """A chat model. ``timeout`` in seconds for one try; ``retries`` tries more after 429, 5xx and timeouts.

    Keys: ``api_key``, else GROUNDTUNE_API_KEY, else OPENAI_API_KEY; the last is sent only to OpenAI and to the host of
    OPENAI_BASE_URL, so that a shared project cannot send it elsewhere. Servers on this computer need none.
    Raises ``SpecError``, ``MissingExtra`` or ``ModelUnreachable`` (no key).
    """
    endpoint = Endpoint("openai", name, base_url=base_url, api_key=api_key, timeout=timeout, retries=retries)
    return OpenAIModel(endpoint, reasoning_effort=reasoning_effort)


def open_embedder(
    name: str,
    *,
    base_url: str | None = None,
    api_key: str | None = None,
    timeout: float = 60,
    retries: int = 4,
    dimension: int | None = None,
) -> OpenAIEmbedder:
    """An embedding model; ``dimension`` asks the server to shorten its vectors. Keys and errors as for ``open_model``."""
    endpoint = Endpoint("openai", name, base_url=base_url, api_key=api_key, timeout=timeout, retries=retries)
    return OpenAIEmbedder(endpoint, dimension)


class Endpoint:
    """A server, the model on it and the key, with retries; errors come out as ``ModelError`` and never hold the key."""

    def __init__(
        self, provider: str, name: str, *, base_url: str | None, api_key: str | None, timeout: float, retries: int
    ) -> None:
        self.model, at, address = name.partition("@http")
        self.url = (f"http{address}" if at else base_url or os.environ.get("OPENAI_BASE_URL") or OPENAI_URL).rstrip("/")
        if not self.model:
            raise SpecError("models.name_missing", provider=provider, example=f"{provider}:gpt-5-mini")
        check_address(self.url)
        self.where = without_password(self.url)
        self.name = f"{provider}:{self.model}" + (f"@{self.where}" if self.url != OPENAI_URL else "")
        self.timeout, self.retries = timeout, retries
        self.variable = "OPENAI_API_KEY" if self._openai_key_fits() else "GROUNDTUNE_API_KEY"
        self._key = self._find_key(api_key)
        self.client = self._open()

    def __repr__(self) -> str:
        return f"Endpoint({self.name!r})"

    def _openai_key_fits(self) -> bool:
        trusted = {urlsplit(url).hostname for url in (OPENAI_URL, os.environ.get("OPENAI_BASE_URL", "")) if url}
        return urlsplit(self.url).hostname in trusted

    def _find_key(self, given: str | None) -> str:
        key = given or key_from("GROUNDTUNE_API_KEY")
        if not key and self._openai_key_fits():
            key = key_from("OPENAI_API_KEY")
        if not key and is_local(self.url):
            key = _NO_KEY
        if not key:
            raise ModelUnreachable("models.key_missing", model=self.name, variable=self.variable)
        return key

    def _open(self) -> Any:  # noqa: ANN401 - openai.OpenAI
        with extra_for(self.name):
            import openai

        self.caller = Caller(
            openai, model=self.model, where=self.where, key=self._key, variable=self.variable,
            timeout=self.timeout, retries=self.retries,
        )  # fmt: skip
        # a proxy from the environment cannot reach this computer's own servers
        http = openai.DefaultHttpxClient(trust_env=False) if is_local(self.url) else None
        return openai.OpenAI(
            api_key=self._key, base_url=self.url, timeout=self.timeout, max_retries=0, http_client=http
        )

    def call(self, request: Callable[[], Result]) -> Result:
        """``request()`` with retries and with the SDK's errors turned into ours."""
        return self.caller.call(request)

    def bad_answer(self, reason: object) -> ModelError:
        return self.caller.bad_answer(reason)

    def clean(self, text: object) -> str:
        return self.caller.clean(text)


class OpenAIModel:
    """A ``Model`` over chat completions. What a server refuses (``max_completion_tokens``, ``temperature``, …) is
    replaced or left out from then on.
    """

    def __init__(self, endpoint: Endpoint, *, reasoning_effort: str | None = None) -> None:
        self.name = endpoint.name
        self.endpoint = endpoint
        self.reasoning_effort = reasoning_effort
        self._refused: frozenset[str] = frozenset()
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"OpenAIModel({self.name!r})"

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
        request = self._request(messages, max_tokens, temperature, seed, schema)
        started = time.perf_counter()
        reply = self._negotiate(request)
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
        request = self._request(messages, max_tokens, temperature, seed, schema)
        request |= {"stream": True, "stream_options": {"include_usage": True}}
        started = time.perf_counter()
        chunks, spoken, finish, usage = self._negotiate(request), Spoken(on_text), "", Usage()
        with self.endpoint.caller.reading(), chunks:
            for chunk in chunks:
                usage = _usage(chunk) if getattr(chunk, "usage", None) else usage
                for choice in chunk.choices or ():
                    finish = choice.finish_reason or finish
                    if refusal := getattr(choice.delta, "refusal", None):
                        raise self._refusal(refusal)
                    spoken.add(getattr(choice.delta, "content", None))
        if finish == "content_filter":
            raise self._refusal(finish)
        if not finish:
            raise self.endpoint.bad_answer("the stream ended before the answer did")
        return Generation(spoken.text, usage, time.perf_counter() - started, self.name, finish != "length")

    def _request(
        self,
        messages: Sequence[Message],
        max_tokens: int,
        temperature: float,
        seed: int,
        schema: Mapping[str, Any] | None,
    ) -> dict[str, Any]:
        request: dict[str, Any] = {
            "model": self.endpoint.model,
            "messages": [message.as_dict() for message in messages],
            "max_completion_tokens": max_tokens,
            "temperature": temperature,
            "seed": seed,
        }
        if schema is not None:
            request["response_format"] = response_format(schema)
        if self.reasoning_effort:
            request["reasoning_effort"] = self.reasoning_effort
        return request

    def _negotiate(self, request: dict[str, Any]) -> Any:  # noqa: ANN401 - openai ChatCompletion
        for _ in range(len(_NEGOTIABLE) + 1):
            sent = self._accepted(request)
            try:
                return self.endpoint.call(lambda sent=sent: self._create(sent))  # type: ignore[misc]
            except ModelRefused as error:
                reason = str(error.params.get("reason", ""))
                culprit = next((name for name in _NEGOTIABLE if name in sent and name in reason), None)
                if culprit is None and "response_format" in sent and "response_format" in reason:
                    raise ModelRefused("models.schema_refused", model=self.name, reason=reason) from None
                if culprit is None:
                    raise
                with self._lock:
                    self._refused |= {culprit}
        raise AssertionError("every negotiable parameter is dropped at most once")

    def _create(self, sent: dict[str, Any]) -> Any:  # noqa: ANN401
        return self.endpoint.client.chat.completions.create(**sent)

    def _accepted(self, request: dict[str, Any]) -> dict[str, Any]:
        sent = {key: value for key, value in request.items() if key not in self._refused}
        if "max_completion_tokens" in self._refused:
            sent["max_tokens"] = request["max_completion_tokens"]
        return sent

    def _generation(self, reply: Any, seconds: float) -> Generation:  # noqa: ANN401
        choices = getattr(reply, "choices", None)
        if not choices or getattr(choices[0], "message", None) is None:
            raise self.endpoint.bad_answer(_excerpt(reply))
        choice = choices[0]
        refusal = getattr(choice.message, "refusal", None)
        if refusal or choice.finish_reason == "content_filter":
            raise self._refusal(refusal or choice.finish_reason)
        text = choice.message.content or ""
        return Generation(text.strip(), _usage(reply), seconds, self.name, choice.finish_reason != "length")

    def _refusal(self, reason: object) -> ModelRefused:
        return ModelRefused("models.refused_content", model=self.name, reason=self.endpoint.clean(reason))


class OpenAIEmbedder(RemoteEmbedder):
    """An ``Embedder`` over /embeddings."""

    def __init__(self, endpoint: Endpoint, dimension: int | None) -> None:
        super().__init__(_EMBED_BATCH, dimension)
        self.name = endpoint.name
        self.endpoint = endpoint
        self._asked = dimension

    def _batch(self, texts: list[str], kind: Kind) -> NDArray[Any]:
        options: dict[str, Any] = {"dimensions": self._asked} if self._asked else {}
        # an empty string is refused by the API
        request = {"model": self.endpoint.model, "input": [text or " " for text in texts], "encoding_format": "float"}
        reply = self.endpoint.call(lambda: self.endpoint.client.embeddings.create(**request, **options))
        data = sorted(getattr(reply, "data", None) or [], key=lambda item: item.index)
        if len(data) != len(texts):
            raise self.endpoint.bad_answer(f"{len(data)} vectors for {len(texts)} texts")
        return np.asarray([item.embedding for item in data], dtype=np.float32)


def response_format(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The request's ``response_format``; strict when the schema meets OpenAI's conditions for it (every object closed
    and all its properties required), since a strict request with another schema is refused.
    """
    return {"type": "json_schema", "json_schema": {"name": "answer", "strict": _closed(schema), "schema": schema}}


def _closed(node: object) -> bool:
    if isinstance(node, Mapping):
        properties = node.get("properties")
        if node.get("type") == "object" or isinstance(properties, Mapping):
            names = set(properties) if isinstance(properties, Mapping) else set()
            if node.get("additionalProperties") is not False or set(node.get("required", ())) != names:
                return False
        return all(_closed(value) for value in node.values())
    return all(_closed(item) for item in node) if isinstance(node, list) else True


def _usage(reply: Any) -> Usage:  # noqa: ANN401
    usage = getattr(reply, "usage", None)
    if usage is None:
        return Usage()
    details = getattr(usage, "prompt_tokens_details", None)
    cached = getattr(details, "cached_tokens", None) or 0
    return Usage(usage.prompt_tokens or 0, usage.completion_tokens or 0, cached)


def _excerpt(reply: Any) -> str:  # noqa: ANN401
    if isinstance(reply, str):
        return reply
    dump = getattr(reply, "model_dump", None)
    return json.dumps(dump(), ensure_ascii=False, default=str) if dump else repr(reply)
