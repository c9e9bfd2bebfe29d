"""What a unit's profile needs beside the figures of the catalogue: days to done, outlets, unit by unit."""
from datetime import datetime

import pandas as pd
from sqlalchemy import Connection, text

from queries.figures import day_counts, within


def days(conn: Connection, *, as_of: datetime, start: datetime, end: datetime, by: str = "child",
         parent: int | None = None, unit: int | None = None, category: int | None = None, channel: int | None = None,
         source: int | None = None, zone: str = "Asia/Shanghai") -> pd.DataFrame:
    """How many complaints (the catalogue's `days_done`) took how many working days: unit_id, days, n.

    by: "child" = the units below `parent` and what it has itself, "level" = all units as deep as `parent`.
    """
    params = dict(as_of=as_of, start=start, end=end, category=category, channel=channel, source=source, zone=zone,
                  parent=parent) | within(conn, unit)
    table = day_counts(conn, params, by).rename(columns={"grp": "unit_id", "value": "days"}).dropna(subset="unit_id")
    return table.astype("int64").sort_values(["unit_id", "days"], ignore_index=True)


def outlets(conn: Connection) -> dict[int, int]:
    """Outlets of the units that have any, by unit; every unit, because the tree is known to all."""
    rows = conn.execute(text("select unit_id, outlets from unit where outlets > 0"))
    return {row.unit_id: row.outlets for row in rows}
