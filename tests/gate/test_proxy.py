"""A reverse proxy says who it is: believed with its secret, and not otherwise (safety.md §6, 21)."""
import pytest

from dashboard.settings import SettingsError, settings
from queries import accounts, connect
from tests.browser.conftest import served
from tests.conftest import TINY, cloned
from tests.gate.test_gate import Site

SECRET, HEADER = "a secret of more than thirty-two characters", "X-Remote-Login"


@pytest.fixture(scope="module")
def site(server, banks, folder):
    with cloned(server, banks(TINY)) as url, served(url, folder, DASHBOARD_PROXY_SECRET=SECRET, DASHBOARD_PROXY_HEADER=HEADER) as address:
        for login in ("person", "other"):
            connect.as_owner(url, accounts.add, login=login, name="某人", role="leader")
        yield Site(address, url, folder)


def test_the_proxys_word_is_a_session(site):
    answer = site.ask("/sign-in?next=%2Flimits", X_Remote_Login="person", X_Desk_Proxy_Secret=SECRET)
    assert answer.status == 303 and answer.headers["location"] == "/limits"
    token = answer.cookies["sid"]
    assert site.ask("/review", cookies={"sid": token}, X_Remote_Login="Person", X_Desk_Proxy_Secret=SECRET).status == 200
    assert site.sql("select how from session order by session_id desc limit 1")[0][0] == "proxy"
    assert site.ask("/review", cookies={"sid": token}, X_Remote_Login="other", X_Desk_Proxy_Secret=SECRET).status == 303, "another person at the same browser"


@pytest.mark.parametrize("secret", ["", "wrong", SECRET[:-1], SECRET + "x", SECRET.upper()])
def test_a_forged_header_is_nobodys_word(site, secret):
    answer = site.ask("/sign-in", X_Remote_Login="person", X_Desk_Proxy_Secret=secret)
    assert answer.status == 200 and "sid" not in answer.cookies
    assert site.ask("/review", X_Remote_Login="person", X_Desk_Proxy_Secret=secret).status == 303
    assert site.ask("/review", X_Remote_Login="person").status == 303


def test_who_has_no_account_is_refused_and_none_is_made(site):
    before = site.sql("select count(*) from app_user")[0][0]
    for login in ("stranger", "service", "demo-admin"):
        answer = site.ask("/sign-in", X_Remote_Login=login, X_Desk_Proxy_Secret=SECRET)
        assert answer.status == 403 and "sid" not in answer.cookies
    assert site.sql("select count(*) from app_user")[0][0] == before
    connect.as_owner(site.url, accounts.enable, login="other", active=False)
    assert site.ask("/sign-in", X_Remote_Login="other", X_Desk_Proxy_Secret=SECRET).status == 403
    connect.as_owner(site.url, accounts.enable, login="other", active=True)


@pytest.mark.parametrize("given", [{"DASHBOARD_PROXY_SECRET": "short", "DASHBOARD_PROXY_HEADER": HEADER}, {"DASHBOARD_PROXY_SECRET": SECRET}, {"DASHBOARD_PROXY_HEADER": HEADER},
                                   {"DASHBOARD_OIDC_ISSUER": "https://id.example"}, {"DASHBOARD_OIDC_CLIENT_SECRET": "x"},
                                   {"DASHBOARD_OIDC_ISSUER": "http://id.example", "DASHBOARD_OIDC_CLIENT_ID": "x", "DASHBOARD_OIDC_CLIENT_SECRET": "x", "DASHBOARD_PUBLIC_URL": "https://d"},
                                   {"DASHBOARD_OIDC_CLIENT_SECRET_FILE": "/no/such/file"}])
def test_settings_that_are_not_whole_are_refused_at_the_start(monkeypatch, given):
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    settings.cache_clear()
    with pytest.raises(SettingsError) as said:
        settings()
    assert SECRET not in str(said.value)
    settings.cache_clear()
