"""The search page: words in the address and counted, a person nowhere but in the session."""
from urllib.parse import parse_qsl

import pytest
from sqlalchemy import text

from dashboard import listing, permissions, search
from queries import db
from queries.viewer import Role
from tests.pages.test_every_number_opens_its_list import listed, office, run, written  # noqa: F401

ROLES = ("demo-supervisor", "demo-ningbo", "demo-leader", "demo-unit", "demo-service", "demo-department", "demo-discipline")


# -- pure -----------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("typed", ["13800001111", "1380000 1111", "138-0000-1111", "＋86 138 0000 1111", "１３８００００１１１１", "8613800001111",
                                   "客户13800001111来电", "330203198503121234", "33020319850312123X", "a@b.cn", "找 zhang@example.com"])
def test_what_identifies_a_person(typed):
    assert search.personal(typed)


@pytest.mark.parametrize("typed", [None, "", "挂失", "20240924-0003", "202409240003", "2026092400012345678", "138****1111", "95580", "0574-87654321", "甲@乙",
                                   "138000011112", "400-888-8888"])
def test_what_does_not(typed):
    assert not search.personal(typed)


def test_a_person_is_shown_masked():
    assert [search.masked(who) for who in ("138 0000-1111", "１３８００００１１１１", "330203198503121234", "87654321", "张三", " 欧阳锋")] == [
        "138****1111", "138****1111", "330****1234", "87****1", "张**", "欧**"]


def test_what_an_address_asks_for():
    assert listing.asked({}).code == "backlog" and listing.asked({"q": "  "}).code == "backlog"
    words = listing.asked({"q": " 挂失　 宁波 "})
    assert (words.code, words.q, words.order, words.timed) == ("found", "挂失 宁波", "newest", False)
    assert listing.asked({"q": "挂失", "code": "overdue_list"}).code == "overdue_list", "a figure's list stays what it is"
    bad = listing.asked({"state": "Q", "mark": "x", "sort": "; drop", "code": "nothing", "ageing": "9"})
    assert bad == listing.Asked()
    given = listing.Asked("found", state="E", mark="media", q="挂失", sort="due")
    assert listing.asked(given.address()) == given
    assert given.ask((7,)) == {"part": "den", "sort": "due", "state": "E", "mark": "media", "search": "挂失", "ids": (7,)}


def test_who_may_look_for_a_person():
    assert {role for role in Role if permissions.may(role, "person")} == {Role.supervisor, Role.service, Role.discipline}
    assert {role for role in Role if permissions.may(role, "export")} == permissions.READS_COMPLAINTS | {Role.regulator, Role.auditor}


# -- the page -------------------------------------------------------------------------------------------------------

def links(at):
    return {link.proto.label: dict(parse_qsl(link.proto.query_string)) for link in at.get("page_link") if link.proto.page == "complaints"}


@pytest.mark.parametrize("login", ROLES)
def test_a_search_says_how_many_and_where(office, login):  # noqa: F811
    here = {"as": login, "lang": "zh", "period": "last_month"}
    at = run("complaints", {**here, "q": "客户"})
    total = written(next(m.value for m in at.markdown if "共找到" in m.value).split("**")[1])
    assert total and total == listed({**here, "q": "客户", "code": "found"})
    inside = next(((label, to) for label, to in links(at).items() if "其中上月受理" in label), None)
    if inside:
        assert inside[1]["code"] == "received" and inside[1]["q"] == "客户"
        assert listed(inside[1]) == written(inside[0])
    at = run("complaints", {**here, "q": "客户", "code": "received"})
    label, to = next((label, to) for label, to in links(at).items() if "在全部投诉中查" in label)
    assert written(label) == total == listed(to)


def test_state_marks_and_order_are_in_the_address(office):  # noqa: F811
    here = {"as": "demo-leader", "lang": "zh", "code": "found"}
    every = listed(here)
    assert every == sum(listed({**here, "state": state}) for state in "ABCDEXN") > 0
    assert 0 < listed({**here, "mark": "repeat"}) < every
    at = run("complaints", {**here, "sort": "oldest", "state": "A"})
    assert set(at.dataframe[0].value["state"]) == {"按时办结"}
    days = [number[:8] for number in at.dataframe[0].value["number"]]
    assert days == sorted(days), "the demo's numbers begin with the day"


def test_the_menu_of_lists_offers_lists(office):  # noqa: F811
    """Of work that is to be done counts, of quality the rows that make the rate; each opens."""
    assert all(listing.CATALOGUE[code].num is None and listing.CATALOGUE[code].cohort == "open" for code in search.WORK)
    for code, part in search.QUALITY:
        assert (part == "den") == (listing.CATALOGUE[code].num is None), code
        at = run("complaints", {"as": "demo-supervisor", "lang": "zh", "code": code, "part": part, "period": search.LONG})
        assert any("共找到" in m.value for m in at.markdown)


