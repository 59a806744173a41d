import json
from typing import Any

import numpy as np
import pytest
from local_server import LocalServer, Reply, Seen, closed_port_url

from groundtune.errors import ModelError, ModelRefused, ModelUnreachable, SpecError
from groundtune.models import http
from groundtune.models import openai as room
from groundtune.registry import load
from groundtune.types import Message, Usage

pytest.importorskip("openai")

KEY = "sk-secret-0123456789abcdef"
ASK = [Message("system", "Be brief."), Message("user", "保固期？")]


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Back-off without waiting; returns what would have been waited."""
    waited: list[float] = []
    monkeypatch.setattr(http.with_retries, "__kwdefaults__", {"sleep": waited.append})
    return waited


def completion(text: str = " 兩年 ", finish: str = "stop", **usage: Any) -> Reply:
    counted = {"prompt_tokens": 11, "completion_tokens": 3, "total_tokens": 14, **usage}
    choice = {"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": text}}
    return Reply(
        {"id": "x", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": counted}
    )


def failure(status: int, message: str = "no", headers: dict[str, str] | None = None) -> Reply:
    return Reply({"error": {"message": message, "type": "t", "code": None}}, status, headers or {})


def test_chat(waits: list[float]) -> None:
    with LocalServer([completion(prompt_tokens_details={"cached_tokens": 8})]) as server:
        model = load("model", f"openai:m@{server.url}/v1", api_key=KEY)
        made = model.generate(ASK, max_tokens=7, temperature=0.5, seed=3)
    assert (made.text, made.usage, made.finished) == ("兩年", Usage(11, 3, 8), True)
    assert made.model == model.name == f"openai:m@{server.url}/v1"
    assert made.seconds > 0
    sent = server.seen[0]
    assert (sent.method, sent.path) == ("POST", "/v1/chat/completions")
    assert sent.headers["authorization"] == f"Bearer {KEY}"
    assert sent.body["messages"] == [m.as_dict() for m in ASK]
    assert (sent.body["max_completion_tokens"], sent.body["temperature"], sent.body["seed"]) == (7, 0.5, 3)
    assert "response_format" not in sent.body
    assert waits == []


def test_cut_off_and_no_usage() -> None:
    reply = completion(finish="length")
    del reply.body["usage"]
    with LocalServer([reply]) as server:
        made = load("model", f"openai:m@{server.url}/v1").generate(ASK)
    assert (made.finished, made.usage) == (False, Usage())


@pytest.mark.parametrize(("closed", "strict"), [(True, True), (False, False)])
def test_schema(closed: bool, strict: bool) -> None:
    schema: dict[str, Any] = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
    if closed:
        schema["additionalProperties"] = False
    with LocalServer([completion('{"a": "b"}')]) as server:
        load("model", f"openai:m@{server.url}/v1").generate(ASK, schema=schema)
    sent = server.seen[0].body["response_format"]
    assert sent["type"] == "json_schema"
    assert (sent["json_schema"]["schema"], sent["json_schema"]["strict"]) == (schema, strict)


def test_strict_needs_every_nested_property_required() -> None:
    inner = {"type": "object", "properties": {"x": {}}, "additionalProperties": False}
    outer = {"type": "object", "properties": {"i": inner}, "required": ["i"], "additionalProperties": False}
    assert room.response_format(outer)["json_schema"]["strict"] is False
    inner["required"] = ["x"]
    assert room.response_format(outer)["json_schema"]["strict"] is True


def test_429_then_success_honours_retry_after(waits: list[float]) -> None:
    with LocalServer([failure(429, headers={"Retry-After": "7"}), failure(503), completion()]) as server:
        assert load("model", f"openai:m@{server.url}/v1").generate(ASK).text == "兩年"
    assert len(server.seen) == 3
    assert waits[0] == 7
    assert 0.75 <= waits[1] <= 1.25


def test_500_until_the_tries_are_used_up(waits: list[float]) -> None:
    with LocalServer([failure(500, "engine on fire")]) as server:
        model = load("model", f"openai:m@{server.url}/v1", retries=2)
        with pytest.raises(ModelUnreachable, match="HTTP 500 3 times .*engine on fire"):
            model.generate(ASK)
    assert len(server.seen) == 3
    assert len(waits) == 2


def test_too_long_a_retry_after_gives_up(waits: list[float]) -> None:
    with LocalServer([failure(429, headers={"Retry-After": "3600"})]) as server:
        with pytest.raises(ModelUnreachable, match="429"):
            load("model", f"openai:m@{server.url}/v1").generate(ASK)
    assert waits == []


def test_no_credit_is_not_tried_again() -> None:
    with LocalServer([failure(429, "You exceeded your current quota, please check your plan")]) as server:
        with pytest.raises(ModelRefused, match="no credit"):
            load("model", f"openai:m@{server.url}/v1").generate(ASK)
    assert len(server.seen) == 1


def test_timeout() -> None:
    slow = completion()
    with LocalServer([Reply(slow.body, delay=5)]) as server:
        model = load("model", f"openai:m@{server.url}/v1", timeout=0.1, retries=1)
        with pytest.raises(ModelUnreachable, match=r"0\.1 s \(2 tries\)"):
            model.generate(ASK)
    assert len(server.seen) == 2


def test_nothing_listens(waits: list[float]) -> None:
    url = closed_port_url()
    with pytest.raises(ModelUnreachable, match=f"cannot be reached at {url}"):
        load("model", f"openai:m@{url}/v1").generate(ASK)
    assert waits == []


@pytest.mark.parametrize(
    "reply",
    [
        Reply(b"{nonsense"),
        Reply(b"<html>proxy</html>", headers={"Content-Type": "text/html"}),
        Reply({"choices": []}),
        Reply({"choices": None}),
        Reply([1]),
        Reply({"choices": [{"finish_reason": "stop"}]}),
    ],
)
def test_nonsense_is_one_sentence(reply: Reply) -> None:
    with LocalServer([reply]) as server:
        with pytest.raises(ModelError, match="not a model's answer"):
            load("model", f"openai:m@{server.url}/v1").generate(ASK)


def test_what_a_server_refuses_is_left_out_from_then_on() -> None:
    def strict(seen: Seen) -> Reply:
        for name in ("max_completion_tokens", "temperature", "seed"):
            if name in seen.body:
                return failure(400, f"Unsupported parameter: '{name}' is not supported with this model.")
        return completion()

    with LocalServer(strict) as server:
        model = load("model", f"openai:m@{server.url}/v1")
        assert model.generate(ASK, max_tokens=9).text == "兩年"
        assert len(server.seen) == 4
        model.generate(ASK, max_tokens=9)
    assert len(server.seen) == 5
    assert server.seen[-1].body["max_tokens"] == 9


def test_refusals() -> None:
    with LocalServer([failure(400, "context_length_exceeded: 9000 tokens")]) as server:
        with pytest.raises(ModelRefused, match="context_length_exceeded"):
            load("model", f"openai:m@{server.url}/v1").generate(ASK)
    with LocalServer([failure(400, "response_format json_schema is not supported")]) as server:
        with pytest.raises(ModelRefused, match="cannot enforce a JSON Schema"):
            load("model", f"openai:m@{server.url}/v1").generate(ASK, schema={"type": "object"})
    with LocalServer([completion(finish="content_filter")]) as server:
        with pytest.raises(ModelRefused, match="declined"):
            load("model", f"openai:m@{server.url}/v1").generate(ASK)
    with LocalServer([failure(404, "The model `m` does not exist")]) as server:
        with pytest.raises(ModelUnreachable, match="does not know m"):
            load("model", f"openai:m@{server.url}/v1").generate(ASK)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500])
def test_the_key_is_never_shown(status: int) -> None:
    echo = failure(status, f"Incorrect API key provided: {KEY} (also sk-oth***tail, Bearer {KEY})")
    with LocalServer([echo]) as server:
        model = load("model", f"openai:m@http://user:{KEY}@{server.url[7:]}/v1", api_key=KEY, retries=0)
        with pytest.raises(ModelError) as caught:
            model.generate(ASK)
    chain: list[BaseException] = [caught.value]
    while chain[-1].__cause__ is not None:
        chain.append(chain[-1].__cause__)
    shown = [repr(model), repr(model.endpoint), model.name, *(f"{e} {e!r} {getattr(e, 'params', '')}" for e in chain)]
    assert not any(KEY in text or "sk-oth" in text for text in shown)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModelUnreachable, match="OPENAI_API_KEY"):
        load("model", "openai:gpt-5-mini")
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    assert load("model", "openai:gpt-5-mini").endpoint.client.api_key == KEY
    with pytest.raises(ModelUnreachable, match="GROUNDTUNE_API_KEY"):
        load("model", "openai:m@https://elsewhere.example/v1")
    assert load("model", "openai:m@http://localhost:1/v1").endpoint.client.api_key == "none"
    monkeypatch.setenv("GROUNDTUNE_API_KEY", "another-key")
    assert load("model", "openai:m@https://elsewhere.example/v1").endpoint.client.api_key == "another-key"
    monkeypatch.delenv("GROUNDTUNE_API_KEY")
    monkeypatch.setenv("OPENAI_BASE_URL", "https://elsewhere.example/v1")
    assert load("model", "openai:m").endpoint.client.api_key == KEY


@pytest.mark.parametrize("spec", ["openai:", "openai:@http://x/v1", "openai:m@http://", "openai:m@http://x:port/v1"])
def test_bad_specs(spec: str) -> None:
    with pytest.raises(SpecError):
        load("model", spec, api_key=KEY)


def test_embedder() -> None:
    def embeddings(seen: Seen) -> Reply:
        rows = [
            {"object": "embedding", "index": i, "embedding": [float(len(t)), 1.0]}
            for i, t in enumerate(seen.body["input"])
        ]
        usage = {"prompt_tokens": 1, "total_tokens": 1}
        return Reply({"object": "list", "model": "e", "data": rows[::-1], "usage": usage})

    texts = ["x" * (i % 7) for i in range(300)]
    with LocalServer(embeddings) as server:
        embedder = load("embedder", f"openai:e@{server.url}/v1", dimension=2)
        rows = embedder.embed(texts, kind="document")
        assert embedder.embed([], kind="query").shape == (0, 2)
        assert load("embedder", f"openai:e@{server.url}/v1").dimension == 2
    assert rows.shape == (300, 2)
    assert rows.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(rows[6], np.array([6, 1]) / 37**0.5, atol=1e-6)
    assert server.seen[0].body["dimensions"] == 2
    assert len(server.seen[0].body["input"]) == 128
    with LocalServer([Reply({"object": "list", "data": [], "usage": {}})]) as server:
        with pytest.raises(ModelError, match="0 vectors for 1 texts"):
            load("embedder", f"openai:e@{server.url}/v1").embed(["a"], kind="query")


def test_sentences_exist_in_all_languages() -> None:
    error = pytest.raises(ModelUnreachable, load, "model", "openai:gpt-5-mini").value
    assert {json.dumps(error.sentence(lang)) for lang in ("en", "zh-TW", "ja")}.__len__() == 3
