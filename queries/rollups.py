"""Roll-ups: which figures are kept counted, compiled from the catalogue; how they are built, folded and compared with the raw rows.

A complaint's predicates of the catalogue are looked at once when it was touched (`rollup_look`), kept as bits (`rollup_fact`) and added up in cells
(`rollup`) by line, grain, place and day. What time alone moves is not in the cells: open complaints of the due cohort, limits of today. Readers put
these and whatever was touched since their tick beside the cells, from the raw rows (queries/figures.py), so a figure is never behind its list.
The design and what was measured: docs/decisions.md.
"""
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache
from hashlib import sha256
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Row, TextClause, create_engine, text
from sqlalchemy.pool import NullPool

from queries.indicators import CATALOGUE, LABELS, Indicator, facts

SHIFTS = {-1: 63, 0: 55, 1: 39, 2: 25}     # a label cut off here is the unit above it at level 0, 1, 2 (unit_width); at 63 nothing is left: all together
DEEPEST = 2
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
    """One cube: places of this level, by day, week or month; each: "" categories and channels together, "c" by category, "ch" by both."""
    number: int
    level: int
    each: str
    step: str


GRAINS = (Grain(0, 0, "", "day"), Grain(6, 0, "c", "day"), Grain(1, 0, "ch", "day"), Grain(2, 1, "", "day"), Grain(3, 1, "ch", "month"), Grain(4, 2, "", "week"),
          Grain(5, 2, "", "month"))
OF_DAYS = tuple(g for g in GRAINS if g.number in (0, 2, 5))        # where days to done and the links are asked for
EDGES = 30                                                         # line of what came in and went out, by day: the ledger and stocks at midnight
WHOLE = Grain(7, -1, "", "day")       # all roots together: what moves between them stays inside
EDGE_GRAINS = (WHOLE, *(g for g in GRAINS if g.number in (0, 2)))
EDGE = {"received": 1, "reopened": 2, "restored": 3, "moved_in": 4, "done": 5, "excluded": 6, "moved_out": 7, "open_in": 8, "open_out": 9,
        "late_in": 10, "late_out": 11, "late5_in": 12, "late5_out": 13}
# Counts of what is open that no passing of time changes.
OPEN = ("urge_unsigned", "directive_open", "withdrawal_pending", "to_approve")
PROMISED = "promise_passed"           # open ones by the day promised: those of the days before today


def _lines() -> dict[tuple[str, str, str], Line]:
    found: dict[tuple[str, str, str], list[str]] = {}
    for i in CATALOGUE.values():
        own = f"{i.den} {i.num}"
        if i.cohort in ("received", "due", "closed") and i.clock in ("r", "d", "o") and i.code not in MOVING and ":start" not in own:
            found.setdefault((i.cohort, i.unit_of, i.clock), []).append(i.code)
        elif i.code in OPEN:
            found.setdefault((i.cohort, i.unit_of, i.clock), []).append(i.code)
        elif i.code == PROMISED:
            found["promise", i.unit_of, i.clock] = [i.code]
    return {key: Line(number, *key, tuple(codes)) for number, (key, codes) in enumerate(sorted(found.items()), 1)}


LINES = _lines()
LINE_OF = {code: line for line in LINES.values() for code in line.codes}
LABEL = {"charged": "{}.charged_label", "about": "{}.about_label", "responsible": "{}.label"}
DAY = {"received": "{}.received_day", "due": "{}.due_day", "closed": "{}.closed_day", "open": "date '2000-01-01'", "promise": "{}.promised_on"}      # what is open has no day


# -- what a reader takes from the cells ----------------------------------------------------------------------------------------------------

_TOUCHED = text("select rollup_touched(:as_of, :zone, :catalogue, :lo, :hi) as touched, (select u.level from unit as u where u.label = :lo and u.label_end = :hi) as level, "
                "(select u.level from unit as u where u.unit_id = cast(:parent as int)) as above")
