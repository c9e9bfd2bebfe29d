"""What needs more than one row at a time, repeated numbers and event logs. A temporary SQLite bounds the memory."""
import json
import pickle
import sqlite3
from collections.abc import Callable, Iterator
from itertools import groupby

from queries.intake import dates
from queries.intake.convert import Event, Row, as_text, digest


def _temporary(*tables: str) -> sqlite3.Connection:
    # "" is a private file that SQLite itself deletes; it is written only when the cache below is full.
    database = sqlite3.connect("", isolation_level=None)
    database.execute("pragma journal_mode = off")
    database.execute("pragma synchronous = off")
    database.execute("pragma cache_size = -32768")       # 32 MB
    for table in tables:
        database.execute(table)
    database.execute("begin")
    return database


class Seen:
    """The numbers that came by so far, and what stood with them."""

    def __init__(self) -> None:
        database = _temporary("create table seen (id text primary key, digest blob) without rowid")
        self._execute, self._many = database.execute, database.executemany

    def before(self, row: Row) -> str:
        """Empty if the number is new, "same" if the whole row came before, "other" if the content was another."""
        return self.look(row.complaint_no, row.digest)

    def look(self, number: str, digest: bytes) -> str:
        insert = "insert into seen values (?, ?) on conflict do nothing"
        if self._execute(insert, (number, digest)).rowcount:
            return ""
        found, = self._execute("select digest from seen where id = ?", (number,)).fetchone()
        return "same" if found == digest else "other"

    def all_new(self, rows: list[tuple[str, bytes]]) -> bool:
        """Whether all of these (number, digest) are new; where one is not, none of them is remembered."""
        numbers = [number for number, _ in rows]
        if len(set(numbers)) < len(numbers) or self._execute("select 1 from seen where id in (select value from json_each(?)) limit 1", (json.dumps(numbers),)).fetchone():
            return False
        self._many("insert into seen values (?, ?)", rows)
        return True


class EventLog:
    """Rows of an event log, given back as one complaint a key: the last row, with all rows as its history."""

    def __init__(self) -> None:
        self._database = _temporary("create table event (key text, rank int, place, line int, shown text, row blob)")

    def add(self, key: str, order: object, row: Row) -> None:
        rank, place = _place(order)
        # pickle: our own values, back into this process, from a file that nobody else can open
        self._database.execute("insert into event values (?, ?, ?, ?, ?, ?)",
                               (key, rank, place, row.line, as_text(order) if order is not None else "",
                                pickle.dumps(row.values, pickle.HIGHEST_PROTOCOL)))

    def rows(self, marks: Callable[[dict], tuple]) -> Iterator[Row]:
        """The complaints, by key. Rows of equal order stay in the order of the file."""
        events = self._database.execute("select key, line, shown, row from event order by key, rank, place, line")
        for _, of_key in groupby(events, key=lambda event: event[0]):
            history, values = [], {}
            for _, line, shown, pickled in of_key:
                before, values = values, pickle.loads(pickled)
                changes = {k: v for k, v in values.items() if v != before.get(k) and (before or v is not None)}
                history.append(Event(line, shown, changes))
            history = tuple(history)
            yield Row(line, values, marks(values), digest(values, history), history)


def _place(order: object) -> tuple[int, float | str]:
    """Where a row stands among those of its key: blanks first, then numbers, then times, then other texts."""
    text = as_text(order).strip() if order is not None else ""
    if not text:
        return 0, ""
    try:
        return 1, float(text)
    except ValueError:
        pass
    try:
        return 2, dates.general(text).timestamp()
    except (ValueError, OverflowError):
        return 3, text
