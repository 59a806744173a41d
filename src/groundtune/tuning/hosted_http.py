"""Plain HTTP for fine-tuning services: JSON and multipart, patient with rate limits, careful with keys and with POST.

A request that only reads is tried again after 408, 429, 5xx and a dropped connection. One that creates something is not
repeated after a failure that leaves open whether it arrived (``Unsure``): the caller looks first, so that nobody pays
twice. The key is sent to the host it belongs to and to no other, redirects included.
"""

from __future__ import annotations

import email.utils
import http.client
import ipaddress
import json
import os
import random
import re
import secrets
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlencode, urlsplit

from groundtune.errors import ModelRefused, ModelUnreachable

_FIRST_WAIT, _LONGEST_WAIT, _LONGEST_ASKED = 0.5, 20.0, 300.0  # seconds
_KEY_LIKE = re.compile(r"\b(?:sk|pk|rk|fw|tgp)[-_][A-Za-z0-9_-]{6,}|(?<=Bearer )\S+")
_TRY_AGAIN = {408, 425, 429, 500, 502, 503, 504}


class Unsure(Exception):
    """A request that creates something failed without an answer: it may have arrived."""


@dataclass(frozen=True)
class Client:
    """One service: ``base`` is its address, ``variable`` the environment variable with the key.

    ``timeout`` is in seconds for one try; ``retries`` tries more.
    """

    base: str
    variable: str
    timeout: float = 60.0
    retries: int = 5
    sleep: Callable[[float], None] = field(default=time.sleep, repr=False)

    def get(self, path: str, **query: str) -> dict[str, Any]:
        """A JSON object."""
        return self._json("GET", _with_query(path, query), None, {}, repeat=True)

    def post(self, path: str, body: Mapping[str, Any], *, repeat: bool = False, **query: str) -> dict[str, Any]:
        """A JSON object. ``repeat`` only for requests that do no harm twice. Raises ``Unsure`` otherwise when it cannot
        be known whether the request arrived.
        """
        data = json.dumps(body).encode()
        return self._json("POST", _with_query(path, query), data, {"Content-Type": "application/json"}, repeat=repeat)

    def delete(self, path: str) -> dict[str, Any]:
        return self._json("DELETE", path, None, {}, repeat=True)

    def upload(self, path: str, name: str, content: bytes, fields: Mapping[str, str]) -> dict[str, Any]:
        """A file as multipart/form-data. A file that arrives twice costs nothing, so this is repeated."""
        mark = f"groundtune-{secrets.token_hex(12)}"
        parts = [
            f'--{mark}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'.encode()
            for key, value in fields.items()
        ]
        head = f'--{mark}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
        parts += [f"{head}Content-Type: application/jsonl\r\n\r\n".encode(), content, f"\r\n--{mark}--\r\n".encode()]
        headers = {"Content-Type": f"multipart/form-data; boundary={mark}"}
        return self._json("POST", path, b"".join(parts), headers, repeat=True)

    def download(self, path: str, out: Path, **query: str) -> Path:
        """A file, whole or not at all. ``path`` may be a full address (a signed one gets no key)."""
        out.parent.mkdir(parents=True, exist_ok=True)
        temporary = out.with_name(f".{out.name}.part")

        def take(answer: IO[bytes]) -> None:
            wanted = getattr(answer, "length", None)
            with temporary.open("wb") as file:
                shutil.copyfileobj(answer, file)
                written = file.tell()
            if isinstance(wanted, int) and written < wanted:
                raise http.client.IncompleteRead(b"", wanted - written)

        try:
            self._send("GET", _with_query(path, query), None, {}, take, repeat=True)
            os.replace(temporary, out)
        finally:
            temporary.unlink(missing_ok=True)
        return out

    def _json(
        self, method: str, path: str, data: bytes | None, headers: Mapping[str, str], *, repeat: bool
    ) -> dict[str, Any]:
        found: dict[str, Any] = {}

        def take(answer: IO[bytes]) -> None:
            raw = answer.read()
            try:
                value = json.loads(raw) if raw.strip() else {}
            except ValueError as error:
                raise ModelRefused("tuning.hosted_answer", where=self.where, answer=clean(raw[:200])) from error
            if not isinstance(value, dict):
                raise ModelRefused("tuning.hosted_answer", where=self.where, answer=clean(raw[:200]))
            found.update(value)

        self._send(method, path, data, headers, take, repeat=repeat)
        return found

    @property
    def where(self) -> str:
        """The host, for sentences."""
        return urlsplit(self.base).hostname or self.base

    def _send(
        self,
        method: str,
        path: str,
        data: bytes | None,
        headers: Mapping[str, str],
        take: Callable[[IO[bytes]], None],
        *,
        repeat: bool,
    ) -> None:
        request = self._request(method, path, data, headers)
        opener = urllib.request.build_opener(_Redirects())
        for tried in range(self.retries + 1):
            last = tried == self.retries
            try:
                with opener.open(request, timeout=self.timeout) as answer:
                    take(answer)
                return
            except urllib.error.HTTPError as error:
                with error:
                    reason = clean(_reason(error.read()), self._key())
                if error.code not in _TRY_AGAIN or last:
                    raise self._failure(error.code, reason) from None
                if not repeat and error.code != 429:
                    raise Unsure(reason) from None
                wait = _retry_after(error.headers.get("Retry-After"))
                if wait is not None and wait > _LONGEST_ASKED:
                    raise self._failure(error.code, reason) from None
            except (OSError, http.client.HTTPException) as error:
                if not repeat and not _never_sent(error):
                    raise Unsure(clean(error, self._key())) from None
                if last:
                    reason = clean(getattr(error, "reason", error) or type(error).__name__, self._key())
                    raise ModelUnreachable("tuning.hosted_unreachable", where=self.where, reason=reason) from None
                wait = None
            backoff = min(_LONGEST_WAIT, _FIRST_WAIT * 2**tried) * random.uniform(0.75, 1.25)
            self.sleep(max(backoff, wait or 0.0))

    def _request(
        self, method: str, path: str, data: bytes | None, headers: Mapping[str, str]
    ) -> urllib.request.Request:
        address = path if path.startswith(("http://", "https://")) else f"{self.base.rstrip('/')}/{path.lstrip('/')}"
        if urlsplit(address).scheme != "https" and not _local(address):
            raise ModelUnreachable("tuning.hosted_plain_http", where=urlsplit(address).hostname or address)
        sent = {"User-Agent": "groundtune", "Accept": "application/json", **headers}
        if _origin(address) == _origin(self.base):
            sent["Authorization"] = f"Bearer {self._key()}"
        return urllib.request.Request(address, data=data, headers=sent, method=method)  # noqa: S310 - checked above

    def _key(self) -> str:
        key = os.environ.get(self.variable, "").strip()
        if not key:
            raise ModelUnreachable("tuning.hosted_no_key", where=self.where, variable=self.variable)
        return key

    def _failure(self, status: int, reason: str) -> Exception:
        if "training_not_available" in reason:
            return ModelRefused("tuning.hosted_closed", where=self.where)
        if status in (401, 403):
            params = {"where": self.where, "status": status, "variable": self.variable, "reason": reason}
            return ModelUnreachable("tuning.hosted_key_refused", **params)
        if status == 429:
            return ModelUnreachable(
                "tuning.hosted_rate_limited", where=self.where, tries=self.retries + 1, reason=reason
            )
        if status >= 500:
            return ModelUnreachable("tuning.hosted_unreachable", where=self.where, reason=f"HTTP {status}: {reason}")
        return ModelRefused("tuning.hosted_refused", where=self.where, status=status, reason=reason)


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects without taking the key to another host."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:  # noqa: ANN401
        made = super().redirect_request(req, fp, code, msg, headers, newurl)
        if made is not None and _origin(newurl) != _origin(req.full_url):
            made.remove_header("Authorization")
        return made


