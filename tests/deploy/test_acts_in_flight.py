"""Two processes of the application, fifty acts under way, one process killed: what was acknowledged is stored, and everything once."""
import json
import os
import subprocess
import sys
from uuid import uuid4

import pytest
from sqlalchemy import text

from queries import connect
from tests import makers
from tests.deploy.conftest import ROOT

ACTS = 50
# A process as the application is one: pools, doors, acts. Reads what to do, says a key when the act with it is committed.
PROCESS = """
import json, sys
from concurrent.futures import ThreadPoolExecutor
from queries import acts, db
urls = json.loads(sys.stdin.readline())
viewer = db.viewer_of(urls, "li.min")
def act(asked):
    with db.writing(urls, viewer, timeout_ms=20_000) as conn:
        outcome = acts.urge(conn, key=asked["key"], complaints=[asked["complaint"]], level=2)
    sys.stdout.write(json.dumps({"key": asked["key"], "done": outcome.done, "replayed": outcome.replayed}) + "\\n")
    sys.stdout.flush()
print("ready", flush=True)
with ThreadPoolExecutor(24) as pool:
    for line in sys.stdin:
        pool.submit(act, json.loads(line))
"""


class Process:
    def __init__(self, urls):
        self.process = subprocess.Popen([sys.executable, "-c", PROCESS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
                                        env=os.environ | {"PYTHONPATH": str(ROOT)})
        self._tell(urls)
        assert self.process.stdout.readline() == "ready\n"

    def _tell(self, what):
        self.process.stdin.write(json.dumps(what) + "\n")
        self.process.stdin.flush()

    def ask(self, acts):
        for key, complaint in acts.items():
            self._tell({"key": key, "complaint": complaint})

    def answer(self):
        line = self.process.stdout.readline()
        return json.loads(line) if line.endswith("\n") else None

    def rest(self):
        """Every further answer until the process ends."""
        if self.process.poll() is None:
            self.process.stdin.close()
        found = []
        while (one := self.answer()) is not None:
            found.append(one)
        self.process.wait(30)
        return found


@pytest.fixture
def office(desk):
    def build(conn):
        unit = makers.make_unit(conn, "宁波分行", makers.make_unit(conn, "总行"))
        conn.execute(text("insert into app_user (login, name, role, all_units) values ('li.min', '李敏', 'supervisor', true)"))
        return [makers.make_complaint(conn, received=makers.cn("2026-03-02 10:00"), unit=unit) for _ in range(ACTS)]
    return desk, connect.as_owner(desk["admin"], build)


@pytest.mark.parametrize("after", [1, 5])
def test_every_acknowledged_act_is_stored_and_every_act_once(office, after):
    urls, complaints = office
    acts = {uuid4().hex: complaint for complaint in complaints}
    keys = list(acts)
    handed = {login: url for login, url in urls.items() if login != "admin"}
    one, other = Process(handed), Process(handed)
    try:
        one.ask({key: acts[key] for key in keys[:ACTS // 2]})
        other.ask({key: acts[key] for key in keys[ACTS // 2:]})
        said = [one.answer() for _ in range(after)]
        one.process.kill()                                               # SIGKILL: nothing is tidied up
        said += one.rest()
        in_flight = ACTS // 2 - len(said)
        assert in_flight >= 5, "killed too late to show anything"
        acknowledged = {answer["key"] for answer in said}
        stored = dict(connect.as_owner(urls["admin"], lambda conn: conn.execute(text("select r.key, r.result is not null from request r")).all()))
        assert acknowledged <= stored.keys(), "what was said to be done is there"
        other.ask({key: acts[key] for key in keys[:ACTS // 2] if key not in acknowledged})      # people try again, with the key of their form
        again = other.rest()
    finally:
        for process in (one.process, other.process):
            if process.poll() is None:
                process.kill()
                process.wait(10)
            process.stdout.close()
    assert {answer["key"] for answer in said + again} == set(keys)
    assert all(answer["done"] == [acts[answer["key"]]] for answer in said + again)
    counts = connect.as_owner(urls["admin"], lambda conn: [conn.execute(text(f"select count(*), count(distinct {what}) from {table}")).one() for table, what in (
        ("urge", "complaint_id"), ("request", "key"), ("event where code = 'urged'", "complaint_id"), ("audit where act = 'urge'", "complaint_id"))])
    assert [tuple(count) for count in counts] == [(ACTS, ACTS)] * 4
    assert connect.as_owner(urls["admin"], lambda conn: conn.execute(text("select count(*) from outbox where kind = 'urge'")).scalar_one()) == ACTS
    print(f"{len(acknowledged)} acknowledged, {in_flight} in flight, {sum(answer['replayed'] for answer in again)} had been carried out")
