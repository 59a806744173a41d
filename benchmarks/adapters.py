"""What the LangChain and LlamaIndex ways into groundtune cost over the native one, on the same texts in the same run.

    python benchmarks/adapters.py [--texts 2000] [--questions 200] [--out FILE]

Texts are made (three languages, a fixed seed), embedded by ``builtin:embed``. Each way holds the same texts in a store of its own;
questions go through all ways in turn, so that the machine's moods hit all alike. Native: ``KnowledgeBase.add`` and
``.search``. Retriever: theirs around the same knowledge base, which is pure overhead per query. Vector stores: theirs
over our store, and, for scale, the in-memory store that each framework brings.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from groundtune import Document, KnowledgeBase

SUBJECTS = {
    "en": [
        "the gate",
        "the rotavator",
        "a full plot",
        "the deposit",
        "the car park",
        "annual leave",
        "the compost box",
    ],
    "zh": ["農園大門", "碎枝機", "租金", "保證金", "停車場", "特別休假", "堆肥箱"],
    "ja": ["正門", "耕うん機", "利用料", "保証金", "駐車場", "年次有給休暇", "堆肥箱"],
}
FORMS = {
    "en": (
        "Rule {n}: {s} is available for {a} days and costs {b} pounds in hall {c}.",
        "What does {s} cost in hall {c}?",
    ),
    "zh": ("第{n}條：{s}可使用{a}天，費用為{b}元，地點在第{c}館。", "第{c}館的{s}費用多少？"),
    "ja": ("第{n}条　{s}は{a}日間使え、料金は{b}円、場所は第{c}館です。", "第{c}館の{s}の料金はいくらですか。"),
}


def make(count: int, asked: int) -> tuple[list[str], list[str]]:
    chance = random.Random(7)
    texts, questions = [], []
    for number in range(count):
        lang = ("en", "zh", "ja")[number % 3]
        values = {"n": number, "s": chance.choice(SUBJECTS[lang]), "a": chance.randrange(1, 90),
                  "b": chance.randrange(5, 900), "c": chance.randrange(1, 500)}  # fmt: skip
        texts.append(FORMS[lang][0].format(**values))
        questions.append(FORMS[lang][1].format(**values))
    return texts, chance.sample(questions, asked)


def both(call: Callable[[], Any]) -> tuple[float, float]:
    """Seconds of wall time and of this process's CPU: the second does not see what else the machine does."""
    started, used = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - started, time.process_time() - used


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--texts", type=int, default=2000)
    parser.add_argument("--questions", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", default="")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    from langchain_core.vectorstores import InMemoryVectorStore
    from llama_index.core import StorageContext, VectorStoreIndex
    from llama_index.core.schema import TextNode

    from groundtune.interop.langchain import GroundtuneRetriever as LangChainRetriever
    from groundtune.interop.langchain_chat import GroundtuneEmbeddings
    from groundtune.interop.langchain_store import GroundtuneVectorStore as LangChainStore
    from groundtune.interop.llamaindex import GroundtuneRetriever as LlamaIndexRetriever
    from groundtune.interop.llamaindex_model import GroundtuneEmbedding
    from groundtune.interop.llamaindex_store import GroundtuneVectorStore as LlamaIndexStore

    texts, questions = make(args.texts, args.questions)
    k = 5
    seconds: dict[str, tuple[float, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        base = KnowledgeBase.open(Path(folder) / "kb", embedder="builtin:embed")
        warm = [
            Document(f"w{n}", f"{text} {text}") for n, text in enumerate(texts[:60])
        ]  # whoever is first pays for none
        base.add(warm)
        base.delete([document.id for document in warm])
        seconds["native"] = both(lambda: base.add([Document(f"d{n}", text) for n, text in enumerate(texts)]))
        ids = [f"d{n}" for n in range(len(texts))]
        embeddings, embedding = GroundtuneEmbeddings("builtin:embed"), GroundtuneEmbedding("builtin:embed")
        lc = LangChainStore(embeddings, folder=Path(folder) / "lc")
        seconds["langchain vector store"] = both(lambda: lc.add_texts(texts, ids=ids))
        lc_memory = InMemoryVectorStore(embeddings)
        seconds["langchain in-memory (theirs)"] = both(lambda: lc_memory.add_texts(texts, ids=ids))
        li = LlamaIndexStore(str(Path(folder) / "li"))
        nodes = [TextNode(id_=name, text=text) for name, text in zip(ids, texts, strict=True)]
        made: list[Any] = []

        def build(store: Any) -> None:
            context = StorageContext.from_defaults(vector_store=store) if store is not None else None
            made.append(VectorStoreIndex(list(nodes), storage_context=context, embed_model=embedding))

        seconds["llamaindex vector store"] = both(lambda: build(li))
        seconds["llamaindex in-memory (theirs)"] = both(lambda: build(None))
        hybrid = made[0].as_retriever(similarity_top_k=k, vector_store_query_mode="hybrid")
        memory = made[1].as_retriever(similarity_top_k=k)
        lc_retriever, li_retriever = LangChainRetriever(knowledge_base=base, k=k), LlamaIndexRetriever(base, k)
        ways: dict[str, Callable[[str], Any]] = {
            "native": lambda q: base.search(q, k=k),
            "langchain retriever": lc_retriever.invoke,
            "llamaindex retriever": li_retriever.retrieve,
            "langchain vector store": lambda q: lc.similarity_search(q, k=k),
            "llamaindex vector store": hybrid.retrieve,
            "langchain in-memory (theirs)": lambda q: lc_memory.similarity_search(q, k=k),
            "llamaindex in-memory (theirs)": memory.retrieve,
        }
        taken: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
        for name in ways:
            ways[name](questions[0])
        for _ in range(args.rounds):
            for question in questions:
                for name, way in ways.items():
                    taken[name].append(both(lambda way=way, question=question: way(question)))  # type: ignore[misc]
        base.close()
        lc.close()
        li.close()

    def middle(name: str, which: int) -> float:
        return statistics.median(pair[which] for pair in taken[name]) * 1000

    rows = [
        {
            "way": name,
            "ingest_per_second": round(len(texts) / seconds[name][0], 1) if name in seconds else None,
            "ingest_per_cpu_second": round(len(texts) / seconds[name][1], 1) if name in seconds else None,
            "p50_ms": round(middle(name, 0), 3),
            "p95_ms": round(sorted(wall for wall, _ in pairs)[int(0.95 * len(pairs))] * 1000, 3),
            "cpu_p50_ms": round(middle(name, 1), 3),
            "cpu_over_native_ms": round(middle(name, 1) - middle("native", 1), 3),
        }
        for name, pairs in taken.items()
    ]
    for row in rows:
        print("{way:32} ingest/s {ingest_per_second!s:>9} (CPU {ingest_per_cpu_second!s:>9})  p50 {p50_ms:8.3f} ms  p95 {p95_ms:8.3f} ms  CPU p50 {cpu_p50_ms:8.3f} ms  {cpu_over_native_ms:+.3f}".format(**row))  # fmt: skip
    found = {
        "texts": len(texts), "questions": len(questions), "rounds": args.rounds, "k": k, "python": platform.python_version(),
        "langchain_core": version("langchain-core"), "llama_index_core": version("llama-index-core"), "rows": rows,
    }  # fmt: skip
    if args.out:
        Path(args.out).write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
