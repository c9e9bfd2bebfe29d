"""One throw-away PostgreSQL for the session, one database cloned from a template for each test that wants one.

TEST_PG_BIN names another PostgreSQL's bin folder to test on; without it the embedded one is used. TEST_SERVER is the administrator's
address of a throw-away server that is there already, for several sessions one after another: templates that are made from the same files
are made once.
"""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import create_engine, make_url
from sqlalchemy.pool import NullPool

from queries import embedded

ROOT = Path(__file__).resolve().parents[1]
BANK, SMALL, TINY = 6_000, 2_500, 300     # complaints of a demo bank: to be read and counted, to be written to, to sign in to
COPY = "strategy file_copy"    # a third of the time of the other way: nothing is written twice where nothing need survive


# The files that take longest, longest first: a worker that took one of them last would be waited for.
LONG = ("test_hostile.py", "test_rollups.py", "test_accessibility.py", "test_against_the_truth.py", "test_command_line.py", "test_every_number_opens_its_list.py",
        "test_live.py", "test_sweep.py", "test_benchmarks.py", "test_administration.py", "test_limits.py", "test_numbers_and_lists.py", "test_land.py", "test_nginx.py",
        "test_units.py", "test_signals_on_the_demo.py", "test_find.py", "test_replicas.py", "test_simulate.py", "test_embedded.py", "test_search.py", "test_gate.py",
        "test_navigation.py")


def pytest_addoption(parser):
    parser.addoption("--database", action="store_true", help="only the tests that ask a database: for another PostgreSQL")


def pytest_xdist_auto_num_workers(config):
    """One more than there are cores: a tenth of the time a worker waits for a browser, a server or a second to pass."""
    return (os.cpu_count() or 1) + 1


def pytest_configure(config):
    # A test names its own database. One that forgets to must fail here, not read the desk that runs from this checkout.
    os.environ["DATABASE_URL"] = "postgresql://nobody@127.0.0.1:9/no-test-reads-the-desk-of-this-checkout"


def pytest_collection_modifyitems(config, items):
    """The longest files first: a file's tests run on one worker, because they share a database (pyproject.toml)."""
    if config.getoption("--database"):
        config.hook.pytest_deselected(items=[item for item in items if "server" not in item.fixturenames])
        items[:] = [item for item in items if "server" in item.fixturenames]
    items.sort(key=lambda item: LONG.index(item.path.name) if item.path.name in LONG else len(LONG))


@pytest.fixture(scope="session")
def server():
    """The administrator's address of a server that forgets everything at the end."""
    if "TEST_SERVER" in os.environ:
        yield os.environ["TEST_SERVER"]
        return
    root = Path(tempfile.mkdtemp(prefix="desk-"))
    root.chmod(0o711)  # the server's account must pass when root runs the tests
    try:
        yield embedded.start(root, binaries=os.environ.get("TEST_PG_BIN"), durable=False)
    finally:
        embedded.stop(root)
        shutil.rmtree(root)


@pytest.fixture(scope="session")
def template(server):
    """The name of a database with the whole schema and no data."""
    from queries import schema

    return made(server, "schema", None, schema.upgrade)


@pytest.fixture
def database(server, template):
    """The administrator's address of a fresh database, for one test."""
    with cloned(server, template) as url:
        yield url


@pytest.fixture(scope="module")
def database_module(server, template):
    """The same for all tests of a module, which share what they write."""
    with cloned(server, template) as url:
        yield url


def address(server: str, database: str) -> str:
    return make_url(server).set(database=database).render_as_string(hide_password=False)


def administer(server: str, statement: str) -> None:
    """Runs one statement outside a transaction."""
    engine = create_engine(server, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(statement)


def made(server: str, kind: str, origin: str | None, fill: Callable[[str], object]) -> str:
    """The name of a database to be cloned: a clone of `origin` that `fill(its address)` has filled. It is found again by the files it is made from,
    and has its name only when it is complete."""
    files = [path for path in sorted((ROOT / "queries").rglob("*")) if path.suffix in (".py", ".sql", ".toml")]
    digest = hashlib.sha256(b"".join(str(path.relative_to(ROOT)).encode() + path.read_bytes() for path in files)).hexdigest()[:12]
    name = f"desk_{kind}_{digest}"
    engine = create_engine(server, poolclass=NullPool)
    with engine.connect() as connection:
        there = connection.exec_driver_sql(f"select 1 from pg_database where datname = '{name}'").scalar()
    if not there:
        administer(server, f"drop database if exists {name}_new")
        administer(server, f"create database {name}_new" + (f" template {origin} {COPY}" if origin else ""))
        fill(address(server, f"{name}_new"))
        administer(server, f"alter database {name}_new rename to {name}")
    return name


@contextmanager
def cloned(server: str, template: str):
    name = f"desk_{uuid4().hex[:12]}"
    administer(server, f"create database {name} template {template} {COPY}")
    try:
        yield address(server, name)
    finally:
        administer(server, f"drop database if exists {name} with (force)")


@pytest.fixture(scope="session")
def ready(server, template):
    """The name of a database with schema, calendar, packs and built-in accounts: what an office starts with."""
    from queries import setup

    return made(server, "ready", template, setup.setup)


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """Where the passwords of the application's logins lie: they belong to the server, so to all its databases."""
    return tmp_path_factory.mktemp("logins")


@pytest.fixture
def desk(server, ready, folder):
    """{login: URL} of the application on a fresh, empty database; `desk["admin"]` is the administrator's."""
    with cloned(server, ready) as url:
        yield logins(url, folder)


@pytest.fixture(scope="module")
def desk_module(server, ready, folder):
    """The same for all tests of a module."""
    with cloned(server, ready) as url:
        yield logins(url, folder)


@pytest.fixture(scope="session")
def banks(server, ready):
    """banks(n): the name of a database with a demo bank of n complaints over 26 months up to now, to be cloned; each size is loaded once."""
    from queries import connect, demo, rollups

    def fill(url: str, complaints: int) -> None:
        connect.as_owner(url, demo.load, complaints=complaints)
        rollups.build(url)

    return cache(lambda complaints: made(server, f"bank_{complaints}", ready, lambda url: fill(url, complaints)))


@pytest.fixture(scope="session")
def bank(server, banks, folder):
    """The demo bank, small: read only, shared by all tests."""
    with cloned(server, banks(BANK)) as url:
        yield logins(url, folder)


def logins(url: str, folder: Path) -> dict[str, str]:
    from queries import db, schema

    urls = schema.login_urls(url, folder) | {"admin": url}
    for made in urls.values():
        db.engine(made).dispose()
    return urls
