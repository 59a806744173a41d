"""What a question asks for: its search terms, each with a weight that says how much a match is worth.

Words that stand in many questions and seldom in the paragraph that answers count little (``store/filler.py``), and so do
kana bigrams, which are grammar more often than content. The weights were fitted on training questions
(``benchmarks/tune_retrieval.py``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from groundtune.store.filler import FILLER
from groundtune.text.scripts import CJK
from groundtune.text.tokenise import fold_for_search, index_terms

HIRAGANA_WEIGHT = 0.35
MIXED_WEIGHT = 0.5
CORRECTED_WEIGHT = 0.8

_HIRAGANA = re.compile("[\u3041-\u309f]")
_CJK = re.compile(f"[{CJK}]")
_ASK_CHINESE = re.compile(
    "什[麼么]|甚[麼么]|怎[麼么樣样]|[如為为]何|何[時时處处年種种]|哪一?[個个些種种位年裡里國国]?|多少|誰|谁|幾|几|嗎|吗|呢"
)
_ASK_JAPANESE = re.compile(
    "何(?:年|月|日|人|歳|軍|と[い言]う|と呼)?|誰|どこ|いつ|どの(?:よう)?|どちら|どっち|どれ|どんな|いくつ|いくら|[くぐ]らい"
    "|で(?:しょう|した|す)か|ま(?:した|す)か|だったか|西暦"
)


@dataclass(frozen=True, slots=True)
class Query:
    """Terms in the order of the question (with repeats) and the weight of each, in (0, 1]."""

    terms: tuple[str, ...]
    weights: tuple[float, ...]

    def strongest(self) -> dict[str, float]:
        """Each different term with its largest weight, in the order of the question."""
        best: dict[str, float] = {}
        for term, weight in zip(self.terms, self.weights, strict=True):
            best[term] = max(weight, best.get(term, 0.0))
        return best


def parse_query(text: str) -> Query:
    """Read a question. When it consists of question words only, they are searched for as they stand."""
    folded = fold_for_search(text)
    asking = _ASK_JAPANESE if _HIRAGANA.search(folded) else _ASK_CHINESE
    terms = index_terms(asking.sub(" ", folded)) or index_terms(folded)
    return Query(tuple(terms), tuple(_weight(term) for term in terms))


def _weight(term: str) -> float:
    if not _CJK.match(term):
        return FILLER.get(term, 1.0)
    kana = len(_HIRAGANA.findall(term))
    if kana == 0:
        return 1.0
    return HIRAGANA_WEIGHT if kana == len(term) else MIXED_WEIGHT


def is_cjk_term(term: str) -> bool:
    """True for a bigram or single character of Chinese, Japanese or Korean."""
    return bool(_CJK.match(term))
