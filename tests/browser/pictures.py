"""The README's pictures: `python -m tests.browser.pictures http://127.0.0.1:8501 NUMBER`, from a running app with the demo bank."""
import sys
from pathlib import Path

from tests.browser import browser

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "pictures"


def main(base: str, number: str) -> None:
    """Every page in both languages, in Chinese dark and on a phone too; `number` is the complaint that is shown."""
    with browser.launch() as chromium:
        for size, dark, suffix in ((browser.SCREEN, False, ""), (browser.SCREEN, True, "-dark"), (browser.PHONE, False, "-390")):
            for lang, locale in (("zh", "zh-CN"), ("en", "en-US")):
                if suffix and lang == "en":
                    continue
                with browser.page(chromium, size=size, dark=dark, locale=locale, scale=1 if size == browser.SCREEN else 1.5) as page:
                    for name in ("review", "overdue", "complaints", "data"):
                        page.goto(f"{base}/{name if name != 'review' else ''}?lang={lang}" + ("&code=compliance" if name == "complaints" else ""))
                        browser.settled(page)
                        browser.shoot(page, FOLDER / f"{name}-{lang}{suffix}.png")
                    page.goto(f"{base}/complaint?lang={lang}&number={number}")
                    browser.settled(page)
                    browser.shoot(page, FOLDER / f"complaint-{lang}{suffix}.png")


if __name__ == "__main__":
    main(*sys.argv[1:3])
