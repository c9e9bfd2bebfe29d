"""Periods by name: what 本周, 上半月 or a pair of dates means on a given day. Pure.

A period is half open, ``start <= day < end``. Weeks run Monday to Sunday, half-months are 1–15 and 16–end.
In the address a period is ``period=last_week``, or ``period=custom&from=2026-03-02&to=2026-03-08`` (``to`` included).
"""

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import date, timedelta

KIND = {  # code -> what kind of period it is; the order is the order of the menu
    "today": "day", "week": "week", "last_week": "week", "half_month": "half_month", "last_half_month": "half_month",
    "month": "month", "last_month": "month", "quarter": "quarter", "last_quarter": "quarter",
    "year": "year", "twelve_months": "twelve_months", "custom": "custom",
}
CODES = tuple(KIND)
LONGEST = 3  # years a custom period may span
_MONTHS = {"month": 1, "quarter": 3, "year": 12, "twelve_months": 12}
_DAY = timedelta(days=1)
_DIGITS = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})")
_DATE = re.compile(r"[0-9\s年月日号./-]+")
_NUMBER = re.compile(r"[0-9]+")


@dataclass(frozen=True)
class Period:
    """``code`` is one of CODES, or "day" for a shifted day; ``end`` is the first day that no longer belongs."""

    code: str
    start: date
    end: date

    @property
    def kind(self) -> str:
        """day, week, half_month, month, quarter, year, twelve_months or custom."""
        return KIND.get(self.code, self.code)

    @property
    def last(self) -> date:
        """The last day that belongs to the period."""
        return self.end - _DAY

    @property
    def days(self) -> int:
        return (self.end - self.start).days


def parse(code: str | None, start: str | date | None, end: str | date | None, today: date) -> Period | None:
    """The period an address asks for, or None if it asks for nothing that exists; ``end`` is the last day, included."""
    if code == "custom":
        first, last = read_date(start, today), read_date(end, today)
        if first is None or last is None or last < first or last >= _shift(first, 12 * LONGEST):
            return None
        return Period("custom", first, last + _DAY) if last < date.max else None
    if code not in KIND:
        return None
    kind = KIND[code]
    if kind == "twelve_months":
        first = _shift(today.replace(day=1), -11)
        return Period(code, first, _shift(first, 12))
    here = _around(kind, today)
    if code.startswith("last_"):
        here = _around(kind, here.start - _DAY)
    return Period(code, here.start, here.end)


def read_date(text: str | date | None, today: date) -> date | None:
    """A date as people type it: 2026-03-02, 20260302, 2026/3/2, 2026年3月2日, and 3月2日 or 3-2 of this year."""
    if text is None or isinstance(text, date):
        return text
    digits = _DIGITS.fullmatch(text.strip())
    parts = digits.groups() if digits else _NUMBER.findall(text) if _DATE.fullmatch(text) else ()
    if len(parts) == 2:
        parts = (today.year, *parts)
    try:
        year, month, day = (int(part) for part in parts)
        return date(year, month, day) if 1990 <= year <= 2199 else None
    except ValueError:
        return None


def is_week(period: Period) -> bool:
    """Whether a period is exactly one week from Monday to Sunday, whatever it is called."""
    return period.days == 7 and period.start.weekday() == 0


def previous(period: Period) -> Period:
    """环比: the period of the same kind just before. Its code says only its kind; name it by its dates."""
    kind = period.kind
    if kind in _MONTHS:
        return Period(kind, _shift(period.start, -_MONTHS[kind]), period.start)
    if kind == "custom":
        return Period(kind, period.start - (period.end - period.start), period.start)
    return _around(kind, period.start - _DAY)


def year_ago(period: Period) -> Period:
    """同比: a day or a week 364 days earlier (the same weekdays), anything else the same dates last year."""
    kind = period.kind
    if kind in ("day", "week") or is_week(period):
        back = timedelta(days=364)
        return Period(kind, period.start - back, period.end - back)
    start = _shift(period.start, -12)
    if kind == "half_month":
        return _around(kind, start)
    if kind == "custom":
        return Period(kind, start, _shift(period.last, -12) + _DAY)
    return Period(kind, start, _shift(period.end, -12))


def _around(kind: str, day: date) -> Period:
    """The calendar period of a kind that a day lies in."""
    if kind == "day":
        return Period("day", day, day + _DAY)
    if kind == "week":
        monday = day - timedelta(days=day.weekday())
        return Period("week", monday, monday + timedelta(days=7))
    if kind == "half_month":
        first, middle = day.replace(day=1), day.replace(day=16)
        return Period(kind, first, middle) if day < middle else Period(kind, middle, _shift(first, 1))
    length = _MONTHS[kind]
    first = date(day.year, (day.month - 1) // length * length + 1, 1)
    return Period(kind, first, _shift(first, length))


def _shift(day: date, months: int) -> date:
    """The same day so many months on; 29 February becomes the 28th where there is none."""
    index = day.year * 12 + day.month - 1 + months
    year, month = index // 12, index % 12 + 1
    return date(year, month, min(day.day, monthrange(year, month)[1]))
