"""Roles, grants and row security, seen through the logins themselves."""
import threading

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from queries import db, schema
from queries.viewer import Role, Viewer
from tests import makers
from tests.conftest import address, administer
from tests.makers import cn

KEPT_FROM_ALL = ("complainant", "app_user", "user_scope")


@pytest.fixture(scope="module")
def office(desk_module):
    """A bank with two branches, complaints in each, one financial-crime report; accounts for each."""
    engine = create_engine(desk_module["admin"], poolclass=NullPool)
    with engine.begin() as conn:
        conn.execute(text("set local role desk_owner"))
        conn.execute(text("set local search_path = desk"))
        head = makers.make_unit(conn, "总行", kind="head")
        a, b = makers.make_unit(conn, "甲行", head), makers.make_unit(conn, "乙行", head)
        mine = makers.make_complaint(conn, received=cn("2026-03-02 10:00"), unit=a)
        moved = makers.make_complaint(conn, received=cn("2026-03-02 10:00"), unit=a)
        makers.move(conn, moved, b, cn("2026-03-03 10:00"))
        other = makers.make_complaint(conn, received=cn("2026-03-02 10:00"), unit=b)
        crime = makers.make_complaint(conn, received=cn("2026-03-02 10:00"), unit=a, category="financial_crime")
        conn.execute(text("select keep_persons(array[:c], array['张三'], array['13800001111'])"), {"c": mine})
        for login, role, all_units, unit in (("lead", "leader", True, None), ("a", "unit", False, a), ("b", "supervisor", False, b),
                                             ("disc", "discipline", True, None), ("reg", "regulator", True, None), ("none", "leader", False, None)):
            user = conn.execute(text("insert into app_user (login, name, role, all_units) values (:l, :l, :r, :w) returning user_id"),
                                {"l": login, "r": role, "w": all_units}).scalar_one()
            if unit:
                conn.execute(text("insert into user_scope values (:u, :n)"), {"u": user, "n": unit})
    return desk_module, {"a": a, "b": b, "mine": mine, "moved": moved, "other": other, "crime": crime}


def sees(urls, login, relation="complaint"):
    with db.reading(urls, db.viewer_of(urls, login)) as conn:
        return set(conn.execute(text(f"select complaint_id from {relation}")).scalars())


def test_each_sees_its_part(office):
    urls, c = office
    assert sees(urls, "lead") == {c["mine"], c["moved"], c["other"]}
    assert sees(urls, "disc") == {c["crime"]}, "reports of financial crime and nothing else"
    assert sees(urls, "a") == {c["mine"], c["moved"]}, "its own, and one in which it is complained about"
    assert sees(urls, "b") == {c["moved"], c["other"]}
    assert sees(urls, "none") == set(), "no scope is no rows, not all rows"
    for relation in ("event", "clock_span", "open_stretch"):
        assert sees(urls, "b", relation) <= {c["moved"], c["other"], c["mine"]} - {c["mine"]}


def test_a_former_holder_sees_its_own_stretch_only(office):
    urls, c = office
    with db.reading(urls, db.viewer_of(urls, "a")) as conn:
        units = conn.execute(text("select unit_id, charged_unit_id, about_unit_id from clock_span where complaint_id = :c and clock = 'r'"),
                             {"c": c["moved"]}).all()
    assert all(c["a"] in row for row in units)


def test_a_disabled_account_sees_nothing_at_once(office):
    urls, _ = office
    viewer = db.viewer_of(urls, "lead")
    owner = create_engine(urls["admin"], poolclass=NullPool)
    with owner.begin() as conn:
        conn.execute(text("update desk.app_user set active = false where login = 'lead'"))
    try:
        with db.reading(urls, viewer) as conn:
            assert conn.execute(text("select count(*) from complaint")).scalar_one() == 0
        with pytest.raises(db.NotAllowed):
            db.viewer_of(urls, "lead")
    finally:
        with owner.begin() as conn:
            conn.execute(text("update desk.app_user set active = true where login = 'lead'"))


def test_no_identity_is_denied(office):
    urls, _ = office
    for login in ("desk_app", "desk_regulator", "desk_intake", "desk_gate"):
        with create_engine(urls[login], poolclass=NullPool).connect() as conn:
            for relation in ("complaint", "clock_span", "unit", "event", "app_user", "complainant", "credential", "session", "set_up_link"):
                with pytest.raises(DBAPIError, match="permission denied"):
                    conn.execute(text(f"select * from desk.{relation}"))
                conn.rollback()


