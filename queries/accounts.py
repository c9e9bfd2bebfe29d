"""Who signs in: passwords (argon2id), sessions that can be ended, set-up links. What a browser or a link holds is a random
token; the database keeps its sha256 only. All through the login ``desk_gate``, which may call these functions and read nothing.
"""
import re
import secrets
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from hashlib import sha256
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import Connection, Row, text

from queries.db import engine

IDLE, LASTING = timedelta(minutes=30), timedelta(hours=8)
LINK = timedelta(hours=24)
SHORTEST, LONGEST = 12, 200     # characters of a password: length, not kinds of characters (NIST SP 800-63B 5.1.1.2)
_hasher = PasswordHasher()      # argon2-cffi's default: RFC 9106, low memory


class WeakPassword(ValueError):
    """A password is not taken; the text is the key of why: ``short``, ``long``, ``login`` or ``plain``."""


class Blocked(Exception):
    """Too many failures of this account or from this address; to be tried again in five minutes."""


@dataclass(frozen=True)
class Session:
    """A live session, as the gate hands it on."""

    session_id: int
    login: str
    how: str
    user_id: int


def _ask(urls: dict[str, str], statement: str, **params: Any) -> Row | None:
    with engine(urls["desk_gate"]).begin() as conn:
        return conn.execute(text(statement), params).one_or_none()


def digest(token: str) -> bytes:
    """What the database keeps of a token."""
    return sha256(token.encode()).digest()


@cache
def _nobody() -> str:
    """A hash to check against where there is no account, so that an unknown name takes as long as a known one."""
    return _hasher.hash(secrets.token_urlsafe(16))


def check_password(urls: dict[str, str], login: str, password: str, address: str) -> int | None:
    """The account's id where name and password are right, else None. Raises Blocked before it looks at either."""
    if _ask(urls, "select sign_in_blocked(:login, :address)", login=login, address=address)[0]:
        raise Blocked(login)
    found = _ask(urls, "select * from sign_in_account(:login)", login=login)
    if _is(found.hash if found else _nobody(), password) and found is not None:
        if _hasher.check_needs_rehash(found.hash):
            with engine(urls["desk_gate"]).begin() as conn:
                conn.execute(text("select password_rehash(:id, :hash)"), {"id": found.user_id, "hash": _hasher.hash(password)})
        return found.user_id
    _ask(urls, "select sign_in_failed(:login, :address)", login=login, address=address)
    return None


def _is(hashed: str, password: str) -> bool:
    try:
        return _hasher.verify(hashed, password[:LONGEST])
    except (VerificationError, InvalidHashError):
        return False


def demo(urls: dict[str, str], login: str) -> int:
    """The id of one of the demo's accounts. Raises LookupError for any other."""
    row = _ask(urls, "select user_id from demo_account(:login)", login=login)
    if row is None:
        raise LookupError(login)
    return row.user_id


def begin(urls: dict[str, str], user_id: int, how: str, address: str, *, idle: timedelta = IDLE, lasting: timedelta = LASTING) -> str:
    """The token of a new session; `how` is password, oidc, proxy or demo. Raises sqlalchemy.exc.DBAPIError for an account that may not."""
    token = secrets.token_urlsafe(32)
    _ask(urls, "select session_begin(:id, :token, :how, :address, :idle, :lasting)", id=user_id, token=digest(token), how=how,
         address=address, idle=idle, lasting=lasting)
    return token


def find(urls: dict[str, str], token: str) -> Session | None:
    """The live session of this token; None where it ended, ran out, or the account was disabled."""
    row = _ask(urls, "select * from session_find(:token)", token=digest(token))
    return Session(**row._mapping) if row else None


def end(urls: dict[str, str], token: str, why: str = "sign_out") -> None:
    """End the session: the token is worth nothing from now on."""
    _ask(urls, "select session_end(:token, :why)", token=digest(token), why=why)


def set_password(urls: dict[str, str], user_id: int, login: str, password: str, keep: str) -> None:
    """A new password; every session of the account but the one of the token `keep` ends. Raises WeakPassword."""
    _ask(urls, "select password_set(:id, :hash, :kept)", id=user_id, hash=hashed(login, password), kept=digest(keep))


