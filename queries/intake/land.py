"""Landing: converted rows into the database, one transaction a file, as the intake role.

A file streams through COPY into a temporary table, then set-based statements merge it. Row digests make it idempotent: the same row
again changes nothing, a changed row is a correction (core.md §3: the transaction setting app.correction).
"""
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import Connection, text

from queries import calendars
from queries.intake import Mapping, Problem, Row, Source, read

CHUNK = 50_000
_PLAIN = ("complaint_no", "received_at", "registered_at", "dispatched_at", "read_at", "customer_replied_at", "office_replied_at", "closed_at", "filed_at",
          "withdrawn_at", "due_at", "category", "subcategory", "channel", "complexity", "title", "text", "demand", "reply_text", "amount",
          "amount_demanded", "handler", "person_complained", "complainant_name", "complainant_phone", "anonymous", "source_verdict", "satisfaction",
          "disputed", "status", "major", "media_level", "repeat_of", "outcome", "responsibility", "accepting_unit", "source_unit", "unit_complained")
_STAGED = ("line", "digest", "path", "marks", "history", *_PLAIN, "field", "value", "reason")
_TYPES = {"line": "bigint", "digest": "bytea", "path": "text[]", "marks": "text[]", "history": "jsonb", "amount": "numeric", "amount_demanded": "numeric",
          "anonymous": "boolean", "disputed": "boolean", "major": "boolean"}
_TYPES |= {name: "timestamptz" for name in _PLAIN if name.endswith("_at")}


@dataclass
class Report:
    """What an import did, or on a dry run would do; counts of rows."""
    source: str
    file: str
    rows: int = 0
    added: int = 0
    changed: int = 0
    unchanged: int = 0
    repeated: int = 0
    quarantined: int = 0            # rows that did not land
    marked: int = 0
    conflicts: int = 0              # the source moved a complaint that we had reassigned
    new_units: int = 0
    new_categories: int = 0
    unused_columns: tuple[str, ...] = ()
    batch_id: int | None = None
    dry_run: bool = False


def land(conn: Connection, source: Source, mapping: Mapping, *, now: datetime, pack: str, dry_run: bool = False,
         progress: Callable[[str, int], None] = lambda what, rows: None) -> Report:
    """Import one source inside the caller's transaction (role intake). On `dry_run` the caller rolls back.

    ReadError when the source breaks off: nothing of it stays.
    """
    report = Report(mapping.name, source.name, unused_columns=source.unused_columns, dry_run=dry_run)
    zone = str(mapping.timezone)
    calendar_id = calendars.install(conn, mapping.calendar or calendars.country_of(zone), zone)
    ids = {"pack": mapping.pack or pack, "calendar": calendar_id, "name": mapping.name, "tz": zone, "limits": "due_at" in mapping.fields}
    ids["source"] = conn.execute(_SOURCE, ids).scalar_one()
    ids["batch"] = report.batch_id = conn.execute(_BATCH, {"source": ids["source"], "file": source.name, "digest": source.digest or "",
                                                           "mapping": mapping.digest}).scalar_one()
    columns = ", ".join(f"{name} {_TYPES.get(name, 'text')}" for name in _STAGED)
    conn.execute(text(f"create temporary table staged ({columns}) on commit drop"))
    stream = _Stream(_lines(read(source, mapping, now), report, progress))
    conn.connection.cursor().copy_expert(f"copy staged ({', '.join(_STAGED)}) from stdin", stream)
    report.repeated = source.repeated
    conn.execute(text("analyze staged"))
    progress("merge", report.rows)
    report.quarantined = conn.execute(_QUARANTINE, ids).scalar_one()
    report.new_categories = _name_them(conn, ids)
    conn.execute(_UNITS, ids)
    report.new_units = conn.execute(text("select coalesce(sum(added), 0) from unit_of")).scalar_one()
    conn.execute(_RESOLVE, ids)
    conn.execute(text("create index on placed (n)"))
    conn.execute(text("analyze placed"))
    total = conn.execute(text("select coalesce(max(n), 0) from placed")).scalar_one()
    for first in range(1, total + 1, CHUNK):
        part = ids | {"first": first, "last": first + CHUNK - 1}
        report.added += conn.execute(_ADD, part).rowcount
        progress("land", min(first + CHUNK - 1, total))
    report.conflicts = conn.execute(_CONFLICTS, ids).rowcount
    conn.execute(text("select set_config('app.correction', 'on', true)"))
    report.changed = conn.execute(_CORRECT, ids).rowcount
    conn.execute(text("select set_config('app.correction', '', true)"))
    for statement in _CHILDREN:
        conn.execute(statement, ids)
    counted = conn.execute(_COUNTED).one()
    report.unchanged, report.marked = counted.landed - report.added - report.changed, counted.marked
    conn.execute(_FINISH, ids | {"rows": report.rows, "added": report.added, "changed": report.changed, "unchanged": report.unchanged,
                                 "quarantined": report.quarantined, "marked": report.marked, "conflicts": report.conflicts})
    return report