def test_a_login_becomes_only_what_it_was_granted(office):
    urls, _ = office
    for login, role in (("desk_regulator", "r_supervisor"), ("desk_regulator", "r_leader_all"), ("desk_app", "r_regulator"), ("desk_app", "r_intake"),
                        ("desk_app", "desk_owner"), ("desk_intake", "r_supervisor"), ("desk_regulator", "desk_owner"), ("desk_gate", "r_admin"), ("desk_gate", "desk_owner")):
        with create_engine(urls[login], poolclass=NullPool).connect() as conn, pytest.raises(DBAPIError, match="permission denied"):
            conn.execute(text(f"set role {role}"))


@pytest.mark.parametrize("statement", [
    "update complaint set unit_id = unit_id", "insert into urge (complaint_id, level, work_day, unit_id) values (1, 2, '2026-03-09', 1)",
    "delete from complaint", "truncate event", "insert into audit (act) values ('x')", "select * from complainant", "select * from complaint_text",
    "select * from app_user", "select * from audit", "select * from complaint", "select count(*) from clock_span", "select * from open_stretch", "select * from event",
    "select * from urge", "select * from unit_contact", "select * from released", "select * from state(now())", "select find_words(array['a'])", "select visible(array[1])",
    "select reveal(1, 'because')", "select release(1, true, 'because')", "select mask_text('x')", "select who_is(1)", "select complainant_masked(1)", "select texts_of(1)", "select * from outbox", "update clock_span set due_at = null", "insert into tick values (9, now(), 1, true)",
    "select respan(array[1])", "select unit_move(1, 2)", "select audit_add('x', 1, '{}')", "select keep_persons(array[1::bigint], array['x'], array['y'])",
    "alter table complaint disable row level security", "create table x (a int)", "copy complaint to program 'cat'", "set role r_supervisor",
    "select pg_read_file('/etc/passwd')", "create function f() returns int language sql as 'select 1'", "drop view open_stretch",
    "grant select on complainant to r_regulator", "select * from request", "insert into request (key, user_id, act, payload) values ('12345678', 1, 'x', 'y')"])
def test_a_regulators_arbitrary_sql_is_denied_and_leaves_nothing(office, statement):
    urls, _ = office
    viewer = db.viewer_of(urls, "reg")
    with pytest.raises(DBAPIError), db.writing(urls, viewer) as conn:        # even outside a read-only transaction
        conn.execute(text(statement))
    with db.reading(urls, viewer) as conn:
        assert conn.execute(text("select count(*) from unit")).scalar_one() == 3


def test_the_pool_hands_on_nothing(office):
    urls, _ = office
    with db.reading(urls, db.viewer_of(urls, "lead")) as conn:
        conn.execute(text("select set_config('app.user_id', '1', false)"))
        conn.execute(text("set search_path = pg_temp"))
        conn.execute(text("select pg_advisory_lock(7)"))
        conn.execute(text("prepare asked as select 1"))
        conn.execute(text("listen somebody"))
        conn.execute(text("set session role r_supervisor"))
        here = conn.execute(text("select pg_backend_pid()")).scalar_one()
    with db.engine(urls["desk_app"]).connect() as conn:
        assert conn.execute(text("select pg_backend_pid()")).scalar_one() == here
        assert conn.execute(text("select coalesce(current_setting('app.user_id', true), '')")).scalar_one() == ""
        assert conn.execute(text("show search_path")).scalar_one() == "desk"
        assert conn.execute(text("select current_user::text = session_user::text and current_user::text <> 'r_supervisor'")).scalar_one()
        assert conn.execute(text("""select (select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid())
                                         + (select count(*) from pg_prepared_statements) + (select count(*) from pg_listening_channels())""")).scalar_one() == 0


def test_what_the_stretches_are_is_planned_once(office):
    """One statement of 120 lines: left to itself PostgreSQL plans it anew for every complaint, which takes six times what it does (0015)."""
    urls, _ = office
    with create_engine(urls["admin"], poolclass=NullPool).connect() as conn:
        assert conn.execute(text("select proconfig from pg_proc where oid = 'desk.span_of(bigint[])'::regprocedure")).scalar_one() == ["plan_cache_mode=force_generic_plan"]


