"""「时限」: its sentences by hand-computed numbers, its table and charts as doors, the page for several roles."""
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pandas as pd
import pytest

from dashboard import charts, compared, context, limits, listing, tables, words
from dashboard.filters import Filters
from dashboard.periods import Period
from queries import complaints, db, timing
from queries.indicators import ARRIVALS, BASES, PAIRS
from tests.pages.test_every_number_opens_its_list import office, run, ways, written  # noqa: F401

CN = ZoneInfo("Asia/Shanghai")
MARCH = Period("custom", date(2026, 3, 1), date(2026, 4, 1))
LAST_MONTH = Period("last_month", date(2026, 3, 1), date(2026, 4, 1))


@pytest.fixture(autouse=True)
def chinese():
    with words.speaking("zh"):
        yield


def frame(period=LAST_MONTH, parent=1, **filters):
    """A reader of the head office (1) with two branches (2, 3)."""
    units = {1: context.Unit(1, None, "总行", "总行", "head"), 2: context.Unit(2, 1, "宁波分行", "宁波", "branch"),
             3: context.Unit(3, 1, "青海分行", "青海", "branch")}
    chosen = Filters(period, params={"period": period.code}, **filters)
    return context.Frame(chosen, parent, datetime(2026, 4, 15, 9, tzinfo=CN), CN, units, {7: "服务产品"}, {8: "电话"})


def figures_of(now, before=(0, 0), year_ago=(0, 0), **more):
    """Limits with these pairs of compliance; more: code=(num, den) of the period."""
    counts = {f"{code}_{part}": n for code, pair in {**{code: (0, 0) for code in BASES.values()}, **more,
                                                     "compliance": now}.items() for part, n in zip(("num", "den"), pair)}
    months = pd.DataFrame({"num": [0, 9], "den": [0, 10]}, index=[date(2026, 2, 1), date(2026, 3, 1)])
    old = [{"compliance_num": num, "compliance_den": den} for num, den in (before, year_ago)]
    return limits.Limits(counts, *old, months, pd.DataFrame(), compared.Calendar({}))


# -- sentences --------------------------------------------------------------------------------------------------------

def test_the_finding_says_the_rate_its_change_and_the_other_cohorts():
    w = figures_of((389, 412), (478, 500), closed_on_time=(95, 100), received_met=(180, 200))
    assert limits.finding(w, LAST_MONTH) == (
        "上月到期**412件**，按时办结**389件**，按时办结率**94.4%**，较前一个月下降1.2个百分点；",
        "与之相比，办结口径为95.0%，高0.6个百分点；受理口径为90.0%，低4.4个百分点。")


def test_nothing_due_is_a_sentence_and_few_are_not_compared():
    assert limits.finding(figures_of((0, 0), (5, 5)), LAST_MONTH) == ("上月没有到期的投诉。",)
    first, _ = limits.finding(figures_of((8, 9), (90, 100)), LAST_MONTH)
    assert first == "上月到期**9件**，按时办结**8件**，按时办结率**88.9%**；件数少，不作比较；"
    assert "办结口径本期无件" in limits.bases(figures_of((8, 9)))


def test_the_change_is_of_the_printed_rates():
    assert limits.change(389, 412, 478, 500) == "−1.2"          # 94.4 − 95.6
    assert limits.change(50, 50, 49, 50) == "+2.0"
    assert limits.change(50, 100, 50, 100) == "0.0"
    assert limits.change(9, 9, 50, 100) == limits.change(50, 100, 9, 9) == "—", "fewer than 10 are not compared"


# -- months -----------------------------------------------------------------------------------------------------------

def test_the_months_end_with_the_periods_own():
    days = limits.months(LAST_MONTH)
    assert len(days) == 13 and days[0] == date(2025, 3, 1) and days[-1] == date(2026, 3, 1)
    assert limits.months(Period("custom", date(2026, 3, 20), date(2026, 4, 2)), 2) == [date(2026, 3, 1), date(2026, 4, 1)]
    assert limits.following(date(2026, 1, 1)) == date(2026, 2, 1) and limits.following(date(2025, 12, 1)) == date(2026, 1, 1)


def test_a_month_leads_to_itself_and_the_one_shown_nowhere():
    f = frame()
    assert limits.to_month(f, date(2026, 3, 1)) is None, "or a click would go round for ever"
    there = limits.to_month(f, date(2026, 2, 1))
    assert there == {"period": "custom", "from": "2026-02-01", "to": "2026-02-28"}, "of now, so without a moment"


def test_a_month_without_a_case_has_no_point():
    found = limits.monthly(pd.DataFrame({"compliance_num": [9], "compliance_den": [10]}, index=["2026-03"]),
                           [date(2026, 2, 1), date(2026, 3, 1)])
    assert found.values.tolist() == [[0, 0], [9, 10]]
    figure, alt = limits.months_figure(figures_of((9, 10)), LAST_MONTH)
    assert figure["data"][0]["y"] == [None, 90.0] and "90.0%" in alt
    assert "本期无到期" in figure["data"][0]["text"][0]


