"""The only transactions. A connection belongs to a login, a transaction to a viewer; neither leaks into the next."""
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Engine, Row, create_engine, event, text
from sqlalchemy.exc import InvalidatePoolError

from queries.viewer import Role, Viewer

READ_TIMEOUT_MS = 15_000
WRITE_TIMEOUT_MS = 4_000           # a supervisor is told within 5 s what came of an act


RESTED = 5                         # seconds after which a connection is asked whether it still lives before it is used again


class NotAllowed(Exception):
    """The account is unknown or disabled."""


# DISCARD ALL but for the plans: the rules of the database run in functions, and planning them anew for each transaction took ten times what they do.
# A plan holds no rows, and PostgreSQL makes it anew itself where another role asks, because row security is part of it.
_CLEAN = """close all; set session authorization default; reset all; deallocate all; unlisten *; select pg_advisory_unlock_all(); discard temp; discard sequences"""


@lru_cache(maxsize=32)
def engine(url: str) -> Engine:
    """A pool for one login; a broken or away server shows within 3 s as sqlalchemy.exc.OperationalError."""
    made = create_engine(url, hide_parameters=True, pool_size=8, max_overflow=16, pool_timeout=3, pool_reset_on_return=None,
                         connect_args={"connect_timeout": 3, "options": "-c search_path=desk -c jit=off -c timezone=UTC"})

    @event.listens_for(made, "checkout")
    def _alive(dbapi_connection, record, proxy):      # a busy server asks the database a third less than with pool_pre_ping
        if time.monotonic() - record.info.get("used", 0) > RESTED:
            try:
                made.dialect.do_ping(dbapi_connection)
            except made.dialect.loaded_dbapi.Error as error:
                raise InvalidatePoolError from error

    @event.listens_for(made, "reset")
    def _clean(dbapi_connection, record, state):      # a session SET or a temporary table never reaches the next viewer
        record.info["used"] = time.monotonic()
        if state.terminate_only:
            return
        dbapi_connection.rollback()
        dbapi_connection.autocommit = True
        with dbapi_connection.cursor() as cursor:
            cursor.execute(_CLEAN)
        dbapi_connection.autocommit = False
    return made


_IDENTITY = text("""
    select set_config('transaction_read_only', :read_only, true),
           set_config('role', :role, true),                     -- as `set local role`
           set_config('app.user_id', :user, true),
           set_config('statement_timeout', :timeout, true)""")


@contextmanager
def _transaction(urls: dict[str, str], viewer: Viewer, *, read_only: bool, timeout_ms: int) -> Iterator[Connection]:
    with engine(urls[viewer.database_login]).connect() as conn:
        if read_only:                                  # what is put together from several statements is of one moment; psycopg2 says so in its BEGIN
            conn = conn.execution_options(isolation_level="REPEATABLE READ", kept={})
        with conn.begin():
            conn.execute(_IDENTITY, {"read_only": "on" if read_only else "off", "role": viewer.database_role,     # a StrEnum's value, never a person's
                                     "user": str(viewer.user_id), "timeout": str(timeout_ms)})
            yield conn


def once(conn: Connection, key: tuple, ask: Callable[[], Any]) -> Any:
    """What `ask()` says, asked once in a reading transaction: all of it is of one snapshot."""
    kept = conn.get_execution_options().get("kept")
    if kept is None:
        return ask()
    if key not in kept:
        kept[key] = ask()
    return kept[key]


def reading(urls: dict[str, str], viewer: Viewer, *, timeout_ms: int = READ_TIMEOUT_MS):
    """A READ ONLY transaction as this viewer: `with reading(urls, viewer) as conn`."""
    return _transaction(urls, viewer, read_only=True, timeout_ms=timeout_ms)


def writing(urls: dict[str, str], viewer: Viewer, *, timeout_ms: int = WRITE_TIMEOUT_MS):
    """A transaction as this viewer that commits when the block ends and rolls back when it raises."""
    return _transaction(urls, viewer, read_only=False, timeout_ms=timeout_ms)


_TICK = text("select version, as_of from tick_now(:c)")


def tick(urls: dict[str, str], viewer: Viewer, *, covers: datetime | None = None) -> tuple[int, datetime]:
    """(version, as_of): the moment of which all figures of this run speak, by the database's clock (UTC).

    `covers`: after a write, a tick that lies not before that moment.
    """
    with writing(urls, viewer) as conn:
        row = conn.execute(_TICK, {"c": covers}).one()
    return row.version, row.as_of


def viewer_of(urls: dict[str, str], login: str) -> Viewer:
    """The account of this login as it is now. Raises NotAllowed when there is none or it is disabled."""
    with engine(urls["desk_app"]).connect() as conn:
        row = conn.execute(text("select * from account(:login)"), {"login": login}).one_or_none()
    if row is None:
        raise NotAllowed(login)
    return _viewer(row)


def viewer_of_session(urls: dict[str, str], session_id: int, login: str, *, looks: bool) -> tuple[Viewer, str]:
    """The account behind a signed-in session as it is now, and how it signed in. `looks`: the person did something, so the
    session is not idle. Raises NotAllowed when the session ended or ran out, or the account was disabled."""
    with engine(urls["desk_app"]).begin() as conn:
        return _of_session(conn, session_id, login, looks)


def viewers_of_sessions(urls: dict[str, str], sessions: Sequence[tuple[int, str]]) -> dict[tuple[int, str], tuple[Viewer, str]]:
    """`viewer_of_session` of many (session id, login) at once, of which nobody did anything; those that may not are not among them."""
    with engine(urls["desk_app"]).begin() as conn:
        rows = conn.execute(text("select s.id as session_id, s.name as given, a.* from unnest(cast(:ids as bigint[]), cast(:logins as text[])) as s(id, name), session_account(s.id, s.name, false) a"),
                            {"ids": [one for one, _ in sessions], "logins": [login for _, login in sessions]})
        return {(row.session_id, row.given): (_viewer(row), row.how) for row in rows}


def run_of_session(urls: dict[str, str], session_id: int, login: str, *, looks: bool, covers: datetime | None = None) -> tuple[Viewer, str, tuple[int, datetime]]:
    """What a run begins with, in one transaction: `viewer_of_session` and `tick`."""
    with engine(urls["desk_app"]).begin() as conn:
        row = conn.execute(_TICK, {"c": covers}).one()
        return *_of_session(conn, session_id, login, looks), (row.version, row.as_of)


def _of_session(conn: Connection, session_id: int, login: str, looks: bool) -> tuple[Viewer, str]:
    row = conn.execute(text("select * from session_account(:id, :login, :looks)"), {"id": session_id, "login": login, "looks": looks}).one_or_none()
    if row is None:
        raise NotAllowed(login)
    return _viewer(row), row.how


def _viewer(row: Row) -> Viewer:
    return Viewer(row.user_id, row.login, row.name, Role(row.role), row.sees_restricted, tuple(row.scope), tuple(row.apart))


def demo_accounts(urls: dict[str, str]) -> list[tuple[str, str, str]]:
    """(login, name, role) of the demo's accounts; empty where there is no demo."""
    with engine(urls["desk_app"]).connect() as conn:
        return [tuple(row) for row in conn.execute(text("select login, name, role from demo_accounts()"))]


def clock(conn: Connection) -> datetime:
    """The database's clock (UTC)."""
    return conn.execute(text("select clock_timestamp()")).scalar_one()