_STEPS = {"all": ("day", "week", "month"), "child": ("day", "week", "month"), "level": ("day", "week", "month"), "category": ("day", "week", "month"),
          "category_id": ("day", "week", "month"), "channel": ("day", "week", "month"), "channel_id": ("day", "week", "month"),
          "category_channel": ("day", "week", "month"), "week": ("day", "week"), "child_week": ("day", "week"), "month": ("day", "month"),
          "category_day": ("day",)}                                      # a group -> the steps of time that it can be put together from
_BELOW = {"child": 1, "child_week": 1, "level": 0}
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
    found = conn.execute(_TOUCHED, {"as_of": params["as_of"], "zone": params["zone"], "catalogue": compiled()[0], "lo": params["lo"], "hi": params["hi"],
                                    "parent": params["parent"]}).one()
    whole = params["lo"] <= 0
    if found.touched is None or not whole and (found.level is None or found.level > DEEPEST):
        return None
    level = 0 if whole else found.level
    if by in _BELOW:                           # groups lie one level below their parent; with none they are the roots
        level = max(level, 0 if found.above is None else found.above + _BELOW[by])
    if level > DEEPEST:
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
        line = LINE_OF.get(codes[0])
        if line is None or not set(codes) <= set(line.codes):
            return None
        if i.cohort == "open":
            return self._now(line, codes, by)
        found = self.span(by, past=i.cohort == "due")
        if found is None:
            return None
        grain, start, end, rest = found
        params = {"line": line.number, "grain": grain.number, "first": start.date(), "last": end.date()}
        return Core(_cell_statement(codes, by), _stored_statement(codes, by), params, start, end, rest)

    def _now(self, line: Line, codes: tuple[str, ...], by: str) -> Core | None:
        each = self._each(by)
        grain = next((g for g in GRAINS if g.level >= self.level and set(each) <= set(g.each) and (g.step == "day" or line.cohort == "open")), None)
        if grain is None or not {"day", "week", "month"} <= set(_STEPS[by]):
            return None
        today = self.params["as_of"].astimezone(ZoneInfo(self.params["zone"])).date()
        params = {"line": line.number, "grain": grain.number, "first": date(2000, 1, 1), "last": today if line.cohort == "promise" else date(2000, 1, 2)}
        return Core(_cell_statement(codes, by), _stored_statement(codes, by), params, self.params["start"], self.params["end"], [])

    def _each(self, by: str) -> str:
        """Which of category and channel a grain has to keep apart."""
        p = self.params
        return ("c" if p["category"] is not None or by.startswith("category") else "") + ("h" if p["channel"] is not None or by.startswith(("channel", "category_channel")) else "")

    def span(self, by: str, past: bool) -> tuple[Grain, datetime, datetime, list[tuple[datetime, datetime]]] | None:
        """The grain that leaves least of the period to the raw rows, and what it covers. past: only days that are over."""
        p, zone = self.params, ZoneInfo(self.params["zone"])
        each = self._each(by)
        today = p["as_of"].astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
        asked_start, asked_end = (_local(p[name], zone) for name in ("start", "end"))
        best = None
        for grain in GRAINS:
            if grain.level < self.level or not set(each) <= set(grain.each) or grain.step not in _STEPS[by]:
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
    line = LINE_OF[codes[0]]
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
    line = LINE_OF[codes[0]]
    bits, label, day = f"r.bits[{line.number}]", LABEL[line.unit_of].format("r"), DAY[line.cohort].format("r")
    columns = ", ".join(f"- sum(({bits} >> {line.place(code, part) - 1}) & 1)::bigint as {code}_{part}"
                        for code in codes for part in ("den", "num") if (code, part) in line._places())
    place = PLACED[by].format(label=label) if by in PLACES else ""
    return text(f"""{f"with {PLACES[by]} " if by in PLACES else ""}select {_GROUP[by].replace("r.day", day)} as grp, {columns}
      from rollup_fact as r {place}
     where r.complaint_id = any (cast(:touched as bigint[])) and {bits} <> 0 and {day} >= :first and {day} < :last and {SCOPE.format(label=label)} and {_FILTERS}
     group by 1""")


# -- what came in and went out: the ledger, stocks at a midnight --------------------------------------------------------------------------

