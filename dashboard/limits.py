"""What the page 「时限」 says: its figures read once (``read``, ``groups``), then sentences, tables and charts from them.

Three cohorts stand side by side (到期, 办结, 受理). Two of them share the complaints that both count; what makes the
difference are the rest, counted by the catalogue's ``due_not_closed`` and its like, so that

    den(due) − den(due_not_closed) = den(closed) − den(closed_not_due), and the same of the numerators.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

import pandas as pd
import streamlit as st

from dashboard import charts, compared, data, links, listing, signals, tables, words
from dashboard.context import Frame
from dashboard.periods import Period
from dashboard.words import literal, t
from queries import figures, timing
from queries.figures import rate
from queries.indicators import ARRIVALS, BASES, CATALOGUE, PAIRS

LIST, HERE = "complaints", "limits"
BY = ("unit", "category", "channel", "month")
_GROUPS = {"category": "category_id", "channel": "channel_id", "month": "month"}
MONTHS = 13
OTHER = "other"  # days at no link: received and answered by the unit itself, or not recorded
ARRIVED = tuple(f"arrived_{code}" for code, *_ in ARRIVALS)
SMALL = ("dispatch_on_time", "first_handler_rate", "ping_pong")
_CODES = (*BASES.values(), "received_due", *(f"{a}_not_{b}" for pair in PAIRS for a, b in (pair, pair[::-1])),
          *(f"link_{code}" for code in timing.LINKS), *ARRIVED, "arrived_late", *SMALL)
METHOD = (*BASES.values(), "received_due", "overdue_open", "days_done", *(f"link_{code}" for code in timing.LINKS),
          "arrived_late", *SMALL)


# -- the figures ----------------------------------------------------------------------------------------------------

@dataclass(frozen=True)
class Limits:
    """Everything the page shows but the table by groups. Mappings are counts by ``<code>_den`` and ``<code>_num``."""

    now: Mapping[str, int]
    before: Mapping[str, int]
    year_ago: Mapping[str, int]
    months: pd.DataFrame  # due and kept by month: index = first day, columns num, den
    links: pd.DataFrame  # timing.links
    calendar: compared.Calendar

    def pair(self, code: str, of: str = "now") -> tuple[int, int]:
        """Numerator and denominator of a rate; of: now, before or year_ago."""
        if "_or_" in code:  # only one of two cohorts counts it: the one or the other (tests/queries/test_timing.py)
            one, other = code.split("_or_")
            both = self.pair(f"{one}_not_{other}", of), self.pair(f"{other}_not_{one}", of)
            return both[0][0] + both[1][0], both[0][1] + both[1][1]
        counts = getattr(self, of)
        return int(counts[f"{code}_num"]), int(counts[f"{code}_den"])


def read(f: Frame) -> Limits:
    """The figures of the period, of the ones it is compared with, and of the last 13 months."""
    def count(codes, where):
        return data.read(figures.counts, codes, **where).loc["all"].to_dict()

    rates = tuple(BASES.values())
    days = months(f.period)
    by_month = data.read(figures.counts, ("compliance",), by="month", **f.during(whole(days)))
    return Limits(count(_CODES, f.where), count(rates, f.before), count(rates, f.during(f.year_ago)),
                  monthly(by_month, days), data.read(timing.links, **f.where), compared.read(f))


def months(period: Period, count: int = MONTHS) -> list[date]:
    """The first days of so many months, oldest first; the last is the month that the period ends in."""
    last = period.last.year * 12 + period.last.month - 1
    return [date(one // 12, one % 12 + 1, 1) for one in range(last - count + 1, last + 1)]


def following(first: date) -> date:
    """The first day of the month after."""
    return (first + timedelta(days=31)).replace(day=1)


def whole(days: list[date]) -> Period:
    """All of these months as one period."""
    return Period("custom", days[0], following(days[-1]))


def monthly(table: pd.DataFrame, days: list[date]) -> pd.DataFrame:
    """From counts by ``month`` ('YYYY-MM'): num and den of compliance by the first days of these months, 0 if none."""
    found = table.reindex([f"{day:%Y-%m}" for day in days], fill_value=0)
    return pd.DataFrame({part: found[f"compliance_{part}"].to_numpy() for part in ("num", "den")}, index=days)


def groups(f: Frame, by: str) -> pd.DataFrame:
    """Compliance by group, one row each: index = unit_id, category_id, channel_id or first day of a month; num, den,
    late, overdue (now), median and p90 (working days to done), arrived (too late), before_num, before_den, word.

    Order: months newest first; the others by rate, lowest first, those with few cases after them."""
    month = by == "month"
    days = months(f.period, MONTHS + 1)
    window = f.during(whole(days)) if month else f.where
    table = _grouped(f, by, ("compliance", "arrived_late", *(() if month else ("overdue_open",))), window)
    spent = _grouped(f, by, None, window)
    old = table.shift(1) if month else _grouped(f, by, ("compliance",), f.before)
    if month:  # every month has its row; the one before the oldest is only compared with
        table, spent = (one.reindex([f"{day:%Y-%m}" for day in days]) for one in (table, spent))
        table = table.fillna(0).astype("int64")
        old = table.shift(1)
        for one in (table, spent, old):
            one.index = days
        table = table[1:][::-1]
    return assembled(table, spent, old, by)


def _grouped(f: Frame, by: str, codes: tuple[str, ...] | None, where: dict) -> pd.DataFrame:
    """Counts by group, or without codes days to done."""
    query, args = (timing.days, ()) if codes is None else (figures.counts, (codes,))
    return f.below(query, *args, **where) if by == "unit" else data.read(query, *args, by=_GROUPS[by], **where)


def assembled(table: pd.DataFrame, spent: pd.DataFrame, old: pd.DataFrame, by: str) -> pd.DataFrame:
    """The table of ``groups`` from counts, days to done, and the counts of the period before (indexed alike)."""
    old, spent = old.reindex(table.index), spent.reindex(table.index)
    made = pd.DataFrame({
        "num": table["compliance_num"], "den": table["compliance_den"],
        "late": table["compliance_den"] - table["compliance_num"],
        "overdue": table.get("overdue_open_den", 0), "arrived": table["arrived_late_num"],
        "median": spent["days_median"], "p90": spent["days_p90"],
        "before_num": old["compliance_num"].fillna(0), "before_den": old["compliance_den"].fillna(0)})
    made = made.astype({one: "int64" for one in made.columns if one not in ("median", "p90")})
    made["word"] = list(signals.funnel(list(made.num), list(made.den)).words) if by == "unit" else ""
    if by == "month":
        return made
    made = made[(made.den > 0) | (made.overdue > 0)]
    made.index = made.index.astype("int64")
    order = pd.DataFrame({"few": made.den < signals.FEW, "rate": (made.num / made.den.where(made.den > 0)).fillna(2),
                          "den": -made.den})
    return made.loc[order.sort_values(["few", "rate", "den"], kind="stable").index]


# -- the finding ----------------------------------------------------------------------------------------------------

def title(period: Period) -> str:
    """时限执行　2026年3月1日—3月31日."""
    return t("review.heading", title=t("limits.title"), span=words.span(period.start, period.last))


def finding(w: Limits, period: Period) -> tuple[str, ...]:
    """上月到期412件，按时办结389件，按时办结率94.4%，较前一个月下降1.2个百分点。 and what the other two cohorts say."""
    (num, den), before = w.pair("compliance"), w.pair("compliance", "before")
    said = {"period": compared.here(period), "due": den, "kept": num, "rate": words.percent(num, den)}
    if not den:
        return (t("limits.finding_none", **said),)
    if min(den, before[1]) < signals.FEW:
        first = t("limits.finding_alone", **said)
    else:
        change_ = compared.rate_change(rate(num, den), rate(*before), compared.prior(period))
        first = t("limits.finding", **said, change=change_)
    return first, bases(w)


def bases(w: Limits) -> str:
    """办结口径高0.3个百分点，受理口径低5.3个百分点（其中133件尚未到期或无时限）。"""
    parts = []
    for base in ("closed", "received"):
        here, due = rate(*w.pair(BASES[base])), rate(*w.pair(BASES["due"]))
        if here is None or due is None:
            parts.append(t("limits.base_none", base=t(f"basis.{base}")))
            continue
        x = compared.points(here, due)
        key = "limits.base_higher" if x > 0 else "limits.base_lower" if x < 0 else "limits.base_same"
        parts.append(t(key, base=t(f"basis.{base}"), rate=words.percent(*w.pair(BASES[base])),
                       x=words.number(abs(x), 1)))
    return t("limits.bases", parts=t("review.semicolon").join(parts))


def note(f: Frame, w: Limits) -> str:
    """环比, 同比 and the working days of all three periods."""
    ago = w.pair("compliance", "year_ago")
    change_ = compared.rate_since(listing.name("compliance"), w.pair("compliance"), ago)
    return compared.note(f, w.calendar, [change_], known=bool(ago[1]))


def dates(period: Period) -> dict[str, str]:
    """The address of a period by its dates."""
    return {"period": "custom", "from": period.start.isoformat(), "to": period.last.isoformat()}


def ways(f: Frame, w: Limits) -> list[tuple[str, dict[str, str]]]:
    """The lists behind the finding: due, kept, late, and those of the periods it is compared with."""
    num, den = w.pair("compliance")
    given = [("review.open_due", den, {}), ("review.open_kept", num, {"part": "num"}),
             ("review.open_late", den - num, {"part": "rest"})]
    made = [(t(key, n=n), f.link(code="compliance", **more)) for key, n, more in given if n]
    for key, of, period in (("limits.open_before", "before", f.previous),
                            ("limits.open_year_ago", "year_ago", f.year_ago)):
        n = w.pair("compliance", of)[1]
        made += [(t(key, n=n), f.link(code="compliance", **dates(period)))] if n else []
    return made


# -- three cohorts, and why they differ -----------------------------------------------------------------------------

def cohort(f: Frame, w: Limits, base: str) -> None:
    """Draw one cohort: its rate, its change, the formula in words, and its complaints: counted, kept, not kept."""
    code = BASES[base]
    (num, den), before = w.pair(code), w.pair(code, "before")
    x = compared.points(rate(num, den), rate(*before)) if min(den, before[1]) >= signals.FEW else None
    indicator = CATALOGUE[code]
    with st.container(border=True, gap="xxsmall", height="stretch"):
        label = f"{listing.name(code)} :gray[{t(f'basis.{base}')}]"
        links.link(label, LIST, f.link(code=code))
        with st.container(horizontal=True, gap=None, wrap=False):
            st.space(7)
            value = f"{words.percent(num, den)}\u2002 :small[:gray[{num:,}/{den:,}]]" if den else nothing(code)
            st.metric(label, value, label_visibility="collapsed", delta_color="off",
                      delta=None if x is None else t("review.delta_points", x=words.number(abs(x), 1)),
                      delta_arrow="off" if not x else "down" if x < 0 else "up",
                      delta_description=None if x is None else t("review.compared", before=compared.prior(f.period)))
        with st.container(horizontal=True, gap=None, wrap=False):
            st.space(7)
            st.caption(indicator.formula_zh if words.language() == "zh" else indicator.formula_en)
        rest = "limits.open_rest" if base == "received" else "review.open_late"
        items = ((f"limits.open_{base}", den, None), ("review.open_kept", num, "num"), (rest, den - num, "rest"))
        links.row([(t(key, n=n), f.link(code=code, part=part)) for key, n, part in items if n], LIST)
        if base == "received" and den:
            due = w.pair("received_due")
            label = t("limits.open_received_due", n=due[0], rate=words.percent(*due))
            links.row([(label, f.link(code="received_due", part="num"))] if due[0] else [], LIST,
                      "" if due[0] else t("limits.none_due_yet"))


def nothing(code: str) -> str:
    """本期无到期, 本期无办结, 本期无受理: what stands where a rate has no denominator."""
    return t(f"limits.nothing_{CATALOGUE[code].cohort}")


def differences(f: Frame, w: Limits, phone: bool) -> None:
    """Draw the table of what makes two cohorts differ; every number opens its complaints."""
    px = 58 if phone else 76
    heads = [(t("limits.col_difference"), None, "left"), *((t(f"limits.col_{key}"), px, "right")
                                                           for key in ("cases", "kept", "not_kept"))]
    rows = []
    for one, other in PAIRS:
        rows.append([(f"**{t('limits.pair', one=t(f'basis.{one}'), other=t(f'basis.{other}'))}**", None),
                     *_cells(f, w, f"{one}_or_{other}", bold=True)])
        for a, b in ((one, other), (other, one)):
            why = "" if phone else f" :gray[{t(f'limits.why_{a}_{b}')}]"
            rows.append([(f"\u2003{t('limits.only_in', base=t(f'basis.{a}'))}{why}", None),
                         *_cells(f, w, f"{a}_not_{b}")])
    links.linked_table(heads, rows, LIST)
    if phone:
        both = [pair for one, other in PAIRS for pair in ((one, other), (other, one))]
        st.caption("  \n".join(t("limits.pair_not", one=t(f"basis.{a}"), other=t(f"basis.{b}"),
                                 why=t(f"limits.why_{a}_{b}")) for a, b in both))


def _cells(f: Frame, w: Limits, code: str, bold: bool = False) -> list[tuple[str, dict | None]]:
    num, den = w.pair(code)
    mark = "**" if bold else ""
    return [(f":small[{mark}{n:,}{mark}]" if n else ":gray[0]", f.link(code=code, part=part) if n else None)
            for n, part in ((den, "den"), (num, "num"), (den - num, "rest"))]


# -- by month -------------------------------------------------------------------------------------------------------

def months_figure(w: Limits, period: Period, phone: bool = False) -> tuple[dict, str]:
    """Compliance of the last months and its text alternative; the month that the period is stands out."""
    rates = [rate(*one) for one in zip(w.months.num, w.months.den)]
    ticks = [month_name(day) if not phone else str(day.month) for day in w.months.index]
    chosen = next((i for i, day in enumerate(w.months.index) if is_month(period, day)), None)
    hover = [f"{name(None, 'month', day)} {words.fraction(*one)}"
             for day, *one in zip(w.months.index, w.months.num, w.months.den)]
    said = {"empty": t("empty.chart"), "hover": hover}
    known = [value for value in rates if value is not None]
    alt = t("limits.months_alt", low=f"{min(known):.1f}%", high=f"{max(known):.1f}%") if known else t("empty.chart")
    return charts.months(rates, ticks, chosen, said, phone=phone), alt


def month_name(day: date) -> str:
    """10月, and January with its year: 2026年1月."""
    return words.month(day) if day.month > 1 else f"{words.month(day)}<br>{day.year}"


def is_month(period: Period, day: date) -> bool:
    """Whether a period is exactly the month that begins on a day."""
    return (period.start, period.end) == (day, following(day))


def to_month(f: Frame, day: date) -> dict[str, str] | None:
    """The way to this page for one month; None for the month that is shown."""
    return None if is_month(f.period, day) else f.link(at=None, **month_dates(day))


def month_dates(day: date) -> dict[str, str]:
    """The address of the month that begins on a day."""
    return dates(Period("custom", day, following(day)))


# -- the table by groups --------------------------------------------------------------------------------------------

def name(f: Frame | None, by: str, one: object) -> str:
    """The name of a group; of a month without the frame."""
    if by == "unit":
        return t("review.own", unit=f.unit_name(one)) if one == f.parent else f.unit_name(one)
    if by == "month":
        return t("limits.month", year=str(one.year), month=words.month(one))
    return f.category(one) if by == "category" else f.channel(one)


def asked(by: str, one: object) -> dict[str, object]:
    """The filters that a group's lists carry."""
    return month_dates(one) if by == "month" else {by: int(one)}


