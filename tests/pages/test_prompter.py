"""Who is told that the tick moved on: pages that show another version and of which nothing runs, one after the other, each once."""
import asyncio
import time
from types import SimpleNamespace

import pytest
from streamlit.proto.ClientState_pb2 import ClientState

from dashboard import prompter
from dashboard.prompter import Shows


class Session:
    """An open page: at version `shows`; asked for a run it shows the latest, unless it is told not to."""

    def __init__(self, name, shows=1, follows=True):
        self.id, self.shows, self.passed, self.follows, self._scriptrunner = name, shows, None, follows, None
        self._client_state = ClientState(query_string="unit=7", page_script_hash="a hash")

    def request_rerun(self, state):
        PAGES.asked.append((self.id, state))
        self._scriptrunner = object()
        asyncio.get_running_loop().call_later(0.03, self._end)

    def _end(self):
        self._scriptrunner = None
        if self.follows:
            self.shows = PAGES.version


PAGES = SimpleNamespace()


@pytest.fixture
def pages(monkeypatch):
    """The open pages (`pages.open`), the latest version, whom was asked."""
    vars(PAGES).update(open=[Session(f"s{number}") for number in range(4)], version=1, asked=[], looks=0, passed=[])
    manager = SimpleNamespace(list_active_sessions=lambda: [SimpleNamespace(session=one) for one in PAGES.open])
    monkeypatch.setattr(prompter, "get_instance", lambda: SimpleNamespace(_session_mgr=manager, is_active_session=lambda one: one in {page.id for page in PAGES.open}))
    monkeypatch.setattr(prompter.Runtime, "exists", staticmethod(lambda: True))
    return PAGES


def figures(one):
    return Shows("fragment", "viewer", one.shows, whole=True, passed=one.passed)


def prompted(pages, seconds=0.4, shown=lambda one: Shows("fragment", "viewer", one.shows), same=()):
    """What was asked within so many seconds: [(session, state)]. same: names of pages that show the same figures."""
    def look(viewer):
        assert viewer == "viewer"
        pages.looks += 1
        return pages.version

    async def pass_on(ran, others):
        pages.passed.append((ran.id, [one.id for one in others]))
        for one in others:
            if {one.id, ran.id} <= set(same):
                one.passed = ran.shows

    async def run():
        task = asyncio.create_task(prompter.prompt(0.02, look, shown, pass_on))
        await asyncio.sleep(seconds)
        task.cancel()
    asyncio.run(run())
    return pages.asked


def test_nobody_is_told_while_nothing_is_new_and_all_share_one_look(pages):
    assert prompted(pages) == [] and 5 < pages.looks < 25


def test_each_that_shows_an_older_tick_is_told_once_and_one_at_a_time(pages):
    pages.version, pages.open[2].shows = 2, 2
    asked = prompted(pages)
    assert [one for one, _ in asked] == ["s0", "s1", "s3"]


def test_the_page_that_is_furthest_behind_comes_first(pages):
    for page, shows in zip(pages.open, (4, 2, 5, 3)):        # a click of its reader brings a page up to date as well
        page.shows = shows
    pages.version = 6
    assert [one for one, _ in prompted(pages)] == ["s1", "s3", "s0", "s2"]


def test_it_asks_for_what_the_browser_would_ask_for(pages):
    pages.version = 2
    assert prompted(pages)[0][1] == ClientState(query_string="unit=7", page_script_hash="a hash", fragment_id="fragment", is_auto_rerun=True)


def test_a_page_of_figures_runs_as_a_whole_and_not_as_if_its_reader_had_looked(pages):
    pages.version, figures = 2, pages.open[1]
    asked = dict(prompted(pages, shown=lambda one: Shows("fragment", "viewer", one.shows, whole=one is figures)))
    assert [asked[one].fragment_id for one in ("s0", "s1", "s2")] == ["fragment", "", "fragment"]
    assert asked["s1"].is_auto_rerun
    assert [prompter.asked_by_nobody(one) for one in ("s0", "s1", "s2")] == [False, True, False] and not prompter.asked_by_nobody("s1"), "the next is its reader's"


def test_while_the_database_is_away_its_fragment_says_so_and_the_page_stays(pages):
    pages.version = None
    assert {state.fragment_id for _, state in prompted(pages, shown=lambda one: Shows("fragment", "viewer", one.shows, whole=True))} == {"fragment"}


def test_a_page_that_runs_is_left_alone(pages):
    pages.version, pages.open[1]._scriptrunner = 2, object()
    assert [one for one, _ in prompted(pages)] == ["s0", "s2", "s3"]


