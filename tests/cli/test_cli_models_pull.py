"""``models --pull``: a model for Ollama, with progress on stderr and data on stdout."""

import json

import pytest
from command_line import Cli
from local_server import LocalServer, Reply

from groundtune.cli import pace


def test_pull(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    events = [
        {"status": "pulling manifest"},
        {"status": "pulling a", "digest": "sha256:a", "total": 4_000_000, "completed": 1_000_000},
        {"status": "pulling a", "digest": "sha256:a", "total": 4_000_000, "completed": 4_000_000},
        {"status": "success"},
    ]
    monkeypatch.setattr(pace.Pace.__init__, "__defaults__", (0.0,))
    with LocalServer([Reply("".join(json.dumps(event) + "\n" for event in events).encode())]) as server:
        monkeypatch.setenv("OLLAMA_HOST", server.url)
        made = Cli(tmp_path).run("models", "--pull", "ollama:qwen3:4b")
        assert made.exit_code == 0 and "ollama:qwen3:4b" in made.stdout
        assert "1/4" in made.stderr and "4/4" in made.stderr
        assert server.seen[0].body["model"] == "qwen3:4b"
        assert Cli(tmp_path).json("models", "--pull", "ollama:qwen3:4b") == {"pulled": "ollama:qwen3:4b"}


def test_what_cannot_be_pulled_is_a_sentence(tmp_path) -> None:
    assert "ollama:NAME" in Cli(tmp_path).fails("models", "--pull", "hf:owner/name", code=2)
