"""The demo bank: the same for a day and a seed, nothing from the future, and everything that a page can show occurs."""
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from random import Random

import pytest
from sqlalchemy import create_engine, text

from queries import connect, demo
from queries.demo import cases, texts, units
from queries.setup import setup

MORNING, EVENING = datetime(2026, 3, 9, 0, 30, tzinfo=UTC), datetime(2026, 3, 9, 15, 30,
                                                                     tzinfo=UTC)    # one day in Shanghai
N = 6_000
TOLD_ONLY_ONCE = {"recorded_at", "changed_at", "seen_at", "loaded_at"}     # stamps of the load itself


def load(url, now=MORNING, n=N, seed=20260309):
    setup(url)
    return connect.as_owner(url, demo.load, now=now, seed=seed, complaints=n)


@pytest.fixture(scope="module")
def bank(database_module):
    counts = load(database_module)
    engine = create_engine(database_module, connect_args={"options": "-c search_path=desk"})
    with engine.connect() as conn:
        conn.counts = counts
        yield conn
    engine.dispose()


def ask(conn, sql, **params):
    return conn.execute(text(sql), {"now": MORNING} | params).all()


def one(conn, sql, **params):
    return conn.execute(text(sql), {"now": MORNING} | params).scalar_one()


def digests(url):
    engine = create_engine(url, connect_args={"options": "-c search_path=desk"})
    with engine.connect() as conn:
        found = {}
        for table in (*cases.TABLES, "unit", "unit_contact", "clock_span", "app_user", "user_scope"):
            columns = [name for name, in ask(conn, """select attname from pg_attribute
                                                     where attrelid = cast(:t as regclass) and attnum > 0
                                                     and not attisdropped order by attnum""", t=table)
                                                     if name not in TOLD_ONLY_ONCE]
            row = ", ".join(columns)
            found[table] = one(conn, f"""select md5(string_agg(md5(r::text), '' order by md5(r::text)))
                                           from (select {row} from {table}) r""")
    engine.dispose()
    return found


def test_two_loads_of_one_day_are_equal_and_another_seed_is_not(database, database_module, bank):
    load(database, now=EVENING)
    assert digests(database) == digests(database_module)
    first, second = (next(cases.Cases(_bank(), seed, 200, 1).chunks(200))["complaint"] for seed in (1, 2))
    assert first != second


@pytest.mark.parametrize("plan", ["enable_hashjoin", "enable_nestloop"])
def test_events_are_numbered_in_the_order_of_their_complaints_by_any_plan(bank, plan):
    """What two loads of the same rows are equal by: the planner chooses by a sample how it looks for what is there already."""
    others = [f"set local {one} = off" for one in ("enable_hashjoin", "enable_mergejoin", "enable_nestloop") if one != plan]
    rows = "from (select complaint_id, unit_id, received_at from complaint order by complaint_id desc limit 150) c"
    writes = {"delay": f"select complaint_id, 9, received_at, 'extension', 'x', null, received_at, received_at + interval '1 day' {rows}",
              "contest": f"select complaint_id, 9, received_at, unit_id, 'x', received_at, true, 'x' {rows}",
              "directive": f"select complaint_id, 9, received_at, 'x', 'x', null, received_at, 'x' {rows}",
              "rectification": f"select complaint_id, 9, unit_id, 'x', null, received_at, 'x' {rows}"}
    columns = {"delay": "complaint_id, delay_no, reported_at, kind, reason, customer_told_at, approved_at, due_to",
               "contest": "complaint_id, contest_no, requested_at, unit_id, reason, decided_at, upheld, decision",
               "directive": "complaint_id, directive_no, at, leader, text, answer_due_at, answered_at, answer",
               "rectification": "complaint_id, rectification_no, unit_id, measure, due_on, done_at, feedback"}
    with bank.begin_nested() as undone:
        for statement in others:
            bank.execute(text(statement))
        bank.execute(text("update policy set moves = array['extension', 'pause']"))
        for table, what in writes.items():
            before = one(bank, "select max(event_id) from event")
            bank.execute(text(f"insert into {table} ({columns[table]}) {what} order by complaint_id"))
            codes = ask(bank, "select code, array_agg(complaint_id order by event_id) from event where event_id > :before group by code", before=before)
            assert {len(ids) for _, ids in codes} == {150} and len(codes) == (1 if table == "rectification" else 2), table
            for code, ids in codes:
                assert ids == sorted(ids), code
        undone.rollback()


