"""Every word the product shows, in Chinese and English: ``zh.toml`` and ``en.toml`` beside this file.

``t("review.title", span=…)`` gives the text in the language of the run. A key whose entry is a table of plural forms
(``{one = "…", other = "…"}``) chooses by ``n``. Whole numbers and dates among the values are written the way the
language writes them. Some entries are Markdown: text that comes from people goes through ``literal`` first.
"""

import re
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import date, datetime, timedelta
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_date

LANGUAGES = ("zh", "en")
DEFAULT = "zh"
REMEMBERED = "words.language"  # session_state: the language chosen earlier in this session
_LOCALES = {"zh": Locale("zh", script="Hans"), "en": Locale("en")}
_FORMS = {"zero", "one", "two", "few", "many", "other"}
_running: ContextVar[str | None] = ContextVar("language", default=None)


# -- language -------------------------------------------------------------------------------------------------------

def language() -> str:
    """zh or en: of the enclosing ``speaking``, else of this run: the address, the session, the browser, Chinese."""
    return _running.get() or _of_the_run()


@contextmanager
def speaking(code: str) -> Iterator[None]:
    """Use one language within a block, whatever the viewer's: reports, messages, tests."""
    token = _running.set(code if code in LANGUAGES else DEFAULT)
    try:
        yield
    finally:
        _running.reset(token)


def begin() -> str:
    """Settle the language once at the start of a full run, so that every ``t`` after it is a dictionary look-up."""
    _running.set(None)
    code = _of_the_run()
    _running.set(code)
    return code


def _of_the_run() -> str:
    import streamlit as st  # here, so that reports and tests need no Streamlit

    if not st.runtime.exists():
        return DEFAULT
    for asked in (st.query_params.get("lang"), st.session_state.get(REMEMBERED)):
        if asked in LANGUAGES:
            return asked
    browser = (st.context.locale or DEFAULT).lower().replace("_", "-").split("-")[0]
    return browser if browser in LANGUAGES else DEFAULT


# -- text -----------------------------------------------------------------------------------------------------------

def t(key: str, **values: object) -> str:
    """The text of a key, its placeholders filled. Raises KeyError for a key that does not exist."""
    code = language()
    entry = catalogue(code)[key]
    if isinstance(entry, dict):
        entry = entry[_LOCALES[code].plural_form(values["n"])]
    return entry.format_map({name: _written(value) for name, value in values.items()}) if values else entry


def has(key: str) -> bool:
    """Whether there are words for a key: for codes that come from the database and may be newer than the words."""
    return key in catalogue(language())


def name(kind: str, code: object) -> str:
    """The name of a code of a kind, ``name("state", "E")``; a code without words is shown as it is."""
    key = f"{kind}.{code}"
    return t(key) if has(key) else str(code)


def literal(text: object) -> str:
    """Somebody's text as Markdown that shows exactly it: no emphasis, links, pictures, icons, directives or line breaks."""
    flat = re.sub(r"\s+", " ", visible(text)).strip()
    return _MARKDOWN.sub(r"\\\g<0>", _READ_AGAIN.sub("\u2060", flat))


_MARKDOWN = re.compile(r"[\\`*_{}\[\]()<>#+!|$~:@.\-=&^]")
# After Markdown the browser reads plain text once more, escaped or not: addresses, :material/icons:, emoji, arrows. An unseen
# character that joins words keeps these apart.
_READ_AGAIN = re.compile(r"(?<=:)(?=//|material/|[\w+-]+:)|(?<=www)(?=\.)|(?<=@)(?=[\w-])|(?<=[<>~-])(?=[->=])", re.IGNORECASE)


def visible(text: object) -> str:
    """Somebody's text without what is not seen and changes how the rest is read: control characters, marks that turn the direction."""
    return _UNSEEN.sub("", str(text))


_UNSEEN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")


@cache
def catalogue(code: str) -> dict[str, str | dict[str, str]]:
    """All entries of a language by dotted key; plural entries are tables of forms."""
    return dict(_flat(tomllib.loads((Path(__file__).parent / f"{code}.toml").read_text("utf-8")), ""))


