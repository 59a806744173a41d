"""What the self-made tasks of ``builtin:base`` say: instructions, refusals, names of keys, in three languages."""

from __future__ import annotations

import re

from groundtune.messages import say

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
FRAME_ASK = {
    "en": ("Write the kind and the parts of this message as JSON.", "JSON with kind and parts, please.", "Turn the message into a JSON object."),
    "zh-Hant": ("請把這則訊息的種類與各部分寫成 JSON。", "以 JSON 輸出種類與欄位。"),
    "ja": ("このメッセージの種類と要素を JSON で書いてください。", "種類と要素を JSON にしてください。"),
}
COMPOSE_ASK = {
    "en": ("Write a sentence that says all of this: {f}", "Put these into one sentence.\n\n{f}", "Details: {f}"),
    "zh-Hant": ("請用一句話寫出以下全部內容：{f}", "請把這些資料寫成句子。\n\n{f}"),
    "ja": ("次の内容をすべて含む文を書いてください：{f}", "これらを文にしてください。\n\n{f}"),
}
POLITE_ASK = (("丁寧な言い方に直してください。", "です・ます体に書き換えてください。"), ("くだけた言い方に直してください。", "常体に書き換えてください。"))
POLITE = (("ではない。", "ではありません。"), ("である。", "です。"), ("っている。", "っています。"), ("ている。", "ています。"), ("された。", "されました。"), ("なった。", "なりました。"), ("した。", "しました。"),
    ("れる。", "れます。"), ("する。", "します。"), ("だった。", "でした。"), ("ない。", "ません。"), ("いた。", "いました。"), ("れた。", "れました。"))  # fmt: skip
REPEAT = {"en": "Repeat exactly:", "zh-Hant": "請照樣重複：", "ja": "そのまま繰り返してください："}
