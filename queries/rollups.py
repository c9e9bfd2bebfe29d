"""Roll-ups: which figures are kept counted, compiled from the catalogue; how they are built, folded and compared with the raw rows.

A complaint's predicates of the catalogue are looked at once when it was touched (`rollup_look`), kept as bits (`rollup_fact`) and added up in cells
(`rollup`) by line, grain, place and day. What time alone moves is not in the cells: open complaints of the due cohort, limits of today. Readers put
these and whatever was touched since their tick beside the cells, from the raw rows (queries/figures.py), so a figure is never behind its list.
The design and what was measured: docs/decisions.md.
"""
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from hashlib import sha256
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, TextClause, create_engine, text
from sqlalchemy.pool import NullPool

from queries.indicators import CATALOGUE, LABELS, Indicator, facts

SHIFTS = (55, 39, 25)                 # a label cut off here is the unit above it at level 0, 1, 2 (unit_width)
MOVING = {"received_due"}             # moved by time alone, complaint by complaint: never in a cell
DAYS, LINKS = 20, (21, 22, 23, 24)    # lines of days: receipt to done, and the links of the work (queries/timing.py)
CHUNK = 20_000


@dataclass(frozen=True)
class Line:
    """The indicators of one cohort, relation and clock: what a cell of this line counts, by position."""
    number: int
    cohort: str
    unit_of: str
    clock: str
    codes: tuple[str, ...]

    def place(self, code: str, part: str) -> int:
        """Where a cell keeps this count (1-based)."""
        return self._places()[code, part]

    @cache
    def _places(self) -> dict[tuple[str, str], int]:
        parts = [(code, part) for code in self.codes for part in ("den", "num") if part == "den" or CATALOGUE[code].num]
        return {one: place for place, one in enumerate(parts, 1)}

    @property
    def width(self) -> int:
        return len(self._places())


@dataclass(frozen=True)
class Grain:
    """One cube: places of this level, all categories and channels together or each for itself, by day, week or month."""
    number: int
    level: int
    each: bool
    step: str


GRAINS = (Grain(0, 0, False, "day"), Grain(1, 0, True, "day"), Grain(2, 1, False, "day"), Grain(3, 1, True, "month"), Grain(4, 2, False, "week"),
          Grain(5, 2, False, "month"))


def _lines() -> dict[tuple[str, str, str], Line]:
    found: dict[tuple[str, str, str], list[str]] = {}
    for i in CATALOGUE.values():
        own = f"{i.den} {i.num}"
        if i.cohort in ("received", "due", "closed") and i.clock in ("r", "d", "o") and i.code not in MOVING and ":start" not in own:
            found.setdefault((i.cohort, i.unit_of, i.clock), []).append(i.code)
    return {key: Line(number, *key, tuple(codes)) for number, (key, codes) in enumerate(sorted(found.items()), 1)}


LINES = _lines()


# -- what a reader takes from the cells ----------------------------------------------------------------------------------------------------

_TOUCHED = text("select rollup_touched(:as_of, :zone, :catalogue) as touched, (select u.level from unit as u where u.label = :lo and u.label_end = :hi) as level")
_STEPS = {"all": ("day", "week", "month"), "child": ("day", "week", "month"), "level": ("day", "week", "month"), "category": ("day", "week", "month"),
          "category_id": ("day", "week", "month"), "channel": ("day", "week", "month"), "channel_id": ("day", "week", "month"),
          "category_channel": ("day", "week", "month"), "week": ("day", "week"), "child_week": ("day", "week"), "month": ("day", "month"),
          "category_day": ("day",)}                                      # a group -> the steps of time that it can be put together from
_BELOW = {"child": 1, "child_week": 1, "level": 0}
_EACH = {"category", "category_id", "channel", "channel_id", "category_channel", "category_day"}
_GROUP = {"all": "cast('all' as text)", "child": "place.group_id", "level": "place.group_id", "category_id": "r.category_id", "channel_id": "r.channel_id",
          "category": "(select k.name from category as k where k.category_id = r.category_id)",
          "channel": "(select k.name from channel as k where k.channel_id = r.channel_id)", "category_channel": "r.category_id * 1000 + r.channel_id",
          "week": "to_char(date_trunc('week', r.day), 'YYYY-MM-DD')", "month": "to_char(r.day, 'YYYY-MM')",
          "child_week": "place.group_id || ' ' || to_char(date_trunc('week', r.day), 'YYYY-MM-DD')",
          "category_day": "r.category_id || ' ' || to_char(r.day, 'YYYY-MM-DD')"}
