"""What the weekly review says: its figures read once (``read``), then sentences and judgements from them, all pure.

Judgements are statistics, each named: a rate against 26 weeks by a p-chart (Shewhart 1931, limits p ± 3·√(p(1−p)/n)), a
unit against all by its Wilson 95 % interval, fewer than 10 cases by nobody.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from math import sqrt

import pandas as pd

from dashboard import charts, data, tables, words
from dashboard.context import Frame
from dashboard.periods import Period
from dashboard.words import t
from queries import figures, ledger, units
from queries.figures import rate, wilson

FEW = 10  # below it nothing is judged (catalogue: minimum)
WEEKS = 26
SHOWN = 5  # rows of a table of units
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
    late: dict[str, int]
    late_before: dict[str, int]
    todo: dict[str, int]
    weekly: pd.DataFrame  # due, in time and received by week
    stocks: pd.DataFrame  # overdue and open at the ends of the last weeks
    chart: "Control"
    peers: pd.DataFrame
    balance: pd.Series
    gap: int
    median: float | None  # working days from an urge to the first movement
    problems: "Problems"

    @property
    def kept(self) -> tuple[int, int]:
        """In time, of those due."""
        return self.now["compliance_num"], self.now["compliance_den"]

    @property
    def kept_before(self) -> tuple[int, int]:
        return self.before["compliance_num"], self.before["compliance_den"]

    @property
    def judgement(self) -> str:
        """The rate against the control chart."""
        return judge(*self.kept, self.chart.mean)


def read(f: Frame) -> Week:
    """The figures of the period, the one before and the last weeks, as the viewer may see them."""
    def count(codes, where=f.where, **more):
        return data.read(figures.counts, codes, **where, **more).loc["all"].to_dict()

    moment, ended = min(f.span["end"], f.as_of), f.span["end"] <= f.as_of
    days = weeks(f.period.last)
    weekly = data.read(figures.counts, ("compliance", "received"), by="week", **f.where | f.window(Period("custom", days[0], f.period.end)))
    balance, gap = data.read(ledger.check, **f.span, **f.place)
    by_cell = [data.read(figures.counts, ("received",), by="category_channel", **where) for where in (f.where, f.before)]
    return Week(moment, ended, count(FLOWS), count(("compliance", "received"), f.before), count(STOCKS, as_of=moment),
                count(STOCKS, f.before, as_of=min(f.before["end"], f.as_of)), count(tuple(code for code, _, _ in TODO)),
                weekly.reindex([str(day) for day in days], fill_value=0),
                data.read(figures.stocks, ends(days[-12:], f.midnight, f.as_of), **f.place),
                control(days, weekly), compared(_peers(f, moment)), balance, gap,
                data.read(figures.urge_effect, **f.span, **f.place), problems(*by_cell))


def _peers(f: Frame, moment: datetime) -> pd.DataFrame:
    """units.peers of the stated unit, and what lies beside the tree, so that the units make up the whole."""
    ask = dict(as_of=moment, **f.span, zone=f.zone.key, category=f.filters.category_id, channel=f.filters.channel_id)
    table, beside = data.read(units.peers, parent=f.parent, **ask), f.beside()
    if beside:
        others = data.read(units.peers, parent=None, **ask)
        table = pd.concat([table, others[others.unit_id.isin(beside)]], ignore_index=True)
    return table


# -- the control chart ----------------------------------------------------------------------------------------------

@dataclass(frozen=True)
class Control:
    """A p-chart: per week the rate in % (None: nothing due), and the limits, which step with the number due."""

    days: list[date]
    counts: list[tuple[int, int]]
    rates: list[float | None]
    low: list[float | None]
    high: list[float | None]
    mean: float | None

    @property
    def signals(self) -> list[int]:
        """Weeks outside the limits, oldest first; weeks of few cases are not judged."""
        return [i for i, (num, den) in enumerate(self.counts)
                if judge(num, den, self.mean) in ("signal_low", "signal_high")]


def ends(days: Sequence[date], midnight: Callable[[date], datetime], as_of: datetime) -> tuple[datetime, ...]:
    """The ends of weeks, at which stocks are read; of the present one, now."""
    return tuple(min(midnight(day + timedelta(days=7)), as_of) for day in days)


def weeks(last: date, count: int = WEEKS) -> list[date]:
    """The Mondays of so many weeks, oldest first; the last is the week that a day lies in."""
    monday = last - timedelta(days=last.weekday())
    return [monday - timedelta(weeks=count - 1 - i) for i in range(count)]


def control(days: Sequence[date], table: pd.DataFrame, code: str = "compliance") -> Control:
    """The chart of a rate from counts by week (index 'YYYY-MM-DD' of its Monday); the mean is of all weeks but the last."""
    counts = [(int(table[f"{code}_num"].get(str(day), 0)), int(table[f"{code}_den"].get(str(day), 0))) for day in days]
    before = counts[:-1]
    mean = rate(sum(num for num, _ in before), sum(den for _, den in before))
    band = [limits(mean, den) if mean is not None and den else (None, None) for _, den in counts]
    return Control(list(days), counts, [rate(*pair) for pair in counts], [low for low, _ in band], [high for _, high in band],
                   mean)


def limits(mean: float, n: int) -> tuple[float, float]:
    """The 3-sigma limits in % of a rate of n cases."""
    return chance(mean, n, 3)


def chance(mean: float, n: int, z: float) -> tuple[float, float]:
    """Where the rate of n cases lies by chance, in %: the normal limits of a proportion, within 0 and 100."""
    half = 100 * z * sqrt(mean / 100 * (1 - mean / 100) / n)
    return max(0.0, mean - half), min(100.0, mean + half)


def judge(num: int, den: int, mean: float | None) -> str:
    """normal, signal_low, signal_high or too_few: a rate against the limits of chance around a mean."""
    if den < FEW or mean is None:
        return "too_few"
    low, high = limits(mean, den)
    value = 100 * num / den
    return "signal_low" if value < low else "signal_high" if value > high else "normal"


# -- units against their peers --------------------------------------------------------------------------------------

def against(num: int, den: int, overall: float | None) -> str:
    """low, high, no_difference or small: a unit's Wilson interval against the rate of all."""
    interval = wilson(num, den)
    if den < FEW or overall is None or interval is None:
        return "small"
    return "low" if interval[1] < overall else "high" if interval[0] > overall else "no_difference"


