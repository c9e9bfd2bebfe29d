"""Small builders for tests: rows as the complaint systems would write them, acts at the moment they happened.

All take a connection that may write (the owner's) and return ids. Moments are aware; `cn("2026-03-02 10:00")` is one in
Shanghai.
"""

from datetime import date, datetime, time
from itertools import count
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Row, text

CN = "Asia/Shanghai"
_numbers = count(1)


def cn(moment: str, zone: str = CN) -> datetime:
    return datetime.fromisoformat(moment).replace(tzinfo=ZoneInfo(zone))


def end_of(day: str | date, zone: str = CN) -> datetime:
    """The last instant of a day."""
    return datetime.combine(date.fromisoformat(str(day)), time.max, ZoneInfo(zone))


def make_unit(conn: Connection, name: str, parent: int | None = None, **columns) -> int:
    return _insert(conn, "unit", {"name": name, "parent_id": parent, **columns}, "unit_id")


def make_source(conn: Connection, name: str = "hotline", pack: str = "bank", tz: str = CN) -> int:
    found = conn.execute(text("select source_id from source where name = :n"), {"n": name}).scalar()
    return found or _insert(conn, "source", {"name": name, "tz": tz, "pack": pack}, "source_id")


def make_complaint(
    conn: Connection,
    *,
    received: datetime,
    unit: int,
    category: str = "violation",
    channel: str = "phone",
    pack: str = "bank",
    zone: str = CN,
    calendar: str = "CN",
    **columns,
) -> int:
    """A complaint of a pack; `columns` are further columns of the table."""
    number = next(_numbers)
    values = {
        "source_id": make_source(conn, f"{pack}-source", pack, zone),
        "complaint_no": f"C{number:06}",
        "pack": pack,
        "received_at": received,
        "unit_id": unit,
        "calendar_id": conn.execute(
            text("select calendar_id from calendar where code = :c and tz = :z"), {"c": calendar, "z": zone}
        ).scalar_one(),
        "category_id": code_id(conn, "category", pack, category),
        "channel_id": code_id(conn, "channel", pack, channel),
    }
    return _insert(conn, "complaint", values | columns, "complaint_id")


def code_id(conn: Connection, table: str, pack: str, code: str) -> int:
    return conn.execute(
        text(f"select {table}_id from {table} where pack = :p and code = :c"), {"p": pack, "c": code}
    ).scalar_one()


def change(conn: Connection, complaint: int, at: datetime, *, act: str = "", reason: str = "", **columns) -> None:
    """An update that happened at `at`: the database writes the history."""
    told = text("""
        select set_config('app.at', :at, true), set_config('app.act', :act, true),
               set_config('app.reason', :reason, true)""")
    conn.execute(told, {"at": at.isoformat(), "act": act, "reason": reason})
    values = ", ".join(f"{c} = :{c}" for c in columns)
    conn.execute(text(f"update complaint set {values} where complaint_id = :id"), columns | {"id": complaint})
    conn.execute(told, {"at": "", "act": "", "reason": ""})


def move(
    conn: Connection, complaint: int, unit: int, at: datetime, *, act: str = "reassigned", reason: str = "归口"
) -> None:
    change(conn, complaint, at, act=act, reason=reason, unit_id=unit)


def recategorise(
    conn: Connection, complaint: int, category: str, at: datetime, *, pack: str = "bank", reason: str = "复核"
) -> None:
    change(conn, complaint, at, reason=reason, category_id=code_id(conn, "category", pack, category))


def reply(conn: Connection, complaint: int, at: datetime) -> None:
    """The customer has the reply."""
    change(conn, complaint, at, customer_replied_at=at)


def reply_source(conn: Connection, complaint: int, at: datetime) -> None:
    """The source unit has the reply."""
    change(conn, complaint, at, office_replied_at=at)


def close(conn: Connection, complaint: int, at: datetime) -> None:
    change(conn, complaint, at, closed_at=at)


def return_for_redo(conn: Connection, complaint: int, at: datetime, *, reason: str = "答复不实") -> None:
    """The reply is not accepted: the clock never stopped."""
    change(conn, complaint, at, reason=reason, customer_replied_at=None, office_replied_at=None, closed_at=None)


def reopen(conn: Connection, complaint: int, at: datetime, ended: datetime | None = None) -> int:
    number = conn.execute(
        text("select count(*) + 1 from redo where complaint_id = :id"), {"id": complaint}
    ).scalar_one()
    return _insert(
        conn,
        "redo",
        {"complaint_id": complaint, "redo_no": number, "started_at": at, "ended_at": ended, "reason": "客户再诉"},
        "redo_no",
    )


def redone(conn: Connection, complaint: int, number: int, at: datetime) -> None:
    conn.execute(
        text("update redo set ended_at = :at where complaint_id = :id and redo_no = :n"),
        {"at": at, "id": complaint, "n": number},
    )


def withdraw(
    conn: Connection, complaint: int, requested: datetime, verified: datetime | None = None, result: str | None = None
) -> int:
    number = conn.execute(
        text("select count(*) + 1 from withdrawal where complaint_id = :id"), {"id": complaint}
    ).scalar_one()
    return _insert(conn, "withdrawal", {"complaint_id": complaint, "withdrawal_no": number, "requested_at": requested,
                                        "verified_at": verified, "result": result, "reason": "客户本人"}, "withdrawal_no")


def verify(conn: Connection, complaint: int, number: int, at: datetime, result: str = "voluntary") -> None:
    conn.execute(
        text("update withdrawal set verified_at = :at, result = :r where complaint_id = :id and withdrawal_no = :n"),
        {"at": at, "r": result, "id": complaint, "n": number},
    )


def exclude(conn: Connection, complaint: int, at: datetime, why: str = "contest") -> None:
    change(conn, complaint, at, excluded_at=at, exclusion=why)


def restore(conn: Connection, complaint: int, at: datetime) -> None:
    change(conn, complaint, at, excluded_at=None, exclusion=None)


def event(conn: Connection, complaint: int, code: str, at: datetime, **columns) -> int:
    return _insert(conn, "event", {"complaint_id": complaint, "code": code, "at": at, **columns}, "event_id")


def state_of(conn: Connection, complaint: int, t: datetime, clock: str = "r") -> Row | None:
    """The row of state(t) of one clock, or None where it had not begun."""
    return conn.execute(text("select * from state(:t) where complaint_id = :id and clock = :clock"),
                        {"t": t, "id": complaint, "clock": clock}).one_or_none()


def _insert(conn: Connection, table: str, values: dict, key: str) -> int:
    return conn.execute(text(f"""insert into {table} ({', '.join(values)}) values ({', '.join(f':{c}' for c in values)})
                                 returning {key}"""), values).scalar_one()
