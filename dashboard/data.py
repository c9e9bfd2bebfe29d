"""The two doors to the database. A page names a query; identity, transaction, tick, cache and time-out are here, once."""
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from inspect import signature
from types import FunctionType
from typing import Any

import streamlit as st

from dashboard import permissions, session
from dashboard.settings import settings
from queries import connect, db
from queries.viewer import Viewer


@lru_cache(maxsize=1)
def urls() -> dict[str, str]:
    """The application's logins; starts the embedded server and brings the schema up where needed."""
    s = settings()
    return connect.application(s.database_url, s.data, s.zone)


def start_run() -> None:
    """Called by the entry script at the start of every run: look the account up again and read one tick for all figures."""
    st.session_state.viewer = None
    viewer = session.viewer()
    covers = st.session_state.pop("covers", None)
    st.session_state.tick = db.tick(urls(), viewer, covers=covers)


def as_of() -> datetime:
    """The moment of which this page speaks (UTC). An opened list carries it in its address (`at`), so number and list agree."""
    at = st.query_params.get("at")
    if at:
        try:
            moment = datetime.fromisoformat(at)
        except ValueError:
            moment = None
        if moment is not None and moment.tzinfo and moment <= st.session_state.tick[1]:
            return moment
        del st.query_params["at"]
    return st.session_state.tick[1]


def _name(f: FunctionType) -> str:
    return f"{f.__module__}.{f.__qualname__}"


@st.cache_data(max_entries=3_000, show_spinner=False, hash_funcs={FunctionType: _name})
def _cached(query: Callable, scope: tuple, version: int, args: tuple, params: dict, _viewer: Viewer) -> Any:
    with db.reading(urls(), _viewer) as conn:
        return query(conn, *args, **params)


def read(query: Callable, *args: Any, **params: Any) -> Any:
    """What `query(conn, *args, **params)` returns for this viewer; `as_of` is the run's tick unless given.

    Cached by what row security depends on and by the tick's version, never by time alone.
    """
    viewer = session.viewer()
    if "as_of" in signature(query).parameters:
        params.setdefault("as_of", as_of())
    scope = (viewer.role, viewer.scope, viewer.sees_restricted)
    return _cached(query, scope, st.session_state.tick[0], args, params, viewer)


def write(permission: str, act: Callable, **params: Any) -> Any:
    """Carry out an act in one transaction; the next run's tick covers it. PermissionError without the permission; queries.acts.Refused."""
    viewer = session.choose(session.viewer().login)                 # the account as it is now, not as it was when the page was drawn
    if not permissions.may(viewer.role, permission):
        raise PermissionError(permission)
    with db.writing(urls(), viewer) as conn:
        outcome, done = act(conn, **params), db.clock(conn)
    st.session_state.covers = done              # after COMMIT: touching the session is a point where a reload can end the script
    return outcome
