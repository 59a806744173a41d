"""What the network models share: retries with back-off, Retry-After, addresses, and keeping keys out of sentences."""

from __future__ import annotations

import email.utils
import ipaddress
import os
import random
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar
from urllib.parse import urlsplit, urlunsplit

from groundtune.errors import ModelError, ModelRefused, ModelUnreachable, SpecError
from groundtune.registry import missing
from groundtune.text.normalise import squeeze

Result = TypeVar("Result")
FIRST_WAIT, LONGEST_WAIT, LONGEST_RETRY_AFTER = 0.5, 20.0, 90.0  # seconds
_KEY_LIKE = re.compile(r"\b(sk|pk|rk)-[A-Za-z0-9_*-]{4,}|\bAIza[A-Za-z0-9_*-]{6,}|(?<=Bearer )\S+")


class Transient(Exception):
    """A failure that another try may cure. ``error`` is raised when the tries are used up; ``wait`` is the server's
    Retry-After in seconds.
    """

    def __init__(self, error: ModelError, wait: float | None = None) -> None:
        self.error = error
        self.wait = wait
        super().__init__(str(error))


def with_retries(attempt: Callable[[], Result], *, retries: int, sleep: Callable[[float], None] = time.sleep) -> Result:
    """``attempt()``, tried again after each ``Transient`` up to ``retries`` times: 0.5 s, doubling, ±25 %, never less
    than Retry-After. Gives up at once when the server asks for more than 90 s.
    """
    for tried in range(retries + 1):
        try:
            return attempt()
        except Transient as failure:
            if tried == retries or (failure.wait or 0.0) > LONGEST_RETRY_AFTER:
                raise failure.error from None
            backoff = min(LONGEST_WAIT, FIRST_WAIT * 2**tried) * random.uniform(0.75, 1.25)
            sleep(max(backoff, failure.wait or 0.0))
    raise AssertionError("retries must be >= 0")


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds of ``retry-after-ms`` or ``Retry-After`` (a number or an HTTP date, RFC 9110 section 10.2.3)."""
    lowered = {key.lower(): value for key, value in headers.items()}
    try:
        if "retry-after-ms" in lowered:
            return max(0.0, float(lowered["retry-after-ms"]) / 1000)
        value = lowered.get("retry-after")
        if value is None:
            return None
        if re.fullmatch(r"\s*\d+(\.\d+)?\s*", value):
            return float(value)
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return None


def for_status(
    status: int, reason: str, *, model: str, where: str, wait: float | None = None, variable: str = "", tries: int = 1
) -> Exception:
    """What an HTTP status means: ``Transient`` for 408, 409, 429 and 5xx, a ``ModelError`` otherwise. Raise it ``from
    None``: the library's own error may quote the key.
    """
    if status == 429 and re.search(r"insufficient_quota|billing|check your plan", reason):
        return ModelRefused("models.no_credit", where=where, reason=reason)
    if status == 429:
        return Transient(ModelUnreachable("models.rate_limited", where=where, tries=tries), wait)
    if status in (408, 409) or status >= 500:
        error = ModelUnreachable("models.server_error", where=where, status=status, tries=tries, reason=reason)
        return Transient(error, wait)
    if status in (401, 403):
        return ModelUnreachable("models.key_refused", where=where, status=status, variable=variable or "API_KEY")
    if status == 404:
        return ModelUnreachable("models.model_missing", model=model, where=where, reason=reason)
    return ModelRefused("models.refused", model=model, status=status, reason=reason)


def clean(text: object, *secrets: str | None, limit: int = 240) -> str:
    """``text`` on one line, at most ``limit`` characters, without the secrets and without anything shaped like a key."""
    shown = str(text)
    for secret in secrets:
        if secret and len(secret) >= 6:
            shown = shown.replace(secret, "***")
    shown = squeeze(_KEY_LIKE.sub("***", shown)).rstrip(".")
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


def without_password(url: str) -> str:
    """The address without user name and password."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return url.rpartition("@")[2]
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def check_address(url: str) -> None:
    """Raises ``SpecError`` for anything but an http(s) address with a host."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        usable = False
    if not usable:
        raise SpecError("models.bad_address", address=without_password(url))


def address(given: str | None, variable: str, default: str) -> str:
    """Where a provider is: as given, else what the environment variable says, else its own address."""
    url = (given or key_from(variable) or default).rstrip("/")
    check_address(url)
    return url


def is_local(url: str) -> bool:
    """True for this computer's own addresses."""
    host = (urlsplit(url).hostname or "").lower()
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
    return address.is_loopback or address.is_unspecified


def key_from(*variables: str) -> str | None:
    """The first environment variable of these that is set and not empty."""
    return next((os.environ[name].strip() for name in variables if os.environ.get(name, "").strip()), None)


@contextmanager
def extra_for(what: str) -> Iterator[None]:
    """Turns a missing package into ``MissingExtra`` with the sentence that says how to install it."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise missing(error, what) from error
