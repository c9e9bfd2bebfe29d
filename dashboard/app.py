"""Entry script: ``streamlit run dashboard/app.py``. Runs before every page: words, viewer, menu, then the page."""

import sys
from functools import cache
from pathlib import Path

import streamlit as st
from pandas.errors import DatabaseError
from sqlalchemy.exc import DBAPIError, OperationalError, TimeoutError

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:  # streamlit puts dashboard/ on the path, not the root
    sys.path.insert(0, str(ROOT))

from dashboard import data, filters, live, navigation, permissions, session, tables, words  # noqa: E402
from dashboard.words import t  # noqa: E402
from queries.db import NotAllowed  # noqa: E402


@cache
def logo(name: str) -> str:
    """The mark and the name as an SVG with text in the fonts of the page."""
    wide = 30 + sum(8.4 if ord(c) < 0x2e80 else 15.5 for c in name)
    mark = (Path(__file__).parent / "icon.svg").read_text("utf-8")
    mark = mark.replace("<svg ", '<svg width="20" height="20" y="2" ', 1)
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{wide:.0f}" height="24" viewBox="0 0 {wide:.0f} 24">{mark}'
            f'<text x="26" y="17.5" font-size="15" font-weight="600" fill="#3A82B5" font-family="PingFang SC, '
            f'Microsoft YaHei, Noto Sans SC, Noto Sans CJK SC, system-ui, sans-serif">{name}</text></svg>')


def trouble(error: Exception) -> str | None:
    """What a failed statement means to the reader: slow (stopped), database (away), or None: a mistake of ours."""
    cause = error if isinstance(error, DBAPIError | TimeoutError) else error.__cause__
    if isinstance(cause, TimeoutError):
        return "database"
    code = getattr(getattr(cause, "orig", None), "pgcode", None)
    if code == "57014":  # query_canceled: the time-out of the transaction
        return "slow"
    return "database" if isinstance(cause, OperationalError) or getattr(cause, "connection_invalidated", False) else None


def run() -> None:
    """The viewer of this run, the menu of what they may open, the page."""
    if "as" in st.query_params:  # a link or the Back button: the address decides
        st.session_state["login"] = st.query_params["as"]
    data.start_run()
    viewer = session.viewer()
    page = navigation.choose(lambda permission: permissions.may(viewer.role, permission))
    st.set_page_config(page_title=f"{page.title} · {t('app.name')}")
    filters.carry()
    live.begin(page.url_path)
    live.follow(tables.is_phone())
    live.run(page.run)


words.begin()
st.set_page_config(page_title=t("app.name"), page_icon=str(Path(__file__).parent / "icon.svg"), layout="wide")
st.logo(logo(t("app.name")))
try:
    run()
except NotAllowed:
    st.error(t("error.signed_out"))
except (DBAPIError, DatabaseError, TimeoutError) as error:  # pandas wraps what its queries raise
    kind = trouble(error)
    if kind is None:
        raise
    st.error(t(f"error.{kind}"))
    st.button(t("error.retry"), type="primary")
