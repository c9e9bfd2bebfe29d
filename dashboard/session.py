"""Who is looking. Here only a role chooser on loopback with demo data; the issue on sign-in replaces it."""
import ipaddress

import streamlit as st

from dashboard import data
from dashboard.settings import settings
from queries import db
from queries.viewer import Viewer

FALLBACK = "service"            # no demo accounts: the built-in account, for an office that tries its own data


def on_loopback() -> bool:
    """Whether the server is bound to an address that only this machine reaches."""
    address = settings().address
    return address == "localhost" or ipaddress.ip_address(address).is_loopback


def accounts() -> list[tuple[str, str, str]]:
    """(login, name, role) that the chooser offers."""
    return db.demo_accounts(data.urls())


def viewer() -> Viewer:
    """The account of this run, looked up again on every run: a disabled one is out at the next click (queries.db.NotAllowed)."""
    if not on_loopback():
        raise db.NotAllowed("no sign-in on a network address yet")
    run = st.session_state.get("viewer")
    login = st.session_state.get("login") or st.query_params.get("as") or FALLBACK
    if run is not None and run.login == login:
        return run
    return choose(login)


def choose(login: str) -> Viewer:
    """Take on this account for the rest of the session; an unknown one falls back to the first on offer."""
    known = [a[0] for a in accounts()] or [FALLBACK]
    found = db.viewer_of(data.urls(), login if login in known else known[0])
    st.session_state.viewer, st.session_state.login = found, found.login
    return found
