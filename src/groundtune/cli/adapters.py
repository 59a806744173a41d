"""``groundtune adapters``: what was trained here, which one answers, and back again."""

from __future__ import annotations

from typing import Any

from groundtune.cli.context import State, columns
from groundtune.cli.groups import group
from groundtune.cli.options import OneOf, argument, option
from groundtune.messages import say
from groundtune.tuning.adapters import Adapters, Card

_APPROACHES = OneOf(("finetune", "rag+finetune"))


def _adapters(state: State) -> Adapters:
    return Adapters(state.project().config.state / "adapters")


@group("adapters", option("--delete", metavar="NAME", default=None))
def command(state: State, delete: str | None) -> None:
    """Without a sub-verb: list (or, for old scripts, delete one)."""
    adapters = _adapters(state)
    if delete:
        adapters.delete(delete)
        state.emit({"deleted": delete}, say("cli.adapters.deleted", name=delete))
        return
    _list(state, adapters)


@command.verb("list")
def list_(state: State) -> None:
    """All adapters, the damaged ones marked."""
    _list(state, _adapters(state))


@command.verb("show")
@argument("name")
def show(state: State, name: str) -> None:
    """One adapter with everything that is known about it; exit code 1 when its files are damaged."""
    adapters = _adapters(state)
    card = adapters.card(name, thorough=True)
    serving = [approach for approach, used in adapters.in_service().items() if used == name]
    rows = [
        (say("cli.adapters.name"), card.name), (say("cli.adapters.base"), card.adapter.base),
        (say("cli.adapters.state"), _state(card, serving)), (say("cli.adapters.created"), card.created or "-"),
        (say("cli.adapters.parent"), card.parent or "-"), (say("cli.adapters.data"), card.data_digest or "-"),
        (say("cli.adapters.template"), card.template_digest or "-"),
        (say("cli.adapters.ends"), ", ".join(map(str, card.end_tokens)) or "-"),
        (say("cli.adapters.loss"), _loss(card)), (say("cli.adapters.base_digest"), card.base_digest or "-"),
        *((f"settings.{key}", str(value)) for key, value in card.adapter.settings.items() if key != "data_digest"),
        *((f"scores.{key}", f"{value:.3f}") for key, value in card.scores.items()),
        *_checked(card),
    ]  # fmt: skip
    state.emit({"card": card, "in_service_for": serving}, columns(("", ""), rows).lstrip("\n"))
    if card.damage or card.base_changed:
        raise SystemExit(1)


@command.verb("diff")
@argument("one")
@argument("other")
def diff(state: State, one: str, other: str) -> None:
    """In what two adapters differ."""
    found = _adapters(state).diff(one, other)
    rows = [(d.what, _text(d.one), _text(d.other)) for d in found]
    state.emit({"differences": found}, columns(("", one, other), rows) if rows else say("cli.adapters.same"))


@command.verb("check")
@argument("name")
def check(state: State, name: str) -> None:
    """Did training make the model forget? Before and after, kept in the adapter's card."""
    from groundtune.cli import adapter_check

    found = adapter_check.check(state, state.project(), name)
    state.emit({"check": found.as_dict()}, adapter_check.table(found))


@command.verb("promote")
@argument("name")
@option("--for", "approach", type=_APPROACHES, default=None)
def promote(state: State, name: str, approach: str | None) -> None:
    """Answer with this adapter from now on."""
    serving = _adapters(state).promote(name, approach or "")
    state.emit({"promoted": name, "approach": serving}, say("cli.adapters.promoted", name=name, approach=serving))


@command.verb("rollback")
@option("--for", "approach", type=_APPROACHES, default=None)
def rollback(state: State, approach: str | None) -> None:
    """Back to the adapter before."""
    serving, name = _adapters(state).rollback(approach or "")
    key = "cli.adapters.rolled_back" if name else "cli.adapters.rolled_back_none"
    state.emit({"in_service": name or None, "approach": serving}, say(key, name=name, approach=serving))


@command.verb("delete")
@argument("name")
@option("--force", is_flag=True)
def delete(state: State, name: str, force: bool) -> None:
    """Remove one; the one in service only by force."""
    _adapters(state).delete(name, force=force)
    state.emit({"deleted": name}, say("cli.adapters.deleted", name=name))


def _list(state: State, adapters: Adapters) -> None:
    cards = adapters.cards()
    used = adapters.in_service()
    rows = [
        (card.name, card.adapter.base, str(card.adapter.settings.get("rows", "")), _score(card), _loss(card),
         f"{card.adapter.seconds:.0f}", _state(card, [a for a, name in used.items() if name == card.name]))
        for card in cards
    ]  # fmt: skip
    heads = tuple(
        say(f"cli.adapters.{head}") for head in ("name", "base", "examples", "score", "loss", "seconds", "state")
    )
    table: dict[str, Any] = {"adapters": dict(adapters.list())}
    if used:
        table["in_service"] = dict(used)
    damaged = {card.name: card.damage for card in cards if card.damage}
    if damaged:
        table["damaged"] = damaged
    state.emit(table, columns(heads, rows) if rows else say("cli.adapters.none"))


def _state(card: Card, serving: list[str]) -> str:
    if card.damage:
        return say("cli.adapters.damaged", file=card.damage)
    if card.base_changed:
        return say("cli.adapters.base_changed")
    return say("cli.adapters.serving", approach=", ".join(serving)) if serving else ""


def _checked(card: Card) -> list[tuple[str, str]]:
    """The parts of the last forgetting check."""
    rows = []
    for change in card.check.get("changes", ()):
        shares = f"{change['before']['value']:.0%} → {change['after']['value']:.0%}"
        label = say(f"cli.adapters.check_{change['part']}", n=change["n"])
        rows.append((label, f"{shares}, {say('cli.adapters.effect_' + change['effect'])}"))
    return rows


def _loss(card: Card) -> str:
    return "" if card.adapter.final_loss is None else f"{card.adapter.final_loss:.3f}"


def _score(card: Card) -> str:
    """On the examples that chose the checkpoint; empty when there were none."""
    found = card.scores.get("validation")
    return "" if found is None else f"{found:.3f}"


def _text(value: object) -> str:
    return "-" if value is None or value == "" else str(value)
