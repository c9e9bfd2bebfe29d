"""Two processes of the desk behind nginx, with deploy/nginx.conf itself, over HTTPS: signing in, staying with one's process, and a process that dies."""
import http.client
import os
import re
import shutil
import signal
import ssl
import sys
import tempfile
import time
from contextlib import ExitStack
from datetime import datetime, timedelta, timezone
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import text
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.exceptions import ConnectionClosed
from websockets.sync import client

from queries import connect, demo
from tests.browser import browser
from tests.conftest import cloned, logins
from tests.deploy.conftest import ROOT, free_port, path_of, program, running

pytestmark = program("nginx")
BACK = 5                    # seconds after which somebody whose process died works again


class Front:
    """nginx and the processes behind it."""

    def __init__(self, folder, environment, urls):
        self.folder, self.environment, self.urls, self.url = folder, environment, urls, urls["admin"]
        self.ports, self.tls, self.plain = (free_port(), free_port()), free_port(), free_port()
        self.host, self.address = f"127.0.0.1:{self.tls}", f"https://127.0.0.1:{self.tls}"
        self.stacks, self.processes = {}, {}

    def start(self, port):
        self.stacks[port] = ExitStack()
        self.processes[port] = self.stacks[port].enter_context(running([sys.executable, "-m", "dashboard", "run", "--no-demo"], port, self.folder / f"{port}.log",
                                                                       cwd=ROOT, env=self.environment | {"DASHBOARD_PORT": str(port)}))

    def stop(self, port):
        self.stacks.pop(port).close()

    def ask(self, path, method="GET", fields=None, cookies=None, to=None, source="127.0.0.1", **headers):
        """(status, headers, body) of a request by way of nginx, or straight `to` a process."""
        headers = {"Host": self.host, "Accept": "text/html"} | {name.replace("_", "-"): value for name, value in headers.items()}
        if cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
        if fields is not None:
            method, headers["Content-Type"] = "POST", "application/x-www-form-urlencoded"
        line = (http.client.HTTPConnection("127.0.0.1", to, timeout=20, source_address=(source, 0)) if to else
                http.client.HTTPSConnection("127.0.0.1", self.tls, timeout=20, source_address=(source, 0), context=unchecked()))
        line.request(method, path, urlencode(fields) if fields is not None else None, headers)
        answer = line.getresponse()
        body = answer.read()
        line.close()
        return answer.status, answer.headers, body

    def enter(self, **more):
        """{cookie: value} and the headers of a sign-in as a supervisor of the demo, by the form."""
        _, headers, body = self.ask("/sign-in", **more)
        token = re.search(rb"name=csrf value=(\S+?)>", body)[1].decode()
        _, headers, _ = self.ask("/sign-in", fields={"role": "demo-supervisor", "csrf": token}, cookies={"csrf": token}, Origin=more.pop("origin", self.address), **more)
        return dict(one.split(";")[0].split("=", 1) for one in headers.get_all("Set-Cookie")), headers

    def socket(self, cookies):
        """An open WebSocket, and the cookies with what its handshake set."""
        line = client.connect(f"wss://{self.host}/_stcore/stream", subprotocols=["streamlit"], ssl=unchecked(), origin=self.address, max_size=None, legacy=True, close_timeout=1,
                         additional_headers={"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())})
        set_by = line.response.headers.get_all("Set-Cookie")
        return line, cookies | dict(one.split(";")[0].split("=", 1) for one in set_by)

    def sql(self, statement):
        return connect.as_owner(self.url, lambda conn: conn.execute(text(statement)).all())


def unchecked():
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


@pytest.fixture(scope="module")
def front(server, ready, folder):
    here = Path(tempfile.mkdtemp(prefix="nginx-"))
    here.chmod(0o755)
    with cloned(server, ready) as url, ExitStack() as stack:
        connect.as_owner(url, demo.load, complaints=600)
        urls = logins(url, folder)
        # Processes that know their logins and no administrator, as deploy/desk@.service starts them.
        handed = {f"{login.upper()}_URL": one for login, one in urls.items() if login != "admin"}
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("DATABASE", "DASHBOARD", "DESK_"))}
        made = Front(here, environment | handed | {"DASHBOARD_DATA": str(here / "data"), "DASHBOARD_PROXIES": "127.0.0.1"}, urls)
        command = nginx(made, here)
        for port in made.ports:
            made.start(port)
        stack.callback(lambda: [made.stop(port) for port in list(made.stacks)])
        stack.enter_context(running(command, made.tls, here / "nginx.log"))
        yield made
    shutil.rmtree(here)


