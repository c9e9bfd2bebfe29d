"""Counts, rates and the rows behind them, all composed from the one catalogue."""
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from math import ceil, floor, sqrt
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from sqlalchemy import Connection, TextClause, text

from queries import db, rollups, sums
from queries.indicators import BASES, CATALOGUE, COHORTS, DATES, DIFFERENT, LABELS, PAIRS, STATES, UNIT_IDS, URGED, Indicator, facts
from queries.sums import Sums

# A unit is a range of the tree. :lo and :hi come from `within()` as values, not as a sub-select: the planner then knows how wide they are.
SCOPE = "({label} between :lo and :hi and ((select ask_one()) or {label} <@ (select my_scope())))"
FILTERS = """(cast(:category as int) is null or s.category_id = cast(:category as int))
       and (cast(:channel as int) is null or s.channel_id = cast(:channel as int))
       and (cast(:source as int) is null or s.source_id = cast(:source as int))"""
# The units that complaints are counted under: the children of :parent, and :parent for what it has itself. A complaint's place among them is its
# unit's label cut off at their level (unit_shift): no look at the forty thousand outlets below.
PLACE = """place as (
        select g.unit_id as group_id, g.label from unit as g where g.parent_id = cast(:parent as int)
        union all
        select g.unit_id, g.label from unit as g where g.unit_id = cast(:parent as int)
        union all
        select g.unit_id, g.label from unit as g where cast(:parent as int) is null and g.parent_id is null)"""      # three looks into an index: an "or" reads all
# The same for all units that stand as deep as `parent`: its peers, wherever they are.
LEVEL = """place as (
        select g.unit_id as group_id, g.label from unit as g
         where g.level = (select m.level from unit as m where m.unit_id = cast(:parent as int)) and g.kind <> 'unmapped')"""
PLACES = {"child": PLACE, "level": LEVEL, "child_week": PLACE}
PLACED = {by: f"left join place on place.label = ({{label}} >> {shift}) << {shift}" for by, shift in (
    ("child", "(select unit_shift(coalesce(max(m.level) + 1, 0)) from unit as m where m.unit_id = cast(:parent as int))"),
    ("child_week", "(select unit_shift(coalesce(max(m.level) + 1, 0)) from unit as m where m.unit_id = cast(:parent as int))"),
    ("level", "(select unit_shift(m.level) from unit as m where m.unit_id = cast(:parent as int))"))}
GROUPS = {                                    # what `--by` groups by: an expression, made from the indicator's own unit and date
    "all": "cast('all' as text)",
    "child": "place.group_id",                # with the join of `_facts`
    "level": "place.group_id",
    "child_week": "place.group_id || ' ' || to_char(date_trunc('week', {date} at time zone :zone), 'YYYY-MM-DD')",
    "category_day": "s.category_id || ' ' || to_char({date} at time zone :zone, 'YYYY-MM-DD')",
    "unit": "(select u.name from unit u where u.unit_id = {unit})",
    "parent_unit": "(select coalesce(p.name, u.name) from unit u left join unit p on p.unit_id = u.parent_id where u.unit_id = {unit})",
    "category": "(select k.name from category k where k.category_id = s.category_id)",
    "category_id": "s.category_id",
    "channel_id": "s.channel_id",
    "channel": "(select k.name from channel k where k.channel_id = s.channel_id)",
    "category_channel": "s.category_id * 1000 + s.channel_id",
    "month": "to_char({date} at time zone :zone, 'YYYY-MM')",
    "week": "to_char(date_trunc('week', {date} at time zone :zone), 'YYYY-MM-DD')",
    "state": "s.state",
    "ageing": rollups.AGE.format("s.days_late"),
}
ALSO = ("received", "due", "not_yet_due", "done", "overdue_open", "backlog")      # counts that `figures` prints beside the rates
NO_PERIOD = {"start": datetime(1, 1, 2), "end": datetime(9999, 12, 30)}


def within(conn: Connection, unit: int | None) -> dict[str, int]:
    """The range of the tree that a unit stands for, {lo, hi}; None = all that the viewer may see."""
    return db.once(conn, ("within", unit), lambda: dict(conn.execute(_WITHIN, {"unit": unit}).mappings().one()))


