"""Calls through an SDK of the kind that OpenAI and Anthropic publish: retries, and its errors turned into ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any, TypeVar

from groundtune.errors import ModelError, ModelUnreachable
from groundtune.models.http import Transient, clean, for_status, retry_after, with_retries

Result = TypeVar("Result")


class Link:
    """Calls to one service of ``model`` at ``where``, with retries. A provider's SDK fills ``_translated``. The key stands
    in no error.
    """

    def __init__(self, model: str, where: str, key: str, timeout: float, retries: int) -> None:
        self.model, self.where = model, where
        self.timeout, self.retries = timeout, retries
        self._key = key

    def call(self, request: Callable[[], Result]) -> Result:
        """``request()`` with retries."""

        def once() -> Result:
            with self._translated():
                return request()

        return with_retries(once, retries=self.retries)

    @contextmanager
    def reading(self) -> Iterator[None]:
        """For an answer that has begun to come: it is not asked for again."""
        try:
            with self._translated():
                yield
        except Transient as failure:
            raise failure.error from None

    def _translated(self) -> AbstractContextManager[None]:
        """What the SDK raises inside, as our errors; ``Transient`` for what may be tried again."""
        raise NotImplementedError

    def bad_answer(self, reason: object) -> ModelError:
        return ModelError("models.bad_answer", where=self.where, reason=self.clean(reason))

    def clean(self, text: object) -> str:
        return clean(text, self._key)


class Caller(Link):
    """``sdk`` is the module with ``APITimeoutError``, ``APIConnectionError``, ``APIStatusError`` and ``APIError``;
    ``variable`` names the environment variable that a sentence about the key should name.
    """

    def __init__(
        self,
        sdk: Any,  # noqa: ANN401 - a module
        *,
        model: str,
        where: str,
        key: str,
        variable: str,
        timeout: float,
        retries: int,
    ) -> None:
        super().__init__(model, where, key, timeout, retries)
        self._sdk, self.variable = sdk, variable

    def __repr__(self) -> str:
        return f"Caller({self.model!r}, {self.where!r})"

    @contextmanager
    def _translated(self) -> Iterator[None]:
        sdk, tries = self._sdk, self.retries + 1
        try:
            yield
        except sdk.APITimeoutError:
            error = ModelUnreachable("models.timeout", where=self.where, seconds=f"{self.timeout:g}", tries=tries)
            raise Transient(error) from None
        except sdk.APIConnectionError as failure:
            reason = self.clean(failure.__cause__ or failure)
            error = ModelUnreachable("models.unreachable", model=self.model, where=self.where, reason=reason)
            if _refused(failure):  # nothing listens there: waiting does not help
                raise error from None
            raise Transient(error) from None
        except sdk.APIStatusError as failure:
            raise self._status(failure, tries) from None
        except (sdk.APIError, ValueError) as failure:
            raise self.bad_answer(failure) from None
        except ModelError:
            raise
        except Exception as failure:  # the HTTP library's own, while an answer is being read
            kinds = {kind.__name__ for kind in type(failure).__mro__}
            if not kinds & {"TransportError", "OSError"}:
                raise
            error = ModelUnreachable(
                "models.unreachable", model=self.model, where=self.where, reason=self.clean(failure or kinds)
            )
            raise Transient(error) from None

    def _status(self, failure: Any, tries: int) -> Exception:  # noqa: ANN401 - APIStatusError
        body = failure.body if isinstance(failure.body, Mapping) else {}
        nested = body.get("error")
        inner = nested if isinstance(nested, Mapping) else body
        reason = self.clean(inner.get("message") or failure.message)
        return for_status(
            failure.status_code,
            reason,
            model=self.model,
            where=self.where,
            wait=retry_after(failure.response.headers),
            variable=self.variable,
            tries=tries,
        )


def _refused(failure: BaseException) -> bool:
    """True when the cause is a refused connection."""
    seen: BaseException | None = failure
    while seen is not None:
        if isinstance(seen, ConnectionRefusedError) or "Connection refused" in str(seen):
            return True
        seen = seen.__cause__ or seen.__context__
    return False
