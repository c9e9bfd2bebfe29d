"""`python -m dashboard simulate`: a demo bank that goes on living, written through the intake role alone."""
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from threading import Event

import pytest
from sqlalchemy import create_engine, text

from queries import connect, db, demo, ledger, quality
from queries.demo import simulate
from tests import makers
from tests.conftest import SMALL, cloned, logins

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def bank(server, banks, folder):
    """A demo bank of its own: these tests write."""
    with cloned(server, banks(SMALL)) as url:
        yield logins(url, folder)


@pytest.fixture
def writer(bank):
    return db.viewer_of(bank, "intake")


def one(urls, statement, **params):
    engine = create_engine(urls["admin"])
    try:
        with engine.begin() as conn:
            return conn.execute(text(f"set local search_path = desk; {statement}"), params).scalar()
    finally:
        engine.dispose()


OPEN = "select count(*) from state(clock_timestamp()) where clock = 'r' and left_at > clock_timestamp()"


def test_a_thousand_changes_of_every_kind_and_every_rule_still_holds(bank, writer):
    before, began = one(bank, OPEN), one(bank, "select clock_timestamp()")
    done = Counter()
    with db.writing(bank, writer) as conn:
        assert conn.execute(text("select session_user, current_user")).one() == ("desk_intake", "r_intake")
        living = simulate.Simulation(conn, simulate.source_of(conn), seed=7)
    for _ in range(1_000):
        with db.writing(bank, writer) as conn:
            done[living.change(conn)] += 1

    rare = {"read", "delayed", "verified"}                   # a small bank may have nothing to do them to
    assert set(simulate.SHARES) - rare <= set(done) <= set(simulate.SHARES)
    assert 60 < done["received"] < 300 and done["sent"] > 60 and done["signed"] > 60
    assert abs(one(bank, OPEN) - before) <= simulate.EVEN + 1, "as many left as came"
    assert one(bank, OPEN) - before == living.open
    assert one(bank, "select count(*) from complaint where received_at >= :t", t=began) == done["received"]
    assert one(bank, "select count(*) from hop where sent_at >= :t", t=began) == done["sent"]
    assert one(bank, "select count(*) from hop where signed_at >= :t", t=began) == done["signed"]
    assert one(bank, "select count(*) from call_back where at >= :t", t=began) == done["called_back"]
    assert one(bank, "select count(*) from event where code = 'replied_office' and recorded_at >= :t", t=began) >= done["answered_office"], "one may have been returned since"
    assert one(bank, "select count(distinct by_whom) from call_back where at >= :t", t=began) == 3
    assert one(bank, "select count(*) from reply where at >= :t and facts is null", t=began) == 0
    assert one(bank, "select count(*) from event where recorded_at >= :t and at > recorded_at", t=began) == 0, "nothing lies ahead of the clock"
    assert one(bank, "select count(*) from check_spans()") == 0
    with db.reading(bank, db.viewer_of(bank, "service")) as conn:
        now = db.clock(conn)
        assert ledger.check(conn, as_of=now, start=began, end=now)[1] == 0
        assert now - quality.sources(conn, as_of=now)["seen_at"].max() < now - began


def test_numbers_go_on_after_the_highest_of_the_day_and_past_four_digits(bank, writer):
    with db.writing(bank, writer) as conn:
        source = simulate.source_of(conn)
        living, at = simulate.Simulation(conn, source, seed=1), db.clock(conn)
        day = living._number(conn, at)[:8]
        conn.execute(text("""insert into complaint (source_id, complaint_no, pack, calendar_id, received_at, channel_id, category_id, unit_id)
                             select source_id, :no, pack, calendar_id, :at, channel_id, category_id, unit_id from complaint
                              where source_id = :s limit 1"""), {"no": f"{day}-9999", "at": at, "s": source.source_id})
        assert living._number(conn, at) == f"{day}-10000"
        assert living._received(conn, at) and living._number(conn, at) == f"{day}-10001"


