"""What the satisfaction page says: its figures read once (``read``), then sentences, rows and judgements, all pure.

Rates are of the office's own call-backs; the units' own reports stand beside them and are never mixed in. Intervals are
Wilson's (peers.md §4.4); a change is judged by Newcombe's interval of a difference (Newcombe 1998, Statistics in
Medicine 17:873, method 10); what non-response may hide by Manski's bounds; the agreement of two sources by Cohen's
kappa (Cohen 1960, Educational and Psychological Measurement 20:37).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from math import sqrt

import pandas as pd

from dashboard import charts, compared, data, listing, periods, signals, tables, words
from dashboard.context import Frame
from dashboard.periods import Period
from dashboard.tables import Column
from dashboard.words import literal, t
from queries import figures
from queries import satisfaction as calls
from queries.figures import rate, wilson

FEW = signals.FEW
BY = ("unit", "category", "channel", "month")
GROUPS = {"category": "category_id", "channel": "channel_id"}
RATES = ("satisfaction", "reach_rate", "call_back_rate")
GAP = ("gap_unit", "gap_office", "gap_contradicted")
ALL = (*RATES, "unit_satisfaction", *GAP, "low_score", "call_again")
MONTHS = 13
SHOWN = 5  # units of the two-source gap
WORK = 10  # rows of a work list; a phone shows half
STEPS = ("redo", "returned", "called")


# -- the figures ------------------------------------------------------------------------------------------------------

@dataclass(frozen=True)
class Seen:
    """Everything the page shows. ``now``, ``before``, ``ago``: counts by ``<code>_den`` and ``<code>_num``."""

    now: dict[str, int]
    before: dict[str, int]
    ago: dict[str, int]
    months: list[date]  # the first days of the last months, oldest first
    monthly: pd.DataFrame  # satisfaction and reach by month, in that order
    units: pd.DataFrame  # by unit below, index unit_id
    groups: pd.DataFrame  # the same by what is asked for
    note: str  # what the change against a year ago is, and what makes the periods unlike

    def pair(self, code: str, when: str = "now") -> tuple[int, int]:
        """Numerator and denominator."""
        counts = getattr(self, when)
        return counts[f"{code}_num"], counts[f"{code}_den"]


def read(f: Frame, by: str) -> Seen:
    """The figures of the period, of the one before and a year before, by month, by unit and by what is asked for."""
    def count(codes, where):
        return data.read(figures.counts, codes, **where).loc["all"].to_dict()

    now, before, ago = count(ALL, f.where), count(RATES, f.before), count(RATES, f.during(f.year_ago))
    days = last_months(min(f.period.last, f.as_of.astimezone(f.zone).date()))
    span = f.window(Period("custom", days[0], _next(days[-1])))
    monthly = data.read(calls.by_month, **f.where | span).reindex([f"{day:%Y-%m}" for day in days], fill_value=0)
    units = f.below(figures.counts, (*RATES, *GAP), **f.where)
    groups = units if by == "unit" else monthly if by == "month" else data.read(figures.counts, RATES, by=GROUPS[by],
                                                                                **f.where)
    pairs = [(c[f"satisfaction_{part}"] for part in ("num", "den")) for c in (now, ago)]
    since = year_on_year(*(tuple(pair) for pair in pairs))
    return Seen(now, before, ago, days, monthly, units, groups,
                compared.note(f, compared.read(f), [since], bool(ago["call_back_rate_den"])))


def last_months(last: date, count: int = MONTHS) -> list[date]:
    """The first days of so many months, oldest first; the last is the month that a day lies in."""
    months = [last.replace(day=1)]
    while len(months) < count:
        months.append(periods.previous(Period("month", months[-1], _next(months[-1]))).start)
    return months[::-1]


def _next(first: date) -> date:
    """The first day of the month after."""
    return date(first.year + first.month // 12, first.month % 12 + 1, 1)


# -- statistics, pure -------------------------------------------------------------------------------------------------

def newcombe(now: tuple[int, int], before: tuple[int, int]) -> tuple[float, float] | None:
    """The 95 % interval of the difference of two rates (numerator, denominator), in points; None without cases."""
    a, b = wilson(*now), wilson(*before)
    if a is None or b is None:
        return None
    p, q = rate(*now), rate(*before)
    return p - q - sqrt((p - a[0]) ** 2 + (b[1] - q) ** 2), p - q + sqrt((a[1] - p) ** 2 + (q - b[0]) ** 2)


def manski(satisfied: int, answered: int, asked: int) -> tuple[float, float] | None:
    """Between which the rate in % lies whatever those not reached would have said; None where nobody was called."""
    return (100 * satisfied / asked, 100 * (satisfied + asked - answered) / asked) if asked else None


def kappa(both: int, unit: int, office: int, n: int) -> float | None:
    """Cohen's kappa of two sources on the same n complaints: satisfied by both, by the unit's call, by the office's.
    1 = they always agree, 0 = as often as by chance; None where nothing can be said (all answers alike)."""
    if not n:
        return None
    agree = (both + (n - unit - office + both)) / n
    chance = (unit * office + (n - unit) * (n - office)) / n ** 2
    return (agree - chance) / (1 - chance) if chance < 1 else None


def compared_rates(table: pd.DataFrame, ranked: bool = True) -> pd.DataFrame:
    """Groups with ``rate``, ``low``, ``high`` (None: no case), ``word`` (low, high, no_difference, small) and ``rank``
    (None below FEW cases); the best first, few cases last. ranked=False keeps the order and judges nothing (months)."""
    num, den = table["satisfaction_num"].tolist(), table["satisfaction_den"].tolist()
    bounds = [wilson(*pair) or (None, None) for pair in zip(num, den)]
    judged = list(signals.funnel(num, den).words) if ranked else ["small" if n < FEW else "no_difference" for n in den]
    ranks = signals.standing(num, den) if ranked else [None] * len(den)
    made = table.assign(rate=_objects([rate(*pair) for pair in zip(num, den)]),
                        low=_objects([one[0] for one in bounds]),
                        high=_objects([one[1] for one in bounds]), word=judged, rank=_objects(ranks))
    if not ranked:
        return made
    made = made[(made.get("call_back_rate_num", made["satisfaction_den"]) > 0) | (made["satisfaction_den"] > 0)]
    made = made.sort_values("satisfaction_den", ascending=False, kind="stable")
    few = made["satisfaction_den"] < FEW
    return pd.concat([made[~few].sort_values("rank", kind="stable"), made[few]])


def _objects(values: Sequence[object]) -> pd.api.extensions.ExtensionArray:
    """None stays None in a column."""
    return pd.array(values, dtype=object)


def gaps(units: pd.DataFrame) -> pd.DataFrame:
    """Units that have complaints called by both, with ``gap`` in points and ``few``: those with enough of them by the
    largest gap, then those with few, by how many."""
    both = units[units["gap_unit_den"] > 0]
    both = both.assign(gap=100 * (both["gap_unit_num"] - both["gap_office_num"]) / both["gap_unit_den"],
                       few=both["gap_unit_den"] < FEW)
    enough = both[~both["few"]].sort_values(["gap", "gap_unit_den"], ascending=False, kind="stable")
    return pd.concat([enough, both[both["few"]].sort_values("gap_unit_den", ascending=False, kind="stable")])


# -- sentences --------------------------------------------------------------------------------------------------------

def points(value: float) -> str:
    """+9.0, −1.2, 0.0."""
    shown = words.number(abs(round(value, 1)), 1)
    return f"+{shown}" if round(value, 1) > 0 else f"−{shown}" if round(value, 1) < 0 else shown


def span(bounds: tuple[float, float] | None) -> str:
    """85.7%—90.3%."""
    return t("unit.none") if bounds is None else t("satisfaction.span", low=f"{words.number(bounds[0], 1)}%",
                                                   high=f"{words.number(bounds[1], 1)}%")


def share(num: int, den: int) -> str:
    """88.2%, or a dash where there is no case."""
    return words.percent(num, den) if den else t("unit.none")


def headline(seen: Seen, period: Period) -> list[str]:
    """The finding: how many were reached, how many are content; then the change against the period before."""
    (num, den), (reached, called) = seen.pair("satisfaction"), seen.pair("reach_rate")
    said = {"period": compared.here(period), "called": called, "reached": reached, "reach": share(reached, called)}
    if not called:
        return [t("satisfaction.none", **said)]
    if not den:
        return [t("satisfaction.unreached", **said)]
    line = t("satisfaction.finding", **said, rate=words.percent(num, den), satisfied=num, answered=den,
             interval=span(wilson(num, den)))
    return [line, change(seen, period)]


def change(seen: Seen, period: Period) -> str:
    """较前一个月上升1.2个百分点，未超出抽样误差。 Few cases are not compared."""
    now, before, prior = seen.pair("satisfaction"), seen.pair("satisfaction", "before"), compared.prior(period)
    if min(now[1], before[1]) < FEW:
        return t("satisfaction.few", before=prior, n=FEW)
    low, high = newcombe(now, before)
    judged = t("satisfaction.by_chance" if low <= 0 <= high else "satisfaction.more_than_chance")
    return t("satisfaction.change", change=compared.rate_change(rate(*now), rate(*before), prior), judged=judged)


def year_on_year(now: tuple[int, int], ago: tuple[int, int]) -> str:
    """满意率上升1.2个百分点; "" where either has few cases."""
    return compared.rate_since(listing.name("satisfaction"), now, ago) if min(now[1], ago[1]) >= FEW else ""


def doors(seen: Seen, f: Frame) -> list[tuple[str, int, dict[str, object]]]:
    """The ways from the finding to its rows: (words, how many, the list)."""
    (num, den), (reached, called) = seen.pair("satisfaction"), seen.pair("reach_rate")
    return [("called", called, {"code": "reach_rate"}), ("reached", reached, {"code": "reach_rate", "part": "num"}),
            ("satisfied", num, {"code": "satisfaction", "part": "num"}),
            ("dissatisfied", den - num, {"code": "satisfaction", "part": "rest"}),
            *((key, seen.pair("satisfaction", key)[1], {"code": "satisfaction", **within(period)})
              for key, period in (("before", f.previous), ("ago", f.year_ago)))]


def within(period: Period) -> dict[str, object]:
    """A period as an address says it: by its dates, the last one included."""
    return {"period": "custom", "from": period.start, "to": period.last}


def cards(seen: Seen, period: Period, phone: bool = False) -> list[tuple[str, dict, dict[str, str]]]:
    """The four cards: (key of its label, what ``links.figure_card`` shows, its list)."""
    made = [(code, _card(*seen.pair(code), *seen.pair(code, "before"), period, phone, code == "satisfaction"),
             {"code": code}) for code in RATES]
    n, old = (den - num for num, den in (seen.pair("satisfaction"), seen.pair("satisfaction", "before")))
    not_satisfied = {"value": words.number(n), "unit": t("unit.case_mark"), "down": n < old,
                     "delta": words.cases(abs(n - old)) if n != old else None,
                     "compared": None if phone else t("review.compared", before=compared.prior(period))}
    return [*made, ("dissatisfied", not_satisfied, {"code": "satisfaction", "part": "rest"})]


def _card(num: int, den: int, old: int, old_den: int, period: Period, phone: bool, interval: bool) -> dict:
    enough = min(den, old_den) >= FEW  # a few cases are not compared
    difference = compared.points(rate(num, den), rate(old, old_den)) if enough else None
    note = f"{num:,}/{den:,}" if den else ""
    if phone:
        note = note if len(note) <= 7 else ""  # the fraction stands in the sentence above as well
    elif interval and den:
        note = t("satisfaction.card_note", fraction=note, interval=span(wilson(num, den)))
    return {"value": share(num, den), "note": note, "down": difference < 0 if difference else None,
            "delta": None if difference is None else t("review.delta_points", x=words.number(abs(difference), 1)),
            "compared": None if phone else t("review.compared", before=compared.prior(period))}


def unheard(seen: Seen) -> str:
    """What those who were not reached may change: 未接通的402件若全部满意…"""
    (num, den), (_, called) = seen.pair("satisfaction"), seen.pair("reach_rate")
    bounds = manski(num, den, called)
    if bounds is None or den >= called:
        return ""
    low, high = (f"{words.number(one, 1)}%" for one in bounds)
    return t("satisfaction.unheard", n=called - den, low=low, high=high)


def agreement(seen: Seen) -> float | None:
    """Cohen's kappa of the units' calls and the office's on the same complaints."""
    (unit, n), (office, _) = seen.pair("gap_unit"), seen.pair("gap_office")
    return kappa(unit - seen.now["gap_contradicted_den"], unit, office, n)