def test_history_ends_before_now(bank):
    for table, column in [(t, c[:-1]) for t, columns in cases.TABLES.items() for c in columns.split()
                          if c.endswith("@")]:
        if column not in ("source_due_at", "answer_due_at"):
            assert one(bank, f"select count(*) from {table} where {column} > :now") == 0, (table, column)
    assert one(bank, "select max(received_at) from complaint") > MORNING - timedelta(days=2)


def test_everything_a_page_can_show_occurs(bank):
    assert {s for s, in ask(bank, "select distinct state from state(:now) where clock = 'r'")} == set("ABCDENX")
    assert one(bank, "select count(distinct category_id) from complaint") == 8
    assert one(bank, "select count(distinct channel_id) from complaint") == 8
    assert {k for k, in ask(bank, "select distinct clock from clock_span")} == set("rdsow"), "the bank rule names no limit for call-backs"
    assert {r for r, in ask(bank, "select distinct role from app_user where demo")} == {
        "supervisor", "leader", "unit", "service", "department", "discipline", "regulator", "auditor", "admin"}
    codes = {code for code, in ask(bank, "select distinct code from event")}
    assert {"received", "dispatched", "hop_sent", "signed", "reassigned", "recategorised", "replied_customer",
            "replied_office", "done", "filed", "read",
            "returned", "reopened", "redone", "excluded", "withdrawal_requested", "withdrawal_verified", "called_back",
            "urged", "urge_acknowledged",
            "delay_reported", "directive", "reply_written"} <= codes
    for what in ("repeat_of is not null", "merged_into is not null", "major", "media_level > 0", "restricted",
                 "anonymous", "exclusion = 'withdrawn'",
                 "exclusion = 'withdrawn_late'", "channel_kind = 'regulator'", "title = ''"):
        assert one(bank, f"select count(*) from complaint where {what}") > 0, what
    assert one(bank, "select count(*) from reply where not complete") > 0
    assert one(bank, "select count(distinct by_whom) from call_back") == 2
    for table in cases.TABLES:
        assert one(bank, f"select count(*) from {table}") >= bank.counts[table] > 0


def test_the_database_agrees_with_itself(bank):
    assert ask(bank, "select * from check_spans()") == []
    assert one(bank, "select count(*) = count(distinct complaint_no) from complaint")
    assert one(bank, "select count(*) from complaint where handler = person") == 0
    assert one(bank, """select count(*) from complaint c join clock_span s using (complaint_id)
                         where s.clock = 'r' and s.valid_to = 'infinity' and s.unit_id <> c.unit_id""") == 0
    assert one(bank, """select count(*) from event e join complaint c using (complaint_id)
                         where e.at < c.received_at and c.marks = '{}'""") == 0


def test_the_tree_is_a_bank(bank):
    kinds = dict(ask(bank, "select kind, count(*) from unit group by kind"))
    assert (kinds["head"], kinds["branch1"]) == (1, 36)
    assert 280 < kinds["branch2"] < 400 and 1900 < kinds["outlet"] < 2200
    assert one(bank, "select count(*) from unit where kind = 'branch1' and focus") == 10
    assert one(bank, """select count(*) from unit u where kind <> 'unmapped'
                           and 3 <> (select count(*) from unit_contact c where c.unit_id = u.unit_id)""") == 0
    assert one(bank, """select count(*) from unit
                         where kind <> 'unmapped' and (sort_key = '' or name_en = '' or short = '')""") == 0


