"""Hostile text in every field that people write, on every page: it runs nothing, fetches nothing, breaks nothing and is shown as it is.

safety.md §6, 40. Twice: as a reader meets it, and with the content security policy switched off in the browser, so that it is not
the policy that saves us. A server on this machine counts who calls.
"""
import csv
import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote, urlsplit
from urllib.request import urlopen

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from dashboard.navigation import PAGES
from tests.browser import browser
from tests.browser.conftest import free_port, served, up
from tests.browser.pictures import ACCOUNT
from tests.conftest import SMALL, cloned

BEGIN, END = "H7", "7E"
# What is tried: script, Markdown of every kind, Streamlit's directives, mathematics, entities, HTML that Plotly reads, its templates.
TRIES = ("<script>window.__pwned=1</script><img src={url}i.png onerror=window.__pwned=1><svg onload=window.__pwned=1>![x]({url}m.png)[li]({url}li) "
         "{url}auto www.example.com **b** _i_ ~~s~~ `c` :material/home: :red[r] :gray-badge[g] :streamlit: $x^2$ $$y$$ &lt;b&gt;&amp;&#33; <b>x</b>"
         "<a href='{url}a'>z</a><br><sub>u</sub> %{{x}} {{x}} %s <!-- c --> --> (c) ]] \\ ' \" # 1. | a")
CONTROL = "\u202eevil\u202c\u2066x\u2069\u200b\u200f\ufeff\x01\x07\x1b[31m\x7f\x85"
FORMULA = '=HYPERLINK("{url}f","x")'
# Every column that people write and pages show.
FIELDS = (("unit", "name"), ("unit", "short"), ("unit", "name_en"), ("unit", "short_en"), ("unit_contact", "name"), ("unit_contact", "phone"),
          ("unit_contact", "email"), ("calendar_year", "origin"),
          ("category", "name"), ("category", "name_en"), ("channel", "name"), ("channel", "name_en"), ("policy", "title"), ("policy", "title_en"),
          ("complaint", "complaint_no"), ("complaint", "title"), ("complaint", "handler"), ("complaint", "person"), ("complaint", "subcategory"),
          ("complaint", "source_unit_value"), ("complaint_text", "text"), ("complaint_text", "demand"), ("complaint_text", "reply"),
          ("complainant", "name"), ("complainant", "phone"), ("event", "reason"), ("reply", "facts"), ("reply", "person_treated"), ("reply", "lessons"),
          ("reply", "satisfaction"), ("reply", "handled"), ("reply", "handler"), ("reply", "telephone"), ("call_back", "words"),
          ("urge", "contact"), ("urge", "phone"), ("urge", "spoke_to"), ("urge", "note"), ("urge", "user_name"), ("urge", "answer"), ("redo", "reason"),
          ("withdrawal", "reason"), ("delay", "reason"), ("contest", "reason"), ("contest", "decision"), ("directive", "leader"), ("directive", "text"),
          ("rectification", "measure"), ("released", "reason"), ("app_user", "name"), ("source", "name"), ("workday", "name"), ("import_batch", "file"),
          ("quarantine", "field"), ("quarantine", "value"), ("quarantine", "reason"))

class Canary:
    """A server that only counts who asks it for what."""

    def __init__(self):
        calls = self.calls = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                calls.append(self.path)
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture(scope="module")
def canary():
    one = Canary()
    yield one
    one.server.shutdown()


def hostile(field: str, url: str) -> str:
    return f"{BEGIN}{field} {TRIES.format(url=f'{url}{field}/')} {END}"


