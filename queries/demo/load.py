"""Into the database: staging tables filled by COPY, then insert … select, in chunks, while the next one is made.

A chunk's history and acts go in before its complaints, so that the triggers build each complaint's spans once; urges
and withdrawals come after, because their triggers ask for the limit.
"""
import io
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

from psycopg2.extras import execute_values
from sqlalchemy import Connection, text

from queries.demo import cases, units

ZONE, PACK, SOURCE = "Asia/Shanghai", "bank", "demo"
CHUNK = 5_000
ANALYZE = "analyze complaint, event, clock_span, hop, call_back, redo, withdrawal, urge, reply, complaint_key"
_OFFSET = 8 * 3600                                  # Shanghai has had no other since 1992

# Who may look around: login, name, role, all units, sees financial crime, code of the unit it is confined to.
USERS = (
    ("demo-supervisor", "李敏", "supervisor", True, True, None),
    ("demo-ningbo", "赵工", "supervisor", False, False, "23"),
    ("demo-leader", "郑国平", "leader", True, False, None),
    ("demo-unit", "徐建", "unit", False, False, "2301"),
    ("demo-service", "孙颖", "service", False, False, "0002"),
    ("demo-department", "何敏", "department", False, False, "0006"),
    ("demo-discipline", "周正", "discipline", True, True, None),
    ("demo-regulator", "监管检查组", "regulator", True, False, None),
    ("demo-auditor", "钱明", "auditor", True, False, None),
    ("demo-admin", "系统管理员", "admin", True, False, None),
)


def load(conn: Connection, *, now: datetime | None = None, seed: int = 20260309, complaints: int = 120_000,
         progress: Callable[[int, int, str], None] = lambda done, total, what: None) -> dict[str, int]:
    """Loads the demo bank in the caller's transaction and returns rows by table.

    History ends with the day before `now` in Shanghai (default: the database clock): two loads of one day and seed
    give the same rows. `conn` acts as the schema's owner (`set local role desk_owner`, search_path desk): it adds
    accounts besides complaints. Raises LookupError where the bank pack or China's calendar is not installed.
    """
    now = now or conn.execute(text("select clock_timestamp()")).scalar_one()
    if now.tzinfo is None:
        raise ValueError("`now` needs a time zone")
    today = now.astimezone(ZoneInfo(ZONE)).date()
    cursor = conn.connection.cursor()
    calendar, days = _calendar(conn, today)
    codes = {table: dict(conn.execute(text(f"select code, {table}_id from {table} where pack = :p"),
                                      {"p": PACK}).all()) for table in ("category", "channel")}
    if not set(cases.MIX) <= set(codes["category"]) or not set(cases.CHANNELS) <= set(codes["channel"]):
        raise LookupError(f"The pack {PACK!r} is not installed.")
    progress(0, complaints, "units")
    source = conn.execute(text("""insert into source (name, tz, pack, demo, seen_at) values (:n, :z, :p, true, :at)
                                  returning source_id"""),
                          {"n": SOURCE, "z": ZONE, "p": PACK, "at": now}).scalar_one()
    tree = units.build(Random(seed))
    ids = _units(cursor, tree)
    users = _users(cursor, {unit.code: ids[unit.place] for unit in tree})
    unmapped = conn.execute(text("select unit_id from unit_for(cast(:s as smallint), array['网络金融事业部（旧）'])"),
                            {"s": source}).scalar_one()
    first = conn.execute(text("select nextval(pg_get_serial_sequence('complaint', 'complaint_id'))")).scalar_one()
    conn.execute(text("select setval(pg_get_serial_sequence('complaint', 'complaint_id'), :last)"),
                 {"last": first + complaints})
    bank = cases.Bank(tree, ids, codes["category"], codes["channel"], days, cases.seconds(today),
                      (users["demo-supervisor"], "李敏"), unmapped)
    writer = _Writer(cursor, source, calendar)
    counts = {"unit": len(tree), "app_user": len(users)} | dict.fromkeys(cases.TABLES, 0)
    done, waiting = 0, None
    with ThreadPoolExecutor(1) as pool:                # the database works on one chunk while the next is made
        for chunk in cases.Cases(bank, seed, complaints, first).chunks(CHUNK):
            if waiting:
                waiting.result()
                progress(done, complaints, "complaints")
            waiting = pool.submit(writer.write, {table: _copy_text(rows) for table, rows in chunk.items() if rows})
            done += len(chunk["complaint"])
            for table, rows in chunk.items():
                counts[table] += len(rows)
            chunk.clear()
        if waiting:
            waiting.result()
    conn.execute(text("""insert into released (complaint_id, released_at, user_id, reason)
        select complaint_id, ended_at + interval '1 day', :user, '配合监管检查' from complaint
         where source_id = :source and channel_kind = 'regulator' and ended_at < :now - interval '1 day' and not restricted"""),
        {"user": users["demo-supervisor"], "source": source, "now": now})
    progress(done, complaints, "complaints")
    counts["complaints"] = counts["complaint"]
    return counts


