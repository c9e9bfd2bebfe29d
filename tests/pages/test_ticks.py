"""What the runs of a process share of the tick: one look, and one tick while pages follow it."""
import itertools
from datetime import UTC, datetime, timedelta

import pytest
import streamlit as st

from dashboard import data, session, ticks

AT = datetime(2026, 3, 9, 0, 30, tzinfo=UTC)


def tick(version):
    return version, AT + timedelta(seconds=version)


class Desk:
    """A database whose tick moves on at every look, a clock that moves when it is told, and runs that ask for the tick."""

    def __init__(self, monkeypatch):
        self.now, self.versions, self.asked = 100.0, itertools.count(1), []
        monkeypatch.setattr(ticks, "_seen", {})
        monkeypatch.setattr(ticks, "_slowest", {"now": 0.0, "before": 0.0})
        monkeypatch.setattr(ticks.time, "monotonic", lambda: self.now)
        monkeypatch.setattr(ticks.db, "tick", lambda urls, viewer: self.ask("look"))
        monkeypatch.setattr(session, "urls", lambda: {"desk_app": "a database"})
        monkeypatch.setattr(session, "begin", lambda looks, covers: self.ask("act" if covers else "click" if looks else "follow"))
        monkeypatch.setattr(session, "look_up", lambda looks: self.asked.append("account"))
        monkeypatch.setattr(data, "source", lambda version: version)

    def ask(self, who):
        self.asked.append(who)
        return tick(next(self.versions))

    def run(self, **state):
        """The version of which a run speaks."""
        st.session_state.clear()
        st.session_state.update(state)
        data.start_run()
        return st.session_state.tick[0]


@pytest.fixture
def desk(monkeypatch):
    yield Desk(monkeypatch)
    st.session_state.clear()


def test_while_pages_follow_every_run_speaks_of_the_tick_they_follow(desk):
    assert ticks.look(None) == tick(1)
    with ticks.following():
        assert [desk.run(**{"live.again": True}), desk.run(), ticks.look(None)[0]] == [1, 1, 1]
    assert desk.asked == ["look", "account", "account"], "whose session ended sees nothing more, all the same"
    assert desk.run() == 2, "nobody follows: a click asks for itself"


def test_a_round_that_takes_long_goes_on_with_a_later_tick(desk):
    ticks.look(None)
    with ticks.following():
        desk.now += ticks.HOLD + 0.1
        assert [desk.run(), desk.run(), ticks.look(None)[0]] == [2, 2, 2]


def test_a_tick_lasts_twice_as_long_as_its_slowest_page_took(desk):
    ticks.look(None)
    ticks.ran(1.2)
    with ticks.following():
        desk.now += 2.3
        assert desk.run() == 1
        desk.now += 0.2
        assert desk.run() == 2
        desk.now += 2.3
        assert desk.run() == 2, "the next one is taken to be as slow"
        ticks.ran(600)
        desk.now += ticks.MOST
        assert desk.run() == 3, "but not for ever"


def test_a_readers_own_act_waits_for_nobody_and_takes_the_others_along(desk):
    ticks.look(None)
    with ticks.following():
        assert [desk.run(covers=AT), desk.run(), ticks.look(None)[0]] == [2, 2, 2]


def test_no_page_goes_back(desk):
    late = tick(next(desk.versions))
    assert desk.run() == 2
    assert ticks.found(late) == tick(2), "asked before, answered after"
    desk.now += ticks.HOLD + 0.1
    assert ticks.found(late) == tick(1), "a database that was restored has earlier ones, and is believed"


def test_an_absent_database_is_no_tick_to_follow(desk, monkeypatch):
    def away(urls, viewer):
        raise ticks.OperationalError("select", {}, Exception("gone"))
    monkeypatch.setattr(ticks.db, "tick", away)
    with pytest.raises(ticks.OperationalError):
        ticks.look(None)
    with ticks.following():
        assert ticks.followed() is None


def test_two_databases_have_two_ticks(desk, monkeypatch):
    ticks.look(None)
    with ticks.following():
        monkeypatch.setattr(session, "urls", lambda: {"desk_app": "another"})
        assert ticks.followed() is None
