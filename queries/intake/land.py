"""Landing: converted rows into the database, one transaction a file, as the intake role.

A file is read and converted beside the server: while one part of it is merged by set-based statements, the next is made, and goes through COPY into a
temporary table. Row digests make it idempotent: the same row again changes nothing, a changed row is a correction (the transaction setting app.correction).
A correction touches only what the mapping speaks of, and never what was decided here since: a reassignment, a new
category.
"""
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from queue import Queue
from threading import Condition, Thread

from sqlalchemy import Connection, TextClause, text

from queries import calendars
from queries.intake import Mapping, ReadError, Source, staging

CHUNK = 50_000                       # rows that land together
AHEAD = 24_000_000                   # characters of the file that wait for the server before the reading waits, too
DEEPEST = 5                          # levels of a unit's path: the tree has six, the first is "unmapped"
Progress = Callable[[str, int, int | None], None]      # what is done, rows so far, rows in all where that can be said


@dataclass
class Report:
    """What an import did, or on a dry run would do; counts of rows (of an event log: of its complaints)."""
    source: str
    file: str
    rows: int = 0                   # all of them: added + changed + unchanged + repeated + quarantined
    added: int = 0
    changed: int = 0
    unchanged: int = 0
    repeated: int = 0               # word for word as before in the same file
    quarantined: int = 0            # rows that did not land
    marked: int = 0
    conflicts: int = 0              # the source moved a complaint that we had reassigned
    new_units: int = 0
    new_categories: int = 0
    unused_columns: tuple[str, ...] = ()
    batch_id: int | None = None
    dry_run: bool = False


def land(conn: Connection, source: Source, mapping: Mapping, *, now: datetime, pack: str, dry_run: bool = False,
         progress: Progress = lambda what, done, total: None) -> Report:
    """Import one source inside the caller's transaction (role intake). On `dry_run` the caller rolls back.

    ReadError when the source breaks off or cannot land at all: nothing of it stays.
    """
    report = Report(mapping.name, source.name, unused_columns=source.unused_columns, dry_run=dry_run)
    ids = _begin(conn, source, mapping, pack)
    report.batch_id = ids["batch"]
    for statement in _TEMPORARY:
        conn.execute(statement, ids)
    children = [statement for statement, fields in _CHILDREN if fields & _given(mapping) or (fields == {"history"} and mapping.collapse)]
    with closing(_Ahead(source, mapping, now, progress)) as made:
        while made.more:
            with conn.connection.cursor() as cursor:
                cursor.copy_expert(f"copy staged ({', '.join((*staging.FIXED, *made.given))}) from stdin", _Stream(made.part()), size=1 << 16)
            if made.error:
                raise made.error
            if not made.more:
                report.rows, report.repeated = made.rows + source.repeated, source.repeated
                progress("merge", report.rows, None)
            _merge(conn, mapping, ids, report, children)
    if "repeat_of" in _given(mapping):
        conn.execute(_REPEATS, ids)
    if landed := report.added + report.changed + report.unchanged:
        progress("land", landed, landed)
    conn.execute(_FINISH, ids | {k: getattr(report, k) for k in _COUNTS} | {"digest": source.digest or ""})
    return report


def _merge(conn: Connection, mapping: Mapping, ids: dict, report: Report, children: list) -> None:
    """What stands in `staged` lands, and `staged` is empty again."""
    conn.execute(text("analyze staged (path, complaint_no, category, channel, reason)"))
    conn.execute(_REFUSE, ids)
    report.quarantined += conn.execute(_QUARANTINE, ids).scalar_one()
    conn.execute(_NAMES["channel"], ids)
    report.new_categories += conn.execute(_NAMES["category"], ids).rowcount
    report.new_units += conn.execute(_UNITS, ids).scalar_one()
    landed = conn.execute(_PLACED, ids).rowcount
    conn.execute(text("analyze placed (known_id, kind, complaint_no, policy_id, category_id)"))
    added = conn.execute(_ADD, ids).rowcount
    conn.execute(text("select set_config('app.correction', 'on', true)"))
    changed = conn.execute(_correct(mapping), ids).rowcount
    conn.execute(text("select set_config('app.correction', '', true)"))
    if changed:
        conn.execute(_HAPPENED, ids)
        conn.execute(_MOVED, ids)
        report.conflicts += conn.execute(_CONFLICTS, ids).rowcount
    for statement in children:
        conn.execute(statement, ids)
    report.added, report.changed, report.unchanged = report.added + added, report.changed + changed, report.unchanged + landed - added - changed
    report.marked += conn.execute(_COUNTED).scalar_one()
    conn.execute(text("truncate staged, placed"))


