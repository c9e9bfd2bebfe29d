"""Settings: the environment, read once, as one frozen value.

`settings()` returns a `Settings`; a value that cannot be used raises `SettingsError`, which names the variable.
"""

import ipaddress
import os
import re
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from zoneinfo import ZoneInfo

from queries import replicas

REPOSITORY = Path(__file__).resolve().parent.parent
LANGUAGES = ("", "zh", "en")


class SettingsError(ValueError):
    """A setting cannot be used; the message says which, and what would do."""


@dataclass(frozen=True)
class Settings:
    """Everything the environment decides."""

    database_url: str | None  # DATABASE_URL, as psycopg2 wants it; None = the embedded server
    standbys: tuple[dict, ...]  # DATABASE_READ_URL: where streaming standbys are read from; none = the primary alone
    data: Path                # DASHBOARD_DATA: where this installation keeps its files
    port: int                 # DASHBOARD_PORT
    address: str              # DASHBOARD_ADDRESS: what to listen on
    hosts: tuple[str, ...]    # DASHBOARD_HOSTS: the names under which browsers may ask; loopback's where that is listened on
    proxies: tuple[str, ...]  # DASHBOARD_PROXIES: who is believed about the client's address and HTTPS; this machine where none is named
    idle: timedelta           # DASHBOARD_IDLE: minutes without a click after which a session ends
    lasting: timedelta        # DASHBOARD_SESSION: hours after which every session ends
    zone: str                 # DASHBOARD_ZONE: the institution's time zone
    pack: str                 # DASHBOARD_PACK: the sector's rules
    follow: float             # DASHBOARD_FOLLOW: within so many seconds pages show what was committed; 0 = not by themselves
    oidc: tuple[str, str, str, str, str] | None   # DASHBOARD_OIDC_ISSUER, _CLIENT_ID, _CLIENT_SECRET, _NAME, and our own address DASHBOARD_PUBLIC_URL
    proxy: tuple[str, str] | None   # DASHBOARD_PROXY_SECRET, DASHBOARD_PROXY_HEADER: a reverse proxy says who it is
    language: str             # DASHBOARD_LANGUAGE: "zh", "en", or "" = from the browser


@lru_cache(maxsize=1)
def settings() -> Settings:
    """The settings of this process. Raises SettingsError."""
    address = _matching("DASHBOARD_ADDRESS", "127.0.0.1", r"[\w.:%-]+", "an address or host name without spaces")
    return Settings(
        database_url=_database_url(_value("DATABASE_URL", "")),
        standbys=_standbys(_value("DATABASE_READ_URL", "")),
        data=Path(_value("DASHBOARD_DATA", str(REPOSITORY / ".data"))).expanduser().absolute(),
        port=_port(_value("DASHBOARD_PORT", "8501")),
        address=address,
        hosts=_hosts(_value("DASHBOARD_HOSTS", ""), address),
        proxies=_proxies(_value("DASHBOARD_PROXIES", "127.0.0.1 ::1")),
        idle=timedelta(minutes=_whole("DASHBOARD_IDLE", "30", 1440)),
        lasting=timedelta(hours=_whole("DASHBOARD_SESSION", "8", 168)),
        zone=_zone(_value("DASHBOARD_ZONE", "Asia/Shanghai")),
        pack=_matching("DASHBOARD_PACK", "bank", r"[a-z][a-z0-9_]*", "the name of a pack, such as bank"),
        follow=_seconds(_value("DASHBOARD_FOLLOW", "2")),
        oidc=_oidc(),
        proxy=_proxy(),
        language=_language(_value("DASHBOARD_LANGUAGE", "")),
    )


def here() -> str:
    """The address under which a browser asks, as far as the settings know it."""
    return f"http://{settings().hosts[0]}:{settings().port}"


def _value(name: str, default: str) -> str:
    """An empty variable counts as not set: that is how compose files and CI spell "default"."""
    return os.environ.get(name, "").strip() or default


def _matching(name: str, default: str, pattern: str, wanted: str) -> str:
    value = _value(name, default)
    if not re.fullmatch(pattern, value):
        raise SettingsError(f"{name} must be {wanted}, not {value!r}.")
    return value


def _secret(name: str) -> str:
    """A secret from the variable, or from the file that NAME_FILE names (so that no list of processes shows it)."""
    file = _value(f"{name}_FILE", "")
    try:
        return Path(file).read_text("utf-8").strip() if file else _value(name, "")
    except OSError as error:
        raise SettingsError(f"{name}_FILE cannot be read: {error.strerror}.") from None


