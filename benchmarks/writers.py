"""What writing costs: complaints one by one from eight clients, in batches, closed, reassigned, imported; with what is kept up to date beside them, and without.

    python -m benchmarks.writers --url URL --data FOLDER [--seconds 5] [--rows 200000]

In a database of its own on the same server (a small bank, thrown away), because complaints are never deleted. Writers are the intake role; a client sends
each transaction in one message, so that the server is measured and not Python. Upkeep is that of the roll-ups: writers note what they touched ("noted": that alone), and a
worker beside them, the product's own, folds it every second ("on": both, on the same cores). Rounds without, with the one and with both take turns.
"""
import argparse
import statistics
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from time import monotonic, perf_counter

import psycopg2
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool

from benchmarks import desk
from benchmarks.generate import Bench
from dashboard import worker
from queries import db, intake
from queries.intake.land import land

NOTE = "insert into rollup_dirty select unnest(ids);"       # in respan(): what a writer pays for the roll-ups where spans are derived; elsewhere triggers do it
CLIENTS, BATCH, ROUNDS, BANK = 8, 5_000, 2, 50_000
MODES = ("off", "noted", "on")
MAPPING = """
[source]
name = "bench"
timezone = "Asia/Shanghai"
pack = "bank"
[fields]
complaint_no = "number"
received_at = { column = "received", format = "%Y-%m-%d %H:%M:%S" }
customer_replied_at = { column = "answered", format = "%Y-%m-%d %H:%M:%S" }
unit = "unit"
category = "category"
channel = "channel"
title = "title"
text = "text"
"""
ONE = """with c as (insert into complaint (source_id, complaint_no, pack, calendar_id, received_at, category_id, channel_id, unit_id, accepting_unit_id, about_unit_id, title)
        values ({source}, 'W{number}', 'bank', {calendar}, clock_timestamp() - interval '{ago} minutes', {category}, {channel}, {unit}, {unit}, {about}, '手机银行无法登录') returning complaint_id)
        insert into complaint_text (complaint_id, text) select complaint_id, '客户反复尝试登录均提示系统繁忙，影响当日还款，要求尽快恢复使用并免收滞纳金。' from c"""
MANY = """insert into complaint (source_id, complaint_no, pack, calendar_id, received_at, category_id, channel_id, unit_id, accepting_unit_id, about_unit_id, title)
        select {source}, 'B{number}-' || n, 'bank', {calendar}, clock_timestamp() - n * interval '1 minute', ('{categories}'::int2[])[1 + n % {n_categories}], ('{channels}'::int2[])[1 + n % {n_channels}],
               u, u, u, '手机银行无法登录' from generate_series(1, {batch}) n cross join lateral (select ('{units}'::int[])[1 + (n * 7919) % {n_units}]) as p (u)"""
CLOSE = "update complaint set customer_replied_at = clock_timestamp(), office_replied_at = clock_timestamp() where complaint_id = {id}"
MOVE = "begin; select set_config('app.act', 'reassigned', true), set_config('app.reason', '业务归口', true); update complaint set unit_id = {unit} where complaint_id = {id}; commit"


