"""An open tab: what the account may is asked again at every run, and a session whose person does nothing runs out."""
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool
from streamlit.testing.v1 import AppTest

from dashboard import prompter, session
from queries import accounts, db
from tests.pages.conftest import session_of
from tests.pages.test_every_number_opens_its_list import APP
from tests.pages.test_follow import office  # noqa: F401 - a demo bank of its own


@pytest.fixture
def sql(office):  # noqa: F811
    owner = create_engine(office["admin"], poolclass=NullPool)

    def run(statement, **params):
        with owner.begin() as conn:
            conn.execute(text("set local role desk_owner"))
            found = conn.execute(text(f"set local search_path = desk; {statement}"), params)
            return found.all() if found.returns_rows else None
    return run


def tab(user, **params):
    at = AppTest.from_file(APP, default_timeout=30)
    at.user = user
    at.query_params.update({"lang": "zh", **params})
    return at.run()


def person(sql, login, role="leader"):
    """A person's own account with a session, as a password would have opened it: nothing of the demo."""
    sql("""insert into app_user (login, name, role, all_units) values (:login, '某人', :role, true)
           on conflict (login) do update set role = excluded.role, active = true""", login=login, role=role)
    (user_id,), = sql("select user_id from app_user where login = :login", login=login)
    found = accounts.find(session.urls(), accounts.begin(session.urls(), user_id, "password", "127.0.0.1"))
    return {session.LOGIN: found.login, session.SESSION: str(found.session_id)}


def out(at):
    """Signed out: it says so, and nothing else of a page is there."""
    return not at.exception and len(at.error) == 1 and "重新登录" in at.error[0].value and not at.metric and not at.dataframe and not at.title


@pytest.mark.parametrize("user", [{}, {"email": "x@example.com"}, {session.LOGIN: "demo-supervisor"}, {session.LOGIN: "demo-supervisor", session.SESSION: "999999"},
                                  {session.LOGIN: "admin", session.SESSION: ""}])
def test_without_the_gate_nobody_is_anybody(office, user):  # noqa: F811
    assert out(tab(user)) and out(tab(user, **{"as": "demo-leader"}))


def test_a_session_of_one_is_not_anothers(office, sql):  # noqa: F811
    one = person(sql, "tab.one")
    assert tab(one).metric and out(tab(one | {session.LOGIN: "demo-supervisor"}))


@pytest.mark.parametrize("what", ["update app_user set active = false where login = 'tab.two'",
                                  "update session set ended_at = now() from app_user u where u.user_id = session.user_id and u.login = 'tab.two'",
                                  "update session set ends_at = now() from app_user u where u.user_id = session.user_id and u.login = 'tab.two'",
                                  "update session set seen_at = now() - idle from app_user u where u.user_id = session.user_id and u.login = 'tab.two'"])
def test_an_open_tab_is_out_at_the_next_click(office, sql, what):  # noqa: F811
    at = tab(person(sql, "tab.two"))
    assert at.metric and not at.error
    sql(what)
    assert out(at.run())


def test_a_demoted_account_has_its_new_rights_at_the_next_click(office, sql):  # noqa: F811
    at = tab(person(sql, "tab.three", "supervisor"))
    assert at.session_state["viewer"].role == "supervisor" and at.metric
    sql("update app_user set role = 'auditor' where login = 'tab.three'")
    at.run()
    assert at.session_state["viewer"].role == "auditor" and not at.metric


def test_who_signed_in_with_a_password_chooses_no_other(office, sql):  # noqa: F811
    at = tab(person(sql, "tab.four"), **{"as": "demo-supervisor"})
    assert at.session_state["viewer"].login == "tab.four" and not any(radio.key == "filter_as" for radio in at.radio)
    demo = tab(session_of("demo-leader"), **{"as": "demo-unit"})
    assert demo.session_state["viewer"].login == "demo-unit"
    assert out(tab(session_of("demo-leader"), **{"as": "tab.four"})) and out(tab(session_of("demo-leader"), **{"as": "service"}))


def test_only_a_click_keeps_a_session_from_running_out(office, sql):  # noqa: F811
    who = person(sql, "tab.five")
    at = tab(who)
    number = int(who[session.SESSION])

    def idle_for():
        sql("update session set seen_at = clock_timestamp() - interval '10 minutes' where session_id = :n", n=number)

    def idle():
        return sql("select clock_timestamp() - seen_at > interval '9 minutes' from session where session_id = :n", n=number)[0][0]

    idle_for()
    at.session_state["live.again"] = True                    # the page ran again by itself
    at.run()
    assert idle()
    prompter._of_nobody.add("test session id")               # or was told to
    at.run()
    assert idle()
    at.run()
    assert not idle()


def test_a_download_asks_for_the_session_again(office, sql):  # noqa: F811
    who = person(sql, "tab.six")
    held = session.Ticket(who[session.LOGIN], int(who[session.SESSION]), None)
    assert session.redeem(held).login == "tab.six"
    sql("update session set ended_at = now() where session_id = :n", n=held.session_id)
    with pytest.raises(db.NotAllowed):
        session.redeem(held)


def test_of_many_sessions_those_that_may_not_any_more_are_left_out(office, sql):  # noqa: F811
    people = [person(sql, f"tab.many.{n}") for n in range(4)]
    held = [session.Ticket(who[session.LOGIN], int(who[session.SESSION]), None) for who in people]
    demo = session_of("demo-leader")
    chose, forged = (session.Ticket(demo[session.LOGIN], int(demo[session.SESSION]), login) for login in ("demo-unit", "tab.many.0"))
    asked = [*held, chose, forged, session.Ticket("demo-leader", held[0].session_id, None)]
    assert {one: viewer.login for one, viewer in session.redeem_all(asked).items()} == {one: one.login for one in held} | {chose: "demo-unit"}
    sql("update session set ended_at = now() where session_id = :n", n=held[0].session_id)
    sql("update session set seen_at = now() - idle where session_id = :n", n=held[1].session_id)
    sql("update app_user set active = false where login = 'tab.many.2'")
    sql("update app_user set role = 'auditor' where login = 'tab.many.3'")
    found = session.redeem_all(asked)
    assert {one: viewer.login for one, viewer in found.items()} == {held[3]: "tab.many.3", chose: "demo-unit"} and found[held[3]].role == "auditor"


def test_what_was_read_for_one_account_is_not_shown_to_another(sql):
    """Two supervisors, one process, the same question at the same tick: the second one's answer is not the first one's."""
    from dashboard import data
    from queries import units
    seen = {}
    for login in ("demo-supervisor", "demo-ningbo", "demo-supervisor"):
        at = tab(session_of("demo-supervisor"), **{"as": login})
        assert not at.exception
        with db.reading(session.urls(), at.session_state["viewer"]) as conn:
            true = len(units.tree(conn))
        seen[login] = (true, len(data._cached(units.tree, data.scope(at.session_state["viewer"]), at.session_state["tick"][0], (), {}, at.session_state["viewer"])))
    assert all(true == shown for true, shown in seen.values()) and len({true for true, _ in seen.values()}) == 2
    one = db.viewer_of(session.urls(), "demo-supervisor")
    from dataclasses import replace
    assert len({data.scope(one), data.scope(replace(one, apart=(7,))), data.scope(replace(one, scope=(5,))), data.scope(replace(one, sees_restricted=False))}) == 4
