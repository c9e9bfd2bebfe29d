"""The audit: who did and who looked at what; and whether the chain of its rows is whole.

The chain is computed by the database at commit (0004_audit.sql) and verified here with arithmetic of its own. It finds what somebody changed who
cannot write the whole chain anew; who can (a superuser of the database) is found by an anchor: a head that was kept elsewhere.
"""
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pandas as pd
from sqlalchemy import Connection, text

START = sha256(b"complaint desk").digest()
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ROWS = """select audit_id, at, user_id, act, complaint_id, params::text as params, chain_no, hash from audit"""


@dataclass(frozen=True)
class Verdict:
    """rows: how many were verified; head: hash of the last as hex; fault: None, or (number in the chain, what: changed, missing, unchained, cut, anchor)."""
    rows: int
    head: str
    fault: tuple[int, str] | None = None


def link(before: bytes, row) -> bytes:
    """The hash of a row, from the one before (the rule of audit_hash)."""
    moment = (row.at - _EPOCH) // timedelta(microseconds=1)
    fields = (row.chain_no, row.audit_id, moment, "-" if row.user_id is None else row.user_id, row.act,
              "-" if row.complaint_id is None else row.complaint_id, row.params)
    return sha256(before + "|".join(str(one) for one in fields).encode()).digest()


def verify(conn: Connection, *, newest: int | None = None, anchor: tuple[int, str] | None = None,
           progress: Callable[[int, int], None] = lambda done, total: None) -> Verdict:
    """Go through the chain, or its `newest` rows, in bounded memory; stops at the first fault. `anchor`: (number, hash as hex) noted down before."""
    head = conn.execute(text("select chain_no, hash from audit_head")).one()
    first = max(1, head.chain_no - newest + 1) if newest else 1
    before = START if first == 1 else bytes(conn.execute(text("select hash from audit where chain_no = :n"), {"n": first - 1}).scalar_one_or_none() or b"")
    n = first - 1
    rows = conn.execute(text(f"{_ROWS} where chain_no >= :first order by chain_no"), {"first": first}, execution_options={"stream_results": True, "max_row_buffer": 5_000})
    for row in rows:
        n += 1
        if row.chain_no != n:
            return Verdict(n - first, before.hex(), (n, "missing"))
        if anchor and n == anchor[0] and bytes(row.hash).hex() != anchor[1]:
            return Verdict(n - first, before.hex(), (n, "anchor"))
        before = link(before, row)
        if before != bytes(row.hash):
            return Verdict(n - first, before.hex(), (n, "changed"))
        if n % 5_000 == 0:
            progress(n - first + 1, head.chain_no - first + 1)
    if n != head.chain_no or before != bytes(head.hash):
        return Verdict(n - first + 1, before.hex(), (n + 1, "cut"))
    if anchor and anchor[0] > n:
        return Verdict(n - first + 1, before.hex(), (anchor[0], "anchor"))
    loose = conn.execute(text("select min(audit_id) from audit where chain_no is null")).scalar()
    if loose is not None:
        return Verdict(n - first + 1, before.hex(), (loose, "unchained"))
    return Verdict(n - first + 1, before.hex())


def head(conn: Connection) -> tuple[int, str]:
    """(number, hash as hex) of the newest row: an anchor to keep elsewhere."""
    row = conn.execute(text("select chain_no, hash from audit_head")).one()
    return row.chain_no, bytes(row.hash).hex()


_WHERE = """ a.at >= :start and a.at < :end and a.at <= :as_of
       and (cast(:who as int) is null or a.user_id = cast(:who as int)) and (cast(:act as text) is null or a.act = cast(:act as text))
       and (cast(:number as text) is null or a.complaint_id in (select audit_complaints(cast(:number as text))))"""
_LIST = f"""select a.audit_id, a.chain_no, a.at, a.user_id, who_is(a.user_id) as who, a.act, audit_number(a.complaint_id) as complaint_no, a.params, count(*) over () as total
      from audit a where {_WHERE} order by a.audit_id desc"""


def rows(conn: Connection, *, as_of: datetime, start: datetime, end: datetime, who: int | None = None, act: str | None = None, number: str | None = None,
         limit: int | None = 100, offset: int = 0) -> pd.DataFrame:
    """What was done, newest first: audit_id, chain_no, at, user_id, who (name), act (code), complaint_no, params (dict), total (of all). For auditors."""
    return pd.read_sql_query(text(_LIST + " limit :limit offset :offset"), conn,
                       params=dict(as_of=as_of, start=start, end=end, who=who, act=act, number=number or None, limit=limit, offset=offset))


def people(conn: Connection) -> pd.DataFrame:
    """Accounts that stand in the audit: user_id, name, login."""
    return pd.read_sql_query(text("select * from audit_people()"), conn)


def acts(conn: Connection) -> list[str]:
    """The codes of acts that stand in the audit."""
    return list(conn.execute(text("select distinct act from audit order by 1")).scalars())


def newest(conn: Connection, *, rows: int = 1_000, as_of: datetime) -> Verdict:
    """Whether the newest rows of the chain are whole; `as_of` is the tick for which it is asked."""
    return verify(conn, newest=rows)
