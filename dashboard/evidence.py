"""What stands behind 「统计说明」: the control charts, the funnel and the units' intervals, with their words. The
judgements themselves are in ``dashboard.signals``; every page that shows one takes its words and its picture from here.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from hashlib import blake2b
from typing import NamedTuple

import pandas as pd
import pyarrow as pa
import streamlit as st

from dashboard import charts, data, links, signals, tables, words
from dashboard.context import Frame
from dashboard.periods import Period
from dashboard.signals import NARROW, WIDE, Funnel, Rates, Volumes
from dashboard.tables import Column
from dashboard.words import literal, t
from queries.figures import wilson

INTERVALS = 13  # rows of the table of intervals before it scrolls: as high as the funnel and its rules
Way = Callable[..., Mapping[str, str] | None]  # from a unit to an address; None is no door
TRENDS = {"worsening": "signals.worsening", "improving": "signals.improving"}


def key(name: str, f: Frame) -> str:
    """A chart's or table's key that belongs to what is asked: what was clicked under one address is not clicked again
    under the next."""
    return f"{name}.{blake2b(repr(sorted(f.link(at=None).items())).encode(), digest_size=6).hexdigest()}"


def panel(f: Frame, chart: Rates, volume: Volumes, days: Sequence[date], table: pd.DataFrame, found: Funnel,
          name: Callable[[int], str], deeper: Way, address: Way, page: str, phone: bool = False) -> None:
    """Draws the inside of 「统计说明」: both control charts, whose weeks open ``page`` for that week; the funnel, whose units
    open it one level down with ``deeper(unit)``; the units' intervals, whose rates open their lists with
    ``address(unit, code=…)``; the rules beside each. table and found: of ``beside``."""
    def week(point: dict) -> dict[str, str]:
        return f.link(**dates(week_of(days[round(point["x"])])), at=None)

    def unit(point: dict) -> Mapping[str, str] | None:
        one = point.get("customdata")
        one = one[0] if isinstance(one, list) else one
        return deeper(int(one)) if one is not None else None

    drawn = data.derived(pictures, chart, volume, days, table, found, name, phone, key=(page, f.address, phone))
    left, right = st.columns(2, gap="medium")
    with left:
        links.section(t("review.control_title"), t("review.control_note"))
        links.chart(drawn.rate, key("rate", f), page, week)
        st.caption(t("signals.rules_rate"))
    with right:
        links.section(t("signals.volume_title"), t("signals.volume_note"))
        links.chart(drawn.volume, key("volume", f), page, week)
        st.caption(f"{drawn.volume_said} {t('signals.rules_volume')}")
    left, right = st.columns(2, gap="medium")
    with left:
        links.section(t("review.funnel_title"), t("review.funnel_note"))
        links.chart(drawn.funnel, key("funnel", f), page, unit)
        st.caption(f"{drawn.groups_said} {t('signals.rules_units')}")
    with right:
        rows = drawn.intervals
        if len(rows):
            links.section(t("signals.units_title"))
            columns = interval_columns(rows, deeper, address, page, phone)
            tables.doors(drawn.sent, columns, key("units", f), t("signals.units_alt"), INTERVALS)


class Pictures(NamedTuple):
    """What ``panel`` draws."""

    rate: tuple[dict, str]
    volume: tuple[dict, str]
    volume_said: str
    funnel: tuple[dict, str]
    groups_said: str
    intervals: pd.DataFrame
    sent: pa.Table


def pictures(chart: Rates, volume: Volumes, days: Sequence[date], table: pd.DataFrame, found: Funnel, name: Callable[[int], str], phone: bool) -> Pictures:
    """The charts of ``panel`` and what is said beside them."""
    rows = interval_rows(table, name)
    return Pictures(rate_figure(chart, days, phone), volume_figure(volume, days, phone), volume_line(volume, days),
                    funnel_figure(found, table, name, phone), groups_line(found), rows, tables.arrow(rows))


def deeper(f: Frame) -> Callable[[int], dict[str, str] | None]:
    """The same filters one level down, at the moment it is opened; None for what the stated unit has itself."""
    return lambda unit: f.link(unit=unit, at=None) if unit != f.parent else None


def week_of(monday: date) -> Period:
    """The week that begins on a Monday."""
    return Period("custom", monday, monday + timedelta(days=7))


def dates(period: Period) -> dict[str, object]:
    """A period by its dates, in an address."""
    return {"period": "custom", "from": period.start, "to": period.last}


# -- by week --------------------------------------------------------------------------------------------------------

def series(table: pd.DataFrame, days: Sequence[date]) -> dict[int, Rates]:
    """The control chart of every unit, from ``units.weekly`` and the Mondays of its weeks."""
    known = {(unit, week): (int(num), int(den)) for unit, week, num, den
             in zip(table["unit_id"].tolist(), table["week"], table["num"], table["den"])}
    every = table["unit_id"].unique().tolist()
    return {unit: signals.rates([known.get((unit, day), (0, 0)) for day in days]) for unit in every}


def judgement(verdict: str) -> str:
    """属正常波动: a verdict of ``signals`` in a sentence. Markdown."""
    return t(f"signals.{verdict}")


def rate_figure(chart: Rates, days: Sequence[date], phone: bool = False) -> tuple[dict, str]:
    """The control chart of a rate and its text alternative; ``days`` are the Mondays of its weeks."""
    rates, limits = chart.rates, chart.limits
    known = [i for i, value in enumerate(rates) if value is not None]
    said = {"empty": t("empty.chart"),
            "gaps": [(i, t("review.control_gap")) for i, value in enumerate(rates) if value is None],
            "hover": [t("review.control_hover", span=_week(day), rate=words.fraction(*pair))
                      for day, pair in zip(days, chart.counts)]}
    alt = t("empty.chart")
    if known and chart.centre is not None:
        last = known[-1]
        said |= {"last": f"<b>{t('review.control_last', rate=_percent(rates[last]))}</b>",
                 "mean": t("review.control_mean", rate=_percent(chart.centre)), **_edges(limits[last], _percent)}
        alt = t("review.control_alt", rate=_percent(rates[last]), judgement=_plain(judgement(chart.verdict)))
    marks = [(i, t(f"review.control_signal_{chart.sides[i]}", day=days[i], rate=_percent(rates[i])))
             for i in chart.signals]
    low, high = ([limit and limit[side] for limit in limits] for side in (0, 1))
    return charts.control_chart(rates, low, high, chart.centre, _months(days), said, marks, phone=phone), alt


def volume_figure(chart: Volumes, days: Sequence[date], phone: bool = False) -> tuple[dict, str]:
    """The control chart of volume per working day and its text alternative."""
    values = chart.values
    known = [i for i, value in enumerate(values) if value is not None]
    said = {"empty": t("empty.chart"),
            "gaps": [(i, t("signals.no_workday")) for i in range(len(days) - 1) if values[i] is None],
            "hover": ["" if value is None else t("signals.volume_hover", span=_week(day), x=_one(value))
                      for day, value in zip(days, values)]}
    alt = t("empty.chart")
    if known and chart.centre is not None:
        said |= {"last": f"<b>{t('signals.volume_last', x=_one(values[known[-1]]))}</b>",
                 "mean": t("review.control_mean", rate=_one(chart.centre)), **_edges(chart.limits, _one)}
        alt = t("signals.volume_alt", x=_one(values[known[-1]]), mean=_one(chart.centre), n=len(chart.signals))
    marks = [(i, t(f"signals.volume_signal_{chart.sides[i]}", day=days[i], x=_one(values[i]))) for i in chart.signals]
    low, high = ([limit] * len(values) for limit in chart.limits or (None, None))
    return charts.control_chart(values, low, high, chart.centre, _months(days), said, marks, phone=phone,
                                percent=False), alt


def volume_line(chart: Volumes, days: Sequence[date]) -> str:
    """工作日日均210.5件，属正常波动；9月28日当周在界限之外."""
    if chart.last is None or chart.limits is None:
        return t("signals.volume_none")
    past = [days[i] for i in chart.signals if i < chart.last]
    text = t("signals.volume_line", x=_one(chart.values[chart.last]), judgement=t(f"signals.volume_is_{chart.latest}"))
    return text + (t("signals.volume_past", days=t("unit.comma").join(map(words.day, past))) if past else t("review.stop"))


def _week(day: date) -> str:
    return words.span_short(day, day + timedelta(days=6))


def _percent(value: float) -> str:
    return f"{words.number(value, 1)}%"


def _one(value: float) -> str:
    return words.number(value, 1)


def _plain(text: str) -> str:
    return text.replace("*", "")


def _edges(limits: tuple[float, float] | None, write: Callable[[float], str]) -> dict:
    """Labels of a chart's limits."""
    if limits is None:
        return {}
    low, high = map(write, limits)
    return {"low": t("review.control_low", rate=low), "high": t("review.control_high", rate=high)}


