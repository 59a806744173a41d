"""Which token comes next: the most probable or a seeded sample, within a JSON Schema when one is given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from groundtune.models.grammar import NEAR, Matcher

Tensor = Any  # torch.Tensor; torch is imported inside functions only


class Chooser:
    """Chooses and collects the tokens of several rows. ``outputs[row]`` are the tokens before the stop token. Within a schema an answer is closed rather than cut at its limit;
    it then does not count as finished. ``heard`` is told the tokens of the first row after each step.
    """

    def __init__(
        self,
        steps: Sequence[int],
        *,
        stop: frozenset[int],
        temperature: float = 0.0,
        seed: int = 0,
        matchers: Sequence[Matcher] = (),
        heard: Callable[[list[int]], None] | None = None,
    ) -> None:
        self.steps, self.stop, self.temperature, self.matchers = list(steps), stop, temperature, list(matchers)
        self.outputs: list[list[int]] = [[] for _ in steps]
        self._ended = [False for _ in steps]
        self._hurried = [False for _ in steps]
        self._heard = heard
        self._filler = min(stop) if stop else 0
        self._generators = [self._generator(seed) for _ in steps] if temperature > 0 else []

    @staticmethod
    def _generator(seed: int) -> Any:  # noqa: ANN401
        import torch

        return torch.Generator().manual_seed(seed % 2**63)

    @property
    def finished(self) -> list[bool]:
        """For each row whether it came to its end by itself."""
        return [ended and not hurried for ended, hurried in zip(self._ended, self._hurried, strict=True)]

    @property
    def done(self) -> bool:
        return all(self._over(row) for row in range(len(self.steps)))

    def _over(self, row: int) -> bool:
        return self._ended[row] or len(self.outputs[row]) >= self.steps[row]

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
                self._ended[row] = True
            else:
                self.outputs[row].append(token)
                self._consume(row, token)
                if self._heard is not None and row == 0:
                    self._heard(self.outputs[0])
        return [] if self.done else chosen

    def _consume(self, row: int, token: int) -> None:
        if self.matchers:
            self.matchers[row].consume(token)
            # a complete value ends the answer even if the model would not say so itself
            self._ended[row] = self.matchers[row].stopped

    def _pick(self, logits: Tensor, row: int) -> int:
        import torch

        logits = logits.float().cpu()
        if not self.matchers:
            return self._drawn(logits, row)
        matcher = self.matchers[row]
        token = self._drawn(logits.masked_fill(~torch.from_numpy(matcher.allowed(len(logits))), float("-inf")), row)
        left = self.steps[row] - len(self.outputs[row]) - 1
        if left >= NEAR or token in self.stop or matcher.ends_within(token, left):
            return token
        nearest = matcher.closing()
        if not matcher.ends_within(nearest, left):
            return token  # the limit is too small for the schema: what the model says is worth more than a rush
        self._hurried[row] = True
        return nearest

    def _drawn(self, logits: Tensor, row: int) -> int:
        import torch

        if self.temperature <= 0:
            return int(logits.argmax())
        weights = torch.softmax(logits / self.temperature, -1)
        return int(torch.multinomial(weights, 1, generator=self._generators[row]))
