"""A browser for tests and for the pictures of the README: local Chromium, driven by Playwright."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]
SCREEN, PHONE = (1440, 900), (390, 844)
PHONE_AGENT = ("Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) "
               "Chrome/126.0.0.0 Mobile Safari/537.36")


@contextmanager
def launch() -> Iterator:
    """A Playwright browser; the test that asked is skipped where there is none."""
    playwright = pytest.importorskip("playwright.sync_api")
    found = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if not found:
        pytest.skip("no Chromium on this machine")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=found, headless=True, args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def page(browser, *, size: tuple[int, int] = SCREEN, dark: bool = False, locale: str = "zh-CN",
         scale: float = 1, **more) -> Iterator:
    """A page in a context of its own; a narrow one says that it is a phone. `more` is Playwright's."""
    phone = size[0] < 600
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]}, color_scheme="dark" if dark else "light", locale=locale,
        device_scale_factor=scale, has_touch=phone, is_mobile=phone, timezone_id="Asia/Shanghai",
        **({"user_agent": PHONE_AGENT} if phone else {}), **more)
    try:
        yield context.new_page()
    finally:
        context.close()


def settled(page, timeout: int = 20_000) -> None:
    """Wait until the script has run, nothing is a skeleton and the charts are drawn."""
    page.wait_for_selector("[data-testid=stMain]", timeout=timeout)
    page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]", timeout=timeout)
    page.wait_for_function("() => !document.querySelector('[data-testid=stSkeleton]')", timeout=timeout)
    page.wait_for_function(
        "() => [...document.querySelectorAll('[data-testid=stPlotlyChart]')].every(c => c.querySelector('.main-svg'))",
        timeout=timeout)
    page.wait_for_timeout(400)


def shoot(page, path: Path | str) -> Path:
    """A picture of the whole page: the scroller is inside it, so the window grows to the scroller's height first."""
    settled(page)
    width = page.viewport_size["width"]
    before = page.viewport_size["height"]
    top = page.evaluate("() => document.querySelector('[data-testid=stMain]').getBoundingClientRect().top")
    tall = page.evaluate("() => document.querySelector('[data-testid=stMain]').scrollHeight")
    page.set_viewport_size({"width": width, "height": max(before, int(top + tall))})
    page.wait_for_timeout(700)
    page.screenshot(path=str(path))
    page.set_viewport_size({"width": width, "height": before})
    return Path(path)
