"""Two readers at work while complaints come in: pages follow within two seconds, and nothing is taken out of their hands.

The same for as long as one likes, with the memory of the server and the seconds until a commit is seen: `watch.py` beside this file.
"""
import os
import re
import subprocess
import sys
import time

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from tests.browser import browser
from tests.browser.conftest import ROOT, served
from tests.conftest import cloned

ROW = 34
BUSY = 12_000                                                # complaints: enough of them are due soon on any day
RECEIVED = "[data-testid=stMetricValue]"
WITHIN = 2.0                                                 # seconds from a commit to the reader, and the run in between


@pytest.fixture(scope="module")
def site(server, banks, folder):
    """The address, and the environment of a command on the same bank."""
    with cloned(server, banks(BUSY)) as database, served(database, folder) as address:
        yield address, os.environ | {"DATABASE_URL": database, "DASHBOARD_DATA": str(folder)}


@pytest.fixture(scope="module")
def chromium():
    with browser.launch() as one:
        yield one


class Changes:
    """`simulate` as a process of its own, for as long as the block; the block begins with its first changes."""

    def __init__(self, environment, rate):
        self.environment, self.rate = environment, rate

    def __enter__(self):
        changed, until = "select last_value from change_seq", time.monotonic() + 60
        before = scalar(self.environment["DATABASE_URL"], changed)
        self.process = subprocess.Popen([sys.executable, "-m", "dashboard", "simulate", "--rate", str(self.rate)], cwd=ROOT,
                                        env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        while scalar(self.environment["DATABASE_URL"], changed) < before + 5:
            assert self.process.poll() is None and time.monotonic() < until, "nothing was written"
            time.sleep(0.1)
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.said = self.process.communicate(timeout=20)[0]
        assert self.process.returncode == 0 and "failed 0" in self.said.splitlines()[-1], self.said


def console(page):
    """What the browser complains about, as it comes."""
    said = []
    page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    return said


def open_page(page, site, path):
    page.goto(f"{site[0]}/{path}{'&' if '?' in path else '?'}as=demo-supervisor&lang=zh")
    browser.settled(page, 40_000)
    page.said = console(page)


def tick_rows(page, *places):
    """Tick rows of the list by their boxes; its head is row 0."""
    table = page.get_by_test_id("stDataFrame")
    table.scroll_into_view_if_needed()
    box = table.bounding_box()
    for place in places:
        page.mouse.click(box["x"] + 16, box["y"] + ROW * (place + 0.5))
        page.wait_for_timeout(700)


def line(page):
    """The quiet line beside the heading, or nothing."""
    found = page.get_by_text(re.compile("^打开后"))
    return found.first.inner_text() if found.count() else ""


def shown(page):
    """The card of complaints received in the period."""
    return int(re.sub(r"\D", "", page.locator(RECEIVED).nth(2).inner_text()))


def broken(page):
    """What the page says in red boxes."""
    return page.locator("[data-testid=stException], [data-testid=stAlertContentError]").all_inner_texts()


def test_what_a_reader_of_rows_is_doing_survives(site, chromium):
    with browser.page(chromium) as page:
        open_page(page, site, "overdue?code=due_soon_list")
        tick_rows(page, 1, 2)
        page.get_by_text("已选 2件").first.wait_for()
        picked = page.get_by_test_id("stBottom").inner_text()
        numbers = page.get_by_test_id("stDataFrame").inner_text()
        top = page.get_by_test_id("stDataFrame").bounding_box()["y"]
        search = page.get_by_placeholder(re.compile("编号"))
        search.click()
        page.keyboard.type("宁波")                           # typed, not sent
        scrolled = page.evaluate("() => document.querySelector('[data-testid=stMain]').scrollTop")
        with Changes(site[1], 20):
            page.get_by_text(re.compile("^打开后")).first.wait_for(timeout=20_000)
            page.wait_for_timeout(6_000)
            assert page.get_by_test_id("stBottom").inner_text() == picked, "the ticks stay"
            assert search.input_value() == "宁波" and search.evaluate("e => e === document.activeElement")
            assert page.get_by_test_id("stDataFrame").inner_text() == numbers
            assert page.get_by_test_id("stDataFrame").bounding_box()["y"] == top, "no row moves, not by a pixel"
            assert page.evaluate("() => document.querySelector('[data-testid=stMain]').scrollTop") == scrolled

            search.fill("")
            page.keyboard.press("Escape")
            page.get_by_role("button", name=re.compile("^催办.*2件")).click()
            form = page.get_by_role("dialog")
            form.get_by_role("textbox").first.fill("请于周五前办")
            page.wait_for_timeout(5_000)
            assert form.is_visible() and form.get_by_role("textbox").first.input_value() == "请于周五前办"
            form.get_by_role("button", name="取消").click()
            form.wait_for(state="hidden")
            page.wait_for_timeout(500)
            assert page.get_by_test_id("stBottom").inner_text() == picked
        assert line(page) and broken(page) == [] and page.said == []
        page.get_by_role("button", name="刷新").first.click()
        page.wait_for_timeout(800)
        browser.settled(page)
        assert not line(page), "opened again: nothing is new"
        assert broken(page) == []


def test_figures_follow_and_an_open_menu_and_a_scrolled_page_stay(site, chromium):
    with browser.page(chromium) as page:
        open_page(page, site, "review?period=week")
        before = shown(page)
        page.get_by_text("统计说明").first.click()
        browser.settled(page)
        page.evaluate("() => document.querySelector('[data-testid=stMain]').scrollTo(0, 500)")
        with Changes(site[1], 20):
            time.sleep(8)
            assert page.evaluate("() => document.querySelector('[data-testid=stMain]').scrollTop") == 500
            assert page.evaluate("() => [...document.querySelectorAll('[data-testid=stExpander] details')].some(one => one.open)")
            page.evaluate("() => document.querySelector('[data-testid=stMain]').scrollTo(0, 0)")
            page.get_by_test_id("stPopover").locator("button").first.click()
            typed = page.get_by_test_id("stPopoverBody").get_by_role("textbox").first
            typed.fill("2026-0")
            seen = shown(page)
            time.sleep(6)
            assert typed.is_visible() and typed.input_value() == "2026-0" and typed.evaluate("e => e === document.activeElement")
            assert shown(page) > seen > before
            page.keyboard.press("Escape")
        time.sleep(WITHIN + 1.5)                             # nothing is written any more: the page has what there is
        assert shown(page) == received(site[1]["DATABASE_URL"]) and broken(page) == [] and page.said == []


def received(database):
    """Complaints received this week in Shanghai, counted from the raw rows."""
    return scalar(database, """select count(*) from complaint where received_at >=
                               date_trunc('week', clock_timestamp() at time zone 'Asia/Shanghai') at time zone 'Asia/Shanghai'""")


def scalar(database, statement):
    engine = create_engine(database, poolclass=NullPool)
    with engine.connect() as conn:
        conn.execute(text("set search_path = desk"))
        return conn.execute(text(statement)).scalar()


def test_what_one_page_has_drawn_comes_to_another_of_the_same_without_a_run(site, chromium):
    heard = []                                               # of the second: what was sent, in its order

    def hear(data):
        message = ForwardMsg.FromString(data)
        kind = message.WhichOneof("type")
        heard.append("metric" if kind == "delta" and message.delta.new_element.WhichOneof("type") == "metric" else kind)

    with browser.page(chromium) as one, browser.page(chromium) as two:
        two.on("websocket", lambda socket: socket.on("framereceived", hear))
        for page in (one, two):
            open_page(page, site, "review?period=week")
        before, cards = shown(two), two.locator(RECEIVED).count()
        with Changes(site[1], 20):
            time.sleep(12)                                   # several ticks, and the rest of both pages between them
        until = time.monotonic() + 20
        while (shown(one), shown(two)) != (received(site[1]["DATABASE_URL"]),) * 2:
            assert time.monotonic() < until, (shown(one), shown(two))
            time.sleep(0.1)
        assert shown(two) > before
        runs = [place for place, kind in enumerate(heard) if kind in ("new_session", "script_finished")]
        between = [heard[start:end].count("metric") for start, end in zip(runs, runs[1:]) if heard[start] == "script_finished"]
        assert any(between), "each of its figures came with a run of its own"
        said = [page.locator(RECEIVED).all_inner_texts() for page in (one, two)]
        assert said[0] == said[1] and len(said[1]) == cards, "what comes between runs stands where it stood"
        assert broken(one) == broken(two) == one.said == two.said == []