def _begin(conn: Connection, source: Source, mapping: Mapping, pack: str) -> dict:
    """Source, calendar and batch: the binds of every statement. ReadError where no row could land."""
    pack, zone = mapping.pack or pack, str(mapping.timezone)
    packs = conn.execute(text("select distinct pack from policy order by 1")).scalars().all()
    if pack not in packs:
        raise ReadError(f"There is no sector pack {pack!r}; there are {', '.join(packs) or 'none'}.")
    known = conn.execute(text("select pack from source where name = :name"), {"name": mapping.name}).scalar()
    if known not in (None, pack):
        raise ReadError(f"The source {mapping.name!r} has pack {known!r}, not {pack!r}; "
                        "give the mapping another [source] name.")
    if len(mapping.unit_path) + ("unit" in mapping.fields) > DEEPEST:
        raise ReadError(f"The mapping's unit_path has more than {DEEPEST} levels.")
    code = mapping.calendar or calendars.country_of(zone) or "CN"
    ids = {"pack": pack, "calendar": calendars.install(conn, code, zone), "name": mapping.name, "tz": zone,
           "limits": "due_at" in mapping.fields, "received_column": "+".join(mapping.fields["received_at"].columns),
           "handler_column": "+".join(mapping.fields["handler"].columns) if "handler" in mapping.fields else "handler"}
    ids["source"] = conn.execute(_SOURCE, ids).scalar_one()
    ids["batch"] = conn.execute(_BATCH, ids | {"file": source.name, "mapping": mapping.digest}).scalar_one()
    return ids


def _given(mapping: Mapping) -> set[str]:
    """The fields of which the mapping says something."""
    return mapping.fields.keys() | mapping.defaults.keys()


# Reading: the file as the text of a COPY, made while it is sent.

class _Ahead:
    """The file as COPY text, converted in a thread of its own while the server works; `part()` is what lands together. What is waiting is bounded."""

    def __init__(self, source: Source, mapping: Mapping, now: datetime, progress: Progress):
        self.given = [name for name in staging.PLAIN if name in _given(mapping)]
        self.more, self.rows, self.told = True, 0, 0
        self.error: BaseException | None = None
        self.source, self.progress = source, progress
        self.waiting: Queue = Queue()
        self.room, self.held, self.stopped = Condition(), 0, False
        self.thread = Thread(target=self._read, args=(mapping, now), name="import", daemon=True)
        self.thread.start()

    def _read(self, mapping: Mapping, now: datetime) -> None:
        last: object = None                                  # the end, or what broke it off
        try:
            for rows, text_of_rows in staging.lines(self.source, mapping, now, self.given):
                self.rows += rows
                if self.rows // 10_000 > self.told:
                    self.told, share = self.rows // 10_000, self.source.progress()
                    self.progress("read", self.rows, round(self.rows / share) if share else None)
                with self.room:
                    self.room.wait_for(lambda: self.held < AHEAD or self.stopped)
                    self.held += len(text_of_rows)
                if self.stopped:
                    return
                self.waiting.put((rows, text_of_rows))
        except BaseException as error:                       # raised again where the file is imported
            last = error
        self.waiting.put(last)

    def part(self) -> Iterator[str]:
        """The next rows, about CHUNK. `more` says whether others come, `error` what broke off the reading."""
        taken = 0
        while taken < CHUNK:
            piece = self.waiting.get()
            if not isinstance(piece, tuple):
                self.more, self.error = False, piece
                return
            with self.room:
                self.held -= len(piece[1])
                self.room.notify()
            taken += piece[0]
            yield piece[1]

    def close(self) -> None:
        """The thread ends, whether or not the file was read to its end: the source is closed next."""
        with self.room:
            self.stopped = True
            self.room.notify()
        self.thread.join()


