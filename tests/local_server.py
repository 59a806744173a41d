"""A scripted HTTP server on this computer for tests of clients: replies in order, records what it was sent."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Reply:
    """``body`` is sent as JSON unless it is bytes; ``delay`` in seconds."""

    body: Any
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0


@dataclass(frozen=True)
class Seen:
    method: str
    path: str
    headers: dict[str, str]
    body: Any


class LocalServer:
    """``with LocalServer([...])`` or ``LocalServer(function)``: the last reply of a list repeats."""

    def __init__(self, replies: list[Reply] | Callable[[Seen], Reply]) -> None:
        self.seen: list[Seen] = []
        self._replies = replies
        self._stop = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _answer(self) -> None:
                raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = {key.lower(): value for key, value in self.headers.items()}
                seen = Seen(self.command, self.path, headers, json.loads(raw) if raw else None)
                reply = outer._reply(seen)
                outer._stop.wait(reply.delay)
                raw_body = isinstance(reply.body, bytes)
                data = reply.body if raw_body else json.dumps(reply.body, ensure_ascii=False).encode()
                try:
                    self.send_response(reply.status)
                    merged = {"Content-Type": "application/json", "Content-Length": str(len(data)), **reply.headers}
                    for key, value in merged.items():
                        self.send_header(key, value)
                    self.send_header("Connection", "close")
                    self.end_headers()
                    self.wfile.write(data)
                except OSError:  # a client that timed out
                    pass
                self.close_connection = True

            do_GET = do_POST = do_PUT = do_DELETE = _answer

            def log_message(self, *_: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    def _reply(self, seen: Seen) -> Reply:
        self.seen.append(seen)
        if callable(self._replies):
            return self._replies(seen)
        return self._replies[min(len(self.seen), len(self._replies)) - 1]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> LocalServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def closed_port_url() -> str:
    """An address of this computer where nothing listens."""
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"
