"""Years that are published later, versions of a policy, the packs' own checks."""
import csv
import random
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from queries import calendars, packs
from queries.setup import setup
from tests.makers import (
    CN,
    close,
    cn,
    end_of,
    exclude,
    make_complaint,
    make_unit,
    move,
    recategorise,
    reopen,
    reply,
    reply_source,
    restore,
    return_for_redo,
    state_of,
    verify,
    withdraw,
)

AGREED = (
    Path(__file__).resolve().parents[2].parent / "shared" / "data" / "calendar_cn" / "workdays_agreed_2018_2026.csv"
)


def china(conn):
    return conn.execute(text("select calendar_id from calendar where code = 'CN' and tz = :z"), {"z": CN}).scalar_one()


def year_2027(tmp_path, off=("2027-01-01", "2027-02-08"), on=("2027-02-07",)):
    """A CSV of 2027 as it might be published."""
    file = tmp_path / "2027.csv"
    with file.open("w", newline="") as out:
        rows = csv.writer(out)
        rows.writerow(["date", "is_workday", "kind", "name"])
        for n in range(365):
            day = date(2027, 1, 1) + timedelta(n)
            working = str(day) in on or (day.weekday() < 5 and str(day) not in off)
            rows.writerow([day, int(working), "", "春节" if str(day) in off else ""])
    return file


@pytest.mark.skipif(not AGREED.exists(), reason="the agreed calendar of ../shared/data is not here")
def test_chinas_table_is_the_agreed_one_day_by_day(conn):
    ours = {
        r.day: (r.working, r.kind, r.name)
        for r in conn.execute(text("select * from workday where calendar_id = :c"), {"c": china(conn)})
    }
    agreed = calendars.read_csv(AGREED)
    assert len(agreed) == 3287
    assert [d for d, working, _, _ in agreed if ours[d][0] != working] == []
    # Kinds differ where days off run over a weekend, and on the Monday after 2020's longer Spring Festival.
    other = {d: (kind, ours[d][1]) for d, _, kind, _ in agreed if ours[d][1] != kind}
    assert other.pop(date(2020, 2, 3)) == ("makeup", "weekday") and set(other.values()) == {("weekend", "holiday")}
    assert all(ours[d][2] for d in ours if ours[d][1] in ("holiday", "makeup"))


def test_ordinals_run_on_without_a_gap(conn, overseas):
    wrong = conn.execute(
        text(
            """
        select count(*)
          from (select ordinal, sum(working::int) over (partition by calendar_id order by day) as n from workday) w
         where ordinal <> n"""
        )
    )
    assert wrong.scalar_one() == 0
    years = conn.execute(text("select min(day), max(day), count(*) from workday group by calendar_id")).all()
    assert set(map(tuple, years)) == {(date(1990, 1, 1), date(2075, 12, 31), 31411)}


def test_published_and_estimated_years(conn, overseas):
    status = calendars.status(conn).set_index(["code", "tz", "year"])["status"]
    assert [status["CN", CN, y] for y in (2003, 2004, 2026, 2027)] == [
        "estimated",
        "published",
        "published",
        "estimated",
    ]
    assert status["US", "America/New_York", 2027] == "published"
    thanksgiving = conn.execute(
        text("select working, kind, name from workday where calendar_id = :c and day = '2026-11-26'"),
        {"c": overseas["America/New_York"]},
    ).one()
    assert tuple(thanksgiving) == (False, "holiday", "Thanksgiving Day")


def test_a_calendar_is_made_once_and_quickly(conn):
    started = time.perf_counter()
    one = calendars.install(conn, "US-MA", "America/New_York")
    assert time.perf_counter() - started < 1.5
    assert calendars.install(conn, "US-MA", "America/New_York") == one
    patriots = conn.execute(
        text("select working from workday where calendar_id = :c and day = '2026-04-20'"), {"c": one}
    ).scalar_one()
    assert not patriots
    with pytest.raises(calendars.CalendarError, match="XX"):
        calendars.install(conn, "XX", "UTC")


def test_country_of_a_zone():
    assert [calendars.country_of(z) for z in ("Asia/Shanghai", "America/New_York", "US/Eastern", "UTC")] == [
        "CN",
        "US",
        "US",
        None,
    ]


