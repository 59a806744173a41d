"""Which token comes next: the most probable or a seeded sample, within a JSON Schema when one is given."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from groundtune.errors import MissingExtra, ModelRefused

Tensor = Any  # torch.Tensor; torch is imported inside functions only
_WHITE_SPACE = r"[ \n]{0,8}"  # enough for indented JSON, finite so that a weak model cannot fill its budget with it


class Grammar:
    """JSON Schemas as masks over a tokenizer's vocabulary (llguidance). Made once per model: it takes about a second."""

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

    def matcher(self, schema: Mapping[str, Any]) -> Any:  # noqa: ANN401 - llguidance.LLMatcher
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
        return made


class Chooser:
    """Chooses and collects the tokens of several rows. ``outputs[row]`` are the tokens before the stop token;
    ``finished[row]`` is True when the row ended with one. ``heard`` is told the tokens of the first row after each step.
    """

    def __init__(
        self,
        steps: Sequence[int],
        *,
        stop: frozenset[int],
        temperature: float = 0.0,
        seed: int = 0,
        matchers: Sequence[Any] = (),
        heard: Callable[[list[int]], None] | None = None,
    ) -> None:
        self.steps, self.stop, self.temperature, self.matchers = list(steps), stop, temperature, list(matchers)
        self.outputs: list[list[int]] = [[] for _ in steps]
        self.finished = [False for _ in steps]
        self._heard = heard
        self._filler = min(stop) if stop else 0
        self._generators = [self._generator(seed) for _ in steps] if temperature > 0 else []

    @staticmethod
    def _generator(seed: int) -> Any:  # noqa: ANN401
        import torch

        return torch.Generator().manual_seed(seed % 2**63)

    @property
    def done(self) -> bool:
        return all(self._over(row) for row in range(len(self.steps)))

    def _over(self, row: int) -> bool:
        return self.finished[row] or len(self.outputs[row]) >= self.steps[row]

    def __call__(self, logits: Tensor) -> list[int]:
        """Next token of each row from logits (rows, vocabulary); an empty list when all rows are done."""
        if not self.matchers and self.temperature <= 0:
            chosen = [int(token) for token in logits.argmax(-1).tolist()]
        else:
            chosen = [self._filler if self._over(row) else self._pick(logits[row], row) for row in range(len(logits))]
        for row, token in enumerate(chosen):
            if self._over(row):
                chosen[row] = self._filler
            elif token in self.stop:
                self.finished[row] = True
            else:
                self.outputs[row].append(token)
                self._consume(row, token)
                if self._heard is not None and row == 0:
                    self._heard(self.outputs[0])
        return [] if self.done else chosen

    def _consume(self, row: int, token: int) -> None:
        if self.matchers:
            self.matchers[row].consume_token(token)
            # a complete value ends the answer even if the model would not say so itself
            self.finished[row] = bool(self.matchers[row].is_stopped())

    def _pick(self, logits: Tensor, row: int) -> int:
        import torch

        logits = logits.float().cpu()
        if self.matchers:
            logits = logits.masked_fill(~_allowed(self.matchers[row], len(logits)), float("-inf"))
        if self.temperature <= 0:
            return int(logits.argmax())
        weights = torch.softmax(logits / self.temperature, -1)
        return int(torch.multinomial(weights, 1, generator=self._generators[row]))


def _allowed(matcher: Any, size: int) -> Tensor:  # noqa: ANN401
    """Boolean mask (size,) of the tokens that the grammar allows next."""
    import numpy as np
    import torch

    bits = np.unpackbits(np.frombuffer(matcher.compute_bitmask(), dtype=np.uint8), bitorder="little")[:size]
    mask = np.zeros(size, dtype=bool)
    mask[: len(bits)] = bits
    return torch.from_numpy(mask)
