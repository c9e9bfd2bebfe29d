"""Figures from the cells equal figures from the raw rows: on random questions, while writers write, with a fold in mid-transaction and a killed worker."""
import random
from datetime import datetime, timedelta
from itertools import product
from threading import Event
from zoneinfo import ZoneInfo

import pandas as pd
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from queries import complaints, connect, db, demo, figures, ledger, profile, quality, rollups, satisfaction, timing, units
from queries.demo import simulate
from queries.indicators import DIFFERENT
from tests.conftest import cloned, logins

ZONE = ZoneInfo("Asia/Shanghai")
LOGINS = ("demo-supervisor", "demo-ningbo", "demo-leader", "demo-unit", "demo-service", "demo-department", "demo-discipline")


@pytest.fixture(scope="module")
def office(server, ready, folder):
    with cloned(server, ready) as url:
        connect.as_owner(url, demo.load, complaints=3_000)
        rollups.build(url)
        yield logins(url, folder)


@pytest.fixture
def owner(office):
    engine = create_engine(office["admin"], poolclass=NullPool)
    with engine.connect() as conn:
        conn.execute(text("set role desk_owner"))
        conn.execute(text("set search_path = desk, public"))
        conn.commit()
        yield conn


def fold(owner):
    done = owner.execute(text("select rollup_fold()")).scalar_one()
    owner.commit()
    return done


def questions(office, seed: int, n: int):
    """(viewer, codes, arguments of counts)"""
    rng = random.Random(seed)
    engine = create_engine(office["admin"], poolclass=NullPool)
    with engine.connect() as conn:
        places = [tuple(row) for row in conn.execute(text("select unit_id, level from desk.unit where level <= 3"))]
        categories = list(conn.execute(text("select category_id from desk.category where pack = 'bank'")).scalars())
        channels = list(conn.execute(text("select channel_id from desk.channel where pack = 'bank'")).scalars())
    viewers = [db.viewer_of(office, login) for login in LOGINS]
    today = datetime.now(ZONE).replace(hour=0, minute=0, second=0, microsecond=0)
    for _ in range(n):
        start = today - timedelta(days=rng.randrange(1, 500))
        start = start.replace(day=1) if rng.random() < 0.4 else start - timedelta(days=start.weekday()) if rng.random() < 0.5 else start
        end = start + timedelta(days=rng.choice((7, 14, 30, 61, 182, 365)))
        end = max(end.replace(day=1) if rng.random() < 0.4 else end, start + timedelta(days=1))
        unit = rng.choice([None, None, *(u for u, level in rng.sample(places, 4))])
        line = rng.choice(list(rollups.LINES.values()))
        codes = tuple(rng.sample(line.codes, min(len(line.codes), rng.randrange(1, 6))))
        yield rng.choice(viewers), codes, dict(start=start, end=end, unit=unit, parent=rng.choice([unit, 1]), by=rng.choice(list(rollups._STEPS)), zone=ZONE.key,
                                               category=rng.choice([None, None, rng.choice(categories)]), channel=rng.choice([None, None, None, rng.choice(channels)]))


def both(conn, monkeypatch, ask):
    """What the cells and what the raw rows say, and whether the cells served."""
    used = []
    serving = rollups.serving

    def watched(*args):
        cells = serving(*args)
        used.append(cells is not None)
        return cells

    with monkeypatch.context() as patch:
        patch.setattr(rollups, "serving", watched)
        one = ask(conn)
        patch.setattr(rollups, "serving", lambda *args: None)
        two = ask(conn)
    return one, two, any(used)


def same(one: pd.DataFrame, two: pd.DataFrame) -> bool:
    one, two = (table[(table != 0).any(axis=1)].sort_index() for table in (one, two))
    return one.equals(two)


def test_an_event_after_an_urge_moves_it(office, owner):
    """The first movement after an urge is counted once it is there, though an event moves no clock."""
    def moved() -> int:
        while fold(owner) > 0:
            pass
        return owner.execute(text("select urges[cardinality(urges)] from rollup_fact where complaint_id = :id and clock = 'r'"), {"id": number}).scalar_one()

    number = owner.execute(text("select max(complaint_id) from complaint c where ended_at is null and excluded_at is null and not exists (select from urge g where g.complaint_id = c.complaint_id)")).scalar_one()
    owner.execute(text("""insert into urge (complaint_id, level, work_day, unit_id, user_name, sent_at)
                          select complaint_id, 4, current_date, unit_id, 'test', clock_timestamp() from complaint where complaint_id = :id"""), {"id": number})
    owner.commit()
    assert moved() == -1
    owner.execute(text("insert into event (complaint_id, at, code) values (:id, clock_timestamp(), 'signed')"), {"id": number})
    owner.commit()
    assert moved() >= 0


