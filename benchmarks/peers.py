"""What the speed benchmarks share: documents, one cheap hashed embedder for everybody, and the other tools.

A system indexes paragraphs by words and by vectors, answers a question from both (reciprocal rank fusion), and replaces
or deletes one document. Each imports its package when it is made: one that is missing is skipped and named.
"""

from __future__ import annotations

import gzip
import importlib.metadata
import json
import os
import platform
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, is_dataclass
from datetime import date
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import numpy as np  # noqa: E402

LANGUAGES = ("en", "zh-Hant", "ja")
DIMENSION = 256
SIZE = 1200  # characters per chunk
Paper = tuple[str, str]  # id, text


def paragraphs(data: Path, parts: Sequence[str] = ("train", "dev")) -> Iterator[Paper]:
    """All paragraphs of ``data/qa`` in three languages; repeated texts once."""
    seen: set[str] = set()
    for language in LANGUAGES:
        for part in parts:
            with gzip.open(data / "qa" / language / f"{part}.jsonl.gz", "rt", encoding="utf-8") as lines:
                for line in lines:
                    row = json.loads(line)
                    if row["text"] not in seen:
                        seen.add(row["text"])
                        yield f"{language}/{part}/{row['id']}", row["text"]


def questions(data: Path, count: int) -> list[str]:
    """A fixed sample of development questions, a third per language."""
    found: list[str] = []
    for language in LANGUAGES:
        with gzip.open(data / "qa" / language / "dev.jsonl.gz", "rt", encoding="utf-8") as lines:
            asked = [q["question"] for line in lines for q in json.loads(line)["questions"] if q["answers"]]
        found += random.Random(0).sample(asked, count // 3)
    random.Random(1).shuffle(found)
    return found


def many(papers: Sequence[Paper], count: int) -> Iterator[Paper]:
    """``count`` documents: the paragraphs, then new ones put together from sentences of the same language."""
    yield from papers[:count]
    chance = random.Random(0)
    by_language: dict[str, list[str]] = {}
    for name, text in papers:
        stop = "。" if not name.startswith("en") else ". "
        by_language.setdefault(name.partition("/")[0], []).extend(s + stop for s in text.split(stop) if len(s) > 12)
    languages = [name.partition("/")[0] for name, _ in papers]
    for number in range(len(papers), count):
        sentences = by_language[chance.choice(languages)]
        yield f"made/{number}", "".join(chance.choices(sentences, k=5))


def hashed(texts: Sequence[str]) -> np.ndarray:
    """Unit rows of hashed character trigrams, shape (n, 256): cheap, the same for every system."""
    rows = np.zeros((len(texts), DIMENSION), dtype=np.float32)
    for row, text in zip(rows, texts, strict=True):
        codes = np.frombuffer(text.lower().encode("utf-16-le"), dtype="<u2").astype(np.uint32)
        if len(codes) > 2:
            codes = ((codes[:-2] * 31 + codes[1:-1]) * 31 + codes[2:]) * np.uint32(2654435761)
            row += np.bincount(codes >> np.uint32(24), minlength=DIMENSION)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)


class Hashed:
    """``hashed`` as an ``Embedder``."""

    name, dimension = "hashed:x", DIMENSION

    def embed(self, texts: Sequence[str], *, kind: str) -> np.ndarray:
        return hashed(texts)


def open_embedder(name: str) -> Hashed:
    return Hashed()


def fuse(*rankings: Sequence[str]) -> list[str]:
    total: dict[str, float] = {}
    for ranking in rankings:
        for place, name in enumerate(ranking, start=1):
            total[name] = total.get(name, 0.0) + 1 / (60 + place)
    return sorted(total, key=lambda name: -total[name])


class Groundtune:
    package, durable = "groundtune", True

    def __init__(self, folder: Path) -> None:
        from groundtune import Document, KnowledgeBase, registry

        registry._BUILT_IN["embedder"]["hashed"] = f"{__name__}:open_embedder"
        self._document = Document
        self.base = KnowledgeBase.open(folder / "kb", embedder="hashed:x", chunk_characters=SIZE)

    def build(self, papers: Sequence[Paper]) -> None:
        self.base.add([self._document(name, text) for name, text in papers])

    def search(self, query: str, k: int = 10) -> list[str]:
        return [hit.chunk.document_id for hit in self.base.search(query, k)]

    def words(self, query: str, k: int = 10) -> list[str]:
        return [hit.chunk.document_id for hit in self.base._store.search(query, None, k)]

    def replace(self, name: str, text: str) -> None:
        self.base.add([self._document(name, text)])

    def delete(self, name: str) -> None:
        self.base.delete([name])

    def close(self) -> None:
        self.base.close()


