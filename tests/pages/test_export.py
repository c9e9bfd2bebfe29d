"""A file holds exactly the rows and the masking of its list; nothing in it runs in a spreadsheet."""
import csv
import io
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import openpyxl
import pandas as pd
import pytest
import streamlit as st
from sqlalchemy import text

from dashboard import exports, words
from dashboard.exports import Column
from queries import db
from tests.pages.test_every_number_opens_its_list import office, run  # noqa: F401

ZONE = ZoneInfo("Asia/Shanghai")
HOSTILE = ['=HYPERLINK("http://e.org","x")', "+8613800001111", "@SUM(A1)", "－1", "-2+3", "＝1+1", "＋1", "＠x", "\t=1", "\r=1", " =1", "\u200b=1",
           "\ufeff=cmd|' /C calc'!A0", "=1\nzwei"]
HARMLESS = ["挂失", "1-2", "a=b", "—", "#N/A", "'quoted", '"q", und', "zwei\nZeilen", "20240924-0003", "007", "", "−1°"]


def book(content):
    return openpyxl.load_workbook(io.BytesIO(content))


def sheet(content):
    return list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")))


def both(frame, columns, about=()):
    with words.speaking("zh"):
        made = [write([frame], columns, ZONE) for write in (exports.csv_file, exports.xlsx_file)]
        assert [one.rows for one in made] == [len(frame)] * 2
        return made[0].finish("清单", about), made[1].finish("清单", about)


# -- pure -----------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("evil", HOSTILE)
def test_no_cell_is_a_formula(evil):
    plain, typed = both(pd.DataFrame({"title": [evil]}), {"title": Column("事由")})
    cell = sheet(plain)[1][0]
    assert cell[0] == "'" and cell[1:] == exports.clean(evil)
    cell = book(typed).worksheets[0]["A2"]
    assert cell.data_type == "s" and cell.quotePrefix
    assert cell.value.replace("\r", "\n").replace("_x000D_", "\n") == exports.clean(evil).replace("\r", "\n"), "kept as it is, and typed as text"


def test_everything_else_is_as_it_was():
    plain, typed = both(pd.DataFrame({"title": HARMLESS}), {"title": Column("事由")})
    assert [row[0] if row else "" for row in sheet(plain)[1:]] == HARMLESS
    cells = [row[0] for row in book(typed).worksheets[0].iter_rows(min_row=2)]
    assert [cell.value or "" for cell in cells] == HARMLESS and all(cell.data_type in "sn" for cell in cells if cell.value)
    assert cells[HARMLESS.index("007")].data_type == "s"


def test_numbers_and_dates_keep_their_type():
    noon = datetime(2026, 3, 5, 15, 59, 59, 999_999, tzinfo=UTC)
    frame = pd.DataFrame({"n": pd.array([-3, None], "Int64"), "x": [1.25, None], "p": [0.944, None], "d": [date(2026, 3, 5), None], "m": [noon, None],
                          "marks": [["重大", "媒体"], []], "t": ["甲", None]})
    columns = {name: Column(name, kind) for name, kind in zip(frame, ("whole", "number", "percent", "day", "moment", "text", "text"))}
    plain, typed = both(frame, columns)
    assert plain.startswith(b"\xef\xbb\xbf") and sheet(plain)[1:] == [["-3", "1.25", "0.944", "2026-03-05", "2026-03-05 23:59", "重大、媒体", "甲"], [""] * 7]
    first = book(typed).worksheets[0]
    assert [cell.value for cell in first[2]] == [-3, 1.25, 0.944, datetime(2026, 3, 5), datetime(2026, 3, 5, 23, 59, 59), "重大、媒体", "甲"]
    assert [cell.number_format for cell in first[2]][:5] == ["0", "0.0", "0.0%", "yyyy-mm-dd", "yyyy-mm-dd hh:mm"]
    assert [cell.value for cell in first[3]][:5] == [None] * 5 and first.freeze_panes == "A2" and first.auto_filter.ref == "A1:G3"


def test_what_no_cell_may_hold_is_left_out():
    plain, typed = both(pd.DataFrame({"t": ["a\x00b\x0b\u202ec\u2066", "\u2060\u2007\u200712"]}), {"t": Column("t")})
    assert [row[0] for row in sheet(plain)[1:]] == ["abc", "12"] and book(typed).worksheets[0]["A2"].value == "abc"
    long = both(pd.DataFrame({"t": ["客" * 40_000]}), {"t": Column("t")})[1]
    assert len(book(long).worksheets[0]["A2"].value) == exports.CELL


def test_the_second_sheet_says_what_it_is():
    told = book(both(pd.DataFrame({"t": ["x"]}), {"t": Column("t")}, [("公式", "=1+1"), ("行数", "1")])[1])
    assert told.sheetnames == ["清单", "口径"]
    assert [[cell.value for cell in row] for row in told["口径"]] == [["清单", "清单"], ["公式", "=1+1"], ["行数", "1"]]
    assert all(cell.data_type == "s" for row in told["口径"] for cell in row)


# -- the pages' files -----------------------------------------------------------------------------------------------

@pytest.fixture
def files(monkeypatch):
    """What the buttons of a page would give: {kind: (name, make)}."""
    offered = {}

    def button(label, made, file_name, mime, **how):
        offered[file_name.rsplit(".", 1)[1]] = (file_name, made, how)
    monkeypatch.setattr(st, "download_button", button)
    return offered


