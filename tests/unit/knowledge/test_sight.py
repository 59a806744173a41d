"""What will be missed of a text is said: by an embedder, the built-in models and the word index."""

import numpy as np
import pytest

from groundtune.cli.ingest import warnings
from groundtune.knowledge.base import KnowledgeBase
from groundtune.knowledge.sight import Seen, Sight, seen
from groundtune.text.scripts import unsplit_share
from groundtune.types import Document

THAI = "กฎหมายว่าด้วยค่าธรรมเนียมท่าเรือ"
GREEK = "Το πλοίο πληρώνει πέντε ευρώ."


class Blind:
    """Sees ASCII only."""

    name, dimension = "blind:x", 4

    def embed(self, texts, *, kind):
        vectors = np.array([[text.isascii(), hash(text) % 7, hash(text) % 5, 1.0] for text in texts], dtype=np.float32)
        vectors = np.where(np.array([[text.isascii()] for text in texts]), vectors, np.float32(1.0))
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.mark.parametrize(
    ("text", "share"), [("", 0), ("plain", 0), ("手數料は五円", 0), (THAI, 1), (f"{THAI} abc", 0.8)]
)
def test_scripts_without_spaces_between_words(text, share):
    assert unsplit_share(text) == pytest.approx(share, abs=0.13)


def test_what_is_seen_of_texts():
    assert seen(None, []) == Seen()
    assert seen(None, ["The fee is 5.", "手續費五元。"]) == Seen()
    assert seen(None, [GREEK]).unread > 0.9 and seen(None, [GREEK]).unsplit == 0
    found = seen(Blind(), [f"第{n}條 手續費為{n}元，每月繳納。" for n in range(8)])
    assert [sight.language for sight in found.blind] == ["zh-TW"]


def test_a_knowledge_base_looks_at_the_documents_that_were_brought_in(tmp_path):
    with KnowledgeBase.open(tmp_path) as kb:
        kb.add([Document("a", THAI), Document("b", "Plain words.")])
        assert kb.seen(["a"]).unsplit > 0.9 and kb.seen(["b"]) == kb.seen([]) == Seen()


def test_one_warning_for_each_thing_that_is_missed():
    assert warnings(Seen(unread=0.1, unsplit=0.1), "") == []
    assert len(warnings(Seen(unread=0.9), "")) == len(warnings(Seen(unread=0.9, unsplit=0.9), "")) == 1
    blind = Seen((Sight("ja", 0.75),))
    assert "75" in warnings(blind, "openai:x")[0] and warnings(blind, "openai:x", told=True) == []
