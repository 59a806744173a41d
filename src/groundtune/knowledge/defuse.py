"""Takes out of a written answer what a program that shows it might act on: images and links that the model made up (a
well-known way to carry data out), HTML elements, and chat control tokens.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from groundtune.text.control import neutralise

_IMAGE = re.compile(r"!\[([^\]]*)\](?:\([^)]*\)?|\[[^\]]*\])")
_LINK = re.compile(r"\[([^\]]+)\]\(\s*<?([a-z][a-z0-9+.-]*:[^)\s>]*)>?(?:\s+\"[^\"]*\")?\s*\)", re.IGNORECASE)
_DEFINED = re.compile(r"(?m)^[ \t]*\[[^\]]+\]:[ \t]*<?([a-z][a-z0-9+.-]*:\S+)$", re.IGNORECASE)
_URL = re.compile(r"\b(?:https?|ftp|file|data|javascript):[^\s<>()\[\]「」（）、。，]+", re.IGNORECASE)
_ELEMENT = re.compile(
    r"<(script|style|iframe|object|svg)\b.*?(?:</\1\s*>|\Z)"
    r"|</?(?:img|script|style|iframe|object|embed|svg|link|meta|base|form|input|button|video|audio|source|a)\b[^>]*>?",
    re.IGNORECASE | re.DOTALL,
)


def defuse(text: str, sources: Sequence[str]) -> tuple[str, int]:
    """The text without images and HTML elements that load or run something, and without addresses that stand in none
    of ``sources``; and how many such things there were.
    """
    known = "\n".join(sources)
    removed = 0

    def gone(match: re.Match[str]) -> str:
        nonlocal removed
        removed += 1
        return match.group(1) or "" if match.re is _IMAGE else ""

    def link(match: re.Match[str]) -> str:
        nonlocal removed
        if match.group(2) in known:
            return match.group()
        if match.group(1).strip().isdecimal():  # a citation marker with an address of its own
            return f"[{match.group(1).strip()}]"
        removed += 1
        return match.group(1)

    def address(match: re.Match[str]) -> str:
        nonlocal removed
        if match.group().rstrip(".,;:!?'\"") in known:
            return match.group()
        removed += 1
        return ""

    text = _ELEMENT.sub(gone, _IMAGE.sub(gone, text))
    text = _URL.sub(address, _DEFINED.sub(gone, _LINK.sub(link, text)))
    return neutralise(text).strip(), removed
