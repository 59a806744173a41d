"""Self-made training tasks of ``builtin:base``: reading, refusing, cloze, lookup, formatting and plain text.

Each task returns pieces ``(text, weight)``; ``weight`` multiplies the loss of the piece's tokens. Prompts are rendered
with ``groundtune.text.prompts`` exactly as at inference. The house format of the bundled samples (the key triple
answer, source, article) never occurs here: that is what fine-tuning is measured on.
"""

from __future__ import annotations

import json
import random
import re
from dataclasses import dataclass
from pathlib import Path

from base_words import (
    BLANK,
    CITED,
    CLOZE_ASK,
    COMPOSE_ASK,
    EXTRACT,
    EXTRACT_ASK,
    FRAME_ASK,
    JSON_ASK,
    KEY_WORDS,
    LINES,
    LINES_ASK,
    LIST_ASK,
    LOOKUP_ASK,
    PLACE_KEYS,
    PLAIN,
    POLITE,
    POLITE_ASK,
    REFUSAL,
    REPEAT,
    SENTENCE,
    SHORT,
    TITLE_KEYS,
    TO_JSON,
    VALUE_KEYS,
)
from corpus import LANGUAGES, Article, articles, paragraphs

from groundtune.text.prompts import Shown, label, render
from groundtune.text.sentences import sentence_spans

Piece = tuple[str, float]
PROMPT_WEIGHT, TEXT_WEIGHT = 0.15, 0.5
OPEN, CLOSE = "\ue000", "\ue001"  # stand around the sentence that an answer has to be found in; taken out before training

# text, reading, cloze, lookup, shaping, turns, echo, extract, match, frame, compose, politer
EARLY = (0.02, 0.14, 0.06, 0.16, 0.08, 0.02, 0.48, 0.04, 0.0, 0.0, 0.0, 0.0)
SHARES = (0.02, 0.37, 0.10, 0.04, 0.02, 0.04, 0.02, 0.08, 0.18, 0.07, 0.04, 0.02)
_NUMBER = {
    "en": re.compile(r"(?:NT\$|\$|US\$)?\d[\d,.]*\d?(?:\s?(?:percent|%|years?|days?|months?|hours?|dollars))?|\b(?:two|three|five|six|seven|ten|fifteen|thirty|sixty|ninety)\s(?:years?|days?|months?)\b"),
    "zh-Hant": re.compile(r"(?:新臺幣)?[一二三四五六七八九十百千萬億零\d]+(?:年|月|日|人|元|倍|分之[一二三四五六七八九十]+|個月|公尺|次|歲|小時|%|％)"),
    "ja": re.compile(r"[一二三四五六七八九十百千万億〇\d０-９]+(?:年|月|日|人|円|倍|分の[一二三四五六七八九十]+|箇月|か月|回|歳|時間|メートル|%|％)"),
}  # fmt: skip


@dataclass(frozen=True)
class Fact:
    """A question whose answer stands in ``sentence``; ``around`` are other sentences of the same text."""

    question: str
    answer: str
    sentence: str
    around: tuple[str, ...]
    title: str
    heading: str
    before: tuple[str, ...] = ()  # the sentences in front of ``sentence`` and behind it, in the order of the text
    after: tuple[str, ...] = ()