class Writers:
    """A small bank and its clients."""

    def __init__(self, url: str, urls: dict[str, str]):
        self.url, self.urls, self.serial, self.rng = url, urls, 0, Random(1)
        self.respan = desk.one(url, "select pg_get_functiondef('desk.respan(bigint[])'::regprocedure)")
        assert self.respan.count(NOTE) == 1, "respan() notes elsewhere"
        with desk.administrator(url).begin() as conn:
            def ids(statement):
                return list(conn.execute(text(statement)).scalars())
            self.units, self.categories, self.channels = ids("select unit_id from unit where kind = 'outlet' limit 3000"), \
                ids("select category_id from category where pack = 'bank' and complexity is not null"), ids("select channel_id from channel where pack = 'bank'")
            self.calendar = conn.execute(text("select calendar_id from calendar where code = 'CN' and tz = 'Asia/Shanghai'")).scalar_one()
            self.source = conn.execute(text("insert into source (name, tz, pack) values ('writers', 'Asia/Shanghai', 'bank') returning source_id")).scalar_one()
        self.account = db.viewer_of(urls, "intake")

    def client(self):
        """A connection of the intake role."""
        address = make_url(self.urls["desk_intake"])
        conn = psycopg2.connect(host=address.query["host"], port=address.query["port"], user=address.username, password=address.password, dbname=address.database,
                                options=f"-c search_path=desk -c jit=off -c app.user_id={self.account.user_id}")
        conn.autocommit = True
        conn.cursor().execute("set role r_intake")
        return conn

    @contextmanager
    def mode(self, upkeep: str) -> Iterator[None]:
        """Within it roll-ups are kept up to date, or writers note what they touch and it is folded afterwards, or nobody notes or folds anything (MODES)."""
        self._switch(upkeep != "off")
        ended = threading.Event()
        folder = threading.Thread(target=worker.fold, args=(self.urls["desk_app"], ended)) if upkeep == "on" else None
        if folder:
            folder.start()
        try:
            yield
        finally:
            ended.set()
            if folder:
                folder.join()
            self._switch(True)
            with desk.administrator(self.url, isolation_level="AUTOCOMMIT").connect() as conn:
                while conn.execute(text("select rollup_fold(:most)"), {"most": worker.MOST}).scalar_one() > 0:        # so that the next round has nothing of this one's
                    pass

    def _switch(self, on: bool) -> None:
        with desk.administrator(self.url).begin() as conn:
            conn.exec_driver_sql((self.respan if on else self.respan.replace(NOTE, "")).replace("%", "%%"))
            for table, trigger in conn.execute(text("select tgrelid::regclass::text, tgname from pg_trigger where tgname like 'rollup\\_%'")).all():
                conn.execute(text(f"alter table {table} {'enable' if on else 'disable'} trigger {trigger}"))

    def together(self, seconds: float, statement: Callable[[Random, int], str | None]) -> float:
        """Transactions a second of all clients, each of which sends what `statement(rng, client)` says until the time is over or it says None."""
        done, faults, ready = [0] * CLIENTS, [], threading.Barrier(CLIENTS + 1)

        def work(client: int) -> None:
            try:
                conn, rng = self.client(), Random(self.rng.random() + client)
                cursor = conn.cursor()
                ready.wait()
                while monotonic() < until[0] and (sql := statement(rng, client)) is not None:
                    cursor.execute(sql)
                    done[client] += 1
                conn.close()
            except Exception as fault:                   # told by the caller
                faults.append(fault)
                ready.abort()

        until = [monotonic() + 3600]
        threads = [threading.Thread(target=work, args=(client,)) for client in range(CLIENTS)]
        for thread in threads:
            thread.start()
        try:
            ready.wait()
        except threading.BrokenBarrierError:
            raise faults[0] from None
        began = monotonic()
        until[0] = began + seconds
        for thread in threads:
            thread.join()
        if faults:
            raise faults[0]
        return sum(done) / (monotonic() - began)

    def number(self) -> int:
        self.serial += 1
        return self.serial

    def one(self, rng: Random, client: int) -> str:
        return ONE.format(source=self.source, number=f"{client}-{self.number()}-{rng.randrange(10 ** 6)}", calendar=self.calendar, ago=rng.randrange(3000), category=rng.choice(self.categories),
                          channel=rng.choice(self.channels), unit=rng.choice(self.units), about=rng.choice(self.units))

    def batches(self, n: int) -> float:
        """Rows a second of one client in batches."""
        conn = self.client()
        cursor, began = conn.cursor(), perf_counter()
        for _ in range(n):
            cursor.execute(MANY.format(source=self.source, number=self.number(), calendar=self.calendar, categories="{" + ",".join(map(str, self.categories)) + "}", n_categories=len(self.categories),
                                       channels="{" + ",".join(map(str, self.channels)) + "}", n_channels=len(self.channels), units="{" + ",".join(map(str, self.units)) + "}", n_units=len(self.units), batch=BATCH))
        conn.close()
        return n * BATCH / (perf_counter() - began)

    def open_ones(self, n: int) -> list[list[int]]:
        """Open complaints of this source, shared out among the clients."""
        with desk.administrator(self.url).begin() as conn:
            found = list(conn.execute(text("select complaint_id from complaint where source_id = :s and ended_at is null order by hashint8(complaint_id) limit :n"), {"s": self.source, "n": n}).scalars())
        return [found[i::CLIENTS] for i in range(CLIENTS)]

    def imported(self, rows: int, folder: Path) -> float:
        """Rows a second of a file through the product's import."""
        (folder / "mapping.toml").write_text(MAPPING, "utf-8")
        mapping = intake.load(folder / "mapping.toml")
        with desk.administrator(self.url).connect() as conn, open(folder / "complaints.csv", "wb") as out:
            conn.connection.cursor().copy_expert(f"""copy (select 'I' || n as number, to_char(t, 'YYYY-MM-DD HH24:MI:SS') as received, to_char(t + interval '1 day' * (1 + n % 12), 'YYYY-MM-DD HH24:MI:SS') as answered,
                u.name as unit, k.name as category, c.name as channel, '转账失败扣款未退' as title, '客户在手机银行转账，提示失败但已扣款，三日未退回，第' || n || '次来电。' as text
                from generate_series(1, {rows}) n cross join lateral (select timestamp '2024-01-01' + n * interval '53 seconds' as t) x
                join (select name, row_number() over (order by unit_id) - 1 as i from unit where kind = 'outlet' order by unit_id limit 400) u on u.i = n % 400
                join (select name, row_number() over (order by category_id) - 1 as i from category where pack = 'bank' and complexity is not null) k on k.i = n % 6
                join (select name, row_number() over (order by channel_id) - 1 as i from channel where pack = 'bank') c on c.i = n % 8) to stdout (format csv, header)""", out)
        began = perf_counter()
        with intake.open_source(folder / "complaints.csv", mapping) as source, db.writing(self.urls, self.account, timeout_ms=0) as conn:
            report = land(conn, source, mapping, now=db.clock(conn), pack="bank")
        assert report.added == rows and not report.quarantined, f"of {rows} rows {report.added} landed, {report.quarantined} did not"
        return rows / (perf_counter() - began)


