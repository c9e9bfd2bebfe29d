"""The README's pictures: `python -m tests.browser.pictures http://127.0.0.1:8501 NUMBER`, from a running app with the demo bank."""
import sys
from pathlib import Path

from PIL import Image

from dashboard.navigation import PAGES
from tests.browser import browser

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "pictures"
LOOKS = {"": {"size": browser.SCREEN}, "-dark": {"size": browser.SCREEN, "dark": True}, "-390": {"size": browser.PHONE},
         "-390-dark": {"size": browser.PHONE, "dark": True}}
ACCOUNT = {"settings": "demo-admin", "audit": "demo-auditor", "oversight": "demo-regulator", "released": "demo-regulator"}      # the others as the supervisor sees them
MORE = {"oversight": "span=3", "settings": "section=policies", "complaints": "code=compliance", "limits": "period=last_month", "satisfaction": "period=last_month", "units": "period=last_month"}


def main(base: str, number: str) -> None:
    """Every page in both languages, light and dark, at a desk and on a phone; `number` is the complaint that is shown."""
    with browser.launch() as chromium:
        for look, kind in LOOKS.items():
            for lang, locale in (("zh", "zh-CN"), ("en", "en-US")):
                with browser.page(chromium, locale=locale, **kind) as page:
                    for key in (one.key for one in PAGES):
                        more = f"number={number}" if key == "complaint" else MORE.get(key, "")
                        page.goto(f"{base}/{key}?as={ACCOUNT.get(key, 'demo-supervisor')}&lang={lang}&{more}")
                        _small(browser.shoot(page, FOLDER / f"{key}-{lang}{look}.png"))


def _small(picture: Path) -> None:
    """In 256 colours: a third of the bytes, and a repository keeps every version of them."""
    with Image.open(picture) as image:
        image.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(picture, optimize=True)


if __name__ == "__main__":
    main(*sys.argv[1:3])
