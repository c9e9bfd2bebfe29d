"""Who signs in: passwords (argon2id), sessions that can be ended, set-up links. What a browser or a link holds is a random
token; the database keeps its sha256 only. All through the login ``desk_gate``, which may call these functions and read nothing.
"""
import json
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
from sqlalchemy.exc import DBAPIError

from queries import acts
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
    token = fresh()
    _ask(urls, "select session_begin(:id, :token, :how, :address, :idle, :lasting)", id=user_id, token=digest(token), how=how,
         address=address, idle=idle, lasting=lasting)
    return token


def find(urls: dict[str, str], token: str) -> Session | None:
    """The live session of this token; None where it ended, ran out, or the account was disabled."""
    row = _ask(urls, "select * from session_find(:token)", token=digest(token))
    return Session(**row._mapping) if row else None


def attempt(urls: dict[str, str], state: str, browser: str, *, nonce: str, verifier: str, to: str) -> None:
    """Note down that this browser is on its way to an identity provider."""
    _ask(urls, "select attempt_begin(:state, :browser, :nonce, :verifier, :to)", state=digest(state), browser=digest(browser), nonce=nonce, verifier=verifier, to=to)


def take_attempt(urls: dict[str, str], state: str, browser: str) -> Row | None:
    """(nonce, verifier, next) of an attempt of this browser: once, within ten minutes; else None."""
    return _ask(urls, "select * from attempt_take(:state, :browser)", state=digest(state), browser=digest(browser))


def federated(urls: dict[str, str], issuer: str, subject: str) -> int | None:
    """The id of the account that this identity was linked with, None where there is none that may sign in."""
    row = _ask(urls, "select user_id from federated_account(:issuer, :subject)", issuer=issuer, subject=subject)
    return row.user_id if row else None


def proxied(urls: dict[str, str], login: str) -> int | None:
    """The id of the account that the proxy names, None where there is none that may sign in."""
    row = _ask(urls, "select user_id from proxy_account(:login)", login=login)
    return row.user_id if row else None


def refused(urls: dict[str, str], how: str, why: str, address: str) -> None:
    """Leave a trace of somebody who was not let in: by which way and why (a code), from where."""
    _ask(urls, "select sign_in_refused(:how, :why, :address)", how=how, why=why, address=address)


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


def fresh() -> str:
    """A new token, for a link or a session."""
    return secrets.token_urlsafe(32)


def invite(conn: Connection, login: str) -> str:
    """The token of a link with which this account sets its password once, within a day; earlier links of it stop working.

    As the schema's owner (the command line). Raises LookupError for an unknown, disabled or built-in account.
    """
    token = fresh()
    try:
        conn.execute(text("select link_make((select user_id from app_user where login = :login), :token, :for)"),
                     {"login": login, "token": digest(token), "for": LINK})
    except DBAPIError as error:
        if acts.refusal(error) is None:
            raise
        raise LookupError(login) from None
    return token


def add(conn: Connection, *, login: str, name: str, role: str, unit: int | None = None, sees_restricted: bool = False) -> None:
    """A new account with one subtree, or every unit where `unit` is None. As the schema's owner. Raises ValueError for what is not taken."""
    try:
        conn.execute(text("select user_add(cast(:new as jsonb))"), {"new": json.dumps(
            {"login": login, "name": name, "role": role, "all_units": unit is None, "units": [unit] if unit is not None else [], "sees_restricted": sees_restricted})})
    except DBAPIError as error:
        why = {"bad_login": f"a login is 2 to 63 of a–z, 0–9, . _ @ -, not {login!r}", "login_taken": f"the login {login} is taken", "no_unit": f"there is no unit {unit}",
               "not_restricted": "financial-crime reports are for discipline and named supervisors", "no_name": "a name has 1 to 60 characters"}
        refused = acts.refusal(error)
        if refused is None or refused.code not in why:
            raise
        raise ValueError(why[refused.code]) from None


def enable(conn: Connection, login: str, active: bool) -> None:
    """Let an account in or keep it out, from its next click on; disabling ends its sessions. As the schema's owner. Raises LookupError."""
    found = conn.execute(text("select user_id, active from app_user where login = :login and not builtin"), {"login": login}).one_or_none()
    if found is None:
        raise LookupError(login)
    if found.active != active:
        conn.execute(text("select user_enable(:id, :on)"), {"id": found.user_id, "on": active})


def identify(conn: Connection, login: str, issuer: str, subject: str) -> None:
    """Link an account with an identity of a provider. As the schema's owner. Raises LookupError for no account, ValueError for an identity in use."""
    user_id = conn.execute(text("select user_id from app_user where login = :login and not builtin"), {"login": login}).scalar()
    if user_id is None:
        raise LookupError(login)
    made = conn.execute(text("insert into federated_identity (issuer, subject, user_id) values (:i, :s, :u) on conflict do nothing returning user_id"),
                        {"i": issuer, "s": subject, "u": user_id}).scalar()
    if made is None:
        raise ValueError("this identity is linked with an account already")
    _note(conn, "identity_linked", login, issuer)


def forget_identities(conn: Connection, login: str) -> int:
    """Unlink an account from every identity; its sessions that came by one end. As the schema's owner. Raises LookupError."""
    user_id = conn.execute(text("select user_id from app_user where login = :login and not builtin"), {"login": login}).scalar()
    if user_id is None:
        raise LookupError(login)
    gone = conn.execute(text("delete from federated_identity where user_id = :u"), {"u": user_id}).rowcount
    conn.execute(text("update session set ended_at = clock_timestamp(), ended_by = 'unlinked' where user_id = :u and how = 'oidc' and ended_at is null"), {"u": user_id})
    _note(conn, "identity_unlinked", login, "")
    return gone


def _note(conn: Connection, act: str, login: str, issuer: str) -> None:
    conn.execute(text("""insert into audit (user_id, act, params) values (null, :act,
        jsonb_strip_nulls(jsonb_build_object('login', cast(:login as text), 'issuer', nullif(:issuer, ''))))"""), {"act": act, "login": login, "issuer": issuer})


def everybody(conn: Connection) -> list[Row]:
    """(login, name, role, active, demo, has_password) of every account that is not built in, by login. As the schema's owner."""
    return conn.execute(text("""select u.login, u.name, u.role, u.active, u.demo, k.user_id is not null as has_password
                                  from app_user u left join credential k using (user_id) where not u.builtin order by u.login""")).all()
