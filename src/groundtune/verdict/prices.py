"""Dated prices: the overlay ``prices.toml``, ``genai-prices`` where it is installed, and the user's overrides."""

from __future__ import annotations

import difflib
import importlib.util
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from typing import Any

from groundtune.errors import ConfigError, DataError

KINDS = (
    "chat", "tuned", "multiplier", "training", "training_hour", "gpu_hour", "vector_store", "embedding", "rerank",
    "rerank_tokens",
)  # fmt: skip
GRADES = ("official", "package", "transcribed", "secondary", "override")
TOKEN_KINDS = ("chat", "tuned")


@dataclass(frozen=True)
class TokenPrices:
    """US dollars per million tokens. ``cached`` is a cache read, ``write`` a cache write; None means unknown (0 in a
    price list means unknown too). ``above`` > 0: the ``tier`` prices hold for requests longer than that.
    """

    name: str
    input: float
    output: float
    cached: float | None = None
    write: float | None = None
    source: str = ""
    read: date | None = None
    grade: str = ""
    expires: date | None = None
    above: int = 0
    tier: TokenPrices | None = None

    def at(self, tokens: float) -> TokenPrices:
        """The prices of a request with ``tokens`` input tokens."""
        return self.tier if self.tier and self.above and tokens > self.above else self


@dataclass(frozen=True)
class PriceRow:
    """One row of the overlay. Token kinds fill input/output/cached/write, the others ``value``."""

    key: str
    kind: str
    unit: str
    source: str
    read: date
    grade: str
    value: float | None = None
    input: float | None = None
    output: float | None = None
    cached: float | None = None
    write: float | None = None
    tier: Mapping[str, float] | None = None
    model: str = ""
    valid_from: date | None = None
    valid_until: date | None = None
    expires: date | None = None
    note: str = ""

    def holds(self, day: date) -> bool:
        return (self.valid_from or date.min) <= day <= (self.valid_until or date.max)


