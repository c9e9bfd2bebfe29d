"""The demo bank goes on living: what an intake system would write now, through the intake role alone.

    bank = Simulation(conn, source_of(conn), seed)
    what = bank.change(conn)                # one change, at the database's moment; the caller commits

Every change is one short transaction of its caller: a complaint comes in, is sent down the line, signed for, answered,
called back, reopened … As many complaints leave the open ones as enter them, so the bank stays as large as it was.
Nothing is remembered between two runs: what can be done next is read from the database, and a change that somebody else
made in the meantime is left alone.
"""
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import blake2b
from random import Random
from threading import Event
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Row, text
from sqlalchemy.exc import DBAPIError, ProgrammingError

from queries import db
from queries.demo import texts, units
from queries.demo.cases import NAMED
from queries.demo.load import PACK, SOURCE, ZONE
from queries.viewer import Viewer

LIKE = 4_000                # so many of the latest complaints show who is complained about, what of, and how
AHEAD = 400                 # so many complaints are looked up at a time for one kind of change
AMONG = 10                  # times as many of which what happens often is looked for, at random: all the open ones of a large bank cost what hundreds of changes do
LOOKING = 0.1               # share of the time that looks may take, after the first two seconds of them: else another kind of change is made
SAY = 5                     # seconds between two lines
PATIENCE = 20               # failures one after the other before it gives up
EVEN = 3                    # so many more complaints may have entered than left, or left than entered

# What happens, and how often: shares of all changes. A complaint is received, goes down one to three steps, is answered.
SHARES = {"received": 14, "sent": 17, "signed": 17, "answered": 13, "answered_office": 11, "filed": 9, "called_back": 7,
          "read": 1, "delayed": 1, "urge_signed": 4, "urge_answered": 2, "recategorised": 0.6, "withdrawal": 0.6,
          "verified": 0.6, "returned": 0.5, "reopened": 0.8, "redone": 0.9}
ENTER, LEAVE = ("received",), ("answered_office", "answered")


class NotDemo(LookupError):
    """The database holds no demo bank."""


@dataclass(frozen=True)
class Source:
    """The demo's source of complaints and its calendar."""

    source_id: int
    calendar_id: int


def source_of(conn: Connection) -> Source:
    """The demo bank's source. Raises NotDemo: invented complaints are written beside invented ones only."""
    row = conn.execute(text("""
        select s.source_id, c.calendar_id from source s join calendar c on c.code = 'CN' and c.tz = s.tz
         where s.demo and s.name = :name and exists (select from complaint x where x.source_id = s.source_id)
           and not exists (select from source r where not r.demo)"""), {"name": SOURCE}).one_or_none()
    if row is None:
        raise NotDemo("This is not a demo bank, or not only one: invented complaints are written beside invented ones only. "
                      "An empty database becomes one by `python -m dashboard demo`.")
    return Source(row.source_id, row.calendar_id)


# What can be done next. c: the complaint, s: its reply clock; only complaints of the source, restricted ones as well.
_LAST_HOP = """left join lateral (select h.hop_no, h.unit_id, h.signed_at from hop h where h.complaint_id = c.complaint_id
                                   order by h.hop_no desc limit 1) h on true"""
_ROW = """c.complaint_id, c.complaint_no, c.title, c.received_at, c.channel_id, c.category_id, c.unit_id, c.accepting_unit_id,
            c.source_unit_id, c.about_unit_id, c.handler, c.anonymous or g.anonymous as nameless, h.hop_no"""
# Open complaints; most of what is answered came in lately, so that old arrears stay what they are.
_FROM = f"c.complaint_id = s.complaint_id join category g on g.category_id = c.category_id {_LAST_HOP}"
_ARE_OPEN = "s.clock = 'r' and s.left_at = 'infinity' and s.source_id = :source"
_LATELY = "random() + case when s.received_at > cast(:now as timestamptz) - interval '2 days' then 0 else 0.9 end"
_OPEN = f"select {_ROW} from clock_span s join complaint c on {_FROM} where {_ARE_OPEN} and {{}} order by {_LATELY} limit :n"
_SOME_OPEN = f"""select {_ROW} from (select s.* from clock_span s where {_ARE_OPEN} order by {_LATELY} limit {AMONG} * :n) s join complaint c on {_FROM}
             where {{}} limit :n"""
