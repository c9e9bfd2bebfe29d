"""Columns of the tables: widths, cuts, badges. Nothing here reads data."""

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from typing import NamedTuple
from urllib.parse import quote
from zoneinfo import ZoneInfo

import pandas as pd
import pyarrow as pa
import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from dashboard import links, navigation, words
from dashboard.words import literal, t

ROW_HEIGHT = 34
MOST_ROWS = 50  # more rows than this scroll inside the table

OVERDUE = {  # column of the data -> (words, width in px); 1,256 px and the check box fill 1,302
    "marks": ("overdue.col_marks", 90),
    "number": ("overdue.col_number", 104),
    "days_late": ("overdue.col_days_late", 84),
    "limit": ("overdue.col_limit", 70),
    "missing": ("overdue.col_missing", 76),
    "matter": ("overdue.col_matter", 190),
    "units": ("overdue.col_units", 132),
    "stage": ("overdue.col_stage", 76),
    "contact": ("overdue.col_contact", 136),
    "urges": ("overdue.col_urges", 134),
    "promise": ("overdue.col_promise", 70),
    "delay": ("overdue.col_delay", 94),
}
FLAGS = ("major", "media", "regulator", "directive", "repeat", "anonymous")
STAGES = {"at_unit": "overdue.stage_at_unit", "to_sign": "overdue.stage_unsigned",
          "investigating": "overdue.stage_handling",
          "drafting": "overdue.stage_replying"}


def width(text: str) -> int:
    """How many half-width places a text takes: a Chinese character takes two."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def cut(text: str | None, n: float) -> str:
    """The text in at most ``n`` full-width places (2n half-width), with … if it was longer. Cells clip without one."""
    text = " ".join(words.visible(text or "").split())
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


def overdue_rows(rows: pd.DataFrame, unit_name: Callable[[object], str], zone: ZoneInfo,
                 soon: bool = False) -> pd.DataFrame:
    """The rows of ``complaints.listing`` as the overdue table writes them: the columns of ``OVERDUE``."""
    return pd.DataFrame({
        "marks": [flags(marks) for marks in rows["marks"]],
        "number": rows["complaint_no"],
        "days_late": [0 if pd.isna(n) else int(n) for n in rows["days_left" if soon else "days_late"]],
        "limit": [day(moment, zone) for moment in rows["due_at"]],
        "missing": [missing(*pair) for pair in zip(rows["lacks_customer"], rows["lacks_office"])],
        "matter": [cut(text, 13) for text in rows["title"]],
        "units": [from_to(unit_name(a), unit_name(u), 8.5) for a, u in zip(rows["about_unit_id"], rows["unit_id"])],
        "stage": [stage(code, n) for code, n in zip(rows["stage"], rows["stage_days"])],
        "contact": [" ".join(filter(None, (_text(name), _text(phone)))) or t("overdue.no_contact")
                    for name, phone in zip(rows["contact"], rows["contact_phone"])],
        "urges": [urged(*one, zone) for one in zip(rows["urges"], rows["urged_at"], rows["urge_signed"])],
        "promise": ["" if pd.isna(one) else words.day(one) for one in rows["promised_on"]],
        "delay": [cut(_text(reason), 6) for reason in rows["delay_reason"]],
    }, columns=list(OVERDUE))


def arrow(frame: pd.DataFrame) -> pa.Table:
    """The frame as it is sent: a table that is kept as such is not translated again at every rerun."""
    return pa.Table.from_pandas(frame, preserve_index=False)


def flags(marks: Sequence[str]) -> list[str]:
    """Codes of marks as words, in the order of urgency."""
    return [t(f"flag.{mark}") for mark in FLAGS if mark in marks]


def missing(customer: bool, office: bool) -> str:
    """Whose reply is missing."""
    return t({(True, True): "overdue.missing_both", (True, False): "overdue.missing_customer",
              (False, True): "overdue.missing_source"}.get((bool(customer), bool(office)), "overdue.missing_none"))


def stage(code: str, days: object) -> str:
    return t("overdue.stage", stage=t(STAGES[code]), n=0 if pd.isna(days) else int(days))


def urged(times: int, last: object, signed: object, zone: ZoneInfo) -> str:
    """3次 3月6日 已签收."""
    if not times:
        return t("urge.none")
    return t("urge.line", n=int(times), day=day(last, zone), sign=t("urge.signed" if signed is True
                                                                    else "urge.unsigned"))


def from_to(about: str, unit: str, places: float) -> str:
    """被投诉→承办 in so many full-width places, both of them shortened alike; one name where they are the same."""
    if about == unit:
        return cut(unit, places)
    room = int(2 * places) - 2
    if width(about) + width(unit) > room:
        half = room // 2
        about = cut(about, (room - min(width(unit), half)) / 2)
        unit = cut(unit, (room - width(about)) / 2)
    return f"{about}→{unit}"


def day(moment: object, zone: ZoneInfo) -> str:
    return "" if pd.isna(moment) else words.day(moment.astimezone(zone).date())


def pick_table(shown: pa.Table, ids: Sequence[int], config: dict[str, ColumnConfig], name: str,
               alt: str) -> list[int]:
    """The table with a check box a row: which complaints are ticked. Ticks belong to complaints, not to places: they
    stay where they are when the list changes under them, and survive a change of filter and back."""
    kept = f"{name}.picked"
    picked, turn = st.session_state.setdefault(kept, []), st.session_state.get(f"{name}.turn", 0)
    key = f"{name}_{blake2b(repr([ids, turn, words.language()]).encode(), digest_size=6).hexdigest()}"

    def pick() -> None:
        rows = st.session_state[key]["selection"]["rows"]
        here = set(ids)
        st.session_state[kept] = [one for one in st.session_state[kept] if one not in here] + [ids[row] for row in rows
                                                                                               if row < len(ids)]

    place = {one: row for row, one in enumerate(ids)}
    st.dataframe(shown, hide_index=True, row_height=ROW_HEIGHT, height=height(len(shown)), column_config=config,
                 key=key, on_select=pick,
                 selection_mode="multi-row", alt=alt,
                 selection_default={"selection": {"rows": [place[one] for one in picked if one in place], "columns": [],
                                                  "cells": []}})
    return [one for one in ids if one in set(st.session_state[kept])]


class Column(NamedTuple):
    """A column of a ``doors`` table. kind: "door" (a click opens ``to`` with ``address(row)``), "rate" (a number in %, with
    a bar), "number" or "text"; tone of a rate's bar: a colour name of the theme."""

    label: str
    kind: str = "text"
    px: int | None = None
    to: str = "complaints"
    address: Callable[[int], Mapping[str, str] | None] | None = None
    help: str | None = None
    tone: str = "blue"


