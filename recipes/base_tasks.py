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

from corpus import LANGUAGES, Article, articles, paragraphs

from groundtune.messages import say
from groundtune.text.prompts import Shown, label, render
from groundtune.text.sentences import sentence_spans

Piece = tuple[str, float]
PROMPT_WEIGHT, TEXT_WEIGHT = 0.15, 0.5

REFUSAL = {
    "en": ("Not stated in the documents.", "The passages do not say.", "I cannot find this in the documents."),
    "zh-Hant": ("文件中沒有記載。", "資料裡沒有提到。", "找不到相關規定。"),
    "ja": ("資料に記載がありません。", "文書には書かれていません。", "該当する記載が見つかりません。"),
}
SHORT = {
    "en": ("Answer in a few words from the passages.", "Reply with the exact words of the passage.", "Give only the short answer."),
    "zh-Hant": ("請根據段落簡短回答。", "只回答段落中的原文詞語。", "請只給出簡短答案。"),
    "ja": ("資料の言葉で短く答えてください。", "本文から抜き出して答えてください。", "答えだけを短く述べてください。"),
}
CITED = {
    "en": ("Answer briefly and put the passage number in brackets after it.",),
    "zh-Hant": ("請簡短回答，並在後面用方括號標出段落編號。",),
    "ja": ("短く答え、後ろに角括弧で資料番号を付けてください。",),
}
SENTENCE = {
    "en": ("Quote the sentence that answers the question.", "Copy the whole sentence that contains the answer."),
    "zh-Hant": ("請引用回答問題的那一句。", "請抄出含有答案的整句話。"),
    "ja": ("質問に答える一文を引用してください。", "答えを含む文をそのまま書いてください。"),
}
PLAIN = {lang: say("approaches.instruction", lang) for lang in ("en", "zh-Hant", "ja")}  # what the approaches ask by default
LINES = {
    "en": (("Result", "From"), ("Answer", "Document"), ("Reply", "Title")),
    "zh-Hant": (("答案", "文件"), ("結果", "來源"), ("回覆", "標題")),
    "ja": (("答え", "資料"), ("結果", "出典"), ("回答", "文書名")),
}
LINES_ASK = {
    "en": "Reply on two lines: {a}: the answer, {b}: the title of the document.",
    "zh-Hant": "請分兩行回答：「{a}：」答案，「{b}：」文件標題。",
    "ja": "二行で答えてください。「{a}：」答え、「{b}：」文書の題名。",
}
VALUE_KEYS = ("answer", "value", "result", "reply", "response", "text", "content", "fact", "答案", "回答", "内容", "値")
TITLE_KEYS = ("document", "title", "file", "origin", "doc", "from", "book", "文件", "文書", "資料名", "標題")
PLACE_KEYS = ("section", "clause", "place", "item", "part", "where", "heading", "條文", "箇所", "項目", "條號")
JSON_ASK = {
    "en": (
        "Answer with a JSON object: {keys}. Use null when the passages do not answer.",
        "Reply only with JSON. Keys: {keys}. If the passages do not say, every value is null.",
        "Output one JSON object with {keys} and nothing else; null for everything that is not in the passages.",
    ),
    "zh-Hant": (
        "請以 JSON 物件回答，欄位：{keys}。段落沒有答案時填 null。",
        "只輸出 JSON。欄位為 {keys}；若段落未提及，所有值都是 null。",
    ),
    "ja": (
        "JSON オブジェクトで答えてください。キー：{keys}。資料に答えがなければ null とします。",
        "JSON だけを出力してください。キーは {keys} です。記載がない場合はすべて null にします。",
    ),
}
KEY_WORDS = {
    "en": ("the answer in the words of the passage", "the document's title", "the heading of the passage"),
    "zh-Hant": ("段落原文中的答案", "文件標題", "段落的條目"),
    "ja": ("本文の言葉による答え", "文書の題名", "該当する見出し"),
}
BLANK = {"en": "____", "zh-Hant": "＿＿＿", "ja": "〔　　〕"}
CLOZE_ASK = {
    "en": (
        'What belongs in the blank: "{s}"', "{t}: fill the blank in “{s}”.", 'Which words are missing in {h} of {t}: "{s}"?',
        'According to {t}, what is ____ in "{s}"?', "{t} says: “{s}” What is the missing part?",
    ),
    "zh-Hant": (
        "請填入空格：「{s}」", "《{t}》規定：「{s}」空格應填什麼？", "《{t}》{h}：「{s}」缺少的是什麼？", "依{t}，{s}（空格處）是多少？",
    ),
    "ja": (
        "空欄に入る言葉は何ですか。「{s}」", "{t}には「{s}」とあります。空欄を埋めてください。", "{t}{h}の「{s}」で欠けている語は何ですか。",
        "「{s}」は{t}の規定です。空欄に当てはまるものを答えてください。",
    ),
}  # fmt: skip
LOOKUP_ASK = {
    "en": ("What is the value of {k}?", "{k}?", "Look up {k}.", "How is {k} listed?"),
    "zh-Hant": ("{k}是多少？", "{k}的值是什麼？", "請查{k}。", "{k}？"),
    "ja": ("{k}はいくつですか。", "{k}の値は何ですか。", "{k}を調べてください。", "{k}は？"),
}
TO_JSON = {
    "en": ("Turn these lines into a JSON object.", "Write the list as JSON."),
    "zh-Hant": ("請把下列資料轉成 JSON 物件。", "把清單寫成 JSON。"),
    "ja": ("次の行を JSON オブジェクトにしてください。", "一覧を JSON で書いてください。"),
}
EXTRACT = {
    "number": (("number", "count", "quantity", "figure", "n"), re.compile(r"\d[\d,.]*\d|\d|[一二三四五六七八九十百千萬万億]{1,8}(?=[年月日人元円条條個])")),
    "year": (("year", "date", "when", "since"), re.compile(r"(?:1[0-9]{3}|20[0-9]{2})年?(?:\d+月(?:\d+日)?)?")),
    "name": (("name", "who", "entity", "person", "place"), re.compile(r"[A-Z][a-z]+(?: [A-Z][a-z]+)+|[\u30a1-\u30fa][\u30a1-\u30fc・]{2,}|(?<=《)[^《》]{2,14}(?=》)")),
    "quoted": (("quote", "term", "work", "item"), re.compile(r"(?<=「)[^「」]{2,20}(?=」)|(?<=\")[^\"]{2,30}(?=\")|(?<=『)[^『』]{2,20}(?=』)")),
    "first": (("first", "begin", "head", "start"), re.compile(r"^(?:[A-Za-z]+|[\u4e00-\u9fff]{1,2}|[\u30a0-\u30ff]+)")),
}
EXTRACT_ASK = {
    "en": (("Extract {keys} as JSON; null when absent.", "Return a JSON object with {keys}."), ("Extract every {keys} as JSON lists.", "JSON with lists for {keys}; [] when absent.")),
    "zh-Hant": (("請抽取 {keys}，以 JSON 輸出，沒有則填 null。", "以 JSON 物件回覆，欄位 {keys}。"), ("請抽取所有 {keys}，以 JSON 陣列輸出。", "以 JSON 輸出，{keys} 皆為陣列，沒有則為 []。")),
    "ja": (("{keys} を抽出し、JSON で出力してください。なければ null。", "{keys} をキーとする JSON で答えてください。"), ("{keys} をすべて抽出し、JSON の配列で出力してください。", "JSON で出力。{keys} は配列、なければ []。")),
}  # fmt: skip
LIST_ASK = {
    "en": ("List all of: {keys}. JSON list of text and type.",),
    "zh-Hant": ("列出所有 {keys}，以含 text 與 type 的 JSON 陣列輸出。",),
    "ja": ("{keys} をすべて挙げ、text と type の JSON 配列で出力してください。",),
}
REPEAT = {"en": "Repeat exactly:", "zh-Hant": "請照樣重複：", "ja": "そのまま繰り返してください："}
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
            (self.text, self.reading, self.cloze, self.lookup, self.shaping, self.turns, self.echo, self.extract),
            (0.02, 0.14, 0.06, 0.16, 0.08, 0.02, 0.48, 0.04) if early else (0.02, 0.54, 0.14, 0.06, 0.04, 0.05, 0.02, 0.13),
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
        shown = [Shown(label(fact.title, fact.heading), joint.join(s.strip() for s in (*head, fact.sentence, *tail)))]
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
