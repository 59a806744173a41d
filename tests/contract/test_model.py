"""One suite for every provider of the ``Model`` port: what the rooms above may rely on."""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import tiny_models
from local_server import LocalServer, Reply, Seen

from groundtune.ports import Model, StreamingModel
from groundtune.registry import load
from groundtune.types import Generation, Message

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning:google"),
    pytest.mark.filterwarnings("ignore::UserWarning:pydantic"),  # of LiteLLM
    pytest.mark.filterwarnings("ignore::DeprecationWarning:litellm"),
]
Opener = Callable[[], Model]
SCHEMA = {
    "type": "object",
    "properties": {"answer": {"type": "string", "maxLength": 12}},
    "required": ["answer"],
    "additionalProperties": False,
}
ASK = [Message("system", "回答要簡短。"), Message("user", "How long is the warranty? 保固期？保証期間は？")]


def _text(limit: int, schema: object) -> tuple[str, int, bool]:
    """What a served model would write, the number of its tokens (words) and whether it ended by itself."""
    if schema is not None:
        return '{"answer": "兩年"}', 2, True
    words = ["The", "warranty", "lasts", "two", "years."]
    return " ".join(words[:limit]), min(limit, len(words)), limit >= len(words)


def _events(*events: Any, names: bool = False, done: bool = False) -> Reply:
    """Server-sent events."""
    lines = [f"event: {event['type']}\n" if names else "" for event in events]
    body = "".join(f"{head}data: {json.dumps(event)}\n\n" for head, event in zip(lines, events, strict=True))
    data = f"{body}data: [DONE]\n\n" if done else body
    return Reply(data.encode(), headers={"Content-Type": "text/event-stream"})


def _pieces(text: str) -> list[str]:
    return re.findall(r"\s*\S+", text)


