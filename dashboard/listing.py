"""What the list behind a figure is called, what its address asks for, and its columns. Pure but for the address.

The address: ``code`` of the catalogue, ``part`` (den, num, rest) of a rate, or ``line`` of the ledger; ``state``, ``ageing``,
``q`` and ``page``. What is not known falls back without a word.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
import streamlit as st

from dashboard import review, tables, words
from dashboard.context import Frame
from dashboard.periods import Period
from dashboard.words import t
from queries.complaints import AGEING
from queries.indicators import CATALOGUE, STATES, Indicator
from queries.ledger import LINES

DEFAULT = "backlog"
KINDS = ("backlog", "received", "done", "due")  # what the page itself offers to choose from
PARTS = ("den", "num", "rest")
BY = {"charged": "accountable", "about": "complained", "responsible": "responsible"}
COHORT = {"received": "received", "due": "due", "falls_due": "due", "closed": "closed"}


@dataclass(frozen=True)
class Asked:
    """A list of complaints."""

    code: str = DEFAULT
    part: str = "den"
    line: str | None = None
    state: str | None = None
    ageing: int | None = None

    @property
    def indicator(self) -> Indicator:
        return CATALOGUE[self.code]

    @property
    def rated(self) -> bool:
        """Whether the list has rows that count and rows that do not."""
        return self.line is None and self.indicator.num is not None

    def address(self) -> dict[str, str]:
        """The same as query parameters, for the way back."""
        given = {"line": self.line} if self.line else {"code": self.code, "part": self.part, "state": self.state, "ageing": self.ageing}
        return {name: str(value) for name, value in given.items() if value is not None}


def asked(params: Mapping[str, str]) -> Asked:
    """What an address asks for; unknown values are as if they were not there."""
    code, part, line = params.get("code"), params.get("part"), params.get("line")
    state, ageing = params.get("state"), whole(params.get("ageing"))
    code = code if code in CATALOGUE else DEFAULT
    return Asked(code, part if part in PARTS and CATALOGUE[code].num else "den", line if line in LINES else None,
                 state if state in STATES else None, ageing if ageing is not None and ageing < len(AGEING) else None)


def whole(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 7 else None


def place(page: str | None, total: int, rows: int) -> tuple[int, int]:
    """How many rows in all, and the page shown: the first if the one asked for does not exist."""
    wanted = whole(page) or 1
    return total, wanted if (wanted - 1) * rows < total else 1


def choice(name: str, options: Sequence[str], chosen: str, label: Callable[[str], str], title: str) -> None:
    """One of a few, kept in the address by its code (``bind`` would write the words of the language there)."""
    key = f"list_{name}"
    st.session_state[key] = chosen
    st.segmented_control(title, options, key=key, format_func=label, required=True, label_visibility="collapsed",
                         on_change=_use, args=(name, key))


def first_page() -> None:
    """A new question begins on its first page."""
    if "page" in st.query_params:
        del st.query_params["page"]


def _use(name: str, key: str) -> None:
    st.query_params[name] = st.session_state[key]
    first_page()


# -- words ----------------------------------------------------------------------------------------------------------

def name(code: str) -> str:
    indicator = CATALOGUE[code]
    return indicator.zh if words.language() == "zh" else indicator.en


def title(asked: Asked, period: Period, moment: str) -> tuple[str, str]:
    """The page's title and its small print: which list, of what time, on what basis."""
    if asked.line:
        label, basis, timed = t(f"review.{review.LINES[asked.line]}").strip("＋－＝+−= "), t("basis.responsible"), True
        label = f"{t('review.ledger')}{t('complaints.joint')}{label}"
    else:
        label, cohort = name(asked.code), asked.indicator.cohort
        timed = cohort != "open"
        by = t(f"basis.{BY[asked.indicator.unit_of]}")
        basis = t("basis.line", cohort=t(f"basis.{COHORT[cohort]}"), by=by) if cohort in COHORT else by
        if asked.state:
            label += t("complaints.joint") + t(f"state.{asked.state}")
        if asked.ageing is not None:
            keys = ("under_one", "d1_3", "d4_5", "d6_10", "d11_30", "over_30")
            label += t("complaints.joint") + t("complaints.late", days=t(f"ageing.{keys[asked.ageing]}"))
    heading = t("review.heading", title=label, span=words.span(period.start, period.last)) if timed else label
    return heading, f"{t('app.as_of', moment=moment)}{t('complaints.bar')}{basis}"


def sentence(asked: Asked, total: int) -> str:
    found = t("complaints.found", n=total)
    if asked.rated and asked.part != "den":
        return f"{found} :gray[{t(f'complaints.only_{asked.part}')}]"
    return found