def compared(peers: pd.DataFrame) -> pd.DataFrame:
    """units.peers with ``word`` (against all) and ``longest`` whole, the units with most overdue first."""
    table = peers.assign(longest=peers["longest"].fillna(-1).astype(int))
    overall = rate(int(table.compliance_num.sum()), int(table.compliance_den.sum()))
    table["word"] = [against(num, den, overall) for num, den in zip(table.compliance_num, table.compliance_den)]
    return table.sort_values(["overdue_open", "longest", "compliance_den"], ascending=False, kind="stable")


def attention(table: pd.DataFrame) -> pd.DataFrame:
    """Rows that need attention: clearly low ones and those with most overdue, ties included, in the order of overdue."""
    late = table[table.overdue_open > 0]
    if len(late) > SHOWN:  # who ties with the last shown is shown too, within reason
        edge = late.overdue_open.iloc[SHOWN - 1]
        late = late[late.overdue_open >= edge].head(SHOWN + 3)
    return table[table.index.isin(late.index) | (table.word == "low")]


def doing_well(table: pd.DataFrame) -> pd.DataFrame:
    """Rows with enough cases, all of them in time, the most cases first."""
    kept = table[(table.compliance_den >= FEW) & (table.compliance_num == table.compliance_den) & (table.overdue_open == 0)]
    return kept.sort_values("compliance_den", ascending=False, kind="stable")


def attention_sentence(table: pd.DataFrame, name: Callable[[int], str]) -> str:
    """宁波分行逾期未办结9件，居首位；按时办结率明显低于同组；3家单位样本不足，仅列示。"""
    parts, first = [], []
    if len(table) and table.overdue_open.iloc[0] > 0:
        most = int(table.overdue_open.iloc[0])
        first = table[table.overdue_open == most].unit_id.tolist()
        parts.append(t("review.attention_first" if len(first) == 1 else "review.attention_first_tied", unit=listed(first, name), n=most))
    low = table[table.word == "low"].unit_id.tolist()
    if low and low == first:
        parts.append(t("review.attention_low"))
    elif low:
        parts.append(t("review.attention_low_unit", unit=listed(low, name)))
    small = int(((table.word == "small") & (table.compliance_den > 0)).sum())
    if not parts:
        parts.append(t("review.attention_nobody"))
    if small:
        parts.append(t("review.attention_small", n=small))
    return t("review.semicolon").join(parts) + t("review.stop")


