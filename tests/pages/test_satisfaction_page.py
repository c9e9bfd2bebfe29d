"""The satisfaction page: its statistics by hand, its sentences, and that each of its numbers opens its rows for every role."""
import re
from datetime import UTC, date, datetime
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pandas as pd
import pytest
from sqlalchemy import text

from dashboard import charts, satisfaction, signals, tables, words
from dashboard.context import Frame, Unit
from dashboard.filters import Filters
from dashboard.periods import Period
from queries import db
from queries.figures import wilson
from tests.pages.test_every_number_opens_its_list import Doors, cards, counted, office, run, ways, written  # noqa: F401

MARCH = Period("last_month", date(2026, 3, 1), date(2026, 4, 1))
EVERYBODY = ("demo-supervisor", "demo-ningbo", "demo-leader", "demo-unit", "demo-service", "demo-department", "demo-discipline")
RATES = [f"{code}_{part}" for code in satisfaction.RATES for part in ("num", "den")]


def counts(satisfied=0, answered=0, reached=None, called=0, done=0, **more):
    """Counts as ``figures.counts`` gives them."""
    return {"satisfaction_num": satisfied, "satisfaction_den": answered, "reach_rate_num": answered if reached is None else reached,
            "reach_rate_den": called, "call_back_rate_num": called, "call_back_rate_den": done, "unit_satisfaction_num": 0,
            "unit_satisfaction_den": 0, "gap_unit_num": 0, "gap_unit_den": 0, "gap_office_num": 0, "gap_office_den": 0,
            "gap_contradicted_den": 0, "low_score_num": 0, "low_score_den": 0, "call_again_den": 0} | more


def seen(now, before=None, ago=None, groups=None):
    return satisfaction.Seen(now, before or counts(), ago or counts(), satisfaction.last_months(date(2026, 3, 31)),
                             pd.DataFrame({column: [0] * 13 for column in RATES[:4]}), pd.DataFrame(), groups, "")


def table(**rows):
    """Groups by name: (satisfied, answered, called, done)."""
    return pd.DataFrame([{"satisfaction_num": k, "satisfaction_den": n, "reach_rate_num": n, "reach_rate_den": called,
                          "call_back_rate_num": called, "call_back_rate_den": done} for k, n, called, done in rows.values()], index=list(rows))


# -- statistics, by hand

def test_the_interval_of_a_difference_is_newcombes():
    low, high = satisfaction.newcombe((56, 70), (48, 80))
    assert (round(low, 2), round(high, 2)) == (5.24, 33.39), "Newcombe 1998, table II (a), method 10"
    low, high = satisfaction.newcombe((10, 10), (0, 10))
    assert (round(low, 1), round(high, 1)) == (60.7, 100.0)
    assert satisfaction.newcombe((1, 2), (0, 0)) is None


def test_what_silence_may_hide_is_bounded_as_by_manski():
    low, high = satisfaction.manski(86, 98, 156)
    assert (round(low, 2), round(high, 2)) == (55.13, 92.31), "86/156 and (86 + 58)/156"
    assert satisfaction.manski(0, 0, 0) is None
    assert satisfaction.manski(5, 5, 5) == (100, 100)


def test_agreement_is_cohens_kappa():
    assert satisfaction.kappa(20, 25, 30, 50) == pytest.approx(0.4), "agree 35/50, by chance 0.5"
    assert satisfaction.kappa(5, 5, 5, 10) == 1 and satisfaction.kappa(0, 5, 5, 10) == -1
    assert satisfaction.kappa(10, 10, 10, 10) is None, "all answers alike: nothing to agree on"
    assert satisfaction.kappa(0, 0, 0, 0) is None


def test_equal_rates_share_a_rank_and_few_cases_have_none():
    assert signals.standing([18, 9, 27, 5, 12], [20, 10, 30, 5, 12]) == [2, 2, 2, None, 1], "90 % thrice, 5/5 is too few, 12/12 first"
    assert signals.standing([8, 9, 9, 7], [10, 10, 10, 10]) == [3, 1, 1, 4], "1, 1, 3, 4"
    assert signals.standing([1, 2], [10, 10], better="less") == [1, 2]