def test_what_a_place_has_passed_on_is_taken_away_there(office, owner, monkeypatch):
    """In and out again since the tick, and folded: the cells of the place have it, its reader no longer sees the fact."""
    viewer = db.viewer_of(office, "demo-ningbo")
    lo, hi = owner.execute(text("select u.label, u.label_end from app_user a join user_scope s using (user_id) join unit u using (unit_id) where a.login = 'demo-ningbo'")).one()
    inside = owner.execute(text("select min(unit_id) from unit where label > :lo and label <= :hi and kind = 'outlet'"), {"lo": lo, "hi": hi}).scalar_one()
    number, outside = owner.execute(text("""
        select complaint_id, unit_id from clock_span where clock = 'r' and left_at = 'infinity' and not restricted and due_at > clock_timestamp()
           and not (label between :lo and :hi or charged_label between :lo and :hi or about_label between :lo and :hi) order by complaint_id limit 1"""), {"lo": lo, "hi": hi}).one()
    owner.commit()
    as_of = db.tick(office, viewer)[1]
    for unit in (inside, outside):
        owner.execute(text("update complaint set unit_id = :unit where complaint_id = :id"), {"unit": unit, "id": number})
        owner.commit()
    while fold(owner) > 0:
        pass
    monday = as_of.astimezone(ZONE).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=as_of.astimezone(ZONE).weekday())
    with db.reading(office, viewer) as conn:
        one, two, used = both(conn, monkeypatch, lambda conn: ledger.balance(conn, as_of=as_of, start=monday, end=monday + timedelta(days=7)))
    assert used and same(one, two), (one, two)


@pytest.mark.parametrize("seed", range(3))
def test_random_questions_have_the_same_answer(office, owner, monkeypatch, seed):
    served = 0
    for place, (viewer, codes, ask) in enumerate(questions(office, seed, 60)):
        if place % 20 == 0:                        # something is touched and not folded, and something folded after the tick
            touch(owner, seed * 100 + place)
        as_of = db.tick(office, viewer)[1]
        if place % 20 == 10:
            fold(owner)
        with db.reading(office, viewer) as conn:
            one, two, used = both(conn, monkeypatch, lambda conn: figures.counts(conn, codes, as_of=as_of, **ask))
        assert same(one, two), (viewer.login, codes, ask)
        served += used
    assert served > 15


TWO_DAYS = ("urged", "urge_acknowledged", "urge_done", "received_due", "received_met", "compliance_first", *DIFFERENT)
ASKS = {"counts": lambda conn, rng, ask: figures.counts(conn, tuple(rng.sample(TWO_DAYS, 3)), **ask | {"by": rng.choice(figures._TIMELESS)}),
        "links": lambda conn, rng, ask: timing.links(conn, **{name: value for name, value in ask.items() if name not in ("by", "parent")}),
        "days": lambda conn, rng, ask: timing.days(conn, **ask | {"by": rng.choice(("all", "child", "month", "category", "channel_id"))}),
        "profile": lambda conn, rng, ask: profile.days(conn, **ask | {"by": rng.choice(("child", "level")), "parent": ask["parent"] or 1}).set_index(["unit_id", "days"]),
        "effect": lambda conn, rng, ask: pd.DataFrame({"days": [figures.urge_effect(conn, **{name: value for name, value in ask.items() if name not in ("by", "parent")})]}),
        "peers": lambda conn, rng, ask: units.peers(conn, **{name: value for name, value in ask.items() if name not in ("by", "unit")}).set_index("unit_id")}