_WITHIN = text("""
    select coalesce(max(u.label), ask_lo()) as lo, coalesce(max(u.label_end), ask_hi()) as hi
      from unit u where u.unit_id = cast(:unit as int)""")


def scope(i: Indicator) -> str:
    """Within the range of the tree by the indicator's own relation to a unit; "any" is one of the three."""
    labels = LABELS.values() if i.unit_of == "any" else (LABELS[i.unit_of],)
    return f"({' or '.join(SCOPE.format(label=label) for label in labels)})"


NARROW = 1 << 37                 # labels of a unit of the first level span 2 ** 39, of the second 2 ** 25


def _where(i: Indicator) -> str:
    clocks = ", ".join(f"'{c}'" for c in i.clock)
    # few among very many are looked for first; below a branch there are so few that each is looked at
    among = f" and (:hi - :lo < {NARROW} or s.complaint_id = any (array({i.among})))" if i.among else ""
    return f"s.clock in ({clocks}) and {COHORTS[i.cohort]}{among} and {scope(i)} and {FILTERS}"


def _group(by: str, i: Indicator) -> str:
    return GROUPS[by].format(unit=UNIT_IDS[i.unit_of], date=DATES[i.cohort])


def _facts(by: str, i: Indicator, *predicates: str) -> str:
    """The rows, and for `child` the place of their unit: a join, because a sub-select would read the tree for every row."""
    return facts(*predicates, seen=i.cohort == "all") + (f"\n      {PLACED[by].format(label=LABELS[i.unit_of])}" if by in PLACES else "")


def _parts(codes: tuple[str, ...], cells: bool) -> list[tuple[str, ...]]:
    """The codes of each (cohort, unit, clock): one statement serves them. With cells those that have no cell, or one of another kind, go apart."""
    parts: dict[tuple, list[str]] = {}
    for code in codes:
        i = CATALOGUE[code]
        line = rollups.LINE_OF.get(code)
        apart = cells and (code if code in rollups.MOVING or i.cohort == "open" and line is None else line and (line.number, ".first_" in i.den))
        parts.setdefault((i.cohort, i.unit_of, i.clock, i.among, apart), []).append(code)
    return [tuple(some) for some in parts.values()]


ONLY = {"": "", "open": " and s.left_at = 'infinity' and s.complaint_id <> all (cast(:touched as bigint[]))",     # what cells leave out, see rollups
        "touched": " and s.complaint_id = any (cast(:touched as bigint[]))",
        "today": " and s.left_at = 'infinity' and s.due_at >= :today and s.complaint_id <> all (cast(:touched as bigint[]))",
        "due_today": " and s.due_at >= :today and s.due_at <= :as_of and s.complaint_id <> all (cast(:touched as bigint[]))"}


@lru_cache(maxsize=512)
def _statement(codes: tuple[str, ...], by: str, only: str = "") -> TextClause:
    """Denominators and numerators of indicators of one (cohort, unit, clock), counted on the raw rows."""
    some = [CATALOGUE[code] for code in codes]
    columns = ",\n           ".join(
        f"count(*) filter (where {i.den}) as {i.code}_den" + (f",\n           count(*) filter (where ({i.den}) and ({i.num})) as {i.code}_num" if i.num else "")
        for i in some)
    whole = " or ".join(f"({i.den})" for i in some)
    place = f"with {PLACES[by]}\n" if by in PLACES else ""
    where = _where(some[0])
    if only in ("open", "today"):             # said twice, the planner takes it for rarer than it is, and reads all that is open
        where = where.replace(COHORTS["open"], "true")
    return text(f"{place}select {_group(by, some[0])} as grp,\n           {columns}\n      from {_facts(by, some[0], columns, whole)}\n"
                f"     where {where}{ONLY[only]}\n       and ({whole})\n     group by 1")


