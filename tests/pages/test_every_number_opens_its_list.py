"""Page × role: every number on a page that counts complaints opens a list with exactly that many rows.

The pages are run by Streamlit's own test runner on a real database; links are taken from what was drawn, not from the source.
"""
import re
from datetime import datetime
from pathlib import Path
from urllib.parse import parse_qsl
from zoneinfo import ZoneInfo

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from dashboard import complaint, data, links, listing, permissions, session, tables
from dashboard.navigation import BY_KEY
from dashboard.navigation import PAGES as PAGES_ALL
from dashboard.settings import settings
from queries import complaints, db, ledger

APP = str(Path(__file__).resolve().parents[2] / "dashboard" / "app.py")
PAGES = Path(APP).resolve().parents[1] / "pages"
ROLES = ("demo-supervisor", "demo-ningbo", "demo-leader", "demo-unit", "demo-service", "demo-department", "demo-discipline")
FULL = ("review", "limits", "satisfaction", "units")     # pages on which every number in bold has a list
NO_COUNTS = ("density", "days", "median", "p90", "rank")  # numbers that open the complaints they come from, not as many
WIDE = ("demo-supervisor", "demo-leader")  # accounts that see the whole bank, most of it
NUMBER = re.compile(r"(\d{1,3}(?:,\d{3})+|\d+)")


@pytest.fixture(scope="module")
def office(bank, folder):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DATABASE_URL", bank["admin"])
        patch.setenv("DASHBOARD_DATA", str(folder))
        for cached in (settings, session.urls):
            cached.cache_clear()
        st.cache_data.clear()
        yield bank
    for cached in (settings, session.urls):
        cached.cache_clear()


def run(page: str, params: dict[str, str]) -> AppTest:
    """The page as a reader with this address sees it."""
    at = AppTest.from_file(APP, default_timeout=30)
    at.query_params.update(params)
    at.run()
    if page != "review":
        at.query_params.update(params)
        at.switch_page(str(PAGES / f"{page}.py"))
        at.query_params.update(params)
        for bound in ("part", "code"):                   # the test runner does not feed bound widgets from the address; a browser does
            if bound in params:
                at.session_state[bound] = params[bound]
        at.run()
    assert not at.exception, at.exception
    assert not at.error, [e.value for e in at.error]
    return at


def ways(at: AppTest) -> list[tuple[str, dict[str, str]]]:
    """Every link of the page to a list: (what is written on it, its address)."""
    return [(link.proto.label, dict(parse_qsl(link.proto.query_string))) for link in at.get("page_link") if link.proto.page == "complaints"]


def written(text: str) -> int | None:
    """The number of complaints in a label: 「到期412件」, 「77.4%（24/31）」 counts its denominator; None where it has none."""
    bare = re.sub(r":[a-z-]+\[|[\]*]", "", text)
    fraction = re.search(r"（(\d[\d,]*)/(\d[\d,]*)）", bare)
    if fraction:
        return int(fraction[2].replace(",", ""))
    found = re.search(r"(\d[\d,]*)件", bare) or NUMBER.fullmatch((bare.split() or [""])[-1])
    return int(found[1].replace(",", "")) if found else None


def listed(params: dict[str, str]) -> int:
    """How many rows the list of this address has in all, as its own page says; its table must agree."""
    at = run("complaints", params)
    if not at.dataframe:
        return 0
    sentence = next(m.value for m in at.markdown if "**" in m.value and "件" in m.value)
    total = written(sentence.split("**")[1] + "件" if "件" not in sentence.split("**")[1] else sentence.split("**")[1])
    assert len(at.dataframe[0].value) == min(total, 200)
    return total


def cards(at: AppTest) -> list[tuple[str, int]]:
    """The figure cards in order: (label, the count it shows, of a rate its denominator)."""
    shown = []
    for metric in at.metric:
        value = re.sub(r":[a-z-]+\[|[\]*]", "", metric.value)
        fraction = re.search(r"(\d[\d,]*)/(\d[\d,]*)", value)
        number = fraction[2] if fraction else NUMBER.search(value)
        if number and "本期无" not in value:
            shown.append((metric.label, int((number if isinstance(number, str) else number[1]).replace(",", ""))))
    return shown


class Doors:
    """What a page drew besides links: tables whose cells are doors, charts whose marks are. Recorded as it is drawn."""

    def __init__(self, patch):
        self.cells, self.marks = [], []
        table, chart = tables.doors, links.chart

        def doors(frame, columns, *args, **more):
            self.cells += [(name, str(frame[name].iloc[row]), one.address(row)) for name, one in columns.items()
                           if one.kind == "door" and one.address and one.to == "complaints" for row in some(len(frame))]
            return table(frame, columns, *args, **more)

        def drawn(figure, key, to=None, address=None):
            if to == "complaints":
                self.marks += [(key, text, address(point)) for text, point in points(figure[0])]
            return chart(figure, key, to, address)
        patch.setattr(tables, "doors", doors)
        patch.setattr(links, "chart", drawn)

    def numbered(self):
        """(what is written, address) of all of them that have a list and a number."""
        return [(f"{name}: {text}", n, params) for name, text, params in self.cells + self.marks
                if name not in NO_COUNTS and params is not None and (n := written(text)) is not None]


