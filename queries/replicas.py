"""Reads on streaming standbys: which server a run reads from, and how one knows that it is not behind.

A run asks once and then reads from one server. A standby serves it when it has replayed (1) the tick of the run, (2) what
the session wrote last, (3) all that the primary had a few seconds ago. Everything else, and everybody when no standby
will do, reads from the primary. A standby that does not answer is left out and asked again later.
"""
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from pandas.errors import DatabaseError
from psycopg2.extensions import parse_dsn
from sqlalchemy import Connection, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from queries import db
from queries.viewer import Viewer

BEHIND = 2, 10      # seconds: what the primary had so long ago a standby must have; without a look from that time, all it has now
OUT = 10            # seconds for which a standby that did not answer is left alone
_QUERY_CANCELED = "57014"

_HAS = text("""
    select pg_is_in_recovery() as standby, pg_wal_lsn_diff(pg_last_wal_replay_lsn(), '0/0')::bigint as lsn,
           (select max(version) from tick) as version""")
_WANTED = text("select * from session_lsn(:id)")


class BadUrl(ValueError):
    """DATABASE_READ_URL cannot be used; the text says why, without the URL."""


def servers(read_url: str) -> list[dict[str, Any]]:
    """Where the standbys are: [{host, port, database, query}] of a libpq URL, whose hosts and ports may be lists with commas.

    A host that begins with / is the folder of a Unix socket. Raises BadUrl.
    """
    try:
        said = parse_dsn(read_url)
    except Exception as error:
        raise BadUrl("it is no URL that libpq reads") from error
    if {"user", "password"} & said.keys():
        raise BadUrl("it must not hold a user: the logins are those of the primary")
    hosts, ports = said.pop("host", "").split(","), said.pop("port", "5432").split(",")
    if not all(hosts) or len(ports) not in (1, len(hosts)) or not all(port.isdigit() for port in ports):
        raise BadUrl("it must name hosts, and one port or as many as hosts")
    ports *= len(hosts) if len(ports) == 1 else 1
    database = said.pop("dbname", None)
    return [{"host": None, "port": None, "database": database, "query": {"host": host, "port": port, **said}} if host.startswith("/") else
            {"host": host, "port": int(port), "database": database, "query": said} for host, port in zip(hosts, ports)]


@dataclass
class Standby:
    """One standby, and the last that is known of it."""

    urls: dict[str, str]
    lsn: int = -1                   # it has replayed so far …
    version: int = -1               # … and has this tick
    out_until: float = 0.0          # monotonic; 0 = it answered when it was asked last


@dataclass
class Source:
    """The server of one run. When a standby fails under it the rest is read from the primary, which is never behind it."""

    urls: dict[str, str]
    primary: dict[str, str]
    lost: Callable[[dict[str, str]], None] = field(default=lambda urls: None, repr=False)

    _joint: ExitStack | None = field(default=None, repr=False)
    _open: tuple[Viewer, Connection] | None = field(default=None, repr=False)

    @contextmanager
    def together(self) -> Iterator[None]:
        """Reads inside are of one snapshot: one transaction, opened by the first of them."""
        if self._joint is not None:
            yield
            return
        try:
            with ExitStack() as self._joint:
                yield
        finally:
            self._joint = self._open = None

    def read(self, viewer: Viewer, query: Callable[[Connection], Any]) -> Any:
        """What `query(conn)` returns in a read-only transaction as this viewer."""
        try:
            return self._ask(viewer, query)
        except (DBAPIError, DatabaseError, PoolTimeout) as error:       # pandas wraps what its queries raise
            if self.urls is self.primary or not gone(error):
                raise
            self.lost(self.urls)
            self.urls = self.primary
        return self._ask(viewer, query)

    def _ask(self, viewer: Viewer, query: Callable[[Connection], Any]) -> Any:
        if self._joint is None:
            with db.reading(self.urls, viewer) as conn:
                return query(conn)
        try:
            if self._open is None or self._open[0] != viewer:
                self._joint.close()
                self._open = viewer, self._joint.enter_context(db.reading(self.urls, viewer))
            return query(self._open[1])
        except Exception:                                # nothing more can be asked in that transaction
            self._open = None
            self._joint.close()
            raise


