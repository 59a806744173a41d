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
    from reader_export import as_shipped
    from reader_model import ReaderNet
    from reader_train import Row, pack, whole

    from groundtune.models.reader_network import Network
    from groundtune.models.reader_units import UNKNOWN, encode

    torch.manual_seed(0)
    passage, question = encode(PASSAGE), encode(QUESTION)
    keys = np.unique(passage.ids)[::2]  # every other id is unknown
    net = ReaderNet(UNKNOWN + len(keys), width=64, stacks=2).eval()
    for name, parameter in net.named_parameters():
        if name.endswith(("gain", "near")) or name == "sentinel":
            parameter.data.normal_(1.0, 0.3)
    exact = {n: p.clone() for n, p in net.state_dict().items()}
    weights = {"keys": keys} | as_shipped(exact)
    net.load_state_dict(whole(weights))
    assert all(
        (exact[n] - p).abs().max() <= p.abs().max() / 200 for n, p in net.state_dict().items()
    )  # 8 bits are enough
    network = Network(weights)
    shorter = encode("Short one.")  # padding beside a longer row must not change it
    with torch.no_grad():
        both = net(*pack([Row(passage, question, []), Row(shorter, question, [])], keys)).numpy()
    for row, one in zip(both, network.logits([passage, shorter], question), strict=True):
        assert np.abs(row[: len(one)] - one).max() < 2e-4
    assert both[0].std() > 0.01


def test_distances_have_the_gradient_of_plain_indexing():
    import torch
    from reader_model import distances

    from groundtune.models.reader_network import FAR

    for n in (1, FAR + 1, FAR + 30):
        near = torch.randn(2, 2 * FAR + 1, dtype=torch.float64, requires_grad=True)
        column = torch.arange(n)
        plain = near[:, (column[None] - column[:, None]).clamp(-FAR, FAR) + FAR]
        weight = torch.randn(2, n, n, dtype=torch.float64)
        assert torch.equal(distances(near, n), plain)
        (ours,) = torch.autograd.grad((distances(near, n) * weight).sum(), near)
        (theirs,) = torch.autograd.grad((plain * weight).sum(), near)
        assert torch.allclose(ours, theirs)


def test_gradients_of_the_gated_recurrence():
    import torch
    from reader_model import Gated

    torch.manual_seed(0)
    z = torch.randn(5, 2, 12, dtype=torch.double, requires_grad=True)
    inside = torch.ones(5, 2, 1, dtype=torch.double)
    inside[3:, 1] = 0
    assert torch.autograd.gradcheck(lambda z: Gated.apply(z, inside), (z,))


def test_words_with_the_same_company_start_alike():
    from reader_data import SPANS, Bank, _flat
    from reader_words import first_keys, first_table

    from groundtune.models.reader_units import IDS, UNKNOWN, encode, rows_of

    animals, drinks = ("cat", "dog", "horse", "goat"), ("tea", "coffee", "juice", "cocoa")
    texts = [f"The {a} sleeps in the barn near a field." for a in animals for _ in range(12)]
    texts += [f"She drinks {d} from her cup every morning." for d in drinks for _ in range(12)]
    passages, passage_at = _flat([encode(text) for text in texts])
    asked, asked_at = _flat([encode("Where does the cat sleep?")])
    of, groups = np.zeros(1, int), np.zeros(len(texts), int)
    bank = Bank(passages, passage_at, asked, asked_at, of, np.zeros((1, SPANS, 2)), of > 0, groups)
    keys = first_keys({"en": bank}, 5000)
    assert len(first_keys({"en": bank}, 20)) == 20 and rows_of(encode("barn zeppelin"), keys)[:, 0].tolist()[1] == 0
    table = first_table({"en": bank}, keys, 4, 0.1)
    assert table.shape == (UNKNOWN + len(keys), 4)
    assert np.allclose(table[np.abs(table).sum(1) > 0].std(0), 0.1, atol=1e-4)

    def like(first, second):
        a, b = (table[rows_of(encode(word), keys)[0, 0]] for word in (first, second))
        return a @ b / np.linalg.norm(a) / np.linalg.norm(b)

    assert like("cat", "horse") > 0.9 > like("cat", "tea") + 0.5
    assert like("coffee", "cocoa") > 0.9
    assert set(rows_of(encode("貓"), keys)[0].tolist()) == set(range(IDS, UNKNOWN))  # never seen: unknown of each kind


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
