"""Freshness, imports, quarantine, marks, calendar: what a reader must know about the data before the numbers."""
from datetime import date, datetime

import pandas as pd
from sqlalchemy import Connection, text

from queries import rollups
from queries.figures import NEVER, _where, within
from queries.indicators import CATALOGUE, facts


def sources(conn: Connection, *, as_of: datetime, zone: str = "Asia/Shanghai") -> pd.DataFrame:
    """Sources: source_id, name, pack, tz, seen_at, demo, complaints, newest (latest receipt), unmapped units and categories. zone: the office's."""
    table = pd.read_sql_query(text("""
        select s.source_id, s.name, s.pack, s.tz, s.seen_at, s.demo, 0 as complaints,
               (select c.registered_at from complaint c where c.source_id = s.source_id and c.registered_at <= :as_of order by c.registered_at desc limit 1) as newest,
               (select count(*) from unit u where u.source_id = s.source_id and u.kind = 'unmapped' and u.parent_id is not null) as unmapped_units,
               (select count(*) from category k where k.source_id = s.source_id) as unmapped_categories
          from source s order by s.source_id"""), conn, params={"as_of": as_of})
    table["complaints"] = table["source_id"].map(_complaints(conn, zone)).fillna(0).astype("int64")
    return table


def _complaints(conn: Connection, zone: str) -> dict[int, int]:
    """Complaints of each source: for who sees all from the cells, with touched ones from their rows."""
    params = dict(as_of=NEVER, zone=zone, category=None, channel=None, source=None, parent=None) | within(conn, None)
    cells = rollups.serving(conn, params, "all") if params["lo"] <= 0 else None
    touched = cells and cells.again
    counted = dict(conn.execute(text("""select source_id, count(*) from complaint where cast(:touched as bigint[]) is null or complaint_id = any (cast(:touched as bigint[]))
                                         group by 1"""), {"touched": touched}).all())
    for row in rollups.spread(conn, cells, ("source",), rollups.Piece(rollups.GRAINS[0], date(1, 1, 1), date(9999, 1, 1)), "all") if cells else ():
        counted[row.value] = counted.get(row.value, 0) + row.n
    return counted


def imports(conn: Connection, limit: int = 20) -> pd.DataFrame:
    """The latest imports: batch_id, source, file, finished_at, rows, added, changed, unchanged, quarantined, marked, conflicts."""
    return pd.read_sql_query(text("""
        select b.batch_id, s.name as source, b.file, b.finished_at, b.rows, b.added, b.changed, b.unchanged, b.quarantined, b.marked, b.conflicts
          from import_batch b join source s using (source_id) order by b.batch_id desc limit :n"""), conn, params={"n": limit})


def quarantine(conn: Connection, *, source: str | None = None, limit: int | None = None) -> pd.DataFrame:
    """Rows that did not land: batch_id, source, file, line, complaint_no, field, value, reason (code), newest import first."""
    return pd.read_sql_query(text("""
        select q.batch_id, s.name as source, b.file, q.line, q.complaint_no, q.field, q.value, q.reason
          from quarantine q join import_batch b using (batch_id) join source s using (source_id)
         where cast(:source as text) is null or s.name = :source
         order by q.batch_id desc, q.line, q.quarantine_id limit :n"""), conn, params={"source": source, "n": limit})


def marks(conn: Connection, *, as_of: datetime, unit: int | None = None) -> tuple[int, pd.DataFrame]:
    """Implausible but real rows that landed (the catalogue's `marked`), of any time: how many complaints in all, and of each mark: mark (code), complaints."""
    params = dict(as_of=as_of, category=None, channel=None, source=None) | within(conn, unit)
    found = pd.read_sql_query(_MARKS, conn, params=params)
    whole = found["mark"].isna()
    return int(found.loc[whole, "complaints"].sum()), found[~whole].reset_index(drop=True)


_MARKED = CATALOGUE["marked"]
_MARKS = text(f"""
    with found as materialized (select c.marks from {facts(_MARKED.den, "c.")} where {_where(_MARKED)} and {_MARKED.den})
    select null as mark, count(*) as complaints from found
    union all
    select m.mark, count(*) from found cross join lateral unnest(found.marks) as m (mark) group by 1 order by 2 desc, 1""")


def calendars(conn: Connection) -> pd.DataFrame:
    """The years around today: code, tz, year, status (published, estimated), origin, provisional (complaints with such a limit)."""
    return pd.read_sql_query(text("""
        with today as (select extract(year from coalesce((select max(as_of) from tick), clock_timestamp()))::int as year)
        select c.code, c.tz, y.year, y.status, y.origin,
               (select count(distinct s.complaint_id) from clock_span s
                 where s.calendar_id = c.calendar_id and s.provisional and extract(year from s.due_at at time zone c.tz) = y.year) as provisional
          from today t
          join calendar_year y on y.year between t.year - 1 and t.year + 1
          join calendar c using (calendar_id)
         order by 1, 2, 3"""), conn)


def check_spans(conn: Connection) -> list[int]:
    """Complaints whose stored spans differ from what the raw rows say; empty = all is true."""
    return list(conn.execute(text("select check_spans()")).scalars())
