"""What the list behind a figure is called, what its address asks for, and its columns. Pure but for the address.

The address: ``code`` of the catalogue, ``part`` (den, num, rest) of a rate, or ``line`` of the ledger; ``state``, ``ageing``,
``mark``, ``q`` (words to look for), ``sort`` and ``page``. What is not known falls back without a word. Words without a list
are looked for in all complaints of all time.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
import streamlit as st

from dashboard import data, exports, filters, links, review, tables, words
from dashboard.context import Frame
from dashboard.periods import Period
from dashboard.words import literal, t
from queries import complaints, figures
from queries.complaints import AGEING, MARKS, SORTS
from queries.indicators import CATALOGUE, STATES, Indicator
from queries.ledger import LINES

DEFAULT, ALL = "backlog", "found"
KINDS = (ALL, "backlog", "received", "done", "due")  # what the page itself offers to choose from
PARTS = ("den", "num", "rest")
BY = {"charged": "accountable", "about": "complained", "responsible": "responsible", "any": "any"}
TIMELESS = ("open", "all")  # cohorts that no period bounds
COHORT = {"received": "received", "due": "due", "falls_due": "due", "closed": "closed"}


@dataclass(frozen=True)
class Asked:
    """A list of complaints."""

    code: str = DEFAULT
    part: str = "den"
    line: str | None = None
    state: str | None = None
    ageing: int | None = None
    mark: str | None = None
    q: str | None = None
    sort: str | None = None

    @property
    def indicator(self) -> Indicator:
        return CATALOGUE[self.code]

    @property
    def rated(self) -> bool:
        """Whether the list has rows that count and rows that do not."""
        return self.line is None and self.indicator.num is not None

    @property
    def timed(self) -> bool:
        """Whether the period bounds the list."""
        return self.line is not None or self.indicator.cohort not in TIMELESS

    @property
    def order(self) -> str:
        """How it is sorted: as asked, else the most urgent first, and of all complaints the newest."""
        return self.sort or ("newest" if self.code == ALL else "urgent")

    def narrow(self, ids: tuple[int, ...] | None = None) -> dict:
        """What narrows the list beyond the filter bar, for ``complaints.listing``; ids: the complaints of one person."""
        given = {"state": self.state, "ageing": self.ageing, "mark": self.mark, "search": self.q, "ids": ids}
        return {name: value for name, value in given.items() if value is not None}

    def ask(self, ids: tuple[int, ...] | None = None) -> dict:
        """The same with part and order: the whole question but filter bar, place and number of rows."""
        return {"part": self.part, "sort": self.order, **self.narrow(ids)}

    def address(self) -> dict[str, str]:
        """The same as query parameters, for the way back."""
        given = {"line": self.line} if self.line else {
            "code": self.code, "part": self.part, "state": self.state, "ageing": self.ageing, "mark": self.mark, "q": self.q,
            "sort": self.sort}
        return {name: str(value) for name, value in given.items() if value is not None}


def asked(params: Mapping[str, str], default: str | None = None) -> Asked:
    """What an address asks for; unknown values are as if they were not there. default: the list of an address without one."""
    code, part, line = params.get("code"), params.get("part"), params.get("line")
    ageing, q = whole(params.get("ageing")), " ".join(complaints.terms(params.get("q"))) or None
    code = code if code in CATALOGUE else default or (ALL if q else DEFAULT)
    known = {name: params[name] for name, values in (("state", STATES), ("mark", MARKS), ("sort", SORTS)) if params.get(name) in values}
    return Asked(code, part if part in PARTS and CATALOGUE[code].num else "den", line if line in LINES else None,
                 ageing=ageing if ageing is not None and ageing < len(AGEING) else None, q=q, **known)


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
    st.segmented_control(title, options, key=key, format_func=filters.picked(label, chosen), required=True, label_visibility="collapsed",
                         on_change=lambda: use(name, st.session_state[key]))


def first_page() -> None:
    """A new question begins on its first page."""
    if "page" in st.query_params:
        del st.query_params["page"]


def use(name: str, value: str | None) -> None:
    """For on_change: write one thing into the address, or take it out, and begin on the first page."""
    st.query_params.pop(name, None)
    if value is not None:
        st.query_params[name] = value
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
        label, cohort, timed = name(asked.code), asked.indicator.cohort, asked.timed
        by = t(f"basis.{BY[asked.indicator.unit_of]}")
        basis = t("basis.line", cohort=t(f"basis.{COHORT[cohort]}"), by=by) if cohort in COHORT else by
        if asked.state:
            label += t("complaints.joint") + t(f"state.{asked.state}")
        if asked.ageing is not None:
            keys = ("under_one", "d1_3", "d4_5", "d6_10", "d11_30", "over_30")
            label += t("complaints.joint") + t("complaints.late", days=t(f"ageing.{keys[asked.ageing]}"))
        if asked.mark:
            label += t("complaints.joint") + t(f"flag.{asked.mark}")
    heading = t("review.heading", title=label, span=words.span(period.start, period.last)) if timed else label
    return heading, f"{t('app.as_of', moment=moment)}{t('complaints.bar')}{basis}"


def exact() -> dict[str, bool]:
    """For ``complaints.listing``: count to the end where the reader asked for it (``count=all`` in the address)."""
    return {"exact": True} if st.query_params.get("count") == "all" else {}


def sentence(asked: Asked, total: int, more: bool = False) -> str:
    """How many were found; more: others lie behind those that were counted and are listed."""
    found = t("complaints.found_more" if more else "complaints.found", n=total)
    if asked.rated and asked.part != "den":
        return f"{found} :gray[{t(f'complaints.only_{asked.part}')}]"
    return found


def nothing(asked: Asked, person: str | None) -> str:
    """The sentence of an empty list, Markdown."""
    if person:
        return t("complaints.none_person", shown=literal(person))
    return t("complaints.none_search", text=literal(asked.q)) if asked.q else t("complaints.none")


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
    day = _day(f)
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


def _day(f: Frame) -> Callable[[object], str]:
    """3月5日, and of another year 2015-03-05."""
    year = f.as_of.astimezone(f.zone).year

    def day(moment: object) -> str:
        here = None if pd.isna(moment) else moment.astimezone(f.zone).date()
        return "" if here is None else words.day(here) if here.year == year else here.isoformat()
    return day


def cards(rows: pd.DataFrame, f: Frame, around: Mapping[str, str], few: int) -> None:
    """The list on a phone: state and marks, what it is about and who has it, the matter as the way in, the days that count."""
    kept, day = "list.cards", _day(f)
    first = int(rows["complaint_id"].iloc[0])  # another list begins short again
    shown = st.session_state[kept][1] if st.session_state.get(kept, (None,))[0] == first else few
    for row in rows.head(shown).itertuples():
        with st.container(border=True, gap="xsmall"):
            state = t(f"state.{row.state}")
            state = {"E": f":red[**{words.late_by(0 if pd.isna(row.days_late) else int(row.days_late))}**]", "D": f":orange[**{state}**]"}.get(row.state, f"**{state}**")
            badges = " ".join(f":gray-badge[{one}]" for one in tables.flags(row.marks))
            st.markdown(f"{state} {badges}　:gray[{literal(f.unit_name(row.unit_id))}]")
            links.link(literal(row.title or row.complaint_no), "complaint", {**around, "number": row.complaint_no}, icon=None)
            ended = t("complaints.card_done", day=day(row.ended_at)) if pd.isna(row.days_open) else (
                t("complaints.card_limit", day=day(row.due_at)) if not pd.isna(row.due_at) else t("state.N"))
            st.caption(f"{literal(row.complaint_no)}　{t('complaints.card_received', day=day(row.received_at))}　{ended}")
    if len(rows) > shown:
        st.button(t("overdue.more", n=len(rows) - shown), type="tertiary", width="stretch", key="more_rows",
                  on_click=lambda: st.session_state.update({kept: (first, shown + few)}))


# -- the list as a file ---------------------------------------------------------------------------------------------

FILE = {  # column -> (words, kind, width in characters)
    "number": ("overdue.col_number", "text", 18), "counted": ("complaints.col_counted", "text", 6), "marks": ("overdue.col_marks", "text", 14),
    "state": ("complaints.col_state", "text", 12), "late": ("overdue.col_days_late", "whole", 12), "limit": ("overdue.col_limit", "moment", 17),
    "matter": ("overdue.col_matter", "text", 40), "received": ("complaints.col_received", "moment", 17), "done": ("complaints.col_done", "moment", 17),
    "days": ("complaints.col_days", "whole", 12), "category": ("overdue.col_category", "text", 16), "channel": ("overdue.col_channel", "text", 14),
    "about": ("complaints.col_unit", "text", 26), "unit": ("complaints.col_responsible", "text", 26), "charged": ("overdue.col_accountable", "text", 26),
}


def file_columns(asked: Asked) -> dict[str, exports.Column]:
    """The columns of the list as a file: those of the table, whole, and its two units apart."""
    return {name: exports.Column(t(word), kind, width) for name, (word, kind, width) in FILE.items()
            if name != "counted" or asked.rated and asked.part == "den"}


def file_rows(rows: pd.DataFrame, f: Frame) -> pd.DataFrame:
    """Rows of ``complaints.listing`` as a file holds them: nothing cut, moments as moments, numbers as numbers."""
    open_ = rows["days_open"].notna()
    return pd.DataFrame({
        "number": rows["complaint_no"], "counted": ["✓" if one else "" for one in rows["counted"]],
        "marks": [tables.flags(marks) for marks in rows["marks"]],
        "state": [t(f"state.{state}") for state in rows["state"]],
        "late": rows["days_late"].where(rows["state"].isin(["B", "E"])), "limit": rows["due_at"],
        "matter": rows["title"], "received": rows["received_at"], "done": rows["ended_at"].where(~open_),
        "days": [still if pd.isna(used) else used for used, still in zip(rows["days_used"], rows["days_open"])], "category": [f.category(one) for one in rows["category_id"]],
        "channel": [f.channel(one) for one in rows["channel_id"]], "about": whole_name(rows, "about"), "unit": whole_name(rows, "unit"),
        "charged": whole_name(rows, "charged")})


def whole_name(rows: pd.DataFrame, which: str) -> pd.Series:
    """The whole names of a relation's units in the language of the page."""
    return rows[f"{which}_en"].fillna(rows[which]) if words.language() == "en" else rows[which]


