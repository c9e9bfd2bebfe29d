"""Files that nobody of this project made: all rows convert, fast, in little memory."""
import csv
import subprocess
import sys
import time
from collections import Counter
from datetime import datetime, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from queries.intake import Row, load, open_source, read

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data"
BOSTON = DATA / "boston311_2015" / "requests_2015.csv.gz"
TAIDI = DATA / "taidi2020_zhengwu" / "附件4.xlsx"
CFPB = DATA / "cfpb_boa_2017_2023" / "Consumer_Complaints.xlsx"
NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)

pytestmark = pytest.mark.skipif(not DATA.exists(), reason=f"the real data is not at {DATA}")


def rows(path, name):
    mapping = load(ROOT / "docs" / "mappings" / f"{name}.toml")
    start = time.process_time()          # of this core: others may be busy beside us
    with open_source(path, mapping) as source:
        items = list(read(source, mapping, NOW))
    seconds = time.process_time() - start
    print(f"\n{name}: {len(items):,} rows in {seconds:.1f} s of CPU")
    assert all(isinstance(item, Row) for item in items), [i for i in items if not isinstance(i, Row)][:5]
    assert source.repeated == 0
    return items, seconds


def test_boston():
    items, seconds = rows(BOSTON, "boston311")
    assert len(items) == 121_145
    assert Counter(mark for row in items for mark in row.marks) == {"closed_before_received": 197}
    assert Counter(row.values["source_verdict"] for row in items) == {"on_time": 90_546, "late": 30_446, None: 153}
    assert sum(row.values["due_at"] is None for row in items) == 26_991
    assert sum(row.values["closed_at"] is None for row in items) == 19_873
    units = Counter(row.values["unit_path"] for row in items)
    with (BOSTON.parent / "truth_ontime_by_department_queue.csv").open(encoding="utf-8") as file:
        assert units == {(r["department"], r["queue"]): int(r["n"]) for r in csv.DictReader(file)}
    assert seconds < 12


def test_taidi():
    items, _ = rows(TAIDI, "taidi2020")
    assert len(items) == 2_816
    with (TAIDI.parent / "truth_reply_per_message.csv").open(encoding="utf-8-sig") as file:
        truth = {r["留言编号"]: r for r in csv.DictReader(file)}

    def wall(moment):
        return moment.astimezone(ZoneInfo("Asia/Shanghai")).strftime("%Y-%m-%d %H:%M:%S")

    for row in items:
        true = truth[row.complaint_no]
        assert (row.values["unit"] or "") == true["place"]
        assert (wall(row.values["received_at"]), wall(row.values["closed_at"])) == (true["recv"], true["reply"])
        path = row.values["unit_path"]
        assert not path or path[0] == true["place"][0] + "市"
    assert max(len(row.values["reply_text"]) for row in items) > 7_000     # nothing is cut


def test_cfpb():
    items, _ = rows(CFPB, "cfpb")
    assert len(items) == 62_516
    verdicts = Counter((row.values["source_verdict"], row.values["status"]) for row in items)
    assert verdicts == {("on_time", "done"): 58_619, ("late", "done"): 2_403, (None, "open"): 1_494}


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of a process is read from /proc")
def test_boston_is_read_in_little_memory():
    # VmHWM, not ru_maxrss: the latter begins with the memory of the process that started this one
    program = ("import sys, datetime as d; from queries.intake import *\n"
               "m = load('docs/mappings/boston311.toml'); s = open_source(sys.argv[1], m)\n"
               "n = sum(1 for _ in read(s, m, d.datetime(2026, 1, 1, tzinfo=d.timezone.utc)))\n"
               "print(n, *(l.split()[1] for l in open('/proc/self/status') if l.startswith('VmHWM')))")
    out = subprocess.run([sys.executable, "-c", program, str(BOSTON)], cwd=ROOT, capture_output=True, text=True,
                         check=True)
    count, peak = map(int, out.stdout.split())
    print(f"\npeak {peak / 1024:.0f} MB")
    assert count == 121_145
    assert peak < 120 * 1024