def poison(database: str, url: str) -> dict:
    """Writes hostile text into every field of FIELDS; what a page of one complaint is asked for."""
    engine = create_engine(database, poolclass=NullPool)
    with engine.begin() as conn:                        # what an act leaves behind in the audit, with its place in the chain
        conn.execute(text("set local search_path = desk"))
        conn.execute(text("select audit_add('export', null, jsonb_build_object('list', cast(:said as text)))"), {"said": CONTROL + hostile("audit-params", url)})
    with engine.begin() as conn:
        conn.execute(text("set local session_replication_role = replica"))     # no trigger: as it would lie there from before
        conn.execute(text("set local search_path = desk"))
        conn.execute(text("""insert into released (complaint_id, reason) select complaint_id, 'x' from complaint join complaint_text using (complaint_id)
                              where not restricted order by complaint_id % 2 desc, complaint_id limit 3"""))
        conn.execute(text("""insert into quarantine (batch_id, line, field, value, reason)
                             select batch_id, 1, 'x', 'x', 'x' from import_batch limit 3"""))
        for table, column in FIELDS:
            conn.execute(text(f"alter table {table} disable trigger user"))
        for table, column in FIELDS:
            name, said = f"{table}-{column}", hostile(f"{table}-{column}", url)
            if (table, column) in (("complaint", "complaint_no"), ("source", "name")):
                value = f"{column} || :said"
            elif (table, column) == ("complaint", "title"):
                value = "case complaint_id % 3 when 0 then :formula || :said when 1 then :said else :control || :said end"
            elif (table, column) == ("complaint_text", "text"):
                value = "case complaint_id % 2 when 0 then left(repeat(:said || chr(10), 60), 20000) else :control || :said end"
            elif table == "workday":
                value = "case when kind = 'holiday' then :said else name end"
            elif table == "policy":
                value = ":said"
            else:
                value = f"case when {column} is null or {column} = '' then {column} else :said end"
            params = {"said": said, "formula": FORMULA.format(url=f"{url}{name}/"), "control": CONTROL}
            conn.execute(text(f"update {table} set {column} = {value}"), {k: v for k, v in params.items() if f":{k}" in value})
        for table, column in FIELDS:
            conn.execute(text(f"alter table {table} enable trigger user"))
        # The richest complaint that is still open: urged, handed on.
        number = conn.execute(text("""select c.complaint_no from complaint c join urge u using (complaint_id) join hop using (complaint_id)
                                       where c.ended_at is null and c.excluded_at is null and not c.restricted and not c.anonymous
                                         and exists (select from complainant p where p.complaint_id = c.complaint_id and p.name <> '')
                                       group by c.complaint_id order by count(*) desc limit 1""")).scalar_one()
        done = conn.execute(text("""select c.complaint_no from complaint c join reply using (complaint_id) join call_back using (complaint_id)
                                     where not c.restricted and '' not in (facts, handled, satisfaction) limit 1""")).scalar_one()
        released = conn.execute(text("select complaint_no from complaint join released using (complaint_id) limit 1")).scalar_one()
        source = conn.execute(text("select min(source_id) from source")).scalar_one()
        unit = conn.execute(text("""select parent_id from unit where parent_id in (select unit_id from unit where level = 1) group by 1
                                     order by count(*) limit 1""")).scalar_one()
    engine.dispose()
    return {"open": number, "done": done, "unit": unit, "released": released, "source": source}


@pytest.fixture(scope="module")
def site(server, banks, folder, canary):
    """(address, numbers of complaints)"""
    with cloned(server, banks(SMALL)) as database, served(database, folder) as address:
        urlopen(f"{address}/sign-in").close()          # by now the packs were installed: their names are written anew at every start
        yield address, poison(database, canary.url)


@pytest.fixture(scope="module")
def chromium():
    with browser.launch() as one:
        yield one


def watched(page, address, canary):
    """Collects what should not happen on this page."""
    page.wrong = []
    host = urlsplit(address).netloc
    page.on("request", lambda asked: page.wrong.append(f"request {asked.url}") if urlsplit(asked.url).scheme in ("http", "https", "ws", "wss")
            and urlsplit(asked.url).netloc != host else None)
    page.on("dialog", lambda one: (page.wrong.append(f"dialog {one.message}"), one.dismiss()))
    page.on("pageerror", lambda error: page.wrong.append(f"error {error}"))
    page.on("popup", lambda one: page.wrong.append(f"popup {one.url}"))
    canary.calls.clear()


