"""Latency of one search by words and by words and vectors together, at growing sizes.

    python benchmarks/latency.py --data FOLDER [--sizes 28000 100000 1000000] [--systems NAME ...] [--peers-up-to 28000]

Documents are the paragraphs of FOLDER/qa; beyond their number, new ones made of their sentences. Development questions in
three languages are asked once to warm up and once timed. ``open_ms``: a new process' first answer (groundtune only).
Results go to ``benchmarks/results/latency-<date>.json``.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import peers

STEP = 50_000


@dataclass(frozen=True)
class Row:
    system: str
    version: str
    documents: int
    questions: int
    kind: str
    p50_ms: float
    p95_ms: float
    open_ms: float | None = None


def timed(search: Callable[[str], Any], asked: Sequence[str]) -> list[float]:
    for question in asked[: len(asked) // 2]:
        search(question)
    times: list[float] = []
    for question in asked:
        started = time.perf_counter()
        search(question)
        times.append(time.perf_counter() - started)
    return times


def build(made: Any, papers: Sequence[peers.Paper], count: int) -> None:
    source = peers.many(papers, count)
    if not isinstance(made, peers.Groundtune):
        made.build(list(source))
        return
    done = 0
    while part := list(itertools.islice(source, STEP)):
        made.build(part)
        done += len(part)
        print(f"  {done} of {count} documents", file=sys.stderr)


def measure(system: str, papers: Sequence[peers.Paper], count: int, asked: Sequence[str]) -> list[Row]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        made = peers.SYSTEMS[system](folder)
        build(made, papers, count)
        opened = None
        if isinstance(made, peers.Groundtune):
            made.close()
            started = time.perf_counter()
            made = peers.SYSTEMS[system](folder)
            made.search(asked[0])
            opened = 1000 * (time.perf_counter() - started)
        rows = []
        for kind, search in (("words", made.words), ("hybrid", made.search)):
            times = timed(search, asked)
            p50, p95 = peers.percentile(times, 0.5), peers.percentile(times, 0.95)
            version = peers.version(made.package)
            rows.append(Row(system, version, count, len(asked), kind, round(p50, 2), round(p95, 2), opened))
        made.close()
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--sizes", nargs="+", type=int, default=[28_000, 100_000, 1_000_000])
    parser.add_argument("--questions", type=int, default=300)
    parser.add_argument("--peers-up-to", type=int, default=28_000, help="larger sizes: groundtune only")
    parser.add_argument("--systems", nargs="+", default=list(peers.SYSTEMS), choices=list(peers.SYSTEMS))
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    options = parser.parse_args()
    papers = list(peers.paragraphs(options.data))
    asked = peers.questions(options.data, options.questions)
    rows: list[Row] = []
    skipped: dict[str, str] = {}
    for count in options.sizes:
        for system in options.systems:
            if system in skipped or (system != "groundtune" and count > options.peers_up_to):
                continue
            try:
                found = measure(system, papers, count, asked)
            except ImportError as error:
                skipped[system] = str(error)
                print(f"skipped: {system} ({error})", file=sys.stderr)
                continue
            rows += found
            for row in found:
                first = f"  first answer {row.open_ms:.0f} ms" if row.open_ms else ""
                print(f"{count:9} {system:28}{row.kind:8}p50 {row.p50_ms:9.2f}  p95 {row.p95_ms:9.2f} ms{first}", flush=True)
    ours = {(row.documents, row.kind): row.p95_ms for row in rows if row.system == "groundtune"}
    ratios = {
        f"{row.system}, {row.documents}, {row.kind}": round(row.p95_ms / ours[row.documents, row.kind], 2)
        for row in rows
        if row.system != "groundtune" and (row.documents, row.kind) in ours
    }
    peers.keep("latency", rows, skipped, options.out, p95_times_ours=ratios)
    return 0


if __name__ == "__main__":
    sys.exit(main())