def doing_well_sentence(table: pd.DataFrame, name: Callable[[int], str], period: Period) -> str:
    """浙江、北京、上海等5家到期件全部按时办结。"""
    if table.empty:
        return t("review.doing_well_none", period=here(period))
    return t("review.doing_well_line", units=listed(table.unit_id.tolist(), name))


def listed(ids: Sequence[int], name: Callable[[int], str], most: int = 3) -> str:
    """The first names, and how many in all where there are more."""
    text = t("unit.comma").join(words.literal(name(one)) for one in ids[:most])
    return text if len(ids) <= most else text + t("review.and_more", n=len(ids))


# -- sentences ------------------------------------------------------------------------------------------------------

def title(period: Period) -> str:
    """投诉督办周报　2026年3月2日—3月8日."""
    key = {"week": "review.title", "month": "review.title_month"}.get(period.kind, "review.title_period")
    return t("review.heading", title=t(key), span=words.span(period.start, period.last))


def here(period: Period) -> str:
    """上周, 本期: the period in a sentence."""
    return words.name("period_in", period.code)


def prior(period: Period) -> str:
    """前一周: the period before, in a sentence about this one."""
    return words.name("period_before", period.code)


def points(now: float, before: float) -> float:
    """The difference of two rates as it is printed: of the printed rates."""
    return round(round(now, 1) - round(before, 1), 1)


def rate_change(now: float | None, before: float | None, prior: str) -> str:
    """较上周下降1.2个百分点."""
    if now is None or before is None:
        return t("review.rate_no_before", before=prior)
    difference = points(now, before)
    key = "review.rate_up" if difference > 0 else "review.rate_down" if difference < 0 else "review.rate_same"
    return t(key, before=prior, x=words.number(abs(difference), 1))


def count_change(now: int, before: int, prior: str) -> str:
    """比上周增加3件."""
    key = "review.count_up" if now > before else "review.count_down" if now < before else "review.count_same"
    return t(key, before=prior, x=abs(now - before))


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
    return t("review.due", **said, judgement=t(f"review.{w.judgement}"), change=rate_change(rate(num, den), rate(*before), prior(period)))


def overdue(n: int, long: int, before: int, period: Period, ended: bool) -> str:
    """期末逾期未办结21件，比前一周增加3件，其中逾期5个工作日以上4件。"""
    if not n:
        return t("review.overdue_none_end" if ended else "review.overdue_none")
    key = ("review.overdue" if long else "review.overdue_none_long") + ("_end" if ended else "")
    return t(key, n=n, k=long, change=count_change(n, before, prior(period)))


def card(key: str, now: object, before: object, period: Period, ended: bool, phone: bool = False) -> dict:
    """What ``links.figure_card`` shows of a figure: a count, or for "rate" a pair of numerator and denominator."""
    compared = t("review.compared", before=prior(period))
    if key != "rate":
        overdue_one = key == "overdue"
        return {"value": words.number(now), "unit": t("unit.case_mark"), "delta": words.cases(abs(now - before)), "compared": compared,
                "down": None if now == before else now < before, "tone": "late" if overdue_one and now else "",
                "note": t("review.at_end") if overdue_one and ended else ""}
    value, last = rate(*now), rate(*before)
    change = points(value, last) if min(now[1], before[1]) >= FEW else None  # a few cases are not compared
    fraction = f"{now[0]:,}/{now[1]:,}" if now[1] else ""
    # a phone's card has room for seven signs beside the rate; the fraction stands in the sentence above as well
    return {"value": words.percent(*now), "note": "" if phone and len(fraction) > 7 else fraction, "down": change < 0 if change else None,
            "delta": None if change is None else t("review.delta_points", x=words.number(abs(change), 1)),
            "compared": None if phone else compared}


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
    rows = [category(one) for one in found.grid.index]
    cols = [tables.cut(channel(one), 4 if phone else 7) for one in found.grid.columns]
    said = {"total": t("review.total"), "change": t("review.compared_short"), "empty": t("empty.chart")}
    return (charts.heat_strip(rows, cols, found.grid.to_numpy().tolist(), found.changes, said),
            t("review.problems_alt", category=rows[0]) if rows else t("empty.chart"))