class Tasks:
    """Draws training samples; all randomness comes from the ``random.Random`` that is passed in."""

    def __init__(self, data: Path, part: str = "train") -> None:
        self.paragraphs = {lang: paragraphs(data, lang, part) for lang in LANGUAGES}
        self.asked = {
            lang: [(p, a) for p in self.paragraphs[lang] for a in p.questions] for lang in LANGUAGES
        }
        self.articles = {lang: articles(data, lang) for lang in LANGUAGES}
        words = {lang: " ".join(p.text for p in self.paragraphs[lang][:800]) for lang in LANGUAGES}
        self.words = {
            "en": sorted(set(re.findall(r"[A-Za-z]{3,12}", words["en"]))),
            "zh-Hant": sorted({w[:4] for w in re.findall(r"[\u4e00-\u9fff]{2,}", words["zh-Hant"])}),
            "ja": sorted({w[:6] for w in re.findall(r"[\u4e00-\u9fff]{2,}|[\u30a1-\u30fc]{3,}", words["ja"])}),
        }

    def sample(self, rng: random.Random, early: bool = False) -> list[Piece]:
        """One sample. ``early``: mostly repeating and looking up, so that copying is learned first (it otherwise appears
        late: after 1.4 M tokens of the full mixture nothing was copied).
        """
        lang = rng.choices(LANGUAGES, (0.36, 0.32, 0.32))[0]
        task = rng.choices(
            (self.text, self.reading, self.cloze, self.lookup, self.shaping, self.turns, self.echo, self.extract, self.match, self.frame, self.compose, self.politer),
            EARLY if early else SHARES,
        )[0]
        return task(lang, rng)

    def echo(self, lang: str, rng: random.Random) -> list[Piece]:
        """Repeat words that mean nothing together, or what stands between the marks of a line of them."""
        words = rng.sample(self.words[lang], rng.randrange(3, 22))
        if rng.random() < 0.4:
            words = [w if rng.random() < 0.6 else str(rng.randrange(10 ** rng.choice((1, 2, 3, 4)))) for w in words]
        joint = " " if lang == "en" else ""
        if rng.random() < 0.6:
            line = joint.join(words)
            return chat(None, f"{REPEAT[lang]} {line}", line, prompt=0.0)
        first = rng.randrange(len(words))
        last = rng.randrange(first, min(len(words), first + 6))
        marked = joint.join(words[first : last + 1])
        line = joint.join([*words[:first], f"**{marked}**", *words[last + 1 :]])
        title = rng.choice(self.words[lang])
        fact = Fact("?", marked, line, (), title, fake_heading(lang, rng, title))
        form = Form(lang, rng, kinds=("short", "json", "lines"))
        return chat(form.instruction, render(rng.choice(LOOKUP_ASK[lang]).format(k="**"), [Shown(label(title, fact.heading), line)]), form.write(fact, 0), prompt=0.0)

    # plain text -------------------------------------------------------------------------------------------------
    def text(self, lang: str, rng: random.Random) -> list[Piece]:
        if rng.random() < (0.6 if lang == "zh-Hant" else 0.35):
            article = rng.choice(self.articles[lang])
            return [(f"{label(article.title, article.heading)}\n{article.text[:900]}<|end|>", TEXT_WEIGHT)]
        paragraph = rng.choice(self.paragraphs[lang])
        return [(f"{paragraph.title}\n{paragraph.text[:1200]}<|end|>", TEXT_WEIGHT)]

    # facts ------------------------------------------------------------------------------------------------------
    def fact(self, lang: str, rng: random.Random) -> Fact:
        while True:
            paragraph, asked = rng.choice(self.asked[lang])
            found = locate(paragraph.text, asked.answers[0])
            if found:
                sentence, around, before, after = found
                heading = fake_heading(lang, rng, paragraph.text) if rng.random() < 0.6 else ""
                return Fact(asked.question, asked.answers[0], sentence, around, paragraph.title, heading, before, after)

    def gap(self, lang: str, rng: random.Random) -> Fact:
        while True:
            if rng.random() < 0.65:
                article = rng.choice(self.articles[lang])
            else:
                p = rng.choice(self.paragraphs[lang])
                article = Article(p.title, fake_heading(lang, rng, p.text), p.text)
            sentences = [article.text[s.start : s.end] for s in sentence_spans(article.text)]
            sentence = rng.choice(sentences)
            if not 15 < len(sentence) < 320:
                continue
            span = pick_gap(lang, rng, sentence)
            if not span:
                continue
            shown = sentence[: span[0]] + BLANK[lang] + sentence[span[1] :]
            if rng.random() < 0.5:  # a part of the sentence only
                width = 60 if lang == "en" else 25
                low, high = max(0, span[0] - width), span[0] + len(BLANK[lang]) + width
                shown = ("…" if low else "") + shown[low:high] + ("…" if high < len(shown) else "")
            question = rng.choice(CLOZE_ASK[lang]).format(s=shown, t=article.title, h=article.heading)
            around = tuple(s for s in sentences if s != sentence)
            return Fact(question, sentence[span[0] : span[1]], sentence, around, article.title, article.heading)

    def reading(self, lang: str, rng: random.Random) -> list[Piece]:
        return self.answer_from(self.fact(lang, rng), lang, rng)

    def cloze(self, lang: str, rng: random.Random) -> list[Piece]:
        return self.answer_from(self.gap(lang, rng), lang, rng)

    def passages(self, fact: Fact, lang: str, rng: random.Random, answerable: bool) -> tuple[list[Shown], int]:
        """Passages in random order and the place of the gold one (-1 when it is left out). As at inference, a span that
        a reader believes to be the answer is usually marked with ``**``: right most of the time when there is an
        answer, absent most of the time when there is none.
        """
        count = rng.choice((0, 0, 1, 1, 2, 3))
        chance = rng.random()
        mark_gold = answerable and chance < 0.75
        mark_other = 0.75 <= chance < 0.8 if answerable else chance < 0.3
        shown: list[tuple[Shown, bool]] = []
        if answerable:
            sentence = fact.sentence
            if mark_gold and sentence.count(fact.answer) == 1 and len(fact.answer) < 80:
                sentence = sentence.replace(fact.answer, f"**{fact.answer}**")
            back, forth = rng.choice(((0, 0), (0, 0), (1, 0), (0, 1), (1, 1), (2, 1), (1, 2), (3, 3)))
            joint = " " if lang == "en" else ""
            text = joint.join((*fact.before[len(fact.before) - min(back, len(fact.before)) :], sentence, *fact.after[:forth]))
            if len(text) > (900 if lang == "en" else 360):
                text = sentence
            shown.append((Shown(label(fact.title, fact.heading), text), True))
        for _ in range(max(count, 0 if answerable else 1)):
            if fact.around and rng.random() < 0.6:
                text = rng.choice(fact.around)
                heading = fake_heading(lang, rng, text) if fact.heading else ""
                title = fact.title
            else:
                other = self.fact(lang, rng) if rng.random() < 0.7 else self.gap(lang, rng)
                text, title, heading = other.sentence, other.title, other.heading
            if mark_other:
                span = pick_gap(lang, rng, text)
                if span:
                    text = f"{text[: span[0]]}**{text[span[0] : span[1]]}**{text[span[1] :]}"
                    mark_other = False
            shown.append((Shown(label(title, heading), text), False))
        rng.shuffle(shown)
        return [s for s, _ in shown], next((i for i, (_, gold) in enumerate(shown) if gold), -1)

    def answer_from(self, fact: Fact, lang: str, rng: random.Random) -> list[Piece]:
        if rng.random() < 0.7:
            return self.quoted(fact, lang, rng)
        answerable = rng.random() > 0.14
        passages, gold = self.passages(fact, lang, rng, answerable)
        if rng.random() < 0.03:
            passages, gold = [], (0 if answerable else -1)
        form = Form(lang, rng)
        system = form.instruction if form.kind != "short" or rng.random() < 0.6 else None
        return chat(system, render(fact.question, passages), form.write(fact, gold))

    def quoted(self, fact: Fact, lang: str, rng: random.Random) -> list[Piece]:
        """No mark, no form asked for: the sentence that answers is quoted. Always answerable: a refusal that is the same in
        every tenth row wins against a choice between five sentences, and nothing else is said any more.
        """
        system = rng.choice((*SENTENCE[lang], PLAIN[lang], PLAIN[lang], None))
        return chat(system, render(fact.question, self.context(fact, lang, rng)), fact.sentence.strip())

    def match(self, lang: str, rng: random.Random) -> list[Piece]:
        """Sentences of words that mean nothing together; the one that shares most with the question is quoted. Matching is learned
        from this long before it shows in real questions.
        """
        joint, end = (" ", ".") if lang == "en" else ("", "。")
        pool = rng.sample(self.words[lang], 60)
        common = rng.sample(pool, 12)  # words that stand in several sentences
        sentences = []
        for _ in range(rng.choice((2, 3, 4, 5, 6, 8))):
            words = [rng.choice(common) if rng.random() < 0.35 else rng.choice(self.words[lang]) for _ in range(rng.randrange(3, 9))]
            sentences.append(words)
        gold = rng.randrange(len(sentences))
        own = [w for w in sentences[gold] if not any(w in s for i, s in enumerate(sentences) if i != gold)]
        shared = [w for w in sentences[gold] if w not in own]
        if not own:
            return self.match(lang, rng)
        asked = rng.sample(own, rng.randrange(1, len(own) + 1)) + [w for w in shared if rng.random() < 0.5]
        asked += [rng.choice(common if rng.random() < 0.4 else self.words[lang]) for _ in range(rng.choice((0, 0, 1, 2)))]
        if rng.random() < 0.6:
            rng.shuffle(asked)
        if lang == "en":
            texts = [w.capitalize() if rng.random() < 0.8 else w for w in (joint.join(s) + end for s in sentences)]
            question = " ".join(asked) + "?"
        else:
            texts = [joint.join(s) + end for s in sentences]
            question = "".join(asked) + "？"
        answer = texts[gold]
        texts[gold] = OPEN + answer + CLOSE
        cut = rng.randrange(1, len(texts)) if rng.random() < 0.4 else len(texts)
        shown = [Shown(label(rng.choice(self.words[lang]), ""), joint.join(part)) for part in (texts[:cut], texts[cut:]) if part]
        return chat(rng.choice((*SENTENCE[lang], PLAIN[lang], None)), render(question, shown), answer, prompt=0.0)

    def context(self, fact: Fact, lang: str, rng: random.Random) -> list[Shown]:
        """The paragraph, or a part of it around the gold sentence, and other passages in random order."""
        joint = " " if lang == "en" else ""
        most = rng.choice((0, 1, 2, 3, 5, 8))
        before, after = fact.before, fact.after
        if not before and not after:
            cut = rng.randrange(len(fact.around) + 1)
            before, after = fact.around[:cut], fact.around[cut:]
        back = rng.randrange(most + 1)
        limit = 800 if lang == "en" else 330
        head, tail = list(before[len(before) - min(back, len(before)) :]), list(after[: most - back])
        while sum(map(len, (*head, fact.sentence, *tail))) > limit and (head or tail):
            (head.pop(0) if head and (not tail or rng.random() < 0.5) else tail.pop())
        gold = OPEN + fact.sentence.strip() + CLOSE
        shown = [Shown(label(fact.title, fact.heading), joint.join(s.strip() for s in (*head, gold, *tail)))]
        for _ in range(rng.choice((0, 0, 1, 2))):
            other = self.fact(lang, rng) if rng.random() < 0.7 else self.gap(lang, rng)
            shown.append(Shown(label(other.title, other.heading), other.sentence))
        rng.shuffle(shown)
        return shown

    def turns(self, lang: str, rng: random.Random) -> list[Piece]:
        """Few-shot: the same form in every turn, passages sometimes, the system prompt half of the time."""
        form = Form(lang, rng)
        pieces: list[Piece] = []
        if rng.random() < 0.6:
            pieces.append((f"<|system|>{form.instruction}<|end|>", PROMPT_WEIGHT))
        grounded = rng.random() < 0.7
        for _ in range(rng.choice((2, 3, 3, 4))):
            fact = self.fact(lang, rng) if rng.random() < 0.6 else self.gap(lang, rng)
            answerable = rng.random() > 0.14
            passages, gold = self.passages(fact, lang, rng, answerable) if grounded else ([], 0 if answerable else -1)
            passages = passages[:1] if gold < 1 else passages
            pieces += chat(None, render(fact.question, passages), form.write(fact, gold), weight=1.0 if grounded else 0.4)
        return pieces

    # tables and shapes ------------------------------------------------------------------------------------------
    def pairs(self, lang: str, rng: random.Random, count: int) -> list[tuple[str, str]]:
        keys: dict[str, str] = {}
        while len(keys) < count:
            key = " ".join(rng.sample(self.words[lang], rng.choice((1, 1, 2)))) if lang == "en" else rng.choice(self.words[lang])
            kind = rng.random()
            if kind < 0.45:
                value = str(rng.randrange(1, 10 ** rng.choice((1, 2, 3, 4, 5))))
                units = {"en": ("", "", " days", " kg", " GBP", "%", " USD", " m"), "zh-Hant": ("", "元", "天", "個月", "公斤", "%"), "ja": ("", "円", "日", "か月", "人", "%")}
                value += rng.choice(units[lang])
            elif kind < 0.75:
                value = " ".join(rng.sample(self.words[lang], 2)) if lang == "en" else rng.choice(self.words[lang]) + rng.choice(self.words[lang])
            else:
                value = rng.choice(self.words[lang])
            keys[key] = value
        return list(keys.items())

    def lookup(self, lang: str, rng: random.Random) -> list[Piece]:
        pairs = self.pairs(lang, rng, rng.randrange(2, 12))
        kind = rng.randrange(4)
        if kind == 0:
            listing = "\n".join(f"{k}: {v}" for k, v in pairs)
        elif kind == 1:
            listing = "\n".join(f"| {k} | {v} |" for k, v in pairs)
        elif kind == 2:
            listing = json.dumps(dict(pairs), ensure_ascii=False)
        else:
            listing = "；".join(f"{k}為{v}" for k, v in pairs) if lang == "zh-Hant" else "、".join(f"{k}は{v}" for k, v in pairs) if lang == "ja" else ", ".join(f"{k} is {v}" for k, v in pairs)
        key, value = rng.choice(pairs)
        title = rng.choice(self.words[lang])
        question = rng.choice(LOOKUP_ASK[lang]).format(k=key)
        heading = fake_heading(lang, rng, title)
        fact = Fact(question, value, listing, (), title, heading)
        form = Form(lang, rng, kinds=("short", "json", "json", "lines"))
        passages = [Shown(label(title, heading), listing)]
        system = form.instruction if form.kind != "short" or rng.random() < 0.5 else None
        return chat(system, render(question, passages), form.write(fact, 0), prompt=0.0)

    def shaping(self, lang: str, rng: random.Random) -> list[Piece]:
        if rng.random() < 0.6:
            pairs = self.pairs(lang, rng, rng.randrange(2, 6))
            listing = "\n".join(f"{k}: {v}" for k, v in pairs)
            return chat(None, f"{rng.choice(TO_JSON[lang])}\n\n{listing}", json.dumps(dict(pairs), ensure_ascii=False), prompt=0.0)
        fact = self.fact(lang, rng) if rng.random() < 0.5 else self.gap(lang, rng)
        return chat(None, f"{REPEAT[lang]} {fact.sentence}", fact.sentence)

    def extract(self, lang: str, rng: random.Random) -> list[Piece]:
        """A sentence to JSON: what it says under keys that the instruction names, null or [] where it says nothing."""
        fact = self.fact(lang, rng) if rng.random() < 0.6 else self.gap(lang, rng)
        sentence = fact.sentence
        kinds = rng.sample(sorted(EXTRACT), rng.randrange(1, 4))
        as_list = rng.random() < 0.35
        keys = {kind: rng.choice(EXTRACT[kind][0]) for kind in kinds}
        found = {kind: [m.group() for m in EXTRACT[kind][1].finditer(sentence)] for kind in kinds}
        if rng.random() < 0.3:
            wanted = [{"text": text, "type": keys[kind]} for kind in kinds for text in dict.fromkeys(found[kind])]
            ask = rng.choice(LIST_ASK[lang]).format(keys=", ".join(keys.values()))
            target = json.dumps(wanted, ensure_ascii=False)
        else:
            values = {keys[k]: found[k] if as_list else (found[k][0] if found[k] else None) for k in kinds}
            if rng.random() < 0.3:
                values = {rng.choice(("kind", "label", "class", "topic")): fact.title} | values
                sentence = f"{fact.title}: {sentence}"
            ask = rng.choice(EXTRACT_ASK[lang][as_list]).format(keys=", ".join(values))
            target = json.dumps(values, ensure_ascii=False)
        return chat(ask, sentence, target) if rng.random() < 0.6 else chat(None, f"{ask}\n\n{sentence}", target)


    def frame(self, lang: str, rng: random.Random) -> list[Piece]:
        """Spans of a sentence under the names that their kinds have in earlier turns, nested below a kind: which names there are is
        seen, not told.
        """
        names = {kind: rng.choice(self.words[lang]) if rng.random() < 0.5 else rng.choice(EXTRACT[kind][0]) for kind in EXTRACT}
        top, inner = rng.choice((("kind", "parts"), ("type", "slots"), ("class", "fields"), ("label", "values")))
        ask, nested = rng.choice(FRAME_ASK[lang]), rng.random() < 0.7
        pieces: list[Piece] = []
        for _ in range(rng.choice((1, 2, 3))):
            fact = self.fact(lang, rng) if rng.random() < 0.6 else self.gap(lang, rng)
            sentence = fact.sentence.strip()
            found = sorted((m.start(), names[k], m.group()) for k in EXTRACT for m in [EXTRACT[k][1].search(sentence)] if m)
            values = {name: text for _, name, text in found[:4]}
            target = {top: fact.title, inner: values} if nested else {top: fact.title} | values
            pieces += chat(None, f"{ask}\n\n{fact.title}: {sentence}", json.dumps(target, ensure_ascii=False), prompt=0.05)
        return pieces

    def compose(self, lang: str, rng: random.Random) -> list[Piece]:
        """Facts to the sentence they were taken from: everything that is given has to be said."""
        while True:
            fact = self.fact(lang, rng)
            sentence = fact.sentence.strip()
            spans = [m for m in re.finditer(r"[A-Z][\w'-]+(?: [A-Z][\w'-]+)*|\d[\d,.]*\d|[a-z]{5,}(?: [a-z]{5,})?" if lang == "en" else r"[\u4e00-\u9fff]{2,6}|[\u30a1-\u30fc]{3,}|\d+", sentence) if len(m.group()) > 1]
            if len(spans) >= 2 and len(sentence) < (220 if lang == "en" else 90):
                break
        picked = sorted(rng.sample(spans, min(len(spans), rng.randrange(2, 7))), key=lambda m: m.start())
        if rng.random() < 0.5:
            rng.shuffle(picked)
        form = rng.choice(("{k}[{v}]", "{k}: {v}", "{k}={v}"))
        facts = ", ".join(form.format(k=rng.choice(self.words[lang]), v=m.group()) for m in picked)
        return chat(None, rng.choice(COMPOSE_ASK[lang]).format(f=facts), sentence, prompt=0.05)

    def politer(self, lang: str, rng: random.Random) -> list[Piece]:
        """Japanese: the same sentence in the other style, where a rule can tell."""
        for _ in range(50):
            sentence = self.fact("ja", rng).sentence.strip()
            for plain, polite in POLITE:
                if sentence.endswith(plain) and len(sentence) < 90:
                    other = sentence[: -len(plain)] + polite
                    up = rng.random() < 0.6
                    return chat(None, f"{rng.choice(POLITE_ASK[not up])}\n\n{sentence if up else other}", other if up else sentence, prompt=0.05)
        return self.echo(lang, rng)


