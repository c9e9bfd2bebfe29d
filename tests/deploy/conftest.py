"""What stands around the product in an office: programs of the system, started for a test and ended by their number.

A test needs the program. On a build machine (CI) it is there, or the test fails; on another without it, it is not collected.
"""
import os
import pwd
import shutil
import socket
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NOBODY = pwd.getpwnam("nobody")


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
