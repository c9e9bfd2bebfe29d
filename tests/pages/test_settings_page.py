"""The page of settings: every section opens for an administrator and for nobody else; its forms do what they say."""
from datetime import date, timedelta
from urllib.parse import urlsplit

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool
from streamlit.testing.v1 import AppTest

from dashboard import administration, changes, permissions, words
from queries import accounts, acts, calendars
from queries.viewer import Role
from tests.makers import cn
from tests.pages.test_every_number_opens_its_list import APP, PAGES
from tests.pages.test_follow import office  # noqa: F401 - a demo bank of its own


@pytest.fixture
def sql(office):  # noqa: F811
    owner = create_engine(office["admin"], poolclass=NullPool)

    def run(statement, **params):
        with owner.begin() as conn:
            conn.execute(text("set local role desk_owner"))
            found = conn.execute(text(f"set local search_path = desk; {statement}"), params)
            return found.all() if found.returns_rows else None
    return run


def opened(section="users", who="demo-admin", lang="zh", **params) -> AppTest:
    at = AppTest.from_file(APP, default_timeout=30)
    params = {"as": who, "lang": lang, "section": section, **params}
    at.query_params.update(params)
    at.run()
    at.query_params.update(params)
    at.switch_page(str(PAGES / "settings.py"))
    at.query_params.update(params)
    return clean(at.run())


def clean(at):
    assert not at.exception, at.exception
    assert not at.error, [one.value for one in at.error]
    return at


def press(at, key):
    (button,) = [one for one in at.button if one.key == key]
    return clean(button.click().run())


def field(at, name, kind="text_input"):
    (one,) = [one for one in getattr(at, kind) if one.key and one.key.rpartition("_")[0] == name]
    return one


def confirm(at):
    (button,) = [one for one in at.button if one.key and one.key.startswith("confirm_")]
    return clean(button.click().run())


def said(at):
    return " ".join(one.value for kind in (at.markdown, at.toast, at.caption) for one in kind)


@pytest.mark.parametrize("lang", ["zh", "en"])
@pytest.mark.parametrize("section", administration.SECTIONS)
def test_every_section_opens_for_an_administrator(office, section, lang):  # noqa: F811
    at = opened(section, lang=lang)
    with words.speaking(lang):
        assert at.title[0].value == words.t("settings.title")
    assert at.dataframe or at.table
    assert at.segmented_control if hasattr(at, "segmented_control") else at.button_group


@pytest.mark.parametrize("role", [role for role in Role if role not in (Role.admin, Role.intake)])
def test_nobody_else_may_open_it(office, role):  # noqa: F811
    assert not permissions.may(role, "settings:read") and not permissions.may(role, "settings:write")
    at = opened()
    at.query_params["as"] = f"demo-{role}"               # the same address, the same open tab, another account
    at.run()
    assert at.session_state["viewer"].role == role and not at.exception
    assert not at.dataframe and not [one for one in at.button if one.key == "user_add"] and "无权" in at.info[0].value


def test_an_account_is_added_and_gets_its_link(office, sql):  # noqa: F811
    at = press(opened(), "user_add")
    field(at, "login").set_value("li.min")
    field(at, "name").set_value("李敏敏")
    field(at, "role", "selectbox").set_value("unit")
    field(at, "whole", "radio").set_value(False)
    two = [row[0] for row in sql("select unit_id from unit where kind = 'branch1' order by unit_id limit 2")]
    field(at, "units", "multiselect").set_value(two)
    field(at, "valid_until").set_value("2027-03-31")
    at = confirm(at)
    assert "已新增账号" in said(at)
    (row,) = sql("select user_id, role, all_units, valid_until from app_user where login = 'li.min'")
    assert (row.role, row.all_units, row.valid_until) == ("unit", False, cn("2027-04-01 00:00"))
    assert [one[0] for one in sql("select unit_id from user_scope where user_id = :u order by 1", u=row.user_id)] == two
    at = opened(item=row.user_id)
    assert "至2027年3月31日" in said(at) and "未设密码" in said(at)
    at = confirm(press(at, "user_link"))
    link = at.code[0].value
    token = urlsplit(link).path.removeprefix("/set-up/")
    assert accounts.link(office, token).login == "li.min"
    at = press(at, [one.key for one in at.button if one.key.startswith("close_")][0])
    assert not at.code and token not in said(at), "shown once"
    at = press(opened(item=row.user_id), "user_disable")
    assert "停用" in said(at)
    confirm(at)
    assert sql("select active from app_user where login = 'li.min'") == [(False,)] and accounts.link(office, token) is None
    at = press(opened(item=row.user_id), "user_edit")
    assert field(at, "valid_until").value == "2027-03-31"
    field(at, "name").set_value("李敏")
    confirm(at)
    assert sql("select name, valid_until from app_user where login = 'li.min'") == [("李敏", cn("2027-04-01 00:00"))]


