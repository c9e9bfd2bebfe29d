"""Complaints: the list behind any figure, the search over it, one complaint whole, its timeline."""
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

import pandas as pd
from sqlalchemy import Connection, TextClause, text
from sqlalchemy.exc import DBAPIError

from queries import rollups
from queries.figures import NARROW, _where, counts, stocks, within
from queries.indicators import CATALOGUE, PART, URGENT, facts

LIMIT = 500         # rows of a list that is not asked for in full: more nobody reads on a screen, and each costs a page as much as ten figures
CAP = 10_000        # counted up to here; beyond it a list says "more than"
SHORT = 5_000       # a list that is counted first, and then looked up complaint by complaint
MOST = 100_000      # rows of a list in which words are looked for one by one

# One row of a list (look.md §3) for the complaints in `picked`.
_ROW = """
    select p.complaint_id, coalesce(c.complaint_no, number_of_own(p.complaint_id)) as complaint_no, c.complaint_id is null as former, p.total, p.counted, p.clock, p.state, p.days_late, p.days_used, p.days_open, p.due_at, p.received_at, p.ended_at,
           p.provisional, c.version,
           array_remove(array[case when c.major then 'major' end, case when c.media_level > 0 then 'media' end,
                              case when c.channel_kind in ('regulator', 'central_bank') then 'regulator' end,
                              case when d.complaint_id is not null then 'directive' end, case when c.repeat_of is not null then 'repeat' end,
                              case when c.anonymous then 'anonymous' end], null) as marks,
           coalesce(c.customer_replied_at is null and not c.anonymous, false) as lacks_customer,
           coalesce(c.source_unit_id is not null and c.office_replied_at is null, false) as lacks_office,
           coalesce(c.title, '') as title, p.category_id, p.channel_id, c.handler,
           p.about_unit_id, p.unit_id, p.charged_unit_id, p.unit_id as responsible_id,
           a.name as about, coalesce(a.short, a.name) as about_short, u.name as unit, coalesce(u.short, u.name) as unit_short, g.name as charged,
           a.name_en as about_en, u.name_en as unit_en, g.name_en as charged_en,
           case when h.sent_at is null then 'at_unit' when h.signed_at is null then 'to_sign' when r.at is not null then 'drafting' else 'investigating' end as stage,
           greatest(0, today.ordinal - since.ordinal) as stage_days,
           case when p.due_ord is not null and arrived.ordinal is not null then p.due_ord - arrived.ordinal end as days_left_on_arrival,
           p.due_ord - today.ordinal as days_left,
           k.name as contact, k.phone as contact_phone,
           urges.n as urges, urges.last_at as urged_at, urges.signed as urge_signed, urges.promised_on,
           l.reason as delay_reason
      from picked p
      left join complaint c on c.complaint_id = p.complaint_id       -- none: the viewer had it before, and sees its own stretch only
      join unit a on a.unit_id = p.about_unit_id
      join unit u on u.unit_id = p.unit_id
      join unit g on g.unit_id = p.charged_unit_id
      join calendar z on z.calendar_id = p.calendar_id
      join workday today on today.calendar_id = z.calendar_id and today.day = (:as_of at time zone z.tz)::date
      left join lateral (select h.sent_at, h.signed_at from hop h where h.complaint_id = p.complaint_id and h.sent_at <= :as_of order by h.hop_no desc limit 1) h on true
      left join lateral (select r.at from reply r where r.complaint_id = p.complaint_id and r.at <= :as_of order by r.at desc limit 1) r on true
      left join workday since on since.calendar_id = z.calendar_id
             and since.day = (coalesce(r.at, h.signed_at, h.sent_at, p.valid_from) at time zone z.tz)::date
      left join workday arrived on arrived.calendar_id = z.calendar_id and arrived.day = (p.valid_from at time zone z.tz)::date
      left join unit_contact k on k.unit_id = p.unit_id and k.rank = 1
      left join lateral (select count(*) as n, max(x.sent_at) as last_at, (array_agg(x.acknowledged_at <= :as_of order by x.sent_at desc))[1] as signed,
                                (array_agg(x.promised_on order by x.sent_at desc))[1] as promised_on
                           from urge x where x.complaint_id = p.complaint_id and x.sent_at <= :as_of) urges on true
      left join lateral (select mask_text(y.reason) as reason from delay y where y.complaint_id = p.complaint_id and y.reported_at <= :as_of order by y.delay_no desc limit 1) l on true
      left join lateral (select v.complaint_id from directive v where v.complaint_id = p.complaint_id and v.at <= :as_of limit 1) d on true
     order by p.place"""