def frames(asked: Asked, f: Frame, ids: tuple[int, ...] | None = None, shape: Callable[[pd.DataFrame, Frame], pd.DataFrame] = file_rows) -> exports.Frames:
    """All rows of the list for a file, read when it is asked for."""
    question = {"as_of": f.as_of, **f.where, **asked.ask(ids)}
    return lambda conn: (shape(rows, f) for rows in complaints.stream(conn, asked.code, **question))


OVERDUE_FILE = {  # look.md §3, in its order
    "marks": FILE["marks"], "number": FILE["number"], "late": FILE["late"], "left": ("overdue.col_days_left", "whole", 12), "limit": FILE["limit"],
    "missing": ("overdue.col_missing", "text", 12), "matter": FILE["matter"], "category": FILE["category"], "channel": FILE["channel"],
    "about": FILE["about"], "unit": FILE["unit"], "charged": FILE["charged"], "stage": ("export.col_stage", "text", 12),
    "stage_days": ("export.col_stage_days", "whole", 12), "arrival": ("export.col_left_on_arrival", "whole", 12),
    "contact": ("export.col_contact", "text", 12), "phone": ("export.col_phone", "text", 16), "urges": ("export.col_urges", "whole", 10),
    "urged": ("export.col_urged_at", "moment", 17), "signed": ("export.col_signed", "text", 10), "promise": ("export.col_promise", "day", 12),
    "delay": ("overdue.col_delay", "text", 40),
}


