"""One throw-away PostgreSQL for the session, one database cloned from a template for each test that wants one.

TEST_PG_BIN names another PostgreSQL's bin folder to test on; without it the embedded one is used.
"""

import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import create_engine, make_url
from sqlalchemy.pool import NullPool

from queries import embedded

TEMPLATE = "desk_template"


def pytest_collection_modifyitems(items):
    """The tests of a file run on one worker, because they share a database; the long test of all pages page by page."""
    for item in items:
        page = item.callspec.params.get("page", "") if "test_every_number" in item.name and hasattr(item, "callspec") else ""
        item.add_marker(pytest.mark.xdist_group(f"{item.path.name}{page}"))


@pytest.fixture(scope="session")
def server():
    """The administrator's address of a server that forgets everything at the end."""
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

    administer(server, f"create database {TEMPLATE}")
    schema.upgrade(address(server, TEMPLATE))
    return TEMPLATE


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


@contextmanager
def cloned(server: str, template: str):
    name = f"desk_{uuid4().hex[:12]}"
    administer(server, f"create database {name} template {template}")
    try:
        yield address(server, name)
    finally:
        administer(server, f"drop database if exists {name} with (force)")


@pytest.fixture(scope="session")
def ready(server, template):
    """The name of a database with schema, calendar, packs and built-in accounts: what an office starts with."""
    from queries import setup

    administer(server, f"create database desk_ready template {template}")
    setup.setup(address(server, "desk_ready"))
    return "desk_ready"


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """Where the passwords of the application's logins lie."""
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
def bank(server, ready, folder):
    """The demo bank, small: read only, shared by all tests. 6,000 complaints over 26 months up to now."""
    from queries import connect, demo, rollups

    with cloned(server, ready) as url:
        connect.as_owner(url, demo.load, complaints=6_000)
        rollups.build(url)
        yield logins(url, folder)


def logins(url: str, folder: Path) -> dict[str, str]:
    from queries import db, schema

    urls = schema.login_urls(url, folder) | {"admin": url}
    for made in urls.values():
        db.engine(made).dispose()
    return urls