_FILTERS = """(cast(:category as int) is null or r.category_id = cast(:category as int))
       and (cast(:channel as int) is null or r.channel_id = cast(:channel as int))"""


def serving(conn: Connection, params: dict, by: str) -> "Cells | None":
    """The cells as they may be used for this question, or None: another zone or a source is asked for, the groups are others than the cells', the
    account's scope is no place of theirs, they are being built, or very much was touched since :as_of."""
    if by not in _STEPS or params["source"] is not None:
        return None
    found = conn.execute(_TOUCHED, {"as_of": params["as_of"], "zone": params["zone"], "catalogue": compiled()[0], "lo": params["lo"], "hi": params["hi"]}).one()
    whole = params["lo"] <= 0
    if found.touched is None or not whole and (found.level is None or found.level >= len(SHIFTS)):
        return None
    level = 0 if whole else found.level
    if by in _BELOW:                           # groups lie one level below their parent; with none they are the roots
        parent = conn.execute(text("select level from unit where unit_id = cast(:parent as int)"), params).scalar()
        level = max(level, 0 if parent is None else parent + _BELOW[by])
    if level >= len(SHIFTS):
        return None
    return Cells(params, level, list(found.touched))


@dataclass(frozen=True)
class Core:
    """The part of a period that cells answer: `statement` counts it, `stored` takes away what touched complaints still count for in them, `rest`
    are the stretches before and after it."""
    statement: TextClause
    stored: TextClause
    params: dict
    start: datetime
    end: datetime
    rest: list[tuple[datetime, datetime]]


@dataclass(frozen=True)
class Cells:
    """Cells that may answer a question about places down to `level`; `touched` complaints are to be read raw in their stead."""
    params: dict
    level: int
    touched: list[int]

    def core(self, codes: tuple[str, ...], by: str) -> Core | None:
        """What the cells can say of these indicators (one cohort, unit and clock); None: nothing."""
        i = CATALOGUE[codes[0]]
        line = LINES.get((i.cohort, i.unit_of, i.clock))
        if line is None or not set(codes) <= set(line.codes):
            return None
        found = self.span(by, past=i.cohort == "due")
        if found is None:
            return None
        grain, start, end, rest = found
        params = {"line": line.number, "grain": grain.number, "first": start.date(), "last": end.date()}
        return Core(_cell_statement(codes, by), _stored_statement(codes, by), params, start, end, rest)

    def span(self, by: str, past: bool) -> tuple[Grain, datetime, datetime, list[tuple[datetime, datetime]]] | None:
        """The grain that leaves least of the period to the raw rows, and what it covers. past: only days that are over."""
        p, zone = self.params, ZoneInfo(self.params["zone"])
        each = by in _EACH or p["category"] is not None or p["channel"] is not None
        today = p["as_of"].astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
        asked_start, asked_end = (_local(p[name], zone) for name in ("start", "end"))
        best = None
        for grain in GRAINS:
            if grain.level < self.level or grain.each < each or grain.step not in _STEPS[by]:
                continue
            start, end = _ceil(asked_start, grain.step), _floor(min(asked_end, today) if past else asked_end, grain.step)
            if start >= end:
                continue
            covered = (end - start).days
            if best is None or covered > best[0]:
                rest = [(a, b) for a, b in ((p["start"], start), (end, p["end"])) if _local(a, zone) < _local(b, zone)]
                best = (covered, grain, start, end, rest)
        return best and best[1:]


def _local(moment: datetime, zone: ZoneInfo) -> datetime:
    """In this zone; a moment without one (the ends of no period) is taken as it is."""
    return moment.astimezone(zone) if moment.tzinfo else moment.replace(tzinfo=zone)


def _floor(moment: datetime, step: str) -> datetime:
    day = moment.date()
    day = day.replace(day=1) if step == "month" else day - timedelta(days=day.weekday()) if step == "week" else day
    return datetime(day.year, day.month, day.day, tzinfo=moment.tzinfo)


