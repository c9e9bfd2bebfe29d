"""The worked examples of product.md §3, and limit_at() against a walk from day to day."""
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from dashboard.due import format_due
from queries import clocks
from tests.makers import CN, cn, end_of, make_complaint, make_unit, state_of

EXAMPLES = [  # received, working days, due (end of)
    ("2025-09-26", 3, "2025-09-30"),
    ("2025-09-29", 3, "2025-10-10"),
    ("2025-09-30", 7, "2025-10-16"),
    ("2025-09-30", 10, "2025-10-21"),
    ("2025-01-25", 2, "2025-01-27"),
    ("2024-02-09", 3, "2024-02-20"),
    ("2026-02-13", 3, "2026-02-25"),
    ("2026-02-14", 3, "2026-02-26"),
    ("2026-02-14", 10, "2026-03-06"),
    ("2026-04-30", 10, "2026-05-18"),
    ("2026-09-25", 3, "2026-09-30"),
    ("2026-12-28", 3, "2026-12-31"),
]


def limit(conn, received, days, unit="w", **rule):
    """(target, due, provisional) of a policy with this one limit."""
    policy = conn.execute(text("""
        insert into policy (pack, version, effective_from, title, title_en, day_zero)
        values (gen_random_uuid(), 1, '1990-01-01', 't', 't', :day_zero) returning policy_id"""),
        {"day_zero": rule.get("day_zero", False)}).scalar_one()
    conn.execute(text("""insert into policy_limit (policy_id, clock, amount, unit, target, soon)
                         values (:p, 'r', :n, :u, :target, :soon)"""),
                 {"p": policy, "n": days, "u": unit, "target": rule.get("target"), "soon": rule.get("soon", 0)})
    return conn.execute(
        text("""
        select target_at, due_at, provisional from limit_at(:p, 'r', null, null, null, :at,
               (select calendar_id from calendar where code = 'CN' and tz = 'Asia/Shanghai'), null)"""),
        {"p": policy, "at": received},
    ).one()


@pytest.mark.parametrize("received, days, due", EXAMPLES)
@pytest.mark.parametrize("hour", ["00:00", "12:00", "23:59:59.999999"])
def test_worked_example(conn, received, days, due, hour):
    found = limit(conn, cn(f"{received} {hour}"), days)
    assert found.due_at == end_of(due)
    assert not found.provisional


def test_a_limit_in_a_year_without_a_table_is_provisional(conn):
    found = limit(conn, cn("2026-12-28 10:00"), 4)
    assert found.due_at == end_of("2027-01-01") and found.provisional
    assert not limit(conn, cn("2026-12-28 10:00"), 20, "c").provisional        # calendar days need no table


def test_target_is_the_earlier_of_the_rules_own_and_k_days_before(conn):
    start = cn("2025-09-30 10:00")
    assert limit(conn, start, 10, target=7, soon=3).target_at == end_of("2025-10-16")
    assert limit(conn, start, 10, target=5, soon=3).target_at == end_of("2025-10-14")
    assert limit(conn, start, 10, target=9, soon=3).target_at == end_of("2025-10-16")
    assert limit(conn, start, 10).target_at == limit(conn, start, 10).due_at


def test_the_day_of_receipt_counts_where_the_policy_says_so_and_it_is_a_working_day(conn):
    assert limit(conn, cn("2026-03-02 10:00"), 3, day_zero=True).due_at == end_of("2026-03-04")
    assert limit(conn, cn("2026-03-01 10:00"), 3, day_zero=True).due_at == end_of("2026-03-04")       # a Sunday
    assert limit(conn, cn("2026-03-01 10:00"), 1, day_zero=True).due_at == end_of("2026-03-02")
    assert limit(conn, cn("2026-03-01 10:00"), 3, "c", day_zero=True).due_at == end_of("2026-03-03")


def test_the_bank_rule(conn):
    def due(category, channel="phone", clock="r"):
        return clocks.due(
            conn, pack="bank", category=category, channel=channel, received=cn("2025-09-30 10:00"), zone=CN, clock=clock
        )

    assert due("service_attitude")["limit"] == end_of("2025-10-11")
    complex_ = due("violation")
    assert (complex_["target"], complex_["limit"]) == (end_of("2025-10-16"), end_of("2025-10-21"))
    assert due("financial_crime")["limit"] is None and due("anonymous")["limit"] is None
    assert due("violation", "web", "d")["limit"] == end_of("2025-10-10")
    assert due("violation", "phone", "d")["limit"] is None


