"""The files of a new project: groundtune.toml with every setting explained, a guide and sample lines."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, replace

from groundtune.cli.wide import wrap
from groundtune.config import Config, ProjectSection
from groundtune.messages import say

_COLUMNS = 110


def settings_file(name: str, lang: str) -> str:
    """groundtune.toml with the default of every setting, explained in ``lang``."""
    config = Config(project=replace(ProjectSection(), name=name, language=lang))
    blocks = [_comment(say("settings.file", lang=lang))]
    for section in fields(Config):
        if section.name == "folder":
            continue
        table = getattr(config, section.name)
        rows = [_comment(say(f"settings.section.{section.name}", lang=lang)), f"[{section.name}]"]
        for setting in fields(table):
            rows.append(_comment(say(f"settings.{section.name}.{setting.name}", lang=lang)))
            rows.append(f"{setting.name} = {toml_value(getattr(table, setting.name))}")
        blocks.append("\n".join(rows))
    return "\n\n".join(blocks) + "\n"


def toml_value(value: object) -> str:
    """A string, number, boolean or list of strings as TOML."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, tuple | list):
        return "[" + ", ".join(toml_value(item) for item in value) + "]"
    raise TypeError(f"no TOML form for {type(value).__name__}")


def project_files(name: str, lang: str) -> Mapping[str, str]:
    """Relative path to text of everything ``init`` writes; groundtune.toml comes last, so that a folder that has one
    has the rest.
    """
    text = {
        key: say(f"settings.sample.{key}", lang=lang) for key in ("question", "answer", "document", "quote", "request")
    }
    questions = [
        {"question": text["question"], "answers": [text["answer"]], "answerable": True,
         "evidence": {"document": text["document"], "quote": text["quote"]}},
        {"question": say("settings.sample.unanswerable", lang=lang), "answers": [], "answerable": False},
    ]  # fmt: skip
    turns = [
        {"role": "user", "content": text["request"]},
        {"role": "assistant", "content": say("settings.sample.target", lang=lang)},
    ]
    return {
        "README.txt": say("settings.sample.readme", lang=lang).lstrip("\n"),
        "questions.jsonl.sample": "".join(json.dumps(q, ensure_ascii=False) + "\n" for q in questions),
        "examples.jsonl.sample": json.dumps({"messages": turns}, ensure_ascii=False) + "\n",
        ".gitignore": ".groundtune/\n",
        "groundtune.toml": settings_file(name, lang),
    }


def _comment(sentence: str) -> str:
    return "\n".join(f"# {line}" for line in wrap(sentence, _COLUMNS))
