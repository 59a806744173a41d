"""``module:object`` of the user's own code, looked for in the project folder first."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

from groundtune import registry
from groundtune.errors import ConfigError


def target(kind: str, name: str, *wanted: tuple[str, ...]) -> Any:  # noqa: ANN401 - whatever the user wrote
    """The object of ``module:object`` (``object`` may have dots). It must have all methods of one of ``wanted``.

    Raises ``ConfigError`` for what cannot be loaded or has none of them; what a module raises is its reason.
    """
    module, colon, attribute = name.partition(":")
    spec = f"{kind}:{name}"
    if not module or not colon or not attribute:
        raise ConfigError("interop.target_form", spec=spec, kind=kind)
    for place in (str(Path.cwd()), *map(str, registry.places())):
        if place in sys.path:
            sys.path.remove(place)
        sys.path.insert(0, place)
    try:
        found = importlib.import_module(module)
        for part in attribute.split("."):
            found = getattr(found, part)
    except (Exception, SystemExit) as error:
        raise ConfigError("interop.target_load", spec=spec, reason=short(error)) from error
    if not any(all(callable(getattr(found, method, None)) for method in methods) for methods in wanted):
        known = ", ".join(methods[0] for methods in wanted)
        raise ConfigError("interop.target_kind", spec=spec, type=type(found).__name__, methods=known)
    return found


def short(error: BaseException) -> str:
    """An error of foreign code in one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]
