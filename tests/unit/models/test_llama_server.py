"""A real OpenAI-compatible server: llama.cpp's own, with a GGUF file that was exported from ``builtin:base``."""

from __future__ import annotations

import json
import threading

import pytest

from groundtune import registry
from groundtune.errors import ModelError
from groundtune.tuning.export_llama import Xllamacpp
from groundtune.tuning.export_source import open_source
from groundtune.tuning.gguf import write_gguf
from groundtune.types import Message

pytestmark = [pytest.mark.tune, pytest.mark.llama]
SYSTEM = Message("system", "Answer from the passages.")
CHATS = [
    (SYSTEM, Message("user", "[1] Leave\nFull-time staff have 27 days of paid leave.\n\nHow many days of leave do staff have?")),
    (SYSTEM, Message("user", "[1] 休假\n員工每年有十二天特休假，2024年起適用。\n\n員工有幾天特休假？")),
    (SYSTEM, Message("user", "[1] 休暇\n従業員には年12日の休暇があります。\n\n従業員の休暇は何日ですか。")),
    (Message("user", "Write  this again:\n\tKX-4471"),),
]  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Where the server listens."""
    pytest.importorskip("openai")
    path = tmp_path_factory.mktemp("served") / "house.gguf"
    write_gguf(open_source("builtin:base"), path, name="house")
    running = Xllamacpp(path)
    assert running.address.startswith("http://127.0.0.1:")
    yield running.address
    del running


@pytest.fixture(scope="module")
def remote(server):
    model = registry.load("model", f"openai:house@{server}/v1", timeout=60)
    yield model
    model.endpoint.client.close()


def test_the_server_answers_as_the_model_that_was_exported(remote):
    here = registry.load("model", "builtin:base")
    for chat in CHATS:
        expected, found = here.generate(chat, max_tokens=48), remote.generate(chat, max_tokens=48)
        assert (found.text, found.finished) == (expected.text, expected.finished)
        assert found.usage.input_tokens == expected.usage.input_tokens


def test_a_limit_cuts_and_is_said(remote):
    found = remote.generate(CHATS[3], max_tokens=2)
    assert not found.finished and found.usage.output_tokens == 2


def test_a_schema_is_kept_to(remote):
    schema = {"type": "object", "properties": {"answer": {"enum": ["yes", "no"]}}, "required": ["answer"],
              "additionalProperties": False}  # fmt: skip
    found = remote.generate(CHATS[0], max_tokens=32, schema=schema)
    assert json.loads(found.text)["answer"] in ("yes", "no")


def test_several_may_ask_at_once(remote):
    expected = [remote.generate(chat, max_tokens=24).text for chat in CHATS]
    found = [""] * len(CHATS)

    def ask(number):
        found[number] = remote.generate(CHATS[number], max_tokens=24).text

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(len(CHATS))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == expected


def test_a_prompt_that_is_too_long_is_refused_with_a_sentence(remote):
    with pytest.raises(ModelError) as caught:
        remote.generate((Message("user", "leave " * 3000),), max_tokens=4)
    assert "house" in str(caught.value) or "127.0.0.1" in str(caught.value)
