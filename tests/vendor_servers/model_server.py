"""The chat and embedding protocols of OpenAI, Google, Anthropic and Ollama on this computer, for pages that are executed.

What it answers is the sentence of the passages that fits the question (``fake:extract``); a chat with a schema gets the
smallest object that the schema allows. Vectors are those of ``fake:``. A request to another path or without the key gets
what the vendor would send.
"""

from __future__ import annotations

import json
from typing import Any

from local_server import LocalServer, Reply, Seen

from groundtune.models import fake
from groundtune.types import Message

KEY = "key-of-the-tests-0123456789"
CACHED = 4  # tokens of every prompt that came from the vendor's cache


class ModelServer(LocalServer):
    """``keyed``: chats without ``KEY`` are refused (Ollama has no keys)."""

    def __init__(self) -> None:
        super().__init__(self.answer)
        self._model, self._embedder = fake.open_model("extract"), fake.open_embedder()

    def answer(self, seen: Seen) -> Reply:
        path = seen.path.partition("?")[0]
        body = seen.body or {}
        if path.startswith("/api/"):
            return self._ollama(path, body)
        if KEY not in json.dumps(seen.headers):
            return Reply({"error": {"message": "no key", "code": 401, "type": "authentication_error"}}, 401)
        if path == "/v1/chat/completions":
            return self._openai(body)
        if path == "/v1/embeddings":
            rows = self._rows(body["input"])
            data = [{"object": "embedding", "index": place, "embedding": row} for place, row in enumerate(rows)]
            usage = {"prompt_tokens": 1, "total_tokens": 1}
            return Reply({"object": "list", "model": body["model"], "data": data, "usage": usage})
        if path == "/v1/messages":
            return self._anthropic(body)
        if path.startswith(("/v1/models/", "/v1beta/models/")):
            return self._gemini(path.rpartition(":")[2], body)
        return Reply({"error": {"message": f"no such path: {path}", "code": 404}}, 404)

    def _said(self, turns: list[Message], schema: Any) -> tuple[str, int, int]:
        made = self._model.generate(turns)
        text = json.dumps(_smallest(schema), ensure_ascii=False) if schema else made.text
        return text, made.usage.input_tokens + CACHED, made.usage.output_tokens

    def _rows(self, texts: list[str]) -> list[list[float]]:
        return [list(map(float, row)) for row in self._embedder.embed(texts, kind="document")]

    def _openai(self, body: dict[str, Any]) -> Reply:
        turns = [Message(turn["role"], turn["content"]) for turn in body["messages"]]
        schema = body.get("response_format", {}).get("json_schema", {}).get("schema")
        text, read, written = self._said(turns, schema)
        cached = {"cached_tokens": CACHED}
        usage = {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}
        counted = {**usage, "prompt_tokens_details": cached}
        head = {"id": "x", "created": 1, "model": body["model"]}
        if body.get("stream"):
            parts = [{"delta": {"content": part}, "index": 0, "finish_reason": None} for part in _halves(text)]
            parts.append({"delta": {}, "index": 0, "finish_reason": "stop"})
            events = [{**head, "object": "chat.completion.chunk", "choices": [part]} for part in parts]
            return _events([*events, {**head, "object": "chat.completion.chunk", "choices": [], "usage": counted}])
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
        return Reply({**head, "object": "chat.completion", "choices": [choice], "usage": counted})

    def _anthropic(self, body: dict[str, Any]) -> Reply:
        turns = [Message(turn["role"], _joined(turn["content"])) for turn in body["messages"]]
        schema = body.get("output_config", {}).get("format", {}).get("schema")
        text, read, written = self._said(turns, schema)
        usage = {"input_tokens": read - CACHED, "cache_read_input_tokens": CACHED, "output_tokens": written}
        head = {"id": "x", "type": "message", "role": "assistant", "model": body["model"], "stop_sequence": None}
        if body.get("stream"):
            start = {**head, "content": [], "stop_reason": None, "usage": usage}
            block = {"type": "text", "text": ""}
            events: list[dict[str, Any]] = [{"type": "message_start", "message": start}]
            events.append({"type": "content_block_start", "index": 0, "content_block": block})
            for part in _halves(text):
                delta = {"type": "text_delta", "text": part}
                events.append({"type": "content_block_delta", "index": 0, "delta": delta})
            end = {"stop_reason": "end_turn"}
            events.append({"type": "message_delta", "delta": end, "usage": {"output_tokens": written}})
            return _events([*events, {"type": "message_stop"}], named=True)
        content = [{"type": "text", "text": text}]
        return Reply({**head, "content": content, "stop_reason": "end_turn", "usage": usage})

    def _gemini(self, verb: str, body: dict[str, Any]) -> Reply:
        if verb == "batchEmbedContents":
            rows = self._rows([_parts(one["content"]) for one in body["requests"]])
            return Reply({"embeddings": [{"values": row} for row in rows]})
        turns = [Message("assistant" if turn["role"] == "model" else "user", _parts(turn)) for turn in body["contents"]]
        text, read, written = self._said(turns, body["generationConfig"].get("responseJsonSchema"))
        usage = {"promptTokenCount": read, "candidatesTokenCount": written, "cachedContentTokenCount": CACHED}

        def reply(part: str, reason: str | None) -> dict[str, Any]:
            candidate = {"content": {"role": "model", "parts": [{"text": part}]}, "finishReason": reason}
            return {"candidates": [candidate], "usageMetadata": usage}

        if verb == "streamGenerateContent":
            first, second = _halves(text)
            return _events([reply(first, None), reply(second, "STOP")])
        return Reply(reply(text, "STOP"))

    def _ollama(self, path: str, body: dict[str, Any]) -> Reply:
        if path == "/api/embed":
            return Reply({"model": body["model"], "embeddings": self._rows(body["input"])})
        if path == "/api/pull":
            layer = {"status": "pulling a", "digest": "sha256:a", "total": 2_000_000, "completed": 2_000_000}
            return _lines([{"status": "pulling manifest"}, layer, {"status": "success"}])
        if path != "/api/chat":
            return Reply({"error": "404 page not found"}, 404)
        turns = [Message(turn["role"], turn["content"]) for turn in body["messages"]]
        text, read, written = self._said(turns, body.get("format"))
        counted = {"done": True, "done_reason": "stop", "prompt_eval_count": read, "eval_count": written}
        if not body["stream"]:
            return Reply({"model": body["model"], "message": {"role": "assistant", "content": text}, **counted})
        parts = [{"message": {"role": "assistant", "content": part}, "done": False} for part in _halves(text)]
        return _lines([*parts, {"message": {"role": "assistant", "content": ""}, **counted}])


def _smallest(schema: dict[str, Any]) -> Any:
    if "enum" in schema:
        return schema["enum"][0]
    if schema.get("type") == "object":
        return {name: _smallest(inner) for name, inner in schema.get("properties", {}).items()}
    return {"string": "", "integer": 0, "number": 0, "boolean": False, "array": []}[schema["type"]]


def _halves(text: str) -> tuple[str, str]:
    return text[: len(text) // 2], text[len(text) // 2 :]


def _joined(content: Any) -> str:
    return content if isinstance(content, str) else "".join(block["text"] for block in content)


def _parts(turn: dict[str, Any]) -> str:
    return "".join(part["text"] for part in turn["parts"])


def _events(events: list[dict[str, Any]], *, named: bool = False) -> Reply:
    head = (lambda event: f"event: {event['type']}\n") if named else (lambda event: "")
    text = "".join(f"{head(event)}data: {json.dumps(event)}\n\n" for event in events)
    return Reply(text.encode(), headers={"Content-Type": "text/event-stream"})


def _lines(events: list[dict[str, Any]]) -> Reply:
    return Reply("".join(json.dumps(event) + "\n" for event in events).encode())