def deeper(f: Frame, by: str, one: object) -> dict[str, str] | None:
    """The way to this page for one group; None for the stated unit itself and for what is shown already."""
    if by == "unit" and one == f.parent or by == "month" and is_month(f.period, one) or f.place.get(by) == one:
        return None
    return f.link(at=None, by=None if by == "month" else "unit", **asked(by, one))


def opened(f: Frame, by: str, one: object, n: int, **params: object) -> dict[str, str] | None:
    """The way to a group's rows; None where there are none, and for what the stated unit has itself: no own list."""
    return f.link(**params, **asked(by, one)) if n and not (by == "unit" and one == f.parent) else None


def shown(f: Frame, table: pd.DataFrame, by: str, phone: bool = False) -> tuple[pd.DataFrame, dict[str, tables.Column]]:
    """The table by groups as ``tables.doors`` takes it: the frame and its columns."""
    keys = list(table.index)

    def door(label, px, column, **params):
        def way(row):
            return opened(f, by, keys[row], int(table[column].iloc[row]), **params)

        return tables.Column(t(label), "door", px, LIST, way)

    frame = pd.DataFrame({
        "name": [name(f, by, one) for one in keys],
        "rate": [rate(*one) for one in zip(table.num, table.den)],
        "cases": tables.sortable([f"{num:,}/{den:,}" if den else t("unit.none")
                                  for num, den in zip(table.num, table.den)]),
        "change": [change(*one) for one in zip(table.num, table.den, table.before_num, table.before_den)],
        **{one: tables.sortable([f"{n:,}" for n in table[one]]) for one in ("late", "overdue", "arrived")},
        "median": table["median"].to_numpy(), "p90": table["p90"].to_numpy(),
        "word": [t(f"review.{one}") if one else "" for one in table.word]})
    columns = {
        "name": tables.Column(t(f"limits.col_{by}"), "door", 118 if phone else 190, HERE,
                              lambda row: deeper(f, by, keys[row])),
        "rate": tables.Column(t("limits.col_rate"), "rate", 80 if phone else 168),
        "cases": door("limits.col_fraction", 86 if phone else 124, "den", code="compliance"),
        "change": tables.Column(t("limits.col_change"), "text", 110),
        "late": door("limits.col_late", 60 if phone else 92, "late", code="compliance", part="rest"),
        "overdue": door("limits.col_overdue", 100, "overdue", code="overdue_open"),
        "median": tables.Column(t("limits.col_median"), "number", 104),
        "p90": tables.Column(t("limits.col_p90"), "number", 104),
        "arrived": door("limits.col_arrived", 92, "arrived", code="arrived_late", part="num"),
        "word": tables.Column(t("review.col_peers"), "text", 130)}
    left_out = {"overdue", "word"} if by == "month" else set() if by == "unit" else {"word"}
    left_out |= {"change", "overdue", "median", "p90", "arrived", "word"} if phone else set()
    columns = {one: column for one, column in columns.items() if one not in left_out}
    return frame[list(columns)], columns