def _flat(table: dict, prefix: str) -> Iterator[tuple[str, str | dict[str, str]]]:
    for key, value in table.items():
        if isinstance(value, str) or set(value) <= _FORMS:
            yield prefix + key, value
        else:
            yield from _flat(value, f"{prefix}{key}.")


def _written(value: object) -> object:
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, datetime):
        raise TypeError("write a moment with moment(ts, zone) first")
    if isinstance(value, date):
        return day(value)
    return number(value) if isinstance(value, int) else value


# -- numbers --------------------------------------------------------------------------------------------------------

def number(value: float, digits: int = 0) -> str:
    """1234.5 -> 1,234.5 (digits=1)."""
    return f"{round(value, digits):,.{int(digits)}f}"  # both languages group by "," and point with "."


def percent(numerator: int, denominator: int, digits: int = 1) -> str:
    """94.4%, or in words that nothing was due: an empty denominator is neither 0% nor 100%."""
    return f"{number(100 * numerator / denominator, digits)}%" if denominator else t("unit.nothing_due")


def fraction(numerator: int, denominator: int, digits: int = 1) -> str:
    """94.4%（389/412）: a rate with its numerator and denominator at hand."""
    if not denominator:
        return t("unit.nothing_due")
    return t("unit.fraction", rate=percent(numerator, denominator, digits), num=numerator, den=denominator)


def cases(n: int) -> str:
    """21件 / 21."""
    return t("unit.cases", n=n)


def working_days(n: int) -> str:
    """6个工作日 / 6 working days."""
    return t("unit.working_days", n=n)


def late_by(n: int) -> str:
    """逾期6个工作日 / 6 working days late; 0 is 逾期不足1个工作日."""
    return t("unit.late_by", n=n) if n else t("unit.late_under_one")


# -- dates ----------------------------------------------------------------------------------------------------------

def day(d: date) -> str:
    """3月5日 / 5 Mar."""
    return f"{d.month}月{d.day}日" if language() == "zh" else _english(d, "d MMM")


def day_long(d: date) -> str:
    """2026年3月5日 / 5 March 2026."""
    return f"{d.year}年{day(d)}" if language() == "zh" else _english(d, "d MMMM y")


def month(d: date) -> str:
    """3月 / Mar."""
    return f"{d.month}月" if language() == "zh" else _english(d, "MMM")


def moment(ts: datetime, zone: ZoneInfo | str, *, long: bool = False) -> str:
    """3月9日08:30 / 9 Mar 08:30, on the clock of the institution; long adds the year."""
    local = ts.astimezone(ZoneInfo(zone) if isinstance(zone, str) else zone)
    joint = "" if language() == "zh" else " "
    return f"{(day_long if long else day)(local.date())}{joint}{local:%H:%M}"


def deadline(ts: datetime, zone: ZoneInfo | str) -> str:
    """A limit: the last instant of a day is written 3月5日24时 / end of 5 Mar, anything else to the minute."""
    local = ts.astimezone(ZoneInfo(zone) if isinstance(zone, str) else zone)
    if (local.hour, local.minute, local.second) in ((0, 0, 0), (23, 59, 59)):
        return t("unit.end_of_day", day=(local - timedelta(microseconds=1)).date())
    return moment(ts, zone)


def span(first: date, last: date) -> str:
    """2026年3月2日—3月8日 / 2–8 March 2026; both days belong to it."""
    if first == last:
        return day_long(first)
    if language() == "zh":
        return f"{day_long(first)}—{day(last) if first.year == last.year else day_long(last)}"
    start = "d" if (first.year, first.month) == (last.year, last.month) else "d MMMM"
    return f"{_english(first, start if first.year == last.year else 'd MMMM y')}–{day_long(last)}"


def span_short(first: date, last: date) -> str:
    """3月2日—3月8日 / 2–8 Mar, where space is short; over a turn of the year with years."""
    if first == last:
        return day(first)
    if language() == "zh":
        return f"{day(first)}—{day(last)}" if first.year == last.year else f"{day_long(first)}—{day_long(last)}"
    if first.year != last.year:
        return f"{_english(first, 'd MMM y')}–{_english(last, 'd MMM y')}"
    return f"{_english(first, 'd' if first.month == last.month else 'd MMM')}–{day(last)}"


def _english(d: date, pattern: str) -> str:
    return format_date(d, pattern, _LOCALES["en"])
