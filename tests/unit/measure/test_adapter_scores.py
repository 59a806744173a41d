"""What reaches an adapter's card from a comparison and from a check, and what an approach asks its model."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from groundtune.approaches.finetune import FineTune
from groundtune.approaches.hybrid import RagFineTune
from groundtune.approaches.setting import make_setting
from groundtune.config import load_config
from groundtune.errors import DataError
from groundtune.measure import adapter_check
from groundtune.measure.asked import asked_chats
from groundtune.measure.kept import keep_scores
from groundtune.measure.plan import make_plan
from groundtune.measure.results import ApproachResult, Estimate, ItemResult
from groundtune.tuning import adapters as registry
from groundtune.tuning.adapters import Adapters
from groundtune.types import Adapter, Generation, Message, Usage

ITEM = ItemResult("1", "question", "g", "q", "", "a")
METRICS = {"success": Estimate(0.5, 0.2, 0.8, 10), "style_form": Estimate(None, None, None, 0)}


def made(folder, name="finetune-1", base="builtin:base"):
    path = folder / name
    path.mkdir(parents=True)
    (path / "adapter_config.json").write_text("{}")
    registry.write(path, Adapter(str(path), base, "d", {}, 1.0, 0.1))
    return Adapters(folder).get(name)


class Tuned:
    name = "finetune"

    def __init__(self, adapter):
        self.adapter = adapter


def test_a_whole_measurement_is_kept_with_the_adapter(tmp_path):
    adapter = made(tmp_path)
    keep_scores(Tuned(adapter), ApproachResult("finetune", "m", METRICS, items=(ITEM,)))
    keep_scores(Tuned(adapter), ApproachResult("finetune+constrained", "m", METRICS, items=(ITEM,)))
    assert Adapters(tmp_path).card("finetune-1").scores == {"success": 0.5, "constrained.success": 0.5}


@pytest.mark.parametrize("change", [{"missing": 3}, {"skipped": "no"}, {"items": ()}])
def test_a_measurement_that_stopped_early_is_not(tmp_path, change):
    result = replace(ApproachResult("finetune", "m", METRICS, items=(ITEM,)), **change)
    keep_scores(Tuned(made(tmp_path)), result)
    keep_scores(Tuned(None), ApproachResult("rag", "m", METRICS, items=(ITEM,)))
    keep_scores(
        Tuned(Adapter(str(tmp_path / "gone"), "b", "d")), ApproachResult("finetune", "m", METRICS, items=(ITEM,))
    )
    assert Adapters(tmp_path).card("finetune-1").scores == {}


@pytest.fixture
def project(tmp_path):
    """Documents, examples and questions, one of them without an answer."""
    (tmp_path / "documents").mkdir()
    for number in range(6):
        text = f"# Room {number}\n\nRoom {number} has {number + 3} chairs and opens at {number + 7} in the morning.\n"
        (tmp_path / "documents" / f"room{number}.md").write_text(text)
    rows = [{"question": f"How many chairs has room {n}?", "answers": [str(n + 3)],
             "evidence": {"document": f"room{n}.md", "quote": f"{n + 3} chairs"}} for n in range(4)]  # fmt: skip
    rows.append({"question": "Who painted room 2?", "answerable": False})
    (tmp_path / "questions.jsonl").write_text("\n".join(map(json.dumps, rows)))
    chats = [{"messages": [{"role": "user", "content": f"When does room {n} open on day {n * 7}?"},
                           {"role": "assistant", "content": json.dumps({"answer": str(n)})}]} for n in range(12)]  # fmt: skip
    (tmp_path / "examples.jsonl").write_text("\n".join(map(json.dumps, chats)))
    (tmp_path / "groundtune.toml").write_text(
        '[project]\nname = "rooms"\n[models]\nbase = "fake:extract"\nreader = "fake:"\nembedder = "fake:"\n'
        '[format]\ninstruction = "One JSON object."\nanswer_field = "answer"\n'
    )
    return load_config(tmp_path)


class Ear:
    name = "ear"

    def __init__(self):
        self.chats = []

    def generate(self, messages, **_):
        self.chats.append(tuple(messages))
        return Generation("", Usage(), 0.0)


@pytest.mark.parametrize(("name", "kind"), [("finetune", FineTune), ("rag+finetune", RagFineTune)])
def test_the_chats_are_those_that_the_trained_approach_sends(project, name, kind):
    asked = asked_chats(project, name, most=3)
    plan, ear = make_plan(project), Ear()
    with plan.kb:
        approach = kind(replace(make_setting(project, plan.kb), open_model=lambda _: ear))
        approach.adapter = Adapter("a", "fake:extract", "d")
        for item in plan.items:
            approach.answer(item.question)
    assert len(asked.chats) == 3 and set(asked.chats) <= set(ear.chats)
    assert len(asked.unanswerable) == 1 and "Who painted room 2?" in asked.unanswerable[0][-1].content
    assert asked.form.system == "One JSON object." and asked.form.approach == name
    assert asked.form.user.startswith("[1] {title}" if name == "rag+finetune" else "{question}")
    assert ("[1] " in asked.chats[0][-1].content) == (name == "rag+finetune")
    assert len(asked.targets) == len(plan.train)


def test_a_project_without_anything_to_ask_still_has_its_prompt(tmp_path):
    (tmp_path / "groundtune.toml").write_text('[project]\nname = "x"\n[format]\ninstruction = "Say."\n')
    asked = adapter_check.held_out(load_config(tmp_path), "finetune", most=3)
    assert asked.chats == asked.unanswerable == () and asked.form.system == "Say."


def test_a_check_is_kept_in_the_card_and_a_changed_base_is_noticed(project, monkeypatch):
    folder = project.state / "adapters"
    base = project.folder / "base"
    base.mkdir()
    (base / "config.json").write_text("{}")
    made(folder, "rag-finetune-1", base=f"hf:{base}")
    models = {None: lambda _: '{"answer": null}', "tuned": lambda _: '{"answer": "7"}'}

    class Fixed:
        def __init__(self, answer):
            self.name, self._answer = "fixed", answer

        def generate(self, messages, **_):
            assert messages[0] == Message("system", "One JSON object.") or len(messages) == 1
            return Generation(self._answer(messages), Usage(), 0.0)

    real = adapter_check.make_setting
    monkeypatch.setattr(
        adapter_check, "make_setting",
        lambda *given: replace(real(*given), open_model=lambda path: Fixed(models["tuned" if path else None])),
    )  # fmt: skip
    found = adapter_check.check_adapter(project, "rag-finetune-1")
    assert found.change("refusals").effect == "worse" and found.change("refusals").n == 19  # one is the project's own
    card = Adapters(folder).card("rag-finetune-1", thorough=True)
    assert card.check["changes"][1]["effect"] == "worse" and card.scores["check.refusals"] == 0.0 and not card.damage
    assert card.base_digest and not card.base_changed
    (base / "config.json").write_text('{"other": true}')
    assert Adapters(folder).card("rag-finetune-1").base_changed
    with pytest.raises(DataError, match="has changed since"):
        Adapters(folder).promote("rag-finetune-1")
    assert Path(folder / "rag-finetune-1" / "check.json").is_file()
