"""The weekly review's sentences and judgements, and that each is what the figures say."""
from datetime import date, datetime
from zoneinfo import ZoneInfo

import pandas as pd
import pytest

from dashboard import listing, review, words
from dashboard.context import choices, names_of_units
from dashboard.periods import Period

WEEK = Period("last_week", date(2026, 3, 2), date(2026, 3, 9))
ZONE = ZoneInfo("Asia/Shanghai")


@pytest.fixture(autouse=True, params=["zh", "en"])
def language(request):
    with words.speaking(request.param):
        yield request.param


def peers(*rows):
    columns = ["unit_id", "compliance_num", "compliance_den", "overdue_open", "longest"]
    return review.compared(pd.DataFrame(rows, columns=columns))


def name(unit):
    return {1: "宁波", 2: "深圳", 3: "上海", 4: "河南"}.get(unit, f"U{unit}")


def test_a_week_is_named_by_its_monday_and_26_end_with_the_period():
    days = review.weeks(date(2026, 3, 8))
    assert len(days) == 26 and days[-1] == date(2026, 3, 2) and days[0] == date(2025, 9, 8)


def test_stocks_are_read_at_the_end_of_a_week_and_the_present_one_now():
    now = datetime(2026, 3, 9, 8, 30, tzinfo=ZONE)
    found = review.ends([date(2026, 3, 2), date(2026, 3, 9)], lambda day: datetime(day.year, day.month, day.day, tzinfo=ZONE), now)
    assert found == (datetime(2026, 3, 9, tzinfo=ZONE), now)


def test_the_limits_step_with_the_number_due_and_stay_within_0_and_100():
    low, high = review.limits(95, 400)
    assert low == pytest.approx(91.73, abs=0.01) and high == pytest.approx(98.27, abs=0.01)
    assert review.limits(95, 20)[0] < low and review.limits(95, 20)[1] == 100
    assert review.limits(100, 20) == (100, 100)


@pytest.mark.parametrize("num, den, mean, judgement", [
    (389, 412, 95.3, "normal"), (360, 400, 95.0, "signal_low"), (400, 400, 90.0, "signal_high"),
    (0, 9, 95.0, "too_few"), (0, 0, 95.0, "too_few"), (10, 10, None, "too_few")])
def test_a_rate_is_judged_by_three_sigma(num, den, mean, judgement):
    assert review.judge(num, den, mean) == judgement


def test_the_chart_leaves_the_present_week_out_of_its_mean_and_a_week_without_cases_empty():
    days = review.weeks(date(2026, 3, 8), 4)
    table = pd.DataFrame({"compliance_num": [95, 90, 50], "compliance_den": [100, 100, 100]}, index=[str(day) for day in (days[0], days[1], days[3])])
    chart = review.control(days, table)
    assert chart.mean == 92.5
    assert chart.rates == [95, 90, None, 50] and chart.low[2] is None
    assert chart.signals == [3]


def test_no_history_gives_a_chart_without_limits():
    days = review.weeks(date(2026, 3, 8), 4)
    chart = review.control(days, pd.DataFrame({"compliance_num": [], "compliance_den": []}, dtype="int64"))
    assert chart.mean is None and chart.rates == [None] * 4 and chart.signals == []
    assert review.control_figure(chart, "too_few")[0]["layout"]["height"]


@pytest.mark.parametrize("num, den, overall, word", [
    (24, 31, 94.4, "low"), (30, 34, 94.4, "no_difference"), (4, 5, 94.4, "small"), (60, 60, 70, "high"), (0, 0, 94.4, "small"), (20, 20, None, "small")])
def test_a_unit_is_compared_by_its_wilson_interval(num, den, overall, word):
    assert review.against(num, den, overall) == word


def test_units_with_most_overdue_come_first_and_a_clearly_low_one_is_never_left_out(language):
    rows = [(10 + i, 50, 50, 3, 4) for i in range(4)] + [(1, 24, 31, 9, 12), (2, 60, 100, 0, None), (3, 4, 4, 0, None), (4, 300, 300, 0, None)]
    shown = review.attention(peers(*rows))
    assert shown.unit_id.tolist()[0] == 1 and 2 in shown.unit_id.tolist() and 3 not in shown.unit_id.tolist()
    if language == "zh":
        assert review.attention_sentence(peers(*rows), name) == "宁波逾期未办结**9件**，居首位；宁波、深圳按时办结率明显低于同组；1家单位样本不足，仅列示。"


def test_units_that_tie_share_the_place(language):
    text = review.attention_sentence(peers((1, 50, 50, 3, 4), (2, 50, 50, 3, 4)), name)
    assert "宁波" in text and "深圳" in text
    if language == "zh":
        assert "并列首位" in text


def test_nobody_stands_out():
    text = review.attention_sentence(peers((1, 50, 50, 0, None)), name)
    assert text.startswith(words.t("review.attention_nobody"))


def test_doing_well_needs_enough_cases_all_in_time_and_nothing_overdue():
    table = peers((1, 50, 50, 0, None), (2, 9, 9, 0, None), (3, 30, 30, 1, 2), (4, 29, 30, 0, None))
    assert review.doing_well(table).unit_id.tolist() == [1]
    assert review.doing_well(table.head(0)).empty
    assert review.doing_well_sentence(table.head(0), name, WEEK)