class Form:
    """How the answer should look: drawn once, then used for one or several answers."""

    def __init__(self, lang: str, rng: random.Random, kinds: tuple[str, ...] = ()) -> None:
        self.kind = rng.choice(kinds) if kinds else rng.choices(("short", "cited", "sentence", "lines", "json"), (0.40, 0.06, 0.08, 0.10, 0.36))[0]
        self.lang = lang
        self.refusal = rng.choice(REFUSAL[lang])
        self.names = rng.choice(LINES[lang])
        self.keys = [rng.choice(VALUE_KEYS)]
        if rng.random() < 0.8:
            self.keys.append(rng.choice(TITLE_KEYS))
        if rng.random() < 0.6:
            self.keys.append(rng.choice(PLACE_KEYS))
        self.instruction = self._instruction(rng)

    def _instruction(self, rng: random.Random) -> str:
        if self.kind == "json":
            words = [KEY_WORDS[self.lang][0]]
            words += [KEY_WORDS[self.lang][2 if k in PLACE_KEYS else 1] for k in self.keys[1:]]
            keys = ", ".join(f"{k} ({w})" if rng.random() < 0.7 else f'"{k}" ({w})' for k, w in zip(self.keys, words, strict=True))
            return rng.choice(JSON_ASK[self.lang]).format(keys=keys)
        if self.kind == "lines":
            return LINES_ASK[self.lang].format(a=self.names[0], b=self.names[1])
        table = {"short": SHORT, "cited": CITED, "sentence": SENTENCE}[self.kind]
        text = rng.choice(table[self.lang])
        return f"{text} {self.refusal}" if rng.random() < 0.0 else text

    def write(self, fact: Fact, gold: int) -> str:
        """The target; ``gold`` is the index of the gold passage, -1 for a refusal."""
        if self.kind == "json":
            values: list[str | None] = [fact.answer]
            values += [place_of(fact.heading) if k in PLACE_KEYS else fact.title for k in self.keys[1:]]
            if gold < 0:
                values = [None] * len(values)
            return json.dumps(dict(zip(self.keys, values, strict=True)), ensure_ascii=False)
        if gold < 0:
            return self.refusal
        if self.kind == "lines":
            colon = ": " if self.lang == "en" else "："
            return f"{self.names[0]}{colon}{fact.answer}\n{self.names[1]}{colon}{fact.title}"
        if self.kind == "cited":
            return f"{fact.answer} [{gold + 1}]"
        return fact.sentence if self.kind == "sentence" else fact.answer


