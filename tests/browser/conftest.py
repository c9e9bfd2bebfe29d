"""The product on a small demo bank, served for a browser."""
import os
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import BANK, cloned

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def site(server, banks, folder):
    """The address of the product on a demo bank of its own, for a test that writes."""
    with cloned(server, banks(BANK)) as database, served(database, folder) as address:
        yield address


@pytest.fixture(scope="module")
def shared_database(server, banks):
    """The database behind shared_site."""
    with cloned(server, banks(BANK)) as database:
        yield database


@pytest.fixture(scope="module")
def shared_site(shared_database, folder):
    """The same for all tests of a module that only look."""
    with served(shared_database, folder) as address:
        yield address


@contextmanager
def served(database: str, folder: Path, log: Path | None = None, **more: str):
    """Serve the product on this database at a free port. folder: of the logins' passwords. more: further settings; {port} in one
    is the port. log: where the server's own words go."""
    port = free_port()
    environment = os.environ | {"DATABASE_URL": database, "DASHBOARD_DATA": str(folder), "DASHBOARD_PORT": str(port),
                                "DASHBOARD_ADDRESS": "127.0.0.1", "PYTHONPATH": str(ROOT)} | {name: value.format(port=port) for name, value in more.items()}
    server = subprocess.Popen([sys.executable, "-m", "dashboard", "run", "--no-demo"],
                              cwd=ROOT, env=environment, stdout=log.open("ab") if log else subprocess.DEVNULL,
                              stderr=subprocess.STDOUT if log else subprocess.DEVNULL)
    try:
        yield up(f"http://127.0.0.1:{port}", server)
    finally:
        server.terminate()
        server.wait(10)


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def up(address: str, server: subprocess.Popen) -> str:
    """The address, as soon as the Streamlit behind it answers."""
    until = time.monotonic() + 30
    while time.monotonic() < until and server.poll() is None:
        try:
            with urllib.request.urlopen(f"{address}/_stcore/health", timeout=2):
                return address
        except OSError:
            time.sleep(0.2)
    raise AssertionError("the server did not come up")