def gap_sentence(seen: Seen) -> str:
    """双方都回访的256件，单位自报满意率96.9%（248/256），抽查满意率87.9%（225/256），相差+9.0个百分点…"""
    (unit, n), (office, _) = seen.pair("gap_unit"), seen.pair("gap_office")
    if not n:
        return t("satisfaction.gap_none")
    few = t("satisfaction.gap_few", n=FEW) if n < FEW else ""
    return few + t("satisfaction.gap", both=n, unit=words.fraction(unit, n), office=words.fraction(office, n),
             x=points(compared.points(rate(unit, n), rate(office, n))), k=seen.now["gap_contradicted_den"])


def method(seen: Seen) -> list[str]:
    """The small print of the expander, a paragraph each."""
    agreed = agreement(seen)
    lines = [t("satisfaction.formula", name=listing.name(code), formula=listing.formula(listing.Asked(code)))
             for code in ALL]
    return [*lines, t("satisfaction.method"), t("satisfaction.method_gap"),
            t("satisfaction.kappa", x=words.number(agreed, 2), n=seen.pair("gap_unit")[1]) if agreed is not None
            else t("satisfaction.kappa_none")]


# -- small tables and charts ------------------------------------------------------------------------------------------

def sources(seen: Seen, f: Frame, phone: bool = False) -> tuple[list, list]:
    """The two sources side by side, for ``links.linked_table``: heads and rows."""
    heads = [(t("satisfaction.col_source"), None, "left"), (t("satisfaction.col_answered"), 64, "right"),
             (t("satisfaction.col_rate"), 148, "right")]
    rows = []
    for code, name in (("satisfaction", "satisfaction.office"), ("unit_satisfaction", "satisfaction.own")):
        num, den = seen.pair(code)
        cells = [(t(name), None), (f"{den:,}", f.link(code=code) if den else None),
                 (words.fraction(num, den) if den else t("unit.none"), f.link(code=code) if den else None)]
        rows.append(cells if phone else [*cells, (span(wilson(num, den)), None)])
    return heads if phone else [*heads, (t("satisfaction.col_interval"), 116, "right")], rows