def edges(conn: Connection, params: dict, by: str = "all") -> "Edges | None":
    """The cells of what came in and went out for this question (lo, hi, zone, category, channel, source, parent; as_of), or None."""
    if params["category"] is not None or params["channel"] is not None or by not in ("all", "child"):
        return None
    cells = serving(conn, params, by)
    if cells is None or cells.level > 1:
        return None
    level = -1 if by == "all" and params["lo"] <= 0 else cells.level
    return Edges(params, next(g for g in EDGE_GRAINS if g.level == level), cells.touched)


@dataclass(frozen=True)
class Edges:
    """Sums of edges; `touched` complaints are left out of them, to be read raw in their stead."""
    params: dict
    grain: Grain
    touched: list[int]

    def by_day(self, conn: Connection, by: str, until: date) -> list[Row]:
        """Rows (grp, day, and a count for each kind of EDGE by its name) of the days before `until`, in order."""
        more = {"grain": self.grain.number, "shift": SHIFTS[self.grain.level], "until": until, "touched": self.touched}
        return list(conn.execute(_edge_statement(by, bool(self.touched)), self.params | more))


@cache
def _edge_statement(by: str, touched: bool) -> TextClause:
    from queries.figures import PLACED, PLACES
    sums = ", ".join(f"sum(r.n[{kind}])::bigint as {name}" for name, kind in EDGE.items())
    less = f"""
          union all
        select e.place, e.day, (select array_agg(case when k = e.kind then -1 else 0 end order by k) from generate_series(1, {len(EDGE)}) as k)
          from rollup_fact as f cross join lateral rollup_edge_cells(f.edges, :shift) as e
         where f.complaint_id = any (cast(:touched as bigint[])) and e.place between :lo and :hi and e.day < :until""" if touched else ""
    return text(f"""{f"with {PLACES[by]} " if by in PLACES else ""}select {_GROUP[by]} as grp, r.day, {sums}
      from (select r.place, r.day, r.n from rollup as r
             where r.line = {EDGES} and r.grain = :grain and r.place between :lo and :hi and r.day < :until{less}) as r
      {PLACED[by].format(label="r.place") if by in PLACES else ""}
     group by 1, 2 order by 2""")


# -- what set-up compiles from the catalogue --------------------------------------------------------------------------------------------