def test_groups_are_listed_by_rate_and_few_cases_after_them():
    made = satisfaction.compared_rates(table(a=(18, 20, 30, 99), b=(9, 10, 12, 40), c=(5, 5, 9, 30), d=(12, 12, 13, 50), e=(0, 0, 3, 20), f=(0, 0, 0, 7)))
    assert made.index.tolist() == ["d", "a", "b", "c", "e"], "f was not called: nothing to list"
    assert made["rank"].tolist() == [1, 2, 2, None, None]
    assert made["word"].tolist()[3:] == ["small", "small"]
    assert made["rate"].tolist() == [100, 90, 90, 100, None], "no answer is neither 0 nor 100"
    assert (made["low"].iloc[0], made["high"].iloc[0]) == wilson(12, 12)


def test_the_largest_gap_first_and_few_cases_last():
    units = pd.DataFrame({"gap_unit_num": [19, 10, 3, 0], "gap_office_num": [16, 9, 0, 0], "gap_unit_den": [20, 10, 3, 0],
                          "gap_contradicted_den": [3, 1, 3, 0]}, index=[1, 2, 3, 4])
    made = satisfaction.gaps(units)
    assert made.index.tolist() == [1, 2, 3] and made["few"].tolist() == [False, False, True]
    assert made["gap"].tolist() == [15, 10, 100], "3 of 3 is the largest gap, of three cases"


def test_thirteen_months_up_to_the_day():
    months = satisfaction.last_months(date(2026, 3, 9))
    assert (months[0], months[-1], len(months)) == (date(2025, 3, 1), date(2026, 3, 1), 13)
    assert satisfaction.chosen(months, MARCH) == 12 and satisfaction.chosen(months, Period("custom", date(2026, 3, 1), date(2026, 3, 31))) is None


# -- sentences

def test_the_finding_in_chinese_and_english():
    page = seen(counts(86, 98, called=156, done=600), counts(180, 200, called=300))
    with words.speaking("zh"):
        assert satisfaction.headline(page, MARCH) == [
            "上月抽查回访**156件**，接通**98件**，接通率62.8%；满意率**87.8%**（86/98），95%区间79.8%—92.9%。",
            "满意率较前一个月下降2.2个百分点，未超出抽样误差。"]
        assert satisfaction.unheard(page) == "未取得答复的58件若全部满意，满意率至多92.3%；若全部不满意，至少55.1%。"
    with words.speaking("en"):
        line, change = satisfaction.headline(page, MARCH)
        assert line == "Of **156** called back last month, **98** were reached (62.8%); **87.8%** are content (86/98), 95% interval 79.8%–92.9%."
        assert "2.2 points below" in change and "no more than chance" in change


def test_a_fall_beyond_chance_is_said_and_few_cases_are_not_compared():
    with words.speaking("zh"):
        assert "已超出抽样误差" in satisfaction.change(seen(counts(120, 200, called=300), counts(180, 200, called=300)), MARCH)
        assert satisfaction.change(seen(counts(8, 9, called=20), counts(180, 200, called=300)), MARCH) == "本期或前一个月答复不足10件，不作比较。"
        assert satisfaction.year_on_year((8, 9), (180, 200)) == ""
        assert satisfaction.year_on_year((180, 200), (160, 200)) == "满意率上升10.0个百分点"


def test_nobody_called_and_nobody_reached_are_sentences_not_rates():
    with words.speaking("zh"):
        assert satisfaction.headline(seen(counts()), MARCH) == ["上月没有抽查回访。"]
        nobody = seen(counts(called=4, reached=0, done=9))
        assert satisfaction.headline(nobody, MARCH) == ["上月抽查回访**4件**，接通**0件**，没有取得满意度答复。"]
        made = dict((key, card) for key, card, _ in satisfaction.cards(nobody, MARCH))
        assert made["satisfaction"]["value"] == "—" and made["reach_rate"]["value"] == "0.0%" and made["reach_rate"]["note"] == "0/4"
        assert satisfaction.unheard(seen(counts())) == "" and satisfaction.gap_sentence(nobody) == "本期没有双方都回访的件，不作两源对照。"


def test_the_gap_is_said_with_its_sign_and_few_cases_with_a_warning():
    both = dict(gap_unit_num=248, gap_unit_den=256, gap_office_num=225, gap_office_den=256, gap_contradicted_den=30)
    with words.speaking("zh"):
        assert satisfaction.gap_sentence(seen(counts(**both))) == ("双方都回访的**256件**，单位自报满意率96.9%（248/256），抽查满意率87.9%（225/256），"
                                                                   "两源差异+9.0个百分点；其中**30件**单位报满意、抽查不满意。")
        few = dict(gap_unit_num=1, gap_unit_den=2, gap_office_num=2, gap_office_den=2)
        assert satisfaction.gap_sentence(seen(counts(**few))).startswith("样本不足10件，仅列示：") and "−50.0" in satisfaction.gap_sentence(seen(counts(**few)))
    assert satisfaction.agreement(seen(counts(**both))) == pytest.approx(satisfaction.kappa(218, 248, 225, 256))


