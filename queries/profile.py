"""What a unit's profile needs beside the figures of the catalogue: days to done, outlets, unit by unit."""
from datetime import datetime
from functools import lru_cache

import pandas as pd
from sqlalchemy import Connection, TextClause, text

from queries.figures import PLACES, _facts, _group, _where, within
from queries.indicators import CATALOGUE


@lru_cache(maxsize=8)
def _days_statement(by: str) -> TextClause:
    i = CATALOGUE["days_done"]
    return text(f"""with {PLACES[by]}
        select {_group(by, i)} as unit_id, s.days_used as days, count(*) as n
          from {_facts(by, i, i.den)}
         where {_where(i)} and {i.den}
         group by 1, 2 order by 1, 2""")


def days(conn: Connection, *, as_of: datetime, start: datetime, end: datetime, by: str = "child",
         parent: int | None = None, unit: int | None = None, category: int | None = None, channel: int | None = None,
         source: int | None = None, zone: str = "Asia/Shanghai") -> pd.DataFrame:
    """How many complaints (the catalogue's `days_done`) took how many working days: unit_id, days, n.

    by: "child" = the units below `parent` and what it has itself, "level" = all units as deep as `parent`.
    """
    params = dict(as_of=as_of, start=start, end=end, category=category, channel=channel, source=source, zone=zone,
                  parent=parent) | within(conn, unit)
    return pd.read_sql(_days_statement(by), conn, params=params).dropna(subset="unit_id").astype("int64")


def outlets(conn: Connection) -> dict[int, int]:
    """Outlets of the units that have any, by unit; every unit, because the tree is known to all."""
    rows = conn.execute(text("select unit_id, outlets from unit where outlets > 0"))
    return {row.unit_id: row.outlets for row in rows}
