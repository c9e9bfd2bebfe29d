"""What an administrator reads and changes: accounts, units, policies, calendars, sources. Never a complaint.

Every act is one function of the database (0006_administration.sql), which r_admin alone may call: it asks who is calling, compares with
what the form had read (`seen`), refuses with a code, and writes the audit row with old and new value. Here each act gets its key: the
same key again returns what came of it.
"""
import ipaddress
import json
import re
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from urllib.parse import urlsplit

import pandas as pd
from pypinyin import lazy_pinyin
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from queries import accounts, acts, calendars
from queries.acts import Refused

SLOW_MS = 120_000              # a year of the calendar moves many limits, a branch many places


@dataclass(frozen=True)
class Done:
    """What came of an act: the id it made or changed, and how many complaints, sessions or limits it touched."""
    id: int
    n: int = 0
    replayed: bool = False


def _slowly(conn: Connection) -> None:
    conn.execute(text("select set_config('statement_timeout', :t, true)"), {"t": str(SLOW_MS)})


def _asked(conn: Connection, statement: str, params: Mapping[str, Any]) -> Any:
    """The one value of a statement. Raises Refused."""
    values = {name: json.dumps(value, default=str) if isinstance(value, dict) else value for name, value in params.items()}
    try:
        return conn.execute(text(statement), values).scalar()
    except DBAPIError as error:
        refused = acts.refusal(error)
        if refused is None:
            raise
        raise refused from None


def _act(conn: Connection, key: str, act: str, statement: str, id: int | None = None, **params: Any) -> Done:
    """Carry an act out once. `id`: what it is about; None: the statement answers with it."""
    before = acts.once(conn, key, act, {"id": id, **params}, Done)
    if before:
        return before
    answer = _asked(conn, statement, {"id": id, **params} if id is not None else params)
    number = answer if isinstance(answer, int) else 0
    return acts.keep(conn, key, Done(number) if id is None else Done(id, number))


# -- accounts -------------------------------------------------------------------------------------------------------

def users(conn: Connection) -> pd.DataFrame:
    """Every account but the built-in ones: user_id, login, name, role, all_units, units (ids), sees_restricted, active, demo, valid_from, valid_until,
    last_sign_in, sessions (live ones), has_password, link_until, locked_until, failures. Never a password or its hash."""
    return pd.read_sql_query(text("select * from admin_users()"), conn)


def user(conn: Connection, user_id: int) -> dict | None:
    """An account as its form reads it: login, name, role, all_units, units, sees_restricted, active, valid_from, valid_until."""
    return conn.execute(text("select admin_user(:id)"), {"id": user_id}).scalar()


def user_add(conn: Connection, *, key: str, new: dict) -> Done:
    """A new account; `new` as `user` with a login. Refused: bad_login, login_taken, no_name, bad_role, not_restricted, no_unit, bad_time."""
    return _act(conn, key, "user_add", "select admin_user_add(cast(:new as jsonb))", new=new)


def user_set(conn: Connection, *, key: str, id: int, seen: dict, new: dict) -> Done:
    """Name, role, scope, financial crime and time of another's account. Refused as above, and own_account, last_administrator, changed_meanwhile (who, at),
    nothing_changed, not_there."""
    return _act(conn, key, "user_set", "select admin_user_set(:id, cast(:seen as jsonb), cast(:new as jsonb))", id, seen=seen, new=new)


def user_enable(conn: Connection, *, key: str, id: int, on: bool) -> Done:
    """Let another's account in, or keep it out and end its sessions. Refused: own_account, last_administrator, nothing_changed, not_there."""
    return _act(conn, key, "user_enable", "select admin_user_enable(:id, :on)", id, on=on)


def user_unlock(conn: Connection, *, key: str, id: int) -> Done:
    """Forget an account's failed sign-ins, so that it is asked again at once. Refused: own_account, not_there, nothing_changed."""
    return _act(conn, key, "user_unlock", "select admin_user_unlock(:id)", id)


def user_link(conn: Connection, *, key: str, id: int, token: str) -> Done:
    """Let `token` (accounts.fresh()) set the account's password, once and within a day; the database keeps its digest only. Refused: own_account, not_there."""
    return _act(conn, key, "user_link", "select admin_user_link(:id, decode(:token, 'hex'))", id, token=accounts.digest(token).hex())


def sessions_end(conn: Connection, *, key: str, id: int) -> Done:
    """End every session of another's account; n = how many. Refused: own_account, not_there, nothing_changed."""
    return _act(conn, key, "sessions_end", "select admin_sessions_end(:id)", id)


# -- policies -------------------------------------------------------------------------------------------------------

def versions(conn: Connection) -> pd.DataFrame:
    """Every version of every pack, the latest of a pack first: policy_id, pack, version, effective_from, title, title_en, published_at,
    state (active, coming, past)."""
    return pd.read_sql_query(text("""
        with today as (select max((clock_timestamp() at time zone tz)::date) as day from calendar)
        select p.policy_id, p.pack, p.version, p.effective_from, p.title, p.title_en, p.published_at,
               case when p.effective_from > t.day then 'coming'
                    when p.effective_from = max(p.effective_from) filter (where p.effective_from <= t.day) over (partition by p.pack) then 'active' else 'past' end as state
          from policy p cross join today t order by p.pack in (select pack from source) desc, p.pack, p.effective_from desc"""), conn)


