"""The trained adapters of a project: ``.groundtune/adapters/<name>/``, each a PEFT folder with ``adapter.json``."""

from __future__ import annotations

import difflib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from groundtune.errors import DataError
from groundtune.types import Adapter

NOTE = "adapter.json"
_VERSION = 1


@dataclass(frozen=True)
class Adapters:
    """The adapters in one folder. A folder without ``adapter.json`` is an unfinished training and is not listed."""

    folder: Path

    def list(self) -> Mapping[str, Adapter]:
        """Finished adapters by name, sorted."""
        found = {path.name: read(path) for path in sorted(self.folder.glob("*")) if path.is_dir()}
        return {name: adapter for name, adapter in found.items() if adapter is not None}

    def get(self, name: str) -> Adapter:
        """One adapter. Raises ``DataError`` with a suggestion when there is none of that name."""
        known = self.list()
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            names = ", ".join(known) or "-"
            key = "tuning.adapter_unknown_hint" if close else "tuning.adapter_unknown"
            raise DataError(key, name=name, known=names, hint=close[0] if close else "")
        return known[name]

    def delete(self, name: str) -> None:
        """Remove an adapter; it is gone from the list at once. Raises ``DataError`` as ``get`` does."""
        self.get(name)
        path = self.folder / name
        (path / NOTE).unlink()
        shutil.rmtree(path)


def read(folder: Path) -> Adapter | None:
    """The finished adapter in ``folder``, None when there is none or its note cannot be read."""
    try:
        table = json.loads((folder / NOTE).read_text(encoding="utf-8"))
        if table.pop("version") != _VERSION or not (folder / "adapter_config.json").is_file():
            return None
        return Adapter(**{**table, "path": str(folder)})
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def write(folder: Path, adapter: Adapter) -> None:
    """Mark ``folder`` as finished: its ``adapter.json`` appears whole or not at all. The path is not stored, so that
    a project folder can be moved.
    """
    table = {key: value for key, value in asdict(adapter).items() if key != "path"}
    temporary = folder / f"{NOTE}.tmp"
    temporary.write_text(json.dumps({**table, "version": _VERSION}, ensure_ascii=False, indent=1), encoding="utf-8")
    os.replace(temporary, folder / NOTE)
