"""Which parts of passages the reader looks at."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from groundtune.models.reader import open_reader
from groundtune.models.reader_regions import BUDGET, WINDOW, regions
from groundtune.models.reader_units import encode

FILLER = "It rained for most of that week and nobody went outside. " * 12
HOURS = "The museum closes at six on Fridays. "


def test_little_text_is_read_as_a_whole():
    texts = [encode("A short text. Another sentence."), encode("Nothing of it.")]
    found = regions(texts, encode("When does the museum close?"))
    assert [(i, len(part)) for i, part in found] == [(0, len(texts[0])), (1, len(texts[1]))]


def test_of_much_text_the_parts_that_share_words_are_read():
    texts = [encode(FILLER), encode(FILLER + HOURS + FILLER), encode(FILLER)]
    found = regions(texts, encode("When does the museum close on Fridays?"))
    assert [i for i, _ in found] == [1]
    assert sum(len(part) for _, part in found) < len(texts[1]) / 4
    hours = (FILLER + HOURS).index("six")
    assert any(hours in part.starts for _, part in found)


def test_nothing_in_common_means_everything_is_read():
    texts = [encode(FILLER), encode(FILLER)]
    found = regions(texts, encode("博物館幾點關門？"))
    assert {i for i, _ in found} == {0, 1}
    assert max(len(part) for _, part in found) <= WINDOW


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.text(alphabet="ab cd。. 台北\n", max_size=400), max_size=6), st.text(alphabet="ab cd台？", max_size=12)
)
def test_parts_are_unbroken_pieces_of_their_text_and_few(texts, question):
    encoded = [encode(text * 3) for text in texts]
    found = regions(encoded, encode(question))
    for index, part in found:
        at = np.searchsorted(encoded[index].starts, part.starts[0])
        assert (encoded[index].starts[at : at + len(part)] == part.starts).all()
    if sum(map(len, encoded)) <= BUDGET:
        assert sum(len(part) for _, part in found) >= sum(map(len, encoded))


def test_an_answer_far_down_in_the_fifth_passage_is_found_with_its_offsets():
    passages = [FILLER] * 4 + [FILLER + HOURS + FILLER]
    best = open_reader("reader").read("When does the museum close on Fridays?", passages)[0]
    assert best.index == 4
    assert passages[4][best.sentence_start : best.sentence_end].strip() == HOURS.strip()
