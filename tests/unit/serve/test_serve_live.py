"""Streaming of real pieces: unchecked approaches are heard while they write, checked ones only when they are done."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest

pytest.importorskip("starlette", reason="needs the serve extra (starlette not installed)")
pytest.importorskip("httpx", reason="needs the dev extra (httpx not installed)")

from starlette.testclient import TestClient

from groundtune.approaches.live import listening, write
from groundtune.errors import ModelUnreachable
from groundtune.models.fake import FakeModel
from groundtune.serve.app import create_app
from groundtune.serve.service import Service
from groundtune.types import Answer, Message, Question, Usage

TEXT = "特休 27 days, 依規定。"


class Library:
    def search(self, query: str, k: int = 10) -> list[Any]:
        return []

    def text(self, document_id: str, version: str | None = None) -> str | None:
        return None


class Writer:
    """Answers with a model that can tell its text; ``heard`` is set by the test when the first piece has arrived."""

    name = "prompt"

    def __init__(self, live: bool = True, fails: bool = False) -> None:
        self.live, self.fails = live, fails
        self.model = FakeModel("fixed", lambda _: TEXT)

    def answer(self, question: Question) -> Answer:
        messages = [Message("user", question.text)]
        made = write(self.model, messages) if self.live else self.model.generate(messages)
        if self.fails:
            raise ModelUnreachable("interop.model_failed", name="x", reason="broken off")
        return Answer(made.text, usage=Usage(3, 7), model="m")


def stream(answerer: Any) -> tuple[list[str], list[dict[str, Any]], bool]:
    """Pieces of text, all events, and whether the stream ended as it should."""
    client = TestClient(create_app(Service(answerer, Library(), "handbook")), base_url="http://127.0.0.1:8000")
    body = {"model": "handbook", "messages": [{"role": "user", "content": "?"}], "stream": True}
    reply = client.post("/v1/chat/completions", json={**body, "stream_options": {"include_usage": True}})
    assert reply.status_code == 200, reply.text
    lines = [line.removeprefix("data: ") for line in reply.text.split("\n\n") if line]
    events = [json.loads(line) for line in lines if line != "[DONE]"]
    deltas = [event["choices"][0]["delta"] for event in events if event.get("choices")]
    return [delta["content"] for delta in deltas if delta.get("content")], events, lines[-1] == "[DONE]"


@pytest.mark.parametrize("live", [True, False])
def test_both_ways_give_the_same_text(live: bool) -> None:
    pieces, events, ended = stream(Writer(live))
    assert "".join(pieces) == TEXT and ended
    assert events[0]["choices"][0]["delta"]["role"] == "assistant"
    assert events[-1]["usage"]["completion_tokens"] == 7
    assert events[-2]["choices"][0]["finish_reason"] == "stop"
    assert events[-2]["groundtune"]["approach"] == "prompt"


def test_the_first_piece_arrives_before_the_answer_is_complete() -> None:
    arrived = threading.Event()
    seen: list[bool] = []

    class Slow(Writer):
        def answer(self, question: Question) -> Answer:
            made = super().answer(question)
            seen.append(arrived.wait(20))  # nothing sets it unless pieces leave before this returns
            return made

    app = create_app(Service(Slow(), Library(), "handbook"))
    body = json.dumps({"model": "handbook", "messages": [{"role": "user", "content": "?"}], "stream": True}).encode()
    sent: list[str] = []

    async def receive() -> dict[str, Any]:
        if not receive_state:
            receive_state.append(1)
            return {"type": "http.request", "body": body, "more_body": False}
        await anyio.sleep(60)
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        text = message.get("body", b"").decode()
        sent.append(text)
        if "特" in text:
            arrived.set()

    import anyio

    receive_state: list[int] = []
    scope = {
        "type": "http", "http_version": "1.1", "method": "POST", "path": "/v1/chat/completions", "query_string": b"",
        "root_path": "", "scheme": "http", "server": ("127.0.0.1", 8000), "client": ("127.0.0.1", 1),
        "headers": [(b"host", b"127.0.0.1:8000"), (b"content-type", b"application/json")],
    }  # fmt: skip
    anyio.run(app, scope, receive, send)
    assert seen == [True], "the pieces were kept back until the answer was complete"
    assert "[DONE]" in "".join(sent)


def test_an_error_in_the_middle_is_an_event() -> None:
    pieces, events, ended = stream(Writer(fails=True))
    assert "".join(pieces) == TEXT and not ended
    assert "broken off" in events[-1]["error"]["message"]


def test_an_error_before_the_first_piece_is_a_status() -> None:
    client = TestClient(
        create_app(Service(Writer(False, True), Library(), "handbook")), base_url="http://127.0.0.1:8000"
    )
    body = {"model": "handbook", "messages": [{"role": "user", "content": "?"}], "stream": True}
    assert client.post("/v1/chat/completions", json=body).status_code == 502


def test_nobody_listens_outside() -> None:
    told: list[str] = []
    with listening(told.append):
        write(FakeModel("fixed", lambda _: "a b"), [Message("user", "?")])
    write(FakeModel("fixed", lambda _: "c"), [Message("user", "?")])
    assert told == ["a", " b"]