class _Stream:
    """A file for COPY that is made while it is read: conversion and server work at the same time."""

    def __init__(self, lines: Iterator[str]):
        self.lines, self.rest = lines, ""

    def read(self, size: int) -> str:
        parts, have = [self.rest], len(self.rest)
        while have < size and (line := next(self.lines, None)) is not None:
            parts.append(line)
            have += len(line)
        whole = "".join(parts)
        self.rest = whole[size:]
        return whole[:size]


_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def _field(value: object) -> str:
    if value is None:
        return "\\N"
    if isinstance(value, str):
        return value.translate(_ESCAPES)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bool):
        return "t" if value else "f"
    if isinstance(value, bytes):
        return "\\\\x" + value.hex()
    if isinstance(value, (list, tuple)):
        inner = ",".join('"' + str(v).replace("\\", "\\\\").replace('"', '\\"') + '"' for v in value)
        return f"{{{inner}}}".translate(_ESCAPES)
    return str(value)


def _lines(items: Iterator[Row | Problem], report: Report, progress) -> Iterator[str]:
    blank = {name: None for name in _STAGED}
    bad = 0
    for item in items:
        if isinstance(item, Problem):
            if item.line != bad:                       # several problems of one row count once
                report.rows, bad = report.rows + 1, item.line
            values = blank | {"line": item.line, "complaint_no": item.complaint_no, "field": item.column or "", "value": item.value,
                              "reason": str(item.reason)}
        else:
            report.rows += 1
            got = item.values
            path = got.get("unit_path") or [p for p in (got.get("parent_unit"), got.get("unit")) if p]
            values = {name: got.get(name) for name in _PLAIN}
            values |= {"line": item.line, "digest": item.digest, "marks": [str(m) for m in item.marks], "path": path if got.get("unit") else path[:0],
                       "history": json.dumps([asdict(e) for e in item.history], default=_plain) if item.history else None,
                       "field": None, "value": None, "reason": None}
        if report.rows % 10_000 == 0:
            progress("read", report.rows)
        yield "\t".join([_field(values[name]) for name in _STAGED]) + "\n"


def _plain(value: object) -> object:
    return value.isoformat() if isinstance(value, datetime) else str(value) if isinstance(value, Decimal) else list(value) if isinstance(value, tuple) else str(value)


_SOURCE = text("""insert into source (name, tz, pack, seen_at) values (:name, :tz, :pack, clock_timestamp())
                  on conflict (name) do update set tz = excluded.tz, seen_at = excluded.seen_at returning source_id""")
_BATCH = text("insert into import_batch (source_id, file, digest, mapping, user_id) values (:source, :file, :digest, :mapping, me()) returning batch_id")
_QUARANTINE = text("""
    with bad as (insert into quarantine (batch_id, line, complaint_no, field, value, reason)
                 select :batch, line, complaint_no, field, value, reason from staged where reason is not null order by line returning line)
    select count(distinct line) from bad""")
_NAMES = {kind: text(f"""
    insert into {kind} (pack, code, name, name_en, source_id)
    select distinct :pack, coalesce(s.{kind}, 'unmapped'), coalesce(s.{kind}, '未注明'), coalesce(s.{kind}, 'not given'), cast(:source as smallint)
      from staged s
     where s.reason is null
       and not exists (select from {kind} k where k.pack = :pack and coalesce(s.{kind}, 'unmapped') in (k.code, k.name, k.name_en))
    on conflict (pack, code) do nothing""") for kind in ("category", "channel")}


