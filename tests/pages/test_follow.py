"""Pages follow what is committed: figures are of the latest tick, rows stay as they were opened and what came and went is counted."""
import time
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest
import streamlit as st
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool
from streamlit.testing.v1 import AppTest

from dashboard import data, live, session, still, ticks, words
from dashboard.data import Held
from dashboard.live import News
from dashboard.prompter import Shows
from dashboard.settings import settings
from queries import complaints, db, ledger
from queries.demo import simulate
from tests import makers
from tests.conftest import SMALL, cloned, logins

APP = str(Path(__file__).resolve().parents[2] / "dashboard" / "app.py")
PAGES = Path(APP).resolve().parents[1] / "pages"
AT = datetime(2026, 3, 9, 0, 30, tzinfo=ZoneInfo("UTC"))


@pytest.fixture(scope="module")
def office(server, banks, folder):
    """A demo bank of its own that goes on living."""
    with pytest.MonkeyPatch.context() as patch, cloned(server, banks(SMALL)) as url:
        urls = logins(url, folder)
        patch.setenv("DATABASE_URL", url)
        patch.setenv("DASHBOARD_DATA", str(folder))
        _forget()
        yield urls
        _forget()


def _forget():
    for cached in (settings, session.urls):
        cached.cache_clear()
    st.cache_data.clear()
    ticks._seen.clear()


def lives_on(urls, n):
    """So many changes, each committed."""
    writer = db.viewer_of(urls, "intake")
    with db.writing(urls, writer) as conn:
        bank = simulate.Simulation(conn, simulate.source_of(conn), seed=n)
    for _ in range(n):
        with db.writing(urls, writer) as conn:
            bank.change(conn)


def next_tick():
    """A tick is a second long: within one, every question has the same moment."""
    time.sleep(1.1)


def opened(page, **params):
    at = AppTest.from_file(APP, default_timeout=30)
    params = {"as": "demo-supervisor", "lang": "zh", **params}
    at.query_params.update(params)
    at.run()
    at.query_params.update(params)
    at.switch_page(str(PAGES / f"{page}.py"))
    at.query_params.update(params)
    for bound in ("part", "code"):
        if bound in params:
            at.session_state[bound] = params[bound]
    return again(at)


def again(at):
    at.run()
    assert not at.exception and not at.error
    return at


def rows(at):
    return at.dataframe[0].value


# -- rows

def test_rows_stay_as_they_were_opened_until_the_question_changes(office):
    at = opened("complaints", code="backlog")
    held, before = at.session_state["held"], rows(at)
    assert held.ids and len(held.ids) >= len(before)
    lives_on(office, 60)
    next_tick()
    assert rows(again(at)).equals(before), "the reader's next click does not move a row"
    assert at.session_state["held"].moment == held.moment
    at.query_params["page"] = "1"
    assert again(at).session_state["held"].moment == held.moment, "another page of it is not another question"
    at.query_params["channel"] = "1"
    assert again(at).session_state["held"].moment > held.moment
    del at.query_params["channel"]
    fresh = again(at).session_state["held"]
    assert fresh.moment > held.moment and fresh.ids != held.ids, "opened again: as it is now"


def test_what_came_and_went_is_counted_exactly(office, monkeypatch):
    at = opened("complaints", code="backlog")
    held = at.session_state["held"]
    viewer = db.viewer_of(office, "demo-supervisor")
    monkeypatch.setattr(session, "viewer", lambda: viewer)
    query = text("select s.complaint_id from state(:t) s where s.clock in ('r', 'o') and s.left_at > :t")
    with db.reading(office, viewer) as conn:
        then = set(conn.execute(query, {"t": held.moment}).scalars())
    lives_on(office, 150)
    version, moment = db.tick(office, viewer)
    news = live.compare(held, version, moment)

    with db.reading(office, viewer) as conn:
        present = set(conn.execute(query, {"t": moment}).scalars())
        done = conn.execute(text("""select count(*) from complaint where complaint_id = any(:gone)
                                      and (ended_at <= :t or excluded_at <= :t)"""), {"gone": list(then - present), "t": moment}).scalar()
    assert held.ids == then
    assert news == News(came=len(present - then), done=done, left=len(then - present) - done)
    assert news.came > 5 and news.done > 5


