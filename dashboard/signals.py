"""Signal or noise: what chance alone explains, said once for all pages. Pure: numbers in, verdicts in codes out.

A rate by week (``rates``): Laney's p′ chart (Laney 2002, Quality Engineering 14(4)) with the exact binomial in place of
the normal curve, because weeks are small and rates near 100 %. Volume by week (``volumes``): the XmR chart (Wheeler 1993,
Understanding Variation) of complaints per working day. Units against their peers (``funnel``): a funnel plot with
over-dispersion (Spiegelhalter 2005, Statistics in Medicine 24:1185) within peer groups of volume (peers.md §4.8).

    chart = signals.rates([(389, 412), …])          # weeks, oldest first; (0, 0) where nothing was due
    chart.verdict, chart.trend()                    # "normal", ""
    found = signals.funnel(table.kept, table.due)   # one place per unit: found.words[i], found.ranks[i]

Fewer than FEW cases are never judged, only counted. A limit drawn and a verdict given come from one tail probability, so
a point lies outside its drawn limit exactly if it is a signal.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property

import numpy as np
from scipy.special import bdtr, bdtrc, ndtr, ndtri

FEW = 10  # cases below which nothing is judged (catalogue: minimum)
WEEKS = 26  # weeks of a chart
RECENT = 8  # weeks that rule 2 takes together
LEAST = 8  # weeks with cases that a comparison needs
SIGMA = 3.0  # rules 1 and 2: Φ(−3) = 0.135 % on either side
NARROW, WIDE = 1.96, 3.09  # a funnel's 95 % and 99.8 %
SHORT = 3  # working days below which a week's volume is not judged
MR = 1.128  # a mean moving range of two divided by this is a standard deviation
GROUPS = 3  # peer groups by volume: large, middle, small
MANY = 9  # siblings from which they are split into groups
WINSOR = 0.1  # share of the z-scores pulled in at either end before their spread is taken


# -- the exact binomial -----------------------------------------------------------------------------------------------

def tails(num, den, p):
    """P(X ≤ num) and P(X ≥ num) of a binomial of ``den`` cases with probability p; arrays or numbers."""
    num, den = np.asarray(num, float), np.asarray(den, np.int64)
    return bdtr(num, den, p), np.where(num > 0, bdtrc(np.maximum(num - 1, 0), den, p), 1.0)


def scores(num, den, p):
    """How many standard deviations each count lies from what p expects: the normal quantile of the exact mid-p value
    (Lancaster 1961); 0 where there are no cases."""
    low, high = tails(num, den, p)
    middle = np.clip((low + 1 - high) / 2, 1e-15, 1 - 1e-15)
    return np.where(np.asarray(den) > 0, ndtri(middle), 0.0)


def bounds(n: int, p: float, z: float) -> tuple[float, float]:
    """The limits in % between which the rate of n cases stays by chance: binomial quantiles at Φ(±z), interpolated
    (Spiegelhalter 2005, appendix A.1). A count lies outside exactly if its tail probability is below Φ(−z)."""
    tail = ndtr(-z)

    def below(k: int) -> float:
        return float(bdtr(k, n, p)) if k >= 0 else 0.0

    def above(k: int) -> float:
        return float(bdtrc(k - 1, n, p)) if k > 0 else 1.0

    bottom = bisect_left(range(n), tail, key=below)                      # the first and the last that are not too unlikely
    top = n - bisect_left(range(n), tail, key=lambda k: above(n - k))
    low = bottom - (below(bottom) - tail) / max(below(bottom) - below(bottom - 1), 1e-300)
    high = top + (above(top) - tail) / max(above(top) - above(top + 1), 1e-300)
    return 100 * max(low, 0.0) / n, 100 * min(high, n) / n


def _chance(num: float, den: float) -> float:
    """The rate that tails are taken of: half a case is added on either side (Jeffreys), so that a base without a single
    miss does not make the first miss impossible."""
    return (num + 0.5) / (den + 1)


# -- a rate by week ---------------------------------------------------------------------------------------------------

@dataclass(frozen=True)
class Rates:
    """The control chart of a rate. ``counts`` are (numerator, denominator) by week, oldest first, the last is judged;
    ``base`` is the same over the weeks before the last RECENT, from which the centre comes."""

    counts: tuple[tuple[int, int], ...]
    base: tuple[int, int]
    base_weeks: int  # of them with cases
    spread: float  # σ_z: how much more than binomial the base weeks scatter; at least 1
    recent: tuple[int, int]  # the last RECENT weeks together
    sides: tuple[str, ...]  # rule 1, by week: "low", "high" or ""
    drift: str  # rule 2: "low", "high" or ""

    @property
    def rates(self) -> list[float | None]:
        """In %; None where nothing was due."""
        return [100 * num / den if den else None for num, den in self.counts]

    @property
    def centre(self) -> float | None:
        """The pooled rate of the base weeks in %."""
        return 100 * self.base[0] / self.base[1] if self.base[1] else None

    @property
    def judged(self) -> bool:
        """Whether there are base weeks enough to judge by."""
        return self.base_weeks >= LEAST and self.base[1] >= FEW

    @cached_property
    def limits(self) -> list[tuple[float, float] | None]:
        """Rule 1's limits in % by week; None where a week is not judged."""
        p = _chance(*self.base)
        return [bounds(den, p, _z(self.spread, den, self.base[1])) if self.judged and den >= FEW else None
                for _, den in self.counts]

    @property
    def signals(self) -> list[int]:
        """Weeks outside their limits, oldest first (rule 1)."""
        return [i for i, side in enumerate(self.sides) if side]

    @property
    def verdict(self) -> str:
        """Of the last week: signal_low, signal_high (rule 1), drift_low, drift_high (rule 2), normal or too_few."""
        if self.sides and self.sides[-1]:
            return f"signal_{self.sides[-1]}"
        if self.drift:
            return f"drift_{self.drift}"
        return "normal" if self.judged and self.counts[-1][1] >= FEW else "too_few"

    def trend(self, better: str = "more") -> str:
        """worsening, improving or "": rule 2, or rule 1 in the last week; nothing if the two contradict each other.
        better: whether "more" or "less" of the rate is better (the catalogue's word)."""
        found = {self.drift, self.sides[-1] if self.sides else ""} - {""}
        if len(found) != 1:
            return ""
        return "worsening" if (found == {"low"}) == (better == "more") else "improving"


