"""Where the days go: working days of each link of the work, and days to done by group.

A link counts where both its moments are recorded and in order (the catalogue's `link_…`); its working days are
`ordinal(to) − ordinal(from)`, so that the links of one complaint add up to its days used.
"""
from datetime import datetime
from functools import lru_cache

import pandas as pd
from sqlalchemy import Connection, TextClause, text

from queries.figures import ONLY, _where, day_counts, day_figures, middle, spread_over, within
from queries.indicators import CATALOGUE, facts

LINKS = ("dispatch", "sign", "handle", "close")     # received → dispatched → first signed for → first answered → done


def spent(started: str, used: str, ordinals: dict[str, str]) -> list[tuple[str, str]]:
    """From which working day to which each of LINKS lasts, as SQL."""
    dispatched, signed, replied = (ordinals[moment] for moment in ("dispatched", "signed", "replied"))
    return [(started, dispatched), (dispatched, signed), (signed, replied), (replied, f"{started} + {used}")]


# A look into the calendar for each moment: joined, the planner may read all of it for every complaint.
_ORDINAL = """(select w.ordinal from workday w
                 where w.calendar_id = d.calendar_id and w.day = (d.{moment}_at at time zone k.tz)::date) as {moment}"""


@lru_cache(maxsize=4)
def _links_statement(only: str = "") -> TextClause:
    marks = ",\n               ".join(f"({CATALOGUE[f'link_{code}'].den}) as {code}" for code in LINKS)
    ordinals = ",\n               ".join(_ORDINAL.format(moment=one) for one in ("dispatched", "signed", "replied"))
    ends = spent("d.started_ord", "d.days_used", {moment: f"d.{moment}" for moment in ("dispatched", "signed", "replied")})
    days = "\n         union all ".join(f"select {place}, '{code}', {to} - ({start}) where d.{code}"
                                        for place, (code, (start, to)) in enumerate(zip(LINKS, ends), 1))
    return text(f"""
        with done as materialized (
            select s.complaint_id, s.calendar_id, s.started_ord, s.days_used,
               links.dispatched_at, links.signed_at, links.replied_at,
               {marks}
              from {facts("links.")}
             where {_where(CATALOGUE["link_dispatch"])}{ONLY[only]} and s.state <> 'X'
        ), dated as materialized (
            select d.*, {ordinals}
              from done d join calendar k on k.calendar_id = d.calendar_id
        ), spent as (
            select l.place, l.link, l.days
              from dated d
             cross join lateral ({days}) as l (place, link, days)
        )
        select 'all' as grp, link as name, days as value, count(*) as n from spent where days is not null group by place, link, days""")


def links(conn: Connection, *, as_of: datetime, start: datetime, end: datetime, unit: int | None = None,
          category: int | None = None, channel: int | None = None, source: int | None = None,
          zone: str = "Asia/Shanghai") -> pd.DataFrame:
    """Working days at each link of the complaints done in the period, by accountable unit, without excluded ones.

    Index: `LINKS` and "all" (receipt to done); columns n (complaints), median, p90 (null where there are none), days
    (their sum).
    """
    params = dict(as_of=as_of, start=start, end=end, category=category, channel=channel, source=source, zone=zone, parent=None) | within(conn, unit)
    found = pd.concat([spread_over(conn, params, "all", LINKS, _links_statement), day_counts(conn, params, "all").assign(name="all")])
    rows = {}
    for link in (*LINKS, "all"):
        some = found[found["name"] == link]
        rows[link] = (int(some["n"].sum()), middle(some, 0.5), middle(some, 0.9), int((some["value"] * some["n"]).sum()))
    return pd.DataFrame.from_dict(rows, orient="index", columns=["n", "median", "p90", "days"]).rename_axis("link").astype({"median": "float64", "p90": "float64"})


def days(conn: Connection, *, as_of: datetime, start: datetime, end: datetime, by: str = "all",
         parent: int | None = None, unit: int | None = None, category: int | None = None, channel: int | None = None,
         source: int | None = None, zone: str = "Asia/Shanghai") -> pd.DataFrame:
    """Working days to done by group, done in the period, without excluded: days_median, days_p90, days_mean, days_n."""
    params = dict(as_of=as_of, start=start, end=end, category=category, channel=channel, source=source, zone=zone,
                  parent=parent) | within(conn, unit)
    return day_figures(day_counts(conn, params, by))
