"""The trained adapters of a project: ``.groundtune/adapters/<name>/``, each a PEFT folder with ``adapter.json``.

The note says what the adapter was made from (data, base, settings), what travels with it (chat template, end tokens),
its parent, and the size and digest of every file, so that damage is found before the adapter answers anybody.
"""

from __future__ import annotations

import difflib
import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from groundtune.errors import DataError, TrainingError
from groundtune.files import write_whole
from groundtune.tuning.adapter_files import (
    CHECK,
    NOTE,
    SCORES,
    changed_file,
    end_tokens,
    files_of,
    missing_file,
    read_json,
    read_scores,
    template_digest,
)
from groundtune.tuning.base import base_digest, base_path
from groundtune.types import Adapter

SERVICE = "service.json"
_VERSIONS = (1, 2)
_KNOWN_APPROACHES = {"rag-finetune": "rag+finetune", "finetune": "finetune"}

_History = dict[str, list[str]]  # names by approach, the one in service last


@dataclass(frozen=True)
class Card:
    """Everything that is known about one adapter. ``damage`` is empty, or says what is wrong with its files; ``files``
    maps a file name to its size in bytes and its SHA-256 (empty for adapters of version 1). ``base_digest`` is that of
    the base model as it was trained on (empty for a base elsewhere), ``check`` the last forgetting check as JSON.
    """

    name: str
    adapter: Adapter
    created: str = ""
    parent: str = ""
    template_digest: str = ""
    end_tokens: tuple[int, ...] = ()
    scores: Mapping[str, float] = field(default_factory=dict)
    files: Mapping[str, tuple[int, str]] = field(default_factory=dict)
    damage: str = ""
    base_digest: str = ""
    check: Mapping[str, Any] = field(default_factory=dict)

    @property
    def base_changed(self) -> bool:
        """The base model is another one than the adapter was trained on, although it has the same name."""
        now = _base_digest(self.adapter.base)
        return bool(self.base_digest and now) and self.base_digest != now

    @property
    def data_digest(self) -> str:
        return str(self.adapter.settings.get("data_digest", ""))

    @property
    def approach(self) -> str:
        """The approach that it was trained for, from its name."""
        return approach_of(self.name)


@dataclass(frozen=True)
class Difference:
    """One thing in which two adapters differ; None where one of them lacks it."""

    what: str
    one: object
    other: object