@pytest.mark.parametrize("what", ASKS)
def test_what_depends_on_two_days_and_histograms_have_the_same_answer(office, owner, monkeypatch, what):
    served, spread = 0, rollups.spread

    def watched(*args):
        nonlocal served
        served += 1
        return spread(*args)

    monkeypatch.setattr(rollups, "spread", watched)
    for place, (viewer, _, ask) in enumerate(questions(office, 31, 40)):
        if place % 20 == 0:
            touch(owner, 310 + place)
        as_of = db.tick(office, viewer)[1]
        if place % 20 == 10:
            fold(owner)
        if place % 4 == 0:                          # the week or month that has not ended
            ask["end"] = datetime.now(ZONE).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=3)
        asks = [lambda conn: ASKS[what](conn, random.Random(place), ask | {"as_of": as_of})]
        with db.reading(office, viewer) as conn:
            one, two, _ = both(conn, monkeypatch, asks[0])
        one, two = (table.astype("float64").loc[(table.fillna(0) != 0).any(axis=1)].sort_index() for table in (one, two))
        pd.testing.assert_frame_equal(one, two, check_index_type=False, check_exact=what != "days", obj=f"{viewer.login} {ask}")
    assert served > 6 or what == "peers", served


def touch(owner, seed: int, n: int = 12) -> None:
    """Some complaints change: answered, moved to another branch, recategorised, excluded, called back, urged."""
    rng = random.Random(seed)
    ids = list(owner.execute(text("select complaint_id from complaint where ended_at is null and excluded_at is null order by complaint_id")).scalars())
    owner.commit()
    for number in rng.sample(ids, min(n, len(ids))):
        unit = owner.execute(text("select unit_id from unit where level = 2 order by random() limit 1")).scalar_one()
        kind = rng.choice(("answer", "move", "category", "exclude", "urge"))
        owner.execute(text({"answer": "update complaint set customer_replied_at = clock_timestamp(), office_replied_at = clock_timestamp() where complaint_id = :id",
                            "move": "update complaint set unit_id = :unit where complaint_id = :id",
                            "category": "update complaint set category_id = (select min(category_id) from category where pack = 'bank') where complaint_id = :id",
                            "exclude": "update complaint set excluded_at = clock_timestamp(), exclusion = 'contest' where complaint_id = :id",
                            "urge": """insert into urge (complaint_id, level, work_day, unit_id, user_name, sent_at)
                                       select complaint_id, 4, current_date, unit_id, 'test', clock_timestamp() from complaint where complaint_id = :id
                                       on conflict do nothing"""}[kind]), {"id": number, "unit": unit})
        owner.commit()


def test_ledger_stocks_and_what_was_overdue_at_a_midnight_are_the_same(office, owner, monkeypatch):
    today = datetime.now(ZONE).replace(hour=0, minute=0, second=0, microsecond=0)
    monday = today - timedelta(days=today.weekday())
    touch(owner, 7)
    served = 0
    category, channel = owner.execute(text("select category_id, channel_id from complaint group by 1, 2 order by count(*) desc limit 1")).one()
    reached = owner.execute(text("select min(category_id) from category where pack = 'bank'")).scalar_one()      # where touch() puts some
    narrowed = ({}, {"category": category}, {"category": reached}, {"channel": channel}, {"category": category, "channel": channel})
    for login in LOGINS[:4]:
        viewer = db.viewer_of(office, login)
        as_of = db.tick(office, viewer)[1]
        moments = tuple(min(monday + timedelta(days=7 * k), as_of) for k in range(-6, 4))
        with db.reading(office, viewer) as conn:
            for week, narrow in product(range(-5, 1), narrowed):
                start = monday + timedelta(days=7 * week)
                span = dict(as_of=as_of, start=start, end=start + timedelta(days=7), **narrow)
                for more in ({}, {"by": "child", "unit": 1, "parent": 1}):
                    one, two, used = both(conn, monkeypatch, lambda conn: ledger.balance(conn, **span, **more))
                    assert same(one, two), (login, week, narrow, more, one, two)
                    served += used
                for more in ({}, {"by": "child", "parent": 1}):
                    one, two, used = both(conn, monkeypatch, lambda conn: figures.counts(conn, ("overdue_open", "overdue_open_5"), **span | {"as_of": start}, zone=ZONE.key, **more))
                    assert same(one, two), (login, week, narrow, more, one, two)
                    served += used
            for narrow in narrowed:
                one, two, used = both(conn, monkeypatch, lambda conn: figures.stocks(conn, moments, **narrow))
                assert one.equals(two), (login, narrow, one, two)
                served += used
    assert served > 80


