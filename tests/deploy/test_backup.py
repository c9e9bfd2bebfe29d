"""The drill: a backup, life goes on, and the file restored into an empty server is the database of that moment (figures, audit, row security, logins)."""
import os
import shutil
import tempfile
from pathlib import Path

import pytest
from pandas.testing import assert_frame_equal
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from dashboard import __main__ as cli
from dashboard.settings import settings
from queries import accounts, acts, audit, backup, connect, db, demo, embedded, figures, quality
from tests.conftest import address, administer, cloned, logins

PASSWORD = "correct horse battery staple"
NOT_COMPARED = {"session", "tick"}              # reading itself writes these


class Place:
    """A database of the desk: what stands in it, and what it answers."""

    def __init__(self, url, folder):
        self.url, self.urls = url, logins(url, folder)

    def owner(self, statement, **params):
        return connect.as_owner(self.url, lambda conn: conn.execute(text(statement), params).all())

    def contents(self):
        """{table: (rows, digest of them all)}, as the administrator sees them, and where the sequences stand."""
        engine = create_engine(self.url, poolclass=NullPool)
        with engine.connect() as conn:
            tables = conn.execute(text("select tablename from pg_tables where schemaname = 'desk' order by 1")).scalars().all()
            found = {table: tuple(conn.execute(text(f"select count(*), md5(string_agg(md5(t::text), '' order by md5(t::text))) from desk.{table} t")).one())
                     for table in tables if table not in NOT_COMPARED}
            return found

    def sequences(self):
        return dict(self.owner("select sequencename::text, coalesce(last_value, 0) from pg_sequences where schemaname = 'desk'"))

    def figures(self, as_of):
        with db.reading(self.urls, db.viewer_of(self.urls, "service"), timeout_ms=60_000) as conn:
            return figures.figures(conn, by="parent_unit", basis="received", as_of=as_of, zone="Asia/Shanghai", source=None, **figures.NO_PERIOD)


@pytest.fixture(scope="module")
def drill(server, ready, folder, tmp_path_factory):
    """(the place as it was when the backup was made, the file, the place restored in a server of its own)."""
    here = tmp_path_factory.mktemp("drill")
    root = Path(tempfile.mkdtemp(prefix="desk-"))
    root.chmod(0o711)
    with pytest.MonkeyPatch.context() as patch, cloned(server, ready) as url:
        connect.as_owner(url, demo.load, complaints=600)
        first = Place(url, folder)
        connect.as_owner(url, accounts.add, login="zhao.gong", name="赵工", role="unit",
                         unit=first.owner("""select u.unit_id from unit u join clock_span s on s.label between u.label and u.label_end
                                               where s.clock = 'r' group by 1 having count(distinct complaint_id) between 10 and 400 limit 1""")[0][0])
        accounts.use_link(first.urls, connect.as_owner(url, accounts.invite, login="zhao.gong"), "zhao.gong", PASSWORD)
        first.moment = first.owner("select clock_timestamp()")[0][0]
        first.table, first.before, first.numbers = first.figures(first.moment), first.contents(), first.sequences()
        command(patch, url, folder, "backup", str(here / "desk.dump"))

        viewer = db.viewer_of(first.urls, "demo-supervisor")                # life goes on, and is not in the file
        (late,), = first.owner("select complaint_id from clock_span where clock = 'r' and valid_to = 'infinity' and left_at = 'infinity' limit 1")
        with db.writing(first.urls, viewer) as conn:
            acts.urge(conn, key="after the backup", complaints=[late], level=2)
        first.owner("update complaint set excluded_at = clock_timestamp(), exclusion = 'contest' where complaint_id = :id returning 1", id=late)

        other = embedded.start(root, binaries=os.environ.get("TEST_PG_BIN"), durable=False)
        try:
            administer(other, "create database desk")
            there = address(other, "desk")
            command(patch, there, here / "second", "restore", str(here / "desk.dump"))
            yield first, here / "desk.dump", Place(there, here / "second")
        finally:
            embedded.stop(root)
            shutil.rmtree(root)


def command(patch, url, folder, *words):
    patch.setenv("DATABASE_URL", url)
    patch.setenv("DASHBOARD_DATA", str(folder))
    settings.cache_clear()
    assert cli.main(list(words)) == 0
    settings.cache_clear()


def test_what_is_restored_is_the_database_of_that_moment_row_by_row(drill):
    first, _, second = drill
    assert first.contents() != first.before, "life went on"
    assert second.contents() == first.before
    numbers = second.sequences()
    assert all(numbers[name] >= value for name, value in first.numbers.items()), "no number is given twice"


