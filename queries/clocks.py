"""A limit explained: how it is counted, day by day, and which rule and version set it.

Nothing is judged here: `due` asks the database's limit_at(), `explain` reads the stored spans; both lay the calendar
beside the answer.
"""
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pandas as pd
from sqlalchemy import Connection, text

from queries import calendars

LONGEST = 1200  # days a trace may run; a source's limit may stand in 2059


class ClockError(ValueError):
    """The question cannot be answered; the message says why and what there is."""


_RULE = """
    select p.policy_id, p.pack, p.version, p.effective_from, p.title, p.title_en, p.day_zero, p.end_rule,
           p.source_limit, p.moves, l.limit_id, l.amount, l.unit, l.target as rule_target, l.soon, l.owner,
           coalesce(l.article, '') as article
      from policy p left join policy_limit l on l.limit_id = :limit
     where p.policy_id = :policy"""

_DUE = text("""
    select l.limit_id, l.target_at as target, l.due_at as limit, l.provisional
      from limit_at(cast(:policy as int), cast(:clock as "char"), cast(:category as int), cast(:complexity as "char"),
                    cast(:channel as int), cast(:received as timestamptz), cast(:cal as int), null) l""")

_TRACE = text("""
    select w.day, w.working, w.kind, w.name,
           w.ordinal - s.ordinal + (cast(:day_zero as boolean) and s.working)::int as nth
      from workday s join workday w using (calendar_id)
     where calendar_id = :cal and s.day = :first and w.day between :first and :last
     order by w.day""")

_SPAN = text("""
    select s.complaint_id, c.complaint_no, c.pack, c.policy_id, s.seq, s.entry, s.valid_from, s.valid_to,
           s.unit_id, s.charged_unit_id, g.code as category, g.name as category_name, g.name_en as category_name_en,
           h.code as channel, s.received_at, s.started_at, s.target_at, s.due_at, s.due_from, s.limit_id, s.provisional,
           s.first_target_at, s.first_due_at, f.code as first_category, s.ended_at, s.excluded_at,
           s.calendar_id, k.code as calendar, k.tz
      from clock_span s
      join complaint c using (complaint_id)
      join calendar k on k.calendar_id = s.calendar_id
      join category g on g.category_id = s.category_id
      join category f on f.category_id = s.first_category_id
      join channel h on h.channel_id = s.channel_id
     where s.complaint_id = :id and s.clock = :clock and s.valid_from <= :as_of
     order by s.seq""")

_STATE = text("""
    select state, first_state, days_late, days_used, days_open
      from state(:as_of) where complaint_id = :id and clock = :clock""")

_CUTS = text("""
    select e.at, e.recorded_at, e.code, e.unit_from, e.unit_to, a.code as category_from, b.code as category_to,
           e.due_to, e.keeps_limit, e.reason, e.user_id, e.params
      from event e
      left join category a on a.category_id = e.category_from
      left join category b on b.category_id = e.category_to
     where e.complaint_id = :id and e.cut and e.clock = any (cast(:clocks as "char"[])) and e.at <= :as_of
       and not exists (select from event v where v.complaint_id = e.complaint_id and v.voids = e.event_id)
     order by e.at, e.event_id""")


def due(conn: Connection, *, pack: str, category: str, channel: str | None = None, received: datetime, zone: str,
        clock: str = "r", complexity: str | None = None) -> dict:
    """When a complaint received at this moment would have to be done, and why.

    `zone` is the institution's: its calendar counts. clock: r reply, d dispatch, o redo, w verify a withdrawal,
    k call-back, u acknowledge an urge, a answer it; complexity: s or c, where the complaint sets it itself.
    Keys: received, target and limit (aware, in `zone`; None = no limit), provisional; pack, category, category_name,
    category_name_en, channel, clock, zone; the rule: title, title_en, version, effective_from, article, amount,
    unit (w, c, h), rule_target, soon (working days), owner, day_zero, end_rule, source_limit, moves; calendar,
    calendar_id, origin and status of the year in which the limit falls; trace (see `trace`).
    ClockError where pack, category, channel or calendar is not there.
    """
    received = _aware(received)
    cal = _calendar(conn, zone)
    kind = _one(conn, "category", pack, category)
    way = _one(conn, "channel", pack, channel) if channel else None
    policy = conn.execute(text("select policy_at(:pack, :received, cast(:cal as int))"),
                          {"pack": pack, "received": received, "cal": cal.calendar_id}).scalar()
    if policy is None:
        raise ClockError(f"No version of the policy of {pack} is in force on {_day(received, zone)}.")
    found = conn.execute(_DUE, {
        "policy": policy, "clock": clock, "category": kind.id, "complexity": complexity or kind.complexity,
        "channel": way.id if way else None, "received": received, "cal": cal.calendar_id}).mappings().one()
    rule = _rule(conn, policy, found["limit_id"])
    target, limit = _local(found["target"], zone), _local(found["limit"], zone)
    start = received.astimezone(ZoneInfo(zone))
    return {"received": start, "target": target, "limit": limit, "provisional": found["provisional"], **rule,
            "category": category, "category_name": kind.name, "category_name_en": kind.name_en, "channel": channel,
            "clock": clock, "zone": zone, "calendar": cal.code, "calendar_id": cal.calendar_id,
            **_year(conn, cal.calendar_id, limit or start),
            "trace": trace(conn, cal.calendar_id, start, limit or start, zone=zone, unit=rule["unit"] or "w",
                           day_zero=rule["day_zero"], target=target, limit=limit)}


