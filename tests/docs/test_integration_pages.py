"""The pages of docs/integrations that show code are executed: files are written, Python runs, commands run, and what a
page says is printed must be printed.

In a page, a block whose first line is ``# file: NAME`` is written to that file; a ``python`` block runs in the page's one
namespace; lines of a ``console`` block that begin with ``$ groundtune`` are run; a ``text`` block right after one of
these is what it prints (``…`` stands for anything).
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import shutil
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import tiny_models
from click.testing import CliRunner
from vendor_servers.model_server import KEY, ModelServer

from groundtune import registry
from groundtune.cli.main import cli
from groundtune.models import http

ROOT = Path(__file__).parents[2]
PAGES = {
    "langchain": "langchain_core", "llamaindex": "llama_index.core", "plugins": "", "exports": "pandas",
    "openai": "openai", "gemini": "google.genai", "anthropic": "anthropic", "ollama": "", "litellm": "litellm",
    "huggingface": "transformers", "../how-to/sizing": "",
}  # fmt: skip
# Where the pages about models find their provider: the variables that name its address and its key.
PROVIDERS = {
    "openai": ("OPENAI_BASE_URL", "/v1", ("OPENAI_API_KEY", "GROUNDTUNE_API_KEY")),
    "gemini": ("GOOGLE_GEMINI_BASE_URL", "", ("GEMINI_API_KEY",)),
    "anthropic": ("ANTHROPIC_BASE_URL", "", ("ANTHROPIC_API_KEY",)),
    "ollama": ("OLLAMA_HOST", "", ()),
    "litellm": ("OPENAI_BASE_URL", "/v1", ("OPENAI_API_KEY",)),
}
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

SHORT = {"huggingface": 2, "../how-to/sizing": 2}  # blocks of the pages that need fewer than three


def blocks(page: str) -> list[tuple[str, str]]:
    return _BLOCK.findall((ROOT / "docs" / "integrations" / f"{page}.md").read_text(encoding="utf-8"))


def printed(expected: str, found: str) -> bool:
    parts = [re.escape(part) for part in expected.strip().split("…")]
    return re.fullmatch(".*?".join(parts), found.strip(), re.DOTALL) is not None


def run_console(text: str) -> str:
    out: list[str] = []
    for line in text.splitlines():
        if line.startswith("$ groundtune"):
            import shlex

            result = CliRunner().invoke(cli, shlex.split(line.partition("#")[0])[2:])
            assert result.exit_code == 0, (line, result.stderr, result.exception)
            out.append(result.stdout)
    return "".join(out)


@pytest.fixture
def provider(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], str]]:
    """A server that stands in for the page's provider; puts its address into a text. Skips without the page's package."""
    page = request.getfixturevalue("page")
    if PAGES[page]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pytest.importorskip(PAGES[page], reason=f"{PAGES[page]} is not installed")
    if page not in PROVIDERS:
        yield lambda text: text
        return
    variable, path, keys = PROVIDERS[page]
    monkeypatch.setattr(http.with_retries, "__kwdefaults__", {"sleep": lambda _: None})
    with ModelServer() as server:
        monkeypatch.setenv(variable, server.url + path)
        for key in keys:
            monkeypatch.setenv(key, KEY)
        yield lambda text: text.replace("http://localhost:8000", server.url)
        assert any("27 days" in json.dumps(seen.body) for seen in server.seen), "the provider was not asked"


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning:pydantic")
@pytest.mark.parametrize("page", PAGES)
def test_page(provider: Callable[[str], str], page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    if page == "huggingface":
        tiny_models.llama(tmp_path / "tiny-model")
        tiny_models.encoder(tmp_path / "tiny-encoder")
        tiny_models.encoder(tmp_path / "tiny-reranker", scores=True)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(registry, "_places", [])
    monkeypatch.setenv("GROUNDTUNE_LANG", "en")
    monkeypatch.setenv("COLUMNS", "140")
    before = set(sys.modules)
    names: dict[str, Any] = {"__name__": f"page_{page}"}
    last, ran = "", 0
    found = [(language, provider(text)) for language, text in blocks(page)]
    try:
        for language, text in found:
            first, _, rest = text.partition("\n")
            if first.startswith("# file: "):
                target = tmp_path / first.removeprefix("# file: ").strip()
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(rest, encoding="utf-8")
            elif language == "python":
                shown = io.StringIO()
                with contextlib.redirect_stdout(shown):
                    exec(compile(text, f"{page}.md", "exec"), names)  # noqa: S102
                last, ran = shown.getvalue(), ran + 1
            elif language == "console":
                last, ran = run_console(text), ran + 1
            elif language == "text":
                assert printed(text, last), f"the page says:\n{text}\nbut this was printed:\n{last}"
    finally:
        for name in set(sys.modules) - before:
            if getattr(sys.modules[name], "__file__", None) and str(tmp_path) in str(sys.modules[name].__file__):
                del sys.modules[name]
    assert ran >= SHORT.get(page, 3), "a page without code shows nothing"


def test_a_wrong_output_is_noticed() -> None:
    assert printed("a … b", "a x\ny b") and not printed("a b", "a c") and not printed("a", "a b")


def test_the_case_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """cases/langchain-app, with a model that repeats the best sentence instead of the built-in one."""
    pytest.importorskip("langchain_core", reason="needs the langchain extra (langchain-core not installed)")
    folder = tmp_path / "case"
    shutil.copytree(
        ROOT / "cases" / "langchain-app", folder, ignore=shutil.ignore_patterns(".groundtune", "__pycache__")
    )
    monkeypatch.setenv("GARDEN_MODEL", "fake:extract")
    monkeypatch.setenv("GROUNDTUNE_LANG", "en")
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(registry, "_places", [])
    try:
        result = CliRunner().invoke(cli, ["-C", str(folder), "compare", "--model", "fake:extract", "--json"])
        assert result.exit_code == 0, result.stderr
        table = {one["name"]: one for one in json.loads(result.stdout)["report"]["approaches"]}
        theirs = table["langchain:garden_app:chain"]
        assert set(table) == {"prompt", "rag", "langchain:garden_app:chain"}
        assert not theirs["errors"] and len(theirs["items"]) == 26 and theirs["input_tokens"] > 0
        assert theirs["metrics"]["answer_in_output"]["value"] > 0.9, "the vector store finds nearly every passage"
        assert theirs["metrics"]["quote_verbatim"]["value"] == 1.0, "its citations are looked up in the documents"
        assert table["prompt"]["metrics"]["answer_in_output"]["value"] == 0.0
    finally:
        sys.modules.pop("garden_app", None)