def some(rows: int, most: int = 8) -> list[int]:
    """The first and the last rows of a long table."""
    return list(range(rows)) if rows <= most else [*range(most // 2), *range(rows - most // 2, rows)]


def points(figure: dict):
    """(number, what a click on it hands over) of bars and heat cells with a number in them."""
    for trace in figure["data"]:
        if trace["type"] == "heatmap":
            yield from ((str(trace["text"][row][col]), {"customdata": [row, col], "point_index": row * len(trace["z"][0]) + col})
                        for row in some(len(trace["z"])) for col in range(len(trace["z"][row])) if trace["z"][row][col])
        elif trace["type"] == "bar" and trace.get("text"):
            yield from ((str(text), {"point_index": i, "customdata": (trace.get("customdata") or [None] * 99)[i]})
                        for i, text in enumerate(trace["text"]))


def counted(office, login: str, params: dict[str, str]) -> int:
    """How many complaints the list of this address has, asked as its page asks."""
    zone, viewer = ZoneInfo(settings().zone), db.viewer_of(office, login)
    as_of, asked = datetime.fromisoformat(params["at"]), listing.asked(params)
    where = complaint.where(params, as_of.astimezone(zone).date(), zone)
    with db.reading(office, viewer, timeout_ms=60_000) as conn:
        if asked.line:
            return len(ledger.rows(conn, asked.line, as_of=as_of, **{k: v for k, v in where.items() if k != "zone"}))
        rows = complaints.listing(conn, asked.code, as_of=as_of, limit=1, **asked.ask(), **where)
    return int(rows["total"].iloc[0]) if len(rows) else 0


@pytest.mark.parametrize("login", ROLES)
@pytest.mark.parametrize("page", [one.key for one in PAGES_ALL if one.key not in ("complaint", "complaints")])
def test_every_number_opens_its_list(office, monkeypatch, page, login):
    doors = Doors(monkeypatch)
    # what the discipline office sees is so little that a month may hold none of it
    address = {"as": login, "lang": "zh", "period": "twelve_months" if login == "demo-discipline" else "last_month"}
    if not permissions.may(db.viewer_of(office, login).role, BY_KEY[page].permission):
        with pytest.raises(ValueError, match="Could not find a navigation page"):  # their menu does not have its script
            run(page, address)
        return
    at = run(page, address)
    waiting = cards(at)
    found: list[tuple[str, int, dict]] = []
    for label, params in ways(at):
        n = written(label)
        if n is None:                                    # a card: its number stands below the link
            card = next((c for c in waiting if c[0] == label), None)
            if card is None:
                continue
            waiting.remove(card)
            n = card[1]
        found.append((label, n, params))
    found += doors.numbered()
    opened: dict[tuple, int] = {}
    for label, n, params in found:
        key = tuple(sorted(params.items()))
        opened[key] = opened[key] if key in opened else counted(office, login, params)
        assert opened[key] == n, (label, params)
    for label, n, params in found[:: max(1, len(found) // 2)]:
        assert listed(params) == n, (label, "the page says another number than its query")
    if page in FULL:
        numbers = {n for _, n, _ in found}
        assert len(opened) >= (8 if login in WIDE else 1)
        assert [card for card in waiting if card[1]] == [], "a card without a list"
        for text in (m.value for m in at.markdown):
            for count in re.findall(r"\*\*(\d[\d,]*)件\*\*", text):
                assert int(count.replace(",", "")) in numbers | {0} | in_picker(at), f"{count}件 has no list: {text}"


def in_picker(at: AppTest) -> set[int]:
    """Counts that the menu 「打开清单」 offers: rows, columns and cells of the table of problems."""
    return {written(str(option)) for box in [*at.selectbox, *at.pills] for option in box.options} - {None} | {
        int(n.replace(",", "")) for m in at.markdown for n in re.findall(r"［(\d[\d,]*)］", m.value)}


def test_a_number_without_a_list_is_found(office, monkeypatch):
    """The test above can fail: a list that leaves one row out is noticed on the page."""
    original = complaints.listing

    def listing(conn, code, *, as_of, **params):
        rows = original(conn, code, as_of=as_of, **params)
        return rows.assign(total=rows.total - 1)
    listing.__module__, listing.__qualname__ = "queries.complaints", "shortened"
    monkeypatch.setattr(complaints, "listing", listing)
    at = run("review", {"as": "demo-leader", "lang": "zh", "period": "last_month"})
    label, params = next((label, params) for label, params in ways(at) if params.get("code") == "compliance" and written(label))
    assert listed(params) == written(label) - 1
