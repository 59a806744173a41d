"""``groundtune models``: which models this computer could use now, and what the others lack."""

from __future__ import annotations

from groundtune.cli.context import State, columns
from groundtune.cli.options import verb
from groundtune.messages import say
from groundtune.models.catalogue import ModelInfo, list_models


@verb("models")
def command(state: State) -> None:
    """Nothing is downloaded and no key is shown."""
    found = list_models()
    heads = tuple(say(f"cli.models.{head}") for head in ("spec", "kind", "size", "state", "good_for"))
    state.emit({"models": found}, columns(heads, [_row(model) for model in found]))


def _row(model: ModelInfo) -> tuple[str, ...]:
    size = "" if model.size_bytes is None else f"{model.size_bytes / 1e6:,.0f} MB"
    ready = say("cli.models.ready") if model.available else model.reason
    return model.spec, say(f"cli.models.kind_{model.kind}"), size, ready, model.good_for
