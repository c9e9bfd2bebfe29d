"""The weekly review's sentences and judgements, and that each is what the figures say."""
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pandas as pd
import pytest

from dashboard import compared, evidence, listing, review, signals, words
from dashboard.context import choices, names_of_units
from dashboard.periods import Period, previous, year_ago

WEEK = Period("last_week", date(2026, 3, 2), date(2026, 3, 9))
ZONE = ZoneInfo("Asia/Shanghai")


@pytest.fixture(autouse=True, params=["zh", "en"])
def language(request):
    with words.speaking(request.param):
        yield request.param


def peers(*rows, trends=None):
    columns = ["unit_id", "compliance_num", "compliance_den", "overdue_open", "longest"]
    return review.judged(pd.DataFrame(rows, columns=columns), trends or {})[0]


def name(unit):
    return {1: "宁波", 2: "深圳", 3: "上海", 4: "河南"}.get(unit, f"U{unit}")


def test_stocks_are_read_at_the_end_of_a_week_and_the_present_one_now():
    now = datetime(2026, 3, 9, 8, 30, tzinfo=ZONE)
    found = review.ends([date(2026, 3, 2), date(2026, 3, 9)], lambda day: datetime(day.year, day.month, day.day, tzinfo=ZONE), now)
    assert found == (datetime(2026, 3, 9, tzinfo=ZONE), now)


# -- signal or noise

def weekly(*pairs):
    days = signals.weeks(date(2026, 3, 8), len(pairs))
    return review.by_week(pd.DataFrame(pairs, columns=["compliance_num", "compliance_den"], index=[str(day) for day in days]), days), days


def test_a_week_without_cases_is_a_gap_in_the_chart():
    days = signals.weeks(date(2026, 3, 8), 4)
    table = pd.DataFrame({"compliance_num": [95, 90, 50], "compliance_den": [100, 100, 100]}, index=[str(day) for day in (days[0], days[1], days[3])])
    assert review.by_week(table, days).rates == [95, 90, None, 50]


def test_no_history_gives_a_chart_without_limits():
    chart = signals.rates([(0, 0)] * 4)
    assert chart.centre is None and chart.rates == [None] * 4 and chart.signals == []
    assert evidence.rate_figure(chart, signals.weeks(date(2026, 3, 8), 4))[0]["layout"]["height"]


def test_a_week_is_judged_by_its_chart_and_a_month_as_a_whole():
    chart, days = weekly(*[(90, 100)] * 25, (70, 100))
    assert review.verdict(WEEK, days, chart, (70, 100)) == "signal_low"
    same = Period("custom", WEEK.start, WEEK.end)
    assert review.verdict(same, days, chart, (70, 100)) == "signal_low", "a week by its dates is a week"
    month = Period("month", date(2026, 2, 1), date(2026, 3, 1))
    assert review.verdict(month, days, chart, (360, 400)) == "normal"
    assert review.verdict(month, days, chart, (330, 400)) == "signal_low"
    assert review.verdict(month, days, chart, (3, 4)) == "too_few"
    assert review.verdict(Period("year", date(2026, 1, 1), date(2027, 1, 1)), days, chart, (330, 400)) == "unjudged"


def test_every_verdict_has_words():
    for verdict in ("normal", "too_few", "unjudged", *(f"{kind}_{side}" for kind in ("signal", "drift") for side in ("low", "high"))):
        assert evidence.judgement(verdict)


def received(**days):
    """Counts by category and day: received(c3=[n, …]) from Monday 2025-09-08 on, 7 a week."""
    rows = {f"{name[1:]} {date(2025, 9, 8) + timedelta(days=i)}": n for name, ns in days.items() for i, n in enumerate(ns)}
    return pd.DataFrame({"received_den": list(rows.values())}, index=list(rows))


def weekdays():
    first = date(2025, 8, 1)
    return compared.Calendar({first + timedelta(days=i): (first + timedelta(days=i)).weekday() < 5 for i in range(400)})


def test_a_burst_of_one_category_is_named_with_its_week_and_all_that_came_in_that_week(language):
    days = signals.weeks(date(2026, 3, 8))
    usual = [10, 12, 11, 10, 12, 4, 3, 11, 10, 12, 10, 11, 3, 4] * 13
    burst = usual[:7 * 20] + [40, 50, 30, 40, 40, 9, 9] + usual[7 * 21:]
    found = review.volumes(received(c1=usual, c3=burst), days, weekdays(), date(2026, 3, 9))
    assert [one[:3] for one in found.bursts] == [(3, days[20], 218)]
    assert found.whole.signals == [20] and found.whole.verdict == "normal"
    assert found.weekly[20] == 62 + 218 or found.weekly[20] == 61 + 218
    text = review.burst(found.bursts[0], {3: "服务渠道"}.get)
    if language == "zh":
        assert text.startswith("**服务渠道**在1月26日当周明显增多：工作日日均40.0件，平时12.")


