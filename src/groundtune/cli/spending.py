"""What a call of a model costs, for ``compare --max-cost`` and ``--dry-run``; and the table of a dry run."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from functools import cache

from groundtune.cli.context import columns
from groundtune.errors import ConfigError
from groundtune.measure.forecast import Forecast
from groundtune.measure.limits import Limits
from groundtune.messages import say
from groundtune.report.words import DASH, Words
from groundtune.types import Usage
from groundtune.verdict.prices import TokenPrices, token_prices

_FREE = ("builtin", "hf", "ollama", "fake")


def limits_of(models: Sequence[str], max_cost: float | None, max_minutes: float | None) -> Limits:
    """Limits by the dated list prices. Raises ``ConfigError`` for ``max_cost`` with a model whose price is not known."""
    if max_cost is not None:
        for model in models:
            if model.partition(":")[0] not in _FREE and _prices(model) is None:
                raise ConfigError("cli.compare.no_price", model=model)
    return Limits(max_cost, max_minutes, dollars_of)


def dollars_of(model: str, usage: Usage) -> float:
    """Dollars of one call; cached tokens at their own price where it is known. 0 where no price is known."""
    prices = _prices(model)
    if prices is None:
        return 0.0
    prices = prices.at(usage.input_tokens)
    fresh = usage.input_tokens - usage.cached_tokens
    cached = prices.input if prices.cached is None else prices.cached
    return (fresh * prices.input + usage.cached_tokens * cached + usage.output_tokens * prices.output) / 1e6


def price_known(model: str) -> bool:
    """Free or listed."""
    return model.partition(":")[0] in _FREE or _prices(model) is not None


@cache
def _prices(model: str) -> TokenPrices | None:
    if not model or model.partition(":")[0] in _FREE:
        return None
    try:
        return token_prices(model.partition("@")[0], date.today())
    except ConfigError:
        return None


def describe(rows: Sequence[Forecast]) -> str:
    """The table of a dry run with its sum."""
    words = Words.of()
    heads = tuple(say(f"cli.compare.dry_{name}") for name in ("row", "calls", "kept", "input", "output", "dollars"))
    table = [
        (
            words.approach(row.name) + (" *" if row.trains else ""),
            words.count(row.calls),
            words.count(row.kept),
            words.count(row.input_tokens) if row.known else DASH,
            words.count(row.output_tokens) if row.known else DASH,
            words.money(row.dollars if price_known(row.model) else None) if row.known else DASH,
        )
        for row in rows
        if not row.skipped
    ]
    lines = [columns(heads, table)] if table else []
    lines += [words("skipped", approach=words.approach(row.name), reason=row.skipped) for row in rows if row.skipped]
    if any(row.trains and not row.skipped for row in rows):
        lines.append(say("cli.compare.dry_trains"))
    calls, dollars = sum(row.calls for row in rows), sum(row.dollars or 0.0 for row in rows)
    lines.append(say("cli.compare.dry_sum", calls=words.count(calls), dollars=words.money(dollars)))
    return "\n".join(lines)