def control_figure(chart: Control, judgement: str, phone: bool = False) -> tuple[dict, str]:
    """The control chart and its text alternative."""
    said = control_words(chart, judgement)
    return charts.control_chart(chart.rates, chart.low, chart.high, chart.mean, control_ticks(chart.days), said,
                                control_signals(chart), phone=phone), said["alt"]


def funnel_figure(table: pd.DataFrame, name: Callable[[int], str], phone: bool = False) -> tuple[dict, str]:
    """The funnel and its text alternative."""
    found, curve, mean = funnel(table, name)
    said = {"x": t("review.funnel_x"), "mean": t("review.funnel_mean", rate=f"{mean:.1f}%"), "narrow": t("review.funnel_narrow"),
            "wide": t("review.funnel_wide"), "unit": t("unit.cases", n="{n}"), "empty": t("empty.chart")}
    return charts.funnel(found, curve, mean, said, phone=phone), t("review.funnel_alt", n=int((table.word == "low").sum()))


def control_words(chart: Control, judgement: str) -> dict:
    """Labels of ``charts.control_chart`` and its text alternative."""
    shown = {i: f"{value:.1f}%" for i, value in enumerate(chart.rates) if value is not None}
    last = max(shown, default=None)
    percent = "{:.1f}%".format
    written = {"empty": t("empty.chart"), "alt": t("empty.chart"),
               "hover": [t("review.control_hover", span=words.span_short(day, day + timedelta(days=6)),
                           rate=words.fraction(*chart.counts[i])) for i, day in enumerate(chart.days)],
               "gaps": [(i, t("review.control_gap")) for i, value in enumerate(chart.rates) if value is None]}
    if last is None or chart.mean is None:
        return written
    written |= {"last": f"<b>{t('review.control_last', rate=words.fraction(*chart.counts[last]))}</b>", "mean": t("review.control_mean", rate=percent(chart.mean)),
                "alt": t("review.control_alt", rate=shown[last], judgement=t(f"review.{judgement}").replace("*", ""))}
    if chart.low[last] is not None:
        written |= {"high": t("review.control_high", rate=percent(chart.high[last])),
                    "low": t("review.control_low", rate=percent(chart.low[last]))}
    return written


def control_signals(chart: Control) -> list[tuple[int, str]]:
    return [(i, t("review.control_signal_low" if chart.rates[i] < chart.mean else "review.control_signal_high",
                  day=chart.days[i], rate=f"{chart.rates[i]:.1f}%")) for i in chart.signals]


def control_ticks(days: Sequence[date]) -> list[tuple[int, str]]:
    """The first week of every month."""
    return [(i, words.month(day)) for i, day in enumerate(days) if i and day.month != days[i - 1].month]


def funnel(table: pd.DataFrame, name: Callable[[int], str]) -> tuple[list[dict], list[tuple], float]:
    """Points, limits and mean for ``charts.funnel``; the names of those outside stand beside them."""
    num, den = int(table.compliance_num.sum()), int(table.compliance_den.sum())
    mean = 100 * num / den if den else 0.0
    points_ = []
    for row in table[table.compliance_den > 0].itertuples():
        value = 100 * row.compliance_num / row.compliance_den
        said = t("review.funnel_hover", unit=name(row.unit_id), rate=f"{value:.1f}%", num=row.compliance_num, den=row.compliance_den)
        points_.append({"n": row.compliance_den, "rate": value, "hover": said,
                        "kind": row.word if row.word in ("low", "high", "small") else "",
                        "label": f"<b>{name(row.unit_id)} {value:.1f}%</b>" if row.word == "low" else None})
    largest = int(table.compliance_den.max()) if len(table) else 0
    sizes = sorted({max(1, round(largest * step / 40)) for step in range(2, 41)})
    return points_, [(n, chance(mean, n, 1.96), chance(mean, n, 3.09)) for n in sizes], mean