def test_the_difference_of_rates_is_that_of_the_printed_rates():
    assert review.points(94.44, 95.56) == -1.2  # 94.4 and 95.6
    assert review.points(94.44, 94.36) == 0


def test_overdue_speaks_of_the_end_of_a_past_period(language):
    text = review.overdue(21, 4, 18, WEEK, True)
    assert "21" in text and "4" in text and "3" in text
    if language == "zh":
        assert text == "期末逾期未办结 :red[**21件**]，比前一周增加3件，其中逾期5个工作日以上 :red[**4件**]。"
    assert "red" not in review.overdue(0, 0, 3, WEEK, False)


def test_a_rate_of_few_cases_is_not_compared():
    card = review.card("rate", (1, 1), (0, 1), WEEK, True)
    assert card["delta"] is None and card["value"] == "100.0%"
    assert review.card("rate", (0, 0), (10, 10), WEEK, True)["note"] == ""


def test_a_count_points_the_way_it_went():
    card = review.card("overdue", 21, 18, WEEK, False)
    assert card["down"] is False and card["tone"] == "late" and card["note"] == ""
    assert review.card("received", 5, 5, WEEK, True)["down"] is None


def cells(**counts):
    return pd.DataFrame({"received_den": list(counts.values())}, index=[int(key[1:]) for key in counts])


def test_problems_are_sorted_by_growth_and_keep_what_has_vanished(language):
    found = review.problems(cells(c1001=10, c1003=5, c2001=40), cells(c1001=3, c2001=45, c3001=2))
    assert found.grid.index.tolist() == [1, 3, 2] and found.changes == [12, -2, -5]
    assert found.total == 55 and found.before == 50
    text = review.problems_sentence(found, {1: "服务产品"}.get, {1: "电话", 3: "网络"}.get, WEEK)
    if language == "zh":
        assert text == "受理55件，比前一周增加5件；增长最多的是**服务产品**，15件，增加12件，其中电话10件、网络5件。"


def test_no_complaints_at_all_is_a_sentence():
    empty = pd.DataFrame({"received_den": []}, dtype="int64")
    found = review.problems(empty, empty)
    assert found.total == 0 and review.problems_sentence(found, str, str, WEEK)


def test_satisfaction_says_its_interval_and_its_silence():
    assert "87.8%" in review.satisfaction(156, 98, 86, 98, WEEK) and "62.8%" in review.satisfaction(156, 98, 86, 98, WEEK)
    assert "79.8%" in review.satisfaction(156, 98, 86, 98, WEEK) and "92.9%" in review.satisfaction(156, 98, 86, 98, WEEK)
    assert "%" not in review.satisfaction(3, 0, 0, 0, WEEK) + review.satisfaction(0, 0, 0, 0, WEEK)


def test_the_funnel_names_only_what_is_clearly_low():
    points, curve, mean = review.funnel(peers((1, 24, 31, 9, 12), (2, 300, 310, 0, None), (3, 4, 4, 0, None)), name)
    assert [point["label"] is not None for point in points] == [True, False, False]
    assert [point["kind"] for point in points][2] == "small" and curve[-1][0] == 310


# -- the list behind a figure

def test_an_address_that_asks_for_nothing_known_is_the_default_list():
    assert listing.asked({"code": "x", "part": "num", "line": "y", "state": "Q", "ageing": "7"}) == listing.Asked()
    assert listing.asked({"code": "received", "part": "num"}).part == "den"  # a count has no numerator
    assert listing.asked({"code": "compliance", "part": "rest", "state": "E", "ageing": "2"}).address() == {
        "code": "compliance", "part": "rest", "state": "E", "ageing": "2"}


@pytest.mark.parametrize("page, total, shown", [("1", 0, 1), ("2", 201, 2), ("2", 200, 1), ("-1", 500, 1), ("x", 500, 1), (None, 500, 1)])
def test_a_page_that_does_not_exist_is_the_first(page, total, shown):
    assert listing.place(page, total, 200) == (total, shown)


def test_every_list_has_a_title_in_both_languages():
    from queries.indicators import CATALOGUE
    for code in CATALOGUE:
        heading, note = listing.title(listing.Asked(code), WEEK, "T")
        assert heading and "T" in note
    for line in review.LINES:
        assert listing.title(listing.Asked(line=line), WEEK, "T")[0]


# -- the units of the bar

def tree(*rows):
    return names_of_units(pd.DataFrame(rows, columns=["unit_id", "parent_id", "name", "short", "name_en", "short_en", "kind"]).itertuples())


def test_what_nobody_has_placed_does_not_make_a_second_root():
    table = tree((1, None, "总行", None, None, None, "head"), (2, 1, "宁波分行", "宁波", None, None, "branch1"), (9, None, "未对应", None, None, None, "unmapped"))
    options = choices(table, None, {}, {})
    assert options.path == [(1, "总行")] and [one for one, _ in options.children] == [2, 9]
    assert [one for one, _ in choices(table, 9, {}, {}).path] == [1, 9]
    assert [one for one, _ in choices(table, 77, {}, {}).path] == [1]


def test_the_root_of_a_viewer_is_their_subtree():
    table = tree((2, 1, "宁波分行", "宁波", None, None, "branch1"), (3, 2, "海曙支行", "海曙", None, None, "outlet"))
    assert choices(table, 3, {}, {}).path[0][0] == 2
    assert len(choices(tree((2, 1, "A", None, None, None, "x"), (5, 4, "B", None, None, None, "x")), None, {}, {}).path) == 1
