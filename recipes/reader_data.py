"""Training data of ``builtin:reader`` as flat arrays: questions of people and questions made from sentences.

Made questions replace a span of a sentence that looks like an answer (a number, a date, a name, a quoted term, a run
between two function words) by a question word and keep one to three clauses of the sentence, with some words left out.
They are most of what there is for Traditional Chinese, where people wrote only 5,500 questions.
"""

from __future__ import annotations

import os
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from corpus import articles, paragraphs

from groundtune.models.reader_units import IDS, Encoded, encode
from groundtune.text.sentences import sentence_spans
from groundtune.text.tokenise import STOP_WORDS

SPANS = 8  # places where an answer stands that are kept
FIELDS = ("starts", "ends", "ids", "keys", "stems", "pairs", "weights", "single", "sentence")

_ANSWERS = {
    "en": re.compile(
        r"\b(?:1[0-9]{3}|20[0-9]{2})\b|(?:US\$|NT\$|\$|£|€)?\d[\d,.]*\d?(?: (?:million|billion|percent|years?|days?|months?|people|km|miles|hours))?%?"
        r"|(?:[A-Z][\w'-]+(?: (?:of|the|de|and|von) )?(?: ?[A-Z][\w'-]+)*)|\"[^\"]{3,40}\"|[a-z]{4,}(?: [a-z]{4,})?"
    ),
    "zh-Hant": re.compile(
        r"「[^「」]{2,16}」|《[^《》]{2,16}》|[A-Za-z][A-Za-z .'-]{1,24}|[一二三四五六七八九十百千萬億零〇\d.,]+(?:年(?:\d+月)?(?:\d+日)?|月\d*日?|日|人|元|倍|個|萬|億|公里|公尺|次|歲|小時|%|％|座|種|名|條|位)?"
        r"|(?<=[的是為在於由被以和與及、，到從至稱叫了])[\u4e00-\u9fff]{2,7}(?=[的是為在於由被以和與及、，。到從至稱叫了])"
    ),
    "ja": re.compile(
        r"「[^「」]{2,20}」|『[^『』]{2,20}』|[A-Za-z][A-Za-z .'-]{1,24}|[一二三四五六七八九十百千万億〇\d０-９.,]+(?:年(?:\d+月)?(?:\d+日)?|月\d*日?|日|人|円|倍|個|万|億|キロ|メートル|回|歳|時間|%|％|つ|種|名|台|位|箇月|か月)?"
        r"|[\u30a1-\u30fa][\u30a1-\u30fe・＝]{2,20}|(?<=[はがをにでとのへも、])[\u4e00-\u9fff]{2,8}(?=[はがをにでとのへも、。])"
    ),
}  # fmt: skip
_WORDS = {
    "en": {"year": ("what year", "which year", "when"), "number": ("how many", "how much", "what number"), "name": ("who", "what", "which", "where"), "other": ("what", "which thing")},
    "zh-Hant": {"year": ("哪一年", "何時", "什麼時候", "幾年"), "number": ("多少", "幾", "多少數量"), "name": ("誰", "什麼", "哪個", "哪裡"), "other": ("什麼", "何", "哪個", "哪些", "誰", "哪裡")},
    "ja": {"year": ("何年", "いつ", "何年何月"), "number": ("いくつ", "どれくらい", "何", "いくら"), "name": ("誰", "何", "どこ"), "other": ("何", "どこ", "誰", "どの")},
}  # fmt: skip


@dataclass
class Bank:
    """Passages and questions of one language as flat arrays with offsets (n + 1,)."""

    passages: dict[str, np.ndarray]
    passage_at: np.ndarray
    asked: dict[str, np.ndarray]
    asked_at: np.ndarray
    of: np.ndarray  # passage of each question
    spans: np.ndarray  # (questions, SPANS, 2) first and last unit, -1 where there is none
    made: np.ndarray  # (questions,) True for made ones
    group: np.ndarray  # (passages,) number of the article a passage belongs to

    def passage(self, index: int) -> Encoded:
        return _part(self.passages, self.passage_at, index)

    def question(self, index: int) -> Encoded:
        return _part(self.asked, self.asked_at, index)

    def save(self, path: Path) -> None:
        flat = {f"p.{k}": v for k, v in self.passages.items()} | {f"q.{k}": v for k, v in self.asked.items()}
        save_whole(
            path, passage_at=self.passage_at, asked_at=self.asked_at, of=self.of, spans=self.spans, made=self.made, group=self.group, **flat
        )

    @classmethod
    def load(cls, path: Path) -> Bank:
        with np.load(path) as z:
            p = {k: z[f"p.{k}"] for k in FIELDS}
            q = {k: z[f"q.{k}"] for k in FIELDS}
            return cls(p, z["passage_at"], q, z["asked_at"], z["of"], z["spans"], z["made"], z["group"])


