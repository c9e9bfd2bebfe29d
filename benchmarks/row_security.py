"""What row security costs: one aggregate over a million stretches, as the owner without it, as roles that see all, a branch, one per cent, two places.

    python -m benchmarks.row_security [--rows 1000000]         # its own PostgreSQL, thrown away; under two minutes; writes results/row_security.json

Every answer of an all-seeing role is compared with the owner's. Targets (issue 4): all-seeing at most 1.25 × the same without row security; one per
cent in less than a tenth of the whole.
"""
import argparse
import shutil
import statistics
import tempfile
from pathlib import Path
from time import perf_counter

from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from benchmarks import desk
from queries import db, embedded, schema, setup

ROWS, RUNS = 1_000_000, 9
QUESTION = text("select clock, count(*), count(*) filter (where ended_at <= due_at), sum(due_ord - started_ord) from clock_span where valid_from <= :t group by clock order by clock")
FILL = """insert into clock_span (complaint_id, clock, seq, valid_from, entry, unit_id, label, charged_unit_id, charged_label, about_unit_id, about_label, category_id, channel_id,
            received_at, started_at, started_ord, due_at, due_ord, first_category_id, ended_at, source_id, calendar_id)
        select n, 'r', 1, t, 'r', u.unit_id, u.label, u.unit_id, u.label, u.unit_id, u.label, 1, 1, t, t, 1, t + interval '10 days', 8, 1, t + interval '9 days', 1, 1
          from generate_series(1, :rows) n
         cross join lateral (select timestamptz '2025-01-01' + n * interval '30 seconds' as t) x
          join (select unit_id, label, row_number() over (order by unit_id) - 1 as place, count(*) over () as many from unit where level = 2) u on u.place = n % u.many"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=ROWS)
    rows = parser.parse_args().rows
    root = Path(tempfile.mkdtemp(prefix="desk-bench-"))
    root.chmod(0o711)
    try:
        url = embedded.start(root, durable=False)
        setup.setup(url)
        urls = schema.login_urls(url, root)
        owner = create_engine(url, poolclass=NullPool, connect_args={"options": "-c search_path=desk -c jit=off"})
        with owner.begin() as conn:
            conn.execute(text("insert into unit (kind, name, level, label, label_end) values ('head', '总行', 0, 0, 0)"))
            conn.execute(text("insert into unit (parent_id, kind, name, level, label, label_end) select u.unit_id, 'branch1', '行' || n, 0, 0, 0 from unit u, generate_series(1, 10) n"))
            conn.execute(text("insert into unit (parent_id, kind, name, level, label, label_end) select u.unit_id, 'branch2', u.name || n, 0, 0, 0 from unit u, generate_series(1, 10) n where u.level = 1"))
            conn.execute(text(FILL), {"rows": rows})
            scopes = {"all": None, "branch (10 %)": "select unit_id from unit where level = 1 order by 1 limit 1", "place (1 %)": "select unit_id from unit where level = 2 order by 1 limit 1",
                      "two places (2 %)": "select unit_id from unit where level = 2 order by 1 limit 1", "leader, all": None, "two branches (20 %)": "select unit_id from unit where level = 1 order by 1 limit 1"}
            for name, unit in scopes.items():
                made = conn.execute(text("insert into app_user (login, name, role, all_units, sees_restricted) values (:l, :l, :r, :w, :w) returning user_id"),
                                    {"l": name, "r": "leader" if name.startswith("leader") else "supervisor", "w": unit is None}).scalar_one()
                if unit:
                    conn.execute(text(f"insert into user_scope select :u, unit_id from ({unit}) x"), {"u": made})
                if name.startswith("two"):
                    conn.execute(text(f"insert into user_scope select :u, unit_id from ({unit.replace('limit 1', 'offset 5 limit 1')}) x"), {"u": made})
        with owner.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
            conn.execute(text("vacuum analyze clock_span"))
        moment = {"t": "2027-01-01"}
        timed: dict[str, list[float]] = {}
        answers = {}
        for _ in range(RUNS):                                   # side by side, so that the machine is the same for all
            with owner.connect() as conn:
                started = perf_counter()
                answers["none"] = conn.execute(QUESTION, moment).all()
                timed.setdefault("none", []).append(perf_counter() - started)
            for name in scopes:
                with db.reading(urls, db.viewer_of(urls, name), timeout_ms=60_000) as conn:
                    started = perf_counter()
                    answers[name] = conn.execute(QUESTION, moment).all()
                    timed.setdefault(name, []).append(perf_counter() - started)
        assert answers["all"] == answers["leader, all"] == answers["none"], "row security changed an answer"
        assert answers["place (1 %)"][0][1] == rows // 100 and answers["two places (2 %)"][0][1] == rows // 50
        best = {name: statistics.median(values) for name, values in timed.items()}
        for name, seconds in best.items():
            print(f"{name:<22}{1000 * seconds:8.1f} ms {seconds / best['none']:6.2f} ×")
        result = {"rows": rows, "runs": RUNS, "median_ms": {name: round(1000 * one, 1) for name, one in best.items()},
                  "all_over_none": round(best["all"] / best["none"], 3), "one_percent_over_all": round(best["place (1 %)"] / best["all"], 3)}
        desk.keep("row_security", result)
        print("met" if result["all_over_none"] <= 1.25 and result["one_percent_over_all"] < 0.1 else "MISSED")
    finally:
        embedded.stop(root)
        shutil.rmtree(root, ignore_errors=True)


if __name__ == "__main__":
    main()