def link(urls: dict[str, str], token: str) -> Row | None:
    """(user_id, login, name) of a set-up link that still holds."""
    return _ask(urls, "select * from link_find(:token)", token=digest(token))


def use_link(urls: dict[str, str], token: str, login: str, password: str) -> int | None:
    """Set the first password by a link, which is used up by it: the account's id, None where it no longer holds. Raises WeakPassword."""
    return _ask(urls, "select link_use(:token, :hash)", token=digest(token), hash=hashed(login, password))[0]


def hashed(login: str, password: str) -> str:
    """The argon2id hash of an acceptable password. Raises WeakPassword."""
    if len(password) < SHORTEST:
        raise WeakPassword("short")
    if len(password) > LONGEST:
        raise WeakPassword("long")
    if login.lower() in password.lower():
        raise WeakPassword("login")
    if len(set(password)) < 5 or re.fullmatch(r"(.{1,4})\1+", password):
        raise WeakPassword("plain")
    return _hasher.hash(password)


def invite(conn: Connection, login: str) -> str:
    """The token of a link with which this account sets its password once, within a day; earlier links of it stop working.

    As the schema's owner (the command line). Raises LookupError for an unknown, disabled or built-in account.
    """
    user_id = conn.execute(text("select user_id from app_user where login = :login and active and not builtin"), {"login": login}).scalar()
    if user_id is None:
        raise LookupError(login)
    token = secrets.token_urlsafe(32)
    conn.execute(text("delete from set_up_link where user_id = :id"), {"id": user_id})
    conn.execute(text("insert into set_up_link (token, user_id, ends_at) values (:token, :id, clock_timestamp() + :for)"),
                 {"token": digest(token), "id": user_id, "for": LINK})
    conn.execute(text("insert into audit (user_id, act, params) values (null, 'invite', jsonb_build_object('login', cast(:login as text)))"),
                 {"login": login})
    return token


def add(conn: Connection, *, login: str, name: str, role: str, unit: int | None = None, sees_restricted: bool = False) -> None:
    """A new account with one subtree, or every unit where `unit` is None. As the schema's owner. Raises ValueError for a bad or taken login."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9._@-]{1,62}", login):
        raise ValueError(f"a login is 2 to 63 of a–z, 0–9, . _ @ -, not {login!r}")
    made = conn.execute(text("""insert into app_user (login, name, role, all_units, sees_restricted)
        values (:login, :name, :role, :whole, :crime) on conflict (login) do nothing returning user_id"""),
        {"login": login, "name": name, "role": role, "whole": unit is None, "crime": sees_restricted}).scalar()
    if made is None:
        raise ValueError(f"the login {login} is taken")
    if unit is not None:
        conn.execute(text("insert into user_scope (user_id, unit_id) values (:user, :unit)"), {"user": made, "unit": unit})
    conn.execute(text("""insert into audit (user_id, act, params) values (null, 'user_added',
        jsonb_build_object('login', cast(:login as text), 'role', cast(:role as text), 'unit', cast(:unit as int)))"""),
        {"login": login, "role": role, "unit": unit})


def enable(conn: Connection, login: str, active: bool) -> None:
    """Let an account in or keep it out, from its next click on; disabling ends its sessions. Raises LookupError."""
    user_id = conn.execute(text("update app_user set active = :on where login = :login and not builtin returning user_id"),
                           {"on": active, "login": login}).scalar()
    if user_id is None:
        raise LookupError(login)
    if not active:
        conn.execute(text("update session set ended_at = clock_timestamp(), ended_by = 'disabled' where user_id = :id and ended_at is null"), {"id": user_id})
        conn.execute(text("delete from set_up_link where user_id = :id"), {"id": user_id})
    conn.execute(text("insert into audit (user_id, act, params) values (null, :act, jsonb_build_object('login', cast(:login as text)))"),
                 {"act": "user_enabled" if active else "user_disabled", "login": login})


def everybody(conn: Connection) -> list[Row]:
    """(login, name, role, active, demo, has_password) of every account that is not built in, by login. As the schema's owner."""
    return conn.execute(text("""select u.login, u.name, u.role, u.active, u.demo, k.user_id is not null as has_password
                                  from app_user u left join credential k using (user_id) where not u.builtin order by u.login""")).all()
