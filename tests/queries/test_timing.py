"""Time at the links by hand-computed days; three cohorts whose differences add up, by every grouping."""
from datetime import timedelta

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from queries import complaints, db, figures, timing
from queries.indicators import ARRIVALS, BASES, PAIRS
from tests.makers import cn, exclude, make_complaint, make_unit, move, reply, reply_source

MARCH = {"start": cn("2026-03-01 00:00"), "end": cn("2026-04-01 00:00"), "as_of": cn("2026-04-15 09:00")}


@pytest.fixture
def conn(desk):
    """The owner's connection to an empty desk; nothing of it stays."""
    with create_engine(desk["admin"], poolclass=NullPool).connect() as connection:
        connection.execute(text("set role desk_owner"))
        connection.execute(text("set search_path = desk, public"))
        connection.execute(text("set timezone = 'UTC'"))
        connection.execute(text("""insert into app_user (login, name, role, all_units, sees_restricted)
                                   values ('eye', '主任', 'leader', true, true)"""))
        connection.execute(text("""select set_config('app.user_id', user_id::text, true) from app_user where login = 'eye'"""))
        yield connection
        connection.rollback()


@pytest.fixture
def units(conn):
    head = make_unit(conn, "总行", kind="head")
    return {"head": head} | {name: make_unit(conn, name, head) for name in "PQ"}


def hop(conn, complaint, unit, sent, signed=None, number=1):
    conn.execute(text("""insert into hop (complaint_id, hop_no, unit_id, sent_at, signed_at) values (:c, :n, :u, :sent, :signed)"""),
                 {"c": complaint, "n": number, "u": unit, "sent": sent, "signed": signed})


def answer(conn, complaint, at, number=1):
    conn.execute(text("insert into reply (complaint_id, reply_no, at, facts) values (:c, :n, :at, '已核实')"),
                 {"c": complaint, "n": number, "at": at})


def whole_way(conn, units):
    """Mon 2 March received, Wed dispatched, Thu signed for, Mon answered, Tue both have the reply: 2 + 1 + 2 + 1 of 6 days."""
    it = make_complaint(conn, received=cn("2026-03-02 10:00"), unit=units["P"], source_unit_id=units["head"],
                        dispatched_at=cn("2026-03-04 09:00"))
    hop(conn, it, units["P"], cn("2026-03-04 09:00"), cn("2026-03-05 15:00"))
    answer(conn, it, cn("2026-03-09 11:00"))
    reply(conn, it, cn("2026-03-09 16:00"))
    reply_source(conn, it, cn("2026-03-10 10:00"))
    return it


def days_of(table):
    return {link: (int(row.n), int(row.days)) for link, row in table.iterrows()}


def test_the_links_of_a_complaint_add_up_to_its_days(conn, units):
    whole_way(conn, units)
    table = timing.links(conn, **MARCH)
    assert days_of(table) == {"dispatch": (1, 2), "sign": (1, 1), "handle": (1, 2), "close": (1, 1), "all": (1, 6)}
    assert table["median"].tolist() == table["p90"].tolist() == [2, 1, 2, 1, 6]


def test_median_and_p90_of_three(conn, units):
    whole_way(conn, units)                                                              # signing took 1 day
    for signed in ("2026-03-04 17:00", "2026-03-12 09:00"):                             # … and here 0 and 6
        it = make_complaint(conn, received=cn("2026-03-03 10:00"), unit=units["Q"], dispatched_at=cn("2026-03-04 09:00"))
        hop(conn, it, units["Q"], cn("2026-03-04 09:00"), cn(signed))
        reply(conn, it, cn("2026-03-13 10:00"))
    one = timing.links(conn, **MARCH).loc["sign"]
    assert (one.n, one["median"], one.days) == (3, 1, 7)
    assert one.p90 == pytest.approx(1 + 0.8 * (6 - 1))                                  # percentile_cont over 0, 1, 6
    assert days_of(timing.links(conn, unit=units["Q"], **MARCH))["sign"] == (2, 6)


