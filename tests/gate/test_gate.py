"""The way in, over the wire: what is served without a session, with a forged one, with one that has ended. safety.md §6, 17 to 24."""
import base64
import http.client
import os
import re
import socket
from urllib.parse import urlencode, urlsplit

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from dashboard import gate, session, sign_in
from dashboard.settings import settings
from queries import accounts, connect
from tests.browser.conftest import served
from tests.conftest import TINY, cloned, logins

PASSWORD, OTHER = "correct horse battery staple", "a quite different sentence"


class Site:
    """The product as it is served, its database, and a browser's requests without a browser."""

    def __init__(self, address, url, folder):
        self.address, self.url, self.host = address, url, urlsplit(address).netloc
        self.urls = logins(url, folder)
        self.owner = create_engine(url, poolclass=NullPool)

    def ask(self, path, method="GET", fields=None, cookies=None, **headers):
        headers = {"Host": self.host, "Accept": "text/html"} | {name.replace("_", "-"): value for name, value in headers.items()}
        if cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
        if fields is not None:
            method, headers["Content-Type"] = "POST", "application/x-www-form-urlencoded"
        connection = http.client.HTTPConnection(self.host, timeout=20)
        connection.request(method, path, urlencode(fields) if fields is not None else None, headers)
        answer = connection.getresponse()
        answer.text = answer.read().decode("utf-8", "replace")
        answer.cookies = dict(re.match(r"([^=]+)=([^;]*)", one).groups() for one in answer.headers.get_all("Set-Cookie") or ())
        connection.close()
        return answer

    def form(self, path, cookies=None, **fields):
        """Open a form and send it, as a person would."""
        cookies = dict(cookies or {})
        token = re.search(r"name=csrf value=(\S+?)>", self.ask(path, cookies=cookies).text)[1]
        return self.ask(path, fields=fields | {"csrf": token}, cookies=cookies | {"csrf": token}, Origin=self.address)

    def socket(self, cookie=None, origin=None, host=None):
        """The status with which the WebSocket's handshake is answered: 101 is open."""
        name, port = self.host.split(":")
        lines = ["GET /_stcore/stream HTTP/1.1", f"Host: {host or self.host}", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
                 f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}", "Sec-WebSocket-Protocol: streamlit"]
        lines += [f"Cookie: sid={cookie}"] * bool(cookie) + [f"Origin: {origin}"] * bool(origin)
        with socket.create_connection((name, int(port)), timeout=20) as line:
            line.sendall("\r\n".join([*lines, "", ""]).encode())
            return int(line.recv(200).split()[1])

    def sql(self, statement, **params):
        with self.owner.begin() as conn:
            conn.execute(text("set local role desk_owner"))
            found = conn.execute(text(f"set local search_path = desk; {statement}"), params)
            return found.all() if found.returns_rows else found.rowcount

    def account(self, login, role="leader"):
        """A new account with a password, set by its link; its sign-in failures forgotten."""
        connect.as_owner(self.url, accounts.add, login=login, name="某人", role=role)
        token = connect.as_owner(self.url, accounts.invite, login=login)
        return self.form(f"/set-up/{token}", new=PASSWORD, repeat=PASSWORD).cookies["sid"]

    def enter(self, login, password=PASSWORD):
        return self.form("/sign-in", login=login, password=password)

    def lets_in(self, cookie):
        """Whether page and WebSocket both open with this cookie; they never differ."""
        page, line = self.ask("/review", cookies={"sid": cookie}).status == 200, self.socket(cookie, self.address) == 101
        assert page == line
        return page


@pytest.fixture(scope="module")
def site(server, banks, folder):
    with cloned(server, banks(TINY)) as url, served(url, folder) as address:
        yield Site(address, url, folder)


@pytest.fixture(autouse=True)
def no_failures(site):
    site.sql("delete from sign_in_failure")


# -- without a session

