"""Working days: which days count, from official tables where there are any, and what to do when a year is published.

A calendar is (code, time zone): China's table in Shanghai and in New York are two, because the day of receipt is not
the same. Codes: "CN" (State Council's notices, package chinese_calendar), or a country or "country-region" of the
package holidays ("US", "US-MA").
"""
import csv
import io
from collections.abc import Iterable
from datetime import date, timedelta
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
from babel.core import get_global
from sqlalchemy import Connection, text

FIRST, LAST = date(1990, 1, 1), date(2075, 12, 31)
KINDS = {"weekday": True, "makeup": True, "weekend": False, "holiday": False}          # kind -> working
_FILE_KINDS = {"statutory_off": "holiday", "makeup_workday": "makeup", **{kind: kind for kind in KINDS}}
_TRUTH = {"1": True, "true": True, "0": False, "false": False}

Day = tuple[date, bool, str, str]                                                       # date, working, kind, name


class CalendarError(ValueError):
    """A calendar that cannot be used; the message says what is wrong and where, `code` and `params` the same for a page."""

    def __init__(self, message: str, code: str = "", **params: Any):
        super().__init__(message)
        self.code, self.params = code, params


def country_of(tz: str) -> str | None:
    """The default calendar of a time zone: Asia/Shanghai -> CN, America/New_York -> US, UTC -> None."""
    zone = get_global("zone_aliases").get(tz, tz)
    territory = get_global("zone_territories").get(zone)
    return territory if territory and territory.isalpha() and territory != "ZZ" else None


def published(code: str) -> tuple[dict[int, list[Day]], str]:
    """({year: the days that are not plain weekdays or weekends}, origin): what the installed packages know."""
    return _china() if code == "CN" else _country(code)


@cache
def _china() -> tuple[dict[int, list[Day]], str]:
    from chinese_calendar.constants import Holiday, holidays, workdays

    chinese = {h.value: h.chinese if h.chinese[-1] in "节旦日" else h.chinese + "节" for h in Holiday}     # 清明 -> 清明节
    years = {d.year: [] for d in holidays}
    for d, name in holidays.items():
        years[d.year].append((d, False, "holiday", chinese[name]))
    for d, name in workdays.items():
        years[d.year].append((d, True, "makeup", chinese[name]))
    return years, f"chinese_calendar {version('chinese_calendar')}"


@cache
def _country(code: str) -> tuple[dict[int, list[Day]], str]:
    import holidays

    country, _, region = code.partition("-")
    try:
        table = holidays.country_holidays(country, subdiv=region or None)
    except NotImplementedError:
        raise CalendarError(f"There is no calendar {code!r}: give CN, or a country such as US or US-MA.") from None
    years = {year: [] for year in range(max(FIRST.year, table.start_year), min(LAST.year, table.end_year) + 1)}
    table = holidays.country_holidays(country, subdiv=region or None, years=years)
    for year, days in years.items():
        d = date(year, 1, 1)
        while d.year == year:
            working = table.is_working_day(d)
            if working != (d.weekday() < 5) or d in table:
                kind = "makeup" if working and d.weekday() >= 5 else "weekday" if working else "holiday"
                days.append((d, working, kind if d in table or working else "weekend", table.get(d, "")))
            d += timedelta(days=1)
    return years, f"holidays {version('holidays')}"


# Every day from the first to the last; what is not listed is a plain weekday or weekend.
_FILL = text("""
    insert into workday (calendar_id, day, working, kind, name, ordinal)
    select :cal, d.day, q.working,
           case when x.kind is not null then x.kind when y.status = 'estimated' then 'estimated'
                when q.working then 'weekday' else 'weekend' end,
           coalesce(x.name, ''), sum(q.working::int) over (order by d.day)
      from (select g::date as day from generate_series(cast(:first as timestamp), :last, '1 day') g) d
      join calendar_year y on y.calendar_id = :cal and y.year = extract(year from d.day)
      left join unnest(cast(:days as date[]), cast(:working as boolean[]),
                       cast(:kinds as text[]), cast(:names as text[])) as x (day, working, kind, name) using (day)
     cross join lateral (select coalesce(x.working, extract(isodow from d.day) < 6) as working) q""")