def test_a_year_is_published_and_provisional_limits_are_computed_again(conn, tmp_path):
    unit = make_unit(conn, "网点")
    waiting = make_complaint(conn, received=cn("2026-12-28 10:00"), unit=unit)
    later = make_complaint(conn, received=cn("2027-03-01 10:00"), unit=unit, category="work_error")
    early = make_complaint(conn, received=cn("2026-11-02 10:00"), unit=unit, category="work_error")
    assert (
        state_of(conn, waiting, cn("2026-12-29 10:00")).provisional
        and not state_of(conn, early, cn("2026-12-29 10:00")).provisional
    )
    assert state_of(conn, waiting, cn("2026-12-29 10:00")).due_at == end_of("2027-01-11")
    assert calendars.status(conn).query("year == 2027")["provisional"].tolist() == [2]
    started = time.perf_counter()
    assert calendars.load_year(conn, china(conn), 2027, calendars.read_csv(year_2027(tmp_path)), "2027.csv") == 2
    assert time.perf_counter() - started < 3
    now = state_of(conn, waiting, cn("2026-12-29 10:00"))
    assert not now.provisional and now.due_at == end_of("2027-01-12")
    assert conn.execute(text("select * from check_spans()")).all() == []
    # A second, corrected file: nothing is provisional any more, but what stands on later days moves too.
    again = calendars.read_csv(year_2027(tmp_path, off=("2027-01-01", "2027-01-04", "2027-02-08"), on=()))
    assert calendars.load_year(conn, china(conn), 2027, again, "2027b.csv") == 2
    assert state_of(conn, waiting, cn("2026-12-29 10:00")).due_at == end_of("2027-01-13")
    assert state_of(conn, later, cn("2027-03-02 10:00")).due_at == end_of("2027-03-04")
    assert conn.execute(text("select * from check_spans()")).all() == []
    year = calendars.status(conn).query("year == 2027").iloc[0]
    assert (year["status"], year["origin"], year["provisional"]) == ("published", "2027b.csv", 0)


@pytest.mark.parametrize("old, new, message", [
    ("date,is_workday", "day,is_workday", "line 1: the column date is missing"),
    ("2027-01-04,1", "2027-13-04,1", "line 5, column date: '2027-13-04'"),
    ("2027-01-04,1", "2027-01-04,yes", "line 5, column is_workday: 'yes'"),
    ("2027-01-04,1,", "2027-01-04,1,feast", "line 5, column kind: 'feast'"),
    ("2027-01-04,1,", "2027-01-04,1,holiday", "line 5, column kind: 'holiday' is not a kind of working day"),
    ("2027-01-04,1", "2027-01-03,0", "line 5, column date: 2027-01-03 stands there twice"),
    ("2027-01-04,1,,\r\n", "", "2027-01-04 is missing"),
])
def test_a_bad_calendar_file_is_refused_with_its_place(tmp_path, old, new, message):
    file = year_2027(tmp_path)
    content = file.read_bytes().decode()
    assert old in content
    file.write_bytes(content.replace(old, new, 1).encode())
    with pytest.raises(calendars.CalendarError, match=message):
        calendars.read_csv(file)


def test_true_and_false_are_read(tmp_path):
    file = year_2027(tmp_path)
    file.write_text(file.read_text().replace(",1,", ",TRUE,").replace(",0,", ",false,"))
    assert sum(working for _, working, _, _ in calendars.read_csv(file)) == 260


# -- versions ---------------------------------------------------------------------------------------------------------

def edited(tmp_path, old, new, name="bank"):
    """A copy of a pack with one text replaced."""
    source = (packs.HERE / f"{name}.toml").read_text("utf-8")
    assert source.count(old) >= 1, old
    file = tmp_path / f"{name}.toml"
    file.write_text(source.replace(old, new, 1), "utf-8")
    return file


