"""axe-core over every page as it is drawn: no serious or critical finding, at a desk and on a phone, light and dark."""
from contextlib import ExitStack

import pytest
import sqlalchemy

from dashboard.navigation import PAGES
from tests.browser import browser
from tests.browser.pictures import ACCOUNT

LOOKS = {"desk": {}, "phone": {"size": browser.PHONE}, "english": {"locale": "en-US"}}


@pytest.fixture(scope="module")
def looks():
    """{look: a page of one browser}; each goes from page to page, as a reader does."""
    with browser.launch() as chromium, ExitStack() as open_:
        yield {look: open_.enter_context(browser.page(chromium, **more)) for look, more in LOOKS.items()}


@pytest.fixture
def tab(looks, look):
    """The page of this look, in light."""
    looks[look].emulate_media(color_scheme="light")
    return looks[look]


@pytest.fixture(scope="module")
def number(shared_site, shared_database):
    """A complaint that the bank on the site really has."""
    bank = sqlalchemy.create_engine(shared_database)
    with bank.connect() as connection:
        number = connection.scalar(sqlalchemy.text("select max(complaint_no) from desk.complaint"))
    bank.dispose()
    return number


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("key", [page.key for page in PAGES])
def test_no_serious_or_critical_finding(shared_site, tab, number, key, look):
    more = f"&number={number}" if key == "complaint" else ""
    tab.goto(f"{shared_site}/{key}?as={ACCOUNT.get(key, 'demo-supervisor')}&period=last_month{more}")
    browser.settled(tab, 40_000)
    assert tab.locator("h1").count(), "the page itself, not a message in its place"
    assert serious(tab) == {}
    if look == "desk":
        in_the_dark(tab)
        assert serious(tab) == {}, "in the dark"


def in_the_dark(tab) -> None:
    """The same page as the system turns dark: it follows, and its charts are drawn anew."""
    tab.emulate_media(color_scheme="dark")
    tab.wait_for_function("() => getComputedStyle(document.querySelector('[data-testid=stApp]')).backgroundColor === 'rgb(20, 24, 29)'", timeout=10_000)
    browser.settled(tab)


@pytest.mark.parametrize("look", ("desk", "phone"))
def test_nor_in_the_settings_and_their_forms(shared_site, tab, look):
    forms = {"users": "新增账号", "units&item=100": "修改联系人", "policies": "起草新版", "calendars": "载入年度", "sources&item=1": "修改来源"}
    for section, form in forms.items():
        tab.emulate_media(color_scheme="light")
        tab.goto(f"{shared_site}/settings?as=demo-admin&lang=zh&section={section}")
        browser.settled(tab, 40_000)
        assert serious(tab) == {}, section
        tab.get_by_role("button", name=form).first.click()
        tab.wait_for_selector("[data-testid=stDialog]")
        browser.settled(tab)
        assert serious(tab) == {}, form
        if look == "desk":
            in_the_dark(tab)
            assert serious(tab) == {}, f"{form}, in the dark"
            tab.get_by_role("dialog").get_by_role("button", name="取消", exact=True).click()
            tab.wait_for_selector("[data-testid=stDialog]", state="hidden")
            assert serious(tab) == {}, f"{section}, in the dark"


@pytest.mark.parametrize("look", LOOKS)
def test_nor_on_the_way_in(shared_site, tab, look):
    for path in ("sign-in", "sign-in?lang=en", "set-up/none"):
        tab.goto(f"{shared_site}/{path}")
        for scheme in ("light", "dark"):
            tab.emulate_media(color_scheme=scheme)
            assert tab.locator("h1").count() and serious(tab) == {}, (path, scheme)


def serious(page) -> dict:
    """What axe finds serious or critical on this page: {rule: the elements}."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    return {one["id"]: [node["html"][:200] for node in one["nodes"]] for one in axe.run(page).response["violations"]
            if one["impact"] in ("serious", "critical")}
