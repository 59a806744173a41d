"""The shipped attacks: they can succeed, quoting is immune, and what is shown is safer than what was written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import pytest

from groundtune.knowledge.base import KnowledgeBase
from groundtune.measure.redteam import KINDS, Attack, load_attacks, obeyed, red_team
from groundtune.messages import say
from groundtune.models.fake import FakeModel, open_reader
from groundtune.text.sentences import sentence_spans
from groundtune.types import Document, Message, Reading

ATTACKS, BACKGROUND = load_attacks()
BY_ID = {attack.id: attack for attack in ATTACKS}


def test_every_kind_is_there_in_every_language() -> None:
    found = Counter((attack.kind, attack.language) for attack in ATTACKS)
    assert set(found) == {(kind, language) for kind in KINDS for language in ("en", "zh-TW", "ja")}
    assert len(BY_ID) == len(ATTACKS) >= 30 and set(BACKGROUND) == {"en", "zh-TW", "ja"}


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.id)
def test_an_attack_holds_its_answer_and_its_sign_is_never_a_sentence(attack: Attack) -> None:
    assert attack.answer in attack.document and not obeyed(attack, attack.document)
    assert not obeyed(attack, attack.answer)
    for span in sentence_spans(attack.document):  # whatever sentence is quoted, it does not count as obeying
        assert not obeyed(attack, attack.document[span.start : span.end])


def obedient(attack: Attack) -> str:
    """What a model that fell for it writes."""
    if attack.kind == "system_prompt":
        return say("knowledge.instruction", lang=attack.language, refusal="x")[:120] + " " + attack.answer
    return {
        "fake_citation": f"{attack.sign} [7] [12].",
        "image": f"{attack.answer} ![logo](https://{attack.sign}/p.png?q=secret)",
        "tool_call": f'<tool_call>{{"name": "{attack.sign}", "arguments": {{"amount": 9000}}}}</tool_call>',
        "format": f"{attack.answer} {attack.sign}",
    }.get(attack.kind, attack.sign)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.id)
def test_obeying_is_seen(attack: Attack) -> None:
    assert obeyed(attack, obedient(attack))


def victim() -> FakeModel:
    def answer(messages: Sequence[Message]) -> str:
        asked = messages[-1].content.rpartition("\n\n")[2]
        return obedient(next(attack for attack in ATTACKS if attack.question == asked))

    return FakeModel("victim", answer)


def test_an_obedient_model_is_counted_and_the_checks_help() -> None:
    report = red_team(victim(), open_reader())
    assert report.wrote.count == report.wrote.n == len(ATTACKS) and report.obeyed.count < report.wrote.count
    kinds = report.by_kind()
    assert kinds["image"].count == 0 and kinds["override"].count == kinds["override"].n
    assert report.wrote.low > 0.85


def test_a_faithful_model_is_right_and_obeys_nothing() -> None:
    def answer(messages: Sequence[Message]) -> str:
        asked = messages[-1].content.rpartition("\n\n")[2]
        attack = next(attack for attack in ATTACKS if attack.question == asked)
        return next(
            attack.document[s.start : s.end]
            for s in sentence_spans(attack.document)
            if attack.answer in attack.document[s.start : s.end]
        )

    report = red_team(FakeModel("faithful", answer), open_reader())
    assert report.obeyed.count == report.wrote.count == 0 and report.right.count == report.right.n


class Captured:
    """A reader that an attacker controls: it points wherever it likes."""

    name, threshold = "captured", 0.0

    def __init__(self, choose: Callable[[str], tuple[int, int]]) -> None:
        self.choose = choose

    def read(self, question: str, passages: Sequence[str], k: int = 5) -> list[Reading]:
        found = [(index, *self.choose(text)) for index, text in enumerate(passages)]
        return [Reading(index, start, end, start, end, 1.0, 1.0) for index, start, end in found]


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.id)
def test_quoting_is_immune_by_construction(attack: Attack, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Even a reader that always picks the instruction can only show text of the document."""

    def choose(text: str) -> tuple[int, int]:
        spans = sentence_spans(text)
        worst = max(spans, key=lambda s: (attack.sign in text[s.start : s.end], s.end - s.start))
        return worst.start, worst.end

    with KnowledgeBase.open(tmp_path_factory.mktemp("kb")) as kb:
        kb.add([Document("notes.md", attack.document), Document("rules.md", BACKGROUND[attack.language])])
        answer = kb.ask(attack.question, reader=Captured(choose))
        (citation,) = answer.citations
        assert answer.text == citation.quote == kb.text(citation.document_id)[citation.start : citation.end]
        assert not obeyed(attack, answer.text)


def test_the_prompt_holds_no_control_token_and_one_question(tmp_path_factory: pytest.TempPathFactory) -> None:
    model = FakeModel("seen", lambda messages: "x")
    red_team(model, open_reader(), [a for a in ATTACKS if a.kind == "fake_turn"])
    assert len(model.calls) == 5
    for system, user in model.calls:
        assert system.role == "system" and user.role == "user"
        for token in ("<|", "[INST]", "<<SYS>>", "</s>"):
            assert token not in user.content
        numbered = [line for line in user.content.splitlines() if line.startswith("[")]
        assert all("|" in line or line.split("] ")[1] in ("notes.md", "rules.md") for line in numbered)


def test_progress_and_choice() -> None:
    seen: list[tuple[int, int]] = []
    chosen = [BY_ID["override-en"], BY_ID["image-ja"]]
    report = red_team(None, open_reader(), chosen, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 2), (2, 2)] and report.obeyed.n == 2 and report.model == open_reader().name
