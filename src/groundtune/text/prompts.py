"""The one textual form in which passages and a question are shown to any model.

``builtin:base`` is pretrained on exactly this form; large models read it as well. Passages are data: numbered,
each under its label, the question last.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from groundtune.text.control import as_data, neutralise

# Between the headings of a path, from the outermost to the nearest one.
HEADING_MARK = " > "


@dataclass(frozen=True, slots=True)
class Shown:
    """A passage as a model sees it: a one-line ``label`` (title and heading) and its text."""

    label: str
    text: str


def label(title: str, heading: str = "") -> str:
    """``Title | Heading`` with the nearest heading of a path; the title alone when there is none or both are equal."""
    title, heading = " ".join(title.split()), " ".join(heading.rpartition(HEADING_MARK)[2].split())
    return f"{title} | {heading}" if heading and heading != title else title


def render(question: str, passages: Sequence[Shown] = ()) -> str:
    """``[1] label⏎text⏎⏎[2] …⏎⏎question``; the bare question without passages. Neither a passage nor the question can
    hold chat control tokens, nor a passage the number of another one (``text.control``).
    """
    blocks = [
        f"[{number}] {as_data(shown.label)}\n{as_data(shown.text.strip())}"
        for number, shown in enumerate(passages, start=1)
    ]
    return "\n\n".join([*blocks, neutralise(question.strip())])
