"""What one process carries: viewers that speak Streamlit's protocol over WebSocket, through the gate, as browsers do; and Chromium.

    python -m benchmarks.viewers                             # a demo bank of its own, thrown away; about four minutes
    python -m benchmarks.viewers --data .bench               # the same, in a folder that is kept: the next time without loading
    python -m benchmarks.viewers --url URL --data FOLDER     # on the bench bank
    python -m benchmarks.viewers --only memory --reruns 20000

A rerun is timed from the message that asks for it to the message that says the script has finished. CPU is the server process's own, user and system. The
viewers of this program are thin (they count frames and look into few), but they run on the same cores. Targets (issue 5): the weekly review with all its charts
costs at most 20 ms of CPU a rerun; 160 viewers, 5 s between two clicks, p95 at most 500 ms, 280 with two processes behind nginx; memory flat over 20,000
reruns; a page switch in Chromium at most 1.5 × one of a page that draws the same from frozen data; the first page cold within 2.5 s; with 200 writes a second
beside 100 viewers no error, a marked row in another viewer's frame within 2 s of its COMMIT, and roll-ups equal to the raw rows afterwards. The part `fresh` writes
into the bank, so it is the last. Writes results/viewers.json.
"""
import argparse
import asyncio
import base64
import contextlib
import http.client
import json
import os
import pickle
import random
import re
import shutil
import socket
import ssl
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlencode

import psutil
from sqlalchemy import text

from benchmarks import desk
from queries import connect
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

ROOT = Path(__file__).resolve().parents[1]
RESULT = Path(__file__).with_name("results") / "viewers.json"
REVIEW = ("review", "notes=true")                    # with the panel of statistics open: every chart there is
PAGES = (REVIEW, ("review", ""), ("limits", ""), ("overdue", ""), ("satisfaction", ""), ("complaints", "code=received&period=last_month"), ("units", ""), ("data", ""))
THINK = 5.0
WRITERS = 3                                          # processes of `simulate`: one, on one connection, makes about a hundred changes a second
PARTS = ("pages", "many", "nginx", "memory", "browser", "fresh")


# -- the server -------------------------------------------------------------------------------------------------------

class Server:
    """The product as `python -m dashboard run` serves it, on a free port of this machine."""

    def __init__(self, **settings: str):
        self.port = _free()
        self.origin, self.ready, self.trouble = f"http://127.0.0.1:{self.port}", 0.0, Counter()
        self.environment = os.environ | {"DASHBOARD_PORT": str(self.port), "DASHBOARD_ADDRESS": "127.0.0.1", "PYTHONPATH": str(ROOT)} | settings

    def __enter__(self):
        began = time.perf_counter()
        self.run = subprocess.Popen([sys.executable, "-m", "dashboard", "run", "--no-demo"], cwd=ROOT, env=self.environment, stdout=subprocess.DEVNULL)
        while time.perf_counter() - began < 60 and self.run.poll() is None:
            with contextlib.suppress(OSError):
                if self.ask("/_stcore/health")[0] == 200:
                    self.ready = time.perf_counter() - began
                    self.processes = [psutil.Process(self.run.pid)]
                    return self
            time.sleep(0.1)
        raise SystemExit("the server did not come up")

    def __exit__(self, *_):
        self.run.terminate()
        try:
            self.run.wait(20)
        except subprocess.TimeoutExpired:
            self.run.kill()

    def line(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)

    def ask(self, path: str, fields: dict | None = None, cookies: str = "") -> tuple[int, str, dict[str, str]]:
        """(status, text, cookies) of one request."""
        line = self.line()
        headers = {"Accept": "text/html", "Origin": self.origin, "Cookie": cookies} | ({"Content-Type": "application/x-www-form-urlencoded"} if fields else {})
        line.request("POST" if fields else "GET", path, urlencode(fields) if fields else None, headers)
        answer = line.getresponse()
        said = answer.read().decode("utf-8", "replace")
        line.close()
        return answer.status, said, dict(re.match(r"([^=]+)=([^;]*)", one).groups() for one in answer.headers.get_all("Set-Cookie") or ())

    def sign_in(self, login: str = "demo-supervisor") -> str:
        """The cookie of one more browser that came in by the sign-in page."""
        token = re.search(r"name=csrf value=(\S+?)>", self.ask("/sign-in")[1])[1]
        found = self.ask("/sign-in", {"role": login, "csrf": token}, f"csrf={token}")[2]
        return "; ".join(f"{name}={value}" for name, value in found.items() if value)

    async def connect(self, protocol: Callable) -> tuple:
        return await asyncio.get_running_loop().create_connection(protocol, "127.0.0.1", self.port)

    def cpu(self) -> float:
        """Seconds of CPU that the process has taken, or all of them."""
        return sum(sum(one.cpu_times()[:2]) for one in self.processes)

    def memory(self) -> float:
        """Resident MiB of the process, or of all."""
        return sum(one.memory_info().rss for one in self.processes) / 2 ** 20