# Done ones of the last weeks.
_ARE_DONE = """s.clock = 'r' and s.ended_at > cast(:now as timestamptz) - interval '12 days' and s.ended_at <= :now
               and s.valid_to = 'infinity' and s.source_id = :source and s.excluded_at is null"""
_DONE = f"select {_ROW} from clock_span s join complaint c on {_FROM} where {_ARE_DONE} and {{}} order by random() limit :n"
_SOME_DONE = f"""select {_ROW} from (select s.* from clock_span s where {_ARE_DONE} order by random() limit {AMONG} * :n) s join complaint c on {_FROM}
             where c.excluded_at is null and {{}} limit :n"""
_NAMED = "not (c.anonymous or g.anonymous)"
_PENDING = "exists (select from withdrawal w where w.complaint_id = c.complaint_id and w.verified_at is null)"
_FIND = {name: text(statement) for name, statement in {
    "sent": _SOME_OPEN.format("c.customer_replied_at is null and (h.hop_no is null or h.signed_at is not null) and c.source_unit_id is not null"
                              " and c.unit_id = coalesce(h.unit_id, c.accepting_unit_id)"),
    "signed": _SOME_OPEN.format("h.hop_no is not null and h.signed_at is null"),
    "answered": _SOME_OPEN.format(f"c.customer_replied_at is null and (h.signed_at is not null or c.source_unit_id is null) and not {_PENDING}"),
    "answered_office": _SOME_OPEN.format(f"c.customer_replied_at is not null and c.office_replied_at is null and c.source_unit_id is not null"
                                         f" and {_NAMED}"),
    "read": _OPEN.format("c.read_at is null and exists (select from channel k where k.channel_id = c.channel_id and k.code = 'comment_book')"),
    "delayed": _OPEN.format("s.due_at < cast(:now as timestamptz) + interval '1 day' and not exists"
                            " (select from delay y where y.complaint_id = c.complaint_id)"),
    "recategorised": _OPEN.format(f"s.due_at > :now and g.complexity is not null and not c.restricted and {_NAMED}"
                                  " and c.category_id = c.first_category_id"),
    "withdrawal": _OPEN.format(f"s.due_at > :now and {_NAMED} and c.source_unit_id is not null and c.customer_replied_at is null"
                               " and not exists (select from withdrawal w where w.complaint_id = c.complaint_id)"),
    "verified": _OPEN.format(_PENDING),
    "filed": _SOME_DONE.format("c.filed_at is null and c.closed_at is null"),
    "called_back": _SOME_DONE.format(f"{_NAMED} and (select count(*) < 4 and not coalesce(bool_or(b.outcome = 'answered' and b.by_whom = 'office'), false)"
                                     " from call_back b where b.complaint_id = c.complaint_id)"),
    "returned": _DONE.format(f"c.customer_replied_at is not null and c.closed_at is null and c.filed_at is null and {_NAMED} and h.hop_no is not null"
                             " and not exists (select from redo o where o.complaint_id = c.complaint_id)"),
    "reopened": _DONE.format(f"{_NAMED} and not exists (select from redo o where o.complaint_id = c.complaint_id)"),
    "again": _DONE.format(f"{_NAMED} and not c.restricted and c.received_at < cast(:now as timestamptz) - interval '3 days'"),
    "redone": """select o.complaint_id, o.redo_no from redo o join complaint c using (complaint_id)
                  where o.ended_at is null and c.source_id = :source and cast(:now as timestamptz) is not null order by random() limit :n""",
    "urge_signed": """select u.complaint_id, u.urge_id from urge u join complaint c using (complaint_id)
                       where u.acknowledged_at is null and u.sent_at <= :now and c.source_id = :source order by u.sent_at desc limit :n""",
    "urge_answered": """select u.complaint_id, u.urge_id from urge u join complaint c using (complaint_id)
                         where u.acknowledged_at is not null and u.answered_at is null and u.sent_at <= :now and c.source_id = :source
                         order by u.sent_at desc limit :n""",
}.items()}
_UNITS = text("select u.unit_id, u.parent_id, u.kind, u.name, k.phone from unit u left join unit_contact k on k.unit_id = u.unit_id and k.rank = 1")
_LIKE = text("""
    select c.channel_id, c.channel_kind, c.category_id, c.accepting_unit_id, c.source_unit_id, c.about_unit_id, c.media_level,
           c.anonymous, c.malicious
      from complaint c join unit u on u.unit_id = c.about_unit_id and u.kind <> 'unmapped'
     where c.source_id = :source order by c.complaint_id desc limit :n""")