def test_the_ledger_and_one_complaint_say_what_changed_too(office, monkeypatch):
    viewer = db.viewer_of(office, "demo-supervisor")
    monkeypatch.setattr(session, "viewer", lambda: viewer)
    at = opened("complaints", line="closing", period="week")
    held = at.session_state["held"]
    assert held.asked[0] is ledger.rows and held.asked[1] == ("closing",) and held.ids
    with db.reading(office, viewer) as conn:
        number, one = conn.execute(text("""select c.complaint_no, c.complaint_id from complaint c join clock_span s using (complaint_id)
                                            where s.clock = 'r' and s.left_at = 'infinity' limit 1""")).one()
    page = opened("complaint", number=number)
    single = page.session_state["held"]
    assert single.complaint == one
    assert live.compare(single, *db.tick(office, viewer)) == News()
    writer = db.viewer_of(office, "intake")
    with db.writing(office, writer) as conn:
        conn.execute(text("update complaint set read_at = clock_timestamp() where complaint_id = :id"), {"id": one})
    assert live.compare(single, *db.tick(office, viewer)) == News(changed=True)


def test_a_link_with_a_moment_stays_there_and_says_so(office):
    at = opened("data")
    moment = at.session_state["tick"][1]
    lives_on(office, 20)
    next_tick()
    linked = opened("complaints", code="backlog", at=moment.isoformat())
    assert linked.session_state["held"].moment == moment
    assert any(one.value.startswith("截至") for one in linked.caption)
    linked.button(key="live_now").click()
    again(linked)
    assert linked.session_state["held"].moment > moment and "at" not in linked.query_params
    assert not any(one.value.startswith("截至") for one in linked.caption)


def test_an_act_of_the_reader_is_seen_at_once(office):
    at = opened("overdue")
    held = at.session_state["held"]
    at.session_state["covers"] = held.moment + timedelta(milliseconds=5)
    assert again(at).session_state["held"].moment > held.moment


# -- figures

def test_figures_are_of_the_latest_tick_and_the_run_says_how_long_to_rest(office):
    at = opened("data")
    first = at.session_state["tick"]
    assert at.session_state["held"] is None
    lives_on(office, 5)
    next_tick()
    assert again(at).session_state["tick"][0] > first[0]
    assert at.session_state["live.rest"] > time.monotonic() - 30


class Rerun(Exception):
    pass


@pytest.fixture
def looks(monkeypatch):
    """`look(version, …)`: what a look at the tick does, without Streamlit."""
    def rerun():
        raise Rerun

    def look(version=2, *, rest=0.0, **state):
        state = {"tick": (1, AT), "live.rest": rest, **state}
        monkeypatch.setattr(live.st, "session_state", _State(state))
        monkeypatch.setattr(live.st, "rerun", rerun)
        monkeypatch.setattr(ticks, "look", lambda viewer: (version, AT))
        monkeypatch.setattr(session, "viewer", lambda: None)
        monkeypatch.setattr(live, "compare", lambda *a: News(came=3))
        live._look()
        return live.st.session_state.get("live.news")
    return look


class _State(dict):
    __getattr__ = dict.__getitem__


def test_a_page_of_figures_runs_again_when_the_tick_moved_on_and_only_then(looks):
    with pytest.raises(Rerun):
        looks(2)
    assert looks(1) == News()
    assert looks(2, rest=float("inf")) == News(), "not while the last run is to be rested from"
    assert looks(2, **{"forms.open": {"kind": "urge"}}) is None, "not under an open form"


def test_a_page_of_rows_never_runs_again_by_itself(looks):
    assert looks(2, held=Held(("overdue", ()), AT)) == News(came=3)
    assert looks(1, held=Held(("overdue", ()), AT), **{"live.news": News(came=2)}) == News(came=2), "what was said stays"


def test_an_absent_database_is_said_and_leaves_the_page(looks, monkeypatch):
    def away(viewer):
        raise OperationalError("select", {}, Exception("gone"))

    looks(1)
    monkeypatch.setattr(ticks, "look", away)
    live._look()
    assert live.st.session_state["live.news"].away
    monkeypatch.setattr(ticks, "look", lambda viewer: (1, AT))
    live._look()
    assert not live.st.session_state["live.news"].away