def doors(frame: pd.DataFrame | pa.Table, columns: Mapping[str, Column], key: str, alt: str, most: int = MOST_ROWS) -> None:
    """A table whose figures are doors: a click (or Enter on a cell) in a "door" column opens the rows behind it. The frame
    has one column for each of ``columns``, in order; doors hold text as it is shown, "rate" and "number" hold numbers.
    Doors to a page that the viewer may not open are text."""
    config = {}
    for name, one in columns.items():
        common = {"label": one.label, "width": one.px, "help": one.help}
        side = "left" if name == next(iter(columns)) else "right"
        config[name] = {
            "door": lambda: (st.column_config.ButtonColumn(**common, type="tertiary", key=f"{key}.{name}", alignment=side)
                             if navigation.target(one.to) else st.column_config.TextColumn(**common, alignment=side)),
            "rate": lambda: st.column_config.ProgressColumn(**common, format="%.1f%%", min_value=0, max_value=100, color=one.tone),
            "number": lambda: st.column_config.NumberColumn(**common),
            "text": lambda: st.column_config.TextColumn(**common),
        }[one.kind]()
    st.dataframe(frame, hide_index=True, row_height=ROW_HEIGHT, height=height(len(frame), most), column_order=list(columns),
                 column_config=config, key=key, alt=alt, placeholder=t("unit.none"))
    for name, one in columns.items():
        click = st.session_state.get(f"{key}.{name}") if one.kind == "door" else None
        address = one.address(click.row) if click and one.address else None
        if address is not None:
            links.go(one.to, address)


def sortable(texts: Sequence[str]) -> list[str]:
    """Texts that begin with a number, such that a click on the column's head sorts them by it: buttons are sorted as text,
    so the numbers are filled up with figure spaces to the left; on the right of the cell nobody sees them."""
    heads = [_NUMBER.match(text) for text in texts]
    room = max((len(head[1]) for head in heads if head), default=0)
    return ["\u2060" + "\u2007" * (room - len(head[1])) + text if head else text for text, head in zip(texts, heads)]


_NUMBER = re.compile(r"(\d[\d,]*)")


def plain(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with its texts as they may be shown: without what is not seen and turns what is (words.visible)."""
    return frame.map(lambda one: words.visible(one) if isinstance(one, str) else one)


def unpick(name: str, done: frozenset[int] | None = None) -> None:
    """Take the ticks off some complaints, or off all."""
    kept = f"{name}.picked"
    left = [one for one in st.session_state.get(kept, []) if done is not None and one not in done]
    if left != st.session_state.get(kept, []):
        st.session_state.update({kept: left, f"{name}.turn": st.session_state.get(f"{name}.turn", 0) + 1})


def height(rows: int, most: int = MOST_ROWS) -> int | str:
    """Height for st.dataframe: all rows up to ``most``, then a scroller of that size."""
    return "content" if rows <= most else ROW_HEIGHT * (most + 1)


def is_phone() -> bool:
    """Whether the browser says it is on a phone. It only leaves things out; a narrow window keeps the table."""
    return "Mobi" in (st.context.headers.get("User-Agent") or "")


def telephone(number: str) -> str:
    """A ``tel:`` link as Markdown, bold so that colour alone does not mark it; anything but a plain telephone number stays text."""
    plain = "".join(c for c in number if c in "0123456789+-*# ")
    if not number or plain != number:
        return literal(number)
    return f"**[{literal(number)}](tel:{quote(plain.replace(' ', ''), safe='+*')})**"


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
