"""How fast a file comes in: N rows by the product's import into an empty database, with clocks, history and spans; the same file again; a corrected one.

    python -m benchmarks.importing                     # 300,000 rows, its own PostgreSQL, thrown away; writes results/importing.json
    python -m benchmarks.importing 1000000             # the contract of issue 5: at least 20,000 rows a second, one transaction a file
    python -m benchmarks.importing 300000 --split      # and what the functions of the database took (costs a little itself)

The file is a bank's: three years, 2,160 outlets, seven moments, one row of a hundred is bad, one of ten carries words and a person, one of five a
satisfaction. Seconds are wall clock; "cpu" is what Python and the one server process used, which says more on a machine that others use, too.
"""
import argparse
import csv
import json
import os
import shutil
import tempfile
import threading
from collections import defaultdict
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from time import perf_counter, process_time, sleep

from sqlalchemy import create_engine, event, text
from sqlalchemy.pool import NullPool

from queries import connect, db, embedded, intake, schema, setup
from queries.intake.land import land

TARGET = 20_000
MAPPING = """
[source]
name = "bench"
timezone = "Asia/Shanghai"
pack = "bank"
[fields]
complaint_no = "编号"
received_at = "投诉时间"
registered_at = "登记时间"
dispatched_at = "转办时间"
customer_replied_at = "答复时间"
closed_at = "办结时间"
unit = "机构号"
category = "类别"
channel = "渠道"
handler = "经办人"
title = "标题"
amount = "金额"
text = "内容"
complainant_name = "客户"
complainant_phone = "电话"
satisfaction = "满意度"
[values.satisfaction]
"满意" = "satisfied"
"基本满意" = "basically"
"不满意" = "dissatisfied"
"""
HEADER = ("编号", "投诉时间", "登记时间", "转办时间", "答复时间", "办结时间", "机构号", "类别", "渠道", "经办人", "标题", "金额", "内容", "客户", "电话", "满意度")
CATEGORIES = ("work_error", "service_attitude", "internal_management", "service_product", "service_channel", "violation", "financial_crime", "anonymous")
WEIGHTS = (14, 30, 6, 22, 16, 9, 1, 2)
CHANNELS = ("phone", "comment_book", "web", "walk_in", "letter", "media", "superior", "government")
WHAT = ("信用卡年费", "柜面排队", "理财产品赎回", "手机银行转账", "提前还贷", "工作人员态度", "自助设备吞卡", "开户资料")
BRANCHES, PLACES, OUTLETS = 36, 10, 6
START = datetime(2023, 1, 3, 8)


def write(path: Path, rows: int, *, corrected: bool = False) -> None:
    """The file; `corrected`: one row of fifty was closed a day later than the first file said. The same from run to run."""
    rng, other = Random(5), Random(6)
    step = timedelta(seconds=3 * 365 * 86_400 / rows)
    with path.open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file)
        out.writerow(HEADER)
        for n in range(rows):
            received = START + n * step
            registered = received + timedelta(minutes=rng.randrange(1, 90))
            sent = registered + timedelta(minutes=rng.randrange(5, 2000))
            replied = sent + timedelta(minutes=int(rng.lognormvariate(8.6, 0.8)))
            closed = replied + timedelta(minutes=rng.randrange(1, 1500))
            still = n > rows * 0.985 and rng.random() < 0.7
            outlet = f"{rng.randrange(BRANCHES) + 11}{rng.randrange(PLACES):02}{rng.randrange(OUTLETS):02}"
            rich, scored = rng.random() < 0.1, rng.random() < 0.2
            if other.random() < 0.02 and corrected:
                closed += timedelta(days=1)
            row = [f"B{n:08}", received, registered, sent, "" if still else replied, "" if still else closed, outlet, rng.choices(CATEGORIES, WEIGHTS)[0],
                   rng.choice(CHANNELS), f"经办{rng.randrange(3000)}", f"关于{rng.choice(WHAT)}的投诉" + (f"，单号{rng.randrange(10 ** 6)}" if rng.random() < 0.1 else ""), rng.randrange(100, 90_000) if rng.random() < 0.3 else "",
                   "客户反映在网点办理业务时等候过久，柜员解释不清，要求说明原因并答复。" * rng.randrange(1, 5) if rich else "",
                   "王某某" if rich else "", f"139{rng.randrange(10 ** 8):08}" if rich else "", rng.choice(("满意", "基本满意", "不满意")) if scored else ""]
            row[1:6] = [moment and moment.strftime("%Y-%m-%d %H:%M:%S") for moment in row[1:6]]
            if n % 100 == 37:
                row[rng.choice((0, 1, 5))] = rng.choice(("", "32.13.2026"))
            out.writerow(row)