@pytest.mark.parametrize("path", ["/", "/review", "/complaint?number=20261110-0001", "/password", "/sign-out", "/no-such-page"])
def test_a_page_leads_to_the_sign_in_page_and_back(site, path):
    answer = site.ask(path)
    assert answer.status == 303 and answer.headers["location"].startswith("/sign-in?next=%2F")
    assert site.ask(path, Sec_Fetch_Dest="document").status == 303
    for kind in ("image", "empty", "script"):
        assert site.ask(path, Sec_Fetch_Dest=kind).status == 401, "a picture is not led to a form"


@pytest.mark.parametrize("path", ["/media/0123.csv", "/_stcore/host-config", "/_stcore/upload_file/a/b", "/_stcore/metrics", "/component/x/y.js"])
def test_nothing_else_is_served(site, path):
    assert site.ask(path, Accept="*/*").status == 401


def test_no_websocket_without_a_session_of_another_origin_or_another_host(site):
    good = site.account("ws.person")
    assert site.socket(good, site.address) == 101
    for cookie, origin, host in ((None, site.address, None), ("made-up", site.address, None), (good, "http://evil.example", None), (good, None, None),
                                 (good, site.address, "evil.example"), (good, f"http://{site.host}.evil.example", None)):
        assert site.socket(cookie, origin, host) == 403, (cookie, origin, host)


def test_another_hosts_name_is_refused(site):
    for name in ("evil.example", "127.0.0.1.evil.example", ""):
        assert site.ask("/sign-in", Host=name).status == 400


def test_headers_that_a_client_sends_under_our_names_are_taken_away_and_ours_handed_on(monkeypatch):
    import asyncio

    seen = []

    async def app(scope, receive, send):
        seen.append({name.decode(): value.decode() for name, value in scope["headers"]})

    async def send(message):
        pass

    names = gate.names()
    assert names != gate.names(), "random for each process"
    wall = gate.Gate(app, dict, ("desk",), names)
    forged = [(b"host", b"desk"), (b"accept", b"text/html"), *((name.encode(), b"admin") for name in names), (b"x-desk-login", b"admin")]
    scope = {"type": "http", "method": "GET", "path": "/sign-in", "query_string": b"", "headers": forged, "scheme": "http", "server": ("desk", 80)}
    asyncio.run(wall(scope, None, send))
    assert seen.pop() == {"host": "desk", "accept": "text/html"}
    monkeypatch.setattr(accounts, "find", lambda urls, token: accounts.Session(7, "li.min", "password", 3) if token == "good" else None)
    for cookie, passes in ((b"sid=good", True), (b"sid=bad", False)):
        seen.clear()
        asyncio.run(wall(scope | {"path": "/review", "headers": [*forged, (b"cookie", cookie)]}, None, send))
        assert bool(seen) == passes
        assert not passes or {names[name]: seen[0][name] for name in names} == {session.LOGIN: "li.min", session.SESSION: "7"}


def test_every_answer_carries_the_security_headers(site):
    for path in ("/sign-in", "/review", "/static/none.js", "/_stcore/health"):
        answer = site.ask(path)
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"] and answer.headers["x-content-type-options"] == "nosniff", path
        assert "http:" not in answer.headers["content-security-policy"] and "*" not in answer.headers["content-security-policy"]


# -- signing in

def test_name_and_password_open_the_desk_and_nothing_is_said_of_which_was_wrong(site):
    site.account("person.one")
    entered = site.enter("Person.One ")
    assert entered.status == 303 and entered.headers["location"] == "/"
    cookie = entered.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=lax" in cookie and "Max-Age=28800" in cookie
    assert site.lets_in(entered.cookies["sid"])
    wrong, unknown = site.enter("person.one", OTHER), site.enter("nobody.here", OTHER)
    assert wrong.status == unknown.status == 401 and "sid" not in wrong.cookies | unknown.cookies
    hide = re.compile(r"value=\S+")
    assert hide.sub("", wrong.text) == hide.sub("", unknown.text)


def test_five_failures_close_the_account_for_five_minutes_and_twenty_the_address(site):
    site.account("person.two")
    for _ in range(5):
        assert site.enter("person.two", OTHER).status == 401
    assert site.enter("person.two").status == 429, "the right one is not looked at either"
    site.sql("update sign_in_failure set at = at - interval '5 minutes 1 second'")
    assert site.enter("person.two").status == 303
    for n in range(20):
        assert site.enter(f"nobody.{n}", OTHER).status == 401
    assert site.enter("person.two").status == 429


