"""Break-even points in closed form, with every sign case named. No other groundtune module is needed to check them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import StrEnum

from groundtune.verdict.sentence import Sentence


class Case(StrEnum):
    """Where the challenger (first approach) is the cheaper one, relative to the break-even value."""

    ABOVE = "above"
    BELOW = "below"
    ALWAYS = "always"
    NEVER = "never"
    EQUAL = "equal"


@dataclass(frozen=True)
class BreakEven:
    """``name`` is Q* (queries a month), H* (months), rho* (retrainings a month), L* (retrieved tokens), D* (corpus
    tokens), h* (cache hit rate) or v* (dollars a correct answer). ``value`` is None unless the case is above or below.
    """

    name: str
    challenger: str
    incumbent: str
    case: Case
    value: float | None = None
    machines: int = 0
    extra: dict[str, float] = field(default_factory=dict)

    def sentence(self) -> Sentence:
        """One sentence that says what the case means."""
        symbol = {"Q*": "volume", "H*": "horizon", "rho*": "retrains", "L*": "retrieved", "D*": "corpus", "h*": "hits"}
        key = f"break_even.{symbol.get(self.name, 'worth')}_{self.case}"
        if self.name == "Q*" and self.machines and self.case is Case.NEVER:
            key = "break_even.volume_machines"  # each query saves money, but the machines it needs cost more
        shown = self.value if self.value is not None else 0.0
        return Sentence(key, {"a": self.challenger, "b": self.incumbent, "value": shown, "percent": shown * 100})


def volume(fixed_gap: float, saving: float) -> tuple[Case, float | None]:
    """Q* = fixed_gap / saving.

    ``fixed_gap`` = [(S_F + T0 - S_R)/H + rho T1 + G - F_R - U_c], dollars a month that the challenger costs more before
    the first query; ``saving`` = c_R - c_F, dollars it saves per query. Four sign cases and three edges.
    """
    if saving > 0:
        return (Case.ABOVE, fixed_gap / saving) if fixed_gap > 0 else (Case.ALWAYS, None)
    if saving < 0:
        return (Case.BELOW, fixed_gap / saving) if fixed_gap < 0 else (Case.NEVER, None)
    if fixed_gap == 0:
        return Case.EQUAL, None
    return (Case.NEVER, None) if fixed_gap > 0 else (Case.ALWAYS, None)


def horizon(upfront_gap: float, monthly_saving: float) -> tuple[Case, float | None]:
    """H* = (S_F + T0 - S_R) / [Q (c_R - c_F) - rho T1 - G + F_R + U_c], in months.

    BELOW means: the challenger is ahead until H*, then falls behind.
    """
    return volume(upfront_gap, monthly_saving)


def retrains(room: float, retraining: float) -> tuple[Case, float | None]:
    """rho* = [Q (c_R - c_F) - (S_F + T0 - S_R)/H - G + F_R + U_c] / T1, retrainings a month that can be afforded.

    ``room`` is the bracket. BELOW: cheaper while retrained less often than rho*; NEVER: not even without retraining.
    """
    if room <= 0:
        return Case.NEVER, None
    return (Case.ALWAYS, None) if retraining <= 0 else (Case.BELOW, room / retraining)


def retrieved(m: float, u: float, o: float, s: float, s2: float, p_i: float, p_o: float) -> float:
    """L* = (m - 1)(u + (p_o/p_i) o) + m s2 - s: tuning saves tokens only if more than L* are retrieved (ignores r)."""
    return (m - 1) * (u + p_o / p_i * o) + m * s2 - s


def corpus(tokens: float, p_i: float, r: float, p_w: float, p_r: float, h: float) -> float:
    """D* = (L p_i + r) / [(1 - h) p_w + h p_r]: below it a cached corpus is cheaper per query than retrieval."""
    price = (1 - h) * p_w + h * p_r
    return (tokens * p_i + r) / price if price > 0 else math.inf


def hits(size: float, tokens: float, p_i: float, r: float, p_w: float, p_r: float) -> tuple[Case, float | None]:
    """h* = (D p_w - L p_i - r) / (D (p_w - p_r)): the hit rate above which the cached corpus is cheaper."""
    if p_w <= p_r:
        return (Case.ALWAYS, None) if size * p_w <= tokens * p_i + r else (Case.NEVER, None)
    needed = (size * p_w - tokens * p_i - r) / (size * (p_w - p_r))
    if needed <= 0:
        return Case.ALWAYS, None
    return (Case.NEVER, None) if needed > 1 else (Case.ABOVE, needed)


def worth(cost_gap: float, correct_gap: float) -> tuple[Case, float | None]:
    """v* = (TCO_a - TCO_b) / (Q H (acc_a - acc_b)): dollars of a correct answer at which both are equally good.

    ABOVE: dearer and better, pays when an answer is worth more; BELOW: cheaper and worse; ALWAYS: cheaper and no worse;
    NEVER: dearer and no better.
    """
    return volume(cost_gap, correct_gap)


@dataclass(frozen=True)
class RetrainPlan:
    """How often to retrain when facts change: months by the square-root law and by exact minimisation, and the dollars
    a month (retraining plus stale answers) of each.
    """

    law: float
    exact: float
    law_cost: float
    exact_cost: float


def stale_share(months: float, mu: float) -> float:
    """Share of stale answers about changing facts: 1 - (1 - e^(-mu R)) / (mu R), R months between retrainings."""
    x = mu * months
    return 1 - -math.expm1(-x) / x if x > 1e-9 else x / 2


def retrain_interval(t1: float, q: float, v: float, mu: float) -> RetrainPlan | None:
    """Minimise T1/R + Q v stale(R). Law: R* = sqrt(2 T1 / (Q v mu)), cost sqrt(2 T1 Q v mu); None when an input is 0.

    ``t1`` dollars of a retraining, ``q`` queries a month, ``v`` dollars lost by a wrong answer, ``mu`` share of facts
    that change in a month.
    """
    if min(t1, q, v, mu) <= 0:
        return None

    def cost(months: float) -> float:
        return t1 / months + q * v * stale_share(months, mu)

    law = math.sqrt(2 * t1 / (q * v * mu))
    if t1 >= q * v / mu:  # even all answers about changed facts being stale costs less than retraining
        return RetrainPlan(law, math.inf, math.sqrt(2 * t1 * q * v * mu), q * v)
    low, high = math.log(law) - 2, math.log(law) + 6
    for _ in range(80):  # golden section on log R, where the cost has one minimum
        step = 0.381966 * (high - low)
        if cost(math.exp(low + step)) < cost(math.exp(high - step)):
            high -= step
        else:
            low += step
    best = math.exp((low + high) / 2)
    return RetrainPlan(law, best, math.sqrt(2 * t1 * q * v * mu), cost(best))