# -- charts

def test_the_intervals_chart_draws_few_cases_hollow_and_lets_them_not_set_the_scale():
    points = [{"label": "甲", "rate": 90.0, "low": 80.0, "high": 95.0, "kind": "", "hover": ""},
              {"label": "乙", "rate": 0.0, "low": 0.0, "high": 65.8, "kind": "small", "hover": ""},
              {"label": "丙", "rate": None, "low": None, "high": None, "kind": "small", "hover": ""},
              {"label": "丁", "rate": 100.0, "low": 56.6, "high": 100.0, "kind": "small", "hover": ""}]
    figure = charts.intervals(points, 88.0, {"mean": "全体88.0%", "empty": ""})
    trace, (low, high) = figure["data"][0], figure["layout"]["xaxis"]["range"]
    assert 70 < low < 80 and high >= 100
    assert trace["marker"]["symbol"] == ["circle", "triangle-left-open", "circle-open", "circle-open"], "off the scale is marked at its edge"
    assert trace["x"] == [90, low, None, 100]
    assert trace["error_x"]["arrayminus"][0] == 10 and trace["error_x"]["array"][0] == 5
    assert trace["error_x"]["arrayminus"][3] == pytest.approx(100 - low), "a whisker ends where the chart does"
    assert figure["layout"]["height"] == 34 + 34 * 4 + 24, "a row of the table beside it"
    assert charts.intervals([], None, {"empty": "无"})["data"], "nothing to draw is still a figure"


def test_the_months_carry_their_intervals():
    figure = charts.months([90.0, None, 80.0], ["1月", "2月", "3月"], 2, {"hover": ["", "", ""], "empty": ""}, bounds=[(80.0, 95.0), None, (70.0, 88.0)])
    assert figure["data"][0]["error_y"]["array"] == [5, 0, 8] and figure["data"][0]["error_y"]["arrayminus"] == [10, 0, 10]
    assert figure["layout"]["yaxis"]["range"][0] < 70 and figure["layout"]["yaxis"]["range"][1] > 95
    assert "error_y" not in charts.months([90.0, 80.0], ["1月", "2月"], None, {"hover": ["", ""], "empty": ""})["data"][0]


# -- the way down

@pytest.fixture
def frame(monkeypatch):
    """A frame that looks at unit 1 with the branches 2 and 3 below it."""
    units = {1: Unit(1, None, "总行", "总行", "head"), 2: Unit(2, 1, "宁波分行", "宁波", "branch"), 3: Unit(3, 1, "深圳分行", "深圳", "branch")}
    return Frame(Filters(MARCH, params={"period": "last_month", "lang": "zh"}), 1, datetime(2026, 4, 1, tzinfo=UTC), ZoneInfo("Asia/Shanghai"), units,
                 {7: "违规"}, {8: "电话"})


def groups_of(frame, by, rows):
    made = table(**{str(key): value for key, value in rows.items()})
    made.index = list(rows)
    return satisfaction.groups(SimpleNamespace(groups=made), frame, by)


def test_a_unit_leads_one_level_deeper_and_its_figures_to_their_rows(frame):
    found = groups_of(frame, "unit", {2: (18, 20, 30, 99), 3: (5, 5, 9, 30), 1: (1, 2, 3, 9)})
    assert found.to == "satisfaction" and found.deeper(0)["unit"] == "2" and found.deeper(0)["by"] == "unit"
    assert "at" not in found.deeper(0), "one level deeper is about now"
    assert {**found.rows("satisfaction", "rest")(0), "at": ""} == {"period": "last_month", "lang": "zh", "at": "", "unit": "2", "code": "satisfaction", "part": "rest"}
    assert found.rows("satisfaction", "rest")(1) is None, "nobody was dissatisfied: no list"
    assert found.key(2) == 1 and found.deeper(2) is None and found.rows("satisfaction")(2) is None, "what the unit has itself is no list of its own"
    with words.speaking("zh"):
        assert found.name(2) == "总行本级"
        shown, columns = satisfaction.group_frame(found)
        assert shown["rate"].tolist() == ["90.0%（18/20）", "100.0%（5/5）", "50.0%（1/2）"] and shown["rank"].tolist() == ["1", "—", "—"]
        assert shown["word"].tolist()[1:] == ["样本不足", "样本不足"] and list(shown) == list(columns)
        assert list(satisfaction.group_frame(found, phone=True)[0]) == ["name", "rate", "interval"]


