"""Any list or table as a file: CSV that a spreadsheet cannot run, XLSX with a sheet that says what the rows are.

    exports.buttons(rows, columns, title=…, about=[(label, value)], as_of=f.as_of, zone=f.zone, total=n, key="units")

``rows`` is a DataFrame with the columns of ``columns``, or, for more rows than are shown, a function that gives them in
frames over a connection: it runs when the file is asked for, in a transaction of the viewer as the account is then. So a
file holds what the viewer may see, masked as on the page, whole (nothing cut) and in the language of the page. Every
file leaves a line in the audit; where that fails there is no file.
"""

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

import pandas as pd
import streamlit as st
from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.styles import Alignment, Font
from openpyxl.utils import get_column_letter
from sqlalchemy import Connection

from dashboard import data, permissions, session, words
from dashboard.words import t
from queries import complaints, db

MOST = 300_000  # rows a file may have; a sheet of XLSX ends at 1,048,576
LONG = 20_000  # from here on it is said how long it takes
SPEED = 2_500  # rows a second, complaints with all their columns (120,000 on two cores: see docs/decisions.md)
TIMEOUT_MS = 180_000
CELL = 32_767  # characters a cell of XLSX holds
MIME = {"csv": "text/csv", "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"}

_RUNS = re.compile(r"[\s\ufeff\u200b-\u200f]*[=+\-@＝＋－＠]|[\t\r\n]")  # what a spreadsheet takes for a formula, or hides one behind
_UNSEEN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u202a-\u202e\u2066-\u2069\u2060\ud800-\udfff\ufffe\uffff]")  # no cell may hold these


class Column(NamedTuple):
    """A column of a file. kind: text, whole, number, percent (0.944 is 94.4%), day or moment; width in characters."""

    label: str
    kind: str = "text"
    width: int = 14


Frames = Callable[[Connection], Iterator[pd.DataFrame]]


