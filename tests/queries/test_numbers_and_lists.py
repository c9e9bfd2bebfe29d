"""Every count of the catalogue opens exactly its rows, for every role; and the test is seen to fail when one of the two is changed."""
from datetime import timedelta

import pytest
from sqlalchemy import text

from queries import complaints, db, figures
from queries.indicators import CATALOGUE
from tests import conftest
from tests.conftest import SMALL, cloned

ROLES = ("supervisor", "leader", "unit", "service", "department", "discipline")


@pytest.fixture(scope="module")
def small(server, banks, folder):
    """For a service centre: what it sees is asked for anew with every complaint (0007_roles.sql), so its time goes with the square of the bank."""
    with cloned(server, banks(SMALL)) as url:
        yield conftest.logins(url, folder)


@pytest.fixture(scope="module", params=ROLES)
def looking(request, bank, small):
    """(urls, viewers) for each role of the demo; scoped accounts among them."""
    urls = small if request.param == "service" else bank
    logins = [login for login, _, role in db.demo_accounts(urls) if role == request.param]
    assert logins, f"the demo has no {request.param}"
    return urls, [db.viewer_of(urls, login) for login in logins]


def ask(conn):
    as_of = db.clock(conn)
    return dict(as_of=as_of, start=as_of - timedelta(days=120), end=as_of + timedelta(days=20))


def disagreements(conn, codes=tuple(CATALOGUE), least=0, **more):
    """[(code, part, counted, listed)] where a count and its list differ, by the whole and by category."""
    where = ask(conn) | more
    wrong, listed = [], 0
    table = figures.counts(conn, codes, **where)
    for code in codes:
        for part in ("den", "num") if CATALOGUE[code].num else ("den",):
            counted = int(table[f"{code}_{part}"].sum())
            rows = complaints.listing(conn, code, part=part, limit=None, **where)
            listed += bool(len(rows))
            total = int(rows.total.iloc[0]) if len(rows) else 0
            if not counted == len(rows) == total:
                wrong.append((code, part, counted, len(rows)))
            if part == "den" and CATALOGUE[code].num and int(rows.counted.sum()) != int(table[f"{code}_num"].sum()):
                wrong.append((code, "counted", int(table[f"{code}_num"].sum()), int(rows.counted.sum())))
    assert listed >= least, "lists without a row prove little"
    return wrong


def test_every_count_opens_its_rows(looking):
    urls, viewers = looking
    for viewer in viewers:
        with db.reading(urls, viewer, timeout_ms=60_000) as conn:
            assert disagreements(conn, least=20) == [], viewer.login


def test_by_unit_category_channel_state_and_age(bank):
    with db.reading(bank, db.viewer_of(bank, "service"), timeout_ms=60_000) as conn:
        where = ask(conn)
        head = conn.execute(text("select unit_id from unit where kind = 'head'")).scalar_one()
        for code in ("compliance", "received", "overdue_open", "overdue_list", "backlog", "satisfaction"):
            by_unit = figures.counts(conn, (code,), by="child", parent=head, **where)[f"{code}_den"]
            for unit, n in by_unit[(by_unit > 0) & by_unit.index.notna()].head(12).items():          # what lies beside the tree is in no unit's list
                if unit != head:
                    assert len(complaints.listing(conn, code, unit=int(unit), limit=None, **where)) == n, (code, unit)
            cells = figures.counts(conn, (code,), by="category_channel", **where)[f"{code}_den"]
            for cell, n in cells[cells > 0].head(12).items():
                assert len(complaints.listing(conn, code, category=int(cell) // 1000, channel=int(cell) % 1000, limit=None, **where)) == n, (code, cell)
            assert by_unit.sum() == cells.sum() == figures.counts(conn, (code,), **where)[f"{code}_den"].sum(), code
        ages = figures.counts(conn, ("overdue_list",), by="ageing", **where).overdue_list_den
        for age, n in ages.items():
            assert len(complaints.listing(conn, "overdue_list", ageing=int(age), limit=None, **where)) == n
        states = figures.counts(conn, ("received",), by="state", **where).received_den
        for state, n in states.items():
            assert len(complaints.listing(conn, "received", state=state, limit=None, **where)) == n


def test_a_scoped_viewer_sees_a_part_only(bank):
    logins = {role: login for login, _, role in db.demo_accounts(bank)}
    numbers = {}
    for role in ("supervisor", "unit"):
        with db.reading(bank, db.viewer_of(bank, logins[role]), timeout_ms=60_000) as conn:
            numbers[role] = int(figures.counts(conn, ("received",), **ask(conn)).received_den.sum())
    with db.reading(bank, db.viewer_of(bank, "service"), timeout_ms=60_000) as conn:
        everything = int(figures.counts(conn, ("received",), **ask(conn)).received_den.sum())
    assert 0 < numbers["unit"] < everything / 5


@pytest.mark.parametrize("code", ["compliance", "backlog"])
def test_it_fails_when_one_query_is_changed(bank, monkeypatch, code):
    """A list that asks something else than its count is found."""
    original = complaints._statement
    changed = CATALOGUE[code].__class__(**{**CATALOGUE[code].__dict__, "den": CATALOGUE[code].den + " and s.complaint_id % 2 = 0"})

    def other(asked, part):
        with pytest.MonkeyPatch.context() as m:
            if asked == code:
                m.setitem(CATALOGUE, code, changed)
            return original.__wrapped__(asked, part)
    monkeypatch.setattr(complaints, "_statement", other)
    with db.reading(bank, db.viewer_of(bank, "service"), timeout_ms=60_000) as conn:
        assert disagreements(conn, (code,))