def test_lists_of_few_and_complaints_of_a_source_are_the_same(office, owner, monkeypatch):
    touch(owner, 5)
    today = datetime.now(ZONE).replace(hour=0, minute=0, second=0, microsecond=0)
    found = served = 0
    for login in LOGINS:
        viewer = db.viewer_of(office, login)
        as_of = db.tick(office, viewer)[1]
        with db.reading(office, viewer) as conn:
            for code, days, more in product(("low_score", "call_again"), (400, 45, 7), ({}, {"category": 1}, {"unit": 2})):
                span = dict(as_of=as_of, start=today - timedelta(days=days), end=today + timedelta(days=1 - days % 2), **more)
                for few in (200, 3):
                    one, two, used = both(conn, monkeypatch, lambda conn: satisfaction.calls(conn, code, limit=few, **span))
                    assert one.equals(two), (login, code, days, more)
                    found, served = found + len(one), served + used
            one, two, used = both(conn, monkeypatch, lambda conn: quality.sources(conn, as_of=as_of))
            assert one.equals(two) and (one.complaints > 0).any(), login
    assert found > 100 and served > 50


def overdue_ones(owner, letter: str):
    """Forty more, overdue, urgent by this and that, some on one day, some for weeks and some since yesterday; folded."""
    owner.execute(text("""
        insert into complaint (source_id, complaint_no, pack, calendar_id, received_at, category_id, channel_id, unit_id, accepting_unit_id, about_unit_id, title, major, media_level, repeat_of)
        select source_id, :letter || n, pack, calendar_id, now() - make_interval(days => case when n % 2 = 0 then 100 + n::int / 3 else 16 + n::int end), category_id, channel_id, unit_id, accepting_unit_id, about_unit_id, title,
               n % 5 = 0, (n % 7) / 6, case n % 4 when 1 then complaint_id end
          from (select c.*, row_number() over (order by complaint_id) as n from complaint c where not restricted order by complaint_id limit 40) c"""), {"letter": letter})
    owner.commit()
    while fold(owner) > 0:
        pass


def test_how_late_and_what_nobody_dispatched_are_the_same(office, owner, monkeypatch):
    overdue_ones(owner, "A")
    found = served = 0
    for seed, login in enumerate(LOGINS):
        touch(owner, 20 + seed)
        viewer = db.viewer_of(office, login)
        as_of = db.tick(office, viewer)[1]
        if seed % 2:
            fold(owner)
        with db.reading(office, viewer) as conn:
            for (code, by), more in product((("overdue_list", "ageing"), ("overdue_open", "ageing"), ("not_dispatched", "all"), ("not_dispatched", "category")), ({}, {"category": 1}, {"unit": 2})):
                one, two, used = both(conn, monkeypatch, lambda conn: figures.counts(conn, (code,), by=by, as_of=as_of, **figures.NO_PERIOD, **more))
                assert same(one, two), (login, code, by, more, one, two)
                found, served = found + int(one.to_numpy().sum()), served + used
    assert found > 100 and served > 20


def test_what_waits_at_each_branch_is_the_same(office, owner, monkeypatch):
    """Open ones have no day: whatever grain answers must know where they lie."""
    overdue_ones(owner, "W")
    owner.execute(text("""update complaint c set unit_id = o.unit_id from (select unit_id, row_number() over (order by hashint4(unit_id)) as n from unit where kind = 'outlet' and level = 3 and active) o
                           where c.complaint_no = 'W' || o.n"""))
    owner.execute(text("""insert into urge (complaint_id, level, work_day, unit_id, user_name, sent_at)
                          select complaint_id, 3, current_date, unit_id, 'test', clock_timestamp() from complaint where complaint_no ~ '^W[0-9]+$'"""))
    owner.commit()
    while fold(owner) > 0:
        pass
    places = {level: list(owner.execute(text("select unit_id from unit where level = :level and active"), {"level": level}).scalars()) for level in (1, 2)}
    viewer = db.viewer_of(office, LOGINS[0])
    done = owner.execute(text("select clock_timestamp()")).scalar_one()          # a tick of the last second may lie before the urges
    as_of, found = db.tick(office, viewer, covers=done)[1], dict.fromkeys((1, 2), 0)
    with db.reading(office, viewer) as conn:
        for (level, units_), more in product(places.items(), ({}, {"category": 1}, {"channel": 1})):
            for unit in units_:
                one, two, used = both(conn, monkeypatch, lambda conn: figures.counts(conn, rollups.OPEN, unit=unit, as_of=as_of, **figures.NO_PERIOD, **more))
                assert used and same(one, two), (unit, more, one, two)
                found[level] += int(one["urge_unsigned_den"].sum())
    assert min(found.values()) >= 40, found