class Front(Server):
    """Two processes behind nginx with deploy/nginx.conf itself, over HTTPS."""

    def __init__(self):
        self.behind, self.tls, self.plain = [Server(), Server()], _free(), _free()
        self.origin, self.trouble = f"https://127.0.0.1:{self.tls}", Counter()

    def __enter__(self):
        from tests.deploy import test_nginx as of                       # puts this machine's ports and certificate into deploy/nginx.conf
        with contextlib.ExitStack() as stack:
            here = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nginx-")))
            here.chmod(0o755)
            for one in self.behind:
                stack.enter_context(one)
            self.ports, self.processes = tuple(one.port for one in self.behind), [process for one in self.behind for process in one.processes]
            nginx = subprocess.Popen(of.nginx(self, here, connections=2048), stdin=subprocess.DEVNULL)
            stack.callback(lambda: (nginx.terminate(), nginx.wait(20)))
            self.unchecked, until = of.unchecked(), time.monotonic() + 15
            while time.monotonic() < until:
                with contextlib.suppress(OSError):
                    socket.create_connection(("127.0.0.1", self.tls), timeout=1).close()
                    break
                time.sleep(0.1)
            self.stack = stack.pop_all()
        return self

    def __exit__(self, *_):
        self.stack.close()

    def line(self) -> http.client.HTTPConnection:
        return http.client.HTTPSConnection("127.0.0.1", self.tls, timeout=20, context=self.unchecked)

    async def connect(self, protocol: Callable) -> tuple:
        return await asyncio.get_running_loop().create_connection(protocol, "127.0.0.1", self.tls, ssl=self.unchecked)


def _free() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


# -- a viewer -----------------------------------------------------------------------------------------------------------

