"""What a period name means on a day, the period before it, and the same a year ago."""

from datetime import date

import pytest

from dashboard.periods import CODES, Period, parse, previous, read_date, year_ago

MONDAY = date(2026, 3, 9)


def dates(period: Period) -> str:
    return f"{period.start:%Y-%m-%d} {period.last:%Y-%m-%d}"


@pytest.mark.parametrize("code, expected", [
    ("today", "2026-03-09 2026-03-09"), ("week", "2026-03-09 2026-03-15"), ("last_week", "2026-03-02 2026-03-08"),
    ("half_month", "2026-03-01 2026-03-15"), ("last_half_month", "2026-02-16 2026-02-28"),
    ("month", "2026-03-01 2026-03-31"), ("last_month", "2026-02-01 2026-02-28"),
    ("quarter", "2026-01-01 2026-03-31"), ("last_quarter", "2025-10-01 2025-12-31"),
    ("year", "2026-01-01 2026-12-31"), ("twelve_months", "2025-04-01 2026-03-31"),
])
def test_a_name_means_these_days(code, expected):
    assert dates(parse(code, None, None, MONDAY)) == expected


def test_sunday_still_belongs_to_the_week_of_monday():
    assert dates(parse("week", None, None, date(2026, 3, 8))) == "2026-03-02 2026-03-08"


def test_the_16th_opens_the_second_half_month_which_ends_with_the_month():
    assert dates(parse("half_month", None, None, date(2024, 2, 16))) == "2024-02-16 2024-02-29"
    assert dates(parse("last_half_month", None, None, date(2026, 2, 16))) == "2026-02-01 2026-02-15"


def test_a_custom_period_includes_its_last_day():
    assert parse("custom", "2026-03-02", "2026-03-08", MONDAY) == Period("custom", date(2026, 3, 2), date(2026, 3, 9))


@pytest.mark.parametrize("code, start, end", [
    (None, None, None), ("", None, None), ("fortnight", None, None), ("custom", None, None),
    ("custom", "2026-03-02", None),
    ("custom", "2026-03-08", "2026-03-02"), ("custom", "2026-02-30", "2026-03-02"), ("custom", "x", "'; drop table"),
    ("custom", "2023-03-02", "2026-03-02"), ("custom", "0001-01-01", "9999-12-31"), ("day", None, None),
])
def test_what_does_not_exist_is_none_and_never_an_exception(code, start, end):
    assert parse(code, start, end, MONDAY) is None


def test_three_years_are_allowed_and_not_a_day_more():
    assert parse("custom", "2023-03-02", "2026-03-01", MONDAY).days == 1096


@pytest.mark.parametrize("text", [
    "2026-03-02", "20260302", "2026/3/2", "2026.3.2", "2026年3月2日", "3月2日", "3-2", " 3月2号 "])
def test_dates_are_read_as_people_type_them(text):
    assert read_date(text, MONDAY) == date(2026, 3, 2)


@pytest.mark.parametrize("text", ["", "2026", "下周", "2026-13-01", "99999-1-1", "1-2-3-4", "٣月٢日"])
def test_anything_else_is_not_a_date(text):
    assert read_date(text, MONDAY) is None


@pytest.mark.parametrize("code, before, ago", [
    ("today", "2026-03-08 2026-03-08", "2025-03-10 2025-03-10"),
    ("last_week", "2026-02-23 2026-03-01", "2025-03-03 2025-03-09"),
    ("half_month", "2026-02-16 2026-02-28", "2025-03-01 2025-03-15"),
    ("last_half_month", "2026-02-01 2026-02-15", "2025-02-16 2025-02-28"),
    ("month", "2026-02-01 2026-02-28", "2025-03-01 2025-03-31"),
    ("quarter", "2025-10-01 2025-12-31", "2025-01-01 2025-03-31"),
    ("year", "2025-01-01 2025-12-31", "2025-01-01 2025-12-31"),
    ("twelve_months", "2024-04-01 2025-03-31", "2024-04-01 2025-03-31"),
])
def test_the_period_before_and_the_period_a_year_ago(code, before, ago):
    period = parse(code, None, None, MONDAY)
    assert dates(previous(period)) == before
    assert dates(year_ago(period)) == ago


def test_before_a_custom_period_lie_as_many_days():
    period = parse("custom", "2024-02-20", "2024-02-29", MONDAY)
    assert dates(previous(period)) == "2024-02-10 2024-02-19"
    assert dates(year_ago(period)) == "2023-02-20 2023-02-28"
    assert dates(year_ago(parse("custom", "2024-02-28", "2024-02-28", MONDAY))) == "2023-02-28 2023-02-28"


@pytest.mark.parametrize("code", [code for code in CODES if code != "custom"])
def test_periods_of_a_kind_follow_each_other_without_a_gap_for_five_years(code):
    period = parse(code, None, None, MONDAY)
    for _ in range({"today": 1827, "week": 260, "last_week": 260}.get(code, 60)):
        earlier = previous(period)
        assert earlier.end == period.start and earlier.start < earlier.end and earlier.kind == period.kind
        period = earlier
        if period.start.year < 2000:
            break
