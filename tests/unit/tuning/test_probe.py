import random

from groundtune.tuning.facts import Known
from groundtune.tuning.probe import ProbeSettings, probe
from groundtune.types import Example, Generation, Message, Usage


def example(name, question, answer):
    return Example((Message("system", "s"), Message("user", question), Message("assistant", answer)), id=name)


ROWS = [example(f"e{i}", f"question {i}", f"answer {i}") for i in range(8)]
KNOWN = [Known(row, row.target, "d.md", "quote") for row in ROWS]


class Memory:
    """Answers from ``share``: the chance, by the question's last word, that a drawn answer is right; greedy answers are
    right from a share of 1, and for shares of 0.5 under every second prompt.
    """

    name = "memory"

    def __init__(self, share):
        self.share, self.calls, self.prompts = share, [], {}

    def generate(self, messages, *, max_tokens=256, temperature=0.0, seed=0, schema=None):
        self.calls.append((tuple(messages), temperature, seed))
        number = messages[-1].content.split()[-1]
        share = self.share.get(number, 0.0)
        if temperature:
            right = random.Random(f"{number}{seed}").random() < share
        else:
            turn = self.prompts[number] = self.prompts.get(number, 0) + 1
            right = share == 1.0 or (share == 0.5 and turn % 2 == 0)
        return Generation(f"It is answer {number}." if right else "nothing", Usage(), 0.0)


def test_levels_after_slick():
    model = Memory({"0": 1.0, "1": 0.5, "2": 0.4})
    levels = probe(model, KNOWN[:4], ROWS, ProbeSettings(prompts=4, samples=8))
    assert levels == {"e0": "known", "e1": "maybe", "e2": "maybe", "e3": "unknown"}


def test_prompts_are_few_shot_without_the_asked_example_and_repeatable():
    first, second = Memory({}), Memory({})
    settings = ProbeSettings(prompts=3, shots=2, samples=2, temperature=0.7)
    assert probe(first, KNOWN[:1], ROWS, settings) == probe(second, KNOWN[:1], ROWS, settings)
    assert first.calls == second.calls and len(first.calls) == 3 * (1 + 2)
    for messages, temperature, _ in first.calls:
        assert [m.role for m in messages] == ["system", "user", "assistant", "user", "assistant", "user"]
        assert "answer 0" not in [m.content for m in messages[:-1]]
        assert temperature in (0.0, 0.7)
    assert len({seed for _, temperature, seed in first.calls if temperature}) == 6
    assert len({messages for messages, _, _ in first.calls}) == 3


def test_a_sample_of_many_facts_is_asked_and_told():
    told = []
    levels = probe(Memory({}), KNOWN, ROWS, ProbeSettings(prompts=1, samples=0, most=3), lambda *at: told.append(at))
    assert list(levels) == ["e0", "e2", "e5"] and told == [(1, 3), (2, 3), (3, 3)]
    assert probe(Memory({}), [], ROWS) == {}