def formula(asked: Asked) -> str:
    if asked.line:
        return t("complaints.ledger_formula")
    indicator = asked.indicator
    return indicator.formula_zh if words.language() == "zh" else indicator.formula_en


# -- the table ------------------------------------------------------------------------------------------------------

COLUMNS = {  # column -> (words, px); phones get the first of them
    "number": ("overdue.col_number", 112), "counted": ("complaints.col_counted", 48), "marks": ("overdue.col_marks", 90),
    "state": ("complaints.col_state", 88), "late": ("overdue.col_days_late", 90), "limit": ("overdue.col_limit", 64),
    "matter": ("overdue.col_matter", 196), "received": ("complaints.col_received", 64), "done": ("complaints.col_done", 64),
    "days": ("complaints.col_days", 90), "category": ("overdue.col_category", 76), "channel": ("overdue.col_channel", 76),
    "units": ("overdue.col_units", 130), "charged": ("overdue.col_accountable", 88),
}
PHONE = ("number", "counted", "state", "matter", "limit")


def table(rows: pd.DataFrame, asked: Asked, f: Frame, phone: bool = False) -> pd.DataFrame:
    """The rows as they are shown."""
    english = words.language() == "en"
    year = f.as_of.astimezone(f.zone).year

    def day(moment):
        """3月5日, and of another year 2015-03-05."""
        here = None if pd.isna(moment) else moment.astimezone(f.zone).date()
        return "" if here is None else words.day(here) if here.year == year else here.isoformat()

    about = rows["about_en"].fillna(rows["about"]) if english else rows["about_short"]
    unit = rows["unit_en"].fillna(rows["unit"]) if english else rows["unit_short"]
    shown = pd.DataFrame({
        "number": rows["complaint_no"],
        "counted": ["✓" if counted else "" for counted in rows["counted"]],
        "marks": [[t(f"flag.{mark}") for mark in marks if words.has(f"flag.{mark}")] for marks in rows["marks"]],
        "state": [t(f"state.{state}") for state in rows["state"]],
        "late": [int(n) if state in ("B", "E") and n == n else None for n, state in zip(rows["days_late"], rows["state"])],
        "limit": [day(moment) for moment in rows["due_at"]],
        "matter": [tables.cut(text, 15) for text in rows["title"]],
        "received": [day(moment) for moment in rows["received_at"]],
        "done": [day(moment) if pd.isna(left) else "" for moment, left in zip(rows["ended_at"], rows["days_open"])],
        "days": [still if pd.isna(used) else used for used, still in zip(rows["days_used"], rows["days_open"])],
        "category": [tables.cut(f.category(one), 5) for one in rows["category_id"]],
        "channel": [tables.cut(f.channel(one), 5) for one in rows["channel_id"]],
        "units": [tables.cut(a if a == u else f"{a}→{u}", 9) for a, u in zip(about, unit)],
        "charged": [tables.cut(f.unit_name(one), 6) for one in rows["charged_unit_id"]],
    }).astype({"late": "Int64", "days": "Int64"})
    left_out = [] if asked.rated and asked.part == "den" else ["counted"]
    left_out += [] if shown["late"].notna().any() else ["late"]
    left_out += [column for column in ("marks", "done") if not shown[column].map(len).any()]
    return shown[[c for c in (PHONE if phone else COLUMNS) if c not in left_out]]


def columns(shown: pd.DataFrame, key: str) -> dict:
    """column_config; the number is a button whose click is ``st.session_state[key]``."""
    config = st.column_config
    made = {name: config.TextColumn(t(word), width=px) for name, (word, px) in COLUMNS.items() if name in shown}
    flags = ("major", "media", "regulator", "directive", "repeat", "anonymous")
    special = {
        "number": lambda label, px: config.ButtonColumn(label, width=px, type="tertiary", key=key, alignment="left"),
        "marks": lambda label, px: config.MultiselectColumn(label, width=px, options=[t(f"flag.{one}") for one in flags]),
        "late": lambda label, px: config.ProgressColumn(label, width=px, format="%d", min_value=0, color="red",
                                                        max_value=max(1, int(shown["late"].max()))),
        "days": lambda label, px: config.NumberColumn(label, width=px, format="%d"),
        "counted": lambda label, px: config.TextColumn(label, width=px, alignment="center"),
    }
    for name, make in special.items():
        if name in made:
            word, px = COLUMNS[name]
            made[name] = make(t(word), px)
    for name in ("limit", "received", "done"):
        if name in made:
            wide = shown[name].str.contains("-", regex=False).any()
            made[name] = config.TextColumn(t(COLUMNS[name][0]), width=86 if wide else COLUMNS[name][1], alignment="right")
    return made