def overdue_rows(rows: pd.DataFrame, f: Frame) -> pd.DataFrame:
    """Rows of a list of the overdue page as a file holds them: the columns of ``OVERDUE_FILE``, nothing cut."""
    return file_rows(rows, f).assign(
        left=rows["days_left"].clip(lower=0), missing=[tables.missing(*one) for one in zip(rows["lacks_customer"], rows["lacks_office"])],
        stage=[t(tables.STAGES[code]) for code in rows["stage"]], stage_days=rows["stage_days"], arrival=rows["days_left_on_arrival"],
        contact=rows["contact"], phone=rows["contact_phone"], urges=rows["urges"], urged=rows["urged_at"],
        signed=[t("urge.signed" if signed is True else "urge.unsigned") if n else "" for n, signed in zip(rows["urges"], rows["urge_signed"])],
        promise=rows["promised_on"], delay=rows["delay_reason"])[list(OVERDUE_FILE)]


def late(f: Frame, codes: tuple[str, ...], code: str) -> tuple[dict[str, int], pd.Series, pd.Series]:
    """How many are in each list of the overdue page, of the chosen one how many by unit below, and of all overdue how late."""
    return (data.read(figures.counts, (*codes, "overdue_list_5", "urge_unsigned"), **f.where).loc["all"].to_dict(),
            f.below(figures.counts, (code,), **f.where)[f"{code}_den"],
            data.read(figures.counts, ("overdue_list",), by="ageing", **f.where)["overdue_list_den"])


def overdue_file(asked: Asked, f: Frame, total: int) -> None:
    """The export buttons of the overdue page."""
    columns = {name: exports.Column(t(word), kind, width) for name, (word, kind, width) in OVERDUE_FILE.items()}
    exports.buttons(frames(asked, f, shape=overdue_rows), columns, title=title(asked, f.period, "")[0], about=about(asked, f), as_of=f.as_of,
                    zone=f.zone, total=total, key="overdue")


def frames_of(ids: list[int], f: Frame) -> exports.Frames:
    """The same for complaints by their ids: a line of the ledger."""
    return lambda conn: (file_rows(complaints.by_id(conn, ids[first:first + complaints.LIMIT], as_of=f.as_of), f)
                         for first in range(0, len(ids), complaints.LIMIT))


def about(asked: Asked, f: Frame, person: bool = False) -> list[tuple[str, str]]:
    """What the list is, for the file's second sheet: formula, basis, filters in words."""
    chosen = [f.unit_name(f.filters.unit_id, whole=True) if f.filters.unit_id else t("filter.everything")]
    chosen += [t("filter.category_is", name=f.category(f.filters.category_id))] if f.filters.category_id else []
    chosen += [t("filter.channel_is", name=f.channel(f.filters.channel_id))] if f.filters.channel_id else []
    chosen += [t(f"complaints.part_{asked.part}")] if asked.rated else []
    chosen += [t("complaints.searched", text=asked.q)] if asked.q else []
    chosen += [t("complaints.by_person")] if person else []
    basis = title(asked, f.period, "")[1].split(t("complaints.bar"))[-1]
    return [(t("export.formula"), formula(asked)), (t("export.basis"), basis),
            (t("export.period"), words.span(f.period.start, f.period.last) if asked.timed else t("export.any_time")),
            (t("export.filters"), t("unit.comma").join(chosen)), (t("export.order"), t(f"complaints.sort_{asked.order}"))]
