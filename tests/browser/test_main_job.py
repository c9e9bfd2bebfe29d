"""The job the desk is for, in a real browser: review, overdue of a branch, a complaint, an urge, its trace."""
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from tests.browser import browser

ROOT = Path(__file__).resolve().parents[2]
ROW = 34  # height of a row of the table, px


@pytest.fixture
def site(database, tmp_path):
    """The address of the product on a small demo bank of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {"DATABASE_URL": database, "DASHBOARD_DATA": str(tmp_path), "DASHBOARD_PORT": str(port),
                                "DASHBOARD_ADDRESS": "127.0.0.1", "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-m", "dashboard", "demo", "--complaints", "3000"], cwd=ROOT, env=environment,
                   check=True, timeout=60,
                   capture_output=True)
    server = subprocess.Popen([sys.executable, "-m", "streamlit", "run", "dashboard/app.py", "--server.port", str(port),
                               "--server.address", "127.0.0.1"],
                              cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield _up(f"http://127.0.0.1:{port}", server)
    finally:
        server.terminate()
        server.wait(10)


def _up(address, server):
    until = time.monotonic() + 30
    while time.monotonic() < until and server.poll() is None:
        try:
            with urllib.request.urlopen(f"{address}/_stcore/health", timeout=2):
                return address
        except OSError:
            time.sleep(0.2)
    raise AssertionError("the server did not come up")


@pytest.fixture
def page(site):
    with browser.launch() as chromium, browser.page(chromium) as one:
        one.goto(f"{site}/?as=demo-supervisor")
        browser.settled(one, 40_000)
        yield one


def test_from_the_review_to_an_urge_that_is_in_the_timeline(page):
    page.get_by_role("link", name="逾期督办").first.click()
    page.wait_for_url("**/overdue*")
    settle(page)
    branch = page.get_by_test_id("stButtonGroup").filter(has_text=re.compile(r"\d")).first.locator("button").first
    name = branch.inner_text().split()[0]
    branch.click()
    page.wait_for_url("**unit=*")
    settle(page)
    assert page.get_by_role("heading", name=re.compile(f"^{name}.*逾期未办结")).is_visible()

    table = page.get_by_test_id("stDataFrame").bounding_box()
    page.mouse.click(table["x"] + 32 + 90 + 52, table["y"] + ROW * 1.5)  # the number of the first complaint
    page.wait_for_url("**/complaint*number=*")
    settle(page)
    assert page.get_by_text(re.compile(r"第1件，共\d+件")).is_visible()

    page.get_by_role("button", name="催办", exact=True).click()
    form = page.get_by_role("dialog")
    form.get_by_label("催办内容").fill("请于周五前办结，浏览器测试")
    form.get_by_role("button", name="确认催办").dblclick()
    page.get_by_text(re.compile("发出催办通知|催办通知，发给")).first.wait_for()
    form.wait_for(state="hidden")
    settle(page)
    entry = page.get_by_role("row").filter(has_text="浏览器测试")
    assert entry.count() == 1, "a double click is one urge"
    assert "未签收" in entry.inner_text() and re.search(r"催办通知（第\d+次）", entry.inner_text())

    page.get_by_role("button", name="催办", exact=True).click()
    form.get_by_text(re.compile(r"李敏 \d+月\d+日\d\d:\d\d 已对本件发出催办通知")).wait_for()  # who and when
    assert form.get_by_role("button", name="确认催办").is_disabled()
    form.get_by_role("button", name="取消").click()
    form.wait_for(state="hidden")
    settle(page)

    page.get_by_role("link", name="逾期督办").last.click()  # back to the same branch
    page.wait_for_url("**/overdue*unit=*")
    settle(page)
    assert page.get_by_role("heading", name=re.compile(f"^{name}.*逾期未办结")).is_visible()


def settle(page):
    page.wait_for_timeout(300)
    browser.settled(page)
