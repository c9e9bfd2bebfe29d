"""A period beside the one before it (环比) and the same one a year before (同比): changes in words, and what makes the
periods unlike each other, their working days and long holidays. One wording for all pages; pure but for ``read``.

    calendar = compared.read(f)
    compared.rate_change(rate(*now), rate(*before), compared.prior(f.period))     # 较前一周下降1.2个百分点
    compared.note(f, calendar, [compared.rate_since(name, now, ago), …])          # 本期5个工作日，上期2个工作日；同比…
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import pandas as pd

from dashboard import data, periods, words
from dashboard.context import Frame
from dashboard.periods import Period
from dashboard.words import t
from queries import calendars
from queries.figures import rate

LONG = 3  # weekdays off in a row, weekends between them or not, that make a long holiday
MARGIN = timedelta(days=14)  # read around the periods, to see a holiday that begins before or ends after one
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Calendar:
    """The office's working days: ``working[day]``; a day that the calendar does not reach is no working day."""

    working: dict[date, bool]

    def days(self, start: date, end: date) -> int:
        """Working days from ``start`` to the day before ``end``."""
        return sum(self.working.get(start + _DAY * i, False) for i in range((end - start).days))

    def holidays(self, start: date, end: date) -> int:
        """Weekdays of the span that belong to a long holiday: LONG or more weekdays off, no working day between."""
        return sum(self.long(day) for i in range((end - start).days) if (day := start + _DAY * i).weekday() < 5)

    def long(self, day: date) -> bool:
        """Whether a day lies in a long holiday."""
        if self.working.get(day, True):
            return False
        off = int(day.weekday() < 5)
        for step in (_DAY, -_DAY):
            one = day + step
            while not self.working.get(one, True):
                off += one.weekday() < 5
                one += step
        return off >= LONG


def read(f: Frame) -> Calendar:
    """The office's calendar over the period, the one before, the year before, and the last half year before it."""
    first = min(f.year_ago.start, f.period.start - timedelta(weeks=27)) - MARGIN
    return calendar(data.read(calendars.days, first, f.period.end + MARGIN, zone=f.zone.key))


def calendar(table: pd.DataFrame) -> Calendar:
    """From ``calendars.days``."""
    return Calendar(dict(zip(table["day"], table["working"])))


# -- 环比 -----------------------------------------------------------------------------------------------------------

def here(period: Period) -> str:
    """上周, 本期: the period in a sentence."""
    return words.name("period_in", period.code)


def prior(period: Period) -> str:
    """前一周: the period before, in a sentence about this one."""
    dated = period.code == "custom" and periods.is_week(period)
    return words.name("period_before", "last_week" if dated else period.code)


def points(now: float, before: float) -> float:
    """The difference of two rates as it is printed: of the printed rates."""
    return round(round(now, 1) - round(before, 1), 1)


def rate_change(now: float | None, before: float | None, prior: str) -> str:
    """较上周下降1.2个百分点. Rates in %, None where nothing was due."""
    if now is None or before is None:
        return t("review.rate_no_before", before=prior)
    difference = points(now, before)
    key = "review.rate_up" if difference > 0 else "review.rate_down" if difference < 0 else "review.rate_same"
    return t(key, before=prior, x=words.number(abs(difference), 1))


def count_change(now: int, before: int, prior: str) -> str:
    """比上周增加3件."""
    key = "review.count_up" if now > before else "review.count_down" if now < before else "review.count_same"
    return t(key, before=prior, x=abs(now - before))


# -- 同比 -----------------------------------------------------------------------------------------------------------

def rate_since(name: str, now: tuple[int, int], ago: tuple[int, int]) -> str:
    """按时办结率上升1.2个百分点, of (numerator, denominator) now and a year ago; "" where either has no cases."""
    if not now[1] or not ago[1]:
        return ""
    difference = points(rate(*now), rate(*ago))
    key = "compared.rate_up" if difference > 0 else "compared.rate_down" if difference < 0 else "compared.same"
    return t(key, name=name, x=words.number(abs(difference), 1))


def count_since(name: str, now: int, ago: int) -> str:
    """受理增加37件."""
    key = "compared.count_up" if now > ago else "compared.count_down" if now < ago else "compared.same"
    return t(key, name=name, x=abs(now - ago))


# -- the small print ------------------------------------------------------------------------------------------------

def note(f: Frame, days: Calendar, changes: Sequence[str] = (), known: bool = True) -> str:
    """What makes the periods unlike: 本期5个工作日，上期2个工作日；同比（2025年3月3日—3月9日，5个工作日）按时办结率上升1.2个百分点。
    同比两期只有一期含长假，仅供参考。 changes: of ``rate_since`` and ``count_since``; known: whether there are data of a
    year ago. Of a period that has not ended the working days up to today, today included."""
    today = f.as_of.astimezone(f.zone).date()
    return said(f.period, f.previous, f.year_ago, today, days, changes, known)


def said(period: Period, before: Period, ago: Period, today: date, days: Calendar, changes: Sequence[str],
         known: bool) -> str:
    """``note`` of these periods."""
    if not days.working:
        return ""
    running = period.start <= today < period.last
    end = today + _DAY if running else period.end
    text = t("review.workdays_so_far" if running else "review.workdays_both", n=days.days(period.start, end),
             m=days.days(before.start, before.end))
    span = words.span(ago.start, ago.last)
    changes = [change for change in changes if change]
    if not known:
        return t("compared.note_none", workdays=text, span=span)
    if not changes:
        return t("compared.note_alone", workdays=text)
    text = t("compared.note", workdays=text, span=span, n=days.days(ago.start, ago.end),
             changes=t("compared.comma").join(changes))
    differs = bool(days.holidays(period.start, period.end)) != bool(days.holidays(ago.start, ago.end))
    return text + t("review.holiday_differs") if differs else text
