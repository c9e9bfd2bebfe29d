"""Every page has an address of its own, in a real browser: typed, followed, sent, and left again by the Back button."""
import pytest

from tests.browser import browser


@pytest.fixture
def page(shared_site):
    with browser.launch() as chromium, browser.page(chromium) as one:
        yield one


def at(page, address: str) -> str:
    page.goto(address)
    page.wait_for_selector("h1, [data-testid=stAlert]", timeout=40_000)
    browser.settled(page, 40_000)
    assert page.get_by_role("dialog").count() == 0, "Streamlit's own dialog: Page not found"
    return page.url


def test_addresses_the_menu_and_the_back_button(shared_site, page):
    site = shared_site
    page.goto(f"{site}/overdue?period=week")
    assert page.url.startswith(f"{site}/sign-in?next=")
    page.get_by_role("button", name="李敏").click()
    page.wait_for_url(f"{site}/overdue?period=week*")            # on to what was asked for
    browser.settled(page, 40_000)
    for typed, reached in (("/", "/review"), ("/review", "/review"), ("/?as=demo-admin", "/settings"),
                           ("/?as=demo-regulator", "/oversight"), ("/?as=demo-auditor", "/audit"),
                           ("/units?as=demo-leader", "/units"), ("/data?as=demo-leader&period=last_month", "/data")):
        url = at(page, site + typed)
        assert url.removeprefix(site).split("?")[0] == reached, typed
    assert page.locator("[aria-current=page]").all_inner_texts() == ["数据"]
    assert "period=last_month" in page.url

    at(page, f"{site}/review?as=demo-admin")
    assert page.get_by_text("您的角色无权查看本页").is_visible(), "a page that is not the viewer's says so at its own address"

    page.goto("about:blank")
    at(page, f"{site}/?as=demo-leader")
    page.wait_for_url("**/review*")
    browser.settled(page)
    page.go_back()
    page.wait_for_url(lambda url: url.split("?")[0] == f"{site}/")
    page.get_by_role("heading", name="投诉督办").first.wait_for()
    page.wait_for_timeout(600)
    assert "/review" not in page.url, "sent on again: the reader could never leave"
    page.go_back()
    page.wait_for_url("about:blank")
