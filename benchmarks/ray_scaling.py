"""What Ray brings and costs: ingest by one and by two workers, beside what the machine's processors can do at all.

    python benchmarks/ray_scaling.py --data FOLDER [--documents 1500] [--rounds 3] [--out FOLDER]

Documents are ten paragraphs each of FOLDER/qa (three languages). Per round and in turn, so that other jobs on the machine
meet all of them alike: a plain busy loop in one and in two processes at once, and the work of ingest that needs no store
(reading, cutting, counting terms, embedding with builtin:embed) by one and by two Ray workers. Efficiency is the speed of
two over twice the speed of one; the best round counts, and the median is told. Then the whole ingest, small and large,
with the local engine and with Ray. Processor seconds (Ray's own processes and all workers) do not depend on what else runs.
Results go to ``benchmarks/results/ray_scaling-<date>.json``.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import peers

from groundtune import parallel
from groundtune.knowledge.base import KnowledgeBase
from groundtune.knowledge.prepare import Preparer, cut_together
from groundtune.knowledge.read import find_sources, read_bytes, to_document
from groundtune.knowledge.spread import job_sizes, spread
from groundtune.knowledge.study import jobs_of, study
from groundtune.models.static import open_embedder
from groundtune.parallel_ray import RayEngine

EMBEDDER = "builtin:embed"
PARAGRAPHS = 10  # per document
BUSY = "n = 0\nfor i in range(12_000_000): n += i % 7"
SMALL = (10, 100)
KEYS = (
    "busy 1", "busy 2", "workers 1", "workers 2", "start", "processor, workers 1", "processor, workers 2", "processor, local"
)  # fmt: skip


def write_documents(data: Path, folder: Path, count: int) -> int:
    """Bytes written."""
    rows = [text for _, text in peers.paragraphs(data)]
    step = max(1, len(rows) // PARAGRAPHS // count)
    groups = ["\n\n".join(rows[start : start + PARAGRAPHS]) for start in range(0, len(rows), PARAGRAPHS)]
    folder.mkdir()
    chosen = groups[::step][:count]
    for number, text in enumerate(chosen):
        (folder / f"{number:05}.md").write_text(f"# Document {number}\n\n{text}\n", encoding="utf-8")
    return sum(len(text.encode()) for text in chosen)


def busy(processes: int) -> float:
    """Seconds that a plain loop takes in so many processes at once."""
    started = time.perf_counter()
    running = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(processes)]
    for process in running:
        process.wait()
    return time.perf_counter() - started


def stages(folder: Path) -> dict[str, dict[str, float]]:
    """Documents, chunks and megabytes per second of processor time, one after the other in this process."""
    sources = find_sources([folder])
    embedder = open_embedder()
    marks = [time.process_time()]
    documents = [to_document(source, read_bytes(source)) for source in sources]
    marks.append(time.process_time())
    made = [cut_together(documents[start : start + 256], 1200) for start in range(0, len(documents), 256)]
    marks.append(time.process_time())
    parts = [(c.title, c.heading, c.text) for cuts in made for cut in cuts.made for c in cut.chunks]
    Preparer(embedder=embedder).embed(parts)
    marks.append(time.process_time())
    size = sum(len(document.text.encode()) for document in documents) / 1e6
    whole_alone(folder)
    marks.append(time.process_time())
    found, before = {}, marks[-2] - marks[0]
    names = ("read", "cut and count terms", "embed (builtin:embed)", "store (SQLite, durable)")
    for name, start, end in zip(names, marks, marks[1:], strict=False):
        seconds = max(1e-9, end - start - (before if name.startswith("store") else 0.0))
        found[name] = {
            "documents": len(documents) / seconds, "chunks": len(parts) / seconds, "megabytes": size / seconds,
        }  # fmt: skip
    return found


def processor() -> float:
    """Seconds of processor time of this process and of all below it that live: Ray's own and its workers."""
    parents, spent = {}, {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            rest = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(path.parent.name)] = int(rest[1])
        spent[int(path.parent.name)] = (int(rest[11]) + int(rest[12])) / os.sysconf("SC_CLK_TCK")
    mine = {os.getpid()}
    while more := {process for process, parent in parents.items() if parent in mine} - mine:
        mine |= more
    return sum(spent[process] for process in mine)


def alone(folder: Path) -> float:
    """Processor seconds of the same work in this process, without Ray."""
    preparer = Preparer(embedder=open_embedder(), spec=EMBEDDER)
    sources = find_sources([folder])
    started = time.process_time()
    for job in jobs_of(sources, {}, {}, 1200, (64, 256)):
        for result in study(job).results:
            assert result.cut is not None
            preparer.embed([(chunk.title, chunk.heading, chunk.text) for chunk in result.cut.chunks])
    return time.process_time() - started


