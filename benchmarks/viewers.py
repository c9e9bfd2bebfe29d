"""What one process carries: viewers that speak Streamlit's protocol over WebSocket, through the gate, as browsers do; and Chromium.

    python -m benchmarks.viewers                     # a demo bank of its own, thrown away; about two minutes
    python -m benchmarks.viewers --data .bench       # the same, in a folder that is kept: the next time without loading
    python -m benchmarks.viewers --only memory --reruns 20000

A rerun is timed from the message that asks for it to the message that says the script has finished. CPU is the server process's own, user and
system. Viewers answer the timer of a page that follows (DASHBOARD_FOLLOW), as browsers do. Targets (issue 5): the weekly review with all its charts
costs at most 20 ms of CPU a rerun; 160 viewers, 5 s between two clicks, p95 at most 500 ms; memory flat over 20,000 reruns; a page switch in Chromium
at most 1.5 × one of a page that draws the same from frozen data; the first page cold within 2.5 s. Writes results/viewers.json.
"""
import argparse
import asyncio
import contextlib
import http.client
import json
import os
import pickle
import random
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import urlencode

import psutil
from websockets.asyncio.client import connect

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

ROOT = Path(__file__).resolve().parents[1]
RESULT = Path(__file__).with_name("results") / "viewers.json"
REVIEW = ("review", "notes=true")                    # with the panel of statistics open: every chart there is
PAGES = (REVIEW, ("review", ""), ("limits", ""), ("overdue", ""), ("satisfaction", ""), ("complaints", "code=received&period=last_month"), ("units", ""), ("data", ""))
THINK = 5.0
PARTS = ("pages", "many", "memory", "browser")


# -- the server -------------------------------------------------------------------------------------------------------

class Server:
    """The product as `python -m dashboard run` serves it, on a free port of this machine."""

    def __init__(self, folder: Path, **settings: str):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.origin, self.ready = f"http://127.0.0.1:{self.port}", 0.0
        self.environment = os.environ | {"DASHBOARD_DATA": str(folder), "DASHBOARD_PORT": str(self.port), "DASHBOARD_ADDRESS": "127.0.0.1", "PYTHONPATH": str(ROOT)} | settings

    def __enter__(self):
        began = time.perf_counter()
        self.run = subprocess.Popen([sys.executable, "-m", "streamlit", "run", "dashboard/server.py", "--server.port", str(self.port), "--server.address", "127.0.0.1"],
                                    cwd=ROOT, env=self.environment, stdout=subprocess.DEVNULL)
        while time.perf_counter() - began < 60 and self.run.poll() is None:
            with contextlib.suppress(OSError):
                if self.ask("/_stcore/health")[0] == 200:
                    self.ready = time.perf_counter() - began
                    self.process = psutil.Process(self.run.pid)
                    return self
            time.sleep(0.1)
        raise SystemExit("the server did not come up")

    def __exit__(self, *_):
        self.run.terminate()
        self.run.wait(20)

    def ask(self, path: str, fields: dict | None = None, cookies: str = "") -> tuple[int, str, dict[str, str]]:
        """(status, text, cookies) of one request."""
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        headers = {"Accept": "text/html", "Origin": self.origin, "Cookie": cookies} | ({"Content-Type": "application/x-www-form-urlencoded"} if fields else {})
        line.request("POST" if fields else "GET", path, urlencode(fields) if fields else None, headers)
        answer = line.getresponse()
        text = answer.read().decode("utf-8", "replace")
        line.close()
        return answer.status, text, dict(re.match(r"([^=]+)=([^;]*)", one).groups() for one in answer.headers.get_all("Set-Cookie") or ())

    def sign_in(self, login: str = "demo-supervisor") -> str:
        """The session cookie of one more browser that came in by the sign-in page."""
        token = re.search(r"name=csrf value=(\S+?)>", (page := self.ask("/sign-in"))[1])[1]
        return self.ask("/sign-in", {"role": login, "csrf": token}, f"csrf={page[2]['csrf']}")[2]["sid"]

    def cpu(self) -> float:
        """Seconds of CPU that the server process has taken."""
        return sum(self.process.cpu_times()[:2])

    def memory(self) -> float:
        """Resident MiB of the server process."""
        return self.process.memory_info().rss / 2 ** 20


# -- a viewer -----------------------------------------------------------------------------------------------------------

