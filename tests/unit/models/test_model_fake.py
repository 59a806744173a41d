import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundtune.errors import DataError, SpecError
from groundtune.models import fake
from groundtune.registry import load
from groundtune.text.prompts import Shown, render
from groundtune.types import Message

PASSAGES = [
    "Our office opens at nine. The warranty lasts two years from the day of purchase.",
    "員工每年有十二天特休假。停車場在地下二樓。",
    "保証期間は購入日から二年です。",
]


def user(text: str) -> list[Message]:
    return [Message("system", "s"), Message("user", "earlier"), Message("assistant", "a"), Message("user", text)]


def test_echo_and_fixed() -> None:
    model = load("model", "fake:echo", adapter=None, threads=1)
    made = model.generate(user("two words 兩年"), seed=3, schema={})
    assert (made.text, made.finished, made.model) == ("two words 兩年", True, "fake:echo")
    assert (made.usage.input_tokens, made.usage.output_tokens) == (7, 4)
    assert model.calls == [tuple(user("two words 兩年"))]
    cut = model.generate(user("two words 兩年"), max_tokens=3)
    assert (cut.text, cut.finished, cut.usage.output_tokens) == ("two words 兩", False, 3)
    assert load("model", "fake:fixed=a=b").generate(user("x")).text == "a=b"


def test_script(tmp_path: Path) -> None:
    path = tmp_path / "script.jsonl"
    lines = [{"input": "q", "output": "a"}, {"input": "保固", "output": "兩年"}]
    path.write_text("\n\n".join(json.dumps(line) for line in lines), encoding="utf-8")
    model = load("model", f"fake:script={path}")
    assert [model.generate(user(text)).text for text in ("保固", "q")] == ["兩年", "a"]
    with pytest.raises(DataError, match="no answer for “other”"):
        model.generate(user("other"))
    path.write_text(path.read_text() + '\n{"output": "default"}')
    assert load("model", f"fake:script={path}").generate(user("other")).text == "default"
    path.write_text('{"input": "q", "output": "a"}\n{broken')
    with pytest.raises(DataError, match="line 2"):
        load("model", f"fake:script={path}")
    with pytest.raises(DataError, match="does not exist"):
        load("model", "fake:script=nowhere.jsonl")


def test_unknown_name_suggests() -> None:
    with pytest.raises(SpecError, match="Did you mean “extract”"):
        load("model", "fake:extrct")
    with pytest.raises(SpecError, match="Known: echo"):
        load("model", "fake:zzz")


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("How long does the warranty last?", "The warranty lasts two years from the day of purchase."),
        ("特休假有幾天？", "員工每年有十二天特休假。"),
        ("保証期間は何年ですか。", "保証期間は購入日から二年です。"),
        ("zzz", ""),
    ],
)
def test_extract_and_reader(question: str, expected: str) -> None:
    shown = [Shown(f"Warranty {question}", text) for text in PASSAGES]
    model = load("model", "fake:extract")
    assert model.generate(user(render(question, shown))).text == expected
    assert model.generate(user(question)).text == ""
    readings = load("reader", "fake:lexical").read(question, PASSAGES)
    found = [PASSAGES[r.index][r.start : r.end] for r in readings]
    assert (found or [""])[0] == expected
    assert all(0 < r.probability <= 1 for r in readings)


def test_reader_orders_and_limits() -> None:
    reader = fake.open_reader()
    assert reader.threshold == 0.3
    readings = reader.read("warranty purchase office", PASSAGES, k=5)
    assert [r.probability for r in readings] == pytest.approx([2 / 3, 1 / 3])
    assert len(reader.read("warranty purchase office", PASSAGES, k=1)) == 1
    assert reader.read("", PASSAGES) == []
    assert reader.read("warranty", []) == []


@given(st.lists(st.text(max_size=60), max_size=6))
def test_embedder_gives_unit_vectors(texts: list[str]) -> None:
    rows = fake.open_embedder().embed(texts, kind="query")
    assert rows.shape == (len(texts), 256)
    assert rows.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)


def test_embedder_puts_like_texts_close() -> None:
    rows = load("embedder", "fake:").embed(["特休假有幾天", *PASSAGES], kind="document")
    assert int(np.argmax(rows[1:] @ rows[0])) == 1
