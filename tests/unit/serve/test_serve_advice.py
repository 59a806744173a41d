"""The interview as a web page: three languages, no script, nothing trusted that comes from the form."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import pytest

from groundtune.messages import catalogue
from groundtune.serve import advice
from groundtune.verdict.advise import ANSWERS

LANGUAGES = ("en", "zh-TW", "ja")


class Page(HTMLParser):
    """Labels, fields and what is chosen."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.labels: set[str] = set()
        self.fields: dict[str, str] = {}
        self.chosen: set[str] = set()
        self.tags: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {key: value or "" for key, value in attrs}
        self.tags.append(tag)
        if tag == "label":
            self.labels.add(found["for"])
        if tag in ("select", "input") and found.get("id"):
            self.fields[found["id"]] = found["name"]
        if tag == "option" and "selected" in found:
            self.chosen.add(found["value"])


@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_question_has_a_label_and_a_field(lang: str) -> None:
    text, status = advice.page({"lang": lang}, "en")
    page = Page(text)
    assert status == 200 and set(page.fields.values()) == set(ANSWERS) and page.labels == set(page.fields)
    assert "script" not in page.tags and catalogue(lang)["verdict.ask.volume"] in text
    assert 'id="first"' not in text


@pytest.mark.parametrize(("lang", "words"), [("en", "Start with RAG"), ("zh-TW", "先做 RAG"), ("ja", "まず RAG から")])
def test_the_advice_stands_under_the_form(lang: str, words: str) -> None:
    given = {"lang": lang, "update_frequency": "weekly", "citations_needed": "yes", "volume": "50,000", "budget": ""}
    text, status = advice.page(given, "en")
    assert status == 200 and words in text and "{" not in text
    assert {"weekly", "yes"} <= Page(text).chosen and 'value="50,000"' in text


def test_wanting_to_train_knowledge_brings_the_warning() -> None:
    text, _ = advice.page({"wants_to_train_knowledge": "yes"}, "en")
    assert "fine-tuning does not teach knowledge" in text


@pytest.mark.parametrize(
    "given",
    [{"volume": "many"}, {"volume": "-1"}, {"volume": "inf"}, {"update_frequency": "<script>alert(1)</script>"}],
)
def test_wrong_answers_are_said_and_never_become_markup(given: dict[str, str]) -> None:
    for lang in LANGUAGES:
        text, status = advice.page({**given, "lang": lang}, "en")
        assert status == 400 and 'role="alert"' in text and "<script>alert" not in text


def test_an_unknown_language_is_the_default() -> None:
    assert advice.page({"lang": "xx"}, "ja")[0] == advice.page({}, "ja")[0]


def test_over_http_with_the_strict_policy(tmp_path: Path) -> None:
    testclient = pytest.importorskip("starlette.testclient", reason="needs the serve extra")
    pytest.importorskip("httpx", reason="needs the dev extra")
    from groundtune.serve.app import create_app
    from groundtune.serve.service import Service

    class Nothing:
        name = "rag"

    service = Service(Nothing(), Nothing(), token="t")  # type: ignore[arg-type]
    client = testclient.TestClient(create_app(service), base_url="http://localhost")
    found = client.get("/advise", params={"update_frequency": "live", "lang": "ja"})
    assert found.status_code == 200 and "まず RAG から" in found.text
    assert "default-src 'none'" in found.headers["content-security-policy"]
    assert client.get("/advise", params={"volume": "x"}).status_code == 400
