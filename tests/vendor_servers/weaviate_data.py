"""What a Weaviate server holds: collections with a schema, tenants with objects; filters, BM25 and nearest vectors."""

from __future__ import annotations

import math
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from weaviate.proto.v1 import base_pb2

K1, B = 1.2, 0.75
_PYTHON = {"text": str, "int": int, "text[]": list}
_OPERATORS = base_pb2.Filters.Operator


class Refused(Exception):
    """What the server says no to."""


@dataclass
class Object:
    id: str
    properties: dict[str, Any]
    vector: NDArray[np.float32] | None
    indexed_at: float  # when the vector index has it


@dataclass
class Shard:
    """One tenant."""

    objects: dict[str, Object] = field(default_factory=dict)
    dimension: int = 0


class Collection:
    def __init__(self, definition: dict[str, Any]) -> None:
        if not definition["class"][:1].isupper():
            raise Refused(f"'{definition['class']}' is not a valid class name")
        self.definition = definition
        self.properties = {one["name"]: one for one in definition.get("properties", [])}
        self.tenants: dict[str, Shard] = {}

    @property
    def name(self) -> str:
        return str(self.definition["class"])

    @property
    def multi(self) -> bool:
        return bool(self.definition.get("multiTenancyConfig", {}).get("enabled"))

    def shard(self, tenant: str) -> Shard:
        if not self.multi:
            raise Refused("tests use collections with multi-tenancy only")
        if not tenant:
            raise Refused(f"class {self.name} has multi-tenancy enabled, but request was without tenant")
        if tenant not in self.tenants:
            raise Refused(f"tenant not found: {tenant!r}")
        return self.tenants[tenant]

    def check(self, name: str, properties: dict[str, Any], vector: NDArray[np.float32] | None, shard: Shard) -> None:
        """One object as the server checks it."""
        uuid.UUID(name)
        for key, value in properties.items():
            if key not in self.properties:
                raise Refused(f"no such prop with name '{key}' found in class '{self.name}'")
            kind = self.properties[key]["dataType"][0]
            if kind == "int" and isinstance(value, float) and value.is_integer():
                continue  # numbers travel as floating point
            if not isinstance(value, _PYTHON[kind]):
                raise Refused(f"invalid {kind} property '{key}' on class '{self.name}'")
        if vector is not None and shard.dimension not in (0, len(vector)):
            raise Refused(
                f"new node has a vector with length {len(vector)}. Existing nodes have vectors with length {shard.dimension}"
            )

    # -- filters -------------------------------------------------------------------------------------------------------

    def passes(self, one: Object, asked: Any) -> bool:  # noqa: ANN401 - base_pb2.Filters
        operator = _OPERATORS.Name(asked.operator).removeprefix("OPERATOR_")
        if operator in ("AND", "OR"):
            parts = [self.passes(one, part) for part in asked.filters]
            return all(parts) if operator == "AND" else any(parts)
        if operator == "NOT":
            return not self.passes(one, asked.filters[0])
        return self._compared(operator, self._held(one, asked.target.property), _value(asked))

    def _held(self, one: Object, name: str) -> Any:  # noqa: ANN401
        if name in ("_id", "id"):
            return one.id
        if name not in self.properties:
            raise Refused(f"no such prop with name '{name}' found in class '{self.name}'")
        described = self.properties[name]
        if not described.get("indexFilterable", True):
            raise Refused(f"Filtering by property '{name}' requires inverted index: set indexFilterable")
        if described["dataType"][0].startswith("text") and described.get("tokenization") != "field":
            raise Refused(f"tests filter by whole values only, and '{name}' is cut into tokens")
        return one.properties.get(name)

    @staticmethod
    def _compared(operator: str, held: Any, value: Any) -> bool:  # noqa: ANN401
        values = held if isinstance(held, list) else [] if held is None else [held]
        if operator == "EQUAL":
            return value in values
        if operator == "NOT_EQUAL":
            return value not in values
        if operator == "CONTAINS_ANY":
            return any(item in values for item in value)
        if operator == "CONTAINS_NONE":
            return not any(item in values for item in value)
        if operator == "GREATER_THAN":
            return any(item > value for item in values)
        raise Refused(f"this server has no operator {operator}")

    # -- searches ------------------------------------------------------------------------------------------------------

    def bm25(self, shard: Shard, query: str, fields: list[str], allowed: list[Object]) -> list[tuple[float, Object]]:
        """BM25 of every field, weighted and added up; words are cut at white space and repeats of the question count."""
        if self.definition.get("invertedIndexConfig", {}).get("stopwords", {}).get("preset") != "none":
            raise Refused("tests want no stop words: they are words of other languages")
        asked = Counter(query.split())
        scores: dict[str, float] = {}
        for entry in fields:
            name, _, boost = entry.partition("^")
            self._check_searchable(name)
            words = {key: Counter(str(one.properties.get(name, "")).split()) for key, one in shard.objects.items()}
            mean = sum(sum(count.values()) for count in words.values()) / max(1, len(words)) or 1.0
            for term, repeats in asked.items():
                holding = sum(term in count for count in words.values())
                idf = math.log(1 + (len(words) - holding + 0.5) / (holding + 0.5)) * repeats
                for one in allowed:
                    count, length = words[one.id][term], sum(words[one.id].values())
                    if count:
                        gain = idf * count * (K1 + 1) / (count + K1 * (1 - B + B * length / mean))
                        scores[one.id] = scores.get(one.id, 0.0) + gain * float(boost or 1)
        found = [(score, shard.objects[name]) for name, score in scores.items()]
        return sorted(found, key=lambda pair: (-pair[0], pair[1].id))

    def _check_searchable(self, name: str) -> None:
        if name not in self.properties:
            raise Refused(f"no such prop with name '{name}' found in class '{self.name}'")
        described = self.properties[name]
        if not described.get("indexSearchable") or described.get("tokenization") != "whitespace":
            raise Refused(f"property '{name}' is not indexed for search at white space")

    def nearest(self, shard: Shard, vector: NDArray[np.float32], allowed: list[Object]) -> list[tuple[float, Object]]:
        """``(distance, object)``, nearest first."""
        if shard.dimension not in (0, len(vector)):
            raise Refused(f"vector lengths don't match: {shard.dimension} vs {len(vector)}")
        now = time.monotonic()
        found = [
            (1.0 - float(one.vector @ vector / (np.linalg.norm(one.vector) * np.linalg.norm(vector))), one)
            for one in allowed
            if one.vector is not None and one.indexed_at <= now
        ]
        return sorted(found, key=lambda pair: (pair[0], pair[1].id))


def _value(asked: Any) -> Any:  # noqa: ANN401 - base_pb2.Filters
    kind = asked.WhichOneof("test_value")
    if kind is None:
        raise Refused("a filter needs a value")
    value = getattr(asked, kind)
    if not kind.endswith("_array"):
        return value
    if not value.values:
        raise Refused("a filter needs at least one value")
    return list(value.values)
