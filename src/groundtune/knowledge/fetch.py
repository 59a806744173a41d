"""One careful HTTP GET: checked address on every hop, limits on size, time and redirects, what is known asked for again
only when it changed.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message

from groundtune.errors import DataError
from groundtune.knowledge.address import Address, Place, find_places, parse_address

AGENT = "groundtune"
_ACCEPT = (
    "text/html,application/xhtml+xml,application/pdf,application/json,text/*;q=0.9,application/xml;q=0.9,*/*;q=0.5"
)
_REDIRECTS = 5
_BLOCK = 65536


@dataclass(frozen=True, slots=True)
class Limits:
    """``size`` in bytes after unpacking, ``wait`` seconds without a sign of life, ``seconds`` for one answer."""

    size: int = 32 * 1024 * 1024
    wait: float = 20.0
    seconds: float = 90.0


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer. ``url`` is where it came from after redirects; ``unchanged``: the server says that what was stored
    still holds, and ``body`` is empty.
    """

    url: str
    body: bytes
    headers: Mapping[str, str]
    unchanged: bool = False

    @property
    def content_type(self) -> str:
        """Such as ``text/html``; empty when the server did not say."""
        return self._parsed().get_content_type() if self.headers.get("content-type") else ""

    @property
    def charset(self) -> str:
        """The charset that the server named; empty when it named none."""
        return str(self._parsed().get_param("charset", "") or "")

    def _parsed(self) -> Message:
        message = Message()
        message["content-type"] = self.headers.get("content-type", "")
        return message


class Gone(DataError):
    """The server says that the page is not there (404) or is there no more (410)."""


def fetch(
    url: str, *, allow_private: bool = False, known: Mapping[str, str] | None = None, limits: Limits | None = None
) -> Reply:
    """GET an address. ``known`` are the headers of the stored answer (``etag``, ``last-modified``).

    Raises ``Gone``, and ``DataError`` for an address that is refused or does not answer, an error of the server, and
    an answer that is too large or takes too long.
    """
    used = limits or Limits()
    address = parse_address(url)
    for _ in range(_REDIRECTS + 1):
        reply = _once(address, allow_private, known or {}, used)
        if isinstance(reply, Reply):
            return reply
        address = parse_address(reply, base=address.url)
    raise DataError("knowledge.web_redirects", url=url, count=_REDIRECTS)


def _once(address: Address, allow_private: bool, known: Mapping[str, str], limits: Limits) -> Reply | str:
    """The answer, or the address that it sends us to."""
    problem: Exception = OSError("no address")
    for place in find_places(address, allow_private=allow_private):
        connection = _connection(address, place, limits)
        try:
            with _deadline(connection, limits.seconds):
                connection.connect()
                return _ask(connection, address, known, limits)
        except TimeoutError as error:
            raise DataError("knowledge.web_slow", url=address.url, seconds=f"{limits.wait:g}") from error
        except _Late as error:
            raise DataError("knowledge.web_slow", url=address.url, seconds=f"{limits.seconds:g}") from error
        except (OSError, http.client.HTTPException) as error:
            problem = error
        finally:
            connection.close()
    reason = getattr(problem, "strerror", None) or str(problem) or type(problem).__name__
    raise DataError("knowledge.web_unreachable", url=address.url, reason=reason) from problem


class _Late(Exception):
    """The whole answer took too long."""


