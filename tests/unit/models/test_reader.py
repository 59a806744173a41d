"""``builtin:reader``: exact spans, sane probabilities, damage found, same numbers as the training code."""

import hashlib
import json
import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundtune.errors import ModelError, SpecError
from groundtune.models import reader as module
from groundtune.models.reader import open_reader, top_spans
from groundtune.models.reader_network import Network
from groundtune.models.reader_units import IDS, MATCHES, UNKNOWN, cut, encode, matches, rows_of


def test_a_stated_fact_is_found_in_three_languages():
    reader = open_reader("reader")
    cases = (
        (
            "How many days of paid leave do staff have?",
            "The canteen opens at noon. Staff have 27 days of paid leave a year.",
            "27",
        ),
        ("特別休假最小的請假單位是多久？", "員工餐廳中午開放。特休的最小請假單位為30分鐘。", "30"),
        ("有給休暇は年に何日ですか。", "食堂は正午に開きます。有給休暇は年に20日です。", "20"),
    )
    for question, passage, inside in cases:
        best = reader.read(question, [passage])[0]
        assert inside in passage[best.sentence_start : best.sentence_end]
        assert best.sentence_start <= best.start < best.end <= best.sentence_end <= len(passage)
        assert 0.0 <= best.probability <= 1.0


@settings(max_examples=25, deadline=None)
@given(st.text(alphabet="ab 台北。.\n|#12の", max_size=60), st.text(alphabet="ab 台北？12", max_size=20))
def test_any_text_gives_spans_inside_it(passage, question):
    for reading in open_reader("reader").read(question, [passage, ""]):
        assert reading.index == 0
        assert 0 <= reading.sentence_start <= reading.start < reading.end <= len(passage)
        assert passage[reading.start : reading.end].strip()


def test_a_long_passage_is_read_in_windows():
    passage = "Filler words stand here. " * 400 + "The warranty of the pump lasts nine years. " + "More filler. " * 200
    best = open_reader("reader").read("How long does the warranty of the pump last?", [passage])[0]
    assert "nine years" in passage[best.sentence_start : best.sentence_end]


def test_order_is_by_score():
    readings = open_reader("reader").read("Who leads the team?", ["Ann leads the team.", "It rains."], k=4)
    assert [r.score for r in readings] == sorted((r.score for r in readings), reverse=True)


def test_other_names_and_damage_are_named(tmp_path, monkeypatch):
    with pytest.raises(SpecError, match="reader"):
        open_reader("raeder")
    shutil.copytree(module.FOLDER, tmp_path / "reader")
    weights = tmp_path / "reader" / "weights.npz"
    weights.write_bytes(weights.read_bytes()[:-100])
    monkeypatch.setattr(module, "FOLDER", tmp_path / "reader")
    module._shipped.cache_clear()
    with pytest.raises(ModelError, match="weights.npz"):
        open_reader("reader")
    module._shipped.cache_clear()


def test_card_digest_matches_the_file():
    card = json.loads((module.FOLDER / "card.json").read_text(encoding="utf-8"))
    data = (module.FOLDER / "weights.npz").read_bytes()
    assert hashlib.sha256(data).hexdigest() == card["sha256"]["weights.npz"]
    assert len(data) <= 12_000_000


def test_top_spans_do_not_overlap_and_prefer_the_best():
    logits = np.full((7, 2), -5.0, dtype=np.float32)
    logits[2, 0] = logits[3, 1] = 4.0
    logits[6, 0] = logits[6, 1] = 3.0
    spans = top_spans(logits, 2)
    assert [(a, b) for a, b, _ in spans] == [(1, 2), (5, 5)]
    assert spans[0][2] == pytest.approx(8.0 + 10.0)


