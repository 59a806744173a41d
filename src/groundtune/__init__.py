"""groundtune: ground it or tune it? Measure, then run the winner."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from groundtune.config import Config as Config
    from groundtune.knowledge.base import KnowledgeBase as KnowledgeBase
    from groundtune.measure.results import Report as Report
    from groundtune.project import Project as Project
    from groundtune.project import compare as compare
    from groundtune.project import tune as tune
    from groundtune.types import Answer as Answer
    from groundtune.types import Citation as Citation
    from groundtune.types import Document as Document
    from groundtune.types import Example as Example
    from groundtune.types import Hit as Hit
    from groundtune.types import Question as Question
    from groundtune.types import SyncReport as SyncReport
    from groundtune.verdict.advise import Interview as Interview
    from groundtune.verdict.advise import advise as advise
    from groundtune.verdict.decide import decide as decide

__version__ = "0.1.0"

# Each is imported when it is first used, so that ``import groundtune`` stays fast and loads no extra.
_HOME = {
    "Answer": "types", "Citation": "types", "Config": "config", "Document": "types", "Example": "types", "Hit": "types",
    "Interview": "verdict.advise", "KnowledgeBase": "knowledge.base", "Project": "project", "Question": "types",
    "Report": "measure.results", "SyncReport": "types", "advise": "verdict.advise", "compare": "project",
    "decide": "verdict.decide", "tune": "project",
}  # fmt: skip
__all__ = [  # noqa: F822 - filled by __getattr__
    "Answer", "Citation", "Config", "Document", "Example", "Hit", "Interview", "KnowledgeBase", "Project", "Question",
    "Report", "SyncReport", "advise", "compare", "decide", "tune",
]  # fmt: skip


def __getattr__(name: str) -> Any:  # noqa: ANN401
    if name not in _HOME:
        raise AttributeError(f"module 'groundtune' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"groundtune.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