def change(num: int, den: int, before_num: int, before_den: int) -> str:
    """+1.2, −0.3: points against the period before; a dash where there are too few cases to compare."""
    if min(den, before_den) < signals.FEW:
        return t("unit.none")
    x = compared.points(rate(num, den), rate(before_num, before_den))
    return f"{'+' if x > 0 else '−' if x < 0 else ''}{words.number(abs(x), 1)}"


def groups_sentence(f: Frame, table: pd.DataFrame, by: str) -> str:
    """Who is lowest among those with enough cases, who stands out, and how many are only listed."""
    enough = table[table.den >= signals.FEW]
    if by == "month" or len(enough) < 2:
        return ""
    last = enough.iloc[0]
    low = enough.index[enough.num * last.den == enough.den * last.num].tolist()

    def listed(ids):
        return t("unit.comma").join(literal(name(f, by, one)) for one in ids)

    parts = [t("limits.lowest", name=listed(low[:3]), rate=words.percent(int(last.num), int(last.den)))]
    clearly = table[table.word == "low"].index.tolist()
    if clearly:
        parts.append(t("limits.clearly_low", units=listed(clearly[:5]), n=len(clearly)))
    few = int(((table.den < signals.FEW) & (table.den > 0)).sum())
    parts += [t("limits.few", n=few)] if few else []
    return t("review.semicolon").join(parts) + t("review.stop")


