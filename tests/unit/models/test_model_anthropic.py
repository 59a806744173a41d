"""Anthropic's SDK against a local server: what is sent, caching, usage, refusals, retries, keys, streams that break."""

import json
from typing import Any

import pytest
from local_server import LocalServer, Reply, closed_port_url

from groundtune.errors import ModelError, ModelRefused, ModelUnreachable, SpecError
from groundtune.models import http
from groundtune.registry import load
from groundtune.types import Message, Usage

pytest.importorskip("anthropic")

KEY = "sk-ant-secret-0123456789abcdef"
ASK = [Message("system", "Be brief."), Message("user", "保固期？")]


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    waited: list[float] = []
    monkeypatch.setattr(http.with_retries, "__kwdefaults__", {"sleep": waited.append})
    return waited


def said(text: str = " 兩年 ", reason: str = "end_turn", **usage: int) -> Reply:
    counted = {"input_tokens": 11, "output_tokens": 3, **usage}
    head = {"id": "x", "type": "message", "role": "assistant", "model": "m", "stop_sequence": None}
    thought = {"type": "thinking", "thinking": "let me see", "signature": "s"}
    content = [thought, {"type": "text", "text": text}]
    return Reply({**head, "content": content, "stop_reason": reason, "usage": counted})


def failure(status: int, message: str = "no", headers: dict[str, str] | None = None) -> Reply:
    return Reply({"type": "error", "error": {"type": "t", "message": message}}, status, headers or {})


def stream(*texts: str, reason: str | None = "end_turn", cut: int = 0) -> Reply:
    start = {"id": "x", "type": "message", "role": "assistant", "model": "m", "content": [], "stop_reason": None}
    usage = {"input_tokens": 2, "cache_read_input_tokens": 9, "output_tokens": 1}
    events: list[dict[str, Any]] = [{"type": "message_start", "message": {**start, "usage": usage}}]
    events.append({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}})
    events += [{"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": t}} for t in texts]
    if reason:
        events.append({"type": "message_delta", "delta": {"stop_reason": reason}, "usage": {"output_tokens": 5}})
    data = "".join(f"event: {e['type']}\ndata: {json.dumps(e)}\n\n" for e in events).encode()
    length = {"Content-Length": str(len(data) + cut)}
    return Reply(data, headers={"Content-Type": "text/event-stream", **length})


def open_model(url: str, **options: Any) -> Any:
    return load("model", "anthropic:claude-test", base_url=url, api_key=KEY, **options)


def test_chat() -> None:
    with LocalServer([said(cache_read_input_tokens=20, cache_creation_input_tokens=5)]) as server:
        made = open_model(server.url).generate(ASK, max_tokens=7, temperature=0.5)
    assert (made.text, made.usage, made.finished) == ("兩年", Usage(36, 3, 20), True)
    assert made.model == "anthropic:claude-test" and made.seconds > 0
    sent = server.seen[0]
    assert (sent.method, sent.path) == ("POST", "/v1/messages")
    sent_key = sent.headers.get("x-api-key") or sent.headers["authorization"].removeprefix("Bearer ")
    assert sent_key == KEY and "anthropic-version" in sent.headers
    assert (sent.body["model"], sent.body["max_tokens"], sent.body["temperature"]) == ("claude-test", 7, 0.5)
    assert sent.body["messages"] == [{"role": "user", "content": "保固期？"}]
    assert sent.body["system"] == [{"type": "text", "text": "Be brief."}]
    assert "output_config" not in sent.body


def test_long_beginnings_are_marked_for_the_cache() -> None:
    turns = [
        Message("system", "rules " * 500),
        Message("user", "documents " * 500),
        Message("assistant", "I have read them. " * 200),
        Message("user", "question " * 500),
    ]
    with LocalServer([said()]) as server:
        open_model(server.url).generate(turns)
        open_model(server.url, caching=False).generate(turns)
    marked, plain = server.seen[0].body, server.seen[1].body
    assert marked["system"][0]["cache_control"] == {"type": "ephemeral"}
    assert marked["messages"][1]["content"][0]["cache_control"] == {"type": "ephemeral"}
    assert isinstance(marked["messages"][2]["content"], str), "the last turn is different every time"
    assert "cache_control" not in json.dumps(plain)


