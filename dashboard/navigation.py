"""Every page once: its file, words, address and who may open it."""

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from runpy import run_path

import streamlit as st

from dashboard import words
from dashboard.words import t

_FOLDER = Path(__file__).resolve().parents[1] / "pages"
_OPEN = "navigation.open"  # session_state: keys of the pages this viewer may open
_BUILT = "navigation.built"  # session_state: what they were built from, and the pages by key: each costs a look at the disk
_LAST = "navigation.last"  # session_state: the address of the page shown last


@dataclass(frozen=True)
class Page:
    """A page; ``key`` names its words (nav.key), ``path`` is its address, ``hidden`` ones are reached by links only."""

    key: str
    file: str
    path: str
    permission: str
    icon: str
    hidden: bool = False

    def build(self, allowed: bool) -> st.Page:
        # no icon in the menu: the icon is for links that want one; a page that is not allowed says so
        return st.Page(_FOLDER / self.file if allowed else _refused, title=t(f"nav.{self.key}"), url_path=self.path,
                       icon="", visibility="visible" if allowed and not self.hidden else "hidden")


PAGES = (
    Page("review", "review.py", "review", "review:read", ":material/summarize:"),
    Page("limits", "limits.py", "limits", "limits:read", ":material/timer:"),
    Page("overdue", "overdue.py", "overdue", "overdue:read", ":material/schedule:"),
    Page("satisfaction", "satisfaction.py", "satisfaction", "satisfaction:read", ":material/sentiment_satisfied:"),
    Page("complaints", "complaints.py", "complaints", "complaints:read", ":material/search:"),
    Page("complaint", "complaint.py", "complaint", "complaints:read", ":material/description:", hidden=True),
    Page("units", "units.py", "units", "units:read", ":material/account_tree:"),
    Page("oversight", "oversight.py", "oversight", "oversight:read", ":material/monitoring:"),
    Page("released", "released.py", "released", "oversight:read", ":material/lock_open:"),
    Page("data", "data.py", "data", "data:read", ":material/database:"),
    Page("audit", "audit.py", "audit", "audit:read", ":material/policy:"),
    Page("settings", "settings.py", "settings", "settings:read", ":material/settings:"),
)
BY_KEY = {page.key: page for page in PAGES}


def choose(may: Callable[[str], bool]) -> st.Page:
    """The page of this run, among those the viewer may open. Run what it returns.

    Every page has an address of its own. Streamlit's default page has none, so it is an unseen one at ``/``, where the
    logo leads too: it goes on to the first page the viewer may open, with what the address asks for. Coming back to it
    from that page (the Back button) it shows that page in its own place: going on again would be a trap.
    """
    allowed = [page for page in PAGES if may(page.permission)]
    st.session_state[_OPEN] = frozenset(page.key for page in allowed)
    if not allowed:
        _refused()
        st.stop()
    first = next((page for page in allowed if not page.hidden), allowed[0])

    before = st.session_state.get(_LAST)

    def home() -> None:
        if before in (first.path, ""):
            run_path(str(_FOLDER / first.file))
        else:
            st.switch_page(_FOLDER / first.file, query_params=st.query_params.to_dict())

    known = (words.language(), st.session_state[_OPEN])
    if st.session_state.get(_BUILT, (None,))[0] != known:
        st.session_state[_BUILT] = (known, {page.key: page.build(page in allowed) for page in PAGES})
    start = st.Page(home, title=t(f"nav.{first.key}"), url_path="", default=True, icon="", visibility="hidden")
    # copies: a page can be run once, and a run that a click has made idle may still be under way beside the next
    page = st.navigation([start, *map(copy, st.session_state[_BUILT][1].values())], position="top")
    st.session_state[_LAST] = page.url_path
    return page


def _refused() -> None:
    st.info(t("app.no_permission"))


def target(key: str) -> st.Page | None:
    """A page for st.page_link and st.switch_page, or None if this viewer may not open it."""
    return st.session_state[_BUILT][1][key] if key in st.session_state.get(_OPEN, ()) else None


def require() -> None:
    """First line of every page: without app.py (sign-in, permissions) it refuses to run."""
    if _OPEN not in st.session_state:
        st.error(t("app.no_context"))
        st.stop()