# -- the table by groups ----------------------------------------------------------------------------------------------

def counts(rows):
    return pd.DataFrame(rows, columns=["compliance_num", "compliance_den", "arrived_late_num", "arrived_late_den", "overdue_open_den"],
                        index=list(range(1, len(rows) + 1)))


def days(n):
    return pd.DataFrame({"days_median": [4.5] * n, "days_p90": [9.0] * n}, index=list(range(1, n + 1)))


def test_lowest_first_and_the_few_after_them():
    table = limits.assembled(counts([(3, 3, 0, 3, 0), (80, 100, 2, 100, 5), (99, 100, 0, 100, 0), (0, 0, 0, 0, 0), (0, 0, 0, 0, 2)]),
                             days(3), counts([(1, 2, 0, 0, 0), (90, 100, 0, 0, 0)]), "unit")
    assert table.index.tolist() == [2, 3, 1, 5], "what has neither due nor overdue is left out"
    assert table.late.tolist() == [20, 1, 0, 0] and table.word[2] != "small" and table.word[1] == table.word[5] == "small"
    assert table.before_den.tolist() == [100, 0, 2, 0] and pd.isna(table["median"][5])


def test_the_table_is_doors_to_the_lists():
    f = frame()
    table = limits.assembled(counts([(3, 3, 0, 3, 0), (80, 100, 2, 100, 5), (99, 100, 0, 100, 0)]), days(3), counts([(9, 9, 0, 0, 0)]), "unit")
    shown, columns = limits.shown(f, table, "unit")
    assert list(shown.columns) == list(columns) and shown.name.tolist() == ["宁波", "青海", "总行本级"]
    assert shown.cases.str.strip("\u2060\u2007").tolist() == ["80/100", "99/100", "3/3"] and shown.rate[0] == 80.0
    assert columns["name"].to == "limits" and columns["name"].address(0) == {"period": "last_month", "unit": "2", "by": "unit"}
    assert columns["name"].address(2) is None and columns["cases"].address(2) is None, "its own has no list of its own"
    at = f.as_of.isoformat()
    assert columns["cases"].address(0) == {"period": "last_month", "at": at, "code": "compliance", "unit": "2"}
    assert columns["late"].address(0) == {"period": "last_month", "at": at, "code": "compliance", "part": "rest", "unit": "2"}
    assert columns["arrived"].address(0)["code"] == "arrived_late" and columns["arrived"].address(0)["part"] == "num"
    assert columns["overdue"].address(1) is None, "nothing overdue, no list"
    assert limits.groups_sentence(f, table, "unit").startswith("宁波最低，为**80.0%**")


def test_by_month_a_row_leads_to_its_own_dates():
    f = frame()
    table = limits.assembled(counts([(8, 10, 0, 10, 0)]).set_axis([date(2026, 2, 1)]), days(1).set_axis([date(2026, 2, 1)]),
                             counts([(9, 10, 0, 10, 0)]).set_axis([date(2026, 2, 1)]), "month")
    shown, columns = limits.shown(f, table, "month")
    assert "overdue" not in columns and shown.name[0] == "2026年2月" and shown.change[0] == "−10.0"
    assert columns["cases"].address(0).items() >= {"from": "2026-02-01", "to": "2026-02-28", "period": "custom"}.items()


def test_a_phone_gives_up_columns():
    table = limits.assembled(counts([(80, 100, 2, 100, 5)]), days(1), counts([]), "category")
    shown, columns = limits.shown(frame(), table.set_axis([7]), "category", phone=True)
    assert list(columns) == ["name", "rate", "cases", "late"] and sum(one.px for one in columns.values()) <= 350


# -- where the days go ------------------------------------------------------------------------------------------------

def links_table(n=10, done=60):
    rows = {"dispatch": (8, 8), "sign": (8, 4), "handle": (7, 35), "close": (9, 9), "all": (n, done)}
    return pd.DataFrame([{"n": a, "days": b, "median": 1.0, "p90": 2.0} for a, b in rows.values()], index=list(rows))


def test_the_days_of_all_links_and_the_rest_add_up():
    assert limits.spent(links_table()) == {"dispatch": 0.8, "sign": 0.4, "handle": 3.5, "close": 0.9, "other": pytest.approx(0.4)}
    assert limits.path_sentence(links_table()) == "平均每件用时**6.0个工作日**，其中办理**3.5个**（58%）。"
    figure, alt = limits.path_figure(links_table())
    bars = figure["data"][0]
    assert bars["base"] == pytest.approx([0, 0.8, 1.2, 4.7, 5.6]) and "办理" in alt
    assert limits.path_way(frame(), 2)["code"] == "link_handle" and limits.path_way(frame(), 4) is None


