"""What every outer store keeps beside a chunk so that filters and access rights become one kind of question: does this
list of short strings hold one of those?

Engines differ in what they can compare (types, missing values, nested keys). A list of strings and "holds any of" is what
all of them have, so that a filter means the same in each of them as in the embedded store.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from groundtune.errors import StoreError
from groundtune.ports import READER, Filter
from groundtune.types import digest

# Metadata key that only the knowledge base adds: a JSON list of lists of labels, one for each folder rule that covers
# the document. A reader needs one label of each.
RULES = "@rules"
ACCESS_FIELDS = 4
EVERYBODY, NOBODY = "*", "!"
_ACCESS = ("access", "access_now")
_LOWER = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")

Labels = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Needs:
    """A filter, taken apart. A chunk passes when its document is one of ``documents`` (None: any), its facets hold one
    of each group of ``every`` and none of ``absent``, and each of its access fields holds one of ``reader`` (None: not
    asked). ``never``: nothing passes.
    """

    documents: tuple[str, ...] | None = None
    every: tuple[tuple[str, ...], ...] = ()
    absent: tuple[str, ...] = ()
    reader: Labels | None = None
    never: bool = False

    @property
    def asked(self) -> bool:
        """False when everything passes."""
        return bool(self.documents is not None or self.every or self.absent or self.reader is not None or self.never)

    def passes(self, document_id: str, held: Iterable[str], access: Iterable[Labels]) -> bool:
        """The meaning of it all, for stores that look at each chunk themselves, and for tests."""
        facets = set(held)
        return not (
            self.never
            or (self.documents is not None and document_id not in self.documents)
            or any(facets.isdisjoint(group) for group in self.every)
            or not facets.isdisjoint(self.absent)
            or (self.reader is not None and any(set(self.reader).isdisjoint(field) for field in access))
        )


def needs(filter: Filter | None) -> Needs:
    """Take a filter apart (its meaning: ``ports.Store.search``). None matches a missing key and null; a tuple any of its
    values; ``READER`` what a reader with its labels may see; ``document_id`` the id.
    """
    documents: set[str] | None = None
    every: list[tuple[str, ...]] = []
    absent: list[str] = []
    reader: Labels | None = None
    for key, value in (filter or {}).items():
        if key == READER:
            reader = seen_by(value)
        elif key == "document_id":
            documents = {one for one in (value if isinstance(value, tuple) else (value,)) if isinstance(one, str)}
        elif value is None:
            absent.append(facet(key))
        else:
            values = value if isinstance(value, tuple) else (value,)
            every.append(tuple(sorted({facet(key, one) for one in values if one is not None})))
    never = documents == set() or any(not group for group in every)
    kept = None if documents is None else tuple(sorted(documents))
    return Needs(kept, tuple(every), tuple(absent), reader, never)


def facets(metadata: Mapping[str, Any]) -> list[str]:
    """One string for each metadata key that has a value, and one for each key with its value; sorted."""
    made: set[str] = set()
    for key, value in metadata.items():
        if value is not None and key != RULES:
            made.update((facet(key), facet(key, value)))
    return sorted(made)


def facet(key: str, *value: Any) -> str:  # noqa: ANN401 - any JSON scalar
    """20 hexadecimal digits that stand for a key, or a key with a value. A whole number is the same as 1.0 and True, as
    in SQLite; a digest, because values may be long or hold anything.
    """
    return digest(json.dumps([key, *map(_plain, value)], ensure_ascii=False))[:20]


def _plain(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, str | int | float) else json.dumps(value, ensure_ascii=False, sort_keys=True)


def access_fields(metadata: Mapping[str, Any]) -> tuple[Labels, ...]:
    """``ACCESS_FIELDS`` lists of labels; a reader must have one of each. ``EVERYBODY`` stands in a list that asks for
    nothing, ``NOBODY`` in one that nobody can meet; a label ``hr`` is written ``=hr``.

    Raises ``StoreError`` when more different conditions hold than there are fields.
    """
    asked = _clauses(metadata)
    if len(asked) > ACCESS_FIELDS:
        raise StoreError("store.too_many_rules", count=len(asked), limit=ACCESS_FIELDS)
    fields = [tuple(f"={label}" for label in sorted(clause)) or (NOBODY,) for clause in asked]
    return (*fields, *((EVERYBODY,),) * (ACCESS_FIELDS - len(fields)))


def seen_by(labels: object) -> Labels:
    """What a reader with these labels brings to each access field. Anything that is not a list of texts: no labels."""
    given = labels if isinstance(labels, tuple | list | frozenset | set) else ()
    return (EVERYBODY, *sorted({f"={label}" for label in map(str, given) if label}))


def _clauses(metadata: Mapping[str, Any]) -> list[frozenset[str]]:
    """Each is a set of labels of which one is needed. What a smaller set asks for, a larger one need not ask again."""
    found = [_labels(metadata[key]) for key in _ACCESS if metadata.get(key) is not None]
    found += [frozenset(map(str, rule)) for rule in json.loads(str(metadata.get(RULES) or "[]"))]
    kept = {clause for clause in found if not any(other < clause for other in found)}
    return sorted(kept, key=sorted)


def _labels(value: object) -> frozenset[str]:
    text = str(int(value)) if isinstance(value, bool) else str(value)
    return frozenset(text.translate(_LOWER).replace(" ", "").split(",")) - {""}
