"""One changed document among many: time until words and vectors both find the new text, and until nothing finds the old.

    python benchmarks/updates.py --data FOLDER [--sizes 28000 100000] [--edits 60] [--systems NAME ...]

``replace_ms`` ends with a search that finds the new text (checked), ``delete_ms`` with one that no longer finds it.
groundtune and tantivy have committed to disk by then. BM25 retrievers of LangChain and LlamaIndex are made again after
each change, because they have no update. Results go to ``benchmarks/results/updates-<date>.json``.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import latency
import peers


@dataclass(frozen=True)
class Row:
    system: str
    version: str
    documents: int
    edits: int
    replace_p50_ms: float
    replace_p95_ms: float
    delete_p50_ms: float
    delete_p95_ms: float


def measure(system: str, papers: Sequence[peers.Paper], count: int, edits: int) -> Row:
    with tempfile.TemporaryDirectory() as name:
        made = peers.SYSTEMS[system](Path(name))
        latency.build(made, papers, count)
        made.search("warm up")
        replaced, deleted = [], []
        for number in range(edits):
            target, mark = papers[(number * 37) % min(count, len(papers))][0], f"quokka{number}zebra"
            text = f"The {mark} regulation was amended. Every {mark} form must be filed within {number + 5} days."
            started = time.perf_counter()
            made.replace(target, text)
            words, both = made.words(mark), made.search(text)
            replaced.append(time.perf_counter() - started)
            if target not in words or target not in both:
                raise RuntimeError(f"{system} does not find what was changed")
            started = time.perf_counter()
            made.delete(target)
            both = made.search(text)
            deleted.append(time.perf_counter() - started)
            if target in both:
                raise RuntimeError(f"{system} finds what was deleted")
        made.close()
    at = peers.percentile
    return Row(
        system, peers.version(made.package), count, edits, round(at(replaced, 0.5), 2), round(at(replaced, 0.95), 2),
        round(at(deleted, 0.5), 2), round(at(deleted, 0.95), 2),
    )  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--sizes", nargs="+", type=int, default=[28_000, 100_000])
    parser.add_argument("--edits", type=int, default=60)
    parser.add_argument("--peer-edits", type=int, default=5, help="others need seconds per change")
    parser.add_argument("--peers-up-to", type=int, default=28_000, help="larger sizes: groundtune only")
    parser.add_argument("--systems", nargs="+", default=list(peers.SYSTEMS), choices=list(peers.SYSTEMS))
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    options = parser.parse_args()
    papers = list(peers.paragraphs(options.data))
    rows: list[Row] = []
    skipped: dict[str, str] = {}
    for count in options.sizes:
        for system in options.systems:
            if system in skipped or (system != "groundtune" and count > options.peers_up_to):
                continue
            edits = options.edits if system == "groundtune" else options.peer_edits
            try:
                row = measure(system, papers, count, edits)
            except Exception as error:  # noqa: BLE001 - whatever another tool raises on an edit is its result
                if system == "groundtune":
                    raise
                skipped[system] = f"{type(error).__name__}: {error}"
                print(f"skipped: {system} ({error})", file=sys.stderr)
                continue
            rows.append(row)
            print(
                f"{count:9} {system:28}replace p50 {row.replace_p50_ms:9.2f} p95 {row.replace_p95_ms:9.2f} ms"
                f"   delete p50 {row.delete_p50_ms:9.2f} p95 {row.delete_p95_ms:9.2f} ms",
                flush=True,
            )
    ours = {row.documents: row.replace_p50_ms for row in rows if row.system == "groundtune"}
    ratios = {
        f"{row.system}, {row.documents}": round(row.replace_p50_ms / ours[row.documents], 1)
        for row in rows
        if row.system != "groundtune" and row.documents in ours
    }
    peers.keep("updates", rows, skipped, options.out, replace_p50_times_ours=ratios)
    return 0


if __name__ == "__main__":
    sys.exit(main())