def second_version(tmp_path, start):
    source = (packs.HERE / "bank.toml").read_text("utf-8")
    first = source[source.index("[[version]]"):]
    file = tmp_path / "bank.toml"
    file.write_text(
        source
        + "\n"
        + first.replace("version        = 1", "version        = 2")
        .replace("2000-01-01", start)
        .replace("amount = 3", "amount = 5", 1),
        "utf-8",
    )
    return packs.load(file)


def test_each_complaint_is_judged_by_the_version_in_force_when_it_was_received(conn, tmp_path):
    unit = make_unit(conn, "网点")
    before = make_complaint(conn, received=cn("2026-03-02 10:00"), unit=unit, category="work_error")
    packs.install(conn, second_version(tmp_path, "2026-03-09"))
    eve = make_complaint(conn, received=cn("2026-03-08 23:59:59"), unit=unit, category="work_error")
    after = make_complaint(conn, received=cn("2026-03-09 00:00"), unit=unit, category="work_error")
    assert [state_of(conn, i, cn("2026-03-09 10:00")).due_at for i in (before, eve, after)] == [
        end_of(f"2026-03-{d}") for d in ("05", "11", "16")
    ]
    recategorise(conn, eve, "violation", cn("2026-03-10 10:00"))                              # still by its own version
    assert state_of(conn, eve, cn("2026-03-10 11:00")).due_at == end_of("2026-03-20")


def test_a_version_may_not_begin_before_complaints_already_judged(conn, tmp_path):
    make_complaint(conn, received=cn("2026-03-09 00:30"), unit=make_unit(conn, "网点"))
    with pytest.raises(DBAPIError, match="may not begin on 2026-03-09"), conn.begin_nested():
        packs.install(conn, second_version(tmp_path, "2026-03-09"))
    packs.install(conn, second_version(tmp_path, "2026-03-10"))


def test_installing_twice_changes_nothing_and_an_edited_limit_is_refused(conn, tmp_path):
    def rows():
        return conn.execute(
            text("select policy_id, limit_id from policy join policy_limit using (policy_id) order by 1, 2")
        ).all()

    before = rows()
    for name in packs.names():
        packs.install(conn, packs.load(name))
    assert rows() == before
    for old, new, message in (
        ("amount = 3", "amount = 4", "line .*make a new"),
        ("soon = 3", "soon = 2", "make a new"),
        ('end_rule       = "both"', 'end_rule       = "closed"', "end_rule was both and is now closed"),
        ('complexity = "complex" }', 'complexity = "simple" }', "categories.service_product.*stay as they are"),
    ):
        with pytest.raises(packs.PackError, match=message):
            packs.install(conn, packs.load(edited(tmp_path, old, new)))
    packs.install(conn, packs.load(edited(tmp_path, '"工作失误"', '"工作差错"')))                   # words may change
    assert (
        conn.execute(text("select name from category where pack = 'bank' and code = 'work_error'")).scalar_one()
        == "工作差错"
    )


@pytest.mark.parametrize("old, new, line_of, message", [
    ('unit = "working_days"', 'unit = "working_hours"', "working_hours", "working hours are not counted yet"),
    ('clock = "reply"', 'clock = "answering"', '"answering"', "allowed are reply, dispatch"),
    ("amount = 3\n", "amount = 0\n", "amount = 0", "whole number of at least 1"),
    ("no_limit = true\n", "no_limit = true\namount = 3\n", "no_limit = true", "either amount, or no_limit"),
    ("soon = 1\n", "sooner = 1\n", "sooner = 1", "allowed are clock, category"),
    ("target = 7", "target = 10", "target = 10", "must be below amount"),
    ('channel = "web"', 'channel = "post"', 'channel = "post"', "allowed are phone, comment_book"),
    ('complexity = "simple" }', 'complexity = "easy" }', 'complexity = "easy"', "allowed are simple, complex"),
    (', complexity = "simple" }', " }", "work_error ", "has no limit of the reply clock"),
    ("effective_from = 2000-01-01", 'effective_from = "2000"', "effective_from", "must be a date"),
    ("moves          = []", 'moves          = ["prayer"]', "moves ", "allowed are extension, pause"),
    ('clock = "dispatch"\nchannel = "web"', 'clock = "withdrawal"', "", "says again what line"),
    ("[words]", "[wörds", "[wörds", "not valid TOML"),
])
def test_a_bad_pack_is_refused_with_its_line(tmp_path, old, new, line_of, message):
    file = edited(tmp_path, old, new)
    with pytest.raises(packs.PackError, match=message) as refused:
        packs.load(file)
    assert str(refused.value).startswith(f"{file}, line {refused.value.line}")
    if line_of:
        assert line_of in file.read_text("utf-8").splitlines()[refused.value.line - 1]