_SEEN = """() => {
  const all = [...document.querySelectorAll('body, [aria-label], [title], [alt], [placeholder]')];
  const attributes = all.flatMap(e => ['aria-label', 'title', 'alt', 'placeholder'].map(a => e.getAttribute(a) || ''));
  return {text: document.body.textContent + '\\n' + attributes.join('\\n'),
          pwned: !!window.__pwned, katex: document.querySelectorAll('.katex, .katex-error').length,
          links: [...document.querySelectorAll('a, area')].map(a => a.href && a.href.baseVal !== undefined ? a.href.baseVal : a.href || '')
                   .filter(a => a && !a.startsWith('tel:') && new URL(a, location.href).host !== location.host),
          sources: [...document.querySelectorAll('[src], image')].map(e => e.getAttribute('src') || e.getAttribute('href') || ''),
          crash: [...document.querySelectorAll('[data-testid=stException], [data-testid=stAlertContentError]')].map(e => e.innerText)}
}"""
_TOLD = re.compile(f"{BEGIN}([a-z_]+-[a-z_]+) (?:(?!{BEGIN}[a-z_\\\\]+-).)*?{END}", re.S)
_TURNS = re.compile("[\u202a-\u202e\u2066-\u2069\x00-\x08\x0e-\x1f\x7f]")


def found(page, canary) -> tuple[list[str], set[str]]:
    """(what is wrong with the page as it stands, the fields of which the whole text is shown)."""
    seen = page.evaluate(_SEEN)
    wrong = list(page.wrong) + [f"canary called: {path}" for path in canary.calls]
    wrong += ["script ran"] * seen["pwned"] + ["mathematics"] * bool(seen["katex"]) + [f"crash {one}" for one in seen["crash"]]
    wrong += [f"link {one}" for one in seen["links"]]
    wrong += [f"source {one}" for one in seen["sources"] if canary.url in one]
    wrong += [f"turns direction: {one.group()!r}" for one in re.finditer(f".{{0,20}}{_TURNS.pattern}.{{0,20}}", seen["text"])]
    shown = set()
    for told in _TOLD.finditer(seen["text"]):
        plain = " ".join(told.group().replace("\u2060", "").split())      # unseen: words.literal puts it where the browser would make a link
        if plain == " ".join(hostile(told[1], canary.url).split()):
            shown.add(told[1])
        else:
            wrong.append(f"not as it is: {told[1]}: {plain}")
    return wrong, shown


LOOKS = {"as it is": {}, "without the policy": {"bypass_csp": True}, "phone, english, without the policy":
         {"bypass_csp": True, "size": browser.PHONE, "locale": "en-US"}}
# What a page must show whole, so that a page that shows nothing cannot pass.
SHOWN = {"review": {"unit-short", "app_user-name"}, "limits": {"unit-short"}, "overdue": {"unit_contact-name"}, "satisfaction": {"unit-short"},
         "complaints": {"complaint-complaint_no"}, "data": {"source-name"}, "units": {"unit-short"}, "oversight": {"unit-name"}, "audit": {"audit-params"},
         "complaint": {"complaint-title", "complaint_text-text", "complaint_text-demand", "unit_contact-phone"},
         "complaint done": {"reply-facts", "reply-handled", "reply-satisfaction"}, "released": {"complaint-title", "complaint-complaint_no"},
         "released one": {"complaint_text-text", "complaint_text-demand"}, "settings users": {"app_user-name"},
         "settings units": {"unit-name", "unit-name_en", "unit_contact-name", "unit_contact-phone"}, "settings sources": {"source-name"},
         "settings calendars": {"calendar_year-origin"}}