def buttons(rows: pd.DataFrame | Frames, columns: Mapping[str, Column], *, title: str, about: Sequence[tuple[str, str]],
            as_of: datetime, zone: ZoneInfo, total: int | None = None, key: str = "export") -> None:
    """「导出 CSV」「导出 Excel」 where the viewer may export. total: how many rows (of a DataFrame its length); about: what
    the list is, for the second sheet: (label, value), to which data as of, rows, who and when are added."""
    viewer, total = session.viewer(), len(rows) if isinstance(rows, pd.DataFrame) else total or 0
    if not permissions.may(viewer.role, "export") or not total:
        return
    too_many, language = total > MOST, words.language()
    name = f"{re.sub(_NOT_IN_NAMES, ' ', title).strip()[:60]} {as_of.astimezone(zone):%Y-%m-%d %H%M}"
    with st.container(horizontal=True, gap="xsmall", vertical_alignment="center", width="content"):
        for kind, write in (("csv", csv_file), ("xlsx", xlsx_file)):
            st.download_button(
                t(f"export.{kind}"), _made(write, kind, rows, columns, title, about, as_of, zone, language, session.ticket()),
                f"{name}.{kind}", MIME[kind], on_click="ignore", type="tertiary", icon=":material/download:",
                key=f"{key}_{kind}", disabled=too_many, help=t("export.too_many", n=MOST) if too_many else t(f"export.{kind}_help", n=total))
        if LONG < total <= MOST:
            st.caption(t("export.takes", n=-(-total // SPEED)), width="content")


_NOT_IN_NAMES = re.compile(r'[\\/:*?"<>|\x00-\x1f]+')


def _made(write: Callable, kind: str, rows: pd.DataFrame | Frames, columns: Mapping[str, Column], title: str,
          about: Sequence[tuple[str, str]], as_of: datetime, zone: ZoneInfo, language: str, who: session.Ticket) -> Callable[[], bytes]:
    """What the button runs, on a thread of its own: there is no session there, so everything it needs is given."""
    def make() -> bytes:
        with words.speaking(language), _reading(who, rows) as (viewer, frames, now):
            made = write(frames, columns, zone)
            sheet = [*about, (t("export.as_of"), words.moment(as_of, zone, long=True)), (t("export.rows"), words.number(made.rows)),
                     (t("export.by"), viewer.name), (t("export.at"), words.moment(now, zone, long=True)), (t("export.care"), t("export.care_text"))]
            content = made.finish(title, sheet)
        with db.writing(session.urls(), viewer) as conn:
            complaints.exported(conn, list=title, format=kind, rows=made.rows)
        return content
    return make


@contextmanager
def _reading(who: session.Ticket, rows: pd.DataFrame | Frames) -> Iterator[tuple]:
    """The account as it is now, the rows in frames, the database's clock."""
    viewer = session.redeem(who)
    if not permissions.may(viewer.role, "export"):
        raise PermissionError("export")
    with db.reading(session.urls(), viewer, timeout_ms=TIMEOUT_MS) as conn:
        now = db.clock(conn)
        yield viewer, [rows] if isinstance(rows, pd.DataFrame) else rows(conn), now


# -- the files: pure ------------------------------------------------------------------------------------------------

class Made(NamedTuple):
    """A file with its rows written: how many, and what closes it (title, definitions) and gives its bytes."""

    rows: int
    finish: Callable[[str, Sequence[tuple[str, str]]], bytes]


def csv_file(frames: Iterable[pd.DataFrame], columns: Mapping[str, Column], zone: ZoneInfo) -> Made:
    """UTF-8 with BOM, for a spreadsheet by double click; rows only, so that it can be read by a program too."""
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, "utf-8-sig", newline="", write_through=True)
    writer, n = csv.writer(out), 0
    writer.writerow([harmless(one.label) for one in columns.values()])
    for values in _rows(frames, columns, zone):
        writer.writerow([_csv(value) for value in values])
        n += 1
    out.detach()  # else the buffer is closed with its writer
    return Made(n, lambda title, about: raw.getvalue())


def xlsx_file(frames: Iterable[pd.DataFrame], columns: Mapping[str, Column], zone: ZoneInfo) -> Made:
    """Numbers and dates typed, text typed as text; the head row stays in view; the second sheet says what this is."""
    book = Workbook(write_only=True)
    sheet = book.create_sheet(t("export.sheet"))
    sheet.freeze_panes = "A2"
    for place, one in enumerate(columns.values(), 1):
        sheet.column_dimensions[get_column_letter(place)].width = one.width
    sheet.append([_text_cell(sheet, one.label, bold=True) for one in columns.values()])
    formats = {"whole": "0", "number": "0.0", "percent": "0.0%", "day": "yyyy-mm-dd", "moment": "yyyy-mm-dd hh:mm"}
    cells = []  # one cell a column, filled anew for every row: a row is written when it is appended
    for one in columns.values():
        cells.append(WriteOnlyCell(sheet))
        cells[-1].number_format = formats.get(one.kind, "General")
    n = 0
    for values in _rows(frames, columns, zone):
        row = []
        for cell, value in zip(cells, values):
            if isinstance(value, str):
                plain = harmless(value) == value and not value.startswith("#")  # #N/A would become an error
                row.append(value[:CELL] if plain else _text_cell(sheet, value))
            elif value is None:
                row.append(None)
            else:
                shape = cell.number_format
                cell.value = value
                cell.number_format = shape
                row.append(cell)
        sheet.append(row)
        n += 1
    sheet.auto_filter.ref = f"A1:{get_column_letter(len(columns))}{n + 1}"

    def finish(title: str, about: Sequence[tuple[str, str]]) -> bytes:
        told = book.create_sheet(t("export.definitions"))
        told.column_dimensions["A"].width, told.column_dimensions["B"].width = 18, 90
        for label, value in [(t("export.list"), title), *about]:
            told.append([_text_cell(told, label, bold=True), _text_cell(told, value, wrap=True)])
        raw = io.BytesIO()
        book.save(raw)
        return raw.getvalue()
    return Made(n, finish)


def harmless(text: str) -> str:
    """Text that a spreadsheet does not run: an apostrophe before what begins like a formula."""
    return f"'{text}" if _RUNS.match(text) else text


def clean(text: str) -> str:
    """Without characters that no cell may hold or that turn the direction of writing, and not filled up to the left."""
    return _UNSEEN.sub("", text).lstrip("\u2007")


def _rows(frames: Iterable[pd.DataFrame], columns: Mapping[str, Column], zone: ZoneInfo) -> Iterator[tuple]:
    """Rows of plain values: text, int, float, date, naive local datetime, or None."""
    for frame in frames:
        yield from zip(*(_values(frame[name], one.kind, zone) for name, one in columns.items()))


def _values(column: pd.Series, kind: str, zone: ZoneInfo) -> list:
    plain = {
        "whole": int, "number": float, "percent": float,
        "moment": lambda moment: moment.astimezone(zone).replace(tzinfo=None, microsecond=0),
        "day": lambda day: day.astimezone(zone).date() if isinstance(day, datetime) else day,
    }.get(kind, _text)
    return [None if gone else plain(value) for value, gone in zip(column.tolist(), column.isna().tolist())]


def _text(value: object) -> str:
    return clean(value if isinstance(value, str) else t("unit.comma").join(map(str, value)) if isinstance(value, list | tuple) else str(value))


def _csv(value: object) -> object:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    if isinstance(value, date):
        return value.isoformat()
    return harmless(value) if isinstance(value, str) else "" if value is None else value


def _text_cell(sheet, text: str, *, bold: bool = False, wrap: bool = False) -> WriteOnlyCell:
    """Text typed as text, whatever it begins with; the mark of quoted text keeps it so when the cell is edited."""
    cell = WriteOnlyCell(sheet)
    cell._value, cell.data_type = clean(text)[:CELL], "s"  # the property would take = for a formula
    cell.font = Font(bold=bold)
    cell.alignment = Alignment(vertical="top", wrap_text=wrap)
    cell.quotePrefix = harmless(text) != text
    return cell
