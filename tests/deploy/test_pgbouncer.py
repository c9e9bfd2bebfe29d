"""PgBouncer in transaction mode, with deploy/pgbouncer.ini itself: who one is holds for a transaction and no longer (safety.md §6, 15)."""
import json
import os
import re
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.pool import NullPool

from dashboard import __main__ as cli
from dashboard.settings import settings
from queries import accounts, connect, db
from tests import makers
from tests.conftest import cloned, logins
from tests.deploy.conftest import ROOT, free_port, path_of, program, running

pytestmark = program("pgbouncer")
SERVERS = 3             # connections to PostgreSQL for each login: far fewer than clients, so that every one is handed on


@pytest.fixture(scope="module")
def pooled(server, ready, folder):
    """({login: URL} through PgBouncer, the same straight to the server)."""
    with cloned(server, ready) as url:
        urls = logins(url, folder)
        connect.as_owner(url, _people)
        here = Path(tempfile.mkdtemp(prefix="pgbouncer-"))
        to, port = make_url(url), free_port()
        try:
            settings = (ROOT / "deploy" / "pgbouncer.ini").read_text("utf-8")
            for line, value in (("desk", f"host={to.query['host']} port=5432 dbname={to.database}"), ("listen_port", port), ("unix_socket_dir", here),
                                ("auth_file", here / "users"), ("pidfile", here / "pid"), ("logfile", here / "log"), ("default_pool_size", SERVERS)):
                settings, n = re.subn(rf"(?m)^{line} = .*$", f"{line} = {value}", settings)
                assert n == 1, line
            (here / "ini").write_text(settings, "utf-8")
            (here / "users").write_text(connect.as_owner(url, _userlist), "utf-8")
            options = {}
            if os.geteuid() == 0:                                       # PgBouncer does not run as root; the server's account may enter its socket's folder
                owner = os.stat(to.query["host"])
                options = {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []}
                for path in (here, *here.iterdir()):
                    os.chown(path, owner.st_uid, owner.st_gid)
            with running([path_of("pgbouncer"), str(here / "ini")], port, here / "said", **options):
                yield ({login: make_url(one).set(host="127.0.0.1", port=port, database="desk", query={}).render_as_string(hide_password=False)
                        for login, one in urls.items() if login != "admin"}, urls)
        finally:
            for engine in (db.engine(one) for one in urls.values()):
                engine.dispose()
            shutil.rmtree(here)


def _userlist(conn):
    """As deploy/README.md makes it: PgBouncer is handed the digests that PostgreSQL keeps, no password."""
    conn.execute(text("reset role"))
    return "\n".join(conn.execute(text("""select format('"%s" "%s"', rolname, rolpassword) from pg_authid where rolname ~ '^desk_(app|regulator|intake|gate)$'""")).scalars())


def _people(conn):
    head = makers.make_unit(conn, "总行")
    branches = [makers.make_unit(conn, f"{n}分行", head) for n in range(4)]
    for unit in branches:
        makers.make_complaint(conn, received=makers.cn("2026-03-02 10:00"), unit=unit)
    account = text("insert into app_user (login, name, role, all_units) values (:l, :l, :r, :a) returning user_id")
    for n, role in enumerate(("supervisor", "leader", "regulator", "auditor", "unit", "unit", "unit", "unit")):
        made = conn.execute(account, {"l": f"{role}{n}", "r": role, "a": role != "unit"}).scalar_one()
        if role == "unit":
            conn.execute(text("insert into user_scope values (:u, :unit)"), {"u": made, "unit": branches[n - 4]})


PEOPLE = ("supervisor0", "leader1", "regulator2", "auditor3", "unit4", "unit5", "unit6", "unit7")
WHO = text("""select current_user::text as role, me() as me, current_setting('search_path') as path, current_setting('jit') as jit, current_setting('timezone') as zone,
                     current_setting('statement_timeout') as patience, pg_backend_pid() as server""")


def test_six_hundred_transactions_have_their_role_and_their_person(pooled):
    through, direct = pooled
    viewers = [db.viewer_of(direct, login) for login in PEOPLE]

    def ask(n):
        viewer = viewers[n % len(viewers)]
        door = db.writing if n % 3 else db.reading
        with door(through, viewer, timeout_ms=5_000 + n % 7) as conn:
            return viewer, n, conn.execute(WHO).one()
    with ThreadPoolExecutor(24) as pool:
        answers = list(pool.map(ask, range(600)))
    assert len(answers) == 600
    for viewer, n, said in answers:
        assert (said.role, said.me) == (viewer.database_role, viewer.user_id)
        assert (said.path, said.jit, said.zone, said.patience) == ("desk", "off", "UTC", f"{5_000 + n % 7}ms" if n % 7 else "5s")
    assert len({said.server for *_, said in answers}) <= 2 * SERVERS, "24 clients and two logins on six connections: each was handed on"