def test_the_most_urgent_of_a_long_list_are_the_same(office, owner, monkeypatch):
    overdue_ones(owner, "U")
    touch(owner, 6)
    found = served = none = 0
    for login in LOGINS:
        viewer = db.viewer_of(office, login)
        as_of = db.tick(office, viewer)[1]
        span = dict(as_of=as_of, start=as_of - timedelta(days=7), end=as_of, zone=ZONE.key)
        midnight = as_of.astimezone(ZONE).replace(hour=0, minute=0, second=0, microsecond=0)
        whole = span | {"start": midnight - timedelta(days=120), "end": midnight}
        with db.reading(office, viewer) as conn:
            for limit, offset, more in product((5, 1000), (0, 7), ({}, {"category": 1}, {"channel": 2}, {"unit": 2}, {"sort": "late"}, {"sort": "newest", "unit": 3}, {"ageing": 2}, {"part": "rest"})):
                for code in ("overdue_list", "backlog", "received", "compliance", "satisfaction", *(("overdue_open",) if "sort" in more else ())):
                    one, two, used = both(conn, monkeypatch, lambda conn: complaints.listing(conn, code, limit=limit, offset=offset, **whole | more))
                    assert one.equals(two), (login, code, limit, offset, more)
                    found, served = found + len(one), served + used
            for cap, code in product((3, 10_000), ("overdue_list", "backlog", "received")):
                with monkeypatch.context() as patch:
                    patch.setattr(complaints, "CAP", cap)
                    one, two, used = both(conn, patch, lambda conn: complaints.ids(conn, code, **span | {"start": as_of - timedelta(days=30)}))
                assert one == two and (one is None or len(one) <= cap), (login, code, cap)
                none += one is None
    assert found > 100 and served > 30 and none > 3


def test_the_first_rows_of_a_long_list_of_a_period_are_the_same_in_any_order(office, owner, monkeypatch):
    overdue_ones(owner, "P")
    touch(owner, 7)
    monkeypatch.setattr(complaints, "SHORT", 3)
    found = served = 0
    for place, login in enumerate(LOGINS):
        viewer = db.viewer_of(office, login)
        as_of = db.tick(office, viewer)[1]
        if place % 2:
            fold(owner)
        midnight = as_of.astimezone(ZONE).replace(hour=0, minute=0, second=0, microsecond=0)
        span = dict(as_of=as_of, start=midnight - timedelta(days=150), end=midnight + timedelta(days=7 * (place % 3)), zone=ZONE.key)
        with db.reading(office, viewer) as conn:
            for code, sort, part, more in product(("received", "compliance", "satisfaction", "dispatch_on_time"), complaints.SORTS, ("den", "num", "rest"), ({}, {"category": 1}, {"unit": 2})):
                one, two, used = both(conn, monkeypatch, lambda conn: complaints.listing(conn, code, limit=6, offset=4, sort=sort, part=part, **span, **more))
                assert one.equals(two), (login, code, sort, part, more)
                found, served = found + len(one), served + used
            for code, part, more in product(("received", "compliance", "dispatch_on_time", "redo_on_time", "overdue_open"), ("den", "num", "rest"), ({}, {"channel": 1}, {"state": "E"}, {"sort": "newest", "mark": "repeat"})):
                one, two, used = both(conn, monkeypatch, lambda conn: complaints.ids(conn, code, part=part, **span, **more))
                assert one == two, (login, code, part, more)
                found, served = found + len(one), served + used
    assert found > 500 and served > 200