class LangChain:
    """RecursiveCharacterTextSplitter + FAISS + BM25Retriever, in memory. BM25Retriever has no update: it is made again."""

    package, durable = "langchain-community", False

    def __init__(self, folder: Path) -> None:
        from langchain_core.embeddings import Embeddings
        from langchain_text_splitters import RecursiveCharacterTextSplitter

        class Wrapped(Embeddings):
            def embed_documents(self, texts: list[str]) -> list[list[float]]:
                return hashed(texts).tolist()

            def embed_query(self, text: str) -> list[float]:
                return hashed([text])[0].tolist()

        self.embeddings = Wrapped()
        self.splitter = RecursiveCharacterTextSplitter(chunk_size=SIZE, chunk_overlap=0)
        self.chunks: list[Any] = []

    def _split(self, papers: Sequence[Paper]) -> list[Any]:
        from langchain_core.documents import Document

        found = self.splitter.split_documents([Document(text, metadata={"n": name}) for name, text in papers])
        for number, chunk in enumerate(found):
            chunk.id = f"{chunk.metadata['n']}#{number}"
        return found

    def _store(self, chunks: list[Any], folder: str = "") -> Any:
        from langchain_community.vectorstores import FAISS

        return FAISS.from_documents(chunks, self.embeddings, ids=[chunk.id for chunk in chunks])

    def _words(self) -> Any:
        from langchain_community.retrievers import BM25Retriever

        return BM25Retriever.from_documents(self.chunks, k=10)

    def build(self, papers: Sequence[Paper]) -> None:
        self.chunks = self._split(papers)
        self.store = self._store(self.chunks)
        self.retriever = self._words()

    def words(self, query: str, k: int = 10) -> list[str]:
        return [d.metadata["n"] for d in self.retriever.invoke(query)][:k]

    def search(self, query: str, k: int = 10) -> list[str]:
        near = [d.metadata["n"] for d in self.store.similarity_search(query, k=k)]
        return fuse(self.words(query, k), near)[:k]

    def delete(self, name: str) -> None:
        gone = [chunk.id for chunk in self.chunks if chunk.metadata["n"] == name]
        if gone:
            self.store.delete(gone)
            self.chunks = [chunk for chunk in self.chunks if chunk.metadata["n"] != name]
            self.retriever = self._words()

    def replace(self, name: str, text: str) -> None:
        gone = [chunk.id for chunk in self.chunks if chunk.metadata["n"] == name]
        if gone:
            self.store.delete(gone)
        new = self._split([(name, text)])
        self.store.add_documents(new, ids=[chunk.id for chunk in new])
        self.chunks = [chunk for chunk in self.chunks if chunk.metadata["n"] != name] + new
        self.retriever = self._words()

    def close(self) -> None:
        pass


class LangChainChroma(LangChain):
    """The same with Chroma on disk."""

    package = "langchain-chroma"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        from langchain_chroma import Chroma

        self.store = Chroma(embedding_function=self.embeddings, persist_directory=str(folder / "chroma"))

    def _store(self, chunks: list[Any], folder: str = "") -> Any:
        for start in range(0, len(chunks), 5000):
            part = chunks[start : start + 5000]
            self.store.add_documents(part, ids=[chunk.id for chunk in part])
        return self.store


