"""Approaches that the user brings: what they may return, how their sources are found again, what their errors become."""

import sys
from pathlib import Path

import pytest
from local_server import LocalServer, Reply
from small_project import DOCUMENTS, Shelf

from groundtune.approaches.brought import check_brought
from groundtune.approaches.opening import open_approach
from groundtune.approaches.setting import Setting
from groundtune.config import Config, FormatSection
from groundtune.errors import ApproachFailed, ConfigError
from groundtune.types import Question, Usage

APP = """
from types import SimpleNamespace

def plain(question):
    return f"27 days, you asked: {question}"

def rich(question):
    return {"answer": "27 days",
            "citations": ["Every employee has 27 days of leave.", {"quote": "Bay 5 is closed", "document": "pay.md"}],
            "usage": {"prompt_tokens": 11, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 8}}}

def shown(question):
    return {"answer": "27 days", "context": ["Every employee has 27 days of leave.", "Not ours at all."]}

def broken(question):
    return {}["no such key"]

def leaves(question):
    raise SystemExit(3)

class Chain:
    def invoke(self, question):
        message = SimpleNamespace(content="27 days", usage_metadata={"input_tokens": 5, "output_tokens": 2})
        document = SimpleNamespace(page_content="Every employee has 27 days of leave.", metadata={"source": "docs/leave.md"})
        return {"answer": message, "context": [document]}

class Engine:
    def query(self, question):
        node = SimpleNamespace(get_content=lambda: "Salaries are paid on the 25th.", metadata={"file_name": "pay.md"})
        return SimpleNamespace(response="the 25th", source_nodes=[SimpleNamespace(node=node, score=0.5)])

chain, engine, number = Chain(), Engine(), 7
"""


@pytest.fixture
def opened(tmp_path, monkeypatch):
    (tmp_path / "brought_app.py").write_text(APP, encoding="utf-8")
    monkeypatch.setattr(sys, "path", list(sys.path))
    config = Config(format=FormatSection(instruction="house"), folder=tmp_path)
    setting = Setting(config, Shelf(), None, Path("unused"), lambda adapter: None)

    def opening(name):
        approach = open_approach(name, setting)
        approach.fit(DOCUMENTS, ())
        return approach

    yield opening
    sys.modules.pop("brought_app", None)


def test_a_function_may_return_a_string(opened):
    approach = opened("python:brought_app:plain")
    answer = approach.answer(Question("how many?"))
    assert (answer.text, answer.abstained, approach.name) == (
        "27 days, you asked: how many?",
        False,
        "python:brought_app:plain",
    )


def test_a_dictionary_brings_citations_and_usage(opened):
    answer = opened("python:brought_app:rich").answer(Question("how many?"))
    assert [(c.document_id, c.quote) for c in answer.citations] == [
        ("leave.md", "Every employee has 27 days of leave.")
    ]
    assert answer.dropped_citations == 1  # that quote does not stand in the document it names
    assert answer.usage == Usage(11, 3, 8)


def test_passages_are_found_again_in_our_documents(opened):
    answer = opened("python:brought_app:shown").answer(Question("how many?"))
    assert [hit.chunk.document_id for hit in answer.context][0] == "leave.md"
    chunk = answer.context[0].chunk
    assert DOCUMENTS[0].text[chunk.start : chunk.end] == chunk.text
    assert answer.citations[0].document_id == "leave.md"


@pytest.mark.parametrize(
    ("name", "text", "document", "tokens"),
    [
        ("langchain:brought_app:chain", "27 days", "leave.md", 5),
        ("llamaindex:brought_app:engine", "the 25th", "pay.md", 0),
    ],
)
def test_chains_and_engines_are_taken_by_their_shape(opened, name, text, document, tokens):
    answer = opened(name).answer(Question("?"))
    assert (answer.text, answer.context[0].chunk.document_id, answer.usage.input_tokens) == (text, document, tokens)
    assert answer.citations[0].document_id == document


@pytest.mark.parametrize(("function", "reason"), [("broken", "KeyError: 'no such key'"), ("leaves", "SystemExit: 3")])
def test_what_it_raises_is_told_with_the_last_line(opened, function, reason):
    with pytest.raises(ApproachFailed) as caught:
        opened(f"python:brought_app:{function}").answer(Question("?"))
    for lang in ("en", "zh-TW", "ja"):
        said = caught.value.sentence(lang)
        assert reason in said and "brought_app.py:" in said


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("python:brought_app", "python:module:object"),
        ("python:no_such_app:f", "No module named 'no_such_app'"),
        ("python:brought_app:nothing", "no attribute 'nothing'"),
        ("python:brought_app:number", "__call__"),
        ("langchain:brought_app:plain", "invoke"),
        ("url:localhost#m", "url:http://host:port/v1#model"),
        ("url:http://localhost/v1", "url:http://host:port/v1#model"),
    ],
)
def test_what_cannot_be_loaded_is_one_sentence(opened, tmp_path, name, part):
    with pytest.raises(ConfigError) as caught:
        check_brought(name, tmp_path)
    assert part in str(caught.value)


def test_changed_code_has_another_digest(opened, tmp_path):
    before = opened("python:brought_app:plain").digest
    (tmp_path / "brought_app.py").write_text(APP + "\n# changed\n", encoding="utf-8")
    assert opened("python:brought_app:plain").digest != before


def test_a_url_gets_the_instruction_and_the_question(opened):
    pytest.importorskip("openai")
    body = {
        "id": "1", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "27 days"}}],
        "usage": {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11},
    }  # fmt: skip
    with LocalServer([Reply(body)]) as server:
        answer = opened(f"url:{server.url}/v1#mine").answer(Question("how many?"))
        assert [m["content"] for m in server.seen[0].body["messages"]] == ["house", "how many?"]
    assert (answer.text, answer.usage) == ("27 days", Usage(9, 2))