_ORDER = f"{', '.join(f'({one}) is true desc' for one in URGENT)}, s.days_late desc nulls last, s.due_at, s.complaint_id"
SORTS = {"urgent": _ORDER, "newest": "s.received_at desc, s.complaint_id desc", "oldest": "s.received_at, s.complaint_id",
         "due": "s.due_at nulls last, s.complaint_id", "late": "s.days_late desc nulls last, s.due_at, s.complaint_id"}
_BY_DATE = ("newest", "oldest", "due")     # orders that an index has
_BY_CALL = ("low_score", "call_again")      # whose first rows are found in the order of calls, see queries/satisfaction.py
MARKS = {"major": "c.major", "media": "c.media_level > 0", "regulator": "(c.channel_kind in ('regulator', 'central_bank')) is true",
         "directive": "exists (select from directive v where v.complaint_id = s.complaint_id and v.at <= :as_of)",
         "repeat": "c.repeat_of is not null", "anonymous": "c.anonymous"}
# A number that was typed whole comes first; the words are looked for in the database, by what this viewer may read (0011_find.sql).
_NEWEST = text("""select ids, more from find_newest(cast(:words as text[]), cast(:most as int), cast(:since as timestamptz), cast(:until as timestamptz))""")
_AMONG = text("select array(select find_among(cast(:ids as bigint[]), cast(:words as text[])))")
_EXACT = "(lower(c.complaint_no) = lower(:exact)) desc, "
_CHOSEN = "{}.complaint_id = any (cast(:ids as bigint[]))"
_CELL = """(cast(:state as text) is null or s.state = cast(:state as "char"))
       and (cast(:late_from as int) is null or s.days_late between cast(:late_from as int) and cast(:late_to as int))"""
AGEING = tuple(zip((0, *(most + 1 for most in rollups.AGES)), (*rollups.AGES, 100_000)))     # working days late, from and to


@lru_cache(maxsize=1024)
def _statement(code: str, part: str, sort: str = "urgent", mark: str | None = None, searched: bool = False, chosen: bool = False,
               passed: bool = False, capped: bool = False) -> TextClause:
    i = CATALOGUE[code]
    num = i.num or "true"
    order = _EXACT * searched + (SORTS | {"any": "s.complaint_id"})[sort]
    among = _CHOSEN if chosen else "true"
    source = facts('c.', i.den, num)
    if passed:                                     # of what was handed on, the last stretch that this viewer may see
        source = source.replace("state(:as_of) as s", f"(select s.* from {_LAST_SEEN.format(which=among.format('x'))}) as s", 1)
    where = f"{_where(i)} and {PART[part].format(den=i.den, num=num)} and {_CELL} and {among.format('s')} and {MARKS.get(mark, 'true')}"
    # In an order that an index has, the first rows are had without the others: these are counted apart, and no further than the cap.
    total = f"(select count(*) from (select from {source} where {where} limit :cap) as n)" if capped else "count(*) over ()"
    return text(f"""with picked as (
        select s.complaint_id, s.clock, s.state, s.days_late, s.days_used, s.days_open, s.due_at, s.due_ord, s.received_at, s.ended_at, s.provisional,
               s.unit_id, s.charged_unit_id, s.about_unit_id, s.category_id, s.channel_id, s.valid_from, s.calendar_id, coalesce(({num}), false) as counted,
               {total} as total, row_number() over (order by {order}) as place
          from {source}
         where {where}
         order by {order} limit :limit offset :offset)
    {_ROW}""")


# The stretch in force, or for a unit that had it before the last one it may see, as it was when it left. `offset 0`: one look a
# complaint by its key; under row security the planner expects four rows and would compare all with all.
_LAST_SEEN = """(select distinct on (x.complaint_id) x.complaint_id, least(:as_of, x.valid_to - interval '1 microsecond') as t
                    from clock_span as x where {which} and x.clock = 'r' and x.valid_from <= :as_of
                   order by x.complaint_id, x.valid_from desc) as seen
          join lateral (select * from state(seen.t) as q where q.complaint_id = seen.complaint_id and q.clock = 'r' offset 0) as s on true"""
