"""A regulator reads figures in which no small number stands, and released complaints, masked; and can change nothing, three times over."""
import re

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from streamlit.testing.v1 import AppTest

from dashboard import data, permissions
from queries import acts, db, oversight
from queries.viewer import Role
from tests.pages.test_every_number_opens_its_list import PAGES, office  # noqa: F401

APP = str(PAGES.parent / "dashboard" / "app.py")


def run(page: str, **params: str) -> AppTest:
    at = AppTest.from_file(APP, default_timeout=30)
    at.query_params.update({"as": "demo-regulator", "lang": "zh"} | params)
    at.run()
    if page != "oversight":
        at.switch_page(str(PAGES / f"{page}.py"))
    at.query_params.update({"as": "demo-regulator", "lang": "zh"} | params)
    at.run()
    assert not at.exception, at.exception
    return at


def test_the_pages_of_a_regulator(office):  # noqa: F811
    assert run("oversight").session_state["navigation.open"] == {"oversight", "released"}


@pytest.mark.parametrize("span", ["1", "12"])
@pytest.mark.parametrize("by", ["none", "category", "channel"])
def test_no_small_number_stands_on_the_page(office, by, span):  # noqa: F811
    at = run("oversight", by=by, span=span, deep="2")
    shown = [str(cell) for table in at.table for cell in table.value.to_numpy().ravel()]
    assert len(shown) > 20 and "不予显示" in shown and "合计" in shown
    assert not any("(" in cell or "=" in cell for cell in shown), "names as people write them"
    for cell in shown:
        assert not re.fullmatch(r"[1-4]", cell), cell
        for number in re.findall(r"（(\d+)/(\d+)）", cell):
            assert all(n == "0" or int(n) >= 5 for n in number), cell


@pytest.mark.parametrize("by", ["category", "channel"])
def test_every_column_has_a_name(office, by):  # noqa: F811
    """Those of packs that no source has are no columns."""
    heads = [str(head) for table in run("oversight", by=by, span="12").table for head in table.value.columns]
    assert len(heads) > 5 and not [head for head in heads if head.isdigit()]


def test_the_address_asks_for_nothing_else(office):  # noqa: F811
    at = run("oversight", by="person", span="2", deep="5", month="2999-01")
    assert not at.exception and {"by", "span", "deep", "month"}.isdisjoint(at.query_params)


def test_released_complaints_are_listed_and_opened_masked(office):  # noqa: F811
    with db.engine(office["admin"]).connect() as conn:
        number, person, phone = conn.execute(text("""select c.complaint_no, c.person, p.phone from desk.released r join desk.complaint c using (complaint_id)
            join desk.complainant p using (complaint_id) where p.phone is not null and c.person is not null limit 1""")).one()
        hidden = conn.execute(text("select complaint_no from desk.complaint c where not exists (select from desk.released r where r.complaint_id = c.complaint_id) limit 1")).scalar_one()
    assert run("released").get("page_link")
    one = run("released", number=number)
    said = " ".join(str(element.value) for element in (*one.markdown, *one.text, *one.title))
    assert "编号" in said and person not in said and phone not in said
    for other in (hidden, "nothing-0001"):
        gone = run("released", number=other)
        assert [e.value for e in gone.text] == [] and "没有" in gone.markdown[0].value + " ".join(m.value for m in gone.markdown)


def test_a_list_that_ends_early_says_so(office, monkeypatch):  # noqa: F811
    whole = run("released")
    n = len(whole.get("page_link"))
    said = next(one.value for one in whole.markdown if "开放了" in one.value)
    assert n > 2 and "至少" not in said
    monkeypatch.setattr(oversight, "MOST", int(re.search(r"\d[\d,]*", said)[0].replace(",", "")))
    assert any("至少" in one.value for one in run("released").markdown)


# -- a write fails three times over, each shown by itself

def test_first_there_is_no_button(office):  # noqa: F811
    for page in ("oversight", "released"):
        at = run(page)
        assert not [b for b in at.button if b.key and re.search("urge|reassign|reveal|release", b.key)]


def test_second_the_application_refuses(office):  # noqa: F811
    for act, allowed in permissions.PERMISSIONS.items():
        if not act.endswith(":read") and act != "export":
            assert Role.regulator not in allowed, act
    assert not permissions.may(Role.regulator, "urge") and not permissions.may(Role.regulator, "reassign")


def test_second_the_door_refuses_a_call_past_the_page(office, monkeypatch):  # noqa: F811
    monkeypatch.setattr(data.session, "look_up", lambda **how: db.viewer_of(office, "demo-regulator"))
    with pytest.raises(PermissionError):
        data.write("urge", acts.urge, key="12345678", complaints=[1], level=2)


@pytest.mark.parametrize("statement", [
    "insert into urge (complaint_id, level, work_day, unit_id) values (1, 2, '2026-03-09', 1)", "update complaint set unit_id = 1", "delete from complaint",
    "insert into request (key, user_id, act, payload) values ('12345678', 1, 'x', 'y')", "insert into outbox (kind) values ('x')", "update released set reason = 'x'",
    "insert into event (complaint_id, at, code) values (1, now(), 'x')", "select reveal(1, 'because')", "select release(1, true, 'because')"])
def test_third_the_database_refuses_even_where_nobody_asked_the_application(office, statement):  # noqa: F811
    with pytest.raises(DBAPIError, match="permission denied"), db.writing(office, db.viewer_of(office, "demo-regulator")) as conn:
        conn.execute(text(statement))