def addresses(numbers):
    """(name, address) of every page, as the account that may open it; a page of several faces once with each."""
    faces = {"complaint": {which: f"code=all&number={quote(numbers[which])}" for which in ("open", "done")},
             "released": {"": "", "one": f"number={quote(numbers['released'])}"},
             "settings": {"users": "section=users&item=1", "units": f"section=units&item={numbers['unit']}", "policies": "section=policies",
                          "calendars": "section=calendars", "sources": f"section=sources&item={numbers['source']}"}}
    for one in PAGES:
        for face, more in faces.get(one.key, {"": "period=month&act=export" if one.key == "audit" else "period=last_month"}).items():
            yield f"{one.key} {face}".strip(), f"{one.path}?as={ACCOUNT.get(one.key, 'demo-supervisor')}&notes=true&{more}"


@pytest.mark.parametrize("look", LOOKS)
def test_no_page_runs_fetches_or_hides_it(site, chromium, canary, look):
    address, numbers = site
    wrong = []
    with browser.page(chromium, **LOOKS[look]) as page:
        watched(page, address, canary)
        for name, path in addresses(numbers):
            page.goto(f"{address}/{path}")
            browser.settled(page, 40_000)
            assert page.locator("h1").count(), f"{name}: the page itself, not a message in its place"
            said, shown = found(page, canary)
            said += [f"does not show {one}" for one in (SHOWN.get(name.split()[0], set()) | SHOWN.get(name, set())) - shown if "english" not in look]
            wrong += [f"{name}: {one}" for one in sorted(set(said))]
            page.wrong.clear(), canary.calls.clear()
    assert not wrong, "\n".join(wrong)


def open_page(page, site, path):
    page.goto(f"{site[0]}/{path}&as=demo-supervisor&lang=zh")
    browser.settled(page, 40_000)


