from typing import Any

import pytest
from local_server import LocalServer, Reply, closed_port_url

from groundtune.errors import ModelError, ModelRefused, ModelUnreachable, SpecError
from groundtune.models import http
from groundtune.registry import load
from groundtune.types import Message, Usage

pytest.importorskip("google.genai")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

KEY = "AIzaSecret0123456789abcdef"
ASK = [
    Message("system", "Be brief."),
    Message("user", "保固期？"),
    Message("assistant", "?"),
    Message("user", "幾年？"),
]


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    waited: list[float] = []
    monkeypatch.setattr(http.with_retries, "__kwdefaults__", {"sleep": waited.append})
    return waited


def said(finish: str = "STOP", **extra: Any) -> Reply:
    parts = [{"text": "let me think", "thought": True}, {"text": "兩年"}]
    candidate = {"content": {"role": "model", "parts": parts}, "finishReason": finish}
    usage = {"promptTokenCount": 9, "candidatesTokenCount": 2, "thoughtsTokenCount": 5, "cachedContentTokenCount": 4}
    return Reply({"candidates": [candidate], "usageMetadata": usage, **extra})


def failure(status: int, message: str, headers: dict[str, str] | None = None) -> Reply:
    return Reply({"error": {"code": status, "message": message, "status": "X"}}, status, headers or {})


def open_model(url: str, **options: Any) -> Any:
    return load("model", "gemini:gemini-2.5-flash", base_url=url, api_key=KEY, **options)


def test_chat() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    with LocalServer([said()]) as server:
        made = open_model(server.url, thinking_budget=0).generate(ASK, max_tokens=7, seed=3, schema=schema)
    assert (made.text, made.usage, made.finished) == ("兩年", Usage(9, 7, 4), True)
    sent = server.seen[0]
    assert sent.path.endswith("/models/gemini-2.5-flash:generateContent")
    assert sent.headers["x-goog-api-key"] == KEY
    assert [turn["role"] for turn in sent.body["contents"]] == ["user", "model", "user"]
    assert sent.body["systemInstruction"]["parts"][0]["text"] == "Be brief."
    config = sent.body["generationConfig"]
    assert (config["maxOutputTokens"], config["seed"], config["temperature"]) == (7, 3, 0)
    assert (config["responseMimeType"], config["responseJsonSchema"]) == ("application/json", schema)
    assert list(config["thinkingConfig"].values()) == [0]


def test_cut_off() -> None:
    with LocalServer([said("MAX_TOKENS")]) as server:
        assert not open_model(server.url).generate(ASK).finished


def test_429_then_success(waits: list[float]) -> None:
    with LocalServer([failure(429, "slow down", {"Retry-After": "4"}), said()]) as server:
        assert open_model(server.url).generate(ASK).text == "兩年"
    assert waits == [4]


def test_500_until_the_tries_are_used_up() -> None:
    with LocalServer([failure(500, "boom")]) as server:
        with pytest.raises(ModelUnreachable, match="HTTP 500 3 times .*boom"):
            open_model(server.url, retries=2).generate(ASK)
    assert len(server.seen) == 3


def test_unreachable_and_slow(waits: list[float]) -> None:
    with pytest.raises(ModelUnreachable, match="cannot be reached"):
        open_model(closed_port_url()).generate(ASK)
    assert waits == []
    with LocalServer([Reply(said().body, delay=5)]) as server:
        with pytest.raises(ModelUnreachable, match=r"0\.2 s \(2 tries\)"):
            open_model(server.url, timeout=0.2, retries=1).generate(ASK)


def test_refusals() -> None:
    for reply in (said("SAFETY"), Reply({"promptFeedback": {"blockReason": "SAFETY"}})):
        with LocalServer([reply]) as server:
            with pytest.raises(ModelRefused, match=r"declined .*SAFETY"):
                open_model(server.url).generate(ASK)
    with LocalServer([failure(404, "no such model")]) as server:
        with pytest.raises(ModelUnreachable, match="does not know gemini"):
            open_model(server.url).generate(ASK)


@pytest.mark.parametrize("body", [b"{nonsense", b"{}", b'{"candidates": []}', b'{"candidates": 3}'])
def test_nonsense_is_one_sentence(body: bytes) -> None:
    with LocalServer([Reply(body)]) as server:
        with pytest.raises(ModelError, match="not a model's answer"):
            open_model(server.url).generate(ASK)


@pytest.mark.parametrize("status", [400, 403, 500])
def test_the_key_is_never_shown(status: int) -> None:
    with LocalServer([failure(status, f"API key not valid: {KEY}")]) as server:
        model = open_model(server.url, retries=0)
        with pytest.raises(ModelUnreachable, match="GEMINI_API_KEY") as caught:
            model.generate(ASK)
    assert KEY not in f"{model!r} {caught.value} {caught.value!r} {caught.value.params}"
    assert caught.value.__suppress_context__


def test_key_and_name(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModelUnreachable, match="GEMINI_API_KEY"):
        load("model", "gemini:gemini-2.5-flash")
    monkeypatch.setenv("GOOGLE_API_KEY", KEY)
    assert load("model", "gemini:gemini-2.5-flash").name == "gemini:gemini-2.5-flash"
    with pytest.raises(SpecError, match="gemini:gemini"):
        load("model", "gemini:")
