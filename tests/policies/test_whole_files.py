"""What is asked for a whole file at once is what would be asked of each row by itself."""
from datetime import timedelta
from random import Random

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from tests import makers
from tests.makers import cn, make_complaint, make_unit

CATEGORIES = {"bank": ("violation", "service_attitude", "financial_crime", "anonymous"), "city": ("emergency", "livelihood", "general", "complex")}
CHANNELS = {"bank": ("phone", "web", "letter"), "city": ("phone", "web")}


@pytest.fixture
def complaints(conn, overseas):
    """Two hundred of two packs in two zones, a third of them with acts of every kind."""
    rng = Random(11)
    conn.execute(text("insert into policy_limit (policy_id, clock, amount, soon) select policy_id, 'k', 5, 1 from policy where pack = 'measure2020'"))
    units = [make_unit(conn, name) for name in "PQR"]
    made = []
    for n in range(200):
        pack = rng.choice(("bank", "city"))
        start = cn("2026-01-05 08:00") + timedelta(minutes=rng.randrange(90 * 1440))
        more = {"closed_at": start + timedelta(minutes=rng.randrange(30_000))} if rng.random() < 0.6 else {}
        if rng.random() < 0.3:
            more["source_due_at"] = start + timedelta(hours=rng.randrange(1, 400))
        if rng.random() < 0.2:
            more |= {"excluded_at": start + timedelta(hours=30), "exclusion": "contest"}
        if pack == "city" and rng.random() < 0.5:
            more["limit_by_source"] = True
        if rng.random() < 0.3:
            more["dispatched_at"] = start + timedelta(hours=rng.randrange(100))
        place = {"zone": "America/New_York", "calendar": "US"} if rng.random() < 0.3 else {}
        made.append(make_complaint(conn, received=start, unit=rng.choice(units), pack=pack, category=rng.choice(CATEGORIES[pack]), channel=rng.choice(CHANNELS[pack]),
                                   accepting_unit_id=rng.choice(units), about_unit_id=rng.choice(units), **place, **more))
    for it in rng.sample(made, 70):
        start, pack = conn.execute(text("select received_at, pack from complaint where complaint_id = :id"), {"id": it}).one()
        for _ in range(rng.randrange(1, 4)):
            at = start + timedelta(minutes=rng.randrange(1, 30_000))
            act = rng.randrange(6)
            if act == 0:
                makers.move(conn, it, rng.choice(units), at)
            elif act == 1:
                makers.recategorise(conn, it, rng.choice(CATEGORIES[pack]), at, pack=pack)
            elif act == 2:
                makers.reopen(conn, it, at)
            elif act == 3 and pack == "bank":
                makers.withdraw(conn, it, at)
            elif act == 4:
                makers.close(conn, it, at)
                makers.return_for_redo(conn, it, at + timedelta(hours=3))
            else:
                makers.reply(conn, it, at)
    return made


def test_a_complaint_that_nothing_cut_has_the_same_stretches_by_the_short_way(conn, complaints):
    eventful = set(conn.execute(text("select eventful(:ids)"), {"ids": complaints}).scalars())
    plain = [it for it in complaints if it not in eventful]
    assert len(plain) > 60 and len(eventful) > 30
    differ = text("""select count(*) from ((select * from span_plain(:a) except all select * from span_cut(:a))
                                           union all (select * from span_cut(:a) except all select * from span_plain(:a))) x""")
    assert conn.execute(differ, {"a": plain}).scalar_one() == 0
    assert conn.execute(text("select count(distinct clock) from span_plain(:a)"), {"a": plain}).scalar_one() == 3, "reply, the source's own limit, dispatch"
    assert conn.execute(text("select count(*) from span_plain(:a) where due_at is null"), {"a": plain}).scalar_one() > 5


def test_all_at_once_and_one_by_one_are_the_same_stretches(conn, complaints):
    """Two hundred are planned for otherwise than one."""
    at_once = conn.execute(text("select * from span_of(:a) order by 1, 2, 3"), {"a": complaints}).all()
    singly = [row for it in sorted(complaints) for row in conn.execute(text("select * from span_of(:a) order by 1, 2, 3"), {"a": [it]})]
    assert at_once == singly and len(at_once) > len(complaints)
    assert conn.execute(text("select check_spans()")).all() == []
    assert conn.execute(text("select count(*) from span_of('{}')")).scalar_one() == 0


def test_a_call_back_clock_takes_the_long_way(conn, complaints):
    conn.execute(text("insert into policy_limit (policy_id, clock, amount, soon) select policy_id, 'k', 5, 1 from policy where pack = 'city'"))
    cities = set(conn.execute(text("select complaint_id from complaint where complaint_id = any (:a) and pack = 'city'"), {"a": complaints}).scalars())
    assert cities <= set(conn.execute(text("select eventful(:ids)"), {"ids": complaints}).scalars())


WHOLE = """insert into complaint (source_id, complaint_no, pack, received_at, unit_id, calendar_id, category_id, channel_id, closed_at, amount,
               policy_id, first_category_id, first_unit_id, accepting_unit_id, about_unit_id, ended_at, restricted, major, major_reasons, handler, person)
           select source_id, complaint_no || 'w', pack, received_at, unit_id, calendar_id, category_id, channel_id, closed_at, 60000,
               policy_id, first_category_id, first_unit_id, accepting_unit_id, about_unit_id, closed_at, restricted, true, '{amount}', '张三', '李四'
             from complaint where complaint_id = :id"""


@pytest.fixture
def one(conn):
    return make_complaint(conn, received=cn("2026-03-02 10:00"), unit=make_unit(conn, "P"), closed_at=cn("2026-03-05 10:00"))


def test_a_row_that_brings_everything_is_taken(conn, one):
    conn.execute(text(WHOLE), {"id": one})
    assert conn.execute(text("select count(*) from clock_span")).scalar_one() == 2


@pytest.mark.parametrize(("true", "false"), [
    ("closed_at, restricted, true", "closed_at + interval '1 hour', restricted, true"), ("closed_at, restricted, true", "null, restricted, true"),
    ("restricted, true", "not restricted, true"), ("restricted, true", "restricted, false"), ("'{amount}'", "'{}'"), ("'李四'", "' 张三'")])
def test_a_row_that_says_otherwise_than_the_rules_is_refused(conn, one, true, false):
    with pytest.raises(DBAPIError, match="not what the rules say"):
        conn.execute(text(WHOLE.replace(true, false)), {"id": one})


@pytest.mark.parametrize("column", ["unit_id", "accepting_unit_id", "about_unit_id", "source_unit_id", "category_id", "channel_id", "source_id", "calendar_id"])
def test_what_a_complaint_names_is_there(conn, one, column):
    conn.execute(text("select set_config('app.correction', 'on', true)"))
    with pytest.raises(DBAPIError, match="there is no (unit|category|channel|source|calendar) 32000"):
        conn.execute(text(f"update complaint set {column} = 32000"))


@pytest.mark.parametrize("table", ["unit", "category", "channel", "source", "calendar"])
def test_what_a_complaint_names_stays(conn, one, table):
    with pytest.raises(DBAPIError, match="nothing is deleted here"):
        conn.execute(text(f"delete from {table}"))