def nginx(front, here, connections=512):
    """Everything nginx needs in this folder, and the command that starts it there (benchmarks/viewers.py has its own front)."""
    _certificate(here)
    (here / "desk.conf").write_text(_own(front, here), "utf-8")
    for kind in ("body", "proxy", "other"):
        (here / kind).mkdir()
    (here / "nginx.conf").write_text(f"""daemon off; worker_processes 1; pid {here}/pid; error_log {here}/error.log; {"user nobody nogroup;" if os.geteuid() == 0 else ""}
        events {{ worker_connections {connections}; }}
        http {{ include /etc/nginx/mime.types; access_log off; client_body_temp_path {here}/body; proxy_temp_path {here}/proxy;
                fastcgi_temp_path {here}/other; uwsgi_temp_path {here}/other; scgi_temp_path {here}/other; include {here}/desk.conf; }}""", "utf-8")
    return [path_of("nginx"), "-e", f"{here}/error.log", "-c", f"{here}/nginx.conf"]


def _own(front, here):
    """deploy/nginx.conf with this test's name, ports and certificate, and nothing else changed."""
    own = (ROOT / "deploy" / "nginx.conf").read_text("utf-8")
    for there, port in zip(("8501", "8502"), front.ports):
        own = re.sub(rf"\b(?<!_){there}\b|(?<=_){there}\b", str(port), own)
    own = re.sub(r"(?m)^\s*listen \[::\].*\n", "", own).replace("listen 80;", f"listen 127.0.0.1:{front.plain};").replace("listen 443", f"listen 127.0.0.1:{front.tls}")
    return own.replace("desk.example", "127.0.0.1").replace("/etc/ssl/desk/fullchain.pem", f"{here}/cert.pem").replace("/etc/ssl/desk/key.pem", f"{here}/key.pem")


def _certificate(here):
    key, name, now = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")]), datetime.now(timezone.utc)
    made = (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1).not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1)).add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), False).sign(key, hashes.SHA256()))
    (here / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (here / "key.pem").write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))


@pytest.fixture
def both(front):
    """Both processes run, whatever the test before left; nginx has forgotten who was dead."""
    missing = [port for port in front.ports if port not in front.stacks]
    for port in missing:
        front.start(port)
    time.sleep(2.5 * bool(missing))
    return front


# -- the way in

def test_signing_in_works_by_way_of_nginx_and_its_cookies_stay_under_https(both):
    cookies, headers = both.enter()
    assert len(cookies["sid"]) > 20
    assert all("; Secure" in one or "; secure" in one for one in headers.get_all("Set-Cookie"))
    assert both.ask("/review", cookies=cookies)[0] == 200
    for port in both.ports:                                              # a session is a row of the database: any process serves it
        assert both.ask("/review", cookies=cookies, to=port)[0] == 200


def test_another_host_or_origin_is_refused_behind_nginx_too(both):
    cookies, _ = both.enter()
    assert both.ask("/sign-in", Host="evil.example")[0] == 400
    assert both.ask("/sign-out", fields={}, cookies=cookies, Origin="https://evil.example")[0] == 403
    assert both.ask("/review", cookies=cookies)[0] == 200


def test_plain_http_is_sent_to_https(both):
    status, headers, _ = both.ask("/review?unit=3", to=both.plain)
    assert (status, headers["location"], headers["server"]) == (301, "https://127.0.0.1/review?unit=3", "nginx")


def test_the_clients_address_is_the_one_nginx_saw_whatever_it_says_of_itself(both):
    both.enter(source="127.0.0.5", X_Forwarded_For="203.0.113.9", X_Forwarded_Proto="http", X_Real_IP="203.0.113.9", Forwarded="for=203.0.113.9")
    assert both.sql("select address from session order by session_id desc limit 1") == [("127.0.0.5",)]


def test_only_the_proxy_is_believed(both):
    """Straight to a process, from an address that is no proxy's: neither the client's address nor HTTPS is taken from its word."""
    cookies, headers = both.enter(to=both.ports[0], source="127.0.0.7", X_Forwarded_For="203.0.113.9", X_Forwarded_Proto="https", origin=f"http://{both.host}")
    assert both.sql("select address from session order by session_id desc limit 1") == [("127.0.0.7",)]
    assert not any("secure" in one.lower() for one in headers.get_all("Set-Cookie") if one.startswith("sid="))


# -- what is served

def test_scripts_are_compressed_and_kept_and_pages_are_not_compressed(both):
    page = both.ask("/", cookies=both.enter()[0])[2].decode()
    script = re.search(r"static/js/index\.[\w-]+\.js", page)[0]
    _, headers, plain = both.ask(f"/{script}")
    assert "Content-Encoding" not in headers
    status, headers, packed = both.ask(f"/{script}", Accept_Encoding="gzip, br")
    assert (status, headers["Content-Encoding"]) == (200, "gzip") and "Accept-Encoding" in headers["Vary"]
    assert "immutable" in headers["Cache-Control"] and len(packed) < len(plain) * 0.45
    for path in ("/sign-in", "/_stcore/health"):
        assert "Content-Encoding" not in both.ask(path, Accept_Encoding="gzip, br")[1], "a page with a secret in it"


