"""One error tree. Each error carries a message key and its parameters, so that the command line can say it in the
user's language; ``str(error)`` is the English sentence.

GroundtuneError            exit 1, kind "error"
├── UserError              exit 2, kind "usage": the caller can fix it by changing input
│   ├── ConfigError        kind "config": groundtune.toml
│   ├── DataError          kind "data": documents, questions.jsonl, examples.jsonl
│   └── SpecError          kind "spec": an unknown provider or name
├── MissingExtra           exit 2, kind "missing_extra": an optional package is not installed
├── ApproachFailed         exit 1, kind "error": code that the user brought into a comparison raised
├── ModelError             exit 1, kind "model"
│   ├── ModelUnreachable   kind "model_unreachable": network, server, key
│   └── ModelRefused       kind "model_refused": the provider said no (limits, content, schema)
├── CannotRun              exit 1, kind "error": an approach that cannot be measured on this project
├── StoreError             exit 1, kind "store": the knowledge base cannot be opened, written or is damaged
└── TrainingError          exit 1, kind "training"
"""

from __future__ import annotations

from groundtune.messages import say


class GroundtuneError(Exception):
    """Base of all errors. ``key`` names a sentence in ``locales/``; ``params`` fill it."""

    kind = "error"
    exit_code = 1

    def __init__(self, key: str, /, **params: object) -> None:
        self.key = key
        self.params = params
        super().__init__(say(key, lang="en", **params))

    def __reduce__(self) -> tuple[object, ...]:
        """Errors travel between processes."""
        return _again, (type(self), self.key, self.params)

    def sentence(self, lang: str | None = None) -> str:
        """The sentence in ``lang`` (default: the language in use)."""
        return say(self.key, lang=lang, **self.params)


def _again(kind: type[GroundtuneError], key: str, params: dict[str, object]) -> GroundtuneError:
    return kind(key, **params)


class UserError(GroundtuneError):
    """The caller can fix it by changing input."""

    kind = "usage"
    exit_code = 2


class ConfigError(UserError):
    """groundtune.toml is wrong; ``params["problems"]`` lists everything at once."""

    kind = "config"


class DataError(UserError):
    """Documents, questions or examples are wrong."""

    kind = "data"


class SpecError(UserError):
    """A ``provider:name`` that nobody provides."""

    kind = "spec"


class MissingExtra(GroundtuneError):
    """An optional package is not installed."""

    kind = "missing_extra"
    exit_code = 2


class ModelError(GroundtuneError):
    """A model could not answer."""

    kind = "model"


class ModelUnreachable(ModelError):
    """Network, server or key."""

    kind = "model_unreachable"


class ModelRefused(ModelError):
    """The provider said no."""

    kind = "model_refused"


class ApproachFailed(GroundtuneError):
    """Code that the user brought into a comparison raised: the harness's side, never a wrong answer."""


class CannotRun(GroundtuneError):
    """An approach cannot be measured on this project; a comparison goes on without it."""


class StoreError(GroundtuneError):
    """The knowledge base cannot be opened or written, or is damaged."""

    kind = "store"


class TrainingError(GroundtuneError):
    """Training cannot start or go on."""

    kind = "training"