def test_what_was_typed_as_a_name_is_kept_nowhere(site):
    site.enter("my-secret-password", OTHER)
    kept = site.sql("select f::text from sign_in_failure f union all select a::text from audit a")
    assert kept and not any("my-secret" in row[0] or OTHER in row[0] for row in kept)
    assert site.sql("select 1 from audit where act = 'sign_in_failed' and user_id is null")


def test_a_form_of_another_site_is_refused(site):
    cookie = site.account("person.three")
    token = site.ask("/sign-in").cookies["csrf"]
    fields = {"login": "person.three", "password": PASSWORD}
    for headers, csrf, sent in (({}, {}, token), ({}, {"csrf": token}, "other"), ({}, {"csrf": token}, ""), ({"Origin": "http://evil.example"}, {"csrf": token}, token),
                                ({"Origin": "null"}, {"csrf": token}, token)):
        answer = site.ask("/sign-in", fields=fields | {"csrf": sent}, cookies=csrf, **headers)
        assert answer.status == 403 and "sid" not in answer.cookies, (headers, csrf)
    assert site.ask("/sign-out", fields={"csrf": token}, cookies={"sid": cookie}).status == 403
    assert site.ask("/sign-out", cookies={"sid": cookie}).status == 200 and site.lets_in(cookie), "opening the page signs nobody out"


@pytest.mark.parametrize("asked, to", [("/limits?period=week", "/limits?period=week"), ("//evil.example", "/"), ("https://evil.example/", "/"),
                                       ("/\\evil.example", "/"), ("\\\\evil.example", "/"), ("javascript:alert(1)", "/"), ("/a\r\nset-cookie: x=1", "/"), ("", "/")])
def test_the_way_on_is_within_the_product(site, asked, to):
    assert sign_in.local(asked) == to
    if asked.isprintable():
        site.sql("update app_user set active = true where login = 'demo-leader'")
        answer = site.form(f"/sign-in?{urlencode({'next': asked})}", role="demo-leader")
        assert answer.status == 303 and answer.headers["location"] == to


def test_the_token_itself_is_in_no_table(site):
    cookie = site.account("person.four")
    assert accounts.find(site.urls, cookie).login == "person.four"
    assert not any(cookie in row[0] for row in site.sql("select s::text from session s union all select a::text from audit a"))


# -- the end of a session

def test_a_copied_cookie_is_worth_nothing_after_signing_out(site):
    cookie = site.account("person.five")
    other = site.enter("person.five").cookies["sid"]
    assert site.lets_in(cookie) and site.lets_in(other)
    assert site.form("/sign-out", {"sid": cookie}).status == 303
    assert not site.lets_in(cookie) and site.lets_in(other)
    assert site.sql("select 1 from audit a join app_user u using (user_id) where a.act = 'sign_out' and u.login = 'person.five'")


@pytest.mark.parametrize("what", ["seen_at = clock_timestamp() - interval '30 minutes'", "ends_at = clock_timestamp()"])
def test_a_session_runs_out(site, what):
    login = f"idle.{abs(hash(what)) % 10 ** 6}"
    cookie = site.account(login)
    assert site.lets_in(cookie)
    site.sql(f"update session s set {what} from app_user u where u.user_id = s.user_id and u.login = :login", login=login)
    assert not site.lets_in(cookie)


def test_a_disabled_account_is_out_at_the_next_request_and_its_session_stays_ended(site):
    cookie = site.account("person.six")
    assert site.lets_in(cookie)
    connect.as_owner(site.url, accounts.enable, login="person.six", active=False)
    assert not site.lets_in(cookie) and site.enter("person.six").status == 401
    connect.as_owner(site.url, accounts.enable, login="person.six", active=True)
    assert not site.lets_in(cookie) and site.enter("person.six").status == 303


def test_disabling_in_sql_alone_is_enough(site):
    cookie = site.account("person.seven")
    site.sql("update app_user set active = false where login = 'person.seven'")
    assert not site.lets_in(cookie)