def counts(conn: Connection, codes: tuple[str, ...], *, as_of: datetime, start: datetime, end: datetime, unit: int | None = None,
           category: int | None = None, channel: int | None = None, source: int | None = None, zone: str = "Asia/Shanghai",
           by: str = "all", parent: int | None = None) -> pd.DataFrame:
    """Denominator and numerator of these indicators by group: index = group, columns `<code>_den`, `<code>_num` (integers, 0 where none).

    A count has only `_den`. Rates are `rate()` of the two; an empty denominator stays null. Counted from the cells where they serve, with what they
    leave out from the raw rows (queries/rollups.py); from the raw rows alone otherwise. The answer is the same.
    """
    params = dict(as_of=as_of, start=start, end=end, category=category, channel=channel, source=source, zone=zone, parent=parent) | within(conn, unit)
    at_midnight = _overdue_at(conn, tuple(codes), by, params)
    cells = rollups.serving(conn, params, by) if at_midnight is None else None
    found = at_midnight or []
    for some in _parts(tuple(codes), cells is not None) if at_midnight is None else ():
        parts = cells and by in _TIMELESS and (_urged(conn, some, by, cells) or _due_by_now(conn, some, by, cells) or _differing(conn, some, by, cells))
        found += parts or _answer(conn, some, by, params, cells)
    total = sums.add(found, (column for code in dict.fromkeys(codes) for column in _columns(code)))
    if by == "all" and not total.rows:
        total = total._replace(rows={"all": (0,) * len(total.columns)})
    return sums.table(total)


# Counts that depend on two days, from cells of one with the distance to the other (rollups.Spread): groups are not of time, the period is of whole days.
_TIMELESS = ("all", "child", "level", "category", "category_id", "channel", "channel_id", "category_channel")


def _spread(conn: Connection, cells: "rollups.Cells", names: dict[str, str], found: "rollups.Piece", by: str, holds: Callable[[date, int], bool],
            most: int = 10_000) -> Sums:
    """The sums of those (day, value) that count, of values up to `most`: a column for each name of a spread."""
    places, total = {name: place for place, name in enumerate(names)}, {}
    for row in rollups.spread(conn, cells, tuple(names), found, by, most):
        if holds(row.day, row.value):
            total.setdefault(row.grp, [0] * len(names))[places[row.name]] += row.n
    return Sums(tuple(names.values()), {group: tuple(row) for group, row in total.items()})


def _touched(conn: Connection, codes: tuple[str, ...], by: str, cells: "rollups.Cells") -> list[Sums]:
    return [sums.read(conn, _statement(codes, by, "touched"), cells.params | {"touched": cells.again})] if cells.again else []


def _urged(conn: Connection, codes: tuple[str, ...], by: str, cells: "rollups.Cells") -> list[Sums] | None:
    """Complaints urged in the period: an urge counts whose forerunner lies before it. None: another question."""
    found = CATALOGUE[codes[0]].among == URGED and cells.whole(by)
    if not found:
        return None
    names = {"urged_den": "urged_den"} | {f"{code}_num": f"{code}_num" for code in codes if CATALOGUE[code].num}
    urged = _spread(conn, cells, names, found, by, lambda day, value: value == 0 or value - 1 > (day - found.first).days)
    dens = [sums.add([urged], ["urged_den"]).named([f"{code}_den"]) for code in codes]
    return [sums.add([urged], (f"{code}_num" for code in codes if CATALOGUE[code].num)), *dens, *_touched(conn, codes, by, cells)]


def _columns(code: str) -> list[str]:
    return [f"{code}_den", f"{code}_num"] if CATALOGUE[code].num else [f"{code}_den"]


def _due_by_now(conn: Connection, codes: tuple[str, ...], by: str, cells: "rollups.Cells") -> list[Sums] | None:
    """Of what was received, what fell due on the days before today, and today by the raw rows. None: another question."""
    found = codes == ("received_due",) and cells.whole(by, past=True)
    today = _today(cells.params)
    if not found or found.first < today.date() - timedelta(days=2000):
        return None
    num = ["received_due_num"]
    parts = [sums.add([part], ["received_met_den"]).named(["received_due_den"]) for part in _answer(conn, ("received_met",), by, cells.params, cells)]
    core = cells.params | {"end": min(_moment(found.last, cells.params), cells.params["end"]), "today": today, "touched": cells.touched}
    parts.append(_spread(conn, cells, {"due": num[0]}, found, by, lambda day, value: day + timedelta(days=value) < today.date()))
    asked = [(_statement(codes, by, "due_today"), core), *([(_statement(codes, by, "touched"), core | {"touched": cells.again})] if cells.again else []),
             *([(_statement(codes, by), cells.params | {"start": core["end"]})] if core["end"] < cells.params["end"] else [])]
    return parts + [sums.add([sums.read(conn, statement, more)], num) for statement, more in asked]


