"""The two doors to the database. A page names a query; identity, transaction, tick, cache and time-out are here, once."""
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache, lru_cache
from inspect import signature
from types import FunctionType
from typing import Any

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from dashboard import permissions, prompter, session, ticks, words
from dashboard.settings import settings
from queries import complaints, db, figures, ledger
from queries.replicas import Replicas, Source
from queries.viewer import Viewer

# What a page lists, and the query that says which complaints those are at another moment.
LISTS: dict[Callable, Callable] = {complaints.listing: complaints.ids, ledger.rows: ledger.rows}
KEPT: set[Callable] = {complaints.listing, complaints.by_id, ledger.rows, figures.counts}   # what was read once for a page of rows stays
KEEP = 40
_LIST_ONLY = ("as_of", "limit", "offset", "sort", "exact")


def start_run() -> None:
    """Called by the entry script at the start of every run: look the account up again and take one tick for all figures."""
    covers = st.session_state.get("covers")
    looks, tick = not (st.session_state.pop("live.again", False) | _by_itself()), None if covers is not None else ticks.followed()
    if tick is not None:
        session.look_up(looks=looks)
    st.session_state.tick = tick or ticks.found(session.begin(looks=looks, covers=covers))
    if covers is not None:
        st.session_state.update({"covers": None, "held": None})            # the reader's own act is seen at once
    st.session_state.source = source(st.session_state.tick[0])


def _by_itself() -> bool:
    """The page follows, and nobody did anything."""
    run = get_script_run_ctx(suppress_warning=True)
    return run is not None and prompter.asked_by_nobody(run.session_id)


@lru_cache(maxsize=1)
def _replicas() -> Replicas | None:
    return Replicas(session.urls(), settings().standbys) if settings().standbys else None


def source(version: int) -> Source:
    """The one server for reads at this version of the tick: a standby that has all that this session must see, or the primary."""
    if _replicas() is None:
        return Source(session.urls(), session.urls())
    return _replicas().source(session.viewer(), session.ticket().session_id, version)


@dataclass
class Held:
    """A page of rows as it was opened: rows do not move under the reader, not even where more is known of that moment by now."""

    question: tuple                             # page and address
    moment: datetime                            # of which it speaks
    asked: tuple | None = None                  # the list it shows: query, its arguments
    ids: frozenset[int] | None = field(default=frozenset(), repr=False)        # the complaints of that list, in all; None for too many
    complaint: int | None = None                # or the one complaint it shows
    kept: dict[str, Any] = field(default_factory=dict, repr=False)      # what was read for it and made of it
    noted: bool = False                         # in this run: the first list a page reads is the one it shows

    def keep(self, place: str, found: Any) -> None:
        """Keep it for the next run; the oldest of too many goes."""
        self.kept[place] = found
        if len(self.kept) > KEEP:
            del self.kept[next(iter(self.kept))]


def hold(question: tuple | None) -> Held | None:
    """Called before every page: the same question keeps the moment at which it was opened; None lets the page follow the tick."""
    held = st.session_state.get("held")
    if question is None:
        held = None
    elif held is None or held.question != question:
        st.session_state.held = None
        held = Held(question, as_of())
    if held is not None:
        held.noted = False
    st.session_state.held = held
    return held


def release() -> None:
    """For on_click: the page is opened again, as of now."""
    st.session_state.held = None
    st.query_params.pop("at", None)


def as_of() -> datetime:
    """The moment of which this page speaks (UTC). An opened list carries it in its address (`at`), so number and list agree;
    a page of rows stays with the moment it was opened at (`hold`)."""
    at = st.query_params.get("at")
    if at:
        try:
            moment = datetime.fromisoformat(at)
        except ValueError:
            moment = None
        if moment is not None and moment.tzinfo and moment <= st.session_state.tick[1]:
            return moment
        del st.query_params["at"]
    held = st.session_state.get("held")
    return held.moment if held else st.session_state.tick[1]


def _name(f: FunctionType) -> str:
    return f"{f.__module__}.{f.__qualname__}"


# An entry is asked for as long as its tick is the latest: a minute at most, a second while data comes in.
@st.cache_data(max_entries=600, ttl=120, show_spinner=False, hash_funcs={FunctionType: _name})
def _cached(query: Callable, scope: tuple, version: int, args: tuple, params: dict, _viewer: Viewer, _source: Source | None = None) -> Any:
    return (_source or Source(session.urls(), session.urls())).read(_viewer, lambda conn: query(conn, *args, **params))


def read(query: Callable, *args: Any, **params: Any) -> Any:
    """What `query(conn, *args, **params)` returns for this viewer; `as_of` is the run's tick unless given.

    Cached by what row security depends on and by the tick's version, never by time alone.
    """
    viewer = session.viewer()
    if _speaks_of_a_moment(query):
        params.setdefault("as_of", as_of())
    held = st.session_state.get("held")
    held = held if held is not None and params.get("as_of") == held.moment else None
    place = f"{_name(query)} {scope(viewer)} {args} {sorted(params.items())}" if held and query in KEPT else ""
    if place and place in held.kept:
        found = held.kept[place]
    else:
        found = _cached(query=query, scope=scope(viewer), version=st.session_state.tick[0], args=args, params=params, _viewer=viewer, _source=st.session_state.get("source"))
    if held:
        _note(held, query, args, params, found)
    if place:
        held.keep(place, found)
        return deepcopy(found)
    return found


