"""The tree of units, and the lists that filters offer: scoped, like everything."""
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from sqlalchemy import Connection, text

from queries import figures, rollups

_TREE = text("""
    select u.unit_id, u.parent_id, u.kind, u.code, u.name, u.short, u.name_en, u.short_en, u.level, u.label, u.label_end, u.focus, u.active, u.source_id
      from unit u
     where u.label between (select ask_lo()) and (select ask_hi()) and ((select ask_one()) or u.label <@ (select my_scope()))
     order by u.label""")


def tree(conn: Connection) -> pd.DataFrame:
    """The units of the viewer's scope in tree order: unit_id, parent_id, kind, name, short, name_en, short_en, level, label, label_end, focus, active."""
    return pd.read_sql_query(_TREE, conn)


def version(conn: Connection) -> int:
    """A number that changes with every change of units, categories, channels or sources, and with nothing else."""
    return conn.execute(text("select last_value from tree_seq")).scalar_one()


def categories(conn: Connection) -> pd.DataFrame:
    """Categories in use: category_id, code, name, name_en, complexity, pack."""
    return pd.read_sql_query(text("""select category_id, code, name, name_en, complexity, pack from category k
                                where k.pack in (select pack from source) order by pack, sort, name"""), conn)


def channels(conn: Connection) -> pd.DataFrame:
    """Channels in use: channel_id, code, name, name_en, pack."""
    return pd.read_sql_query(text("""select channel_id, code, name, name_en, pack from channel k
                                where k.pack in (select pack from source) order by pack, sort, name"""), conn)


def peers(conn: Connection, *, as_of: datetime, start: datetime, end: datetime, parent: int | None, category: int | None = None,
          channel: int | None = None, source: int | None = None, zone: str) -> pd.DataFrame:
    """Children of `parent` (and itself): unit_id, compliance_num, compliance_den of the period, and at its end, or now where it has not ended, overdue_open and
    longest (working days late)."""
    where = dict(start=start, end=end, unit=parent, category=category, channel=channel, source=source, zone=zone, by="child", parent=parent)
    moment = min(end, as_of)
    table = figures.counts(conn, ("compliance",), as_of=as_of, **where).join(figures.counts(conn, ("overdue_open",), as_of=moment, **where), how="outer").fillna(0).astype("int64")
    return table.rename(columns={"overdue_open_den": "overdue_open"}).join(_longest(conn, as_of, moment, where)).rename_axis("unit_id").reset_index()


def _longest(conn: Connection, as_of: datetime, moment: datetime, where: dict) -> pd.Series:
    """Working days late of the one longest overdue at `moment`, by group: among what is open now and what has left since."""
    params = where | figures.within(conn, where["unit"]) | {"as_of": as_of}
    cells, at = rollups.serving(conn, params, "child"), params | {"as_of": moment, "touched": None}
    found = [pd.read_sql_query(_LEFT_LATE, conn, params=at, index_col="grp")]
    days = cells and cells.home and rollups.earliest(conn, cells, moment.astimezone(ZoneInfo(where["zone"])).date() + timedelta(days=1))
    if not cells or days in (None, False):
        found.append(pd.read_sql_query(_OPEN_LATE, conn, params=at, index_col="grp"))
    else:                                     # the cells know the earliest day: from there the index finds the first that was there already
        found.append(pd.read_sql_query(_EARLIEST, conn, params=at | {"groups": list(days), "days": list(days.values())}, index_col="grp"))
        if cells.again:
            found.append(pd.read_sql_query(_OPEN_LATE, conn, params=at | {"touched": cells.again}, index_col="grp"))
    return pd.concat([some for some in found if len(some)] or found[:1])["longest"].groupby(level=0).max()


_WAS_LATE = f"""s.clock = 'r' and s.due_at < :as_of and s.valid_from <= :as_of and {figures.SCOPE.format(label='s.charged_label')} and {figures.FILTERS}"""
_BY_PLACE = f"""with {figures.PLACE}
    select place.group_id as grp, max(w.ordinal - s.due_ord) as longest
      from clock_span as s
      join calendar as k on k.calendar_id = s.calendar_id
      join workday as w on w.calendar_id = k.calendar_id and w.day = (:as_of at time zone k.tz)::date
      {figures.PLACED["child"].format(label="s.charged_label")}
     where {_WAS_LATE} and place.group_id is not null"""
_OPEN_LATE = text(f"""{_BY_PLACE} and s.left_at = 'infinity' and (cast(:touched as bigint[]) is null or s.complaint_id = any (cast(:touched as bigint[]))) group by 1""")
_LEFT_LATE = text(f"""{_BY_PLACE} and s.left_at > s.due_at and s.left_at < 'infinity' and s.left_at > :as_of and s.valid_to > :as_of group by 1""")
_EARLIEST = text(f"""
    select p.grp, w.ordinal - s.due_ord as longest
      from unnest(cast(:groups as int[]), cast(:days as date[])) as p (grp, day)
      join unit as u on u.unit_id = p.grp
     cross join lateral (select s.due_ord, s.calendar_id from clock_span as s
                          where s.left_at = 'infinity' and s.due_at >= (p.day::timestamp at time zone :zone) and {_WAS_LATE}
                            and s.charged_label between u.label and case when u.unit_id is not distinct from cast(:parent as int) then u.label else u.label_end end
                          order by s.due_at limit 1) as s
      join calendar as k on k.calendar_id = s.calendar_id
      join workday as w on w.calendar_id = k.calendar_id and w.day = (:as_of at time zone k.tz)::date""")


def weekly(conn: Connection, code: str, *, as_of: datetime, start: datetime, end: datetime, parent: int | None, category: int | None = None,
           channel: int | None = None, source: int | None = None, zone: str) -> pd.DataFrame:
    """Numerator and denominator of a rate for every child of `parent` (and itself) by week: unit_id, week (its Monday, a date), num, den."""
    table = figures.counts(conn, (code,), by="child_week", as_of=as_of, start=start, end=end, unit=parent, parent=parent, category=category,
                           channel=channel, source=source, zone=zone)
    keys = [str(key).partition(" ") for key in table.index.dropna()]
    rows = table.loc[table.index.notna()]
    return pd.DataFrame({"unit_id": np.array([int(unit) for unit, _, _ in keys], dtype="int64"), "week": pd.Series([date.fromisoformat(week) for _, _, week in keys], dtype=object),
                         "num": rows[f"{code}_num"].to_numpy(), "den": rows[f"{code}_den"].to_numpy()}).sort_values(["unit_id", "week"], ignore_index=True)
