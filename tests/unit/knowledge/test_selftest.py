"""The retrieval self-test: held-out sentences, the user's questions, the choice, scripts that an embedder cannot read."""

import numpy as np
import pytest

from groundtune.errors import DataError
from groundtune.knowledge.base import KnowledgeBase
from groundtune.knowledge.selftest import MIXES, _choice, _without_one, stored_choice
from groundtune.knowledge.sight import look, unseen
from groundtune.types import Document, Evidence, Fusion, Question

TOPICS = {
    "sea": "ship harbour sailor tide anchor", "sky": "plane pilot runway cloud wing", "food": "bread oven flour baker yeast",
    "law": "judge court verdict appeal clerk", "farm": "cow barn tractor field harvest", "art": "paint canvas museum brush frame",
}  # fmt: skip


class Meaning:
    """Knows the topic of a word and nothing else."""

    name, dimension = "test:meaning", 6

    def embed(self, texts, *, kind):
        rows = np.full((len(texts), 6), 0.01, dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            for place, (topic, words) in enumerate(TOPICS.items()):
                row[place] += sum(text.lower().count(word) for word in [topic, *words.split()])
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


class Blind:
    """The same vector for everything that is not ASCII."""

    name, dimension = "test:blind", 16

    def embed(self, texts, *, kind):
        rows = np.zeros((len(texts), 16), dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in text.encode("ascii", "ignore").decode().split() or ["[UNK]"]:
                row[sum(map(ord, word)) % 16] += 1
        return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)


def documents():
    made = []
    for number in range(36):
        topic = list(TOPICS)[number % 6]
        first, second, third, fourth, fifth = TOPICS[topic].split()
        made.append(
            Document(
                f"{topic}-{number}",
                f"The {first} waits near the {second} at hour {number}. Each {third} is checked before the {fourth} moves. "
                f"Nobody touches the {fifth} during shift {number}.",
            )
        )
    return made


def question(document, text):
    return Question(text, ("x",), Evidence(document.id, document.text[:30]))


@pytest.fixture
def kb(tmp_path):
    with KnowledgeBase.open(tmp_path) as opened:
        opened.add(documents())
        yield opened


def test_without_an_embedder_words_are_measured_on_held_out_sentences(kb):
    choice = kb.self_test()
    assert choice.source == "made" and choice.questions >= 20
    assert (choice.lexical, choice.dense) == (1.0, 0.0) and len(choice.measured) == 1
    assert choice.date[:2] == "20" and kb.retrieval() == choice


def test_questions_of_the_user_are_asked_when_there_are_enough(kb):
    asked = [question(d, d.text[:40]) for d in documents()[:25]]
    choice = kb.self_test(asked)
    assert (choice.source, choice.questions) == ("asked", 25) and choice.chosen.recall > 0.9
    assert kb.self_test(asked[:5]).source == "made"
    assert kb.self_test([Question("no evidence", ("x",))] * 30).source == "made"


def test_the_choice_is_used_and_kept(tmp_path):
    with KnowledgeBase.open(tmp_path, embedder="fake:x") as kb:
        kb.add(documents())
        assert kb.search("harbour", 1)[0].dense is not None or kb.search("harbour", 1)[0].lexical is not None
        choice = kb.self_test()
        assert len(choice.measured) == len(MIXES) and choice.space == "fake:x"
    with KnowledgeBase.open(tmp_path, embedder="fake:x") as kb:
        assert kb.retrieval() == choice
        assert (kb.search("harbour tide", 1)[0].dense is None) == (choice.dense == 0)
        assert stored_choice(kb._store, "another:embedder") is None


def test_a_damaged_choice_is_no_choice(kb):
    kb._store.set_meta("retrieval", '{"space": ""')
    assert kb.retrieval() is None


def test_too_little_to_test_is_said(tmp_path):
    with KnowledgeBase.open(tmp_path) as kb:
        kb.add(documents()[:3])
        with pytest.raises(DataError, match="too little"):
            kb.self_test()


def test_vectors_must_beat_words_by_more_than_chance():
    words = [1.0, 0.0] * 50
    equal = {mix: list(words) for mix in MIXES}
    assert _choice("asked", "x", equal, ()).fusion == Fusion(1.0, 0.0)
    equal[Fusion(1.0, 1.0)] = [1.0, 0.02] * 50
    equal[Fusion(1.0, 0.5)] = [1.0, 0.5] * 50
    assert _choice("asked", "x", equal, ()).fusion == Fusion(1.0, 0.5)
    noisy = {mix: list(words) for mix in MIXES}
    noisy[Fusion(0.0, 1.0)] = [1.0 if n % 2 == 0 else 0.0 for n in range(99)] + [0.0]
    assert _choice("asked", "x", noisy, ()).fusion == Fusion(1.0, 0.0)


def test_an_embedder_that_knows_the_meaning_is_chosen(tmp_path, monkeypatch):
    from groundtune import registry

    monkeypatch.setitem(registry._BUILT_IN["embedder"], "test", f"{__name__}:make")
    with KnowledgeBase.open(tmp_path, embedder="test:meaning") as kb:
        papers = [
            Document(f"{topic}-{word}", f"About the {word} there is one page numbered {place}. It says little else today.", {"title": word})
            for topic, words in TOPICS.items() for place, word in enumerate(words.split()[:4])
        ]  # fmt: skip
        kb.add(papers)
        asked = [Question(f"{document.id.split('-')[0]} ?", ("x",), Evidence(document.id, "")) for document in papers]
        choice = kb.self_test(asked)
        assert choice.dense > 0 and kb.search("sea ?", 1)[0].dense is not None


def make(name):
    return Meaning()


def test_the_held_out_sentence_is_not_in_what_is_left():
    import random

    text = "Alpha beta gamma delta. Epsilon zeta eta theta. Iota kappa lambda mu."
    left, sentence = _without_one(text, random.Random(0))
    assert sentence in text and sentence not in left and len(left) == len(text) - len(sentence)
    assert _without_one("Short. Text.", random.Random(0))[1] is None


CHINESE = [
    "罰鍰上限為三千元整",
    "年假共有二十七天可請",
    "停車位須事先登記申請",
    "圖書館週一休館整天",
    "會議室可供外借使用",
]


def test_an_embedder_that_cannot_read_the_script_is_found():
    assert unseen(Blind(), CHINESE) == 1.0
    (sight,) = look(Blind(), [*CHINESE, "plain English text one", "another two words", "third text", "and four more"])
    assert (sight.language, sight.share) == ("zh-TW", 1.0)


def test_an_embedder_that_reads_it_is_not_accused():
    from groundtune.models.fake import FakeEmbedder

    assert unseen(FakeEmbedder("x"), CHINESE) == 0.0
    assert look(FakeEmbedder("x"), CHINESE) == ()
    assert look(Blind(), CHINESE[:2]) == (), "two texts say nothing"