@cache
def _speaks_of_a_moment(query: Callable) -> bool:
    return "as_of" in signature(query).parameters


def derived(make: Callable, *given: Any, key: object = (), rows: bool = True, since: int | None = None) -> Any:
    """``make(*given)``, which reads by ``read``: kept like what it reads, by viewer scope and tick, so that a rerun neither reads
    nor works it out again. ``key`` says what else it depends on: everything in ``given`` that two viewers of one scope may have
    differently. One object for all: nobody may change it. A page that stays with its moment (``hold``) has rows of its own, and what it
    made of them; ``rows=False``: what is read does not stay. ``since``: a number that changes when, and only when, what is read does; it
    stands in for the tick.
    """
    place, held = f"{_name(make)} {scope(session.viewer())} {words.language()} {key!r}", st.session_state.get("held")
    if rows and held is not None:
        if place not in held.kept:
            held.keep(place, _together(make, given))
        return held.kept[place]
    if since is not None:
        return _standing(place=f"{place} {since}", _make=make, _given=given)
    return _derived(place=f"{place} {st.session_state.tick[0]}", _make=make, _given=given)


def _together(make: Callable, given: tuple) -> Any:
    """What it reads is read in one transaction."""
    with (st.session_state.get("source") or Source(session.urls(), session.urls())).together():
        return make(*given)


# One text as the key, and by name: Streamlit looks up the name of whatever is given by position, and hashes part by part, at every rerun.
@st.cache_resource(max_entries=200, ttl=120, show_spinner=False)
def _derived(place: str, _make: Callable, _given: tuple) -> Any:
    return _together(_make, _given)


@st.cache_resource(max_entries=64, show_spinner=False)
def _standing(place: str, _make: Callable, _given: tuple) -> Any:
    return _together(_make, _given)


def scope(viewer: Viewer) -> tuple:
    """Whatever row security and what is shown depend on: two viewers of one scope see the same."""
    return viewer.role, viewer.scope, viewer.sees_restricted, viewer.apart


def _note(held: Held, query: Callable, args: tuple, params: dict, found: Any) -> None:
    """Remember what a page of rows shows, to say later what came and what went."""
    if query is complaints.whole and found is not None and held.complaint is None:
        held.complaint = int(found["complaint_id"])
    elif query in LISTS and not held.noted:
        held.noted = True
        asked = (LISTS[query], args, {name: value for name, value in params.items() if name not in _LIST_ONLY})
        if asked != held.asked:
            known, ids = _ids(found)
            held.asked, held.ids = asked, ids if known else listed(asked, st.session_state.tick[0], held.moment)


def _ids(found: Any) -> tuple[bool, frozenset[int] | None]:
    """Whether what a page read of a list says which complaints are in it, and which (None for too many)."""
    if isinstance(found, list):                              # lines of the ledger
        return True, frozenset(found)
    total, ids = int(found["total"].iloc[0]) if len(found) else 0, found.attrs.get("ids", found.get("complaint_id", ()))
    if total > complaints.CAP or total and bool(found["more"].iloc[0]):
        return True, None
    return len(ids) == total, frozenset(ids)


@st.cache_data(max_entries=32, ttl=10, show_spinner=False, hash_funcs={FunctionType: _name})
def _listed(query: Callable, scope: tuple, version: int, args: tuple, params: dict, _viewer: Viewer, _source: Source) -> frozenset[int] | None:
    found = _source.read(_viewer, lambda conn: query(conn, *args, **params))
    return None if found is None else frozenset(found)


def listed(asked: tuple, version: int, moment: datetime) -> frozenset[int] | None:
    """The complaints of a list (`Held.asked`) at a moment, as known at that version; None for too many."""
    query, args, params = asked
    viewer, of_run = session.viewer(), st.session_state.get("source")
    at = of_run if of_run is not None and version == st.session_state.tick[0] else source(version)      # a later tick wants a server that has it
    return _listed(query, scope(viewer), version, args, params | {"as_of": moment}, viewer, at)


def write(permission: str, act: Callable, **params: Any) -> Any:
    """Carry out an act in one transaction; the next run's tick covers it. PermissionError without the permission; queries.acts.Refused."""
    viewer = session.look_up()                  # the account as it is now, not as it was when the page was drawn
    if not permissions.may(viewer.role, permission):
        raise PermissionError(permission)
    noted = session.ticket().session_id if _replicas() else None
    with db.writing(session.urls(), viewer) as conn:
        outcome, done = act(conn, **params), db.clock(conn)
    if noted is not None:
        _replicas().wrote(noted)
    st.session_state.covers = done              # after COMMIT: touching the session is a point where a reload can end the script
    return outcome
