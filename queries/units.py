"""The tree of units, and the lists that filters offer: scoped, like everything."""
from datetime import datetime

import pandas as pd
from sqlalchemy import Connection, text

from queries import figures

_TREE = text("""
    select u.unit_id, u.parent_id, u.kind, u.code, u.name, u.short, u.name_en, u.short_en, u.level, u.label, u.label_end, u.focus, u.active, u.source_id
      from unit u
     where u.label between (select ask_lo()) and (select ask_hi()) and ((select ask_one()) or u.label <@ (select my_scope()))
     order by u.label""")


def tree(conn: Connection) -> pd.DataFrame:
    """The units of the viewer's scope in tree order: unit_id, parent_id, kind, name, short, name_en, short_en, level, label, label_end, focus, active."""
    return pd.read_sql(_TREE, conn)


def version(conn: Connection) -> int:
    """A number that changes with every change of units, categories, channels or sources, and with nothing else."""
    return conn.execute(text("select last_value from tree_seq")).scalar_one()


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
    select place.group_id as grp, max(s.days_late) as longest
      from state(:as_of) as s
      {figures.PLACED["child"].format(label="s.charged_label")}
     where s.clock = 'r' and s.left_at > :as_of and s.state = 'E' and {figures.SCOPE.format(label='s.charged_label')} and {figures.FILTERS}
       and place.group_id is not null
     group by 1""")


def weekly(conn: Connection, code: str, *, as_of: datetime, start: datetime, end: datetime, parent: int | None, category: int | None = None,
           channel: int | None = None, source: int | None = None, zone: str) -> pd.DataFrame:
    """Numerator and denominator of a rate for every child of `parent` (and itself) by week: unit_id, week (its Monday, a date), num, den."""
    table = figures.counts(conn, (code,), by="child_week", as_of=as_of, start=start, end=end, unit=parent, parent=parent, category=category,
                           channel=channel, source=source, zone=zone)
    keys = table.index.to_series().dropna().astype(str).str.split(" ", expand=True)
    if keys.empty:
        return pd.DataFrame({"unit_id": [], "week": [], "num": [], "den": []}).astype({"unit_id": "int64", "num": "int64", "den": "int64"})
    table = table.loc[keys.index]
    return pd.DataFrame({"unit_id": keys[0].astype("int64"), "week": pd.to_datetime(keys[1]).dt.date, "num": table[f"{code}_num"], "den": table[f"{code}_den"]}
                        ).sort_values(["unit_id", "week"]).reset_index(drop=True)
