"""Reads on two real streaming standbys: one's own writes are seen, a standby that lags or is dead is not used, the primary serves what is left."""
import time

import pytest
import streamlit as st
from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError, OperationalError
from streamlit.testing.v1 import AppTest

from dashboard import data, session
from dashboard.settings import settings
from queries import accounts, acts, connect, db, replicas
from queries.replicas import BadUrl, Replicas, servers
from tests import makers
from tests.conftest import cloned, logins
from tests.deploy.conftest import ROOT, Standby


class Office:
    """A primary, two standbys, a supervisor with a session."""

    def __init__(self, urls, standbys):
        self.urls, self.standbys = urls, standbys
        self.replicas = Replicas(urls, servers(f"postgresql:///?host={','.join(str(one.folder) for one in standbys)}"))
        self.viewer = db.viewer_of(urls, "li.min")
        self.session = self.begin()

    def begin(self):
        token = accounts.begin(self.urls, self.viewer.user_id, "password", "127.0.0.1")
        return accounts.find(self.urls, token).session_id

    def run(self, session=None, covers=None):
        """What a page run begins with: (tick, where it reads)."""
        version, as_of = db.tick(self.urls, self.viewer, covers=covers)
        return version, self.replicas.source(self.viewer, session or self.session, version)

    def place(self, source):
        """0 or 1: the standby; None: the primary."""
        return next((n for n, one in enumerate(self.replicas.standbys) if one.urls is source.urls), None)

    def places(self, runs, pause=0.0):
        found = []
        for _ in range(runs):
            found.append(self.place(self.run()[1]))
            time.sleep(pause)
        return found

    def write(self, n, session=None):
        """An urge, and what the door does after it; when it was done."""
        with db.writing(self.urls, self.viewer) as conn:
            acts.urge(conn, key=f"act number {n:04}", complaints=[self.complaints[n]], level=2)
            done = db.clock(conn)
        self.replicas.wrote(session or self.session)
        return done

    def caught_up(self, *which):
        """Both standbys (or those named) have replayed everything; the tests' server, in its haste, has to be told to write it out first."""
        flush = "set local synchronous_commit = on; select pg_logical_emit_message(true, 'test', 'flush')"
        connect.as_owner(self.urls["admin"], lambda conn: conn.execute(text(flush)).all())
        wanted = connect.as_owner(self.urls["admin"], lambda conn: conn.execute(text("select pg_current_wal_flush_lsn()")).scalar_one())
        for place in which or range(len(self.standbys)):
            one, until = self.standbys[place], time.monotonic() + 20
            while not one.ask(f"select pg_last_wal_replay_lsn() >= '{wanted}'"):
                assert time.monotonic() < until
                time.sleep(0.01)
            self.replicas.standbys[place].out_until = 0.0                # and as if nobody had found it wanting


URGES = text("select count(*) from urge")


def urges(conn):
    return conn.execute(URGES).scalar_one()


@pytest.fixture(scope="module")
def office(server, ready, folder):
    def build(conn):
        unit = makers.make_unit(conn, "宁波分行", makers.make_unit(conn, "总行"))
        conn.execute(text("insert into app_user (login, name, role, all_units) values ('li.min', '李敏', 'supervisor', true)"))
        return [makers.make_complaint(conn, received=makers.cn("2026-03-02 10:00"), unit=unit) for _ in range(120)]
    with cloned(server, ready) as url:
        complaints = connect.as_owner(url, build)
        made, urls = [], logins(url, folder)
        try:
            for _ in range(2):
                made.append(Standby(url))
                made[-1].start()
            office = Office(urls, made)
            office.complaints, office.n = complaints, iter(range(120))
            yield office
        finally:
            for one in urls.values():
                db.engine(one).dispose()
            for one in made:
                one.close()


@pytest.fixture(autouse=True)
def both(office):
    for one in office.standbys:
        if one.process.poll() is not None:
            one.start()
        one.ask("select pg_wal_replay_resume()")
    office.caught_up()


def test_reads_go_to_both_standbys_and_agree_with_the_primary(office):
    assert set(office.places(60, 0.05)) >= {0, 1}         # as often as a busy machine needs until both are level with the primary
    office.caught_up()
    _, source = office.run()
    with db.reading(office.urls, office.viewer) as conn:
        primary = urges(conn)
    assert source.urls is not office.urls and source.read(office.viewer, urges) == primary
    who = source.read(office.viewer, lambda conn: conn.execute(text("select current_user::text, me(), pg_is_in_recovery(), current_setting('search_path')")).one())
    assert tuple(who) == (office.viewer.database_role, office.viewer.user_id, True, "desk")


