"""Time that a comparison adds to its calls: a local server answers after a fixed 20 ms, sixteen at once.

    python benchmarks/harness.py [--items 800] [--peers PATH/TO/PYTHON] [--out FILE]

The ideal is ``items / 16 x 20 ms``. Rows: direct calls (one keep-alive connection per thread, then the official SDK, which
we use too), groundtune (retries, cache on disk committed before the next answer, scoring and statistics), and Inspect
where ``--peers`` names an interpreter that has inspect-ai. The server runs in a process of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

AT_ONCE, WAIT = 16, 0.02
BODY = {
    "id": "x", "object": "chat.completion", "created": 1, "model": "m",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "27 days"}}],
    "usage": {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15},
}  # fmt: skip
REPLY = json.dumps(BODY).encode()
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(REPLY)
INSPECT = """
import sys, time
from inspect_ai import Task, eval
from inspect_ai.dataset import Sample
from inspect_ai.scorer import includes
from inspect_ai.solver import generate
url, count = sys.argv[1], int(sys.argv[2])
task = Task(dataset=[Sample(input=f"How long is leave {i}?", target="27 days", id=str(i)) for i in range(count)], solver=generate(), scorer=includes())
started = time.perf_counter()
eval(task, model="openai-api/local/m", model_base_url=url, max_connections=16, max_samples=16, display="none", log_dir=sys.argv[3])
print("SECONDS", time.perf_counter() - started)
"""


@dataclass(frozen=True)
class Line:
    """Seconds for all items; ``over`` is the share over the ideal; ``cpu`` seconds of the caller's own processor time."""

    name: str
    seconds: float
    over: float
    cpu: float | None = None


async def _serve(port: int) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = next(
                    (int(h.split(b":")[1]) for h in head.split(b"\r\n") if h.lower().startswith(b"content-length")), 0
                )
                await reader.readexactly(length)
                await asyncio.sleep(WAIT)
                writer.write(HEAD + REPLY)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", port)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def timed(name: str, ideal: float, run: Callable[[], object]) -> Line:
    """Wall and processor time of ``run``."""
    started, cpu = time.perf_counter(), time.process_time()
    run()
    seconds = time.perf_counter() - started
    return Line(name, seconds, seconds / ideal - 1.0, time.process_time() - cpu)


def direct(port: int, items: int) -> None:
    """Plain HTTP, one open connection per thread."""
    local = threading.local()
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "How long is leave?"}]})

    def one(number: int) -> bytes:
        if not hasattr(local, "link"):
            local.link = http.client.HTTPConnection("127.0.0.1", port)
        local.link.request("POST", "/v1/chat/completions", body, {"Content-Type": "application/json"})
        return local.link.getresponse().read()

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(one, range(items)))


def sdk(port: int, items: int) -> None:
    """The official SDK in threads."""
    import openai

    client = openai.OpenAI(
        api_key="none", base_url=f"http://127.0.0.1:{port}/v1", http_client=openai.DefaultHttpxClient(trust_env=False)
    )

    def one(number: int) -> object:
        messages = [{"role": "user", "content": f"How long is leave {number}?"}]
        return client.chat.completions.create(model="m", messages=messages)  # type: ignore[arg-type]

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(one, range(items)))


def ours(port: int, items: int, folder: Path) -> tuple[float, float]:
    """Seconds from the first question to the last answer, and of the whole ``compare`` with index and statistics."""
    from groundtune.config import CompareSection, Config, ModelsSection, ProjectSection
    from groundtune.measure.answering import Progress
    from groundtune.measure.run import compare

    rows = [{"question": f"How long is leave {i}?", "answers": ["27 days"]} for i in range(items)]
    (folder / "questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    config = Config(
        project=ProjectSection(name="bench"),
        models=ModelsSection(base=f"openai:m@http://127.0.0.1:{port}/v1", reader=""),
        compare=CompareSection(approaches=("prompt",)),
        folder=folder,
    )
    marks: dict[str, float] = {}

    def hear(progress: Progress) -> None:
        if progress.stage == "fit":
            marks["fit"] = time.perf_counter()
        elif progress.stage == "answer":
            marks["last"] = time.perf_counter()

    started = time.perf_counter()
    report = compare(config, workers=AT_ONCE, progress=hear)
    result = report.approach("prompt")
    assert result is not None and result.errors == 0 and len(result.items) == items
    return marks["last"] - marks["fit"], time.perf_counter() - started


def inspect(python: str, port: int, items: int, folder: Path) -> float:
    """Inspect with the same concurrency on the same server; its scorer looks for the answer in the output."""
    script = folder / "inspect_task.py"
    script.write_text(INSPECT, encoding="utf-8")
    environment = {**os.environ, "LOCAL_API_KEY": "none", "NO_PROXY": "127.0.0.1", "INSPECT_LOG_LEVEL": "error"}
    command = [python, str(script), f"http://127.0.0.1:{port}/v1", str(items), str(folder / "logs")]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False, cwd=folder)
    found = [line for line in done.stdout.splitlines() if line.startswith("SECONDS")]
    if not found:
        raise SystemExit(done.stdout[-2000:] + done.stderr[-2000:])
    return float(found[0].split()[1])


def measure(items: int, peers: str) -> list[Line]:
    """All rows, one after the other on one server."""
    ideal = items / AT_ONCE * WAIT
    server = subprocess.Popen([sys.executable, __file__, "--serve"], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    port = int(server.stdout.readline())
    try:
        lines = [timed("direct calls, http.client", ideal, lambda: direct(port, items))]
        lines.append(timed("direct calls, openai SDK", ideal, lambda: sdk(port, items)))
        with tempfile.TemporaryDirectory() as folder:
            cpu = time.process_time()
            asking, whole = ours(port, items, Path(folder))
            cpu = time.process_time() - cpu
            lines.append(Line("groundtune, asking (each answer on disk)", asking, asking / ideal - 1.0))
            lines.append(Line("groundtune, whole comparison", whole, whole / ideal - 1.0, cpu))
            if peers:
                seconds = inspect(peers, port, items, Path(folder))
                lines.append(Line("Inspect, whole evaluation", seconds, seconds / ideal - 1.0))
        return lines
    finally:
        server.kill()
        server.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=800)
    parser.add_argument("--peers", default="")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--serve", action="store_true")
    given = parser.parse_args()
    if given.serve:
        asyncio.run(_serve(0))
        return
    load = os.getloadavg()[0]
    lines = measure(given.items, given.peers)
    print(f"{given.items} items, ideal {given.items / AT_ONCE * WAIT:.2f} s, load {load:.1f}")
    for line in lines:
        cpu = "" if line.cpu is None else f", {1000 * line.cpu / given.items:.2f} ms CPU an item"
        print(f"  {line.name}: {line.seconds:.2f} s, {100 * line.over:+.0f} %{cpu}")
    if given.out:
        table = {"date": datetime.now(UTC).date().isoformat(), "items": given.items, "load": load}
        given.out.write_text(
            json.dumps({**table, "lines": [asdict(line) for line in lines]}, indent=1) + "\n", encoding="utf-8"
        )


if __name__ == "__main__":
    main()