# -- where the days go, and how much was left on arrival ------------------------------------------------------------

def spent(table: pd.DataFrame) -> dict[str, float]:
    """Working days per complaint done by link (timing.links), the rest under OTHER: they add up to the mean of all."""
    n = int(table.n["all"])
    if not n:
        return {}
    known = {link: table.days[link] / n for link in timing.LINKS}
    return known | {OTHER: max(0.0, table.days["all"] / n - sum(known.values()))}


def path_figure(table: pd.DataFrame) -> tuple[dict, str]:
    """The way of a complaint through the links, and its text alternative."""
    days = spent(table)
    if not days:
        return charts.empty(80, {"empty": t("limits.none_done")}), t("limits.none_done")
    most = max(days, key=days.get)
    labels = [t(f"limits.link_{link}") for link in days]
    texts = [t("limits.days_share", days=words.number(value, 1), share=share(value, days)) for value in days.values()]
    alt = t("limits.path_alt", link=t(f"limits.link_{most}"), days=words.number(days[most], 1))
    return charts.path(labels, list(days.values()), texts, {"empty": t("limits.none_done")}), alt


def path_sentence(table: pd.DataFrame) -> str:
    """平均每件用时5.1个工作日，其中办理3.8个（74%）。"""
    days = spent(table)
    if not days:
        return t("limits.none_done")
    most = max(days, key=days.get)
    return t("limits.path", all=words.number(sum(days.values()), 1), link=t(f"limits.link_{most}"),
             days=words.number(days[most], 1), share=share(days[most], days))


