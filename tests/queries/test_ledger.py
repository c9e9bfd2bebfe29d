"""The ledger balances for every unit and week of the demo bank, against the states at both ends and a replay of the events in plain Python."""
from collections import Counter, defaultdict
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from queries import complaints, db, ledger
from tests import makers
from tests.makers import cn

CN = ZoneInfo("Asia/Shanghai")
WAYS_IN, WAYS_OUT = ("received", "moved_in", "reopened", "restored"), ("done", "moved_out", "excluded")


@pytest.fixture(scope="module")
def seen(bank):
    """(urls, viewer, as_of, Mondays): the head office looks at the whole history."""
    viewer = db.viewer_of(bank, "service")
    with db.reading(bank, viewer) as conn:
        as_of = db.clock(conn)
        first = conn.execute(text("select min(received_at) from complaint")).scalar_one().astimezone(CN)
    monday = datetime.combine(first.date() - timedelta(days=first.weekday()), datetime.min.time(), CN)
    weeks = []
    while monday < as_of:
        weeks.append(monday)
        monday += timedelta(days=7)
    assert len(weeks) > 100
    return bank, viewer, as_of, weeks


def replay(bank):
    """Holder by holder from the events alone: [(unit, in_at, in_by, out_at, out_by)], reopenings as stretches of their own."""
    stretches = []
    with create_engine(bank["admin"], poolclass=NullPool).connect() as conn:
        conn.execute(text("set role desk_owner"))
        conn.execute(text("set search_path = desk"))
        events = defaultdict(list)
        for e in conn.execute(text("select complaint_id, at, event_id, code, clock, unit_to, was_at from event order by complaint_id, at, event_id")):
            events[e.complaint_id].append(e)
        rows = conn.execute(text("select complaint_id, received_at, ended_at, excluded_at from complaint")).all()
        redos = conn.execute(text("select complaint_id, started_at, ended_at from redo order by complaint_id, redo_no")).all()
    units = {}
    for c in rows:
        mine = events[c.complaint_id]
        start = next(e for e in mine if e.code == "received")
        unit, since, by = start.unit_to, c.received_at, "received"
        steps = [e for e in mine if e.clock == "r" and e.code in ("hop_sent", "moved", "reassigned", "returned", "restored") and e.at >= c.received_at]
        for i, e in enumerate([*steps, None]):
            # the end and the exclusion in force during this stretch: what a later return or restoration undid, else the present ones
            ended = min([x.was_at for x in steps[i:] if x.code == "returned"], default=c.ended_at)
            excluded = min([x.was_at for x in steps[i:] if x.code == "restored"], default=c.excluded_at)
            until = e.at if e else datetime.max.replace(tzinfo=CN)
            out = min(x for x in (ended, excluded, until) if x is not None)
            out_by = "moved_out" if out == until else "excluded" if excluded is not None and out == excluded and ended != excluded else "done"
            out = max(out, since)
            stretches.append([c.complaint_id, unit, since, by, out, out_by if out != datetime.max.replace(tzinfo=CN) else None])
            if e is None:
                break
            since = e.at
            by = {"returned": "reopened", "restored": "restored"}.get(e.code, "moved_in")
            if e.code in ("hop_sent", "moved", "reassigned"):
                unit = e.unit_to
        units[c.complaint_id] = unit
    kept = [s for s in stretches if s[3] == "received" or s[4] > s[2]]
    with_redo = kept + [[r.complaint_id, units[r.complaint_id], r.started_at, "reopened", r.ended_at or datetime.max.replace(tzinfo=CN),
                         "done" if r.ended_at else None] for r in redos]
    return with_redo


def test_every_unit_and_week_balances_and_equals_a_replay(seen):
    bank, viewer, as_of, weeks = seen
    expected = defaultdict(Counter)
    for _, unit, in_at, in_by, out_at, out_by in replay(bank):
        expected[unit, in_by, week_of(in_at)]["n"] += 1
        if out_by:
            expected[unit, out_by, week_of(out_at)]["n"] += 1
    with db.reading(bank, viewer, timeout_ms=60_000) as conn:
        checked = 0
        closing = None
        for monday in weeks:
            table = ledger.balance(conn, as_of=as_of, start=monday, end=monday + timedelta(days=7), by="unit")
            assert (table.gap == 0).all(), monday
            for unit, row in table.iterrows():
                for line in (*WAYS_IN, *WAYS_OUT):
                    assert row[line] == expected[unit, line, monday]["n"], (monday, unit, line)
                checked += 1
            if closing is not None:
                carried = table.opening[table.opening > 0].to_dict()
                assert carried == closing, monday
            closing = table.closing[table.closing > 0].to_dict()
        assert checked > 5_000
        moved = sum(n["n"] for (_, line, _), n in expected.items() if line == "moved_in")
        assert moved > 1_000, "the demo moves complaints between units"