_BY_ID = text(f"""with picked as (
        select s.complaint_id, s.clock, s.state, s.days_late, s.days_used, s.days_open, s.due_at, s.due_ord, s.received_at, s.ended_at, s.provisional,
               s.unit_id, s.charged_unit_id, s.about_unit_id, s.category_id, s.channel_id, s.valid_from, s.calendar_id, true as counted,
               cast(:total as bigint) as total, array_position(cast(:ids as bigint[]), s.complaint_id) as place
          from {_LAST_SEEN.format(which="x.complaint_id = any (cast(:ids as bigint[]))")})
    {_ROW}""")


def listing(conn: Connection, code: str, *, as_of: datetime, limit: int | None = LIMIT, offset: int = 0, exact: bool = False, **asked) -> pd.DataFrame:
    """The complaints behind an indicator of the catalogue: exactly those that its count counts, marks first, then days late.

    `asked`: start, end; what narrows: unit, category, channel, source (ids), state, ageing (index of AGEING), mark (of MARKS),
    part (den: all, `counted` marks the numerator; num; rest), ids, search: words that must all stand somewhere in what this viewer
    may read of a complaint; sort (of SORTS); zone. Days are working days. Column `total` = how many there are in all; where `more`
    there are others behind them: of a search the newest CAP stand for all, of a list by date the first CAP are counted. Without a limit,
    or where it has to be `exact`, nothing is left out, whatever it takes. `attrs["ids"]`, where it is known: all of the list.
    """
    among, total = _first(conn, code, as_of, offset + limit, asked) if limit is not None else (None, None)
    if among is not None:
        asked["ids"] = tuple(among)
    statement, params, more = _asked(conn, code, as_of=as_of, whole=exact or limit is None, **asked)
    found = params.pop("found")
    if found is not None and limit is not None:    # they come in this order, and nothing narrows them: only those of the page are looked at
        rows = pd.read_sql_query(statement, conn, params=params | {"ids": _array(found[offset:offset + limit]), "limit": limit, "offset": 0})
        rows = rows.assign(total=len(found), more=more)
        rows.attrs["ids"] = found
        return rows
    rows = pd.read_sql_query(statement, conn, params=params | {"limit": limit, "offset": offset})
    if params["cap"] and len(rows) and rows["total"].iloc[0] > CAP:
        rows, more = rows.assign(total=CAP), True
    if total is not None and len(rows):
        rows = rows.assign(total=total)
    return rows.assign(more=more)


def _cells(conn: Connection, code: str, as_of: datetime, asked: dict) -> "rollups.Cells | None":
    """The cells, where they know how many this list has."""
    if code not in rollups.LINE_OF and code != "backlog" or asked.get("ids") is not None or asked.get("search"):
        return None
    params = {"category": None, "channel": None, "source": None, "zone": "Asia/Shanghai"} | asked | {"as_of": as_of, "parent": None} | within(conn, asked.get("unit"))
    return rollups.serving(conn, params, "all")


def _total(conn: Connection, code: str, cells: "rollups.Cells", asked: dict, part: str = "den") -> int:
    """How many complaints the list has that nothing narrows but place, period, category and channel, and the part of a rate."""
    p, place = cells.params, {name: asked[name] for name in ("unit", "category", "channel") if name in asked}
    if code == "backlog":
        return int(stocks(conn, (p["as_of"].astimezone(ZoneInfo(p["zone"])),), **place).backlog.iloc[0])
    n = counts(conn, (code,), as_of=p["as_of"], start=p["start"], end=p["end"], zone=p["zone"], **place).iloc[0]
    den, num = int(n[f"{code}_den"]), int(n.get(f"{code}_num", n[f"{code}_den"]))
    return {"den": den, "num": num, "rest": den - num}[part]


def _whole_list(asked: dict, **usual: str) -> bool:
    """Nothing but place, period, category and channel narrows it, and what else is asked is what is usual."""
    return all(asked.get(name) in (None, usual.get(name)) for name in ("part", "sort", "state", "ageing", "mark") if usual.get(name) != "any")