def test_a_form_that_somebody_overtook_says_who(office, sql):  # noqa: F811
    (id,), = sql("select user_id from app_user where login = 'demo-leader'")
    at = press(opened(item=id), "user_edit")
    sql("update app_user set name = '别人' where user_id = :u", u=id)
    field(at, "name").set_value("我")
    at = confirm(at)
    assert "您的改动没有执行" in said(at) and sql("select name from app_user where user_id = :u", u=id) == [("别人",)]
    sql("update app_user set name = '郑国平' where user_id = :u", u=id)


def test_what_is_not_filled_in_is_asked_for(office, sql):  # noqa: F811
    at = press(opened(), "user_add")
    field(at, "login").set_value("no.scope")
    field(at, "name").set_value("某")
    field(at, "whole", "radio").set_value(False)
    at = confirm(at)
    assert "请选择范围" in said(at)
    field(at, "whole", "radio").set_value(True)
    field(at, "valid_from").set_value("someday")
    assert "日期有误" in said(confirm(at)) and sql("select 1 from app_user where login = 'no.scope'") == []


def test_the_own_account_has_no_buttons(office, sql):  # noqa: F811
    (id,), = sql("select user_id from app_user where login = 'demo-admin'")
    at = opened(item=id)
    assert "另一名管理员" in said(at) and not [one for one in at.button if one.key in ("user_edit", "user_disable", "user_link")]


def test_a_policy_is_drafted_previewed_published_and_withdrawn(office, sql):  # noqa: F811
    begins = (date.today() + timedelta(days=40)).isoformat()
    at = press(opened("policies", pack="bank"), "policy_draft")
    (limit,), = sql("select limit_id from policy_limit l join policy p using (policy_id) where p.pack = 'bank' and clock = 'r' and complexity = 'c'")
    field(at, "begins").set_value(begins)
    field(at, f"amount_{limit}", "number_input").set_value(8)
    field(at, f"target_{limit}", "number_input").set_value(5)
    at = confirm(at)
    assert "现有在办投诉" in said(at) and sql("select count(*) from policy where pack = 'bank'") == [(1,)]
    tables = [one.value for one in at.table]
    assert any("10 → 8" in str(table.to_numpy().tolist()) for table in tables)
    at = confirm(at)
    assert "新版已发布" in said(at)
    assert sql("select amount, target from policy_limit l join policy p using (policy_id) where pack = 'bank' and version = 2 and clock = 'r' and complexity = 'c'") == [(8, 5)]
    at = opened("policies", pack="bank")
    assert "第2版将于" in said(at)
    confirm(press(at, "policy_withdraw"))
    assert sql("select count(*) from policy where pack = 'bank'") == [(1,)]


def test_a_draft_that_begins_too_early_says_from_when(office):  # noqa: F811
    at = press(opened("policies", pack="bank"), "policy_draft")
    field(at, "begins").set_value("2020-01-01")
    assert "施行日最早为" in said(confirm(at))


def test_a_year_is_pasted_previewed_and_loaded(office, sql):  # noqa: F811
    (cal, year), = sql("select calendar_id, min(year) from calendar_year where status = 'estimated' and year > 2020 group by 1")
    at = press(opened("calendars"), f"load_{cal}")
    assert field(at, "year", "selectbox").value == year
    at = confirm(at)
    assert "还没有这一年" in said(at), "the packages do not know it"
    field(at, "from", "radio").set_value("pasted")
    field(at, "pasted", "text_area").set_value(f"day,working,name\n{year}-01-01,0,元旦\n{year}-13-01,0,错")
    at = confirm(at)
    assert "第3行" in said(at)
    field(at, "pasted", "text_area").set_value(f"day,working,name\n{year}-01-01,0,元旦")
    at = confirm(at)
    assert f"{year}年" in said(at) and sql("select status from calendar_year where year = :y and calendar_id = :c", y=year, c=cal) == [("estimated",)]
    at = confirm(at)
    assert "已载入" in said(at) and sql("select status, origin from calendar_year where year = :y and calendar_id = :c", y=year, c=cal) == [("published", "pasted")]