# The last one of four digits is the first that an index finds. Past 9999 in a day the latest complaints tell, because who takes a number holds the lock until it is
# there; where theirs is not the last after all (a load numbered them), or is not theirs, all are looked at.
_SERIAL = text("""
    with of_day as not materialized (select complaint_no from complaint_key where source_id = :source and complaint_no > :day || '-' and complaint_no < :day || '.'),
         four as (select substr(complaint_no, 10)::int as n from of_day where complaint_no ~ '^\\d{8}-\\d{4}$' order by complaint_no desc limit 1),
         late as (select max(substr(complaint_no, 10)::int) as n
                    from (select complaint_no from complaint where source_id = :source order by complaint_id desc limit 200) c
                   where complaint_no ~ ('^' || :day || '-\\d{5,9}$'))
    select case when exists (select from four where n < 9999) then (select n from four)
                when exists (select from late where n is not null
                                and not exists (select from complaint_key k where k.source_id = :source and k.complaint_no = :day || '-' || late.n + 1)) then (select n from late)
                else (select coalesce(max(substr(complaint_no, 10)::int), 0) from of_day where complaint_no ~ '^\\d{8}-\\d{1,9}$') end""")
_HOLD = text("select pg_try_advisory_xact_lock(hashtext('desk.demo.complaint'), (:id % 2147483647)::int)")
_ADD = text("""
    insert into complaint (source_id, complaint_no, pack, calendar_id, received_at, dispatched_at, channel_id, channel_kind, category_id,
                           first_category_id, accepting_unit_id, source_unit_id, unit_id, first_unit_id, about_unit_id, person, title, amount,
                           amount_demanded, major, major_reasons, anonymous, malicious, media_level, repeat_of, person_hash, source_due_at)
    values (:source, :no, :pack, :calendar, :now, cast(:dispatched as timestamptz), :channel, :kind, :category, :category, :accepting, :source_unit,
            :accepting, :accepting, :about, :person, :title, :amount, :demanded, :major, :reasons, :anonymous, :malicious, :media,
            cast(:repeat as bigint), :hash, cast(:due as timestamptz))
    returning complaint_id""")
_TOLD = text("select set_config('app.act', :act, true), set_config('app.reason', :reason, true)")
_REPLY = text("""
    insert into reply (complaint_id, reply_no, at, facts, person_treated, lessons, satisfaction, handled, handler, telephone,
                       not_applicable, not_applicable_reason)
    select :id, coalesce(max(reply_no), 0) + 1, :now, :facts, :treated, :lessons, :heard, :handled, :handler, :phone, :absent, :why
      from reply where complaint_id = :id""")
_CALL = text("""
    insert into call_back (complaint_id, call_no, at, by_whom, outcome, score, words)
    select :id, coalesce(max(call_no), 0) + 1, :now, :whom, :outcome, :score, :words from call_back where complaint_id = :id
    having coalesce(max(call_no), 0) < 9""")