def _ceil(moment: datetime, step: str) -> datetime:
    at = _floor(moment, step)
    if at == moment:
        return at
    day = at.date() + {"day": timedelta(days=1), "week": timedelta(days=7), "month": timedelta(days=32)}[step]
    return _floor(datetime(day.year, day.month, day.day, tzinfo=moment.tzinfo), step)


@cache
def _cell_statement(codes: tuple[str, ...], by: str) -> TextClause:
    from queries.figures import PLACED, PLACES
    i = CATALOGUE[codes[0]]
    line = LINES[i.cohort, i.unit_of, i.clock]
    columns = ", ".join(f"coalesce(sum(r.n[{line.place(code, part)}]), 0) as {code}_{part}" for code in codes for part in ("den", "num") if (code, part) in line._places())
    place = PLACED[by].format(label="r.place") if by in PLACES else ""
    return text(f"""{f"with {PLACES[by]} " if by in PLACES else ""}select {_GROUP[by]} as grp, {columns}
      from rollup as r {place}
     where r.line = :line and r.grain = :grain and r.day >= :first and r.day < :last and r.place between :lo and :hi and {_FILTERS}
     group by 1""")


@cache
def _stored_statement(codes: tuple[str, ...], by: str) -> TextClause:
    """What touched complaints still count for in the cells, with a minus."""
    from queries.figures import PLACED, PLACES, SCOPE
    i = CATALOGUE[codes[0]]
    line = LINES[i.cohort, i.unit_of, i.clock]
    bits, label, day = f"r.bits[{line.number}]", f"r.{i.unit_of}_label", f"r.{i.cohort}_day"
    columns = ", ".join(f"- sum(({bits} >> {line.place(code, part) - 1}) & 1)::bigint as {code}_{part}"
                        for code in codes for part in ("den", "num") if (code, part) in line._places())
    place = PLACED[by].format(label=label) if by in PLACES else ""
    return text(f"""{f"with {PLACES[by]} " if by in PLACES else ""}select {_GROUP[by].replace("r.day", day)} as grp, {columns}
      from rollup_fact as r {place}
     where r.complaint_id = any (cast(:touched as bigint[])) and {bits} <> 0 and {day} >= :first and {day} < :last and {SCOPE.format(label=label)} and {_FILTERS}
     group by 1""")


# -- what set-up compiles from the catalogue --------------------------------------------------------------------------------------------

def _bits(line: Line) -> str:
    """One bit for each count; only of what is settled, but for what a receipt already decides."""
    of = {"received": f"s.clock = '{line.clock}'", "due": f"s.clock = '{line.clock}' and s.left_at <= look_at and s.due_at is not null",
          "closed": f"s.clock = '{line.clock}' and s.ended_at <= look_at"}[line.cohort]
    parts = []
    for (code, part), place in line._places().items():
        i = CATALOGUE[code]
        holds = f"({i.den})" if part == "den" else f"({i.den}) and ({i.num})"
        parts.append(f"((({holds}) is true)::int::bigint << {place - 1})")
    return f"case when {of} then\n               " + "\n             | ".join(parts) + " end"


def _look() -> str:
    from queries.timing import LINKS as NAMES
    from queries.timing import spent
    flags = [CATALOGUE[f"link_{name}"].den for name in NAMES]
    ordinals = {moment: f"(select w.ordinal from workday as w where w.calendar_id = s.calendar_id and w.day = (links.{moment}_at at time zone k.tz)::date)"
                for moment in ("dispatched", "signed", "replied")}
    links = ",\n               ".join(f"case when s.ended_at <= look_at and ({flag}) then ({to}) - ({start}) end"
                                      for flag, (start, to) in zip(flags, spent("s.started_ord", "s.days_used", ordinals)))
    bits = ",\n           ".join(_bits(line) for line in LINES.values())
    body = f"""
        select s.complaint_id, s.clock, s.category_id, s.channel_id, s.restricted, s.about_label, s.charged_label,
               (s.received_at at time zone h.zone)::date, (s.due_at at time zone h.zone)::date,
               case when s.ended_at <= look_at then (s.ended_at at time zone h.zone)::date end, s.days_used,
               array[{bits}],
               case when s.clock = 'r' and s.ended_at <= look_at and s.state <> 'X' then array[{links}] end, look_at
          from {facts(bits, 'links.')}
          join calendar as k on k.calendar_id = s.calendar_id
         cross join rollup_head as h
         where s.clock in ({", ".join(f"'{clock}'" for clock in sorted({line.clock for line in LINES.values()}))}) and s.complaint_id = any (ids)"""
    return f"""create or replace function rollup_look(ids bigint[], look_at timestamptz) returns setof rollup_fact language sql stable
        security definer set search_path = desk, pg_temp as $look${body.replace(':as_of', 'look_at')} $look$"""