def test_matches_see_stems_and_cjk_bigrams():
    found = matches(encode("The policies apply."), encode("Which policy?"))
    assert found.shape == (4, MATCHES)
    assert found[1, 1] == 1.0 and found[1, 0] == 0.0
    found = matches(encode("台北的旅館"), encode("台北市？"))
    assert found[0, 2] == 1.0 and found[1, 3] == 1.0 and found[3].sum() < found[0].sum()


def test_cut_keeps_units_together():
    text = "One. Two three."
    part = cut(encode(text), 2, 4)
    assert [text[a:b] for a, b in zip(part.starts, part.ends, strict=True)] == ["Two", "three"]
    assert part.sentence.tolist() == [1, 1]


def test_a_match_counts_more_where_it_is_rare():
    text = "The pump hums. The pump drips. The pump has a valve here. The pump is red."
    found = matches(encode(text), encode("Which pump has a valve?"))
    words = text.replace(".", " .").split()
    pump, valve = words.index("pump"), words.index("valve")
    assert found[pump, 4] == found[valve, 4] == 1.0  # the plain match does not tell them apart
    assert found[pump, 10] == 0.25 and found[valve, 10] == 1.0
    assert found[valve, 11] == found[:, 11].max() == 1.0 > found[pump, 11]
    assert found[valve, 12] > found[-1, 12] > 0
    found = matches(encode("水泵響。水泵滴水。水泵有閥門。水泵是紅的。"), encode("哪個水泵有閥門？"))
    assert found[0, 10] < found[13, 10]  # the character 水 of 水泵 and 門 of 閥門


def test_ids_without_a_row_share_one_of_their_kind():
    known, new = encode("cat 貓咪"), encode("zeppelin 鯨")
    keys = np.unique(known.ids)
    assert keys[rows_of(known, keys) - UNKNOWN].tolist() == known.ids.tolist()
    assert rows_of(new, keys).tolist() == [list(range(IDS)), list(range(IDS, UNKNOWN))]


def test_each_kind_of_script_has_its_network(monkeypatch):
    reader = open_reader("reader")
    asked = []
    monkeypatch.setattr(Network, "logits", lambda self, passages, _: asked.append(self) or [None] * len(passages))
    texts = [encode(text) for text in ("The shop opens at nine.", "本店は九時に開く。")]
    reader.logits(texts, encode("When does the shop open?"))
    reader.logits(texts[:1], encode("本店は何時に開きますか。"))
    words, characters = reader._networks["words"], reader._networks["characters"]
    assert {id(n) for n in asked[:2]} == {id(words), id(characters)} and asked[2] is characters


@pytest.mark.parametrize("question", ["When does the shop open?", "本店はいつ休みますか。"])
def test_a_text_reads_the_same_alone_and_beside_others(question):
    reader = open_reader("reader")
    texts = [
        encode(t * n) for t, n in (("The shop opens at nine. ", 4), ("京都の本店は月曜日に休みます。", 9), ("Two.", 1))
    ]
    together = reader.logits(texts, encode(question))
    for text, logits in zip(texts, together, strict=True):
        assert logits.shape == (1 + len(text), 2)
        assert np.abs(logits - reader.logits([text], encode(question))[0]).max() < 1e-3


@pytest.mark.tune
def test_numpy_and_torch_agree():
    import sys
    from pathlib import Path

    recipes = Path(__file__).parents[3] / "recipes"
    sys.path.insert(0, str(recipes))
    try:
        from reader_export import parity
    finally:
        sys.path.remove(str(recipes))
    with np.load(module.FOLDER / "weights.npz") as stored:
        assert parity({name: stored[name] for name in stored.files}, open_reader("reader")) < 1e-3


def test_a_script_it_has_never_seen_gives_no_answer():
    reader = open_reader("reader")
    assert reader.read("차는 얼마입니까?", ["차는 네 냥입니다.", "Tea costs 4 coins."]) == []
    found = reader.read("What does tea cost?", ["차는 네 냥입니다.", "Tea costs 4 coins."])
    assert {reading.index for reading in found} == {1}
