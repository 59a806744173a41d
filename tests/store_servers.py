"""Servers for tests of stores: a real PostgreSQL with pgvector (the package ``pgserver`` brings it), Qdrant's protocol."""

from __future__ import annotations

import re
import shutil
import tempfile
import warnings
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """Address of an empty server, started when the first test asks for it."""
    pytest.importorskip("psycopg", reason="needs the pgvector extra")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it looks for a runtime folder that containers do not have
        pgserver = pytest.importorskip("pgserver", reason="needs the dev extra")
        # not below the folder of the tests: the server runs as a user that may not enter it
        folder = tempfile.mkdtemp(prefix="groundtune-pg-")
        server = pgserver.get_server(folder, cleanup_mode="delete")
        # tests do not outlive a power cut
        for setting in ("fsync = off", "synchronous_commit = off", "full_page_writes = off"):
            server.psql(f"ALTER SYSTEM SET {setting};")
        server.psql("SELECT pg_reload_conf();")
    try:
        yield re.sub(r":@/", "@/", server.get_uri())
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def qdrant() -> Iterator[str]:
    """Address of a server that speaks Qdrant's protocol."""
    pytest.importorskip("qdrant_client", reason="needs the qdrant extra")
    from qdrant_server import QdrantServer

    with QdrantServer() as server:
        yield server.url