def test_the_counts_of_the_menu_are_those_of_its_lists(office):  # noqa: F811
    at = run("complaints", {"as": "demo-ningbo", "lang": "zh", "code": "found"})
    at.session_state["presets"] = True
    at.run()
    here = {label: to for label, to in links(at).items() if to.get("code") in search.WORK}
    if not here:
        pytest.skip("the test runner does not open the menu")
    for label, to in here.items():
        assert listed(to) == written(label), label


def type_words(at, words):
    at.text_input(key="search_words").set_value(words).run()
    assert not at.exception, at.exception
    return at


def a_phone(office, login):  # noqa: F811
    """A telephone number whose complaint this account may see, and its complaints."""
    with db.engine(office["admin"]).connect() as conn:
        viewer = db.viewer_of(office, login)
        with db.reading(office, viewer) as seen:
            ids = list(seen.execute(text("select complaint_id from complaint order by complaint_id desc limit 200")).scalars())
        row = conn.execute(text("select complaint_id, phone from desk.complainant where complaint_id = any (:i) and phone is not null limit 1"), {"i": ids}).one()
        return row.phone, row.complaint_id


@pytest.mark.parametrize("login", ["demo-supervisor", "demo-service", "demo-discipline"])
def test_a_person_is_found_and_stays_out_of_the_address(office, login):  # noqa: F811
    phone, complaint = a_phone(office, login)
    at = type_words(run("complaints", {"as": login, "lang": "zh", "code": "done", "period": "week"}), phone)
    assert phone not in str(dict(at.query_params)) and "q" not in at.query_params
    assert phone not in str([element.value for element in (*at.markdown, *at.text_input)]) and phone not in str(at.session_state["search.person"])
    assert complaint in at.session_state["search.person"]["ids"]
    assert len(at.dataframe[0].value) == len(at.session_state["search.person"]["ids"])
    chip = at.button(key="forget_person")
    assert search.masked(phone) in chip.label.replace("\\", "")
    chip.click().run()
    assert "search.person" not in at.session_state


def test_a_figures_list_is_not_narrowed_by_the_person(office):  # noqa: F811
    phone, _ = a_phone(office, "demo-supervisor")
    at = type_words(run("complaints", {"as": "demo-supervisor", "lang": "zh"}), phone)
    at.query_params["code"] = "backlog"
    at.run()
    n = written(next(m.value for m in at.markdown if "共找到" in m.value).split("**")[1])
    assert n == listed({"as": "demo-supervisor", "lang": "zh", "code": "backlog"}) > 1
    assert not [button for button in at.button if button.key == "forget_person"]


@pytest.mark.parametrize("login", ["demo-leader", "demo-unit", "demo-department"])
def test_other_roles_are_told_and_nothing_is_written(office, login):  # noqa: F811
    at = type_words(run("complaints", {"as": login, "lang": "zh"}), "13800001111")
    assert "q" not in at.query_params and "search.person" not in at.session_state
    assert any("不能在这里查" in m.value and "按客户" not in m.value for m in at.markdown)
    assert not [one for one in at.text_input if one.key == "person_typed"]


def test_a_link_with_a_number_loses_it(office):  # noqa: F811
    at = run("complaints", {"as": "demo-supervisor", "lang": "zh", "q": "13800001111"})
    assert "q" not in at.query_params and not any("13800001111" in m.value for m in at.markdown)


def test_words_go_into_the_address(office):  # noqa: F811
    at = type_words(run("complaints", {"as": "demo-supervisor", "lang": "zh", "page": "2"}), " 挂失　 卡 ")
    assert at.query_params["q"] in ("挂失 卡", ["挂失 卡"]) and "page" not in at.query_params


@pytest.mark.parametrize("language, at_least, every", [("zh", "至少30件", "共找到"), ("en", "At least **30**", "complaints found.")])
def test_beyond_the_cap_the_page_says_at_least_and_counts_when_asked(office, monkeypatch, language, at_least, every):  # noqa: F811
    monkeypatch.setattr(search.complaints, "CAP", 30)
    here = {"as": "demo-leader", "lang": language, "q": "办理" if language == "zh" else "说明", "code": "found"}
    at = run("complaints", here)
    said = " ".join(m.value for m in at.markdown).replace("**至少30件**", "至少30件")
    assert at_least in said and len(at.dataframe[0].value) == 30, "what is said and what is listed end together"
    assert any(link.proto.page == "complaints" and "count=all" in link.proto.query_string for link in at.get("page_link"))
    at = run("complaints", {**here, "count": "all"})
    total = written(next(m.value for m in at.markdown if every in m.value).split("**")[1])
    assert total > 30 and len(at.dataframe[0].value) == min(total, 200)
