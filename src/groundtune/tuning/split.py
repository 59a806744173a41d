"""Held-out examples that share no source document and no near-duplicate with the training examples."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from groundtune.text.normalise import fold, squeeze
from groundtune.text.tokenise import search_terms
from groundtune.types import Example, messages_digest

SIMILAR = 0.85
_BLOCK = 512
OWN = frozenset({"held_out", "test", "dev", "validation"})  # values of metadata["split"] that are kept for scoring


@dataclass(frozen=True)
class Split:
    """Examples to train on and examples kept for scoring. ``duplicates`` exact repeats were removed first.

    ``grouped_by`` says what never stands on both sides: a source document, or (without documents, or with a single
    one) a group of near-identical inputs; ``own`` where the examples themselves say which are held out.
    """

    train: tuple[Example, ...]
    held_out: tuple[Example, ...]
    duplicates: int
    groups: int
    grouped_by: Literal["document", "similarity", "own"]


def split_examples(examples: Sequence[Example], share: float, seed: int = 0) -> Split:
    """Keep about ``share`` of the examples for scoring, whole groups at a time, the same for the same ``seed``.

    An example's group is its ``metadata["document"]``; examples without one are grouped with their near-duplicates
    (cosine of IDF-weighted terms of the input >= 0.85, so that an instruction which all share does not count) and with
    the other parts of their ``metadata["conversation"]``. Where some examples (not all) have a ``metadata["split"]`` of
    ``held_out``, ``test``, ``dev`` or ``validation``, exactly these are kept, whatever ``share`` and ``seed``.
    """
    unique, duplicates = _without_repeats(examples)
    named = [example.metadata.get("split") in OWN for example in unique]
    if share > 0 and any(named) and not all(named):
        kept = tuple(e for e, own in zip(unique, named, strict=True) if own)
        rest = tuple(e for e, own in zip(unique, named, strict=True) if not own)
        return Split(rest, kept, duplicates, len(unique), "own")
    documents = {str(e.metadata["document"]) for e in unique if e.metadata.get("document")}
    by_document = len(documents) > 1
    loose = [i for i, e in enumerate(unique) if not (by_document and e.metadata.get("document"))]
    chats = [str(unique[i].metadata.get("conversation") or "") for i in loose]
    similar = dict(zip(loose, similar_groups([unique[i].input for i in loose], together=chats), strict=True))
    sourced: dict[str, list[int]] = {}
    others: dict[str, list[int]] = {}
    for index, example in enumerate(unique):
        if index in similar:
            others.setdefault(f"{similar[index]:06d}", []).append(index)
        else:
            sourced.setdefault(str(example.metadata["document"]), []).append(index)
    # Each kind gives its share: examples without a document are often the unanswerable ones.
    held = _choose(sourced, share, seed) | _choose(others, share, seed)
    return Split(
        train=tuple(e for i, e in enumerate(unique) if i not in held),
        held_out=tuple(e for i, e in enumerate(unique) if i in held),
        duplicates=duplicates,
        groups=len(sourced) + len(others),
        grouped_by="document" if by_document else "similarity",
    )


def similar_groups(texts: Sequence[str], threshold: float = SIMILAR, together: Sequence[str] = ()) -> list[int]:
    """A group number per text; texts whose IDF-weighted term cosine reaches ``threshold`` are in one group, and so
    are texts that are equal after folding (single linkage) and those with the same name in ``together`` (when given;
    empty names bind nothing).
    """
    parent = list(range(len(texts)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    first: dict[str, int] = {}
    for i, text in enumerate(texts):
        parent[root(i)] = root(first.setdefault(squeeze(fold(text)), i))
    bound: dict[str, int] = {}
    for i, name in enumerate(together):
        if name:
            parent[root(i)] = root(bound.setdefault(name, i))
    matrix = _weights(texts)
    for start in range(0, len(texts), _BLOCK) if matrix is not None else ():
        near = (matrix[start : start + _BLOCK] @ matrix.T).tocoo()
        alike = (near.data >= threshold) & (near.col < start + near.row)  # an instruction that all share makes all near
        for row, column in zip(near.row[alike].tolist(), near.col[alike].tolist(), strict=True):
            parent[root(start + row)] = root(column)
    return [root(i) for i in range(len(texts))]


def _weights(texts: Sequence[str]) -> Any:  # noqa: ANN401 - scipy.sparse has no types
    from scipy.sparse import csr_matrix

    vocabulary: dict[str, int] = {}
    rows: list[int] = []
    columns: list[int] = []
    for row, text in enumerate(texts):
        for term in sorted(set(search_terms(text))):
            rows.append(row)
            columns.append(vocabulary.setdefault(term, len(vocabulary)))
    if not vocabulary:
        return None
    idf = np.log(len(texts) / np.bincount(columns, minlength=len(vocabulary)))
    values = idf[columns]
    norms = np.sqrt(np.bincount(rows, weights=values**2, minlength=len(texts)))
    norms[norms == 0] = 1.0
    return csr_matrix((values / norms[rows], (rows, columns)), shape=(len(texts), len(vocabulary)))


def _without_repeats(examples: Sequence[Example]) -> tuple[list[Example], int]:
    kept: dict[str, Example] = {}
    for example in examples:
        kept.setdefault(messages_digest(example.messages), example)
    return list(kept.values()), len(examples) - len(kept)


def _choose(groups: dict[str, list[int]], share: float, seed: int) -> set[int]:
    """Indices to hold out: shuffled groups are taken while they bring the count nearer to the target."""
    wanted = share * sum(len(group) for group in groups.values())
    if share <= 0 or len(groups) < 2:
        return set()
    order = sorted(groups)
    random.Random(seed).shuffle(order)
    chosen: list[str] = []
    count = 0
    for key in order:
        if abs(count + len(groups[key]) - wanted) < abs(count - wanted) and len(chosen) < len(groups) - 1:
            chosen.append(key)
            count += len(groups[key])
    if not chosen:
        chosen = [min(order, key=lambda key: len(groups[key]))]
    return {index for key in chosen for index in groups[key]}
