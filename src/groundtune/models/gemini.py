"""Google Gemini through the google-genai SDK (``gemini:gemini-2.5-flash``)."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from groundtune.errors import ModelError, ModelRefused, ModelUnreachable, SpecError
from groundtune.models.http import (
    Transient,
    clean,
    extra_for,
    for_status,
    is_local,
    key_from,
    retry_after,
    with_retries,
    without_password,
)
from groundtune.types import Generation, Message, Usage

GOOGLE_URL = "https://generativelanguage.googleapis.com"
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
    """A Gemini model. Key: ``api_key``, else GEMINI_API_KEY, else GOOGLE_API_KEY. ``timeout`` in seconds for one try.
    ``thinking_budget`` in tokens (0 switches thinking off where the model allows it); thoughts count as output tokens.
    Raises ``SpecError``, ``MissingExtra`` or ``ModelUnreachable`` (no key).
    """
    if not name:
        raise SpecError("models.name_missing", provider="gemini", example="gemini:gemini-2.5-flash")
    key = api_key or key_from("GEMINI_API_KEY", "GOOGLE_API_KEY")
    if not key:
        raise ModelUnreachable("models.key_missing", model=f"gemini:{name}", variable="GEMINI_API_KEY")
    return GeminiModel(name, base_url or GOOGLE_URL, key, timeout, retries, thinking_budget)


class GeminiModel:
    """A ``Model`` over generateContent."""

    def __init__(
        self, name: str, url: str, key: str, timeout: float, retries: int, thinking_budget: int | None
    ) -> None:
        self.name = f"gemini:{name}"
        self.model, self.where = name, without_password(url)
        self.timeout, self.retries, self.thinking_budget = timeout, retries, thinking_budget
        self._key = key
        with extra_for(self.name):
            from google import genai

        # a proxy from the environment cannot reach this computer's own servers
        arguments = {"trust_env": False} if is_local(url) else None
        options = genai.types.HttpOptions(base_url=url, timeout=int(timeout * 1000), client_args=arguments)
        self._client = genai.Client(api_key=key, vertexai=False, http_options=options)

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
        contents = [
            {"role": "model" if message.role == "assistant" else "user", "parts": [{"text": message.content}]}
            for message in messages
            if message.role != "system"
        ]
        started = time.perf_counter()
        reply = with_retries(lambda: self._try(contents, config), retries=self.retries)
        return self._generation(reply, time.perf_counter() - started)

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

    def _try(self, contents: list[dict[str, Any]], config: dict[str, Any]) -> Any:  # noqa: ANN401
        from google.genai import errors

        tries = self.retries + 1
        try:
            return self._client.models.generate_content(model=self.model, contents=contents, config=config)
        except errors.APIError as failure:
            raise self._status(failure, tries) from None
        except (ValueError, TypeError, AttributeError, KeyError) as failure:  # not JSON, or JSON of another shape
            raise self._bad_answer(failure) from None
        except Exception as failure:
            raise self._network(failure, tries) from None

    def _status(self, failure: Any, tries: int) -> Exception:  # noqa: ANN401 - google.genai.errors.APIError
        # an invalid key is a bad request to Gemini
        status = 401 if "API key not valid" in str(failure.message) else int(failure.code or 500)
        return for_status(
            status,
            self._clean(failure.message or failure),
            model=self.model,
            where=self.where,
            wait=retry_after(getattr(failure.response, "headers", None) or {}),
            variable="GEMINI_API_KEY",
            tries=tries,
        )

    def _network(self, failure: Exception, tries: int) -> Exception:
        """What an error of the SDK's HTTP library means; which library that is depends on its version."""
        kinds = {kind.__name__ for kind in type(failure).__mro__}
        if "TimeoutException" in kinds:
            seconds = f"{self.timeout:g}"
            return Transient(ModelUnreachable("models.timeout", where=self.where, seconds=seconds, tries=tries))
        if not kinds & {"TransportError", "ConnectionError", "OSError"}:
            return failure
        reason = self._clean(failure)
        error = ModelUnreachable("models.unreachable", model=self.model, where=self.where, reason=reason)
        return error if "ConnectError" in kinds else Transient(error)

    def _generation(self, reply: Any, seconds: float) -> Generation:  # noqa: ANN401
        if not reply.candidates:
            feedback = getattr(reply, "prompt_feedback", None)
            blocked = getattr(feedback, "block_reason", None)
            if blocked is None:
                raise self._bad_answer("no candidates")
            raise ModelRefused("models.refused_content", model=self.name, reason=_name(blocked))
        candidate = reply.candidates[0]
        reason = _name(candidate.finish_reason)
        if reason in _BLOCKED:
            raise ModelRefused("models.refused_content", model=self.name, reason=reason)
        parts = (candidate.content.parts if candidate.content else None) or []
        text = "".join(part.text or "" for part in parts if not part.thought)
        return Generation(text.strip(), _usage(reply), seconds, self.name, reason != "MAX_TOKENS")

    def _bad_answer(self, reason: object) -> ModelError:
        return ModelError("models.bad_answer", where=self.where, reason=self._clean(reason))

    def _clean(self, text: object) -> str:
        return clean(text, self._key)


def _name(value: Any) -> str:  # noqa: ANN401 - an enum member or a string
    return str(getattr(value, "name", None) or value or "")


def _usage(reply: Any) -> Usage:  # noqa: ANN401
    usage = reply.usage_metadata
    if usage is None:
        return Usage()
    written = (usage.candidates_token_count or 0) + (usage.thoughts_token_count or 0)
    return Usage(usage.prompt_token_count or 0, written, usage.cached_content_token_count or 0)