_YEARS = text("""
    insert into calendar_year (calendar_id, year, status, origin)
    select :cal, y, case when y = any (:published) then 'published' else 'estimated' end,
           case when y = any (:published) then :origin else 'weekdays' end
      from generate_series(:first, :last) y""")


def install(conn: Connection, code: str, tz: str) -> int:
    """The calendar's id; makes it where it is missing, and takes up years that a newer package has published since."""
    years, origin = published(code)
    named = {"code": code, "tz": tz}
    made = conn.execute(text("""
        insert into calendar (code, tz) values (:code, :tz) on conflict do nothing
        returning calendar_id"""), named).scalar()
    if made is not None:
        conn.execute(_YEARS, {"cal": made, "published": list(years), "origin": origin,
                              "first": FIRST.year, "last": LAST.year})
        exceptions = columns(day for days in years.values() for day in days)
        conn.execute(_FILL, {"cal": made, "first": FIRST, "last": LAST} | exceptions)
        return made
    there = conn.execute(text("select calendar_id from calendar where code = :code and tz = :tz"), named).scalar_one()
    waiting = conn.execute(text("""
        select year from calendar_year
         where calendar_id = :cal and status = 'estimated' and year = any (:years) order by year"""),
        {"cal": there, "years": list(years)}).scalars().all()
    for year in waiting:
        load_year(conn, there, year, _whole(year, years[year]), origin)
    return there


def load_year(conn: Connection, calendar_id: int, year: int, days: list[Day], origin: str) -> int:
    """Replaces a year of the table and marks it published; returns how many complaints were computed again.

    `days` are (date, working, kind, name), every day of the year once. Ordinals run on over the years, so every later
    day moves with it.
    """
    _check_year(year, days)
    return conn.execute(text("select calendar_load(:cal, :year, cast(:days as date[]), cast(:working as boolean[]), cast(:kinds as text[]), cast(:names as text[]), :origin)"),
                        {"cal": calendar_id, "year": year, "origin": origin} | columns(days)).scalar_one()


def read_csv(path: str | Path) -> list[Day]:
    """The days of a file with columns date, is_workday (0, 1, true, false) and, where known, kind and name.

    Kinds: weekday, weekend, holiday (statutory_off), makeup (makeup_workday). Every day of each year that occurs must
    be there once. CalendarError names line and column.
    """
    days: dict[date, Day] = {}
    with Path(path).open(encoding="utf-8-sig", newline="") as file:
        rows = csv.DictReader(file)
        for column in ("date", "is_workday"):
            if column not in (rows.fieldnames or ()):
                raise CalendarError(f"{path}, line 1: the column {column} is missing; needed are date and is_workday.")
        for row in rows:
            def refuse(column: str, wanted: str) -> CalendarError:
                return CalendarError(f"{path}, line {rows.line_num}, column {column}: {row[column]!r} is not {wanted}.")

            try:
                day = date.fromisoformat((row["date"] or "").strip())
            except ValueError:
                raise refuse("date", "a date such as 2027-01-04") from None
            working = _TRUTH.get((row["is_workday"] or "").strip().lower())
            if working is None:
                raise refuse("is_workday", "0, 1, true or false")
            given = (row.get("kind") or "").strip()
            kind = _FILE_KINDS.get(given) if given else _kind(day, working)
            if kind is None:
                raise refuse("kind", f"one of {', '.join(_FILE_KINDS)}")
            if KINDS[kind] != working:
                raise refuse("kind", f"a kind of {'working day' if working else 'day off'}, as is_workday says it is")
            if day in days:
                raise CalendarError(f"{path}, line {rows.line_num}, column date: {day} stands there twice.")
            days[day] = (day, working, kind, (row.get("name") or "").strip())
    if not days:
        raise CalendarError(f"{path}, line 2: there are no days.")
    for year in sorted({d.year for d in days}):
        try:
            _check_year(year, [d for d in days.values() if d[0].year == year])
        except CalendarError as error:
            raise CalendarError(f"{path}: {error}") from None
    return [days[d] for d in sorted(days)]


def library(code: str, year: int) -> tuple[list[Day], str] | None:
    """(every day of a year, origin) as the installed packages know it; None where they do not know that year."""
    years, origin = published(code)
    return (_whole(year, years[year]), origin) if year in years else None


