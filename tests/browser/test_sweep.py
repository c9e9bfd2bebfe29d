"""The sweep (safety.md §6, 43 and 44): as a regulator over every page's HTML, WebSocket frames, answers, files, addresses, errors and the server's log for twenty
seeded people; first it is shown that the sweep finds a leak that was planted."""
import io
import re
import unicodedata
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import TimeoutError
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from dashboard.navigation import PAGES
from tests.browser.browser import launch, settled
from tests.browser.conftest import served
from tests.conftest import SMALL, cloned

PEOPLE = [(f"欧阳探{'甲乙丙丁戊己庚辛壬癸'[n % 10]}{'东南'[n // 10]}", f"13{n % 10}4907{5000 + n * 37:04d}", f"33020319{70 + n}0{1 + n % 9}1{n % 9}{1000 + n * 7:04d}") for n in range(20)]
WIDE = str.maketrans("0123456789", "０１２３４５６７８９")
SPACED = {0: lambda s: s, 1: lambda s: s.translate(WIDE), 2: lambda s: " ".join((s[:3], s[3:7], s[7:])), 3: lambda s: "-".join((s[:3], s[3:7], s[7:]))}


# What Streamlit says of a click on a file's button that was drawn anew at that moment; the click is repeated.
MISSED = re.compile(r"[^\n]*Error executing deferred callable[^\n]*\nTraceback(?:(?!Traceback).)*?MediaFileStorageError: Deferred file \w+ not found\n", re.S)


def found(said: str) -> set[str]:
    """Which of the people's names and numbers stand in this, however the digits are written and spaced."""
    plain = unicodedata.normalize("NFKC", said)
    joined = re.sub(r"(?<=\d)[\s\-–—.·_]+(?=[\dXx])", "", plain)
    return {one for person in PEOPLE for one in person if one in plain or one in joined}


@pytest.fixture(scope="module")
def place(server, banks, folder, tmp_path_factory):
    log = tmp_path_factory.mktemp("log") / "server.log"
    with cloned(server, banks(SMALL)) as url, served(url, folder, log=log) as address:
        owner = create_engine(url, poolclass=NullPool, connect_args={"options": "-c search_path=desk"})
        with owner.begin() as conn:
            conn.execute(text("set local role desk_owner"))
            ids = list(conn.execute(text("select complaint_id from complaint where not restricted and not anonymous order by complaint_id desc limit 20")).scalars())
            conn.execute(text("select set_config('app.correction', 'seed', true)"))
            for n, (id_, (name, phone, card)) in enumerate(zip(ids, PEOPLE)):
                write = SPACED[n % 4]
                conn.execute(text("insert into complainant (complaint_id, name, phone, id_no) values (:c, :n, :p, :i) on conflict (complaint_id) do update set name = :n, phone = :p, id_no = :i"),
                             {"c": id_, "n": name, "p": phone, "i": card})
                conn.execute(text("insert into complaint_text (complaint_id, text, demand) values (:c, :t, :d) on conflict (complaint_id) do update set text = :t, demand = :d"),
                             {"c": id_, "t": f"来电{write(phone)}，证件{write(card)}，请核实。", "d": f"请回电 {write(phone)}"})
                conn.execute(text("update complaint set title = :t, person = :n, handler = :h where complaint_id = :c"),
                             {"c": id_, "t": f"回电{write(phone)}未接", "n": PEOPLE[(n + 1) % 20][0], "h": PEOPLE[(n + 2) % 20][0]})
                conn.execute(text("insert into released (complaint_id, reason) values (:c, '检查') on conflict do nothing"), {"c": id_})
            numbers = list(conn.execute(text("select complaint_no from complaint where complaint_id = any (:i)"), {"i": ids}).scalars())
            hidden = conn.execute(text("select complaint_no from complaint where complaint_id <> all (:i) limit 1"), {"i": ids}).scalar_one()
            conn.execute(text("select nextval('change_seq')"))
        yield address, owner, numbers, hidden, log


