"""Every statement by which a person changes a row: urge and reassign.

Each act is one transaction (safety.md §4): the key of the request, a version check, the act, its event (by trigger), an audit row, outbox
rows. A key that is there already returns what came of it; the same key with another content is refused.
"""
import json
from dataclasses import dataclass, field
from datetime import date
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

LEVELS = (1, 2, 3, 4)          # 到期提醒, 催办通知, 督办函, 拟通报


class Refused(Exception):
    """The act cannot be done; `code` and `params` say why, the words come at display."""
    def __init__(self, code: str, **params):
        super().__init__(code)
        self.code, self.params = code, params


def refusal(error: DBAPIError) -> Refused | None:
    """What a function of the database refused, or None where the error is another (0006_administration.sql, refuse)."""
    if getattr(error.orig, "pgcode", None) != "DESK1":
        return None
    return Refused(error.orig.diag.message_primary, **json.loads(error.orig.diag.message_detail or "{}"))


@dataclass(frozen=True)
class Outcome:
    """What came of an act. `done`: complaint ids; `skipped`: [{id, no, code, …}]; `messages`: how many units are told."""
    done: list[int] = field(default_factory=list)
    skipped: list[dict] = field(default_factory=list)
    messages: int = 0
    replayed: bool = False


def once(conn: Connection, key: str, act: str, payload: dict, kind: type = Outcome) -> Any:
    """Take the key. None = go on; a `kind` = what came of it before. A second holder of the same key waits here for the first."""
    digest = sha256(json.dumps(payload, sort_keys=True, default=str).encode()).hexdigest()
    taken = conn.execute(text("""insert into request (key, user_id, act, payload) values (:key, me(), :act, :payload)
                                 on conflict (key) do nothing returning key"""), {"key": key, "act": act, "payload": digest}).scalar()
    if taken:
        return None
    before = conn.execute(text("select act, payload, result from request where key = :key"), {"key": key}).one_or_none()
    if before is None or before.act != act or before.payload != digest:
        raise Refused("key_reused")
    return kind(**before.result, replayed=True)


def keep(conn: Connection, key: str, outcome: Any) -> Any:
    """Keep what came of an act under its key."""
    result = {name: value for name, value in vars(outcome).items() if name != "replayed"}
    conn.execute(text("update request set result = cast(:r as jsonb) where key = :key"), {"r": json.dumps(result, default=str), "key": key})
    return outcome


_OPEN = text("""
    select c.complaint_id, c.complaint_no, c.version, s.unit_id, s.due_at, s.left_at = 'infinity' as open, k.name as contact, k.phone
      from complaint c
      join clock_span s on s.complaint_id = c.complaint_id and s.clock in ('r', 'o') and s.valid_to = 'infinity'
      left join unit_contact k on k.unit_id = s.unit_id and k.rank = 1
     where c.complaint_id = any (cast(:ids as bigint[]))
     order by c.complaint_id, s.clock""")
_URGE = text("""
    insert into urge (complaint_id, level, work_day, unit_id, contact, phone, via, spoke_to, note, promised_on, user_id, user_name, sent_at, acknowledged_at)
    select c.complaint_id, :level, work_day_of(n.now, c.calendar_id), :unit, :contact, :phone, :via, :spoke_to, :note, :promised, me(), who_is(me()),
           n.now, case when :via = 'telephone' then n.now end          -- who was spoken to has it; there is nothing to sign for
      from complaint c cross join (select clock_timestamp() as now) n where c.complaint_id = :id
    on conflict (complaint_id, level, work_day) do nothing returning urge_id""")
_LAST = text("select sent_at, user_name from urge where complaint_id = :id and level = :level order by sent_at desc limit 1")
_TELL = text("""insert into outbox (kind, unit_id, params) values (:kind, :unit, cast(:params as jsonb))""")
_AUDIT = text("select audit_add(:act, :id, cast(:params as jsonb))")


def urge(conn: Connection, *, key: str, complaints: list[int], level: int, note: str = "", via: str = "message", spoke_to: str | None = None,
         promised: date | None = None) -> Outcome:
    """Urge one complaint or many: to the first contact of the unit that has it now, one message a unit.

    Done or already urged at this level on this working day: skipped, with when and by whom. Raises Refused (bad_level, nothing_chosen,
    no_contact_name, key_reused).
    """
    ids = sorted(set(complaints))
    if level not in LEVELS:
        raise Refused("bad_level")
    if not ids:
        raise Refused("nothing_chosen")
    if via == "telephone" and not (spoke_to or "").strip():
        raise Refused("no_contact_name")
    before = once(conn, key, "urge", {"ids": ids, "level": level, "note": note, "via": via, "spoke_to": spoke_to, "promised": promised})
    if before:
        return before
    visible = conn.execute(_OPEN, {"ids": ids}).all()
    found = {row.complaint_id: row for row in visible if row.open}
    seen = {row.complaint_id: row.complaint_no for row in visible}
    done, skipped, by_unit = [], [], {}
    for number in ids:
        row = found.get(number)
        if row is None:
            skipped.append({"id": number, "no": seen.get(number), "code": "already_done" if number in seen else "not_there"})
            continue
        made = conn.execute(_URGE, {"id": number, "level": level, "unit": row.unit_id, "contact": row.contact, "phone": row.phone, "via": via,
                                    "spoke_to": spoke_to, "note": note or None, "promised": promised}).scalar()
        if made is None:
            last = conn.execute(_LAST, {"id": number, "level": level}).one()
            skipped.append({"id": number, "no": row.complaint_no, "code": "already_urged", "at": last.sent_at.isoformat(), "who": last.user_name})
            continue
        done.append(number)
        by_unit.setdefault(row.unit_id, []).append(row.complaint_no)
        conn.execute(_AUDIT, {"act": "urge", "id": number, "params": json.dumps({"level": level, "via": via})})
    if via == "message":
        for unit_id, numbers in by_unit.items():
            conn.execute(_TELL, {"kind": "urge", "unit": unit_id, "params": json.dumps({"level": level, "complaints": numbers})})
    return keep(conn, key, Outcome(done, skipped, len(by_unit) if via == "message" else 0))


