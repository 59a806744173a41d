"""A small project on disk and a model that needs nothing: reads a number out of the passage, writes the house format."""

from __future__ import annotations

import json
import os
import re
import time
from dataclasses import replace
from pathlib import Path

from groundtune import registry
from groundtune.config import CompareSection, Config, FormatSection, ModelsSection, ProjectSection, RetrievalSection
from groundtune.errors import ModelUnreachable
from groundtune.models.fake import extract
from groundtune.types import Generation, Usage

FACTS = {
    "leave": [("annual leave", "25 days"), ("sick leave", "9 weeks"), ("parental leave", "14 weeks")],
    "travel": [
        ("the hotel limit", "120 pounds"),
        ("the meal allowance", "35 pounds"),
        ("the mileage rate", "45 pence"),
    ],
    "warranty": [
        ("the sensor guarantee", "36 months"),
        ("the cable guarantee", "12 months"),
        ("a loan unit", "14 days"),
    ],
    "canteen": [("the lunch break", "45 minutes"), ("the guest menu", "11 pounds"), ("the coffee price", "80 pence")],
}
OLD = {"annual leave": "22 days", "the hotel limit": "95 pounds"}
QUESTION_DOCUMENTS = ("leave", "travel")
SCHEMA = {
    "type": "object",
    "properties": {"answer": {"type": ["string", "null"]}, "source": {"type": ["string", "null"]}},
    "required": ["answer", "source"],
    "additionalProperties": False,
}
CALLS = "calls.log"


class HouseModel:
    """Answers in JSON from the passage that fits the question best; without passages it makes something up.

    Each call is written to ``log``; ``style`` is ``json``, ``prose`` (the JSON stands in a
    sentence) or ``gone`` (nobody answers).
    """

    def __init__(self, name: str) -> None:
        self.name = f"house:{name}"
        self._style, _, self._log = name.partition("@")

    def generate(self, messages, *, max_tokens=256, temperature=0.0, seed=0, schema=None):
        question = messages[-1].content.rsplit("\n", 1)[-1]
        with open(self._log, "a", encoding="utf-8") as log:
            log.write(question + "\n")
            log.flush()
        if self._style == "gone":
            raise ModelUnreachable("core.file_missing", path="the server")
        time.sleep(float(os.environ.get("HOUSE_SECONDS", "0")))
        sentence = extract(messages)
        found = re.search(r"\d+ (?:days|weeks|pounds|pence|months|minutes)", sentence)
        label = re.search(r"^\[1\] ([^|\n]*)", messages[-1].content, re.MULTILINE)
        answer = found.group() if found else ("7 days" if "pay" not in question else None)
        text = json.dumps({"answer": answer, "source": label.group(1).strip() if label and answer else None})
        if self._style == "prose":
            text = f"Certainly: {text}"
        return Generation(text, Usage(len(messages[-1].content.split()), 12), 0.01, self.name)


def open_house(name, **options):
    return HouseModel(name)


def register() -> None:
    registry._BUILT_IN["model"]["house"] = "measure_project:open_house"


def document(name: str, facts) -> str:
    body = "\n\n".join(
        f"### § {i} {topic}\nFor all staff {topic} is {value}." for i, (topic, value) in enumerate(facts, 1)
    )
    return f"# {name.title()} policy\n\n{body}\n"


def make_project(folder: Path, style: str = "json") -> Config:
    for edition, change in (("documents", {}), ("documents-2025", OLD)):
        (folder / edition).mkdir(parents=True)
        for name, facts in FACTS.items():
            text = document(name, [(topic, change.get(topic, value)) for topic, value in facts])
            (folder / edition / f"{name}.md").write_text(text, encoding="utf-8")
    questions, examples = [], []
    for name, facts in FACTS.items():
        for topic, value in facts:
            quote = f"For all staff {topic} is {value}."
            asked = f"How much is {topic} for all staff?"
            if name in QUESTION_DOCUMENTS:
                extra = {"old_answer": OLD[topic]} if topic in OLD else {}
                evidence = {"document": f"{name}.md", "quote": quote}
                questions.append({"question": asked, "answers": [value], "evidence": evidence, "metadata": extra})
            else:
                target = json.dumps({"answer": value, "source": f"{name.title()} policy"})
                for words in (asked, f"Tell me about {topic}", f"What should I know of {topic}, please?"):
                    turns = [{"role": "user", "content": words}, {"role": "assistant", "content": target}]
                    examples.append({"messages": turns, "metadata": {"document": f"{name}.md", "quote": quote}})
    questions.append({"question": "Who sets the pay of interns?", "answers": [], "answerable": False})
    for file, rows in (("questions.jsonl", questions), ("examples.jsonl", examples)):
        (folder / file).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (folder / "schema.json").write_text(json.dumps(SCHEMA), encoding="utf-8")
    return project_config(folder, style)


def project_config(folder: Path, style: str = "json") -> Config:
    return Config(
        project=ProjectSection(name="tiny"),
        models=ModelsSection(base=f"house:{style}@{folder / CALLS}", reader="fake:"),
        retrieval=RetrievalSection(k=5, context_sentences=2),
        format=FormatSection("Answer in JSON.", "schema.json", "answer", "source"),
        compare=CompareSection(approaches=("prompt", "few-shot", "rag"), held_out=0.4),
        folder=folder,
    )


def calls(config: Config) -> list[str]:
    log = config.folder / CALLS
    return log.read_text(encoding="utf-8").splitlines() if log.is_file() else []


def changed(config: Config, section: str, **values) -> Config:
    return replace(config, **{section: replace(getattr(config, section), **values)})
