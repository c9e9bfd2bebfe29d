"""Signal and noise: hand-computed limits, and how often chance alone raises an alarm."""
import math
from datetime import date

import numpy as np
import pytest

from dashboard import signals
from dashboard.signals import bounds, funnel, groups, rates, tails, volumes

ALL = [(20, 20)] * 18


def binomial(k: int, n: int, p: float) -> float:
    """P(X <= k), term by term."""
    return sum(math.comb(n, i) * p ** i * (1 - p) ** (n - i) for i in range(k + 1))


# -- the exact binomial

def test_tails_are_the_binomial_sums():
    low, high = tails([0, 3, 10], [10, 10, 10], 0.4)
    assert low == pytest.approx([binomial(0, 10, 0.4), binomial(3, 10, 0.4), 1])
    assert high == pytest.approx([1, 1 - binomial(2, 10, 0.4), 0.4 ** 10])


@pytest.mark.parametrize("n", [1, 3, 10, 17, 60, 412, 1060])
@pytest.mark.parametrize("p", [0.5, 0.9, 0.95, 0.9972])
def test_a_count_lies_outside_the_drawn_limits_exactly_if_it_is_a_signal(n, p):
    for z in (1.96, 3, 3.09, 4.2):
        (low, high), k = bounds(n, p, z), np.arange(n + 1)
        below, above = tails(k, n, p)
        tail = 0.5 * math.erfc(z / math.sqrt(2))
        assert ((100 * k / n < low - 1e-9) == (below < tail)).all()
        assert ((100 * k / n > high + 1e-9) == (above < tail)).all()


# -- a rate by week

def test_the_centre_is_of_the_weeks_before_the_last_eight():
    chart = rates([(90, 100)] * 18 + [(80, 100)] * 8)
    assert chart.centre == 90 and chart.base == (1620, 1800) and chart.recent == (640, 800)
    assert chart.drift == "low" and chart.trend() == "worsening" and chart.trend("less") == "improving"


def test_a_week_far_below_the_centre_is_a_signal_and_the_picture_says_the_same():
    # centre 90 %, n = 100: P(X <= 76) = 0.00003, P(X <= 81) = 0.0046
    assert binomial(76, 100, 0.9) < 0.0001 < 0.00135 < binomial(81, 100, 0.9)
    chart = rates([(90, 100)] * 25 + [(76, 100)])
    assert chart.sides[-1] == "low" and chart.verdict == "signal_low" and chart.signals == [25]
    assert chart.rates[-1] < chart.limits[-1][0]
    assert rates([(90, 100)] * 25 + [(81, 100)]).verdict == "normal"


def test_verdict_and_limits_agree_on_every_week_of_every_chart():
    rng = np.random.default_rng(7)
    for _ in range(200):
        n = rng.integers(0, 60, 26)
        chart = rates(list(zip(rng.binomial(n, rng.choice([0.6, 0.9, 0.99], 26)), n)))
        for value, limit, side in zip(chart.rates, chart.limits, chart.sides):
            outside = "" if limit is None else "low" if value < limit[0] - 1e-9 else "high" if value > limit[1] + 1e-9 else ""
            assert outside == side


def test_what_is_too_few_is_not_judged_and_nothing_is_a_gap():
    chart = rates([(19, 20)] * 24 + [(0, 0), (0, 9)])
    assert chart.rates[-2] is None and chart.limits[-2:] == [None, None] and chart.verdict == "too_few"
    assert rates([]).verdict == "too_few" and rates([(5, 5)]).centre is None
    assert rates([(50, 100)] * 7 + [(0, 100)]).verdict == "too_few", "seven weeks are no history"


def test_few_cases_a_week_speak_together():
    chart = rates([(6, 6)] * 18 + [(3, 6)] * 8)
    assert not any(chart.sides) and chart.verdict == "drift_low" and chart.trend() == "worsening"