def month_start(start: date, offset: int) -> date:
    """First day of the month ``offset`` months after the month of ``start``."""
    index = start.year * 12 + start.month - 1 + offset
    return date(index // 12, index % 12 + 1, 1)


@cache
def overlay() -> tuple[PriceRow, ...]:
    """The shipped rows."""
    return load_rows(Path(__file__).with_name("prices.toml"))


def load_rows(path: Path) -> tuple[PriceRow, ...]:
    """Read and check a price file. Raises ``DataError`` naming every bad row."""
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    problems = [] if table.get("schema") == 1 else ["schema must be 1"]
    rows = [row for entry in table.get("row", []) if (row := _row(entry, problems)) is not None]
    if problems:
        raise DataError("verdict.prices_broken", path=path, problems="; ".join(problems))
    return tuple(rows)


def _row(entry: Mapping[str, Any], problems: list[str]) -> PriceRow | None:
    name = str(entry.get("key", "?"))
    known = {f.name for f in fields(PriceRow)}
    missing = [k for k in ("key", "kind", "unit", "source", "read", "grade") if not entry.get(k)]
    wrong = [f"{name}: unknown {k}" for k in entry if k not in known] + [f"{name}: {k} is missing" for k in missing]
    if not wrong:
        wrong = _row_values(name, entry)
    problems.extend(wrong)
    return None if wrong else PriceRow(**entry)


def _row_values(name: str, entry: Mapping[str, Any]) -> list[str]:
    wrong = []
    if entry["kind"] not in KINDS:
        wrong.append(f"{name}: kind {entry['kind']}")
    if entry["grade"] not in GRADES:
        wrong.append(f"{name}: grade {entry['grade']}")
    wrong += [
        f"{name}: {k} is not a date"
        for k in ("read", "expires", "valid_from", "valid_until")
        if k in entry and not isinstance(entry[k], date)
    ]
    needed = ("input", "output") if entry["kind"] in TOKEN_KINDS else ("value",)
    wrong += [f"{name}: {k} is not a number" for k in needed if not isinstance(entry.get(k), int | float)]
    numbers = [
        entry[k] for k in ("value", "input", "output", "cached", "write") if isinstance(entry.get(k), int | float)
    ]
    if any(number < 0 for number in numbers):
        wrong.append(f"{name}: negative price")
    return wrong


def find(key: str, day: date, rows: Iterable[PriceRow] | None = None) -> PriceRow | None:
    """The row ``key`` that holds on ``day``; None when there is none."""
    return next((r for r in (overlay() if rows is None else rows) if r.key == key and r.holds(day)), None)


def value(key: str, day: date, overrides: Mapping[str, float] | None = None) -> float:
    """The single value of a non-token row, e.g. ``gpu:together-h100``. Raises ``ConfigError`` when unknown."""
    if overrides and key in overrides:
        return overrides[key]
    row = find(key, day)
    if row is None or row.value is None:
        raise _unknown(key)
    return row.value


def multiplier(name: str, day: date) -> PriceRow | None:
    """The row that says how many times its base price a tuned ``name`` costs; None when nobody sells it."""
    return find(f"multiplier:{bare(name)}", day)


def multipliers() -> tuple[PriceRow, ...]:
    """All real multipliers, for display beside the 20-50 % of the article."""
    return tuple(row for row in overlay() if row.kind == "multiplier")


def token_prices(
    name: str, month: date, overrides: Mapping[str, float] | None = None, *, package: bool = True
) -> TokenPrices:
    """Prices of ``name`` in the month of ``month``: overrides, then ``genai-prices``, then the overlay.

    ``name`` may carry a provider (``openai:gpt-5-mini``). Overrides are ``{"gpt-5-mini.input": 0.3}`` in dollars per
    million tokens. Raises ``ConfigError`` when the model is in no list and the overrides lack input or output.
    """
    plain = bare(name)
    mine: dict[str, Any] = {
        k.rpartition(".")[2]: v for k, v in (overrides or {}).items() if k.rpartition(".")[0] in (plain, name)
    }
    unknown = sorted(set(mine) - {"input", "output", "cached", "write"})
    if unknown:
        raise ConfigError("verdict.price_field", name=name, field=unknown[0])
    found = (package_prices(plain, month) if package else None) or _from_overlay(plain, month)
    if found is None:
        if not {"input", "output"} <= set(mine):
            raise _unknown(name)
        found = TokenPrices(plain, mine["input"], mine["output"])
    if not mine:
        return found
    tier = replace(found.tier, **mine) if found.tier else None
    return replace(found, **mine, tier=tier, source="--price", grade="override", read=None)


def _from_overlay(name: str, month: date) -> TokenPrices | None:
    row = find(name, month)
    if row is None or row.kind not in TOKEN_KINDS or not row.input or not row.output:
        return None
    base = TokenPrices(
        name, row.input, row.output, row.cached or None, row.write or None, row.source, row.read, row.grade, row.expires
    )
    if not row.tier:
        return base
    above: dict[str, Any] = {k: float(v) for k, v in row.tier.items() if k != "above"}
    return replace(base, above=int(row.tier["above"]), tier=replace(base, **above))


@cache
def package_prices(name: str, month: date) -> TokenPrices | None:
    """What ``genai-prices`` says of the month of ``month``; None where it is not installed or does not know the model."""
    if importlib.util.find_spec("genai_prices") is None:
        return None
    import genai_prices

    when = datetime(month.year, month.month, 15, tzinfo=UTC)
    try:
        found = genai_prices.calc_price(
            genai_prices.Usage(input_tokens=1, output_tokens=1), model_ref=name, genai_request_timestamp=when
        )
    except LookupError:
        return None
    price, row = found.model_price, find(name, month)
    names = {"input": "input_mtok", "output": "output_mtok", "cached": "cache_read_mtok", "write": "cache_write_mtok"}
    raw = {k: getattr(price, v, None) for k, v in names.items()}
    base = {k: float(getattr(v, "base", v)) if v is not None else None for k, v in raw.items()}
    if not base["input"] or not base["output"]:
        return None
    version = _package_version()
    made = TokenPrices(
        name, base["input"], base["output"], base["cached"], base["write"], f"genai-prices {version}",
        None, "package", row.expires if row else None,
    )  # fmt: skip
    tiers = {k: v.tiers[0] for k, v in raw.items() if v is not None and getattr(v, "tiers", None)}
    if not tiers:
        return made
    above: dict[str, Any] = {k: float(tier.price) for k, tier in tiers.items()}
    return replace(made, above=int(min(t.start for t in tiers.values())), tier=replace(made, **above))


@cache
def _package_version() -> str:
    from importlib.metadata import version

    return version("genai-prices")


def is_listed(name: str, day: date, overrides: Mapping[str, float] | None = None) -> bool:
    """Whether anybody says what a token of this model costs."""
    try:
        token_prices(name, day, overrides)
    except ConfigError:
        return False
    return True


def bare(name: str) -> str:
    """A model's name without its provider."""
    provider, _, rest = name.partition(":")
    return rest if rest and provider in ("openai", "gemini", "anthropic", "google") else name


def _unknown(name: str) -> ConfigError:
    keys = sorted({row.key for row in overlay()})
    close = difflib.get_close_matches(name, keys, n=1)
    return ConfigError("verdict.price_unknown", name=name, hint=close[0] if close else "gpt-5-mini")
