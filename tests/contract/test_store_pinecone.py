"""The store contract over Pinecone: the real SDK against a server on this computer that checks what it is sent."""

import pytest

pytest.importorskip("pinecone")

from vendor_servers.pinecone_server import KEY, PineconeServer

from groundtune import registry, testing
from groundtune.testing import STORE_CHECKS

_TIMELY = (
    testing.an_update_replaces_everything,
    testing.deleting_says_how_many_were_there,
    testing.new_labels_hold_at_once,
    testing.a_change_is_seen_by_others_at_once,
    testing.many_changes_end_where_they_should,
)


@pytest.fixture
def opened(monkeypatch):
    def start(server):
        monkeypatch.setenv("PINECONE_API_KEY", KEY)
        monkeypatch.setenv("PINECONE_CONTROLLER_HOST", server.url)
        return lambda name: registry.load("store", f"pinecone:handbook#{name}")

    return start


@pytest.mark.parametrize("check", STORE_CHECKS, ids=lambda check: check.__name__)
def test_pinecone(check, opened):
    with PineconeServer() as server:
        check(opened(server))


@pytest.mark.parametrize("check", _TIMELY, ids=lambda check: check.__name__)
def test_pinecone_that_shows_writes_late(check, opened):
    with PineconeServer(lag=0.05) as server:
        check(opened(server))