def test_a_redo_whose_limit_ran_out_today_is_in_the_list_of_its_own_clock(office, owner, monkeypatch):
    """Cells and facts speak of days that are over: what fell due today is looked for by the clock of which the list speaks."""
    with create_engine(office["admin"], poolclass=NullPool).begin() as conn:
        conn.execute(text("set local search_path = desk"))
        conn.execute(text("set local session_replication_role = replica"))         # no policy of the demo moves a limit; what a limit is moved to lies there as from before
        conn.execute(text("""
            with done as (select s.complaint_id, now() as t from clock_span s where s.clock = 'r' and s.ended_at < now() - interval '1 day' and not s.restricted and s.valid_to = 'infinity'
                             and not exists (select from redo r where r.complaint_id = s.complaint_id) and not exists (select from withdrawal w where w.complaint_id = s.complaint_id)
                           order by s.complaint_id desc limit 5),
                 again as (insert into redo (complaint_id, redo_no, started_at, reason) select complaint_id, 1, t - interval '1 hour', 'again' from done returning complaint_id, started_at)
            insert into event (complaint_id, at, code, clock, due_to) select complaint_id, started_at + interval '1 second', 'limit_moved', 'o', greatest(date_trunc('day', now(), 'Asia/Shanghai'), now() - interval '1 minute') from again"""))
        conn.execute(text("select respan(array(select distinct complaint_id from event where code = 'limit_moved'))"))
    ran_out = set(owner.execute(text("""select complaint_id from clock_span s cross join (select date_trunc('day', now(), 'Asia/Shanghai') as midnight) m
                                         where s.clock = 'o' and s.valid_to = 'infinity' and s.ended_at is null and s.due_at >= m.midnight and s.due_at < now()""")).scalars())
    assert len(ran_out) >= 5, ran_out
    while fold(owner) > 0:
        pass
    viewer = db.viewer_of(office, LOGINS[0])
    as_of = db.tick(office, viewer, covers=owner.execute(text("select clock_timestamp()")).scalar_one())[1]
    midnight = as_of.astimezone(ZONE).replace(hour=0, minute=0, second=0, microsecond=0)
    with db.reading(office, viewer) as conn:
        one, two, used = both(conn, monkeypatch, lambda conn: complaints.ids(conn, "redo_on_time", part="rest", as_of=as_of, start=midnight - timedelta(days=30), end=midnight + timedelta(days=1), zone=ZONE.key))
    assert used and one == two and ran_out <= set(one)


def test_where_more_was_touched_than_is_read_again_all_is_read_raw(office, owner, monkeypatch):
    touch(owner, 12)
    waiting = owner.execute(text("select count(distinct complaint_id) from rollup_dirty")).scalar_one()
    assert waiting > 1
    viewer = db.viewer_of(office, LOGINS[0])
    as_of = db.tick(office, viewer, covers=owner.execute(text("select clock_timestamp()")).scalar_one())[1]
    for most, serves in ((1, False), (rollups.AGAIN, True)):
        monkeypatch.setattr(rollups, "AGAIN", most)
        with db.reading(office, viewer) as conn:
            one, two, used = both(conn, monkeypatch, lambda conn: figures.counts(conn, ("received",), as_of=as_of, start=as_of - timedelta(days=60), end=as_of, zone=ZONE.key))
        assert used == serves and same(one, two), (most, waiting)


def test_a_regulator_reads_the_same_months_from_the_cells(office, owner):
    touch(owner, 8)
    as_of = db.tick(office, db.viewer_of(office, "demo-regulator"))[1]
    fold(owner)
    touch(owner, 9)
    first = datetime.now(ZONE).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    found = 0
    for months, deep, by in product((1, 3, 12), (1, 2), ("none", "category", "channel")):
        start = (first - timedelta(days=31 * months - 1)).replace(day=1)
        ask = text("""select place, coalesce(col, 0) as col, sum(got)::int as got, sum(owed)::int as owed, sum(over)::int as over
                        from oversight_counts(:t, :start, :stop, :deep, :by) group by 1, 2 having max(got) > 0 or max(owed) > 0 order by 1, 2""")
        params = {"t": as_of, "start": start, "stop": first, "deep": deep, "by": by}
        owner.execute(text("select set_config('app.user_id', (select user_id::text from app_user where login = 'demo-regulator'), true)"))
        one = owner.execute(ask, params).all()
        owner.execute(text("update rollup_head set ready = false"))
        two = owner.execute(ask, params).all()
        owner.rollback()
        assert [row for row in one if row.got or row.owed] == two, (months, deep, by)
        found += len(two)
    assert found > 300


