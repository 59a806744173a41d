"""Every other provider through LiteLLM (``litellm:mistral/mistral-small-latest``, ``litellm:bedrock/…``)."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundtune.errors import ModelRefused, SpecError
from groundtune.models.embed import RemoteEmbedder
from groundtune.models.http import extra_for, without_password
from groundtune.models.sdk import Caller
from groundtune.models.spoken import Spoken
from groundtune.ports import Kind
from groundtune.types import Generation, Message, Usage

_EMBED_BATCH = 64


def open_model(
    name: str, *, base_url: str | None = None, api_key: str | None = None, timeout: float = 60, retries: int = 4
) -> LiteLLMModel:
    """A chat model by LiteLLM's name for it. Keys are those that LiteLLM reads from the environment (MISTRAL_API_KEY, …)
    unless ``api_key`` is given; ``base_url`` is another address of the provider.

    Raises ``SpecError`` or ``MissingExtra``.
    """
    return LiteLLMModel(Gateway(name, base_url, api_key, timeout, retries))


def open_embedder(
    name: str, *, base_url: str | None = None, api_key: str | None = None, timeout: float = 60, retries: int = 4
) -> LiteLLMEmbedder:
    """An embedding model by LiteLLM's name for it."""
    return LiteLLMEmbedder(Gateway(name, base_url, api_key, timeout, retries))


class Gateway:
    """The library, set up so that it asks nobody but the provider, and how to call it."""

    def __init__(self, name: str, base_url: str | None, api_key: str | None, timeout: float, retries: int) -> None:
        if not name:
            raise SpecError("models.name_missing", provider="litellm", example="litellm:mistral/mistral-small-latest")
        self.name, self.model = f"litellm:{name}", name
        # LiteLLM would fetch its table of prices from the internet when it is imported
        os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
        with extra_for(self.name):
            import litellm
            import openai
        litellm.suppress_debug_info = True
        litellm.telemetry = False
        self.sdk = litellm
        where = without_password(base_url) if base_url else name.partition("/")[0]
        # its errors are subclasses of those of OpenAI's SDK
        self.caller = Caller(
            openai, model=name, where=where, key=api_key or "", variable="…_API_KEY", timeout=timeout, retries=retries
        )
        self.options: dict[str, Any] = {"timeout": timeout, "max_retries": 0, "num_retries": 0}
        self.options |= {key: value for key, value in (("api_base", base_url), ("api_key", api_key)) if value}

    def supports(self, parameter: str) -> bool:
        """Whether the provider knows a parameter of OpenAI's chat completions."""
        return parameter in (self.sdk.get_supported_openai_params(model=self.model) or ())


class LiteLLMModel:
    """A ``Model``. What the provider does not know (``seed``, …) is left out by LiteLLM; a schema is never left out."""

    def __init__(self, gateway: Gateway) -> None:
        self.name = gateway.name
        self.gateway = gateway

    def __repr__(self) -> str:
        return f"LiteLLMModel({self.name!r})"

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
        reply = self.gateway.caller.call(lambda: self.gateway.sdk.completion(**request))
        seconds = time.perf_counter() - started
        if not reply.choices or reply.choices[0].message is None:
            raise self.gateway.caller.bad_answer(reply)
        choice = reply.choices[0]
        return self._generation((choice.message.content or "").strip(), _usage(reply), choice.finish_reason, seconds)

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
        chunks = self.gateway.caller.call(lambda: self.gateway.sdk.completion(**request))
        spoken, usage, reason = Spoken(on_text), Usage(), ""
        with self.gateway.caller.reading():
            for chunk in chunks:
                usage = _usage(chunk) if getattr(chunk, "usage", None) else usage
                for choice in chunk.choices or ():
                    spoken.add(getattr(choice.delta, "content", None))
                    reason = choice.finish_reason or reason
        return self._generation(spoken.text, usage, reason, time.perf_counter() - started)

    def _request(
        self,
        messages: Sequence[Message],
        max_tokens: int,
        temperature: float,
        seed: int,
        schema: Mapping[str, Any] | None,
    ) -> dict[str, Any]:
        request: dict[str, Any] = {
            "model": self.gateway.model,
            "messages": [message.as_dict() for message in messages],
            "max_tokens": max_tokens,
            "temperature": temperature,
            "seed": seed,
            "drop_params": True,
            **self.gateway.options,
        }
        if schema is not None:
            if not self.gateway.supports("response_format"):
                raise ModelRefused("models.schema_refused", model=self.name, reason="response_format")
            wanted = {"name": "answer", "schema": dict(schema)}
            request["response_format"] = {"type": "json_schema", "json_schema": wanted}
        return request

    def _generation(self, text: str, usage: Usage, reason: str | None, seconds: float) -> Generation:
        if reason == "content_filter":
            raise ModelRefused("models.refused_content", model=self.name, reason=reason)
        return Generation(text, usage, seconds, self.name, reason != "length")


class LiteLLMEmbedder(RemoteEmbedder):
    """An ``Embedder`` through LiteLLM."""

    def __init__(self, gateway: Gateway) -> None:
        super().__init__(_EMBED_BATCH)
        self.name = gateway.name
        self.gateway = gateway

    def _batch(self, texts: list[str], kind: Kind) -> NDArray[Any]:
        gateway = self.gateway
        request = {"model": gateway.model, "input": [text or " " for text in texts], **gateway.options}
        reply = gateway.caller.call(lambda: gateway.sdk.embedding(**request))
        rows = [item["embedding"] for item in sorted(reply.data, key=lambda item: int(item["index"]))]
        if len(rows) != len(texts):
            raise gateway.caller.bad_answer(f"{len(rows)} vectors for {len(texts)} texts")
        return np.asarray(rows, dtype=np.float32)


def _usage(reply: Any) -> Usage:  # noqa: ANN401 - ModelResponse
    usage = getattr(reply, "usage", None)
    if usage is None:
        return Usage()
    details = getattr(usage, "prompt_tokens_details", None)
    return Usage(usage.prompt_tokens or 0, usage.completion_tokens or 0, getattr(details, "cached_tokens", None) or 0)