def test_a_page_runs_as_a_whole_where_nothing_of_it_would_be_lost():
    """What the prompter is told: figures that nobody is at work on; else the fragment asks, which leaves the page alone."""
    state = {"live.fragment": "f", "viewer": "v", "tick": (7, AT)}
    assert live.shown(SimpleNamespace(session_state=state)) == Shows("f", "v", 7, whole=True)
    later = time.monotonic() + 60
    for busy in ({"held": Held(("overdue", ()), AT)}, {"forms.open": {"kind": "urge"}}, {"live.rest": later}):
        assert live.shown(SimpleNamespace(session_state=state | busy)) == Shows("f", "v", 7, whole=False, ran=busy.get("live.rest", 0.0)), busy
    assert live.shown(SimpleNamespace(session_state=state | {still.DRAWN: still.Drawn((), 9, still.Kept(), (), "")})).figures == 9
    assert live.shown(SimpleNamespace(session_state=state | {"live.told": 9})).version == 9
    assert live.shown(SimpleNamespace(session_state=state | {"live.news": News(away=True)})).version is None
    assert live.shown(SimpleNamespace(session_state={"viewer": "v", "tick": (7, AT)})) is None


def test_a_hundred_open_pages_ask_as_often_as_one(office, monkeypatch):
    asked = []
    monkeypatch.setattr(ticks.db, "tick", lambda urls, viewer: asked.append(1) or (7, AT))
    ticks._seen.clear()
    assert {ticks.look(None) for _ in range(100)} == {(7, AT)} and len(asked) == 1

    def away(urls, viewer):
        asked.append(1)
        raise OperationalError("select", {}, Exception("gone"))

    ticks._seen.clear()
    monkeypatch.setattr(ticks.db, "tick", away)
    for _ in range(100):
        with pytest.raises(OperationalError):
            ticks.look(None)
    assert len(asked) == 2, "nor do they wait one after the other for an absent one"
    ticks._seen.clear()


# -- words

def test_the_line_says_what_happened_in_both_languages():
    held, news = Held(("overdue", ()), AT), News(came=3, done=2)
    with words.speaking("zh"):
        assert live.sentence(news, held, at=False) == "打开后新增3件，2件已办结"
        assert live.sentence(replace(news, left=1), held, at=True) == "截至3月9日08:30，此后新增3件，2件已办结，1件已不在列"
        assert live.sentence(News(), held, at=True) == "截至3月9日08:30"
        assert live.sentence(News(changed=True), held, at=False) == "打开后本件有新进展"
        assert live.sentence(News(), held, at=False) == "" == live.sentence(News(came=1), None, at=False)
    with words.speaking("en"):
        assert live.sentence(news, held, at=False) == "Since you opened this: 3 new, 2 done"
        assert live.sentence(News(away=True), None, at=False).startswith("The database does not answer")


def test_ids_are_the_rows_of_the_list(bank):
    viewer = db.viewer_of(bank, "demo-ningbo")
    with db.reading(bank, viewer) as conn:
        now = db.clock(conn)
        where = {"start": now - timedelta(days=60), "end": now, "zone": "Asia/Shanghai"}
        for code, more in (("backlog", {}), ("received", {}), ("compliance", {"part": "rest"}), ("overdue_list", {"ageing": 1}),
                           ("backlog", {"search": "贷款"})):
            listed = complaints.listing(conn, code, as_of=now, limit=None, **where, **more)
            assert complaints.ids(conn, code, as_of=now, **where, **more) == set(listed["complaint_id"]), code


@pytest.mark.parametrize("value, seconds", [("", 2), ("0", 0), ("1", 1), ("2.5", 2.5)])
def test_how_soon_is_a_setting(monkeypatch, value, seconds):
    monkeypatch.setenv("DASHBOARD_FOLLOW", value)
    settings.cache_clear()
    assert settings().follow == seconds
    settings.cache_clear()


@pytest.fixture(scope="module")
def beside(office):
    """A complaint belongs to the unit beside the tree and was never answered."""
    with create_engine(office["admin"], poolclass=NullPool).begin() as conn:
        conn.execute(text("set local search_path = desk"))
        unit, now = conn.execute(text("select unit_id, now() from unit where kind = 'unmapped' and parent_id is null")).one()
        makers.make_complaint(conn, received=now - timedelta(days=120), unit=unit)
    next_tick()
    return office


@pytest.mark.parametrize("page", ["review", "limits", "overdue", "satisfaction", "units", "data"])
def test_what_lies_beside_the_tree_is_shown_and_stops_no_page(beside, page):
    at = opened(page)
    assert not at.exception
    if page == "overdue":
        assert any("未对应" in option for group in at.button_group for option in group.options), "and stands there"
    if page == "units":
        assert any("未对应" in one.label for one in at.get("page_link")) or any("未对应" in one.value for one in at.markdown)
