"""What stands around the product in an office: programs of the system, started for a test and ended by their number.

A test needs the program. On a build machine (CI) it is there, or the test fails; on another without it, it is not collected.
"""
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from queries import embedded

ROOT = Path(__file__).resolve().parents[2]


def program(name: str):
    """A mark for tests of a program: they run where it is, and must run on a build machine."""
    return pytest.mark.skipif(not _found(name) and not os.environ.get("CI"), reason=f"{name} is not installed")


def _found(name: str) -> str | None:
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")


def path_of(name: str) -> str:
    found = _found(name)
    assert found, f"{name} is not installed"
    return found


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


@contextmanager
def running(command: list[str], port: int, log: Path, **options):
    """A program until the block ends; it listens on the port before the block begins."""
    with log.open("ab") as words:
        process = subprocess.Popen(command, stdout=words, stderr=words, stdin=subprocess.DEVNULL, **options)
    try:
        until = time.monotonic() + 15
        while not answers(port):
            assert process.poll() is None and time.monotonic() < until, log.read_text("utf-8", "replace")
            time.sleep(0.05)
        yield process
    finally:
        process.terminate()
        process.wait(10)


class Standby:
    """A streaming standby of the tests' server, in a folder of its own."""

    def __init__(self, primary: str):
        self.primary = make_url(primary)
        home, (data,) = Path(str(self.primary.query["host"])), self._ask(primary, "show data_directory")
        self.account = pwd.getpwuid(home.stat().st_uid)
        version = self._ask(primary, "show server_version")[0].split()[0]
        self.programs = embedded._readable(embedded._programs(os.environ.get("TEST_PG_BIN")), version, Path(data).parent, self.account)
        self.folder = Path(tempfile.mkdtemp(prefix="standby-"))
        self.process = None
        if os.geteuid() == 0:
            os.chown(self.folder, self.account.pw_uid, self.account.pw_gid)
        options = embedded._as(self.account)
        options["env"] = options["env"] | {"PGPASSWORD": self.primary.password}
        subprocess.run([self.programs / "pg_basebackup", "-D", self.folder / "data", "-h", home, "-p", "5432", "-U", "postgres", "-R", "-X", "stream", "-c", "fast"],
                       check=True, capture_output=True, timeout=120, **options)

    @staticmethod
    def _ask(url, statement):
        engine = create_engine(url, poolclass=NullPool)
        with engine.connect() as conn:
            return conn.execute(text(statement)).one()

    def start(self):
        with (self.folder / "log").open("ab") as words:
            self.process = subprocess.Popen([self.programs / "postgres", "-D", self.folder / "data", "-c", f"unix_socket_directories={self.folder}", "-c", "listen_addresses=",
                                             "-c", "port=5432", "-c", "jit=off", "-c", "shared_buffers=64MB", "-c", "dynamic_shared_memory_type=mmap", "-c", "fsync=off"],
                                            stdout=words, stderr=words, **embedded._as(self.account))
        until = time.monotonic() + 30
        while True:
            try:
                assert self.ask("select pg_is_in_recovery()")
                return self
            except OperationalError:
                assert self.process.poll() is None and time.monotonic() < until, (self.folder / "log").read_text()
                time.sleep(0.05)

    def ask(self, statement):
        """One value, from the standby, as its administrator."""
        return self._ask(self.primary.set(query={"host": str(self.folder), "port": "5432"}).render_as_string(hide_password=False), statement)[0]

    def kill(self):
        """As a machine that loses its power: its backends too, of which one that is slow to notice would answer once more."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        backends = [int(one) for one in children.read_text().split()] if children.exists() else []
        self.process.kill()
        self.process.wait(10)
        for one in backends:
            with suppress(ProcessLookupError):
                os.kill(one, signal.SIGKILL)

    def close(self):
        if self.process is not None and self.process.poll() is None:
            self.kill()
        shutil.rmtree(self.folder)