def test_a_weekend_costs_nothing_and_a_make_up_day_counts(conn, units):
    """Fri 13 Feb 2026 dispatched, Sat 14 is a make-up day (signed), 15–23 are Spring Festival, answered Tue 24."""
    it = make_complaint(conn, received=cn("2026-02-13 09:00"), unit=units["P"], dispatched_at=cn("2026-02-13 10:00"))
    hop(conn, it, units["P"], cn("2026-02-13 10:00"), cn("2026-02-14 10:00"))
    reply(conn, it, cn("2026-02-24 10:00"))
    where = MARCH | {"start": cn("2026-02-01 00:00")}
    assert days_of(timing.links(conn, **where)) == {"dispatch": (1, 0), "sign": (1, 1), "handle": (1, 1), "close": (1, 0), "all": (1, 2)}


def test_moments_missing_or_out_of_order_are_not_measured(conn, units):
    own = make_complaint(conn, received=cn("2026-03-02 10:00"), unit=units["P"])         # answered where it was received
    reply(conn, own, cn("2026-03-04 10:00"))
    odd = make_complaint(conn, received=cn("2026-03-02 10:00"), unit=units["P"], dispatched_at=cn("2026-03-03 10:00"))
    hop(conn, odd, units["P"], cn("2026-03-03 10:00"), cn("2026-03-06 10:00"))           # signed for after the answer
    reply(conn, odd, cn("2026-03-05 10:00"))
    gone = whole_way(conn, units)
    exclude(conn, gone, cn("2026-03-20 10:00"))
    whole_way_open = make_complaint(conn, received=cn("2026-03-20 10:00"), unit=units["P"], dispatched_at=cn("2026-03-20 11:00"))
    table = timing.links(conn, **MARCH)
    assert days_of(table) == {"dispatch": (1, 1), "sign": (0, 0), "handle": (0, 0), "close": (2, 0), "all": (2, 5)}
    assert table["median"].isna().tolist() == [False, True, True, False, False], "null stays null"
    assert whole_way_open and figures.counts(conn, ("link_dispatch", "link_close"), **MARCH).loc["all"].tolist() == [1, 2]


def test_nothing_done_is_nothing_and_not_zero_days(conn, units):
    table = timing.links(conn, **MARCH)
    assert days_of(table) == {link: (0, 0) for link in (*timing.LINKS, "all")} and table["median"].isna().all()
    assert timing.days(conn, **MARCH).empty


def test_days_by_unit(conn, units):
    whole_way(conn, units)
    it = make_complaint(conn, received=cn("2026-03-02 10:00"), unit=units["Q"])
    reply(conn, it, cn("2026-03-03 10:00"))
    table = timing.days(conn, by="child", parent=units["head"], **MARCH)
    assert table["days_median"].to_dict() == {units["P"]: 6, units["Q"]: 1}


def test_arrived_late_is_less_than_a_third_of_the_limit(conn, units):
    """Received 2 March, 10 working days, limit 16 March. Q has it from the 11th (3 left: late), 10th (4 left: not)."""
    for day in (10, 11, 16):
        it = make_complaint(conn, received=cn("2026-03-02 10:00"), unit=units["P"])
        move(conn, it, units["Q"], cn(f"2026-03-{day} 09:00"))
        reply(conn, it, cn("2026-03-16 16:00"))
    first = make_complaint(conn, received=cn("2026-03-02 10:00"), unit=units["Q"])        # Q's from the first day on, and again
    move(conn, first, units["P"], cn("2026-03-04 09:00"))
    move(conn, first, units["Q"], cn("2026-03-13 09:00"))
    reply(conn, first, cn("2026-03-16 16:00"))
    codes = ("arrived_late", *(f"arrived_{code}" for code, *_ in ARRIVALS))
    n = figures.counts(conn, codes, **MARCH).loc["all"]
    assert (n.arrived_late_num, n.arrived_late_den) == (2, 4)
    assert {code: (int(n[f"arrived_{code}_num"]), int(n[f"arrived_{code}_den"])) for code, *_ in ARRIVALS} == {
        "0": (1, 1), "1": (0, 0), "2": (0, 0), "3": (1, 1), "4": (0, 1), "7": (0, 0), "10": (0, 1)}


