"""From a spec like ``pgvector:postgresql://host/db#handbook`` to an outer store, and its name without secrets."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from groundtune import registry
from groundtune.errors import SpecError
from groundtune.store.mirrored import MirroredStore
from groundtune.store.outer import OuterStore

EMBEDDED = "sqlite"
# Stores that are a folder when their address is not a web address.
_FOLDERS = ("lancedb", "qdrant")
_PASSWORD = re.compile(r"(?<=://)([^/@:]*):[^/@]*@")


def is_embedded(spec: str) -> bool:
    """True for the embedded store: no spec, ``sqlite`` or ``sqlite:``."""
    return spec.partition(":")[0] in ("", EMBEDDED)


def shown(spec: str) -> str:
    """A spec without the password of its address."""
    return _PASSWORD.sub(r"\1@", spec)


def located(spec: str, folder: Path) -> str:
    """A spec whose folder, if it names one, is absolute; without an address beside the record in ``folder``."""
    provider, colon, rest = spec.partition(":")
    address, mark, name = rest.partition("#")
    if provider not in _FOLDERS or "://" in address:
        return spec
    return f"{provider}{colon or ':'}{(folder / address if address else folder / provider).absolute()}{mark}{name}"


def open_outer(spec: str, folder: Path) -> OuterStore:
    """Raises ``SpecError`` for what is not an outer store, ``MissingExtra``, ``StoreError``."""
    if is_embedded(spec):
        raise SpecError("store.not_outer", spec=spec)
    opened = registry.load("store", located(spec, folder))
    if not isinstance(opened, OuterStore):
        raise SpecError("store.not_outer", spec=spec)
    return opened


def open_mirrored(folder: str | Path, spec: str, told: Callable[[int, int, str], None] | None = None) -> MirroredStore:
    """The record in ``folder`` with the outer store that ``spec`` names."""
    outer = open_outer(spec, Path(folder))
    try:
        return MirroredStore(folder, outer, shown(located(spec, Path(folder))), told)
    except BaseException:
        outer.close()
        raise