def rates(counts: Sequence[tuple[int, int]]) -> Rates:
    """The chart of a rate by week, (numerator, denominator) oldest first, and its verdicts. In words:

    1. A week is a signal if a result so far from the centre has less than Φ(−3·σ_z·√(1 + n/N)) probability on its side:
       n cases in the week, N in the base weeks (the centre is itself an estimate), σ_z as Laney measures it: the mean
       moving range of the weeks' z-scores / 1.128, at least 1. Weeks of fewer than FEW cases are not judged.
    2. The last RECENT weeks taken together are one such result, against the weeks before them.

    The base is the weeks before the last RECENT; where fewer than LEAST of them have cases, all weeks but the last, and
    then only rule 1 speaks.
    """
    counts = tuple((int(num), int(den)) for num, den in counts)
    early = counts[:-RECENT]
    long = sum(den > 0 for _, den in early) >= LEAST
    base = early if long else counts[:-1]
    num, den = (np.array([pair[i] for pair in counts], np.int64) for i in (0, 1))
    k, n = (int(sum(pair[i] for pair in base)) for i in (0, 1))
    weeks = sum(d > 0 for _, d in base)
    p = _chance(k, n)
    z = scores(num, den, p)
    inside = z[:len(base)][den[:len(base)] > 0]
    spread = max(1.0, float(np.abs(np.diff(inside)).mean()) / MR) if len(inside) > 1 else 1.0
    recent = tuple(int(sum(pair[i] for pair in counts[-RECENT:])) for i in (0, 1))
    able = weeks >= LEAST and n >= FEW
    sides = _sides(num, den, p, _z(spread, den, n)) if able else [""] * len(counts)
    drift = _sides([recent[0]], [recent[1]], p, _z(spread, recent[1], n))[0] if able and long else ""
    return Rates(counts, (k, n), weeks, spread, recent, tuple(sides), drift)


def _z(spread: float, n, base: int):
    return SIGMA * spread * np.sqrt(1 + n / max(base, 1))