def _differing(conn: Connection, codes: tuple[str, ...], by: str, cells: "rollups.Cells") -> list[Sums] | None:
    """Complaints that count in one cohort of the period and not in the other: those of the one without those of both. None: another question."""
    if not set(codes) <= set(DIFFERENT):
        return None
    parts = []
    for code in codes:
        one, other, either = DIFFERENT[code]
        pair = next(pair for pair in PAIRS if set(pair) == {one, other})
        found = cells.whole(by, past=pair[0] == "due")
        p = cells.params
        if not found or found.last < _local_day(p["end"], p) and _anything_due(conn, p | {"start": _moment(found.last, p)}):
            return None                                    # something fell due today already: neither cell has it
        first, last = found.first, _local_day(p["end"], p)
        both = _spread(conn, cells, {f"{pair[0]}_{pair[1]}_{part}": f"{code}_{part}" for part in ("den", "num")}, found, by,
                       lambda day, value: first <= day + timedelta(days=value // 2 if value % 2 == 0 else -(value + 1) // 2) < last,
                       most=2 * (last - first).days)      # both days lie in the period
        parts.append(both.times(-(1 + either)))
        for base in (one, other)[:1 + either]:
            parts += [part.named([f"{code}_den", f"{code}_num"]) for part in rollups.counted(conn, cells, cells.core((BASES[base],), by), (BASES[base],), by)]
    return [*parts, *_touched(conn, codes, by, cells)]


def _anything_due(conn: Connection, params: dict) -> bool:
    asked = params | {"end": min(params["end"], params["as_of"])}
    return db.once(conn, ("due", str(asked)), lambda: bool(conn.execute(_statement(("compliance",), "all"), asked).first()))


def _today(params: dict) -> datetime:
    """The midnight before the moment."""
    return params["as_of"].astimezone(ZoneInfo(params["zone"])).replace(hour=0, minute=0, second=0, microsecond=0)


def _moment(day: date, params: dict) -> datetime:
    return datetime.combine(day, time(), ZoneInfo(params["zone"]))


def _local_day(moment: datetime, params: dict) -> date:
    return moment.astimezone(ZoneInfo(params["zone"])).date()


_STOCK = {"overdue_open": ("late_in", "late_out"), "overdue_open_5": ("late5_in", "late5_out")}


def _overdue_at(conn: Connection, codes: tuple[str, ...], by: str, params: dict) -> list[Sums] | None:
    """What was overdue at a midnight, from the cells of what came in and went out; None for another question."""
    zone = ZoneInfo(params["zone"])
    then = params["as_of"].astimezone(zone)
    if not set(codes) <= set(_STOCK) or then != then.replace(hour=0, minute=0, second=0, microsecond=0):
        return None
    cells = rollups.edges(conn, params | {"as_of": NEVER}, by)
    if cells is None:
        return None
    columns = tuple(f"{code}_den" for code in codes)
    parts = [Sums(columns, {row.grp: tuple(getattr(row, _STOCK[code][0]) - getattr(row, _STOCK[code][1]) for code in codes)})
             for row in cells.by_day(conn, by, then.date(), then.date(), tuple(kind for code in codes for kind in _STOCK[code]))]
    if cells.again:
        parts.append(sums.read(conn, _statement(codes, by, "touched"), params | {"touched": cells.again}))
    return parts or [Sums(columns, {})]


def _answer(conn: Connection, codes: tuple[str, ...], by: str, params: dict, cells: "rollups.Cells | None") -> list[Sums]:
    """Parts whose sums are the answer: the cells of the period's whole days, weeks or months, of the rest and of what the cells leave out the raw
    rows; or the raw rows alone."""
    core = cells.core(codes, by) if cells else None
    found, left = params | {"touched": cells.touched if cells else None}, cells and {"touched": cells.again}
    if core is None and cells and CATALOGUE[codes[0]].cohort == "open":      # from the index of what is open
        parts, asked = [], [("open", found), *([("touched", found | left)] if cells.again else [])]
    elif core is None:
        parts, asked = [], [("", params)]
    else:
        within_core = found | {"start": core.start, "end": core.end, "today": core.today}
        parts = rollups.counted(conn, cells, core, codes, by)
        asked = [*([("open", within_core)] if core.open else []), *([("today", within_core)] if core.today else []),
                 *([("touched", within_core | left)] if cells.again else []), *(("", params | {"start": start, "end": end}) for start, end in core.rest)]
    return parts + [sums.read(conn, _statement(codes, by, only), more) for only, more in asked]


def rate(num: int, den: int) -> float | None:
    """num / den in %, None for an empty denominator (never 0 or 100)."""
    return 100 * num / den if den else None


def wilson(num: int, den: int, z: float = 1.96) -> tuple[float, float] | None:
    """Wilson's score interval in %, 95 % (Wilson 1927; peers.md §4.4). None for an empty denominator."""
    if not den:
        return None
    p = num / den
    centre = (p + z * z / (2 * den)) / (1 + z * z / den)
    half = z * sqrt(p * (1 - p) / den + z * z / (4 * den * den)) / (1 + z * z / den)
    return 100 * (centre - half), 100 * (centre + half)


@lru_cache(maxsize=64)
def _state_statement(basis: str, by: str) -> TextClause:
    i = Indicator("basis", "", "", "", "", {"received": "received", "due": "falls_due", "closed": "closed"}[basis])
    columns = ",\n           ".join(f"count(*) filter (where s.state = '{k}') as {v}" for k, v in STATES.items())
    return text(f"""{f'with {PLACES[by]} ' if by in PLACES else ''}select {_group(by, i)} as grp, count(*) as cohort, {columns},
           count(*) filter (where c.source_verdict = 'o') as source_on_time_num,
           count(*) filter (where c.source_verdict is not null) as source_on_time_den,
           count(*) filter (where c.source_verdict is null) as source_blank,
           count(*) filter (where c.source_verdict is not null and (c.source_verdict = 'l') = (s.state in ('B', 'E'))) as source_agree
      from {_facts(by, i, "c.")}
     where {_where(i)} group by 1""")


@lru_cache(maxsize=64)
def _days_statement(by: str, only: str = "") -> TextClause:
    i = CATALOGUE["days_done"]
    return text(f"""{f'with {PLACES[by]} ' if by in PLACES else ''}select {_group(by, i)} as grp, 'done' as name, s.days_used as value, count(*) as n
      from {_facts(by, i, i.den)}
     where {_where(i)}{ONLY[only]} and {i.den} group by 1, 3""")


def day_counts(conn: Connection, params: dict, by: str) -> pd.DataFrame:
    """How many complaints (the catalogue's `days_done`) took how many working days, done in the period: grp, value (days), n."""
    return spread_over(conn, params, by, ("done",), lambda only: _days_statement(by, only)).drop(columns="name")


def spread_over(conn: Connection, params: dict, by: str, names: tuple[str, ...], raw: Callable[[str], TextClause]) -> pd.DataFrame:
    """Histograms of the period, by the day of completion: grp, name, value, n; from the cells where they serve, with what they leave out from `raw`."""
    cells = rollups.serving(conn, params, by)
    found = cells and cells.pieces(by, grains=rollups.OF_DAYS, by_months=True)
    if not found:
        return pd.read_sql_query(raw(""), conn, params=params)
    pieces, start, end, rest = found
    columns = ("grp", "name", "day", "value", "n")
    parts = [pd.DataFrame(dict(zip(columns, zip(*rollups.spread(conn, cells, names, piece, by)))), columns=columns).drop(columns="day") for piece in pieces]
    within_core = params | {"start": start, "end": end, "touched": cells.touched}
    if "done" in names:
        parts.append(pd.read_sql_query(_below_zero(by), conn, params=within_core | {"first": start.date(), "last": end.date()}))
    if cells.again:
        parts.append(pd.read_sql_query(raw("touched"), conn, params=within_core | {"touched": cells.again}))
    parts += [pd.read_sql_query(raw(""), conn, params=params | {"start": one, "end": other}) for one, other in rest]
    parts = [part for part in parts if len(part)] or parts[:1]
    table = pd.concat(parts).groupby(["grp", "name", "value"], as_index=False, dropna=False)["n"].sum()
    return table[table.n != 0]


@lru_cache(maxsize=64)
def _below_zero(by: str) -> TextClause:
    """Done before they were received, as some sources have it: no histogram of days has a place for them."""
    group = rollups._GROUP[by].replace("r.day", "r.closed_day")
    return text(f"""{f'with {PLACES[by]} ' if by in PLACES else ''}select {group} as grp, 'done' as name, r.days_used as value, count(*) as n
      from rollup_fact as r {PLACED[by].format(label="r.charged_label") if by in PLACES else ""}
     where r.days_used < 0 and r.closed_day >= :first and r.closed_day < :last and {rollups._bit("days_done").replace("f.", "r.")}
       and r.complaint_id <> all (cast(:touched as bigint[])) and {SCOPE.format(label="r.charged_label")} and {rollups._FILTERS}
     group by 1, 3""")


def middle(values: pd.DataFrame, share: float) -> float | None:
    """The percentile of a histogram (value, n), between two values as PostgreSQL's percentile_cont has it; None where there is nothing."""
    return None if values.empty else _middle(*_sorted(values), share)


def _sorted(values: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """The values in their order, and how many there are up to each. numpy's own: of three years by month pandas took 60 ms more."""
    value, n = values["value"].to_numpy(), values["n"].to_numpy()
    order = value.argsort()
    return value[order], n[order].cumsum()


def _middle(value: np.ndarray, upto: np.ndarray, share: float) -> float:
    at = share * (int(upto[-1]) - 1)
    low, high = (float(value[place]) for place in upto.searchsorted((floor(at), ceil(at)), side="right"))
    return low + (at - floor(at)) * (high - low)


def day_figures(table: pd.DataFrame) -> pd.DataFrame:
    """days_median, days_p90, days_mean, days_n by group of what `day_counts` says."""
    found = {}
    for grp, some in table.groupby("grp", dropna=False):
        value, upto = _sorted(some)
        n = np.diff(upto, prepend=0)
        found[grp] = (_middle(value, upto, 0.5), _middle(value, upto, 0.9), float((value * n).sum() / upto[-1]), int(upto[-1]))
    return pd.DataFrame.from_dict(found, orient="index", columns=["days_median", "days_p90", "days_mean", "days_n"]).rename_axis("grp")


@lru_cache(maxsize=64)
def _km_statement(by: str) -> TextClause:
    i = Indicator("km", "", "", "", "", "received")
    return text(f"""with {PLACES.get(by, PLACE)}, life as (
        select {_group(by, i)} as grp, s.ended_at is not null and s.ended_at <= :as_of as done,
               greatest(0, coalesce(s.days_used, s.days_open)) as days
          from {_facts(by, i)} where {_where(i)} and s.state <> 'X' and coalesce(s.days_used, s.days_open) is not null
    ), step as (
        select grp, days, count(*) filter (where done) as ended,
               sum(count(*)) over (partition by grp order by days desc) as at_risk
          from life group by grp, days
    ), curve as (
        select grp, days, bool_or(ended >= at_risk) over w as over,
               exp(sum(ln(case when ended < at_risk then 1 - ended / at_risk else 1 end)) over w) as survive
          from step window w as (partition by grp order by days)
    ) select grp, min(days) filter (where over or survive <= 0.5) as days_median_km from curve group by grp""")


def figures(conn: Connection, *, as_of: datetime, start: datetime | None = None, end: datetime | None = None, by: str = "all", basis: str = "received",
            source: int | None = None, unit: int | None = None, category: int | None = None, channel: int | None = None,
            zone: str = "Asia/Shanghai") -> pd.DataFrame:
    """Everything by group: the seven states of the cohort `basis`, what the source itself says, and every rate with _num and _den.

    One row a group (index `group`), sorted; rates in %, days in working days, null where nothing can be said.
    """
    params = dict(as_of=as_of, start=start or NO_PERIOD["start"], end=end or NO_PERIOD["end"], category=category, channel=channel,
                  source=source, zone=zone)
    bound = params | within(conn, unit) | {"parent": None}
    states = pd.read_sql_query(_state_statement(basis, by), conn, params=bound, index_col="grp")
    days = day_figures(day_counts(conn, bound, by))
    km = pd.read_sql_query(_km_statement(by), conn, params=bound, index_col="grp")
    rates = tuple(c for c, i in CATALOGUE.items() if i.num)
    parts = counts(conn, rates + ALSO, by=by, unit=unit, **params)
    table = pd.concat([states, parts, days, km], axis=1)
    whole = [*states.columns, *parts.columns, "days_n"]
    if by == "all" and table.empty:
        table.loc["all"] = None
    table[whole] = table[whole].fillna(0).astype("int64")
    said = {code: (100 * table[f"{code}_num"] / table[f"{code}_den"]).where(table[f"{code}_den"] > 0) for code in (*rates, "source_on_time")}
    said |= {"answered": table["satisfaction_den"], "two_source_gap": said["gap_unit"] - said["gap_office"]}
    table = pd.concat([table, pd.DataFrame(said)], axis=1)
    table = table.rename(columns={f"{c}_den": c for c in ALSO})
    if basis == "received":
        table["received"] = table["cohort"]
    table.index = table.index.map(lambda g: "" if pd.isna(g) else g)
    return table.rename_axis("group").sort_index()


def urge_effect(conn: Connection, *, as_of: datetime, start: datetime, end: datetime, unit: int | None = None, category: int | None = None,
                channel: int | None = None, source: int | None = None, zone: str = "Asia/Shanghai") -> float | None:
    """Median working days from an urge of the period to the first movement after it; None where nothing has moved."""
    params = dict(as_of=as_of, start=start, end=end, category=category, channel=channel, source=source, zone=zone, parent=None) | within(conn, unit)
    cells = rollups.serving(conn, params, "all")
    found = cells and cells.whole("all")
    if not found:
        return middle(pd.read_sql_query(_URGE_EFFECT, conn, params=params | {"touched": None}), 0.5)
    parts = [pd.DataFrame([(row.value, row.n) for row in rollups.spread(conn, cells, ("moved",), found, "all")], columns=["value", "n"])]
    if cells.again:
        parts.append(pd.read_sql_query(_URGE_EFFECT, conn, params=params | {"touched": cells.again}))
    parts = [part for part in parts if len(part)] or parts[:1]
    table = pd.concat(parts).groupby("value", as_index=False)["n"].sum()
    return middle(table[table.n != 0], 0.5)


# The urges first, of the places asked for, then their events: left to itself the planner asks row security of every event for every urge.
_URGE_EFFECT = text(f"""
    with urged as materialized (
        select g.complaint_id, g.sent_at, g.level, s.calendar_id
          from urge g
          join clock_span s on s.complaint_id = g.complaint_id and s.clock = 'r' and s.valid_from <= :as_of and :as_of < s.valid_to
         where g.sent_at >= :start and g.sent_at < :end and g.sent_at <= :as_of and {SCOPE.format(label='s.label')} and {FILTERS}
           and (cast(:touched as bigint[]) is null or g.complaint_id = any (cast(:touched as bigint[])))
    ), moved as materialized (
        select g.complaint_id, g.sent_at, g.level, g.calendar_id, min(e.at) as moved_at
          from urged g
          join event e on e.complaint_id = g.complaint_id and e.at > g.sent_at and e.at <= :as_of
         where moves(e.code)
         group by 1, 2, 3, 4)
    select b.ordinal - a.ordinal as value, count(*) as n
      from moved m
      join calendar k on k.calendar_id = m.calendar_id
      join workday a on a.calendar_id = k.calendar_id and a.day = (m.sent_at at time zone k.tz)::date
      join workday b on b.calendar_id = k.calendar_id and b.day = (m.moved_at at time zone k.tz)::date
     group by 1""")


def stocks(conn: Connection, moments: tuple[datetime, ...], *, unit: int | None = None, category: int | None = None, channel: int | None = None,
           source: int | None = None) -> pd.DataFrame:
    """`overdue_open` and `backlog` of the catalogue at several moments: index = moment, in the given order. At a midnight open is what was open when
    the day before it ended."""
    params = dict(moments=list(moments), first=min(moments), last=max(moments), category=category, channel=channel, source=source, touched=None)
    params |= within(conn, unit)
    table = _stocks_from_cells(conn, params)
    if table is None:
        table = pd.read_sql_query(_STOCKS, conn, params=params, index_col="place").reindex(range(1, len(moments) + 1), fill_value=0)
    table = table.astype("int64")
    table.index = list(moments)
    return table


def _stocks_from_cells(conn: Connection, params: dict) -> pd.DataFrame | None:
    """The same from the cells of what came in and went out; None where they do not serve. At most one moment may be no midnight: now, for every week that
    has not ended. Whatever was touched since is not in the cells then, so of its day only limits still lie ahead."""
    moments = params["moments"]
    zone = getattr(moments[0].tzinfo, "key", None)
    if zone is None:
        return None
    local = [m.astimezone(ZoneInfo(zone)) for m in moments]
    midnight = [m == m.replace(hour=0, minute=0, second=0, microsecond=0) for m in local]
    now = {m for m, at in zip(local, midnight) if not at}
    if len(now) > 1:
        return None
    cells = rollups.edges(conn, params | {"as_of": max(now, default=NEVER), "zone": zone, "parent": None}, "all")
    if cells is None:
        return None
    days = [m.date() + timedelta(days=not at) for m, at in zip(local, midnight)]         # the days before this one are over at the moment
    rows = pd.DataFrame([(r.day, r.late_in - r.late_out, r.open_in - r.open_out) for r in cells.by_day(conn, "all", min(days), max(days), ("late_in", "late_out", "open_in", "open_out"))], columns=["day", "overdue_open", "backlog"])
    table = pd.DataFrame([rows.loc[rows.day < day, ["overdue_open", "backlog"]].sum() for day in days], index=range(1, len(days) + 1))
    for moment in now:
        ahead = params | {"moment": moment, "midnight": _moment(moment.date() + timedelta(days=1), {"zone": zone}), "touched": cells.touched}
        table.loc[[not at for at in midnight], "overdue_open"] -= conn.execute(_DUE_LATER_TODAY, ahead).scalar_one()
    if cells.again:
        table += pd.read_sql_query(_STOCKS, conn, params=params | {"touched": cells.again}, index_col="place").reindex(table.index, fill_value=0)
    return table


_DUE_LATER_TODAY = text(f"""
    select count(*) from clock_span as s
     where s.clock = 'r' and s.left_at = 'infinity' and s.due_at >= :moment and s.due_at < :midnight and {SCOPE.format(label='s.charged_label')} and {FILTERS}
       and s.complaint_id <> all (cast(:touched as bigint[]))""")
NEVER = datetime(9999, 1, 1, tzinfo=UTC)           # nothing was touched after it: only what is not folded yet is read raw
_STOCKS = text(f"""
    select m.place, count(*) filter (where s.clock = 'r' and s.due_at < m.moment and s.left_at > m.moment and s.valid_from <= m.moment
                                       and {SCOPE.format(label='s.charged_label')}) as overdue_open,
           count(*) filter (where s.valid_from < m.moment and s.left_at >= m.moment and {SCOPE.format(label='s.label')}) as backlog
      from clock_span as s
      join unnest(cast(:moments as timestamptz[])) with ordinality as m(moment, place)
        on s.valid_from <= m.moment and m.moment <= s.valid_to and s.left_at >= m.moment
     where s.clock in ('r', 'o') and s.valid_from <= :last and s.left_at >= :first and s.valid_to >= :first and {FILTERS}
       and ({SCOPE.format(label='s.charged_label')} or {SCOPE.format(label='s.label')})
       and (cast(:touched as bigint[]) is null or s.complaint_id = any (cast(:touched as bigint[])))
     group by 1""")
