"""Paragraph retrieval: groundtune's default search against the keyword search of other Python tools, same run.

    python benchmarks/retrieval.py --data FOLDER [--languages en zh-Hant ja] [--questions N] [--systems NAME ...]

FOLDER holds ``qa/<language>/dev.jsonl.gz``. All paragraphs of a language are documents; the relevant one is the
paragraph that the question was written for, so nDCG@10 is 1 / log2(1 + rank). Each tool gets the paragraph text
(``--titles``: after the article's title), once with its defaults and, where it takes a tokeniser, once with ours ("+ terms": stemmed words, CJK
bigrams). Tools that are not installed are named as skipped. The table goes to stdout, everything to
``benchmarks/results/retrieval-<date>.json``.
"""

from __future__ import annotations

import argparse
import gzip
import importlib.metadata
import json
import math
import os
import platform
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

from groundtune import Document, KnowledgeBase  # noqa: E402
from groundtune.text.tokenise import search_terms  # noqa: E402

K = 10
TITLE_MARK = "\n\n"
Search = Callable[[str], Sequence[int]]


@dataclass(frozen=True)
class Row:
    language: str
    system: str
    version: str
    documents: int
    questions: int
    recall_at_10: float
    ndcg_at_10: float
    documents_per_second: float
    p50_ms: float
    p95_ms: float
    cpu_ms: float


def groundtune_default(texts: Sequence[str]) -> Search:
    folder = tempfile.mkdtemp()
    base = KnowledgeBase.open(Path(folder) / "kb")
    base.add([_document(number, text) for number, text in enumerate(texts)])

    def search(query: str) -> list[int]:
        return [int(hit.chunk.document_id) for hit in base.search(query, k=K)]

    search.close = lambda: (base.close(), shutil.rmtree(folder))  # type: ignore[attr-defined]
    return search


def _document(number: int, text: str) -> Document:
    """With ``--titles`` the first line is the title: other tools index it with the text, ours has a field for it."""
    title, mark, body = text.partition(TITLE_MARK)
    return Document(str(number), body, {"title": title}) if mark else Document(str(number), text)


def langchain(texts: Sequence[str], tokenise: Callable[[str], list[str]] | None = None) -> Search:
    from langchain_community.retrievers import BM25Retriever

    options: dict[str, Any] = {"preprocess_func": tokenise} if tokenise else {}
    retriever = BM25Retriever.from_texts(texts, metadatas=[{"n": n} for n in range(len(texts))], k=K, **options)
    return lambda query: [document.metadata["n"] for document in retriever.invoke(query)]


def llamaindex(texts: Sequence[str]) -> Search:
    from llama_index.core.schema import TextNode
    from llama_index.retrievers.bm25 import BM25Retriever

    nodes = [TextNode(text=text, id_=str(number)) for number, text in enumerate(texts)]
    retriever = BM25Retriever.from_defaults(nodes=nodes, similarity_top_k=K)
    return lambda query: [int(found.node.node_id) for found in retriever.retrieve(query)]


def haystack(texts: Sequence[str]) -> Search:
    from haystack import Document as Paper
    from haystack.components.retrievers.in_memory import InMemoryBM25Retriever
    from haystack.document_stores.in_memory import InMemoryDocumentStore

    store = InMemoryDocumentStore()
    store.write_documents([Paper(id=str(number), content=text) for number, text in enumerate(texts)])
    retriever = InMemoryBM25Retriever(store, top_k=K)
    return lambda query: [int(found.id) for found in retriever.run(query=query)["documents"]]


def txtai(texts: Sequence[str]) -> Search:
    from txtai import Embeddings

    embeddings = Embeddings(keyword=True)
    embeddings.index(list(enumerate(texts)))
    return lambda query: [int(number) for number, _ in embeddings.search(query, K)]


def bm25s(texts: Sequence[str]) -> Search:
    import bm25s as library

    index = library.BM25(method="lucene")
    index.index([search_terms(text) for text in texts], show_progress=False)
    known = set(index.vocab_dict)

    def search(query: str) -> list[int]:
        terms = [term for term in search_terms(query) if term in known]
        if not terms:
            return []
        found, _ = index.retrieve([terms], k=min(K, len(texts)), show_progress=False, n_threads=0)
        return [int(number) for number in found[0]]

    return search