def test_a_pack_that_is_not_there_names_those_that_are():
    with pytest.raises(packs.PackError, match="there are bank, city, measure2020"):
        packs.load("hospital9")


def test_setup_again_is_quick_and_two_at_once_are_safe(prepared):
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(setup, [prepared, prepared]))
    started = time.perf_counter()
    setup(prepared)
    assert time.perf_counter() - started < 0.3


def test_the_built_in_accounts(conn):
    accounts = conn.execute(
        text("select login, name, role, builtin, all_units, sees_restricted from app_user order by login")
    ).all()
    assert [tuple(a)[:1] + tuple(a)[2:] for a in accounts] == [
        ("intake", "intake", True, True, True),
        ("service", "supervisor", True, True, True),
    ]


# -- whatever happens, the stored spans are those of the raw rows ----------------------------------------------------

@pytest.mark.parametrize("seed", range(6))
def test_spans_hold_after_random_acts(conn, seed, tmp_path):
    rng = random.Random(seed)
    units = [make_unit(conn, f"网点{n}") for n in range(4)]
    kinds = [("bank", c) for c in ("work_error", "violation", "anonymous")] + [
        ("measure2020", "loan"),
        ("city", "general"),
    ]
    for n in range(25):
        pack, category = rng.choice(kinds)
        moment = cn("2026-10-01 09:00") + timedelta(hours=rng.randrange(2000))
        it = make_complaint(
            conn,
            received=moment,
            unit=rng.choice(units),
            pack=pack,
            category=category,
            channel=rng.choice(["web", "phone", "letter"]),
            anonymous=rng.random() < 0.1,
            source_unit_id=rng.choice([None, units[0]]),
            source_due_at=rng.choice([None, moment + timedelta(days=5)]),
        )
        for _ in range(rng.randrange(8)):
            moment += timedelta(hours=rng.choice([-30, 0, 1, 20, 50, 200]))
            act = rng.choice(
                [
                    "move",
                    "move",
                    "reply",
                    "reply_source",
                    "close",
                    "return",
                    "withdraw",
                    "exclude",
                    "restore",
                    "reopen",
                    "recategorise",
                ]
            )
            if act == "move":
                move(conn, it, rng.choice(units), moment)
            elif act == "recategorise" and pack == "bank":
                recategorise(conn, it, rng.choice(["work_error", "violation", "anonymous"]), moment)
            elif act == "withdraw":
                verify(
                    conn,
                    it,
                    withdraw(conn, it, moment),
                    moment + timedelta(hours=5),
                    rng.choice(["voluntary", "pressured"]),
                )
            elif act == "exclude":
                exclude(conn, it, moment, rng.choice(["contest", "duplicate", "merged"]))
            elif act != "recategorise":
                {
                    "reply": reply,
                    "reply_source": reply_source,
                    "close": close,
                    "return": return_for_redo,
                    "restore": restore,
                    "reopen": reopen,
                }[act](conn, it, moment)
    assert conn.execute(text("select * from check_spans()")).all() == []
    calendars.load_year(conn, china(conn), 2027, calendars.read_csv(year_2027(tmp_path)), "2027.csv")
    assert conn.execute(text("select * from check_spans()")).all() == []
    # One state a clock at any moment, and the stretches of a clock run on without gap or overlap.
    twice = conn.execute(
        text("select complaint_id, clock from state('2026-11-15') where clock <> 'o' group by 1, 2 having count(*) > 1")
    ).all()
    gaps = conn.execute(text("""
        select count(*)
          from (select valid_to, lead(valid_from) over (partition by complaint_id order by seq) as next
                  from clock_span where clock = 'r') s
         where next <> valid_to""")).scalar_one()
    assert (twice, gaps) == ([], 0)