def test_nobody_learns_which_versions_run_here(both):
    for path in ("/sign-in", "/no-such-page", "/static/none.js"):
        assert both.ask(path)[1]["Server"] == "nginx"
        assert both.ask(path)[1]["Strict-Transport-Security"].startswith("max-age=")


# -- staying, and a process that dies

def test_people_are_spread_and_stay_with_the_process_of_their_websocket(both):
    seen = set()
    for _ in range(8):
        cookies, _ = both.enter()
        line, cookies = both.socket(cookies)
        line.close()
        seen.add(cookies["desk"])
        for _ in range(2):
            line, again = both.socket(cookies)
            line.close()
            assert again["desk"] == cookies["desk"]
    assert seen == {str(port) for port in both.ports}, "eight people on one process: one chance in 128 that nobody is at the other"


def runs(line, query=""):
    """Run the page on this WebSocket; the number of elements that came."""
    line.send(BackMsg(rerun_script=BackMsg().rerun_script.__class__(query_string=query)).SerializeToString())
    came = 0
    while True:
        message = ForwardMsg.FromString(line.recv(timeout=20))
        came += message.WhichOneof("type") == "delta"
        if message.WhichOneof("type") == "script_finished":
            if message.script_finished == ForwardMsg.FINISHED_SUCCESSFULLY:
                return came
            came = 0                                                     # sent on to another page


def warm(front):
    """Both have drawn a page before: this is not about a first start. The name of the one that did it last."""
    cookies = front.enter()[0]
    for port in front.ports:
        line, cookies = front.socket(cookies | {"desk": str(port)})
        assert runs(line) > 10 and cookies["desk"] == str(port)
        line.close()
    return cookies["desk"]


def test_a_websocket_is_back_within_five_seconds_when_its_process_is_killed(both):
    cookies = both.enter()[0] | {"desk": warm(both)}
    line, cookies = both.socket(cookies)
    shown = runs(line)
    dead = int(cookies["desk"])
    os.kill(both.processes[dead].pid, signal.SIGKILL)
    killed = time.monotonic()
    with pytest.raises(ConnectionClosed):
        while True:
            line.recv(timeout=BACK)
    line, cookies = both.socket(cookies)
    assert runs(line) == shown, "the same page"
    took = time.monotonic() - killed
    print(f"back after {took:.2f} s")
    assert took < BACK and int(cookies["desk"]) != dead
    line.close()
    both.stop(dead)


def test_a_page_is_back_within_five_seconds_and_its_downloads_come_from_the_process_that_has_it_now(both):
    warm(both)
    with browser.launch() as chromium, browser.page(chromium, ignore_https_errors=True, accept_downloads=True) as page:
        page.goto(f"{both.address}/complaints?as=demo-supervisor")
        browser.settled(page, 40_000)
        heading = page.get_by_role("heading").first.inner_text()
        address = urlsplit(page.url)._replace(netloc="").geturl()
        cookies = {one["name"]: one for one in page.context.cookies()}
        assert cookies["sid"]["secure"] and cookies["sid"]["httpOnly"] and cookies["desk"]["httpOnly"]
        times = []
        while not times or min(times) >= BACK and len(times) < 3:        # a machine that does much else at this moment is asked again
            dead = at(page)
            os.kill(both.processes[dead].pid, signal.SIGKILL)
            killed = time.monotonic()
            while time.monotonic() < killed + 3 * BACK and at(page) == dead:
                page.wait_for_timeout(50)
            page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")
            times.append(time.monotonic() - killed)
            browser.settled(page)
            assert page.get_by_role("heading").first.inner_text() == heading
            assert urlsplit(page.url)._replace(netloc="").geturl() == address
            both.stop(dead)
            both.start(dead)                                             # back again: the page stays where its WebSocket is
            time.sleep(2.5)
        print("back after", ", ".join(f"{took:.2f} s" for took in times))
        assert min(times) < BACK
        answers = []
        page.on("response", lambda answer: answers.append(answer.status) if "/media/" in answer.url else None)
        for _ in range(3):
            with page.expect_download(timeout=20_000) as taken:
                page.locator("[data-testid=stDownloadButton] button:visible").filter(has_text="CSV").first.click()
            assert taken.value.failure() is None and taken.value.path().stat().st_size > 500
            page.wait_for_timeout(1_000)
        assert set(answers) <= {200}
        assert at(page) != dead


def at(page):
    """The port of the process that a browser was told."""
    return int({one["name"]: one["value"] for one in page.context.cookies()}["desk"])


def test_with_none_left_it_says_so(both):
    for port in both.ports:
        both.stop(port)
    status, headers, body = both.ask("/review")
    assert (status, headers["Retry-After"]) == (503, "5") and "请稍后重试" in body.decode()