def test_the_other_packs(conn):
    def due(pack, category, **more):
        return clocks.due(conn, pack=pack, category=category, received=cn("2026-03-06 10:00"), zone=CN, **more)["limit"]

    assert due("city", "emergency") == cn("2026-03-06 12:00")
    assert due("city", "livelihood") == cn("2026-03-07 10:00")
    assert due("city", "general") == end_of("2026-03-13")
    assert due("city", "complex") == end_of("2026-03-21")
    assert due("measure2020", "loan") == end_of("2026-03-21")
    assert due("measure2020", "loan", complexity="c") == end_of("2026-04-05")


def test_the_trace_counts_every_day_and_says_why(conn):
    found = clocks.due(conn, pack="bank", category="violation", received=cn("2025-09-30 10:00"), zone=CN)
    days = found["trace"].set_index("day")
    assert days.loc[date(2025, 9, 30), "count"] == 0 and days.loc[date(2025, 9, 30), "marks"] == "received"
    assert days.loc[date(2025, 10, 1), ["kind", "name"]].tolist() == ["holiday", "国庆节"]
    assert days.loc[date(2025, 10, 11), ["kind", "count"]].tolist() == ["makeup", 3]
    assert days.loc[date(2025, 10, 16), ["count", "marks"]].tolist() == [7, "target"]
    assert days.loc[date(2025, 10, 21), ["count", "marks"]].tolist() == [10, "limit"]
    assert len(days) == 22 and days["late"].isna().all()
    later = clocks.trace(
        conn,
        found["calendar_id"],
        found["received"],
        cn("2025-10-27 09:00"),
        zone=CN,
        limit=found["limit"],
        today=cn("2025-10-27 09:00"),
    ).set_index("day")
    assert later["late"].dropna().tolist() == [1, 2, 3, 4]
    assert later.loc[date(2025, 10, 27), "marks"] == "today"
    chinese, english = format_due(found, "zh"), format_due(found, "en")
    assert (
        "时限：2025-10-21 24:00" in chinese
        and "2025-10-11 周六  第3日     调休上班" in chinese
        and "银行客户投诉处理办法 第十一条，第1版" in chinese
    )
    assert "limit: 2025-10-21 24:00" in english and "day 10" in english


def test_questions_that_cannot_be_answered(conn):
    good = dict(pack="bank", category="violation", received=cn("2026-03-02 10:00"), zone=CN)
    for wrong, message in (
        ({"pack": "nobody"}, "no pack nobody"),
        ({"category": "rudeness"}, "there are work_error"),
        ({"channel": "pigeon"}, "there are phone"),
        ({"zone": "America/Lima"}, "time zone America/Lima"),
        ({"received": datetime(2026, 3, 2)}, "no time zone"),
        ({"received": cn("1999-03-02 10:00")}, "in force on 1999-03-02"),
    ):
        with pytest.raises(clocks.ClockError, match=message):
            clocks.due(conn, **(good | wrong))


def test_an_overseas_unit_counts_its_own_days(conn, overseas):
    """Late evening in New York is the next day in Shanghai; the clocks change on 2026-03-08, before the limit."""
    new_york = ZoneInfo("America/New_York")
    found = clocks.due(
        conn,
        pack="bank",
        category="service_attitude",
        received=datetime(2026, 3, 5, 22, 0, tzinfo=new_york),
        zone="America/New_York",
    )
    assert found["limit"] == end_of("2026-03-10", "America/New_York") and found["calendar"] == "US"


# -- against an obvious oracle ----------------------------------------------------------------------------------------

CASES = st.lists(
    st.tuples(
        st.datetimes(datetime(2003, 1, 1), datetime(2030, 12, 31)),
        st.integers(1, 40),
        st.sampled_from("wch"),
        st.booleans(),
        st.none() | st.integers(1, 39),
        st.integers(0, 6),
    ),
    min_size=30,
    max_size=60,
)