def test_an_old_burst_is_marked_in_the_chart_but_not_named():
    usual = [10, 12, 11, 10, 12, 4, 3, 11, 10, 12, 10, 11, 3, 4] * 13
    found = review.volumes(received(c3=usual[:35] + [60] * 7 + usual[42:]), signals.weeks(date(2026, 3, 8)), weekdays(), date(2026, 3, 9))
    assert found.bursts == [] and found.whole.signals == [5]


def test_a_week_that_has_not_ended_is_not_judged():
    found = review.volumes(received(c3=[10] * 7 * 26), signals.weeks(date(2026, 3, 8)), weekdays(), date(2026, 3, 4))
    assert found.whole.values[-1] is None and found.whole.values[-2] == 10
    assert found.whole.verdict == "too_few" and found.whole.latest == "normal"
    assert evidence.volume_line(found.whole, signals.weeks(date(2026, 3, 8))) and evidence.volume_line(signals.volumes([], []), [])


def test_a_signal_in_volume_is_said_on_its_card_and_only_there():
    assert review.card("received", 9, 5, WEEK, True, verdict="signal_high")["note"] == words.t("signals.card_high")
    assert review.card("received", 9, 5, WEEK, True, verdict="drift_high")["note"] == ""
    assert review.card("open", 9, 5, WEEK, True, verdict="signal_high")["note"] == ""


# -- the periods beside each other

def test_a_long_holiday_is_three_weekdays_off_in_a_row_over_a_weekend_too():
    # National Day 2026: Thursday 1 to Wednesday 7 October off; Friday 25 September is a holiday of one day
    off = {date(2026, 9, 25), *(date(2026, 10, d) for d in (1, 2, 5, 6, 7))}
    first = date(2026, 9, 1)
    days = compared.Calendar({day: day not in off and (day.weekday() < 5 or day == date(2026, 10, 10))
                              for day in (first + timedelta(days=i) for i in range(60))})
    assert days.days(date(2026, 9, 28), date(2026, 10, 5)) == 3 and days.holidays(date(2026, 9, 28), date(2026, 10, 5)) == 2
    assert days.days(date(2026, 10, 5), date(2026, 10, 12)) == 3 and days.holidays(date(2026, 10, 5), date(2026, 10, 12)) == 3
    assert days.holidays(date(2026, 9, 21), date(2026, 9, 28)) == 0, "one day off is not long"


def said(days, changes=("按时办结率上升1.2个百分点",), known=True, today=date(2026, 3, 9), period=WEEK):
    return compared.said(period, previous(period), year_ago(period), today, days, changes, known)


def test_both_periods_say_their_working_days_and_a_holiday_in_only_one_is_flagged(language):
    plain = {date(2025, 2, 1) + timedelta(days=i): (date(2025, 2, 1) + timedelta(days=i)).weekday() < 5 for i in range(500)}
    spring = plain | {date(2025, 3, day): False for day in (3, 4, 5)}
    assert said(compared.Calendar({})) == ""
    text, flagged = said(compared.Calendar(plain)), said(compared.Calendar(spring))
    assert words.t("review.holiday_differs") in flagged and words.t("review.holiday_differs") not in text
    assert words.t("compared.note_none", workdays="", span=words.span(date(2025, 3, 3), date(2025, 3, 9))) in said(compared.Calendar(plain), (), False)
    if language == "zh":
        assert text == "本期5个工作日，上期5个工作日；同比（2025年3月3日—3月9日，5个工作日）按时办结率上升1.2个百分点。"
        assert flagged.startswith("本期5个工作日，上期5个工作日；同比（2025年3月3日—3月9日，2个工作日）")
        running = said(compared.Calendar(plain), today=date(2026, 3, 3))
        assert running.startswith("本期至今2个工作日，上期5个工作日")


def test_a_change_on_a_year_ago_needs_cases_in_both_years(language):
    assert compared.rate_since("x", (9, 10), (0, 0)) == "" and compared.rate_since("x", (0, 0), (1, 2)) == ""
    if language == "zh":
        assert compared.rate_since("按时办结率", (95, 100), (938, 1000)) == "按时办结率上升1.2个百分点"
        assert compared.count_since("受理", 5, 8) == "受理减少3件" and compared.count_since("受理", 5, 5) == "受理持平"