class Viewer:
    """One open tab: runs pages, keeps large messages as a browser does (so the server sends them once), answers the timers of fragments."""

    def __init__(self, server: Server, cookie: str, follows: bool = True):
        self.server, self.cookie, self.follows = server, cookie, follows
        self.hash, self.query, self.kept, self.timers = "", "", {}, {}
        self.runs, self.finished, self.errors, self.bytes, self.deltas, self.polls, self.others = 0, asyncio.Event(), 0, 0, 0, 0, 0
        self.asked, self.drawn = False, None

    async def __aenter__(self):
        self.line = await connect(self.server.origin.replace("http", "ws") + "/_stcore/stream", origin=self.server.origin, subprotocols=["streamlit"], max_size=None,
                                  compression=None, additional_headers={"Cookie": f"sid={self.cookie}"}, user_agent_header="Chrome", ping_interval=None)
        self.reader = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_):
        for task in (*self.timers.values(), self.reader):
            task.cancel()
        await self.line.close()

    async def _read(self):
        began = False
        async for data in self.line:
            msg = ForwardMsg.FromString(data)
            kind = msg.WhichOneof("type")
            self.bytes += len(data)
            if self.drawn is not None and kind == "delta" and msg.metadata.delta_path[:1] == [0]:
                self.drawn.append(data)
            if kind == "new_session":
                began, self.deltas = True, 0
            elif kind == "navigation":
                self.hash = msg.navigation.page_script_hash
            elif kind == "delta":
                self.deltas += 1
                self.errors += msg.delta.new_element.WhichOneof("type") in ("exception", "alert")
                if msg.metadata.cacheable:
                    self.kept[msg.hash] = self.runs
            elif kind == "ref_hash":
                self.deltas += 1
                self.kept[msg.ref_hash] = self.runs
            elif kind == "auto_rerun" and self.follows:
                self._follow(msg.auto_rerun.fragment_id, msg.auto_rerun.interval)
            elif kind == "script_finished":
                if msg.script_finished == ForwardMsg.FINISHED_SUCCESSFULLY and began:
                    self.runs += 1
                    self.kept = {one: run for one, run in self.kept.items() if run >= self.runs - 2}       # the browser's cache keeps as long
                    self.others += not self.asked
                    self.asked = False
                    self.finished.set()

    def _follow(self, fragment: str, interval: float):
        for other in [one for one in self.timers if one != fragment]:
            self.timers.pop(other).cancel()
        if fragment not in self.timers:
            self.timers[fragment] = asyncio.create_task(self._poll(fragment, interval))

    async def _poll(self, fragment: str, interval: float):
        while True:
            await asyncio.sleep(interval)
            self.polls += 1
            await self._send(fragment_id=fragment, is_auto_rerun=True)

    async def _send(self, page: str = "", **more):
        msg = BackMsg()
        state = msg.rerun_script
        state.query_string, state.page_script_hash, state.page_name = self.query, "" if page else self.hash, page
        state.cached_message_hashes.extend(self.kept)
        state.context_info.timezone, state.context_info.locale, state.context_info.url = "Asia/Shanghai", "zh-CN", f"{self.server.origin}/{page}"
        for name, value in more.items():
            setattr(state, name, value)
        await self.line.send(msg.SerializeToString())

    async def rerun(self, page: str = "", query: str | None = None) -> float:
        """Seconds from asking for the page (or the same again) to its end."""
        self.finished.clear()
        self.asked = True
        if query is not None:
            self.query = query
        began = time.perf_counter()
        await self._send(page)
        await asyncio.wait_for(self.finished.wait(), 60)
        return time.perf_counter() - began


def quantile(values: list[float], q: float) -> float:
    """In ms."""
    return round(1000 * sorted(values)[min(len(values) - 1, int(q * len(values)))], 1) if values else 0.0


# -- what is measured ---------------------------------------------------------------------------------------------------

async def pages(server: Server, times: int = 30) -> dict:
    """Each page alone: the first run of it, then the same again and again. CPU per rerun is the median of three rounds."""
    found = {}
    cookie = server.sign_in()
    for page, query in PAGES:
        async with Viewer(server, cookie, follows=False) as viewer:
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