def gone(error: Exception) -> bool:
    """Whether a server failed, or gave up a query because of its being a standby; not the query itself or its time-out."""
    cause = error if isinstance(error, DBAPIError | PoolTimeout) else error.__cause__
    if isinstance(cause, PoolTimeout):
        return True
    lost = isinstance(cause, OperationalError | InterfaceError) or getattr(cause, "connection_invalidated", False)
    return lost and getattr(getattr(cause, "orig", cause), "pgcode", None) != _QUERY_CANCELED


class Replicas:
    """The standbys of one process."""

    def __init__(self, primary: dict[str, str], places: Iterable[dict[str, Any]]):
        self.primary = primary
        self.standbys = [Standby({login: _at(url, place) for login, url in primary.items()}) for place in places]
        self._turn, self._lock = 0, Lock()
        self._looks: deque[tuple[float, int]] = deque()      # (monotonic, WAL of the primary), youngest last

    def source(self, viewer: Viewer, session_id: int, version: int) -> Source:
        """The server for a run of this session whose tick is `version`; the primary where no standby has all of it."""
        with db.engine(self.primary["desk_app"]).begin() as conn:
            found = conn.execute(_WANTED, {"id": session_id}).one()
        lsn = max(found.wrote, self._needed(found.now))
        self._turn += 1
        for place in range(len(self.standbys)):
            standby = self.standbys[(self._turn + place) % len(self.standbys)]
            if self._has(standby, viewer, lsn, version):
                return Source(standby.urls, self.primary, self._lost)
        return Source(self.primary, self.primary)

    def wrote(self, session_id: int) -> None:
        """To be called after a commit of this session: its reads wait for it, in whichever process they are.

        A primary that went away in between is not the act's failure: it is committed, and the tab that did it waits for a tick that covers it.
        """
        try:
            with db.engine(self.primary["desk_app"]).begin() as conn:
                conn.execute(text("select session_wrote(:id)"), {"id": session_id})
        except (OperationalError, InterfaceError, PoolTimeout):
            logging.getLogger(__name__).warning("a write was not noted for reads on standbys: the primary does not answer")

    def _needed(self, lsn: int) -> int:
        """What the primary had a few seconds ago, from the looks that this process took; where it took none then, what it has now."""
        at, (youngest, oldest) = time.monotonic(), BEHIND
        with self._lock:
            if not self._looks or at - self._looks[-1][0] >= 0.5:
                self._looks.append((at, lsn))
            while len(self._looks) > 1 and at - self._looks[1][0] >= youngest:
                self._looks.popleft()
            then, seen = self._looks[0]
        return seen if youngest <= at - then <= oldest else lsn

    def _has(self, standby: Standby, viewer: Viewer, lsn: int, version: int) -> bool:
        at = time.monotonic()
        if at < standby.out_until:
            return False
        if not standby.out_until and standby.lsn >= lsn and standby.version >= version:
            return True
        if standby.out_until:
            standby.out_until = at + OUT                     # one run tries it again, the others do not wait with it
        try:
            with db.reading(standby.urls, viewer) as conn:
                said = conn.execute(_HAS).one()
        except (OperationalError, InterfaceError, PoolTimeout):
            self._lost(standby.urls)
            return False
        if not said.standby:                                 # promoted: it goes its own way now
            self._lost(standby.urls)
            return False
        standby.out_until, standby.lsn, standby.version = 0.0, said.lsn, said.version or -1
        return standby.lsn >= lsn and standby.version >= version

    def _lost(self, urls: dict[str, str]) -> None:
        for standby in self.standbys:
            if standby.urls is urls:
                standby.out_until, standby.lsn, standby.version = time.monotonic() + OUT, -1, -1


def _at(url: str, place: dict[str, Any]) -> str:
    """A login's URL at a standby's place."""
    made = make_url(url)
    kept = {name: value for name, value in made.query.items() if name not in ("host", "port")}
    return made.set(host=place["host"], port=place["port"], database=place["database"] or made.database,
                    query=kept | place["query"]).render_as_string(hide_password=False)
