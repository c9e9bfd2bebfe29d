"""The database's own definition: numbered migrations, roles and logins.

`upgrade(url)` is the only code that opens the administrator's URL. It is safe to run again and safe when two start at once.
"""
import json
import os
import secrets
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

HERE = Path(__file__).parent
VIEWERS = ("r_supervisor", "r_leader", "r_unit", "r_service", "r_department", "r_discipline", "r_auditor", "r_admin")
# One login per trust class: what a login was not granted it cannot become, whatever SQL it is made to run.
WHOLE = "_all"            # r_leader_all = r_leader for an account that sees every unit; see the policies in 0001_5
LOGINS = {"desk_app": (*VIEWERS, *(role + WHOLE for role in VIEWERS)), "desk_regulator": ("r_regulator", "r_regulator" + WHOLE),
          "desk_intake": ("r_intake",), "desk_gate": ()}
# What every session of a login has, whichever way it came: a pooler such as PgBouncer hands on no start-up options.
SESSION = {"search_path": "desk", "jit": "off", "timezone": "UTC"}
LOCK = 7_202_611_23


def upgrade(url: str) -> None:
    """Create roles where missing and bring the schema `desk` of this database to the newest version.

    `url` is an administrator's (may create roles and schemas). Raises sqlalchemy.exc.DBAPIError where the rights do not suffice.
    """
    engine = create_engine(url)
    try:
        with engine.connect() as conn:
            # Roles belong to the whole cluster: one lock for all its databases, taken in `postgres`-independent advisory space.
            conn.execute(text("select pg_advisory_lock(:k)"), {"k": LOCK})
            conn.commit()
            try:
                roles(conn)
                _place(conn)
                config = Config()
                config.set_main_option("script_location", str(HERE))
                config.attributes["connection"] = conn
                command.upgrade(config, "head")
            finally:
                conn.rollback()
                conn.execute(text("select pg_advisory_unlock(:k)"), {"k": LOCK})
                conn.commit()
    finally:
        engine.dispose()


def roles(conn: Connection) -> None:
    """Owner, roles and logins of the cluster. Idempotent: another database of it may have made them, perhaps at this moment."""
    for role in ("desk_owner", *VIEWERS, "r_regulator", "r_intake"):
        _create(conn, f"create role {role} nologin noinherit")
    _create(conn, "create role r_whole nologin")
    for role in (*VIEWERS, "r_regulator"):
        _create(conn, f"create role {role}{WHOLE} nologin inherit")
        _create(conn, f"grant {role}, r_whole to {role}{WHOLE}")
    for login, roles in LOGINS.items():
        _create(conn, f"create role {login} login noinherit")
        for role in roles:
            _create(conn, f"grant {role} to {login}")
        has = conn.execute(text("select coalesce((select rolconfig from pg_roles where rolname = :login), '{}')"), {"login": login}).scalar_one()
        for name, value in SESSION.items():
            if not any(one.lower() == f"{name}={value}".lower() for one in has):
                _create(conn, f"alter role {login} set {name} = '{value}'")
    _create(conn, "grant desk_owner to current_user")


def _place(conn: Connection) -> None:
    """The schema in this database, and who may write there."""
    database = conn.execute(text("select quote_ident(current_database())")).scalar_one()
    conn.execute(text(f"grant create on database {database} to desk_owner"))
    conn.execute(text("revoke create on schema public from public"))
    conn.execute(text(f"alter database {database} set search_path = desk, public"))
    conn.execute(text("create schema if not exists desk authorization desk_owner"))
    conn.commit()


def _create(conn: Connection, statement: str) -> None:
    conn.execute(text(f"""do $do$ begin {statement};
        exception when duplicate_object or unique_violation or internal_error then null; end $do$"""))  # the last: "concurrently updated"
    conn.commit()


def given() -> dict[str, str | None]:
    """{login: URL} as the environment hands them out (DESK_APP_URL and its like); None for one that it does not."""
    return {login: os.environ.get(f"{login.upper()}_URL") or None for login in LOGINS}


def login_urls(url: str, folder: Path) -> dict[str, str]:
    """URLs of the application's logins {login: SQLAlchemy URL}; makes and keeps their passwords in `folder`/logins.json (0600).

    A login whose URL is given in the environment (DESK_APP_URL, DESK_REGULATOR_URL, DESK_INTAKE_URL, DESK_GATE_URL) is left alone.
    """
    handed = given()
    if all(handed.values()):
        return handed
    file = folder / "logins.json"
    passwords = json.loads(file.read_text()) if file.exists() else {}
    wrong = [login for login in LOGINS if login not in passwords or not _opens(url, login, passwords[login])]
    if wrong:                                    # missing, or another installation on this cluster has set its own
        passwords |= {login: secrets.token_urlsafe(24) for login in wrong}
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w") as out:
            json.dump(passwords, out)
        engine = create_engine(url)
        with engine.begin() as conn:
            for login in wrong:
                conn.execute(text(f"alter role {login} password '{passwords[login]}'"))
        engine.dispose()
    return {login: handed[login] or _url(url, login, passwords[login]) for login in LOGINS}


def _url(url: str, login: str, password: str) -> str:
    return make_url(url).set(username=login, password=password).render_as_string(hide_password=False)


def _opens(url: str, login: str, password: str) -> bool:
    engine = create_engine(_url(url, login, password), poolclass=NullPool)
    try:
        engine.connect().close()
    except OperationalError as error:
        if "authentication failed" in str(error):
            return False
        raise
    return True