def limits(conn: Connection, policy_id: int) -> pd.DataFrame:
    """The limits of a version: limit_id, clock, category, category_en, complexity, channel, channel_en, amount, unit, target, soon, owner, article."""
    return pd.read_sql_query(text("""
        select l.limit_id, l.clock, g.name as category, g.name_en as category_en, l.complexity, h.name as channel, h.name_en as channel_en,
               l.amount, l.unit, l.target, l.soon, l.owner, l.article
          from policy_limit l left join category g using (category_id) left join channel h using (channel_id)
         where l.policy_id = :id order by strpos('rdowkua', l.clock::text), l.limit_id"""), conn, params={"id": policy_id})


def earliest(conn: Connection, pack: str) -> date:
    """The first day on which a new version of a pack may begin: today or later, and after every receipt it would touch."""
    return conn.execute(text("select policy_earliest(:pack)"), {"pack": pack}).scalar_one()


def policy_preview(conn: Connection, *, base: int, draft: dict, since: datetime) -> dict:
    """What a draft would mean for complaints received since a moment, without keeping anything: clocks [{clock, n, earlier, later, same, overdue (open ones that
    would be overdue now), relieved (that would be no longer)}], stretches (compared, 10,000 at most), open_kept (open complaints, which keep their version).

    `draft`: from (a day), title, title_en, limits [{limit_id, amount, target, soon}] of the version `base`. Refused: changed_meanwhile, too_early (earliest),
    no_title, bad_limit (limit), nothing_changed, not_there. It writes and rolls back, so it wants a writing transaction.
    """
    _slowly(conn)
    return _asked(conn, "select admin_policy_preview(:base, cast(:draft as jsonb), :since)", {"base": base, "draft": draft, "since": since})


def policy_publish(conn: Connection, *, key: str, base: int, draft: dict) -> Done:
    """Publish a draft as the next version of its pack; id = the new version's. Refused as in the preview."""
    return _act(conn, key, "policy_publish", "select admin_policy_publish(:base, cast(:draft as jsonb))", base=base, draft=draft)


def policy_withdraw(conn: Connection, *, key: str, id: int) -> Done:
    """Take back a version that is not in force yet. Refused: in_force (or the product's own), not_there."""
    return _act(conn, key, "policy_withdraw", "select admin_policy_withdraw(:id)", id)


# -- calendars ------------------------------------------------------------------------------------------------------

def years(conn: Connection) -> pd.DataFrame:
    """Two years before and after this one of every calendar: calendar_id, code, tz, year, status (published, estimated, absent), origin, loaded_at, working_days,
    provisional (complaints whose limit there is provisional)."""
    return pd.read_sql_query(text("select * from admin_calendars()"), conn)


def year(conn: Connection, calendar_id: int, of_year: int) -> dict:
    """A year as its form reads it: status, origin, loaded_at, working_days."""
    return conn.execute(text("select year_state(:cal, :year)"), {"cal": calendar_id, "year": of_year}).scalar_one()


def calendar_preview(conn: Connection, *, calendar_id: int, year: int, days: Iterable[calendars.Day]) -> dict:
    """What loading these days would do, without keeping anything: days (that change), complaints (computed again); earlier, later, final (no longer provisional),
    overdue, relieved limits – or more, where too many complaints stand on them to try. It wants a writing transaction."""
    _slowly(conn)
    return _asked(conn, "select admin_calendar_preview(:cal, :year, cast(:days as date[]), cast(:working as boolean[]), cast(:kinds as text[]), cast(:names as text[]))",
                  {"cal": calendar_id, "year": year} | calendars.columns(days))


def calendar_load(conn: Connection, *, key: str, id: int, year: int, seen: dict, days: Iterable[calendars.Day], origin: str) -> Done:
    """Publish a year; n = complaints computed again. Refused: bad_year, changed_meanwhile (who, at)."""
    _slowly(conn)
    return _act(conn, key, "calendar_load", """select admin_calendar_load(:id, :year, cast(:seen as jsonb), cast(:days as date[]), cast(:working as boolean[]),
                                                      cast(:kinds as text[]), cast(:names as text[]), :origin)""",
                id, year=year, seen=seen, origin=origin, **calendars.columns(days))


def calendar_recompute(conn: Connection, *, key: str, id: int) -> Done:
    """Compute the provisional limits of a calendar once more; n = how many complaints had one."""
    _slowly(conn)
    return _act(conn, key, "calendar_recompute", "select admin_calendar_recompute(:id)", id)


# -- units ----------------------------------------------------------------------------------------------------------