def clean(text: object, *keys: str, limit: int = 240) -> str:
    """``text`` on one line, without the keys and without anything that looks like one."""
    shown = text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)
    for key in keys:
        if len(key) >= 6:
            shown = shown.replace(key, "***")
    shown = " ".join(_KEY_LIKE.sub("***", shown).split()).rstrip(".")
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


def _reason(body: bytes) -> str:
    """The message of an error in the forms that the services use, with its code."""
    try:
        error = json.loads(body).get("error", "")
    except (ValueError, AttributeError):
        return body.decode("utf-8", "replace")
    if isinstance(error, dict):
        return " ".join(str(error[key]) for key in ("code", "message") if error.get(key))
    if not error:
        return body.decode("utf-8", "replace")
    return str(error)


def _retry_after(header: str | None) -> float | None:
    value = (header or "").strip()
    if not value:
        return None
    try:
        return float(value) if re.fullmatch(r"\d+(\.\d+)?", value) else _until(value)
    except (TypeError, ValueError):
        return None


def _until(date: str) -> float:
    return max(0.0, email.utils.parsedate_to_datetime(date).timestamp() - time.time())


def _never_sent(error: Exception) -> bool:
    """Whether the connection was never made."""
    reason = getattr(error, "reason", error)
    return (
        isinstance(reason, ConnectionRefusedError) or "Name or service" in str(reason) or "getaddrinfo" in str(reason)
    )


def _origin(address: str) -> tuple[str, str, int | None]:
    parts = urlsplit(address)
    return parts.scheme, (parts.hostname or "").lower(), parts.port


def _local(address: str) -> bool:
    host = (urlsplit(address).hostname or "").lower()
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _with_query(path: str, query: Mapping[str, str]) -> str:
    return f"{path}{'&' if '?' in path else '?'}{urlencode(query)}" if query else path