def save_whole(path: Path, **arrays: np.ndarray) -> None:
    """``np.savez`` that another process, which may be at the same, never sees half of."""
    own = path.with_name(f"{path.stem}-{os.getpid()}.tmp.npz")
    np.savez(own, **arrays)
    os.replace(own, path)


def _part(flat: dict[str, np.ndarray], at: np.ndarray, index: int) -> Encoded:
    low, high = at[index], at[index + 1]
    return Encoded(*(flat[k][low:high] for k in FIELDS))


def _flat(items: list[Encoded]) -> tuple[dict[str, np.ndarray], np.ndarray]:
    empty = np.zeros((0, IDS), np.uint32)
    joined = {k: np.concatenate([getattr(e, k) for e in items]) if items else empty for k in FIELDS}
    return joined, np.concatenate([[0], np.cumsum([len(e) for e in items])]).astype(np.int64)


def occurrences(passage: Encoded, text: str, answers: tuple[str, ...]) -> list[tuple[int, int]]:
    """Unit spans (first, last) of every occurrence of every answer."""
    starts = {int(s): i for i, s in enumerate(passage.starts)}
    ends = {int(e): i for i, e in enumerate(passage.ends)}
    found = set()
    for answer in answers:
        answer = answer.strip()
        at = text.find(answer)
        while at >= 0 and answer:
            first, last = starts.get(at), ends.get(at + len(answer))
            if first is not None and last is not None and last - first < 30:
                found.add((first, last))
            at = text.find(answer, at + 1)
    return sorted(found)


def make_question(lang: str, text: str, title: str, rng: random.Random) -> tuple[str, int, int] | None:
    """(question, start, end of the answer in ``text``) from one sentence of the text."""
    sentences = [s for s in sentence_spans(text) if 16 < s.end - s.start < 320]
    if not sentences:
        return None
    span = rng.choice(sentences)
    sentence = text[span.start : span.end]
    found = [m for m in _ANSWERS[lang].finditer(sentence) if m.end() - m.start() < len(sentence) * 0.6]
    if not found:
        return None
    strong = [m for m in found if re.search(r"\d|[A-Z「《『\u30a1-\u30fa一二三四五六七八九十]", m.group())]
    hit = rng.choice(strong if strong and rng.random() < 0.6 else found)
    low, high = hit.span()
    if sentence[low] in "「《『\"" and rng.random() < 0.7:
        low, high = low + 1, high - 1
    answer = sentence[low:high]
    kind = "year" if re.search(r"年|^1\d{3}$|^20\d\d$", answer) else "number" if re.search(r"[\d一二三四五六七八九十百千]", answer) else "name" if answer[:1].isupper() or rng.random() < 0.3 else "other"
    word = rng.choice(_WORDS[lang][kind])
    if kind == "number" and lang != "en" and not answer[-1:].isdigit() and rng.random() < 0.6:
        word = {"zh-Hant": ("幾", "多少"), "ja": ("何", "何")}[lang][rng.randrange(2)] + answer[-1]
    clauses = [(m.start(), m.end()) for m in _clauses(lang, sentence)]
    own = next((i for i, (a, b) in enumerate(clauses) if a <= low < b), 0)
    first = max(0, own - rng.choice((0, 0, 1, 1, 2)))
    last = min(len(clauses) - 1, own + rng.choice((0, 0, 1, 1, 2)))
    head, tail = sentence[clauses[first][0] : low], sentence[high : max(high, clauses[last][1])]
    if len(head) + len(tail) < (12 if lang == "en" else 6):
        head, tail = sentence[:low], sentence[high:]
    head, tail = _thin(lang, head, rng), _thin(lang, tail, rng)
    joint = " " if lang == "en" else ""
    parts = [head.strip(" ，、；,;"), word, tail.strip(" ，、；。,;.")]
    if rng.random() < 0.35:  # the question word in front or at the end, as people ask
        parts = [word, parts[0], parts[2]] if lang == "en" else [parts[0], parts[2], {"zh-Hant": "是" + word, "ja": "のは" + word + "ですか"}[lang]]
    question = joint.join(p for p in parts if p)
    if title and rng.random() < 0.2:
        question = f"{title}{', ' if lang == 'en' else '：' if lang == 'zh-Hant' else 'の'}{question}"
    return question + ("?" if lang == "en" else "？"), span.start + low, span.start + high


def _clauses(lang: str, sentence: str) -> Iterator[re.Match[str]]:
    return re.finditer(r".+?(?:[,;:]\s|$)" if lang == "en" else r".+?(?:[，；、：]|$)", sentence, re.DOTALL)


