"""``groundtune export``: a trained adapter, or the base model, as files that serve elsewhere, verified."""

from __future__ import annotations

import re
from pathlib import Path

from groundtune.cli.context import State
from groundtune.cli.options import Number, OneOf, option, verb
from groundtune.config import Config
from groundtune.errors import UserError
from groundtune.messages import say
from groundtune.tuning.adapters import Adapters, Card
from groundtune.tuning.export import FORMS, Export, Order, chats_of, export
from groundtune.tuning.export_card import verdict
from groundtune.tuning.gguf import KINDS

_PROMPTS = 12
_EXCERPT = 160
_QUANTISED = ("q8_0",)


@verb("export")
@option("--to", "to", type=OneOf(FORMS), required=True)
@option("--adapter", metavar="NAME", default=None)
@option("--base-only", is_flag=True)
@option("--model", metavar="SPEC", default=None)
@option("--out", metavar="FOLDER", default=None)
@option("--quantise", "--quantize", "kind", type=OneOf(KINDS), default=None)
@option("--prompts", type=Number(int, 1, 1000), default=_PROMPTS)
def command(
    state: State,
    to: str,
    adapter: str | None,
    base_only: bool,
    model: str | None,
    out: str | None,
    kind: str | None,
    prompts: int,
) -> None:
    """Exit code 1 when the export answers otherwise than its source (quantised weights aside)."""
    if base_only and adapter or model and not base_only:
        raise UserError("cli.export.base_only_alone")
    config = state.project().with_model(model).config
    card = None if base_only else _chosen(config, adapter)
    made = export(
        _order(config, card, to, out, kind or "", prompts), lambda step: state.talk(say(f"cli.export.{step}"))
    )
    state.emit({"export": made}, _text(made))
    if not made.verified.good and not _only_quantised(made):
        raise SystemExit(1)


def _only_quantised(made: Export) -> bool:
    """It reads the same tokens and answers the same at times: what rounded weights do."""
    found = made.verified
    return made.kind in _QUANTISED and found.same > 0 and found.tokens in (None, found.prompts)


def _chosen(config: Config, name: str | None) -> Card:
    """The named adapter, else the only one in service, else the only one there is."""
    adapters = Adapters(config.state / "adapters")
    names = [name] if name else list(dict.fromkeys(adapters.in_service().values())) or list(adapters.list())
    if not names:
        raise UserError("cli.export.none")
    if len(names) > 1:
        raise UserError("cli.export.which", known=", ".join(names))
    return adapters.sound(names[0])


def _order(config: Config, card: Card | None, to: str, out: str | None, kind: str, prompts: int) -> Order:
    from groundtune.measure.adapter_check import held_out
    from groundtune.measure.forgetting import tasks

    base = card.adapter.base if card else config.models.base
    name = card.name if card else re.split(r"[\\/:]+", base)[-1]
    name = re.sub(r"[^\w.+-]", "-", name)
    asked = held_out(config, card.approach if card else "", most=prompts)
    general = chats_of([task.text for task in tasks()], asked.form.system)
    chats = (*asked.chats, *general[:: max(1, len(general) // max(1, prompts - len(asked.chats)))])[:prompts]
    folder = Path(out) if out else config.folder / "exports" / f"{name}-{to}"
    return Order(
        to=to,
        base=base,
        out=folder.resolve(),
        name=name,
        chats=chats,
        adapter=card.adapter if card else None,
        kind=kind,
        form=asked.form,
        scores=dict(card.scores) if card else {},
    )


def _text(made: Export) -> str:
    lines = [
        say("cli.export.done", name=made.name, path=made.path, size=f"{made.bytes / 1e6:,.1f} MB", kind=made.kind),
        say("tuning.export.stops", stops=", ".join(made.stops)),
        verdict(made.verified),
    ]
    for unlike in made.verified.unlike:
        lines.append(say("cli.export.differs", prompt=_short(unlike.prompt), source=_short(unlike.source),
                         export=_short(unlike.export)))  # fmt: skip
    if made.kind in _QUANTISED and not made.verified.good:
        lines.append(say("cli.export.quantised"))
    return "\n".join([*lines, say("cli.export.readme", path=Path(made.path) / "README.md")])


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _EXCERPT else f"…{line[-_EXCERPT:]}"