def share(part: float, days: Mapping[str, float]) -> str:
    """74%: of all days; a dash where none were used."""
    return f"{100 * part / sum(days.values()):.0f}%" if sum(days.values()) else t("unit.none")


def path_table(f: Frame, table: pd.DataFrame, phone: bool = False) -> None:
    """Draw median and p90 of every link and of the whole way with n, which opens the complaints."""
    px = (60, 48, 62) if phone else (84, 72, 84)
    heads = [(t("limits.col_link"), None, "left"), *((t(f"limits.col_{key}"), wide, "right")
                                                     for key, wide in zip(("cases", "median_short", "p90_short"), px))]
    rows = []
    for link, code in [*((link, f"link_{link}") for link in timing.LINKS), ("all", "days_done")]:
        one = table.loc[link]
        n = int(one.n)
        rows.append([(t(f"limits.link_{link}_whole"), None),
                     (f":small[{n:,}]" if n else ":gray[0]", f.link(code=code) if n else None),
                     *((written(value), None) for value in (one["median"], one["p90"]))])
    links.linked_table(heads, rows, LIST)


def written(value: float) -> str:
    """4 or 4.5 working days; a dash for none."""
    if pd.isna(value):
        return t("unit.none")
    return words.number(value, 0 if float(value).is_integer() else 1)


