"""Wrong calls: exit code 2, one sentence in the chosen language, JSON when asked."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import Cli

from groundtune import errors
from groundtune.cli import failures

SOURCE = Path(__file__).resolve().parents[2] / "src"
KINDS = {cls.kind for cls in vars(errors).values() if isinstance(cls, type) and issubclass(cls, Exception)}


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("askk",), "Did you mean “ask”"),
        (("nothing-like-it",), "Known: demo, init"),
        (("ask",), "QUESTION is missing"),
        (("ask", "q", "--modle", "x"), "did you mean --model"),
        (("ask", "q", "--k", "many"), "--k: “many” is not a whole number"),
        (("ask", "q", "--k", "0"), "0 is not between 1 and 1000"),
        (("ask", "q", "--k"), "lack its value"),
        (("init", "a", "b"), "more than this command takes: b"),
        (("cost", "--horizon-months", "-1"), "the least is 1"),
        (("cost", "--growth-per-month", "nan"), "is not a number"),
        (("advise", "--knowledge-location", "head"), "is not one of documents, live, none"),
        (("serve", "--port", "99999"), "is not between 1 and 65535"),
    ],
)
def test_wrong_calls(groundtune: Cli, args: tuple[str, ...], said: str) -> None:
    assert said in groundtune.fails(*args, code=2)


@pytest.mark.parametrize(("lang", "said"), [("zh-TW", "缺少 QUESTION"), ("ja", "QUESTION が指定されていません")])
def test_wrong_calls_in_other_languages(groundtune: Cli, lang: str, said: str) -> None:
    assert said in groundtune.fails("ask", "--lang", lang, code=2)
    assert said in groundtune.fails("--lang", lang, "ask", code=2)


def test_unknown_language(groundtune: Cli) -> None:
    assert "not one of en, zh-TW, ja" in groundtune.fails("cost", "--lang", "fr", code=2)
    assert groundtune.run("cost", "--lang", "zh_tw").exit_code == 0


def test_language_comes_from_the_project_then_the_environment(
    groundtune: Cli, make_project: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_project(language="ja")
    assert "指定されていません" in groundtune.run("ask", "-C", root).stderr
    assert "is missing" in groundtune.run("ask", "-C", root, "--lang", "en").stderr
    monkeypatch.setenv("LANG", "zh_TW.UTF-8")
    assert "缺少" in groundtune.run("ask").stderr
    assert "指定されていません" in groundtune.run("ask", "-C", root).stderr


def test_outside_a_project(groundtune: Cli) -> None:
    for verb in ("ingest", "lint", "compare", "decide", "tune", "adapters", "serve", "status", "verify"):
        assert "There is no groundtune.toml in" in groundtune.fails(verb, code=2)
    assert list(groundtune.folder.iterdir()) == []


def test_project_is_found_from_below(
    groundtune: Cli, make_project: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(make_project() / "documents")
    assert groundtune.run("adapters").exit_code == 0


def test_all_mistakes_of_the_toml_at_once(groundtune: Cli, make_project: Callable[..., Path]) -> None:
    root = make_project(toml='[retrieval]\nkk = 3\ncontext_token = 9\n[compare]\nshots = "x"\n[modles]\nbase = "b"\n')
    said = groundtune.fails("ingest", "-C", root, code=2)
    for part in ("4 problem(s)", "[retrieval] kk", "did you mean context_tokens", "[compare] shots", "[modles]"):
        assert part in said
    assert not (root / ".groundtune").exists()


def test_broken_toml(groundtune: Cli, make_project: Callable[..., Path]) -> None:
    root = make_project()
    (root / "groundtune.toml").write_text("[project\n", encoding="utf-8")
    assert "not valid TOML" in groundtune.fails("ingest", "-C", root, code=2)


@pytest.mark.parametrize(
    ("error", "kind", "code"),
    [
        (errors.ModelUnreachable("interop.model_failed", name="m", reason="r"), "model_unreachable", 1),
        (errors.MissingExtra("core.missing_extra", what="w", package="p", extra="tune"), "missing_extra", 2),
        (OSError(28, "No space left", "/x"), "error", 1),
        (PermissionError(13, "denied", "/x"), "error", 1),
        (KeyboardInterrupt(), "error", 130),
        (MemoryError(), "error", 1),
        (ValueError("odd\nthing"), "error", 1),
    ],
)
def test_any_exception_is_one_sentence_of_a_known_kind(error: BaseException, kind: str, code: int) -> None:
    failure = failures.failure_of(error)
    assert (failure.kind, failure.exit_code) == (kind, code)
    assert failure.kind in KINDS and "\n" not in failure.message and len(failure.message) > 10


def test_an_unexpected_error_has_a_traceback_only_for_debugging(
    groundtune: Cli, make_project: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object) -> None:
        raise RuntimeError("not foreseen")

    monkeypatch.setattr("groundtune.cli.adapters.Adapters", fail)
    root = make_project()
    said = groundtune.fails("adapters", "-C", root, code=1)
    assert "RuntimeError: not foreseen" in said and "GROUNDTUNE_DEBUG=1" in said
    monkeypatch.setenv("GROUNDTUNE_DEBUG", "1")
    assert "Traceback" in groundtune.run("adapters", "-C", root).stderr


def _start(*args: str, **options: object) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(SOURCE), "PYTHONUTF8": "1", "LANG": "C"}
    command = [sys.executable, "-m", "groundtune", *args]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env=environment, stdout=pipe, stderr=pipe, text=True, encoding="utf-8", **options)  # type: ignore[call-overload,no-any-return]


def test_a_real_process(tmp_path: Path) -> None:
    process = _start("ask", "--lang", "ja", cwd=tmp_path)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 2 and out == "" and err.startswith("エラー：")


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_interrupt_is_130_with_a_sentence(make_project: Callable[..., Path], sent: signal.Signals) -> None:
    root = make_project()
    process = _start("ingest", "--watch", "-C", str(root), start_new_session=True)
    deadline = time.monotonic() + 60
    assert process.stderr is not None
    while "Watching" not in process.stderr.readline():
        assert time.monotonic() < deadline and process.poll() is None
    process.send_signal(sent)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130 and "run the same command again" in err and "Traceback" not in err
    assert "2 added" in out


def test_a_closed_pipe_is_quiet(tmp_path: Path) -> None:
    process = _start("cost", "--json", cwd=tmp_path)
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    assert "Traceback" not in process.stderr.read()
    process.wait(timeout=60)
    process.stderr.close()