@contextmanager
def _deadline(connection: http.client.HTTPConnection, seconds: float) -> Iterator[None]:
    """Cut the connection after ``seconds``: a server that sends a byte now and then never times out by itself."""
    late = threading.Event()

    def cut() -> None:
        late.set()
        if connection.sock is not None:
            try:
                connection.sock.shutdown(socket.SHUT_RDWR)
            except OSError:  # it was closed in the meantime
                pass

    timer = threading.Timer(seconds, cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    except (OSError, http.client.HTTPException, ValueError) as error:
        if late.is_set():
            raise _Late from error
        raise
    finally:
        timer.cancel()
    if late.is_set():
        raise _Late


def _connection(address: Address, place: Place, limits: Limits) -> http.client.HTTPConnection:
    if address.scheme == "https":
        return _Secure(address, place, limits.wait)
    return _Plain(address, place, limits.wait)


class _Plain(http.client.HTTPConnection):
    """Connects to the address that was checked, whatever the name means by now."""

    def __init__(self, address: Address, place: Place, wait: float) -> None:
        super().__init__(address.host, address.port, timeout=wait)
        self._place = place

    def connect(self) -> None:
        sock = socket.socket(self._place.family, socket.SOCK_STREAM)
        try:
            sock.settimeout(self.timeout)
            sock.connect(self._place.address)
        except BaseException:
            sock.close()
            raise
        self.sock = sock


class _Secure(_Plain):
    """The same with TLS; the certificate is checked against the name."""

    def connect(self) -> None:
        super().connect()
        plain = self.sock
        try:
            self.sock = ssl.create_default_context().wrap_socket(plain, server_hostname=self.host)
        except BaseException:
            plain.close()
            raise


def _ask(
    connection: http.client.HTTPConnection, address: Address, known: Mapping[str, str], limits: Limits
) -> Reply | str:
    headers = {
        "Host": address.site.partition("//")[2], "User-Agent": AGENT, "Accept": _ACCEPT, "Accept-Encoding": "gzip",
        "Connection": "close",
    }  # fmt: skip
    if "etag" in known:
        headers["If-None-Match"] = known["etag"]
    if "last-modified" in known:
        headers["If-Modified-Since"] = known["last-modified"]
    connection.request("GET", address.target, headers=headers)
    with connection.getresponse() as response:
        return _answer(response, address, bool(known), limits)


def _answer(response: http.client.HTTPResponse, address: Address, asked: bool, limits: Limits) -> Reply | str:
    found = {name.lower(): value for name, value in response.getheaders()}
    if response.status == 304 and asked:
        return Reply(address.url, b"", found, unchanged=True)
    if response.status in (301, 302, 303, 307, 308) and "location" in found:
        return found["location"]
    if response.status in (404, 410):
        raise Gone("knowledge.web_gone", url=address.url, status=response.status)
    if response.status != 200:
        raise DataError("knowledge.web_status", url=address.url, status=response.status)
    return Reply(address.url, _body(response, found, address, limits), found)


def _body(response: http.client.HTTPResponse, headers: Mapping[str, str], address: Address, limits: Limits) -> bytes:
    packed = headers.get("content-encoding", "").strip().lower() in ("gzip", "x-gzip")
    unpack = zlib.decompressobj(31) if packed else None
    parts: list[bytes] = []
    size = 0
    until = time.monotonic() + limits.seconds
    try:
        while block := response.read(_BLOCK):
            if time.monotonic() > until:
                raise _Late
            data = unpack.decompress(block, limits.size - size + 1) if unpack else block
            size += len(data)
            if size > limits.size or (unpack and unpack.unconsumed_tail):
                raise DataError("knowledge.too_large", document=address.url, limit=limits.size // 1024 // 1024)
            parts.append(data)
    except zlib.error as error:
        raise DataError("knowledge.damaged", document=address.url) from error
    if response.length:  # the connection ended before the answer did
        raise http.client.IncompleteRead(b"", response.length)
    return b"".join(parts)


def unpacked(data: bytes, name: str, size: int) -> bytes:
    """A gzip file (such as ``sitemap.xml.gz``) without its packing. Raises ``DataError`` when it is damaged or larger
    than ``size`` bytes.
    """
    if not data.startswith(b"\x1f\x8b"):
        return data
    unpack = zlib.decompressobj(31)
    try:
        found = unpack.decompress(data, size + 1)
    except zlib.error as error:
        raise DataError("knowledge.damaged", document=name) from error
    if len(found) > size:
        raise DataError("knowledge.too_large", document=name, limit=size // 1024 // 1024)
    return found
