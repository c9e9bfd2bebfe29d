"""From settings to the application's logins: the embedded server where none is given, migrations, packs, passwords."""
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from queries import embedded, schema, setup

DATABASE = "desk"


def administrator(database_url: str | None, data: Path) -> str:
    """The administrator's URL: DATABASE_URL, or database `desk` of the embedded server (started and created where needed)."""
    if database_url:
        return database_url
    server = embedded.start(data)
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as conn:
        if not conn.execute(text("select 1 from pg_database where datname = :d"), {"d": DATABASE}).scalar():
            conn.execute(text(f"create database {DATABASE}"))
    engine.dispose()
    return make_url(server).set(database=DATABASE).render_as_string(hide_password=False)


def elsewhere(database_url: str | None) -> bool:
    """Whether this process knows the application's four logins and no administrator: one of several, on any machine."""
    return database_url is None and all(schema.given().values())


def application(database_url: str | None, data: Path, zone: str) -> dict[str, str]:
    """{login: URL} for the running product; brings the schema up first. The administrator's URL is not used afterwards.

    Where the logins were handed out and no administrator is named (`elsewhere`), setup is another's task.
    """
    if elsewhere(database_url):
        return schema.given()
    url = administrator(database_url, data)
    setup.setup(url, zone=zone)
    return schema.login_urls(url, data)


def as_owner(url: str, work: Callable, **params: Any) -> Any:
    """`work(conn, **params)` in one transaction as the schema's owner (set-up, calendars, the demo): never for a page."""
    engine = create_engine(url)
    try:
        with engine.begin() as conn:
            conn.execute(text("set local role desk_owner"))
            conn.execute(text("set local search_path = desk, public"))
            return work(conn, **params)
    finally:
        engine.dispose()