class Sweep:
    """A browser whose every word is kept: frames, answers, addresses, pages, files."""

    def __init__(self, browser, login):
        self.context = browser.new_context(locale="zh-CN", viewport={"width": 1440, "height": 900}, accept_downloads=True)
        self.page, self.login, self.heard, self.frames = self.context.new_page(), login, [], 0
        self.page.on("websocket", lambda line: line.on("framereceived", self._frame))
        self.page.on("response", self._answer)

    def _frame(self, payload):
        self.frames += 1
        self.heard.append(payload if isinstance(payload, str) else payload.decode("utf-8", "ignore"))

    def _answer(self, answer):
        self.heard.append(answer.url + str(answer.headers))

    def open(self, address, path, **params):
        query = "&".join(f"{name}={value}" for name, value in {"as": self.login, "lang": "zh", **params}.items())
        self.page.goto(f"{address}/{path}?{query}")
        settled(self.page, 60_000)
        self.heard += [self.page.content(), self.page.inner_text("body"), self.page.url]

    def files(self):
        """Every file that the page offers."""
        for name in ("CSV", "Excel"):
            button = self.page.locator("[data-testid=stDownloadButton] button:visible").filter(has_text=name).first
            got = None
            for _ in range(3):                          # a page that follows the data may be drawn anew under the click
                try:
                    with self.page.expect_download(timeout=20_000) as waited:
                        button.click()
                except TimeoutError:
                    continue
                if waited.value.failure() is None:
                    got = waited
                    break
                self.page.wait_for_timeout(1_000)
            assert got, f"no file from {self.page.url}"
            content = Path(got.value.path()).read_bytes()
            if content[:2] == b"PK":
                book = zipfile.ZipFile(io.BytesIO(content))
                content = b"\n".join(book.read(name) for name in book.namelist())
            self.heard += [content.decode("utf-8-sig", "ignore"), got.value.suggested_filename]

    def hits(self) -> set[str]:
        return found("\n".join(self.heard))


def walk(sweep, address, numbers, hidden):
    for by in ("none", "category", "channel"):
        for span in ("1", "12"):
            sweep.open(address, "oversight", by=by, span=span, deep="2")
        sweep.files()
    sweep.open(address, "released")
    for number in [*numbers, hidden, "nothing-0001"]:
        sweep.open(address, "released", number=number)
    for page in PAGES:                                  # and every page that is not a regulator's
        sweep.open(address, page.path, number=numbers[0], q=numbers[0], code="found")


def test_nothing_of_twenty_people_is_heard_and_a_planted_leak_is(place):
    address, owner, numbers, hidden, log = place
    with launch() as browser:
        # the sweep finds what is there, where the mask is taken away
        with owner.begin() as conn:
            before = conn.execute(text("select pg_get_functiondef('desk.mask_text(text)'::regprocedure)")).scalar_one()
            conn.exec_driver_sql("create or replace function mask_text(t text) returns text language sql immutable as $$ select t $$")
        try:
            planted = Sweep(browser, "demo-regulator")
            for number in numbers[:4]:                  # plain, full-width, spaced, with dashes
                planted.open(address, "released", number=number)
            assert len(planted.hits()) >= 8, planted.hits()
        finally:
            with owner.begin() as conn:
                conn.connection.cursor().execute(before)         # without parameters a % stays a %
                conn.execute(text("select nextval('change_seq')"))
        sweep = Sweep(browser, "demo-regulator")
        sweep.page.wait_for_timeout(2_500)              # a tick later nothing of the plant is kept
        walk(sweep, address, numbers, hidden)
        assert sweep.frames > 50 and len(sweep.heard) > 200, "it heard something"
        assert "回电" in "".join(sweep.heard) and "****" in "".join(sweep.heard), "the released texts were among it"
        assert sweep.hits() == set()
    written = log.read_text("utf-8", "ignore")
    assert found(written) == set()
    assert "Traceback" not in MISSED.sub("", written) and not re.search(r"(sid|flow|csrf)=", written), "no cookie, no traceback in the log"
