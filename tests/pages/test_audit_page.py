"""The page of the auditor: what was done, in sentences; narrowed by the address; nobody else opens it."""
import pytest
from sqlalchemy import text

from dashboard import audit
from queries import db
from tests.pages.test_export import files, office  # noqa: F401
from tests.pages.test_search import run


@pytest.fixture
def acted(office):  # noqa: F811
    viewer = db.viewer_of(office, "demo-supervisor")
    with db.writing(office, viewer) as conn:
        conn.execute(text("select audit_add('reveal', (select min(complaint_id) from complaint), jsonb_build_object('reason', '回访核实'))"))
        conn.execute(text("select audit_add('settings', null, '{\"old\": {\"name\": \"甲\"}, \"new\": {\"name\": \"乙\"}}')"))
        number = conn.execute(text("select complaint_no from complaint order by complaint_id limit 1")).scalar_one()
        done = conn.execute(text("select clock_timestamp()")).scalar_one()
    db.tick(office, viewer, covers=done)            # the running tick may be older than what was just done
    return number


def test_it_says_what_was_done(acted):
    at = run("audit", {"as": "demo-auditor", "lang": "zh"})
    assert not at.exception
    rows = at.dataframe[0].value
    shown = rows[rows["act"] == "查看身份信息"].iloc[0]
    assert shown["number"] == acted and shown["details"] == "原因：回访核实" and "李敏" in shown["who"]
    assert "原值：姓名 甲；新值：姓名 乙" in rows["details"].tolist()
    assert any("链条完整" in one.value for one in at.markdown)


def test_the_address_narrows_it(acted):
    at = run("audit", {"as": "demo-auditor", "lang": "zh", "act": "reveal", "number": acted})
    assert set(at.dataframe[0].value["act"]) == {"查看身份信息"}
    assert run("audit", {"as": "demo-auditor", "lang": "zh", "number": "nothing"}).dataframe.len == 0
    at = run("audit", {"as": "demo-auditor", "lang": "zh", "who": "999999", "act": "; drop", "page": "x"})
    assert not at.exception and at.dataframe.len == 1, "what the list does not know is not asked"


@pytest.mark.parametrize("login", ["demo-supervisor", "demo-leader", "demo-admin", "demo-regulator", "demo-unit"])
def test_nobody_else_opens_it(office, login):  # noqa: F811
    at = run("review", {"as": login, "lang": "zh"})
    assert not at.exception and "audit" not in at.session_state["navigation.open"]


def test_unknown_acts_and_values_stand_as_they_are():
    assert audit.details({"who_knows": [1, None], "complaints": [1, 2]}) == "who_knows：1 → —"
