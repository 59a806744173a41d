"""Many chunks at once give exactly what each gives alone, and batches joined what one batch gives."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundtune.text import batch
from groundtune.text.batch import invert
from groundtune.text.inverted import join, pack
from groundtune.text.tokenise import body_terms, label_terms

TEXT = st.text(alphabet="ab Z9,.%é’—\n罰鍰三千萬元第條が々𠮷ﾊﾟ한국_#ㄅ", max_size=60)
PART = st.tuples(st.sampled_from(["", "Title", "罰則", "ㄅㄆ"]), st.sampled_from(["", "§ 1", "第一條"]), TEXT)


@pytest.fixture
def at_once(monkeypatch):
    """Few chunks take the way of many."""
    monkeypatch.setattr(batch, "_WORTH", 0)


def alone(parts):
    return [(label_terms(title, heading), body_terms(text, title)) for title, heading, text in parts]


def packed(parts):
    terms = alone(parts)
    return pack([label for label, _ in terms], [body for _, body in terms])


def assert_same(found, expected):
    assert found.terms == expected.terms
    for name in ("lengths", "bounds", "values"):
        assert np.array_equal(getattr(found, name), getattr(expected, name)), name


@pytest.mark.usefixtures("at_once")
@given(st.lists(PART, min_size=1, max_size=6))
def test_many_together_give_what_each_gives_alone(parts):
    found = invert(parts)
    assert found.terms == alone(parts)
    assert_same(found.packed, packed(parts))


def test_few_chunks_and_none_are_inverted_too():
    assert invert([]).terms == []
    assert_same(invert([("t", "", "罰鍰 fine")]).packed, packed([("t", "", "罰鍰 fine")]))


@pytest.mark.usefixtures("at_once")
def test_a_term_that_is_very_frequent_counts_at_most_255_halves():
    found = invert([("", "", "fine " * 400)])
    assert found.packed.terms == ["fine"] and found.packed.values.tolist() == [255]


@pytest.mark.usefixtures("at_once")
def test_words_of_a_script_behind_the_chinese_characters_stand_in_order():
    found = invert([("", "", "ㄅㄆ word 罰鍰"), ("", "", "罰鍰 ㄅㄆ")]).packed
    assert found.terms == sorted(found.terms) and "ㄅㄆ" in found.terms and "罰鍰" in found.terms


@given(st.lists(st.lists(PART, min_size=1, max_size=4), min_size=1, max_size=4))
def test_joined_batches_give_what_one_batch_gives(groups):
    assert_same(join([packed(parts) for parts in groups]), packed([part for parts in groups for part in parts]))
