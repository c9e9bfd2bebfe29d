"""What the demo bank hides must be found: the branch that worsens, the one that improves, the outage; and of all other
branches no more than the rules' own false alarms. On a demo of 30,000, whose three stories are told as in the full one."""
import math
from collections import defaultdict
from datetime import date, datetime, timedelta
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from dashboard import compared, evidence, review, signals
from queries import calendars, connect, db, demo, figures, units
from queries.demo import cases
from queries.demo.cases import BETTER, CARDS, WORSE
from tests.conftest import cloned, logins

ZONE = ZoneInfo("Asia/Shanghai")
NOW = datetime(2026, 3, 23, 9, 0, tzinfo=ZONE)
LAST = date(2026, 3, 22)
SIZE = 30_000
FALSE_ALARMS = 0.0027  # what rules 1 and 2 state


@pytest.fixture(scope="module")
def reading(server, ready, folder):
    """A transaction of the supervisor on a demo whose history ends on Sunday 2026-03-22."""
    with cloned(server, ready) as url:
        connect.as_owner(url, demo.load, now=NOW, complaints=SIZE)
        urls = logins(url, folder)
        with db.reading(urls, db.viewer_of(urls, "demo-supervisor")) as conn:
            yield conn


@pytest.fixture(scope="module")
def days():
    return signals.weeks(LAST)


def window(days):
    return {"as_of": NOW, "start": datetime.combine(days[0], datetime.min.time(), ZONE),
            "end": datetime.combine(LAST + timedelta(days=1), datetime.min.time(), ZONE), "zone": "Asia/Shanghai"}


@pytest.fixture(scope="module")
def tree(reading):
    return units.tree(reading)


@pytest.fixture(scope="module")
def charts(reading, tree, days):
    """The control chart of every unit below head office, by short name."""
    root = int(tree[(tree.kind == "head") | tree.parent_id.isna() & (tree.kind != "unmapped")].unit_id.iloc[0])
    names = dict(zip(tree.unit_id, tree.short))
    return {names[unit]: chart for unit, chart in evidence.series(units.weekly(reading, "compliance", parent=root, **window(days)), days).items()}


def test_the_weekly_series_adds_up_to_the_whole(reading, tree, charts, days):
    whole = figures.counts(reading, ("compliance",), by="week", **window(days))
    beside = tree[tree.parent_id.isna() & (tree.kind == "unmapped")].unit_id.tolist()
    of_units, left = defaultdict(lambda: [0, 0]), defaultdict(lambda: [0, 0])
    for chart in charts.values():
        for day, (num, den) in zip(days, chart.counts):
            of_units[str(day)][0] += num
            of_units[str(day)][1] += den
    for unit in beside:  # what imports brought and nobody has placed
        for day, row in figures.counts(reading, ("compliance",), by="week", unit=unit, **window(days)).iterrows():
            left[day][0] += row.compliance_num
            left[day][1] += row.compliance_den
    for day, row in whole.iterrows():
        assert row.compliance_num == of_units[day][0] + left[day][0] and row.compliance_den == of_units[day][1] + left[day][1]


def test_the_worsening_branch_is_marked(charts):
    assert charts[WORSE].trend() == "worsening"


@pytest.mark.parametrize("name, trend, power", [(WORSE, "worsening", 0.99), (BETTER, "improving", 0.95)])
def test_how_often_both_are_marked_on_the_full_bank(charts, name, trend, power):
    """A full demo takes a minute to load: its weeks are drawn here from the demo's own share of late answers, four times
    as many due a week as here. (On one full demo: 宁波 worsening, 四川 improving, no other of 45 units.)"""
    there = SimpleNamespace(bank=SimpleNamespace(cut=cases.seconds(LAST) + cases.DAY, units=[SimpleNamespace(short=name)]))
    late = [cases.Cases.late_share(there, 0, there.bank.cut - (26 - week) * 7 * cases.DAY + 84 * 3600) for week in range(26)]
    rng, found = np.random.default_rng(3), 0
    for _ in range(200):
        found += signals.rates([(rng.binomial(4 * den, 1 - share), 4 * den) for (_, den), share in zip(charts[name].counts, late)]).trend() == trend
    assert found / 200 >= power


def test_the_other_branches_raise_no_more_false_alarms_than_the_rules_state(charts):
    others = [chart for name, chart in charts.items() if name not in (WORSE, BETTER, CARDS) and chart.judged]
    weeks = sum(den >= 10 for chart in others for _, den in chart.counts)
    for found, trials in ((sum(len(chart.signals) for chart in others), weeks), (sum(bool(chart.drift) for chart in others), len(others))):
        assert found <= bound(trials * FALSE_ALARMS), (found, trials)


def bound(expected: float) -> int:
    """The number of false alarms that chance exceeds once in a thousand (Poisson)."""
    term = total = math.exp(-expected)
    k = 0
    while total < 0.999:
        k += 1
        term *= expected / k
        total += term
    return k


def test_the_outage_is_marked_and_named(reading, tree, days):
    table = figures.counts(reading, ("received",), by="category_day", **window(days))
    calendar = compared.calendar(calendars.days(reading, days[0] - timedelta(days=20), LAST + timedelta(days=20), zone="Asia/Shanghai"))
    found = review.volumes(table, days, calendar, LAST + timedelta(days=1))
    codes = dict(zip((known := units.categories(reading)).category_id, known.code))
    assert [(codes[one[0]], one[1]) for one in found.bursts] == [("service_channel", date(2026, 1, 26))]
    assert date(2026, 1, 26) in [days[i] for i in found.whole.signals]


def test_the_office_has_a_calendar_and_a_zone_without_one_has_none(reading):
    table = calendars.days(reading, date(2026, 2, 9), date(2026, 3, 1), zone="Asia/Shanghai")
    calendar = compared.calendar(table)
    assert calendar.days(date(2026, 2, 16), date(2026, 2, 23)) == 0 and calendar.holidays(date(2026, 2, 16), date(2026, 2, 23)) == 5
    assert calendars.days(reading, date(2026, 2, 9), date(2026, 3, 1), zone="Europe/Berlin").empty
