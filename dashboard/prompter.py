"""Tells open pages that the tick moved on: one look for all pages of a process, where a timer in every browser would ask twice a second
whether there is anything new (a hundred and sixty open pages kept a core busy with being told no).

It lives on the loop on which Streamlit takes what browsers send, and asks a page for a run only while nothing of that page runs: what its
reader does at the same moment is never overtaken nor stopped. One page runs for a new tick at a time, the page that shows the
oldest one first (a click brings a page up to date as well), so that a click finds the process free. What it has drawn is passed on to those that show
the same; the rest of their pages runs when no figure waits, and leaves the process as much time as it takes.
"""
import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from starlette.concurrency import run_in_threadpool
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.runtime import Runtime, get_instance
from streamlit.runtime.app_session import AppSession

from dashboard import ticks
from queries.viewer import Viewer

AGAIN = 0.5         # seconds until a page is asked once more that did not follow: it rests, or a form is open
LONG = 2            # seconds after which the next is asked although the last one still runs
STEP = 0.01         # seconds between two looks at whether it does
EASY = 10           # seconds that a page rests whose figures came from another


_of_nobody: set[str] = set()


def asked_by_nobody(session: str) -> bool:
    """Whether this run of a page is one that was asked for here, said once: its reader did not look."""
    found = session in _of_nobody
    _of_nobody.discard(session)
    return found


class Shows(NamedTuple):
    """What an open page shows: the fragment of it that follows, for whom, the version it speaks of (None: it says that there is no answer), whether the
    page is to run as a whole, without asking that fragment first, the version of the figures that were passed on to it, and when it ran last (time.monotonic)."""

    fragment: str
    viewer: Viewer
    version: int | None
    whole: bool = False
    passed: int | None = None
    ran: float = 0.0

    @property
    def figures(self) -> int | None:
        """The version that its figures speak of."""
        return self.version if self.version is None or self.passed is None else max(self.version, self.passed)


async def prompt(every: float, look: Callable[[Viewer], int | None], shown: Callable[[AppSession], Shows | None],
                 pass_on: Callable[[AppSession, list[AppSession]], Awaitable[None]]) -> None:
    """Without end. ``look(viewer)`` says the version of the latest tick, None where the database does not answer; ``shown(session)`` what a page shows, None
    where it does not follow; ``pass_on(session, pages)`` gives what a page has just drawn to those of the others that show the same."""
    asked: dict[str, float] = {}
    while True:
        await asyncio.sleep(every)
        try:
            await _round(look, shown, pass_on, asked)
        except Exception:           # of one page or one look; the others' readers must not lose theirs by it
            logging.getLogger(__name__).exception("Open pages could not be told of a tick.")


async def _round(look: Callable, shown: Callable, pass_on: Callable, asked: dict[str, float]) -> None:
    """A run of each page whose figures are of another version than the latest, until none are; then of those that got theirs from another, until there is a
    newer one. Before each it is asked again which is furthest behind: what a click brought up to date meanwhile need not run."""
    version = await _looked(look, shown)
    with ticks.following():
        while (found := _behind(shown, asked, version)) is not None:
            await _run(*found, asked, version)
            await pass_on(found[0], [one for one in _open() if one is not found[0] and rests(one)])
            version = await run_in_threadpool(look, found[1].viewer)
        while version is not None and (found := _behind(shown, asked, version, rest=True)) is not None:
            began = time.monotonic()
            await _run(*found, asked, version)
            await asyncio.sleep(time.monotonic() - began)
            if await run_in_threadpool(look, found[1].viewer) != version:
                break


async def _looked(look: Callable, shown: Callable) -> int | None:
    """The latest version; None also where no page follows."""
    viewer = next((page.viewer for session in _open() if (page := shown(session)) is not None), None)
    return None if viewer is None else await run_in_threadpool(look, viewer)


def _behind(shown: Callable, asked: dict[str, float], version: int | None, rest: bool = False) -> tuple[AppSession, Shows] | None:
    """The page that rests and whose figures are furthest behind, of several the one whose rest is, then the one that was asked longest ago. rest: of those whose
    figures are not behind."""
    pages = _open()
    for gone in asked.keys() - {session.id for session in pages}:
        del asked[gone]
        _of_nobody.discard(gone)
    now = time.monotonic()
    behind = [(session, page) for session in pages if rests(session) and now > asked.get(session.id, 0.0) + (EASY if rest else AGAIN) and (page := shown(session)) is not None
              and (page.whole and page.version != page.figures == version and now > page.ran + EASY if rest else page.figures != version)]
    return min(behind, key=lambda one: (one[1].figures or 0, one[1].version or 0, asked.get(one[0].id, 0.0)), default=None)


def _open() -> list[AppSession]:
    """Pages that somebody has open."""
    return [info.session for info in get_instance()._session_mgr.list_active_sessions()] if Runtime.exists() else []


def rests(session: AppSession) -> bool:
    """Nothing of it runs, and it is still open."""
    return session._scriptrunner is None and get_instance().is_active_session(session.id)


async def _run(session: AppSession, page: Shows, asked: dict[str, float], version: int | None) -> None:
    """Until it ended, or takes LONG."""
    asked[session.id] = time.monotonic()
    _ask(session, "" if page.whole and version is not None else page.fragment)
    until = time.monotonic() + LONG
    while session._scriptrunner is not None and time.monotonic() < until:
        await asyncio.sleep(STEP)


def _ask(session: AppSession, fragment: str) -> None:
    """What the browser's timer would send, of what the session knows of the browser. "": the page as a whole, which is no look of its reader's."""
    if not fragment:
        _of_nobody.add(session.id)
    state = ClientState()
    state.CopyFrom(session._client_state)
    state.fragment_id, state.is_auto_rerun = fragment, True
    session.request_rerun(state)
