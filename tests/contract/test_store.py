"""What every store must do, whatever is behind it (``groundtune.testing``), over all stores that can run here."""

import re

import pytest

from groundtune import registry
from groundtune.testing import STORE_CHECKS, check_store, what_was_written_stays

IN_A_FOLDER = [what_was_written_stays, *[c for c in STORE_CHECKS if c.__name__ == "an_update_replaces_everything"]]

STORES = ("sqlite", "mirrored", "fake", "pgvector", "lancedb", "qdrant")


@pytest.fixture(params=STORES)
def opener(request, tmp_path):
    kind = request.param
    unique = re.sub(r"\W", "_", f"{tmp_path.parent.name}_{tmp_path.name}")[-20:]
    if kind == "sqlite":
        return lambda name: registry.load("store", f"sqlite:{tmp_path / name}")
    if kind == "mirrored":
        return lambda name: registry.load("store", f"sqlite:{tmp_path / name}", outer=f"fake:{unique}{name[:16]}")
    if kind == "fake":
        return lambda name: registry.load("store", f"fake:{unique}{name[:16]}")
    if kind == "lancedb":
        pytest.importorskip("lancedb", reason="needs the lancedb extra")
        return lambda name: registry.load("store", f"lancedb:{tmp_path}/lance#{name}")
    address = request.getfixturevalue({"pgvector": "postgres"}.get(kind, kind))
    return lambda name: registry.load("store", f"{kind}:{address}#{unique}_{name[:16]}")


@pytest.mark.parametrize("check", STORE_CHECKS, ids=lambda check: check.__name__)
def test_store(check, opener):
    check(opener)


@pytest.mark.parametrize("check", IN_A_FOLDER, ids=lambda check: check.__name__)
def test_qdrant_in_a_folder(check, tmp_path):
    """What its server mode does not show: files, and several stores on one client."""
    pytest.importorskip("qdrant_client", reason="needs the qdrant extra")
    check(lambda name: registry.load("store", f"qdrant:{tmp_path}/qdrant#{name}"))


WITH_INDEXES = [
    check for check in STORE_CHECKS if re.search("cosine|filter|lose|readers_see|replaces|long", check.__name__)
]


@pytest.mark.parametrize("check", WITH_INDEXES, ids=lambda check: check.__name__)
def test_pgvector_with_its_index(check, postgres, tmp_path, monkeypatch):
    """The path that many vectors take."""
    monkeypatch.setattr("groundtune.store.pgtables.INDEXED_FROM", 2)
    monkeypatch.setattr("groundtune.store.pgvector._EXACT", 3)
    unique = re.sub(r"\W", "_", tmp_path.name)[-20:]
    check(lambda name: registry.load("store", f"pgvector:{postgres}#i{unique}_{name[:16]}"))


@pytest.mark.parametrize("check", WITH_INDEXES, ids=lambda check: check.__name__)
def test_lancedb_with_its_index(check, tmp_path, monkeypatch):
    pytest.importorskip("lancedb", reason="needs the lancedb extra")
    for name, value in (("INDEXED_FROM", 10), ("_TIDY_ROWS", 4)):
        monkeypatch.setattr(f"groundtune.store.lancedb.{name}", value)
    check(lambda name: registry.load("store", f"lancedb:{tmp_path}/lance#{name}"))


def test_check_store_names_what_is_not_kept(tmp_path):
    class Forgetful:
        def __init__(self, store):
            self.store = store
            self.digests, self.search, self.close = store.digests, store.search, store.close

        def upsert(self, document, chunks, vectors):
            self.store.upsert(document, chunks, vectors)

        def delete(self, ids):
            return len(ids)

    with pytest.raises(AssertionError, match="an_empty_store_finds_nothing|deleting_says"):
        check_store(lambda name: Forgetful(registry.load("store", f"sqlite:{tmp_path / name}")))
