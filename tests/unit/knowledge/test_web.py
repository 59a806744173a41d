"""Addresses and fetching: what is refused, limits, conditional requests. The only server is on this computer."""

import gzip
import ipaddress
import socket
import threading
from pathlib import Path

import pytest
from local_server import LocalServer, Reply, closed_port_url

from groundtune.errors import DataError
from groundtune.knowledge import address, fetch
from groundtune.knowledge.address import find_places, is_address, is_public, parse_address
from groundtune.knowledge.fetch import Gone, Limits, unpacked
from groundtune.knowledge.webcache import Web

HTML = {"Content-Type": "text/html; charset=utf-8"}


def get(url, **options):
    return fetch.fetch(url, allow_private=True, **options)


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("https://Example.com", "https://example.com/"), ("HTTP://example.com:80/a#part", "http://example.com/a"),
        ("https://example.com:8443/a b?q=規則", "https://example.com:8443/a%20b?q=%E8%A6%8F%E5%89%87"),
        ("https://例え.jp/頁", "https://xn--r8jz45g.jp/%E9%A0%81"), ("http://[::1]:80/x", "http://[::1]/x"),
        ("https://example.com/a%20b", "https://example.com/a%20b"),
    ],
)  # fmt: skip
def test_one_form_for_each_address(given, url):
    assert parse_address(given).url == url == parse_address(url).url


@pytest.mark.parametrize(
    "url",
    [
        "ftp://a.example/x",
        "file:///etc/passwd",
        "https://",
        "http://user:secret@a.example/",
        "http://a.example:99999/",
        "http://a\n.example/",
        "javascript:x",
        "http://[bad/",
        "http://a%2eb/",
    ],
)
def test_other_addresses_are_refused_without_telling_secrets(url):
    with pytest.raises(DataError) as caught:
        parse_address(url)
    assert "secret" not in str(caught.value)


def test_what_is_an_address():
    assert is_address("https://a") and is_address(" HTTP://a") and not is_address("documents/a.md")
    assert not is_address("C:\\a") and not is_address(Path("https:/a"))


@pytest.mark.parametrize(
    "ip",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
        "255.255.255.255", "::1", "::", "fe80::1", "fc00::1", "fec0::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
        "64:ff9b::7f00:1", "2002:7f00:1::", "2002:c0a8:101::1", "::127.0.0.1", "2001:db8::1",
    ],
)  # fmt: skip
def test_addresses_of_the_own_network(ip):
    assert not is_public(ipaddress.ip_address(ip))


@pytest.mark.parametrize("ip", ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_public_addresses(ip):
    assert is_public(ipaddress.ip_address(ip))


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "[::1]", "2130706433", "0x7f000001", "0177.0.0.1", "127.1", "[::ffff:127.0.0.1]"]
)
def test_this_computer_is_refused_in_every_notation(host, monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", _real_numbers)
    with pytest.raises(DataError, match="--allow-private"):
        fetch.fetch(f"http://{host}/")


def _real_numbers(host, port, *args, **kwargs):
    """What the system makes of a number, without asking any name server."""
    if host in ("localhost", "::1") or ":" in host:
        return [(socket.AF_INET6, socket.SOCK_STREAM, 6, "", (host if ":" in host else "::1", port, 0, 0))]
    return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (socket.inet_ntoa(socket.inet_aton(host)), port))]


def test_one_private_address_among_public_ones_refuses_the_name(monkeypatch):
    found = [("8.8.8.8", 80), ("10.0.0.1", 80)]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [(socket.AF_INET, 1, 6, "", place) for place in found])
    with pytest.raises(DataError, match=r"10\.0\.0\.1"):
        find_places(parse_address("http://rebind.example/"), allow_private=False)
    found.pop()
    (place,) = find_places(parse_address("http://rebind.example/"), allow_private=False)
    assert place.address == ("8.8.8.8", 80)


def test_the_checked_address_is_the_one_that_is_asked(monkeypatch):
    """A name that changes its meaning between the check and the connection gains nothing."""
    with LocalServer([Reply(b"reached", headers=HTML)]) as server:
        port = int(server.url.rpartition(":")[2])
        answers = [[(socket.AF_INET, 1, 6, "", ("127.0.0.1", port))], [(socket.AF_INET, 1, 6, "", ("10.9.9.9", port))]]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answers.pop(0))
        assert get(f"http://name.example:{port}/x").body == b"reached"
        assert server.seen[0].headers["host"] == f"name.example:{port}" and len(answers) == 1