def test_its_figures_are_those_of_that_moment(drill):
    first, _, second = drill
    assert_frame_equal(second.figures(first.moment), first.table)
    with db.reading(second.urls, db.viewer_of(second.urls, "service"), timeout_ms=0) as conn:
        assert quality.check_spans(conn) == []


def test_the_audit_is_whole(drill):
    _, _, second = drill
    verdict = connect.as_owner(second.url, audit.verify, progress=lambda done, total: None)
    assert verdict.fault is None and verdict.rows == second.owner("select count(*) from audit")[0][0] >= 3


def test_row_security_is_still_on(drill):
    first, _, second = drill
    assert second.owner("""select relname from pg_class where relnamespace = 'desk'::regnamespace and relkind in ('r', 'p')
                              and not (relrowsecurity and relforcerowsecurity) and relname <> 'alembic_version'""") == []
    count = text("select count(*) from complaint")
    seen = []
    for place in (first, second):
        viewer = db.viewer_of(place.urls, "zhao.gong")
        with db.reading(place.urls, viewer) as conn:
            seen.append(conn.execute(count).scalar_one())
            with pytest.raises(DBAPIError, match="permission denied"):
                conn.execute(text("select * from complainant"))
        with db.engine(place.urls["desk_app"]).connect() as conn, pytest.raises(DBAPIError, match="permission denied"):
            conn.execute(count)
    assert 0 < seen[1] < 600 and seen[0] == seen[1]
    policies = """select policyname, tablename, roles::text, cmd, translate(qual, '() ', ''), translate(with_check, '() ', '') from pg_policies where schemaname = 'desk' order by 1, 2"""
    assert first.owner(policies) == second.owner(policies) != [], "but for brackets, which PostgreSQL sets anew"


def test_people_sign_in_with_their_passwords_and_work(drill):
    _, _, second = drill
    found = accounts.check_password(second.urls, "zhao.gong", PASSWORD, "127.0.0.1")
    assert found and accounts.check_password(second.urls, "zhao.gong", "wrong" + PASSWORD, "127.0.0.1") is None
    token = accounts.begin(second.urls, found, "password", "127.0.0.1")
    assert accounts.find(second.urls, token).login == "zhao.gong"
    viewer = db.viewer_of(second.urls, "demo-supervisor")
    version, _ = db.tick(second.urls, viewer)
    (late,), = second.owner("select complaint_id from clock_span where clock = 'r' and valid_to = 'infinity' and left_at = 'infinity' limit 1")
    with db.writing(second.urls, viewer) as conn:
        assert len(acts.urge(conn, key="in the new place", complaints=[late], level=4).done) == 1
    assert db.tick(second.urls, viewer, covers=second.owner("select clock_timestamp()")[0][0])[0] > version


def test_the_file_is_for_its_owner_alone_and_half_a_file_never_bears_its_name(drill, tmp_path, monkeypatch):
    first, file, _ = drill
    assert file.stat().st_mode & 0o777 == 0o600
    monkeypatch.setattr(backup, "_program", lambda name, url: Path("/bin/false"))
    with pytest.raises(backup.BackupError):
        backup.backup(first.url, tmp_path / "none")
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_restored_over_something(drill):
    _, file, second = drill
    before = second.contents()
    with pytest.raises(backup.BackupError, match="not empty"):
        backup.restore(second.url, file)
    assert second.contents() == before


def test_a_file_that_is_cut_short_leaves_nothing(drill, server, tmp_path):
    _, file, _ = drill
    (tmp_path / "cut").write_bytes(file.read_bytes()[: file.stat().st_size * 2 // 3])
    administer(server, "create database desk_cut")
    try:
        with pytest.raises(backup.BackupError, match="pg_restore"):
            backup.restore(address(server, "desk_cut"), tmp_path / "cut")
        engine = create_engine(address(server, "desk_cut"), poolclass=NullPool)
        with engine.connect() as conn:
            assert conn.execute(text("select to_regnamespace('desk') is null")).scalar_one()
    finally:
        administer(server, "drop database desk_cut with (force)")


def test_who_does_not_see_every_row_makes_no_backup(drill, tmp_path):
    first, _, _ = drill
    with pytest.raises(backup.BackupError, match="row security"):
        backup.backup(first.urls["desk_app"], tmp_path / "partial")
