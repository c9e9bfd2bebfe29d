"""The acts of each role on the complaint page: only those that are possible, one form for all, what was done in the history at once."""
from datetime import date, datetime
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import text

from dashboard import duties, permissions, words
from queries import acts, connect, db
from tests.pages.test_every_number_opens_its_list import office, run  # noqa: F401

CN = ZoneInfo("Asia/Shanghai")
LOGINS = ("demo-supervisor", "demo-leader", "demo-unit", "demo-service", "demo-discipline")


def test_every_act_that_is_permitted_has_a_form_and_words_in_both_languages():
    names = {name for name, roles in permissions.PERMISSIONS.items() if hasattr(acts, name)} - {"urge", "reassign", "reveal", "release"}
    assert names == set(duties.DUTIES)
    for code in words.LANGUAGES:
        with words.speaking(code):
            for name, duty in duties.DUTIES.items():
                assert words.has(f"duty.{name}") and words.has(f"duty.{name}_do") and words.has(f"audited.{name}"), name
                assert not duty.warns or words.has(f"duty.{name}_warns"), name
                assert all(words.has(f"duty.{name}_{one}") for one in duties.CHOICES.get(name, ())), name


@pytest.mark.parametrize(("typed", "moment"), [
    ("2026-03-08 14:30", datetime(2026, 3, 8, 14, 30, tzinfo=CN)), ("3月8日14:30", datetime(2026, 3, 8, 14, 30, tzinfo=CN)), ("3月8日 9：05", datetime(2026, 3, 8, 9, 5, tzinfo=CN)),
    ("3月8日", datetime(2026, 3, 8, 12, tzinfo=CN)), ("2026-03-09", datetime(2026, 3, 9, tzinfo=CN)), ("3月8日 25:00", None), ("昨天", None), ("14:30", None), ("", None), (None, None)])
def test_a_moment_as_people_type_it(typed, moment):
    assert duties.read_moment(typed, date(2026, 3, 9), CN) == moment


def some(office, login):  # noqa: F811
    """(number, id, possible acts) of the complaint with which this account may do most."""
    viewer = db.viewer_of(office, login)
    with db.reading(office, viewer) as conn:
        number, id_ = conn.execute(text("""select c.complaint_no, c.complaint_id from complaint c cross join lateral (select count(*) as n from possible(c.complaint_id)) p
            where c.complaint_id % 7 = 0 or c.restricted or c.ended_at is null order by p.n desc, c.complaint_id desc limit 1""")).one()
        return number, id_, acts.possible(conn, id_)


@pytest.mark.parametrize("login", LOGINS)
def test_the_page_offers_what_is_possible_and_nothing_else(office, login):  # noqa: F811
    number, _, able = some(office, login)
    at = run("complaint", {"as": login, "lang": "zh", "number": number})
    with words.speaking("zh"):
        offered = {one.key.removeprefix("duty_") for one in at.button if (one.key or "").startswith("duty_")}
        offered |= {name for menu in at.menu_button for name in duties.DUTIES if words.t(f"duty.{name}") in menu.options}
    assert offered == set(able)
    assert {one.key for one in at.button} & {"urge", "reassign", "telephone"} == set() or login == "demo-supervisor"


def test_a_note_from_the_menu_needs_words_and_is_in_the_history_at_once(office):  # noqa: F811
    number, id_, able = some(office, "demo-supervisor")
    assert "note" in able
    at = run("complaint", {"as": "demo-supervisor", "lang": "zh", "number": number})
    at.menu_button[0].click("办理意见").run()
    serial = at.session_state["forms.open"]["serial"]
    confirm = f"confirm_{serial}"
    at.button(key=confirm).click().run()
    assert any("请填写内容" in one.value for one in at.markdown)
    at.text_area(key=f"words_{serial}").set_value("答复已核，请补充整改情况 13800001111")
    at.button(key=confirm).click().run()
    assert not at.exception and at.session_state["forms.open"] is None and any("已办理：办理意见" in one.value for one in at.toast)
    events = connect.as_owner(office["admin"], lambda conn: conn.execute(text("select count(*) from event where complaint_id = :c and code = 'noted'"), {"c": id_}).scalar_one())
    table = " ".join(str(one.value.values.tolist()) for one in at.table) + " ".join(str(one.value) for one in (*at.markdown, *at.dataframe))
    assert events == 1 and "请补充整改情况 138" in table and "13800001111" not in table