def test_matters_are_many_and_every_template_can_be_filled():
    lines = [line.split("|") for block in texts.MATTERS.values() for line in block.strip().splitlines()]
    assert len({line[0] for line in lines}) >= 60 and {len(line) for line in lines} == {3}
    words = dict.fromkeys(("day", "amount", "place", "app", "staff", "minutes"), "x")
    assert all(line[1].format(**words) for line in lines)


def test_no_pack_is_said_in_words(database):
    from queries import schema
    schema.upgrade(database)
    with pytest.raises(LookupError, match="calendar"):
        connect.as_owner(database, demo.load, now=MORNING, complaints=10)


# The rest needs no database: the stories are in the numbers that the generator makes.

def _bank() -> cases.Bank:
    today, ordinal, days = date(2026, 3, 9), 0, []
    for i in range(-900, 500):
        day = today + timedelta(i)
        ordinal += day.weekday() < 5
        days.append((day, day.weekday() < 5, ordinal))
    tree = units.build(Random(1))
    return cases.Bank(tree, list(range(1, len(tree) + 1)), {c: i for i, c in enumerate(cases.MIX, 1)},
                      {c: i for i, c in enumerate(cases.CHANNELS, 1)},
                      cases.Days(days), cases.seconds(today), (1, "李敏"), 99_999)


@pytest.fixture(scope="module")
def stories():
    """Kept and late by (branch, weeks before today of the limit); received by week; channel complaints by week."""
    bank = _bank()
    names = dict(enumerate(cases.TABLES["complaint"].replace("@", "").split()))
    kept, weeks, outage = {}, Counter(), Counter()
    for chunk in cases.Cases(bank, 20260309, 60_000, 1).chunks(5_000):
        ended = {}
        for row in chunk["event"]:
            if row[2] == "done":
                ended[row[0]] = row[1]
        for values in chunk["complaint"]:
            row = dict(zip(names.values(), values))
            week = (bank.cut - row["received_at"]) // (7 * cases.DAY)
            weeks[week] += 1
            category = list(cases.MIX)[row["category_id"] - 1]
            outage[week] += category == "service_channel"
            limit = cases.LIMIT.get(cases.COMPLEXITY[category])
            if not limit or row["excluded_at"] or row["about_unit_id"] == 99_999:
                continue
            if bank.branch[row["about_unit_id"] - 1] is None:
                continue
            due = bank.days.day[bank.days.ordinal(row["received_at"]) + limit] * cases.DAY + cases.DAY - 1
            if due < bank.cut:
                key = bank.units[bank.branch[row["about_unit_id"] - 1]].short, (bank.cut - due) // (7 * cases.DAY)
                kept.setdefault(key, Counter())[ended.get(row["complaint_id"], due + 1) <= due] += 1
    return kept, weeks, outage


def rate(kept, weeks, *, only=None, but=()):
    sums = sum((c for (name, week), c in kept.items() if week in weeks and (name == only if only else name not in but)),
               Counter())
    return sums[True] / sums.total()


def test_one_branch_gets_worse_and_one_better_and_the_rest_hold(stories):
    kept, _, _ = stories
    others = (cases.WORSE, cases.BETTER)
    assert rate(kept, range(3), only=cases.WORSE) < 0.87 and rate(kept, range(10, 60), only=cases.WORSE) > 0.94
    assert rate(kept, range(12, 30), only=cases.BETTER) < 0.90 < rate(kept, range(5), only=cases.BETTER)
    for weeks in (range(4), range(4, 12), range(12, 52), range(52, 110)):
        assert 0.925 < rate(kept, weeks, but=others) < 0.965


def test_the_outage_of_eight_weeks_ago_is_seen(stories):
    _, _, outage = stories
    usual = sum(outage[week] for week in range(12, 40)) / 28
    assert outage[7] + outage[8] > 2 * 1.5 * usual


def test_about_a_hundredth_is_open_and_some_of_it_overdue(bank):
    open_now, overdue = ask(bank, """select count(*), count(*) filter (where state = 'E') from state(:now)
                                     where clock = 'r' and left_at > :now""")[0]
    assert 0.006 < open_now / N < 0.02
    assert 0 < overdue < 0.002 * N