def test_a_week_by_its_dates_is_compared_with_364_days_before():
    assert year_ago(Period("custom", date(2026, 3, 2), date(2026, 3, 9))).start == date(2025, 3, 3)
    assert year_ago(Period("custom", date(2026, 3, 3), date(2026, 3, 10))).start == date(2025, 3, 3)


# -- units

def test_units_with_most_overdue_come_first_and_a_clearly_low_one_is_never_left_out(language):
    rows = [(10 + i, 50, 50, 3, 4) for i in range(4)] + [(1, 50, 50, 9, 12), (2, 40, 100, 0, None), (3, 4, 4, 0, None), (4, 300, 300, 0, None)]
    shown = review.attention(peers(*rows))
    assert shown.unit_id.tolist()[0] == 1 and 2 in shown.unit_id.tolist() and 3 not in shown.unit_id.tolist()
    if language == "zh":
        assert review.attention_sentence(peers(*rows), name) == "宁波逾期未办结**9件**，居首位；深圳按时办结率明显低于同组；1家单位样本不足，仅列示。"


def test_a_worsening_unit_is_named_even_with_little_overdue_and_an_improving_one_leads_the_good(language):
    rows = [(10 + i, 50, 50, 3, 4) for i in range(6)] + [(1, 46, 50, 1, 2), (2, 45, 50, 0, None)]
    table = peers(*rows, trends={1: "worsening", 2: "improving"})
    assert 1 in review.attention(table).unit_id.tolist() and 2 not in review.attention(table).unit_id.tolist()
    assert review.doing_well(table).unit_id.tolist() == [2]
    if language == "zh":
        assert "宁波按时办结率近期明显下降" in review.attention_sentence(table, name)
        assert review.doing_well_sentence(review.doing_well(table), name, WEEK) == "深圳按时办结率近期明显上升。"
        alone = peers((1, 14, 50, 9, 12), *((10 + i, 48, 50, 1, 2) for i in range(6)), trends={1: "worsening"})
        assert review.attention_sentence(alone, name) == "宁波逾期未办结**9件**，居首位；按时办结率明显低于同组，且近期明显下降。"


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
    assert review.doing_well(table.head(0)).empty and review.doing_well(table[table.unit_id == 4]).empty
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
    running = review.card("received", 5, 50, WEEK, False)
    assert running["delta"] is None and running["down"] is None, "two days are not compared with a week"


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


def test_the_funnel_names_only_what_stands_out():
    rows = [(1, 24, 50, 9, 12), (3, 4, 4, 0, None), *((10 + i, 47, 50, 0, None) for i in range(7))]
    table, found = review.judged(pd.DataFrame(rows, columns=["unit_id", "compliance_num", "compliance_den", "overdue_open", "longest"]), {})
    figure, alt = evidence.funnel_figure(found, table, name)
    assert [note["text"] for note in figure["layout"]["annotations"] if "宁波" in note["text"]] == ["<b>宁波 48.0%</b>"]
    marked = {one for trace in figure["data"] for one in trace.get("customdata", []) if trace["marker"].get("symbol") == "diamond"}
    assert marked == {1} and "1" in alt


def test_the_table_of_intervals_has_the_worst_first_and_few_cases_last(language):
    table = peers((1, 24, 50, 9, 12), (2, 4, 9, 0, None), (3, 50, 50, 0, None), (4, 0, 0, 2, 3), trends={1: "worsening"})
    rows = evidence.interval_rows(table, name)
    assert rows.unit_id.tolist() == [1, 3, 2]
    assert rows["rank"].tolist()[2] == words.t("unit.none")
    if language == "zh":
        assert rows.rate.tolist()[0] == "48.0%（24/50）" and rows.interval.tolist()[0] == "34.8%—61.5%"
        assert rows["word"].tolist()[0].endswith("明显下降") and rows["rank"].tolist()[:2] == ["2/2", "1/2"]


def test_a_click_on_the_heat_strip_opens_its_cell_and_an_empty_one_opens_nothing():
    found = review.problems(cells(c1001=10, c1003=5, c2001=40), cells(c1001=3))
    way = review.of_cell(found, lambda category, channel: {"category": str(category), "channel": str(channel)})
    assert way({"customdata": [0, 0]}) == {"category": str(found.grid.index[0]), "channel": str(found.grid.columns[0])}
    empty = [int(found.grid.index.get_loc(2)), int(found.grid.columns.get_loc(3))]
    assert way({"customdata": empty}) is None


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
    return names_of_units(pd.DataFrame(rows, columns=["unit_id", "parent_id", "name", "short", "name_en", "short_en", "kind"]).assign(level=0, active=True).itertuples())


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
