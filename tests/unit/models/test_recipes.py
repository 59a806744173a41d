"""The training code and the inference code of the built-in models compute the same numbers."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[3] / "recipes"))

pytestmark = pytest.mark.tune
PASSAGE = "The shop in Ghent opens at nine. 京都の本店は月曜日に休みます。臺北門市週日公休，電話 02-2345。" * 3
QUESTION = "When does the shop open? 何曜日に休みますか"


def test_reader_in_torch_and_in_numpy():
    import torch
    from reader_model import ReaderNet
    from reader_train import Row, pack

    from groundtune.models.reader import BuiltinReader
    from groundtune.models.reader_units import encode

    torch.manual_seed(0)
    net = ReaderNet(width=64, stacks=2).eval()
    for name, parameter in net.named_parameters():
        if name.endswith("gain") or name == "sentinel":
            parameter.data.normal_(1.0, 0.1)
    weights = {name: p.detach().numpy() for name, p in net.named_parameters() if name != "embed.weight"}
    table = net.embed.weight.detach().numpy()
    scale = np.abs(table).max(axis=1) / 127
    codes = np.round(table / scale[:, None]).astype(np.int8)
    net.embed.weight.data = torch.from_numpy(codes.astype(np.float32) * scale[:, None])
    card = {"threshold": 0.5, "calibration": {"slope": 1.0, "offset": 0.0}}
    reader = BuiltinReader(weights | {"embed.codes": codes, "embed.scale": scale}, card)
    passage, question = encode(PASSAGE), encode(QUESTION)
    shorter = encode("Short one.")  # padding beside a longer row must not change it
    with torch.no_grad():
        both = net(*pack([Row(passage, question, []), Row(shorter, question, [])])).numpy()
    assert np.abs(both[0][: len(passage) + 1] - reader.logits(passage, question)).max() < 2e-4
    assert np.abs(both[1][: len(shorter) + 1] - reader.logits(shorter, question)).max() < 2e-4
    assert both[0].std() > 0.01


def test_words_with_the_same_company_start_alike():
    from reader_data import SPANS, Bank, _flat
    from reader_words import first_table

    from groundtune.models.reader_units import encode

    animals, drinks = ("cat", "dog", "horse", "goat"), ("tea", "coffee", "juice", "cocoa")
    texts = [f"The {a} sleeps in the barn near a field." for a in animals for _ in range(12)]
    texts += [f"She drinks {d} from her cup every morning." for d in drinks for _ in range(12)]
    passages, passage_at = _flat([encode(text) for text in texts])
    asked, asked_at = _flat([encode("Where does the cat sleep?")])
    of, groups = np.zeros(1, int), np.zeros(len(texts), int)
    bank = Bank(passages, passage_at, asked, asked_at, of, np.zeros((1, SPANS, 2)), of > 0, groups)
    table = first_table({"en": bank}, 4, 0.1)
    assert table.shape[1] == 4 and np.allclose(table[np.abs(table).sum(1) > 0].std(0), 0.1, atol=1e-4)

    def like(first, second):
        a, b = (table[encode(word).ids[0, 0]] for word in (first, second))
        return a @ b / np.linalg.norm(a) / np.linalg.norm(b)

    assert like("cat", "horse") > 0.9 > like("cat", "tea") + 0.5
    assert like("coffee", "cocoa") > 0.9
    assert not table[encode("zeppelin").ids[0, 0]].any()


def test_lean_forward_of_the_base_recipe_is_the_library_s():
    import torch
    from base_train import hidden_of
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=64, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=2, max_position_embeddings=64, tie_word_embeddings=True,
    )  # fmt: skip
    model = LlamaForCausalLM(config).eval()
    ids = torch.randint(0, 64, (2, 17))
    expected = model.model(input_ids=ids).last_hidden_state
    assert torch.allclose(hidden_of(model, ids), expected, atol=1e-5)
    hidden_of(model, ids).sum().backward()
    ours = [p.grad.clone() for p in model.parameters()]
    model.zero_grad()
    model.model(input_ids=ids).last_hidden_state.sum().backward()
    assert all(torch.allclose(a, p.grad, atol=1e-4) for a, p in zip(ours, model.parameters(), strict=True))


def test_the_sentence_to_find_is_where_the_guided_heads_are_told_to_look():
    import torch
    from base_tasks import CLOSE, OPEN
    from base_train import (
        ANSWER_HEADS,
        QUESTION_HEADS,
        RARE,
        SAME_HEADS,
        SENTENCE_HEADS,
        Batch,
        Starts,
        guidance,
        located,
    )
    from transformers import PreTrainedTokenizerFast

    from groundtune.models.builtin import FOLDER

    tokenizer = PreTrainedTokenizerFast.from_pretrained(FOLDER / "base")
    text = "Rain fell, 3.5 mm of it. The shop opens at nine. 京都の店は休みます。\n\nWhen does the shop open?"
    ids, inside = located(tokenizer, text.replace("The shop opens at nine.", f"{OPEN}The shop opens at nine.{CLOSE}"))
    assert ids == tokenizer(text, add_special_tokens=False)["input_ids"]
    assert inside is not None
    first, last, question = inside
    assert tokenizer.decode(ids[question:]) == "When does the shop open?"
    assert tokenizer.decode(ids[first : last + 1]).strip() == "The shop opens at nine."
    made = Batch(
        torch.tensor([ids]),
        torch.ones(1, len(ids)),
        torch.zeros(1, len(ids)),
        [(0, len(ids) - 1, first, last, question)],
    )
    starts = Starts(tokenizer)
    at = starts(made.ids)[0]
    assert sorted(set(at.tolist()))[1] == first  # the point of 3.5 ends no sentence
    n = len(ids)
    right = {
        layer: torch.zeros(1, 4, n, n) for layer, _ in (*SENTENCE_HEADS, *SAME_HEADS, *QUESTION_HEADS, *ANSWER_HEADS)
    }
    for layer, heads in SENTENCE_HEADS:
        right[layer][0, list(heads)] = torch.nn.functional.one_hot(at, n).float()
    same = (made.ids[0][:, None] == made.ids[0][None]).tril(-1).float()
    for layer, heads in SAME_HEADS:
        right[layer][0, list(heads)] = same / same.sum(1, keepdim=True).clamp_min(1)
    known = [t for t in range(question, n - 1) if 0 < same[t].sum() <= RARE]
    assert known  # "shop" is among them
    for layer, heads in QUESTION_HEADS:
        right[layer][0, list(heads), -1, known] = 1 / len(known)
    for layer, heads in ANSWER_HEADS:
        right[layer][0, list(heads), :, first : last + 1] = 1 / (last + 1 - first)
    assert guidance(right, made, starts) < 1e-5
    even = {layer: torch.full_like(w, 1 / n) for layer, w in right.items()}
    assert guidance(even, made, starts) > 3


def test_made_questions_are_answered_by_their_text():
    import random

    from reader_data import make_question, occurrences

    from groundtune.models.reader_units import encode

    texts = {
        "en": "Founded in 1987, the club moved to Harbour Street. Anna Kowalska has led it since May 2003.",
        "zh-Hant": "本館成立於1987年，館長林淑芬曾任教於港口大學。展覽廳共有三十二座展櫃，每年約有五萬人參觀。",
        "ja": "同館は1987年に設立され、館長の佐藤花子は港大学で教えていた。展示室にはケースが三十二台ある。",
    }
    for lang, text in texts.items():
        rng = random.Random(1)
        found = [made for made in (make_question(lang, text, "Title", rng) for _ in range(40)) if made]
        assert len({question for question, _, _ in found}) > 5
        for question, start, end in found:
            assert question and 0 <= start < end <= len(text)
        assert any(occurrences(encode(text), text, (text[a:b],)) for _, a, b in found)
