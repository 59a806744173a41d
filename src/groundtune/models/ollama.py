"""Ollama's own API over the standard library (``ollama:qwen3:4b``): /api/chat and /api/embed."""

from __future__ import annotations

import http.client
import json
import os
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from groundtune.errors import ModelError, ModelUnreachable, SpecError
from groundtune.models.embed import RemoteEmbedder
from groundtune.models.http import (
    Transient,
    clean,
    for_status,
    is_local,
    retry_after,
    with_retries,
    without_password,
)
from groundtune.models.spoken import Spoken
from groundtune.ports import Kind
from groundtune.text.scripts import cjk_share
from groundtune.types import Generation, Message, Usage

_PORT = 11434
_SMALLEST_CONTEXT = 4096  # tokens
_EMBED_BATCH = 64


def open_model(
    name: str,
    *,
    host: str | None = None,
    timeout: float = 300,
    retries: int = 2,
    context: int | None = None,
    thinking: bool | None = None,
) -> OllamaModel:
    """A chat model of a running Ollama (``host``, else OLLAMA_HOST, else this computer). ``context`` is the window in
    tokens (default: large enough for the prompt, because Ollama silently cuts a prompt that does not fit). Loading a
    model counts towards ``timeout`` (seconds for one try). Nothing is contacted before the first call.
    """
    if not name:
        raise SpecError("models.name_missing", provider="ollama", example="ollama:qwen3:4b")
    return OllamaModel(name, Server(host, timeout, retries), context=context, thinking=thinking)


def open_embedder(name: str, *, host: str | None = None, timeout: float = 300, retries: int = 2) -> OllamaEmbedder:
    """An embedding model of a running Ollama."""
    if not name:
        raise SpecError("models.name_missing", provider="ollama", example="ollama:bge-m3")
    return OllamaEmbedder(name, Server(host, timeout, retries))


def address(host: str | None = None) -> str:
    """URL of the server from ``host`` or OLLAMA_HOST in any form that Ollama accepts (``:11500``, ``0.0.0.0``,
    ``https://box``); the server's wildcard address becomes this computer's.
    """
    text = (host or os.environ.get("OLLAMA_HOST", "")).strip().rstrip("/") or "127.0.0.1"
    url = text if "://" in text else f"http://{'127.0.0.1' if text.startswith(':') else ''}{text}"
    try:
        parts = urlsplit(url)
        port = parts.port or {"https": 443, "http": _PORT if "://" not in text else 80}[parts.scheme]
    except (ValueError, KeyError) as error:
        raise SpecError("models.bad_address", address=without_password(url)) from error
    name = "127.0.0.1" if parts.hostname in (None, "0.0.0.0", "::") else str(parts.hostname)
    bracketed = f"[{name}]" if ":" in name else name
    return f"{parts.scheme}://{bracketed}:{port}{parts.path}"


class Server:
    """POST and GET of JSON with retries."""

    def __init__(self, host: str | None, timeout: float, retries: int) -> None:
        self.url = address(host)
        self.timeout, self.retries = timeout, retries
        # a proxy from the environment cannot reach this computer's own servers
        handlers = [urllib.request.ProxyHandler({})] if is_local(self.url) else []
        self._opener = urllib.request.build_opener(*handlers)

    def call(self, path: str, body: Mapping[str, Any] | None = None, *, model: str = "") -> dict[str, Any]:
        """The JSON object that ``path`` answers to ``body`` (GET without one)."""
        return with_retries(lambda: self._try(path, body, model), retries=self.retries)

    def lines(self, path: str, body: Mapping[str, Any], *, model: str = "") -> Iterator[dict[str, Any]]:
        """The JSON objects of a streamed answer, one a line, as they come. Only the beginning is tried again."""
        response = with_retries(lambda: self._guarded(lambda: self._open(path, body), model), retries=self.retries)
        with response:
            while True:
                try:
                    line = self._guarded(response.readline, model)
                except Transient as failure:
                    raise failure.error from None
                if not line:
                    return
                if line.strip():
                    yield self._object(self._guarded(lambda line=line: json.loads(line), model))  # type: ignore[misc]

    def _try(self, path: str, body: Mapping[str, Any] | None, model: str) -> dict[str, Any]:
        def read() -> Any:  # noqa: ANN401 - any JSON
            with self._open(path, body) as response:
                return json.loads(response.read())

        return self._object(self._guarded(read, model))

    def _open(self, path: str, body: Mapping[str, Any] | None) -> Any:  # noqa: ANN401 - HTTPResponse
        data = None if body is None else json.dumps(body).encode("utf-8")
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"})
        return self._opener.open(request, timeout=self.timeout)

    def _guarded(self, run: Callable[[], Any], model: str) -> Any:  # noqa: ANN401
        """``run()`` with the errors of the standard library turned into ours."""
        try:
            return run()
        except urllib.error.HTTPError as failure:
            with failure:
                raise self._status(failure, model) from None
        except TimeoutError:
            raise self._timed_out() from None
        except urllib.error.URLError as failure:
            if isinstance(failure.reason, TimeoutError):
                raise self._timed_out() from None
            raise ModelUnreachable("models.ollama_down", where=self.url, reason=clean(failure.reason)) from None
        except (http.client.HTTPException, ConnectionError) as failure:
            error = ModelUnreachable("models.ollama_down", where=self.url, reason=clean(failure or "closed"))
            raise Transient(error) from None
        except ValueError as failure:
            raise self.bad_answer(failure) from None

    def _object(self, reply: Any) -> dict[str, Any]:  # noqa: ANN401
        if not isinstance(reply, dict):
            raise self.bad_answer(type(reply).__name__)
        return reply

    def _timed_out(self) -> Transient:
        tries = self.retries + 1
        error = ModelUnreachable("models.timeout", where=self.url, seconds=f"{self.timeout:g}", tries=tries)
        return Transient(error)

    def _status(self, failure: urllib.error.HTTPError, model: str) -> Exception:
        text = failure.read().decode("utf-8", "replace")
        try:
            reason = clean(json.loads(text)["error"])
        except (ValueError, KeyError, TypeError):
            reason = clean(text or failure.reason)
        if failure.code == 404 and model and "not found" in reason:
            return ModelUnreachable("models.ollama_pull", where=self.url, name=model)
        wait = retry_after(dict(failure.headers.items()))
        return for_status(failure.code, reason, model=model, where=self.url, wait=wait, tries=self.retries + 1)

    def bad_answer(self, reason: object) -> ModelError:
        return ModelError("models.bad_answer", where=self.url, reason=clean(reason))


