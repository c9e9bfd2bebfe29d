"""What a page asks of the database: statements, their time, rows read; by page and viewer, with random periods and filters and every cache empty.

    python -m benchmarks.pages --url URL [--runs 7] [--filters 100] [--seconds 240]
    python -m benchmarks.pages --url URL --explain limits [--viewer office]      # every statement of a page with its time, the slowest with its plan

Pages run in Streamlit's AppTest, with a session row as the gate would have made it. A statement's time is what the driver takes, with the rows on their way;
a statement that ran into its time-out counts with the
time until then, and the run as stopped; rows read are what scans returned (pg_stat_database.tup_returned), so others on the same database disturb that figure.
"""
import argparse
import logging
import time
from pathlib import Path
from random import Random
from time import perf_counter

from sqlalchemy import event, text
from sqlalchemy.engine import Engine

from benchmarks import desk

ROOT = Path(__file__).resolve().parents[1]
VIEWERS = {"office": "demo-supervisor", "branch": "demo-unit", "outlet": "bench-outlet", "regulator": "demo-regulator"}
PAGES = ("review", "limits", "overdue", "satisfaction", "complaints", "list", "complaint", "units", "data")
PERIODS = ("last_week", "week", "last_month", "month", "last_quarter", "quarter", "twelve_months", "year")


class Meter:
    """What statements took since `begin()`: one list for all engines of this process."""

    def __init__(self):
        self.statements: list[tuple[str, object, float]] = []
        event.listen(Engine, "before_cursor_execute", self._before)
        event.listen(Engine, "after_cursor_execute", self._after)
        event.listen(Engine, "handle_error", self._failed)
        event.listen(Engine, "commit", self._flush)

    def _before(self, conn, cursor, statement, parameters, context, many):
        conn.info.setdefault("began", []).append(perf_counter())

    def _after(self, conn, cursor, statement, parameters, context, many):
        self.statements.append((statement, parameters, 1000 * (perf_counter() - conn.info["began"].pop())))

    def _failed(self, context):
        if context.connection is not None and context.connection.info.get("began"):
            self.statements.append((context.statement or "", context.parameters, 1000 * (perf_counter() - context.connection.info["began"].pop())))

    @staticmethod
    def _flush(conn):
        """Row counts are reported when the transaction ends, not up to a second later."""
        cursor = conn.connection.cursor()
        cursor.execute("select pg_stat_force_next_flush()")
        cursor.close()

    def begin(self) -> None:
        self.statements.clear()

    def asked(self) -> list[tuple[str, object, float]]:
        """What was asked for the page: without opening and closing transactions."""
        return [one for one in self.statements if "pg_stat_database" not in one[0] and not one[0].lstrip().lower().startswith(("set ", "select set_config", "show ", "discard"))]


class Reader:
    """One viewer at one page: `open(params)` runs it with empty caches."""

    def __init__(self, url: str, login: str):
        from streamlit.testing.v1 import AppTest
        from dashboard import session
        from queries import accounts

        urls = session.urls()
        found = accounts.find(urls, accounts.begin(urls, accounts.demo(urls, "demo-supervisor"), "demo", "127.0.0.1"))
        self.user = {session.LOGIN: found.login, session.SESSION: str(found.session_id)}
        self.login, self.AppTest, self.at, self.page = login, AppTest, None, ""
        self.admin = desk.administrator(url, isolation_level="AUTOCOMMIT").connect()

    def open(self, meter: Meter, page: str, params: dict[str, str]) -> dict:
        """{statements, database_ms, rows, page_ms, stopped: a statement ran into its time-out} of one run. Raises RuntimeError where the page says another error."""
        import streamlit as st
        from dashboard import data, words

        params = {"as": self.login, "lang": "zh"} | params
        if self.at is None:
            self.at = self.AppTest.from_file(str(ROOT / "dashboard" / "app.py"), default_timeout=120)
            self.at.user = self.user
            self.at.query_params.update(params)
            self.at.run()
        if page != self.page:
            self.at.switch_page(str(ROOT / "pages" / f"{page}.py"))
            self.page = page
        self.at.query_params.clear()
        self.at.query_params.update(params)
        for bound in ("part", "code"):                    # AppTest does not feed bound widgets from the address
            if bound in params:
                self.at.session_state[bound] = params[bound]
        st.cache_data.clear()
        data._derived.clear()             # the tree of units stays: it is read again when it changes, not with a tick
        self.at.session_state["held"] = None      # nor does a page of rows stay as it was opened
        meter.begin()
        before, began = self._rows(), perf_counter()
        self.at.run()
        took, asked, rows = 1000 * (perf_counter() - began), meter.asked(), self._rows() - before
        with words.speaking("zh"):
            slow = [e.value for e in self.at.error] == [words.t("error.slow")]
        if self.at.exception or self.at.error and not slow:
            raise RuntimeError(f"{page} {params}: {[e.value for e in [*self.at.exception, *self.at.error]]}")
        return {"statements": len(asked), "database_ms": sum(ms for *_, ms in asked), "rows": rows, "page_ms": took, "stopped": slow}

    def _rows(self) -> int:
        return self.admin.execute(text("select tup_returned from pg_stat_database where datname = current_database()")).scalar()


