"""A Model Context Protocol server over stdio with two tools, ``ask`` and ``search``: one JSON-RPC message per line."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import IO, Any

from groundtune.errors import DataError, GroundtuneError
from groundtune.messages import say
from groundtune.serve.openai import details
from groundtune.serve.service import Service
from groundtune.types import Hit, Question

VERSIONS = ("2025-06-18", "2025-03-26", "2024-11-05")
_PARSE, _INVALID, _NO_METHOD, _PARAMS = -32700, -32600, -32601, -32602
_MOST = 50


class _RpcError(Exception):
    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


class Server:
    """Answers one client; requests are handled in order."""

    def __init__(self, service: Service, version: str) -> None:
        self.service = service
        self.version = version
        self._methods: Mapping[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
            "initialize": self._initialize,
            "ping": lambda params: {},
            "tools/list": lambda params: {"tools": tools()},
            "tools/call": self._call,
        }

    def run(self, source: IO[str], sink: IO[str]) -> None:
        """Until the client closes its end."""
        for line in source:
            if line.strip() and (reply := self.handle(line)) is not None:
                sink.write(json.dumps(reply, ensure_ascii=False) + "\n")
                sink.flush()

    def handle(self, line: str) -> dict[str, Any] | None:
        """The reply to one message, None for a notification."""
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            return _failure(None, _PARSE, "Parse error")
        if not isinstance(message, dict) or message.get("jsonrpc") != "2.0":
            return _failure(None, _INVALID, "Invalid Request")
        if "method" not in message:  # a reply to a request that we never send
            return None
        if "id" not in message:
            return None
        params = message.get("params") or {}
        try:
            method = self._methods.get(message["method"]) if isinstance(message["method"], str) else None
            if method is None:
                raise _RpcError(_NO_METHOD, f"Method not found: {message['method']}")
            if not isinstance(params, dict):
                raise _RpcError(_PARAMS, "params must be an object")
            return {"jsonrpc": "2.0", "id": message["id"], "result": method(params)}
        except _RpcError as error:
            return _failure(message["id"], error.code, error.message)

    def _initialize(self, params: Mapping[str, Any]) -> dict[str, Any]:
        asked = params.get("protocolVersion")
        return {
            "protocolVersion": asked if asked in VERSIONS else VERSIONS[0],
            "capabilities": {"tools": {"listChanged": False}},
            "serverInfo": {"name": "groundtune", "version": self.version},
            "instructions": say("serve.mcp.instructions"),
        }

    def _call(self, params: Mapping[str, Any]) -> dict[str, Any]:
        called = {"ask": self._ask, "search": self._search}.get(str(params.get("name")))
        if called is None:
            raise _RpcError(_PARAMS, f"Unknown tool: {params.get('name')}")
        arguments = params.get("arguments") or {}
        try:
            if not isinstance(arguments, dict):
                raise DataError("serve.not_an_object")
            text, data = called(arguments)
        except GroundtuneError as error:
            return {"content": [{"type": "text", "text": error.sentence()}], "isError": True}
        return {"content": [{"type": "text", "text": text}], "structuredContent": data, "isError": False}

    def _ask(self, arguments: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        answer = self.service.answerer.answer(Question(_text(arguments, "question"), id="mcp"))
        lines = [answer.text or say("serve.mcp.abstained")]
        for number, citation in enumerate(answer.citations, start=1):
            place = " | ".join(part for part in (citation.title or citation.document_id, citation.heading) if part)
            lines.append(f"[{number}] {place}: {citation.quote}")
        return "\n".join(lines), {"answer": answer.text, **details(answer, self.service.answerer.name)}

    def _search(self, arguments: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        k = arguments.get("k", 5)
        if not isinstance(k, int) or isinstance(k, bool) or not 1 <= k <= _MOST:
            raise DataError("serve.bad_field", name="k")
        hits = [_hit(hit) for hit in self.service.library.search(_text(arguments, "query"), k)]
        text = "\n\n".join(f"[{n}] {hit['title']}\n{hit['text']}" for n, hit in enumerate(hits, start=1))
        return text or say("serve.mcp.nothing"), {"hits": hits}


def tools() -> list[dict[str, Any]]:
    """What ``tools/list`` says."""
    question = {"type": "string", "description": say("serve.mcp.question")}
    query = {"type": "string", "description": say("serve.mcp.query")}
    k = {"type": "integer", "minimum": 1, "maximum": _MOST, "default": 5, "description": say("serve.mcp.k")}
    return [
        {
            "name": "ask",
            "description": say("serve.mcp.ask"),
            "inputSchema": {"type": "object", "properties": {"question": question}, "required": ["question"]},
            "annotations": {"readOnlyHint": True},
        },
        {
            "name": "search",
            "description": say("serve.mcp.search"),
            "inputSchema": {"type": "object", "properties": {"query": query, "k": k}, "required": ["query"]},
            "annotations": {"readOnlyHint": True},
        },
    ]


def _text(arguments: Mapping[str, Any], name: str) -> str:
    value = arguments.get(name)
    if not isinstance(value, str) or not value.strip():
        raise DataError("serve.bad_field", name=name)
    return value.strip()


def _hit(hit: Hit) -> dict[str, Any]:
    chunk = hit.chunk
    return {
        "document_id": chunk.document_id, "version": chunk.version, "title": chunk.title, "heading": chunk.heading,
        "start": chunk.start, "end": chunk.end, "text": chunk.text, "score": hit.score,
    }  # fmt: skip


def _failure(id: object, code: int, message: str) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": message}}
