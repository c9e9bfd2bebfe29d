"""Every statement by which a person changes a row: urge, reassign, and what each role may do to a complaint.

Each act is one transaction (safety.md §4): the key of the request, a version check, the act, its event (by trigger), an audit row, outbox
rows. A key that is there already returns what came of it; the same key with another content is refused.
"""
import json
from dataclasses import dataclass, field
from datetime import date, datetime
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
    params = json.loads(error.orig.diag.message_detail or "{}") or {}
    return Refused(error.orig.diag.message_primary, **params | ({"at": datetime.fromisoformat(params["at"])} if params.get("at") else {}))


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
    select c.complaint_id, c.complaint_no, c.restricted, c.version, s.unit_id, s.due_at, s.left_at = 'infinity' as open, k.name as contact, k.phone
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
_TELL = text("select tell(:kind, :unit, cast(:ids as bigint[]), cast(:params as jsonb))")     # of financial crime a unit is told nothing (0008_acts.sql)
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
    done, skipped, by_unit, told = [], [], {}, set()
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
        by_unit.setdefault(row.unit_id, []).append(number)
        told |= set() if row.restricted else {row.unit_id}
        conn.execute(_AUDIT, {"act": "urge", "id": number, "params": json.dumps({"level": level, "via": via})})
    if via == "message":
        for unit_id, some in by_unit.items():
            conn.execute(_TELL, {"kind": "urge", "unit": unit_id, "ids": some, "params": json.dumps({"level": level})})
    return keep(conn, key, Outcome(done, skipped, len(told) if via == "message" else 0))


_NOW = text("""select c.complaint_no, c.restricted, c.version, c.unit_id, c.handler, c.person, s.left_at = 'infinity' as open
                 from complaint c join clock_span s on s.complaint_id = c.complaint_id and s.clock in ('r', 'o') and s.valid_to = 'infinity'
                where c.complaint_id = :id order by s.clock limit 1""")
_REASSIGN = text("""update complaint set unit_id = :unit, handler = :handler where complaint_id = :id and version = :version returning version""")
_FASTER = text("""select who_is(user_id) as who, recorded_at, code from event               -- the others change nothing of the complaint itself
                    where complaint_id = :id and code not in ('urged', 'urge_acknowledged', 'urge_answered', 'noted', 'marked', 'contested', 'directive', 'directive_answered',
                                                              'delay_reported', 'called_back', 'rectified') order by event_id desc limit 1""")
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
    if handler and now.person and "".join(handler.split()) == "".join(now.person.split()):
        raise Refused("conflict_of_interest", person=now.person)
    conn.execute(_CONTEXT, {"reason": reason})
    if conn.execute(_REASSIGN, {"id": complaint_id, "version": version, "unit": unit_id, "handler": handler}).scalar() is None:
        faster = conn.execute(_FASTER, {"id": complaint_id}).one()
        raise Refused("changed_meanwhile", who=faster.who, at=faster.recorded_at, what=faster.code)
    conn.execute(_AUDIT, {"act": "reassign", "id": complaint_id, "params": json.dumps({"from": now.unit_id, "to": unit_id})})
    units = {now.unit_id, unit_id}
    for unit in units:
        conn.execute(_TELL, {"kind": "reassigned", "unit": unit, "ids": [complaint_id], "params": json.dumps({"from": now.unit_id, "to": unit_id})})
    return keep(conn, key, Outcome([complaint_id], [], 0 if now.restricted else len(units)))


# -- what each role may do to a complaint: one function of the database an act (0008_acts.sql), which asks who is calling, refuses what is not possible
# now, and writes event, audit row and message. Raises Refused: not_there, not_now (who, at, what), changed_meanwhile (the same), key_reused, and what
# the docstring names; sqlalchemy.exc.DBAPIError for a role that may not.

def possible(conn: Connection, complaint_id: int) -> dict[str, int]:
    """What this viewer may do to this complaint now: {act: number of the urge, contest, withdrawal, directive or rectification; 0 = the complaint itself}."""
    return {row.act: row.no for row in conn.execute(text("select act, no from possible(:id)"), {"id": complaint_id})}


def about(conn: Connection, act: str, complaint_id: int, no: int) -> dict[str, Any] | None:
    """What a possible act is about, masked: at, who, words, due; None where there is nothing to show."""
    row = conn.execute(text("select * from act_about(:act, :id, :no)"), {"act": act, "id": complaint_id, "no": no}).mappings().one_or_none()
    return dict(row) if row else None


def _act(conn: Connection, key: str, act: str, complaint_id: int, **params: Any) -> Outcome:
    """Call act_…() of the database once, with the parameters in its order."""
    before = once(conn, key, act, {"id": complaint_id, **params})
    if before:
        return before
    try:
        conn.execute(text(f"select act_{act}(:id, {', '.join(f':{name}' for name in params)})"), {"id": complaint_id, **params})
    except DBAPIError as error:
        refused = refusal(error)
        if refused is None:
            raise
        raise refused from None
    return keep(conn, key, Outcome([complaint_id]))