def test_nor_do_menus_forms_and_what_hovers(site, chromium, canary):
    """What only a click or the mouse brings to light, without the policy."""
    wrong, every = [], set()

    def look(what, quickly=False):
        if not quickly:                                 # a label that hovers comes without the server; what it would call is seen at the next look
            page.wait_for_timeout(300)
            browser.settled(page)
        said, shown = found(page, canary)
        wrong.extend(f"{what}: {one}" for one in said)
        every.update(shown)
        page.wrong.clear(), canary.calls.clear()

    with browser.page(chromium, bypass_csp=True) as page:
        watched(page, site[0], canary)
        open_page(page, site, "review?period=last_month")
        popovers = page.get_by_test_id("stPopover")
        for place in range(popovers.count()):
            popovers.nth(place).get_by_role("button").first.click()
            look(f"menu {place}")
            page.keyboard.press("Escape")
        open_page(page, site, f"units?period=last_month&unit={site[1]['unit']}")        # few units below: pills, not a select box
        page.get_by_test_id("stPopover").nth(1).get_by_role("button").first.click()
        look("menu of a unit")
        page.keyboard.press("Escape")
        hovered = 0
        for path in ("review?period=last_month&notes=true", f"units?period=last_month&unit={site[1]['unit']}", "satisfaction?period=last_month",
                     "limits?period=last_month", f"complaint?number={quote(site[1]['open'])}"):
            open_page(page, site, path)
            marks = [one for one in page.locator(".points path, .hm, .scatterlayer .point").all() if (one.bounding_box() or {}).get("width", 0) > 4]
            for one in marks[::max(1, len(marks) // 12)]:
                one.scroll_into_view_if_needed()
                box = one.bounding_box()
                page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
                page.wait_for_timeout(120)
                hovered += page.locator(".hoverlayer .hovertext").count()
                look(f"hover on {path.split('?')[0]}", quickly=True)
            look(f"after the hovering on {path.split('?')[0]}")
        assert hovered > 5, "labels of marks were seen"
        open_page(page, site, f"complaint?number={quote(site[1]['open'])}")
        for button in ("催办", "电话", "改派"):
            page.get_by_role("button", name=re.compile(button)).first.click()
            page.get_by_role("dialog").wait_for()
            look(f"form {button}")
            page.get_by_role("dialog").get_by_role("button", name="取消").click()
            page.get_by_role("dialog").wait_for(state="hidden")
        page.get_by_role("button", name="查看身份信息").first.click()
        page.get_by_role("dialog").get_by_role("textbox").fill("回电核实情况")
        page.get_by_role("dialog").get_by_role("button", name="查看60秒").click()
        page.get_by_role("dialog").wait_for(state="hidden")
        page.get_by_text(re.compile("秒后自动隐藏")).wait_for()
        look("who complained")
    assert not wrong, "\n".join(sorted(set(wrong)))
    assert {"category-name", "channel-name", "unit-short", "app_user-name", "unit_contact-name"} <= every and "complainant-name" in every


def test_an_export_holds_no_formula_and_nothing_unseen(site, chromium, canary):
    with browser.page(chromium) as page:
        watched(page, site[0], canary)
        open_page(page, site, "complaints?period=last_month")
        with page.expect_download() as waited:
            page.get_by_role("button", name=re.compile("CSV")).first.click()
        with open(waited.value.path(), encoding="utf-8-sig", newline="") as file:
            rows = list(csv.reader(file))
        assert len(rows) > 10 and sum(cell.startswith("'=HYPERLINK") for row in rows for cell in row) > 3
        for cell in (cell for row in rows for cell in row):
            assert cell[:1] not in "=+-@\t\r＝＋－＠" or not cell, cell[:80]
            assert not _TURNS.search(cell), repr(cell[:80])
        assert found(page, canary)[0] == []


PLANTED = """
import sys, streamlit as st
text = {said!r}
st.markdown(text)
st.caption("[li]({url}li)")
st.text("x" * 3)
st.metric(text, 1)
st.plotly_chart({{"data": [{{"type": "bar", "x": ["a"], "y": [1]}}], "layout": {{"title": {{"text": text}}}}}})
st.text("turned \u202e")
st.exception(ValueError("x"))
"""


def test_the_canary_and_the_eyes_see_a_leak(chromium, canary, tmp_path):
    """The same text as Markdown on a page of no product: everything above must be noticed here."""
    (tmp_path / "leak.py").write_text(PLANTED.format(said=hostile("complaint-title", canary.url), url=canary.url), "utf-8")
    port = free_port()
    server = subprocess.Popen([sys.executable, "-m", "streamlit", "run", "leak.py", "--server.port", str(port), "--server.address", "127.0.0.1",
                               "--server.headless", "true"], cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        address = up(f"http://127.0.0.1:{port}", server)
        with browser.page(chromium) as page:
            watched(page, address, canary)
            page.goto(address)
            browser.settled(page)
            said = "\n".join(found(page, canary)[0])
            for kind in ("canary called", "request http://127", "link http", "source http", "not as it is", "mathematics", "turns direction", "crash"):
                assert kind in said, kind
            page.evaluate("setTimeout(() => alert(1)); window.__pwned = 1")
            page.wait_for_timeout(300)
            said = "\n".join(found(page, canary)[0])
            assert "script ran" in said and "dialog" in said
    finally:
        server.terminate()
        server.wait(10)


def test_the_policy_alone_stops_a_request_too(site, chromium, canary):
    """The second belt by itself: a picture of elsewhere that got onto a page is not fetched; without the policy it is."""
    for bypass in (False, True):
        with browser.page(chromium, bypass_csp=bypass) as page:
            watched(page, site[0], canary)
            open_page(page, site, "review?period=last_month")
            page.evaluate("url => { const i = new Image(); i.src = url + 'planted.png'; document.body.append(i); fetch(url + 'f').catch(() => 0) }", canary.url)
            page.wait_for_timeout(800)
            assert bool(canary.calls) == bypass, canary.calls
