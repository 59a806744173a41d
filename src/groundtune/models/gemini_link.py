"""The connection to Google: the SDK's client, the key, retries, and the SDK's errors turned into ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from groundtune.errors import ModelError, ModelUnreachable, SpecError
from groundtune.models.http import (
    Transient,
    address,
    extra_for,
    for_status,
    is_local,
    key_from,
    retry_after,
    without_password,
)
from groundtune.models.sdk import Link

GOOGLE_URL = "https://generativelanguage.googleapis.com"
_KEYS = ("GEMINI_API_KEY", "GOOGLE_API_KEY")


class GeminiLink(Link):
    """``client`` is the SDK's. The key stands in no error. Raises ``SpecError``, ``MissingExtra`` or
    ``ModelUnreachable`` (no key).
    """

    def __init__(self, name: str, base_url: str | None, api_key: str | None, timeout: float, retries: int) -> None:
        if not name:
            raise SpecError("models.name_missing", provider="gemini", example="gemini:gemini-2.5-flash")
        key = api_key or key_from(*_KEYS)
        if not key:
            raise ModelUnreachable("models.key_missing", model=f"gemini:{name}", variable=_KEYS[0])
        url = address(base_url, "GOOGLE_GEMINI_BASE_URL", GOOGLE_URL)
        super().__init__(name, without_password(url), key, timeout, retries)
        self.name = f"gemini:{name}"
        with extra_for(self.name):
            from google import genai

        # a proxy from the environment cannot reach this computer's own servers
        arguments = {"trust_env": False} if is_local(url) else None
        options = genai.types.HttpOptions(base_url=url, timeout=int(timeout * 1000), client_args=arguments)
        self.client = genai.Client(api_key=key, vertexai=False, http_options=options)

    def __repr__(self) -> str:
        return f"GeminiLink({self.name!r})"

    @contextmanager
    def _translated(self) -> Iterator[None]:
        from google.genai import errors

        tries = self.retries + 1
        try:
            yield
        except errors.APIError as failure:
            raise self._status(failure, tries) from None
        except ModelError:
            raise
        except (ValueError, TypeError, AttributeError, KeyError) as failure:  # not JSON, or JSON of another shape
            raise self.bad_answer(failure) from None
        except Exception as failure:
            raise self._network(failure, tries) from None

    def _status(self, failure: Any, tries: int) -> Exception:  # noqa: ANN401 - google.genai.errors.APIError
        # an invalid key is a bad request to Gemini
        status = 401 if "API key not valid" in str(failure.message) else int(failure.code or 500)
        return for_status(
            status,
            self.clean(failure.message or failure),
            model=self.model,
            where=self.where,
            wait=retry_after(getattr(failure.response, "headers", None) or {}),
            variable=_KEYS[0],
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
        reason = self.clean(failure)
        error = ModelUnreachable("models.unreachable", model=self.model, where=self.where, reason=reason)
        return error if "ConnectError" in kinds else Transient(error)
