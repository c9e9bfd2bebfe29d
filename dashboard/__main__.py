"""The command line: `python -m dashboard --help`. Everything that is not a page."""
import argparse
import csv
import json
import os
import subprocess
import sys
from datetime import date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pandas as pd
import psycopg2
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from dashboard import periods                                             # noqa: E402
from dashboard.settings import REPOSITORY, SettingsError, here, settings      # noqa: E402
from queries import accounts, audit, backup, calendars, clocks, complaints, connect, db, figures, intake, quality, setup   # noqa: E402
from queries.viewer import Role, Viewer                                         # noqa: E402

BASES = ("received", "due", "closed")
THIS = {f"this_{kind}": kind for kind in ("week", "half_month", "month", "quarter", "year")}       # as people say it
PERIODS = tuple(code for code in periods.CODES if code != "custom")
# The keys of a group in `figures`, in the order of the contract (product.md §9); the other rates follow.
FIRST = ("group", "received", "on_time", "late", "open_not_due", "due_soon", "overdue", "excluded", "no_limit",
         "compliance", "compliance_num", "compliance_den", "source_on_time", "days_median", "days_p90", "satisfaction",
         "answered")


def main(argv: list[str] | None = None) -> int:
    """Run one command; 0, or 1 with a sentence on standard error."""
    args = _parser().parse_args(argv)
    os.environ.setdefault("PGCONNECT_TIMEOUT", "3")      # libpq's own: whoever connects, an absent server is said soon
    try:
        return args.run(args) or 0
    except db.NotAllowed as error:
        print(f"There is no active account {error}.", file=sys.stderr)
    except (SettingsError, intake.MappingError, intake.ReadError, backup.BackupError, calendars.CalendarError, clocks.ClockError,
            UserError) as error:
        print(error, file=sys.stderr)
    except (DBAPIError, psycopg2.Error) as error:
        print(_database_says(error), file=sys.stderr)
    except BrokenPipeError:                                  # `… | head`: nobody reads on
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        print("Stopped; nothing half done is left.", file=sys.stderr)
    return 1


def _database_says(error: Exception) -> str:
    """One sentence of a failure of the database."""
    cause = getattr(error, "orig", None) or error
    line = (str(cause).strip() or type(cause).__name__).splitlines()[0].rstrip(".")
    if isinstance(cause, psycopg2.errors.QueryCanceled):
        return f"The database gave up: {line}."
    if isinstance(cause, (psycopg2.OperationalError, psycopg2.InterfaceError)):
        return f"The database does not answer: {line}."
    return f"The database refused: {line}."