def week_of(moment):
    local = moment.astimezone(CN)
    return datetime.combine(local.date() - timedelta(days=local.weekday()), datetime.min.time(), CN)


def test_branches_balance_against_the_states_at_both_ends(seen):
    bank, viewer, as_of, weeks = seen
    with db.reading(bank, viewer, timeout_ms=60_000) as conn:
        head = conn.execute(text("select unit_id from unit where kind = 'head'")).scalar_one()
        for monday in weeks[-8:]:
            window = dict(start=monday, end=monday + timedelta(days=7))
            by_branch = ledger.balance(conn, as_of=as_of, unit=head, parent=head, by="child", **window)
            assert (by_branch.gap == 0).all()
            for branch in by_branch.index:
                row, gap = ledger.check(conn, as_of=as_of, unit=int(branch), **window) if branch != head else (None, 0)
                assert gap == 0, (monday, branch)
                if row is not None:
                    assert row.opening == by_branch.opening[branch] and row.closing == by_branch.closing[branch]
            whole, gap = ledger.check(conn, as_of=as_of, **window)
            assert gap == 0 and whole.moved_in == whole.moved_out == 0, "inside the whole bank nothing moves in or out"


def test_every_line_opens_its_rows(seen):
    bank, viewer, as_of, weeks = seen
    with db.reading(bank, viewer, timeout_ms=60_000) as conn:
        window = dict(as_of=as_of, start=weeks[-3], end=weeks[-2])
        row = ledger.balance(conn, **window).loc[0]
        for line in ledger.LINES:
            ids = ledger.rows(conn, line, **window)
            assert len(ids) == row[line], line
            assert set(complaints.by_id(conn, ids, as_of=as_of).complaint_id) == set(ids)


def test_moved_in_on_tuesday_and_done_on_friday(desk):
    with create_engine(desk["admin"], poolclass=NullPool).begin() as conn:
        conn.execute(text("set local role desk_owner"))
        conn.execute(text("set local search_path = desk"))
        p, q = makers.make_unit(conn, "甲行"), makers.make_unit(conn, "乙行")
        one = makers.make_complaint(conn, received=cn("2026-02-26 10:00"), unit=p)
        makers.move(conn, one, q, cn("2026-03-03 11:00"))
        makers.reply(conn, one, cn("2026-03-06 15:00"))
    with db.reading(desk, db.viewer_of(desk, "service")) as conn:
        row = ledger.balance(conn, as_of=cn("2026-03-09 08:30"), start=cn("2026-03-02 00:00"), end=cn("2026-03-09 00:00"), unit=q).loc[0]
        assert list(row[list(ledger.LINES)]) == [0, 0, 1, 0, 0, 1, 0, 0, 0] and row.gap == 0


def test_a_stretch_that_is_lost_shows_as_a_gap(desk):
    """The check can fail: a span taken away by force is found."""
    with create_engine(desk["admin"], poolclass=NullPool).begin() as conn:
        conn.execute(text("set local role desk_owner"))
        conn.execute(text("set local search_path = desk"))
        p, q = makers.make_unit(conn, "甲行"), makers.make_unit(conn, "乙行")
        for n in range(3):
            one = makers.make_complaint(conn, received=cn("2026-02-26 10:00"), unit=p)
            makers.move(conn, one, q, cn("2026-03-03 11:00"))
        conn.execute(text("delete from clock_span where complaint_id = :c and clock = 'r' and seq = 1"), {"c": one})
        assert conn.execute(text("select check_spans()")).scalars().all() == [one]
    with db.reading(desk, db.viewer_of(desk, "service")) as conn:
        _, gap = ledger.check(conn, as_of=cn("2026-03-09 08:30"), start=cn("2026-03-02 00:00"), end=cn("2026-03-09 00:00"), unit=q)
        opening = ledger.balance(conn, as_of=cn("2026-03-09 08:30"), start=cn("2026-03-02 00:00"), end=cn("2026-03-09 00:00"), unit=p).loc[0].opening
        assert gap == 0 and opening == 2, "one of three is missing"
