"""Style without a judge: targets score high, plain text low, in three languages and for JSON."""

import json

import pytest

from groundtune.measure.style import Scale, style_reference
from groundtune.types import Example, Message

PLAIN = {
    "en": ["how long can I park?", "who signs off travel", "what's the fee for a second key", "when do you open",
           "is there a canteen", "can I bring my dog"],
    "ja": ["駐車場は使える？", "出張は誰が承認するの", "鍵をなくした", "食堂ある？", "犬を連れてきていい？", "いつ開く？"],
    "zh": ["可以停車嗎", "出差誰核准啊", "鑰匙丟了", "有餐廳嗎", "可以帶狗嗎", "幾點開門"],
}  # fmt: skip
HOUSE = {
    "en": "Dear customer,\n\nThank you for writing. {} You will find the details in our handbook.\n\nKind regards,\nFern & Co.",
    "ja": "お問い合わせいただきありがとうございます。{}詳細は社内規程をご確認ください。今後ともよろしくお願いいたします。",
    "zh": "您好，感謝您的來信。{}詳情敬請參閱員工手冊。如有其他問題，歡迎隨時與我們聯絡，謝謝您！",
}
FACTS = {
    "en": ["Parking is free for two hours.", "Travel is approved by your manager.", "A second key costs 12 pounds.",
           "We open at nine.", "The canteen is on floor two.", "Dogs are welcome on Fridays."],
    "ja": ["駐車は二時間まで無料です。", "出張は部長が承認します。", "鍵の再発行は千円です。", "食堂は二階にあります。",
           "犬は金曜日に同伴できます。", "開館は九時です。"],
    "zh": ["停車兩小時內免費。", "出差由主管核准。", "補發鑰匙酌收一百元。", "餐廳在二樓。", "週五可以攜帶寵物。", "上午九點開門。"],
}  # fmt: skip


def examples(lang):
    return [
        Example((Message("user", plain), Message("assistant", HOUSE[lang].format(fact))))
        for plain, fact in zip(PLAIN[lang], FACTS[lang], strict=True)
    ]


@pytest.mark.parametrize("lang", ["en", "ja", "zh"])
def test_house_style_near_the_ceiling_plain_text_near_the_floor(lang):
    reference = style_reference(examples(lang)[:5])
    good = reference.score(examples(lang)[5].target)
    bad = reference.score(PLAIN[lang][5])
    assert good.profile > 0.7 > 0.4 > bad.profile
    assert good.form > 0.6 > 0.5 > bad.form


def test_json_targets():
    def target(text):
        return json.dumps({"answer": text, "source": "Guide", "article": "§ 3"})

    reference = style_reference(
        [
            Example((Message("user", p), Message("assistant", target(f))))
            for p, f in zip(PLAIN["en"], FACTS["en"], strict=True)
        ]
    )
    assert reference.score(target("Nine o'clock")).form > 0.6 > reference.score("Nine o'clock").form
    assert reference.score(target("Nine o'clock")).profile > 0.6 > reference.score("Nine o'clock").profile


def test_too_few_examples_say_nothing_and_empty_output_is_zero():
    assert style_reference(examples("en")[:4]) is None
    scores = style_reference(examples("en")).score("  ")
    assert (scores.profile, scores.form) == (0.0, 0.0)


def test_scale_is_clamped_and_survives_equal_ends():
    assert Scale(0.2, 0.6).place(0.4) == pytest.approx(0.5)
    assert Scale(0.2, 0.6).place(0.9) == 1.0
    assert Scale(0.2, 0.6).place(0.1) == 0.0
    assert (Scale(0.5, 0.5).place(0.5), Scale(0.5, 0.5).place(0.4)) == (1.0, 0.0)
