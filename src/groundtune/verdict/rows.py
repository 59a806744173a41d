"""Rows of a comparison as the verdict sees them: the approach behind a name, its model, where that runs, what is simpler."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from urllib.parse import urlsplit

from groundtune.config import is_brought
from groundtune.measure.contrasts import AT
from groundtune.measure.naming import approach_of

SIMPLEST_FIRST = ("prompt", "few-shot", "rag", "long-context", "finetune", "rag+finetune")
TUNED = ("finetune", "rag+finetune")
LOCAL = ("builtin", "hf", "ollama", "fake")


def model_of(name: str, base: str) -> str:
    """The model of a row: the one after ``@``, else the base model."""
    return name.partition(AT)[2] or base


def is_known(name: str) -> bool:
    """Ours, so that the cost model and the rules know what it is; a brought approach or a plugin is not."""
    return approach_of(name) in SIMPLEST_FIRST


def simplicity(name: str) -> int:
    """Position among the approaches, simplest first; what the user brings comes last, as nobody here knows what it takes."""
    plain = approach_of(name)
    return SIMPLEST_FIRST.index(plain) if plain in SIMPLEST_FIRST else len(SIMPLEST_FIRST)


def ordered(names: Iterable[str]) -> tuple[str, ...]:
    """Known names, simplest first; of one approach in the order given."""
    return tuple(sorted((n for n in dict.fromkeys(names) if is_known(n)), key=simplicity))


def is_local(spec: str) -> bool:
    """Whether nothing leaves for a service elsewhere: a model on this machine, or an address in the own network."""
    provider, _, rest = spec.partition(":")
    address = rest if provider == "url" else rest.partition("@")[2]
    if address.startswith("http"):
        return _own_network(urlsplit(address).hostname or "")
    return provider in LOCAL or (is_brought(spec) and provider != "url")


def _own_network(host: str) -> bool:
    try:
        found = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost" or host.endswith((".local", ".internal", ".localhost"))
    return found.is_loopback or found.is_private