def test_a_new_password_ends_every_other_session(site):
    cookie, other = site.account("person.eight"), site.enter("person.eight").cookies["sid"]
    here = {"sid": cookie}
    assert site.form("/password", here, old=OTHER, new=OTHER + " 2", repeat=OTHER + " 2").status == 422
    assert site.form("/password", here, old=PASSWORD, new=OTHER, repeat=OTHER + "!").status == 422
    assert site.lets_in(other) and site.enter("person.eight").status == 303
    assert site.form("/password", here, old=PASSWORD, new=OTHER, repeat=OTHER).status == 200
    assert site.lets_in(cookie) and not site.lets_in(other)
    assert site.enter("person.eight").status == 401 and site.enter("person.eight", OTHER).status == 303


# -- links, accounts, the demo

def test_a_link_sets_one_password_once_within_a_day(site):
    connect.as_owner(site.url, accounts.add, login="person.nine", name="某人", role="unit", unit=1)
    first, second = (connect.as_owner(site.url, accounts.invite, login="person.nine") for _ in range(2))
    assert site.ask(f"/set-up/{first}").status == 410, "a newer link takes its place"
    for weak in ("short", "person.nine forever", "aaaaaaaaaaaaaaaa", "abababababababab", "x" * 201):
        assert site.form(f"/set-up/{second}", new=weak, repeat=weak).status == 422, weak
    assert site.form(f"/set-up/{second}", new=PASSWORD, repeat=PASSWORD).status == 303
    assert site.ask(f"/set-up/{second}").status == 410
    third = connect.as_owner(site.url, accounts.invite, login="person.nine")
    site.sql("update set_up_link set ends_at = clock_timestamp()")
    assert site.ask(f"/set-up/{third}").status == 410
    with pytest.raises(LookupError):
        connect.as_owner(site.url, accounts.invite, login="service")


def test_a_role_is_chosen_for_demo_data_on_loopback_only(site, monkeypatch):
    chosen = site.form("/sign-in", role="demo-regulator")
    assert chosen.status == 303 and site.lets_in(chosen.cookies["sid"])
    site.account("person.ten")
    for login in ("person.ten", "service", "intake", "nobody"):
        assert site.form("/sign-in", role=login).status == 401
        assert site.ask(f"/sign-in?next=%2F%3Fas%3D{login}").status == 200
    with pytest.raises(LookupError):
        accounts.demo(site.urls, "person.ten")
    for login in ("person.ten", "service"):
        (who,), = site.sql("select user_id from app_user where login = :login", login=login)
        with pytest.raises(DBAPIError, match="no such account"):
            accounts.begin(site.urls, who, "demo", "127.0.0.1")
    for address, offered in (("127.0.0.1", True), ("localhost", True), ("::1", True), ("10.0.0.5", False), ("desk.bank.example", False)):
        monkeypatch.setenv("DASHBOARD_ADDRESS", address)
        settings.cache_clear()
        monkeypatch.setattr(session, "urls", lambda: site.urls)
        assert bool(session.demo_accounts()) == offered, address
    settings.cache_clear()


def test_the_gates_login_reads_nothing_and_becomes_nobody(site):
    with create_engine(site.urls["desk_gate"], poolclass=NullPool).connect() as conn:
        for relation in ("credential", "session", "app_user", "complaint", "complainant", "audit", "unit"):
            with pytest.raises(DBAPIError, match="permission denied"):
                conn.execute(text(f"select * from desk.{relation}"))
            conn.rollback()
        for call in ("find_words(array['x'])", "account('admin')", "session_account(1, 'admin', true)", "find_person('x')"):
            with pytest.raises(DBAPIError, match="permission denied|does not exist"):
                conn.execute(text(f"select desk.{call}"))
            conn.rollback()
    for login in ("desk_app", "desk_regulator", "desk_intake"):
        with create_engine(site.urls[login], poolclass=NullPool).connect() as conn, pytest.raises(DBAPIError, match="permission denied"):
            conn.execute(text("select desk.session_begin(1, 'x', 'demo', '', '1 hour', '1 hour')"))