def gap_rows(table: pd.DataFrame, f: Frame, phone: bool = False) -> tuple[list, list]:
    """The two-source gap by unit, for ``links.linked_table``: heads and rows."""
    heads = [(t("satisfaction.col_unit"), None, "left"), (t("satisfaction.col_both"), 64, "right"),
             (t("satisfaction.col_own"), 72, "right"),
             (t("satisfaction.col_office"), 72, "right"), (t("satisfaction.col_gap"), 72, "right"),
             (t("satisfaction.col_contradicted"), 72, "right")]
    rows = []
    for one in table.itertuples():
        listed = one.Index != f.parent  # what the stated unit has itself is no list of its own
        to = [f.link(unit=int(one.Index), code=code) if listed and n else None
              for code, n in (("gap_unit", one.gap_unit_den), ("gap_contradicted", one.gap_contradicted_den))]
        rows.append([(literal(unit(f, one.Index)), None), (f"{one.gap_unit_den:,}", to[0]),
                     (share(one.gap_unit_num, one.gap_unit_den), None),
                     (share(one.gap_office_num, one.gap_unit_den), None), (f"**{points(one.gap)}**", None),
                     (f"{one.gap_contradicted_den:,}", to[1])])
    keep = (0, 1, 4, 5) if phone else range(6)
    return [heads[i] for i in keep], [[row[i] for i in keep] for row in rows]


