import json

import numpy as np
import pytest
from local_server import LocalServer, Reply, Seen, closed_port_url

from groundtune.errors import ModelError, ModelRefused, ModelUnreachable, SpecError
from groundtune.models import http, ollama
from groundtune.registry import load
from groundtune.types import Message, Usage

ASK = [Message("system", "Be brief."), Message("user", "保固期？")]
SAID = {
    "model": "m", "message": {"role": "assistant", "content": "兩年\n"}, "done": True, "done_reason": "stop",
    "prompt_eval_count": 26, "eval_count": 4,
}  # fmt: skip


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http.with_retries, "__kwdefaults__", {"sleep": lambda _: None})


def test_chat_by_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with LocalServer([Reply(SAID)]) as server:
        monkeypatch.setenv("OLLAMA_HOST", server.url.removeprefix("http://"))
        model = load("model", "ollama:qwen3:4b")
        made = model.generate(ASK, max_tokens=9, temperature=0.3, seed=2, schema={"type": "object"})
    assert (made.text, made.usage, made.finished, made.model) == ("兩年", Usage(26, 4), True, "ollama:qwen3:4b")
    sent = server.seen[0]
    assert (sent.path, sent.body["model"], sent.body["stream"]) == ("/api/chat", "qwen3:4b", False)
    assert sent.body["options"] == {"temperature": 0.3, "seed": 2, "num_predict": 9, "num_ctx": 4096}
    assert sent.body["format"] == {"type": "object"}
    assert "think" not in sent.body


def test_window_grows_for_a_long_prompt_and_stays() -> None:
    with LocalServer([Reply({**SAID, "done_reason": "length"})]) as server:
        model = load("model", "ollama:m", host=server.url, thinking=False)
        assert not model.generate([Message("user", "保" * 6000)]).finished
        model.generate(ASK)
        load("model", "ollama:m", host=server.url, context=2048).generate(ASK)
    windows = [seen.body["options"]["num_ctx"] for seen in server.seen]
    assert windows == [16384, 16384, 2048]
    assert server.seen[0].body["think"] is False


def test_model_missing_names_the_command() -> None:
    with LocalServer([Reply({"error": "model 'nope' not found"}, 404)]) as server:
        with pytest.raises(ModelUnreachable, match="ollama pull nope"):
            load("model", "ollama:nope", host=server.url).generate(ASK)


def test_not_running_and_errors() -> None:
    url = closed_port_url()
    with pytest.raises(ModelUnreachable, match="ollama serve"):
        load("model", "ollama:m", host=url).generate(ASK)
    with LocalServer([Reply({"error": "out of memory"}, 500)]) as server:
        with pytest.raises(ModelUnreachable, match="HTTP 500 3 times .*out of memory"):
            load("model", "ollama:m", host=server.url).generate(ASK)
        assert len(server.seen) == 3
    with LocalServer([Reply(b"busy", 503), Reply(SAID)]) as server:
        assert load("model", "ollama:m", host=server.url).generate(ASK).text == "兩年"
    with LocalServer([Reply({"error": "invalid format"}, 400)]) as server:
        with pytest.raises(ModelRefused, match="invalid format"):
            load("model", "ollama:m", host=server.url).generate(ASK)
    with LocalServer([Reply(SAID, delay=5)]) as server:
        with pytest.raises(ModelUnreachable, match=r"0\.1 s"):
            load("model", "ollama:m", host=server.url, timeout=0.1, retries=0).generate(ASK)


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"message": "x"}', b"{}", b"\xff\xfe"])
def test_nonsense_is_one_sentence(body: bytes) -> None:
    with LocalServer([Reply(body)]) as server:
        with pytest.raises(ModelError, match="not a model's answer"):
            load("model", "ollama:m", host=server.url).generate(ASK)


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("", "http://127.0.0.1:11434"),
        ("0.0.0.0", "http://127.0.0.1:11434"),
        (":500", "http://127.0.0.1:500"),
        ("box:500", "http://box:500"),
        ("https://box", "https://box:443"),
        ("http://box/api/", "http://box:80/api"),
        ("[::1]:7", "http://[::1]:7"),
    ],
)
def test_addresses(host: str, url: str) -> None:
    assert ollama.address(host) == url


@pytest.mark.parametrize("host", ["box:port", "ftp://box", "http://[broken"])
def test_bad_addresses(host: str) -> None:
    with pytest.raises(SpecError, match="not an address"):
        ollama.address(host)


def test_embedder() -> None:
    def embeddings(seen: Seen) -> Reply:
        return Reply({"embeddings": [[float(len(text)), 1.0] for text in seen.body["input"]]})

    with LocalServer(embeddings) as server:
        embedder = load("embedder", "ollama:bge-m3", host=server.url)
        assert embedder.embed([], kind="query").shape == (0, 2)
        rows = embedder.embed(["x" * i for i in range(130)], kind="document")
    assert rows.shape == (130, embedder.dimension)
    np.testing.assert_allclose(rows[129], np.array([129, 1]) / (129**2 + 1) ** 0.5, atol=1e-6)
    assert [len(json.loads(json.dumps(seen.body["input"]))) for seen in server.seen] == [1, 64, 64, 2]
    with LocalServer([Reply({"embeddings": []})]) as server:
        with pytest.raises(ModelError, match="not a model's answer"):
            load("embedder", "ollama:e", host=server.url).embed(["a"], kind="query")
    with pytest.raises(SpecError, match="ollama:bge-m3"):
        load("embedder", "ollama:")
