"""axe-core over every page as it is drawn: no serious or critical finding, at a desk and on a phone, light and dark."""
import pytest
import sqlalchemy

from dashboard.navigation import PAGES
from tests.browser import browser
from tests.browser.pictures import ACCOUNT

LOOKS = {"desk": {}, "dark": {"dark": True}, "phone": {"size": browser.PHONE}, "english": {"locale": "en-US"}}


@pytest.fixture(scope="module")
def chromium():
    with browser.launch() as one:
        yield one


@pytest.fixture(scope="module")
def number(shared_site, shared_database):
    """A complaint that the bank on the site really has."""
    bank = sqlalchemy.create_engine(shared_database)
    with bank.connect() as connection:
        number = connection.scalar(sqlalchemy.text("SELECT max(complaint_no) FROM complaint"))
    bank.dispose()
    return number


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("key", [page.key for page in PAGES])
def test_no_serious_or_critical_finding(shared_site, chromium, number, key, look):
    with browser.page(chromium, **LOOKS[look]) as page:
        more = f"&number={number}" if key == "complaint" else ""
        page.goto(f"{shared_site}/{key}?as={ACCOUNT.get(key, 'demo-supervisor')}&period=last_month{more}")
        browser.settled(page, 40_000)
        assert page.locator("h1").count(), "the page itself, not a message in its place"
        assert serious(page) == {}


@pytest.mark.parametrize("look", ("desk", "dark", "phone"))
def test_nor_in_the_settings_and_their_forms(shared_site, chromium, look):
    forms = {"users": "新增账号", "units&item=100": "修改联系人", "policies": "起草新版", "calendars": "载入年度", "sources&item=1": "修改来源"}
    with browser.page(chromium, **LOOKS[look]) as page:
        for section, form in forms.items():
            page.goto(f"{shared_site}/settings?as=demo-admin&lang=zh&section={section}")
            browser.settled(page, 40_000)
            assert serious(page) == {}, section
            page.get_by_role("button", name=form).first.click()
            page.wait_for_selector("[data-testid=stDialog]")
            browser.settled(page)
            assert serious(page) == {}, form


@pytest.mark.parametrize("look", LOOKS)
def test_nor_on_the_way_in(shared_site, chromium, look):
    with browser.page(chromium, **LOOKS[look]) as page:
        for path in ("sign-in", "sign-in?lang=en", "set-up/none"):
            page.goto(f"{shared_site}/{path}")
            assert page.locator("h1").count() and serious(page) == {}, path


def serious(page) -> dict:
    """What axe finds serious or critical on this page: {rule: the elements}."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    return {one["id"]: [node["html"][:200] for node in one["nodes"]] for one in axe.run(page).response["violations"]
            if one["impact"] in ("serious", "critical")}