def test_nothing_done_is_a_sentence():
    assert limits.path_sentence(links_table(0, 0)) == "本期没有办结的投诉。"
    assert limits.path_figure(links_table(0, 0))[1] == "本期没有办结的投诉。"
    assert limits.written(float("nan")) == "—" and limits.written(4.0) == "4" and limits.written(4.5) == "4.5"


def test_charts_of_nothing_keep_their_height():
    assert charts.months([None], ["3月"], None, {"hover": [""], "empty": "无"})["layout"]["height"] == charts.months(
        [90.0], ["3月"], 0, {"hover": [""], "empty": "无"})["layout"]["height"]
    assert charts.split_bars(["0"], [0], [0], ["0"], {"empty": "无"})["layout"]["annotations"][0]["text"] == "无"


# -- the page ---------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("login", ["demo-supervisor", "demo-ningbo", "demo-unit", "demo-service"])
def test_every_number_of_the_page_opens_its_rows(office, monkeypatch, login):  # noqa: F811
    """Links, cells of the tables and marks of the charts, for every tab; counted by the lists' own query."""
    doors = []
    original = tables.doors

    def drawn(shown, columns, **more):
        doors.append((shown, columns))
        return original(shown, columns, **more)
    monkeypatch.setattr(tables, "doors", drawn)
    found = []
    for by in limits.BY:
        at = run("limits", {"as": login, "lang": "zh", "period": "last_quarter", "by": by})
        assert at.query_params["by"] == by
        if by == "unit":
            found += [(label, written(label), params) for label, params in ways(at)]
    for shown, columns in doors:
        for key in ("cases", "late", "overdue", "arrived"):
            if key in columns:
                for row in range(min(len(shown), 6)):
                    params, text = columns[key].address(row), shown[key].iloc[row].strip("\u2060\u2007")
                    if params:
                        found.append((f"{key} {text}", int(text.split("/")[-1].replace(",", "")), params))
    found = [one for one in found if one[1] is not None]
    if login != "demo-service":  # which answers for little or nothing itself: its tables may be sentences
        assert len(doors) == 4 and len(found) > 30
    viewer = db.viewer_of(office, login)
    with db.reading(office, viewer, timeout_ms=60_000) as conn:
        for label, n, params in found:
            assert listed(conn, params) == n, (label, params)


def listed(conn, params):
    """How many rows the address's list has."""
    as_of, period = datetime.fromisoformat(params["at"]), params["period"]
    start, end = span(params, as_of) if period == "custom" else last_quarter(as_of)
    rows = complaints.listing(conn, params["code"], part=params.get("part", "den"), as_of=as_of, limit=1,
                              start=datetime.combine(start, datetime.min.time(), CN), end=datetime.combine(end, datetime.min.time(), CN),
                              **{one: int(params[one]) for one in ("unit", "category", "channel") if one in params})
    return int(rows.total.iloc[0]) if len(rows) else 0


def span(params, as_of):
    return date.fromisoformat(params["from"]), date.fromisoformat(params["to"]) + timedelta(days=1)


def last_quarter(as_of):
    today = as_of.astimezone(CN).date()
    end = date(today.year, (today.month - 1) // 3 * 3 + 1, 1)
    first = end - timedelta(days=80)
    return date(first.year, (first.month - 1) // 3 * 3 + 1, 1), end


def test_the_three_cohorts_and_their_differences_stand_on_the_page(office):  # noqa: F811
    at = run("limits", {"as": "demo-leader", "lang": "zh", "period": "last_month"})
    codes = {params["code"] for _, params in ways(at)}
    assert codes >= set(BASES.values()) | {f"{a}_or_{b}" for a, b in PAIRS}
    assert {f"{a}_not_{b}" for one in PAIRS for a, b in (one, one[::-1])} & codes
    assert codes >= {f"link_{link}" for link in timing.LINKS}
    labels = [m.label for m in at.metric]
    assert all(any(label.startswith(listing.name(code)) for label in labels) for code in (*BASES.values(), *limits.SMALL))
    assert codes & {f"arrived_{code}" for code, *_ in ARRIVALS}


@pytest.mark.parametrize("lang", words.LANGUAGES)
def test_a_reader_without_complaints_and_a_unit_at_the_end_of_the_tree(office, lang):  # noqa: F811
    at = run("limits", {"as": "demo-ningbo", "lang": lang, "period": "today"})
    assert any(("到期" if lang == "zh" else "fell due") in m.value for m in at.markdown)
    at = run("limits", {"as": "demo-unit", "lang": lang, "period": "last_month", "notes": "true"})
    assert at.title[0].value.startswith("时限执行" if lang == "zh" else "Time limits")


def test_an_empty_denominator_is_words_of_its_own_cohort():
    assert [limits.nothing(code) for code in BASES.values()] == ["本期无到期", "本期无办结", "本期无受理"]
    assert limits.nothing("first_handler_rate") == "本期无办结"