def tree(conn) -> None:
    """Head office, branches, places, outlets."""
    conn.execute(text("insert into unit (kind, code, name, level, label, label_end) values ('head', '0', '总行', 0, 0, 0)"))
    for kind, level, parent, code, many in (("branch1", 0, "'0'", "(n + 10)::text", BRANCHES), ("branch2", 1, "u.code", "u.code || lpad((n - 1)::text, 2, '0')", PLACES),
                                            ("outlet", 2, "u.code", "u.code || lpad((n - 1)::text, 2, '0')", OUTLETS)):
        conn.execute(text(f"""insert into unit (parent_id, kind, code, name, level, label, label_end)
                              select u.unit_id, '{kind}', {code}, '行' || {code}, 0, 0, 0 from unit u, generate_series(1, {many}) n where u.level = {level} order by u.label, n"""))


class Clock:
    """Seconds by statement, wall clock, CPU of this process and of the server's process."""

    def __init__(self, conn):
        self.conn, self.spent = conn, defaultdict(lambda: [0.0, 0.0, 0.0])
        self.pid = conn.execute(text("select pg_backend_pid()")).scalar_one()
        self.last = self.now()
        event.listen(conn, "before_cursor_execute", lambda *_: self.lap("Python between"))
        event.listen(conn, "after_cursor_execute", lambda c, cursor, statement, *_: self.lap(" ".join(statement.split())[:54]))

    def now(self):
        me, server = os.times(), 0.0
        try:
            fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(") ")[2].split()
            server = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        except OSError:
            pass                                            # no /proc: wall clock alone
        return perf_counter(), process_time() + me.children_user + me.children_system, server

    def lap(self, name):
        now = self.now()
        for i in range(3):
            self.spent[name][i] += now[i] - self.last[i]
        self.last = now


def bring(urls: dict, file: Path, mapping: intake.Mapping) -> dict:
    """One import as the command line does it; what it said, what it took."""
    started = perf_counter()
    with intake.open_source(file, mapping) as source, db.writing(urls, db.viewer_of(urls, "intake"), timeout_ms=0) as conn:
        clock = Clock(conn)
        opened = perf_counter()
        told = [opened]

        def progress(what, done, total):
            if what == "merge":
                clock.lap("read, convert, COPY")
                told.append(perf_counter())
        report = land(conn, source, mapping, now=db.clock(conn), pack="bank", progress=progress)
        clock.lap("end")
    seconds = perf_counter() - started
    return {"rows": report.rows, "added": report.added, "changed": report.changed, "unchanged": report.unchanged, "quarantined": report.quarantined,
            "seconds": round(seconds, 2), "rows_per_second": round(report.rows / seconds), "open_s": round(opened - started, 2),
            "split": {name: [round(one, 2) for one in spent] for name, spent in sorted(clock.spent.items(), key=lambda item: -item[1][0]) if spent[0] >= 0.02}}