_NOW = text("""select c.complaint_no, c.version, c.unit_id, c.handler, c.person, s.left_at = 'infinity' as open
                 from complaint c join clock_span s on s.complaint_id = c.complaint_id and s.clock in ('r', 'o') and s.valid_to = 'infinity'
                where c.complaint_id = :id order by s.clock limit 1""")
_REASSIGN = text("""update complaint set unit_id = :unit, handler = :handler where complaint_id = :id and version = :version returning version""")
_FASTER = text("""select who_is(user_id) as who, recorded_at, code from event               -- an urge changes nothing of the complaint itself
                    where complaint_id = :id and code not in ('urged', 'urge_acknowledged') order by event_id desc limit 1""")
_CONTEXT = text("select set_config('app.act', 'reassigned', true), set_config('app.reason', :reason, true)")


def reassign(conn: Connection, *, key: str, complaint_id: int, version: int, unit_id: int, handler: str | None, reason: str) -> Outcome:
    """Another unit and/or handler becomes responsible; the clock goes on, both units are told.

    Raises Refused: no_reason, same_unit, not_there, already_done, changed_meanwhile (who, at), conflict_of_interest (article 11), key_reused.
    """
    reason, handler = reason.strip(), (handler or "").strip() or None
    if not reason:
        raise Refused("no_reason")
    before = once(conn, key, "reassign", {"id": complaint_id, "version": version, "unit": unit_id, "handler": handler, "reason": reason})
    if before:
        return before
    now = conn.execute(_NOW, {"id": complaint_id}).one_or_none()
    if now is None:
        raise Refused("not_there")
    if not now.open and not conn.execute(text("select exists (select from redo where complaint_id = :id and ended_at is null)"), {"id": complaint_id}).scalar():
        raise Refused("already_done")
    if now.version == version and now.unit_id == unit_id and now.handler == handler:
        raise Refused("same_unit")
    if handler and now.person and handler == now.person.strip():
        raise Refused("conflict_of_interest", person=now.person)
    conn.execute(_CONTEXT, {"reason": reason})
    if conn.execute(_REASSIGN, {"id": complaint_id, "version": version, "unit": unit_id, "handler": handler}).scalar() is None:
        faster = conn.execute(_FASTER, {"id": complaint_id}).one()
        raise Refused("changed_meanwhile", who=faster.who, at=faster.recorded_at, what=faster.code)
    conn.execute(_AUDIT, {"act": "reassign", "id": complaint_id, "params": json.dumps({"from": now.unit_id, "to": unit_id})})
    units = {now.unit_id, unit_id}
    for unit in units:
        conn.execute(_TELL, {"kind": "reassigned", "unit": unit, "params": json.dumps({"complaint": now.complaint_no, "from": now.unit_id, "to": unit_id})})
    return keep(conn, key, Outcome([complaint_id], [], len(units)))


def reveal(conn: Connection, *, complaint: int, reason: str) -> dict[str, str | None]:
    """The identity behind a complaint: name, phone, id_no, email, and title, text, demand as they came. Its trace stands in the same transaction.

    Raises Refused (no_reason, not_there); sqlalchemy.exc.DBAPIError for a role that may not.
    """
    if len(reason.strip()) < 4:
        raise Refused("no_reason")
    row = conn.execute(text("select * from reveal(:id, :why)"), {"id": complaint, "why": reason}).mappings().one_or_none()
    if row is None:
        raise Refused("not_there")
    return dict(row)


def release(conn: Connection, *, complaint: int, shown: bool, reason: str) -> bool:
    """Let regulators read this complaint, masked, or no more. Whether that changed anything. Raises Refused (no_reason, not_there, restricted)."""
    try:
        with conn.begin_nested():
            return conn.execute(text("select release(:id, :shown, :why)"), {"id": complaint, "shown": shown, "why": reason}).scalar_one()
    except DBAPIError as error:
        constraint = getattr(getattr(error.orig, "diag", None), "constraint_name", None)
        code = {"release_restricted": "restricted", "release_reason": "no_reason"}.get(constraint)
        if code is None and getattr(error.orig, "pgcode", "") == "42501" and "not released" in str(error.orig):
            code = "not_there"
        if code is None:
            raise
        raise Refused(code) from None
