"""What streams of the other providers do when something goes wrong, and how pieces are made."""

import json
from typing import Any

import pytest
from local_server import LocalServer, Reply

from groundtune.errors import ModelError, ModelRefused, ModelUnreachable
from groundtune.models import http
from groundtune.models.spoken import Growing, Spoken
from groundtune.registry import load
from groundtune.types import Message, Usage

ASK = [Message("user", "保固期？")]


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    waited: list[float] = []
    monkeypatch.setattr(http.with_retries, "__kwdefaults__", {"sleep": waited.append})
    return waited


def events(*chunks: Any, cut: int = 0) -> Reply:
    data = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks).encode()
    return Reply(data, headers={"Content-Type": "text/event-stream", "Content-Length": str(len(data) + cut)})


def chunk(text: str | None = None, finish: str | None = None, **extra: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": {} if text is None else {"content": text}, "finish_reason": finish}
    return {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice], **extra}


def lines(*objects: Any) -> Reply:
    return Reply("".join(json.dumps(one) + "\n" for one in objects).encode())


# -- pieces ------------------------------------------------------------------------------------------------------------


def test_pieces_have_no_white_space_around_them_all() -> None:
    told: list[str] = []
    spoken = Spoken(told.append)
    for piece in ("", "  \n", " a", None, " ", "\n", "b ", " "):
        spoken.add(piece)
    assert told == ["a", " \nb"]
    assert spoken.text == "a \nb" == "".join(told)


def test_half_a_character_is_not_told() -> None:
    told: list[str] = []
    growing = Growing(told.append)
    for text in (" ", " \ufffd", " 兩", " 兩\ufffd", " 兩年", " 兩年 "):
        growing.show(text)
    growing.finish("兩年")
    assert told == ["兩", "年"]


def test_what_a_text_really_holds_is_told_at_the_end() -> None:
    told: list[str] = []
    growing = Growing(told.append)
    growing.show("a\ufffd")
    growing.finish("a\ufffd")
    assert "".join(told) == "a\ufffd"


# -- OpenAI-compatible -------------------------------------------------------------------------------------------------


def test_openai_usage_and_cached_tokens() -> None:
    pytest.importorskip("openai")
    usage = {
        "prompt_tokens": 9,
        "completion_tokens": 2,
        "total_tokens": 11,
        "prompt_tokens_details": {"cached_tokens": 7},
    }
    told: list[str] = []
    with LocalServer(
        [events(chunk("兩"), chunk("年"), chunk(finish="stop"), {**chunk(), "choices": [], "usage": usage})]
    ) as server:
        made = load("model", f"openai:m@{server.url}/v1").stream(ASK, told.append)
    assert (told, made.text, made.usage) == (["兩", "年"], "兩年", Usage(9, 2, 7))
    assert server.seen[0].body["stream_options"] == {"include_usage": True}


def test_a_server_that_knows_no_stream_options_is_asked_without() -> None:
    pytest.importorskip("openai")
    refused = Reply({"error": {"message": "unknown field stream_options"}}, 400)
    with LocalServer([refused, events(chunk("a"), chunk(finish="length"))]) as server:
        made = load("model", f"openai:m@{server.url}/v1").stream(ASK, lambda _: None)
    assert (made.text, made.finished, made.usage) == ("a", False, Usage())
    assert "stream_options" not in server.seen[1].body


def test_openai_streams_that_break_or_refuse() -> None:
    pytest.importorskip("openai")
    filtered = events(chunk("a"), chunk(finish="content_filter"))
    replies = [events(chunk("a"), cut=40), events(chunk("a")), filtered]
    told: list[str] = []
    with LocalServer(replies) as server:
        model = load("model", f"openai:m@{server.url}/v1")
        for error in (ModelUnreachable, ModelError, ModelRefused):
            with pytest.raises(error):
                model.stream(ASK, told.append)
    assert len(server.seen) == 3 and told == ["a", "a", "a"]


# -- Ollama ------------------------------------------------------------------------------------------------------------


def test_ollama_says_what_went_wrong_in_the_middle() -> None:
    reply = lines({"message": {"role": "assistant", "content": "a"}, "done": False}, {"error": "out of memory"})
    with LocalServer([reply]) as server:
        with pytest.raises(ModelError, match="out of memory"):
            load("model", "ollama:m", host=server.url).stream(ASK, lambda _: None)


def test_ollama_names_the_command_that_gets_a_model() -> None:
    with LocalServer([Reply({"error": "model 'm' not found"}, 404)]) as server:
        with pytest.raises(ModelUnreachable, match="ollama pull m"):
            load("model", "ollama:m", host=server.url).stream(ASK, lambda _: None)


# -- Gemini ------------------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_gemini_blocks_in_the_middle_and_leaves_out_thoughts() -> None:
    pytest.importorskip("google.genai")
    thought = {"candidates": [{"content": {"parts": [{"text": "hm", "thought": True}, {"text": "兩"}]}}]}
    blocked = {"candidates": [{"content": {"parts": []}, "finishReason": "SAFETY"}]}
    whole = {"candidates": [{"content": {"parts": [{"text": "年"}]}, "finishReason": "STOP"}]}
    told: list[str] = []
    with LocalServer([events(thought, whole), events(thought, blocked), events(thought)]) as server:
        model = load("model", "gemini:m", base_url=server.url, api_key="AIzaSecret0123456789")
        assert model.stream(ASK, told.append).text == "兩年"
        with pytest.raises(ModelRefused):
            model.stream(ASK, told.append)
        with pytest.raises(ModelError):
            model.stream(ASK, told.append)
    assert told == ["兩", "年", "兩", "兩"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_gemini_embeds_with_the_task() -> None:
    pytest.importorskip("google.genai")
    replies = [Reply({"embeddings": [{"values": [3.0, 4.0]}, {"values": [0.0, 2.0]}]})]
    with LocalServer(replies) as server:
        embedder = load(
            "embedder", "gemini:gemini-embedding-001", base_url=server.url, api_key="AIzaSecret012", dimension=2
        )
        rows = embedder.embed(["a", ""], kind="document")
    assert [[round(float(v), 3) for v in row] for row in rows] == [[0.6, 0.8], [0.0, 1.0]]
    sent = server.seen[0].body["requests"]
    assert [one["taskType"] for one in sent] == ["RETRIEVAL_DOCUMENT"] * 2
    assert [one["outputDimensionality"] for one in sent] == [2, 2]
    assert embedder.dimension == 2