def unit(f: Frame, unit_id: object) -> str:
    """A unit below, or what the stated unit has itself."""
    return t("review.own", unit=f.unit_name(unit_id)) if unit_id == f.parent else f.unit_name(unit_id)


def month_figure(seen: Seen, period: Period, phone: bool = False) -> tuple[dict, str]:
    """The rate of the last months with its intervals, and the text alternative."""
    pairs = list(zip(seen.monthly["satisfaction_num"], seen.monthly["satisfaction_den"]))
    shown = chosen(seen.months, period)
    said = {"empty": t("empty.chart"), "hover": [
        t("satisfaction.hover", name=month_name(day), rate=words.fraction(*pair) if pair[1] else t("unit.none"),
          interval=span(wilson(*pair)))
        for day, pair in zip(seen.months, pairs)]}
    ticks = [words.month(day) if not phone or i % 3 == 0 else "" for i, day in enumerate(seen.months)]
    known = [(rate(*pair), day) for day, pair in zip(seen.months, pairs) if pair[1]]
    alt = t("satisfaction.month_alt", low=f"{min(known)[0]:.1f}%",
            high=f"{max(known)[0]:.1f}%") if known else t("empty.chart")
    return charts.months([rate(*pair) for pair in pairs], ticks, shown, said, height=214 if phone else 300, phone=phone,
                         bounds=[wilson(*pair) for pair in pairs]), alt