def _first(conn: Connection, code: str, as_of: datetime, most: int, asked: dict) -> tuple[list[int] | None, int | None]:
    """Complaints among which the first rows of a list are (None: it has to be read as a whole), and how many it has in all (None: its rows say it). Of a long list
    the most urgent or latest: days late follow from the day of the limit where there is one calendar. Of a short one all."""
    cells, sort = _cells(conn, code, as_of, asked), asked.get("sort") or "urgent"
    if cells is None:
        return None, None
    listed = None if code in _BY_CALL else rollups.LISTED.get(code)
    if listed and listed.ordered(sort) and cells.alike and cells.params["hi"] - cells.params["lo"] >= NARROW and _whole_list(asked, part="den", sort="any"):
        among = rollups.among(conn, cells, code, most, sort)
        return among, None if len(among) < most else _total(conn, code, cells, asked)
    if CATALOGUE[code].cohort not in rollups.PERIODIC:
        return None, None
    if _total(conn, code, cells, asked) <= SHORT:
        return rollups.counting(conn, cells, code), None
    if not cells.alike or not _whole_list(asked, part="any", sort="any"):
        return None, None
    part = asked.get("part") or "den"
    among = rollups.counting(conn, cells, code, part, sort, most)
    return among, None if among is None else _total(conn, code, cells, asked, part)


def stream(conn: Connection, code: str, *, as_of: datetime, rows: int = 5_000, **asked) -> Iterator[pd.DataFrame]:
    """The whole of `listing`, in its order, in frames of so many rows: one cursor, so one snapshot and bounded memory."""
    statement, params, _ = _asked(conn, code, as_of=as_of, whole=True, **asked)
    conn.execute(text("set local cursor_tuple_fraction = 1"))      # all of it will be read; a plan for the first rows takes four times as long
    with conn.execute(statement, params | {"limit": None, "offset": 0}, execution_options={"stream_results": True, "max_row_buffer": rows}) as found:
        names = list(found.keys())
        for some in found.partitions(rows):
            yield pd.DataFrame(some, columns=names)


def _asked(conn: Connection, code: str, *, as_of: datetime, start: datetime, end: datetime, whole: bool, part: str = "den", unit: int | None = None,
           category: int | None = None, channel: int | None = None, source: int | None = None, zone: str = "Asia/Shanghai",
           state: str | None = None, ageing: int | None = None, mark: str | None = None, search: str | None = None,
           ids: tuple[int, ...] | None = None, sort: str = "urgent") -> tuple[TextClause, dict, bool]:
    """The statement of a list, its parameters but limit and offset, and whether words were found in more complaints than it has."""
    late, wanted = AGEING[ageing] if ageing is not None else (None, None), terms(search)
    cohort, more = CATALOGUE[code].cohort, False
    passed = cohort == "all" and not conn.execute(text("select sees_all()")).scalar()
    params = dict(as_of=as_of, start=start, end=end, category=category, channel=channel, source=source, zone=zone, state=state,
                  late_from=late[0], late_to=late[1], exact=" ".join(wanted), cap=None, found=None) | within(conn, unit)
    special = {"sort": sort, "mark": mark, "searched": bool(wanted), "chosen": ids is not None, "passed": passed, "capped": False}
    if wanted:                                     # first which, then the rest: of a function's rows the planner knows nothing
        found, more = conn.execute(_NEWEST, {"words": wanted, "most": None if whole else CAP, "until": as_of,
                                             "since": start if cohort == "received" else datetime(1, 1, 2, tzinfo=UTC)}).one()
        narrowed = cohort != "all" or mark or any(params[name] is not None for name in ("category", "channel", "source", "state", "late_from")) or unit
        if ids is None and sort == "newest" and part == "den" and not narrowed:
            params["found"] = found
        if more and narrowed:                      # words that stand everywhere: the list first, and of it those that hold them
            of_list = _alone(_made(code, part, special | {"searched": False}).text)
            some = list(conn.execute(of_list, params | {"limit": MOST + 1, "offset": 0, "ids": _array(ids)}).scalars())
            found, more = conn.execute(_AMONG, {"ids": some, "words": wanted}).scalar_one(), len(some) > MOST
        ids = found if ids is None else set(found) & set(ids)
    special["chosen"] = ids is not None
    if ids is None and not whole and sort in _BY_DATE:
        special["capped"], params["cap"] = True, CAP + 1
    return _made(code, part, special), params | {"ids": _array(ids)}, more


def _made(code: str, part: str, special: dict) -> TextClause:
    usual = {"sort": "urgent"}
    return _statement(code, part, **{name: value for name, value in special.items() if value and value != usual.get(name)})


