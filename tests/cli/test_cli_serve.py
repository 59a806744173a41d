"""``serve`` as a real process: over HTTP and as an MCP server on its streams."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from command_line import Cli

SOURCE = Path(__file__).resolve().parents[2] / "src"


@pytest.fixture
def project(groundtune: Cli, make_project: Callable[..., Path]) -> Path:
    root = make_project()
    assert groundtune.run("ingest", "-C", root).exit_code == 0
    return root


@contextmanager
def started(root: Path, *args: str) -> Iterator[subprocess.Popen[str]]:
    environment = {**os.environ, "PYTHONPATH": str(SOURCE), "PYTHONUTF8": "1"}
    command = [sys.executable, "-m", "groundtune", "serve", "-C", str(root), *args]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, env=environment, stdin=pipe, stdout=pipe, stderr=pipe, text=True, encoding="utf-8"
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def get(url: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as reply:
        return json.loads(reply.read())


@pytest.mark.skipif(importlib.util.find_spec("uvicorn") is None, reason="needs the serve extra (uvicorn not installed)")
def test_http(project: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with started(project, "--port", str(port), "--feedback") as process:
        assert process.stderr is not None
        assert f"http://127.0.0.1:{port}" in process.stderr.readline()
        base, deadline = f"http://127.0.0.1:{port}", time.monotonic() + 60
        while True:
            try:
                health = get(f"{base}/healthz")
                break
            except OSError:
                assert time.monotonic() < deadline and process.poll() is None
                time.sleep(0.1)
        assert health["model"] == "small" and health["feedback"]
        asked = {"model": "small", "messages": [{"role": "user", "content": "When does the car park open?"}]}
        body = get(f"{base}/v1/chat/completions", asked)
        assert "06:30" in body["choices"][0]["message"]["content"]
        cited = body["groundtune"]["citations"][0]
        stored = get(body["choices"][0]["message"]["annotations"][0]["url_citation"]["url"])
        assert stored["text"][cited["start"] : cited["end"]] == cited["quote"]
        assert get(f"{base}/v1/feedback", {"question": "q", "answer": "a", "accepted": True}) == {"status": "kept"}
        assert (project / ".groundtune" / "feedback.jsonl").is_file()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        assert out == "" and "Traceback" not in err and process.returncode in (0, 130)


def test_mcp(project: Path) -> None:
    call = {"name": "ask", "arguments": {"question": "How many days of annual leave do staff receive?"}}
    lines = [
        {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": "2025-06-18"}},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": call},
    ]
    with started(project, "--mcp") as process:
        out, err = process.communicate("".join(json.dumps(line) + "\n" for line in lines), timeout=60)
    assert process.returncode == 0 and "Traceback" not in err
    first, second = (json.loads(line) for line in out.splitlines())
    assert first["result"]["serverInfo"]["name"] == "groundtune"
    assert "27 days" in second["result"]["structuredContent"]["answer"]