def _name_them(conn: Connection, ids: dict) -> int:
    """Unknown categories and channels are created and listed, never dropped; returns how many categories."""
    conn.execute(_NAMES["channel"], ids)
    return conn.execute(_NAMES["category"], ids).rowcount


# Units: by code or name where there is exactly one, else below "unmapped" of this source.
_UNITS = text("""
    create temporary table unit_of on commit drop as
    select p.path, f.unit_id, f.added
      from (select distinct path from staged where reason is null
            union select array[accepting_unit] from staged where accepting_unit is not null
            union select array[source_unit] from staged where source_unit is not null
            union select array[unit_complained] from staged where unit_complained is not null) p
     cross join lateral unit_for(cast(:source as smallint), p.path) f""")
_RESOLVE = text("""
    create temporary table placed on commit drop as
    select row_number() over (order by s.received_at, s.line) as n, s.*, u.unit_id, a.unit_id as accepting_id, o.unit_id as source_unit_id, b.unit_id as about_id,
           array_to_string(s.path, ' / ') as unit_value, g.category_id, h.channel_id, k.complaint_id as known_id, c.digest as known_digest,
           c.source_unit_value as known_unit_value, c.unit_id as known_unit
      from staged s
      join unit_of u on u.path = s.path
      left join unit_of a on a.path = array[s.accepting_unit]
      left join unit_of o on o.path = array[s.source_unit]
      left join unit_of b on b.path = array[s.unit_complained]
      join lateral (select category_id from category g where g.pack = :pack and coalesce(s.category, 'unmapped') in (g.code, g.name, g.name_en)
                     order by coalesce(s.category, 'unmapped') = g.code desc, g.category_id limit 1) g on true
      join lateral (select channel_id from channel h where h.pack = :pack and coalesce(s.channel, 'unmapped') in (h.code, h.name, h.name_en)
                     order by coalesce(s.channel, 'unmapped') = h.code desc, h.channel_id limit 1) h on true
      left join complaint_key k on k.source_id = :source and k.complaint_no = s.complaint_no
      left join complaint c on c.complaint_id = k.complaint_id
     where s.reason is null""")
_VALUES = """p.received_at, coalesce(p.registered_at, clock_timestamp()), p.dispatched_at, p.read_at, p.customer_replied_at, p.office_replied_at, p.closed_at, p.filed_at,
           p.channel_id, p.category_id, p.subcategory, left(p.complexity, 1)::"char", p.source_unit_id, p.handler, p.person_complained,
           coalesce(p.title, ''), p.amount, p.amount_demanded, coalesce(p.major, false), coalesce(p.anonymous, false), coalesce(array_position(array['none', 'city', 'province', 'central'], p.media_level) - 1, 0), p.outcome,
           p.responsibility, p.status, p.disputed, p.due_at, case p.source_verdict when 'on_time' then 'o' when 'late' then 'l' end::"char", p.unit_value, p.marks, p.digest, :limits"""
_COLUMNS = """received_at, registered_at, dispatched_at, read_at, customer_replied_at, office_replied_at, closed_at, filed_at,
           channel_id, category_id, subcategory, complexity, source_unit_id, handler, person,
           title, amount, amount_demanded, major, anonymous, media_level, outcome,
           responsibility, status, disputed, source_due_at, source_verdict, source_unit_value, marks, digest, limit_by_source"""
_ADD = text(f"""
    insert into complaint (source_id, complaint_no, pack, calendar_id, batch_id, accepting_unit_id, unit_id, first_unit_id, about_unit_id, first_category_id,
           {_COLUMNS})
    select :source, p.complaint_no, :pack, :calendar, :batch, coalesce(p.accepting_id, p.unit_id), p.unit_id, p.unit_id, coalesce(p.about_id, p.unit_id),
           p.category_id, {_VALUES}
      from placed p where p.n between :first and :last and p.known_id is null order by p.n""")
