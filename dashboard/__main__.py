"""The command line: `python -m dashboard --help`. Everything that is not a page."""
import argparse
import csv
import json
import os
import sys
from datetime import date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from sqlalchemy.exc import OperationalError

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from dashboard import periods                                             # noqa: E402
from dashboard.settings import SettingsError, settings                    # noqa: E402
from queries import calendars, clocks, complaints, connect, db, figures, intake, quality, setup   # noqa: E402
from queries.viewer import Viewer                                         # noqa: E402

BASES = ("received", "due", "closed")


def main(argv: list[str] | None = None) -> int:
    """Run one command; 0, or 1 with a sentence on standard error."""
    args = _parser().parse_args(argv)
    try:
        return args.run(args) or 0
    except (SettingsError, intake.MappingError, intake.ReadError, db.NotAllowed, calendars.CalendarError, UserError) as error:
        print(f"{error}", file=sys.stderr)
    except OperationalError as error:
        print(f"The database does not answer: {str(error.orig).strip().splitlines()[0]}", file=sys.stderr)
    return 1


class UserError(Exception):
    """A mistake in what was asked, in one sentence."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m dashboard", description="A supervision desk over a shared complaint database.")
    add = parser.add_subparsers(required=True, metavar="COMMAND").add_parser

    p = add("run", help="start everything and open the app (make run)")
    p.add_argument("--no-demo", action="store_true", help="leave an empty database empty")
    p.set_defaults(run=run)
    add("setup", help="bring the database up: migrations, packs, calendar, logins").set_defaults(run=set_up)
    add("stop", help="stop the embedded PostgreSQL").set_defaults(run=stop)
    p = add("demo", help="load the demo bank")
    p.add_argument("--complaints", type=int, default=120_000)
    p.add_argument("--seed", type=int, default=20260309)
    p.set_defaults(run=demo)

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
    p.add_argument("--basis", choices=BASES, default="received", help="cohort of the seven counts; every rate keeps its own")
    p.add_argument("--format", choices=("csv", "json", "table"), default="table")
    p.set_defaults(run=figures_)
    p = add("complaints", help="the complaints behind a figure of the catalogue")
    _period(p)
    p.add_argument("--code", default="backlog", help="code of the indicator (docs/indicators.md)")
    p.add_argument("--part", choices=("den", "num", "rest"), default="den")
    p.add_argument("--format", choices=("csv", "json", "table"), default="table")
    p.set_defaults(run=complaints_)
    p = add("due", help="target and limit of a complaint, with the rule and the day-by-day trace")
    p.add_argument("--pack", default="bank")
    p.add_argument("--category", required=True)
    p.add_argument("--channel", default=None)
    p.add_argument("--clock", default="r", help="r reply (default), d dispatch, w verify a withdrawal, o redo, u sign for an urge")
    p.add_argument("--received", required=True, help="2025-09-26T10:00, in the office's time zone unless it says another")
    p.add_argument("--format", choices=("json", "table"), default="table")
    p.set_defaults(run=due)

    p = add("calendar", help="years of the calendars; --load FILE.csv publishes a year and recomputes provisional limits")
    p.add_argument("--load", metavar="FILE", help="CSV date,is_workday,kind,name: one whole year")
    p.add_argument("--code", default="CN")
    p.add_argument("--zone", default=None)
    p.set_defaults(run=calendar)
    p = add("check", help="rebuild from the raw rows and compare")
    p.add_argument("what", choices=("spans", "ledger"))
    p.set_defaults(run=check)
    add("users", help="the accounts").set_defaults(run=users)
    return parser


def _period(p: argparse.ArgumentParser) -> None:
    p.add_argument("--as-of", help="moment T; naive = in the zone of --source, else the office's; default: now")
    p.add_argument("--period", help="this_week, last_week, this_month, …")
    p.add_argument("--from", dest="start", help="first day")
    p.add_argument("--to", dest="end", help="last day")
    p.add_argument("--source", help="only this source")
    p.add_argument("--viewer", default="service", help="whose eyes; default: the built-in account")


def _urls() -> dict[str, str]:
    s = settings()
    return connect.application(s.database_url, s.data, s.zone)


def _admin() -> str:
    s = settings()
    return connect.administrator(s.database_url, s.data)


def set_up(args) -> None:
    _urls()
    print("The database is up to date.")


def stop(args) -> None:
    from queries import embedded
    embedded.stop(settings().data)
    print("The embedded PostgreSQL has stopped.")


def run(args) -> int:
    from streamlit.web import cli
    s = settings()
    urls = _urls()
    if not args.no_demo and _empty(urls):
        _load_demo(120_000, 20260309)
    print(f"http://{s.address}:{s.port}")
    app = Path(__file__).with_name("app.py")
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
    started = datetime.now()
    bar = _Bar("Demo bank")
    counts = connect.as_owner(_admin(), bank.load, seed=seed, complaints=n, progress=lambda done, total, what: bar(what, done, total))
    bar.end(f"{counts['complaints']:,} complaints in {(datetime.now() - started).total_seconds():.0f} s")


class _Bar:
    """Progress on standard error: one line that is written again on a terminal, a line a step elsewhere."""

    def __init__(self, title: str):
        self.title, self.last = title, None

    def __call__(self, what: str, done: int, total: int | None = None) -> None:
        share = f" {100 * done / total:3.0f} %" if total else ""
        line = f"{self.title}: {what} {done:,}{share}"
        if sys.stderr.isatty():
            print(f"\r{line:<70}", end="", file=sys.stderr, flush=True)
        elif what != self.last:
            print(line, file=sys.stderr, flush=True)
        self.last = what

    def end(self, line: str) -> None:
        print(f"\r{self.title}: {line:<60}" if sys.stderr.isatty() else f"{self.title}: {line}", file=sys.stderr, flush=True)


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
    bar.end(f"{report.rows:,} rows")
    words = "would be " if args.dry_run else ""
    print(f"{report.file}: {report.rows:,} rows; {words}added {report.added:,}, changed {report.changed:,}, unchanged {report.unchanged:,}, "
          f"repeated {report.repeated:,}, quarantined {report.quarantined:,}, marked {report.marked:,}, conflicts {report.conflicts:,}; "
          f"new units {report.new_units:,}, new categories {report.new_categories:,}")
    if report.unused_columns:
        print("Columns that the mapping does not use: " + ", ".join(report.unused_columns))
    if report.quarantined:
        print(f"What did not land, and why: python -m dashboard quarantine --source {report.source}")
    return 0


def _viewer(urls: dict[str, str], args) -> Viewer:
    return db.viewer_of(urls, args.viewer)


def _window(conn, args) -> dict:
    """as_of, start, end (aware), zone and source id of what was asked; raises UserError with a sentence."""
    source = None
    zone = settings().zone
    if args.source:
        known = quality.sources(conn, as_of=db.clock(conn)).set_index("name")
        if args.source not in known.index:
            raise UserError(f"There is no source {args.source!r}; there are: {', '.join(known.index) or 'none'}.")
        source, zone = int(known.source_id[args.source]), known.tz[args.source]
    tz = ZoneInfo(zone)
    as_of = _moment(args.as_of, tz) if args.as_of else db.clock(conn)
    start = end = None
    if args.period or args.start or args.end:
        period = periods.parse(args.period or "custom", args.start, args.end, as_of.astimezone(tz).date()) if args.period else None
        first = period.start if period else _day(args.start) if args.start else date(1, 1, 2)
        after = period.end if period else _day(args.end) + timedelta(days=1) if args.end else date(9999, 12, 30)
        if first >= after:
            raise UserError("--from lies after --to.")
        start, end = (datetime.combine(d, time(), tz) if date(1, 1, 2) < d < date(9999, 12, 30) else datetime.combine(d, time())
                      for d in (first, after))
    return {"as_of": as_of, "start": start or figures.NO_PERIOD["start"], "end": end or figures.NO_PERIOD["end"], "zone": zone, "source": source}


def _day(value: str) -> date:
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise UserError(f"{value!r} is not a day; write 2026-03-02.") from None


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
    if args.format == "json":
        groups = [{k: None if v != v else v for k, v in row.items()} for row in table.astype(object).to_dict("records")]
        print(json.dumps({"as_of": window["as_of"].astimezone(ZoneInfo(window["zone"])).isoformat(), "zone": window["zone"], "basis": args.basis,
                          "groups": groups}, ensure_ascii=False, indent=1))
    elif args.format == "csv":
        table.to_csv(sys.stdout, index=False)
    else:
        columns = ["group", "received", "on_time", "late", "open_not_due", "due_soon", "overdue", "excluded", "no_limit", "compliance", "compliance_num",
                   "compliance_den", "source_on_time", "days_median", "days_p90", "satisfaction", "answered"]
        print(f"as of {window['as_of'].isoformat()} ({window['zone']}), basis {args.basis}")
        print(table[columns].round(2).to_string(index=False))


def complaints_(args) -> None:
    from queries.indicators import CATALOGUE
    if args.code not in CATALOGUE:
        raise UserError(f"There is no indicator {args.code!r}; there are: {', '.join(CATALOGUE)}.")
    urls = _urls()
    with db.reading(urls, _viewer(urls, args), timeout_ms=120_000) as conn:
        table = complaints.listing(conn, args.code, part=args.part, limit=None, **_window(conn, args))
    columns = ["complaint_no", "state", "counted", "received_at", "due_at", "ended_at", "days_used", "days_late", "unit", "charged", "about", "title"]
    _print(table[columns], args.format)


def _print(table, format: str) -> None:
    if format == "csv":
        table.to_csv(sys.stdout, index=False, quoting=csv.QUOTE_MINIMAL)
    elif format == "json":
        print(table.to_json(orient="records", force_ascii=False, date_format="iso", indent=1))
    else:
        print(table.to_string(index=False) if len(table) else "none")


def quarantine(args) -> None:
    urls = _urls()
    with db.reading(urls, db.viewer_of(urls, "service")) as conn:
        table = quality.quarantine(conn, source=args.source)
    _print(table.rename(columns={"field": "column"}), args.format)


def due(args) -> None:
    from dashboard.due import format_due
    urls = _urls()
    zone = settings().zone
    with db.reading(urls, db.viewer_of(urls, "service")) as conn:
        answer = clocks.due(conn, pack=args.pack, category=args.category, channel=args.channel, received=_moment(args.received, ZoneInfo(zone)), zone=zone,
                            clock=args.clock)
    if args.format == "json":
        print(json.dumps(answer, ensure_ascii=False, indent=1, default=lambda v: v.isoformat()))
    else:
        print(format_due(answer, settings().language or "zh"))


def calendar(args) -> None:
    zone = args.zone or settings().zone
    urls = _urls()
    if args.load:
        days = calendars.read_csv(args.load)
        recomputed = connect.as_owner(_admin(), calendars.load, code=args.code, tz=zone, days=days, origin=Path(args.load).name)
        print(f"{args.code} {days[0][0].year} is loaded; {recomputed:,} complaints were computed again.")
    with db.reading(urls, db.viewer_of(urls, "service")) as conn:
        print(quality.calendars(conn).to_string(index=False))


def check(args) -> int:
    urls = _urls()
    with db.reading(urls, db.viewer_of(urls, "service"), timeout_ms=0) as conn:
        if args.what == "spans":
            wrong = quality.check_spans(conn)
            print("Every span equals what the raw rows say." if not wrong else f"{len(wrong):,} complaints differ: {wrong[:20]}")
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


def users(args) -> None:
    for login, name, role in db.demo_accounts(_urls()):
        print(f"{login:<16}{role:<12}{name}")


if __name__ == "__main__":
    os.environ.setdefault("STREAMLIT_BROWSER_GATHER_USAGE_STATS", "false")
    sys.exit(main())