def _oidc() -> tuple[str, str, str, str, str] | None:
    given = {name: _value(f"DASHBOARD_{name}", "") for name in ("OIDC_ISSUER", "OIDC_CLIENT_ID", "PUBLIC_URL")}
    given["OIDC_CLIENT_SECRET"] = _secret("DASHBOARD_OIDC_CLIENT_SECRET")
    if not any(given.values()):
        return None
    missing = [f"DASHBOARD_{name}" for name, value in given.items() if not value]
    if missing:
        raise SettingsError(f"Sign-in by an identity provider also needs {', '.join(missing)}.")
    for name in ("OIDC_ISSUER", "PUBLIC_URL"):
        local = re.match(r"http://(127\.0\.0\.1|localhost|\[::1\])(:\d+)?(/|$)", given[name])
        if not given[name].startswith("https://") and not local:
            raise SettingsError(f"DASHBOARD_{name} must be an address that begins with https://, not {given[name]!r}.")
    return (given["OIDC_ISSUER"], given["OIDC_CLIENT_ID"], given["OIDC_CLIENT_SECRET"], _value("DASHBOARD_OIDC_NAME", "OpenID Connect"), given["PUBLIC_URL"].rstrip("/"))


def _proxy() -> tuple[str, str] | None:
    secret, header = _secret("DASHBOARD_PROXY_SECRET"), _value("DASHBOARD_PROXY_HEADER", "")
    if not secret and not header:
        return None
    if len(secret) < 32 or not re.fullmatch(r"[A-Za-z0-9-]{3,60}", header):
        raise SettingsError("A reverse proxy needs DASHBOARD_PROXY_SECRET, of 32 characters or more, and DASHBOARD_PROXY_HEADER, the name of the header with the login.")
    return secret, header.lower()


def _hosts(value: str, address: str) -> tuple[str, ...]:
    names = tuple(value.lower().split())
    if not all(re.fullmatch(r"[a-z0-9.-]+|\[[0-9a-f:]+\]", name) for name in names):
        raise SettingsError(f"DASHBOARD_HOSTS must be host names with spaces between them, without ports, not {value!r}.")
    if not names and address in ("0.0.0.0", "::"):
        raise SettingsError(f"DASHBOARD_HOSTS must say under which names browsers ask, where DASHBOARD_ADDRESS is {address}.")
    return names or (("127.0.0.1", "localhost", "[::1]") if on_loopback(address) else (address.lower(),))


def _proxies(value: str) -> tuple[str, ...]:
    try:
        return tuple(str(ipaddress.ip_network(one)) if "/" in one else str(ipaddress.ip_address(one)) for one in value.split())
    except ValueError:
        raise SettingsError(f"DASHBOARD_PROXIES must be addresses or networks with spaces between them, not {value!r}.") from None


def only_here(address: str, hosts: tuple[str, ...]) -> bool:
    """Whether only this machine can ask: by the address listened on, and by the names, which a proxy would serve to others."""
    return on_loopback(address) and all(on_loopback(host.strip("[]")) for host in hosts)


def on_loopback(address: str) -> bool:
    """Whether only this machine reaches what listens on this address."""
    try:
        return address == "localhost" or ipaddress.ip_address(address).is_loopback
    except ValueError:                                   # a host name
        return False


def _whole(name: str, default: str, most: int) -> int:
    value = _value(name, default)
    if not (value.isascii() and value.isdigit() and 1 <= int(value) <= most):
        raise SettingsError(f"{name} must be a whole number from 1 to {most}, not {value!r}.")
    return int(value)


def _database_url(value: str) -> str | None:
    if not value:
        return None
    scheme, _, rest = value.partition("://")
    # A bare postgresql:// would be read as psycopg 3. The value may hold a password: never repeat it.
    if scheme not in ("postgres", "postgresql", "postgresql+psycopg2") or not rest:
        raise SettingsError("DATABASE_URL must look like postgresql://user:password@host:5432/database.")
    return f"postgresql+psycopg2://{rest}"


def _standbys(value: str) -> tuple[dict, ...]:
    try:
        return tuple(replicas.servers(value.replace("postgresql+psycopg2://", "postgresql://", 1))) if value else ()
    except replicas.BadUrl as error:
        raise SettingsError(f"DATABASE_READ_URL must look like postgresql://host1:5432,host2:5432/database: {error}.") from None


def _port(value: str) -> int:
    if not (value.isascii() and value.isdigit() and 1 <= int(value) <= 65535):
        raise SettingsError(f"DASHBOARD_PORT must be a number from 1 to 65535, not {value!r}.")
    return int(value)


def _seconds(value: str) -> float:
    if not re.fullmatch(r"[0-9]{1,4}(\.[0-9]+)?", value, re.ASCII) or 0 < float(value) < 1 or float(value) > 3600:
        raise SettingsError(f"DASHBOARD_FOLLOW must be seconds from 1 to 3600, or 0 for never, not {value!r}.")
    return float(value)


def _zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ValueError, OSError, LookupError):  # unknown, malformed, or a folder of the zone database
        raise SettingsError(f"DASHBOARD_ZONE must be a time zone such as Asia/Shanghai, not {value!r}.") from None
    return value


def _language(value: str) -> str:
    if value not in LANGUAGES:
        raise SettingsError(f"DASHBOARD_LANGUAGE must be zh or en, or empty for the browser's language, not {value!r}.")
    return value
