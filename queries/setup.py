"""From an empty database to one that can take complaints: schema, calendar, packs, built-in accounts."""
from sqlalchemy import create_engine, text

from queries import calendars, packs, rollups, schema

LOCK = 7_202_611_24
# The command line's figures and imports run as these, never as the administrator: a superuser passes row security.
BUILT_IN = (("service", "命令行", "supervisor"), ("intake", "数据导入", "intake"))


def setup(url: str, *, zone: str = "Asia/Shanghai") -> None:
    """Brings the database of an administrator's `url` up to date. Safe to run again, and when two start at once.

    `zone` is the office's: its country's calendar is installed (China's where a zone has no country).
    """
    schema.upgrade(url)
    engine = create_engine(url)
    try:
        with engine.begin() as conn:
            conn.execute(text("select pg_advisory_xact_lock(:k)"), {"k": LOCK})
            conn.execute(text("set local role desk_owner"))
            conn.execute(text("set local search_path = desk, public"))
            calendars.install(conn, calendars.country_of(zone) or "CN", zone)
            for name in packs.names():
                packs.install(conn, packs.load(name))
            conn.execute(text("""
                insert into app_user (login, name, role, all_units, sees_restricted, builtin)
                values (:login, :name, :role, true, true, true) on conflict (login) do nothing"""),
                [dict(zip(("login", "name", "role"), account)) for account in BUILT_IN])
            unbuilt = rollups.install(conn, zone)
        if unbuilt:
            rollups.build(url)
    finally:
        engine.dispose()