def test_a_category_and_a_channel_lead_to_their_rows_and_a_month_to_itself(frame):
    assert groups_of(frame, "category", {7: (18, 20, 30, 99)}).deeper(0)["category"] == "7"
    assert groups_of(frame, "channel", {8: (18, 20, 30, 99)}).rows("reach_rate")(0)["channel"] == "8"
    found = groups_of(frame, "month", {"2026-02": (18, 20, 30, 99), "2026-03": (5, 5, 9, 30)})
    assert [found.key(row) for row in (0, 1)] == ["2026-03", "2026-02"], "newest first, not by rate"
    there = found.deeper(1)
    assert (there["period"], there["from"], there["to"], there["by"]) == ("custom", "2026-02-01", "2026-02-28", "month")


def test_a_point_of_the_months_leads_to_its_month_and_the_one_shown_nowhere(frame):
    address = satisfaction.month_address(seen(counts()), frame)
    assert address({"point_index": 12}) is None, "it is the one on the page: a click would turn in a circle"
    assert (address({"point_index": 0})["from"], address({"point_index": 0})["to"]) == ("2025-03-01", "2025-03-31")


# -- the page

def numbers(said):
    return [int(one.replace(",", "")) for one in re.findall(r"\*\*(\d[\d,]*)件\*\*", said)]


@pytest.mark.parametrize("login,by", [*((login, "unit") for login in EVERYBODY), *(("demo-supervisor", by) for by in satisfaction.BY[1:])])
def test_every_number_opens_its_rows(office, monkeypatch, login, by):  # noqa: F811
    monkeypatch.setattr(satisfaction, "WORK", 4)
    drawn = Doors(monkeypatch)
    at = run("satisfaction", {"as": login, "lang": "zh", "period": "last_quarter", "by": by})
    shown, found = cards(at), set()
    for label, params in ways(at):
        n = written(label)
        if n is None:
            n = next((count for name, count in shown if name == label), None)
        if n is not None:
            assert counted(office, login, params) == n, (label, params)
            found.add(n)
    assert len(shown) >= 2 or login in ("demo-unit", "demo-service"), "cards"
    for label, n, params in drawn.numbered():
        assert counted(office, login, params) == n, (label, params)
    finding = at.markdown[next(i for i, one in enumerate(at.markdown) if "抽查回访" in one.value and one.value.endswith("---"))].value
    assert set(numbers(finding)) <= found | {0}
    for name, shown_as, params in drawn.cells:
        if name == "rest":
            assert counted(office, login, params) == int(shown_as) if params else int(shown_as) == 0 or by == "unit"


def test_a_phone_has_fewer_columns_and_the_same_lists(office, monkeypatch):  # noqa: F811
    monkeypatch.setattr(tables, "is_phone", lambda: True)
    at = run("satisfaction", {"as": "demo-supervisor", "lang": "zh", "period": "last_quarter"})
    assert {len(one.value.columns) for one in at.dataframe} == {3}
    assert [len(one.value) for one in at.dataframe[:2]] <= [5, 5]
    assert len([label for label, _ in ways(at) if "件" in label]) >= 8


def test_english_is_whole(office):  # noqa: F811
    at = run("satisfaction", {"as": "demo-leader", "lang": "en", "period": "last_quarter"})
    finding = next(one.value for one in at.markdown if "called back" in one.value)
    assert "95% interval" in finding and not re.search(r"[\u4e00-\u9fff]", finding)


def test_a_unit_is_shown_with_the_way_back_and_nonsense_in_the_address_is_ignored(office):  # noqa: F811
    at = run("satisfaction", {"as": "demo-supervisor", "lang": "zh", "period": "last_quarter", "by": "nonsense"})
    whole = next(one.value for one in at.markdown if one.value.endswith("---"))
    with db.reading(office, db.viewer_of(office, "service")) as conn:
        unit = conn.execute(text("select unit_id from unit where name = '宁波分行'")).scalar_one()
    at = run("satisfaction", {"as": "demo-supervisor", "lang": "zh", "period": "last_quarter", "unit": str(unit)})
    assert "总行" in [one.label for one in at.button], "breadcrumbs lead back"
    assert next(one.value for one in at.markdown if one.value.endswith("---")) != whole
