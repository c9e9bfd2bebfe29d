"""The page of units: medians, groups, positions and words by hand; its numbers against their lists."""
import pandas as pd
import pytest

from dashboard import charts, tables, units, words
from tests.pages import test_every_number_opens_its_list as lists
from tests.pages.test_every_number_opens_its_list import office  # noqa: F401 (a fixture)


@pytest.fixture(autouse=True)
def chinese():
    with words.speaking("zh"):
        yield


# -- by hand --------------------------------------------------------------------------------------------------------

def test_the_median_of_working_days():
    assert units.middle({3: 1}) == 3
    assert units.middle({2: 2, 5: 2}) == 3.5
    assert units.middle({1: 1, 4: 3, 9: 1}) == 4
    assert units.middle({}) is None
    assert units.pooled([{1: 2, 3: 1}, {3: 4}]) == {1: 2, 3: 5}


def some(**counts) -> units.Units:
    """Units 1, 2, 3 … with these counts; 0 of everything else."""
    n = len(next(iter(counts.values())))
    columns = [f"{code}_{part}" for code in units.RATES for part in ("num", "den")]
    columns += ["received_den", "overdue_open_den"]
    table = pd.DataFrame(0, index=range(1, n + 1), columns=columns).assign(**counts)
    return units.Units(table, {unit: {} for unit in table.index})


def test_a_unit_within_its_group():
    """Nine units, 100 due each: eight kept 95, the ninth 70. p = 830/900; P(X ≤ 70 | 100, 0.922) is far below 0.1 %."""
    nine = some(compliance_num=[95] * 8 + [70], compliance_den=[100] * 9,
                overdue_rate_num=[5] * 8 + [30], overdue_rate_den=[100] * 9,
                satisfaction_num=[8] * 9, satisfaction_den=[9] * 9, overdue_open_den=[0, 0, 0, 0, 2, 3, 4, 5, 9])
    one = units.judge(nine, 9)
    kept, late = one.lines["compliance"], one.lines["overdue_rate"]
    assert (one.size, one.members, one.overdue, one.overdue_group) == ("all", 9, 9, 2)
    assert (kept.rank, kept.of, kept.side) == (9, 9, "worse" if kept.word == "low" else "")
    assert kept.group == pytest.approx(100 * 830 / 900) and kept.value == 70
    assert (late.rank, late.of) == (9, 9), "of a rate that should be small the greatest is last"
    assert units.judge(nine, 1).lines["compliance"].rank == 1, "eight share the first place"
    few = one.lines["satisfaction"]
    assert (few.word, few.rank) == ("small", None), "nine cases are listed, not ranked"
    assert one.lines["dispatch_on_time"].value is None and units.figure(one.lines["dispatch_on_time"]) == "—"


def test_what_a_clear_difference_means_depends_on_the_direction():
    def line(code, word):
        return units.Line(code, 1, 10, 10.0, 20.0, 1, 9, word, {})
    assert line("compliance", "low").side == "worse" and line("compliance", "high").side == "better"
    assert line("repeat_rate", "high").side == "worse" and line("days_done", "low").side == "better"
    assert line("withdrawal_rate", "high").side == "" and line("compliance", "no_difference").side == ""
    assert units.verdict(line("repeat_rate", "high")) == "**明显偏高** :small[:gray[差于同组]]"
    assert units.verdict(line("days_done", "high")).startswith("**明显偏长**")


def test_peers_are_of_about_the_same_volume():
    """Twelve units: four with 400 due, four with 100, four with 20; the peers of the fifth are the four with 100."""
    dozen = some(compliance_num=[380] * 4 + [90] * 4 + [19] * 4, compliance_den=[400] * 4 + [100] * 4 + [20] * 4)
    one = units.judge(dozen, 5)
    assert (one.size, one.members, one.lines["compliance"].group) == ("middle", 4, 90)
    assert units.judge(dozen, 1).size == "large" and units.judge(dozen, 12).size == "small"


def test_days_are_ranked_by_the_median_and_judged_by_the_share_within_the_group_s():
    three = some(compliance_den=[50, 50, 50], compliance_num=[40, 40, 40])
    three = units.Units(three.counts, {1: {3: 50}, 2: {3: 50}, 3: {3: 2, 9: 48}})
    slow, quick = (units.judge(three, unit).lines["days_done"] for unit in (3, 1))
    assert (slow.value, slow.group, slow.num, slow.den, slow.rank, slow.of) == (9, 3, 2, 50, 3, 3)
    assert (quick.rank, quick.value) == (1, 3)
    assert units.figure(slow) == "9.0个工作日（50件）" and units.position(slow) == "第3/3"


def test_alone_nothing_is_compared():
    one = units.judge(some(compliance_num=[24], compliance_den=[31]), 1)
    line = one.lines["compliance"]
    assert one.alone and (line.group, line.rank, line.word) == (None, None, "") and one.overdue_group is None
    period = units.Period("last_month", *(pd.Timestamp(day).date() for day in ("2026-03-01", "2026-04-01")))
    first, second = units.finding(one, "宁波", period, True)
    assert first == "上月宁波按时办结率**77.4%**（24/31）；" and second == "期末无逾期未办结。"


