"""Satisfaction: the rate by month, and the calls behind the catalogue's `low_score` and `call_again`."""
from datetime import datetime
from functools import lru_cache

import pandas as pd
from sqlalchemy import Connection, TextClause, text

from queries import figures, rollups
from queries.figures import _where, within
from queries.indicators import CATALOGUE, facts

MONTHLY = ("satisfaction", "reach_rate")
SHOWN = 200
# What is most urgent first: scores that nobody has followed up, the newest call first; of calls, who waits longest.
ORDERS = {"low_score": "followed.step is not null, office.at desc, s.complaint_id",
          "call_again": "office.at, s.complaint_id"}


def by_month(conn: Connection, *, as_of: datetime, start: datetime, end: datetime, unit: int | None = None,
             category: int | None = None, channel: int | None = None, source: int | None = None,
             zone: str = "Asia/Shanghai") -> pd.DataFrame:
    """`satisfaction` and `reach_rate` of the catalogue by month of being done: index 'YYYY-MM', columns `<code>_den`
    and `<code>_num`."""
    table = figures.counts(conn, MONTHLY, as_of=as_of, start=start, end=end, unit=unit, category=category, channel=channel, source=source, zone=zone, by="month")
    return table[(table > 0).any(axis=1)].sort_index()


def calls(conn: Connection, code: str, *, as_of: datetime, start: datetime, end: datetime, unit: int | None = None,
          category: int | None = None, channel: int | None = None, source: int | None = None,
          zone: str = "Asia/Shanghai", limit: int = SHOWN) -> pd.DataFrame:
    """The complaints of `low_score` or `call_again`, exactly those that the catalogue counts, with the office's call.

    complaint_id, complaint_no, about_unit_id, category_id, title and words (masked), done_at, called_at (the last
    answered call, or the last attempt), tried (attempts), outcome, step (what followed a low score: redo, returned,
    called or null), total (how many there are in all).
    """
    params = dict(as_of=as_of, start=start, end=end, category=category, channel=channel, source=source, zone=zone,
                  limit=limit, parent=None) | within(conn, unit)
    cells = rollups.serving(conn, params, "all")
    if cells is None:
        return pd.read_sql_query(_calls(code, few=False), conn, params=params)
    among = rollups.among(conn, cells, code, limit)
    rows = pd.read_sql_query(_calls(code, few=True), conn, params=params | {"among": among})
    if len(among) < limit or rows.empty:           # they are all there are
        return rows
    total = figures.counts(conn, (code,), as_of=as_of, start=start, end=end, unit=unit, category=category, channel=channel, source=source, zone=zone)
    return rows.assign(total=int(total[f"{code}_den"].iloc[0]))


@lru_cache(maxsize=8)
def _calls(code: str, few: bool) -> TextClause:
    i = CATALOGUE[code]
    step = "followed.step" if i.num else "cast(null as text)"
    return text(f"""with picked as (
        select s.complaint_id, s.ended_at as done_at, office.at as called_at, office.outcome, office.tried,
               {step} as step, count(*) over () as total, row_number() over (order by {ORDERS[code]}) as place
          from {facts('c.', i.den, step)}
         where {_where(i)} and ({i.den}){" and s.complaint_id = any (cast(:among as bigint[]))" if few else ""}
         order by {ORDERS[code]} limit :limit)
    select p.complaint_id, c.complaint_no, c.about_unit_id, c.category_id, c.title,
           mask_text(b.words) as words, p.done_at, p.called_at, p.outcome, p.tried, p.step, p.total
      from picked as p
      join complaint as c on c.complaint_id = p.complaint_id
      left join lateral (select x.words from call_back as x
                          where x.complaint_id = p.complaint_id and x.by_whom = 'office' and x.at = p.called_at
                          order by x.call_no desc limit 1) as b on true
     order by p.place""")
