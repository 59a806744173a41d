"""Web addresses, and which computers may be asked: only public ones, unless the person says otherwise."""

from __future__ import annotations

import ipaddress
import re
import socket
from dataclasses import dataclass
from urllib.parse import quote, urljoin, urlsplit, urlunsplit

from groundtune.errors import DataError

_WEB = re.compile(r"https?://", re.IGNORECASE)
_SAFE = "/%:@!$&'()*+,;=~-._?[]"
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_PORTS = {"http": 80, "https": 443}
IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


def is_address(text: object) -> bool:
    """True for ``http://…`` and ``https://…``."""
    return isinstance(text, str) and bool(_WEB.match(text.strip()))


@dataclass(frozen=True, slots=True)
class Address:
    """A checked address. ``url`` is its one written form, without a fragment; ``target`` goes into the request line."""

    url: str
    scheme: str
    host: str
    port: int
    target: str

    @property
    def site(self) -> str:
        """Scheme, host and port: what one robots.txt speaks for."""
        shown = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{shown}" + ("" if self.port == _PORTS[self.scheme] else f":{self.port}")


@dataclass(frozen=True, slots=True)
class Place:
    """A computer to connect to: the socket family and an address that was checked."""

    family: socket.AddressFamily
    address: tuple[str, int]


def parse_address(url: str, base: str = "") -> Address:
    """Read an address, relative to ``base`` where given. Raises ``DataError`` for anything but a plain HTTP address
    (names and passwords in it are refused: they would be stored as the id of the document).
    """
    text = urljoin(base, url.strip()) if base else url.strip()
    try:
        if not is_address(text) or any(character < "!" and character != " " for character in text):
            raise ValueError("not a web address")
        parts = urlsplit(text.replace(" ", "%20"))
        scheme, host = parts.scheme.lower(), (parts.hostname or "").rstrip(".")
        port = parts.port or _PORTS[scheme]
        if not host or "@" in parts.netloc or "%" in host:
            raise ValueError("no host, or a name before it")
        host = host if host.isascii() else host.encode("idna").decode("ascii")
    except (ValueError, UnicodeError) as error:
        raise DataError("knowledge.web_address", url=_without_secrets(url)) from error
    path, query = quote(parts.path or "/", safe=_SAFE), quote(parts.query, safe=_SAFE)
    target = f"{path}?{query}" if query else path
    site = Address("", scheme, host, port, target).site
    return Address(urlunsplit(("", "", site + path, query, "")), scheme, host, port, target)


def _without_secrets(url: str) -> str:
    return re.sub(r"//[^/@\s]*@", "//", url)


def find_places(address: Address, *, allow_private: bool) -> tuple[Place, ...]:
    """The computers behind a host name. Connecting to what is returned, and not to the name again, is what makes the
    check hold. Numbers in any notation (``2130706433``, ``0x7f.1``) are resolved like names and checked as well.

    Raises ``DataError`` when the name is unknown or when any of its addresses is not a public one.
    """
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise DataError("knowledge.web_unreachable", url=address.url, reason=_reason(error)) from error
    places: list[Place] = []
    for family, _, _, _, where in found:
        ip = ipaddress.ip_address(str(where[0]).partition("%")[0])
        if not allow_private and not is_public(ip):
            raise DataError("knowledge.web_private", url=address.url, address=ip)
        places.append(Place(family, (str(where[0]), int(where[1]))))
    return tuple(dict.fromkeys(places))


def is_public(ip: IpAddress) -> bool:
    """True for an address of the public internet; IPv4 addresses inside IPv6 ones are looked at as well."""
    if isinstance(ip, ipaddress.IPv6Address):
        inner = [ip.ipv4_mapped, ip.sixtofour, *(ip.teredo or ())]
        if ip in _NAT64:
            inner.append(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF))
        if any(v4 is not None and not is_public(v4) for v4 in inner):
            return False
        if ip.ipv4_mapped is not None:
            return True
        if ip.is_site_local or int(ip) >> 32 == 0:
            return False
    return ip.is_global and not (ip.is_multicast or ip.is_reserved and ip not in _NAT64 or ip.is_unspecified)


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error or type(error).__name__)