def _cells(line: Line) -> tuple[str, str, str]:
    """Day, label and counts of one line, of rows `f` with their weight `w` (+1 or -1)."""
    column = f"f.bits[{line.number}]"
    counts = ", ".join(f"sum(w * (({column} >> {place}) & 1)::int)" for place in range(line.width))
    return f"f.{line.cohort}_day", f"f.{line.unit_of}_label", f"array[{counts}]::int[]"


def _spread(day: str, label: str) -> str:
    """A row in each grain: its place and day."""
    step = {"day": day, "week": f"date_trunc('week', {day})::date", "month": f"date_trunc('month', {day})::date"}
    return ", ".join(f"({g.number}, ({label} >> {SHIFTS[g.level]}) << {SHIFTS[g.level]}, {step[g.step]}, "
                     + ("f.category_id, f.channel_id" if g.each else "0::smallint, 0::smallint") + ")" for g in GRAINS)


def _adds(rows: str) -> Iterator[str]:
    """A statement for each line that adds these rows (columns w and those of rollup_fact) to the cells."""
    into = """insert into rollup as r (line, grain, place, day, category_id, channel_id, restricted, n)
        select {number}, g.grain, g.place, g.day, g.category_id, g.channel_id, g.restricted, g.n from ({cells}) as g where g.n <> {nothing}
        on conflict (line, grain, place, day, category_id, channel_id, restricted) do update set n = rollup_sum(r.n, excluded.n)"""
    group = "group by g.grain, g.place, g.day, g.category_id, g.channel_id, f.restricted"
    for line in LINES.values():
        day, label, counts = _cells(line)
        yield into.format(number=line.number, nothing=f"array_fill(0, array[{line.width}])", cells=f"""
            select g.grain, g.place, g.day, g.category_id, g.channel_id, f.restricted, {counts} as n
              from {rows} as f cross join lateral (values {_spread(day, label)}) as g (grain, place, day, category_id, channel_id)
             where f.bits[{line.number}] <> 0 and {day} is not null and isfinite({day}) {group}""")
    closed = LINES["closed", "charged", "r"]
    done = f"f.bits[{closed.number}] & (1::bigint << {closed.place('days_done', 'den') - 1}) <> 0"
    for number, days, where in ((DAYS, "f.days_used", done), *((number, f"f.links[{place}]", "true") for place, number in enumerate(LINKS, 1))):
        inner = f"""
            select g.grain, g.place, g.day, g.category_id, g.channel_id, f.restricted, greatest({days}, 0) as days, sum(w)::int as n
              from {rows} as f cross join lateral (values {_spread("f.closed_day", "f.charged_label")}) as g (grain, place, day, category_id, channel_id)
             where f.clock = 'r' and {days} is not null and f.closed_day is not null and {where} {group}, greatest({days}, 0)"""
        yield into.format(number=number, nothing="'{}'::int[]", cells=f"""
            select grain, place, day, category_id, channel_id, restricted, rollup_by_days(array_agg(days), array_agg(n)) as n
              from ({inner}) as d where n <> 0 group by grain, place, day, category_id, channel_id, restricted""")


_BY_DAYS = """create or replace function rollup_by_days(days int[], n int[]) returns int[] language sql immutable parallel safe as $$
    select array_agg(coalesce(u.n, 0) order by i.d) from generate_series(0, (select max(x) from unnest(days) x)) as i(d)
      left join unnest(days, n) as u(d, n) on u.d = i.d $$"""