def place_of(heading: str) -> str | None:
    """The label part of a heading: ``§ 3.2 Hotels`` -> ``§ 3.2``; ``第3条（目的）`` -> ``第3条``."""
    match = re.match(r"§ ?[\d.]+|第[^\s　（(]+?[條条章節]|Article \d+(?:-\d+)?|Section \d+|\d+(?:\.\d+)*", heading)
    return match.group() if match else (heading or None)


def fake_heading(lang: str, rng: random.Random, text: str) -> str:
    """A heading such as handbooks and regulations have, with a word or two from the text."""
    number, minor = rng.randrange(1, 40), rng.randrange(1, 9)
    if lang == "en":
        words = [w for w in re.findall(r"[A-Za-z]{4,}", text[:400])] or ["General"]
        name = " ".join(rng.sample(words, min(len(words), rng.choice((1, 2))))).capitalize()
        return rng.choice((f"§ {number % 12 + 1}.{minor} {name}", f"Section {number} {name}", f"Article {number}", f"{number % 9}.{minor} {name}"))
    runs = re.findall(r"[\u4e00-\u9fff\u30a1-\u30fc]{2,6}", text[:300]) or ["總則"]
    name = rng.choice(runs)[:6]
    if lang == "ja":
        return rng.choice((f"第{number}条（{name}）", f"第{number}条", f"第{number % 9 + 1}章 {name}", f"{number % 9}.{minor} {name}"))
    return rng.choice((f"第{number}條　{name}", f"第{number}條", f"第{number % 9 + 1}章 {name}", f"{number % 9}.{minor} {name}"))


