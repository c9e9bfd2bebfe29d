"""Pages follow the database: within two seconds of a commit, and without taking anything out of the reader's hands.

A small fragment on every page is run when the tick moved on (``prompter``). Then a page of figures runs again; on a page of rows the
rows stay as they were opened (``data.hold``), and a quiet line beside the heading says how many came and went since.
What is typed, ticked or open lives in the browser and in the session, which neither of the two touches.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from threading import BoundedSemaphore
from zoneinfo import ZoneInfo

import streamlit as st
from starlette.concurrency import run_in_threadpool
from streamlit.runtime.app_session import AppSession
from streamlit.runtime.scriptrunner_utils.script_run_context import ThreadState

from dashboard import data, prompter, session, still, ticks, words
from dashboard.data import Held
from dashboard.prompter import Shows
from dashboard.settings import settings
from dashboard.words import t
from queries import complaints, db
from queries.viewer import Viewer

ROWS = {"overdue", "complaints", "complaint", "settings"}  # addresses of pages that list or have long forms; the others show figures
QUIET = {"lang", "page", "notes"}  # parameters of an address that ask for nothing else
LOOK = 0.25  # of the seconds in which a page follows pass between two looks at the tick; the rest is for drawing
SELDOM = 600  # seconds of a timer in the browser: one that has any asks for its page when its WebSocket comes back to a process that does not know it
TOGETHER = 2  # pages that are worked out at the same time: one after the other all are done sooner than all at once, by one interpreter
PATIENCE = 2  # seconds after which a page no longer waits for its turn: others may wait for the database
BUTTON = 36  # px, with or without a line
EASE = 10  # a comparison of lists may take a tenth of the time
_FIRST, _REST, _NEWS, _BESIDE, _TOLD, _FRAGMENT = ("live.first", "live.rest", "live.news", "live.beside", "live.told",
                                                   "live.fragment")  # session_state


@dataclass(frozen=True)
class News:
    """What a page does not show: complaints that came to its list, that were done, that left it otherwise; or a change of
    the one complaint; or that the database does not answer."""

    came: int = 0
    done: int = 0
    left: int = 0
    changed: bool = False
    away: bool = False


def begin(path: str) -> None:
    """Before the page: rows stay as of the moment this address was opened, figures are of the tick."""
    address = tuple(sorted((name, value) for name, value in st.query_params.items() if name not in QUIET))
    before = st.session_state.get("held")
    held = data.hold((path, address) if path in ROWS or "at" in st.query_params else None)
    if held is None or held is not before:
        st.session_state.update({_NEWS: News(), _TOLD: None})
    st.session_state.update({_FIRST: True, _FRAGMENT: None, still.DRAWN: None})


def run(page: Callable[[], None]) -> None:
    """Run the page when it is its turn, and rest afterwards for half as long as that took: reruns never queue up, whatever they cost."""
    turn = _turns.acquire(timeout=PATIENCE)
    began = time.monotonic()
    try:
        page()
    finally:
        if turn:
            _turns.release()
        ended = time.monotonic()
        st.session_state[_REST] = ended + (ended - began) / 2
        if st.session_state.get("held") is None:
            ticks.ran(ended - began)


def follow(phone: bool = False) -> None:
    """Called once before every page. On a page of rows its heading draws the line (``beside``), on the heading's own row, so
    that no row moves when the line appears; a phone has no room there, so it stands at the foot of the window."""
    st.session_state[_BESIDE] = st.session_state.get("held") is not None and not phone
    if st.session_state.get("held") is None:
        _every()
    elif phone:
        with st.bottom:
            _every()


def beside() -> None:
    """Called by the heading of a page, within its row."""
    if st.session_state.pop(_BESIDE, False):  # once a run, and not where a page runs without the entry script
        with st.container(horizontal=True, height=BUTTON, border=False, width="content", gap=None, vertical_alignment="center"):
            _every()


def _every() -> None:
    st.fragment(_follow, run_every=SELDOM if settings().follow else None)()


def _follow() -> None:
    st.session_state[_FRAGMENT] = ThreadState.get().fragment_id
    if not st.session_state.pop(_FIRST, False):  # this time not as a part of the whole page
        _look()
    at, news = "at" in st.query_params, st.session_state.get(_NEWS) or News()
    line = sentence(news, st.session_state.get("held"), at)
    if line:
        with st.container(horizontal=True, vertical_alignment="center", gap="xsmall", width="content"):
            st.caption(line, width="content")
            if not news.away and st.button(t("live.at_now" if at else "live.now"), type="tertiary", icon=":material/refresh:",
                                           key="live_now", on_click=data.release):
                st.rerun()


def _look() -> None:
    """Ask for the tick and do what it asks for."""
    state = st.session_state
    held, before = state.get("held"), state.get(_NEWS) or News()
    try:
        version, moment = ticks.look(session.viewer())
        if version in (state.tick[0], state.get(_TOLD)) or time.monotonic() < state.get(_REST, 0):
            state[_NEWS] = before if not before.away else News()
            return
        if held is not None:
            began = time.monotonic()
            state[_NEWS], state[_TOLD] = compare(held, version, moment), version
            state[_REST] = began + EASE * (time.monotonic() - began)
    except ticks.AWAY:
        state[_NEWS] = News(away=True)
        return
    if held is None and not state.get("forms.open"):
        state["live.again"] = True                           # nobody did anything: a session runs out all the same
        st.rerun()


def compare(held: Held, version: int, moment: datetime) -> News:
    """What happened to the rows of a page between its moment and this one."""
    viewer = session.viewer()
    if held.complaint is not None:
        with db.reading(session.urls(), viewer) as conn:
            return News(changed=complaints.news(conn, held.complaint, since=held.moment) > 0)
    if held.asked is None:
        return News()
    present = data.listed(held.asked, version, moment)
    if held.ids is None or present is None:                  # too long a list to compare
        return News()
    gone = held.ids - present
    done = 0
    if gone:
        with db.reading(session.urls(), viewer) as conn:
            done = complaints.ended(conn, gone, as_of=moment)
    return News(came=len(present - held.ids), done=done, left=len(gone) - done)


def sentence(news: News, held: Held | None, at: bool) -> str:
    """打开后新增3件，2件已办结; with a moment in the address 截至3月9日08:30，…; empty where there is nothing to say."""
    if news.away:
        return t("live.away")
    if held is None:
        return ""
    parts = [t(f"live.{name}", n=n) for name, n in (("came", news.came), ("done", news.done), ("left", news.left)) if n]
    parts += [t("live.changed")] * news.changed
    told = t("live.comma").join(parts)
    if at:
        moment = words.moment(held.moment, ZoneInfo(settings().zone))
        return t("live.as_of", moment=moment) + (t("live.since", what=told) if told else "")
    return t("live.opened", what=told) if told else ""


# -- what the sessions of a process share: turns, and what is asked of their pages ----------------------------------------------------------------------------

_turns = BoundedSemaphore(TOGETHER)


def latest(viewer: Viewer) -> int | None:
    """The version of the latest tick for ``prompter``; None where the database does not answer."""
    try:
        return ticks.look(viewer)[0]
    except ticks.AWAY:
        return None


def shown(page: AppSession) -> Shows | None:
    """Of an open page for ``prompter``; None where nothing follows. Figures run as a whole, but not while a form is open nor while they rest from the last run."""
    fragment, viewer, tick, news, told, held, form, rest, drawn = _known(page, _FRAGMENT, "viewer", "tick", _NEWS, _TOLD, "held", "forms.open", _REST, still.DRAWN)
    if not fragment or viewer is None or tick is None:
        return None
    version = None if news and news.away else tick[0] if told is None else told
    return Shows(fragment, viewer, version, held is None and not form and time.monotonic() >= (rest or 0), drawn and drawn.version, rest or 0.0)


async def pass_on(ran: AppSession, others: list[AppSession]) -> None:
    """For ``prompter``: what a page has just drawn, to those that show the same of an earlier tick to the same scope: without a run, but not without having asked
    whether each of them may still see it."""
    newer, viewer = _known(ran, still.DRAWN, "viewer")
    waiting = {}
    for page in others if newer and viewer else ():
        shows, reader, ticket, form = _known(page, still.DRAWN, "viewer", "ticket", "forms.open")
        if shows and shows.part == newer.part and shows.version < newer.version and not form and reader and ticket and data.scope(reader) == data.scope(viewer):
            waiting[page] = ticket
    may = await run_in_threadpool(session.redeem_all, set(waiting.values())) if waiting else {}
    for page, ticket in waiting.items():
        (shows,) = _known(page, still.DRAWN)
        if shows and prompter.rests(page) and ticket in may and data.scope(may[ticket]) == data.scope(viewer) and shows.part == newer.part and shows.version < newer.version:
            still.pass_on(page, shows, newer)
            await asyncio.sleep(0)          # what browsers send meanwhile has its turn


def _known(page: AppSession, *names: str) -> list:
    """What the session of an open page has under these names, None where it has nothing."""
    state = page.session_state
    return [state[name] if name in state else None for name in names]