def arrival_figure(w: Limits) -> tuple[dict, str]:
    """How many fell due by days left on arrival, those with less than a third at the foot, and the text alternative."""
    counts = [w.pair(code) for code in ARRIVED]
    num, den = w.pair("arrived_late")
    labels = [arrival(code) for code, *_ in ARRIVALS]
    said = {"x": t("limits.arrival_x"), "empty": t("empty.chart")}
    late, all_ = [one for one, _ in counts], [n for _, n in counts]
    return (charts.split_bars(labels, late, all_, [f"{n:,}" for n in all_], said),
            t("limits.arrival_alt", rate=words.percent(num, den)))


def arrival(code: str) -> str:
    """4—6, 至少10: days left."""
    _, zh, en, *_ = next(one for one in ARRIVALS if one[0] == code)
    return zh if words.language() == "zh" else en


def arrival_late(f: Frame, w: Limits) -> tuple[list, str, str]:
    """到单过晚7件（0.1%，7/4,759）, with the way to them: what ``links.row`` takes."""
    num, den = w.pair("arrived_late")
    text = t("limits.arrival_late", n=num, rate=words.fraction(num, den)) if den else t("unit.nothing_due")
    return ([(t("limits.open_arrived", n=num), f.link(code="arrived_late", part="num"))] if num else []), LIST, text


def arrival_way(f: Frame, index: int) -> dict[str, str]:
    """The way from a bar to its complaints."""
    return f.link(code=ARRIVED[index])


def path_way(f: Frame, index: int) -> dict[str, str] | None:
    """The way from a link's bar to its complaints; what lies at no link has no list."""
    return f.link(code=f"link_{timing.LINKS[index]}") if index < len(timing.LINKS) else None


def arrival_ways(f: Frame, w: Limits) -> list[tuple[str, dict[str, str]]]:
    """The lists behind the bars, for the keyboard and for those who do not see the chart."""
    counts = {code: w.pair(f"arrived_{code}")[1] for code, *_ in ARRIVALS}
    return [(t("limits.arrival_way", days=arrival(code), n=n), f.link(code=f"arrived_{code}"))
            for code, n in counts.items() if n]


def card(f: Frame, w: Limits, code: str) -> None:
    """Draw a small figure: a rate with its numerator and denominator, or a count."""
    if CATALOGUE[code].num is None:
        n = int(w.now[f"{code}_den"])
        links.figure_card(listing.name(code), words.number(n), t("unit.case_mark"), to=LIST if n else None,
                          params=f.link(code=code))
        return
    num, den = w.pair(code)
    links.figure_card(listing.name(code), words.percent(num, den) if den else nothing(code),
                      note=f"{num:,}/{den:,}" if den else "", to=LIST if den else None, params=f.link(code=code))


def method() -> pd.DataFrame:
    """Name, formula and unit of every figure of the page, from the catalogue."""
    zh = words.language() == "zh"
    return pd.DataFrame([{
        "name": i.zh if zh else i.en, "formula": i.formula_zh if zh else i.formula_en,
        "cohort": t(f"basis.{listing.COHORT[i.cohort]}") if i.cohort in listing.COHORT else t("limits.at_the_moment"),
        "unit": t(f"basis.{listing.BY[i.unit_of]}")} for i in (CATALOGUE[code] for code in METHOD)])
