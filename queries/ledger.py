"""The ledger: 上期结转 + 受理 + 转入 + 重启 + 恢复 − 办结 − 转出 − 剔除(仅在办件) = 期末在办, per stated unit and period."""
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pandas as pd
from sqlalchemy import Connection, text

from queries import rollups
from queries.figures import FILTERS, PLACE, PLACED, SCOPE, within

LINES = ("opening", "received", "moved_in", "reopened", "restored", "done", "moved_out", "excluded", "closing")
FLOWS = (*LINES[1:-1], "open_in", "open_out")      # kinds of edges that they are put together from

# Stretches that touch the period; a step from one stretch to the next inside the same group is neither in nor out.
_STEPS = f"""{PLACE}, touched as (
        select s.*, case :by when 'child' then place.group_id when 'unit' then s.unit_id else 0 end as group_id
          from open_stretch as s
          {PLACED["child"].format(label="s.label")}
         where s.in_at < :stop and s.out_at >= :start and (cast(:touched as bigint[]) is null or s.complaint_id = any (cast(:touched as bigint[])))
           and {SCOPE.format(label='s.label')} and {FILTERS}
    ), step as (
        select t.*,
               t.in_by in ('m', 'c', 'l', 'a') and coalesce(lag(t.out_at) over w = t.in_at, false) as stays_in,
               t.out_by = 'm' and coalesce(lead(t.in_at) over w = t.out_at, false) as stays_out
          from touched t window w as (partition by t.group_id, t.complaint_id, t.clock order by t.seq)
    ), line as (
        select group_id, complaint_id, clock, 'opening' as line from step where in_at < :start
        union all
        select group_id, complaint_id, clock, case in_by when 'r' then 'received' when 'o' then 'reopened' when 't' then 'reopened'
                                                         when 'e' then 'restored' else 'moved_in' end
          from step where in_at >= :start and not stays_in
        union all
        select group_id, complaint_id, clock, case out_by when 'd' then 'done' when 'x' then 'excluded' else 'moved_out' end
          from step where out_at < :stop and not stays_out
        union all
        select group_id, complaint_id, clock, 'closing' from step where out_at >= :stop)"""
_BALANCE = text(f"with {_STEPS} select group_id, line, count(*) as n from line where group_id is not null group by 1, 2")
_LIST = text(f"with {_STEPS} select complaint_id from line where line = :line and (group_id = cast(:group as int) or cast(:group as int) is null) order by 1")
_STATE = text(f"""select count(*) from state(:moment) as s where s.clock in ('r', 'o') and s.left_at > :moment
                     and {SCOPE.format(label='s.label')} and {FILTERS}""")


def _params(conn, as_of, start, end, unit, category, channel, source, parent, by):
    # events at T itself have happened: the period stops just after it
    stop = min(end, as_of + pd.Timedelta(microseconds=1))
    return dict(start=start, stop=max(stop, start), category=category, channel=channel, source=source, parent=parent, by=by) | within(conn, unit)


def balance(conn: Connection, *, as_of: datetime, start: datetime, end: datetime, unit: int | None = None, category: int | None = None,
            channel: int | None = None, source: int | None = None, parent: int | None = None, by: str = "whole") -> pd.DataFrame:
    """Columns LINES (complaints) and `gap`, one row a group: `by` = whole (0: the stated unit), child (children of `parent`), unit (each for itself).

    `gap` = opening + ways in − ways out − closing: 0 is 「平衡」.
    """
    params = _params(conn, as_of, start, end, unit, category, channel, source, parent, by)
    long = _from_cells(conn, params, as_of, by)
    return _table(pd.read_sql_query(_BALANCE, conn, params=params | {"touched": None}) if long is None else long, by)


def _table(long: pd.DataFrame, by: str) -> pd.DataFrame:
    table = long.pivot(index="group_id", columns="line", values="n").reindex(columns=list(LINES)).fillna(0).astype("int64")
    if by == "whole" and table.empty:
        table.loc[0] = 0
    table["gap"] = (table.opening + table.received + table.moved_in + table.reopened + table.restored
                    - table.done - table.moved_out - table.excluded - table.closing)
    return table


def _from_cells(conn: Connection, params: dict, as_of: datetime, by: str) -> pd.DataFrame | None:
    """The lines from the cells of what came in and went out (queries/rollups.py), with touched complaints from the raw rows; None where these do not
    serve. Opening and closing are not carried from line to line: they are counted by when complaints were open."""
    zone = getattr(params["start"].tzinfo, "key", None)
    if by == "unit" or zone is None:
        return None
    start, stop = (params[name].astimezone(ZoneInfo(zone)) for name in ("start", "stop"))
    now = stop != _midnight(stop)                      # the period has not ended: what has happened by now
    if start != _midnight(start) or now and stop < as_of:
        return None
    cells = rollups.edges(conn, params | {"as_of": as_of, "zone": zone}, "child" if by == "child" else "all")
    if cells is None:
        return None
    first, until = start.date(), stop.date() + timedelta(days=1) if now else stop.date()
    found: dict[tuple, int] = {}
    for row in cells.by_day(conn, "child" if by == "child" else "all", first, until, FLOWS):
        group = row.grp if by == "child" else 0
        stock = row.open_in - row.open_out
        found[group, "closing"] = found.get((group, "closing"), 0) + stock
        if row.day < first:
            found[group, "opening"] = found.get((group, "opening"), 0) + stock
        else:
            for line in LINES[1:-1]:
                found[group, line] = found.get((group, line), 0) + getattr(row, line)
    long = pd.DataFrame([(group, line, n) for (group, line), n in found.items() if group is not None], columns=["group_id", "line", "n"])
    if cells.again:
        raw = pd.read_sql_query(_BALANCE, conn, params=params | {"touched": cells.again})
        long = pd.concat([long, raw]).groupby(["group_id", "line"], as_index=False)["n"].sum()
    return long[long.n != 0]


def _midnight(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


def check(conn: Connection, *, as_of: datetime, start: datetime, end: datetime, unit: int | None = None, category: int | None = None, channel: int | None = None,
          source: int | None = None) -> tuple[pd.Series, int]:
    """The ledger of the stated unit and by how many complaints it does not balance (0 = 「平衡」).

    Opening and closing are counted by themselves, not carried over: from the raw rows as the states at both ends, from the cells by when complaints were open.
    """
    params = _params(conn, as_of, start, end, unit, category, channel, source, None, "whole")
    long = _from_cells(conn, params, as_of, "whole")
    if long is not None:
        row = _table(long, "whole").loc[0]
        return row, int(abs(row.gap))
    row = _table(pd.read_sql_query(_BALANCE, conn, params=params | {"touched": None}), "whole").loc[0]
    just_before = pd.Timedelta(microseconds=1)
    opening = conn.execute(_STATE, params | {"moment": params["start"] - just_before}).scalar_one()
    closing = conn.execute(_STATE, params | {"moment": params["stop"] - just_before}).scalar_one()
    return row, int(abs(row.gap) + abs(opening - row.opening) + abs(closing - row.closing))


def rows(conn: Connection, line: str, *, as_of: datetime, start: datetime, end: datetime, unit: int | None = None, category: int | None = None,
         channel: int | None = None, source: int | None = None, parent: int | None = None, group: int | None = None) -> list[int]:
    """The complaints behind one line of the ledger, one id for each count (a complaint that came twice stands twice)."""
    params = _params(conn, as_of, start, end, unit, category, channel, source, parent, "whole" if group is None else "child")
    return list(conn.execute(_LIST, params | {"line": line, "group": group, "touched": None}).scalars())