def test_a_write_followed_by_a_read_sees_it_on_whichever_server(office):
    seen = set()
    before = office.run()[1].read(office.viewer, urges)
    for n in range(1, 31):
        done = office.write(next(office.n))
        if n % 3 == 0:
            office.caught_up()
        _, own = office.run(covers=None if n % 3 == 0 else done)         # the tab that wrote
        _, other = office.run()                                          # another tab of the same session, perhaps in another process
        assert own.read(office.viewer, urges) == other.read(office.viewer, urges) == before + n
        seen |= {office.place(own), office.place(other)}
    assert seen - {None}, "standbys had their share"


def test_a_write_is_waited_for_by_another_process_too(office):
    elsewhere = Replicas(office.urls, [])
    elsewhere.standbys = [replicas.Standby(one.urls) for one in office.replicas.standbys]
    version, _ = office.run()
    office.caught_up()
    elsewhere._looks.append((time.monotonic() - replicas.BEHIND[0] - 1, 0))      # what it saw of the primary is from before
    assert office.place(elsewhere.source(office.viewer, office.session, version)) is not None
    for one in office.standbys:
        one.ask("select pg_wal_replay_pause()")
    office.write(next(office.n))
    assert office.place(elsewhere.source(office.viewer, office.session, version)) is None, "neither has what this session wrote"
    assert office.place(elsewhere.source(office.viewer, office.begin(), version)) is not None, "another session need not wait"


def test_a_paused_standby_is_not_used_and_comes_back(office):
    office.standbys[0].ask("select pg_wal_replay_pause()")
    office.write(next(office.n))
    time.sleep(1.05)                                                     # a tick a second
    assert 0 not in office.places(10, 0.05)
    office.caught_up(1)
    assert 1 in office.places(4, 0.05)
    office.standbys[0].ask("select pg_wal_replay_resume()")
    office.caught_up()
    assert 0 in office.places(4, 0.05)


def test_a_standby_that_stands_still_is_not_believed_where_no_complaint_changes(office):
    """Accounts and units bear no tick: what the primary had seconds ago must be there."""
    quiet = office.begin()
    office.standbys[0].ask("select pg_wal_replay_pause()")
    connect.as_owner(office.urls["admin"], lambda conn: conn.execute(text("update app_user set name = '李敏一' where login = 'li.min'")))
    until, found = time.monotonic() + replicas.BEHIND[0] + 1.5, []
    while time.monotonic() < until:
        found.append(office.place(office.run(quiet)[1]))
        time.sleep(0.1)
    assert 0 not in found[-5:] and 1 in found[-5:]


def test_a_killed_standby_is_left_out_and_comes_back(office, monkeypatch):
    monkeypatch.setattr(replicas, "OUT", 1)
    office.standbys[1].kill()
    began = time.monotonic()
    for _ in range(20):
        _, source = office.run()
        assert source.read(office.viewer, urges) >= 0, "a read during the failure is answered, by the primary at worst"
    assert time.monotonic() - began < 3
    office.write(next(office.n))
    time.sleep(0.1)
    office.caught_up(0)
    assert 1 not in office.places(6, 0.05) and 0 in office.places(4, 0.05)
    office.standbys[1].start()
    time.sleep(1.1)
    assert 1 in office.places(8, 0.1)


def test_a_standby_that_dies_under_a_run_hands_the_rest_to_the_primary(office):
    source = next(one for one in (office.run()[1] for _ in range(200)) if office.place(one) == 0)      # when it is level with the primary
    count = source.read(office.viewer, urges)
    office.standbys[0].kill()
    assert source.read(office.viewer, urges) == count
    assert office.place(source) is None and source.read(office.viewer, urges) == count, "and stays there until the run ends"


def test_with_none_left_the_primary_serves(office):
    for one in office.standbys:
        one.kill()
    office.write(next(office.n))
    found = [office.run()[1] for _ in range(5)]
    assert [office.place(one) for one in found if one.read(office.viewer, urges)][-3:] == [None] * 3


def test_a_primary_that_goes_away_after_the_commit_is_not_the_acts_failure(office, caplog):
    lost = Replicas({"desk_app": "postgresql+psycopg2://desk_app:x@127.0.0.1:1/desk"}, [])
    lost.wrote(office.session)
    assert "not noted" in caplog.text


def test_a_promoted_standby_goes_its_own_way(server, office):
    other = Standby(office.urls["admin"]).start()
    try:
        mine = Replicas(office.urls, servers(f"postgresql:///?host={other.folder}"))
        other.ask("select pg_promote(true, 20)")
        version, _ = office.run()
        assert mine.source(office.viewer, office.session, version).urls is office.urls
        for url in mine.standbys[0].urls.values():
            db.engine(url).dispose()
    finally:
        other.close()


