"""A bank of any size in the real schema, in minutes: written in sets by two connections, spans by the product's own rule, checked on a sample.

    python -m benchmarks.generate [--size 500k] [--data .data-bench] [--seed 1]    # prints the administrator's URL

36 first-level branches, 400 second-level, 40,000 outlets, head-office departments as in the demo; 36 months up to yesterday. Kept between runs, and made anew
where size, seed, schema or this code differ. The server is the product's embedded one; while the bank is written it runs without WAL for new
indexes and without fsync, afterwards as for an office.
"""
import argparse
import hashlib
import io
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from queue import Empty, Queue
from random import Random
from time import perf_counter
from zoneinfo import ZoneInfo

import psycopg2
from psycopg2.extras import execute_values
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool

from benchmarks import bank
from queries import connect, embedded, indicators, rollups, schema, setup
from queries.demo import names, units
from queries.demo.load import SOURCE, ZONE, _users
from queries.demo.units import Unit, person

HERE = Path(__file__).parent
SIZES = {"50k": 50_000, "500k": 500_000, "1m": 1_000_000, "5m": 5_000_000}
CHUNK, BATCH, CONNECTIONS = 50_000, 5_000, 2
OUTLETS, SECOND_LEVEL = 40_000, 400
LOADING = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "wal_level": "minimal", "max_wal_senders": "0", "max_wal_size": "24GB",
           "checkpoint_timeout": "1h", "autovacuum": "off", "wal_compression": "off"}
SAMPLE = 3_000                                        # complaints whose spans and ends are built again and compared
DERIVED = {"words": "select search_write(array(select complaint_id from complaint where complaint_id between %(a)s and %(b)s))",       # what triggers would have done
           "persons": """update complainant set phone_hash = person_key('phone', plain_number(phone)), id_hash = person_key('id_no', plain_number(id_no)),
                                name_hash = person_key('name', plain_name(name)) where complaint_id between %(a)s and %(b)s"""}


english, sort_key = cache(units.english), cache(units.sort_key)


def tree_of(rng: Random, outlets: int, seconds: int = SECOND_LEVEL) -> list[Unit]:
    """The demo's head office, departments and branches; second-level branches up to `seconds`, `outlets` shared out among them by weight."""
    tree: list[Unit] = []

    def add(above: int | None, kind: str, code: str, name: str, short: str, name_en: str, short_en: str, phone: str, **more) -> int:
        contacts = [(person(rng), f"{phone}-5550{rng.randrange(10_000):04d}") for _ in range(3)]
        tree.append(Unit(len(tree), above, kind, code, name, short, name_en, short_en, phone, contacts=contacts, **more))
        if above is not None:
            tree[above].children.append(len(tree) - 1)
        return len(tree) - 1

    def rows(block: str) -> list[list[str]]:
        return [line.split("|") for line in block.strip().splitlines()]

    head = add(None, "head", "00", "总行", "总行", "Head Office", "Head Office", "010")
    for i, (name, short, name_en, short_en, accepts, weight) in enumerate(rows(names.HEAD)):
        add(head, "department", f"00{i + 1:02d}", name, short, name_en, short_en, "010", accepts=accepts == "1", weight=float(weight))
    branches = rows(names.BRANCHES)
    cities = [row[5].split() for row in branches]
    largest = sorted(range(len(branches)), key=lambda i: -float(branches[i][3]))
    for i in range(seconds - sum(map(len, cities))):                      # the demo has 362
        of = largest[i % len(largest)]
        cities[of].append(f"{branches[of][0]}{'新区 西区 东区 南区'.split()[i // len(largest)]}")
    second: list[tuple[int, float]] = []
    for i, (name, name_en, phone, weight, focus, _) in enumerate(branches):
        code, weight = f"{i + 11:02d}", float(weight)
        branch = add(head, "branch1", code, name + "分行", name, name_en + " Branch", name_en, phone, weight=0.05 * weight, focus=focus == "1")
        for j, (short, short_en, accepts) in enumerate(rows(names.DEPARTMENTS)):
            add(branch, "department", f"{code}D{j + 1}", f"{name}分行{short}", short, f"{name_en} Branch {short_en}", short_en, phone, accepts=accepts == "1",
                weight=0.035 * weight if j in (3, 4) else 0)
        shares = [rng.lognormvariate(0, 0.35) * (2.4 if j == 0 else 1) for j in range(len(cities[i]))]
        for j, (city, share) in enumerate(zip(cities[i], shares)):
            city, own = city.rstrip("0123456789"), city[-4:].lstrip("".join(set(city) - set("0123456789")))
            share = weight * share / sum(shares)
            place = add(branch, "branch2", f"{code}{j + 1:02d}", city + ("分行" if own else "支行"), city, english(city) + " Branch", english(city), own or phone, weight=0.16 * share)
            second.append((place, share))
    total, given, spent = sum(share for _, share in second), 0, 0.0
    for place, share in second:
        spent += share
        n = round(outlets * spent / total) - given
        given += n
        city, parent = tree[place].short, tree[place]
        skew = [rng.lognormvariate(0, 0.9) for _ in range(n)]              # a few outlets have ten times the complaints of most
        for k in range(n):
            spot = names.PLACES[k % len(names.PLACES)] + ("" if k < len(names.PLACES) else f"第{k // len(names.PLACES) + 1}")
            add(place, "outlet", f"{parent.code}{k + 1:03d}", f"{city}{spot}支行", f"{spot}支行", f"{english(city)} {english(spot)} Outlet", english(spot), parent.phone,
                weight=0.72 * share * skew[k] / sum(skew), outlets=1, customers=int(rng.lognormvariate(10.2, 0.5)))
    for i, (name, short, name_en, short_en, phone, weight) in enumerate(rows(names.OVERSEAS)):
        add(head, "overseas", f"9{i + 1}", name, short, name_en, short_en, phone, weight=float(weight), outlets=1, customers=20_000)
    for unit in reversed(tree):
        if unit.above is not None:
            tree[unit.above].outlets += unit.outlets
            tree[unit.above].customers += unit.customers
    return tree