def exceptions(pasted: str, year: int) -> list[Day]:
    """Every day of a year, of which `pasted` names those that are not plain weekdays or weekends: CSV with day, working (0, 1, true, false) and, where known, name.

    CalendarError: ``empty``, ``columns``, ``day``, ``working``, ``other_year``, ``twice``, each with its line.
    """
    rows = csv.DictReader(io.StringIO(pasted.lstrip("\ufeff").strip()), skipinitialspace=True)
    if not {"day", "working"} <= {(name or "").strip() for name in rows.fieldnames or ()}:
        raise CalendarError("Line 1 must name the columns day, working, name.", "columns")
    found: dict[date, Day] = {}
    for row in rows:
        row = {(name or "").strip(): value.strip() if isinstance(value, str) else "" for name, value in row.items()}

        def refuse(code: str, value: str) -> CalendarError:
            return CalendarError(f"Line {rows.line_num}: {value!r} ({code}).", code, line=rows.line_num, value=value)

        try:
            day = date.fromisoformat(row["day"])
        except ValueError:
            raise refuse("day", row["day"]) from None
        working = _TRUTH.get(row["working"].lower())
        if working is None:
            raise refuse("working", row["working"])
        if day.year != year:
            raise refuse("other_year", row["day"])
        if day in found:
            raise refuse("twice", row["day"])
        found[day] = (day, working, _kind(day, working), row.get("name", ""))
    if not found:
        raise CalendarError("There are no days.", "empty")
    return _whole(year, list(found.values()))


def status(conn: Connection) -> pd.DataFrame:
    """Every year of every calendar: code, tz, year, status, origin, provisional (complaints with such a limit)."""
    return pd.read_sql_query(text("""
        select c.code, c.tz, y.year, y.status, y.origin, coalesce(p.n, 0) as provisional
          from calendar c
          join calendar_year y using (calendar_id)
          left join (select s.calendar_id, extract(year from s.due_at at time zone k.tz) as year,
                            count(distinct s.complaint_id) as n
                       from clock_span s join calendar k using (calendar_id)
                      where s.provisional group by 1, 2) p using (calendar_id, year)
         order by c.code, c.tz, y.year"""), conn)


def days(conn: Connection, first: date, last: date, *, zone: str) -> pd.DataFrame:
    """The days from `first` to `last` (both included) of the office's calendar: day, working, kind, name; empty where there is none."""
    return pd.read_sql_query(text("""
        select w.day, w.working, w.kind, w.name from workday w
         where w.calendar_id = (select c.calendar_id from calendar c where c.tz = :zone order by (c.code = :code) desc, c.calendar_id limit 1)
           and w.day between :first and :last order by w.day"""), conn,
        params={"zone": zone, "code": country_of(zone) or "CN", "first": first, "last": last})


def _kind(day: date, working: bool) -> str:
    """The kind of a day nobody named."""
    weekend = day.weekday() >= 5
    return ("makeup" if weekend else "weekday") if working else ("weekend" if weekend else "holiday")


def _whole(year: int, exceptions: list[Day]) -> list[Day]:
    """Every day of a year: its exceptions, and plain weekdays and weekends between them."""
    special = {d[0]: d for d in exceptions}
    every = (date(year, 1, 1) + timedelta(days=n) for n in range((date(year + 1, 1, 1) - date(year, 1, 1)).days))
    return [special.get(d) or (d, d.weekday() < 5, _kind(d, d.weekday() < 5), "") for d in every]


def _check_year(year: int, days: list[Day]) -> None:
    if not FIRST.year <= year <= LAST.year:
        raise CalendarError(f"The year {year} is outside {FIRST.year}–{LAST.year}.")
    seen = [d[0] for d in days]
    if len(set(seen)) < len(seen):
        raise CalendarError(f"{year}: {next(d for d in seen if seen.count(d) > 1)} stands there twice.")
    if strange := [d for d in seen if d.year != year]:
        raise CalendarError(f"{year}: {strange[0]} belongs to another year.")
    if missing := {d[0] for d in _whole(year, [])} - set(seen):
        raise CalendarError(f"{year}: {min(missing)} is missing ({len(missing)} of the year's days in all).")


def columns(days: Iterable[Day]) -> dict[str, list]:
    """Days as one array a column, to be unnested."""
    rows = list(days)
    return dict(zip(("days", "working", "kinds", "names"), map(list, zip(*rows)) if rows else ([], [], [], [])))
