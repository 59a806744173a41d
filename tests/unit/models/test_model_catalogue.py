import json
from pathlib import Path

import pytest
from local_server import LocalServer, Reply, closed_port_url

from groundtune import messages
from groundtune.models import builtin, catalogue


@pytest.fixture(autouse=True)
def nothing_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("OLLAMA_HOST", closed_port_url())
    monkeypatch.setattr(catalogue, "FOLDER", tmp_path / "builtin")
    assert builtin.NAMES == ("base",)
    return tmp_path


def by_spec() -> dict[str, catalogue.ModelInfo]:
    return {info.spec: info for info in catalogue.list_models()}


def test_an_empty_computer() -> None:
    found = by_spec()
    hosted = ["openai:", "gemini:", "anthropic:"]
    assert list(found) == ["builtin:base", "builtin:reader", "builtin:embed", "ollama:", *hosted]
    assert not any(info.available for info in found.values())
    assert all(info.reason and info.good_for for info in found.values())
    assert found["builtin:reader"].kind == "reader"


def test_reasons_are_in_the_language_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    english = by_spec()["ollama:"].reason
    monkeypatch.setenv("GROUNDTUNE_LANG", "ja")
    assert messages.language() == "ja"
    assert by_spec()["ollama:"].reason != english


def test_a_full_one(nothing_here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = nothing_here / "builtin" / "base"
    base.mkdir(parents=True)
    (base / "model.safetensors").write_bytes(b"x" * 1000)
    (base / "card.json").write_text('{"languages": ["en"], "licence": "MIT"}')
    hub(nothing_here / "hub", "Qwen--Qwen3-0.6B", ["Qwen3ForCausalLM"])
    hub(nothing_here / "hub", "intfloat--multilingual-e5-small", ["BertModel"])
    hub(nothing_here / "hub", "someone--vision", ["ViTForImageClassification"])
    (nothing_here / "hub" / "models--broken").mkdir()
    tags = {"models": [{"name": "qwen3:4b", "size": 2600000000}, {"name": "nomic-embed-text:latest"}, "nonsense"]}
    secret = "sk-never-shown-123456"
    monkeypatch.setenv("OPENAI_API_KEY", secret)
    with LocalServer([Reply(tags)]) as server:
        monkeypatch.setenv("OLLAMA_HOST", server.url)
        found = by_spec()
    assert found["builtin:base"].available
    assert found["builtin:base"].size_bytes == 1000 + len((base / "card.json").read_bytes())
    assert found["builtin:base"].languages == ("en",)
    assert (found["ollama:qwen3:4b"].size_bytes, found["ollama:qwen3:4b"].kind) == (2600000000, "model")
    assert found["ollama:nomic-embed-text:latest"].kind == "embedder"
    qwen = found["hf:Qwen/Qwen3-0.6B"]
    assert (qwen.kind, qwen.languages, qwen.licence) == ("model", ("en", "zh"), "apache-2.0")
    assert qwen.size_bytes is not None
    assert found["hf:intfloat/multilingual-e5-small"].kind == "embedder"
    assert "hf:someone/vision" not in found
    assert secret not in repr(found)
    assert found["openai:"].available == (catalogue._installed("openai"))


def hub(folder: Path, name: str, architectures: list[str]) -> None:
    root = folder / f"models--{name}"
    snapshot = root / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (root / "refs").mkdir()
    (root / "refs" / "main").write_text("abc")
    (snapshot / "config.json").write_text(json.dumps({"architectures": architectures}))
    (snapshot / "README.md").write_text("---\nlanguage:\n- en\n- zh\nlicense: apache-2.0\ntags: [a, b]\n---\n# Card\n")


def test_ollama_that_answers_nonsense(monkeypatch: pytest.MonkeyPatch) -> None:
    with LocalServer([Reply(b"<html>")]) as server:
        monkeypatch.setenv("OLLAMA_HOST", server.url)
        assert not by_spec()["ollama:"].available
    monkeypatch.setenv("OLLAMA_HOST", "box:port")
    assert not by_spec()["ollama:"].available


def test_cache_folder_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HUB_CACHE")
    monkeypatch.delenv("HF_HOME", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    assert catalogue.hub_cache() == Path("/x/huggingface/hub")
    monkeypatch.setenv("HF_HOME", "/h")
    assert catalogue.hub_cache() == Path("/h/hub")


def test_without_torch_the_base_model_says_what_to_install_and_the_reader_is_ready(monkeypatch):
    monkeypatch.setattr(catalogue, "FOLDER", builtin.FOLDER)
    monkeypatch.setattr(catalogue, "_no_torch", lambda: True)
    found = {info.spec: info for info in catalogue._builtins()}
    assert not found["builtin:base"].available and "groundtune[tune]" in found["builtin:base"].reason
    assert found["builtin:reader"].available and not found["builtin:reader"].reason
