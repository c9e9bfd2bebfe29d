"""Sign-in by a provider from end to end: a real provider process (oidc-provider-mock), a real browser, the first page, and out again."""
import re
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager

import pytest
from playwright.sync_api import expect

from queries import accounts, connect
from tests.browser.browser import launch
from tests.browser.conftest import served
from tests.conftest import TINY, cloned


@contextmanager
def provider():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen([sys.executable, "-m", "oidc_provider_mock", "--port", str(port), "--host", "127.0.0.1", "--require-nonce"],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        until = time.monotonic() + 20
        while True:
            try:
                with urllib.request.urlopen(f"{address}/.well-known/openid-configuration", timeout=2):
                    break
            except OSError:
                assert time.monotonic() < until and process.poll() is None, "the provider did not come up"
                time.sleep(0.2)
        yield address
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture(scope="module")
def place(server, banks, folder):
    with provider() as issuer, cloned(server, banks(TINY)) as url, served(
            url, folder, DASHBOARD_OIDC_ISSUER=issuer, DASHBOARD_OIDC_CLIENT_ID="desk",
            DASHBOARD_OIDC_CLIENT_SECRET="a secret", DASHBOARD_OIDC_NAME="统一身份", DASHBOARD_PUBLIC_URL="http://127.0.0.1:{port}") as address:
        connect.as_owner(url, accounts.add, login="person", name="王督办", role="supervisor")
        connect.as_owner(url, accounts.identify, login="person", issuer=issuer, subject="wang")
        yield address


@pytest.fixture(scope="module")
def browser():
    with launch() as made:
        yield made


def enter(page, address, subject):
    page.goto(f"{address}/review")
    page.get_by_role("link", name=re.compile("统一身份")).click()
    page.locator("input[name=sub]").fill(subject)
    page.get_by_role("button", name=re.compile("authorize", re.I)).first.click()


def test_from_the_providers_form_to_the_first_page_and_out(browser, place):
    context = browser.new_context(locale="zh-CN", viewport={"width": 1440, "height": 900})
    page = context.new_page()
    enter(page, place, "wang")
    expect(page.get_by_text("投诉督办周报").first).to_be_visible(timeout=30_000)
    kept = [one for one in context.cookies() if one["name"] == "sid"]
    assert kept and kept[0]["httpOnly"]
    page.goto(f"{place}/sign-out")
    page.get_by_role("button").click()
    expect(page).to_have_url(re.compile("/sign-in"))
    context.add_cookies(kept)
    page.goto(f"{place}/review")
    expect(page).to_have_url(re.compile("/sign-in"))
    context.close()


def test_somebody_unknown_is_told(browser, place):
    context = browser.new_context(locale="zh-CN")
    page = context.new_page()
    enter(page, place, "stranger")
    expect(page.get_by_role("alert")).to_contain_text("没有可用的账号")
    context.close()