def test_a_base_without_a_miss_does_not_make_the_first_miss_a_signal():
    assert rates([*ALL, *[(20, 20)] * 7, (19, 20)]).verdict == "normal"
    assert rates([*ALL, *[(20, 20)] * 7, (14, 20)]).verdict == "signal_low"


def test_weeks_that_scatter_more_than_chance_widen_the_limits():
    calm, wild = [(900, 1000)] * 18, [(930, 1000), (870, 1000)] * 9
    assert rates(calm).spread == 1 and rates(wild).spread > 2
    assert rates([*calm, *[(900, 1000)] * 7, (860, 1000)]).verdict == "signal_low"
    assert rates([*wild, *[(900, 1000)] * 7, (860, 1000)]).verdict == "normal"


def test_rules_that_contradict_each_other_are_no_trend():
    chart = rates([(90, 100)] * 18 + [(60, 100)] * 7 + [(100, 100)])
    assert chart.drift == "low" and chart.sides[-1] == "high" and chart.trend() == ""


# -- volume by week

def test_the_xmr_limits_by_hand():
    # 10, 12, 10, 12, … a day: mean 11, moving range 2, limits 11 ± 2.66 × 2
    chart = volumes([50, 60] * 5, [5] * 10)
    assert chart.centre == 11 and chart.limits == pytest.approx((11 - 5.32, 11 + 5.32), abs=0.01)
    assert chart.verdict == "normal" and chart.signals == []


def test_a_short_week_is_not_a_quiet_one_and_a_week_off_is_a_gap():
    chart = volumes([50, 60] * 4 + [30, 0, 50, 60], [5] * 8 + [3, 0, 5, 5])
    assert chart.values[8] == 10 and chart.values[9] is None and chart.signals == []


def test_two_working_days_before_a_long_holiday_are_drawn_but_not_judged():
    chart = volumes([50, 60] * 4 + [60, 50, 60], [5] * 8 + [2, 5, 5])
    assert chart.values[8] == 30 and chart.signals == [] and chart.centre == 11
    assert volumes([50, 60] * 4 + [90, 50, 60], [5] * 8 + [3, 5, 5]).signals == [8]


def test_a_burst_is_a_signal_and_eight_weeks_on_one_side_are():
    assert volumes([50, 60] * 6 + [150] + [50, 60] * 4, [5] * 21).signals == [12]
    chart = volumes([50, 54] * 6 + [57] * 8, [5] * 20)
    assert chart.drift == "high" and chart.verdict == "drift_high"


def test_few_weeks_or_few_complaints_are_not_judged():
    assert volumes([50] * 7, [5] * 7).verdict == "too_few" and volumes([], []).verdict == "too_few"
    assert volumes([3, 9, 60, 3, 2, 1, 4, 3, 2, 1], [5] * 10).limits is None


def test_more_charts_side_by_side_are_judged_more_widely():
    one, eight = volumes([50, 60] * 5, [5] * 10), volumes([50, 60] * 5, [5] * 10, together=8)
    assert eight.limits[1] - 11 == pytest.approx((one.limits[1] - 11) * 3.58 / 3, rel=0.01)


# -- units against their peers

def test_groups_are_thirds_by_volume_and_equal_volumes_share_one():
    assert groups([5, 10, 15, 20, 25, 30, 35, 40, 45]) == [2, 2, 2, 1, 1, 1, 0, 0, 0]
    assert groups([10] * 9) == [0] * 9 and groups([5, 10, 500]) == [0, 0, 0]
    assert groups([]) == []


def test_a_unit_is_low_only_against_the_units_of_its_size():
    num, den = [95] * 12 + [60], [100] * 13
    found = funnel(num, den)
    assert found.words[-1] == "low" and set(found.words[:-1]) == {"no_difference"}
    assert found.ranks[0] == 1 and found.ranks[-1] == 13 and found.of(12) == 13
    low, _ = found.groups[0].limits(100)
    assert 60 < low < 95
    # the same rate in a group of small units is nothing to speak of
    assert funnel([6] * 5, [10] * 5).words == ("no_difference",) * 5


