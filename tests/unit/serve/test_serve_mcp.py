"""The MCP server, line by line."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from typing import Any

import pytest

from groundtune.errors import StoreError
from groundtune.serve.mcp import VERSIONS, Server
from groundtune.serve.service import Service
from groundtune.types import Answer, Chunk, Citation, Hit, Question, digest

QUOTE = "有給休暇は20日です。"


class Answerer:
    name = "rag"

    def answer(self, question: Question) -> Answer:
        if question.text == "broken":
            raise StoreError("interop.model_failed", name="kb", reason="gone")
        if question.text == "unknown":
            return Answer("", abstained=True)
        return Answer("20日", (Citation("leave.md", "v", 0, len(QUOTE), QUOTE, "休暇規程"),))


class Library:
    def search(self, query: str, k: int = 10) -> Sequence[Hit]:
        return [Hit(Chunk("c", "leave.md", "v", QUOTE, 0, len(QUOTE), digest(QUOTE), "休暇規程"), 2.0)][:k]

    def text(self, document_id: str, version: str | None = None) -> str | None:
        return QUOTE


def server() -> Server:
    return Server(Service(Answerer(), Library()), "0.1.0")


def call(method: str, params: Any = None, id: Any = 1) -> dict[str, Any]:
    reply = server().handle(json.dumps({"jsonrpc": "2.0", "id": id, "method": method, "params": params or {}}))
    assert reply is not None and reply["jsonrpc"] == "2.0" and reply["id"] == id
    return reply


def test_a_session_over_streams() -> None:
    lines = [
        {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {"protocolVersion": VERSIONS[-1]}},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {
            "jsonrpc": "2.0",
            "id": "a",
            "method": "tools/call",
            "params": {"name": "ask", "arguments": {"question": "?"}},
        },
    ]
    sink = io.StringIO()
    server().run(io.StringIO("\n".join(json.dumps(line) for line in lines) + "\n\n"), sink)
    first, second = (json.loads(line) for line in sink.getvalue().splitlines())
    assert first["result"]["protocolVersion"] == VERSIONS[-1] and first["result"]["capabilities"] == {
        "tools": {"listChanged": False}
    }
    assert second["id"] == "a" and second["result"]["structuredContent"]["citations"][0]["quote"] == QUOTE
    assert second["result"]["content"][0]["text"] == f"20日\n[1] 休暇規程: {QUOTE}"


def test_unknown_protocol_version_gets_ours() -> None:
    assert call("initialize", {"protocolVersion": "1999-01-01"})["result"]["protocolVersion"] == VERSIONS[0]


def test_tools_are_listed_with_schemas() -> None:
    tools = call("tools/list")["result"]["tools"]
    assert [tool["name"] for tool in tools] == ["ask", "search"]
    assert all(tool["inputSchema"]["required"] and tool["description"] for tool in tools)


def test_search() -> None:
    result = call("tools/call", {"name": "search", "arguments": {"query": "休暇", "k": 1}})["result"]
    assert result["structuredContent"]["hits"][0]["text"] == QUOTE and not result["isError"]


def test_abstention_is_said() -> None:
    result = call("tools/call", {"name": "ask", "arguments": {"question": "unknown"}})["result"]
    assert result["structuredContent"]["abstained"] and result["content"][0]["text"]


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("ask", {}), ("ask", {"question": " "}), ("search", {"query": "x", "k": 0}), ("search", {"query": "x", "k": True}),
     ("ask", {"question": "broken"}), ("ask", [1])],
)  # fmt: skip
def test_tool_errors_are_results_with_a_sentence(name: str, arguments: Any) -> None:
    result = call("tools/call", {"name": name, "arguments": arguments})["result"]
    assert result["isError"] and len(result["content"][0]["text"]) > 5


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("{", -32700), ("[]", -32600), ('{"id": 1, "method": "ping"}', -32600),
        ('{"jsonrpc": "2.0", "id": 1, "method": "resources/list"}', -32601),
        ('{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "rm"}}', -32602),
        ('{"jsonrpc": "2.0", "id": 1, "method": "ping", "params": [1]}', -32602),
    ],
)  # fmt: skip
def test_protocol_errors(line: str, code: int) -> None:
    reply = server().handle(line)
    assert reply is not None and reply["error"]["code"] == code


def test_notifications_and_replies_get_no_reply() -> None:
    assert server().handle('{"jsonrpc": "2.0", "method": "notifications/cancelled"}') is None
    assert server().handle('{"jsonrpc": "2.0", "id": 4, "result": {}}') is None
    assert call("ping")["result"] == {}
