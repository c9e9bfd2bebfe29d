"""How many statements a page costs, counted at the driver: a loop that asks row by row (N+1), or a rerun that reads again, fails here.

Cold is the first run after every cache is empty; warm the same again within the same tick: who is looking (1), the tick (2).
"""
from contextlib import contextmanager
from pathlib import Path

import pytest
import streamlit as st
from sqlalchemy import event, text
from sqlalchemy.engine import Engine
from streamlit.testing.v1 import AppTest

from dashboard import session
from queries import db

ROOT = Path(__file__).resolve().parents[2]
WARM = 3
# page: (what its address asks for, statements of its cold run at most). What a page reads together is one transaction; a question is asked of the cells and, for
# what these leave out, of the raw rows. The bank has 40 units on a level: a question for each of them breaks every bound.
PAGES = {"review": ({"notes": "true"}, 58), "limits": ({}, 62), "overdue": ({}, 38), "satisfaction": ({}, 40), "complaints": ({"code": "received", "period": "last_month"}, 25),
         "complaint": ({}, 46), "units": ({}, 40), "data": ({}, 40)}


@contextmanager
def counted():
    """The statements that any engine sends within the block."""
    sent = []

    def note(conn, cursor, statement, parameters, context, executemany):
        sent.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(Engine, "before_cursor_execute", note)


@pytest.fixture
def office(bank, monkeypatch):
    monkeypatch.setattr(session, "urls", lambda: bank)
    return bank


def opened(office, page: str, asked: dict) -> AppTest:
    at = AppTest.from_file(str(ROOT / "dashboard" / "app.py"), default_timeout=60).run()
    at.switch_page(str(ROOT / "pages" / f"{page}.py"))
    at.query_params.update(asked)
    return at


@pytest.mark.parametrize("page", PAGES)
def test_a_page_asks_so_often_and_no_more(office, page):
    asked, most = PAGES[page]
    if page == "complaint":
        viewer = db.viewer_of(office, "demo-supervisor")
        with db.reading(office, viewer) as conn:
            asked = {"number": conn.execute(text("select complaint_no from complaint order by received_at desc limit 1")).scalar_one()}
    at = opened(office, page, asked)
    st.cache_data.clear()
    st.cache_resource.clear()
    with counted() as cold:
        at.run()
    assert not at.exception
    version = at.session_state["tick"][0]
    with counted() as warm:
        at.run()
        if at.session_state["tick"][0] != version:       # a minute ended between the two
            warm.clear()
            at.run()
    assert not at.exception and len(warm) >= 2, "the counter counts"
    assert len(cold) <= most, f"{page} asked {len(cold)} times"
    assert len(warm) <= WARM, "\n".join(warm)