class _Stream:
    """The file of a COPY that is made while it is sent."""

    def __init__(self, pieces: Iterator[str]):
        self.pieces, self.rest, self.at = pieces, "", 0

    def read(self, size: int) -> str:
        if self.at >= len(self.rest):
            self.rest, self.at = next(self.pieces, ""), 0
        self.at += size
        return self.rest[self.at - size:self.at]


# Landing.

_SOURCE = text("""
    insert into source (name, tz, pack, seen_at) values (:name, :tz, :pack, clock_timestamp())
    on conflict (name) do update set tz = excluded.tz, seen_at = excluded.seen_at returning source_id""")
_BATCH = text("""
    insert into import_batch (source_id, file, digest, mapping, user_id) values (:source, :file, '', :mapping, me())
    returning batch_id""")
# What the rules of the database would refuse, and with it the whole file: received before any policy; article 11.
_REFUSE = text("""
    update staged s set (field, value, reason) = (select w.field, w.value, w.reason)
      from (select line, complaint_no, :received_column as field, received_at::text as value, 'before_policy' as reason
              from staged
             where reason is null
               and (received_at at time zone :tz)::date < (select min(effective_from) from policy where pack = :pack)
            union all
            select line, complaint_no, :handler_column, handler, 'conflict_of_interest' from staged
             where reason is null and own_case(handler, person_complained)) w
     where s.line = w.line and s.complaint_no = w.complaint_no and s.reason is null""")
_QUARANTINE = text("""
    with bad as (insert into quarantine (batch_id, line, complaint_no, field, value, reason)
                 select :batch, line, complaint_no, field, value, reason from staged where reason is not null order by line
                 returning line)
    select count(distinct line) from bad""")
# Unknown categories and channels are created and listed, never dropped.
_NAMES = {kind: text(f"""
    insert into {kind} (pack, code, name, name_en, source_id)
    select :pack, coalesce(s.name, 'unmapped'), coalesce(s.name, '未注明'), coalesce(s.name, 'not given'), cast(:source as smallint)
      from (select distinct {kind} as name from staged where reason is null) s
     where not exists (select from {kind} k where k.pack = :pack and coalesce(s.name, 'unmapped') in (k.code, k.name, k.name_en))
    on conflict (pack, code) do nothing""") for kind in ("category", "channel")}
# Units: by code or name where there is exactly one, else below "unmapped" of this source.
_UNITS = text("""
    with made as (
        insert into unit_of
        select p.path, f.unit_id, f.added
          from (select path from staged where reason is null
                union select array[accepting_unit] from staged where reason is null and accepting_unit is not null
                union select array[source_unit] from staged where reason is null and source_unit is not null
                union select array[unit_complained] from staged where reason is null and unit_complained is not null
                except select path from unit_of) p
         cross join lateral unit_for(cast(:source as smallint), p.path) f
        returning added)
    select coalesce(sum(added), 0) from made""")
# Every row that lands, with what its texts stand for, beside what is known: kind = added, changed, or null for the same
# again. shifted: the source names another unit than last time. moved, reassigned, recategorised: that happened since.
_HISTORY = """exists (select from event e where e.complaint_id = c.complaint_id and e.cut and {codes}
                         and not exists (select from event v where v.complaint_id = e.complaint_id and v.voids = e.event_id))"""
