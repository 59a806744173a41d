"""``builtin:embed``: unit rows, folding, batches that do not matter, damage and unseen scripts."""

import hashlib
import json
import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundtune.errors import ModelError, SpecError
from groundtune.models import static as module
from groundtune.models.static_features import BUCKETS, features
from groundtune.registry import load


@pytest.fixture(scope="module")
def embedder():
    return load("embedder", "builtin:embed")


def test_a_question_is_nearest_to_its_paragraph(embedder):
    texts = [
        "The warranty of the pump lasts nine years and covers the motor.",
        "員工每年有十二天特別休假，請於一週前申請。",
        "食堂は正午に開き、日替わり定食は六百円です。",
    ]
    questions = ["How long is the pump's warranty?", "特休有幾天？", "定食はいくらですか"]
    similar = embedder.embed(questions, kind="query") @ embedder.embed(texts, kind="document").T
    assert similar.argmax(axis=1).tolist() == [0, 1, 2]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text(alphabet="aBc Ｚé台臺北のカ𠮷가1２.\n\ud800", max_size=30), max_size=6))
def test_rows_have_length_one_and_do_not_depend_on_the_batch(texts):
    embedder = load("embedder", "builtin:embed")
    rows = embedder.embed(texts, kind="document")
    assert rows.shape == (len(texts), embedder.dimension) and rows.dtype == np.float32
    for text, row in zip(texts, rows, strict=True):
        assert np.allclose(row, embedder.embed([text], kind="query")[0], atol=1e-6)
        length = np.linalg.norm(row)
        telling = any(c.isalnum() and not "\u3041" <= c <= "\u309f" for c in text)  # hiragana alone tells nothing
        assert length == pytest.approx(1.0 if telling else 0.0, abs=1e-5)


def test_case_width_and_variants_are_folded(embedder):
    same = [("ＴＡＸ Office", "tax office"), ("臺北車站", "台北車站"), ("Ｎｏ．５", "no.5")]
    for a, b in same:
        rows = embedder.embed([a, b], kind="document")
        assert np.allclose(rows[0], rows[1], atol=1e-6)


def test_features_name_their_text_in_order():
    found = features(["one two", "", "臺北"])
    assert all((np.diff(kind.rows) >= 0).all() and (kind.buckets < BUCKETS).all() for kind in found)
    assert {int(row) for kind in found for row in kind.rows} == {0, 2}


def test_coverage_tells_a_script_without_training_text(embedder):
    assert embedder.coverage(["The committee met in March.", "委員會於三月開會。", "委員会は三月に開かれた。"]) > 0.9
    assert embedder.coverage([]) == 0.0
    assert embedder.coverage(["!!"]) == 0.0


def test_other_names_and_damage_are_named(tmp_path, monkeypatch):
    with pytest.raises(SpecError, match="embed"):
        load("embedder", "builtin:embedd")
    shutil.copytree(module.FOLDER, tmp_path / "embed")
    weights = tmp_path / "embed" / "weights.npz"
    weights.write_bytes(weights.read_bytes()[:-10])
    monkeypatch.setattr(module, "FOLDER", tmp_path / "embed")
    module._shipped.cache_clear()
    with pytest.raises(ModelError, match=r"weights\.npz is damaged"):
        load("embedder", "builtin:embed")
    module._shipped.cache_clear()


def test_card_says_what_is_there():
    card = json.loads((module.FOLDER / "card.json").read_text(encoding="utf-8"))
    data = (module.FOLDER / "weights.npz").read_bytes()
    assert hashlib.sha256(data).hexdigest() == card["sha256"]["weights.npz"]
    assert len(data) == card["bytes"] <= 8_000_000
    assert set(card["dev_ranking"]) == {"en", "ja", "zh-Hant"}
