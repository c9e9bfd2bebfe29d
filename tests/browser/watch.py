"""`python -m tests.browser.watch FOLDER MINUTES RATE [PORT]`: two readers beside `simulate`, on the demo bank in FOLDER (DASHBOARD_DATA).

One reads this week's review, one has ticked two rows of a list and typed half a word. Every 30 seconds: nothing is broken,
nothing is lost, the figure is what the raw rows say, how much memory the server takes. At the end: how long it took from
a commit until the reader saw it, and whether ledger and spans are right.
"""
import os
import re
import statistics
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from dashboard.settings import settings
from queries import connect
from tests.browser import browser, test_live

EVERY = 30
# The card of complaints received, whenever it changes: [milliseconds, complaints].
RECORD = """() => { window.seen = []; setInterval(() => {
    const card = document.querySelectorAll('[data-testid=stMetricValue]')[2]; if (!card) return;
    const n = +card.innerText.replace(/\\D/g, ''), last = window.seen.at(-1);
    if (!last || last[1] !== n) window.seen.push([Date.now(), n]); }, 50) }"""


def main(folder: str, minutes: float, rate: float, port: int = 8646) -> int:
    os.environ |= {"DASHBOARD_DATA": folder, "DASHBOARD_PORT": str(port)}
    database, log = connect.administrator(settings().database_url, settings().data), Path(folder) / "watch.log"
    with log.open("w") as out:
        server = subprocess.Popen([sys.executable, "-m", "dashboard", "run", "--no-demo"], cwd=test_live.ROOT, stdout=out, stderr=out)
    try:
        site = (_up(f"http://127.0.0.1:{port}"), os.environ | {"DATABASE_URL": database})
        return _watch(site, server.pid, database, minutes, rate, log)
    finally:
        server.terminate()
        server.wait(10)


def _up(address: str) -> str:
    for _ in range(100):
        try:
            urllib.request.urlopen(f"{address}/_stcore/health", timeout=1).close()
            return address
        except OSError:
            time.sleep(0.3)
    raise SystemExit("the server did not come up")


def _watch(site, pid: int, database: str, minutes: float, rate: float, log: Path) -> int:
    wrong, memory = [], []
    with browser.launch() as chromium, browser.page(chromium) as review, browser.page(chromium) as listed:
        test_live.open_page(review, site, "review?period=week")
        test_live.open_page(listed, site, "overdue?code=due_soon_list")
        test_live.tick_rows(listed, 1, 2)
        listed.get_by_text("已选 2件").first.wait_for(timeout=20_000)
        picked = listed.get_by_test_id("stBottom").inner_text()
        search = listed.get_by_placeholder(re.compile("编号"))
        search.click()
        listed.keyboard.type("宁")
        review.evaluate(RECORD)
        base, began = test_live.received(database), time.monotonic()
        since = test_live.scalar(database, "select clock_timestamp()")
        print(f"before: {_rss(pid)} MB, {base} received, {picked.splitlines()[0]}", flush=True)
        with test_live.Changes(site[1], rate) as changes:
            while (passed := time.monotonic() - began) < 60 * minutes:
                time.sleep(min(EVERY, 60 * minutes - passed))
                there, asked = test_live.received(database), time.monotonic()
                while test_live.shown(review) < there and time.monotonic() - asked < 10:
                    time.sleep(0.05)
                behind = time.monotonic() - asked
                memory.append(_rss(pid))
                found = {"the figure lags": behind > 10, "broken": test_live.broken(review) + test_live.broken(listed),
                         "browser": review.said + listed.said, "ticks": listed.get_by_test_id("stBottom").inner_text() != picked,
                         "typed": search.input_value() != "宁" or not search.evaluate("e => e === document.activeElement"),
                         "log": re.findall(r"(?m)^.*(?:Traceback|Error|Exception).*$", log.read_text())[:3]}
                wrong += [f"{what}: {one}" for what, one in found.items() if one]
                print(f"{(time.monotonic() - began) / 60:4.1f} min  {memory[-1]} MB  seen after {behind:.1f} s  load {os.getloadavg()[0]:.1f}  "
                      f"{test_live.line(listed)}  {'; '.join(wrong[-3:])}", flush=True)
        time.sleep(5)
        if test_live.shown(review) != test_live.received(database):
            wrong.append("the last figure is not what the rows say")
        seconds = _latencies(review.evaluate("() => window.seen"), base, database, since)
    print(changes.said.splitlines()[-1])
    if seconds:
        print(f"commit to reader: median {statistics.median(seconds):.2f} s, 95 % within "
              f"{statistics.quantiles(seconds, n=20)[-1]:.2f} s, longest {max(seconds):.2f} s, of {len(seconds)} complaints")
    for what in ("ledger", "spans"):
        done = subprocess.run([sys.executable, "-m", "dashboard", "check", what], cwd=test_live.ROOT, capture_output=True, text=True)
        print(done.stdout.strip() or done.stderr.strip())
        wrong += [f"check {what}"] * done.returncode
    print("nothing was lost, nothing broke" if not wrong else f"wrong: {wrong}")
    return 1 if wrong else 0


def _latencies(seen: list, base: int, database: str, since) -> list[float]:
    """Seconds from the writing of a complaint until the card counted it."""
    from sqlalchemy import create_engine, text
    from sqlalchemy.pool import NullPool

    with create_engine(database, poolclass=NullPool).connect() as conn:
        times = [at.timestamp() for at in conn.execute(text("select registered_at from desk.complaint where registered_at > :t order by 1"),
                                                       {"t": since}).scalars()]
    found, k = [], 0
    for moment, n in seen:
        while k < n - base and k < len(times):
            found.append(moment / 1000 - times[k])
            k += 1
    return found


def _rss(pid: int) -> int:
    return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1]) // 1024


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], float(sys.argv[2]), float(sys.argv[3]), *map(int, sys.argv[4:5])))
