"""What can be done with a batch of documents before the store is needed: read, parse, cut, make terms, invert them.

These functions run in helper processes too, so what they take and return is pickled: chunks travel without their text,
which stands in the document.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from numpy.typing import NDArray

from groundtune import messages, parallel
from groundtune.errors import GroundtuneError, StoreError
from groundtune.knowledge.fetch import Gone
from groundtune.knowledge.labels import annotated
from groundtune.knowledge.prepare import Cut, Cuts, cut_together
from groundtune.knowledge.read import file_digest, read_bytes, to_document
from groundtune.knowledge.source import Source
from groundtune.text.inverted import Packed
from groundtune.types import Chunk, Document

# Helper processes take a quarter of a second to start; fewer documents are done sooner without.
WORTH_HELPERS = 3_000
# Batches grow, so that the first commit comes soon and a large corpus has few segments.
_FIRST, _LARGEST = 64, 4_096
_BYTES = 24_000_000


@dataclass(frozen=True, slots=True)
class Job:
    """Sources of one batch. ``digests`` and ``versions`` are what the store holds for their ids."""

    sources: tuple[Source, ...]
    digests: dict[str, str]
    versions: dict[str, str]
    characters: int
    language: str


@dataclass(frozen=True, slots=True)
class Studied:
    """What became of a source: ``cut`` for a new text, ``failed`` with the reason, ``gone``, else nothing changed
    (``file_digest`` is then set when the bytes are new). ``vectors`` are those of the chunks where a worker made them.
    """

    source: Source
    cut: Cut | None = None
    file_digest: str = ""
    failed: str = ""
    gone: bool = False
    vectors: NDArray[Any] | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """Results in the order of the sources, and the inverted lists of all their chunks."""

    results: tuple[Studied, ...]
    packed: Packed


def study(job: Job) -> Batch:
    """Read and cut one batch."""
    results: list[Studied] = []
    new: list[tuple[int, Document]] = []
    for source in job.sources:
        result, document = _read(source, job)
        if document is not None:
            new.append((len(results), document))
        results.append(result)
    made = cut_together([document for _, document in new], job.characters)
    for (place, _), one in zip(new, made.made, strict=True):
        results[place] = replace(results[place], cut=one)
    return Batch(tuple(results), made.packed)


def _read(source: Source, job: Job) -> tuple[Studied, Document | None]:
    """What is known after reading, and the document when its text is new."""
    try:
        data = read_bytes(source)
        fingerprint = file_digest(data)
        if job.digests.get(source.id) == fingerprint and source.id in job.versions:
            return Studied(source), None
        document = annotated(to_document(source, data))
        same = job.versions.get(source.id) == document.version
        return Studied(source, file_digest=fingerprint), None if same else document
    except StoreError:
        raise
    except GroundtuneError as error:
        if isinstance(error, Gone) and source.keeps is None:  # a page that its sitemap still names
            return Studied(source, gone=True), None
        return Studied(source, failed=error.sentence(job.language)), None


def studied(jobs: Iterable[Job], documents: int) -> Iterator[Batch]:
    """``study`` of each job in order; with helper processes when there are many documents."""
    count = parallel.helpers() if documents >= WORTH_HELPERS else 0
    if not count:
        yield from map(study, jobs)
        return
    with parallel.Helpers(_study_there, count) as pool:
        yield from map(unfolded, pool.map(jobs))


def _study_there(job: Job) -> tuple[list[Any], Packed]:
    return folded(study(job))


def folded(batch: Batch) -> tuple[list[Any], Packed]:
    """A batch as it travels between processes."""
    return [
        (replace(r, cut=None), None if r.cut is None else (r.cut.document, *_folded(r.cut))) for r in batch.results
    ], batch.packed


def unfolded(travelled: tuple[list[Any], Packed]) -> Batch:
    """The batch that ``folded`` was given."""
    results, packed = travelled
    return Batch(tuple(_unfolded(*result) for result in results), packed)


def _unfolded(result: Studied, made: tuple[Any, ...] | None) -> Studied:
    return result if made is None else replace(result, cut=_cut_again(*made))


def jobs_of(
    sources: Sequence[Source],
    digests: dict[str, str],
    versions: dict[str, str],
    characters: int,
    sizes: tuple[int, int] = (_FIRST, _LARGEST),
) -> Iterator[Job]:
    """Sources in batches that grow between two ``sizes``; none holds much more than 24 MB of files."""
    (size, largest), start = sizes, 0
    language = messages.language()
    while start < len(sources):
        end, held = start, 0
        while end < len(sources) and end - start < size and held < _BYTES:
            held += _size(sources[end])
            end += 1
        batch = tuple(sources[start:end])
        ids = [source.id for source in batch]
        yield Job(
            batch,
            {i: digests[i] for i in ids if i in digests},
            {i: versions[i] for i in ids if i in versions},
            characters,
            language,
        )
        start, size = end, min(largest, size * 2)


def _size(source: Source) -> int:
    try:
        return source.path.stat().st_size if source.origin is None else 100_000
    except OSError:
        return 0


def cut_all(documents: Sequence[Document], characters: int) -> Iterator[Cuts]:
    """Documents cut batch by batch, with the inverted lists of each batch."""
    batches = _batches(documents)
    count = parallel.helpers() if len(documents) >= WORTH_HELPERS else 0
    if not count:
        for batch in batches:
            yield cut_together(batch, characters)
        return
    held: list[list[Document]] = []

    def given() -> Iterator[tuple[list[Document], int]]:
        for batch in batches:
            held.append(batch)
            yield batch, characters

    with parallel.Helpers(_cut_there, count) as pool:
        for folded, packed in pool.map(given()):
            pairs = zip(held.pop(0), folded, strict=True)
            yield Cuts(tuple(_cut_again(document, *parts) for document, parts in pairs), packed)


def _batches(documents: Sequence[Document]) -> Iterator[list[Document]]:
    batch: list[Document] = []
    held = 0
    for document in documents:
        batch.append(document)
        held += len(document.text)
        if len(batch) >= _LARGEST or held >= _BYTES:
            yield batch
            batch, held = [], 0
    if batch:
        yield batch


def _cut_there(given: tuple[list[Document], int]) -> tuple[list[Any], Packed]:
    documents, characters = given
    made = cut_together(documents, characters)
    return [_folded(one) for one in made.made], made.packed


def _folded(made: Cut) -> tuple[Any, ...]:
    """A cut without what the document says already."""
    version = made.chunks[0].version if made.chunks else ""
    rows = [(c.id, c.start, c.end, c.digest, c.title, c.heading, c.page) for c in made.chunks]
    return version, rows, made.terms


def _cut_again(document: Document, version: str, rows: Sequence[tuple[Any, ...]], terms: Any) -> Cut:  # noqa: ANN401
    text = document.text
    chunks = tuple(
        Chunk(id, document.id, version, text[start:end], start, end, fingerprint, title, heading, page)
        for id, start, end, fingerprint, title, heading, page in rows
    )
    return Cut(document, chunks, terms)