def _months(days: Sequence[date]) -> list[tuple[int, str]]:
    """Ticks: the first week of every month."""
    return [(i, words.month(day)) for i, day in enumerate(days) if i and day.month != days[i - 1].month]


# -- units against their peers --------------------------------------------------------------------------------------

def beside(table: pd.DataFrame, code: str = "compliance", better: str = "more",
           trends: Mapping[int, str] | None = None) -> tuple[pd.DataFrame, Funnel]:
    """Units judged against their peers: the table (unit_id, <code>_num, <code>_den, …) with word, size, rank, of and
    trend, and the funnel they were judged by. better: the catalogue's word for the rate."""
    found = signals.funnel(table[f"{code}_num"].tolist(), table[f"{code}_den"].tolist(), better)
    places = range(len(table))
    made = table.assign(word=list(found.words), size=[found.size(i) for i in places],
                        rank=pd.array(found.ranks, "Int64"), of=[found.of(i) for i in places],
                        trend=[(trends or {}).get(unit, "") for unit in table["unit_id"]])
    return made, found


def standing(word: str, trend: str = "") -> str:
    """明显偏低 · 明显下降: beside a unit's name. Markdown; bold where there is something to see."""
    said = t(f"review.{word}")
    said = f"**{said}**" if word in ("low", "high") else f":gray[{said}]"
    return f"{said} · **{t(TRENDS[trend])}**" if trend else said