class Questions:
    """Random addresses within a viewer's scope. Deterministic by seed."""

    def __init__(self, url: str, seed: int):
        self.rng = Random(seed)
        with desk.administrator(url).begin() as conn:
            def ids(statement, **params):
                return [str(row[0]) for row in conn.execute(text(statement), params)]
            self.units = {viewer: ids("""select u.unit_id from unit u where u.kind in ('branch1', 'branch2', 'outlet') and exists (select from app_user a left join user_scope s using (user_id)
                                           left join unit g on g.unit_id = s.unit_id where a.login = :l and (a.all_units or u.label between g.label and g.label_end))
                                          order by u.level, hashint4(u.unit_id) limit 600""", l=login) for viewer, login in VIEWERS.items()}
            self.categories, self.channels = ids("select category_id from category where pack = 'bank' and not restricted"), ids("select channel_id from channel where pack = 'bank'")
            self.numbers = {viewer: ids("""select c.complaint_no from complaint c join unit n on n.unit_id = c.unit_id, app_user a left join user_scope s using (user_id) left join unit g on g.unit_id = s.unit_id
                                            where a.login = :l and not c.restricted and (a.all_units or n.label between g.label and g.label_end) and c.registered_at > (select max(registered_at) - interval '90 days' from complaint)
                                            limit 400""", l=login) for viewer, login in VIEWERS.items()}

    def __call__(self, page: str, viewer: str) -> dict[str, str]:
        rng, asked = self.rng, {}
        if page == "complaint":
            return {"number": rng.choice(self.numbers[viewer])}
        if viewer == "regulator":
            return {"span": rng.choice(("1", "3", "12")), "by": rng.choice(("none", "category", "channel"))}
        asked["period"] = rng.choice(PERIODS)
        if rng.random() < 0.6 and self.units[viewer]:
            asked["unit"] = rng.choice(self.units[viewer])
        if rng.random() < 0.35:
            asked["category"] = rng.choice(self.categories)
        if rng.random() < 0.35:
            asked["channel"] = rng.choice(self.channels)
        if page == "list":
            asked["code"] = rng.choice(("compliance", "overdue_open", "backlog", "received", "satisfaction"))
        return asked


def measured(url: str, runs: int, seconds: float, seed: int, pages=PAGES, viewers=tuple(VIEWERS)) -> list[dict]:
    """One row for each page and viewer: statements, database time, rows; p50 and p95 of `runs` random addresses."""
    meter, questions, rows = Meter(), Questions(url, seed), []
    plan = [(page, viewer) for viewer in viewers for page in (*pages, "oversight", "released") if opens(url, viewer, page)]
    until = time.monotonic() + seconds
    readers = {viewer: Reader(url, VIEWERS[viewer]) for viewer in viewers}
    for i, (page, viewer) in enumerate(plan):
        own = time.monotonic() + (until - time.monotonic()) / (len(plan) - i)
        found = []
        while len(found) < runs and (time.monotonic() < own or len(found) < 2):
            found.append(readers[viewer].open(meter, "complaints" if page == "list" else page, questions(page, viewer)))
        rows.append({"page": page, "viewer": viewer, "runs": len(found), "stopped": sum(one.pop("stopped") for one in found),
                     **{key: desk.summary([one[key] for one in found]) for key in ("statements", "database_ms", "rows", "page_ms")}})
    return rows


def opens(url: str, viewer: str, page: str) -> bool:
    """Whether this viewer's role may open the page."""
    from dashboard import navigation, permissions
    role = desk.one(url, "select role from app_user where login = :l", l=VIEWERS[viewer])
    return permissions.may(role, navigation.BY_KEY["complaints" if page == "list" else page].permission)