class OllamaModel:
    """A ``Model`` over /api/chat."""

    def __init__(self, name: str, server: Server, *, context: int | None, thinking: bool | None) -> None:
        self.name = f"ollama:{name}"
        self.model, self.server, self.context, self.thinking = name, server, context, thinking
        self._window = _SMALLEST_CONTEXT
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"OllamaModel({self.name!r}, {self.server.url!r})"

    def generate(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int = 256,
        temperature: float = 0.0,
        seed: int = 0,
        schema: Mapping[str, Any] | None = None,
    ) -> Generation:
        """Write the next assistant turn. Raises ``ModelUnreachable`` (with the command that cures it) or a refusal."""
        body = self._body(messages, max_tokens, temperature, seed, schema)
        started = time.perf_counter()
        reply = self.server.call("/api/chat", {**body, "stream": False}, model=self.model)
        seconds = time.perf_counter() - started
        return self._generation(self._written(reply).strip(), reply, seconds)

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
        body = self._body(messages, max_tokens, temperature, seed, schema)
        started, spoken = time.perf_counter(), Spoken(on_text)
        last: dict[str, Any] = {}
        for last in self.server.lines("/api/chat", {**body, "stream": True}, model=self.model):
            if "error" in last:
                raise self.server.bad_answer(last["error"])
            spoken.add(self._written(last))
        if not last.get("done"):
            raise self.server.bad_answer("the stream ended before the answer did")
        return self._generation(spoken.text, last, time.perf_counter() - started)

    def _body(
        self,
        messages: Sequence[Message],
        max_tokens: int,
        temperature: float,
        seed: int,
        schema: Mapping[str, Any] | None,
    ) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self.model,
            "messages": [message.as_dict() for message in messages],
            "options": {
                "temperature": temperature,
                "seed": seed,
                "num_predict": max_tokens,
                "num_ctx": self.context or self._window_for(messages, max_tokens),
            },
        }
        if schema is not None:
            body["format"] = schema
        if self.thinking is not None:
            body["think"] = self.thinking
        return body

    def _written(self, reply: Mapping[str, Any]) -> str:
        message = reply.get("message")
        if not isinstance(message, dict) or not isinstance(message.get("content"), str):
            raise self.server.bad_answer(json.dumps(reply, ensure_ascii=False))
        return str(message["content"])

    def _generation(self, text: str, reply: Mapping[str, Any], seconds: float) -> Generation:
        # prompt_eval_count is left out when the whole prompt was in the cache
        usage = Usage(int(reply.get("prompt_eval_count") or 0), int(reply.get("eval_count") or 0))
        return Generation(text, usage, seconds, self.name, reply.get("done_reason") != "length")

    def _window_for(self, messages: Sequence[Message], max_tokens: int) -> int:
        """A power of two that holds prompt and answer; it never shrinks, since a change makes Ollama load anew."""
        text = "".join(message.content for message in messages)
        per_character = 0.4 + 1.1 * cjk_share(text)  # tokens, on the safe side for current vocabularies
        needed = int(len(text) * per_character) + 16 * len(messages) + max_tokens
        with self._lock:
            while self._window < needed:
                self._window *= 2
            return self._window


class OllamaEmbedder(RemoteEmbedder):
    """An ``Embedder`` over /api/embed."""

    def __init__(self, name: str, server: Server) -> None:
        super().__init__(_EMBED_BATCH)
        self.name = f"ollama:{name}"
        self.model, self.server = name, server

    def _batch(self, texts: list[str], kind: Kind) -> NDArray[Any]:
        reply = self.server.call("/api/embed", {"model": self.model, "input": texts}, model=self.model)
        rows = reply.get("embeddings")
        if not isinstance(rows, list) or len(rows) != len(texts):
            raise self.server.bad_answer(json.dumps(reply)[:200])
        return np.asarray(rows, dtype=np.float32)
