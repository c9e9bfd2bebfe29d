"""The tree of units, and the lists that filters offer: scoped, like everything."""
from datetime import datetime
from functools import lru_cache

import pandas as pd
from sqlalchemy import Connection, TextClause, text

from queries import figures
from queries.indicators import CATALOGUE, DATES, UNIT_IDS, facts

_TREE = text("""
    select u.unit_id, u.parent_id, u.kind, u.code, u.name, u.short, u.name_en, u.short_en, u.level, u.label, u.label_end, u.focus, u.active, u.source_id
      from unit u
     where u.label between (select ask_lo()) and (select ask_hi()) and ((select ask_one()) or u.label <@ (select my_scope()))
     order by u.label""")


def tree(conn: Connection) -> pd.DataFrame:
    """The units of the viewer's scope in tree order: unit_id, parent_id, kind, name, short, name_en, short_en, level, label, label_end, focus, active."""
    return pd.read_sql(_TREE, conn)


def categories(conn: Connection) -> pd.DataFrame:
    """Categories in use: category_id, code, name, name_en, complexity, pack."""
    return pd.read_sql(text("""select category_id, code, name, name_en, complexity, pack from category k
                                where k.pack in (select pack from source) order by pack, sort, name"""), conn)


def channels(conn: Connection) -> pd.DataFrame:
    """Channels in use: channel_id, code, name, name_en, pack."""
    return pd.read_sql(text("""select channel_id, code, name, name_en, pack from channel k
                                where k.pack in (select pack from source) order by pack, sort, name"""), conn)


def peers(conn: Connection, *, as_of: datetime, start: datetime, end: datetime, parent: int | None, category: int | None = None,
          channel: int | None = None, source: int | None = None, zone: str) -> pd.DataFrame:
    """Children of `parent` (and itself): unit_id, compliance_num, compliance_den, overdue_open, longest (working days late)."""
    where = dict(as_of=as_of, start=start, end=end, unit=parent, category=category, channel=channel, source=source, zone=zone)
    table = figures.counts(conn, ("compliance", "overdue_open"), by="child", parent=parent, **where)
    longest = pd.read_sql(_LONGEST, conn, params=dict(as_of=as_of, category=category, channel=channel, source=source, parent=parent)
                          | figures.within(conn, parent), index_col="grp")
    return table.rename(columns={"overdue_open_den": "overdue_open"}).join(longest).rename_axis("unit_id").reset_index()


_LONGEST = text(f"""with {figures.PLACE}
    select p.group_id as grp, max(s.days_late) as longest
      from state(:as_of) as s join place p on p.unit_id = s.charged_unit_id
     where s.clock = 'r' and s.left_at > :as_of and s.state = 'E' and {figures.SCOPE.format(label='s.charged_label')} and {figures.FILTERS}
     group by 1""")


def weekly(conn: Connection, code: str, *, as_of: datetime, start: datetime, end: datetime, parent: int | None, category: int | None = None,
           channel: int | None = None, source: int | None = None, zone: str) -> pd.DataFrame:
    """Numerator and denominator of a rate for every child of `parent` (and itself) by week: unit_id, week (its Monday, a date), num, den."""
    params = dict(as_of=as_of, start=start, end=end, category=category, channel=channel, source=source, zone=zone, parent=parent)
    return pd.read_sql(_weekly(code), conn, params=params | figures.within(conn, parent))


@lru_cache(maxsize=16)
def _weekly(code: str) -> TextClause:
    """Counted by unit and week first, and only then put under the children: the tree is not asked for every complaint."""
    i = CATALOGUE[code]
    return text(f"""with {figures.PLACE}, part as materialized (
        select {UNIT_IDS[i.unit_of]} as unit_id, date_trunc('week', {DATES[i.cohort]} at time zone :zone)::date as week,
               count(*) filter (where ({i.den}) and ({i.num})) as num, count(*) as den
          from {facts(i.den, i.num)}
         where {figures._where(i)} and ({i.den}) group by 1, 2
    ) select p.group_id as unit_id, week, sum(num)::bigint as num, sum(den)::bigint as den
        from part join place p on p.unit_id = part.unit_id group by 1, 2 order by 1, 2""")
