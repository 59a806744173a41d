"""The result of the retrieval self-test in words."""

from __future__ import annotations

from groundtune.cli.context import columns
from groundtune.knowledge.selftest import Choice
from groundtune.messages import say


def describe_choice(choice: Choice) -> str:
    """What was asked, a table of the mixes, what is used from now on and what the embedder cannot read."""
    heads = [say(f"cli.mix.{name}") for name in ("words", "vectors", "recall", "ndcg")]
    rows = [(f"{m.lexical:g}", f"{m.dense:g}", f"{m.recall:.3f}", f"{m.ndcg:.3f}") for m in choice.measured]
    lines = [say(f"cli.mix.{choice.source}", questions=choice.questions), columns(heads, rows), verdict(choice)]
    lines += [
        say("cli.mix.blind", embedder=choice.space, language=one.language, share=round(100 * one.share))
        for one in choice.blind
    ]
    return "\n".join(lines)


def verdict(choice: Choice) -> str:
    """Which mix is used, in one sentence."""
    if len(choice.measured) == 1:
        return say("cli.mix.only_words")
    if not choice.dense:
        return say("cli.mix.words_win")
    return say(
        "cli.mix.both_win" if choice.lexical else "cli.mix.vectors_win", lexical=choice.lexical, dense=choice.dense
    )