def month_address(seen: Seen, f: Frame) -> Callable[[dict], Mapping[str, str] | None]:
    """The way from a point of the months to this page in that month; None for the one shown."""
    shown = chosen(seen.months, f.period)

    def address(point: dict) -> Mapping[str, str] | None:
        first = seen.months[point["point_index"]]
        return None if point["point_index"] == shown else f.link(**within(Period("custom", first, _next(first))),
                                                                 at=None)
    return address


def chosen(months: Sequence[date], period: Period) -> int | None:
    """Which of the months the period is."""
    return next((i for i, day in enumerate(months) if (day, _next(day)) == (period.start, period.end)), None)


def month_name(day: date) -> str:
    """2026年3月 / Mar 2026."""
    return t("satisfaction.month", month=words.month(day), year=str(day.year))


# -- by unit, category, channel, month --------------------------------------------------------------------------------

@dataclass(frozen=True)
class Groups:
    """The table and the chart of one way to divide, and the doors of its rows."""

    f: Frame
    by: str
    table: pd.DataFrame  # compared_rates

    def key(self, row: int) -> object:
        return self.table.index[row]

    def name(self, row: int) -> str:
        key = self.key(row)
        if self.by == "month":
            return month_name(date.fromisoformat(f"{key}-01"))
        return {"unit": lambda one: unit(self.f, one), "category": self.f.category,
                "channel": self.f.channel}[self.by](key)

    def where(self, row: int) -> dict[str, object] | None:
        """What the row adds to an address; None for what the stated unit has itself."""
        key = self.key(row)
        if self.by == "month":
            first = date.fromisoformat(f"{key}-01")
            return within(Period("custom", first, _next(first)))
        return None if self.by == "unit" and key == self.f.parent else {self.by: int(key)}

    def rows(self, code: str, part: str = "den") -> Callable[[int], Mapping[str, str] | None]:
        """The way from a row to the complaints behind one of its figures; None where there are none."""
        def address(row: int) -> Mapping[str, str] | None:
            where, one = self.where(row), self.table.iloc[row]
            n = one[f"{code}_den"] - one[f"{code}_num"] if part == "rest" else one[f"{code}_{part}"]
            return self.f.link(**where, code=code, part=part) if where is not None and n else None
        return address

    @property
    def to(self) -> str:
        """The page that a row leads to: this one for a unit and a month, the list for the others."""
        return "satisfaction" if self.by in ("unit", "month") else "complaints"

    def deeper(self, row: int) -> Mapping[str, str] | None:
        """Where a row leads: the same page one level deeper, or its answered calls."""
        where = self.where(row)
        if where is None or self.to == "complaints":
            return self.rows("satisfaction")(row)
        return self.f.link(**where, at=None, by=self.by)


