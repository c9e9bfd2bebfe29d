"""The audit: a chain that is written at commit, that nobody changes, and whose verification finds who did."""
import threading
from datetime import timedelta

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from queries import audit, db
from queries.schema import LOGINS

ROWS = 40


@pytest.fixture
def chained(desk):
    """{login: URL}, ROWS rows in the audit, one transaction for every four of them; the ids of an auditor and others."""
    engine = create_engine(desk["admin"], poolclass=NullPool)
    with engine.begin() as conn:
        for role in ("auditor", "supervisor", "leader", "admin", "regulator", "unit"):
            conn.execute(text("insert into desk.app_user (login, name, role, all_units) values (:r, :r, :r, true)"), {"r": role})
    for first in range(0, ROWS, 4):
        with db.writing(desk, db.viewer_of(desk, "supervisor")) as conn:
            for n in range(first, first + 4):
                conn.execute(text("select audit_add('export', null, jsonb_build_object('rows', cast(:n as int), 'list', '单位｜甲'))"), {"n": n})
    return desk


def owner(urls):
    return create_engine(urls["admin"], poolclass=NullPool, connect_args={"options": "-c search_path=desk"})


def verdict(urls, **how):
    with owner(urls).begin() as conn:
        return audit.verify(conn, **how)


def tamper(urls, *statements):
    """As a superuser who switches the triggers off."""
    with owner(urls).begin() as conn:
        conn.execute(text("set local session_replication_role = replica"))
        for statement in statements:
            conn.execute(text(statement))


def test_a_chain_that_nobody_touched_is_whole(chained):
    found = verdict(chained)
    assert found.fault is None and found.rows == ROWS
    assert verdict(chained, newest=10).rows == 10 and verdict(chained, newest=10).fault is None
    with owner(chained).begin() as conn:
        assert audit.head(conn) == (ROWS, found.head)
        assert conn.execute(text("select array_agg(chain_no order by audit_id) = array_agg(chain_no order by chain_no) from audit")).scalar_one()


@pytest.mark.parametrize(("statement", "fault"), [
    ("update audit set params = '{\"rows\": 1}' where chain_no = 7", (7, "changed")),
    ("update audit set at = at - interval '1 microsecond' where chain_no = 7", (7, "changed")),
    ("update audit set user_id = null where chain_no = 7", (7, "changed")),
    ("update audit set act = 'sign_in' where chain_no = 7", (7, "changed")),
    ("delete from audit where chain_no = 7", (7, "missing")),
    ("delete from audit where chain_no = 1", (1, "missing")),
    (f"delete from audit where chain_no = {ROWS}", (ROWS, "cut")),
    ("delete from audit", (1, "cut")),
    ("update audit set chain_no = case chain_no when 7 then -8 else -7 end where chain_no in (7, 8); update audit set chain_no = -chain_no where chain_no < 0", (7, "changed")),
    ("insert into audit (act) values ('forged')", (ROWS + 1, "unchained")),
    (f"insert into audit (act, chain_no, hash) values ('forged', {ROWS + 1}, 'x')", (ROWS + 1, "changed"))])
def test_what_was_changed_removed_reordered_or_forged_is_found(chained, statement, fault):
    tamper(chained, *statement.split("; "))
    assert verdict(chained).fault == fault


def test_a_chain_written_anew_is_found_by_an_anchor(chained):
    with owner(chained).begin() as conn:
        anchor = audit.head(conn)
    assert verdict(chained, anchor=anchor).fault is None
    tamper(chained, "update audit set params = '{}' where chain_no = 7", "update audit set chain_no = null, hash = null",
           "update audit_head set chain_no = 0, hash = sha256('complaint desk')", "select audit_chain_up()")
    assert verdict(chained).fault is None, "the whole chain holds again"
    assert verdict(chained, anchor=anchor).fault == (ROWS, "anchor")
    assert verdict(chained, anchor=(ROWS + 5, anchor[1])).fault == (ROWS + 5, "anchor")