def test_the_chart_turns_so_that_better_is_to_the_right():
    row = {"label": "重复投诉率", "values": [1.0, 2.0, 5.0], "keys": [1, 2, 3], "own": 2, "group": 2.5, "text": "2.0%",
           "ends": ["1.0%", "5.0%"], "hover": ["a", "b", "c"], "flip": True}
    said = {"empty": "无", "group": "同组", "worse": "较差", "better": "较好"}
    peers, own = charts.positions([row], said)["data"]
    assert peers["x"] == [1.0, 0.0] and peers["customdata"] == [1, 3]
    assert own["x"] == [0.75] and own["customdata"] == [2]
    assert charts.positions([row | {"flip": False}], said)["data"][1]["x"] == [0.25]
    ends = [note["text"] for note in charts.positions([row], said)["layout"]["annotations"]]
    assert ends.index("5.0%") < ends.index("1.0%")
    empty = charts.positions([], said)
    assert empty["layout"]["annotations"][0]["text"] == "无" and empty["data"], "plotly takes no figure without a mark"


def test_texts_sort_by_their_numbers():
    shown = tables.sortable(["9", "1,234", "—", "12（3.4%）"])
    assert [one.strip("\u2060\u2007") for one in shown] == ["9", "1,234", "—", "12（3.4%）"]
    assert sorted(shown[:2] + shown[3:], key=lambda one: one.replace("\u2007", " ")) == [shown[0], shown[3], shown[1]]


# -- the page -------------------------------------------------------------------------------------------------------

@pytest.fixture
def doors(monkeypatch):
    """(frame, columns) of every table of doors that a page draws."""
    drawn, original = [], tables.doors

    def seen(frame, columns, **more):
        drawn.append((frame, columns))
        original(frame, columns, **more)
    monkeypatch.setattr(tables, "doors", seen)
    return drawn


def opened(frame, columns, most: int = 2):
    """(what is written, where it leads) of the doors to lists, a few of each column: the first and the last."""
    for name, column in columns.items():
        there = column.address and column.to == "complaints"
        rows = [row for row in range(len(frame)) if there and column.address(row)]
        for row in rows[:most - 1] + rows[most - 1:][-1:]:
            yield name, frame[name].iloc[row].strip("\u2060\u2007"), column.address(row)


@pytest.mark.parametrize("login", ["demo-supervisor", "demo-ningbo", "demo-unit", "demo-service"])
def test_every_number_of_the_page_opens_its_list(office, doors, login):  # noqa: F811
    at = lists.run("units", {"as": login, "lang": "zh", "period": "last_month"})
    if login == "demo-supervisor":
        frame, columns = doors[-1]
        biggest = columns["unit"].address(0)
        checked = 0
        for name, text, params in opened(frame, columns):
            if name not in ("days", "density"):  # a median stands for its complaints, it does not count them
                number = lists.written(text if "/" in text else f"{text}件")
                assert lists.listed(params) == number, (name, text, params)
                checked += 1
        assert checked >= 8
        at = lists.run("units", biggest | {"as": login, "lang": "zh"})
        assert not any("没有可以对照" in m.value for m in at.markdown)
    elif login != "demo-service":            # whose complaints lie all over the tree
        assert any("没有可以对照" in m.value for m in at.markdown), "a scoped viewer sees no peers, and reads so"
    waiting, links = lists.cards(at), 0
    for label, params in lists.ways(at):
        n = lists.written(label)
        if n is None:
            card = next((c for c in waiting if c[0] == label), None)
            if card is None:
                continue
            waiting.remove(card)
            n = card[1]
        assert lists.listed(params) == n, (label, params)
        links += 1
    assert links >= (12 if login in ("demo-supervisor", "demo-ningbo") else 0 if login == "demo-service" else 3) and not [card for card in waiting if card[1]]


def test_the_head_office_is_an_overview_and_a_name_leads_to_its_profile(office, doors):  # noqa: F811
    at = lists.run("units", {"as": "demo-leader", "lang": "zh", "period": "last_month"})
    frame, columns = doors[-1]
    assert not at.metric and len(frame) > 20 and list(frame.columns) == list(columns)
    address = columns["unit"].address(0)
    assert columns["unit"].to == "units" and "unit" in address and "at" not in address
    assert frame["word"].str.contains("无明显差异|明显偏|样本不足").all()


def test_the_word_of_a_unit_is_the_same_in_the_overview_and_on_its_own_page(office, doors):  # noqa: F811
    lists.run("units", {"as": "demo-supervisor", "lang": "zh", "period": "quarter"})
    frame, columns = doors[-1]
    for row in (0, 1, len(frame) // 2):
        at = lists.run("units", columns["unit"].address(row) | {"as": "demo-supervisor", "lang": "zh"})
        shown, size = frame["compliance"].iloc[row].strip("\u2060\u2007"), frame["group"].iloc[row][:2]
        sentence = next(m.value for m in at.markdown if "按时办结率**" in m.value)
        assert shown.split("（")[0] in sentence and size in sentence, (shown, size, sentence)


def test_a_unit_at_the_end_of_the_tree_and_one_that_is_not_mapped(office):  # noqa: F811
    from queries import db, units as tree
    with db.reading(office, db.viewer_of(office, "service")) as conn:
        table = tree.tree(conn)
    leaf = table[table.kind == "outlet"].unit_id.iloc[0]
    for unit in [leaf, *table[table.kind == "unmapped"].unit_id.head(2)]:
        for lang in ("zh", "en"):
            lists.run("units", {"as": "demo-supervisor", "lang": lang, "period": "quarter", "unit": str(unit)})
