"""What cannot be reached or is refused is said in a sentence."""

from __future__ import annotations

import builtins
import subprocess
import sys

import pytest
from local_server import LocalServer, Reply, closed_port_url

from groundtune import registry
from groundtune.errors import MissingExtra, StoreError


def test_no_server_there():
    pytest.importorskip("psycopg")
    pytest.importorskip("qdrant_client")
    port = closed_port_url().rpartition(":")[2]
    for spec in (f"pgvector:postgresql://me:hush@127.0.0.1:{port}/db", f"qdrant:http://127.0.0.1:{port}#x"):
        with pytest.raises(StoreError, match="cannot be reached") as caught:
            registry.load("store", spec)
        assert "hush" not in str(caught.value)


def test_a_wrong_key_is_refused(monkeypatch):
    pytest.importorskip("qdrant_client")
    from qdrant_server import QdrantServer

    with QdrantServer(key="right") as server:
        monkeypatch.setenv("QDRANT_API_KEY", "wrong")
        with pytest.warns(UserWarning, match="insecure"), pytest.raises(StoreError, match="refused.*API key"):
            registry.load("store", f"qdrant:{server.url}#x")
        monkeypatch.setenv("QDRANT_API_KEY", "right")
        with pytest.warns(UserWarning, match="insecure"):
            store = registry.load("store", f"qdrant:{server.url}#x")
        assert store.digests() == {}
        store.close()


def test_a_server_in_trouble():
    pytest.importorskip("qdrant_client")
    with LocalServer([Reply({"status": {"error": "out of disk"}}, 507)]) as server:
        with pytest.raises(StoreError, match="out of disk"):
            registry.load("store", f"qdrant:{server.url}#x")


def test_a_folder_of_qdrant_is_for_one_process(tmp_path):
    pytest.importorskip("qdrant_client")
    store = registry.load("store", f"qdrant:{tmp_path}/q#x")
    code = f"from groundtune import registry; registry.load('store', 'qdrant:{tmp_path}/q#x')"
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True)
    store.close()
    assert "StoreError" in done.stderr and "already accessed" in done.stderr


@pytest.mark.parametrize(
    ("spec", "package"),
    [("pgvector:postgresql://x", "psycopg"), ("lancedb:x", "lancedb"), ("qdrant:x", "qdrant_client")],
)
def test_a_missing_package_names_its_extra(monkeypatch, spec, package):
    real = builtins.__import__

    def refuse(name, *rest, **more):
        if name.partition(".")[0] == package:
            raise ModuleNotFoundError(f"No module named {package!r}", name=package)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(MissingExtra, match=rf"groundtune\[{spec.partition(':')[0]}\]"):
        registry.load("store", spec)
