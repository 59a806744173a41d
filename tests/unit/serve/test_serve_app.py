"""The HTTP service over a fake approach: protocol, errors, token, feedback, documents, page."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("starlette", reason="needs the serve extra (starlette not installed)")
pytest.importorskip("httpx", reason="needs the dev extra (httpx not installed)")

from starlette.testclient import TestClient

from groundtune import messages
from groundtune.errors import ModelUnreachable
from groundtune.serve.app import create_app
from groundtune.serve.service import Service
from groundtune.tuning.data import load_examples
from groundtune.types import Answer, Chunk, Citation, Document, Hit, Question, Usage, digest

DOCUMENT = Document("rules/leave.md", "Staff get 27 days of leave. 病假須附證明。", {"title": "Leave rules"})
QUOTE = "Staff get 27 days of leave."


class Answerer:
    name = "rag"

    def __init__(self) -> None:
        self.asked: list[str] = []

    def answer(self, question: Question) -> Answer:
        self.asked.append(question.text)
        if question.text == "down":
            raise ModelUnreachable("interop.model_failed", name="x", reason="y")
        if question.text == "unknown":
            return Answer("", abstained=True, model="reader")
        citation = Citation(DOCUMENT.id, DOCUMENT.version, 0, len(QUOTE), QUOTE, "Leave rules", "§ 1")
        return Answer(
            "27 days, 依規定。", (citation,), usage=Usage(11, 4), seconds=0.25, model="reader", confidence=0.9
        )


class Library:
    def search(self, query: str, k: int = 10) -> Sequence[Hit]:
        chunk = Chunk("c", DOCUMENT.id, DOCUMENT.version, QUOTE, 0, len(QUOTE), digest(QUOTE), "Leave rules", "§ 1")
        return [Hit(chunk, 1.5)][:k] if "leave" in query else []

    def text(self, document_id: str, version: str | None = None) -> str | None:
        known = document_id == DOCUMENT.id and version in (None, DOCUMENT.version)
        return DOCUMENT.text if known else None


def client(**options: Any) -> TestClient:
    service = Service(Answerer(), Library(), "handbook", **options)
    return TestClient(create_app(service), base_url="http://127.0.0.1:8000")


def chat(question: str = "How many days?", **more: Any) -> dict[str, Any]:
    return {"model": "handbook", "messages": [{"role": "user", "content": question}], **more}


def test_answer_has_the_openai_shape_and_our_details() -> None:
    body = client().post("/v1/chat/completions", json=chat()).json()
    assert body["object"] == "chat.completion" and body["id"].startswith("chatcmpl-") and body["model"] == "handbook"
    (choice,) = body["choices"]
    assert choice["finish_reason"] == "stop" and choice["message"]["content"] == "27 days, 依規定。"
    (annotation,) = choice["message"]["annotations"]
    cited = annotation["url_citation"]
    assert annotation["type"] == "url_citation" and cited["title"] == "Leave rules | § 1"
    assert (cited["start_index"], cited["end_index"]) == (0, len("27 days, 依規定。"))
    assert cited["url"].startswith("http://127.0.0.1:8000/documents/rules/leave.md?version=")
    assert body["usage"] == {
        "prompt_tokens": 11, "completion_tokens": 4, "total_tokens": 15, "prompt_tokens_details": {"cached_tokens": 0},
    }  # fmt: skip
    assert body["groundtune"]["citations"][0]["quote"] == QUOTE and body["groundtune"]["approach"] == "rag"


def test_the_citation_url_leads_to_the_cited_words() -> None:
    web = client()
    body = web.post("/v1/chat/completions", json=chat()).json()
    stored = web.get(body["choices"][0]["message"]["annotations"][0]["url_citation"]["url"]).json()
    place = body["groundtune"]["citations"][0]
    assert stored["text"][place["start"] : place["end"]] == QUOTE
    assert web.get("/documents/rules/none.md").status_code == 404
    assert web.get("/documents/rules/leave.md?version=old").status_code == 404


def test_stream_adds_up_to_the_same_answer() -> None:
    reply = client().post("/v1/chat/completions", json=chat(stream=True, stream_options={"include_usage": True}))
    assert reply.headers["content-type"].startswith("text/event-stream")
    lines = [line.removeprefix("data: ") for line in reply.text.split("\n\n") if line]
    assert lines[-1] == "[DONE]"
    chunks = [json.loads(line) for line in lines[:-1]]
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"} and len({c["id"] for c in chunks}) == 1
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks if chunk["choices"]]
    assert "".join(delta.get("content", "") for delta in deltas) == "27 days, 依規定。" and len(deltas) > 4
    last = chunks[-2]
    assert last["choices"][0]["finish_reason"] == "stop" and last["choices"][0]["delta"]["annotations"]
    assert chunks[-1]["choices"] == [] and chunks[-1]["usage"]["total_tokens"] == 15


def test_last_user_turn_is_the_question_and_parts_are_joined() -> None:
    service = Service(Answerer(), Library())
    web = TestClient(create_app(service), base_url="http://localhost")
    parts = [{"type": "text", "text": "How "}, {"type": "text", "text": "many?"}]
    turns = [
        {"role": "system", "content": "s"}, {"role": "user", "content": "first"},
        {"role": "assistant", "content": None}, {"role": "user", "content": parts},
    ]  # fmt: skip
    assert web.post("/v1/chat/completions", json={"model": "rag", "messages": turns}).status_code == 200
    assert service.answerer.asked == ["How many?"]  # type: ignore[attr-defined]


def test_abstention_is_an_empty_answer_that_says_so() -> None:
    body = client().post("/v1/chat/completions", json=chat("unknown")).json()
    assert body["groundtune"]["abstained"] and body["choices"][0]["message"]["annotations"] == []


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ([], "JSON object"),
        ({"model": "handbook"}, "messages"),
        ({"model": "handbook", "messages": []}, "messages"),
        ({"model": "handbook", "messages": ["x"]}, "Message 1"),
        ({"model": "handbook", "messages": [{"role": "robot", "content": "x"}]}, "Message 1"),
        ({"model": "handbook", "messages": [{"role": "user", "content": 3}]}, "Message 1"),
        ({"model": "handbook", "messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "other than text"),
        ({"model": "handbook", "messages": [{"role": "user", "content": "  "}]}, "no user message"),
        (chat(n=2), "one answer"),
        (chat(tools=[{"type": "function"}]), "Tools"),
        (chat() | {"model": 7}, "“model”"),
        (chat(stream="yes"), "“stream”"),
    ],
)
def test_bad_requests_are_400_with_a_sentence(body: Any, said: str) -> None:
    reply = client().post("/v1/chat/completions", json=body)
    assert reply.status_code == 400 and said in reply.json()["error"]["message"]
    assert reply.json()["error"]["type"] == "invalid_request_error"


def test_other_failures() -> None:
    web = client()
    assert web.post("/v1/chat/completions", json=chat() | {"model": "gpt"}).status_code == 404
    assert web.post("/v1/chat/completions", json=chat("down")).status_code == 502
    raw = web.post("/v1/chat/completions", content=b"{", headers={"content-type": "application/json"})
    assert raw.status_code == 400 and "not valid JSON" in raw.json()["error"]["message"]
    form = web.post("/v1/chat/completions", content=json.dumps(chat()), headers={"content-type": "text/plain"})
    assert form.status_code == 400 and "application/json" in form.json()["error"]["message"]
    big = web.post("/v1/chat/completions", json=chat("x" * 1_000_001))
    assert big.status_code == 400 and "larger" in big.json()["error"]["message"]


def test_another_host_is_refused() -> None:
    assert client().get("/healthz", headers={"host": "evil.example"}).status_code == 400


def test_token_guards_everything_but_page_and_health() -> None:
    web = client(token="secret")
    good = {"authorization": "Bearer secret"}
    for path in ("/v1/models", f"/documents/{DOCUMENT.id}"):
        assert web.get(path).status_code == 401
        assert web.get(path, headers={"authorization": "Bearer wrong"}).status_code == 401
        assert web.get(path, headers=good).status_code == 200
    assert web.post("/v1/chat/completions", json=chat()).status_code == 401
    assert web.post("/v1/chat/completions", json=chat(), headers=good).status_code == 200
    assert web.get("/healthz").json()["token"] is True and web.get("/").status_code == 200


def test_models() -> None:
    assert [row["id"] for row in client().get("/v1/models").json()["data"]] == ["handbook", "rag"]


def test_feedback_becomes_training_examples(tmp_path: Path) -> None:
    path = tmp_path / "state" / "feedback.jsonl"
    web = client(feedback=path)
    said = {"question": "How many days?", "answer": "27", "accepted": True}
    assert web.post("/v1/feedback", json=said).status_code == 201
    path.write_bytes(path.read_bytes() + b'{"messages": [{"role')  # a crash in the middle of a line
    fixed = said | {"answer": "3", "accepted": False, "correction": "二十七天"}
    assert web.post("/v1/feedback", json=fixed).status_code == 201
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join([lines[0], lines[2]]), encoding="utf-8")
    kept = load_examples(path)
    assert [example.target for example in kept] == ["27", "二十七天"]
    assert [example.metadata["accepted"] for example in kept] == [True, False]


@pytest.mark.parametrize(
    "change", [{"accepted": False}, {"accepted": "yes"}, {"question": ""}, {"answer": 3}, {"question": "x" * 20001}]
)
def test_bad_feedback_writes_nothing(tmp_path: Path, change: dict[str, Any]) -> None:
    path = tmp_path / "feedback.jsonl"
    said = {"question": "q", "answer": "a", "accepted": True} | change
    assert client(feedback=path).post("/v1/feedback", json=said).status_code == 400
    assert not path.exists()


def test_feedback_is_off_unless_asked_for() -> None:
    web = client()
    assert web.post("/v1/feedback", json={"question": "q", "answer": "a", "accepted": True}).status_code == 403
    assert web.get("/healthz").json()["feedback"] is False


def test_page_needs_nothing_from_elsewhere_and_speaks_three_languages() -> None:
    web = client()
    page = web.get("/")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    for name in ("app.js", "style.css"):
        text = web.get(f"/{name}").text
        assert "http://" not in text and "https://" not in text and "innerHTML" not in text
    tables = web.get("/strings.json").json()
    assert set(tables) == set(messages.LANGUAGES)
    assert tables["en"].keys() == tables["ja"].keys() == tables["zh-TW"].keys()
    used = {piece.split('"')[0] for piece in page.text.split('data-text="')[1:]}
    assert used and used <= tables["en"].keys()