def locate(text: str, answer: str) -> tuple[str, tuple[str, ...], tuple[str, ...], tuple[str, ...]] | None:
    """The sentence that holds the answer, the other sentences without it, and all in front of it and behind it; None when
    it is too long or spans sentences.
    """
    sentences = [text[s.start : s.end] for s in sentence_spans(text)]
    for index, sentence in enumerate(sentences):
        if answer in sentence and len(sentence) < 420:
            around = tuple(s for i, s in enumerate(sentences) if i != index and answer not in s and 8 < len(s) < 350)
            return sentence, around, tuple(sentences[:index]), tuple(sentences[index + 1 :])
    return None


def pick_gap(lang: str, rng: random.Random, sentence: str) -> tuple[int, int] | None:
    """A number phrase when there is one (70 %), else a short run of words or characters."""
    numbers = [m.span() for m in _NUMBER[lang].finditer(sentence)]
    if numbers and rng.random() < 0.7:
        return rng.choice(numbers)
    if lang == "en":
        words = [m.span() for m in re.finditer(r"[A-Za-z0-9$'-]+", sentence)]
        width = rng.choice((1, 1, 2, 3))
        if len(words) <= width + 2:
            return None
        first = rng.randrange(len(words) - width + 1)
        return words[first][0], words[first + width - 1][1]
    runs = [m.span() for m in re.finditer(r"[\u4e00-\u9fff\u30a1-\u30fc]{2,}", sentence)]
    if not runs:
        return None
    low, high = rng.choice(runs)
    return low, min(high, low + rng.choice((2, 3, 4, 6)))


def chat(system: str | None, user: str, assistant: str, *, prompt: float = PROMPT_WEIGHT, weight: float = 1.0) -> list[Piece]:
    pieces: list[Piece] = [(f"<|system|>{system}<|end|>", prompt)] if system else []
    return [*pieces, (f"<|user|>{user}<|end|>", prompt), ("<|assistant|>", 0.0), (f"{assistant}<|end|>", weight)]