def test_a_plan_that_is_kept_shows_nobody_what_another_sees(office):
    """The same connection and the same function for one account after the other: row security is asked for whoever reads now."""
    urls, c = office
    seen, used = {}, set()
    administer(urls["admin"], """create function public.seen_here() returns setof bigint language plpgsql stable set plan_cache_mode = force_generic_plan
                                 as 'begin return query select c.complaint_id from desk.complaint c; end'""")
    for login in ("lead", "a", "b", "disc") * 7:
        with db.reading(urls, db.viewer_of(urls, login)) as conn:
            used.add(conn.execute(text("select pg_backend_pid()")).scalar_one())
            found = frozenset(conn.execute(text("select public.seen_here()")).scalars())
            assert found == frozenset(conn.execute(text("select complaint_id from complaint")).scalars()) == seen.setdefault(login, found), login
    administer(urls["admin"], "drop function public.seen_here()")
    assert len(used) == 1 and len(set(seen.values())) == 4, (used, seen)


def test_a_forged_viewer_is_not_believed(office):
    """The role comes from the door, the rows from the account: a unit's account under a supervisor's role sees its unit."""
    urls, c = office
    true = db.viewer_of(urls, "a")
    forged = Viewer(true.user_id, true.login, true.name, Role.supervisor, True, (0,))
    with db.reading(urls, forged) as conn:
        assert set(conn.execute(text("select complaint_id from complaint")).scalars()) == {c["mine"], c["moved"]}


def test_identity_is_for_nobody(office):
    urls, c = office
    for login in ("lead", "a", "b", "disc", "intake"):
        with db.reading(urls, db.viewer_of(urls, login)) as conn, pytest.raises(DBAPIError, match="permission denied"):
            conn.execute(text("select * from complainant"))
    with db.reading(urls, db.viewer_of(urls, "lead")) as conn:
        assert conn.execute(text("select name, phone from complainant_masked(:c)"), {"c": c["mine"]}).one() == ("张**", "138****1111")


def test_a_masked_identity_outside_the_scope_is_not_there(office):
    urls, c = office
    with db.reading(urls, db.viewer_of(urls, "b")) as conn:
        assert conn.execute(text("select name, phone from complainant_masked(:c)"), {"c": c["mine"]}).all() == []


def test_every_table_has_row_security_and_every_view_the_viewers_rights(office):
    urls, _ = office
    with create_engine(urls["admin"], poolclass=NullPool).connect() as conn:
        tables = conn.execute(text("""select relname, relrowsecurity and relforcerowsecurity as safe from pg_class
                                       where relnamespace = 'desk'::regnamespace and relkind in ('r', 'p') and relname <> 'alembic_version'""")).all()
        assert len(tables) > 35 and all(row.safe for row in tables), [row.relname for row in tables if not row.safe]
        views = conn.execute(text("""select relname, coalesce(array_to_string(reloptions, ','), '') as options from pg_class
                                      where relnamespace = 'desk'::regnamespace and relkind in ('v', 'm')""")).all()
        # `viewer` shows one's own account only, by its own condition
        assert [row.relname for row in views if "security_invoker=true" not in row.options] == ["viewer"]
        public = conn.execute(text("""select grantee, table_name from information_schema.role_table_grants
                                       where table_schema = 'desk' and (grantee = 'PUBLIC' or table_name = any (:kept))
                                         and grantee <> 'desk_owner'"""), {"kept": list(KEPT_FROM_ALL)}).all()
        assert public == []
        open_functions = conn.execute(text("""select p.oid::regprocedure::text from pg_proc p where pronamespace = 'desk'::regnamespace
                                               and has_function_privilege('public', p.oid, 'execute')""")).scalars().all()
        assert open_functions == []
        loose = conn.execute(text("""select p.oid::regprocedure::text from pg_proc p where pronamespace = 'desk'::regnamespace and prosecdef
                                      and not coalesce(array_to_string(proconfig, ','), '') like '%search_path=desk%'""")).scalars().all()
        assert loose == [], "a definer function without a search path of its own"


def test_two_upgrades_at_once_and_again(server):
    administer(server, "create database desk_twice")
    url = address(server, "desk_twice")
    failures = []

    def once():
        try:
            schema.upgrade(url)
        except Exception as error:                      # noqa: BLE001 - shown below
            failures.append(error)
    threads = [threading.Thread(target=once) for _ in range(3)]
    [t.start() for t in threads], [t.join() for t in threads]
    assert failures == []
    schema.upgrade(url)
    with create_engine(url, poolclass=NullPool).connect() as conn:
        assert conn.execute(text("select version_num from desk.alembic_version")).scalars().all() == [max(file.name[:4] for file in (schema.HERE / "versions").glob("0*.py"))]
    administer(server, "drop database desk_twice with (force)")