class LlamaIndex:
    """SentenceSplitter + the default vector store + BM25Retriever, in memory."""

    package, durable = "llama-index-core", False

    def __init__(self, folder: Path) -> None:
        from llama_index.core.base.embeddings.base import BaseEmbedding
        from llama_index.core.node_parser import SentenceSplitter

        class Wrapped(BaseEmbedding):
            def _get_text_embedding(self, text: str) -> list[float]:
                return hashed([text])[0].tolist()

            def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
                return hashed(texts).tolist()

            def _get_query_embedding(self, query: str) -> list[float]:
                return hashed([query])[0].tolist()

            async def _aget_query_embedding(self, query: str) -> list[float]:
                return self._get_query_embedding(query)

        self.embedding = Wrapped(embed_batch_size=512)
        self.splitter = SentenceSplitter(chunk_size=SIZE // 4, chunk_overlap=0)

    def _nodes(self, papers: Sequence[Paper]) -> list[Any]:
        from llama_index.core import Document

        return self.splitter.get_nodes_from_documents([Document(text=text, doc_id=name) for name, text in papers])

    def _words(self) -> Any:
        from llama_index.retrievers.bm25 import BM25Retriever

        return BM25Retriever.from_defaults(nodes=self.nodes, similarity_top_k=10)

    def build(self, papers: Sequence[Paper]) -> None:
        from llama_index.core import VectorStoreIndex

        self.nodes = self._nodes(papers)
        self.index = VectorStoreIndex(self.nodes, embed_model=self.embedding)
        self.near = self.index.as_retriever(similarity_top_k=10)
        self.retriever = self._words()

    def words(self, query: str, k: int = 10) -> list[str]:
        return [found.node.ref_doc_id for found in self.retriever.retrieve(query)][:k]

    def search(self, query: str, k: int = 10) -> list[str]:
        return fuse(self.words(query, k), [found.node.ref_doc_id for found in self.near.retrieve(query)])[:k]

    def replace(self, name: str, text: str) -> None:
        self.delete(name, words=False)
        new = self._nodes([(name, text)])
        self.index.insert_nodes(new)
        self.near = self.index.as_retriever(similarity_top_k=10)  # one made earlier does not see new nodes
        self.nodes += new
        self.retriever = self._words()

    def delete(self, name: str, words: bool = True) -> None:
        if any(node.ref_doc_id == name for node in self.nodes):
            # without this its document store still names the deleted nodes, and the next deletion raises KeyError
            self.index.delete_ref_doc(name, delete_from_docstore=True)
            self.nodes = [node for node in self.nodes if node.ref_doc_id != name]
            if words:
                self.retriever = self._words()

    def close(self) -> None:
        pass


class Haystack:
    """InMemoryDocumentStore with its two retrievers; DocumentSplitter by passage size."""

    package, durable = "haystack-ai", False

    def __init__(self, folder: Path) -> None:
        from haystack.components.retrievers.in_memory import InMemoryBM25Retriever, InMemoryEmbeddingRetriever
        from haystack.document_stores.in_memory import InMemoryDocumentStore

        self.store = InMemoryDocumentStore(embedding_similarity_function="dot_product")
        self.bm25 = InMemoryBM25Retriever(self.store, top_k=10)
        self.near = InMemoryEmbeddingRetriever(self.store, top_k=10)

    def _documents(self, papers: Sequence[Paper]) -> list[Any]:
        from haystack import Document

        parts = [(name, text[i : i + SIZE], i) for name, text in papers for i in range(0, len(text), SIZE)]
        vectors = hashed([text for _, text, _ in parts]).tolist()
        return [
            Document(id=f"{name}#{i}", content=text, embedding=vector, meta={"n": name})
            for (name, text, i), vector in zip(parts, vectors, strict=True)
        ]

    def build(self, papers: Sequence[Paper]) -> None:
        self.store.write_documents(self._documents(papers))

    def words(self, query: str, k: int = 10) -> list[str]:
        return [d.meta["n"] for d in self.bm25.run(query=query)["documents"]][:k]

    def search(self, query: str, k: int = 10) -> list[str]:
        near = self.near.run(query_embedding=hashed([query])[0].tolist())["documents"]
        return fuse(self.words(query, k), [d.meta["n"] for d in near])[:k]

    def replace(self, name: str, text: str) -> None:
        self.delete(name)
        self.store.write_documents(self._documents([(name, text)]))

    def delete(self, name: str) -> None:
        held = self.store.filter_documents({"field": "meta.n", "operator": "==", "value": name})
        self.store.delete_documents([document.id for document in held])

    def close(self) -> None:
        pass


class Txtai:
    """Embeddings with external vectors and a keyword index, in memory. It does not split: paragraphs are short."""

    package, durable = "txtai", False

    def __init__(self, folder: Path) -> None:
        from txtai import Embeddings

        self.index = Embeddings(method="external", transform=hashed, hybrid=True)
        self.numbers: dict[str, int] = {}
        self.names: list[str] = []

    def _rows(self, papers: Sequence[Paper]) -> list[tuple[int, str]]:
        for name, _ in papers:
            if name not in self.numbers:
                self.numbers[name] = len(self.names)
                self.names.append(name)
        return [(self.numbers[name], text) for name, text in papers]

    def build(self, papers: Sequence[Paper]) -> None:
        self.index.index(self._rows(papers))

    def words(self, query: str, k: int = 10) -> list[str]:
        return [self.names[int(number)] for number, _ in self.index.search(query, k, weights=(0.0, 1.0))]

    def search(self, query: str, k: int = 10) -> list[str]:
        return [self.names[int(number)] for number, _ in self.index.search(query, k)]

    def replace(self, name: str, text: str) -> None:
        self.index.upsert(self._rows([(name, text)]))

    def delete(self, name: str) -> None:
        self.index.delete([self.numbers[name]])

    def close(self) -> None:
        pass


class Tantivy:
    """tantivy on disk with its default tokeniser, and a flat FAISS index beside it in memory."""

    package, durable = "tantivy", True

    def __init__(self, folder: Path) -> None:
        import faiss
        import tantivy

        self.library = tantivy
        schema = tantivy.SchemaBuilder()
        schema.add_text_field("name", stored=True, tokenizer_name="raw")
        schema.add_text_field("body")
        (folder / "tantivy").mkdir()
        self.index = tantivy.Index(schema.build(), path=str(folder / "tantivy"))
        self.writer = self.index.writer(heap_size=64_000_000, num_threads=1)
        self.near = faiss.IndexIDMap2(faiss.IndexFlatIP(DIMENSION))
        self.names: list[str] = []
        self.numbers: dict[str, list[int]] = {}

    def _add(self, papers: Sequence[Paper]) -> None:
        parts = [(name, text[i : i + SIZE]) for name, text in papers for i in range(0, len(text), SIZE)]
        for name, text in parts:
            self.writer.add_document(self.library.Document(name=name, body=text))
        first = len(self.names)
        self.names += [name for name, _ in parts]
        for number, (name, _) in enumerate(parts, start=first):
            self.numbers.setdefault(name, []).append(number)
        self.near.add_with_ids(hashed([text for _, text in parts]), np.arange(first, len(self.names)))

    def _commit(self) -> None:
        self.writer.commit()
        self.index.reload()

    def build(self, papers: Sequence[Paper]) -> None:
        self._add(papers)
        self._commit()

    def words(self, query: str, k: int = 10) -> list[str]:
        searcher = self.index.searcher()
        parsed, _ = self.index.parse_query_lenient(query, ["body"])
        return [searcher.doc(address)["name"][0] for _, address in searcher.search(parsed, k).hits]

    def search(self, query: str, k: int = 10) -> list[str]:
        _, found = self.near.search(hashed([query]), k)
        return fuse(self.words(query, k), [self.names[number] for number in found[0] if number >= 0])[:k]

    def replace(self, name: str, text: str) -> None:
        self._remove(name)
        self._add([(name, text)])
        self._commit()

    def _remove(self, name: str) -> None:
        self.writer.delete_documents("name", name)
        self.near.remove_ids(np.array(self.numbers.pop(name, []), dtype=np.int64))

    def delete(self, name: str) -> None:
        self._remove(name)
        self._commit()

    def close(self) -> None:
        pass


SYSTEMS: dict[str, Callable[[Path], Any]] = {
    "groundtune": Groundtune,
    "LangChain FAISS + BM25": LangChain,
    "LangChain Chroma + BM25": LangChainChroma,
    "LlamaIndex": LlamaIndex,
    "Haystack in memory": Haystack,
    "txtai": Txtai,
    "tantivy + FAISS": Tantivy,
}


def version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "source"


def percentile(times: Sequence[float], share: float) -> float:
    """In milliseconds."""
    ordered = sorted(times)
    return 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def keep(name: str, rows: Sequence[Any], skipped: dict[str, str], out: Path, **more: Any) -> None:
    """Write ``results/<name>-<date>.json``."""
    out.mkdir(parents=True, exist_ok=True)
    target = out / f"{name}-{date.today().isoformat()}.json"
    machine = {"python": platform.python_version(), "machine": platform.machine(), "cores": os.cpu_count()}
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    table = {
        "date": date.today().isoformat(), "machine": {**machine, "load": load}, "skipped": skipped, **more,
        "rows": [asdict(row) if is_dataclass(row) and not isinstance(row, type) else row for row in rows],
    }  # fmt: skip
    target.write_text(json.dumps(table, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    print(f"written: {target}", file=sys.stderr)
