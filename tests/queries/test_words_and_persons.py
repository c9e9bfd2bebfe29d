"""Search by words judges by what the viewer may read; a person is found whole, by few roles, and never without a trace."""
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from queries import complaints, db, figures
from queries.viewer import Role, Viewer
from tests import makers
from tests.makers import cn

PHONE, ID_NO = "13800001111", "330203198503121234"
LOGINS = {"sup": ("supervisor", None), "sup_a": ("supervisor", "a"), "lead": ("leader", None), "unit_a": ("unit", "a"), "unit_b": ("unit", "b"),
          "svc_a": ("service", "a"), "dep": ("department", None), "disc": ("discipline", None), "reg": ("regulator", None), "aud": ("auditor", None),
          "adm": ("admin", None)}


@pytest.fixture(scope="module")
def office(desk_module):
    """Two branches, complaints with texts and persons in each, one financial-crime report; an account for each role."""
    with create_engine(desk_module["admin"], poolclass=NullPool).begin() as conn:
        conn.execute(text("set local role desk_owner"))
        conn.execute(text("set local search_path = desk"))
        head = makers.make_unit(conn, "总行", kind="head")
        a = makers.make_unit(conn, "甲城分行", head, short="甲城", name_en="Jiacheng Branch")
        b = makers.make_unit(conn, "乙城分行", head, short="乙城")
        conn.execute(text("insert into unit_contact (unit_id, rank, name, phone) values (:u, 1, '欧阳锋', '0571-55501')"), {"u": a})
        ids = {}

        def add(key, unit, title, body="", demand="", **more):
            ids[key] = makers.make_complaint(conn, received=cn("2026-03-02 10:00"), unit=unit, title=title, **more)
            conn.execute(text("insert into complaint_text (complaint_id, text, demand) values (:i, :b, :d)"), {"i": ids[key], "b": body, "d": demand})
        add("card", a, "挂失信息录错卡号", f"客户来电，联系电话{PHONE}，身份证{ID_NO}，要求更正。", "赔偿100%损失", complaint_no="Zx-2026-0001", handler="王小明")
        add("loan", a, "贷款结清后仍被上报", "客户多次挂失未果；邮箱zhang.san@example.com", "更正征信", complaint_no="Zx-2026-00012")
        add("wide", b, "自助机吞卡", "联系电话１３８００００１１１１，卡号尾号５６７８", "退卡")
        add("crime", b, "举报挂失中的非法集资", "线索", category="financial_crime")
        add("title", b, "请回电13900002222", "")
        conn.execute(text("select keep_persons(:i, :n, :p)"), {
            "i": [ids["card"], ids["wide"], ids["crime"]], "n": ["张三", "张 三", "张三丰"], "p": ["+86 138-0000-1111", "１３８００００１１１１", "0574-87654321"]})
        conn.execute(text("update complainant set id_no = :n where complaint_id = :c"), {"n": ID_NO, "c": ids["card"]})
        for login, (role, place) in LOGINS.items():
            user = conn.execute(text("insert into app_user (login, name, role, all_units) values (:l, :l, :r, :w) returning user_id"),
                                {"l": login, "r": role, "w": place is None}).scalar_one()
            if place:
                conn.execute(text("insert into user_scope values (:u, :n)"), {"u": user, "n": a if place == "a" else b})
    return desk_module, ids


def found(office, login, words):
    urls, ids = office
    names = {number: key for key, number in ids.items()}
    with db.reading(urls, db.viewer_of(urls, login)) as conn:
        listed = complaints.listing(conn, "found", as_of=cn("2026-03-09 10:00"), start=cn("2026-03-01 00:00"), end=cn("2026-03-09 00:00"), search=words)
    return [names[one] for one in listed["complaint_id"]]