def singles(urls: dict, admin: str, prefix: str, *, clients: int = 8, each: int = 150) -> float:
    """Complaints a second, one a transaction, by this many clients: what the import must not slow down."""
    insert = text("""insert into complaint (source_id, complaint_no, pack, received_at, unit_id, calendar_id, category_id, channel_id)
                     select s.source_id, :no, 'bank', clock_timestamp(), :unit, c.calendar_id, g.category_id, h.channel_id
                       from source s, calendar c, category g, channel h
                      where s.name = 'bench' and c.code = 'CN' and g.pack = 'bank' and g.code = 'violation' and h.pack = 'bank' and h.code = 'phone'""")
    engine = create_engine(admin, poolclass=NullPool)
    with engine.connect() as conn:
        units = conn.execute(text("select unit_id from desk.unit where kind = 'outlet'")).scalars().all()
    engine.dispose()
    account, ready = db.viewer_of(urls, "intake"), threading.Barrier(clients + 1)

    def client(number):
        with db.writing(urls, account) as conn:
            conn.execute(text("select 1"))
        ready.wait()
        for n in range(each):
            with db.writing(urls, account) as conn:
                conn.execute(insert, {"no": f"{prefix}{number}-{n}", "unit": units[(number * each + n) % len(units)]})
    threads = [threading.Thread(target=client, args=(n,)) for n in range(clients)]
    for one in threads:
        one.start()
    ready.wait()
    started = perf_counter()
    for one in threads:
        one.join()
    return clients * each / (perf_counter() - started)


def main() -> None:
    ask = argparse.ArgumentParser()
    ask.add_argument("rows", type=int, nargs="?", default=300_000)
    ask.add_argument("--split", action="store_true")
    ask.add_argument("--once", action="store_true", help="the first import alone")
    ask.add_argument("--profile", action="store_true", help="what of Python takes how long, without a database")
    asked = ask.parse_args()
    root = Path(tempfile.mkdtemp(prefix="desk-bench-"))
    root.chmod(0o711)
    try:
        file = root / "bank.csv"
        (root / "mapping.toml").write_text(MAPPING, encoding="utf-8")
        mapping = intake.load(root / "mapping.toml")
        write(file, asked.rows)
        if asked.profile:
            started = process_time()
            with intake.open_source(file, mapping) as source:
                many = sum(1 for _ in intake.read(source, mapping, datetime.now().astimezone()))
            print(f"read and converted: {many / (process_time() - started):,.0f} rows a second of CPU")
            return
        url = embedded.start(root, durable=True)
        setup.setup(url)
        urls = schema.login_urls(url, root)
        connect.as_owner(url, tree)
        admin = create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        with admin.connect() as conn:
            conn.execute(text("vacuum analyze"))
            if asked.split:
                conn.execute(text(f"alter database {conn.engine.url.database} set track_functions = 'all'"))
        result = {"added": bring(urls, file, mapping)}
        if asked.split:
            sleep(1)
            with admin.connect() as conn:
                for name, calls, total, own in conn.execute(text("select funcname, calls, total_time, self_time from pg_stat_user_functions order by self_time desc limit 14")):
                    print(f"  {name:<26}{calls:>10,} calls {total / 1000:8.2f} s, itself {own / 1000:8.2f} s")
        if not asked.once:
            result["again"] = bring(urls, file, mapping)
            write(file, asked.rows, corrected=True)
            result["corrected"] = bring(urls, file, mapping)
            result["singles_per_second"] = round(sorted(singles(urls, url, f"S{n}-") for n in range(3))[1])
            with admin.connect() as conn:
                conn.execute(text("set search_path = desk"))
                wrong = conn.execute(text("select count(*) from check_spans(0, (select min(complaint_id) + 20000 from complaint))")).scalar_one()
                assert not wrong, f"{wrong} complaints have other spans than span_of() says"
        for name, one in result.items():
            if isinstance(one, dict):
                print(f"{name}: {one['rows']:,} rows in {one['seconds']} s = {one['rows_per_second']:,} a second "
                      f"(added {one['added']:,}, changed {one['changed']:,}, unchanged {one['unchanged']:,}, held {one['quarantined']:,})")
                print(f"  {'':<56}{'s':>8}{'cpu py':>8}{'cpu pg':>8}")
                for what, spent in one["split"].items():
                    print(f"  {what:<56}" + "".join(f"{value:8.2f}" for value in spent))
            else:
                print(f"{name}: {one:,}")
        if not asked.once:
            (Path(__file__).parent / "results" / "importing.json").write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", "utf-8")
        print("met" if result["added"]["rows_per_second"] >= TARGET else "MISSED")
    finally:
        embedded.stop(root)
        shutil.rmtree(root, ignore_errors=True)


if __name__ == "__main__":
    main()
