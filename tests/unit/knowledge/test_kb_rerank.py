"""A reranker orders what search found; what may be seen is decided before it."""

import pytest

from groundtune.errors import SpecError
from groundtune.knowledge.base import RERANKED, KnowledgeBase
from groundtune.types import Document


class Backwards:
    """The last hit first; remembers what it was given."""

    def __init__(self):
        self.seen = []

    def rerank(self, query, hits):
        self.seen.append((query, len(hits)))
        return list(reversed(hits))


@pytest.fixture
def kb(tmp_path):
    with KnowledgeBase.open(tmp_path) as base:
        base.add([Document(f"d{i}", f"Parcel rule {i}. " + "parcel " * (50 - i)) for i in range(40)])
        yield base


def test_more_is_found_than_asked_for_and_the_reranker_s_order_is_cut(kb):
    plain = [hit.chunk.document_id for hit in kb.search("parcel", RERANKED)]
    kb._reranker = Backwards()
    found = [hit.chunk.document_id for hit in kb.search("parcel", 5)]
    assert found == plain[::-1][:5]
    assert kb._reranker.seen == [("parcel", RERANKED)]


def test_several_queries_keep_their_own_hits(kb):
    kb._reranker = Backwards()
    both = kb.search_many(["parcel rule 3", "parcel"], 2)
    assert both == [kb.search("parcel rule 3", 2), kb.search("parcel", 2)]


def test_the_setting_opens_one_by_its_spec(tmp_path):
    with KnowledgeBase.open(tmp_path / "a", reranker="fake:") as base:
        base.add([Document("x", "Fees for parcels are 12 euros."), Document("y", "Parcels parcels parcels.")])
        assert base.search("fees for parcels", 1)[0].chunk.document_id == "x"
    with pytest.raises(SpecError):
        KnowledgeBase.open(tmp_path / "b", reranker="nobody:x")