async def many(server: Server, count: int, seconds: float, walk: bool = False) -> dict:
    """So many viewers of the weekly review with all its charts, or walking from page to page, THINK seconds between two clicks."""
    cookies = [server.sign_in() for _ in range(count)]
    took, viewers = [], []
    async with contextlib.AsyncExitStack() as stack:
        for cookie in cookies:
            viewers.append(await stack.enter_async_context(Viewer(server, cookie)))
            await viewers[-1].rerun(*REVIEW)
        until = time.perf_counter() + seconds

        async def live(viewer: Viewer):
            await asyncio.sleep(random.uniform(0, THINK))
            while time.perf_counter() < until:
                took.append(await viewer.rerun(*(random.choice(PAGES) if walk else ())))
                await asyncio.sleep(random.uniform(0.5, 1.5) * THINK)
        cpu, began = server.cpu(), time.perf_counter()
        polls, others = sum(one.polls for one in viewers), sum(one.others for one in viewers)
        await asyncio.gather(*map(live, viewers))
        wall = time.perf_counter() - began
        load = (server.cpu() - cpu) / wall
        found = {"viewers": count, "walking": walk, "reruns": len(took), "followed": sum(one.others for one in viewers) - others, "p50_ms": quantile(took, 0.5), "p95_ms": quantile(took, 0.95),
                 "p99_ms": quantile(took, 0.99), "cores": round(load, 2), "looks_per_s": round((sum(one.polls for one in viewers) - polls) / wall), "errors": sum(one.errors for one in viewers), "memory_mib": round(server.memory())}
    print(f"{count:>4} viewers{' walking' if walk else '':<9} p50 {found['p50_ms']:7.1f}   p95 {found['p95_ms']:7.1f}   p99 {found['p99_ms']:7.1f} ms   {found['reruns']} reruns, {found['followed']} by following   "
          f"{load:.2f} cores   {found['looks_per_s']} looks/s   {found['memory_mib']} MiB{'   ERRORS' * bool(found['errors'])}", flush=True)
    return found


async def memory(server: Server, reruns: int, together: int = 4, visit: int = 50) -> dict:
    """Resident memory over many reruns of all pages, flat out, each viewer a new tab after `visit` of them; read at every tenth."""
    cookies, done, marks = [server.sign_in() for _ in range(together)], 0, []

    async def come_and_go(cookie: str):
        nonlocal done
        while done < reruns:
            async with Viewer(server, cookie, follows=False) as viewer:
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
    async with Viewer(server, server.sign_in(), follows=False) as viewer:
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
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
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
                        one.context.add_cookies([{"name": "sid", "value": server.sign_in(), "url": server.origin}])
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


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.viewers", description=__doc__.split("\n\n")[0], epilog="Writes benchmarks/results/viewers.json.")
    parser.add_argument("--data", type=Path, help="a folder for the embedded database, kept; default: a new one, thrown away")
    parser.add_argument("--complaints", type=int, default=120_000, help="size of the demo bank, where there is none yet")
    parser.add_argument("--only", choices=PARTS, action="append", help="this part alone (may be given again); the others keep what was measured before")
    parser.add_argument("--viewers", type=int, nargs="+", default=[160])
    parser.add_argument("--seconds", type=float, default=30, help="for which viewers click")
    parser.add_argument("--reruns", type=int, default=1_500, help="of the memory part; 20000 takes about eight minutes")
    parser.add_argument("--walk", action="store_true", help="viewers walk from page to page too")
    args = parser.parse_args()
    parts = args.only or PARTS
    folder = args.data or Path(tempfile.mkdtemp(prefix="desk-bench-"))
    folder.mkdir(exist_ok=True)
    folder.chmod(0o711)
    environment = os.environ | {"DASHBOARD_DATA": str(folder.absolute())}
    result = json.loads(RESULT.read_text("utf-8")) if RESULT.exists() else {}
    try:
        if not (folder / "logins.json").exists() or not args.data:
            subprocess.run([sys.executable, "-m", "dashboard", "demo", "--complaints", str(args.complaints)], cwd=ROOT, env=environment, check=False)
        with Server(folder.absolute()) as server:
            result["ready_s"] = round(server.ready, 2)
            if "pages" in parts:
                result["pages"] = asyncio.run(pages(server))
            if "many" in parts:
                result["many"] = [asyncio.run(many(server, count, args.seconds, walk)) for walk in (False, True)[:1 + args.walk] for count in args.viewers]
            if "memory" in parts:
                result["memory"] = asyncio.run(memory(server, args.reruns))
            if "browser" in parts:
                result["browser"] = browser(server)
            result["reference_ms"] = reference()
            print(f"reference: px.line {result['reference_ms']} ms of CPU here and now (13.9 on a quiet machine)")
        RESULT.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", "utf-8")
    finally:
        if not args.data:
            subprocess.run([sys.executable, "-m", "dashboard", "stop"], cwd=ROOT, env=environment, check=False)
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