# The source moved it, and meanwhile we had reassigned it: the source wins, and the conflict is listed.
_CONFLICTS = text("""
    insert into event (complaint_id, at, code, user_id, unit_from, unit_to, params)
    select p.known_id, clock_timestamp(), 'unit_conflict', me(), p.known_unit, p.unit_id, jsonb_build_object('batch', cast(:batch as int), 'line', p.line)
      from placed p
     where p.known_id is not null and p.unit_value is distinct from p.known_unit_value and p.known_unit <> p.unit_id
       and exists (select from event e where e.complaint_id = p.known_id and e.code = 'reassigned')""")
_CORRECT = text(f"""
    update complaint c set ({_COLUMNS}, batch_id, unit_id, first_unit_id, first_category_id, about_unit_id)
         = ({_VALUES.replace('coalesce(p.registered_at, clock_timestamp())', 'coalesce(p.registered_at, c.registered_at)')}, :batch,
            case when p.unit_value is distinct from c.source_unit_value then p.unit_id else c.unit_id end,
            case when p.unit_value is distinct from c.source_unit_value then p.unit_id else c.first_unit_id end,
            case when c.category_id = c.first_category_id then p.category_id else c.first_category_id end,
            case when p.unit_value is distinct from c.source_unit_value then coalesce(p.about_id, p.unit_id) else c.about_unit_id end)
      from placed p
     where c.complaint_id = p.known_id and p.digest is distinct from p.known_digest""")
_LANDED = "join complaint_key k on k.source_id = :source and k.complaint_no = p.complaint_no"
_FRESH = "(p.known_id is null or p.digest is distinct from p.known_digest)"
_CHILDREN = [text(statement) for statement in (
    f"""insert into complaint_text (complaint_id, text, demand, reply)
        select k.complaint_id, coalesce(p.text, ''), coalesce(p.demand, ''), coalesce(p.reply_text, '') from placed p {_LANDED}
         where {_FRESH} and (p.text is not null or p.demand is not null or p.reply_text is not null)
        on conflict (complaint_id) do update set text = excluded.text, demand = excluded.demand, reply = excluded.reply""",
    f"""select keep_persons(array_agg(k.complaint_id), array_agg(p.complainant_name), array_agg(p.complainant_phone)) from placed p {_LANDED}
         where {_FRESH} and (p.complainant_name is not null or p.complainant_phone is not null)""",
    f"""insert into call_back (complaint_id, call_no, at, by_whom, outcome, score)
        select k.complaint_id, 1, coalesce(p.closed_at, p.customer_replied_at, p.received_at), 'office', 'answered', p.satisfaction from placed p {_LANDED}
         where {_FRESH} and p.satisfaction is not null
        on conflict (complaint_id, call_no) do update set score = excluded.score, at = excluded.at""",
    f"""insert into withdrawal (complaint_id, withdrawal_no, requested_at)
        select k.complaint_id, 1, p.withdrawn_at from placed p {_LANDED} where {_FRESH} and p.withdrawn_at is not null
        on conflict (complaint_id, withdrawal_no) do nothing""",
    f"""update complaint c set repeat_of = b.complaint_id
          from placed p {_LANDED} join complaint_key b on b.source_id = :source and b.complaint_no = p.repeat_of
         where c.complaint_id = k.complaint_id and {_FRESH} and c.repeat_of is distinct from b.complaint_id""",
    f"""insert into event (complaint_id, at, code, user_id, params)
        select k.complaint_id, coalesce((h.entry -> 'changes' ->> 'registered_at')::timestamptz, (h.entry -> 'changes' ->> 'closed_at')::timestamptz, p.received_at),
               'source_entry', me(), h.entry || jsonb_build_object('batch', cast(:batch as int))
          from placed p {_LANDED} cross join lateral jsonb_array_elements(p.history) with ordinality as h (entry, n)
         where {_FRESH} and p.history is not null
           and not exists (select from event e where e.complaint_id = k.complaint_id and e.code = 'source_entry'
                              and e.params ->> 'order' = h.entry ->> 'order' and e.params -> 'changes' = h.entry -> 'changes')
         order by k.complaint_id, h.n""",
)]
_COUNTED = text("select count(*) as landed, count(*) filter (where marks <> '{}') as marked from placed")
_FINISH = text("""update import_batch set finished_at = clock_timestamp(), rows = :rows, added = :added, changed = :changed, unchanged = :unchanged,
                         quarantined = :quarantined, marked = :marked, conflicts = :conflicts where batch_id = :batch""")
