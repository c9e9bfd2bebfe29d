"""The eight questions of a review, asked three ways over the same data: DuckDB native, PostgreSQL's raw rows, the product's own query functions.

    python -m benchmarks.duck --url URL --data FOLDER [--runs 3]

The data goes from PostgreSQL to DuckDB by COPY in the same run; every cell of every answer is compared, and a difference fails the run with its name.
PostgreSQL's raw rows are read as the administrator, without row security; the product answers as the built-in account of the command line, which sees all, with it.
"""
import argparse
import statistics
import tempfile
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from time import perf_counter
from zoneinfo import ZoneInfo

import pandas as pd
from sqlalchemy import text

from benchmarks import desk
from queries import complaints, db, figures, timing
from queries.figures import NO_PERIOD

ZONE = ZoneInfo("Asia/Shanghai")
WEEKS, MONTHS, LEAST = 52, 36, 30
# What is read of each complaint: the stretch of its reply clock in force at the moment.
COLUMNS = {"complaint_id": "bigint", "category_id": "smallint", "channel_id": "smallint", "charged_unit_id": "int", "charged_label": "bigint", "about_unit_id": "int",
           "received_at": "timestamp", "due_at": "timestamp", "ended_at": "timestamp", "excluded_at": "timestamp", "left_at": "timestamp", "started_ord": "int", "due_ord": "int", "ended_ord": "int",
           "anonymous": "boolean"}
CALLS = {"complaint_id": "bigint", "at": "timestamp", "score": "varchar"}
AGES = "case when {d} <= 0 then 0 when {d} <= 3 then 1 when {d} <= 5 then 2 when {d} <= 10 then 3 when {d} <= 30 then 4 else 5 end"
LIVE, OPEN = "(s.excluded_at is null or s.excluded_at > {T})", "s.left_at > {T} and s.due_at < {T}"
DUE, KEPT = "s.due_at >= {a} and s.due_at < {b} and s.due_at <= {T} and " + LIVE, "s.ended_at <= s.due_at and s.ended_at <= {T}"

# One text for both databases; {S} is the complaints, {C} the office's answered calls, {week(x)} … the local week of a moment.
QUESTIONS: dict[str, str] = {
    "key figures, week against week before": f"""select 'week', count(*) filter (where {DUE}), count(*) filter (where {DUE} and {KEPT}),
            count(*) filter (where s.received_at >= {{a}} and s.received_at < {{b}}), count(*) filter (where s.ended_at >= {{a}} and s.ended_at < {{b}} and s.ended_at <= {{T}}) from {{S}}
        union all select 'before', count(*) filter (where {DUE}), count(*) filter (where {DUE} and {KEPT}),
            count(*) filter (where s.received_at >= {{a}} and s.received_at < {{b}}), count(*) filter (where s.ended_at >= {{a}} and s.ended_at < {{b}} and s.ended_at <= {{T}}) from {{S}}
        union all select 'overdue', count(*), 0, 0, 0 from {{S}} where {OPEN} and {LIVE}""",
    "compliance per week, 52 weeks": f"select {{week}}, count(*), count(*) filter (where {KEPT}) from {{S}} where {DUE} group by 1",
    "compliance by first-level unit, 52 weeks": f"select p.group_id, count(*), count(*) filter (where {KEPT}) from {{S}} join {{P1}} p on p.unit_id = s.charged_unit_id where {DUE} group by 1",
    "category × channel, 52 weeks": "select s.category_id * 1000 + s.channel_id, count(*) from {S} where s.received_at >= {a} and s.received_at < {b} group by 1",
    "100 most overdue in a subtree": f"""select row_number() over (order by s.due_ord, s.due_at, s.complaint_id) as place, s.complaint_id from {{S}}
        where {OPEN} and {LIVE} and s.charged_label between {{lo}} and {{hi}} order by s.due_ord, s.due_at, s.complaint_id limit 100""",
    "ageing of open complaints": f"select {AGES.format(d='({today} - s.due_ord)')}, count(*) from {{S}} where {OPEN} and {LIVE} group by 1",
    "satisfaction by unit, n ≥ 30": f"""select p.group_id, count(*), count(*) filter (where k.score in ('satisfied', 'basically')) from {{S}}
        join (select complaint_id, score, row_number() over (partition by complaint_id order by "at" desc) as last from {{C}}) k on k.complaint_id = s.complaint_id and k.last = 1
        join {{P2}} p on p.unit_id = s.about_unit_id where s.ended_at >= {{a}} and s.ended_at < {{b}} and s.ended_at <= {{T}} and not s.anonymous group by 1 having count(*) >= {LEAST}""",
    "median and 90th percentile by month, 36 months": f"""select {{month}}, percentile_cont(0.5) within group (order by s.ended_ord - s.started_ord), percentile_cont(0.9) within group (order by s.ended_ord - s.started_ord)
        from {{S}} where s.ended_at >= {{a}} and s.ended_at < {{b}} and s.ended_at <= {{T}} and {LIVE} group by 1""",
}


