"""Does the index hold exactly what the documents say? Finds drift between manifest, chunks, lexical index and
vectors, and repairs it from the stored text.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from groundtune.knowledge.backing import Backing
from groundtune.knowledge.chunk import chunk_document
from groundtune.knowledge.prepare import Preparer
from groundtune.messages import say

Kind = Literal["file", "manifest", "text", "chunks", "terms", "lexical", "vectors", "outer"]


@dataclass(frozen=True, slots=True)
class Problem:
    """One drift. ``document`` is empty when it concerns the whole index."""

    kind: Kind
    document: str = ""

    def sentence(self, lang: str | None = None) -> str:
        """What is wrong, in words."""
        return say(f"knowledge.drift_{self.kind}", lang=lang, document=self.document)


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """``problems`` as found; ``remaining`` after a repair (equal to ``problems`` when none was asked for)."""

    documents: int
    chunks: int
    problems: tuple[Problem, ...] = ()
    remaining: tuple[Problem, ...] = ()

    @property
    def sound(self) -> bool:
        """Nothing is wrong now."""
        return not self.remaining


def verify(store: Backing, preparer: Preparer, *, repair: bool = False) -> VerifyReport:
    """Check everything against the stored text; with ``repair`` make derived rows again from it.

    A damaged file or a lost text cannot be repaired here and stays in ``remaining``.
    """
    problems, documents, chunks = _look(store, preparer)
    if not problems or not repair:
        return VerifyReport(documents, chunks, problems, problems)
    # First the index as a whole: deleting rows from an inconsistent one would spread the damage.
    store.rebuild_lexical()
    broken = {p.document for p in problems if p.kind in ("manifest", "chunks", "vectors", "terms")} - {""}
    found = {document_id: store.document(document_id) for document_id in sorted(broken)}
    strays = [document_id for document_id, document in found.items() if document is None]
    if strays:  # first, because their rows may hold ids that the documents need
        store.delete(strays)
    for document in found.values():
        if document is not None:
            store.apply([preparer.prepare(store, document, fresh=True)])
    remaining, documents, chunks = _look(store, preparer)
    return VerifyReport(documents, chunks, problems, remaining)


def _look(store: Backing, preparer: Preparer) -> tuple[tuple[Problem, ...], int, int]:
    found = store.inspect()
    problems = [Problem("file", reason) for reason in found.file]
    problems += [Problem("manifest", document_id) for document_id in found.manifest]
    problems += [Problem("text", document_id) for document_id in found.text]
    drifted = set(found.chunks)
    for document_id in store.digests():
        if document_id not in drifted and document_id not in found.text and _stale(store, preparer, document_id):
            drifted.add(document_id)
    problems += [Problem("chunks", document_id) for document_id in sorted(drifted)]
    problems += [Problem("terms", document_id) for document_id in found.terms]
    problems += [Problem("lexical")] if found.lexical else []
    vectors = set(found.vectors) | _without_vectors(store, preparer)
    problems += [Problem("vectors", document_id) for document_id in sorted(vectors)]
    problems += [Problem("outer", document_id) for document_id in found.outer]
    return tuple(problems), found.documents, found.chunk_count


def _stale(store: Backing, preparer: Preparer, document_id: str) -> bool:
    """The chunks are not those that the current text gives."""
    document = store.document(document_id)
    return document is not None and tuple(store.chunks(document_id)) != chunk_document(
        document, preparer.chunk_characters
    )


def _without_vectors(store: Backing, preparer: Preparer) -> set[str]:
    if preparer.embedder is None or not store.missing(preparer.space):
        return set()
    return {i for i in store.digests() if len(store.vectors(i, preparer.space)) != len(store.chunks(i))}