def test_two_at_once_never_take_the_same_number(bank, writer):
    from concurrent.futures import ThreadPoolExecutor

    told = []
    with ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(simulate.run, bank, writer, rate=100, seconds=2, seed=seed, stop=Event(), say=told.append)
                for seed in (1, 2)]
        done = runs[0].result() + runs[1].result()
    assert done["failed"] == 0 and done["received"] > 5, told


def test_a_failure_is_counted_and_said_and_it_goes_on(bank, writer, monkeypatch):
    told, change, calls = [], simulate.Simulation.change, Counter()

    def fails_twice(self, conn):
        calls["n"] += 1
        if calls["n"] in (2, 3):
            conn.execute(text("select 1 / 0"))
        return change(self, conn)

    monkeypatch.setattr(simulate.Simulation, "change", fails_twice)
    stop = Event()
    monkeypatch.setattr(stop, "wait", lambda seconds: stop.set() if calls["n"] > 12 else None)
    done = simulate.run(bank, writer, rate=100, stop=stop, say=told.append)
    assert done["failed"] == 2 and sum(done.values()) == 13
    assert [line for line in told if "division by zero" in line] and told[-1].startswith("Stopped") and "failed 2" in told[-1]


def test_an_empty_database_and_one_with_real_complaints_are_refused(desk):
    with db.writing(desk, db.viewer_of(desk, "intake")) as conn:
        with pytest.raises(simulate.NotDemo, match="not a demo bank"):
            simulate.source_of(conn)
    connect.as_owner(desk["admin"], demo.load, complaints=300)
    with db.writing(desk, db.viewer_of(desk, "intake")) as conn:
        assert simulate.source_of(conn)
        makers.make_source(conn, "hotline")
        with pytest.raises(simulate.NotDemo, match="or not only one"):
            simulate.source_of(conn)


def command(bank, folder, *args, **how):
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("DASHBOARD_", "DESK_", "PG"))}
    environment |= {"DATABASE_URL": bank["admin"], "DASHBOARD_DATA": str(folder)}
    return subprocess.Popen([sys.executable, "-m", "dashboard", "simulate", *args], cwd=ROOT, env=environment, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, **how)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_the_command_uses_one_connection_and_ends_cleanly_when_asked(bank, folder, how):
    for url in bank.values():
        db.engine(url).dispose()                             # those of this process are not counted
    running = command(bank, folder, "--rate", "50", "--seed", "3")
    try:
        first = running.stdout.readline()
        assert re.search(r"\d+ changes, [\d.]+ a second: \w.*; open complaints [+-]\d; failed 0", first)
        seen = one(bank, """select string_agg(usename || ' ' || n, ', ') from (select usename, count(*) as n from pg_stat_activity
                             where datname = current_database() and usename like 'desk\\_%' group by usename) a""")
        assert seen == "desk_intake 1"
        running.send_signal(how)
        out, problems = running.communicate(timeout=10)
    finally:
        running.kill()
    assert running.returncode == 0 and problems == "" and out.splitlines()[-1].startswith("Stopped after")


def test_the_command_stops_after_its_minutes(bank, folder):
    began = time.monotonic()
    running = command(bank, folder, "--rate", "20", "--minutes", "0.03")
    out, problems = running.communicate(timeout=60)
    assert running.returncode == 0 and problems == "" and time.monotonic() - began < 30
    assert 15 <= int(re.search(r"([\d,]+) changes", out)[1]) <= 45


@pytest.mark.parametrize("wrong", [("--rate", "0"), ("--rate", "1001"), ("--minutes", "0"), ("--minutes", "nan"), ("--rate", "nan")])
def test_what_cannot_be_asked_is_refused_in_a_sentence(bank, folder, wrong):
    running = command(bank, folder, *wrong)
    _, problems = running.communicate(timeout=60)
    assert running.returncode == 1 and problems.startswith(f"{wrong[0]} must be more than 0") and "Traceback" not in problems
