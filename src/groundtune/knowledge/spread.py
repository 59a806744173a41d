"""Reading, cutting and embedding by the workers of an engine. Only what comes back is stored, here, by one writer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from platform import node
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundtune import registry
from groundtune.errors import GroundtuneError, UserError
from groundtune.knowledge.prepare import Preparer
from groundtune.knowledge.study import Batch, Job, Studied, folded, study, unfolded
from groundtune.messages import say
from groundtune.parallel import Engine
from groundtune.text.inverted import Packed, join

# Documents per task: few enough that a lost worker costs little and a slow embedder shows progress.
_SMALLEST, _EMBEDDED, _LARGEST = 16, 256, 4_096
_EACH = 4  # tasks per worker at least, so that none waits long for the last one
_TEXTS = 64  # per task that only embeds


@dataclass(frozen=True)
class Study:
    """The work: a ``Job`` in, its batch folded for the way back out. ``places``: where the user's modules may lie."""

    embedder: str
    places: tuple[str, ...]

    def open(self) -> Callable[[Job], Any]:
        """Raises what the embedder raises when it cannot be loaded."""
        preparer = Preparer(embedder=_embedder(self.embedder, self.places))

        def there(job: Job) -> Any:  # noqa: ANN401
            unseen = [number for number, source in enumerate(job.sources) if not source.path.exists()]
            if unseen:
                return node(), unseen, []
            batch = study(job)
            made = [_vectors(preparer, job, result) for result in batch.results]
            return folded(batch), [], made

        return there


@dataclass(frozen=True)
class Embed:
    """The work: texts in, their vectors out."""

    embedder: str
    places: tuple[str, ...]

    def open(self) -> Callable[[Sequence[str]], NDArray[Any]]:
        """Raises what the embedder raises when it cannot be loaded."""
        made = _embedder(self.embedder, self.places)
        return lambda texts: np.asarray(made.embed(texts, kind="document"), dtype=np.float32)


def _embedder(spec: str, places: Sequence[str]) -> Any:  # noqa: ANN401
    for place in places:
        registry.look_in(Path(place))
    if not spec:
        return None
    try:
        return registry.load("embedder", spec)
    except GroundtuneError as error:
        raise UserError("ray.cannot_open", node=node(), reason=error.sentence()) from error


def _vectors(preparer: Preparer, job: Job, result: Studied) -> NDArray[Any] | None:
    """Vectors of a new document. Of a changed one most are in the store already, which is not here."""
    if preparer.embedder is None or result.cut is None or result.source.id in job.versions:
        return None
    return preparer.embed([(chunk.title, chunk.heading, chunk.text) for chunk in result.cut.chunks])


def job_sizes(engine: Engine, documents: int, preparer: Preparer) -> tuple[int, int]:
    """Documents in the first and in the largest job."""
    most = _EMBEDDED if preparer.embedder else _LARGEST
    largest = max(_SMALLEST, min(most, documents // (_EACH * engine.workers)))
    return min(64, largest), largest


def spread(engine: Engine, jobs: Iterator[Job], preparer: Preparer) -> Iterator[Batch]:
    """``study`` of each job in order, with the vectors of new documents. Raises ``UserError`` when a file that is here
    cannot be seen by a worker.
    """
    held: list[Job] = []

    def given() -> Iterator[Job]:
        for job in jobs:
            held.append(job)
            yield replace(job, sources=tuple(replace(s, path=s.path.absolute()) for s in job.sources))

    work = Study(preparer.spec, _places())
    for result in engine.map(work, given(), lambda job, error: _one_by_one(engine, work, job)):
        yield _whole(result, held.pop(0))


def _whole(result: Any, job: Job) -> Batch:  # noqa: ANN401
    """A batch with the sources as they were given."""
    if isinstance(result, Batch):  # put together here, from jobs of one source each
        made, vectors = result, [one.vectors for one in result.results]
    else:
        back, unseen, vectors = result
        if unseen:
            seen_here = [job.sources[number].path for number in unseen if job.sources[number].path.exists()]
            if seen_here:
                raise UserError("ray.not_shared", node=back, path=seen_here[0])
            return study(job)  # deleted since they were listed
        made = unfolded(back)
    return Batch(
        tuple(
            replace(one, source=source, vectors=vector)
            for one, source, vector in zip(made.results, job.sources, vectors, strict=True)
        ),
        made.packed,
    )


def _one_by_one(engine: Engine, work: Study, job: Job) -> Batch:
    """A job that killed its workers, one source at a time, so that only the culprit fails."""
    alone = [replace(job, sources=(source,)) for source in job.sources]
    found = engine.map(work, alone, lambda one, error: _culprit(one, error))
    parts = [_whole(result, one) for result, one in zip(found, alone, strict=True)]
    return Batch(tuple(part.results[0] for part in parts), join([part.packed for part in parts]))


def _culprit(job: Job, error: GroundtuneError) -> Batch:
    reason = say("ray.reading_kills", lang=job.language, count=error.params["count"])
    nothing = Packed(np.zeros(0, np.uint32), [], np.zeros(1, np.int64), np.zeros(0, np.uint32))
    return Batch((Studied(job.sources[0], failed=reason),), nothing)


def embedding(engine: Engine, preparer: Preparer) -> Preparer:
    """The same preparer, with its texts embedded by the engine's workers."""
    if preparer.embedder is None:
        return preparer
    work = Embed(preparer.spec, _places())

    def there(texts: Sequence[str]) -> NDArray[np.float32]:
        blocks = [texts[start : start + _TEXTS] for start in range(0, len(texts), _TEXTS)]
        return np.concatenate(list(engine.map(work, blocks)))

    return replace(preparer, elsewhere=there)


def _places() -> tuple[str, ...]:
    return tuple(map(str, registry.places()))
