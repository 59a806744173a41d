"""Random additions, updates and deletions with kill -9 at random moments: is anything lost, torn or out of step?

    python benchmarks/durability.py [--operations 10000] [--seed 0]

A child process changes a knowledge base (words and vectors) and acknowledges each change after it returned; the parent
kills it without warning, opens the files, compares them with what was acknowledged, verifies every table, and starts the
next child. A reader of its own looks all the time whether it ever sees a document that is half old, half new.
Results go to ``benchmarks/results/durability-<date>.json``.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

EMBEDDER = "fake:durability"
NAMES = 150


@dataclass
class Outcome:
    """``lost``: acknowledged changes that are not there; ``torn``: half-written documents that a reader saw;
    ``unsound``: reopened knowledge bases in which ``verify`` found something.
    """

    operations: int = 0
    kills: int = 0
    reads: int = 0
    lost: int = 0
    torn: int = 0
    unsound: int = 0
    seconds: float = 0.0


def text_of(name: str, number: int) -> str:
    """Every sentence carries the number of the version, so that a mixture shows."""
    parts = 1 + (number * 7 + len(name)) % 4
    return "".join(f"### Part {part}\n\nEntry {name} says v{number}x here. 第{number}號。\n\n" for part in range(parts))


def child(folder: str, seed: int, first: int) -> None:
    """Change things until killed. ``begin`` and ``done`` lines go to stdout, one JSON each."""
    from groundtune import Document, KnowledgeBase

    chance = random.Random(seed)
    with KnowledgeBase.open(folder, embedder=EMBEDDER, chunk_characters=60) as base:
        number = first
        while True:
            number += 1
            names = [f"d{n:03}" for n in chance.sample(range(NAMES), chance.choice((1, 1, 1, 2, 5)))]
            change = {name: number for name in names} if chance.random() < 0.75 else dict.fromkeys(names, 0)
            print(json.dumps({"begin": change}), flush=True)
            if change[names[0]]:
                base.add([Document(name, text_of(name, number), {"number": number}) for name in names])
            else:
                base.delete(names)
            print(json.dumps({"done": change}), flush=True)


class Watcher(threading.Thread):
    """Reads all the time through connections of its own."""

    def __init__(self, folder: Path, outcome: Outcome) -> None:
        super().__init__(daemon=True)
        self._folder, self._outcome, self.stop = folder, outcome, threading.Event()

    def run(self) -> None:
        from groundtune import KnowledgeBase

        chance = random.Random(1)
        with KnowledgeBase.open(self._folder, embedder=EMBEDDER, chunk_characters=60) as base:
            while not self.stop.is_set():
                name = f"d{chance.randrange(NAMES):03}"
                numbers = {marker(chunk.text) for chunk in base.chunks(name)}
                hits = [hit.chunk for hit in base.search(f"entry {name}", 3)]
                exact = all((base.text(c.document_id, c.version) or "")[c.start : c.end] == c.text for c in hits)
                self._outcome.reads += 1
                self._outcome.torn += not (len(numbers) <= 1 and exact)
                time.sleep(0.002)


def marker(text: str) -> str:
    """The version that a passage says it is of."""
    return text.partition(" says v")[2].partition("x")[0]


def apply(state: dict[str, int], change: dict[str, int]) -> None:
    for name, number in change.items():
        if number:
            state[name] = number
        else:
            state.pop(name, None)


def run(
    folder: Path, operations: int, seed: int, told: Callable[[Outcome], None] = lambda outcome: None, burst: int = 150
) -> Outcome:
    """Until that many changes were acknowledged; a child is killed after fewer than ``burst`` of them."""
    from groundtune import KnowledgeBase

    outcome, state, number = Outcome(), dict[str, int](), 0
    chance = random.Random(seed)
    started = time.perf_counter()
    KnowledgeBase.open(folder, embedder=EMBEDDER, chunk_characters=60).close()
    watcher = Watcher(folder, outcome)
    watcher.start()
    while outcome.operations < operations:
        begun, done = one_life(folder, chance, number, operations - outcome.operations, burst)
        for change in done:
            apply(state, change)
        outcome.operations += len(done)
        outcome.kills += 1
        number += len(begun)
        with KnowledgeBase.open(folder, embedder=EMBEDDER, chunk_characters=60) as base:
            found = {d.id: int(d.metadata["number"]) for d in base.documents()}
            good = {d.id: d.text == text_of(d.id, found[d.id]) for d in base.documents()}
            outcome.unsound += not base.verify().sound
        possible = dict(state)
        if len(begun) > len(done):  # the change that the kill interrupted is there as a whole or not at all
            apply(possible, begun[-1])
        outcome.lost += (found not in (state, possible)) or not all(good.values())
        state = found
        told(outcome)
    watcher.stop.set()
    watcher.join()
    outcome.seconds = time.perf_counter() - started
    return outcome


def one_life(folder: Path, chance: random.Random, first: int, most: int, burst: int) -> tuple[list, list]:
    """Start a child, kill it after a random number of changes and a random moment more."""
    process = subprocess.Popen(
        [sys.executable, __file__, "--child", str(folder), str(chance.randrange(1 << 30)), str(first)],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    lines: list[str] = []
    wanted = min(most, chance.randrange(1, burst))
    while len(lines) < 2 * wanted:
        line = process.stdout.readline()
        if not line:
            raise RuntimeError("the child ended by itself")
        lines.append(line)
    time.sleep(chance.random() * 0.01)
    process.send_signal(signal.SIGKILL)
    lines += [line for line in process.stdout.read().splitlines(keepends=True) if line.endswith("\n")]
    process.stdout.close()
    process.wait()
    said = [json.loads(line) for line in lines]
    return [s["begin"] for s in said if "begin" in s], [s["done"] for s in said if "done" in s]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--operations", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options.child[0], int(options.child[1]), int(options.child[2]))
        return 0

    def tell(outcome: Outcome) -> None:
        print(outcome, file=sys.stderr, flush=True)

    with tempfile.TemporaryDirectory() as folder:
        outcome = run(Path(folder) / "kb", options.operations, options.seed, tell)
    table = {
        "date": date.today().isoformat(),
        "machine": {"python": platform.python_version(), "cores": os.cpu_count(), "load": os.getloadavg()[0]},
        **asdict(outcome),
    }
    options.out.mkdir(parents=True, exist_ok=True)
    target = options.out / f"durability-{date.today().isoformat()}.json"
    target.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(table))
    return int(bool(outcome.lost or outcome.torn or outcome.unsound))


if __name__ == "__main__":
    sys.exit(main())