def rank(size: str, place: object, of: int) -> str:
    """大组12/15: the place in the peer group; a dash below the minimum."""
    if pd.isna(place):
        return t("unit.none")
    return t("signals.rank", n=int(place), of=of, size="" if size == "all" else t(f"signals.size_{size}"))


Rows = tuple[list, list]  # heads and rows of ``links.linked_table``


def unit_table(made: Rows) -> None:
    """Draws ``unit_rows``; nothing where there are none."""
    if made[1]:
        links.linked_table(*made, "complaints")


def unit_rows(table: pd.DataFrame, name: Callable[[int], str], deeper: Way, address: Way, page: str, *,
              overdue: bool = True, phone: bool = False) -> Rows:
    """Units of ``beside`` as a table: the name opens ``page`` with ``deeper(unit)``, the figures their lists with
    ``address(unit, code=…)``; None is no door. Without ``overdue`` only the rate."""
    heads = [(t("review.col_unit"), None, "left")]
    heads += [] if phone else [(t("review.col_peers"), 168, "left"), (t("signals.col_rank"), 84, "left")]
    heads += [(t("review.col_rate" if overdue else "review.col_kept"), 124 if overdue else 96, "right")]
    heads += [(t("review.col_overdue"), 84, "right"), (t("review.col_longest"), 88, "right")] if overdue else []
    rows = []
    for one in table.itertuples():
        down, whole = deeper(one.unit_id), address(one.unit_id, code="compliance") if one.compliance_den else None
        num, den = one.compliance_num, one.compliance_den
        rate = words.fraction(num, den) if overdue else f"{num:,}/{den:,}"
        cells = [(f":blue[{literal(name(one.unit_id))}]" if down else literal(name(one.unit_id)), down, page)]
        cells += [] if phone else [(standing(one.word, one.trend), None),
                                   (f":gray[{rank(one.size, one.rank, one.of)}]", None)]
        cells += [(rate, whole)]
        if overdue:
            late = address(one.unit_id, code="overdue_open") if one.overdue_open else None
            longest = t("review.longest_days", n=one.longest) if one.longest > 0 else t("review.longest_none")
            cells += [(f":red[**{words.cases(one.overdue_open)}**]" if late else f":gray[{words.cases(0)}]", late),
                      (longest if one.longest >= 0 else t("unit.none"), None)]
        rows.append(cells)
    return heads, rows