@pytest.mark.parametrize("statement", ["update audit set act = 'x'", "delete from audit", "truncate audit", "update audit set chain_no = null", "delete from audit_head", "truncate audit_head"])
def test_the_owner_itself_is_refused(chained, statement):
    with owner(chained).begin() as conn, pytest.raises(DBAPIError, match="kept"):
        conn.execute(text("set local role desk_owner"))
        conn.execute(text(statement))


@pytest.mark.parametrize("login", ["auditor", "supervisor", "leader", "admin", "regulator", "unit", "intake"])
def test_every_role_is_refused(chained, login):
    viewer = db.viewer_of(chained, login)
    for statement in ("insert into audit (act) values ('x')", "update audit set act = 'x'", "delete from audit", "truncate audit", "update audit_head set chain_no = 0",
                      "select audit_chain_up()"):
        with pytest.raises(DBAPIError, match="permission denied"), db.writing(chained, viewer) as conn:
            conn.execute(text(statement))
    if login != "auditor":
        for relation in ("audit", "audit_head"):
            with pytest.raises(DBAPIError, match="permission denied"), db.reading(chained, viewer) as conn:
                conn.execute(text(f"select * from {relation}"))


def test_every_login_that_becomes_nothing_is_refused(chained):
    for login in LOGINS:
        with create_engine(chained[login], poolclass=NullPool).connect() as conn, pytest.raises(DBAPIError, match="permission denied"):
            conn.execute(text("insert into desk.audit (act) values ('x')"))


def test_a_bulk_act_chains_once_and_at_its_end(chained):
    with db.writing(chained, db.viewer_of(chained, "supervisor")) as conn:
        conn.execute(text("select audit_add('urge', n, '{}') from generate_series(1, 1000) n"))
        assert conn.execute(text("select count(*) from pg_locks where locktype = 'advisory' and granted and pid = pg_backend_pid()")).scalar_one() == 0, "not before commit"
    assert verdict(chained).rows == ROWS + 1000 and verdict(chained).fault is None


def test_two_writers_do_not_wait_for_each_other_and_the_chain_holds(chained):
    viewer = db.viewer_of(chained, "supervisor")
    with db.writing(chained, viewer) as one:
        one.execute(text("select audit_add('urge', 1, '{}')"))
        with db.writing(chained, viewer, timeout_ms=2_000) as other:         # commits while the first is open
            other.execute(text("select audit_add('urge', 2, '{}')"))
    failed = []

    def many():
        try:
            for _ in range(25):
                with db.writing(chained, viewer) as conn:
                    conn.execute(text("select audit_add('urge', 3, '{}')"))
        except Exception as error:                       # noqa: BLE001 - shown below
            failed.append(error)
    threads = [threading.Thread(target=many) for _ in range(4)]
    [one.start() for one in threads], [one.join() for one in threads]
    assert not failed
    found = verdict(chained)
    assert found.fault is None and found.rows == ROWS + 2 + 100


def test_an_auditor_reads_and_narrows_it(chained):
    viewer = db.viewer_of(chained, "auditor")
    with db.reading(chained, viewer) as conn:
        now = db.clock(conn)
        ask = dict(as_of=now, start=now - timedelta(days=1), end=now + timedelta(days=1))
        rows = audit.rows(conn, **ask, limit=10)
        assert len(rows) == 10 and rows["total"].iloc[0] == ROWS and rows["chain_no"].tolist() == list(range(ROWS, ROWS - 10, -1))
        assert rows["who"].eq("supervisor").all() and rows["params"].iloc[0]["rows"] == ROWS - 1
        someone = int(rows["user_id"].iloc[0])
        assert len(audit.rows(conn, **ask, who=someone, limit=None)) == ROWS and audit.rows(conn, **ask, who=someone + 1_000).empty
        assert audit.rows(conn, **ask, act="reveal").empty and audit.rows(conn, **ask, number="nothing").empty
        assert audit.rows(conn, **ask | {"start": now + timedelta(hours=1)}).empty
        assert audit.acts(conn) == ["export"] and audit.people(conn)["login"].tolist() == ["supervisor"]
        assert audit.newest(conn, as_of=now, rows=5).rows == 5