def test_a_unit_is_found_edited_and_moved(office, sql):  # noqa: F811
    (unit, above, name, short), = sql("""select u.unit_id, u.parent_id, u.name, u.short from unit u join unit p on p.unit_id = u.parent_id
                                   where u.kind = 'outlet' and p.kind = 'branch2' order by u.unit_id limit 1""")
    at = opened("units")
    (search,) = [one for one in at.text_input if one.key.startswith("unit_q")]
    at = clean(search.set_value(name).run())
    assert short in str(at.dataframe[0].value.to_numpy().tolist())
    at = press(opened("units", item=unit), "unit_edit")
    field(at, "short").set_value("新简称")
    confirm(at)
    assert sql("select short from unit where unit_id = :u", u=unit) == [("新简称",)]
    at = press(opened("units", item=unit), "contacts_edit")
    field(at, "webhook1").set_value("https://127.0.0.1/hook")
    at = confirm(at)
    assert "不能指向本机" in said(at)
    field(at, "webhook1").set_value("https://hooks.bank.example/x")
    confirm(at)
    assert sql("select webhook from unit_contact where unit_id = :u and rank = 1", u=unit) == [("https://hooks.bank.example/x",)]
    (to,), = sql("select min(unit_id) from unit where kind = 'branch2' and unit_id <> :a", a=above)
    at = press(opened("units", item=unit), "unit_move")
    field(at, "to", "selectbox").set_value(to)
    at = confirm(at)
    assert "1个单位" in said(at) and sql("select parent_id from unit where unit_id = :u", u=unit) == [(above,)]
    at = confirm(at)
    assert sql("select parent_id from unit where unit_id = :u", u=unit) == [(to,)]
    assert name in str([one.value.to_numpy().tolist() for one in opened("units").table])


def test_a_source_is_renamed_and_its_rules_stay(office, sql):  # noqa: F811
    (id, name), = sql("select source_id, name from source s where exists (select from complaint c where c.source_id = s.source_id) limit 1")
    at = press(opened("sources", item=id), "source_edit")
    assert field(at, "tz").disabled and field(at, "pack", "selectbox").disabled
    field(at, "source_name").set_value("新名称")
    confirm(at)
    assert sql("select name from source where source_id = :s", s=id) == [("新名称",)]
    sql("update source set name = :n where source_id = :s", n=name, s=id)


def test_every_refusal_of_the_database_has_words():
    import re
    from pathlib import Path
    source = (Path(APP).parents[1] / "queries" / "schema" / "0006_administration.sql").read_text("utf-8")
    codes = set(re.findall(r"perform refuse\('([a-z_]+)'", source))
    assert len(codes) > 25 and [code for code in codes if not words.has(f"settings.refused_{code}")] == []
    with words.speaking("zh"):
        assert "2027年1月2日" in changes.refusal_words(acts.Refused("too_early", earliest="2027-01-02"), changes.zone())
        assert "3件" in changes.refusal_words(acts.Refused("open_complaints", n=3), changes.zone())
        assert "0件" not in changes.refusal_words(acts.Refused("open_complaints", n=0), changes.zone())


@pytest.mark.parametrize("code", ["empty", "columns", "day", "working", "other_year", "twice", "unknown_year", "not_utf8"])
def test_every_fault_of_a_pasted_year_has_words(code):
    assert words.has(f"settings.year_bad_{code}")


def test_a_year_comes_from_the_library_the_text_or_a_file():
    class File:
        name = "notice.csv"

        def __init__(self, content):
            self.content = content

        def getvalue(self):
            return self.content

    assert changes.read_year("library", "CN", 2025, "", None)[1].startswith("chinese_calendar")
    assert changes.read_year("file", "CN", 2027, "", File(b"day,working\n2027-01-01,0\n"))[1] == "notice.csv"
    for bad, code in ((File(b"\xff\xfe"), "not_utf8"), (None, "empty")):
        with pytest.raises(calendars.CalendarError) as wrong:
            changes.read_year("file", "CN", 2027, "", bad)
        assert wrong.value.code == code
