"""``groundtune models``: which models this computer could use now, what the others lack, and which to start with."""

from __future__ import annotations

from groundtune.cli.context import State, columns
from groundtune.cli.options import option, verb
from groundtune.cli.pace import Pace
from groundtune.errors import SpecError
from groundtune.messages import say
from groundtune.models.catalogue import ModelInfo, list_models
from groundtune.models.suggest import Suggestion, suggest, this_machine


@verb("models")
@option("--pull", metavar="ollama:NAME")
def command(state: State, pull: str | None) -> None:
    """Without ``--pull`` nothing is downloaded; no key is ever shown."""
    if pull is not None:
        _pull(state, pull)
        return
    found = list_models()
    chosen = suggest(found, this_machine())
    heads = tuple(
        say(f"cli.models.{head}") for head in ("spec", "kind", "size", "languages", "licence", "state", "good_for")
    )
    table = columns(heads, [_row(model) for model in found])
    state.emit({"models": found, "suggestion": chosen}, f"{table}\n\n{_advice(chosen)}")


def _pull(state: State, spec: str) -> None:
    """Raises ``SpecError`` for anything but ``ollama:NAME``, ``ModelUnreachable`` for what Ollama cannot do."""
    from groundtune.models import ollama_pull

    provider, _, name = spec.partition(":")
    if provider != "ollama":
        raise SpecError("models.pull_ollama_only", spec=spec)
    pace = Pace()

    def tell(progress: ollama_pull.PullProgress) -> None:
        pace(progress.done // 10**6, progress.total // 10**6, f"MB {progress.status}")

    ollama_pull.pull(name, on_progress=tell)
    state.emit({"pulled": spec}, say("cli.models.pulled", spec=spec))


def _row(model: ModelInfo) -> tuple[str, ...]:
    size = "" if model.size_bytes is None else f"{model.size_bytes / 1e6:,.0f} MB"
    ready = say("cli.models.ready") if model.available else model.reason
    licence = model.licence.partition(" (")[0]
    return (
        model.spec, say(f"cli.models.kind_{model.kind}"), size, " ".join(model.languages), licence, ready, model.good_for,
    )  # fmt: skip


def _advice(chosen: Suggestion) -> str:
    machine = chosen.machine
    memory = f"{machine.memory / 1024**3:.0f}" if machine.memory else "?"
    which = "cli.models.suggest_gpu" if machine.gpu else "cli.models.suggest"
    lines = [say(which, cores=machine.cores, memory=memory, base=chosen.base, reader=chosen.reader,
                 embedder=chosen.embedder or say("cli.models.lexical"))]  # fmt: skip
    if chosen.larger:
        name = chosen.larger.removeprefix("ollama:")
        lines.append(say("cli.models.larger", billions=f"{chosen.billions:g}", name=name, spec=chosen.larger))
    lines.append(say("cli.models.how"))
    return "\n".join(lines)