_PLACE = f"""
    with policy_of as materialized (                       -- of a day, not of a row
        select d.day, policy_at(:pack, d.moment, :calendar) as policy_id
          from (select (received_at at time zone :tz)::date as day, min(received_at) as moment from staged where reason is null group by 1) d)
    select s.*, v.policy_id,
           u.unit_id, a.unit_id as accepting_id, o.unit_id as source_unit_id, b.unit_id as about_id,
           array_to_string(s.path, ' / ') as unit_value, g.category_id, h.channel_id, k.complaint_id as known_id, c.unit_id as known_unit,
           c.dispatched_at as known_dispatched, c.read_at as known_read, c.customer_replied_at as known_customer,
           c.office_replied_at as known_office, c.ended_at as known_ended, c.filed_at as known_filed,
           case when k.complaint_id is null then 'added' when q.differs then 'changed' end as kind,
           q.differs and array_to_string(s.path, ' / ') is distinct from c.source_unit_value as shifted,
           q.differs and {_HISTORY.format(codes="e.unit_to is not null and e.code <> 'charged'")} as moved,
           q.differs and {_HISTORY.format(codes="e.code = 'reassigned'")} as reassigned,
           q.differs and {_HISTORY.format(codes="e.code = 'recategorised'")} as recategorised
      from staged s
      join unit_of u on u.path = s.path
      left join unit_of a on a.path = array[s.accepting_unit]
      left join unit_of o on o.path = array[s.source_unit]
      left join unit_of b on b.path = array[s.unit_complained]
      join (select n.name, x.category_id from (select distinct coalesce(category, 'unmapped') as name from staged) n
             cross join lateral (select category_id from category x where x.pack = :pack and n.name in (x.code, x.name, x.name_en)
                                  order by n.name = x.code desc, x.category_id limit 1) x) g on g.name = coalesce(s.category, 'unmapped')
      join (select n.name, x.channel_id from (select distinct coalesce(channel, 'unmapped') as name from staged) n
             cross join lateral (select channel_id from channel x where x.pack = :pack and n.name in (x.code, x.name, x.name_en)
                                  order by n.name = x.code desc, x.channel_id limit 1) x) h on h.name = coalesce(s.channel, 'unmapped')
      join policy_of v on v.day = (s.received_at at time zone :tz)::date
      left join complaint_key k on k.source_id = :source and k.complaint_no = s.complaint_no
      left join complaint c on c.complaint_id = k.complaint_id
     cross join lateral (select c.complaint_id is not null and s.digest is distinct from c.digest as differs) q
     where s.reason is null"""
_PLACED = text(f"insert into placed {_PLACE}")
_TEMPORARY = [text(statement) for statement in (
    "select set_config('default_statistics_target', '10', true)",        # a sample of 3,000 rows says enough of a part of the file
    f"create temporary table staged ({staging.DEFINITION}) on commit drop", "create temporary table unit_of (path text[], unit_id int, added int) on commit drop",
    f"create temporary table placed on commit drop as {_PLACE} with no data",
    "create temporary table repeats (complaint_no text, repeat_of text, changed boolean) on commit drop")]

# field -> column of complaint, and its value
_COLUMNS = {name: (name, f"p.{name}") for name in (
    "received_at", "dispatched_at", "read_at", "customer_replied_at", "office_replied_at", "closed_at", "filed_at",
    "subcategory", "handler", "amount", "amount_demanded", "outcome", "responsibility", "status", "disputed")}
_COLUMNS |= {
    "registered_at": ("registered_at", "coalesce(p.registered_at, clock_timestamp())"),
    "channel": ("channel_id", "p.channel_id"),
    "category": ("category_id", "p.category_id"),
    "complexity": ("complexity", 'left(p.complexity, 1)::"char"'),
    "source_unit": ("source_unit_id", "p.source_unit_id"),
    "person_complained": ("person", "p.person_complained"),
    "title": ("title", "coalesce(p.title, '')"),
    "major": ("major", "coalesce(p.major, false)"),
    "anonymous": ("anonymous", "coalesce(p.anonymous, false)"),
    "media_level": ("media_level",
                    "coalesce(array_position(array['none', 'city', 'province', 'central'], p.media_level) - 1, 0)"),
    "due_at": ("source_due_at", "p.due_at"),
    "source_verdict": ("source_verdict", """case p.source_verdict when 'on_time' then 'o' when 'late' then 'l' end::"char" """),
}
_ALWAYS = {"source_unit_value": "p.unit_value", "marks": "p.marks", "digest": "p.digest", "limit_by_source": ":limits",
           "batch_id": ":batch"}
_ON_ADD = {"source_id": ":source", "complaint_no": "p.complaint_no", "pack": ":pack", "calendar_id": ":calendar",
           "accepting_unit_id": "coalesce(p.accepting_id, p.unit_id)", "unit_id": "p.unit_id", "first_unit_id": "p.unit_id",
           "about_unit_id": "coalesce(p.about_id, p.unit_id)", "first_category_id": "p.category_id"}