@dataclass(frozen=True)
class Adapters:
    """The adapters in one folder. A folder without ``adapter.json`` is an unfinished training and is not listed."""

    folder: Path

    def list(self) -> Mapping[str, Adapter]:
        """Adapters that are finished and whole by name, sorted."""
        return {card.name: card.adapter for card in self.cards() if not card.damage}

    def cards(self) -> tuple[Card, ...]:
        """All finished adapters, damaged ones too (by the names and sizes of their files), sorted by name."""
        found = (self._card(path) for path in sorted(self.folder.glob("*")) if path.is_dir())
        return tuple(card for card in found if card is not None)

    def card(self, name: str, *, thorough: bool = False) -> Card:
        """One adapter, damaged or not; ``thorough`` compares the digests of its files. Raises ``DataError`` with a
        suggestion when there is none of that name.
        """
        known = {card.name: card for card in self.cards()}
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            names = ", ".join(known) or "-"
            key = "tuning.adapter_unknown_hint" if close else "tuning.adapter_unknown"
            raise DataError(key, name=name, known=names, hint=close[0] if close else "")
        card = known[name]
        changed = changed_file(self.folder / name, card.files) if thorough and not card.damage else ""
        return _with(card, damage=changed) if changed else card

    def get(self, name: str) -> Adapter:
        """One adapter. Raises ``DataError`` as ``sound`` does."""
        return self.sound(name).adapter

    def sound(self, name: str) -> Card:
        """One adapter that can answer. Raises ``DataError`` when there is none of that name, when its files are damaged,
        or when its base model has changed since.
        """
        card = self.card(name, thorough=True)
        if card.damage:
            raise DataError("tuning.adapter_damaged", name=name, damage=card.damage)
        if card.base_changed:
            raise DataError("tuning.base_changed", name=name, base=card.adapter.base)
        return card

    def delete(self, name: str, *, force: bool = False) -> None:
        """Remove an adapter; it is gone from the list at once. Raises ``DataError`` as ``card`` does, and for one that
        is in service unless ``force``, which takes it out of service first.
        """
        self.card(name)
        serving = [approach for approach, used in self.in_service().items() if used == name]
        if serving and not force:
            raise DataError("tuning.adapter_in_service", name=name)
        for approach in serving:
            self._serve(approach, "")
        path = self.folder / name
        (path / NOTE).unlink()
        shutil.rmtree(path)

    def in_service(self) -> Mapping[str, str]:
        """Name of the promoted adapter by approach."""
        return {approach: names[-1] for approach, names in self._history().items() if names}

    def promote(self, name: str, approach: str = "") -> str:
        """Put an adapter into service for ``approach`` (default: the one it was trained for) and return the approach.
        The change is one replaced file: it happened or it did not. Raises ``DataError`` as ``get`` does.
        """
        adapter = self.get(name)
        serving = approach or approach_of(name)
        if serving == "rag+finetune" and (approach_of(name) == "finetune" or adapter.settings.get("context") is False):
            raise DataError("tuning.adapter_closed_book", name=name)
        if not serving:
            raise DataError("tuning.adapter_approach", name=name, known=", ".join(_KNOWN_APPROACHES.values()))
        if self.in_service().get(serving) != name:
            self._serve(serving, name)
        return serving

    def rollback(self, approach: str = "") -> tuple[str, str]:
        """Back to what was in service before: the approach and the name (empty: no adapter). ``approach`` may be left
        out when only one has an adapter in service. Raises ``DataError`` when nothing is in service.
        """
        history = {key: names for key, names in self._history().items() if names}
        if not approach and len(history) == 1:
            approach = next(iter(history))
        if approach not in history:
            key = "tuning.rollback_which" if history and not approach else "tuning.rollback_nothing"
            raise DataError(key, known=", ".join(history) or "-", approach=approach or "-")
        names = history[approach][:-1]
        while names and (not self._whole(names[-1])):
            names = names[:-1]  # deleted or damaged since
        self._write_history({**self._history(), approach: names})
        return approach, names[-1] if names else ""

    def record(self, name: str, scores: Mapping[str, float]) -> None:
        """Keep what was measured with an adapter; earlier scores of other names stay. Raises ``DataError`` as ``card``
        does.
        """
        merged = {**self.card(name).scores, **scores}
        write_whole(self.folder / name / SCORES, json.dumps(merged, ensure_ascii=False, indent=1) + "\n")

    def record_check(self, name: str, check: Mapping[str, Any]) -> None:
        """Keep a forgetting check, in place of an earlier one. Raises ``DataError`` as ``card`` does."""
        self.card(name)
        write_whole(self.folder / name / CHECK, json.dumps(check, ensure_ascii=False, indent=1) + "\n")

    def diff(self, one: str, other: str) -> tuple[Difference, ...]:
        """In what two adapters differ: base, data, template, end tokens, settings, loss, scores."""
        tables = [_flat(self.card(name)) for name in (one, other)]
        keys = list(dict.fromkeys([*tables[0], *tables[1]]))
        return tuple(
            Difference(key, tables[0].get(key), tables[1].get(key))
            for key in keys
            if tables[0].get(key) != tables[1].get(key)
        )

    def _card(self, path: Path) -> Card | None:
        note = path / NOTE
        if not note.is_file():
            return None
        try:
            table = json.loads(note.read_text(encoding="utf-8"))
            if table.pop("version") not in _VERSIONS:
                return None
            own = {
                key: table.pop(key) for key in ("created", "parent", "template_digest", "base_digest") if key in table
            }
            ends = tuple(int(number) for number in table.pop("end_tokens", ()))
            files = {str(name): (int(size), str(digest)) for name, (size, digest) in table.pop("files", {}).items()}
            adapter = Adapter(**{**table, "path": str(path)})
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            unknown = Adapter(str(path), "-", "")
            return Card(path.name, unknown, damage=NOTE)
        card = Card(
            path.name, adapter, end_tokens=ends, files=files, scores=read_scores(path / SCORES),
            check=read_json(path / CHECK), **own,
        )  # fmt: skip
        return _with(card, damage=missing_file(path, files))

    def _whole(self, name: str) -> bool:
        card = self._card(self.folder / name)
        return card is not None and not card.damage

    def _serve(self, approach: str, name: str) -> None:
        history = dict(self._history())
        names = [used for used in history.get(approach, []) if used != name]
        history[approach] = [*names, name] if name else names[:0]
        self._write_history(history)

    def _history(self) -> _History:
        try:
            table = json.loads((self.folder / SERVICE).read_text(encoding="utf-8"))["history"]
            return {str(key): [str(name) for name in names] for key, names in table.items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError("tuning.service_unreadable", path=self.folder / SERVICE) from error

    def _write_history(self, history: _History) -> None:
        write_whole(self.folder / SERVICE, json.dumps({"version": 1, "history": history}, ensure_ascii=False) + "\n")


def approach_of(name: str) -> str:
    """``finetune`` for ``finetune-1a2b3c4d``, ``rag+finetune`` for ``rag-finetune-…``, empty for other names."""
    found = re.match(r"(rag-finetune|finetune)(?:-|$)", name)
    return _KNOWN_APPROACHES[found.group(1)] if found else ""


def read(folder: Path) -> Adapter | None:
    """The finished adapter in ``folder``, None when there is none, or when its note or files are damaged."""
    card = Adapters(folder.parent)._card(folder) if folder.is_dir() else None
    return card.adapter if card is not None and not card.damage else None


def write(folder: Path, adapter: Adapter) -> None:
    """Mark ``folder`` as finished: its ``adapter.json`` appears whole or not at all. The path is not stored, so that
    a project folder can be moved. The parent is what is in service for the same approach at this time.
    """
    table = {key: value for key, value in asdict(adapter).items() if key != "path"}
    try:
        parent = Adapters(folder.parent).in_service().get(approach_of(folder.name), "")
    except DataError:  # a damaged pointer must not cost what was trained; ``in_service`` says so to whoever asks
        parent = ""
    note = {
        **table, "version": _VERSIONS[-1], "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "parent": parent if parent != folder.name else "", "template_digest": template_digest(folder),
        "base_digest": _base_digest(adapter.base),
        "end_tokens": end_tokens(folder), "files": files_of(folder),
    }  # fmt: skip
    write_whole(folder / NOTE, json.dumps(note, ensure_ascii=False, indent=1) + "\n")


def _base_digest(base: str) -> str:
    """Fingerprint of a base that lies on this computer; empty for one that is known by name only, or not here."""
    try:
        path = base_path(base)
    except TrainingError:
        return ""
    return base_digest(path) if Path(path).is_dir() else ""


def _with(card: Card, *, damage: str) -> Card:
    table = {name: getattr(card, name) for name in card.__dataclass_fields__}
    return Card(**{**table, "damage": damage})


def _flat(card: Card) -> dict[str, object]:
    table: dict[str, object] = {
        "base": card.adapter.base, "base_digest": card.base_digest, "data_digest": card.data_digest,
        "template_digest": card.template_digest, "end_tokens": list(card.end_tokens), "parent": card.parent, "final_loss": card.adapter.final_loss,
        "seconds": card.adapter.seconds,
    }  # fmt: skip
    table |= {f"settings.{key}": value for key, value in card.adapter.settings.items() if key != "data_digest"}
    return table | {f"scores.{key}": value for key, value in card.scores.items()}