class Moments:
    """The moment all answers speak of, and the periods they are asked for."""

    def __init__(self, as_of: datetime):
        self.as_of = as_of
        today = as_of.astimezone(ZONE).replace(hour=0, minute=0, second=0, microsecond=0)
        self.monday = today - timedelta(days=today.weekday())
        first = today.replace(day=1)
        year, month = divmod(first.year * 12 + first.month - 1 - MONTHS + 1, 12)
        self.week, self.before = (self.monday - timedelta(7), self.monday), (self.monday - timedelta(14), self.monday - timedelta(7))
        self.year, self.months = (self.monday - timedelta(7 * WEEKS), self.monday), (first.replace(year=year, month=month + 1), today + timedelta(1))


def place(parent_level: int) -> str:
    """Units under the units of a level: first-level ones are the children of the root (and the root itself)."""
    group = "g.parent_id = (select unit_id from unit where kind = 'head')" if parent_level == 1 else "g.level = 2 and g.kind <> 'unmapped'"
    itself = " union all select unit_id, unit_id from unit where kind = 'head'" if parent_level == 1 else ""
    return f"(select u.unit_id, g.unit_id as group_id from unit g join unit u on u.label between g.label and g.label_end where {group}{itself})"


def statement(question: str, m: Moments, scope: dict, postgres: bool) -> str:
    """The text of a question for one of the two databases."""
    def moment(t: datetime) -> str:
        return f"'{t.isoformat()}'::timestamptz" if postgres else f"'{t.astimezone(ZONE).replace(tzinfo=None).isoformat(sep=' ')}'::timestamp"

    def local(column: str) -> str:
        return f"({column} at time zone 'Asia/Shanghai')" if postgres else column

    sql = QUESTIONS[question]
    span = m.year if "52" in question or "satisfaction" in question else m.months
    if "week against" in question:                        # two periods in one text
        first, second, rest = sql.split("union all")
        sql = "union all".join([first.replace("{a}", moment(m.week[0])).replace("{b}", moment(m.week[1])), second.replace("{a}", moment(m.before[0])).replace("{b}", moment(m.before[1])), rest])
    t = moment(m.as_of)
    anonymous = " join complaint c using (complaint_id)" if "satisfaction" in question else ""
    source = f"(select s.*{', c.anonymous' if anonymous else ''} from clock_span s{anonymous} where s.clock = 'r' and s.valid_from <= {t} and {t} < s.valid_to) s" if postgres else "s"
    calls = f"(select complaint_id, at, score from call_back where by_whom = 'office' and outcome = 'answered' and at <= {t}) c" if postgres else "calls"
    month = f"to_char({local('s.ended_at')}, 'YYYY-MM')" if postgres else "strftime(s.ended_at, '%Y-%m')"
    week = f"to_char(date_trunc('week', {local('s.due_at')}), 'YYYY-MM-DD')" if postgres else "strftime(date_trunc('week', s.due_at), '%Y-%m-%d')"
    for name, value in {"T": t, "a": moment(span[0]), "b": moment(span[1]), "S": source, "C": calls, "week": week, "month": month, "P1": place(1) if postgres else "place1",
                        "P2": place(2) if postgres else "place2", "lo": scope["lo"], "hi": scope["hi"], "today": scope["today"]}.items():
        sql = sql.replace("{" + name + "}", str(value))
    return sql