def funnel_figure(found: Funnel, table: pd.DataFrame, name: Callable[[int], str], phone: bool = False,
                  code: str = "compliance") -> tuple[dict, str]:
    """The funnel of ``beside`` and its text alternative: a group's limits are drawn over the group's own sizes. Points
    carry the unit's id as customdata."""
    dots, sizes = [], {}
    for i, (unit, num, den) in enumerate(_counts(table, code)):
        if not den:
            continue
        sizes.setdefault(found.places[i], []).append(den)
        word = found.words[i]
        share = _percent(100 * num / den)
        dots.append({"n": den, "rate": 100 * num / den, "id": unit, "kind": "" if word == "no_difference" else word,
                     "hover": t("review.funnel_hover", unit=charts.plain(name(unit)), rate=share, num=num, den=den),
                     "label": f"<b>{charts.plain(name(unit))} {share}</b>" if word in ("low", "high") else None})
    curve = []
    for place in sorted(sizes, reverse=True):  # the smallest first: n rises from left to right
        group, (first, last) = found.groups[place], (min(sizes[place]), max(sizes[place]))
        steps = sorted({round(first + (last - first) * step / 24) for step in range(25)} | set(sizes[place]))
        curve += [None] * bool(curve) + [(n, group.limits(n, NARROW), group.limits(n, WIDE), group.rate) for n in steps]
    largest = found.groups[min(sizes)].rate if sizes else 0.0
    mean = t("review.funnel_mean" if len(sizes) < 2 else "signals.funnel_mean", rate=_percent(largest))
    said = {"x": t("review.funnel_x"), "mean": mean, "narrow": t("review.funnel_narrow"), "wide": t("review.funnel_wide"),
            "unit": t("unit.cases", n="{n}"), "empty": t("empty.chart")}
    return charts.funnel(dots, curve, largest, said, phone=phone), t("review.funnel_alt", n=found.words.count("low"))


def _counts(table: pd.DataFrame, code: str) -> list[tuple[int, int, int]]:
    """(unit, numerator, denominator) by row."""
    return list(zip(table["unit_id"].tolist(), table[f"{code}_num"].tolist(), table[f"{code}_den"].tolist()))


def groups_line(found: Funnel) -> str:
    """大组15家，93.9%（φ 1.3）；…: each peer group with its rate and how much more than by chance its units differ."""
    rows = []
    for place, group in enumerate(found.groups):
        if group.den:
            size = "" if len(found.groups) == 1 else t(f"signals.size_{found.size(found.places.index(place))}")
            rows.append(t("signals.group", size=size, n=group.members, rate=words.fraction(group.num, group.den),
                          phi=words.number(group.spread ** 2, 2)))
    return t("review.semicolon").join(rows) + t("review.stop") if rows else ""


def interval_rows(table: pd.DataFrame, name: Callable[[int], str], code: str = "compliance",
                  better: str = "more") -> pd.DataFrame:
    """The units of ``beside`` with cases as a table reads them, the worst interval first, those of few cases last:
    unit_id, unit, rate, interval, rank, word."""
    shown = table[table[f"{code}_den"] > 0]
    bounds = {one: wilson(num, den) for one, (_, num, den) in zip(shown.index, _counts(shown, code))}
    edge = {one: (shown.word[one] == "small", bounds[one][1] if better == "more" else -bounds[one][0]) for one in bounds}
    shown = shown.loc[sorted(shown.index, key=edge.get)]
    edges = [map(_percent, bounds[one]) for one in shown.index]
    return pd.DataFrame({
        "unit_id": shown.unit_id.tolist(), "unit": [name(one) for one in shown.unit_id.tolist()],
        "rate": [words.fraction(num, den) for _, num, den in _counts(shown, code)],
        "interval": [t("signals.interval", low=low, high=high) for low, high in edges],
        "rank": [rank(*row) for row in zip(shown["size"], shown["rank"], shown["of"])],
        "word": [_plain_word(*row) for row in zip(shown["word"], shown["trend"])]})


def interval_columns(rows: pd.DataFrame, deeper: Way, way: Way, page: str, phone: bool = False) -> dict[str, Column]:
    """Columns of ``interval_rows`` for ``tables.doors``: the unit opens ``page`` with ``deeper(unit)``, the rate its
    list."""
    ids = rows["unit_id"].tolist()
    columns = {"unit": Column(t("review.col_unit"), "door", 96 if phone else 124, page, lambda row: deeper(ids[row])),
               "rate": Column(t("review.col_rate"), "door", 116 if phone else 128, "complaints",
                              lambda row: way(ids[row], code="compliance")),
               "interval": Column(t("signals.col_interval"), "text", 112),
               "rank": Column(t("signals.col_rank"), "text", 92),
               "word": Column(t("review.col_peers"), "text", None)}
    return {key: columns[key] for key in ("unit", "rate", "word")} if phone else columns


def _plain_word(word: str, trend: str) -> str:
    return _join(t(f"review.{word}"), t(TRENDS[trend]) if trend else "")


def _join(*parts: str) -> str:
    return " · ".join(filter(None, parts))


def listed(ids: Sequence[int], name: Callable[[int], str], most: int = 3) -> str:
    """The first names, and how many in all where there are more. Markdown."""
    text = t("unit.comma").join(literal(name(one)) for one in ids[:most])
    return text if len(ids) <= most else text + t("review.and_more", n=len(ids))