def test_schema() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": False}
    with LocalServer([said('{"a": "b"}')]) as server:
        open_model(server.url).generate(ASK, schema=schema)
    assert server.seen[0].body["output_config"] == {"format": {"type": "json_schema", "schema": schema}}


def test_a_schema_that_is_refused_is_said() -> None:
    with LocalServer([failure(400, "output_config.format: this model does not support structured outputs")]) as server:
        with pytest.raises(ModelRefused) as caught:
            open_model(server.url).generate(ASK, schema={"type": "object"})
    assert caught.value.key == "models.schema_refused"


def test_a_refused_temperature_is_left_out_from_then_on() -> None:
    with LocalServer([failure(400, "temperature: not supported by this model"), said()]) as server:
        model = open_model(server.url)
        model.generate(ASK)
        model.generate(ASK)
    assert ["temperature" in seen.body for seen in server.seen] == [True, False, False]


@pytest.mark.parametrize("reason", ["max_tokens", "model_context_window_exceeded"])
def test_cut_off(reason: str) -> None:
    with LocalServer([said(reason=reason)]) as server:
        assert not open_model(server.url).generate(ASK).finished


def test_a_refusal() -> None:
    with LocalServer([said(reason="refusal")]) as server:
        with pytest.raises(ModelRefused) as caught:
            open_model(server.url).generate(ASK)
    assert caught.value.key == "models.refused_content"


def test_overload_and_rate_limits_are_waited_for(waits: list[float]) -> None:
    replies = [failure(529, "Overloaded"), failure(429, "slow down", {"Retry-After": "7"}), said()]
    with LocalServer(replies) as server:
        assert open_model(server.url).generate(ASK).text == "兩年"
    assert len(waits) == 2 and waits[1] >= 7


def test_a_wrong_key_is_a_sentence_without_the_key(waits: list[float]) -> None:
    with LocalServer([failure(401, f"invalid x-api-key {KEY}")]) as server:
        with pytest.raises(ModelUnreachable) as caught:
            open_model(server.url).generate(ASK)
    assert caught.value.key == "models.key_refused" and "ANTHROPIC_API_KEY" in str(caught.value)
    assert KEY not in f"{caught.value} {caught.value.params!r} {caught.value.__cause__}"
    assert waits == []


def test_no_key_no_name_nobody_there(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModelUnreachable) as caught:
        load("model", "anthropic:m")
    assert caught.value.key == "models.key_missing"
    with pytest.raises(SpecError):
        load("model", "anthropic:")
    with pytest.raises(ModelUnreachable) as caught:
        open_model(closed_port_url()).generate(ASK)
    assert caught.value.key == "models.unreachable"


def test_a_slow_server_is_a_sentence() -> None:
    with LocalServer([Reply({}, delay=5)]) as server:
        with pytest.raises(ModelUnreachable) as caught:
            open_model(server.url, timeout=0.2, retries=0).generate(ASK)
    assert caught.value.key == "models.timeout"


def test_stream() -> None:
    told: list[str] = []
    with LocalServer([stream(" ", "兩", "年 ", " and", " more  ")]) as server:
        made = open_model(server.url).stream(ASK, told.append, max_tokens=9)
    assert told == ["兩", "年", "  and", " more"]
    assert (made.text, made.usage, made.finished) == ("兩年  and more", Usage(11, 5, 9), True)
    assert server.seen[0].body["stream"] is True


def test_a_stream_is_tried_again_only_before_its_first_piece(waits: list[float]) -> None:
    told: list[str] = []
    with LocalServer([failure(529), stream("a"), stream("b", cut=50)]) as server:
        model = open_model(server.url)
        assert model.stream(ASK, told.append).text == "a"
        with pytest.raises(ModelUnreachable):
            model.stream(ASK, told.append)
    assert told == ["a", "b"] and len(server.seen) == 3 and len(waits) == 1


def test_a_stream_that_ends_too_early_is_an_error() -> None:
    with LocalServer([stream("half", reason=None)]) as server:
        with pytest.raises(ModelError) as caught:
            open_model(server.url).stream(ASK, lambda _: None)
    assert caught.value.key == "models.bad_answer"