def units(conn: Connection) -> pd.DataFrame:
    """The whole tree in its order: unit_id, parent_id, kind, code, name, name_en, short, short_en, level, outlets, customers, focus, accepts, active, below
    (units below it), contacts (how many)."""
    return pd.read_sql_query(text("""
        select u.unit_id, u.parent_id, u.kind, u.code, u.name, u.name_en, u.short, u.short_en, u.level, u.outlets, u.customers, u.focus, u.accepts, u.active,
               (select count(*) from unit b where b.parent_id = u.unit_id) as below, (select count(*) from unit_contact k where k.unit_id = u.unit_id) as contacts
          from unit u order by u.label"""), conn)


def unit(conn: Connection, unit_id: int) -> dict | None:
    """A unit as its forms read it: parent_id, kind, code, name, name_en, short, short_en, outlets, customers, focus, accepts, active, source_id,
    contacts {"1": {name, phone, email, webhook}, …}: first and second contact, responsible leader."""
    return conn.execute(text("select unit_state(:id)"), {"id": unit_id}).scalar()


def moves(conn: Connection, few: int = 20) -> pd.DataFrame:
    """The latest moves in the tree: unit_id, parent_from, parent_to, at, who."""
    return pd.read_sql_query(text("select * from admin_moves(:few)"), conn, params={"few": few})


def unit_set(conn: Connection, *, key: str, id: int, seen: dict, new: dict) -> Done:
    """Change a unit: any of what `unit` gives but its parent; a contact without a name goes. Refused: no_name, code_taken, bad_number, no_contact_name, bad_email,
    bad_webhook, units_below (n) or open_complaints (n) when it is switched off, changed_meanwhile, nothing_changed, not_there."""
    for contact in (new.get("contacts") or {}).values():
        if (contact or {}).get("webhook") and not reachable(contact["webhook"]):
            raise Refused("bad_webhook")
    return _act(conn, key, "unit_set", "select admin_unit_set(:id, cast(:seen as jsonb), cast(:new as jsonb), :sorted)", id, seen=seen, new=new, sorted=_sort_key(new))


def unit_add(conn: Connection, *, key: str, parent: int | None, new: dict) -> Done:
    """A new unit below another. Refused: no_name, code_taken, bad_number, bad_parent, too_deep."""
    return _act(conn, key, "unit_add", "select admin_unit_add(:parent, cast(:new as jsonb), :sorted)", parent=parent, new=new, sorted=_sort_key(new))


def move_preview(conn: Connection, *, id: int, parent: int) -> dict:
    """What a move would do, without doing it: units (that stand elsewhere), complaints (that have another place). Refused: bad_parent, a_root, too_deep, no_room."""
    return _asked(conn, "select admin_unit_move_preview(:id, :parent)", {"id": id, "parent": parent})


def unit_move(conn: Connection, *, key: str, id: int, seen: dict, parent: int) -> Done:
    """Move a unit with all below it; n = complaints that have another place. Refused as in the preview, and changed_meanwhile."""
    _slowly(conn)
    return _act(conn, key, "unit_move", "select admin_unit_move(:id, cast(:seen as jsonb), :parent)", id, seen=seen, parent=parent)


def _sort_key(new: Mapping) -> str | None:
    name = new.get("short") or new.get("name")
    return " ".join(lazy_pinyin(name)) if name else None


def reachable(url: str) -> bool:
    """Whether messages may be sent there: https, a host, and none that means this machine or its own network link, however it is written. The database
    says the same (webhook_ok); what a name means is looked up when a message is sent."""
    try:
        parts = urlsplit(url)
        host, _ = (parts.hostname or "").rstrip("."), parts.port
    except ValueError:
        return False
    if parts.scheme != "https" or not host or "@" in parts.netloc or re.search(r"[\s\x00-\x1f]", url):
        return False
    if host == "localhost" or host.endswith((".localhost", ".localdomain")) or host.startswith("ip6-"):
        return False
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        try:
            address = ipaddress.ip_address(socket.inet_aton(host))           # 2130706433, 0x7f.1, 0177.0.0.1
        except OSError:
            return True
    address = getattr(address, "ipv4_mapped", None) or address
    return not (address.is_loopback or address.is_link_local or address.is_unspecified or address.is_multicast)


# -- sources --------------------------------------------------------------------------------------------------------

def sources(conn: Connection) -> pd.DataFrame:
    """Every source: source_id, name, tz, pack, demo, seen_at, complaints, file, finished_at and rows of its last import, quarantined."""
    return pd.read_sql_query(text("select * from admin_sources()"), conn)


def source(conn: Connection, source_id: int) -> dict | None:
    """A source as its form reads it: name, tz, pack."""
    return conn.execute(text("select source_state(:id)"), {"id": source_id}).scalar()


def source_set(conn: Connection, *, key: str, id: int, seen: dict, new: dict) -> Done:
    """Rename a source; its zone and pack only while it has no complaints. Refused: no_name, name_taken, has_complaints, bad_zone, bad_pack, changed_meanwhile,
    nothing_changed, not_there."""
    return _act(conn, key, "source_set", "select admin_source_set(:id, cast(:seen as jsonb), cast(:new as jsonb))", id, seen=seen, new=new)