def tantivy(texts: Sequence[str]) -> Search:
    import tantivy as library

    schema = library.SchemaBuilder()
    schema.add_integer_field("n", stored=True)
    schema.add_text_field("body", tokenizer_name="whitespace")
    index = library.Index(schema.build())
    writer = index.writer(heap_size=64_000_000, num_threads=1)
    for number, text in enumerate(texts):
        writer.add_document(library.Document(n=number, body=" ".join(search_terms(text))))
    writer.commit()
    writer.wait_merging_threads()
    index.reload()
    searcher = index.searcher()

    def search(query: str) -> list[int]:
        terms = [
            (library.Occur.Should, library.Query.term_query(index.schema, "body", term)) for term in search_terms(query)
        ]
        found = searcher.search(library.Query.boolean_query(terms), K).hits if terms else []
        return [searcher.doc(address)["n"][0] for _, address in found]

    return search


SYSTEMS: dict[str, tuple[str, Callable[[Sequence[str]], Search]]] = {
    "groundtune": ("groundtune", groundtune_default),
    "LangChain BM25Retriever": ("langchain-community", langchain),
    "LangChain BM25Retriever + terms": ("langchain-community", lambda texts: langchain(texts, search_terms)),
    "LlamaIndex BM25Retriever": ("llama-index-retrievers-bm25", llamaindex),
    "Haystack InMemoryBM25": ("haystack-ai", haystack),
    "txtai keyword": ("txtai", txtai),
    "BM25S + terms": ("bm25s", bm25s),
    "tantivy + terms": ("tantivy", tantivy),
}


def measure(language: str, system: str, texts: Sequence[str], questions: Sequence[tuple[str, int]]) -> Row:
    package, build = SYSTEMS[system]
    started = time.perf_counter()
    search = build(texts)
    indexing = time.perf_counter() - started
    gains, hits, times = 0.0, 0, []
    cpu = time.process_time()
    for question, relevant in questions:
        begun = time.perf_counter()
        found = list(search(question))[:K]
        times.append(time.perf_counter() - begun)
        if relevant in found:
            hits += 1
            gains += 1 / math.log2(2 + found.index(relevant))
    cpu = time.process_time() - cpu
    getattr(search, "close", lambda: None)()
    times.sort()
    count = len(questions)
    return Row(
        language, system, _version(package), len(texts), count, hits / count, gains / count, len(texts) / indexing,
        1000 * times[count // 2], 1000 * times[min(count - 1, int(0.95 * count))], 1000 * cpu / count,
    )  # fmt: skip


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "source"


def load(path: Path, limit: int, titles: bool) -> tuple[list[str], list[tuple[str, int]]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        paragraphs = [json.loads(line) for line in lines]
    questions = [(q["question"], n) for n, p in enumerate(paragraphs) for q in p["questions"] if q["answers"]]
    if limit and limit < len(questions):
        questions = random.Random(0).sample(questions, limit)
    texts = [p["text"].replace(TITLE_MARK, "\n") for p in paragraphs]
    return [p["title"] + TITLE_MARK + t for p, t in zip(paragraphs, texts, strict=True)] if titles else texts, questions


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--languages", nargs="+", default=["en", "zh-Hant", "ja"])
    parser.add_argument("--systems", nargs="+", default=list(SYSTEMS), choices=list(SYSTEMS))
    parser.add_argument("--questions", type=int, default=0, help="a fixed sample of this size; 0: all")
    parser.add_argument("--titles", action="store_true", help="give every tool the article's title too")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    options = parser.parse_args()
    rows: list[Row] = []
    skipped: dict[str, str] = {}
    heading = f"{'':8}{'':34}{'recall@10':>10}{'nDCG@10':>9}{'docs/s':>9}{'p50 ms':>8}{'p95 ms':>8}{'CPU ms':>8}"
    print(heading)
    for language in options.languages:
        texts, questions = load(options.data / "qa" / language / "dev.jsonl.gz", options.questions, options.titles)
        for system in options.systems:
            if system in skipped:
                continue
            try:
                row = measure(language, system, texts, questions)
            except ImportError as error:
                skipped[system] = str(error)
                print(f"skipped: {system} ({error})", file=sys.stderr)
                continue
            rows.append(row)
            print(
                f"{language:8}{system:34}{row.recall_at_10:10.4f}{row.ndcg_at_10:9.4f}{row.documents_per_second:9.0f}"
                f"{row.p50_ms:8.2f}{row.p95_ms:8.2f}{row.cpu_ms:8.2f}",
                flush=True,
            )
    options.out.mkdir(parents=True, exist_ok=True)
    target = options.out / f"retrieval{'-titles' if options.titles else ''}-{date.today().isoformat()}.json"
    machine = {"python": platform.python_version(), "machine": platform.machine(), "cores": os.cpu_count()}
    load_now = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    result = {"date": date.today().isoformat(), "machine": {**machine, "load": load_now}, "skipped": skipped}
    table = {**result, "rows": [asdict(row) for row in rows]}
    target.write_text(json.dumps(table, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    print(f"written: {target}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