def product(conn, m: Moments, scope: dict) -> dict[str, Callable[[], dict]]:
    """The same questions to the functions the pages use; each returns {cell: values}."""
    def counts(codes, span, **how):
        return figures.counts(conn, codes, as_of=m.as_of, start=span[0], end=span[1], **how)

    def cells(frame: pd.DataFrame) -> dict:
        return {index: tuple(int(v) for v in row) for index, row in zip(frame.index, frame.itertuples(index=False)) if index == index and any(row)}

    def key() -> dict:
        found = {}
        for name, span in (("week", m.week), ("before", m.before)):
            row = counts(("compliance", "received", "done"), span).loc["all"]
            found[name] = tuple(int(row[c]) for c in ("compliance_den", "compliance_num", "received_den", "done_den"))
        found["overdue"] = (int(counts(("overdue_open",), m.week).loc["all", "overdue_open_den"]), 0, 0, 0)
        return found

    def two(codes, span, **how) -> dict:
        frame = counts(codes, span, **how)
        return cells(frame[[f"{codes[0]}_den", *([f"{codes[0]}_num"] if f"{codes[0]}_num" in frame else [])]])

    def overdue() -> dict:
        frame = complaints.listing(conn, "overdue_open", as_of=m.as_of, start=NO_PERIOD["start"], end=NO_PERIOD["end"], unit=scope["unit"], sort="late", limit=100)
        return {i: (int(one),) for i, one in enumerate(frame.complaint_id, 1)}

    def satisfied() -> dict:
        return {unit: pair for unit, pair in two(("satisfaction",), m.year, by="level", parent=scope["second"]).items() if pair[0] >= LEAST}

    def days() -> dict:
        frame = timing.days(conn, as_of=m.as_of, start=m.months[0], end=m.months[1], by="month")
        return {month: (float(row.days_median), float(row.days_p90)) for month, row in frame.iterrows()}

    asked = [key, lambda: two(("compliance",), m.year, by="week"), lambda: two(("compliance",), m.year, by="child", parent=scope["root"]),
             lambda: two(("received",), m.year, by="category_channel"), overdue, lambda: two(("overdue_open",), m.year, by="ageing"), satisfied, days]
    return dict(zip(QUESTIONS, asked))


def compare(question: str, by_name: dict[str, dict]) -> None:
    """Raises AssertionError with the cell and who says what."""
    cells = {cell for found in by_name.values() for cell in found}
    for cell in sorted(cells, key=str):
        said = {name: found.get(cell) for name, found in by_name.items()}
        first = next(iter(said.values()))
        same = all(value is not None and first is not None and len(value) == len(first) and all(abs(float(x) - float(y)) < 1e-9 for x, y in zip(value, first)) for value in said.values())
        assert same, f"{question}: cell {cell!r} differs: " + ", ".join(f"{name} {value}" for name, value in said.items())


def answer(rows) -> dict:
    """{first column: the others}."""
    return {row[0]: tuple(float(v) if not isinstance(v, int) else v for v in row[1:]) for row in rows}


def export(url: str, m: Moments, folder: Path) -> dict[str, Path]:
    """What DuckDB reads, as CSV in local time."""
    t = f"'{m.as_of.isoformat()}'::timestamptz"
    def column(name: str, kind: str, of: str) -> str:
        return f"nullif({of}.{name}, 'infinity') at time zone 'Asia/Shanghai'" if kind == "timestamp" else f"{of}.{name}"
    spans = ", ".join(column(name, kind, "c" if name == "anonymous" else "s") for name, kind in COLUMNS.items())
    queries = {"s": f"select {spans} from clock_span s join complaint c using (complaint_id) where s.clock = 'r' and s.valid_from <= {t} and {t} < s.valid_to",
               "calls": f"select {', '.join(column(name, kind, 'k') for name, kind in CALLS.items())} from call_back k where by_whom = 'office' and outcome = 'answered' and at <= {t}",
               "place1": f"select * from {place(1)} p", "place2": f"select * from {place(2)} p"}
    files = {}
    with desk.administrator(url).connect() as conn:
        cursor = conn.connection.cursor()
        for name, query in queries.items():
            files[name] = folder / f"{name}.csv"
            with open(files[name], "wb") as out:
                cursor.copy_expert(f"copy ({query}) to stdout (format csv)", out)
    return files