class Viewer(asyncio.Protocol):
    """One open tab: runs pages, keeps large messages as a browser does (so the server sends them once), counts what comes without being asked for.

    Frames are cut by hand and looked into only where something depends on it: 160 viewers get 10,000 frames a second.
    """

    def __init__(self, server: Server, cookie: str):
        self.server, self.cookie, self.hash, self.query, self.kept, self.buffer = server, cookie, "", "", {}, b""
        self.runs, self.errors, self.bytes, self.deltas, self.others, self.asked, self.timers = 0, 0, 0, 0, 0, False, 0
        self.finished, self.drawn, self.watch = asyncio.Event(), None, None

    async def __aenter__(self):
        self.opened = asyncio.get_running_loop().create_future()
        self.transport, _ = await self.server.connect(lambda: self)
        key = base64.b64encode(os.urandom(16)).decode()
        self.transport.write((f"GET /_stcore/stream HTTP/1.1\r\nHost: {self.server.origin.split('//')[1]}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                              f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: streamlit\r\nOrigin: {self.server.origin}\r\n"
                              f"User-Agent: Chrome\r\nCookie: {self.cookie}\r\n\r\n").encode())
        await asyncio.wait_for(self.opened, 20)
        return self

    async def __aexit__(self, *_):
        self.transport.close()

    def connection_lost(self, error):
        if not self.transport.is_closing():
            self.errors += 1
            self.server.trouble[f"connection lost: {error}"] += 1

    def data_received(self, data: bytes):
        data = self.buffer + data if self.buffer else data
        if not self.opened.done():
            head, found, data = data.partition(b"\r\n\r\n")
            if not found:
                self.buffer = head
                return
            if b" 101 " in head[:20]:
                self.opened.set_result(None)
            else:
                self.opened.set_exception(SystemExit(head.decode("latin-1")))
        at, end = 0, len(data)
        while end - at >= 2:
            length, start = data[at + 1] & 127, at + 2
            if length > 125:
                wide = 2 if length == 126 else 8
                if end - start < wide:
                    break
                length, start = int.from_bytes(data[start:start + wide], "big"), start + wide
            if end - start < length:
                break
            kind, at = data[at] & 15, start + length
            if kind == 2:
                self._message(data[start:at])
            elif kind == 9:
                self._frame(10, data[start:at])
        self.buffer = data[at:]

    def _frame(self, kind: int, payload: bytes):
        length = len(payload)
        head = struct.pack("!BB", 128 | kind, 128 | length) if length < 126 else struct.pack("!BBH", 128 | kind, 254, length) if length < 65536 else struct.pack("!BBQ", 128 | kind, 255, length)
        self.transport.write(head + b"\0\0\0\0" + payload)                # a mask of zeros leaves the payload as it is

    def _message(self, data: bytes):
        msg = ForwardMsg.FromString(data)
        kind = msg.WhichOneof("type")
        self.bytes += len(data)
        if kind == "delta":
            self.deltas += 1
            element = msg.delta.new_element
            if (said := element.WhichOneof("type")) in ("exception", "alert"):
                self.errors += 1
                self.server.trouble[element.exception.message if said == "exception" else element.alert.body] += 1
            if msg.metadata.cacheable:
                self.kept[msg.hash] = self.runs
            if self.drawn is not None and msg.metadata.delta_path[:1] == [0]:
                self.drawn.append(data)
            if self.watch is not None:
                self.watch(msg)
        elif kind == "ref_hash":
            self.deltas += 1
            self.kept[msg.ref_hash] = self.runs
        elif kind == "new_session":
            self.deltas = 0
        elif kind == "navigation":
            self.hash = msg.navigation.page_script_hash
        elif kind == "auto_rerun":
            self.timers += 1
        elif kind == "script_finished" and msg.script_finished == ForwardMsg.FINISHED_SUCCESSFULLY:
            self.runs += 1
            self.kept = {one: run for one, run in self.kept.items() if run >= self.runs - 2}       # the browser's cache keeps as long
            self.others += not self.asked
            self.asked = False
            self.finished.set()

    async def rerun(self, page: str = "", query: str | None = None) -> float:
        """Seconds from asking for the page (or the same again) to its end."""
        self.finished.clear()
        self.asked = True
        if query is not None:
            self.query = query
        msg = BackMsg()
        state = msg.rerun_script
        state.query_string, state.page_script_hash, state.page_name = self.query, "" if page else self.hash, page
        state.cached_message_hashes.extend(self.kept)
        state.context_info.timezone, state.context_info.locale, state.context_info.url = "Asia/Shanghai", "zh-CN", f"{self.server.origin}/{page}"
        began = time.perf_counter()
        self._frame(2, msg.SerializeToString())
        await asyncio.wait_for(self.finished.wait(), 60)
        return time.perf_counter() - began


@contextlib.asynccontextmanager
async def crowd(server: Server, count: int, page: tuple[str, str] = REVIEW):
    """So many open tabs of so many browsers."""
    async with contextlib.AsyncExitStack() as stack:
        viewers = []
        for _ in range(count):
            viewers.append(await stack.enter_async_context(Viewer(server, await asyncio.to_thread(server.sign_in))))
            await viewers[-1].rerun(*page)
        yield viewers