def test_what_they_see_is_their_own(pooled):
    through, direct = pooled
    seen = text("select count(*) from clock_span where valid_to = 'infinity'")

    def ask(n):
        with db.reading(through, db.viewer_of(direct, PEOPLE[n % 8])) as conn:
            return conn.execute(seen).scalar_one() if PEOPLE[n % 8][0] in "slu" else None
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(ask, range(160)))
    for n, count in enumerate(answers):
        whole = answers[0]
        assert count == {"s": whole, "l": whole, "u": whole // 4}.get(PEOPLE[n % 8][0])


def test_nobody_is_left_on_a_connection(pooled):
    through, direct = pooled
    with db.writing(through, db.viewer_of(direct, "supervisor0")) as conn:
        conn.execute(WHO)
    raw = create_engine(through["desk_app"], poolclass=NullPool)
    for _ in range(4 * SERVERS):
        with raw.begin() as conn:
            said = conn.execute(text("select current_user::text, coalesce(current_setting('app.user_id', true), ''), current_setting('statement_timeout')")).one()
            assert tuple(said) == ("desk_app", "", "0")


@pytest.mark.parametrize("statement, asked, wanted", [
    ("set search_path = pg_temp", "show search_path", "desk"), ("set role r_supervisor_all", "select current_user::text", "desk_app"),
    ("select set_config('app.user_id', '1', false)", "select coalesce(current_setting('app.user_id', true), '')", ""),
    ("set statement_timeout = '1ms'", "show statement_timeout", "0"), ("create temporary table unit (unit_id int)", "select to_regclass('pg_temp.unit')::text", None),
    ("select pg_advisory_lock(4711)", "select count(*) from pg_locks where locktype = 'advisory' and objid = 4711", 0)])
def test_what_somebody_sets_for_the_session_is_gone_for_the_next(pooled, statement, asked, wanted):
    through, _ = pooled
    raw = create_engine(through["desk_app"], poolclass=NullPool)
    for _ in range(2):
        with raw.begin() as conn:
            conn.execute(text(statement))
        for _ in range(3 * SERVERS):
            with raw.begin() as conn:
                assert conn.execute(text(asked)).scalar_one() == wanted


def test_a_place_that_is_returned_to_our_own_pool_is_clean(pooled):
    """What clears a connection on return goes to whichever connection is free: it does no harm there, to a transaction under way neither."""
    through, direct = pooled
    viewer = db.viewer_of(direct, "supervisor0")
    with db.reading(through, viewer) as conn:
        mine = conn.execute(WHO).one()
        for _ in range(3 * SERVERS):
            with db.engine(through["desk_app"]).connect() as other:
                assert other.execute(text("select current_user::text")).scalar_one() == "desk_app"
        again = conn.execute(WHO).one()
    assert (mine.server, mine.me, mine.role) == (again.server, again.me, again.role)


def test_signing_in_and_the_account_of_a_session_work_through_it(pooled):
    through, direct = pooled
    account = db.viewer_of(direct, "leader1")
    token = accounts.begin(through, account.user_id, "password", "127.0.0.1")
    found = accounts.find(through, token)
    assert db.viewer_of_session(through, found.session_id, "leader1", looks=True)[0] == account
    accounts.end(through, token)
    assert accounts.find(through, token) is None


def test_setup_hands_out_the_logins_by_way_of_a_pooler(pooled, folder, monkeypatch, capsys):
    through, direct = pooled
    monkeypatch.setenv("DATABASE_URL", direct["admin"])
    monkeypatch.setenv("DASHBOARD_DATA", str(folder))
    settings.cache_clear()
    port = make_url(through["desk_app"]).port
    assert cli.main(["setup", "--logins", f"127.0.0.1:{port}"]) == 0
    handed = dict(line.split("=", 1) for line in capsys.readouterr().out.splitlines())
    assert set(handed) == {"DESK_APP_URL", "DESK_REGULATOR_URL", "DESK_INTAKE_URL", "DESK_GATE_URL"}
    assert all(make_url(handed[f"{login.upper()}_URL"]).set(database="desk").render_as_string(False) == url for login, url in through.items())
    monkeypatch.delenv("DATABASE_URL")                                   # a process that has them knows no administrator, and says so
    for name, value in handed.items():
        monkeypatch.setenv(name, value)
    settings.cache_clear()
    assert connect.application(None, folder, "Asia/Shanghai") == {name[:-4].lower(): value for name, value in handed.items()}
    assert cli.main(["backup", str(folder / "none")]) == 1 and "DATABASE_URL" in capsys.readouterr().err
    settings.cache_clear()


def test_the_logins_themselves_hold_what_every_session_needs(pooled):
    """Without a start-up option, which a pooler does not hand on."""
    _, direct = pooled
    for login in ("desk_app", "desk_regulator", "desk_intake", "desk_gate"):
        with create_engine(direct[login], poolclass=NullPool).connect() as conn:
            assert json.loads(conn.execute(text("""select json_build_array(current_setting('search_path'), current_setting('jit'), current_setting('timezone'))::text""")).scalar_one()) == ["desk", "off", "UTC"]
