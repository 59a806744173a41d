"""Laws before and after real amendments: does an answer follow the update, and can the past still be asked?

    python benchmarks/freshness.py --data DIR [--languages en zh-Hant ja] [--limit N] [--reader builtin:reader]

DIR/law holds documents_v1, documents_v2 and changes.jsonl.gz of each language. Per language: bring version 1 into an empty
knowledge base, ask every change question, bring version 2 in, ask again, then ask as of an instant between the two. Answers
are quotes (no language model). Counted are answered questions; an answer says the new or the old value when the quoted
sentence holds it.
"""

from __future__ import annotations

import argparse
import gzip
import json
import platform
import re
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from groundtune import registry
from groundtune.knowledge.base import KnowledgeBase
from groundtune.measure.stats import wilson
from groundtune.ports import Reader
from groundtune.types import Answer, Hit

LANGUAGES = ("en", "zh-Hant", "ja")
K = 10
_SPACE = re.compile(r"\s+")


@dataclass(frozen=True)
class Asked:
    """One question at one time: what was said, what it stood on and what was retrieved."""

    outcome: str  # new, old, other or abstained
    stands: bool | None  # the quote is in the files as they are now; None without an answer
    current: bool | None  # the cited version is the current one
    marked: bool  # the answer says that it is out of date
    places: tuple[tuple[str, int, int], ...]
    found: bool  # a retrieved passage holds the segment that was asked for
    seconds: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--languages", nargs="+", default=list(LANGUAGES), choices=LANGUAGES)
    parser.add_argument("--limit", type=int, default=0)
    parser.add_argument("--reader", default="builtin:reader")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    given = parser.parse_args()
    reader: Reader = registry.load("reader", given.reader)
    results = {}
    for language in given.languages:
        results[language] = measure(given.data / "law" / language, reader, given.limit)
        print(language, json.dumps(results[language], ensure_ascii=False, indent=1))
    report = {
        "date": date.today().isoformat(),
        "reader": reader.name,
        "threshold": reader.threshold,
        "python": platform.python_version(),
        "limit": given.limit,
        "languages": results,
    }
    if not given.limit:
        given.out.mkdir(exist_ok=True)
        path = given.out / f"freshness-{report['date']}.json"
        path.write_text(json.dumps(report, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        print(path)


def measure(folder: Path, reader: Reader, limit: int) -> dict[str, Any]:
    with gzip.open(folder / "changes.jsonl.gz", "rt", encoding="utf-8") as lines:
        changes = [json.loads(line) for line in lines]
    changes = changes[:: max(1, len(changes) // limit)][:limit] if limit else changes
    now = {path.name: path.read_text(encoding="utf-8") for path in (folder / "documents_v2").iterdir()}
    before_texts = {path.name: path.read_text(encoding="utf-8") for path in (folder / "documents_v1").iterdir()}
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch) / "documents"
        with KnowledgeBase.open(Path(scratch) / "kb") as kb:
            place.symlink_to((folder / "documents_v1").resolve())
            first = kb.sync([place])
            before = [ask(kb, change, reader, before_texts, "old") for change in changes]
            between = datetime.now().astimezone().isoformat()
            place.unlink()
            place.symlink_to((folder / "documents_v2").resolve())
            second = kb.sync([place])
            after = [ask(kb, change, reader, now, "new") for change in changes]
            started = time.perf_counter()
            kb.at(between).search("x", 1)
            made = time.perf_counter() - started
            past = [ask(kb, change, reader, before_texts, "old", between) for change in changes]
    same = sum(a.places == b.places for a, b in zip(before, past, strict=True))
    return {
        "questions": len(changes),
        "documents": len(first.added),
        "documents_changed": len(second.updated) + len(second.added) + len(second.deleted),
        "sync_seconds": [round(first.seconds, 2), round(second.seconds, 2)],
        "before_update": summary(before, "old"),
        "after_update": summary(after, "new"),
        "as_of_before": {
            **summary(past, "old"),
            "index_made_seconds": round(made, 2),
            "same_ranking_as_then": share(same, len(past)),
            "same_outcome_as_then": share(
                sum(a.outcome == b.outcome for a, b in zip(before, past, strict=True)), len(past)
            ),
        },
    }


def ask(
    kb: KnowledgeBase, change: dict[str, Any], reader: Reader, texts: dict[str, str], held: str, as_of: str = ""
) -> Asked:
    """``texts`` are the files of the time, ``held`` (old or new) the value that they have."""
    started = time.perf_counter()
    answer = kb.ask(change["question"], reader=reader, k=K, as_of=as_of)
    seconds = time.perf_counter() - started
    citation = answer.citations[0] if answer.citations else None
    current = {document_id: kb.text(document_id) for document_id in {c.document_id for c in answer.citations}}
    segment = change[f"{held}_span"]
    return Asked(
        outcome=outcome(answer, change),
        stands=None if citation is None else citation.quote in texts.get(citation.document_id, ""),
        current=None
        if citation is None
        else kb.text(citation.document_id, citation.version) == current[citation.document_id],
        marked=answer.stale,
        places=tuple((hit.chunk.document_id, hit.chunk.start, hit.chunk.end) for hit in answer.context),
        found=any(holds(hit, change, segment) for hit in answer.context),
        seconds=seconds,
    )


def outcome(answer: Answer, change: dict[str, Any]) -> str:
    if answer.abstained:
        return "abstained"
    said = packed(answer.text)
    if packed(change["new_span"]) in said:
        return "new"
    return "old" if packed(change["old_span"]) in said else "other"


def holds(hit: Hit, change: dict[str, Any], segment: str) -> bool:
    return hit.chunk.document_id == f"{change['law']}.md" and packed(segment) in packed(hit.chunk.text)


def packed(text: str) -> str:
    return _SPACE.sub("", text).casefold()


def summary(asked: Sequence[Asked], wanted: str) -> dict[str, Any]:
    """``wanted`` is the value that held at that time."""
    answered = [one for one in asked if one.outcome != "abstained"]
    either = [one for one in answered if one.outcome in ("new", "old")]
    unwanted = "old" if wanted == "new" else "new"
    return {
        "answered": share(len(answered), len(asked)),
        "says_the_value_of_the_time": share(sum(one.outcome == wanted for one in answered), len(answered)),
        "says_the_other_value": share(sum(one.outcome == unwanted for one in answered), len(answered)),
        "of_those_that_say_either": share(sum(one.outcome == wanted for one in either), len(either)),
        "cites_text_of_the_time": share(sum(one.stands is True for one in answered), len(answered)),
        "cites_the_current_version": share(sum(one.current is True for one in answered), len(answered)),
        "marked_out_of_date": share(sum(one.marked for one in answered), len(answered)),
        "retrieved_the_segment": share(sum(one.found for one in asked), len(asked)),
        "median_milliseconds": round(1000 * sorted(one.seconds for one in asked)[len(asked) // 2], 1),
    }


def share(count: int, n: int) -> dict[str, Any]:
    """With its 95 % Wilson interval."""
    low, high = wilson(count, n) if n else (0.0, 1.0)
    return {
        "count": count,
        "n": n,
        "value": round(count / n, 4) if n else None,
        "low": round(low, 4),
        "high": round(high, 4),
    }


if __name__ == "__main__":
    main()