class Simulation:
    """The changes of one source; `open` is how many more complaints entered the open ones than left them, and stays small."""

    def __init__(self, conn: Connection, source: Source, seed: int | None = None):
        self.source, self.rng = source, Random(seed)
        ids = {"source": source.source_id}
        self.units = {row.unit_id: row for row in conn.execute(_UNITS)}
        named = {table: {row.id: row for row in conn.execute(
            text(f"select {table}_id as id, * from {table} where pack = :p"), {"p": PACK})} for table in ("category", "channel")}
        self.category, self.channel = named["category"], named["channel"]
        self.matters = {code: [line.split("|") for line in block.strip().splitlines()] for code, block in texts.MATTERS.items()}
        self.like = [row for row in conn.execute(_LIKE, ids | {"n": LIKE}).all()
                     if self.category[row.category_id].code in self.matters]
        self.people = [units.person(self.rng) for _ in range(2_000)]
        self.waiting: dict[str, list[Row]] = {}
        self.began, self.looked = time.monotonic(), -2.0     # since when; seconds that looks took beyond the first two
        self.open = 0                                        # how many more complaints entered than left
        self.acts: dict[str, Callable[[Connection, datetime], bool]] = {what: getattr(self, f"_{what}") for what in SHARES}

    def change(self, conn: Connection) -> str:
        """Make one change in the caller's transaction and say which. What cannot be done at the moment gives way to another."""
        at = db.clock(conn)
        first = self.rng.choices(list(SHARES), SHARES.values())[0]
        if self.open >= EVEN and first in ENTER:
            first = self.rng.choice(LEAVE)
        elif self.open <= -EVEN and first in (*LEAVE, "verified"):
            first = "received"
        others = sorted(SHARES, key=lambda what: -self.rng.random() ** (1 / SHARES[what]))     # a weighted shuffle
        for what in (first, *others):
            if (self.open < EVEN or what not in ENTER) and self.acts[what](conn, at):
                return what
        return "received" if self._received(conn, at) else ""

    def forget(self) -> None:
        """After a failure: look again what there is."""
        self.waiting.clear()

    # -- what comes in

    def _received(self, conn: Connection, at: datetime) -> bool:
        rng, like = self.rng, self.rng.choice(self.like)
        category, channel = self.category[like.category_id], self.channel[like.channel_id]
        anonymous = like.anonymous or category.anonymous
        about = self.units[like.about_unit_id]
        again = self._next(conn, at, "again") if rng.random() < 0.03 and not anonymous and not category.restricted else None
        person = rng.choice(self.people) if rng.random() < NAMED.get(category.code, 0.05) else None
        name, phone = rng.choice(self.people), f"140{rng.randrange(10 ** 8):08d}"          # a prefix no person has
        title, body, demand = rng.choice(self.matters[category.code])
        amount = round(rng.lognormvariate(8.0, 1.6)) if "{amount}" in body else None
        body = rng.choice(texts.OPENINGS) + body.format(
            day=f"{_local(at):%-m月%-d日}", amount=f"{amount or 0:,}", place=about.name, app=rng.choice(texts.APPS),
            staff=person or "某员工", minutes=rng.randrange(25, 150)) + rng.choice(texts.ENDINGS)
        if again is not None:
            title = again.title.removeprefix("再次投诉：") or title
            body = f"客户{_local(again.received_at):%-m月%-d日}曾反映“{title}”（编号{again.complaint_no}），对处理结果不认可，再次投诉。"
            title, demand, about = f"再次投诉：{title}", "重新核查并书面答复", self.units[again.about_unit_id]
        reasons = [why for why, p in (("public_figure", 0.0012), ("sensitive", 0.002), ("reputation", 0.4 if like.media_level else 0.002))
                   if rng.random() < p]
        due = None
        if channel.code == "government" and rng.random() < 0.3:
            due = _local(at).replace(hour=23, minute=59, second=59, microsecond=0) + timedelta(days=15)
        id_ = conn.execute(_ADD, {
            "source": self.source.source_id, "no": self._number(conn, at), "pack": PACK, "calendar": self.source.calendar_id,
            "now": at, "dispatched": at if channel.code == "web" and like.source_unit_id is None else None,
            "channel": like.channel_id, "kind": like.channel_kind, "category": like.category_id,
            "accepting": like.accepting_unit_id, "source_unit": like.source_unit_id, "about": about.unit_id, "person": person,
            "title": title, "amount": amount, "demanded": amount if amount and rng.random() < 0.5 else None,
            "major": bool(reasons), "reasons": reasons, "anonymous": like.anonymous, "malicious": like.malicious, "media": like.media_level,
            "repeat": again.complaint_id if again is not None else None, "due": due,
            "hash": None if anonymous else blake2b((name + phone).encode(), digest_size=16).digest()}).scalar_one()
        conn.execute(text("insert into complaint_text (complaint_id, text, demand) values (:id, :text, :demand)"),
                     {"id": id_, "text": body, "demand": demand})
        if not anonymous:
            conn.execute(text("select keep_persons(cast(:ids as bigint[]), cast(:names as text[]), cast(:phones as text[]))"),
                         {"ids": [id_], "names": [name], "phones": [phone]})
        conn.execute(text("update source set seen_at = :now where source_id = :source"), {"now": at, "source": self.source.source_id})
        self.open += 1
        return True

    def _number(self, conn: Connection, at: datetime) -> str:
        """Date and the next serial of the day, however many digits it takes; two that run at once wait for each other."""
        day = f"{_local(at):%Y%m%d}"
        conn.execute(text("select pg_advisory_xact_lock(hashtext('desk.demo.number'))"))
        return f"{day}-{conn.execute(_SERIAL, {'source': self.source.source_id, 'day': day}).scalar_one() + 1:04d}"

    # -- down the line

    def way(self, accepting: int, about: int, *, one_up: bool) -> list[int]:
        """The units a complaint passes through after it was accepted: branch, second-level branch, outlet; an outlet's may be
        handled `one_up`. The head office is none of them, nor is the branch that accepted it itself."""
        way, step = [], about
        if one_up and self.units[about].kind == "outlet":
            step = self.units[about].parent_id
        while step is not None and self.units[step].parent_id is not None:
            way.append(step)
            step = self.units[step].parent_id
        way.reverse()
        above = self.units[accepting].parent_id
        if len(way) > 1 and above == way[0]:                 # taken in by a department of that branch
            way = way[1:]
        return [unit for unit in way if unit != accepting]

    def _sent(self, conn: Connection, at: datetime) -> bool:
        c = self._next(conn, at, "sent", lambda c: self._step(c) is not None)
        if c is None:
            return False
        unit, no = self._step(c), (c.hop_no or 0) + 1
        conn.execute(_TOLD, {"act": "hop_sent", "reason": ""})
        moved = self._update(conn, c.complaint_id, "unit_id = :unit, dispatched_at = coalesce(dispatched_at, :now)",
                             "unit_id = :was and ended_at is null", unit=unit, was=c.unit_id, now=at)
        if moved:
            conn.execute(text("insert into hop (complaint_id, hop_no, unit_id, sent_at) values (:id, :no, :unit, :now)"),
                         {"id": c.complaint_id, "no": no, "unit": unit, "now": at})
        return moved

    def _step(self, c: Row) -> int | None:
        """The next unit on the complaint's way, None where it has arrived; a report of a crime is not passed down."""
        if self.category[c.category_id].restricted:
            return None
        way = self.way(c.accepting_unit_id, c.about_unit_id, one_up=c.complaint_id % 10 < 3)
        if c.hop_no is None:
            return way[0] if way else None
        rest = way[way.index(c.unit_id) + 1:] if c.unit_id in way else []
        return rest[0] if rest else None

    def _signed(self, conn: Connection, at: datetime) -> bool:
        c = self._next(conn, at, "signed")
        return c is not None and conn.execute(
            text("update hop set signed_at = :now where complaint_id = :id and hop_no = :no and signed_at is null"),
            {"now": at, "id": c.complaint_id, "no": c.hop_no}).rowcount == 1

    # -- the answer

    def _answered(self, conn: Connection, at: datetime) -> bool:
        c = self._next(conn, at, "answered", lambda c: c.hop_no is None or self._step(c) is None)
        if c is None:
            return False
        rng = self.rng
        if c.nameless:
            column = "office_replied_at" if c.source_unit_id else "filed_at"
            return self._leaves(self._update(conn, c.complaint_id, f"{column} = :now", "ended_at is null", now=at))
        handler = c.handler or rng.choice(self.people)
        treated = rng.choice(texts.TREATED) if rng.random() < 0.5 else None
        lessons = rng.choice(texts.LESSONS) if rng.random() < 0.9 else None
        absent = [place for place, said in ((2, treated), (3, lessons)) if said is None]
        facts = rng.choice(texts.FACTS).format(t=c.title or "所述", c=rng.choice(texts.CAUSES))
        heard = rng.choice(texts.HEARD)
        if not self._update(conn, c.complaint_id,
                            "customer_replied_at = :now, responsibility = :ours, outcome = :outcome, disputed = :disputed,"
                            " handler = case when person is distinct from :handler then :handler else handler end",
                            "customer_replied_at is null and ended_at is null", now=at, handler=handler,
                            ours=rng.choices(("ours", "customer", "both", "none"), (52, 20, 15, 13))[0],
                            outcome=rng.choice(("customer", "customer", "unit", "both")), disputed=heard.startswith("客户仍")):
            return False
        conn.execute(_REPLY, {
            "id": c.complaint_id, "now": at, "facts": facts, "treated": treated, "lessons": lessons,
            "heard": heard if rng.random() > 0.05 else None, "handler": handler, "phone": self.units[c.unit_id].phone or "",
            "handled": f"{_local(c.received_at):%Y年%-m月%-d日}—{_local(at):%-m月%-d日}", "absent": absent,
            "why": texts.NOT_APPLICABLE if absent else None})
        conn.execute(text("update complaint_text set reply = :reply where complaint_id = :id"), {"id": c.complaint_id, "reply": facts})
        conn.execute(text("update urge set moved_at = :now where complaint_id = :id and moved_at is null"), {"id": c.complaint_id, "now": at})
        self._leaves(c.source_unit_id is None)
        return True

    def _answered_office(self, conn: Connection, at: datetime) -> bool:
        c = self._next(conn, at, "answered_office")
        return c is not None and self._leaves(self._update(
            conn, c.complaint_id, "office_replied_at = :now", "office_replied_at is null and customer_replied_at is not null", now=at))

    def _filed(self, conn: Connection, at: datetime) -> bool:
        c = self._next(conn, at, "filed")
        return c is not None and self._update(conn, c.complaint_id, "filed_at = :now", "filed_at is null and ended_at is not null", now=at)

    def _read(self, conn: Connection, at: datetime) -> bool:
        c = self._next(conn, at, "read")
        return c is not None and self._update(conn, c.complaint_id, "read_at = :now", "read_at is null", now=at)

    def _delayed(self, conn: Connection, at: datetime) -> bool:
        c = self._next(conn, at, "delayed")
        return c is not None and conn.execute(
            text("""insert into delay (complaint_id, delay_no, reported_at, reason, customer_told_at)
                    values (:id, 1, :now, :reason, :told) on conflict do nothing"""),
            {"id": c.complaint_id, "now": at, "reason": self.rng.choice(texts.DELAYS), "told": at if self.rng.random() < 0.7 else None}).rowcount == 1

    def _recategorised(self, conn: Connection, at: datetime) -> bool:
        c = self._next(conn, at, "recategorised")
        if c is None:
            return False
        other = {"s": "c", "c": "s"}[self.category[c.category_id].complexity]
        fits = [id_ for id_, one in self.category.items() if one.complexity == other and one.code in self.matters]
        conn.execute(_TOLD, {"act": "", "reason": "受理部门复核后调整"})
        return self._update(conn, c.complaint_id, "category_id = :category", "category_id = first_category_id and ended_at is null",
                            category=self.rng.choice(fits))

    # -- after it, and instead of it

    def _called_back(self, conn: Connection, at: datetime) -> bool:
        c = self._next(conn, at, "called_back")
        if c is None:
            return False
        rng = self.rng
        whom = rng.choices(("unit", "service", "office"), (5, 2, 4))[0]
        reached = rng.random() < (0.9 if whom == "unit" else 0.6)
        odds = (88, 9.5, 2.5) if whom == "unit" else (63, 26, 11)
        score = rng.choices(("satisfied", "basically", "dissatisfied"), odds)[0] if reached else None
        return conn.execute(_CALL, {
            "id": c.complaint_id, "now": at, "whom": whom, "score": score,
            "outcome": "answered" if reached else rng.choices(("unreachable", "refused", "wrong_number"), (80, 14, 6))[0],
            "words": (rng.choice(texts.WORDS[score]) or None) if reached else None}).rowcount == 1

    def _returned(self, conn: Connection, at: datetime) -> bool:
        c = self._next(conn, at, "returned")
        if c is None:
            return False
        conn.execute(_TOLD, {"act": "", "reason": self.rng.choice(texts.RETURNED)})
        done = self._update(conn, c.complaint_id, "customer_replied_at = null, office_replied_at = null", "ended_at is not null and filed_at is null")
        self.open += done
        return done

    def _reopened(self, conn: Connection, at: datetime) -> bool:
        c = self._next(conn, at, "reopened")
        return c is not None and conn.execute(
            text("insert into redo (complaint_id, redo_no, started_at, reason) values (:id, 1, :now, :reason) on conflict do nothing"),
            {"id": c.complaint_id, "now": at, "reason": self.rng.choice(texts.REOPENED)}).rowcount == 1

    def _redone(self, conn: Connection, at: datetime) -> bool:
        o = self._next(conn, at, "redone")
        return o is not None and conn.execute(
            text("update redo set ended_at = :now where complaint_id = :id and redo_no = :no and ended_at is null and started_at < :now"),
            {"now": at, "id": o.complaint_id, "no": o.redo_no}).rowcount == 1

    def _withdrawal(self, conn: Connection, at: datetime) -> bool:
        c = self._next(conn, at, "withdrawal")
        return c is not None and conn.execute(
            text("""insert into withdrawal (complaint_id, withdrawal_no, requested_at, by_unit_id, reason)
                    select complaint_id, 1, :now, accepting_unit_id, :reason from complaint where complaint_id = :id and ended_at is null
                    on conflict do nothing"""),
            {"id": c.complaint_id, "now": at, "reason": self.rng.choice(texts.WITHDRAWN)}).rowcount == 1

    def _verified(self, conn: Connection, at: datetime) -> bool:
        c = self._next(conn, at, "verified")
        if c is None:
            return False
        result = "pressured" if self.rng.random() < 0.06 else "voluntary"
        done = conn.execute(
            text("""update withdrawal set verified_at = :now, result = :result
                     where complaint_id = :id and verified_at is null and requested_at < :now"""),
            {"now": at, "id": c.complaint_id, "result": result}).rowcount > 0
        self._leaves(done and result == "voluntary")
        return done

    def _urge_signed(self, conn: Connection, at: datetime) -> bool:
        u = self._next(conn, at, "urge_signed")
        return u is not None and conn.execute(
            text("update urge set acknowledged_at = :now where complaint_id = :id and urge_id = :urge and acknowledged_at is null"),
            {"now": at, "id": u.complaint_id, "urge": u.urge_id}).rowcount == 1

    def _urge_answered(self, conn: Connection, at: datetime) -> bool:
        u = self._next(conn, at, "urge_answered")
        return u is not None and conn.execute(
            text("""update urge set answered_at = :now, answer = :answer, moved_at = coalesce(moved_at, :now)
                     where complaint_id = :id and urge_id = :urge and answered_at is null"""),
            {"now": at, "id": u.complaint_id, "urge": u.urge_id, "answer": self.rng.choice(texts.ANSWERS)}).rowcount == 1

    # -- how

    def _next(self, conn: Connection, at: datetime, what: str, fits: Callable[[Row], bool] = lambda one: True) -> Row | None:
        """The next complaint that waits for this and that no other simulation holds, None where none does."""
        for _ in range(2):
            waiting = self.waiting.get(what) or []
            while waiting:
                one = waiting.pop()
                if fits(one) and conn.execute(_HOLD, {"id": one.complaint_id}).scalar_one():
                    return one
            if self.looked > LOOKING * ((began := time.monotonic()) - self.began):
                return None
            conn.execute(text("set local max_parallel_workers_per_gather = 0"))      # others have the cores
            self.waiting[what] = conn.execute(_FIND[what], {"source": self.source.source_id, "now": at, "n": AHEAD}).all()[::-1]
            self.looked += time.monotonic() - began
        return None

    def _update(self, conn: Connection, id_: int, values: str, unless: str, **params: Any) -> bool:
        """Whether the complaint was as expected and is changed."""
        return conn.execute(text(f"update complaint set {values} where complaint_id = :id and excluded_at is null and {unless}"),
                            {"id": id_, **params}).rowcount == 1

    def _leaves(self, done: bool) -> bool:
        self.open -= done
        return done