def _array(ids) -> str:
    return f"{{{','.join(map(str, ids or ()))}}}"


def terms(search: str | None) -> list[str]:
    """The words of a search: at most eight, of at most 60 characters; empty for nothing to look for."""
    return [word[:60] for word in (search or "").replace("\0", "").split()][:8]


def find_person(conn: Connection, *, who: str) -> tuple[int, ...]:
    """Complaints of one person within the viewer's scope: a whole telephone number, identity number or name, however it was typed.

    For a transaction that may write: the question is audited with what it found, itself masked. At most 1,000, the newest first.
    """
    try:
        return tuple(conn.execute(text("select find_person(:who)"), {"who": who}).scalars())
    except DBAPIError as error:
        error.hide_parameters = True               # the person's number does not go into a log
        raise


def exported(conn: Connection, *, list: str, format: str, rows: int) -> None:
    """Leave the trace of an export: who (the viewer), which list, how many rows."""
    conn.execute(text("select exported(:list, :format, :rows)"), {"list": list, "format": format, "rows": rows})


def by_id(conn: Connection, ids: list[int], *, as_of: datetime) -> pd.DataFrame:
    """The same rows for given complaints (the ledger's lines), in the given order; those that the viewer may not see are left out."""
    frame = pd.read_sql_query(_BY_ID, conn, params={"ids": ids[:LIMIT], "total": len(ids), "as_of": as_of})
    return frame.set_index("complaint_id", drop=False).loc[[i for i in ids[:LIMIT] if i in set(frame.complaint_id)]].reset_index(drop=True) if len(frame) else frame


_WHOLE = text(f"""
    select c.complaint_id, c.complaint_no, c.version, c.title, c.category_id, c.first_category_id, c.subcategory, c.channel_id, c.channel_kind,
           c.received_at, c.registered_at, c.dispatched_at, c.customer_replied_at, c.office_replied_at, c.closed_at, c.filed_at, c.exclusion, c.handler, c.person,
           c.amount, c.amount_demanded, c.major, c.major_reasons, c.anonymous, c.malicious, c.media_level, c.repeat_of, c.responsibility, c.outcome, c.marks,
           c.source_due_at, c.source_verdict, c.source_unit_id, c.unit_id as unit_now, c.about_unit_id, c.accepting_unit_id,
           coalesce(c.complexity, k.complexity) as complexity,
           s.clock, s.state, s.first_state, s.days_late, s.days_used, s.days_open, s.target_at, s.due_at, s.due_from, s.first_due_at, s.provisional,
           s.ended_at, s.excluded_at, s.charged_unit_id, s.unit_id, s.calendar_id, s.started_ord, s.due_ord,
           a.name as about, u.name as unit, g.name as charged, q.name as source_unit, b.name as accepting,
           a.name_en as about_en, u.name_en as unit_en, g.name_en as charged_en, q.name_en as source_unit_en, b.name_en as accepting_en, src.name as source
      from complaint c
      join category k on k.category_id = c.category_id
      join lateral {_LAST_SEEN.format(which="x.complaint_id = c.complaint_id")} on true
      join source src on src.source_id = c.source_id
      join unit a on a.unit_id = c.about_unit_id
      join unit u on u.unit_id = s.unit_id
      join unit g on g.unit_id = s.charged_unit_id
      join unit b on b.unit_id = c.accepting_unit_id
      left join unit q on q.unit_id = c.source_unit_id
     where c.complaint_no = :number and (cast(:source as text) is null or src.name = :source)
     order by c.complaint_id limit 1""")


def whole(conn: Connection, number: str, *, as_of: datetime, source: str | None = None) -> pd.Series | None:
    """One complaint by its number with the state of its reply clock, or None: outside the scope is the same as not there."""
    frame = pd.read_sql_query(_WHOLE, conn, params={"number": number, "source": source, "as_of": as_of})
    return None if frame.empty else frame.iloc[0]


_CLOCKS = text("""
    select s.clock, s.state, s.started_at, s.target_at, s.due_at, s.ended_at, s.days_late, s.days_used, s.provisional, s.due_from, u.name as unit, u.name_en as unit_en
      from state(:as_of) s join unit u on u.unit_id = s.unit_id
     where s.complaint_id = :id order by array_position(array['r','d','s','o','w','k']::"char"[], s.clock)""")