# What the database says of a row is asked for all of them at once, of the functions that its trigger asks; complaint_whole() compares.
_DERIVED = {"policy_id": "p.policy_id", "restricted": "g.restricted", "major": "coalesce(p.major, false) or over_major(p.amount, y.major_amount)",
            "major_reasons": "major_of('{}', p.amount, y.major_amount)",
            "ended_at": """reply_ends(y.end_rule, p.closed_at, p.customer_replied_at, p.office_replied_at, p.filed_at, p.source_unit_id,
                                      coalesce(p.anonymous, false) or g.anonymous)"""}
_NEW = _ON_ADD | dict(_COLUMNS.values()) | _ALWAYS | _DERIVED
_ADD = text(f"""
    insert into complaint ({', '.join(_NEW)})
    select {', '.join(_NEW.values())}
      from placed p left join policy y on y.policy_id = p.policy_id join category g on g.category_id = p.category_id
     where p.kind = 'added' order by p.received_at, p.line""")


def _correct(mapping: Mapping) -> TextClause:
    """Changed rows take over what the mapping gives.

    The source names another unit: where nothing has moved here, that holds from the beginning; else it moves (_MOVED).
    """
    to = dict(_COLUMNS[name] for name in _COLUMNS if name in _given(mapping)) | _ALWAYS
    first = "p.shifted and not p.moved"
    to["unit_id"] = "case when p.shifted then p.unit_id else c.unit_id end"
    to["first_unit_id"] = f"case when {first} then p.unit_id else c.first_unit_id end"
    to["accepting_unit_id"] = f"coalesce(p.accepting_id, case when {first} then p.unit_id else c.accepting_unit_id end)"
    to["about_unit_id"] = f"coalesce(p.about_id, case when {first} then p.unit_id else c.about_unit_id end)"
    to["policy_id"] = """case when c.received_at = p.received_at then c.policy_id
                              else policy_at(c.pack, p.received_at, c.calendar_id) end"""
    if "registered_at" in to:
        to["registered_at"] = "coalesce(p.registered_at, c.registered_at)"
    if "handler" in to:                                      # ours, until the source names another unit
        to["handler"] = "case when p.reassigned and not p.shifted then c.handler else p.handler end"
    if "category_id" in to:                                  # ours stands; what the source says now is where it began
        to["category_id"] = "case when p.recategorised then c.category_id else p.category_id end"
        to["first_category_id"] = """case when p.recategorised and p.category_id = c.category_id then c.first_category_id
                                          else p.category_id end"""
    return text(f"""
        update complaint c set ({', '.join(to)}) = row({', '.join(to.values())})
          from placed p where p.kind = 'changed' and c.complaint_id = p.known_id""")


# A blank that is filled is news, not only a correction: it happened when the source says.
_HAPPENED = text("""
    insert into event (complaint_id, at, code, user_id, params)
    select c.complaint_id, x.at, x.code, me(), jsonb_build_object('batch', cast(:batch as int))
      from placed p
      join complaint c on c.complaint_id = p.known_id
     cross join lateral (values ('dispatched', c.dispatched_at, p.known_dispatched), ('read', c.read_at, p.known_read),
            ('replied_customer', c.customer_replied_at, p.known_customer), ('replied_office', c.office_replied_at, p.known_office),
            ('done', c.ended_at, p.known_ended), ('filed', c.filed_at, p.known_filed)) x (code, at, before)
     where p.kind = 'changed' and x.at is not null and x.before is null
     order by c.complaint_id, x.at""")
_MOVED = text("""
    insert into event (complaint_id, at, code, clock, user_id, unit_from, unit_to, params)
    select c.complaint_id, clock_timestamp(), 'moved', case when c.ended_at <= clock_timestamp() then 'o' else 'r' end, me(),
           p.known_unit, p.unit_id, jsonb_build_object('batch', cast(:batch as int))
      from placed p join complaint c on c.complaint_id = p.known_id
     where p.shifted and p.moved and p.known_unit <> p.unit_id""")