def groups(seen: Seen, f: Frame, by: str) -> Groups:
    """The groups in the order of the page: the best first, the months newest first."""
    table = compared_rates(seen.groups, by != "month")
    return Groups(f, by, table.iloc[::-1] if by == "month" else table)


def group_frame(found: Groups, phone: bool = False) -> tuple[pd.DataFrame, dict[str, Column]]:
    """The table of groups as ``tables.doors`` takes it; a phone gets name, rate and interval."""
    table = found.table
    pairs = {code: list(zip(table[f"{code}_num"], table[f"{code}_den"])) for code in RATES if f"{code}_den" in table}
    frame = {"name": [tables.cut(found.name(row), 6.5 if phone else 8) for row in range(len(table))],
             "rank": [t("unit.none") if one is None else str(one) for one in table["rank"]],
             "rate": [words.fraction(*pair) if pair[1] else t("unit.none") for pair in pairs["satisfaction"]],
             "interval": [span(wilson(*pair)) for pair in pairs["satisfaction"]],
             "rest": [f"{den - num:,}" for num, den in pairs["satisfaction"]],
             "word": [t(f"satisfaction.{one}") for one in table["word"]]}
    columns = {"name": Column(t(f"satisfaction.by_{found.by}"), "door", 108 if phone else 120, found.to, found.deeper),
               "rank": Column(t("satisfaction.col_rank"), "text", 50),
               "rate": Column(t("satisfaction.col_rate"), "door", 136, address=found.rows("satisfaction")),
               "interval": Column(t("satisfaction.col_interval"), "text", 112),
               "rest": Column(t("satisfaction.col_rest"), "door", 62, address=found.rows("satisfaction", "rest")),
               "word": Column(t("satisfaction.col_word"), "text", 122)}
    for code in RATES[1:]:
        if code in pairs:
            frame[code] = [f"{num:,}/{den:,}" for num, den in pairs[code]]
            columns[code] = Column(t(f"satisfaction.col_{code}"), "door", 86, address=found.rows(code))
    order = ("name", "rank", "rate", "interval", "rest", "reach_rate", "call_back_rate", "word")
    order = ("name", "rate", "interval") if phone else order
    left_out = {"rank", "word"} if found.by == "month" else set()
    order = [one for one in order if one in frame and one not in left_out]
    return pd.DataFrame({one: frame[one] for one in order}), {one: columns[one] for one in order}


def group_figure(found: Groups) -> tuple[dict, str]:
    """The intervals of the table's groups, row by row, with the rate of all, and the text alternative."""
    table = found.table.iloc[:tables.MOST_ROWS]
    num, den = int(found.table["satisfaction_num"].sum()), int(found.table["satisfaction_den"].sum())
    mean = rate(num, den)
    points_ = []
    for row, one in enumerate(table.itertuples()):
        pair = (one.satisfaction_num, one.satisfaction_den)
        said = t("satisfaction.hover", name=charts.plain(found.name(row)), rate=words.fraction(*pair) if pair[1] else t("unit.none"),
                 interval=span(wilson(*pair)))
        points_.append({"label": charts.plain(tables.cut(found.name(row), 7)), "rate": one.rate, "low": one.low, "high": one.high,
                        "hover": said, "kind": "" if one.word == "no_difference" else one.word})
    said = {"mean": t("satisfaction.mean", rate=f"{mean:.1f}%") if mean is not None else "", "empty": t("empty.chart")}
    alt = t("satisfaction.group_alt", n=len(table), few=int((table["word"] == "small").sum()), rate=share(num, den))
    return charts.intervals(points_, mean, said, row=tables.ROW_HEIGHT), alt


