"""The job the desk is for, in a real browser: review, overdue of a branch, a complaint, an urge, its trace."""
import re

import pytest

from tests.browser import browser

ROW = 34  # height of a row of the table, px


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