class UserError(Exception):
    """A mistake in what was asked, in one sentence."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m dashboard",
                                     description="A supervision desk over a shared complaint database.")
    add = parser.add_subparsers(required=True, metavar="COMMAND").add_parser

    p = add("run", help="start everything and open the app (make run)")
    p.add_argument("--no-demo", action="store_true", help="leave an empty database empty")
    p.set_defaults(run=run)
    p = add("bench", help="measure the desk on a bank of its own (make bench)")
    p.add_argument("--size", choices=("500k", "5m"), default="500k")
    p.set_defaults(run=bench)
    p = add("setup", help="bring the database up: migrations, packs, calendar, logins")
    p.add_argument("--logins", nargs="?", const="", metavar="HOST:PORT", help="print the settings of the four logins, for processes that do not know "
                   "the administrator; HOST:PORT: by way of a pooler there")
    p.set_defaults(run=set_up)
    add("stop", help="stop the embedded PostgreSQL").set_defaults(run=stop)
    p = add("demo", help="load the demo bank")
    p.add_argument("--complaints", type=int, default=120_000)
    p.add_argument("--seed", type=int, default=20260309)
    p.set_defaults(run=demo)

    p = add("simulate", help="let the demo bank go on living: complaints come in, move, are answered",
            description="Writes into the demo bank what an intake system would write now, through the database login "
                        "desk_intake alone, and refuses any other database. Ctrl-C ends it between two changes.")
    p.add_argument("--rate", type=float, default=1, metavar="N", help="changes a second, up to 1000 (default: 1)")
    p.add_argument("--minutes", type=float, metavar="M", help="stop after so long; default: go on until Ctrl-C")
    p.add_argument("--seed", type=int, default=None, help="for the same choices again")
    p.set_defaults(run=simulate)

    p = add("import", help="import complaints from a file or a database")
    p.add_argument("file", nargs="?", help="CSV (gzipped too) or XLSX")
    p.add_argument("--mapping", required=True, help="TOML, see docs/mappings/README.md")
    p.add_argument("--source-url", help="SQLAlchemy URL; the mapping's query is run there")
    p.add_argument("--dry-run", action="store_true", help="say what would happen, change nothing")
    p.set_defaults(run=import_)
    p = add("quarantine", help="rows that did not land: line, column, value, reason")
    p.add_argument("--source")
    p.add_argument("--format", choices=("csv", "json", "table"), default="table")
    p.set_defaults(run=quarantine)

    p = add("figures", help="the indicators by group, from the queries that the pages use")
    _period(p)
    p.add_argument("--by", choices=("unit", "parent_unit", "category", "channel", "month"), default=None)
    p.add_argument("--basis", choices=BASES, default="received",
                   help="cohort of the seven counts (default: received); every rate keeps its own")
    p.add_argument("--format", choices=("csv", "json", "table"), default="table")
    p.set_defaults(run=figures_)
    p = add("complaints", help="the complaints behind a figure of the catalogue")
    _period(p)
    p.add_argument("--code", default="backlog", help="code of the indicator (docs/indicators.md); default: backlog")
    p.add_argument("--part", choices=("den", "num", "rest"), default="den")
    p.add_argument("--format", choices=("csv", "json", "table"), default="table")
    p.set_defaults(run=complaints_)
    p = add("due", help="target and limit of a complaint, with the rule and the day-by-day trace")
    p.add_argument("--pack", default="bank")
    p.add_argument("--category", required=True)
    p.add_argument("--channel", default=None)
    p.add_argument("--clock", default="r",
                   help="r reply (default), d dispatch, w verify a withdrawal, o redo, u sign for an urge")
    p.add_argument("--received", required=True,
                   help="2025-09-26T10:00, in the office's time zone unless it says another")
    p.add_argument("--format", choices=("json", "table"), default="table")
    p.set_defaults(run=due)

    p = add("calendar", help="years of the calendars; --load publishes a year and recomputes provisional limits")
    p.add_argument("--load", metavar="FILE", help="CSV date,is_workday,kind,name: one whole year")
    p.add_argument("--code", default="CN")
    p.add_argument("--zone", default=None)
    p.set_defaults(run=calendar)
    p = add("check", help="rebuild from the raw rows and compare")
    p.add_argument("what", choices=("spans", "ledger", "rollups"))
    p.add_argument("--rebuild", action="store_true", help="rollups: count everything anew first")
    p.set_defaults(run=check)
    add("worker", help="fold what was touched into the roll-ups, beside the desk or on a machine of its own; Ctrl-C ends it").set_defaults(run=work)
    add("indicators", help="the catalogue as Markdown: docs/indicators.md").set_defaults(run=indicators_)
    p = add("users", help="the accounts: list, add, invite, disable, enable")
    p.set_defaults(run=users)
    p.add_argument("what", nargs="?", choices=("list", "add", "invite", "disable", "enable", "link", "unlink"), default="list",
                   help="invite prints a link with which the account sets its password, once and within a day")
    p.add_argument("login", nargs="?", help="the account; all but list need it")
    p.add_argument("--name", help="add: the person's name")
    p.add_argument("--role", choices=[role for role in Role if role != Role.intake], help="add: the role")
    p.add_argument("--issuer", help="link: the identity provider; default: DASHBOARD_OIDC_ISSUER")
    p.add_argument("--subject", help="link: the account's subject (sub) there")
    p.add_argument("--unit", type=int, metavar="ID", help="add: the subtree of this unit only; default: every unit")
    p.add_argument("--restricted", action="store_true", help="add: sees financial-crime reports as well")
    p = add("backup", help="everything into one file, as of one moment")
    p.add_argument("file", type=Path)
    p.set_defaults(run=backup_)
    p = add("restore", help="such a file into an empty database, with roles and logins")
    p.add_argument("file", type=Path)
    p.set_defaults(run=restore_)
    p = add("audit", help="verify the chain of the audit; print an anchor of it to keep elsewhere")
    p.add_argument("what", choices=("verify", "anchor"))
    p.add_argument("--anchor", metavar="NUMBER:HASH", help="verify: what `audit anchor` printed before")
    p.set_defaults(run=audit_)
    return parser


def _period(p: argparse.ArgumentParser) -> None:
    p.add_argument("--as-of", metavar="T",
                   help="moment T; naive = in the zone of --source, else the office's; default: now")
    p.add_argument("--period", metavar="P", help=f"{', '.join(PERIODS)}; also {', '.join(THIS)}")
    p.add_argument("--from", dest="start", metavar="DAY", help="first day, such as 2026-03-02")
    p.add_argument("--to", dest="end", metavar="DAY", help="last day, included")
    p.add_argument("--source", help="only this source")
    p.add_argument("--viewer", default="service", help="whose eyes; default: the built-in account")


def _urls() -> dict[str, str]:
    s = settings()
    return connect.application(s.database_url, s.data, s.zone)


def _admin() -> str:
    s = settings()
    if connect.elsewhere(s.database_url):
        raise UserError("This needs the administrator: set DATABASE_URL.")
    return connect.administrator(s.database_url, s.data)


def set_up(args) -> None:
    urls = _urls()
    if args.logins is None:
        print("The database is up to date.")
        return
    host, _, port = args.logins.rpartition(":")
    if args.logins and not (host and port.isdigit()):
        raise UserError(f"--logins takes HOST:PORT, not {args.logins!r}.")
    for login, url in urls.items():
        print(f"{login.upper()}_URL={make_url(url).set(host=host, port=int(port), query={}).render_as_string(hide_password=False) if host else url}")


def stop(args) -> None:
    from queries import embedded
    embedded.stop(settings().data)
    print("The embedded PostgreSQL has stopped.")


def run(args) -> int:
    from streamlit.web import cli

    from dashboard import frames
    s = settings()
    urls = _urls()
    if not connect.elsewhere(s.database_url):
        if not args.no_demo and _empty(urls):
            _load_demo(120_000, 20260309)
        _first_administrator()
    os.environ["FORWARDED_ALLOW_IPS"] = ",".join(s.proxies)      # uvicorn's own: whose X-Forwarded-For and -Proto it believes
    frames.use()
    print(f"http://{s.address}:{s.port}")
    app = Path(__file__).with_name("server.py")
    sys.argv = ["streamlit", "run", str(app), "--server.address", s.address, "--server.port", str(s.port)]
    return cli.main(prog_name="streamlit")


def _empty(urls: dict[str, str]) -> bool:
    with db.reading(urls, db.viewer_of(urls, "service")) as conn:
        return quality.sources(conn, as_of=db.clock(conn)).empty


def demo(args) -> None:
    if not _empty(_urls()):
        raise UserError("The database is not empty: the demo bank is loaded into an empty one only.")
    _load_demo(args.complaints, args.seed)


def _load_demo(n: int, seed: int) -> None:
    from queries import demo as bank
    from queries import rollups
    started = datetime.now()
    bar = _Bar("Demo bank")
    counts = connect.as_owner(_admin(), bank.load, seed=seed, complaints=n,
                              progress=lambda done, total, what: bar(what, done, total))
    rollups.build(_admin())
    bar.end(f"{counts['complaint']:,} complaints in {(datetime.now() - started).total_seconds():.0f} s")


def simulate(args) -> int:
    import signal
    from threading import Event

    from queries.demo import simulate as living
    if not 0 < args.rate <= 1000:
        raise UserError("--rate must be more than 0 and at most 1000 changes a second.")
    if args.minutes is not None and not args.minutes > 0:
        raise UserError("--minutes must be more than 0.")
    urls, stop = _urls(), Event()
    try:
        account = db.viewer_of(urls, "intake")
        db.engine(urls["desk_app"]).dispose()                # from here on one connection, of desk_intake
        before = {one: signal.signal(one, lambda *_: stop.set()) for one in (signal.SIGINT, signal.SIGTERM)}
        try:
            done = living.run(urls, account, rate=args.rate, seconds=args.minutes and args.minutes * 60, seed=args.seed,
                              stop=stop, say=lambda line: print(line, flush=True))
        finally:
            for one, handler in before.items():
                signal.signal(one, handler)
    except living.NotDemo as error:
        raise UserError(str(error)) from None
    return 1 if done["failed"] else 0


class _Bar:
    """Progress on standard error: one line that is written again on a terminal, a line a step or tenth elsewhere."""

    def __init__(self, title: str):
        self.title, self.last = title, None

    def __call__(self, what: str, done: int, total: int | None = None) -> None:
        share = min(100, 100 * done // total) if total else None
        line = f"{self.title}: {what} {done:,}" + (f" {share:3} %" if share is not None else "")
        if sys.stderr.isatty():
            print(f"\r{line:<70}", end="", file=sys.stderr, flush=True)
        elif (step := (what, (share or 0) // 10)) != self.last:
            print(line, file=sys.stderr, flush=True)
            self.last = step

    def end(self, line: str) -> None:
        line = f"{self.title}: {line}"
        print(f"\r{line:<70}" if sys.stderr.isatty() else line, file=sys.stderr, flush=True)


def bench(args) -> int:
    """A process of its own: what measures the desk is no part of it."""
    return subprocess.run([sys.executable, "-m", "benchmarks", "--size", args.size], cwd=REPOSITORY).returncode


def import_(args) -> int:
    if bool(args.file) == bool(args.source_url):
        raise UserError("Give a FILE or --source-url, one of the two.")
    from queries.intake.land import land
    s = settings()
    mapping = intake.load(args.mapping, s.zone)
    urls = _urls()
    bar = _Bar(mapping.name)
    account = db.viewer_of(urls, "intake")
    with intake.open_source(args.source_url or args.file, mapping) as source:
        with db.writing(urls, account, timeout_ms=0) as conn:
            report = land(conn, source, mapping, now=db.clock(conn), pack=s.pack, dry_run=args.dry_run, progress=bar)
            if args.dry_run:
                conn.get_transaction().rollback()
    bar.end(f"{report.rows:,} rows" + (", a dry run: nothing is changed" if args.dry_run else ""))
    would = "would be " if args.dry_run else ""
    counts = ("added", "changed", "unchanged", "repeated", "quarantined", "marked", "conflicts")
    print(f"{report.file}: {report.rows:,} rows; {would}" + ", ".join(f"{c} {getattr(report, c):,}" for c in counts)
          + f"; new units {report.new_units:,}, new categories {report.new_categories:,}")
    if report.unused_columns:
        print("Columns that the mapping does not use: " + ", ".join(report.unused_columns))
    if report.quarantined and not args.dry_run:
        print(f"What did not land, and why: python -m dashboard quarantine --source {report.source}")
    return 0


def _viewer(urls: dict[str, str], args) -> Viewer:
    return db.viewer_of(urls, args.viewer)


def _source(conn, name: str | None):
    """The row of quality.sources() of this name, None where none is asked for; UserError where there is none."""
    if not name:
        return None
    known = quality.sources(conn, as_of=db.clock(conn)).set_index("name")
    if name not in known.index:
        raise UserError(f"There is no source {name!r}; there are: {', '.join(known.index) or 'none'}.")
    return known.loc[name]


def _window(conn, args) -> dict:
    """as_of, start, end (aware), zone and source id of what was asked; raises UserError with a sentence."""
    source = _source(conn, args.source)
    zone = settings().zone if source is None else source.tz
    tz = ZoneInfo(zone)
    as_of = _moment(args.as_of, tz) if args.as_of else db.clock(conn)
    window = {"as_of": as_of, "zone": zone, "source": None if source is None else int(source.source_id),
              **figures.NO_PERIOD}
    if args.period and (args.start or args.end):
        raise UserError("Give --period, or --from and --to, not both.")
    if args.period:
        period = periods.parse(THIS.get(args.period, args.period), None, None, as_of.astimezone(tz).date())
        if not period:
            raise UserError(f"There is no period {args.period!r}; there are: {', '.join((*PERIODS, *THIS))}; "
                            "or give --from and --to.")
        first, after = period.start, period.end
    else:
        first = _day(args.start) if args.start else None
        after = _day(args.end) + timedelta(days=1) if args.end else None
        if first and after and first >= after:
            raise UserError("--from lies after --to.")
    for key, day in (("start", first), ("end", after)):
        if day:
            window[key] = datetime.combine(day, time(), tz)
    return window


def _day(value: str) -> date:
    try:
        day = date.fromisoformat(value)
    except ValueError:
        day = None
    if day is None or not 1900 <= day.year < 2200:
        raise UserError(f"{value!r} is not a day from 1900 to 2199; write 2026-03-02.")
    return day


def _moment(value: str, tz: ZoneInfo) -> datetime:
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise UserError(f"{value!r} is not a moment; write 2026-03-09T08:30.") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=tz)


def figures_(args) -> None:
    urls = _urls()
    with db.reading(urls, _viewer(urls, args), timeout_ms=120_000) as conn:
        window = _window(conn, args)
        table = figures.figures(conn, by=args.by or "all", basis=args.basis, **window).reset_index()
    table = table[[*FIRST, *(c for c in table.columns if c not in FIRST)]]
    as_of = window["as_of"].astimezone(ZoneInfo(window["zone"])).isoformat()
    if args.format == "json":
        head = {"as_of": as_of, "zone": window["zone"], "basis": args.basis}
        print(_json(head | {"groups": _records(table)}))
    elif args.format == "csv":
        table.to_csv(sys.stdout, index=False)
    else:
        print(f"as of {as_of} ({window['zone']}), basis {args.basis}")
        shown = table[[*FIRST]].astype(object).map(
            lambda v: "–" if pd.isna(v) else round(v, 2) if isinstance(v, float) else v)
        print(shown.to_string(index=False))


def _records(table: pd.DataFrame) -> list[dict]:
    """The rows for JSON: what is not known is null, numbers are plain."""
    def plain(value: object) -> object:
        if pd.api.types.is_scalar(value) and pd.isna(value):
            return None
        return value.item() if hasattr(value, "item") else value
    return [{k: plain(v) for k, v in row.items()} for row in table.astype(object).to_dict("records")]


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1, default=lambda v: v.isoformat(), allow_nan=False)


def complaints_(args) -> None:
    from queries.indicators import CATALOGUE
    if args.code not in CATALOGUE:
        raise UserError(f"There is no indicator {args.code!r}; there are: {', '.join(CATALOGUE)}.")
    urls = _urls()
    with db.reading(urls, _viewer(urls, args), timeout_ms=120_000) as conn:
        window = _window(conn, args)
        table = complaints.listing(conn, args.code, part=args.part, limit=None, **window)
    for column in ("received_at", "due_at", "ended_at"):
        table[column] = pd.to_datetime(table[column], utc=True).dt.tz_convert(window["zone"])
    columns = ["complaint_no", "state", "counted", "received_at", "due_at", "ended_at", "days_used", "days_late",
               "unit", "charged", "about", "title"]
    _print(table[columns], args.format)


def _print(table: pd.DataFrame, format: str) -> None:
    if format == "csv":
        table.to_csv(sys.stdout, index=False, quoting=csv.QUOTE_MINIMAL)
    elif format == "json":
        print(_json(_records(table)))
    else:
        print(table.to_string(index=False) if len(table) else "none")


def quarantine(args) -> None:
    urls = _urls()
    with db.reading(urls, db.viewer_of(urls, "service")) as conn:
        _source(conn, args.source)
        table = quality.quarantine(conn, source=args.source)
    _print(table.rename(columns={"field": "column"}), args.format)


def due(args) -> None:
    from dashboard.due import format_due
    urls = _urls()
    zone = settings().zone
    with db.reading(urls, db.viewer_of(urls, "service")) as conn:
        answer = clocks.due(conn, pack=args.pack, category=args.category, channel=args.channel,
                            received=_moment(args.received, ZoneInfo(zone)), zone=zone, clock=args.clock)
    if args.format == "json":
        print(_json(answer | {"trace": _records(answer["trace"])}))
    else:
        print(format_due(answer, settings().language or "zh"))


def calendar(args) -> None:
    zone = args.zone or settings().zone
    urls = _urls()
    if args.load:
        recomputed = connect.as_owner(_admin(), _publish, code=args.code, zone=zone, file=args.load)
        print(f"{args.load} is loaded into {args.code} {zone}; {recomputed:,} complaints were computed again.")
    with db.reading(urls, db.viewer_of(urls, "service")) as conn:
        _print(quality.calendars(conn), "table")


def _publish(conn, *, code: str, zone: str, file: str) -> int:
    """Every year of the file into the calendar; how many complaints were computed again."""
    try:
        days = calendars.read_csv(file)
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file}: cannot be read ({getattr(error, 'strerror', None) or 'it is not UTF-8'}).") from None
    calendar_id = calendars.install(conn, code, zone)
    return sum(calendars.load_year(conn, calendar_id, year, [d for d in days if d[0].year == year], Path(file).name)
               for year in sorted({d[0].year for d in days}))


def work(args) -> int:
    import signal
    from threading import Event

    from dashboard import worker
    urls, stop = _urls(), Event()
    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, lambda *_: stop.set())
    print("Folding what was touched; Ctrl-C ends it.", flush=True)
    worker.fold(urls["desk_app"], stop)
    return 0


def _check_rollups(rebuild: bool) -> int:
    from queries import rollups
    bar, url = _Bar("Roll-ups"), _admin()
    if rebuild:
        rollups.build(url, told=lambda done, total: bar("looked at", done, total))
    wrong, cells = connect.as_owner(url, rollups.check, told=lambda done, total: bar("compared", done, total))
    bar.end("done")
    print(f"{len(wrong):,} complaints are stored otherwise than the raw rows say: {wrong[:20]}; {cells:,} cells differ." if wrong or cells else
          "Every complaint and every cell equals what the raw rows say.")
    return 1 if wrong or cells else 0


def check(args) -> int:
    if args.what == "rollups":
        return _check_rollups(args.rebuild)
    urls = _urls()
    with db.reading(urls, db.viewer_of(urls, "service"), timeout_ms=0) as conn:
        if args.what == "spans":
            wrong = quality.check_spans(conn)
            print(f"{len(wrong):,} complaints differ: {wrong[:20]}" if wrong else
                  "Every span equals what the raw rows say.")
            return 1 if wrong else 0
        from queries import ledger
        now = db.clock(conn)
        gaps = 0
        for weeks in range(1, 13):
            end = now - timedelta(weeks=weeks - 1)
            row, gap = ledger.check(conn, as_of=now, start=end - timedelta(weeks=1), end=end)
            gaps += gap
        print("The ledger balances for the last 12 weeks." if not gaps else f"The ledger differs by {gaps:,}.")
        return 1 if gaps else 0


def indicators_(args) -> None:
    from queries.indicators import markdown
    print(markdown(), end="")


def users(args) -> None:
    _urls()
    if args.what == "list":
        for user in connect.as_owner(_admin(), accounts.everybody):
            print(f"{user.login:<20}{user.role:<12}{'demo' if user.demo else 'active' if user.active else 'disabled':<10}"
                  f"{'has a password' if user.has_password else 'no password':<16}{user.name}")
        return
    if not args.login or args.what == "add" and not (args.name and args.role):
        raise SystemExit(f"users {args.what} needs a login" + (", --name and --role" if args.what == "add" else ""))
    try:
        if args.what == "add":
            connect.as_owner(_admin(), accounts.add, login=args.login, name=args.name, role=args.role, unit=args.unit, sees_restricted=args.restricted)
        elif args.what in ("disable", "enable"):
            connect.as_owner(_admin(), accounts.enable, login=args.login, active=args.what == "enable")
        elif args.what == "link":
            if not args.subject or not settings().oidc and not args.issuer:
                raise SystemExit("users link needs --subject, and --issuer where no identity provider is set")
            connect.as_owner(_admin(), accounts.identify, login=args.login, issuer=args.issuer or settings().oidc[0], subject=args.subject)
        elif args.what == "unlink":
            connect.as_owner(_admin(), accounts.forget_identities, login=args.login)
        if args.what in ("add", "invite"):
            print(_link(args.login))
    except LookupError:
        raise SystemExit(f"there is no account {args.login}, or it cannot sign in") from None
    except ValueError as why:
        raise SystemExit(str(why)) from None


def backup_(args) -> None:
    size = backup.backup(_admin(), args.file)
    print(f"{args.file}: {size:,} bytes. It holds identities: keep it as you keep the database.")


def restore_(args) -> None:
    backup.restore(_admin(), args.file)
    _urls()
    print(f"{args.file} is restored. Now: python -m dashboard audit verify")


def audit_(args) -> int:
    _urls()
    if args.what == "anchor":
        number, value = connect.as_owner(_admin(), audit.head)
        print(f"{number}:{value}")
        return 0
    known = None
    if args.anchor:
        number, _, value = args.anchor.partition(":")
        if not number.isdigit() or len(value) != 64:
            raise SystemExit("an anchor is NUMBER:HASH, as `audit anchor` prints it")
        known = (int(number), value)
    bar = _Bar("Audit")
    verdict = connect.as_owner(_admin(), audit.verify, anchor=known, progress=lambda done, total: bar("rows", done, total))
    if verdict.fault:
        print(f"The chain breaks at row {verdict.fault[0]:,}: {_FAULTS[verdict.fault[1]]}. {verdict.rows:,} rows before it are whole.")
        return 1
    print(f"{verdict.rows:,} rows, the chain is whole. Head: {verdict.rows}:{verdict.head}")
    return 0


_FAULTS = {"changed": "it was changed, or swapped with another", "missing": "it was removed", "cut": "the newest rows were removed, or the head was changed",
           "unchained": "this row was put in beside the chain", "anchor": "it differs from the anchor"}


def _link(login: str) -> str:
    return f"{here()}/set-up/{connect.as_owner(_admin(), accounts.invite, login=login)}"


def _first_administrator() -> None:
    """Where nobody could sign in: an administrator, and the link with which its password is set once. There is no default password."""
    everybody = connect.as_owner(_admin(), accounts.everybody)
    if any(user.demo or user.has_password and user.active for user in everybody):
        return
    if not any(user.login == "admin" for user in everybody):
        connect.as_owner(_admin(), accounts.add, login="admin", name="系统管理员", role="admin")
    print(f"Set the administrator's password here, once and within a day:\n{_link('admin')}")


if __name__ == "__main__":
    os.environ.setdefault("STREAMLIT_BROWSER_GATHER_USAGE_STATS", "false")
    sys.exit(main())
