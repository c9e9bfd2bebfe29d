"""What is kept between reruns belongs to a scope, a tick and a language, and is never changed by who draws it."""
from dataclasses import fields, is_dataclass
from datetime import datetime, timedelta, timezone

import pandas as pd
import pytest
import streamlit as st

from dashboard import data, session, words
from queries import db
from queries.viewer import Role, Viewer
from tests.pages.test_statements import counted, office, opened  # noqa: F401

NOON = datetime(2026, 3, 9, 12, tzinfo=timezone.utc)


@pytest.fixture
def run(monkeypatch):
    """A run of one viewer at one tick, without a page: run(version=1, …) -> what data.read and data.derived answer."""
    st.cache_data.clear()
    st.cache_resource.clear()
    asked = []

    def question(conn, *, as_of):
        asked.append(as_of)
        return f"as of {as_of:%H:%M}"

    def ask(version, viewer=None, language="zh", held=None, derived=False):
        viewer = viewer or Viewer(1, "one", "一", Role.supervisor, False, (1,), ())
        state = {"viewer": viewer, "tick": (version, NOON + timedelta(minutes=version)), "held": held}
        with monkeypatch.context() as patch, words.speaking(language):
            patch.setattr(st, "session_state", _State(state))
            patch.setattr(session, "viewer", lambda: viewer)
            patch.setattr(session, "urls", dict)
            patch.setattr(db, "reading", _nothing)
            return data.derived(_loud, question, language) if derived else data.read(question)
    ask.asked = asked
    return ask


class _State(dict):
    __getattr__, __setattr__ = dict.__getitem__, dict.__setitem__


class _nothing:
    def __init__(self, *_, **__):
        pass

    def __enter__(self):
        return None

    def __exit__(self, *_):
        return None


def _loud(question, language):
    return f"{data.read(question)} in {language}"


def test_a_page_of_rows_keeps_what_it_made_of_them_while_it_shows_them(run):
    """By what it depends on, through later ticks; another page, or the same opened again, has its own. No more than so much is kept."""
    held, again = data.Held(("overdue", ()), NOON), data.Held(("overdue", ()), NOON + timedelta(minutes=5))
    made = run(1, held=held, derived=True)
    assert made == "as of 12:00 in zh" and run(4, held=held, derived=True) is made
    other = run(4, Viewer(2, "two", "二", Role.unit, False, (5,), ()), held=held, derived=True)
    assert other is not made and run(4, language="en", held=held, derived=True) == "as of 12:00 in en"
    assert run(6, held=again, derived=True) == "as of 12:05 in zh" and run(6, derived=True) == "as of 12:06 in zh"
    for place in range(2 * data.KEEP):
        held.keep(f"{place}", place)
    assert len(held.kept) == data.KEEP


@pytest.mark.parametrize("derived", [False, True])
def test_an_entry_of_an_earlier_tick_is_not_shown_for_a_newer_one(run, derived):
    seen = [run(version, derived=derived) for version in (1, 1, 2, 2, 1)]
    assert [one[:11] for one in seen] == ["as of 12:01", "as of 12:01", "as of 12:02", "as of 12:02", "as of 12:01"]
    assert len(run.asked) == 2, "and within a tick nothing is read twice"


@pytest.mark.parametrize("derived", [False, True])
def test_the_same_moment_under_a_newer_version_is_read_again(run, derived, monkeypatch):
    """A correction can change what is known of a moment: the version decides, not the moment."""
    run(1, derived=derived)
    monkeypatch.setattr(data, "as_of", lambda: NOON + timedelta(minutes=1))
    run(2, derived=derived)
    assert len(run.asked) == 2 and len(set(run.asked)) == 1


def test_what_was_worked_out_for_one_scope_or_language_is_not_shown_to_another(run):
    one, other = (Viewer(n, str(n), "某", Role.supervisor, False, (n,), ()) for n in (1, 2))
    twin = Viewer(9, "9", "某", Role.supervisor, False, (1,), ())
    run(1, one, derived=True)
    assert len(run.asked) == 1
    run(1, twin, derived=True)
    assert len(run.asked) == 1, "the same scope shares"
    run(1, other, derived=True)
    assert len(run.asked) == 2
    assert run(1, one, "en", derived=True).endswith("in en") and run(1, one, "zh", derived=True).endswith("in zh")


def test_a_page_that_stays_with_its_moment_works_out_from_its_own_rows(run):
    held = data.Held(("review", ()), NOON)
    run(1, derived=True)
    assert run(1, held=held, derived=True).startswith("as of 12:00")
    assert run(1, derived=True).startswith("as of 12:01"), "and leaves nothing for others"


def _plain(value):
    """What can be compared of a value: functions and what a value works out for itself later are left out."""
    if isinstance(value, pd.DataFrame | pd.Series):
        return value.to_csv()
    if is_dataclass(value):
        return [_plain(getattr(value, one.name)) for one in fields(value)]
    if isinstance(value, dict):
        return {repr(name): _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return None if callable(value) else repr(value)


@pytest.mark.parametrize("page", ["review", "limits", "satisfaction", "units", "data"])
def test_drawing_changes_nothing_of_what_all_share(office, page, monkeypatch):  # noqa: F811
    shared = {}
    plain = data._derived

    def noted(place, _make, _given):
        made = plain(place=place, _make=_make, _given=_given)
        now = _plain(made)
        assert shared.setdefault(place, now) == now, place
        return made
    monkeypatch.setattr(data, "_derived", noted)
    at = opened(office, page, {"notes": "true"})
    for _ in range(3):
        at.run()
        assert not at.exception
    assert shared
