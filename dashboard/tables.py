"""Columns of the tables: widths, cuts, badges. Nothing here reads data."""

import unicodedata
from collections.abc import Sequence
from urllib.parse import quote

import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from dashboard.words import literal, t

ROW_HEIGHT = 34
MOST_ROWS = 50  # more rows than this scroll inside the table

OVERDUE = {  # column of the data -> (words, width in px); 1,256 px and the check box fill 1,302
    "marks": ("overdue.col_marks", 90),
    "number": ("overdue.col_number", 104),
    "days_late": ("overdue.col_days_late", 92),
    "limit": ("overdue.col_limit", 62),
    "missing": ("overdue.col_missing", 76),
    "matter": ("overdue.col_matter", 200),
    "units": ("overdue.col_units", 134),
    "stage": ("overdue.col_stage", 76),
    "contact": ("overdue.col_contact", 134),
    "urges": ("overdue.col_urges", 122),
    "promise": ("overdue.col_promise", 60),
    "delay": ("overdue.col_delay", 106),
}


def width(text: str) -> int:
    """How many half-width places a text takes: a Chinese character takes two."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def cut(text: str | None, n: int) -> str:
    """The text in at most ``n`` full-width places (2n half-width), with … if it was longer. Cells clip without one."""
    text = " ".join((text or "").split())
    if width(text) <= 2 * n:
        return text
    room, kept = 2 * n - 2, ""
    for c in text:
        room -= width(c)
        if room < 0:
            break
        kept += c
    return kept + "…"


def overdue_columns(longest: int, *, soon: bool = False, marks: Sequence[str] = (),
                    key: str | None = None) -> dict[str, ColumnConfig]:
    """column_config of the overdue table (its data has the columns of ``OVERDUE``; ``marks`` is a list, the others text
    but ``days_late``, whole). ``longest`` is the most days late of all rows, which fills the bar; ``soon`` is the same
    table of what is due soon: days left, amber. ``key`` names the number's buttons: ``st.session_state[key]``."""
    config = st.column_config
    special = {
        "marks": lambda label, px: config.MultiselectColumn(label, width=px, options=list(marks)),
        "number": lambda label, px: config.ButtonColumn(label, width=px, type="tertiary", key=key),
        "days_late": lambda label, px: config.ProgressColumn(
            t("overdue.col_days_left") if soon else label, width=px, format="%d", min_value=0,
            max_value=max(longest, 1), color="orange" if soon else "red"),
    }
    columns = {}
    for name, (word, px) in OVERDUE.items():
        align = "right" if name in ("limit", "promise") else None
        make = special.get(name)
        columns[name] = make(t(word), px) if make else config.TextColumn(t(word), width=px, alignment=align)
    return columns


def height(rows: int) -> int | str:
    """Height for st.dataframe: all rows up to MOST_ROWS, then a scroller of that size."""
    return "content" if rows <= MOST_ROWS else ROW_HEIGHT * (MOST_ROWS + 1)


def is_phone() -> bool:
    """Whether the browser says it is on a phone. It only leaves things out; a narrow window keeps the table."""
    return "Mobi" in (st.context.headers.get("User-Agent") or "")


def telephone(number: str) -> str:
    """A ``tel:`` link as Markdown; anything but a plain telephone number stays text."""
    plain = "".join(c for c in number if c in "0123456789+-*# ")
    if not number or plain != number:
        return literal(number)
    return f"[{literal(number)}](tel:{quote(plain.replace(' ', ''), safe='+*')})"