def _add() -> str:
    rows = "(select 1 as w, x.* from unnest(new) as x union all select -1, x.* from unnest(old) as x)"
    return f"""create or replace function rollup_add(old rollup_fact[], new rollup_fact[]) returns void language sql
        security definer set search_path = desk, pg_temp as $add$ {"; ".join(_adds(rows))} $add$"""


@cache
def compiled() -> tuple[str, str]:
    """The digest of what is compiled, and the statements (one text)."""
    statements = ";\n".join((_BY_DAYS, _look(), _add()))
    return sha256((statements + "".join(_adds("rollup_fact"))).encode()).hexdigest()[:16], statements


def install(conn: Connection, zone: str) -> bool:
    """Compile the catalogue into the database where it is another than the one compiled there (or the office's zone is), as the schema's owner.
    True: the cells have to be built (`build`); until then figures are counted from the raw rows."""
    digest, statements = compiled()
    head = conn.execute(text("select catalogue, zone, ready from rollup_head")).one_or_none()
    if head is not None and (head.catalogue, head.zone) == (digest, zone):
        return not head.ready
    conn.exec_driver_sql(statements.replace("%", "%%"))
    for name in ("rollup_look(bigint[], timestamptz)", "rollup_add(rollup_fact[], rollup_fact[])", "rollup_by_days(int[], int[])"):
        conn.execute(text(f"revoke execute on function {name} from public"))
    conn.execute(text("delete from rollup_head"))
    conn.execute(text("insert into rollup_head (catalogue, zone) values (:digest, :zone)"), {"digest": digest, "zone": zone})
    return True


def build(url: str, *, jobs: int = 2, told: Callable[[str], None] = lambda words: None) -> int:
    """Count everything anew, by the administrator's URL: complaints looked at. Readers use the raw rows meanwhile; what writers touch is noted and
    folded afterwards."""
    engine = create_engine(url, poolclass=NullPool, connect_args={"options": "-c search_path=desk,public -c timezone=UTC -c jit=off -c work_mem=128MB"})

    def owner(conn: Connection) -> Connection:
        conn.execute(text("set local role desk_owner"))
        return conn

    with engine.begin() as conn:
        owner(conn).execute(text("update rollup_head set ready = false"))
        for table in ("rollup_dirty", "rollup_fact", "rollup"):
            conn.execute(text(f"delete from {table}" if table == "rollup_dirty" else f"truncate {table}"))
        ids = list(conn.execute(text("select id from (select complaint_id as id, row_number() over (order by complaint_id) as n from complaint) x where n % :c = 1"),
                                {"c": CHUNK}).scalars())
        last = conn.execute(text("select max(complaint_id) from complaint")).scalar()
    spans = list(zip(ids, [*(one - 1 for one in ids[1:]), last]))

    def look(span: tuple[int, int]) -> int:
        with engine.begin() as conn:
            return owner(conn).execute(text("""
                with ids as materialized (select array_agg(complaint_id) as ids from complaint where complaint_id between :a and :b),
                     look as (select f.* from ids, rollup_look(ids.ids, clock_timestamp()) as f),
                     kept as (insert into rollup_fact select * from look returning 1)
                select count(*) from kept"""), {"a": span[0], "b": span[1]}).scalar_one()

    looked = 0
    with ThreadPoolExecutor(jobs) as pool:
        for place, _ in enumerate(pool.map(look, spans), 1):
            looked = place * CHUNK
            told(f"{min(looked, last or 0):,}")

        def add(statement: str) -> None:
            with engine.begin() as conn:
                owner(conn).execute(text(statement.replace(":", r"\:")))

        list(pool.map(add, _adds("(select 1 as w, x.* from rollup_fact as x)")))
    with engine.begin() as conn:
        owner(conn).execute(text("""insert into rollup_dirty select rollup_pending(array(select complaint_id from clock_span where valid_from > clock_timestamp()
                                        or (isfinite(left_at) and left_at > clock_timestamp())), clock_timestamp())"""))
        conn.execute(text("update rollup_head set ready = true"))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        for table in ("rollup_fact", "rollup", "rollup_dirty"):
            conn.execute(text(f"vacuum analyze {table}"))
    engine.dispose()
    return looked