def test_folded_is_what_building_anew_gives(office, owner):
    touch(owner, 11, n=40)
    simulated(office)
    while fold(owner) > 0 and owner.execute(text("select count(*) from rollup_dirty")).scalar_one() > 3:
        pass
    assert rollups.check(owner) == ([], 0)
    owner.execute(text("update rollup_fact set bits[1] = coalesce(bits[1], 0) + 1 where complaint_id = (select min(complaint_id) from rollup_fact)"))
    assert rollups.check(owner) != ([], 0)
    owner.rollback()


def simulated(office) -> None:
    done = simulate.run(office, db.viewer_of(office, "intake"), rate=200, seconds=6, stop=Event(), say=lambda words: None)
    assert sum(done.values()) > 15 and not done["failed"]


def test_a_unit_that_moves_takes_its_complaints_along(office, owner):
    while fold(owner) > 0:
        pass
    one, other = owner.execute(text("select array_agg(unit_id order by unit_id) from (select unit_id from unit where level = 1 and kind = 'branch1' limit 2) u")).scalar_one()
    below = owner.execute(text("select min(unit_id) from unit where parent_id = :one"), {"one": one}).scalar_one()
    owner.execute(text("select unit_move(:below, :other)"), {"below": below, "other": other})
    owner.commit()
    assert owner.execute(text("select count(*) from rollup_dirty")).scalar_one() > 0
    while fold(owner) > 0:
        pass
    assert rollups.check(owner) == ([], 0)
    owner.execute(text("select unit_move(:below, :one)"), {"below": below, "one": one})
    owner.commit()


def test_a_fold_in_the_middle_of_a_writer_loses_nothing(office, owner):
    while fold(owner) > 0:
        pass
    engine = create_engine(office["admin"], poolclass=NullPool)
    with engine.connect() as one, engine.connect() as two:
        for conn in (one, two):
            conn.execute(text("set local role desk_owner"))
            conn.execute(text("set local search_path = desk, public"))
        a, b = owner.execute(text("select array_agg(complaint_id) from (select complaint_id from complaint where ended_at is null order by complaint_id limit 2) c")).scalar_one()
        owner.commit()
        answer = text("update complaint set customer_replied_at = clock_timestamp(), office_replied_at = clock_timestamp(), handler = coalesce(handler, '王') where complaint_id = :id")
        one.execute(answer, {"id": a})                          # noted, not committed
        assert fold(owner) == 0, "nobody else's note is seen before its commit"
        two.execute(answer, {"id": b})
        two.commit()
        one.commit()
        assert fold(owner) == 2
    assert rollups.check(owner) == ([], 0)


def test_a_worker_that_dies_in_a_fold_leaves_everything_as_it_was(office, owner):
    touch(owner, 23)
    before = owner.execute(text("select count(*) from rollup_dirty")).scalar_one()
    assert before > 0
    owner.commit()
    assert owner.execute(text("select rollup_fold()")).scalar_one() > 0
    owner.rollback()                                            # its connection is gone before the commit
    assert owner.execute(text("select count(*) from rollup_dirty")).scalar_one() == before
    owner.commit()
    engine = create_engine(office["admin"], poolclass=NullPool)
    with engine.connect() as other, other.begin():
        other.execute(text("set local role desk_owner"))
        other.execute(text("set local search_path = desk, public"))
        assert other.execute(text("select rollup_fold()")).scalar_one() > 0
        assert owner.execute(text("select rollup_fold()")).scalar_one() == -1, "only one folds at a time"
        owner.rollback()
    assert rollups.check(owner) == ([], 0)


def test_a_complaint_about_the_reader_is_in_none_of_their_figures(office, owner, monkeypatch):
    viewer = db.viewer_of(office, "demo-leader")
    number = owner.execute(text("select min(complaint_id) from complaint where not restricted")).scalar_one()
    owner.execute(text("update complaint set person = (select name from app_user where login = 'demo-leader') where complaint_id = :id"), {"id": number})
    owner.commit()
    while fold(owner) > 0:
        pass
    as_of = db.tick(office, viewer)[1]
    span = dict(as_of=as_of, start=datetime(2000, 1, 1, tzinfo=ZONE), end=datetime(2100, 1, 1, tzinfo=ZONE), zone=ZONE.key)
    with db.reading(office, viewer) as conn:
        one, two, used = both(conn, monkeypatch, lambda conn: figures.counts(conn, ("received", "repeat_rate"), **span))
    assert used and one.equals(two)
