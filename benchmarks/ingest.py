"""Bulk indexing: documents per second into an index of words and one of vectors, each tool with its own splitter.

    python benchmarks/ingest.py --data FOLDER [--limit N] [--systems NAME ...] [--repeat 3]

All paragraphs of FOLDER/qa (three languages); the same hashed embedder for every tool. groundtune and tantivy are
durable on disk when the clock stops, Chroma is on disk, the others are in memory. Each tool runs in a process of its
own; the best of ``--repeat`` runs counts. Results go to ``benchmarks/results/ingest-<date>.json``.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import peers


@dataclass(frozen=True)
class Row:
    system: str
    version: str
    durable: bool
    documents: int
    seconds: float
    documents_per_second: float
    cpu_seconds: float  # of the process and its helpers: says more than the clock on a busy machine
    peak_megabytes: float
    disk_megabytes: float


def measure(system: str, data: Path, limit: int) -> Row:
    papers = list(peers.paragraphs(data))[: limit or None]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        made = peers.SYSTEMS[system](folder)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        started, used = time.perf_counter(), processor()
        made.build(papers)
        seconds, used = time.perf_counter() - started, processor() - used
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        assert made.search("university", 5), "nothing was indexed"
        disk = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6
        made.close()
    return Row(
        system, peers.version(made.package), made.durable, len(papers), round(seconds, 3), round(len(papers) / seconds, 1),
        round(used, 2), round((peak - before) / 1024, 1), round(disk, 1),
    )  # fmt: skip


def processor() -> float:
    """Seconds of processor time of this process and of children that have ended."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--limit", type=int, default=0, help="only the first N paragraphs")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--systems", nargs="+", default=list(peers.SYSTEMS), choices=list(peers.SYSTEMS))
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--one", choices=list(peers.SYSTEMS), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        try:
            print(json.dumps(measure(options.one, options.data, options.limit).__dict__))
        except ImportError as error:
            print(json.dumps({"missing": str(error)}))
        return 0
    rows: list[Row] = []
    skipped: dict[str, str] = {}
    for system in options.systems:
        found = [again(system, options) for _ in range(options.repeat)]
        problems = [table for table in found if "missing" in table]
        if problems:
            skipped[system] = problems[0]["missing"]
            print(f"skipped: {system} ({skipped[system]})", file=sys.stderr)
            continue
        rows.append(max((Row(**table) for table in found), key=lambda row: row.documents_per_second))
        row = rows[-1]
        print(
            f"{row.system:28}{row.version:10}{row.documents:8}{row.documents_per_second:10.0f}/s{row.cpu_seconds:8.2f} s CPU{row.peak_megabytes:8.0f} MB"
            f"{'  on disk' if row.disk_megabytes else ''}",
            flush=True,
        )
    ours = next((row.documents_per_second for row in rows if row.system == "groundtune"), 0.0)
    ratios = {row.system: round(ours / row.documents_per_second, 2) for row in rows if row.system != "groundtune"}
    used = next((row.cpu_seconds for row in rows if row.system == "groundtune"), 0.0)
    less = {row.system: round(row.cpu_seconds / used, 2) for row in rows if used and row.system != "groundtune"}
    peers.keep("ingest", rows, skipped, options.out, times_as_fast_as=ratios, times_our_cpu=less)
    return 0


def again(system: str, options: argparse.Namespace) -> dict:
    command = [sys.executable, __file__, "--data", str(options.data), "--limit", str(options.limit), "--one", system]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        return {"missing": f"failed: {(done.stderr.strip().splitlines() or ['?'])[-1]}"}
    return json.loads(done.stdout.strip().splitlines()[-1])


if __name__ == "__main__":
    sys.exit(main())