@contextmanager
def bank(url: str) -> Iterator[str]:
    """The administrator's URL of a small bank on this server, dropped afterwards."""
    own = make_url(url).set(database="desk_writers").render_as_string(hide_password=False)
    engine = create_engine(make_url(url).set(database="postgres"), isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with engine.connect() as conn:
        conn.execute(text("drop database if exists desk_writers with (force)"))
        conn.execute(text("create database desk_writers"))
    try:
        Bench(own, BANK, 1, lambda line: None).fill()
        yield own
    finally:
        for login in ("desk_app", "desk_intake"):
            db.engine.cache_clear()
        with engine.connect() as conn:
            conn.execute(text("drop database desk_writers with (force)"))


def run(url: str, folder: Path, seconds: float = 5, rows: int = 200_000) -> dict:
    """Measures, prints, writes results/writers.json: by kind of writing, per second, with upkeep on, noted and off, and how many times as long as off."""
    with bank(url) as own, tempfile.TemporaryDirectory(dir=folder) as temporary:
        w = Writers(own, desk.logins(own, folder))
        found: dict[str, dict[str, list[float]]] = {kind: {upkeep: [] for upkeep in MODES} for kind in ("one by one, 8 clients", "batches of 5,000", "close, 8 clients", "reassign, 8 clients", "import")}
        for number in range(ROUNDS):                          # in turns, so that the machine is the same for all
            for upkeep in MODES[::1 if number % 2 else -1]:
                with w.mode(upkeep):
                    found["one by one, 8 clients"][upkeep].append(w.together(seconds, w.one))
                    found["batches of 5,000"][upkeep].append(w.batches(2))
                    ids = w.open_ones(40_000)
                    found["reassign, 8 clients"][upkeep].append(w.together(seconds, lambda rng, client: MOVE.format(id=rng.choice(ids[client]), unit=rng.choice(w.units))))
                    found["close, 8 clients"][upkeep].append(w.together(seconds, lambda rng, client: CLOSE.format(id=ids[client].pop()) if ids[client] else None))
        with w.mode("on"):
            found["import"]["on"].append(w.imported(rows, Path(temporary)))
        with desk.administrator(own).begin() as conn:
            last = conn.execute(text("select max(complaint_id) from complaint")).scalar()
            wrong = conn.execute(text("select count(*) from check_spans(:a, :b)"), {"a": last - 2000, "b": last}).scalar()
        assert wrong == 0, f"{wrong} complaints have spans that differ from the rule"
    result = []
    for kind, by_mode in found.items():
        on, noted, off = (statistics.median(by_mode[one]) if by_mode[one] else None for one in ("on", "noted", "off"))
        result.append({"kind": kind, "on": round(on), "noted": round(noted) if noted else None, "off": round(off) if off else None,
                       "times_as_long": round(off / on, 2) if off else None, "noted_times_as_long": round(off / noted, 2) if off and noted else None})
    desk.table(["complaints a second", "upkeep on", "noted", "off", "times as long", "noted"],
               [[r["kind"], *(str(r[name] or "–") for name in ("on", "noted", "off", "times_as_long", "noted_times_as_long"))] for r in result])
    whole = {"bank": BANK, "clients": CLIENTS, "imported_rows": rows, "writers": result}
    desk.keep("writers", whole)
    return whole


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--rows", type=int, default=200_000)
    options = parser.parse_args()
    run(options.url, options.data, options.seconds, options.rows)


if __name__ == "__main__":
    main()