_EVENTS = text("""
    select e.at, e.event_id, e.code, e.clock, mask_text(e.reason) as reason, e.params, u.name as unit_to, u.name_en as unit_to_en, f.name as unit_from, f.name_en as unit_from_en,
           e.category_from, e.category_to, e.keeps_limit, e.due_to, who_is(e.user_id) as who, e.recorded_at
      from event e
      left join unit u on u.unit_id = e.unit_to
      left join unit f on f.unit_id = e.unit_from
     where e.complaint_id = :id and e.at <= :as_of
     order by e.at desc, e.event_id desc""")
_TEXTS = text("select text, demand, reply from texts_of(:id)")
_REPLIES = text("""
    select reply_no, at, not_applicable, not_applicable_reason, complete, mask_text(facts) as facts, mask_text(person_treated) as person_treated,
           mask_text(lessons) as lessons, mask_text(satisfaction) as satisfaction, mask_text(handled) as handled, handler, telephone
      from reply where complaint_id = :id and at <= :as_of order by reply_no desc limit 1""")
_PERSON = text("select name, phone from complainant_masked(:id)")
_URGES = text("""select urge_id, level, sent_at, work_day, unit_id, contact, phone, via, spoke_to, mask_text(note) as note, user_name, ack_due_at, acknowledged_at, answered_at,
                        mask_text(answer) as answer, promised_on, who_is(user_id) as who from urge where complaint_id = :id and sent_at <= :as_of order by sent_at desc""")
_URGED_TODAY = text("""
    select g.complaint_id, g.level, g.user_name as who, g.sent_at
      from urge g join complaint c using (complaint_id)
     where g.complaint_id = any (cast(:ids as bigint[])) and g.work_day = work_day_of(:as_of, c.calendar_id)
     order by g.sent_at desc""")
_CONTACTS = text("""select rank, k.name, k.phone from unit_contact k where k.unit_id = :unit order by rank""")
_HOLDERS = text("""
    select u.name as unit, u.name_en as unit_en, min(s.valid_from) as from_at, sum(b.ordinal - a.ordinal)::int as days
      from clock_span s
      join unit u using (unit_id)
      join calendar k using (calendar_id)
      join workday a on a.calendar_id = k.calendar_id and a.day = (s.valid_from at time zone k.tz)::date
      join workday b on b.calendar_id = k.calendar_id and b.day = (least(s.valid_to, case when s.ended_at is not null then greatest(s.ended_at, s.valid_from) end, :as_of) at time zone k.tz)::date
     where s.complaint_id = :id and s.clock = 'r' and s.valid_from <= :as_of
     group by u.unit_id, u.name, u.name_en order by 3""")


_STRETCHES = text("""
    select s.received_at, s.valid_from, least(s.valid_to, :as_of) as valid_to, s.target_at, s.due_at, s.provisional, s.category_id, s.channel_id, u.name as unit, u.name_en as unit_en,
           clock_state(least(:as_of, s.valid_to - interval '1 microsecond'), s.target_at, s.due_at, s.ended_at, s.excluded_at) as state
      from clock_span s join unit u using (unit_id)
     where s.complaint_id = own_complaint(:number) and s.clock in ('r', 'o') and s.valid_from <= :as_of order by s.valid_from""")


def own_stretches(conn: Connection, number: str, *, as_of: datetime) -> pd.DataFrame:
    """Of a complaint that this viewer had before and has nothing to do with now, its own stretches: received_at, valid_from, valid_to, target_at,
    due_at, provisional, category_id, channel_id, unit, state (when it left). Empty for any other number."""
    return pd.read_sql_query(_STRETCHES, conn, params={"number": number, "as_of": as_of})


def clocks(conn: Connection, complaint_id: int, *, as_of: datetime) -> pd.DataFrame:
    """Every clock of a complaint: clock, state, started_at, target_at, due_at, ended_at, days_late, days_used (working days), provisional, unit."""
    return pd.read_sql_query(_CLOCKS, conn, params={"id": complaint_id, "as_of": as_of})


def timeline(conn: Connection, complaint_id: int, *, as_of: datetime) -> pd.DataFrame:
    """What happened, latest first: at, code, reason, params, units, categories, who. Codes; the words come at display."""
    return pd.read_sql_query(_EVENTS, conn, params={"id": complaint_id, "as_of": as_of})