def group_sentence(found: Groups) -> str:
    """明显偏低：…；36家单位样本不足，仅列示。"""
    def named(word: str) -> str:
        rows = [row for row in range(len(found.table)) if found.table["word"].iloc[row] == word]
        shown = t("unit.comma").join(literal(found.name(row)) for row in rows[:SHOWN])
        return shown if len(rows) <= SHOWN else shown + t("review.and_more", n=len(rows))

    few = int((found.table["word"] == "small").sum())
    parts = [t(f"satisfaction.clearly_{word}", names=named(word)) for word in ("low", "high")
             if (found.table["word"] == word).any()]
    if not parts and len(found.table) > few:
        parts = [t("satisfaction.nobody_stands_out")]
    if few:
        parts.append(t("satisfaction.too_few", n=few, few=FEW))
    return t("review.semicolon").join(parts) + t("review.stop") if parts else t("empty.chart")


# -- work lists -------------------------------------------------------------------------------------------------------

def work_sentence(seen: Seen, code: str) -> str:
    """How many are in a work list, and of low scores how many have been followed up."""
    n = seen.now[f"{code}_den"]
    if not n:
        return t(f"satisfaction.{code}_none")
    followed = seen.now.get(f"{code}_num", 0)
    return t(f"satisfaction.{code}_line", n=n) if code == "call_again" else t(f"satisfaction.{code}_line", n=n,
                                                                              followed=followed, open=n - followed)


def work_doors(seen: Seen, code: str) -> list[tuple[str, int, dict[str, str]]]:
    """The ways from a work list's sentence to its rows."""
    n = seen.now[f"{code}_den"]
    if code == "call_again":
        return [("again", n, {"code": code})]
    followed = seen.now[f"{code}_num"]
    return [("low_all", n, {"code": code}), ("low_open", n - followed, {"code": code, "part": "rest"}),
            ("low_followed", followed, {"code": code, "part": "num"})]


def work(rows: pd.DataFrame, f: Frame, code: str, phone: bool = False) -> tuple[pd.DataFrame, dict[str, Column]]:
    """A work list as ``tables.doors`` takes it: low scores with the customer's words and what followed, or calls to
    repeat with how often was tried."""
    low = code == "low_score"
    frame = {"number": rows["complaint_no"],
             "unit": [tables.cut(f.unit_name(one), 6) for one in rows["about_unit_id"]],
             "matter": [tables.cut(one, 13 if low else 9) for one in rows["title"]],
             "said": [t("unit.none") if pd.isna(one) else tables.cut(one, 9 if phone else 13) for one in rows["words"]],
             "called": [tables.day(one, f.zone) for one in rows["called_at"]],
             "step": [t(f"satisfaction.step_{one}") if one in STEPS else t("satisfaction.step_none")
                      for one in rows["step"]],
             "tried": [t("unit.times", n=int(one)) for one in rows["tried"]]}
    columns = {"number": Column(t("overdue.col_number"), "door", 116, "complaint",
                                lambda row: {**f.link(code=code), "number": rows["complaint_no"].iloc[row]}),
               "unit": Column(t("satisfaction.col_about"), "text", 96 if low else 88),
               "matter": Column(t("overdue.col_matter"), "text", 196 if low else 136),
               "said": Column(t("satisfaction.col_said"), "text", 144 if phone else 196),
               "called": Column(t("satisfaction.col_called" if low else "satisfaction.col_last"), "text",
                                78 if low else 74),
               "step": Column(t("satisfaction.col_step"), "text", 90),
               "tried": Column(t("satisfaction.col_tried"), "text", 52)}
    order = {(True, False): ("number", "unit", "matter", "said", "called", "step"),
             (True, True): ("number", "said", "step"),
             (False, False): ("number", "unit", "matter", "tried", "called"),
             (False, True): ("number", "unit", "tried")}[low, phone]
    return pd.DataFrame({one: frame[one] for one in order}), {one: columns[one] for one in order}
