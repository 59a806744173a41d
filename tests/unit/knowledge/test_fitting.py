import pytest

from groundtune import KnowledgeBase
from groundtune.errors import ModelRefused
from groundtune.knowledge.fitting import write_fitting
from groundtune.text.prompts import Shown
from groundtune.types import Document, Generation, Usage

SHOWN = [Shown(f"T{i}", f"text {i}") for i in range(4)]


def window(most, key="models.too_long"):
    def write(shown):
        if len(shown) > most:
            raise ModelRefused(key, tokens=9, model="m", limit=1, status=400, reason="x")
        return [s.label for s in shown]

    return write


def test_whole_passages_are_left_out_from_the_end():
    assert write_fitting(window(4), SHOWN).omitted == 0
    fitted = write_fitting(window(2), SHOWN)
    assert (fitted.value, fitted.omitted) == (["T0", "T1"], 2)
    assert write_fitting(window(0), []).value == []


def test_one_passage_too_long_and_other_refusals_stand():
    with pytest.raises(ModelRefused, match="at most"):
        write_fitting(window(0), SHOWN)
    with pytest.raises(ModelRefused, match="refused"):
        write_fitting(window(2, "models.refused"), SHOWN)


class Narrow:
    """Reads 200 characters at most and cites its last passage."""

    name = "builtin:narrow"

    def generate(self, messages, *, max_tokens=256, temperature=0.0, seed=0, schema=None):
        if len(messages[-1].content) > 200:
            raise ModelRefused("models.too_long", tokens=200, model=self.name, limit=100)
        return Generation("Tea costs 4 coins [1].", Usage(1, 1), 0.0, self.name, True)


def test_ask_reports_what_did_not_fit_and_what_it_cannot_read(tmp_path):
    with KnowledgeBase.open(tmp_path) as base:
        base.add([Document("tea", "Tea costs 4 coins.", {"title": "Tea"})])
        base.add([Document(f"c{i}", f"Coffee {i} costs {i} coins, and tea is not coffee. " * 3, {}) for i in range(3)])
        answer = base.ask("What does tea cost?", Narrow())
        assert answer.omitted >= 1 and answer.unread == 0.0
        base.add([Document("ko", "차는 네 냥입니다. 커피는 다섯 냥입니다.", {"title": "차"})])
        foreign = base.ask("차는 얼마입니까?")
        assert foreign.unread > 0.5 and foreign.abstained