class Bench:
    """Fills an empty database `desk`; every step says how long it took."""

    def __init__(self, url: str, n: int, seed: int, say: Callable[[str], None], outlets: int = OUTLETS):
        self.url, self.n, self.seed, self.say, self.outlets = url, n, seed, say, outlets
        self.times: dict[str, float] = {}

    def connect(self):
        """The administrator, without triggers, one core each."""
        address = make_url(self.url)
        return psycopg2.connect(host=address.query["host"], port=address.query["port"], user=address.username, password=address.password, dbname=address.database,
                                options="-c search_path=desk,public -c session_replication_role=replica -c jit=off -c temp_buffers=256MB -c work_mem=256MB"
                                        " -c maintenance_work_mem=1GB -c max_parallel_workers_per_gather=0 -c max_parallel_maintenance_workers=1 -c timezone=UTC")

    def step(self, name: str, work: Callable):
        began = perf_counter()
        result = work()
        self.times[name] = round(perf_counter() - began, 1)
        self.say(f"{self.times[name]:7.1f} s  {name}")
        return result

    def fill(self) -> dict:
        self.step("schema, calendar, packs", lambda: setup.setup(self.url))
        plan = self.step("units, small tables", self.small_tables)
        indexes = self.drop_indexes()
        self.step("complaints, history, spans", lambda: self.write(plan))
        self.step("indexes", lambda: self.make(indexes))
        self.step("sequences", self.finish)
        self.step("vacuum analyze", self.vacuum)
        self.step("roll-ups", lambda: rollups.build(self.url, jobs=CONNECTIONS))
        return self.step("check", self.check)

    def small_tables(self) -> bank.Plan:
        conn = self.connect()
        with conn, conn.cursor() as cur:
            today = load_today(cur)
            cur.execute("select calendar_id from calendar where code = 'CN' and tz = %s", (ZONE,))
            calendar = cur.fetchone()[0]
            cur.execute("select day, working, ordinal from workday where calendar_id = %s and day between %s and %s order by day",
                        (calendar, today - timedelta(days=bank.MONTHS_DAYS + 30), today + timedelta(days=700)))
            days = cur.fetchall()
            codes = {}
            for table in ("category", "channel"):
                cur.execute(f"select code, {table}_id from {table} where pack = 'bank'")
                codes[table] = dict(cur.fetchall())
            cur.execute("insert into source (name, tz, pack, demo, seen_at) values (%s, %s, 'bank', true, clock_timestamp()) returning source_id", (SOURCE, ZONE))
            source = cur.fetchone()[0]
            rng = Random(self.seed)
            tree = tree_of(rng, self.outlets)
            ids = self.units(cur, tree)
            users = _users(cur, {u.code: ids[u.place] for u in tree})
            busiest = max((u for u in tree if u.kind == "outlet"), key=lambda u: u.weight)
            cur.execute("insert into app_user (login, name, role, demo) values ('bench-outlet', '网点账号', 'unit', true) returning user_id")
            cur.execute("insert into user_scope (user_id, unit_id) values (%s, %s)", (cur.fetchone()[0], ids[busiest.place]))
            cur.execute("set session_replication_role = origin")             # these are placed by their trigger
            cur.execute("select unit_id from unit_for(%s::smallint, array['网络金融事业部（旧）'])", (source,))
            unmapped = cur.fetchone()[0]
            cur.execute("select policy_id from policy where pack = 'bank' order by effective_from")
            policy, = cur.fetchone()
            assert cur.fetchone() is None, "the bench's complaints have one policy"
            cur.execute("drop schema if exists bench cascade; create schema bench")
            rows, opens = bank.days_of(days, today, self.n)
            cur.execute("create table bench.day (day date, day0 int8, ord int, working boolean, first int8, last int8, burst_share float8)")
            execute_values(cur, "insert into bench.day values %s", rows)
            cur.execute("""create table bench.slot (slot int, about int, level1 int, level2 int, outlet int, an_outlet int, kind text, home text, name text, contact text, phone text,
                           dep1 int, dep2 int, dep3 int, dep4 int, dep5 int, dep6 int)""")
            self.copy(cur, "bench.slot", bank.slots_of(tree, ids, rng))
            cur.execute("create table bench.matter (category int, i int, title text, form text, demand text, asks boolean)")
            execute_values(cur, "insert into bench.matter values %s", bank.matters())
            cur.execute("create table bench.person (i int, name text)")
            execute_values(cur, "insert into bench.person values %s", bank.people(rng), page_size=2000)
            head = {tree[c].name: ids[c] for c in tree[0].children}
            plan = bank.Plan(seed=self.seed, n=self.n, cut=(today - date(1970, 1, 1)).days * bank.DAY - bank.ZONE_OFFSET, opens=opens, head=head, categories=codes["category"],
                             channels=codes["channel"], shares=bank.department_shares(tree), source=source, calendar=calendar, policy=policy, user=users["demo-supervisor"], user_name="李敏",
                             unmapped=unmapped)
            cur.execute(plan.limits())
        conn.autocommit = True
        conn.cursor().execute("analyze")
        conn.close()
        return plan

    def units(self, cur, tree: list[Unit]) -> list[int]:
        """Inserts the tree with the places that unit_place() would give (which asks for each unit's siblings); returns the ids in the order of `tree`."""
        width = [1 << bits for bits in (55, 39, 25, 13, 5, 0)]
        cur.execute("select coalesce(max(unit_id), 0), coalesce(max(label), 0) from unit")
        last, root = cur.fetchone()
        level, label, free, rows = [], [], [], []
        for u in tree:
            deep = 0 if u.above is None else level[u.above] + 1
            at = root + width[0] if u.above is None else free[u.above]
            if u.above is not None:
                free[u.above] += width[deep]
            level.append(deep), label.append(at), free.append(at + width[deep + 1])
            rows.append((last + 1 + u.place, None if u.above is None else last + 1 + u.above, u.kind, u.code, u.name, u.name_en, u.short, u.short_en, sort_key(u.short), deep, at,
                         at + width[deep] - 1, u.outlets or None, u.customers or None, u.focus, u.accepts))
        execute_values(cur, """insert into unit (unit_id, parent_id, kind, code, name, name_en, short, short_en, sort_key, level, label, label_end, outlets, customers, focus, accepts)
                               overriding system value values %s""", rows, page_size=1000)
        execute_values(cur, "insert into unit_contact (unit_id, rank, name, phone) values %s",
                       [(last + 1 + u.place, rank, name, phone) for u in tree for rank, (name, phone) in enumerate(u.contacts, 1)], page_size=1000)
        cur.execute("select setval(pg_get_serial_sequence('unit', 'unit_id'), %s)", (last + len(tree),))
        return [last + 1 + u.place for u in tree]

    def copy(self, cur, table: str, rows: list[tuple]) -> None:
        cur.copy_expert(f"copy {table} from stdin", io.StringIO("\n".join("\t".join("\\N" if v is None else str(v) for v in row) for row in rows)))

    def drop_indexes(self) -> list[tuple[str, str]]:
        """Drops, of the tables that hang on complaints, every index that is no constraint and does not begin with complaint_id; returns [(table, definition)]."""
        conn = self.connect()
        with conn, conn.cursor() as cur:
            cur.execute("""select t.relname, i.relname, pg_get_indexdef(x.indexrelid) from pg_index x join pg_class i on i.oid = x.indexrelid join pg_class t on t.oid = x.indrelid
                            where t.relnamespace = 'desk'::regnamespace and not exists (select from pg_constraint k where k.conindid = x.indexrelid) and not x.indisunique
                              and exists (select from pg_attribute a where a.attrelid = t.oid and a.attname = 'complaint_id')
                              and coalesce((select a.attname from pg_attribute a where a.attrelid = t.oid and a.attnum = x.indkey[0]), '') <> 'complaint_id'""")
            found = cur.fetchall()
            for _, index, _ in found:
                cur.execute(f'drop index desk."{index}"')
        conn.close()
        return [(table, definition) for table, _, definition in found]

    def write(self, plan: bank.Plan) -> None:
        """Chunks in turn, by as many connections as there are cores to use; the first one small, so that plans know the tables."""
        ranges: Queue = Queue()
        first = min(BATCH, self.n)
        for a in range(first + 1, self.n + 1, CHUNK):
            ranges.put((a, min(a + CHUNK - 1, self.n)))
        gen, inserts = plan.gen(), [*plan.inserts(), *plan.spans()]
        self.parts: dict[str, float] = {}

        def chunk(conn, a: int, b: int) -> None:
            with conn, conn.cursor() as cur:
                for i, statement in enumerate([gen, *inserts]):
                    began = perf_counter()
                    cur.execute(statement if i else gen.replace("%(a)s", str(a)).replace("%(b)s", str(b)))
                    if not i:
                        cur.execute("analyze gen")
                    name = " ".join(statement.split()[:3])
                    self.parts[name] = self.parts.get(name, 0) + perf_counter() - began
                began = perf_counter()
                cur.execute(f"select id from told where not ({bank.PLAIN}) order by id")
                others = [row[0] for row in cur.fetchall()]
                for at in range(0, len(others), BATCH):
                    cur.execute("select respan(%s::bigint[])", (others[at:at + BATCH],))
                self.parts["spans of the others"] = self.parts.get("spans of the others", 0) + perf_counter() - began
                for name, statement in DERIVED.items():
                    began = perf_counter()
                    cur.execute(statement, {"a": a, "b": b})
                    self.parts[name] = self.parts.get(name, 0) + perf_counter() - began

        conn = self.connect()
        chunk(conn, 1, first)
        conn.autocommit = True
        conn.cursor().execute("analyze")
        conn.close()

        def work() -> None:
            conn = self.connect()
            while (some := take(ranges)) is not None:
                chunk(conn, *some)
            conn.close()

        with ThreadPoolExecutor(CONNECTIONS) as pool:
            for one in [pool.submit(work) for _ in range(CONNECTIONS)]:
                one.result()

    def make(self, indexes: list[tuple[str, str]]) -> None:
        waiting: Queue = Queue()
        for _, definition in sorted(indexes, key=lambda x: ("clock_span", "complaint_text", "event").index(x[0]) if x[0] in ("clock_span", "complaint_text", "event") else 9):
            waiting.put(definition)
        self.each(waiting)

    def each(self, waiting: Queue) -> None:
        """Runs statements, each in a transaction of its own, on all connections."""
        def work() -> None:
            conn = self.connect()
            conn.autocommit = True
            while (statement := take(waiting)) is not None:
                conn.cursor().execute(statement)
            conn.close()

        with ThreadPoolExecutor(CONNECTIONS) as pool:
            for one in [pool.submit(work) for _ in range(CONNECTIONS)]:
                one.result()

    def finish(self) -> None:
        conn = self.connect()
        with conn, conn.cursor() as cur:
            cur.execute("select setval(pg_get_serial_sequence('complaint', 'complaint_id'), %s), setval(pg_get_serial_sequence('event', 'event_id'), %s), setval(pg_get_serial_sequence('urge', 'urge_id'), %s)",
                        (self.n + 1, self.n * 32 + 32, self.n * 8 + 8))
            cur.execute("drop schema bench cascade")
        conn.close()

    def vacuum(self) -> None:
        conn = self.connect()
        conn.autocommit = True
        with conn.cursor() as cur:
            cur.execute("select relname from pg_class where relnamespace = 'desk'::regnamespace and relkind = 'r' order by relpages desc")
            waiting: Queue = Queue()
            for table, in cur.fetchall():
                waiting.put(f'vacuum (analyze, parallel 0) desk."{table}"')
        conn.close()
        self.each(waiting)

    def check(self) -> dict:
        """Spans of a sample equal what the rule builds from the raw rows, ends equal the product's reply_end(); returns what the bank is like. Raises AssertionError."""
        conn = self.connect()
        with conn, conn.cursor() as cur:
            rng = Random(self.seed)
            wrong = []
            for start in (rng.randrange(1, max(2, self.n - 500)) for _ in range(SAMPLE // 500)):
                cur.execute("select check_spans(%s, %s)", (start, start + 499))
                wrong += [row[0] for row in cur.fetchall()]
            assert not wrong, f"spans differ from the rule: {wrong[:5]}"
            cur.execute("""select c.complaint_id from complaint c tablesample system (2) repeatable (1) join policy p using (policy_id) join category k on k.category_id = c.category_id
                            where c.ended_at is distinct from reply_end(p.end_rule, c, c.anonymous or k.anonymous) or c.restricted <> k.restricted and c.category_id = c.first_category_id limit 5""")
            assert not (found := cur.fetchall()), f"ends differ from the rule: {found}"
            cur.execute("""select count(*), count(*) filter (where left_at = 'infinity'), count(*) filter (where ended_at <= due_at), count(*) filter (where ended_at > due_at),
                                  count(*) filter (where excluded_at is not null) from clock_span where clock = 'r' and valid_to = 'infinity'""")
            complaints, open_, met, late, excluded = cur.fetchone()
            assert complaints == self.n, f"{complaints} complaints have a reply clock that runs to the end, not {self.n}"
            cur.execute("select sum(pg_total_relation_size(oid)) from pg_class where relnamespace = 'desk'::regnamespace and relkind = 'r'")
            size = int(cur.fetchone()[0])
            cur.execute("select relname, reltuples::bigint from pg_class where relnamespace = 'desk'::regnamespace and relkind = 'r' and reltuples > 0 order by 2 desc limit 14")
            tables = dict(cur.fetchall())
        conn.close()
        return {"complaints": complaints, "open": open_, "met": met, "late": late, "excluded": excluded, "gigabytes": round(size / 2 ** 30, 2), "rows": tables}


def take(waiting: Queue):
    """The next one, or None where there is none left."""
    try:
        return waiting.get_nowait()
    except Empty:
        return None


def load_today(cur) -> date:
    cur.execute("select clock_timestamp()")
    return cur.fetchone()[0].astimezone(ZoneInfo(ZONE)).date()


def _version(n: int, seed: int) -> dict:
    code = hashlib.sha256()
    for file in (HERE / "bank.py", HERE / "generate.py", HERE / "words.py", *sorted(Path(schema.__file__).parent.glob("*.sql")), Path(rollups.__file__), Path(indicators.__file__), *sorted(Path(units.__file__).parent.glob("[ntu]*.py"))):
        code.update(file.read_bytes())
    return {"complaints": n, "seed": seed, "code": code.hexdigest()[:16]}


def ready(data: Path, n: int, seed: int = 1, *, say: Callable[[str], None] = print) -> str:
    """The administrator's URL of the bench database of `n` complaints in folder `data`; made where it is not there or another one is."""
    marker, wanted = data / "bench.json", _version(n, seed)
    if marker.exists() and {k: v for k, v in json.loads(marker.read_text()).items() if k in wanted} == wanted:
        return connect.administrator(None, data)
    say(f"Making a bank of {n:,} complaints in {data}")
    began = perf_counter()
    data.mkdir(parents=True, exist_ok=True)
    marker.unlink(missing_ok=True)
    embedded.stop(data)
    server = embedded.start(data, settings=LOADING)
    engine = create_engine(server, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with engine.connect() as conn:
        conn.execute(text(f"drop database if exists {connect.DATABASE} with (force)"))
        conn.execute(text(f"create database {connect.DATABASE}"))
    bench = Bench(make_url(server).set(database=connect.DATABASE).render_as_string(hide_password=False), n, seed, say)
    found = bench.fill()
    embedded.stop(data)
    url = connect.administrator(None, data)
    result = wanted | {"seconds": round(perf_counter() - began, 1), "steps": bench.times, "seconds_by_statement_of_all_connections": {k: round(v, 1) for k, v in bench.parts.items()}} | found
    marker.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", "utf-8")
    say(f"{result['seconds']:7.1f} s  in all; {found['open']:,} open ({found['open'] / n:.2%}), {found['gigabytes']} GB")
    return url


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", default="500k", choices=SIZES)
    parser.add_argument("--data", type=Path, default=Path(".data-bench"))
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    print(ready(options.data, SIZES[options.size], options.seed))


if __name__ == "__main__":
    main()