def without_store(engine: RayEngine, folder: Path) -> float:
    """Seconds that the workers need for everything but storing."""
    preparer = Preparer(embedder=open_embedder(), spec=EMBEDDER)
    sources = find_sources([folder])
    started = time.perf_counter()
    for batch in spread(engine, jobs_of(sources, {}, {}, 1200, job_sizes(engine, len(sources), preparer)), preparer):
        assert all(result.vectors is not None for result in batch.results)
    return time.perf_counter() - started


def whole(folder: Path, engine: RayEngine | None) -> float:
    """Seconds of an ingest into a new knowledge base, durable on disk."""
    with tempfile.TemporaryDirectory() as place, KnowledgeBase.open(Path(place) / "kb", embedder=EMBEDDER) as kb:
        started = time.perf_counter()
        report = kb.sync([folder], engine=engine)
        seconds = time.perf_counter() - started
        assert not report.failed
    return seconds


@contextmanager
def warm(workers: int, folder: Path) -> Iterator[tuple[RayEngine, float]]:
    """An engine whose workers have begun, and the seconds until it was there."""
    started = time.perf_counter()
    with RayEngine("local", workers) as engine:
        ready = time.perf_counter() - started
        without_store(engine, folder)
        yield engine, ready


def efficiency(one: list[float], two: list[float], work: int = 1) -> dict[str, float]:
    """Of two over one, where two did ``work`` times as much in all."""
    return {
        "best": work * min(one) / (2 * min(two)),
        "median": statistics.median(work * a / (2 * b) for a, b in zip(one, two, strict=True)),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--documents", type=int, default=1500)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        table = measure(options, Path(place))
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / f"ray_scaling-{datetime.now(UTC).date().isoformat()}.json"
    path.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(table, indent=1))
    return 0


def measure(options: argparse.Namespace, place: Path) -> dict[str, object]:
    large, load = place / "large", os.getloadavg()[0]
    size = write_documents(options.data, large, options.documents)
    smaller = {count: place / f"{count}" for count in SMALL}
    for count, folder in smaller.items():
        folder.mkdir()
        for path in islice(sorted(large.iterdir()), count):
            (folder / path.name).write_bytes(path.read_bytes())
    rows: dict[str, list[float]] = {key: [] for key in KEYS}
    whole_rows: dict[str, dict[str, float]] = {}
    for _ in range(options.rounds):
        rows["busy 1"].append(busy(1))
        rows["busy 2"].append(busy(2))
        for workers in (1, 2):
            with warm(workers, smaller[SMALL[-1]]) as (engine, ready):
                rows["start"].append(ready)
                used = processor()
                rows[f"workers {workers}"].append(without_store(engine, large))
                rows[f"processor, workers {workers}"].append(processor() - used)
                for folder in (*smaller.values(), large):
                    keep(whole_rows, f"ray, {workers} workers", folder, whole(folder, engine))
        rows["processor, local"].append(alone(large))
        for folder in (*smaller.values(), large):
            keep(whole_rows, "local, one process", folder, whole_alone(folder))
    return {
        "date": datetime.now(UTC).date().isoformat(), "processors": os.cpu_count(), "load_before": load,
        "documents": len(list(large.iterdir())), "megabytes": size / 1e6, "rounds": options.rounds,
        "seconds": rows,
        "efficiency_busy_loop": efficiency(rows["busy 1"], rows["busy 2"], 2),
        "efficiency_ingest_work": efficiency(rows["workers 1"], rows["workers 2"]),
        "ingest_work_over_busy_loop_median": statistics.median(
            (one / two) / (2 * alone / both)
            for alone, both, one, two in zip(
                rows["busy 1"], rows["busy 2"], rows["workers 1"], rows["workers 2"], strict=True
            )
        ),
        "whole_ingest_seconds_best": whole_rows, "per_core": stages(large),
    }  # fmt: skip


def whole_alone(folder: Path) -> float:
    """The local engine without helper processes: what one worker is compared with."""
    os.environ[parallel.OFF] = "1"
    try:
        return whole(folder, None)
    finally:
        del os.environ[parallel.OFF]


def keep(rows: dict[str, dict[str, float]], name: str, folder: Path, seconds: float) -> None:
    count = str(len(list(folder.iterdir())))
    held = rows.setdefault(name, {})
    held[count] = min(seconds, held.get(count, seconds))


if __name__ == "__main__":
    sys.exit(main())
