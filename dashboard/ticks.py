"""One look at the tick for all runs of a process, and one tick for all pages while they follow it.

Many open pages follow a busy desk one after the other. If each asked for itself it would find another tick, and work out anew what the one before it has
just worked out; so those that follow speak of the tick with which their round began, and so does whoever clicks meanwhile.
"""
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from threading import Lock

from sqlalchemy.exc import InterfaceError, OperationalError, TimeoutError

from dashboard import session
from queries import db
from queries.viewer import Viewer

Tick = tuple[int, datetime]         # version, moment (UTC)
SHARE = 0.3         # seconds for which the sessions of a process share a look at the tick
HOLD = 1.0          # seconds for which pages that follow speak of one tick, which is a second old at most: two in all. A reader's own act does not wait for it
MOST = 5.0          # seconds for which they do where one takes longer to work out than it would last: a tick is followed twice as long as its slowest page took
AWAY = (OperationalError, InterfaceError, TimeoutError)

_lock = Lock()
_seen: dict[str, tuple[float, Tick | Exception]] = {}       # by database: when it was asked, what it said
_rounds: list[float] = []
_slowest = {"now": 0.0, "before": 0.0}      # seconds: of the pages that followed this tick, and the one before it


def look(viewer: Viewer) -> Tick:
    """The latest tick, at most SHARE seconds old, or HOLD while pages follow: a hundred open pages ask as often as one, and wait for an absent database as
    often as one. Raises what the database raised when it was asked."""
    with _lock:
        said = _said(_hold() if _rounds else SHARE)
        if said is None:
            try:
                said = db.tick(session.urls(), viewer)
            except AWAY as error:
                said = error
            _note(said)
        if isinstance(said, Exception):
            raise said
        return said


def followed() -> Tick | None:
    """The tick that pages follow at this moment; None where none do: who asks then asks the database."""
    with _lock:
        said = _said(_hold()) if _rounds else None
        return said if isinstance(said, tuple) else None


def found(tick: Tick) -> Tick:
    """What a run has asked for itself, or a later one that another run has found meanwhile: no page goes back."""
    with _lock:
        said = _said(HOLD)
        if isinstance(said, tuple) and said > tick:
            return said
        _note(tick)
        return tick


@contextmanager
def following() -> Iterator[None]:
    """While pages follow what was looked at last."""
    _rounds.append(time.monotonic())
    try:
        yield
    finally:
        _rounds.pop()


def ran(seconds: float) -> None:
    """A page of figures was worked out in so many seconds."""
    with _lock:
        _slowest["now"] = max(_slowest["now"], seconds)


def _hold() -> float:
    return min(MOST, max(HOLD, 2 * _slowest["now"], 2 * _slowest["before"]))


def _said(seconds: float) -> Tick | Exception | None:
    asked, said = _seen.get(session.urls()["desk_app"], (0.0, None))
    return said if time.monotonic() - asked <= seconds else None


def _note(said: Tick | Exception) -> None:
    _slowest.update(before=_slowest["now"], now=0.0)
    _seen[session.urls()["desk_app"]] = time.monotonic(), said
