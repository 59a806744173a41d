"""Code of the user's own: ``module:object``, looked for in the project folder first, and what it raises as our errors."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundtune import registry
from groundtune.errors import ConfigError, ModelUnreachable
from groundtune.models.embed import RemoteEmbedder
from groundtune.ports import Kind


def target(kind: str, name: str, *wanted: tuple[str, ...]) -> Any:  # noqa: ANN401 - whatever the user wrote
    """The object of ``module:object`` (``object`` may have dots). It must have all methods of one of ``wanted``.

    Raises ``ConfigError`` for what cannot be loaded or has none of them; what a module raises is its reason.
    """
    module, colon, attribute = name.partition(":")
    spec = f"{kind}:{name}"
    if not module or not colon or not attribute:
        raise ConfigError("interop.target_form", spec=spec, kind=kind)
    try:
        found = registry.import_from((Path.cwd(), *registry.places()), module, attribute)
    except (Exception, SystemExit) as error:
        raise ConfigError("interop.target_load", spec=spec, reason=short(error)) from error
    if not any(all(callable(getattr(found, method, None)) for method in methods) for methods in wanted):
        known = ", ".join(methods[0] for methods in wanted)
        raise ConfigError("interop.target_kind", spec=spec, type=type(found).__name__, methods=known)
    return found


class TheirEmbedder(RemoteEmbedder):
    """Embeddings of another library behind our ``Embedder`` port; they cut into batches themselves. An adapter fills
    ``_rows``.
    """

    def __init__(self, name: str) -> None:
        """``dimension`` is that of one embedded word. Raises ``ModelUnreachable`` when that fails."""
        self.name = name
        super().__init__(sys.maxsize, int(self._batch(["word"], "document").shape[1]))

    def _batch(self, texts: list[str], kind: Kind) -> NDArray[Any]:
        """Raises ``ModelUnreachable`` when the embeddings raise anything."""
        with calling(self.name):
            rows = self._rows(texts, kind)
        return np.asarray(rows, dtype=np.float32).reshape(len(texts), -1)

    def _rows(self, texts: list[str], kind: Kind) -> list[list[float]]:
        """One vector for each text."""
        raise NotImplementedError


@contextmanager
def calling(name: str) -> Iterator[None]:
    """Whatever foreign code raises in here is a ``ModelUnreachable`` of ``name``."""
    try:
        yield
    except Exception as error:
        raise ModelUnreachable("interop.model_failed", name=name, reason=short(error)) from error


def short(error: BaseException, longest: int = 200) -> str:
    """An error of foreign code in one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:longest]
