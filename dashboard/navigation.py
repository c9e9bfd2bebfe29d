"""Every page once: its file, words, address and who may open it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from dashboard.words import t

_FOLDER = Path(__file__).resolve().parents[1] / "pages"
_OPEN = "navigation.open"  # session_state: keys of the pages this viewer may open


@dataclass(frozen=True)
class Page:
    """A page; ``key`` names its words (nav.key), ``path`` is its address, ``hidden`` ones are reached by links only."""

    key: str
    file: str
    path: str
    permission: str
    icon: str
    hidden: bool = False

    def build(self, default: bool = False) -> st.Page:
        # no icon in the menu: the icon is for links that want one; help says what the page answers
        return st.Page(_FOLDER / self.file, title=t(f"nav.{self.key}"), url_path=self.path, default=default, icon="",
                       visibility="hidden" if self.hidden else "visible")


PAGES = (
    Page("review", "review.py", "review", "review:read", ":material/summarize:"),
    Page("overdue", "overdue.py", "overdue", "overdue:read", ":material/schedule:"),
    Page("complaints", "complaints.py", "complaints", "complaints:read", ":material/search:"),
    Page("complaint", "complaint.py", "complaint", "complaints:read", ":material/description:", hidden=True),
    Page("data", "data.py", "data", "data:read", ":material/database:"),
)
BY_KEY = {page.key: page for page in PAGES}


def choose(may: Callable[[str], bool]) -> st.Page:
    """The page of this run, among those the viewer may open; the first of them is the default. Run what it returns."""
    allowed = [page for page in PAGES if may(page.permission)]
    st.session_state[_OPEN] = frozenset(page.key for page in allowed)
    if not allowed:
        st.info(t("app.no_permission"))
        st.stop()
    first = next((page for page in allowed if not page.hidden), allowed[0])
    return st.navigation([page.build(default=page is first) for page in allowed], position="top")


def target(key: str) -> str | None:
    """The file of a page for st.page_link and st.switch_page, or None if this viewer may not open it."""
    return str(_FOLDER / BY_KEY[key].file) if key in st.session_state.get(_OPEN, ()) else None


def require() -> None:
    """First line of every page: without app.py (sign-in, permissions) it refuses to run."""
    if _OPEN not in st.session_state:
        st.error(t("app.no_context"))
        st.stop()