def run(url: str, folder: Path, runs: int = 3) -> dict:
    """Asks, compares, prints, writes results/duck.json. Raises AssertionError at the first difference."""
    try:
        import duckdb
    except ImportError:
        raise SystemExit("DuckDB is not installed: pip install -r requirements-bench.txt") from None

    urls = desk.logins(url, folder)
    viewer = db.viewer_of(urls, "service")        # sees all; a name that nobody complained about (row security hides those)
    m = Moments(desk.one(url, "select clock_timestamp()"))
    with desk.administrator(url).begin() as conn:
        scope = dict(conn.execute(text("""select b.unit_id as unit, b.label as lo, b.label_end as hi, h.unit_id as root, (select min(unit_id) from unit where kind = 'branch2') as second,
               (select w.ordinal from workday w join calendar k using (calendar_id) where k.code = 'CN' and k.tz = 'Asia/Shanghai' and w.day = cast(:day as date)) as today
               from unit b, unit h where h.kind = 'head' and b.kind = 'branch1' order by b.label limit 1"""), {"day": m.as_of.astimezone(ZONE).date()}).mappings().one())
        total = conn.execute(text("select count(*) from complaint")).scalar()
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        began = perf_counter()
        files = export(url, m, Path(temporary))
        exported = perf_counter() - began
        native = duckdb.connect(str(Path(temporary) / "bench.duckdb"), config={"threads": 2})
        for name, columns in (("s", COLUMNS), ("calls", CALLS), ("place1", {"unit_id": "int", "group_id": "int"}), ("place2", {"unit_id": "int", "group_id": "int"})):
            types = "{" + ", ".join(f"'{c}': '{k}'" for c, k in columns.items()) + "}"
            native.execute(f"create table {name} as select * from read_csv('{files[name]}', header = false, columns = {types})")
            files[name].unlink()
        native.execute("update s set left_at = 'infinity' where left_at is null")
        loaded = perf_counter() - began - exported
        rows = []
        for number, question in enumerate(QUESTIONS):
            times: dict[str, list[float]] = {"duckdb": [], "raw": [], "product": []}
            found: dict[str, dict] = {}
            for _ in range(runs):                         # side by side, so that the machine is the same for all
                began = perf_counter()
                found["duckdb"] = answer(native.execute(statement(question, m, scope, False)).fetchall())
                times["duckdb"].append(1000 * (perf_counter() - began))
                with desk.administrator(url).connect() as conn:
                    began = perf_counter()
                    found["raw"] = answer(conn.exec_driver_sql(statement(question, m, scope, True)).fetchall())
                    times["raw"].append(1000 * (perf_counter() - began))
                with db.reading(urls, viewer, timeout_ms=120_000) as conn:
                    began = perf_counter()
                    found["product"] = product(conn, m, scope)[question]()
                    times["product"].append(1000 * (perf_counter() - began))
            compare(question, found)
            rows.append({"question": question, "cells": len(found["raw"]), **{name: round(statistics.median(values), 1) for name, values in times.items()}})
        native.close()
    rows.append({"question": "sum", "cells": sum(r["cells"] for r in rows), **{name: round(sum(r[name] for r in rows), 1) for name in ("duckdb", "raw", "product")}})
    desk.table(["question (ms)", "cells, equal", "DuckDB", "PostgreSQL raw", "product"], [[r["question"], r["cells"], r["duckdb"], r["raw"], r["product"]] for r in rows])
    result = {"complaints": total, "as_of": m.as_of, "duckdb": duckdb.__version__, "export_seconds": round(exported, 1), "load_seconds": round(loaded, 1), "runs": runs, "questions": rows}
    desk.keep("duck", result)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    run(options.url, options.data, options.runs)


if __name__ == "__main__":
    main()