LISTS = [("demo-supervisor", {"code": "overdue_list"}), ("demo-ningbo", {"code": "compliance", "part": "rest", "period": "twelve_months"}),
         ("demo-leader", {"code": "found", "q": "挂失"}), ("demo-unit", {"code": "found"}), ("demo-service", {"code": "found", "sort": "oldest"}),
         ("demo-department", {"code": "found", "state": "B", "sort": "late"}), ("demo-discipline", {"code": "found"}),
         ("demo-department", {"code": "due", "period": "last_quarter"}), ("demo-leader", {"line": "received", "period": "last_month"})]


@pytest.mark.parametrize("login, params", LISTS, ids=lambda one: one if isinstance(one, str) else "-".join(one.values()))
def test_a_file_has_the_rows_of_its_list(office, files, login, params):  # noqa: F811
    pages, first = [], None
    while True:
        at = run("complaints", {"as": login, "lang": "zh", **params, **({"page": str(len(pages) + 1)} if pages else {})})
        if not at.dataframe:
            pytest.fail("no rows to compare")
        shown = at.dataframe[0].value
        if first is None:
            first, made = shown, {kind: offer for kind, offer in files.items()}
            n = int(next(m.value for m in at.markdown if "共找到" in m.value).split("**")[1].rstrip("件").replace(",", ""))
        pages.append(shown)
        if sum(map(len, pages)) >= n:
            break
    rows = sheet(made["csv"][1]())
    workbook = book(made["xlsx"][1]())
    table = list(workbook.worksheets[0].iter_rows(values_only=True))
    listed = [number for page in pages for number in page["number"]]
    assert len(listed) == n and [row[0] for row in rows[1:]] == listed == [row[0] for row in table[1:]]
    state = rows[0].index("状态")
    assert [row[state] for row in rows[1:]] == [one for page in pages for one in page["state"]]
    matter = rows[0].index("事由摘要")
    for whole, short in zip((row[matter] for row in rows[1:]), (one for page in pages for one in page["matter"])):
        assert whole == short or whole.startswith(short.rstrip("…")), "the same words, whole"
    told = {row[0]: row[1] for row in workbook.worksheets[1].iter_rows(values_only=True)}
    assert told["行数"] == f"{n:,}" and told["导出人"] and told["数据截至"] and told["清单"] in made["xlsx"][0] or "·" in told["清单"]


def test_the_overdue_files(office, files):  # noqa: F811
    for login in ("demo-supervisor", "demo-leader"):
        files.clear()
        at = run("overdue", {"as": login, "lang": "zh"})
        rows = sheet(files["csv"][1]())
        assert [row[1] for row in rows[1:]] == list(at.dataframe[0].value["number"]) and len(rows) > 1
        assert rows[0] == ["标记", "编号", "逾期(工作日)", "剩余(工作日)", "时限", "缺回复", "事由摘要", "类别", "渠道", "被投诉单位", "承办单位", "考核归属",
                           "当前环节", "停留(工作日)", "到单剩余(工作日)", "第一联系人", "联系电话", "催办次数", "最近催办", "签收", "承诺办结日", "报备理由"]
        assert [int(row[2]) for row in rows[1:]] == list(at.dataframe[0].value["days_late"])


def test_in_the_language_of_the_page(office, files):  # noqa: F811
    run("complaints", {"as": "demo-leader", "lang": "en", "code": "overdue_list"})
    rows, workbook = sheet(files["csv"][1]()), book(files["xlsx"][1]())
    assert rows[0][:3] == ["Number", "Marks", "State"] and rows[1][2] == "Overdue, open" and workbook.sheetnames == ["List", "Definitions"]


def test_a_disabled_account_gets_nothing_and_an_export_is_in_the_audit(office, files):  # noqa: F811
    run("complaints", {"as": "demo-leader", "lang": "zh", "code": "overdue_list"})
    make = files["csv"][1]
    n = len(sheet(make())) - 1
    with db.reading(office, db.viewer_of(office, "demo-auditor")) as conn:
        last = conn.execute(text("select params from audit where act = 'export' order by audit_id desc limit 1")).scalar_one()
    assert last == {"list": "逾期未办结", "format": "csv", "rows": n}
    with db.engine(office["admin"]).begin() as conn:
        conn.execute(text("update desk.app_user set active = false where login = 'demo-leader'"))
    try:
        with pytest.raises(db.NotAllowed):
            make()
    finally:
        with db.engine(office["admin"]).begin() as conn:
            conn.execute(text("update desk.app_user set active = true where login = 'demo-leader'"))


def test_no_telephone_leaves_with_a_file(office, files):  # noqa: F811
    """Sweep: no customer's number of the demo stands in a file of any role."""
    with db.engine(office["admin"]).connect() as conn:
        phones = set(conn.execute(text("select phone from desk.complainant where phone is not null")).scalars())
    for login in ("demo-supervisor", "demo-unit", "demo-service"):
        run("complaints", {"as": login, "lang": "zh", "code": "found"})
        content = files["csv"][1]().decode("utf-8-sig")
        assert len(content) > 1_000 and not any(phone in content for phone in phones)
