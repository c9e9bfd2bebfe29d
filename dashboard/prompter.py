"""Tells open pages that the tick moved on: one thread of the process looks for all of them, and lets few run at a time.

A timer in every browser would ask twice a second whether there is anything new: a hundred and sixty open pages kept a core busy
with being told no, and all ran at once when there was something. Here a page is asked to run its fragment (``live``) when the tick is
not the one that it shows, the page that waited longest first, ``TOGETHER`` of them at a time, so that a reader's click finds the
process free. A page says what it shows at the end of each of its runs.
"""
import asyncio
import time
from dataclasses import dataclass
from threading import Condition, Event

from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.runtime import Runtime, get_instance
from streamlit.runtime.scriptrunner import get_script_run_ctx

from dashboard import session
from queries.viewer import Viewer

LOOK = 0.25         # seconds between two looks at the tick
TOGETHER = 3        # pages that run for a new tick at the same time
AGAIN = 0.5         # seconds until a page is asked once more that did not follow: it rests, or a form is open
LOST = 5            # seconds after which a page that was asked and says nothing is no longer waited for


@dataclass
class Page:
    """An open page: how its fragment is asked for, and the version of the tick that it shows (None: that there is no answer)."""

    ask: ClientState
    viewer: Viewer
    shows: int | None
    not_before: float


class Prompter:
    """One a process, which ``server`` starts."""

    def __init__(self) -> None:
        self.on = False
        self._changed, self._open, self._running = Condition(), {}, {}

    def shows(self, fragment: str, version: int | None) -> None:
        """At the end of every run: what this session's page shows now. ``fragment``: which of its fragments is to be run."""
        run = get_script_run_ctx()
        if not self.on or run is None:
            return
        ask = ClientState(fragment_id=fragment, is_auto_rerun=True, query_string=run.query_string, page_script_hash=run.page_script_hash)
        if run.context_info is not None:
            ask.context_info.CopyFrom(run.context_info)
        with self._changed:
            asked = self._running.pop(run.session_id, 0.0)
            self._open.pop(run.session_id, None)            # to the end of the row
            self._open[run.session_id] = Page(ask, session.viewer(), version, asked + AGAIN)
            self._changed.notify()

    def run(self, look, loop: asyncio.AbstractEventLoop, stop: Event) -> None:
        """Until ``stop``. ``look(viewer)`` says the version of the latest tick, None where the database does not answer."""
        self.on, looked, version = True, 0.0, None
        while not stop.is_set():
            now = time.monotonic()
            with self._changed:
                viewer = next((page.viewer for page in self._open.values()), None)
            if viewer is not None and now - looked >= LOOK:
                looked, version = now, look(viewer)
            with self._changed:
                for one, asked in list(self._running.items()):
                    if now - asked > LOST:
                        del self._running[one]
                for one in self._next(version, now) if looked else ():
                    self._running[one] = now
                    loop.call_soon_threadsafe(self._ask, one, self._open.pop(one))
                self._changed.wait(LOOK)
        self.on = False

    def _next(self, version: int | None, now: float) -> list[str]:
        """Whom to ask now."""
        free = TOGETHER - len(self._running)
        due = (one for one, page in self._open.items() if page.shows != version and page.not_before <= now)
        return [one for _, one in zip(range(free), due)]

    def _ask(self, one: str, page: Page) -> None:
        """On the loop of the sessions. Whoever does not run says nothing more, and is not asked again: a session without a browser, one that ended."""
        found = get_instance().get_app_session(one) if Runtime.exists() else None
        if found is not None:
            found.request_rerun(page.ask)
            return
        with self._changed:
            self._running.pop(one, None)


prompter = Prompter()