def test_a_query_that_fails_by_itself_is_not_asked_of_the_primary(office):
    _, source = office.run()
    place = office.place(source)
    assert place is not None
    with pytest.raises(DBAPIError, match="division"):
        source.read(office.viewer, lambda conn: conn.execute(text("select 1 / 0")))
    with pytest.raises(OperationalError, match="statement timeout"):
        source.read(office.viewer, lambda conn: conn.execute(text("set local statement_timeout = '20ms'; select pg_sleep(1)")))
    assert office.place(source) == place


def test_nothing_is_written_on_the_way_of_reads(office):
    _, source = office.run()
    for statement in ("update complaint set title = 'x'", "select nextval('change_seq')", "select * from tick_now(clock_timestamp())"):
        with pytest.raises(DBAPIError):
            source.read(office.viewer, lambda conn: conn.execute(text(statement)))


# -- a page, from the setting to the server

@pytest.fixture
def tab(office, folder, monkeypatch):
    """`tab(read_url)`: run the list of complaints; what was asked of the primary and of the standbys, as statements."""
    def run(read_url):
        monkeypatch.setenv("DATABASE_URL", office.urls["admin"])
        monkeypatch.setenv("DASHBOARD_DATA", str(folder))
        monkeypatch.setenv("DATABASE_READ_URL", read_url)
        forget()
        asked = {"primary": [], "standby": []}
        listeners = [(db.engine(one), name, _note(asked[name])) for name, urls in (("primary", [office.urls["desk_app"]]),
                     ("standby", [one.urls["desk_app"] for one in office.replicas.standbys])) for one in urls]
        for engine, _, note in listeners:
            event.listen(engine, "before_cursor_execute", note)
        try:
            for _ in range(5):                       # a tick of this very run is on no standby yet, where the server is hasty (see `caught_up`): the next tab has it
                st.cache_data.clear(), asked["primary"].clear(), asked["standby"].clear()
                at = AppTest.from_file(str(ROOT / "dashboard" / "app.py"), default_timeout=60)
                at.user = {session.LOGIN: "li.min", session.SESSION: str(office.session)}
                at.query_params["lang"] = "zh"
                at.switch_page(str(ROOT / "pages" / "complaints.py")).run()
                assert not at.exception and not at.error
                if not read_url or at.session_state["source"].urls is not session.urls():
                    break
                office.caught_up()
        finally:
            for engine, _, note in listeners:
                event.remove(engine, "before_cursor_execute", note)
        return at, asked
    yield run
    monkeypatch.undo()
    forget()


def _note(found):
    def note(conn, cursor, statement, parameters, context, many):
        found.append(statement)
    return note


def forget():
    for cached in (settings, session.urls, data._replicas):
        cached.cache_clear()
    st.cache_data.clear()


def test_a_page_reads_from_one_standby_and_signs_in_and_ticks_on_the_primary(office, tab):
    at, asked = tab(f"postgresql:///?host={','.join(str(one.folder) for one in office.standbys)}")
    assert at.session_state["source"].urls["desk_app"] in [one.urls["desk_app"] for one in office.replicas.standbys]
    assert any("clock_span" in one or "state(" in one for one in asked["standby"])
    assert not any("clock_span" in one or "state(" in one or "from unit" in one for one in asked["primary"]), "one server for all reads of a run"
    assert any("session_account" in one for one in asked["primary"]) and any("tick_now" in one for one in asked["primary"])
    assert any("session_lsn" in one for one in asked["primary"])


def test_without_the_setting_nothing_is_added(office, tab):
    at, asked = tab("")
    assert at.session_state["source"].urls is session.urls() and asked["standby"] == []
    assert not any("session_lsn" in one or "session_wrote" in one or "lsn" in one for one in asked["primary"])


def test_where_standbys_are_is_read_as_libpq_reads_it():
    assert servers("postgresql://a:5433,b:5434/desk?sslmode=require") == [
        {"host": "a", "port": 5433, "database": "desk", "query": {"sslmode": "require"}}, {"host": "b", "port": 5434, "database": "desk", "query": {"sslmode": "require"}}]
    assert [(one["host"], one["port"]) for one in servers("host=a,b dbname=desk")] == [("a", 5432), ("b", 5432)]
    assert servers("postgresql:///desk?host=/run/one,/run/two&port=5433")[1] == {"host": None, "port": None, "database": "desk", "query": {"host": "/run/two", "port": "5433"}}
    for bad in ("mysql://a/desk", "postgresql://u:secret@a/desk", "postgresql:///desk", "postgresql://a,b:1,2,3/desk", "postgresql://a:x/desk"):
        with pytest.raises(BadUrl) as said:
            servers(bad)
        assert "secret" not in str(said.value)