def _calendar(conn: Connection, today) -> tuple[int, cases.Days]:
    start, end = today - timedelta(days=cases.WEEKS * 7 + 40), today + timedelta(days=420)
    rows = conn.execute(text("""select calendar_id, day, working, ordinal from workday join calendar using (calendar_id)
                                where code = 'CN' and tz = :z and day between :a and :b order by day"""),
                                {"z": ZONE, "a": start, "b": end}).all()
    if not rows or rows[-1].day < end:
        raise LookupError(f"The calendar CN, {ZONE} is not installed up to {end}.")
    return rows[0].calendar_id, cases.Days([(row.day, row.working, row.ordinal) for row in rows])


def _units(cursor, tree: list[units.Unit]) -> list[int]:
    """Inserts the tree level by level (a parent's id must be known); returns the ids in the order of `tree`."""
    ids: list[int | None] = [None] * len(tree)
    depth = [0] * len(tree)
    for unit in tree[1:]:
        depth[unit.place] = depth[unit.above] + 1
    for level in range(max(depth) + 1):
        here = [unit for unit in tree if depth[unit.place] == level]
        rows = [(None if u.above is None else ids[u.above], u.kind, u.code, u.name, u.name_en, u.short, u.short_en,
                 units.sort_key(u.short), 0, 0, 0,
                 u.outlets or None, u.customers or None, u.focus, u.accepts) for u in here]
        made = execute_values(cursor, """
            insert into unit (parent_id, kind, code, name, name_en, short, short_en, sort_key, level, label, label_end,
                              outlets, customers, focus, accepts)
            values %s returning code, unit_id""", rows, page_size=500, fetch=True)
        by_code = dict(made)
        for unit in here:
            ids[unit.place] = by_code[unit.code]
    execute_values(cursor, "insert into unit_contact (unit_id, rank, name, phone) values %s",
                   [(ids[u.place], rank, name, phone) for u in tree
                    for rank, (name, phone) in enumerate(u.contacts, 1)], page_size=1000)
    return ids


def _users(cursor, ids: dict[str, int]) -> dict[str, int]:
    made = {}
    for login, name, role, every, restricted, code in USERS:
        cursor.execute("""insert into app_user (login, name, role, all_units, sees_restricted, demo)
                          values (%s, %s, %s, %s, %s, true) returning user_id""", (login, name, role, every, restricted))
        made[login] = cursor.fetchone()[0]
        if code:
            cursor.execute("insert into user_scope (user_id, unit_id) values (%s, %s)", (made[login], ids[code]))
    return made


def _copy_text(rows: list[tuple]) -> str:
    """COPY's text format; the demo's words hold no tab, newline or backslash of their own."""
    return "\n".join("\t".join(["\\N" if v is None else str(v) for v in row]) for row in rows)


class _Writer:
    """Writes chunks through staging tables; COPY into a table under row security is refused."""

    def __init__(self, cursor, source: int, calendar: int):
        self.cursor, self.chunks, self.inserts = cursor, 0, {}
        for table, columns in cases.TABLES.items():
            times = [c[:-1] for c in columns.split() if c.endswith("@")]
            plain = [c.rstrip("@") for c in columns.split()]
            cursor.execute(f"create temporary table demo_{table} on commit drop as"
                           f" select {', '.join(plain)} from {table} limit 0")
            for column in times:
                cursor.execute(f"alter table demo_{table} alter {column} type bigint using null")
            values = [f"to_timestamp({c} - {_OFFSET})" if c in times else c for c in plain]
            if table == "complaint":
                plain += ["source_id", "pack", "calendar_id"]
                values += [str(source), f"'{PACK}'", str(calendar)]
            order = " order by complaint_id, at" if table == "event" else ""
            self.inserts[table] = (f"insert into {table} ({', '.join(plain)})"
                                   f" select {', '.join(values)} from demo_{table}{order}")

    def write(self, chunk: dict[str, str]) -> None:
        for table, lines in chunk.items():
            self.cursor.execute(f"truncate demo_{table}")
            self.cursor.copy_expert(f"copy demo_{table} from stdin", io.StringIO(lines))
            self.cursor.execute(self.inserts[table])
        self.chunks += 1
        if self.chunks in (1, 4, 12):                  # plans follow the growing tables
            self.cursor.execute(ANALYZE)
