"""Are the statistics honest? Simulated comparisons with a known truth: false winners, stated power, and coverage.

    python benchmarks/calibration.py [--runs 1000] [--out FILE]

A false winner is any claim (interval without 0 and Holm-adjusted p below 0.05) of a difference in success where there is
none. The bar: at most 5 %, also with documents whose questions go together, also when the comparison stops by itself
(``--until-decided``), and the stated power (80 % at the smallest visible difference) is met.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import stats as sps

from groundtune.measure.anytime import anytime_p, bets_of
from groundtune.measure.contrasts import anytime_contrasts, declared_contrasts
from groundtune.measure.race import FIRST, stand
from groundtune.measure.results import ApproachResult, Contrast, Estimate, ItemResult
from groundtune.measure.stats import EXACT, detectable_difference, holm, items_needed, paired_difference, paired_p

Scores = NDArray[np.float64]  # (items, approaches)
NAMES = ("rag", "prompt", "few-shot", "finetune", "rag+finetune")
BAR = 0.05


@dataclass(frozen=True)
class Line:
    """One simulated scenario; ``rate`` is the share of runs with a claim, in [low, high] with 95 % confidence."""

    name: str
    runs: int
    rate: float
    low: float
    high: float
    wanted: str
    met: bool
    mean_items: float | None = None
    seconds: float = 0.0


def drawn(
    rng: np.random.Generator, n: int, means: Sequence[float], shared: float, size: int = 1, icc: float = 0.0
) -> Scores:
    """Success of every approach on ``n`` items: difficulties shared by the approaches (correlation ``shared`` of the
    latent normals), and within documents of ``size`` items a part ``icc`` of each approach's own difficulty too.
    """
    item = rng.standard_normal((n, 1))
    document = np.repeat(rng.standard_normal((math.ceil(n / size), len(means))), size, axis=0)[:n]
    own = math.sqrt(icc) * document + math.sqrt(1.0 - icc) * rng.standard_normal((n, len(means)))
    latent = math.sqrt(shared) * item + math.sqrt(1.0 - shared) * own
    return (latent < sps.norm.ppf(np.asarray(means))[None, :]).astype(np.float64)


def results(scores: Scores, names: Sequence[str], size: int = 1) -> list[ApproachResult]:
    """Scores as measured approaches."""
    made = []
    for column, name in zip(scores.T.tolist(), names, strict=True):
        items = tuple(
            ItemResult(str(i), "question", f"d{i // size}", "?", "", "", scores={"success": value})
            for i, value in enumerate(column)
        )
        mean = sum(column) / len(column)
        made.append(
            ApproachResult(name, "m", metrics={"success": Estimate(mean, None, None, len(column))}, items=items)
        )
    return made


def clear(contrast: Contrast) -> bool:
    """What a report calls clearly higher or lower."""
    return (contrast.low > 0 or contrast.high < 0) and contrast.p_adjusted < 0.05


def fixed_claims(scores: Scores, size: int = 1) -> bool:
    """Any claim of the declared contrasts. Intervals are made only where a p value allows a claim at all."""
    groups = [f"d{i // size}" for i in range(len(scores))]
    pairs = list(combinations(scores.T.tolist(), 2))
    if min(paired_p(a, b, groups) for a, b in pairs) * len(pairs) >= 0.05:
        return False
    found = declared_contrasts(results(scores, NAMES[: scores.shape[1]], size))
    return any(clear(c) for c in found if c.metric == "success")


def race_claims(scores: Scores, size: int = 1, margin: float = 0.1) -> tuple[bool, int]:
    """Whether a race over these items calls anyone worse, and after how many items it stops (all of them are counted
    where the evidence on all items, at its best moment, allows no claim).
    """
    n, names = len(scores), NAMES[: scores.shape[1]]
    groups = [f"d{i // size}" for i in range(n)]
    pairs = list(combinations(scores.T, 2))
    if min(anytime_p(bets_of((a - b).tolist(), groups, size)) for a, b in pairs) * len(pairs) >= 0.05:
        return False, n
    tables = [
        {("question", str(i)): (v, f"d{i // size}") for i, v in enumerate(column)} for column in scores.T.tolist()
    ]
    used, racing, seen = 0, list(names), {name: 0 for name in names}
    while used < n and racing:
        used = min(n, -(-(used + max(FIRST, used // 4)) // size) * size)
        seen |= dict.fromkeys(racing, used)
        cut = {name: dict(list(table.items())[: seen[name]]) for name, table in zip(names, tables, strict=True)}
        found = stand(cut, racing, margin, size)
        if found.worse:
            contrasts = anytime_contrasts([_cut(r, seen[r.name]) for r in results(scores, names, size)], size)
            if any(clear(c) for c in contrasts):
                return True, used
        racing = [name for name in racing if name not in found.worse]
        if not found.open:
            return False, used
    return False, used


def _cut(result: ApproachResult, n: int) -> ApproachResult:
    return replace(result, items=result.items[:n])


def pair_claim(delta: Sequence[float]) -> bool:
    """One paired comparison alone, from a score difference per item."""
    a, b = [float(d > 0) for d in delta], [float(d < 0) for d in delta]
    gap = paired_difference(a, b)
    return (gap.low > 0 or gap.high < 0) and holm([paired_p(a, b)])[0] < 0.05


def discordant(rng: np.random.Generator, n: int, difference: float, psi: float) -> list[float]:
    """Differences of paired yes/no scores: ``psi`` of the items disagree."""
    return rng.choice([1.0, -1.0, 0.0], p=[(psi + difference) / 2, (psi - difference) / 2, 1 - psi], size=n).tolist()


def scenario(name: str, runs: int, run: Callable[[int], tuple[bool, float]], wanted: str, seed: int = 0) -> Line:
    """Run a scenario and hold it against what is wanted: ``<= 0.05`` or ``>= 0.8``."""
    started = time.perf_counter()
    found = [run(seed * 1_000_003 + number) for number in range(runs)]
    claims = sum(claimed for claimed, _ in found)
    interval = sps.binomtest(claims, runs).proportion_ci(method="wilson")
    bound = float(wanted.split()[1])
    met = claims / runs <= bound if wanted.startswith("<=") else claims / runs >= bound
    items = float(np.mean([used for _, used in found]))
    return Line(
        name, runs, claims / runs, interval.low, interval.high, wanted, met, items, time.perf_counter() - started
    )


def scenarios(runs: int) -> Iterator[Line]:
    """All of them, one after the other."""
    equal, rng = [0.6] * 5, np.random.default_rng

    def null(n: int, size: int = 1, icc: float = 0.0) -> Callable[[int], tuple[bool, float]]:
        return lambda s: (fixed_claims(drawn(rng(s), n, equal, 0.5, size, icc), size), n)

    def race(n: int, means: Sequence[float], size: int = 1, icc: float = 0.0) -> Callable[[int], tuple[bool, float]]:
        return lambda s: race_claims(drawn(rng(s), n, means, 0.5, size, icc), size)

    def power(n: int, difference: float, psi: float) -> Callable[[int], tuple[bool, float]]:
        return lambda s: (pair_claim(discordant(rng(s), n, difference, psi)), n)

    def visible(n: int) -> Callable[[int], tuple[bool, float]]:
        """Four approaches equal, a fifth as much better than RAG as the table would call just visible."""

        def run(s: int) -> tuple[bool, float]:
            made, psi = rng(s), 0.3
            size = detectable_difference(n / EXACT, psi, 10) or 1.0
            base = drawn(made, n, [0.5] * 4, 0.5)
            swing = np.asarray(discordant(made, n, size, psi))
            # RAG is right where the better one is right and nothing is swung; else the swing decides
            other = np.where(swing > 0, 1.0, np.where(swing < 0, 0.0, made.integers(0, 2, n)))
            rag = other - swing
            found = declared_contrasts(results(np.column_stack([rag, base[:, 1:], other]), NAMES))
            return any(clear(c) for c in found if {c.a, c.b} == {"rag", "rag+finetune"}), n

        return run

    need = math.ceil(EXACT * items_needed(0.15, 0.2))
    smallest = detectable_difference(200 / EXACT, 0.2) or 1.0
    better = [0.6, 0.3, 0.4, 0.45, 0.85]
    yield scenario("five equal approaches, 30 questions", runs, null(30), f"<= {BAR}", 1)
    yield scenario("five equal approaches, 100 questions", runs, null(100), f"<= {BAR}", 2)
    yield scenario("five equal approaches, 300 questions", runs, null(300), f"<= {BAR}", 3)
    yield scenario("five equal, 30 documents of 10, ICC 0.4", runs, null(300, 10, 0.4), f"<= {BAR}", 4)
    yield scenario("five equal, 9 documents of 10, ICC 0.4", runs, null(90, 10, 0.4), f"<= {BAR}", 5)
    yield scenario("until decided: five equal, at most 400", runs, race(400, equal), f"<= {BAR}", 6)
    yield scenario("until decided: 40 documents of 10, ICC 0.4", runs, race(400, equal, 10, 0.4), f"<= {BAR}", 7)
    yield scenario(f"power of items_needed(0.15, 0.2) x {EXACT} = {need}", runs, power(need, 0.15, 0.2), ">= 0.8", 8)
    visible_name = f"power at the smallest visible of 200 ({smallest:.3f})"
    yield scenario(visible_name, runs, power(200, smallest, 0.2), ">= 0.8", 9)
    yield scenario("power at the smallest visible of 200 beside four others", runs, visible(200), ">= 0.8", 10)
    yield scenario("until decided: one clearly better, at most 400", runs, race(400, better), ">= 0.8", 11)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    lines: list[Line] = []
    table = {"date": datetime.now(UTC).date().isoformat(), "runs": given.runs}
    for line in scenarios(given.runs):
        lines.append(line)
        mark = "met " if line.met else "MISSED"
        shown = f"{line.rate:6.3f} [{line.low:.3f}, {line.high:.3f}] {line.wanted:8} {line.name}"
        print(f"{mark:6} {shown} (mean items {line.mean_items:.0f}, {line.seconds:.0f} s)", flush=True)
        if given.out:
            whole = {**table, "lines": [asdict(each) for each in lines]}
            given.out.write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")
    raise SystemExit(not all(line.met for line in lines))


if __name__ == "__main__":
    main()