def _sides(num, den, p: float, z) -> list[str]:
    """low, high or "" by the exact tail below Φ(−z); fewer than FEW are never outside."""
    low, high = tails(num, den, p)
    tail, enough = ndtr(-np.asarray(z, float)), np.asarray(den) >= FEW
    return [{(True, False): "low", (False, True): "high"}.get((bool(a), bool(b)), "")
            for a, b in zip((low < tail) & enough, (high < tail) & enough)]


# -- volume by week ---------------------------------------------------------------------------------------------------

@dataclass(frozen=True)
class Volumes:
    """The XmR chart of complaints per working day. ``values`` are by week, None in a week without a working day."""

    values: tuple[float | None, ...]
    centre: float | None
    limits: tuple[float, float] | None
    sides: tuple[str, ...]
    drift: str

    @property
    def signals(self) -> list[int]:
        """Weeks outside the limits, oldest first (rule 1)."""
        return [i for i, side in enumerate(self.sides) if side]

    @property
    def last(self) -> int | None:
        """The last week that has a value: the present one is a gap until it has ended."""
        return next((i for i in reversed(range(len(self.values))) if self.values[i] is not None), None)

    @property
    def latest(self) -> str:
        """Of that week: signal_low, signal_high, drift_low, drift_high, normal or too_few."""
        if self.limits is None or self.last is None:
            return "too_few"
        side = self.sides[self.last]
        return f"signal_{side}" if side else f"drift_{self.drift}" if self.drift else "normal"

    @property
    def verdict(self) -> str:
        """The same of the very last week; too_few where that has no value."""
        return self.latest if self.values and self.values[-1] is not None else "too_few"


def volumes(counts: Sequence[int], days: Sequence[int], together: int = 1) -> Volumes:
    """The chart of volume by week: complaints received on working days, and how many working days the week had. In words:

    1. A week is a signal if its number per working day lies beyond mean ± 2.66 × mean moving range (= 3σ, Wheeler 1993).
    2. The last RECENT weeks all lie on one side of the mean.

    Weeks without a working day are gaps; weeks of fewer than SHORT (before and after a long holiday) are drawn, but
    neither judged nor part of the mean. Fewer than LEAST weeks, or fewer than FEW cases a week on average, are not
    judged. Of ``together`` charts looked at side by side (one per category, say) 3σ is widened, so that *all of them*
    raise as few false alarms as one chart would (Bonferroni).
    """
    values = [None if not day else count / day for count, day in zip(counts, days)]
    whole = [day >= SHORT for day in days]
    known = np.array([value for value, able in zip(values, whole) if able], float)
    centre = float(known.mean()) if len(known) else None
    if len(known) < LEAST or sum(count for count, able in zip(counts, whole) if able) < FEW * len(known):
        return Volumes(tuple(values), centre, None, ("",) * len(values), "")
    half = -float(ndtri(ndtr(-SIGMA) / max(together, 1))) / MR * float(np.abs(np.diff(known)).mean())
    low, high = max(0.0, centre - half), centre + half
    sides = ["" if not able else "low" if value < low else "high" if value > high else ""
             for value, able in zip(values, whole)]
    last = known[-RECENT:]
    drift = "low" if (last < centre).all() else "high" if (last > centre).all() else ""
    return Volumes(tuple(values), centre, (low, high), tuple(sides), drift)


# -- units against their peers ----------------------------------------------------------------------------------------

@dataclass(frozen=True)
class Group:
    """A peer group: units of about the same volume."""

    num: int
    den: int
    members: int
    ranked: int  # members with FEW cases or more
    spread: float  # √φ, at least 1: how much more than by chance the units of the group differ

    @property
    def rate(self) -> float | None:
        """The pooled rate in %."""
        return 100 * self.num / self.den if self.den else None

    def limits(self, n: int, z: float = WIDE) -> tuple[float, float]:
        """Where the rate in % of a unit with n cases stays by chance; z is NARROW or WIDE."""
        return bounds(n, _chance(self.num, self.den), z * self.spread)


