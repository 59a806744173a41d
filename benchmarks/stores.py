"""Every store on the same chunks: writing, searching by meaning, by words and by both, with filters, and how soon a change is
seen by another connection.

    python benchmarks/stores.py --data FOLDER [--chunks 100000] [--stores sqlite pgvector …] [--postgres ADDRESS]

Chunks are the paragraphs of FOLDER/qa in three languages; beyond their number, new ones made of their sentences. Vectors are
those of builtin:embed. Questions are development questions, asked once to warm up and once timed, ten hits each. ``recall`` is
the share of the exact ten nearest that a search by meaning finds; ``as_embedded`` the share of the embedded store's ten best by
words that are among this store's ten best. Without ``--postgres`` a server of the package pgserver is started. ``qdrant`` is its
mode inside this process, which is not made for many chunks: at most ``--local-most`` of them.
Processor seconds are those of this process and, for pgvector, of the server's processes: they say little about what else the
machine does, the times do. Results go to ``benchmarks/results/stores-<date>.json``, after every store.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import random
import shutil
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import peers
import psutil

from groundtune import registry
from groundtune.knowledge.chunk import chunk_document
from groundtune.store.outer import OuterStore, Outgoing
from groundtune.store.payload import Needs
from groundtune.store.rows import terms_of
from groundtune.store.writing import Plain
from groundtune.types import Document, Fusion

BATCH, K, EDITS = 500, 10, 20
LABELS = ("hr", "it", "board")
ONLY_DENSE = Fusion(lexical=0.0)


@dataclass(frozen=True)
class Row:
    store: str
    version: str
    chunks: int
    questions: int
    written_per_second: float
    written_per_cpu_second: float
    dense_ms: tuple[float, float]
    lexical_ms: tuple[float, float]
    hybrid_ms: tuple[float, float]
    filtered_ms: tuple[float, float]
    labels_ms: tuple[float, float]
    visible_ms: tuple[float, float]
    hybrid_cpu_ms: float
    recall: float
    as_embedded: float


def processor_seconds() -> float:
    """Of this process and of every ``postgres`` below it or started by it."""
    total = time.process_time()
    for process in psutil.process_iter(["name", "cmdline", "ppid"]):
        with contextlib.suppress(psutil.Error):
            if process.info["name"] == "postgres" and str(os.environ.get("BENCH_POSTGRES", "-")) in _place(process):
                used = process.cpu_times()
                total += used.user + used.system
    return total


def _place(process: Any) -> str:
    """The command line of the server that a process belongs to."""
    own = " ".join(process.info["cmdline"] or ())
    return own if "-D" in own else " ".join(psutil.Process(process.info["ppid"]).cmdline())


def prepared(papers: Sequence[peers.Paper], count: int, embedder: Any) -> list[Plain]:
    """About ``count`` chunks; one document in ten carries access labels, one in ten is of the year 2024."""
    made: list[Plain] = []
    chunks = 0
    source = enumerate(peers.many(papers, count))
    while chunks < count and (part := list(itertools.islice(source, 2_000))):
        documents = []
        for number, (name, text) in part:
            metadata: dict[str, Any] = {"year": 2024 if number % 10 == 3 else 2025, "part": name.partition("/")[0]}
            if number % 10 == 7:
                metadata["access"] = LABELS[number % 3]
            documents.append(Document(name, text, metadata))
        fresh = [plain(document, embedder) for document in documents]
        made += fresh
        chunks += sum(len(entry.chunks) for entry in fresh)
        print(f"  {chunks} chunks prepared", file=sys.stderr)
    return made


def plain(document: Document, embedder: Any) -> Plain:
    """Everything that a store is given for a document."""
    chunks = chunk_document(document)
    vectors = np.asarray(embedder.embed([chunk.text for chunk in chunks], kind="document"))
    return Plain(document, chunks, vectors, [terms_of(chunk) for chunk in chunks], embedder.name)


@contextmanager
def opener(store: str, folder: Path, postgres: str) -> Iterator[Callable[[], Any]]:
    if store == "pgvector" and not postgres:
        import pgserver

        place = tempfile.mkdtemp(prefix="groundtune-pg-")
        server = pgserver.get_server(place, cleanup_mode="delete")
        os.environ["BENCH_POSTGRES"] = place
        try:
            yield lambda: registry.load("store", f"pgvector:{server.get_uri().replace(':@', '@')}#bench")
        finally:
            server.cleanup()
            del os.environ["BENCH_POSTGRES"]
            shutil.rmtree(place, ignore_errors=True)
        return
    address = {"pgvector": f"{postgres}#bench", "sqlite": str(folder)}.get(store, f"{folder}/{store}#bench")
    yield lambda: registry.load("store", f"{store}:{address}")


def write(store: Any, entries: Sequence[Plain]) -> float:
    started = time.perf_counter()
    for start in range(0, len(entries), BATCH):
        part = entries[start : start + BATCH]
        if isinstance(store, OuterStore):
            store.apply([Outgoing(e.document, e.chunks, e.vectors, e.terms, e.document.version) for e in part])
        else:
            store.apply(part)
        if start // BATCH % 20 == 0:
            print(f"  {start + len(part)} documents written", file=sys.stderr)
    return time.perf_counter() - started


def dense(store: Any, space: str, vector: np.ndarray) -> list[str]:
    if isinstance(store, OuterStore):
        return [one.chunk.id for one in store.dense(vector, K, Needs())]
    return [hit.chunk.id for hit in store.search("", vector, K, space=space, fusion=ONLY_DENSE)]


def hybrid(store: Any, space: str, text: str, vector: np.ndarray, filter: dict[str, Any] | None = None) -> list[str]:
    options = {} if isinstance(store, OuterStore) else {"space": space}
    return [hit.chunk.id for hit in store.search(text, vector, K, filter, **options)]


def timed(search: Callable[[int], Any], count: int) -> tuple[float, float]:
    for number in range(count // 2):
        search(number)
    times = []
    for number in range(count):
        started = time.perf_counter()
        search(number)
        times.append(time.perf_counter() - started)
    return summary(times)


def processor(search: Callable[[int], Any], count: int) -> float:
    """Mean processor milliseconds of one search."""
    before = processor_seconds()
    for number in range(count):
        search(number)
    return round((processor_seconds() - before) / count * 1000, 2)


def summary(times: Sequence[float]) -> tuple[float, float]:
    return round(peers.percentile(times, 0.5), 2), round(peers.percentile(times, 0.95), 2)


def visibility(open_store: Callable[[], Any], embedder: Any, entries: Sequence[Plain]) -> tuple[float, float]:
    """From the beginning of a change until another connection finds it by words and by meaning."""
    writer, reader = open_store(), open_store()
    times = []
    for number, entry in enumerate(entries[:EDITS]):
        document = Document(entry.document.id, f"{entry.document.text} freshword{number}", entry.document.metadata)
        made = plain(document, embedder)
        started = time.perf_counter()
        write_one(writer, made)
        found = reader.search(f"freshword{number}", None, 1)
        assert found and found[0].chunk.document_id == document.id, "not visible when the call returned"
        times.append(time.perf_counter() - started)
    writer.close()
    reader.close()
    return summary(times)


def write_one(store: Any, made: Plain) -> None:
    if isinstance(store, OuterStore):
        store.apply([Outgoing(made.document, made.chunks, made.vectors, made.terms, made.document.version)])
    else:
        store.apply([made])


def measure(
    name: str, entries: Sequence[Plain], asked: Sequence[str], vectors: np.ndarray, embedder: Any, postgres: str,
    words: list[list[str]],
) -> Row:  # fmt: skip
    with tempfile.TemporaryDirectory() as folder, opener(name, Path(folder), postgres) as open_store:
        store, space = open_store(), embedder.name
        chunks = sum(len(entry.chunks) for entry in entries)
        used = processor_seconds()
        took = write(store, entries)
        used = processor_seconds() - used
        ids = [chunk.id for entry in entries for chunk in entry.chunks]
        matrix = np.concatenate([entry.vectors for entry in entries])
        exact = [{ids[place] for place in np.argsort(-(matrix @ vector))[:K]} for vector in vectors]
        found = [dense(store, space, vector) for vector in vectors]
        recall = sum(len(set(got) & best) for got, best in zip(found, exact, strict=True)) / (K * len(exact))
        by_words = [[hit.chunk.id for hit in store.search(text, None, K)] for text in asked]
        if name == "sqlite":
            words[:] = by_words
        same = sum(len(set(a) & set(b)) for a, b in zip(by_words, words, strict=True)) if words else 0
        total = sum(len(one) for one in words)
        count = len(asked)
        row = Row(
            name, version(name), chunks, count, round(chunks / took, 1), round(chunks / used, 1),
            timed(lambda n: dense(store, space, vectors[n]), count),
            timed(lambda n: store.search(asked[n], None, K), count),
            timed(lambda n: hybrid(store, space, asked[n], vectors[n]), count),
            timed(lambda n: hybrid(store, space, asked[n], vectors[n], {"year": 2024}), count),
            timed(lambda n: hybrid(store, space, asked[n], vectors[n], {"@reader": LABELS[:1]}), count),
            (0.0, 0.0), processor(lambda n: hybrid(store, space, asked[n], vectors[n]), count), round(recall, 4), round(same / total, 4) if total else 0.0,
        )  # fmt: skip
        store.close()
        return replace(row, visible_ms=visibility(open_store, embedder, entries))


def version(store: str) -> str:
    package = {"sqlite": "apsw", "pgvector": "psycopg", "qdrant": "qdrant-client"}.get(store, store)
    return f"{package} {peers.version(package)}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--chunks", type=int, default=100_000)
    parser.add_argument("--questions", type=int, default=150)
    parser.add_argument("--stores", nargs="+", default=["sqlite", "pgvector", "lancedb", "qdrant"])
    parser.add_argument("--postgres", default="", help="postgresql://… of a server to use")
    parser.add_argument("--local-most", type=int, default=1_000)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    embedder = registry.load("embedder", "builtin:embed")
    papers = list(peers.paragraphs(given.data))
    random.Random(0).shuffle(papers)
    asked = peers.questions(given.data, given.questions)
    vectors = np.asarray(embedder.embed(asked, kind="query"))
    entries = prepared(papers, given.chunks, embedder)
    rows: list[Row] = []
    words: list[list[str]] = []
    for name in given.stores:
        part = entries if name != "qdrant" else entries[: given.local_most]
        print(f"{name} (load {os.getloadavg()[0]:.1f})", file=sys.stderr)
        kept = words if name != "qdrant" else []
        rows.append(measure(name, part, asked, vectors, embedder, given.postgres, kept))
        print(json.dumps(asdict(rows[-1])), flush=True)
        given.out.mkdir(parents=True, exist_ok=True)
        path = given.out / f"stores-{date.today().isoformat()}.json"
        about = {"cores": os.cpu_count(), "load": os.getloadavg(), "dimension": embedder.dimension}
        path.write_text(json.dumps({"machine": about, "rows": [asdict(row) for row in rows]}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