def _thin(lang: str, text: str, rng: random.Random) -> str:
    """Some words (two-character pieces in CJK) left out."""
    share = rng.choice((0.0, 0.1, 0.25, 0.4))
    if lang == "en":
        return " ".join(w for w in text.split() if rng.random() >= share)
    return "".join(p for p in re.findall(r"[\x00-\x7f]+|.{1,2}", text, re.DOTALL) if rng.random() >= share)


_WORDS_OF = {"en": re.compile(r"[A-Za-z][\w'-]{3,}|\d+"), "zh-Hant": re.compile(r"[\u4e00-\u9fff]{2,3}|[A-Za-z]{3,}|\d+"), "ja": re.compile(r"[\u4e00-\u9fff]{2,4}|[\u30a1-\u30faー]{3,}|[A-Za-z]{3,}|\d+")}


class Altered:
    """Questions of people in which one or two words that stand in the passage are replaced by words of another question,
    most often about the same article, that do not: the passage hardly answers them (as in SQuAD 2.0, but by rule)."""

    def __init__(self, data: Path, lang: str, part: str) -> None:
        self.lang = lang
        self.of: dict[bytes, tuple[str, str, str]] = {}  # keys of the question -> question, passage, title
        self.by_title: dict[str, list[str]] = {}
        self.titles: list[str] = []
        for paragraph in paragraphs(data, lang, part):
            for q in paragraph.questions:
                self.of[encode(q.question, 80).keys.tobytes()] = (q.question, paragraph.text, paragraph.title)
                self.by_title.setdefault(paragraph.title, []).append(q.question)
        self.titles = list(self.by_title)

    def __call__(self, question: Encoded, rng: random.Random) -> Encoded | None:
        """None when there is nothing to replace."""
        found = self.of.get(question.keys.tobytes())
        if found is None:
            return None
        text, passage, title = found
        low = passage.casefold()
        shared = [m for m in _WORDS_OF[self.lang].finditer(text) if m.group().casefold() in low and m.group().casefold() not in STOP_WORDS]
        other = rng.choice(self.by_title[title if rng.random() < 0.7 else rng.choice(self.titles)])
        new = [w for w in _WORDS_OF[self.lang].findall(other) if w.casefold() not in low and w.casefold() not in STOP_WORDS and w not in text]
        if not shared or not new:
            return None
        for m in sorted(rng.sample(shared, min(len(shared), rng.choice((1, 1, 2)))), key=lambda m: -m.start()):
            like = [w for w in new if w[0].isupper() == m.group()[0].isupper() and w.isdigit() == m.group().isdigit()]
            text = text[: m.start()] + rng.choice(like or new) + text[m.end() :]
        return encode(text, 80)


def build(data: Path, lang: str, part: str, made: int, seed: int = 0) -> Bank:
    """People's questions of ``part`` and ``made`` made ones over the same paragraphs and (train) law articles."""
    rng = random.Random(seed)
    texts: list[tuple[str, str, str]] = []  # (title, text, group)
    passages: list[Encoded] = []
    asked: list[Encoded] = []
    of: list[int] = []
    spans: list[list[tuple[int, int]]] = []
    is_made: list[bool] = []
    for paragraph in paragraphs(data, lang, part):
        texts.append((paragraph.title, paragraph.text, paragraph.title))
        passages.append(encode(paragraph.text))
        for question in paragraph.questions:
            found = occurrences(passages[-1], paragraph.text, question.answers)
            if found or part == "dev":
                asked.append(encode(question.question, 80))
                of.append(len(passages) - 1)
                spans.append(found[:SPANS])
                is_made.append(False)
    if part == "train":
        for article in rng.sample(articles(data, lang), k=min(4000, len(articles(data, lang)))):
            texts.append((article.title, article.text, article.title))
            passages.append(encode(article.text, 600))
    count = 0
    while count < made:
        index = rng.randrange(len(texts))
        title, text, _ = texts[index]
        result = make_question(lang, text, title, rng)
        if result is None:
            continue
        question, low, high = result
        found = occurrences(passages[index], text, (text[low:high],))
        if not found or high - low < 1:
            continue
        asked.append(encode(question, 80))
        of.append(index)
        spans.append(found[:SPANS])
        is_made.append(True)
        count += 1
    table = np.full((len(spans), SPANS, 2), -1, np.int32)
    for i, found in enumerate(spans):
        table[i, : len(found)] = np.array(found, np.int32).reshape(-1, 2)
    names = {g: i for i, g in enumerate(dict.fromkeys(g for *_, g in texts))}
    p, p_at = _flat(passages)
    q, q_at = _flat(asked)
    return Bank(p, p_at, q, q_at, np.array(of), table, np.array(is_made), np.array([names[g] for *_, g in texts]))