# The source moved it, and meanwhile we had reassigned it: the source wins, and the conflict is listed.
_CONFLICTS = text("""
    insert into event (complaint_id, at, code, user_id, unit_from, unit_to, params)
    select p.known_id, clock_timestamp(), 'unit_conflict', me(), p.known_unit, p.unit_id,
           jsonb_build_object('batch', cast(:batch as int), 'line', p.line)
      from placed p
     where p.shifted and p.reassigned and p.known_unit <> p.unit_id""")
_LANDED = "placed p join complaint_key k on k.source_id = :source and k.complaint_no = p.complaint_no"
# (statement, fields without which there is nothing to do)
_CHILDREN = [(text(statement), fields) for statement, fields in (
    (f"""insert into complaint_text (complaint_id, text, demand, reply)
         select k.complaint_id, coalesce(p.text, ''), coalesce(p.demand, ''), coalesce(p.reply_text, '') from {_LANDED}
          where p.kind = 'changed' or p.kind = 'added' and coalesce(p.text, p.demand, p.reply_text) is not null
         on conflict (complaint_id) do update set text = excluded.text, demand = excluded.demand, reply = excluded.reply""",
     {"text", "demand", "reply_text"}),
    (f"""select keep_persons(array_agg(k.complaint_id), array_agg(p.complainant_name), array_agg(p.complainant_phone)) from {_LANDED}
          where p.kind = 'changed' or p.kind = 'added' and coalesce(p.complainant_name, p.complainant_phone) is not null""",
     {"complainant_name", "complainant_phone"}),
    (f"""insert into call_back (complaint_id, call_no, at, by_whom, outcome, score)
         select k.complaint_id, 1, coalesce(p.closed_at, p.customer_replied_at, p.received_at), 'office', 'answered', p.satisfaction
           from {_LANDED} where p.kind is not null and p.satisfaction is not null
         on conflict (complaint_id, call_no) do update set score = excluded.score, at = excluded.at
          where call_back.by_whom = 'office' and (call_back.score, call_back.at) is distinct from (excluded.score, excluded.at)""",
     {"satisfaction"}),
    (f"""insert into withdrawal (complaint_id, withdrawal_no, requested_at)
         select k.complaint_id, 1, p.withdrawn_at from {_LANDED} where p.kind is not null and p.withdrawn_at is not null
         on conflict (complaint_id, withdrawal_no) do update set requested_at = excluded.requested_at
          where withdrawal.result is null and withdrawal.requested_at <> excluded.requested_at""",
     {"withdrawn_at"}),
    ("""insert into repeats select complaint_no, repeat_of, kind = 'changed' from placed where repeat_of is not null or kind = 'changed'""", {"repeat_of"}),
    (f"""insert into event (complaint_id, at, code, user_id, params)
         select k.complaint_id, coalesce((h.entry -> 'changes' ->> 'registered_at')::timestamptz,
                    (h.entry -> 'changes' ->> 'closed_at')::timestamptz, p.received_at),
                'source_entry', me(), h.entry || jsonb_build_object('batch', cast(:batch as int))
           from {_LANDED} cross join lateral jsonb_array_elements(p.history) with ordinality as h (entry, n)
          where p.kind is not null
            and not exists (select from event e where e.complaint_id = k.complaint_id and e.code = 'source_entry'
                               and e.params ->> 'order' = h.entry ->> 'order' and e.params -> 'changes' = h.entry -> 'changes')
          order by k.complaint_id, h.n""",
     {"history"}),
)]
# The earlier complaint may land later in the file, or with another: asked at the end of every import, not of new rows alone.
_REPEATS = text("""
    update complaint c set repeat_of = b.complaint_id
      from repeats r
      join complaint_key k on k.source_id = :source and k.complaint_no = r.complaint_no
      left join complaint_key b on b.source_id = :source and b.complaint_no = r.repeat_of
     where c.complaint_id = k.complaint_id and c.repeat_of is distinct from b.complaint_id and (b.complaint_id is not null or r.changed)""")
_COUNTED = text("select count(*) from placed where marks <> '{}'")
_COUNTS = ("rows", "added", "changed", "unchanged", "quarantined", "marked", "conflicts")
_FINISH = text(f"""
    update import_batch set finished_at = clock_timestamp(), digest = :digest, {', '.join(f'{c} = :{c}' for c in _COUNTS)}
     where batch_id = :batch""")
