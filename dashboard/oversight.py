"""What a regulator sees: figures of whole months in which no small number stands or can be worked out, and released complaints."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from zoneinfo import ZoneInfo

import pandas as pd
import streamlit as st

from dashboard import complaint, data, exports, filters, links, words
from dashboard.context import known, names
from dashboard.settings import settings
from dashboard.words import literal, t
from queries import oversight as read
from queries import units

SPANS, DEPTHS, MONTHS = (1, 3, 12), (1, 2), 36
COUNTS = ("received", "due", "kept", "late")


@dataclass(frozen=True)
class Asked:
    """What the address asks for: whole months, level of the units, one dimension; and the names to answer with."""

    last: date                                  # the first day of the last month
    months: int
    deep: int
    by: str
    units: Mapping[int, str]
    values: Mapping[int, str]

    @property
    def first(self) -> date:
        return _back(self.last, self.months - 1)

    @property
    def period(self) -> str:
        return words.span(self.first, _back(self.last, -1) - pd.Timedelta(days=1))


def bar() -> Asked:
    """Months, span, level and dimension, all of them in the address; the language and who is signed in at the end."""
    zone = ZoneInfo(settings().zone)
    today = data.as_of().astimezone(zone).date()
    months = [_back(today.replace(day=1), n) for n in range(1, MONTHS + 1)]
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall", key="filter_bar"):
        last = _choice("month", [f"{one:%Y-%m}" for one in months], _month)
        span = _choice("span", [str(n) for n in SPANS], lambda code: t(f"oversight.span_{code}"))
        deep = _choice("deep", [str(n) for n in DEPTHS], lambda code: t(f"oversight.deep_{code}"))
        by = _choice("by", list(read.BY), lambda code: t(f"oversight.by_{code}"))
        st.space("stretch")
        filters.language_switch()
        filters.role_menu()
    lists = {"none": {}, "category": lambda: names(data.read(units.categories).itertuples(), "category_id"),
             "channel": lambda: names(data.read(units.channels).itertuples(), "channel_id")}
    values = lists[by]() if by != "none" else {}
    return Asked(date.fromisoformat(f"{last}-01"), int(span), int(deep), by, places(), values)


def places() -> dict[int, str]:
    """Names of units in the language of the page."""
    return {one: unit.name for one, unit in known()[0].items()}


def _month(code: str) -> str:
    """2026年10月, October 2026."""
    day = date.fromisoformat(f"{code}-01")
    return f"{day.year}年{words.month(day)}" if words.language() == "zh" else f"{words.month(day)} {day.year}"


def _choice(name: str, codes: Sequence[str], say: Callable[[str], str]) -> str:
    key = f"oversight_{name}_{words.language()}"            # the browser sends the words back: another language, another widget
    if st.query_params.get(name) not in codes:
        st.query_params.pop(name, None)
    st.session_state[key] = st.query_params.get(name, codes[0])
    st.selectbox(t(f"oversight.{name}"), codes, format_func=say, key=key, label_visibility="collapsed", width=190,
                 on_change=lambda: st.query_params.update({name: st.session_state[key]}))
    return st.session_state[key]


def _back(month: date, n: int) -> date:
    """The first of the month n months before."""
    index = month.year * 12 + month.month - 1 - n
    return date(index // 12, index % 12 + 1, 1)


def sentence(table: pd.DataFrame, asked: Asked) -> str:
    """受理…件，到期…件，按时办结率…: the whole scope, where it may be said."""
    whole = table[(table["unit_id"] == 0) & (table["value"] == 0)]
    if whole.empty or not whole.iloc[0][["received", "due"]].fillna(0).sum():
        return t("oversight.nothing", period=asked.period)
    row = whole.iloc[0]
    return t("oversight.sentence", period=asked.period, received=count(row["received"]), due=count(row["due"]), rate=rate(row))


def count(n: float) -> str:
    return t("oversight.hidden") if pd.isna(n) else words.number(n)


def rate(row: Mapping) -> str:
    """94.4%（389/412）; not shown where one of its numbers is not; no rate of nothing."""
    if pd.isna(row["due"]) or pd.isna(row["kept"]):
        return t("oversight.hidden")
    return words.fraction(int(row["kept"]), int(row["due"])) if row["due"] else t("unit.nothing_due")


def by_unit(table: pd.DataFrame, asked: Asked, phone: bool) -> pd.DataFrame:
    """One row a unit, the total last: 单位 受理 到期 按时 逾期 按时办结率, as text; on a phone unit and rate."""
    whole = table[table["value"] == 0]
    return pd.DataFrame({"unit": [_unit(one, asked) for one in whole["unit_id"]], **({} if phone else {name: [count(n) for n in whole[name]] for name in COUNTS}),
                         "rate": [rate(row) for _, row in whole.iterrows()]})


def crossed(table: pd.DataFrame, asked: Asked, what: str) -> pd.DataFrame:
    """Units × the dimension: `what` is received or rate."""
    shown = table.assign(shown=[count(row["received"]) if what == "received" else rate(row) for _, row in table.iterrows()])
    wide = shown.pivot(index="unit_id", columns="value", values="shown")
    used = [value for value in wide.columns if value and table.loc[table["value"] == value, list(COUNTS)].fillna(1).to_numpy().any()]
    order = [one for one in dict.fromkeys(table["unit_id"]) if one] + [0]
    made = wide.loc[order, [*used, 0]]
    made.columns = [literal(asked.values.get(value, value)) if value else t("oversight.total") for value in made.columns]
    made.insert(0, t("oversight.col_unit"), [_unit(one, asked) for one in order])
    return made.reset_index(drop=True)


def _unit(one: int, asked: Asked) -> str:
    return asked.units.get(int(one), str(one)) if one else t("oversight.total")


def headings() -> dict[str, str]:
    return {name: t(f"oversight.col_{name}") for name in ("unit", *COUNTS, "rate")}


def file(table: pd.DataFrame, asked: Asked, zone: ZoneInfo) -> None:
    """The export: the rows of the table as they are shown; an empty cell is one that is not shown."""
    rows = pd.DataFrame({"unit": [_unit(one, asked) for one in table["unit_id"]],
                         "value": [asked.values.get(int(one), "") if one else t("oversight.total") for one in table["value"]],
                         **{name: table[name].astype("Int64") for name in COUNTS}})
    columns = {"unit": exports.Column(t("oversight.col_unit"), "text", 26), "value": exports.Column(t(f"oversight.by_{asked.by}"), "text", 18),
               **{name: exports.Column(t(f"oversight.col_{name}"), "whole", 12) for name in COUNTS}}
    if asked.by == "none":
        rows, columns = rows.drop(columns="value"), {name: one for name, one in columns.items() if name != "value"}
    exports.buttons(rows, columns, title=t("nav.oversight"), about=[(t("export.period"), asked.period), (t("export.basis"), t("oversight.method"))],
                    as_of=data.as_of(), zone=zone, key="oversight")


def released(rows: pd.DataFrame, zone: ZoneInfo, unit: Callable[[int], str], category: Callable[[int], str]) -> None:
    """The list of released complaints: what it is about is the way in, below it what is known of it."""
    for row in rows.itertuples():
        with st.container(gap=None):
            links.link(literal(row.title) or literal(row.complaint_no), "released", {"number": row.complaint_no}, icon=None)
            st.caption("　".join((f"**{state(row)}**", literal(row.complaint_no), t("complaints.card_received", day=words.day(row.received_at.astimezone(zone))),
                                 literal(category(row.category_id)), literal(unit(row.unit_id)))))


def state(row) -> str:
    """The state with its word, and by how much."""
    return words.late_by(complaint.whole(row.days_late)) if row.state == "E" else t(f"state.{row.state}")
