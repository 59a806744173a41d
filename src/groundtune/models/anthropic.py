"""Anthropic's models through its own SDK (``anthropic:claude-haiku-4-5``)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from groundtune.errors import ModelRefused, ModelUnreachable, SpecError
from groundtune.models.http import address, extra_for, is_local, key_from, without_password
from groundtune.models.sdk import Caller
from groundtune.models.spoken import Spoken
from groundtune.types import Generation, Message, Usage

ANTHROPIC_URL = "https://api.anthropic.com"
_KEY = "ANTHROPIC_API_KEY"
# Shorter prompts are never cached (1024 tokens are the least), and a mark on them would cost nothing but bytes.
_WORTH_CACHING = 2_000  # characters
# What some models refuse; it is left out from then on.
_NEGOTIABLE = ("temperature",)


def open_model(
    name: str,
    *,
    base_url: str | None = None,
    api_key: str | None = None,
    timeout: float = 60,
    retries: int = 4,
    caching: bool = True,
) -> AnthropicModel:
    """A Claude model. Key: ``api_key``, else ANTHROPIC_API_KEY; address: ``base_url``, else ANTHROPIC_BASE_URL, else
    Anthropic's. ``timeout`` in seconds for one try. With ``caching`` long prompts are marked so that Anthropic keeps
    what they begin with for five minutes: writing costs a quarter more than reading without a cache, reading again a
    tenth.

    Raises ``SpecError``, ``MissingExtra`` or ``ModelUnreachable`` (no key).
    """
    if not name:
        raise SpecError("models.name_missing", provider="anthropic", example="anthropic:claude-haiku-4-5")
    key = api_key or key_from(_KEY)
    if not key:
        raise ModelUnreachable("models.key_missing", model=f"anthropic:{name}", variable=_KEY)
    return AnthropicModel(name, address(base_url, "ANTHROPIC_BASE_URL", ANTHROPIC_URL), key, timeout, retries, caching)


class AnthropicModel:
    """A ``Model`` over the Messages API. Anthropic has no seed: a sample (``temperature`` above 0) cannot be repeated."""

    def __init__(self, name: str, url: str, key: str, timeout: float, retries: int, caching: bool) -> None:
        self.name = f"anthropic:{name}"
        self.model, self.caching = name, caching
        self._refused: frozenset[str] = frozenset()
        self._lock = threading.Lock()
        with extra_for(self.name):
            import anthropic

        self._caller = Caller(
            anthropic, model=name, where=without_password(url), key=key, variable=_KEY, timeout=timeout, retries=retries
        )
        # a proxy from the environment cannot reach this computer's own servers
        http = anthropic.DefaultHttpxClient(trust_env=False) if is_local(url) else None
        self._client = anthropic.Anthropic(api_key=key, base_url=url, timeout=timeout, max_retries=0, http_client=http)

    def __repr__(self) -> str:
        return f"AnthropicModel({self.name!r})"

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
        request = self._request(messages, max_tokens, temperature, schema)
        started = time.perf_counter()
        reply = self._negotiate(request, stream=False)
        seconds = time.perf_counter() - started
        content = getattr(reply, "content", None)
        if not isinstance(content, list):
            raise self._caller.bad_answer(reply)
        text = "".join(block.text for block in content if block.type == "text")
        return self._generation(text.strip(), _usage(reply.usage), reply.stop_reason, seconds)

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
        request = self._request(messages, max_tokens, temperature, schema)
        started = time.perf_counter()
        events, spoken, usage, reason = self._negotiate(request, stream=True), Spoken(on_text), Usage(), ""
        with self._caller.reading(), events:
            for event in events:
                if event.type == "message_start":
                    usage = _usage(event.message.usage)
                elif event.type == "content_block_delta" and event.delta.type == "text_delta":
                    spoken.add(event.delta.text)
                elif event.type == "message_delta":
                    reason = event.delta.stop_reason or reason
                    usage = Usage(usage.input_tokens, event.usage.output_tokens or 0, usage.cached_tokens)
        if not reason:
            raise self._caller.bad_answer("the stream ended before the answer did")
        return self._generation(spoken.text, usage, reason, time.perf_counter() - started)

    def _request(
        self, messages: Sequence[Message], max_tokens: int, temperature: float, schema: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        turns = [message.as_dict() for message in messages if message.role != "system"]
        request: dict[str, Any] = {"max_tokens": max_tokens, "temperature": temperature, "messages": turns}
        system = "\n\n".join(message.content for message in messages if message.role == "system")
        if system:
            request["system"] = [self._block(system)]
        # The last turn differs from call to call; what stands before it may be the same documents or examples again.
        if self.caching and len(turns) > 1:
            turns[-2] = {**turns[-2], "content": [self._block(turns[-2]["content"])]}  # type: ignore[dict-item]
        if schema is not None:
            request["output_config"] = {"format": {"type": "json_schema", "schema": dict(schema)}}
        return request

    def _block(self, text: str) -> dict[str, Any]:
        marked = self.caching and len(text) >= _WORTH_CACHING
        return {"type": "text", "text": text, **({"cache_control": {"type": "ephemeral"}} if marked else {})}

    def _negotiate(self, request: dict[str, Any], stream: bool) -> Any:  # noqa: ANN401 - Message or Stream
        for _ in range(len(_NEGOTIABLE) + 1):
            body = {key: value for key, value in request.items() if key not in self._refused}
            try:
                return self._caller.call(lambda body=body: self._create(body, stream))  # type: ignore[misc]
            except ModelRefused as error:
                reason = str(error.params.get("reason", ""))
                culprit = next((name for name in _NEGOTIABLE if name in body and name in reason), None)
                if culprit is None and "output_config" in body and ("schema" in reason or "output_config" in reason):
                    raise ModelRefused("models.schema_refused", model=self.name, reason=reason) from None
                if culprit is None:
                    raise
                with self._lock:
                    self._refused |= {culprit}
        raise AssertionError("every negotiable parameter is dropped at most once")

    def _create(self, body: dict[str, Any], stream: bool) -> Any:  # noqa: ANN401
        """Parameters that the SDK of today or of yesterday has no name for travel in ``extra_body``."""
        known = ("max_tokens", "messages", "system")
        named = {key: body[key] for key in known if key in body}
        extra = {key: value for key, value in body.items() if key not in known}
        return self._client.messages.create(model=self.model, stream=stream, extra_body=extra or None, **named)

    def _generation(self, text: str, usage: Usage, reason: str | None, seconds: float) -> Generation:
        if reason == "refusal":
            raise ModelRefused("models.refused_content", model=self.name, reason=reason)
        return Generation(
            text, usage, seconds, self.name, reason not in ("max_tokens", "model_context_window_exceeded")
        )


def _usage(usage: Any) -> Usage:  # noqa: ANN401 - anthropic.types.Usage
    """Anthropic counts what was read from the cache and what was written to it apart from the other input."""
    read = usage.cache_read_input_tokens or 0
    written = usage.cache_creation_input_tokens or 0
    return Usage((usage.input_tokens or 0) + read + written, usage.output_tokens or 0, read)
