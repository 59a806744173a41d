"""The answer cache: what is put is there, in another process too, and a broken file is a sentence."""

import subprocess
import sys

import pytest

from groundtune.errors import StoreError
from groundtune.measure.cache import AnswerCache, cache_key
from groundtune.types import Answer, Chunk, Citation, Hit, Usage, digest

CHUNK = Chunk("c1", "a.md", "v1", "Text。", 0, 5, digest("Text。"), title="T", heading="§ 1")
ANSWER = Answer(
    "Text。",
    citations=(Citation("a.md", "v1", 0, 5, "Text。"),),
    usage=Usage(10, 3),
    seconds=1.25,
    confidence=0.5,
    context=(Hit(CHUNK, 1.5, lexical=1.0),),
)


def test_an_answer_comes_back_whole(tmp_path):
    with AnswerCache(tmp_path / "runs" / "cache.sqlite") as cache:
        cache.put("k", ANSWER)
        assert cache.get("k") == ANSWER
        assert cache.get("other") is None
    with AnswerCache(tmp_path / "runs" / "cache.sqlite") as again:
        assert again.get("k") == ANSWER


def test_keys_depend_on_every_part_and_not_on_order():
    assert cache_key({"a": 1, "b": "x"}) == cache_key({"b": "x", "a": 1})
    assert cache_key({"a": 1, "b": "x"}) != cache_key({"a": 1, "b": "y"})


def test_a_row_that_cannot_be_read_is_a_miss(tmp_path):
    with AnswerCache(tmp_path / "c.sqlite") as cache:
        cache.put("k", ANSWER)
        cache._connection.execute("UPDATE answers SET answer = '{'")
        assert cache.get("k") is None


def test_a_broken_file_is_a_sentence(tmp_path):
    path = tmp_path / "c.sqlite"
    path.write_bytes(b"not a database, not at all, " * 40)
    with pytest.raises(StoreError, match=r"c\.sqlite"):
        AnswerCache(path)


def test_what_was_put_survives_kill_minus_nine(tmp_path):
    code = (
        "import os, signal, sys; from groundtune.measure.cache import AnswerCache; from groundtune.types import Answer\n"
        "cache = AnswerCache(__import__('pathlib').Path(sys.argv[1])); cache.put('k', Answer('kept'))\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "c.sqlite")], check=False)
    assert done.returncode == -9
    with AnswerCache(tmp_path / "c.sqlite") as cache:
        assert cache.get("k") == Answer("kept")