@pytest.mark.parametrize("words, expected", [
    ("挂失", {"card", "loan"}), ("失", {"card", "loan"}), ("挂失 更正", {"card", "loan"}), ("挂失 征信", {"loan"}), ("挂失　不存在", set()),
    ("zX-2026-0001", {"card", "loan"}), ("x-20", {"card", "loan"}), ("001", set()),                    # under four characters: from the beginning only
    ("甲城", {"card", "loan"}), ("jiacheng", {"card", "loan"}), ("欧阳", {"card", "loan"}), ("小明", {"card"}), ("小明 挂失", {"card"}),
    ("100%", {"card"}), ("%", {"card"}), ("_", set()), ("\\", set()), ("'; drop table complaint", set()),
    ("５６７８", {"wide"}), ("5678", {"wide"})])
def test_words_are_found_where_they_stand(office, words, expected):
    assert set(found(office, "sup", words)) == expected


def test_a_whole_number_comes_first(office):
    assert found(office, "sup", "zx-2026-0001") == ["card", "loan"]
    assert found(office, "sup", "ZX-2026-00012") == ["loan"]


@pytest.mark.parametrize("words", [PHONE, "38000", "00001111", ID_NO, "19850312", "zhang.san", "san@example", "00002222", "１３８００００１１１１"])
@pytest.mark.parametrize("login", ["sup", "lead", "unit_a", "dep"])
def test_what_is_masked_is_not_found(office, login, words):
    """Or else the search would answer whose number stands in a text."""
    assert found(office, login, words) == []


def test_what_is_shown_masked_is_found_as_it_is_shown(office):
    assert set(found(office, "sup", "138****1111")) == {"card", "wide"}
    assert found(office, "sup", "z***@example.com") == ["loan"]
    assert found(office, "sup", "139****2222") == ["title"]


@pytest.mark.parametrize("login", ["reg", "aud"])
def test_who_reads_no_complaint_finds_none(office, login):
    urls, _ = office
    assert found(office, "lead", "征信") == ["loan"]
    with db.reading(urls, db.viewer_of(urls, login)) as conn, pytest.raises(DBAPIError, match="permission denied"):
        complaints.listing(conn, "found", search="征信", as_of=cn("2026-03-20 10:00"), start=cn("2026-03-01 00:00"), end=cn("2026-04-01 00:00"))


def test_within_the_scope_only(office):
    urls, ids = office
    assert set(found(office, "unit_a", "卡")) == {"card"} and set(found(office, "unit_b", "卡")) == {"wide"}
    assert set(found(office, "disc", "挂失")) == {"crime"}
    assert "crime" not in found(office, "sup", "线索") and found(office, "unit_b", "线索") == []
    with db.reading(urls, db.viewer_of(urls, "unit_b")) as conn:                 # and so by arbitrary SQL
        for word in ("挂失", "征信", "王小明"):
            assert conn.execute(text("select count(*) from find_words(array[:w])"), {"w": word}).scalar_one() == 0


def test_a_search_counts_its_rows_and_the_file_has_them_all(bank):
    logins = {role: login for login, _, role in db.demo_accounts(bank)}
    for role in ("supervisor", "leader", "unit", "service"):
        with db.reading(bank, db.viewer_of(bank, logins[role]), timeout_ms=60_000) as conn:
            as_of = db.clock(conn)
            where = dict(as_of=as_of, start=as_of.replace(day=1, hour=0), end=as_of)
            everything = int(figures.counts(conn, ("found",), **where).found_den.sum())
            assert everything == len(complaints.listing(conn, "found", limit=None, **where))
            some = complaints.listing(conn, "found", search="客户", limit=None, **where)
            by_state = sum(len(complaints.listing(conn, "found", search="客户", state=state, limit=None, **where)) for state in "ABCDEXN")
            assert 0 < len(some) == some.total.iloc[0] == by_state <= everything
            for sort in complaints.SORTS:
                rows = complaints.listing(conn, "found", search="客户", sort=sort, limit=None, **where)
                streamed = [one for frame in complaints.stream(conn, "found", search="客户", sort=sort, rows=7, **where) for one in frame["complaint_id"]]
                assert streamed == list(rows["complaint_id"]) and len(streamed) > 7
            marked = complaints.listing(conn, "found", mark="major", limit=None, **where)
            majors = conn.execute(text("select complaint_id from complaint where major")).scalars()
            assert set(marked["complaint_id"]) == set(majors) and (len(marked) or role != "leader")
            assert all("major" in marks for marks in marked["marks"])


