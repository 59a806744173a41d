"""JSON Schemas as masks over a tokenizer's vocabulary (llguidance), and the shortest way to the end of an answer.

A limit on the tokens of an answer must not cut it in the middle of a string: near the limit the answer is closed instead,
so that what was begun within a schema always ends within it, as long as the schema can be filled within the limit at all.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundtune.errors import MissingExtra, ModelRefused

_WHITE_SPACE = r"[ \n]{0,8}"  # enough for indented JSON, finite so that a weak model cannot fill its budget with it
_CLOSERS = frozenset('"}]')
NEAR = 64  # tokens before the limit from which on the rest of the way is measured


class Grammar:
    """Makes matchers for one tokenizer. Made once per model: it takes about a second."""

    def __init__(self, tokenizer: Any, vocabulary: int, stop: Sequence[int]) -> None:  # noqa: ANN401
        try:
            self._library = importlib.import_module("llguidance")
            wrapper = importlib.import_module("llguidance.hf")
        except ModuleNotFoundError as error:
            raise MissingExtra(
                "core.missing_extra", what="JSON Schema (hf:, builtin:)", package="llguidance", extra="tune"
            ) from error
        whole = tokenizer.full() if hasattr(tokenizer, "full") else tokenizer
        self._tokenizer = wrapper.from_tokenizer(whole, n_vocab=vocabulary, eos_token=list(stop))
        self._whole, self._size, self._stop = whole, vocabulary, frozenset(stop)
        self._ranks: NDArray[np.int64] | None = None

    def matcher(self, schema: Mapping[str, Any]) -> Matcher:
        """A fresh matcher. Raises ``ModelRefused`` for a schema that cannot be enforced."""
        matcher = self._library.LLMatcher
        # a grammar cannot say "exactly one of": alternatives that exclude each other are as strict under "any of"
        overrides = {"whitespace_flexible": True, "whitespace_pattern": _WHITE_SPACE, "coerce_one_of": True}
        try:
            grammar = matcher.grammar_from_json_schema(json.dumps(schema), overrides=overrides)
            made = matcher(self._tokenizer, grammar)
        except ValueError as error:
            raise ModelRefused("models.hf_schema", reason=str(error).splitlines()[0]) from error
        if made.is_error():
            raise ModelRefused("models.hf_schema", reason=made.get_error().splitlines()[0])
        return Matcher(made, self)

    def ranks(self) -> NDArray[np.int64]:
        """How soon each token (vocabulary,) brings an answer to its end: the stop tokens, then quotes and brackets that
        close, then long pieces of what the schema spells out; white space last.
        """
        if self._ranks is None:
            ranks = np.zeros(self._size, dtype=np.int64)
            texts = self._whole.convert_ids_to_tokens(list(range(min(self._size, len(self._whole)))))
            for token, text in enumerate(texts):
                plain = (text or "").lstrip("Ġ▁Ċ \n")
                ranks[token] = len(plain) + (1000 if plain and plain == text and _CLOSERS.issuperset(plain) else 0)
            ranks[sorted(self._stop)] = 10_000
            self._ranks = ranks
        return self._ranks


class Matcher:
    """What a schema allows next in one answer."""

    def __init__(self, made: Any, grammar: Grammar) -> None:  # noqa: ANN401 - llguidance.LLMatcher
        self._made, self._grammar = made, grammar

    @property
    def stopped(self) -> bool:
        """The value is complete and nothing can follow."""
        return bool(self._made.is_stopped())

    def allowed(self, size: int) -> NDArray[np.bool_]:
        """Mask (size,) of the tokens that may come next."""
        return _allowed(self._made, size)

    def consume(self, token: int) -> None:
        """The answer goes on with ``token``."""
        self._made.consume_token(token)

    def closing(self) -> int:
        """The token that leads to the end soonest."""
        return _closing(self._made, self._grammar.ranks())

    def ends_within(self, token: int, steps: int) -> bool:
        """Whether after ``token`` the answer can be complete with at most ``steps`` further tokens."""
        made = self._made.deep_copy()
        made.consume_token(token)
        ranks = self._grammar.ranks()
        while not made.is_stopped() and not made.is_accepting():
            if steps <= 0 or made.is_error():
                return False
            made.consume_token(_closing(made, ranks))
            steps -= 1
        return True


def _allowed(made: Any, size: int) -> NDArray[np.bool_]:  # noqa: ANN401
    bits = np.unpackbits(np.frombuffer(made.compute_bitmask(), dtype=np.uint8), bitorder="little")[:size]
    mask = np.zeros(size, dtype=bool)
    mask[: len(bits)] = bits
    return mask


def _closing(made: Any, ranks: NDArray[np.int64]) -> int:  # noqa: ANN401
    return int(np.where(_allowed(made, len(ranks)), ranks, -1).argmax())