def oracle(working, zone, received, amount, unit, day_zero, target, soon):
    """(target, due) by walking from day to day."""
    def end(day):
        return datetime.combine(day + timedelta(1), datetime.min.time(), zone).astimezone(ZoneInfo("UTC")) - timedelta(
            microseconds=1
        )

    def walk(n):
        day, counted = first, int(day_zero and working[first])
        while counted < n:
            day += timedelta(1)
            counted += working[day]
        return day

    first = received.astimezone(zone).date()
    if unit == "h":
        due = received + timedelta(hours=amount)
    elif unit == "c":
        due = end(first + timedelta(amount - day_zero))
    else:
        due = end(walk(amount))
    last = due.astimezone(zone).date()
    day, left = last, 0  # back from the limit's day until `soon` working days are left
    while left < soon or not working[day]:
        left += working[day]
        day -= timedelta(1)
    ambers = (
        [due]
        + ([end(day)] if soon else [])
        + ([end(walk(target))] if unit == "w" and target and target < amount else [])
    )
    return min(ambers), due


@pytest.mark.parametrize("zone", [CN, "America/New_York", "Europe/London", "Australia/Lord_Howe"])
def test_limits_equal_a_walk_from_day_to_day(conn, overseas, zone):
    tz = ZoneInfo(zone)
    calendar = (
        overseas.get(zone)
        or conn.execute(text("select calendar_id from calendar where tz = :z"), {"z": zone}).scalar_one()
    )
    working = {
        row.day: row.working
        for row in conn.execute(text("select day, working from workday where calendar_id = :c"), {"c": calendar})
    }

    @given(cases=CASES)
    @settings(max_examples=25, deadline=None, database=None)
    def agree(cases):
        rows = [
            (
                received.replace(tzinfo=tz).astimezone(ZoneInfo("UTC")),
                amount,
                unit,
                day_zero,
                target if unit == "w" and target and target < amount else None,
                min(soon, amount - 1) if unit != "h" else 0,
            )
            for received, amount, unit, day_zero, target, soon in cases
        ]
        for row, answer in zip(rows, limits_of(conn, calendar, rows), strict=True):
            assert (tuple(answer), row) == (oracle(working, tz, *row), row)

    agree()


def limits_of(conn, calendar, rows):
    """(target, due) of every row, each by a policy of its own, from one call of the database."""
    values = dict(zip(("received", "amount", "unit", "day_zero", "target", "soon"), map(list, zip(*rows))))
    with conn.begin_nested() as back:
        policies = conn.execute(text("""
            with c as (select * from unnest(cast(:amount as int[]), cast(:unit as text[]), cast(:day_zero as boolean[]),
                                            cast(:target as int[]), cast(:soon as int[]))
                              with ordinality as c (amount, unit, day_zero, target, soon, n)),
            p as (insert into policy (pack, version, effective_from, title, title_en, day_zero)
                  select 'random' || n, n, '1990-01-01', '', '', day_zero from c returning policy_id, version),
            l as (insert into policy_limit (policy_id, clock, amount, unit, target, soon)
                  select policy_id, 'r', amount, unit::"char", target, soon from p join c on c.n = p.version)
            select policy_id from p order by version"""), values).scalars().all()
        answers = conn.execute(
            text("""
            select l.target_at, l.due_at
              from unnest(cast(:policy as int[]), cast(:received as timestamptz[])) with ordinality
                   as c (policy, received, n)
             cross join lateral limit_at(c.policy, 'r', null, null, null, c.received, :cal, null) l order by n"""),
            {"policy": policies, "received": values["received"], "cal": calendar},
        ).all()
        back.rollback()
    return answers


# -- state() stays a definition, not a scan --------------------------------------------------------------------------

def test_state_is_inlined(conn):
    unit = make_unit(conn, "网点")
    make_complaint(conn, received=cn("2026-03-02 10:00"), unit=unit)
    for query in ("select * from state(:t)", "select count(*) from state(:t) where clock = 'r' and state = 'E'",
                  "select u.name, count(*) from state(:t) s join unit u using (unit_id) group by 1"):
        plan = "\n".join(conn.execute(text(f"explain {query}"), {"t": cn("2026-03-20 10:00")}).scalars())
        assert "Function Scan on state" not in plan and "clock_span" in plan
    assert state_of(conn, 0, cn("2026-03-20 10:00")) is None