# -- persons --------------------------------------------------------------------------------------------------------

def person(office, login, who):
    urls, ids = office
    with db.writing(urls, db.viewer_of(urls, login)) as conn:
        found = complaints.find_person(conn, who=who)
    return {key for key, number in ids.items() if number in found}


@pytest.mark.parametrize("who, expected", [
    (PHONE, {"card", "wide"}), ("138 0000 1111", {"card", "wide"}), ("+86-138-0000-1111", {"card", "wide"}), ("１３８－００００－１１１１", {"card", "wide"}),
    ("0086 13800001111", {"card", "wide"}), (ID_NO, {"card"}), ("张三", {"card", "wide"}), ("张　三", {"card", "wide"}), ("张", set()), ("张三丰", set()),
    ("1380000111", set()), ("0001111", set()), ("38000011112", set()), ("", set()), ("%", set()), ("张%", set())])
def test_a_person_is_found_whole_or_not(office, who, expected):
    assert person(office, "sup", who) == expected


def test_a_person_is_found_within_the_scope(office):
    assert person(office, "sup_a", PHONE) == person(office, "svc_a", PHONE) == {"card"}
    assert person(office, "disc", "张三丰") == person(office, "disc", "0574 8765 4321") == person(office, "disc", "+86 574 87654321") == {"crime"}


@pytest.mark.parametrize("login", ["lead", "unit_a", "dep", "reg", "aud", "adm"])
def test_other_roles_cannot_ask(office, login):
    with pytest.raises(DBAPIError, match="permission denied|not searched"):
        person(office, login, PHONE)


def test_a_forged_role_does_not_help(office):
    urls, _ = office
    true = db.viewer_of(urls, "lead")
    forged = Viewer(true.user_id, true.login, true.name, Role.supervisor, False, (0,))
    with pytest.raises(DBAPIError, match="not searched"), db.writing(urls, forged) as conn:
        complaints.find_person(conn, who=PHONE)


def test_no_question_without_a_trace_and_no_number_in_the_trace(office):
    urls, ids = office
    with pytest.raises(DBAPIError, match="read-only"), db.reading(urls, db.viewer_of(urls, "sup")) as conn:
        complaints.find_person(conn, who=PHONE)
    person(office, "sup", PHONE), person(office, "sup", "张三"), person(office, "sup", ID_NO), person(office, "sup", "5550 1234 ")
    with db.reading(urls, db.viewer_of(urls, "aud")) as conn:
        rows = conn.execute(text("select params, params::text as whole, who_is(user_id) as who from audit where act = 'person_search' order by audit_id desc limit 4")).all()
    assert [row.params["masked"] for row in rows] == ["55****4", "330****1234", "张**", "138****1111"] and {row.who for row in rows} == {"sup"}
    assert sorted(rows[3].params["complaints"]) == sorted([ids["card"], ids["wide"]]) and rows[3].params["found"] == 2 and rows[0].params["found"] == 0
    assert not any(secret in row.whole for row in rows for secret in (PHONE, ID_NO, "张三", "55501234"))


def test_a_failure_does_not_log_the_number(office):
    urls, _ = office
    with pytest.raises(DBAPIError) as raised, db.writing(urls, db.viewer_of(urls, "lead")) as conn:
        complaints.find_person(conn, who=PHONE)
    assert PHONE not in str(raised.value)


def test_an_export_leaves_a_trace(office):
    urls, _ = office
    for login in ("lead", "reg"):
        with db.writing(urls, db.viewer_of(urls, login)) as conn:
            complaints.exported(conn, list="逾期未办结", format="csv", rows=12)
    with db.reading(urls, db.viewer_of(urls, "aud")) as conn:
        rows = conn.execute(text("select who_is(user_id) as who, params from audit where act = 'export' order by audit_id")).all()
    assert [(row.who, row.params) for row in rows] == [(login, {"list": "逾期未办结", "format": "csv", "rows": 12}) for login in ("lead", "reg")]
    with pytest.raises(DBAPIError), db.writing(urls, db.viewer_of(urls, "adm")) as conn:
        complaints.exported(conn, list="x", format="csv", rows=1)