def combinations(url: str, n: int, seconds: float, seed: int) -> dict[str, dict]:
    """Any combination of filters at the head office: database time of `n` random addresses on the review and the limits."""
    meter, questions, found = Meter(), Questions(url, seed + 1), {}
    for page in ("review", "limits"):
        until, reader, times = time.monotonic() + seconds / 2, Reader(url, VIEWERS["office"]), []
        while len(times) < n and (time.monotonic() < until or len(times) < 5):
            times.append(reader.open(meter, page, questions(page, "office"))["database_ms"])
        found[page] = desk.summary(times)
    return found


def explain(url: str, page: str, viewer: str, params: dict[str, str], seed: int, plans: int) -> None:
    """Prints every statement of one run with its time, longest first, and the plans of the first `plans`."""
    meter, reader = Meter(), Reader(url, VIEWERS[viewer])
    params = params or {"period": "last_month"} | (Questions(url, seed)(page, viewer) if page in ("complaint", "list") or viewer == "regulator" else {})
    reader.open(meter, "complaints" if page == "list" else page, params)
    found = reader.open(meter, "complaints" if page == "list" else page, params)
    asked = sorted(meter.asked(), key=lambda one: -one[2])
    print(f"{page} as {viewer}, {params}: {found['statements']} statements, {found['database_ms']:.0f} ms in the database, {found['rows']:,} rows, {found['page_ms']:.0f} ms in all\n")
    for number, (statement, parameters, ms) in enumerate(asked, 1):
        print(f"-- {number}: {ms:.1f} ms  {parameters}\n{statement.strip()}\n")
        if number <= plans and statement.lstrip().lower().startswith(("select", "with")):
            from dashboard import session
            from queries import db
            with db.reading(session.urls(), db.viewer_of(session.urls(), VIEWERS[viewer]), timeout_ms=120_000) as conn:
                for line, in conn.exec_driver_sql("explain (analyze, buffers, costs off) " + statement, parameters):
                    print("   ", line)
            print()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", required=True, help="the administrator's URL of a bench database")
    parser.add_argument("--data", type=Path, required=True, help="the folder of that server, where the logins' passwords lie")
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--filters", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=240)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--explain", metavar="PAGE")
    parser.add_argument("--plans", type=int, default=1, help="with --explain: how many statements with their plan")
    parser.add_argument("--viewer", choices=VIEWERS, help="this one alone; with --explain: whose page, else the office's")
    parser.add_argument("--page", choices=(*PAGES, "oversight", "released"), help="this one alone")
    parser.add_argument("params", nargs="*", help="with --explain: the address, as in period=last_week unit=12")
    options = parser.parse_args()
    quiet()
    desk.environment(options.url, options.data)
    if options.explain:
        explain(options.url, options.explain, options.viewer or "office", dict(one.split("=", 1) for one in options.params), options.seed, options.plans)
    else:
        run(options.url, options.runs, options.filters, options.seconds, options.seed, (options.page,) if options.page else PAGES, (options.viewer,) if options.viewer else tuple(VIEWERS))


def quiet() -> None:
    """Streamlit outside a browser says so at every run."""
    logging.disable(logging.WARNING)


def run(url: str, runs: int, filters: int, seconds: float, seed: int, pages=PAGES, viewers=tuple(VIEWERS)) -> dict:
    """Measures, prints, writes results/pages.json."""
    rows = measured(url, runs, 0.6 * seconds if filters else seconds, seed, pages, viewers)
    desk.table(["page", "viewer", "runs", "statements", "db ms p50", "p95", "rows p50", "p95", "page ms p50", "stopped"],
               [[r["page"], r["viewer"], r["runs"], int(r["statements"]["p50"]), r["database_ms"]["p50"], r["database_ms"]["p95"], int(r["rows"]["p50"]), int(r["rows"]["p95"]), r["page_ms"]["p50"], r["stopped"]] for r in rows])
    result = {"complaints": desk.one(url, "select count(*) from complaint"), "pages": rows}
    if filters:
        result["combinations"] = combinations(url, filters, 0.4 * seconds, seed)
        for page, found in result["combinations"].items():
            print(f"any combination of filters, {page}: {found['n']} addresses, database p50 {found['p50']} ms, p95 {found['p95']} ms, max {found['max']} ms")
    desk.keep("pages", result)
    return result


if __name__ == "__main__":
    main()
