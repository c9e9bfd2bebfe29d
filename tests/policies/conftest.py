"""One database with calendars and packs for all tests of policies; each test's writes are rolled back."""
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from queries import calendars
from tests.conftest import cloned


@pytest.fixture(scope="session")
def prepared(server, ready):
    """The administrator's address of a database that setup() has prepared."""
    with cloned(server, ready) as url:
        yield url


@pytest.fixture
def conn(prepared):
    """The owner's connection; nothing of it stays."""
    engine = create_engine(prepared, poolclass=NullPool)
    with engine.connect() as connection:
        connection.execute(text("set role desk_owner"))
        connection.execute(text("set search_path = desk, public"))
        connection.execute(text("set timezone = 'UTC'"))
        yield connection
        connection.rollback()


@pytest.fixture
def overseas(conn):
    """Calendars of other zones, daylight saving time among them: {zone: calendar_id}."""
    return {zone: calendars.install(conn, code, zone)
            for code, zone in (("US", "America/New_York"), ("CN", "Europe/London"), ("AU", "Australia/Lord_Howe"))}
