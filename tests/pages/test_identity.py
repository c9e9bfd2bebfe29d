"""A look at an identity: a button for those who may, a reason, a minute, a trace; opening a complaint to regulators; what a former holder is shown."""
import pytest
from sqlalchemy import text

from dashboard import identity
from queries import db
from tests.pages.test_every_number_opens_its_list import office, run  # noqa: F401


@pytest.fixture
def somebody(office):  # noqa: F811
    """(number, telephone) of a complaint that is neither anonymous nor released."""
    with db.engine(office["admin"]).connect() as conn:
        return tuple(conn.execute(text("""select c.complaint_no, p.phone from desk.complaint c join desk.complainant p using (complaint_id)
            where not c.anonymous and not c.restricted and p.phone is not null and not exists (select from desk.released r where r.complaint_id = c.complaint_id)
            order by c.complaint_id desc limit 1""")).one())


def said(at):
    return " ".join(str(element.value) for element in (*at.markdown, *at.text, *at.caption, *at.title))


def traces(office, act):  # noqa: F811
    with db.engine(office["admin"]).connect() as conn:
        return conn.execute(text("select count(*) from desk.audit where act = :a"), {"a": act}).scalar_one()


def test_an_identity_is_shown_for_a_reason_and_a_minute(office, somebody, monkeypatch):  # noqa: F811
    number, phone = somebody
    at = run("complaint", {"as": "demo-supervisor", "lang": "zh", "number": number})
    assert phone not in said(at)
    before = traces(office, "reveal")
    at.button(key="reveal_open").click().run()
    at.button(key="reveal_show").click().run()
    assert any("至少4个字" in one.value for one in at.error) and traces(office, "reveal") == before and phone not in said(at)
    at.text_input(key="reveal_why_None").set_value("回访核实客户诉求")
    at.button(key="reveal_show").click().run()
    assert not at.exception and phone in said(at) and traces(office, "reveal") == before + 1
    now = identity.monotonic()
    monkeypatch.setattr(identity, "monotonic", lambda: now + identity.SECONDS + 1)
    at.run()
    assert phone not in said(at) and "identity.shown" not in at.session_state, "after its minute nothing of it is left"


@pytest.mark.parametrize("login", ["demo-leader", "demo-ningbo", "demo-department"])
def test_who_may_not_has_no_button(office, somebody, login):  # noqa: F811
    at = run("complaint", {"as": login, "lang": "zh", "number": somebody[0]})
    keys = {one.key for one in at.button}
    assert ("reveal_open" in keys) == (login == "demo-ningbo" and "没有" not in said(at)[:200] and bool(at.title)) or not at.title
    if login == "demo-leader":
        assert at.title and not keys & {"reveal_open", "release_open"}


@pytest.mark.parametrize("login", ["demo-supervisor", "demo-ningbo", "demo-leader", "demo-unit", "demo-service", "demo-department", "demo-discipline"])
def test_whoever_sees_a_complaint_opens_its_page(office, login):  # noqa: F811
    with db.reading(office, db.viewer_of(office, login)) as conn:
        number = conn.execute(text("select complaint_no from complaint order by complaint_id desc limit 1")).scalar_one()
    at = run("complaint", {"as": login, "lang": "zh", "number": number})
    assert at.title and number in said(at).replace("\\", "")


def test_a_complaint_is_opened_to_regulators_and_closed_again(office, somebody):  # noqa: F811
    number = somebody[0]
    for word, act in (("向监管开放", "release"), ("撤回开放", "release_withdrawn")):
        at = run("complaint", {"as": "demo-supervisor", "lang": "zh", "number": number})
        assert at.button(key="release_open").label == word
        before = traces(office, act)
        at.button(key="release_open").click().run()
        at.text_input(key="release_why").set_value("配合检查")
        at.button(key="release_do").click().run()
        assert not at.exception and traces(office, act) == before + 1
