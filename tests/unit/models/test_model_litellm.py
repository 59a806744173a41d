"""LiteLLM against local servers of other providers' protocols."""

from typing import Any

import numpy as np
import pytest
from local_server import LocalServer, Reply

from groundtune.errors import ModelRefused, ModelUnreachable, SpecError
from groundtune.models import http
from groundtune.registry import load
from groundtune.types import Message, Usage

pytest.importorskip("litellm")
pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning:pydantic"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:litellm"),
]

KEY = "sk-secret-0123456789abcdef"
ASK = [Message("system", "Be brief."), Message("user", "保固期？")]


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    waited: list[float] = []
    monkeypatch.setattr(http.with_retries, "__kwdefaults__", {"sleep": waited.append})
    return waited


def completion(**usage: Any) -> Reply:
    counted = {"prompt_tokens": 11, "completion_tokens": 3, "total_tokens": 14, **usage}
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": " 兩年 "}}
    return Reply(
        {"id": "x", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": counted}
    )


def test_chat_and_cached_tokens() -> None:
    with LocalServer([completion(prompt_tokens_details={"cached_tokens": 8})]) as server:
        made = load("model", "litellm:openai/m", base_url=f"{server.url}/v1", api_key=KEY).generate(ASK, max_tokens=7)
    assert (made.text, made.usage, made.finished) == ("兩年", Usage(11, 3, 8), True)
    assert made.model == "litellm:openai/m"
    assert server.seen[0].headers["authorization"] == f"Bearer {KEY}"
    assert server.seen[0].body["messages"] == [message.as_dict() for message in ASK]


def test_another_protocol_behind_the_same_call() -> None:
    content = [{"type": "text", "text": "兩年"}]
    usage = {"input_tokens": 9, "output_tokens": 2}
    reply = {"id": "x", "type": "message", "role": "assistant", "model": "m", "content": content}
    with LocalServer([Reply({**reply, "stop_reason": "end_turn", "usage": usage})]) as server:
        model = load("model", "litellm:anthropic/claude-3-haiku-20240307", base_url=server.url, api_key=KEY)
        made = model.generate(ASK, seed=3)
    assert (made.text, made.usage) == ("兩年", Usage(9, 2))
    assert server.seen[0].path == "/v1/messages"
    assert "seed" not in server.seen[0].body, "what a provider does not know is left out"


def test_rate_limits_are_waited_for_and_keys_are_not_shown(waits: list[float]) -> None:
    limited = Reply({"error": {"message": "slow down", "type": "t"}}, 429)
    refused = Reply({"error": {"message": f"Incorrect API key provided: {KEY}", "type": "t"}}, 401)
    with LocalServer([limited, completion(), refused]) as server:
        model = load("model", "litellm:openai/m", base_url=f"{server.url}/v1", api_key=KEY)
        assert model.generate(ASK).text == "兩年"
        assert len(waits) == 1
        with pytest.raises(ModelUnreachable) as caught:
            model.generate(ASK)
    assert caught.value.key == "models.key_refused"
    assert KEY not in f"{caught.value} {caught.value.params!r} {model!r}"


def test_a_schema_is_never_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    model = load("model", "litellm:openai/m", api_key=KEY)
    monkeypatch.setattr(model.gateway, "supports", lambda parameter: False)
    with pytest.raises(ModelRefused) as caught:
        model.generate(ASK, schema={"type": "object"})
    assert caught.value.key == "models.schema_refused"


def test_embedding() -> None:
    data = [{"object": "embedding", "index": i, "embedding": row} for i, row in ((1, [0.0, 2.0]), (0, [3.0, 4.0]))]
    usage = {"prompt_tokens": 2, "total_tokens": 2}
    with LocalServer([Reply({"object": "list", "model": "m", "data": data, "usage": usage})]) as server:
        embedder = load("embedder", "litellm:openai/e", base_url=f"{server.url}/v1", api_key=KEY)
        rows = embedder.embed(["a", "b"], kind="document")
    assert np.allclose(rows, [[0.6, 0.8], [0.0, 1.0]]) and rows.dtype == np.float32


def test_no_name() -> None:
    with pytest.raises(SpecError):
        load("model", "litellm:")
