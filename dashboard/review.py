"""What the weekly review says: its figures read once (``read``), then sentences and judgements from them, all pure.

What is signal and what noise is decided in ``dashboard.signals``; how a period is compared, in ``dashboard.compared``.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import pandas as pd

from dashboard import charts, compared, data, evidence, periods, signals, tables, words
from dashboard.compared import count_change, here, points, prior, rate_change
from dashboard.context import Frame
from dashboard.evidence import listed
from dashboard.periods import Period
from dashboard.signals import FEW, LEAST, RECENT, Funnel, Rates, Volumes, weeks
from dashboard.words import t
from queries import figures, ledger, units
from queries.figures import rate, wilson

SHOWN = 5  # rows of a table of units
BURSTS = 2  # weeks of a category that are named
QUARTER = 92  # days up to which a period is judged as a whole
LINES = {"opening": "ledger_opening", "received": "ledger_received", "moved_in": "ledger_in", "reopened": "ledger_reopened",
         "restored": "ledger_restored", "done": "ledger_done", "moved_out": "ledger_out", "excluded": "ledger_excluded",
         "closing": "ledger_closing"}
TODO = (("due_today", "due_today", "soon"), ("overdue_list", "overdue", "late"), ("urge_unsigned", "urge_unsigned", ""),
        ("promise_passed", "promise_passed", ""), ("directive_open", "directive_open", ""),
        ("withdrawal_pending", "withdrawal", ""), ("to_approve", "approval", ""), ("not_dispatched", "undispatched", ""))


FLOWS = ("compliance", "received", "not_yet_due", "serious_new", "serious_reported", "serious_unreported", "satisfaction",
         "reach_rate", "urged", "urge_acknowledged", "urge_done")
STOCKS = ("overdue_open", "overdue_open_5")


# -- the figures ----------------------------------------------------------------------------------------------------

@dataclass(frozen=True)
class Week:
    """Everything the page shows of a period. Mappings are counts by ``<code>_den`` and ``<code>_num``."""

    moment: datetime  # stocks are read at the end of the period, or now if it has not ended
    ended: bool
    now: dict[str, int]
    before: dict[str, int]
    ago: dict[str, int]  # a year before
    late: dict[str, int]
    late_before: dict[str, int]
    todo: dict[str, int]
    days: list[date]  # the Mondays of the charts' weeks
    chart: Rates
    volume: "Volume"
    stocks: pd.DataFrame  # overdue and open at the ends of the last weeks
    calendar: compared.Calendar
    peers: pd.DataFrame
    funnel: Funnel
    balance: pd.Series
    gap: int
    median: float | None  # working days from an urge to the first movement
    problems: "Problems"
    verdict: str  # of the period's rate

    @property
    def kept(self) -> tuple[int, int]:
        """In time, of those due."""
        return self.now["compliance_num"], self.now["compliance_den"]

    @property
    def kept_before(self) -> tuple[int, int]:
        return self.before["compliance_num"], self.before["compliance_den"]

    @property
    def kept_ago(self) -> tuple[int, int]:
        return self.ago["compliance_num"], self.ago["compliance_den"]


def read(f: Frame) -> Week:
    """The figures of the period, the one before, a year before and the last weeks, as the viewer may see them."""
    def count(codes, where=f.where, **more):
        return data.read(figures.counts, codes, **where, **more).loc["all"].to_dict()

    moment, ended = min(f.span["end"], f.as_of), f.span["end"] <= f.as_of
    days, calendar = weeks(f.period.last), compared.read(f)
    window = f.where | f.window(Period("custom", days[0], f.period.end))
    now = count(FLOWS)
    chart = by_week(data.read(figures.counts, ("compliance",), by="week", **window), days)
    today = f.as_of.astimezone(f.zone).date()
    volume = volumes(data.read(figures.counts, ("received",), by="category_day", **window), days, calendar,
                     min(f.period.end, today))
    balance, gap = data.read(ledger.check, **f.span, **f.place)
    by_cell = [data.read(figures.counts, ("received",), by="category_channel", **where) for where in (f.where, f.before)]
    peers, funnel = judged(_peers(f), _trends(f, days, window))
    return Week(moment, ended, now, count(("compliance", "received"), f.before), count(("compliance", "received"), f.during(f.year_ago)),
                count(STOCKS, as_of=moment), count(STOCKS, f.before, as_of=min(f.before["end"], f.as_of)), count(tuple(code for code, _, _ in TODO)),
                days, chart, volume, data.read(figures.stocks, ends(days[-12:], f.midnight, f.as_of), **f.place), calendar, peers, funnel,
                balance, gap, data.read(figures.urge_effect, **f.where), problems(*by_cell),
                verdict(f.period, days, chart, (now["compliance_num"], now["compliance_den"])))


def _peers(f: Frame) -> pd.DataFrame:
    """units.peers of the stated unit, and what lies beside the tree, so that the units make up the whole."""
    ask = dict(**f.span, zone=f.zone.key, category=f.filters.category_id, channel=f.filters.channel_id)
    parts = [data.read(units.peers, parent=f.parent, **ask)]
    for one in f.beside():  # each with all that lies below it
        below = data.read(units.peers, parent=one, **ask)
        if len(below):
            parts.append(pd.DataFrame([{"unit_id": one, **below.drop(columns=["unit_id", "longest"]).sum(), "longest": below.longest.max()}]))
    return pd.concat(parts, ignore_index=True)


def _trends(f: Frame, days: Sequence[date], window: dict) -> dict[int, str]:
    """worsening, improving or "" by unit, from the weeks of each."""
    ask = {key: value for key, value in window.items() if key != "unit"}
    return {unit: chart.trend() for unit, chart in evidence.series(data.read(units.weekly, "compliance", parent=f.parent, **ask), days).items()}


# -- signal or noise ------------------------------------------------------------------------------------------------

def ends(days: Sequence[date], midnight: Callable[[date], datetime], as_of: datetime) -> tuple[datetime, ...]:
    """The ends of weeks, at which stocks are read; of the present one, now."""
    return tuple(min(midnight(day + timedelta(days=7)), as_of) for day in days)


def by_week(table: pd.DataFrame, days: Sequence[date], code: str = "compliance") -> Rates:
    """The control chart from counts by week (index 'YYYY-MM-DD' of its Monday)."""
    return signals.rates([(int(table[f"{code}_num"].get(str(day), 0)), int(table[f"{code}_den"].get(str(day), 0))) for day in days])


def verdict(period: Period, days: Sequence[date], chart: Rates, kept: tuple[int, int]) -> str:
    """A period's rate against the weeks before: of a week the chart's own verdict, of anything up to a quarter rule 1 for
    the period as a whole; longer ones, and those with too few weeks before them, are "unjudged"."""
    if periods.is_week(period):
        return chart.verdict
    before = [pair for day, pair in zip(days, chart.counts) if day + timedelta(days=7) <= period.start]
    if period.days > QUARTER or sum(den > 0 for _, den in before) < LEAST:
        return "unjudged"
    side = signals.rates([*before, kept]).sides[-1]
    return f"signal_{side}" if side else "normal" if kept[1] >= FEW else "too_few"


@dataclass(frozen=True)
class Volume:
    """Received by week: ``weekly`` in all, ``whole`` judged per working day, ``bursts`` the weeks of a category that
    stand out: (category_id, Monday, received that week, per working day, usually per working day)."""

    weekly: list[int]
    whole: Volumes
    bursts: list[tuple[int, date, int, float, float]]


def volumes(table: pd.DataFrame, days: Sequence[date], calendar: compared.Calendar, end: date) -> Volume:
    """From counts by ``category_day``. Judged is what came in on working days, per working day; weeks that have not ended
    by ``end`` are not judged. Named are categories above their limit in one of the last RECENT weeks, the largest excess
    first; their limits are widened for as many charts as there are categories."""
    place = {day: i for i, day in enumerate(days)}
    length = [calendar.days(day, day + timedelta(days=7)) if day + timedelta(days=7) <= end else 0 for day in days]
    every, working = {}, {}
    for key, n in zip(table.index, table["received_den"].tolist()):
        category, _, text = str(key).partition(" ")
        day = date.fromisoformat(text)
        week = place.get(day - timedelta(days=day.weekday()))
        if week is not None:
            every.setdefault(int(category), [0] * len(days))[week] += n
            working.setdefault(int(category), [0] * len(days))[week] += n * calendar.working.get(day, False)
    found = []
    for category, counts in working.items():
        chart = signals.volumes(counts, length, together=len(working))
        found += [(category, days[i], every[category][i], chart.values[i], chart.centre) for i in chart.signals
                  if chart.sides[i] == "high" and i >= len(days) - RECENT]
    found.sort(key=lambda one: one[4] - one[3])
    return Volume([sum(week) for week in zip(*every.values())] or [0] * len(days),
                  signals.volumes([sum(week) for week in zip(*working.values())] or [0] * len(days), length), found[:BURSTS])


def burst(one: tuple[int, date, int, float, float], category: Callable[[int], str]) -> str:
    """服务渠道9月28日当周明显增多，工作日日均121.3件，平时48.8件。"""
    which, day, _, value, usual = one
    return t("signals.burst", category=words.literal(category(which)), day=day, x=words.number(value, 1), mean=words.number(usual, 1))


def burst_door(one: tuple[int, date, int, float, float], f: Frame) -> tuple[str, dict[str, str]]:
    """The words and the way to the rows of a burst: all of that week and category."""
    which, day, n, _, _ = one
    return (t("signals.open_burst", category=words.literal(f.category(which)), day=day, n=n),
            f.link(**evidence.dates(evidence.week_of(day)), code="received", category=which))


# -- units against their peers --------------------------------------------------------------------------------------

def judged(peers: pd.DataFrame, trends: dict[int, str]) -> tuple[pd.DataFrame, Funnel]:
    """units.peers against their peers (``evidence.beside``), ``longest`` whole, the units with most overdue first."""
    table = peers.assign(longest=peers["longest"].fillna(-1).astype(int))
    table = table.sort_values(["overdue_open", "longest", "compliance_den"], ascending=False, kind="stable")
    return evidence.beside(table, trends=trends)


def attention(table: pd.DataFrame) -> pd.DataFrame:
    """Rows that need attention: those with most overdue, ties included, clearly low ones and worsening ones, in the order
    of overdue."""
    late = table[table.overdue_open > 0]
    if len(late) > SHOWN:  # who ties with the last shown is shown too, within reason
        edge = late.overdue_open.iloc[SHOWN - 1]
        late = late[late.overdue_open >= edge].head(SHOWN + 3)
    return table[table.index.isin(late.index) | (table.word == "low") | (table.trend == "worsening")]


@dataclass(frozen=True)
class Peers:
    """What is said of the units: tables as ``evidence.unit_table`` draws them, and a sentence each."""

    attention: evidence.Rows
    attention_said: str
    well: evidence.Rows
    well_said: str


def peers(table: pd.DataFrame, name: Callable[[int], str], deeper: evidence.Way, address: evidence.Way, page: str, period: Period, phone: bool) -> Peers:
    """Whom to look after and who does well, of ``Week.peers``."""
    good = doing_well(table)
    return Peers(evidence.unit_rows(attention(table), name, deeper, address, page, phone=phone), attention_sentence(table, name),
                 evidence.unit_rows(good.head(SHOWN), name, deeper, address, page, overdue=False, phone=phone), doing_well_sentence(good, name, period))


def doing_well(table: pd.DataFrame) -> pd.DataFrame:
    """Improving rows first, then rows with enough cases, all of them in time, the most cases first."""
    better = (table.trend == "improving") & (table.compliance_den > 0)
    kept = (table.compliance_den >= FEW) & (table.compliance_num == table.compliance_den) & (table.overdue_open == 0)
    rows = table.assign(better=better)[better | kept]
    return rows.sort_values(["better", "compliance_den"], ascending=False, kind="stable")


def attention_sentence(table: pd.DataFrame, name: Callable[[int], str]) -> str:
    """宁波分行逾期未办结9件，居首位；按时办结率明显低于同组；3家单位样本不足，仅列示。"""
    parts, first = [], []
    if len(table) and table.overdue_open.iloc[0] > 0:
        most = int(table.overdue_open.iloc[0])
        first = table[table.overdue_open == most].unit_id.tolist()
        parts.append(t("review.attention_first" if len(first) == 1 else "review.attention_first_tied", unit=listed(first, name), n=most))
    low, worse = table[table.word == "low"].unit_id.tolist(), table[table.trend == "worsening"].unit_id.tolist()
    if low and low == worse == first:
        parts.append(t("signals.low_and_worsening"))
    else:  # the one just named is not named again
        parts += [t("review.attention_low") if low == first else t("review.attention_low_unit", unit=listed(low, name))] * bool(low)
        parts += [t("signals.worsening_first") if worse == first else t("signals.worsening_units", unit=listed(worse, name))] * bool(worse)
    small = int(((table.word == "small") & (table.compliance_den > 0)).sum())
    if not parts:
        parts.append(t("review.attention_nobody"))
    if small:
        parts.append(t("review.attention_small", n=small))
    return t("review.semicolon").join(parts) + t("review.stop")


def doing_well_sentence(table: pd.DataFrame, name: Callable[[int], str], period: Period) -> str:
    """四川按时办结率近期明显上升；浙江、北京、上海等5家到期件全部按时办结。"""
    better, kept = table[table.trend == "improving"].unit_id.tolist(), table[table.compliance_num == table.compliance_den].unit_id.tolist()
    parts = [t("signals.improving_units", unit=listed(better, name))] if better else []
    if kept or not better:
        return t("review.semicolon").join([*parts, t("review.doing_well_line", units=listed(kept, name)) if kept
                                           else t("review.doing_well_none", period=here(period))])
    return parts[0] + t("review.stop")


# -- sentences ------------------------------------------------------------------------------------------------------

def title(period: Period) -> str:
    """投诉督办周报　2026年3月2日—3月8日."""
    key = {"week": "review.title", "month": "review.title_month"}.get("week" if periods.is_week(period) else period.kind, "review.title_period")
    return t("review.heading", title=t(key), span=words.span(period.start, period.last))


def headline(w: Week, period: Period) -> str:
    """上周到期412件，按时办结389件，按时办结率94.4%，较前一周下降1.2个百分点，属正常波动；"""
    (num, den), before = w.kept, w.kept_before
    said = {"period": here(period), "due": den, "kept": num, "rate": words.percent(num, den)}
    if not den:
        return t("review.due_nothing", **said)
    if not before[1]:
        return t("review.due_first", **said)
    if min(den, before[1]) < FEW:
        return t("review.due_few", **said)
    return t("review.due", **said, judgement=evidence.judgement(w.verdict), change=rate_change(rate(num, den), rate(*before), prior(period)))


def overdue(n: int, long: int, before: int, period: Period, ended: bool) -> str:
    """期末逾期未办结21件，比前一周增加3件，其中逾期5个工作日以上4件。"""
    if not n:
        return t("review.overdue_none_end" if ended else "review.overdue_none")
    key = ("review.overdue" if long else "review.overdue_none_long") + ("_end" if ended else "")
    return t(key, n=n, k=long, change=count_change(n, before, prior(period)))


def comparison(w: Week, f: Frame) -> str:
    """The small print under the finding: working days of the periods, and the change on a year ago. Markdown."""
    changes = [compared.rate_since(t("compared.rate"), w.kept, w.kept_ago),
               compared.count_since(t("compared.received"), w.now["received_den"], w.ago["received_den"]) if w.ended else ""]
    text = compared.note(f, w.calendar, changes, known=any(w.ago.values()))
    return f":small[:gray[{text}]]" if text else ""


def ago(w: Week, f: Frame) -> list[tuple[str, dict[str, str]]]:
    """The way to the complaints that the comparison with a year ago counts."""
    n = w.kept_ago[1]
    return [(t("compared.open_ago", n=n), f.link(**evidence.dates(f.year_ago), code="compliance"))] if n else []


def card(key: str, now: object, before: object, period: Period, ended: bool, phone: bool = False, verdict: str = "") -> dict:
    """What ``links.figure_card`` shows of a figure: a count, or for "rate" a pair of numerator and denominator. verdict: of
    the volume, said only where it is a signal."""
    than = t("review.compared", before=prior(period))
    if key != "rate":
        overdue_one = key == "overdue"
        running = key == "received" and not ended  # part of a period is not compared with a whole one
        return {"value": words.number(now), "unit": t("unit.case_mark"), "delta": None if running else words.cases(abs(now - before)),
                "compared": than, "down": None if running or now == before else now < before, "tone": "late" if overdue_one and now else "",
                "note": t("review.at_end") if overdue_one and ended else t(f"signals.card_{verdict[7:]}")
                if key == "received" and verdict.startswith("signal_") else ""}
    value, last = rate(*now), rate(*before)
    change = points(value, last) if min(now[1], before[1]) >= FEW else None  # a few cases are not compared
    fraction = f"{now[0]:,}/{now[1]:,}" if now[1] else ""
    # a phone's card has room for seven signs beside the rate; the fraction stands in the sentence above as well
    return {"value": words.percent(*now), "note": "" if phone and len(fraction) > 7 else fraction, "down": change < 0 if change else None,
            "delta": None if change is None else t("review.delta_points", x=words.number(abs(change), 1)),
            "compared": None if phone else than}


def major(new: int, reported: int, missing: int, period: Period) -> str:
    if not new:
        return t("review.major_none", period=here(period))
    key = "review.major_line" if missing or reported < new else "review.major_complete"
    return t(key, n=new, reported=reported, missing=missing)


def effect(urged: int, signed: int, done: int, days: float | None, period: Period) -> str:
    said = {"period": here(period), "urged": urged, "signed": signed, "done": done}
    if not urged:
        return t("review.effect_none", **said)
    if days is None:
        return t("review.effect_waiting", **said)
    return t("review.effect_line", **said, days=words.number(days, 0 if float(days).is_integer() else 1))


def satisfaction(called: int, reached: int, num: int, den: int, period: Period) -> str:
    if not called:
        return t("review.satisfaction_none", period=here(period))
    if not den:
        return t("review.satisfaction_unreached", called=called)
    low, high = wilson(num, den)
    said = t("review.satisfaction_line", called=called, reached=reached, satisfied=num, answered=den,
             rate=words.percent(num, den), reach=words.percent(reached, called))
    interval = t("review.satisfaction_interval", low=f"{words.number(low, 1)}%", high=f"{words.number(high, 1)}%")
    return f"{said} :gray[{interval}]"


# -- main problems --------------------------------------------------------------------------------------------------

@dataclass(frozen=True)
class Problems:
    """Received by category and channel: ``grid`` (rows sorted by growth), and by how much each row grew."""

    grid: pd.DataFrame
    changes: list[int]
    before: int

    @property
    def total(self) -> int:
        return int(self.grid.to_numpy().sum())


def problems(now: pd.DataFrame, before: pd.DataFrame) -> Problems:
    """From counts by ``category_channel`` (category_id * 1000 + channel_id) of two periods; channels by size."""
    grid, old = _grid(now), _grid(before).sum(axis=1)
    grid = grid.reindex(grid.index.union(old.index), fill_value=0)
    changes = (grid.sum(axis=1) - old.reindex(grid.index, fill_value=0)).astype(int)
    order = pd.DataFrame({"change": changes, "total": grid.sum(axis=1)}).sort_values(["change", "total"], ascending=False).index
    columns = grid.sum().sort_values(ascending=False, kind="stable").index
    return Problems(grid.loc[order, columns], changes[order].tolist(), int(old.sum()))


def problems_sentence(found: Problems, category: Callable[[int], str], channel: Callable[[int], str], period: Period) -> str:
    if not found.total:
        return t("review.problems_none", period=here(period))
    said = {"n": found.total, "change": count_change(found.total, found.before, prior(period))}
    if found.changes[0] <= 0:
        return t("review.problems_no_growth", **said)
    first = found.grid.iloc[0].sort_values(ascending=False, kind="stable")
    top = t("unit.comma").join(t("review.problems_channel", channel=words.literal(channel(one)), n=int(n))
                               for one, n in first.head(2).items() if n)
    return t("review.problems_line", **said, category=words.literal(category(found.grid.index[0])), count=int(first.sum()),
             x=found.changes[0], channels=top)


def _grid(table: pd.DataFrame) -> pd.DataFrame:
    """Counts by category (rows) and channel (columns)."""
    keyed = table.index.astype("int64")
    frame = pd.DataFrame({"category": keyed // 1000, "channel": keyed % 1000, "n": table["received_den"].to_numpy()})
    return frame.pivot_table(index="category", columns="channel", values="n", aggfunc="sum", fill_value=0).astype(int)


# -- charts' words --------------------------------------------------------------------------------------------------

def heat_figure(found: Problems, category: Callable[[int], str], channel: Callable[[int], str], phone: bool = False) -> tuple[dict, str]:
    """The heat strip and its text alternative; names of channels are cut where columns are narrow."""
    rows = [tables.cut(category(one), 5 if phone else 20) for one in found.grid.index]
    cols = [tables.cut(channel(one), 4 if phone else 7) for one in found.grid.columns]
    said = {"total": t("review.total"), "change": t("review.compared_short"), "empty": t("empty.chart")}
    return (charts.heat_strip([charts.plain(one) for one in rows], [charts.plain(one) for one in cols], found.grid.to_numpy().tolist(), found.changes, said, narrow=phone),
            t("review.problems_alt", category=rows[0]) if rows else t("empty.chart"))


def cells(f: Frame) -> Callable[[int, int | None], dict[str, str]]:
    """The way to the rows of a category and channel; without a channel, of the category."""
    return lambda category, channel: f.link(code="received", category=category, channel=channel)


def of_cell(found: Problems, address: Callable[[int, int | None], dict[str, str]]) -> Callable[[dict], dict[str, str] | None]:
    """The list behind a click on the heat strip: of its cell, or None where that is empty."""
    def way(point: dict) -> dict[str, str] | None:
        row, col = point["customdata"]
        return address(int(found.grid.index[row]), int(found.grid.columns[col])) if found.grid.iat[row, col] else None
    return way
