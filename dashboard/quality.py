"""What the page 「数据」 says: is it fresh, complete, plausible, counted right; and whose records lack what.

A defect is a share of the catalogue (``DEFECTS``): of what a unit received or has done in the period, how many lack
something. What is of any time (implausible rows, unmapped units and categories, conflicts) is counted whole.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import pandas as pd
import streamlit as st

from dashboard import data, exports, links, listing, periods, signals, tables, words
from dashboard.context import Frame
from dashboard.periods import Period
from dashboard.tables import Column
from dashboard.words import literal, t
from queries import figures, ledger, quality
from queries.indicators import DEFECTS

LIST, HERE = "complaints", "data"
STALE = timedelta(hours=24)
LEDGER_WEEKS = 8
MOST_ROWS = 14  # of the table of defects; more of them scroll inside it
COUNTS = ("rows", "added", "changed", "unchanged", "quarantined", "marked", "conflicts")
UNMAPPED = ("unmapped_unit", "unmapped_category")
IMPORTS = {"finished_at": "col_finished", "source": "col_source", "file": "col_file", "rows": "col_read",
           "added": "col_added", "changed": "col_corrected", "unchanged": "col_unchanged",
           "quarantined": "col_held", "marked": "col_marked", "conflicts": "col_conflicts"}
IMPORTS_PHONE = ("finished_at", "source", "added", "quarantined")


@dataclass(frozen=True)
class Known:
    """What the page says beside its table of defects, read at one moment."""

    sources: pd.DataFrame
    calendars: pd.DataFrame
    weeks: list[tuple[Period, int]]  # the last weeks, and by how many complaints the ledger of each does not balance
    marked: int
    marks: pd.DataFrame
    unmapped: dict[str, int]  # complaints, by the list that has them
    conflicts: int
    imports: pd.DataFrame
    quarantine: pd.DataFrame


def read(f: Frame) -> Known:
    """All of it, in one transaction where it is derived (``data.derived``)."""
    def counted(code: str) -> int:
        return int(data.read(figures.counts, (code,), **f.where).iloc[0, 0])

    weeks = [periods.parse("custom", day, day + timedelta(days=6), day) for day in signals.weeks(f.as_of.astimezone(f.zone).date(), LEDGER_WEEKS)]
    return Known(data.read(quality.sources, zone=f.zone.key), data.read(quality.calendars),
                 [(week, data.read(ledger.check, **f.window(week), **f.place)[1]) for week in weeks],
                 *data.read(quality.marks, unit=f.filters.unit_id), {code: counted(code) for code in UNMAPPED}, counted("unit_conflict"),
                 data.read(quality.imports), data.read(quality.quarantine))


def when(f: Frame) -> Callable[[object], str]:
    """Writes a moment, or a dash."""
    return lambda moment: t("unit.none") if pd.isna(moment) else words.moment(moment, f.zone)


# -- fresh, final, counted right ------------------------------------------------------------------------------------

def stale(sources: pd.DataFrame, as_of: datetime) -> pd.DataFrame:
    """Sources that have brought nothing for longer than ``STALE``, or never."""
    return sources[~((as_of - sources["seen_at"]) <= STALE)] if len(sources) else sources


def finding(sources: pd.DataFrame, calendars: pd.DataFrame, as_of: datetime,
            when: Callable[[object], str]) -> list[str]:
    """Whether the data are fresh and the limits final. Markdown, a line each."""
    late = stale(sources, as_of)
    lines = [t("data.never", source=literal(one.name)) if pd.isna(one.seen_at) else
             t("data.stale", source=literal(one.name), moment=when(one.seen_at),
               n=int((as_of - one.seen_at).total_seconds() // 3600)) for one in late.itertuples()]
    if not lines:
        lines = [t("data.fresh", moment=when(sources["seen_at"].max())) if len(sources) else t("data.imports_none")]
    return lines + [f":orange[**{t('data.calendar_unpublished', year=str(one.year), n=int(one.provisional))}**]"
                    for one in calendars[calendars["status"] != "published"].itertuples() if one.provisional]


def freshness(f: Frame, sources: pd.DataFrame, phone: bool) -> None:
    """Every source: when it was last seen, its newest complaint, how many it has."""
    late = set(stale(sources, f.as_of).source_id) if len(sources) else set()
    states = [t("data.state_stale" if one in late else "data.state_fresh") for one in sources.source_id]
    shown = sources.assign(state=states)
    columns = ["name", "seen_at", *(() if phone else ("newest",)), "complaints", "state"]
    links.ranked_table(shown[columns], {"seen_at": when(f), "newest": when(f), "complaints": words.number},
                       names={"name": t("data.col_source"), "seen_at": t("data.col_last"),
                              "newest": t("data.col_newest"), "complaints": t("data.col_rows"),
                              "state": t("data.col_state")})


def balanced(f: Frame, weeks: list[tuple[Period, int]]) -> None:
    """The ledger of the last weeks, each with the way to its review."""
    checked, wrong = [], sum(gap > 0 for _, gap in weeks)
    for week, gap in weeks:
        label = words.span_short(week.start, week.last) + "\u2002"
        label += f":red[**{t('review.unbalanced', n=gap)}**]" if gap else f":gray[{t('review.balanced')}]"
        checked.append((label, f.link(at=None, period="custom", **{"from": week.start, "to": week.last})))
    st.markdown(t("data.ledger_weeks_bad" if wrong else "data.ledger_weeks_ok", n=wrong, weeks=LEDGER_WEEKS))
    links.row(checked, "review")


def calendar_line(calendars: pd.DataFrame) -> str:
    """CN 2025年 已发布　… Markdown."""
    said = {"published": t("data.calendar_published")}
    open_ = f":orange[**{t('data.calendar_estimated')}**]"
    return "　".join(f"{literal(one.code)} {t('data.calendar_year', year=str(one.year))} {said.get(one.status, open_)}"
                    for one in calendars.itertuples()) or t("data.calendar_absent")


# -- whose records lack what ----------------------------------------------------------------------------------------

def defects(f: Frame) -> pd.DataFrame:
    """Defects by unit: the units below the stated one, itself, and what lies beside the tree; index = unit id, columns
    ``<code>_num`` of ``<code>_den``, most defects first. Units without complaints are left out."""
    table = f.below(figures.counts, DEFECTS, **f.where)
    table.index = table.index.astype("int64")
    order = table[[f"{code}_num" for code in DEFECTS]].sum(axis=1).sort_values(ascending=False, kind="stable")
    return table.loc[order.index]


def complete(table: pd.DataFrame) -> list[str]:
    """Defects that no unit has: they have no column, only a word."""
    return [code for code in DEFECTS if not table[f"{code}_num"].any()]


def defects_sentence(table: pd.DataFrame, name: Callable[[int], str]) -> str:
    """缺项最多的是答复要素不齐，354件，占7.6%；其中宁波最多，21件。没有一件属于：无经办人。"""
    totals = {code: int(table[f"{code}_num"].sum()) for code in DEFECTS}
    most = max(totals, key=totals.get)
    if not totals[most]:
        return t("data.defects_none")
    of = int(table[f"{most}_den"].sum())
    top = table[f"{most}_num"].idxmax()
    none = complete(table)
    line = t("data.defects_line", defect=listing.name(most), n=totals[most], share=words.percent(totals[most], of),
             unit=literal(name(top)), k=int(table.at[top, f"{most}_num"]))
    return line + (t("data.defects_complete", defects=t("unit.comma").join(map(listing.name, none))) if none else "")


def defects_table(f: Frame, table: pd.DataFrame, name: Callable[[int], str],
                  phone: bool) -> tuple[pd.DataFrame, dict[str, Column]]:
    """The table of defects for ``tables.doors``: every figure opens its list, a unit its own page of data."""
    ids = table.index.tolist()

    def to(code: str) -> Callable[[int], dict[str, str] | None]:
        def address(row: int) -> dict[str, str] | None:
            there = ids[row] != f.parent and table.at[ids[row], f"{code}_num"]
            return f.link(unit=ids[row], code=code, part="num") if there else None
        return address

    def share(n: int, of: int) -> str:
        if not of:
            return t("unit.none")
        return t("data.share", n=int(n), share=words.percent(int(n), int(of))) if n else "·"

    kept = [code for code in DEFECTS if code not in complete(table)]
    kept = sorted(kept, key=lambda code: -int(table[f"{code}_num"].sum()))[:2] if phone else kept
    shown = {"unit": [tables.cut(name(unit), 8) for unit in ids]}
    shown |= {code: tables.sortable([share(*one) for one in zip(table[f"{code}_num"], table[f"{code}_den"])])
              for code in kept}
    columns = {"unit": Column(t("review.col_unit"), "door", 130, HERE,
                              lambda row: f.link(at=None, unit=ids[row]) if ids[row] != f.parent else None)}
    columns |= {code: Column(listing.name(code), "door", 112 if phone else 190, address=to(code),
                             help=listing.formula(listing.Asked(code))) for code in kept}
    return pd.DataFrame(shown), columns


# -- imports, quarantine, marks, unmapped ---------------------------------------------------------------------------

def imports(f: Frame, rows: pd.DataFrame, conflicts: int, phone: bool) -> None:
    """The latest imports, and how many complaints a source has moved against a reassignment."""
    if rows.empty:
        st.markdown(t("data.imports_none"))
    else:
        last = rows.iloc[0]
        st.markdown(t("data.imports_line", moment=when(f)(last.finished_at), source=literal(last.source),
                      added=int(last.added), corrected=int(last.changed), held=int(last.quarantined)))
        keys = IMPORTS_PHONE if phone else tuple(IMPORTS)
        links.ranked_table(rows[list(keys)], {"finished_at": when(f), **dict.fromkeys(COUNTS, words.number)},
                           names={column: t(f"data.{IMPORTS[column]}") for column in keys})
    links.row([(words.cases(conflicts), f.link(code="unit_conflict"))] if conflicts else [], LIST,
              t("data.conflicts_line", n=conflicts) if conflicts else t("data.conflicts_none"))


def quarantined(f: Frame, held: pd.DataFrame) -> None:
    """Rows that did not land, by reason; to read and to download."""
    if held.empty:
        st.markdown(t("data.quarantine_none"))
        return
    held = held.assign(reason=[words.name("quarantine", code) for code in held["reason"]],
                       complaint_no=held["complaint_no"].fillna(""))
    reasons = held["reason"].value_counts()
    st.markdown(t("data.quarantine_line", n=len(held), reason=literal(reasons.index[0]), count=int(reasons.iloc[0])))
    st.markdown("　".join(f"{literal(reason)} **{n:,}**" for reason, n in reasons.items()))
    labels = {"source": t("data.col_source"), "file": t("data.col_file"), "line": t("data.col_line"),
              "complaint_no": t("overdue.col_number"), "field": t("data.col_column"),
              "value": t("data.col_value"), "reason": t("data.col_reason")}
    st.dataframe(tables.plain(held[list(labels)]), hide_index=True, height="content" if len(held) < 10 else 340,
                 alt=t("data.quarantine"), key="held", column_config=labels)
    columns = {name: exports.Column(label, "whole" if name == "line" else "text", 20) for name, label in labels.items()}
    exports.buttons(held, columns, title=t("data.quarantine"), about=[], as_of=f.as_of, zone=f.zone, key="held")


def marks(f: Frame, n: int, by_mark: pd.DataFrame) -> None:
    """Implausible but real rows by mark, each with its list."""
    if not n:
        st.markdown(t("data.marks_none"))
        return
    links.row([(words.cases(n), f.link(code="marked"))], LIST, t("data.marks_line", n=n))
    rows = [[(literal(words.name("mark", one.mark)), None),
             (words.cases(int(one.complaints)), f.link(code=f"mark_{one.mark}"))]
            for one in by_mark.itertuples()]
    links.linked_table([(t("data.col_mark"), None, "left"), (t("data.col_count"), 90, "right")], rows, LIST)


def unmapped(f: Frame, sources: pd.DataFrame, complaints: dict[str, int]) -> None:
    """What imports brought and nobody has placed, and its complaints."""
    counts = {name: int(sources[f"unmapped_{name}"].sum()) for name in ("units", "categories")}
    st.markdown(t("data.unmapped_line", **counts) if any(counts.values()) else t("data.unmapped_none"))
    links.row([(f"{listing.name(code)} {words.cases(n)}", f.link(code=code))
               for code, n in complaints.items() if n], LIST)