@dataclass(frozen=True)
class Funnel:
    """One place per unit, in the order given."""

    groups: tuple[Group, ...]  # largest volume first
    places: tuple[int, ...]  # which group
    words: tuple[str, ...]  # low, high, no_difference or small
    ranks: tuple[int | None, ...]  # in the group, best first, ties sharing a rank; None below FEW cases

    def of(self, i: int) -> int:
        """Among how many units of the group a unit is ranked."""
        return self.groups[self.places[i]].ranked

    def size(self, i: int) -> str:
        """Which group: large, middle, small, or all where there is only one."""
        names = {1: ("all",), 2: ("large", "small"), 3: ("large", "middle", "small")}[max(len(self.groups), 1)]
        return names[self.places[i]]


def funnel(num: Sequence[int], den: Sequence[int], better: str = "more", places: Sequence[int] | None = None) -> Funnel:
    """Units against the peers of their size. In words: a unit is clearly low or high if a result so far from its group's
    rate has less than Φ(−3.09·√φ) = 0.1 % probability on its side (the 99.8 % limits of a funnel plot). φ is the mean
    square of the group's z-scores, winsorised at 10 % (at least one unit at either end), where that is above 1: units
    differ for many small reasons, and only what exceeds them stands out. Fewer than FEW cases: "small", listed, not ranked.

    better: whether "more" or "less" of the rate is better; it decides the ranks, not the words.
    places: the peer groups, where they come from another volume than ``den`` (from ``groups``).
    """
    num, den = np.array(num, np.int64), np.array(den, np.int64)
    places = groups(den) if places is None else list(places)
    words, ranks, made = ["small"] * len(den), [None] * len(den), []
    for group in range(max(places, default=-1) + 1):
        mine = np.array([i for i, place in enumerate(places) if place == group])
        n, k = float(den[mine].sum()), float(num[mine].sum())
        enough = mine[den[mine] >= FEW]
        p = _chance(k, n)
        z = winsorised(scores(num[enough], den[enough], p))
        spread = float(np.sqrt(max(1.0, (z ** 2).mean()))) if len(enough) > 2 else 1.0
        made.append(Group(int(k), int(n), len(mine), len(enough), spread))
        for i, side in zip(enough, _sides(num[enough], den[enough], p, np.full(len(enough), WIDE * spread))):
            words[i] = side or "no_difference"
        for i, rank in zip(enough, standing(num[enough], den[enough], better)):
            ranks[i] = rank
    return Funnel(tuple(made), tuple(places), tuple(words), tuple(ranks))


def standing(num: Sequence[int], den: Sequence[int], better: str = "more") -> list[int | None]:
    """The place of each rate among all, best first; equal rates share a place and the next one counts them (1, 2, 2, 4).
    None below FEW cases."""
    pairs = list(zip(num, den))
    shares = [n / d * (1 if better == "more" else -1) for n, d in pairs if d >= FEW]
    return [1 + sum(other > n / d * (1 if better == "more" else -1) for other in shares) if d >= FEW else None for n, d in pairs]


def groups(den: Sequence[float]) -> list[int]:
    """The peer group of each unit by its number of cases: 0 the largest third, then 1 and 2; equal numbers share a group.
    Units without cases do not count; fewer than MANY with cases are one group."""
    sizes = np.array(den, float)
    known = np.sort(sizes[sizes > 0])
    if len(known) < MANY:
        return [0] * len(sizes)
    cuts = {float(known[round(len(known) * step / GROUPS)]) for step in range(1, GROUPS)} - {float(known[0])}
    return [sum(size < cut for cut in cuts) for size in sizes]


def winsorised(z: np.ndarray, share: float = WINSOR) -> np.ndarray:
    """The values, the outermost ``share`` at either end pulled in to the next one (Spiegelhalter 2005, §4.3); of four or
    more at least one, or a single unit far out would hide behind the spread that it makes itself."""
    if not len(z):
        return z
    order = np.sort(z)
    cut = max(int(len(z) * share), int(len(z) > 3))
    return np.clip(z, order[cut], order[len(z) - 1 - cut])


# -- weeks ------------------------------------------------------------------------------------------------------------

def weeks(last: date, count: int = WEEKS) -> list[date]:
    """The Mondays of so many weeks, oldest first; the last is the week that a day lies in."""
    monday = last - timedelta(days=last.weekday())
    return [monday - timedelta(weeks=count - 1 - i) for i in range(count)]