def test_redirects_are_followed_checked_and_counted(monkeypatch):
    def reply(seen):
        if seen.path == "/a":
            return Reply(b"", 302, {"Location": "b?x=1"})
        if seen.path == "/loop":
            return Reply(b"", 301, {"Location": "/loop"})
        if seen.path == "/file":
            return Reply(b"", 302, {"Location": "file:///etc/passwd"})
        if seen.path == "/inside":
            return Reply(b"", 302, {"Location": "http://192.168.0.1/admin"})
        return Reply(b"here", headers=HTML)

    with LocalServer(reply) as server:
        assert get(f"{server.url}/a").url == f"{server.url}/b?x=1"
        with pytest.raises(DataError, match="more than 5"):
            get(f"{server.url}/loop")
        with pytest.raises(DataError, match="not a web address"):
            get(f"{server.url}/file")
        real = address.is_public
        monkeypatch.setattr(address, "is_public", lambda ip: ip.is_loopback or real(ip))
        monkeypatch.setattr(socket, "getaddrinfo", _real_numbers)
        with pytest.raises(DataError, match=r"192\.168\.0\.1"):
            fetch.fetch(f"{server.url}/inside")


@pytest.mark.parametrize("status", [404, 410, 403, 500])
def test_errors_of_the_server(status):
    with LocalServer([Reply(b"no", status)]) as server, pytest.raises(DataError, match=str(status)) as caught:
        get(server.url)
    assert isinstance(caught.value, Gone) == (status in (404, 410))


def test_nobody_answers():
    with LocalServer([Reply(b"no TLS here")]) as server, pytest.raises(DataError, match="cannot be reached"):
        get(server.url.replace("http:", "https:"))
    with pytest.raises(DataError, match="cannot be reached"):
        get(closed_port_url())
    with pytest.raises(DataError, match="cannot be reached"):
        get("http://no-such-name.example/")


def test_size_limit_also_after_unpacking():
    limits = Limits(size=100_000)
    small, large = gzip.compress(b"a" * 99_000), gzip.compress(b"a" * 5_000_000)
    headers = {**HTML, "Content-Encoding": "gzip"}
    with LocalServer([Reply(small, headers=headers), Reply(large, headers=headers), Reply(b"a" * 200_000)]) as server:
        assert len(get(server.url, limits=limits).body) == 99_000
        for _ in range(2):
            with pytest.raises(DataError, match="too large"):
                get(server.url, limits=limits)
    with LocalServer([Reply(b"no gzip", headers=headers)]) as server, pytest.raises(DataError, match="damaged"):
        get(server.url)
    assert unpacked(small, "x", 100_000) == b"a" * 99_000 and unpacked(b"plain", "x", 5) == b"plain"
    for bad in (large, b"\x1f\x8b broken"):
        with pytest.raises(DataError):
            unpacked(bad, "x", 100_000)


def test_time_limits():
    with LocalServer([Reply(b"late", delay=1.0)]) as server, pytest.raises(DataError, match="did not answer"):
        get(server.url, limits=Limits(wait=0.1))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        stop = threading.Event()

        def drip():
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
                while not stop.wait(0.05):
                    try:
                        connection.sendall(b"x")
                    except OSError:
                        return

        thread = threading.Thread(target=drip)
        thread.start()
        try:
            with pytest.raises(DataError, match="did not answer"):
                get(f"http://127.0.0.1:{listener.getsockname()[1]}/", limits=Limits(wait=5, seconds=0.3))
        finally:
            stop.set()
            thread.join()


def test_what_did_not_change_is_not_sent_again(tmp_path):
    def reply(seen):
        tag = {"ETag": '"1"', "Last-Modified": "Tue, 03 Nov 2026 10:00:00 GMT"}
        if seen.headers.get("if-none-match") == '"1"':
            return Reply(b"", 304, tag)
        return Reply("第一版".encode("big5"), headers={"Content-Type": "text/plain; charset=big5", **tag})

    with LocalServer(reply) as server:
        web = Web(tmp_path / "web", allow_private=True)
        first, second = web.get(server.url), web.get(server.url)
        assert first.body == second.body and second.charset == "big5" and second.content_type == "text/plain"
        assert server.seen[1].headers["if-modified-since"] == "Tue, 03 Nov 2026 10:00:00 GMT"
        assert server.seen[0].headers["user-agent"] == "groundtune" and "if-none-match" not in server.seen[0].headers
        (kept,) = (tmp_path / "web").iterdir()
        kept.write_bytes(kept.read_bytes()[:-2])  # a damaged cache costs one download
        assert web.get(server.url).body == first.body and "if-none-match" not in server.seen[2].headers