def sign(conn: Connection, *, key: str, complaint_id: int, no: int) -> Outcome:
    """The unit signs for its latest urge, and for those before it."""
    return _act(conn, key, "sign", complaint_id, no=no)


def answer(conn: Connection, *, key: str, complaint_id: int, no: int, words: str, promised: date | None = None) -> Outcome:
    """The unit answers an urge, which signs for it too. `promised`: the day by which it will be done. Refused: no_words, bad_day."""
    return _act(conn, key, "answer", complaint_id, no=no, words=words, promised=promised)


def delay(conn: Connection, *, key: str, complaint_id: int, words: str, told_at: datetime | None = None) -> Outcome:
    """延时报备: why it takes longer, and when the customer was told; the limit stays. Refused: no_reason, bad_moment."""
    return _act(conn, key, "delay", complaint_id, words=words, told_at=told_at)


def contest(conn: Connection, *, key: str, complaint_id: int, words: str) -> Outcome:
    """申诉: the unit asks that the complaint be left out of the rates. Refused: no_reason."""
    return _act(conn, key, "contest", complaint_id, words=words)


def decide(conn: Connection, *, key: str, complaint_id: int, no: int, choice: str | None, words: str, version: int) -> Outcome:
    """A contest is upheld (the complaint is excluded from now on) or refused. Refused: no_choice, no_reason."""
    return _act(conn, key, "decide", complaint_id, no=no, upheld={"upheld": True, "refused": False}.get(choice), words=words, version=version)


def call_back(conn: Connection, *, key: str, complaint_id: int, choice: str | None, score: str | None = None, words: str = "") -> Outcome:
    """督办抽查回访: answered (with a score), refused, unreachable, wrong_number; at most three attempts after the reply. Refused: no_choice, no_score."""
    return _act(conn, key, "call_back", complaint_id, choice=choice, score=score, words=words)


def send_back(conn: Connection, *, key: str, complaint_id: int, words: str, version: int) -> Outcome:
    """退回重办: the reply is not accepted; the clock never stopped. Refused: no_reason."""
    return _act(conn, key, "send_back", complaint_id, words=words, version=version)


def withdrawal(conn: Connection, *, key: str, complaint_id: int, no: int, choice: str | None, words: str = "") -> Outcome:
    """A withdrawal is found voluntary (excluded from the day it was requested, if that was before the limit) or pressured (void). Refused: no_choice."""
    return _act(conn, key, "withdrawal", complaint_id, no=no, choice=choice, words=words)


def mark(conn: Connection, *, key: str, complaint_id: int, words: str = "") -> Outcome:
    """重点关注."""
    return _act(conn, key, "mark", complaint_id, wanted=True, words=words)


def unmark(conn: Connection, *, key: str, complaint_id: int, words: str = "") -> Outcome:
    """重点关注 no more."""
    return _act(conn, key, "mark", complaint_id, wanted=False, words=words)


def note(conn: Connection, *, key: str, complaint_id: int, words: str) -> Outcome:
    """A review note in the history. Refused: no_words."""
    return _act(conn, key, "note", complaint_id, words=words)


def directive(conn: Connection, *, key: str, complaint_id: int, words: str, answer_by: date | None = None) -> Outcome:
    """批示: a leader writes on it; the unit or the office answers, until the end of `answer_by` if one is named. Refused: no_words, bad_day."""
    return _act(conn, key, "directive", complaint_id, words=words, answer_by=answer_by)


def directive_answer(conn: Connection, *, key: str, complaint_id: int, no: int, words: str) -> Outcome:
    """批示反馈. Refused: no_words."""
    return _act(conn, key, "directive_answer", complaint_id, no=no, words=words)


def dispatch(conn: Connection, *, key: str, complaint_id: int, unit_id: int | None, handler: str | None, version: int) -> Outcome:
    """转办: the service centre sends on what it accepted. Refused: no_unit, same_unit, conflict_of_interest (person; article 11)."""
    return _act(conn, key, "dispatch", complaint_id, unit_id=unit_id, handler=handler, version=version)


def rectify(conn: Connection, *, key: str, complaint_id: int, no: int, words: str) -> Outcome:
    """整改反馈: what was done; the rectification is done. Refused: no_words."""
    return _act(conn, key, "rectify", complaint_id, no=no, words=words)


def handle(conn: Connection, *, key: str, complaint_id: int, words: str) -> Outcome:
    """A report of financial crime is answered and ends. Refused: no_words."""
    return _act(conn, key, "handle", complaint_id, words=words)


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