def texts(conn: Connection, complaint_id: int) -> pd.Series:
    """Text, demand and reply with identities masked; empty where there are none."""
    frame = pd.read_sql_query(_TEXTS, conn, params={"id": complaint_id})
    return pd.Series({"text": "", "demand": "", "reply": ""}) if frame.empty else frame.iloc[0]


def person(conn: Connection, complaint_id: int) -> pd.Series | None:
    """The complainant, masked: name, phone."""
    frame = pd.read_sql_query(_PERSON, conn, params={"id": complaint_id})
    return None if frame.empty else frame.iloc[0]


def released(conn: Connection, complaint_id: int) -> bool:
    """Whether regulators may read it now; for roles that need not know always False."""
    if not conn.execute(text("select has_table_privilege('released', 'select')")).scalar_one():      # asked first: naming the table is refused already
        return False
    return conn.execute(text("select exists (select from released where complaint_id = :id and withdrawn_at is null)"), {"id": complaint_id}).scalar_one()


def reply(conn: Connection, complaint_id: int, *, as_of: datetime) -> pd.Series | None:
    """The latest written reply with its seven elements (bank rule, article 12), or None."""
    frame = pd.read_sql_query(_REPLIES, conn, params={"id": complaint_id, "as_of": as_of})
    return None if frame.empty else frame.iloc[0]


def urges(conn: Connection, complaint_id: int, *, as_of: datetime) -> pd.DataFrame:
    """Urges of a complaint, latest first."""
    return pd.read_sql_query(_URGES, conn, params={"id": complaint_id, "as_of": as_of})


def urged_today(conn: Connection, ids: list[int], *, as_of: datetime) -> pd.DataFrame:
    """Who urged which of these complaints at what level on this working day: complaint_id, level, who, sent_at."""
    return pd.read_sql_query(_URGED_TODAY, conn, params={"ids": ids, "as_of": as_of})


def contacts(conn: Connection, unit_id: int) -> pd.DataFrame:
    """First and second contact and responsible leader of a unit (article 20): rank, name, phone."""
    return pd.read_sql_query(_CONTACTS, conn, params={"unit": unit_id})


def holders(conn: Connection, complaint_id: int, *, as_of: datetime) -> pd.DataFrame:
    """Who had it and for how many working days: unit, from_at, days."""
    return pd.read_sql_query(_HOLDERS, conn, params={"id": complaint_id, "as_of": as_of})


def ids(conn: Connection, code: str, *, as_of: datetime, **asked) -> frozenset[int] | None:
    """Which complaints `listing` lists in all, from the same predicates and at a part of its cost: what came and what went between two moments.
    None for more than CAP."""
    cells = _cells(conn, code, as_of, asked)
    if cells:
        if _whole_list(asked, part="den", sort="any") and _total(conn, code, cells, asked) > CAP:
            return None
        listed = code in rollups.LISTED and code not in _BY_CALL and cells.alike
        among = rollups.among(conn, cells, code, 1 << 40) if listed else rollups.counting(conn, cells, code, asked.get("part") or "den")
        asked |= {"ids": tuple(among)} if among is not None else {}
    statement, params, more = _asked(conn, code, as_of=as_of, whole=False, **asked | {"sort": "any"})
    found = conn.execute(_alone(statement.text), params | {"limit": CAP + 1, "offset": 0}).scalars().all()
    return None if more or len(found) > CAP else frozenset(found)


@lru_cache(maxsize=256)
def _alone(statement: str) -> TextClause:
    return text(statement.replace(_ROW, "select complaint_id from picked"))


_LEFT = text("""select count(*) from state(:as_of) s where s.clock = 'r' and s.complaint_id = any (cast(:ids as bigint[]))
                   and (s.ended_at <= :as_of or s.excluded_at <= :as_of)""")
_NEWS = text("select count(*) from event e where e.complaint_id = :id and e.recorded_at > :since")


def ended(conn: Connection, some: frozenset[int], *, as_of: datetime) -> int:
    """How many of these complaints are done or excluded at that moment."""
    return conn.execute(_LEFT, {"ids": list(some), "as_of": as_of}).scalar_one() if some else 0


def news(conn: Connection, complaint_id: int, *, since: datetime) -> int:
    """How many entries the history of a complaint has got since that moment."""
    return conn.execute(_NEWS, {"id": complaint_id, "since": since}).scalar_one()