def test_a_page_whose_reader_acts_meanwhile_is_left_alone(pages):
    """Between the look and its turn: s1 is to follow s0, whose run its reader answers with a click on s1."""
    pages.version = 2
    first, second = pages.open[:2]
    ended = first._end

    def click():
        ended()
        second._scriptrunner = object()
    first._end = click
    assert [one for one, _ in prompted(pages)] == ["s0", "s2", "s3"]


def test_a_page_that_does_not_follow_is_told_again_but_not_at_once(pages):
    pages.version, pages.open = 2, [Session("a form is open", follows=False)]
    assert len(prompted(pages, 0.3)) == 1
    assert len(prompted(pages, 0.3 + prompter.AGAIN)) == 3


def test_a_database_that_is_away_and_one_that_is_back_are_news(pages):
    pages.version = None
    assert len(prompted(pages)) == 4
    pages.version = 1
    assert len(prompted(pages)) == 8


def test_one_page_that_breaks_takes_nobody_elses_followers(pages, caplog):
    def shown(one):
        if one.id == "s0" and len(caplog.records) < 2:
            raise KeyError("state")
        return Shows("fragment", "viewer", one.shows)
    pages.version = 2
    assert [one for one, _ in prompted(pages, shown=shown)] == ["s0", "s1", "s2", "s3"] and len(caplog.records) == 2


def test_pages_that_follow_nothing_are_not_looked_for(pages):
    pages.version = 2
    assert prompted(pages, shown=lambda one: None) == [] and pages.looks == 0


def test_what_a_page_has_drawn_is_passed_on_to_those_that_rest_and_the_rest_of_them_runs_last(pages):
    pages.version, pages.open[1]._scriptrunner = 2, object()
    asked = prompted(pages, shown=figures, same=("s0", "s1", "s2"))
    assert [one for one, _ in asked] == ["s0", "s3", "s2"], "s2 has its figures from s0; s1 runs by itself"
    assert pages.passed == [("s0", ["s2", "s3"]), ("s3", ["s0", "s2"])], "the rest of a page is nothing to be passed on"


def test_the_rest_of_pages_waits_while_there_is_always_something_newer(pages):
    """Figures first, from a page whose rest is oldest; and so the rest of each page has its turn all the same."""
    first = Session.request_rerun

    def newer(self, state):
        first(self, state)
        if pages.version < 7:
            pages.version += 1
    pages.version = 2
    for page in pages.open:
        page.request_rerun = newer.__get__(page)
    asked = [one for one, _ in prompted(pages, 0.45, shown=figures, same=("s0", "s1", "s2", "s3"))]
    assert asked[:4] == ["s0", "s1", "s2", "s3"] and all(page.shows > 1 for page in pages.open)


def test_the_rest_of_a_page_runs_seldom_and_leaves_as_much_time_as_it_takes(pages, monkeypatch):
    monkeypatch.setattr(prompter, "EASY", 0.3)
    pages.version, pages.open = 2, [Session("s0", shows=2), *(Session(f"s{n}", follows=False) for n in (1, 2))]
    for page in pages.open[1:]:
        page.passed = 2
    began = asyncio.run(_times(pages))
    assert [one for one, _ in began] == ["s1", "s2", "s1", "s2"], began
    assert began[1][1] - began[0][1] > 0.055 and began[2][1] - began[0][1] > 0.3, began


async def _times(pages):
    """(session, when) of each run that was asked for within half a second."""
    began = []
    for page in pages.open:
        page.request_rerun = lambda state, page=page: began.append((page.id, asyncio.get_running_loop().time())) or Session.request_rerun(page, state)

    async def nothing(ran, others):
        raise AssertionError("nothing was drawn that others wait for")
    task = asyncio.create_task(prompter.prompt(0.01, lambda viewer: pages.version, figures, nothing))
    await asyncio.sleep(0.5)
    task.cancel()
    return began


def test_what_its_reader_brought_up_to_date_a_moment_ago_rests_as_long(pages):
    pages.version, pages.open = 2, [Session("s0", shows=1)]
    pages.open[0].passed, now = 2, time.monotonic()
    assert prompted(pages, shown=lambda one: figures(one)._replace(ran=now)) == []
    assert [one for one, _ in prompted(pages, shown=lambda one: figures(one)._replace(ran=now - prompter.EASY))] == ["s0"]


def test_the_rest_of_a_page_on_which_a_form_is_open_waits(pages):
    pages.version, pages.open = 2, [Session("s0", shows=1)]
    pages.open[0].passed = 2
    assert prompted(pages, shown=lambda one: figures(one)._replace(whole=False)) == []