def openai_server(seen: Seen) -> Reply:
    limit = seen.body.get("max_completion_tokens") or seen.body["max_tokens"]
    text, count, ended = _text(limit, seen.body.get("response_format"))
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "finish_reason": "stop" if ended else "length", "message": message}
    usage = {"prompt_tokens": 12, "completion_tokens": count, "total_tokens": 12 + count}
    if seen.body.get("stream"):
        head = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m"}
        told = [{"index": 0, "delta": {"content": piece}, "finish_reason": None} for piece in _pieces(text)]
        last = {"index": 0, "delta": {}, "finish_reason": choice["finish_reason"]}
        chunks = [{**head, "choices": [one]} for one in [*told, last]]
        return _events(*chunks, {**head, "choices": [], "usage": usage}, done=True)
    return Reply(
        {"id": "x", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": usage}
    )


def ollama_server(seen: Seen) -> Reply:
    text, count, ended = _text(seen.body["options"]["num_predict"], seen.body.get("format"))
    reason = "stop" if ended else "length"
    message = {"role": "assistant", "content": text}
    if seen.body.get("stream"):
        lines: list[dict[str, Any]] = [
            {"message": {**message, "content": piece}, "done": False} for piece in _pieces(text)
        ]
        last = {"message": {**message, "content": ""}, "done": True, "done_reason": reason}
        lines.append({**last, "prompt_eval_count": 12, "eval_count": count})
        return Reply("".join(json.dumps(line) + "\n" for line in lines).encode())
    return Reply({"message": message, "done_reason": reason, "prompt_eval_count": 12, "eval_count": count})


def gemini_server(seen: Seen) -> Reply:
    config = seen.body["generationConfig"]
    text, count, ended = _text(config["maxOutputTokens"], config.get("responseJsonSchema"))
    candidate = {"content": {"parts": [{"text": text}]}, "finishReason": "STOP" if ended else "MAX_TOKENS"}
    usage = {"promptTokenCount": 12, "candidatesTokenCount": count}
    if "streamGenerateContent" in seen.path:
        parts = [{"candidates": [{"content": {"parts": [{"text": piece}]}}]} for piece in _pieces(text)]
        last = {"candidates": [{**candidate, "content": {"parts": [{"text": ""}]}}], "usageMetadata": usage}
        return _events(*parts, last)
    return Reply({"candidates": [candidate], "usageMetadata": usage})


def anthropic_server(seen: Seen) -> Reply:
    schema = seen.body.get("output_config", {}).get("format")
    text, count, ended = _text(seen.body["max_tokens"], schema)
    reason = "end_turn" if ended else "max_tokens"
    message = {"id": "x", "type": "message", "role": "assistant", "model": "m", "content": [], "stop_reason": None}
    usage = {"input_tokens": 4, "cache_read_input_tokens": 8, "output_tokens": count}
    if seen.body.get("stream"):
        told = [{"type": "text_delta", "text": piece} for piece in _pieces(text)]
        return _events(
            {"type": "message_start", "message": {**message, "usage": {**usage, "output_tokens": 1}}},
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
            *({"type": "content_block_delta", "index": 0, "delta": delta} for delta in told),
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": {"stop_reason": reason}, "usage": {"output_tokens": count}},
            {"type": "message_stop"},
            names=True,
        )
    block = {"type": "text", "text": text}
    return Reply({**message, "content": [block], "stop_reason": reason, "usage": usage})


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.llama(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(
    params=["fake", "openai", "ollama", "gemini", "anthropic", "litellm", pytest.param("hf", marks=pytest.mark.tune)],
)
def model(request: pytest.FixtureRequest) -> Iterator[Any]:
    provider = request.param
    package = {"openai": "openai", "gemini": "google.genai"}.get(
        provider, provider if provider in ("anthropic", "litellm") else None
    )
    if package and not _installed(package):
        pytest.skip(f"needs the package {package}")
    if provider == "fake":
        yield load("model", 'fake:fixed={"answer": "two years, 兩年"}')
    elif provider == "hf":
        yield load("model", f"hf:{request.getfixturevalue('tiny')}")
    else:
        servers = {"ollama": ollama_server, "gemini": gemini_server, "anthropic": anthropic_server}
        with LocalServer(servers.get(provider, openai_server)) as server:
            options = {
                "openai": {"base_url": f"{server.url}/v1"},
                "litellm": {"base_url": f"{server.url}/v1", "api_key": "test-key"},
                "ollama": {"host": server.url},
                "gemini": {"base_url": server.url, "api_key": "test-key"},
                "anthropic": {"base_url": server.url, "api_key": "test-key"},
            }
            name = "openai/m" if provider == "litellm" else "m"
            yield load("model", f"{provider}:{name}", **options[provider])


def _installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ModuleNotFoundError:
        return False


def same(a: Generation, b: Generation) -> bool:
    return (a.text, a.usage.input_tokens, a.usage.output_tokens) == (
        b.text,
        b.usage.input_tokens,
        b.usage.output_tokens,
    )


def test_is_a_model(model: Model) -> None:
    assert isinstance(model, Model)
    assert ":" in model.name


def test_generation_is_complete(model: Model) -> None:
    made = model.generate(ASK, max_tokens=40)
    assert isinstance(made, Generation)
    assert made.text == made.text.strip()
    assert made.model == model.name
    assert made.seconds > 0
    assert made.usage.input_tokens > 0
    assert 0 < made.usage.output_tokens <= 40
    assert 0 <= made.usage.cached_tokens <= made.usage.input_tokens


def test_max_tokens_cuts_and_says_so(model: Model) -> None:
    made = model.generate(ASK, max_tokens=2)
    assert made.usage.output_tokens <= 2
    assert not made.finished


def test_greedy_repeats_itself(model: Model) -> None:
    assert same(model.generate(ASK, max_tokens=12), model.generate(ASK, max_tokens=12))


def test_a_seed_repeats_a_sample(model: Model) -> None:
    first, second = (model.generate(ASK, max_tokens=12, temperature=0.9, seed=4) for _ in range(2))
    assert same(first, second)


def test_a_schema_is_kept(model: Model) -> None:
    if model.name.startswith("hf:"):
        pytest.importorskip("llguidance")
    made = model.generate(ASK, max_tokens=120, schema=SCHEMA)
    assert isinstance(json.loads(made.text)["answer"], str)


def test_a_text_is_told_while_it_is_written(model: Model) -> None:
    assert isinstance(model, StreamingModel)
    for options in ({"max_tokens": 40}, {"max_tokens": 3}, {"max_tokens": 12, "temperature": 0.9, "seed": 4}):
        told: list[str] = []
        made = model.stream(ASK, told.append, **options)  # type: ignore[arg-type]
        whole = model.generate(ASK, **options)  # type: ignore[arg-type]
        assert same(made, whole)
        assert (made.finished, made.model, made.usage) == (whole.finished, model.name, whole.usage)
        assert "".join(told) == made.text
        assert len(told) > 1 or len(made.text) < 4
        assert made.seconds > 0


def test_a_told_text_keeps_the_schema(model: Model) -> None:
    if model.name.startswith("hf:"):
        pytest.importorskip("llguidance")
    assert isinstance(model, StreamingModel)
    told: list[str] = []
    made = model.stream(ASK, told.append, max_tokens=120, schema=SCHEMA)
    assert isinstance(json.loads("".join(told))["answer"], str)
    assert made.text == "".join(told)


def test_threads_may_share_it(model: Model) -> None:
    alone = [model.generate([Message("user", f"問題 {i}")], max_tokens=6) for i in range(6)]
    with ThreadPoolExecutor(3) as pool:
        shared = list(pool.map(lambda i: model.generate([Message("user", f"問題 {i}")], max_tokens=6), range(6)))
    assert all(same(a, b) for a, b in zip(alone, shared, strict=True))


def test_repr_is_short_and_names_it(model: Model) -> None:
    if not model.name.startswith("fake:"):
        assert len(repr(model)) < 200
        assert model.name in repr(model)