def quantile(values: list[float], q: float) -> float:
    """In ms."""
    return round(1000 * sorted(values)[min(len(values) - 1, int(q * len(values)))], 1) if values else 0.0


# -- what is measured ---------------------------------------------------------------------------------------------------

async def pages(server: Server, only: tuple = PAGES, times: int = 30) -> dict:
    """Each page alone: the first run of it, then the same again and again. CPU per rerun is the median of three rounds."""
    found = {}
    cookie = server.sign_in()
    for page, query in only:
        async with Viewer(server, cookie) as viewer:
            first = await viewer.rerun(page, query)
            for _ in range(3):
                await viewer.rerun()
            took, rounds = [], []
            for _ in range(3):
                before = server.cpu()
                took += [await viewer.rerun() for _ in range(times)]
                rounds.append((server.cpu() - before) / times)
            name = page + (" with statistics" if "notes" in query else "")
            found[name] = {"first_ms": round(1000 * first, 1), "p50_ms": quantile(took, 0.5), "p95_ms": quantile(took, 0.95),
                           "cpu_ms": round(1000 * statistics.median(rounds), 1), "messages": viewer.deltas, "errors": viewer.errors}
            print(f"{name:<24} first {1000 * first:7.0f} ms   p50 {found[name]['p50_ms']:6.1f}   p95 {found[name]['p95_ms']:6.1f}   CPU {found[name]['cpu_ms']:5.1f} ms   "
                  f"{viewer.deltas} messages{'   ERRORS' * bool(viewer.errors)}", flush=True)
    return found


async def clicking(viewers: list[Viewer], seconds: float, walk: bool, took: list[float]) -> None:
    """Everybody clicks for so long, THINK seconds between two clicks."""
    until = time.perf_counter() + seconds

    async def live(viewer: Viewer):
        await asyncio.sleep(random.uniform(0, THINK))
        while time.perf_counter() < until:
            took.append(await viewer.rerun(*(random.choice(PAGES) if walk else ())))
            await asyncio.sleep(min(random.uniform(0.5, 1.5) * THINK, max(0.0, until - time.perf_counter())))
    await asyncio.gather(*map(live, viewers))


async def many(server: Server, count: int, seconds: float, walk: bool = False) -> dict:
    """So many viewers of the weekly review with all its charts, or walking from page to page."""
    took: list[float] = []
    async with crowd(server, count) as viewers:
        cpu, own, began, others = server.cpu(), time.process_time(), time.perf_counter(), sum(one.others for one in viewers)
        await clicking(viewers, seconds, walk, took)
        wall = time.perf_counter() - began
        found = {"viewers": count, "processes": len(server.processes), "walking": walk, "reruns": len(took), "followed": sum(one.others for one in viewers) - others,
                 "p50_ms": quantile(took, 0.5), "p95_ms": quantile(took, 0.95), "p99_ms": quantile(took, 0.99), "cores": round((server.cpu() - cpu) / wall, 2),
                 "client_cores": round((time.process_time() - own) / wall, 2), "errors": sum(one.errors for one in viewers), "said": dict(server.trouble.most_common(5)), "memory_mib": round(server.memory())}
    print(f"{count:>4} viewers{' walking' if walk else '':<9} {found['processes']} process{'es' * (found['processes'] > 1)}   p50 {found['p50_ms']:7.1f}   p95 {found['p95_ms']:7.1f}   p99 {found['p99_ms']:7.1f} ms   "
          f"{found['reruns']} reruns, {found['followed']} by following   {found['cores']:.2f} cores (client {found['client_cores']:.2f})   {found['memory_mib']} MiB{'   ERRORS' * bool(found['errors'])}", flush=True)
    return found