def _bits(line: Line) -> str:
    """One bit for each count; only of what is settled, but for what a receipt already decides."""
    of = {"received": f"s.clock = '{line.clock}'", "due": f"s.clock = '{line.clock}' and s.left_at <= look_at and s.due_at is not null",
          "closed": f"s.clock = '{line.clock}' and s.ended_at <= look_at", "open": f"s.clock = '{line.clock}' and s.left_at > look_at",
          "promise": f"s.clock = '{line.clock}' and s.left_at > look_at"}[line.cohort]
    parts = []
    for (code, part), place in line._places().items():
        i = CATALOGUE[code]
        den = "urged.promised_on is not null" if code == PROMISED else i.den
        holds = f"({den})" if part == "den" else f"({den}) and ({i.num})"
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
        select s.complaint_id, s.clock, s.category_id, s.channel_id, s.restricted, s.label, s.about_label, s.charged_label,
               (s.received_at at time zone h.zone)::date, (s.due_at at time zone h.zone)::date,
               case when s.ended_at <= look_at then (s.ended_at at time zone h.zone)::date end,
               case when s.clock = 'r' and s.left_at > look_at then urged.promised_on end, s.days_used,
               array[{bits}],
               case when s.clock = 'r' and s.ended_at <= look_at and s.state <> 'X' then array[{links}] end,
               case when s.clock = 'r' then e.edges end, look_at
          from {facts(bits, 'links. urged.')}
          join calendar as k on k.calendar_id = s.calendar_id
          left join rollup_edges(ids) as e on e.complaint_id = s.complaint_id
         cross join rollup_head as h
         where s.clock in ({", ".join(f"'{clock}'" for clock in sorted({line.clock for line in LINES.values()}))}) and s.complaint_id = any (ids)"""
    return f"""create or replace function rollup_look(ids bigint[], look_at timestamptz) returns setof rollup_fact language sql stable
        security definer set search_path = desk, pg_temp as $look${body.replace(':as_of', 'look_at')} $look$"""


def _cells(line: Line) -> tuple[str, str, str]:
    """Day, label and counts of one line, of rows `f` with their weight `w` (+1 or -1)."""
    column = f"f.bits[{line.number}]"
    counts = ", ".join(f"sum(w * (({column} >> {place}) & 1)::int)" for place in range(line.width))
    return DAY[line.cohort].format("f"), f"{LABEL[line.unit_of].format('f')}", f"array[{counts}]::int[]"


def _spread(day: str, label: str, grains: tuple[Grain, ...] = GRAINS) -> str:
    """A row in each grain: its place and day."""
    step = {"day": day, "week": f"date_trunc('week', {day})::date", "month": f"date_trunc('month', {day})::date"}
    return ", ".join(f"({g.number}, ({label} >> {SHIFTS[g.level]}) << {SHIFTS[g.level]}, {step[g.step]}, "
                     + ("f.category_id" if g.each else "0::smallint") + (", f.channel_id)" if g.each == "ch" else ", 0::smallint)") for g in grains)


def _sums(rows: str) -> Iterator[tuple[int, str]]:
    """Number of each line, and the cells that these rows (columns w and those of rollup_fact) add up to, without those of nothing."""
    group = "group by g.grain, g.place, g.day, g.category_id, g.channel_id, f.restricted"
    for line in LINES.values():
        day, label, counts = _cells(line)
        yield line.number, f"""select * from (
            select g.grain, g.place, g.day, g.category_id, g.channel_id, f.restricted, {counts} as n
              from {rows} as f cross join lateral (values {_spread(day, label)}) as g (grain, place, day, category_id, channel_id)
             where f.bits[{line.number}] <> 0 and {day} is not null and isfinite({day}) {group}) as x where n <> array_fill(0, array[{line.width}])"""
    closed = LINES["closed", "charged", "r"]
    done = f"f.bits[{closed.number}] & (1::bigint << {closed.place('days_done', 'den') - 1}) <> 0"
    for number, days, where in ((DAYS, "f.days_used", done), *((number, f"f.links[{place}]", "true") for place, number in enumerate(LINKS, 1))):
        yield number, f"""select grain, place, day, category_id, channel_id, restricted, rollup_by_days(array_agg(days), array_agg(n)) as n from (
            select g.grain, g.place, g.day, g.category_id, g.channel_id, f.restricted, greatest({days}, 0) as days, sum(w)::int as n
              from {rows} as f cross join lateral (values {_spread("f.closed_day", "f.charged_label", OF_DAYS)}) as g (grain, place, day, category_id, channel_id)
             where f.clock = 'r' and {days} is not null and f.closed_day is not null and {where} {group}, greatest({days}, 0)) as x
             where n <> 0 group by grain, place, day, category_id, channel_id, restricted"""
    sums = ", ".join(f"coalesce(sum(w) filter (where e.kind = {kind}), 0)" for kind in EDGE.values())
    yield EDGES, f"""select * from (
            select g.grain, e.place, e.day, 0::smallint as category_id, 0::smallint as channel_id, f.restricted, array[{sums}]::int[] as n
              from {rows} as f cross join (values {", ".join(f"({g.number}, {SHIFTS[g.level]})" for g in EDGE_GRAINS)}) as g (grain, shift)
             cross join lateral rollup_edge_cells(f.edges, g.shift) as e
             group by g.grain, e.place, e.day, f.restricted) as x where n <> array_fill(0, array[{len(EDGE)}])"""


def _adds(rows: str) -> Iterator[str]:
    """A statement for each line that adds these rows to the cells."""
    for number, cells in _sums(rows):
        yield f"""insert into rollup as r (line, grain, place, day, category_id, channel_id, restricted, n)
            select {number}, grain, place, day, category_id, channel_id, restricted, n from ({cells}) as g
            on conflict (line, grain, place, day, category_id, channel_id, restricted) do update set n = rollup_sum(r.n, excluded.n)"""


_BY_DAYS = """create or replace function rollup_by_days(days int[], n int[]) returns int[] language sql immutable parallel safe as $$
    select array_agg(coalesce(u.n, 0) order by i.d) from generate_series(0, (select max(x) from unnest(days) x)) as i(d)
      left join unnest(days, n) as u(d, n) on u.d = i.d $$"""


_WHOLE = "(select 1 as w, x.* from rollup_fact as x)"


def _add() -> str:
    rows = "(select 1 as w, x.* from unnest(new) as x union all select -1, x.* from unnest(old) as x)"
    return f"""create or replace function rollup_add(old rollup_fact[], new rollup_fact[]) returns void language sql
        security definer set search_path = desk, pg_temp as $add$ {"; ".join(_adds(rows))} $add$"""


@cache
def compiled() -> tuple[str, str]:
    """The digest of what is compiled, and the statements (one text)."""
    statements = ";\n".join((_BY_DAYS, _look(), _add()))
    return sha256((statements + "".join(_adds(_WHOLE))).encode()).hexdigest()[:16], statements


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


def build(url: str, *, jobs: int = 2, told: Callable[[int, int], None] = lambda done, total: None) -> int:
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
            told(min(looked, last or 0), last or 0)

        def add(statement: str) -> None:
            with engine.begin() as conn:
                owner(conn).execute(text(statement.replace(":", r"\:")))

        list(pool.map(add, _adds(_WHOLE)))
    with engine.begin() as conn:
        owner(conn).execute(text("""insert into rollup_dirty select rollup_pending(array(select complaint_id from clock_span where valid_from > clock_timestamp()
                                        or (isfinite(left_at) and left_at > clock_timestamp())), clock_timestamp())"""))
        conn.execute(text("update rollup_head set ready = true"))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        for table in ("rollup_fact", "rollup", "rollup_dirty"):
            conn.execute(text(f"vacuum analyze {table}"))
    engine.dispose()
    return looked


def check(conn: Connection, *, told: Callable[[int, int], None] = lambda done, total: None) -> tuple[list[int], int]:
    """Look at every complaint again and add everything up again, as the schema's owner: complaints that count for something else than is stored
    (without those that wait for a fold), and how many cells differ from the stored complaints' sums. ([], 0) = equal to the raw rows."""
    fields = "complaint_id, clock, category_id, channel_id, restricted, label, about_label, charged_label, received_day, due_day, closed_day, promised_on, days_used, bits, links, edges"
    wrong: list[int] = []
    last = conn.execute(text("select coalesce(max(complaint_id), 0) from complaint")).scalar_one()
    for start in range(0, last + 1, CHUNK):
        wrong += conn.execute(text(f"""
            with ids as materialized (select array_agg(complaint_id) as ids from complaint where complaint_id between :a and :b
                                         and complaint_id not in (select complaint_id from rollup_dirty)),
                 look as materialized (select {fields} from ids, rollup_look(ids.ids, clock_timestamp())),
                 kept as materialized (select {fields} from rollup_fact where complaint_id between :a and :b
                                          and complaint_id not in (select complaint_id from rollup_dirty))
            select distinct complaint_id from ((table look except all table kept) union all (table kept except all table look)) x"""),
            {"a": start, "b": start + CHUNK - 1}).scalars()
        told(min(start + CHUNK, last), last)
    cells = 0
    for number, sums in _sums(_WHOLE):
        cells += conn.execute(text(f"""
            with new as (select grain, place, day, category_id, channel_id, restricted, rollup_trim(n) as n from ({sums.replace(":", chr(92) + ":")}) x),
                 old as (select grain, place, day, category_id, channel_id, restricted, rollup_trim(n) as n from rollup where line = {number})
            select count(*) from ((select * from new where n is not null except all select * from old where n is not null)
                                   union all (select * from old where n is not null except all select * from new where n is not null)) x""")).scalar_one()
    return sorted(wrong), cells
