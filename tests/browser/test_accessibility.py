"""axe-core over every page as it is drawn: no serious or critical finding, at a desk and on a phone, light and dark."""
import pytest
import sqlalchemy

from dashboard.navigation import PAGES
from tests.browser import browser

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
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    with browser.page(chromium, **LOOKS[look]) as page:
        more = f"&number={number}" if key == "complaint" else ""
        page.goto(f"{shared_site}/{key}?as=demo-supervisor&period=last_month{more}")
        browser.settled(page, 40_000)
        found = axe.run(page).response["violations"]
    serious = {one["id"]: [node["html"][:200] for node in one["nodes"]] for one in found
               if one["impact"] in ("serious", "critical")}
    assert serious == {}
