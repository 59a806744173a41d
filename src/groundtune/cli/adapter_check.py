"""The table of a forgetting check, for ``groundtune adapters check`` and for whoever shows it after a training."""

from __future__ import annotations

from groundtune.cli.context import State, columns
from groundtune.measure.forgetting import Change, Forgetting
from groundtune.measure.results import Estimate
from groundtune.messages import say
from groundtune.project import Project
from groundtune.tuning.findings import clip

_EVERY = 20  # questions between two lines of progress
_EXCERPT = 100


def check(state: State, project: Project, name: str) -> Forgetting:
    """Measure, record in the adapter's card, tell how far it is. Raises ``DataError`` for an unknown or damaged adapter."""
    from groundtune.measure.adapter_check import check_adapter

    def tell(done: int, total: int) -> None:
        if done % _EVERY == 0 or done == total:
            state.talk(say("cli.adapters.check_progress", done=done, total=total))

    return check_adapter(project.config, name, tell)


def table(found: Forgetting) -> str:
    """The check as text: a row per part, what it means, and general questions that were lost."""
    heads = ("", *(say(f"cli.adapters.check_{head}") for head in ("before", "after", "difference", "p", "effect")))
    lines = [columns(heads, [_row(change) for change in found.changes]), ""]
    shares = (f"{lang} {before:.0%} → {after:.0%}" for lang, (before, after) in found.by_language.items())
    lines.append(say("cli.adapters.check_languages", shares=", ".join(shares)))
    for lost in found.lost:
        question, before, after = (clip(text, _EXCERPT) for text in (lost.question, lost.before, lost.after))
        lines.append(say("cli.adapters.check_lost", question=question, before=before, after=after))
    lines += [say(f"cli.adapters.check_{c.part}_worse") for c in found.changes if c.effect == "worse"]
    if found.change("form") is None:
        lines.append(say("cli.adapters.check_no_form"))
    return "\n".join(lines)


def _row(change: Change) -> tuple[str, ...]:
    return (
        say(f"cli.adapters.check_{change.part}", n=change.n),
        _share(change.before),
        _share(change.after),
        f"{100 * change.difference:+.0f} ({100 * change.low:+.0f}–{100 * change.high:+.0f})",
        f"{change.p:.3f}",
        say(f"cli.adapters.effect_{change.effect}"),
    )


def _share(found: Estimate) -> str:
    if found.value is None or found.low is None or found.high is None:
        return "-"
    return f"{found.value:.0%} ({found.low:.0%}–{found.high:.0%})"
