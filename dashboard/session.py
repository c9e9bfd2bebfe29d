"""Who is looking: the account behind the session that the gate (dashboard/gate.py) let in, looked up again on every run."""
from collections.abc import Collection
from contextlib import suppress
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

import streamlit as st

from dashboard.settings import only_here, settings
from queries import connect, db
from queries.viewer import Viewer

LOGIN, SESSION = "login", "session"             # what the gate says, as st.user holds it


@lru_cache(maxsize=1)
def urls() -> dict[str, str]:
    """The application's logins; starts the embedded server and brings the schema up where needed."""
    s = settings()
    return connect.application(s.database_url, s.data, s.zone)


def viewer() -> Viewer:
    """The account of this run. Raises queries.db.NotAllowed without a live session: signed out, run out, disabled."""
    run = st.session_state.get("viewer")
    return run if run is not None else look_up(looks=False)


class Ticket(NamedTuple):
    """What a run knows of who is looking, for work that goes on without it (a download)."""

    login: str
    session_id: int
    chosen: str | None                          # one of the demo's accounts, where the session is a demo's


def ticket() -> Ticket:
    """Who the gate says it is. Raises NotAllowed where nobody is signed in: a page without the gate shows nothing."""
    user = st.user.to_dict()                    # once: each look at st.user looks for a file of secrets
    login, number = user.get(LOGIN), user.get(SESSION)
    if not login or not number:
        raise db.NotAllowed("nobody is signed in")
    return Ticket(login, int(number), st.session_state.get("login"))


def redeem(held: Ticket, *, looks: bool = True) -> Viewer:
    """The account of a ticket as it is at this moment. `looks`: somebody did something, so the session is not idle. Raises NotAllowed."""
    return _chosen(held, *db.viewer_of_session(urls(), held.session_id, held.login, looks=looks))


def redeem_all(held: Collection[Ticket]) -> dict[Ticket, Viewer]:
    """The same of many tickets of which nobody did anything, by one question; whoever may not any more is not among them."""
    found = db.viewers_of_sessions(urls(), sorted({(one.session_id, one.login) for one in held}))
    viewers = {}
    for one in held:
        if of_session := found.get((one.session_id, one.login)):
            with suppress(db.NotAllowed):
                viewers[one] = _chosen(one, *of_session)
    return viewers


def _chosen(held: Ticket, found: Viewer, how: str) -> Viewer:
    """Whose eyes: the account's own, or in a demo's session those of the account that was chosen."""
    if how != "demo" or held.chosen in (None, found.login):
        return found
    if held.chosen not in {login for login, *_ in demo_accounts()}:
        raise db.NotAllowed(held.chosen)
    return db.viewer_of(urls(), held.chosen)


def look_up(*, looks: bool = True) -> Viewer:
    """The account of this run, as it is at this moment."""
    st.session_state.viewer = None
    held = ticket()
    return _is(held, *db.viewer_of_session(urls(), held.session_id, held.login, looks=looks))


def begin(*, looks: bool, covers: datetime | None) -> tuple[int, datetime]:
    """Look the account up and say the tick of this run (queries.db.tick), in one transaction."""
    st.session_state.viewer = None
    held = ticket()
    found, how, tick = db.run_of_session(urls(), held.session_id, held.login, looks=looks, covers=covers)
    _is(held, found, how)
    return tick


def _is(held: Ticket, found: Viewer, how: str) -> Viewer:
    found, st.session_state.how = _chosen(held, found, how), how
    st.session_state.update({"viewer": found, "login": found.login, "ticket": held})
    return found


def has_password() -> bool:
    """Whether the person signed in with a password of this product, which can be changed here."""
    return st.session_state.get("how") == "password"


def demo_accounts() -> list[tuple[str, str, str]]:
    """(login, name, role) of those who may be chosen without signing in: the demo's, where only this machine can ask."""
    return db.demo_accounts(urls()) if only_here(settings().address, settings().hosts) else []