def trace(conn: Connection, calendar_id: int, started_at: datetime, until: datetime, *, zone: str, unit: str = "w",
          day_zero: bool = False, target: datetime | None = None, limit: datetime | None = None,
          today: datetime | None = None) -> pd.DataFrame:
    """Day by day from the start of a clock: day, working, kind, name, count, late, marks.

    count: 0 on the day of receipt (1 where it counts), then 1…N on the days that count; empty on days that do not, and
    for hours. late: 1, 2, … the working days after the limit's day.
    marks: received, target, limit, today, joined by a comma.
    """
    first = _day(started_at, zone)
    last = max(_day(until, zone), first)
    days = pd.read_sql_query(_TRACE, conn, params={"cal": calendar_id, "first": first, "day_zero": day_zero,
                                             "last": min(last, first + timedelta(days=LONGEST))})
    if unit == "c":
        days["count"] = pd.Series(range(len(days)), dtype="Int64") + int(day_zero)
    elif unit == "h":
        days["count"] = pd.Series(pd.NA, index=days.index, dtype="Int64")
    else:
        days["count"] = days["nth"].astype("Int64").where(days["working"] | (days["day"] == first))
    end = _day(limit, zone) if limit else None
    at_limit = days.loc[days["day"] <= end, "nth"].max() if end else pd.NA
    late = days["nth"].astype("Int64") - at_limit
    days["late"] = late.where((late > 0) & days["working"]).astype("Int64")
    moments = {"received": first, "target": _day(target, zone) if target and target != limit else None, "limit": end,
               "today": _day(today, zone) if today else None}
    days["marks"] = [",".join(name for name, day in moments.items() if day == d) for d in days["day"]]
    return days[["day", "working", "kind", "name", "count", "late", "marks"]]


def explain(conn: Connection, complaint_id: int, as_of: datetime, *, clock: str = "r") -> dict | None:
    """One clock of a stored complaint at a moment, or None if it had not begun or is not to be seen.

    Keys: span (the stretch in force: limits, units, category, due_from p policy | s source | l moved), state (state,
    first_state, days_late, days_used, days_open), cuts (what happened to the clock before: at, code, from, to,
    reason …, oldest first), rule (version and limit, as in `due`), calendar (code, tz, and of the limit's year status
    and origin), received, first_limit, target, limit (aware, in the calendar's zone), trace (to the limit or `as_of`,
    whichever is later).
    """
    as_of = _aware(as_of)
    asked = {"id": complaint_id, "clock": clock, "as_of": as_of}
    spans = conn.execute(_SPAN, asked).mappings().all()
    if not spans:
        return None
    span = dict(spans[-1])
    zone = span["tz"]
    rule = _rule(conn, span["policy_id"], span["limit_id"])
    started, target, limit = (_local(span[k], zone) for k in ("started_at", "target_at", "due_at"))
    now = as_of.astimezone(ZoneInfo(zone))
    state = conn.execute(_STATE, asked).mappings().one_or_none()
    cuts = conn.execute(_CUTS, asked | {"clocks": ["r", "s"] if clock == "s" else [clock]}).mappings()
    return {"span": span, "state": dict(state) if state else None, "cuts": [dict(cut) for cut in cuts], "rule": rule,
            "calendar": {"code": span["calendar"], "tz": zone, **_year(conn, span["calendar_id"], limit or started)},
            "received": _local(span["received_at"], zone), "first_limit": _local(span["first_due_at"], zone),
            "target": target, "limit": limit,
            "trace": trace(conn, span["calendar_id"], started, max(limit or now, now), zone=zone,
                           unit="w" if span["due_from"] == "s" else rule["unit"] or "w",
                           day_zero=rule["day_zero"], target=target, limit=limit, today=now)}


def _rule(conn: Connection, policy: int, limit: int | None) -> dict:
    return dict(conn.execute(text(_RULE), {"policy": policy, "limit": limit}).mappings().one())


def _year(conn: Connection, calendar_id: int, moment: datetime) -> dict:
    """status and origin of the calendar's year in which a moment falls; None where the calendar does not reach."""
    found = conn.execute(text("select status, origin from calendar_year where calendar_id = :cal and year = :year"),
                         {"cal": calendar_id, "year": moment.year}).mappings().one_or_none()
    return dict(found) if found else {"status": None, "origin": None}


def _calendar(conn: Connection, zone: str):
    """calendar_id and code of the zone's calendar: its country's, else the only one there."""
    rows = conn.execute(text("select calendar_id, code from calendar where tz = :tz order by code <> :code, code"),
                        {"tz": zone, "code": calendars.country_of(zone) or "CN"}).all()
    if not rows:
        there = conn.execute(text("select string_agg(distinct tz, ', ') from calendar")).scalar()
        raise ClockError(f"There is no calendar for the time zone {zone}; there is one for {there or 'none'}.")
    return rows[0]


def _one(conn: Connection, table: str, pack: str, code: str):
    """id, name, name_en (and complexity) of a category or channel of a pack."""
    more = "complexity" if table == "category" else "null"
    rows = conn.execute(text(f"""
        select {table}_id as id, code, name, name_en, {more} as complexity
          from {table} where pack = :p order by sort"""),
        {"p": pack}).all()
    for row in rows:
        if row.code == code:
            return row
    raise ClockError(f"{pack} has no {table} {code}; there are {', '.join(r.code for r in rows)}." if rows
                     else f"There is no pack {pack} in this database.")


def _aware(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ClockError(f"{moment} has no time zone.")
    return moment


def _local(moment: datetime | None, zone: str) -> datetime | None:
    return moment.astimezone(ZoneInfo(zone)) if moment is not None else None


def _day(moment: datetime, zone: str) -> date:
    return moment.astimezone(ZoneInfo(zone)).date()
