"""Does the base model know a fact without being shown it? A closed-book probe after SliCK.

Gekhman et al., "Does Fine-Tuning LLMs on New Knowledge Encourage Hallucinations?" (arXiv 2405.05904): a fact is asked
with several few-shot prompts, greedily and by sampling. Always right when greedy: known; sometimes right in any way:
maybe known; never right: unknown. Fitting unknown facts lowers accuracy on everything else; known ones cost nothing.
Where this departs from the paper: 4 prompts instead of 10 and 4 samples instead of 16 by default, so that a small team
gets an answer on a laptop, which calls some rarely known facts unknown.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from groundtune.ports import Model
from groundtune.text.normalise import contains_answer
from groundtune.tuning.facts import Known
from groundtune.tuning.findings import Level
from groundtune.types import Example, Message

_LONGEST_SHOT = 400  # characters; longer examples would fill a small context
_SHORTEST = 24  # tokens for an answer at least


@dataclass(frozen=True)
class ProbeSettings:
    """``prompts`` few-shot prompts of ``shots`` examples, each asked once greedily and ``samples`` times at
    ``temperature``; at most ``most`` facts are asked (spread evenly over the data).
    """

    prompts: int = 4
    shots: int = 4
    samples: int = 4
    temperature: float = 0.5
    most: int = 24
    seed: int = 0


def probe(
    model: Model,
    knowledge: Sequence[Known],
    examples: Sequence[Example],
    settings: ProbeSettings = ProbeSettings(),  # noqa: B008 - frozen
    progress: Callable[[int, int], None] | None = None,
) -> Mapping[str, Level]:
    """The level of each asked fact by example id. ``examples`` give the shots (never the one that is asked).
    ``progress(done, total)`` is called after each fact. Raises what the model does.
    """
    asked = _spread(knowledge, settings.most)
    levels: dict[str, Level] = {}
    for done, known in enumerate(asked, start=1):
        levels[known.example.id] = _level(model, known, examples, settings)
        if progress is not None:
            progress(done, len(asked))
    return levels


def _level(model: Model, known: Known, examples: Sequence[Example], settings: ProbeSettings) -> Level:
    chance = random.Random(f"{settings.seed}:{known.example.id}")
    others = [e for e in examples if e.id != known.example.id and len(e.input) + len(e.target) <= _LONGEST_SHOT]
    greedy: list[bool] = []
    sampled = False
    room = max(_SHORTEST, 2 * len(known.example.target.split()) + len(known.example.target) // 2)
    for number in range(settings.prompts):
        shots = chance.sample(others, min(settings.shots, len(others)))
        messages = _messages(known.example, shots)
        wrote = model.generate(messages, max_tokens=min(room, 256), seed=settings.seed)
        greedy.append(contains_answer(wrote.text, known.fact))
        for sample in range(settings.samples if not sampled else 0):
            seed = settings.seed + 1 + number * settings.samples + sample
            drawn = model.generate(messages, max_tokens=min(room, 256), temperature=settings.temperature, seed=seed)
            sampled = sampled or contains_answer(drawn.text, known.fact)
            if sampled:
                break
    if all(greedy):
        return "known"
    return "maybe" if sampled or any(greedy) else "unknown"


def _messages(example: Example, shots: Sequence[Example]) -> list[Message]:
    system = [message for message in example.prompt if message.role == "system"][:1]
    turns = [turn for shot in shots for turn in (Message("user", shot.input), Message("assistant", shot.target))]
    return [*system, *turns, Message("user", example.input)]


def _spread(knowledge: Sequence[Known], most: int) -> list[Known]:
    if len(knowledge) <= most:
        return list(knowledge)
    return [knowledge[index * len(knowledge) // most] for index in range(most)]
