"""Evidence beyond BM25: closeness, weights of question words, windows."""

import math

from hypothesis import given
from hypothesis import strategies as st

from groundtune.store.evidence import parse_query
from groundtune.store.fusion import fuse
from groundtune.store.ranking import Candidate, Statistics, Weights, _places, best_window, score
from groundtune.text.tokenise import search_terms


def test_neighbouring_terms_win_over_scattered_ones():
    query = parse_query("parking permit")
    filler = " ".join(f"w{i}" for i in range(60))
    statistics = Statistics(100, 62.0, {"park": 5, "permit": 5})
    together = Candidate(1, f"park permit {filler}", "")
    scattered = Candidate(2, f"park {filler} permit", "")
    assert [row for row, _ in score(query, statistics, [scattered, together])] == [1, 2]


def test_label_counts():
    query = parse_query("leave")
    statistics = Statistics(100, 3.0, {"leav": 5})
    ranked = score(query, statistics, [Candidate(1, "leav a b", ""), Candidate(2, "leav a b", "leav polici")])
    assert ranked[0][0] == 2


def test_bm25_by_hand():
    plain = Weights(near=0, window=0, coverage=0, label=0)
    statistics = Statistics(10, 4.0, {"leav": 2})
    ((_, found),) = score(parse_query("leave"), statistics, [Candidate(1, "leav a leav b c d", "")], plain)
    idf = math.log(1 + (10 - 2 + 0.5) / (2 + 0.5))
    expected = idf * 2 * 2.2 / (2 + 1.2 * (0.25 + 0.75 * 6 / 4))
    assert abs(found - expected) < 1e-12


def test_equal_scores_keep_row_order():
    statistics = Statistics(10, 1.0, {"x": 2})
    ranked = score(parse_query("x"), statistics, [Candidate(9, "x", ""), Candidate(3, "x", "")])
    assert [row for row, _ in ranked] == [3, 9]


def test_question_words_are_left_out_or_count_less():
    chinese = parse_query("罰鍰的上限是多少？")
    assert "罰鍰" in chinese.terms and "多少" not in chinese.terms
    japanese = parse_query("年次有給休暇は何日ですか？")
    assert "休暇" in japanese.terms and not any("何" in term for term in japanese.terms)
    weights = japanese.strongest()
    assert weights["休暇"] == 1.0 and weights["暇は"] < 1.0
    english = parse_query("What type of permit?").strongest()
    assert english["type"] < english["permit"] == 1.0


def test_a_query_of_question_words_only_is_still_searched():
    assert parse_query("什麼").terms == ("什麼",)


@given(st.lists(st.sampled_from(["a", "b", "aa", "罰鍰", "c"]), max_size=40))
def test_places_are_positions(body):
    found = _places(" ".join(body), ["a", "aa", "罰鍰", "z"])
    for term in ("a", "aa", "罰鍰", "z"):
        assert found.get(term, []) == [i for i, word in enumerate(body) if word == term]


@given(st.lists(st.tuples(st.integers(0, 60), st.sampled_from("abc")), max_size=20, unique_by=lambda e: e[0]))
def test_best_window_agrees_with_brute_force(events):
    events = sorted(events)
    worth = {"a": 1.0, "b": 2.0, "c": 4.0}
    brute = max(
        (sum(worth[t] for t in {term for place, term in events if s <= place <= s + 10}) for s, _ in events),
        default=0.0,
    )
    assert best_window(events, worth, 10) == brute


def test_fusion_rewards_agreement():
    ranked = fuse([(1, 9.0), (2, 8.0)], [(2, 0.9), (3, 0.8)])
    assert [row for row, *_ in ranked] == [2, 1, 3]
    assert ranked[0][2:] == (8.0, 0.9) and ranked[2][2] is None


def test_a_word_of_the_same_meaning_or_beginning_counts():
    statistics = Statistics(100, 3.0, {"buy": 5, "glasswar": 5, "car": 5})
    for question, body in (("buy", "purchas a b"), ("glassware", "glass a b"), ("car", "vehicl a b")):
        ranked = score(
            parse_query(question), statistics, [Candidate(1, "x a b", ""), Candidate(2, body, "")], Weights(floor=0)
        )
        assert [row for row, _ in ranked] == [2, 1] and ranked[1][1] == 0.0


def test_search_terms_keep_languages_apart():
    assert search_terms("1950年に設立されたJR東日本") == [
        "1950", "年に", "に設", "設立", "立さ", "され", "れた", "jr", "東日", "日本",
    ]  # fmt: skip
    assert search_terms("The U.S. paid $1,234,567 (5%) to Beyoncé's firm") == [
        "us", "paid", "1234567", "5", "percent", "beyonc", "firm",
    ]  # fmt: skip
    assert search_terms("が ガ") == ["が", "ガ"], "voicing marks are letters"