def _local(at: datetime) -> datetime:
    return at.astimezone(ZoneInfo(ZONE))


def run(urls: dict[str, str], viewer: Viewer, *, rate: float, seconds: float | None = None, seed: int | None = None, stop: Event,
        say: Callable[[str], None]) -> Counter:
    """Make `rate` changes a second, each in a transaction of its own, until `stop` is set or `seconds` have passed.

    Says every few seconds what was done. Returns how many of each kind, "failed" among them: a change that the database
    refused or that was lost with the connection is not tried again. Raises NotDemo; DBAPIError when nothing works any more.
    """
    with db.writing(urls, viewer) as conn:
        bank = Simulation(conn, source_of(conn), seed)
    done, since, in_a_row = Counter(), Counter(), 0
    began = said = due = time.monotonic()
    until = began + seconds if seconds is not None else float("inf")
    while not stop.is_set() and time.monotonic() < until:
        try:
            with db.writing(urls, viewer) as conn:
                what = bank.change(conn)
            in_a_row = 0
            since[what] += 1
        except ProgrammingError:                             # a mistake of ours: trying again does not help
            raise
        except DBAPIError as error:
            bank.forget()
            since["failed"], in_a_row = since["failed"] + 1, in_a_row + 1
            say(f"{time.strftime('%H:%M:%S')}  a change failed: {str(error.orig or error).strip().splitlines()[0]}")
            if in_a_row >= PATIENCE:
                raise
            stop.wait(min(in_a_row, 5))
        here = time.monotonic()
        if here - said >= SAY:
            say(_line(since, here - said, bank.open))
            done, since, said = done + since, Counter(), here
        due = max(due + 1 / rate, here - 1)                  # what was missed in a pause is not made up for
        stop.wait(max(0.0, min(due, until) - time.monotonic()))
    done += since
    say(f"Stopped after {time.monotonic() - began:.0f} s. " + _line(done, time.monotonic() - began, bank.open))
    return done


def _line(done: Counter, seconds: float, entered: int) -> str:
    """14:03:05  100 changes, 20.0 a second: sent 18, signed 17 …; open complaints +1; failed 0."""
    n = sum(done.values()) - done["failed"]
    kinds = ", ".join(f"{what.replace('_', ' ')} {k}" for what, k in done.most_common() if what != "failed")
    return (f"{time.strftime('%H:%M:%S')}  {n:,} changes, {n / max(seconds, 0.001):.1f} a second: {kinds or 'nothing'}; "
            f"open complaints {entered:+}; failed {done['failed']}")