def test_which_complaint_makes_two_cohorts_differ(conn, units):
    """One complaint for every way to be in one cohort and not in another."""
    where = dict(unit=units["P"])
    early = make_complaint(conn, received=cn("2026-03-20 10:00"), **where)                # due 3 April, done in March
    reply(conn, early, cn("2026-03-25 10:00"))
    late = make_complaint(conn, received=cn("2026-03-02 10:00"), **where)                 # due 16 March, done in April
    reply(conn, late, cn("2026-04-02 10:00"))
    before = make_complaint(conn, received=cn("2026-02-24 10:00"), **where)               # received in February, due and done in March
    reply(conn, before, cn("2026-03-04 10:00"))
    still = make_complaint(conn, received=cn("2026-03-03 10:00"), **where)                # due 17 March, open
    gone = make_complaint(conn, received=cn("2026-03-04 10:00"), **where)                 # excluded: received only
    exclude(conn, gone, cn("2026-03-05 10:00"))
    codes = {f"{a}_not_{b}" for one in PAIRS for a, b in (one, one[::-1])} | {f"{a}_or_{b}" for a, b in PAIRS}
    found = {code: set(complaints.listing(conn, code, **MARCH).complaint_id) for code in codes}
    assert found == {
        "due_not_closed": {late, still}, "closed_not_due": {early}, "due_not_received": {before}, "received_not_due": {early, gone},
        "closed_not_received": {before}, "received_not_closed": {late, still, gone},
        "due_or_closed": {late, still, early}, "due_or_received": {before, early, gone}, "closed_or_received": {before, late, still, gone}}
    kept = set(complaints.listing(conn, "due_or_closed", part="num", **MARCH).complaint_id)
    assert kept == {early}


def adds_up(bank, login):
    """What both count, from either side: all of one without what only that one counts. And the differing are both of them."""
    codes = (*BASES.values(), *(f"{a}_not_{b}" for one in PAIRS for a, b in (one, one[::-1])),
             *(f"{a}_or_{b}" for a, b in PAIRS))
    seen = 0
    with db.reading(bank, db.viewer_of(bank, login), timeout_ms=60_000) as conn:
        as_of = db.clock(conn)
        head = conn.execute(text("select unit_id from unit where kind = 'head'")).scalar()
        for by in ("all", "child", "category_id", "channel_id", "category_channel", "state"):
            for back in (30, 400):
                table = figures.counts(conn, codes, by=by, parent=head, as_of=as_of, start=as_of - timedelta(days=back),
                                       end=as_of - timedelta(days=5))
                for one, other in PAIRS:
                    for part in ("num", "den"):
                        a = table[f"{BASES[one]}_{part}"] - table[f"{one}_not_{other}_{part}"]
                        b = table[f"{BASES[other]}_{part}"] - table[f"{other}_not_{one}_{part}"]
                        assert (a == b).all() and (a >= 0).all(), (by, one, other, part)
                        both = table[f"{one}_not_{other}_{part}"] + table[f"{other}_not_{one}_{part}"]
                        assert (table[f"{one}_or_{other}_{part}"] == both).all(), (by, one, other, part)
                        seen += int(both.sum())
    assert seen > 0


@pytest.mark.parametrize("login", ["demo-supervisor", "demo-ningbo", "demo-leader"])
def test_the_arithmetic_of_the_cohorts_for_every_grouping(bank, login):
    adds_up(bank, login)


def test_it_fails_when_a_difference_is_counted_otherwise(bank, monkeypatch):
    """The arithmetic is a test: a difference that forgets every other complaint does not add up."""
    from queries.indicators import CATALOGUE
    i = CATALOGUE["due_not_closed"]
    monkeypatch.setitem(CATALOGUE, "due_not_closed", i.__class__(**{**i.__dict__, "den": f"{i.den} and s.complaint_id % 2 = 0"}))
    figures._statement.cache_clear()
    try:
        with pytest.raises(AssertionError, match="due"):
            adds_up(bank, "demo-supervisor")
    finally:
        figures._statement.cache_clear()
