import pytest


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory):
    """Spec of a tiny random base model."""
    pytest.importorskip("torch")
    from tiny_llama import make_base

    return f"hf:{make_base(tmp_path_factory.mktemp('base'))}"


@pytest.fixture(autouse=True)
def _english(monkeypatch):
    monkeypatch.setenv("GROUNDTUNE_LANG", "en")