def test_ties_share_a_rank_and_few_cases_have_none():
    found = funnel([9, 18, 5, 8, 4], [10, 20, 5, 10, 4])
    assert found.ranks == (1, 1, None, 3, None) and found.words[2] == "small" and found.of(0) == 3
    assert funnel([9, 18, 8], [10, 20, 10], better="less").ranks == (2, 2, 1)


def test_units_that_differ_for_many_reasons_widen_the_funnel():
    alike, unlike = [90] * 10, [80, 99, 82, 98, 84, 97, 86, 96, 88, 90]
    assert funnel(alike, [100] * 10).groups[0].spread == 1
    found = funnel([*unlike, 75], [100] * 11)
    assert found.groups[0].spread > 1.5 and found.words[-1] == "no_difference"
    assert funnel([*alike, 75], [100] * 11).words[-1] == "low"


def test_the_outermost_scores_are_pulled_in():
    assert signals.winsorised(np.array([1.0, 2, 3, 4, 5, 6, 7, 8, 9, 100])).max() == 9
    assert len(signals.winsorised(np.array([]))) == 0


def test_one_unit_far_out_does_not_hide_behind_the_spread_it_makes():
    assert funnel([24, *[47] * 7], [50] * 8).words == ("low", *["no_difference"] * 7)


def test_no_units_at_all():
    found = funnel([], [])
    assert found.words == () and found.groups == ()
    assert funnel([0, 0], [0, 0]).words == ("small", "small")


def test_a_week_is_named_by_its_monday_and_26_end_with_the_period():
    days = signals.weeks(date(2026, 3, 8))
    assert len(days) == 26 and days[-1] == date(2026, 3, 2) and days[0] == date(2025, 9, 8)


# -- how often chance alone raises an alarm

@pytest.fixture(scope="module")
def noise():
    """36 units × 200 half years in which nothing happens: 3 to 60 due a week, 95 % in time."""
    rng, charts = np.random.default_rng(20260309), []
    for _ in range(200):
        for usual in rng.integers(3, 61, 36):
            n = rng.poisson(usual, 26)
            charts.append(rates(list(zip(rng.binomial(n, 0.95), n))))
    return charts


def at_most(found: int, trials: int, share: float) -> bool:
    """Whether so many alarms are no more than ``share`` allows: its Poisson 99.9 % bound."""
    expected = trials * share
    return found <= expected + 3.3 * math.sqrt(expected) + 1


def test_rule_1_raises_no_more_false_alarms_than_it_states(noise):
    judged = sum(limit for chart in noise if chart.judged for limit in (den >= 10 for _, den in chart.counts))
    assert judged > 100_000 and at_most(sum(len(chart.signals) for chart in noise), judged, 0.0027)


def test_rule_2_raises_no_more_false_alarms_than_it_states(noise):
    judged = sum(chart.judged for chart in noise)
    assert judged == 7200 and at_most(sum(bool(chart.drift) for chart in noise), judged, 0.0027)


def test_the_funnel_raises_no_more_false_alarms_than_it_states():
    rng, words = np.random.default_rng(5), []
    for _ in range(200):
        n = rng.integers(10, 80, 36)
        words += funnel(rng.binomial(n, 0.94), n).words
    assert at_most(sum(word in ("low", "high") for word in words), len(words), 0.002)


def test_a_fall_of_ten_points_is_found_within_eight_weeks():
    rng = np.random.default_rng(11)
    found = 0
    for _ in range(500):
        k = np.concatenate([rng.binomial(30, 0.95, 18), rng.binomial(30, 0.85, 8)])
        chart = rates([(one, 30) for one in k])
        found += chart.drift == "low" or "low" in chart.sides[-8:]
    assert found / 500 >= 0.8