async def memory(server: Server, reruns: int, together: int = 4, visit: int = 50) -> dict:
    """Resident memory over many reruns of all pages, flat out, each viewer a new tab after `visit` of them; read at every tenth."""
    cookies, done, marks = [server.sign_in() for _ in range(together)], 0, []

    async def come_and_go(cookie: str):
        nonlocal done
        while done < reruns:
            async with Viewer(server, cookie) as viewer:
                for n in range(visit):
                    await viewer.rerun(*PAGES[n // 5 % len(PAGES)] if n % 5 == 0 else ())
                    done += 1
                    if done * 10 // reruns > len(marks) - 1 and done <= reruns:
                        marks.append(round(server.memory(), 1))
                        print(f"{done:>7} reruns   {marks[-1]:7.1f} MiB", flush=True)
    await asyncio.gather(*map(come_and_go, cookies))
    half = marks[len(marks) // 2:]
    found = {"reruns": done, "mib": marks, "growth_second_half_mib": round(half[-1] - half[0], 1)}
    print(f"{done} reruns: {marks[0]} MiB at the start, {half[0]} in the middle, {half[-1]} at the end", flush=True)
    return found


# -- what is written shows ------------------------------------------------------------------------------------------------

QUIET = """select u.unit_id from unit u where not exists (select from unit w where w.parent_id = u.unit_id) and u.kind not in ('unmapped', 'department')
     and not exists (select from (select about_unit_id, unit_id, accepting_unit_id, source_unit_id from complaint order by complaint_id desc limit 20000) c
                      where u.unit_id in (c.about_unit_id, c.unit_id, c.accepting_unit_id, c.source_unit_id)) order by u.unit_id desc limit 1"""
MARKED = """insert into complaint (source_id, complaint_no, pack, calendar_id, received_at, category_id, channel_id, unit_id, accepting_unit_id, about_unit_id, title)
    select source_id, :no, pack, calendar_id, clock_timestamp(), category_id, channel_id, :unit, :unit, :unit, '手机银行无法登录'
      from complaint where not restricted and not anonymous order by complaint_id desc limit 1"""


async def fresh(server: Server, url: str, count: int, rate: int, marks: int) -> dict:
    """`count` viewers click and follow beside `rate` changes a second; `marks` times a row is committed in a unit in which nothing else happens, and one
    more viewer has that unit's review open: seconds from the COMMIT to the frame in which the figure has moved."""
    seen: list[tuple[float, int]] = []

    def watch(msg: ForwardMsg):
        element = msg.delta.new_element
        if element.WhichOneof("type") == "metric" and element.metric.label in ("受理", "Received"):
            seen.append((time.perf_counter(), int(re.sub(r"\D", "", element.metric.body.split(":small")[0]) or 0)))

    took, lags, missed = [], [], 0
    with desk.administrator(url).connect() as conn:
        unit = conn.execute(text(QUIET)).scalar_one()
        conn.rollback()
        async with crowd(server, count - 1) as viewers, Viewer(server, server.sign_in()) as reader:
            reader.watch = watch
            await reader.rerun("review", f"period=week&unit={unit}")
            writers = [subprocess.Popen([sys.executable, "-m", "dashboard", "simulate", "--rate", str(rate / WRITERS)], cwd=ROOT, env=server.environment,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) for _ in range(WRITERS)]
            try:
                clicks = asyncio.create_task(clicking(viewers, 3600, False, took))
                await asyncio.sleep(5)
                cpu, began, took_before = server.cpu(), time.perf_counter(), len(took)
                for n in range(marks):
                    before = seen[-1][1]
                    await asyncio.to_thread(conn.execute, text(MARKED), {"no": f"M{time.time_ns()}", "unit": unit})
                    committed = time.perf_counter()
                    await asyncio.to_thread(conn.commit)
                    while not any(at > committed and value > before for at, value in seen) and time.perf_counter() - committed < 20:
                        await asyncio.sleep(0.005)
                    lag = [at - committed for at, value in seen if at > committed and value > before][:1]
                    lags, missed = lags + lag, missed + 1 - len(lag)
                    print(f"  row {n + 1}: {f'{1000 * lag[0]:.0f} ms' if lag else 'not seen in 20 s'}", flush=True)
                    await asyncio.sleep(random.uniform(0.2, 1.2))
                wall, cores = time.perf_counter() - began, server.cpu() - cpu
                clicks.cancel()
            finally:
                for one in writers:
                    one.terminate()
                ends = [one.communicate(timeout=20)[0].strip().splitlines()[-1] for one in writers]
            errors = sum(one.errors for one in [*viewers, reader])
    written, failed = (sum(float(re.search(pattern, end)[1]) for end in ends) for pattern in (r"changes, ([\d.]+) a second", r"failed (\d+)"))
    check = subprocess.run([sys.executable, "-m", "dashboard", "check", "rollups"], cwd=ROOT, env=server.environment, capture_output=True, text=True)
    found = {"viewers": count, "asked_per_s": rate, "written_per_s": round(written, 1), "failed": int(failed), "marks": marks, "missed": missed, "p50_ms": quantile(lags, 0.5),
             "max_ms": quantile(lags, 1), "clicks": len(took) - took_before, "click_p95_ms": quantile(took[took_before:], 0.95), "cores": round(cores / wall, 2),
             "errors": errors, "said": dict(server.trouble.most_common(5)), "rollups": "equal" if check.returncode == 0 else (check.stdout + check.stderr)[-500:]}
    print(f"{count} viewers beside {found['written_per_s']:.0f} of {rate} changes/s: COMMIT to frame p50 {found['p50_ms']:.0f}, most {found['max_ms']:.0f} ms, {missed} of {marks} not seen in 20 s; "
          f"clicks p95 {found['click_p95_ms']:.0f} ms; {cores / wall:.2f} cores; {errors} errors, {failed:.0f} failed changes; roll-ups {found['rollups']}", flush=True)
    return found


# -- Chromium -----------------------------------------------------------------------------------------------------------

SWITCHES = ("review", "limits", "overdue", "satisfaction", "units", "review")
STATIC = '''"""The twin: the same pages, drawn from messages that were recorded: no database, no session, nothing to work out."""
import pickle
from pathlib import Path

import streamlit as st
from streamlit.proto.Delta_pb2 import Delta
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.runtime.scriptrunner_utils.script_run_context import get_script_run_ctx

recorded = pickle.loads(Path(__file__).with_name("recorded.pickle").read_bytes())


def page(name):
    def draw():
        for data in recorded[name]:
            get_script_run_ctx().enqueue(ForwardMsg.FromString(data))
    draw.__name__ = name
    return draw


st.set_page_config(layout="wide")
st.navigation([st.Page(page(name), title=name, url_path=name, default=name == "start") for name in recorded], position="top").run()
'''


async def record(server: Server) -> dict[str, list[bytes]]:
    """What each page of SWITCHES sends to be drawn, as it was sent."""
    found = {"start": []}
    async with Viewer(server, server.sign_in()) as viewer:
        for page in dict.fromkeys(SWITCHES):
            viewer.drawn = found[page] = []
            viewer.kept = {}
            await viewer.rerun(page, "")
            viewer.drawn = None
    return found


def switch(page, name: str) -> float:
    """Seconds from a click in the menu until the other page stands: the script has run, every chart is drawn, nothing is left of the old one."""
    began = time.perf_counter()
    page.locator(f'[data-testid=stTopNavLink][href$="/{name}"]').first.click()
    page.wait_for_function("""name => location.pathname.endsWith(name) && document.querySelector('[data-testid=stApp]').dataset.testScriptState === 'notRunning'
        && !document.querySelector('[data-stale=true]') && [...document.querySelectorAll('[data-testid=stPlotlyChart]')].every(c => c.querySelector('.main-svg'))""", arg=name, timeout=30_000)
    return time.perf_counter() - began


def browser(server: Server) -> dict:
    """Page switches against the twin in turn, and the first page of a browser that has nothing yet, with compression and without."""
    from tests.browser.browser import launch, page as opened, settled
    folder = Path(tempfile.mkdtemp(prefix="desk-twin-"))
    (folder / "twin.py").write_text(STATIC, "utf-8")
    (folder / "recorded.pickle").write_bytes(pickle.dumps(asyncio.run(record(server))))
    port = _free()
    twin = subprocess.Popen([sys.executable, "-m", "streamlit", "run", str(folder / "twin.py"), "--server.port", str(port), "--server.address", "127.0.0.1"], cwd=ROOT, stdout=subprocess.DEVNULL)
    took: dict[str, dict[str, list[float]]] = {"desk": {}, "twin": {}}
    cold: dict[str, list[float]] = {"compressed": [], "plain": []}
    sent: dict[str, list[int]] = {"compressed": [], "plain": []}
    try:
        with launch() as chromium:
            with opened(chromium) as desk, opened(chromium) as copy:
                desk.goto(f"{server.origin}/review?as=demo-supervisor")
                settled(desk, 120_000)
                copy.goto(f"http://127.0.0.1:{port}/review")
                settled(copy, 120_000)
                for turn in range(3):
                    for name in SWITCHES[1:]:
                        for which, one in (("desk", desk), ("twin", copy)):
                            seconds = switch(one, name)
                            if turn:                                                        # the first round loads scripts
                                took[which].setdefault(name, []).append(seconds)
            for _ in range(3):
                for kind in cold:
                    with opened(chromium, extra_http_headers={} if kind == "compressed" else {"accept-encoding": "identity"}) as one:
                        one.context.add_cookies([{"name": "sid", "value": re.search(r"sid=([^;]+)", server.sign_in())[1], "url": server.origin}])
                        line = one.context.new_cdp_session(one)
                        line.send("Network.enable")
                        bytes_: list[int] = []
                        line.on("Network.loadingFinished", lambda event: bytes_.append(event["encodedDataLength"]))
                        began = time.perf_counter()
                        one.goto(f"{server.origin}/review")
                        one.wait_for_function("""() => document.querySelector('[data-testid=stApp]')?.dataset.testScriptState === 'notRunning' && document.querySelectorAll('[data-testid=stPlotlyChart] .main-svg').length > 4""", timeout=60_000)
                        cold[kind].append(time.perf_counter() - began)
                        sent[kind].append(sum(bytes_))
    finally:
        twin.terminate()
        twin.wait(20)
        shutil.rmtree(folder)
    found = {"switch": {name: {"desk_ms": quantile(took["desk"][name], 0.5), "twin_ms": quantile(took["twin"][name], 0.5),
                               "ratio": round(statistics.median(took["desk"][name]) / statistics.median(took["twin"][name]), 2)} for name in took["desk"]},
             "cold": {kind: {"median_ms": quantile(cold[kind], 0.5), "least_ms": quantile(cold[kind], 0), "mib": round(statistics.median(sent[kind]) / 2 ** 20, 2)} for kind in cold}}
    found["ratio"] = round(sum(one["desk_ms"] for one in found["switch"].values()) / sum(one["twin_ms"] for one in found["switch"].values()), 2)
    for name, one in found["switch"].items():
        print(f"to {name:<21} {one['desk_ms']:7.0f} ms   twin {one['twin_ms']:7.0f} ms   {one['ratio']:.2f} ×")
    for kind, one in found["cold"].items():
        print(f"first page, {kind:<12} {one['median_ms']:7.0f} ms (least {one['least_ms']:.0f})   {one['mib']:.2f} MiB", flush=True)
    return found


def reference() -> float:
    """CPU in ms of one px.line on this machine now, 13.9 where it is quiet (2 cores, 2026): how much slower the others make it."""
    import plotly.express as px
    took = []
    for _ in range(30):
        began = time.thread_time()
        px.line(x=list(range(50)), y=list(range(50)))
        took.append(time.thread_time() - began)
    return round(1000 * statistics.median(took), 1)


@contextlib.contextmanager
def bank(url: str | None, data: Path | None, complaints: int) -> Iterator[str]:
    """The administrator's URL of the bank to work on: the one that is named, or a demo bank in a folder, kept or thrown away."""
    folder = data or Path(tempfile.mkdtemp(prefix="desk-bench-"))
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o711)
    if url:
        desk.environment(url, folder.absolute())
        yield url
        return
    os.environ["DASHBOARD_DATA"] = str(folder.absolute())
    try:
        if not (folder / "logins.json").exists():
            subprocess.run([sys.executable, "-m", "dashboard", "demo", "--complaints", str(complaints)], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        yield connect.administrator(None, folder.absolute())
    finally:
        if not data:
            subprocess.run([sys.executable, "-m", "dashboard", "stop"], cwd=ROOT, check=False)
            shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.viewers", description=__doc__.split("\n\n")[0], epilog="Writes benchmarks/results/viewers.json.")
    parser.add_argument("--url", help="the administrator's URL of a bank that is there; default: a demo bank on the embedded server")
    parser.add_argument("--data", type=Path, help="a folder for the embedded database, kept; default: a new one, thrown away")
    parser.add_argument("--complaints", type=int, default=120_000, help="size of the demo bank, where there is none yet")
    parser.add_argument("--only", choices=PARTS, action="append", help="this part alone (may be given again); the others keep what was measured before")
    parser.add_argument("--viewers", type=int, nargs="+", default=[160])
    parser.add_argument("--behind", type=int, default=280, help="viewers of the two processes behind nginx")
    parser.add_argument("--seconds", type=float, default=20, help="for which viewers click")
    parser.add_argument("--reruns", type=int, default=1_500, help="of the memory part; 20000 takes about fifteen minutes")
    parser.add_argument("--rate", type=int, default=200, help="changes a second beside the viewers of the part `fresh`")
    parser.add_argument("--marks", type=int, default=8, help="marked rows of the part `fresh`")
    parser.add_argument("--walk", action="store_true", help="viewers walk from page to page too")
    parser.add_argument("--short", action="store_true", help="of the pages the weekly review alone")
    args = parser.parse_args()
    parts, result = args.only or PARTS, json.loads(RESULT.read_text("utf-8")) if RESULT.exists() else {}
    result.pop("machine", None)
    with bank(args.url, args.data, args.complaints) as url:
        result["complaints"] = desk.one(url, "select count(*) from complaint")
        if {"pages", "memory"} & set(parts):
            with Server(DASHBOARD_FOLLOW="0") as server:
                result["ready_s"] = round(server.ready, 2)
                if "pages" in parts:
                    result["pages"] = asyncio.run(pages(server, PAGES[:1] if args.short else PAGES))
                    result["reference_ms"] = reference()
                    print(f"reference: px.line {result['reference_ms']} ms of CPU here and now (13.9 on a quiet machine)", flush=True)
                if "memory" in parts:
                    result["memory"] = asyncio.run(memory(server, args.reruns))
        if "many" in parts:
            with Server() as server:
                result["many"] = [asyncio.run(many(server, count, args.seconds, walk)) for walk in (False, True)[:1 + args.walk] for count in args.viewers]
        if "nginx" in parts:
            with Front() as front:
                result["nginx"] = asyncio.run(many(front, args.behind, args.seconds))
        if "browser" in parts:
            with Server() as server:
                result["browser"] = browser(server)
        if "fresh" in parts:
            with Server() as server:
                result["fresh"] = asyncio.run(fresh(server, url, 100, args.rate, args.marks))
        desk.keep("viewers", result)


if __name__ == "__main__":
    main()
