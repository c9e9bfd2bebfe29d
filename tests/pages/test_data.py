"""The page of data: whose records lack what, each figure with its list; every page has an address of its own."""
from datetime import date, timedelta

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from dashboard import quality, words
from queries.indicators import DEFECTS
from tests.pages import test_every_number_opens_its_list as lists
from tests.pages.test_every_number_opens_its_list import office  # noqa: F401 (a fixture)
from tests.pages.test_units import doors, opened  # noqa: F401 (fixtures)


def table(**counts) -> pd.DataFrame:
    columns = [f"{code}_{part}" for code in DEFECTS for part in ("num", "den")]
    return pd.DataFrame(0, index=[7, 8], columns=columns).assign(**counts)


def test_the_sentence_names_the_defect_the_share_and_the_unit():
    with words.speaking("zh"):
        found = table(defect_reply_num=[1, 5], defect_reply_den=[10, 20],
                      defect_matter_num=[2, 0], defect_matter_den=[10, 20])
        said = quality.defects_sentence(found, {7: "甲", 8: "乙"}.get)
        assert said.startswith("缺项最多的是**无书面答复**，**6件**，占20.0%；其中乙最多，5件。")
        assert "无经办人" in said and "没有一件属于" in said and "无事由" not in said.split("没有一件属于")[1]
        assert quality.defects_sentence(table(), str) == "本期各单位记录齐全。"


def test_a_source_that_never_came_is_stale_too():
    now = pd.Timestamp("2026-03-09 08:00", tz="UTC")
    seen = [now - pd.Timedelta("23h"), now - pd.Timedelta("30h"), pd.NaT]
    sources = pd.DataFrame({"source_id": [1, 2, 3], "name": ["a", "b", "c"], "seen_at": seen})
    calendars = pd.DataFrame({"year": [2027], "status": ["estimated"], "provisional": [3]})
    assert quality.stale(sources, now).source_id.tolist() == [2, 3]
    with words.speaking("zh"):
        lines = quality.finding(sources, calendars, now, str)
    assert "已30小时" in lines[0] and "从未" in lines[1] and "2027年" in lines[2] and len(lines) == 3


@pytest.mark.parametrize("login", ["demo-supervisor", "demo-ningbo", "demo-leader"])
def test_every_number_of_the_page_opens_its_list(office, doors, login):  # noqa: F811
    at = lists.run("data", {"as": login, "lang": "zh", "period": "custom",
                             "from": date.today() - timedelta(days=600), "to": date.today()})
    frame, columns = doors[-1]
    checked = 0
    for name, text, params in opened(frame, columns):
        n = int(text.split("（")[0].replace(",", ""))
        assert lists.listed(params) == n, (name, text, params)
        checked += 1
    for label, params in lists.ways(at):
        n = lists.written(label)
        assert n is not None and lists.listed(params) == n, (label, params)
        checked += 1
    assert checked >= (1 if login == "demo-ningbo" else 3)
    assert columns["unit"].to == "data" and "unit" in columns["unit"].address(0)


def first(params: dict) -> AppTest:
    at = AppTest.from_file(lists.APP, default_timeout=30)
    at.query_params.update(params)
    return at.run()


def test_the_start_leads_to_the_first_page_of_the_role(office):  # noqa: F811
    assert "督办周报" in first({"as": "demo-leader", "lang": "zh"}).title[0].value
    assert first({"as": "demo-auditor", "lang": "zh"}).title[0].value == "审计"
    assert first({"as": "demo-regulator", "lang": "zh"}).title[0].value == "监管视图"

