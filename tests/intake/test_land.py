"""Files into a real database: what lands, what does not, and what a second file does to the first."""
import gzip
import io
import resource
import sqlite3
from datetime import datetime, timezone
from time import sleep

import openpyxl
import psycopg2
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError, ProgrammingError
from sqlalchemy.pool import NullPool

from queries import connect, db, intake, quality
from queries.intake.land import _Ahead, land
from tests import makers
from tests.makers import cn

MAPPING = """
[source]
name = "office"
timezone = "Asia/Shanghai"
pack = "bank"
[fields]
complaint_no = "no"
received_at = "at"
unit = "unit"
category = "kind"
channel = "by"
customer_replied_at = "replied"
closed_at = "closed"
[defaults]
channel = "phone"
"""
HEADER = "no,at,unit,kind,by,replied,closed\n"
ONE = HEADER + "A1,2026-03-02 10:00,甲支行,violation,,,\n"
TABLES = ("complaint", "complaint_key", "complaint_text", "complainant", "event", "clock_span", "unit", "category", "channel",
          "source", "import_batch", "quarantine", "call_back", "withdrawal", "calendar", "workday")


@pytest.fixture
def office(desk, tmp_path):
    return Office(desk, tmp_path)


class Office:
    """Brings files in as the command line does, and looks at what came of them."""

    def __init__(self, urls, folder):
        self.urls, self.folder = urls, folder
        self.admin = create_engine(urls["admin"], poolclass=NullPool)

    def bring(self, content, mapping=MAPPING, *, name="file.csv", url=None, dry_run=False, progress=lambda *_: None,
              now=None):
        toml = self.folder / "mapping.toml"
        toml.write_text(mapping, encoding="utf-8")
        m = intake.load(toml)
        file = self.folder / name
        if content is not None:
            file.write_bytes(content.encode() if isinstance(content, str) else content)
        account = db.viewer_of(self.urls, "intake")
        with intake.open_source(url or file, m) as source, db.writing(self.urls, account, timeout_ms=0) as conn:
            report = land(conn, source, m, now=now or db.clock(conn), pack="bank", dry_run=dry_run, progress=progress)
            if dry_run:
                conn.get_transaction().rollback()
        if not dry_run:
            assert self.all("select check_spans()") == []
            r = report
            assert r.rows == r.added + r.changed + r.unchanged + r.repeated + r.quarantined
        return report

    def all(self, statement, **params):
        with self.admin.connect() as conn:
            conn.execute(text("set search_path = desk"))
            return [tuple(row) for row in conn.execute(text(statement), params)]

    def do(self, statement):
        """As the administrator."""
        with self.admin.begin() as conn:
            conn.execute(text(statement))

    def one(self, statement, **params):
        (row,) = self.all(statement, **params)
        return row[0] if len(row) == 1 else row

    def complaint(self, number, columns="*"):
        return self.one(f"select {columns} from complaint where complaint_no = :no", no=number)

    def span(self, number, columns, clock="r"):
        return self.one(f"select {columns} from clock_span where complaint_id = :id and clock = :clock order by seq desc limit 1",
                        id=self.id(number), clock=clock)

    def events(self, number):
        return [code for code, in self.all("""select e.code from event e join complaint using (complaint_id)
                                               where complaint_no = :no order by event_id""", no=number)]

    def counts(self):
        return {table: self.one(f"select count(*) from {table}") for table in TABLES}

    def write(self, work):
        """As the owner of the schema: what another system, or our own pages, have written."""
        return connect.as_owner(self.urls["admin"], work)

    def id(self, number):
        return self.complaint(number, "complaint_id")

    def reassign(self, number, unit, handler=None):
        also = {"handler": handler} if handler else {}
        self.write(lambda conn: makers.change(conn, self.id(number), datetime.now(timezone.utc), act="reassigned",
                                              reason="归口", unit_id=unit, **also))

    def held(self):
        return self.all("select line, field, value, reason from quarantine order by quarantine_id")


def units_of(office):
    """A small tree: head, branch 宁波分行 (23), outlets 甲支行 (2301) and 乙支行 (2302)."""
    def make(conn):
        head = makers.make_unit(conn, "总行", code="0")
        branch = makers.make_unit(conn, "宁波分行", head, code="23")
        return [makers.make_unit(conn, name, branch, code=code) for name, code in (("甲支行", "2301"), ("乙支行", "2302"))]
    return office.write(make)


# What lands

def test_a_row_lands_whole(office):
    report = office.bring(ONE)
    assert (report.rows, report.added, report.new_units, report.quarantined) == (1, 1, 1, 0)
    assert office.span("A1", "due_at, ended_at") == (makers.end_of("2026-03-16"), None)
    assert office.events("A1") == ["received"]
    assert office.one("select name from channel join complaint using (channel_id)") == "电话"


def test_bad_rows_are_held_with_line_column_value_and_reason_and_good_rows_land(office):
    report = office.bring(HEADER + "A1,2026-03-02,甲,violation,,,\n"
                          ",2026-03-02,甲,violation,,,\n"
                          "A3,,甲,violation,,,\n"
                          "A4,32.13.2026,甲,violation,,soon,\n"
                          "A5,2126-01-01,甲,violation,,,\n"
                          "A1,2026-03-03,甲,violation,,,\n"
                          "A7,2026-03-02,甲\n"
                          "A8,1999-12-31,甲,violation,,,\n"
                          "A9,2026-03-02,甲,violation,,,\n"
                          "A9,2026-03-02,甲,violation,,,\n")
    assert (report.rows, report.added, report.quarantined, report.repeated) == (10, 2, 7, 1)
    assert sorted(office.held()) == sorted([
        (3, "no", "", "missing_id"), (4, "at", "", "missing_received"), (5, "at", "32.13.2026", "bad_date"),
        (5, "replied", "soon", "bad_date"), (6, "at", "2125-12-31T16:00:00+00:00", "future_date"),
        (7, "no", "A1", "duplicate_id"), (8, "", "A7,2026-03-02,甲", "malformed_row"),
        (9, "at", "1999-12-30 16:00:00+00", "before_policy")])
    assert office.all("select complaint_no from complaint order by 1") == [("A1",), ("A9",)]


def test_the_handler_complained_about_is_held_not_the_whole_file(office):
    """Article 11 is enforced by the database: one such row would refuse every row."""
    mapping = MAPPING.replace("[defaults]", 'handler = "who"\nperson_complained = "whom"\n[defaults]')
    report = office.bring("no,at,unit,kind,by,replied,closed,who,whom\nA1,2026-03-02,甲,violation,,,,张三, 张三\n"
                          "A2,2026-03-02,甲,violation,,,,张三,李四\n", mapping)
    assert (report.added, report.quarantined) == (1, 1)
    assert office.held() == [(2, "who", "张三", "conflict_of_interest")]


def test_odd_rows_land_and_are_marked(office):
    report = office.bring(HEADER + "A1,2026-03-02 10:00,甲,violation,,,2026-03-02 09:59\n"
                                   "A2,2026-03-02,甲,violation,,,2126-03-02\nA3,2026-03-02,,,,,\n")
    assert (report.added, report.marked) == (3, 3)
    assert office.all("select unnest(marks) from complaint order by complaint_no, 1") == [
        ("closed_before_received",), ("future_close",), ("no_category",), ("no_unit",)]
    assert office.one("select kind, parent_id from unit join complaint using (unit_id) where complaint_no = 'A3'") == ("unmapped", None)
    with db.reading(office.urls, db.viewer_of(office.urls, "service")) as conn:
        assert set(quality.marks(conn, as_of=db.clock(conn))[1]["mark"]) == {"closed_before_received", "future_close", "no_category", "no_unit"}


def test_unknown_units_and_categories_are_created_and_listed(office):
    mapping = MAPPING.replace('unit = "unit"', 'unit = "unit"\nparent_unit = "by"').replace('channel = "by"', "")
    report = office.bring(HEADER + "A1,2026-03-02,窗口,新类别,大厅,,\nA2,2026-03-02,柜台,新类别,大厅,,\n"
                                   "A3,2026-03-02,窗口,violation,分部,,\n", mapping)
    assert (report.new_units, report.new_categories) == (5, 1)
    assert set(office.all("select p.name, u.name from unit u join unit p on p.unit_id = u.parent_id where u.level = 2")) == {
        ("大厅", "窗口"), ("大厅", "柜台"), ("分部", "窗口")}
    with db.reading(office.urls, db.viewer_of(office.urls, "service")) as conn:
        row = quality.sources(conn, as_of=db.clock(conn)).iloc[0]
    assert (row["name"], row.complaints, row.unmapped_units, row.unmapped_categories) == ("office", 3, 5, 1)


def test_units_are_found_in_the_tree_by_code_or_name(office):
    first, second = units_of(office)
    report = office.bring(HEADER + "A1,2026-03-02,甲支行,violation,,,\nA2,2026-03-02,2302,违规操作,电话,,\n"
                                   "A3,2026-03-02,丙支行,Violation,,,\n")
    assert (report.new_units, report.new_categories) == (1, 0)
    assert [office.complaint(f"A{n}", "unit_id") for n in (1, 2)] == [first, second]
    assert office.one("select p.kind from unit u join unit p on p.unit_id = u.parent_id where u.name = '丙支行'") == "unmapped"
    assert office.one("select count(distinct category_id) from complaint") == 1


def test_a_name_that_two_units_have_is_not_guessed(office):
    units_of(office)
    office.write(lambda conn: makers.make_unit(conn, "甲支行", makers.make_unit(conn, "台州分行", code="29")))
    assert office.bring(ONE).new_units == 1
    path = MAPPING.replace('unit = "unit"', 'unit_path = ["by", "unit"]').replace('channel = "by"', "")
    assert office.bring(HEADER + "B1,2026-03-02,甲支行,violation,台州分行,,\n", path).new_units == 0


def test_too_deep_a_path_unknown_pack_and_changed_pack_are_refused_in_a_sentence(office):
    deep = MAPPING.replace('unit = "unit"', 'unit_path = ["no", "at", "unit", "kind", "by", "closed"]')
    with pytest.raises(intake.ReadError, match="more than 5 levels"):
        office.bring(ONE, deep)
    with pytest.raises(intake.ReadError, match="no sector pack 'bonk'; there are bank, city"):
        office.bring(ONE, MAPPING.replace('pack = "bank"', 'pack = "bonk"'))
    office.bring(ONE)
    with pytest.raises(intake.ReadError, match="has pack 'bank', not 'city'"):
        office.bring(ONE, MAPPING.replace('pack = "bank"', 'pack = "city"'))
    assert office.one("select count(*) from import_batch") == 1


# Kinds of files

def workbook(rows):
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


XLSX = workbook([HEADER.strip().split(","), ["A1", datetime(2026, 3, 2, 10), "甲支行", "violation"]])


@pytest.mark.parametrize(("name", "content"), [
    ("plain.csv", ONE.encode()), ("bom.csv", ONE.encode("utf-8-sig")), ("office.csv", ONE.encode("gb18030")),
    ("packed.csv.gz", gzip.compress(ONE.encode("gb18030"), mtime=0)), ("book.xlsx", XLSX)])
def test_every_kind_of_file_is_the_same_complaint(office, name, content):
    assert office.bring(content, name=name).added == 1
    assert office.complaint("A1", "received_at, source_unit_value") == (cn("2026-03-02 10:00"), "甲支行")


def test_unused_columns_are_said(office):
    assert office.bring("extra," + HEADER + "x,A1,2026-03-02,甲,violation,,,\n").unused_columns == ("extra",)


@pytest.mark.parametrize(("name", "content", "words"), [
    ("empty.csv", b"", "empty.csv is empty"), ("blank.csv", b"\n\n", "blank.csv is empty"),
    ("cut.xlsx", XLSX[:2000], "broken or truncated"), ("renamed.xlsx", b"no,at\n", "not one"), ("other.csv", b"a,b\n1,2\n", "no column 'no'")])
def test_what_cannot_be_read_is_refused_and_nothing_is_written(office, name, content, words):
    before = office.counts()
    with pytest.raises(intake.ReadError, match=words):
        office.bring(content, name=name)
    assert office.counts() == before


def test_a_header_alone_is_an_import_of_nothing(office):
    assert office.bring(HEADER).rows == 0


QUERY = MAPPING.replace('pack = "bank"', """pack = "bank"
query = "select no, at, unit, kind, '' as by, replied, closed from old order by no" """)


def test_an_sqlite_database(office):
    base = sqlite3.connect(office.folder / "old.db")
    base.executescript("""create table old (no, at, unit, kind, replied, closed);
                          insert into old values ('A1', '2026-03-02 10:00', '甲支行', 'violation', null, null), ('A2', 'never', '甲支行', 'x', null, null)""")
    base.close()
    url = f"sqlite:///{office.folder / 'old.db'}"
    report = office.bring(None, QUERY, url=url)
    assert (report.added, report.quarantined) == (1, 1)
    assert len(office.one("select digest from import_batch")) == 64, "of a query it is known after the last row"
    assert office.bring(None, QUERY, url=url).unchanged == 1


def test_a_postgresql_database(office):
    office.do("""
        create table public.old as select 'P' || n as no, timestamptz '2026-03-02 10:00+08' + n * interval '1 hour' as at, '甲支行' as unit,
               'violation' as kind, null::timestamptz as replied, null::timestamptz as closed from generate_series(1, 2500) n""")
    mapping = QUERY.replace("from old", "from public.old")
    assert office.bring(None, mapping, url=office.urls["admin"]).added == 2500
    assert office.complaint("P7", "received_at") == cn("2026-03-02 17:00")


# The same again, and corrections

def test_the_same_file_twice_changes_nothing(office):
    content = HEADER + "A1,2026-03-02 10:00,甲,violation,,2026-03-04,\nA2,2026-03-02,乙,新类,,,2026-03-09\nA3,bad,乙,新类,,,\n"
    office.bring(content)
    before, rows = office.counts(), office.all("select * from complaint order by 1")
    report = office.bring(content)
    assert (report.added, report.changed, report.unchanged, report.quarantined) == (0, 0, 2, 1)
    assert (report.new_units, report.new_categories, report.conflicts) == (0, 0, 0)
    after = office.counts()
    assert {t for t in TABLES if after[t] != before[t]} == {"import_batch", "quarantine"}
    assert office.all("select * from complaint order by 1") == rows


def test_a_corrected_file_corrects(office):
    office.bring(HEADER + "A1,2026-03-02 10:00,甲,violation,,,2026-03-18 09:00\nA2,2026-03-02,甲,violation,,,\n"
                          "A3,2026-03-02,甲,violation,,,\nA4,2026-03-02,甲,violation,,,2026-03-04\n"
                          "A5,2026-03-02,甲,violation,,,\n")
    report = office.bring(HEADER + "A1,2026-03-02 10:00,甲,violation,,,2026-03-12 09:00\n"
                                   "A2,2026-03-02,甲,service_attitude,,,\nA3,2026-02-13,甲,violation,,,\n"
                                   "A4,2026-03-02,甲,violation,,,\nA5,2026-03-02,甲,violation,,,\n")
    assert (report.added, report.changed, report.unchanged, report.conflicts) == (0, 4, 1, 0)
    assert office.span("A1", "ended_at, ended_at <= due_at") == (cn("2026-03-12 09:00"), True)
    assert office.span("A2", "due_at, first_due_at") == (makers.end_of("2026-03-05"),) * 2, "wrong from the beginning"
    assert office.span("A3", "received_at, due_at") == (cn("2026-02-13 00:00"), makers.end_of("2026-03-05"))
    assert office.span("A4", "ended_at") is None
    assert office.events("A1") == office.events("A2") == ["received", "corrected"]
    fields = office.one("select params -> 'fields' from event where code = 'corrected' and complaint_id = :id", id=office.id("A1"))
    assert fields["closed_at"] == ["2026-03-18T01:00:00+00:00", "2026-03-12T01:00:00+00:00"]
    assert office.complaint("A5", "version") == 1


def test_a_source_that_fills_a_blank_tells_what_happened(office):
    """A daily file: first open, then done. The history says done at that moment: a movement after an urge."""
    office.bring(ONE)
    office.bring(HEADER + "A1,2026-03-02 10:00,甲支行,violation,,2026-03-04 11:00,\n")
    assert office.events("A1") == ["received", "corrected", "replied_customer", "done"]
    assert office.all("select at from event where code = 'done'") == [(cn("2026-03-04 11:00"),)]


def test_a_received_moment_before_another_version_is_judged_by_that_version(office):
    office.write(lambda conn: conn.execute(text("""
        insert into policy (pack, version, effective_from, title, title_en) values ('bank', 9, '2027-01-01', 'neu', 'new')""")))
    later = datetime(2027, 3, 1, tzinfo=timezone.utc)
    office.bring(HEADER + "A1,2026-12-30,甲,violation,,,\n", now=later)
    office.bring(HEADER + "A1,2027-01-05,甲,violation,,,\n", now=later)
    assert office.one("select p.version from complaint join policy p using (policy_id)") == 9


def test_a_mapping_speaks_only_of_its_own_fields(office):
    """A handler, a mark of major and a reply of ours are not blanked by a file that has no such column."""
    office.bring(ONE)
    office.write(lambda conn: makers.change(conn, office.id("A1"), cn("2026-03-03 10:00"), handler="张三", major=True,
                                            office_replied_at=cn("2026-03-03 10:00")))
    office.bring(ONE.replace("violation", "service_attitude"))
    assert office.complaint("A1", "handler, major, office_replied_at") == ("张三", True, cn("2026-03-03 10:00"))


def test_a_source_moves_what_nobody_here_has_moved(office):
    first, second = units_of(office)
    office.bring(ONE)
    report = office.bring(ONE.replace("甲支行", "乙支行"))
    assert (report.changed, report.conflicts) == (1, 0)
    assert office.complaint("A1", "unit_id, first_unit_id, accepting_unit_id, about_unit_id") == (second,) * 4
    assert office.span("A1", "unit_id, charged_unit_id, seq") == (second, second, 1)


def test_our_reassignment_stands_until_the_source_says_another_unit(office):
    first, second = units_of(office)
    third = office.write(lambda conn: makers.make_unit(conn, "丙支行", code="2303"))
    mapping = MAPPING.replace("[defaults]", 'handler = "who"\n[defaults]')
    row = HEADER.strip() + ",who\nA1,2026-03-02 10:00,{unit},violation,,,{closed},{who}\n"
    office.bring(row.format(unit="甲支行", closed="", who="张三"), mapping)
    office.reassign("A1", third, "王五")
    report = office.bring(row.format(unit="甲支行", closed="", who="李四"), mapping)
    assert (report.changed, report.conflicts) == (1, 0)
    assert office.complaint("A1", "unit_id, handler") == (third, "王五")
    report = office.bring(row.format(unit="乙支行", closed="", who="李四"), mapping)
    assert (report.changed, report.conflicts) == (1, 1)
    assert office.complaint("A1", "unit_id, first_unit_id, handler") == (second, first, "李四")
    assert office.span("A1", "unit_id") == second, "the stretches end where the complaint says it is"
    assert office.events("A1")[-3:] == ["corrected", "moved", "unit_conflict"]
    assert office.one("select unit_from, unit_to from event where code = 'unit_conflict'") == (third, second)
    assert office.one("select conflicts from import_batch order by batch_id desc limit 1") == 1
    assert office.bring(row.format(unit="乙支行", closed="", who="李四"), mapping).unchanged == 1
    office.bring(row.format(unit="甲支行", closed="2026-03-04", who="李四"), mapping)
    assert office.complaint("A1", "unit_id, ended_at") == (first, cn("2026-03-04 00:00"))


def test_a_source_that_follows_our_reassignment_is_no_conflict(office):
    _, second = units_of(office)
    office.bring(ONE)
    office.reassign("A1", second)
    report = office.bring(ONE.replace("甲支行", "乙支行"))
    assert (report.changed, report.conflicts) == (1, 0)
    assert office.complaint("A1", "unit_id") == second


def test_our_category_stands_and_the_source_corrects_where_it_began(office):
    office.bring(ONE)
    office.write(lambda conn: makers.recategorise(conn, office.id("A1"), "service_attitude", cn("2026-03-03 10:00")))
    office.bring(HEADER + "A1,2026-03-02 10:00,甲支行,service_product,,,2026-03-04\n")
    assert office.one("""select a.code, b.code from complaint c join category a using (category_id)
                          join category b on b.category_id = c.first_category_id""") == ("service_attitude", "service_product")
    assert office.span("A1", "category_id") == office.complaint("A1", "category_id")


# More than the complaint itself

RICH = MAPPING.replace("[defaults]", """
text = "text"
complainant_name = "name"
complainant_phone = "phone"
withdrawn_at = "withdrawn"
satisfaction = "score"
repeat_of = "repeat"
media_level = "media"
amount = "amount"
source_unit = "letter_from"
office_replied_at = "answered"
due_at = "limit"
[defaults]""")
RICH_HEADER = HEADER.strip() + ",text,name,phone,withdrawn,score,repeat,media,amount,letter_from,answered,limit\n"


def test_everything_a_row_can_carry(office):
    report = office.bring(RICH_HEADER
                          + "A1,2026-03-02 10:00,甲,violation,,2026-03-04,2026-03-05,多收费,王小明,13912345678,2026-03-03,"
                            "dissatisfied,,province,5万元,,,\n"
                          + "A2,2026-03-02 10:00,甲,violation,,2026-03-04,,,,,,,A1,,\"50,000.01\",监管局,,2026-03-06\n"
                          + "A3,2026-03-02 10:00,甲,violation,,2026-03-04,,,,,,,Z9,,,监管局,2026-03-09,\n", RICH)
    assert (report.added, report.quarantined) == (3, 0)
    assert office.one("select text from complaint_text") == "多收费"
    assert office.one("select name, phone from complainant") == ("王小明", "13912345678")
    assert office.one("select requested_at, result from withdrawal") == (cn("2026-03-03 00:00"), None)
    assert office.one("select by_whom, outcome, score, at from call_back") == (
        "office", "answered", "dissatisfied", cn("2026-03-05 00:00"))
    assert office.complaint("A1", "media_level, amount, major") == (2, 50_000, False), "50,000 is not more than 50,000"
    assert office.complaint("A2", "major, major_reasons, repeat_of") == (True, ["amount"], office.id("A1"))
    assert office.complaint("A2", "ended_at") is None, "the source unit has no reply yet"
    assert office.complaint("A3", "ended_at, repeat_of") == (cn("2026-03-09 00:00"), None)
    assert office.span("A2", "due_at", clock="s") == cn("2026-03-06 00:00"), "the letter's limit is a second clock"
    assert office.span("A2", "due_at") == makers.end_of("2026-03-16")


def test_what_a_file_brings_is_found_with_its_texts_and_without(office):
    """What search reads is written once for a file, at its end; a row that comes by itself writes its own."""
    office.bring(RICH_HEADER + "".join(f"A{n},2026-03-02 10:00,甲,violation,,,,{'多收费' * (n % 2)},,,,,,,,,,\n" for n in range(40)), RICH)
    office.write(lambda conn: makers.make_complaint(conn, received=cn("2026-03-03 10:00"), complaint_no="Z1", title="自己来",
                                                    unit=conn.execute(text("select unit_id from unit where name = '甲'")).scalar_one()))
    assert office.all("select complaint_no from complaint c where not exists (select from search_doc d where d.complaint_id = c.complaint_id)") == []
    holds = "select count(*) from search_doc where search_grams(no, body, received_at) @@ cast(:gram as tsquery)"
    assert office.one(holds, gram="'多收'") == 20 and office.one(holds, gram="'自己'") == 1
    office.bring(RICH_HEADER + "A0,2026-03-02 10:00,甲,violation,,,,少退费,,,,,,,,,,\nB1,2026-03-02 10:00,甲,violation,,,,,,,,,,,,,,\n", RICH)
    assert office.all("select no from search_doc where body like '%少退费%'") == [("a0",)] and office.one("select count(*) from search_doc") == 42


def test_what_belongs_to_a_complaint_is_corrected_with_it(office):
    row = RICH_HEADER + "A1,2026-03-02 10:00,甲,violation,,,2026-03-05,{text},{name},1391,{withdrawn},{score},Z9,,,,,\n"
    first = row.format(text="一", name="王", withdrawn="2026-03-03", score="satisfied")
    office.bring(first, RICH)
    again = row.format(text="二", name="李", withdrawn="2026-03-04", score="dissatisfied")
    assert office.bring(again, RICH).changed == 1
    assert office.one("select text from complaint_text") == "二"
    assert office.one("select name from complainant") == "李"
    assert office.one("select requested_at from withdrawal") == cn("2026-03-04 00:00")
    assert office.one("select score from call_back") == "dissatisfied"
    calls = office.events("A1").count("called_back")
    office.bring(again.replace("violation", "work_error"), RICH)
    assert office.events("A1").count("called_back") == calls, "the call-back did not change"


def test_a_repeat_finds_its_first_complaint_when_that_lands_later(office):
    repeat = RICH_HEADER + "A2,2026-03-02,甲,violation,,,,,,,,,A1,,,,,\n"
    office.bring(repeat, RICH)
    assert office.complaint("A2", "repeat_of") is None
    office.bring(RICH_HEADER + "A1,2026-03-01,甲,violation,,,,,,,,,,,,,,\n", RICH)
    office.bring(repeat, RICH)
    assert office.complaint("A2", "repeat_of") == office.id("A1")


def test_intake_cannot_read_an_identity_back(office):
    office.bring(RICH_HEADER + "A1,2026-03-02,甲,violation,,,,,王小明,13912345678,,,,,,,,\n", RICH)
    with pytest.raises(ProgrammingError, match="permission denied for table complainant"):
        with db.writing(office.urls, db.viewer_of(office.urls, "intake")) as conn:
            conn.execute(text("select * from complainant"))
    for table in ("event", "complaint", "quarantine", "import_batch"):
        assert not office.one(f"select exists (select from {table} x where x::text ~ '王小明|13912345678')"), table


LOG = MAPPING.replace('pack = "bank"', 'pack = "bank"\ncollapse = { key = "no", order = "step" }').replace(
    "[defaults]", 'complainant_name = "name"\nstatus = "status"\n[defaults]')
LOG_HEADER = HEADER.strip() + ",step,status,name\n"
LOG_ROWS = LOG_HEADER + ("A1,2026-03-02 10:00,甲,violation,,,,10,active,王小明\nB1,2026-03-02 10:00,甲,violation,,,,1,new,\n"
                         "A1,2026-03-02 10:00,甲,violation,,,,2,new,王小明\n"
                         "A1,2026-03-02 10:00,乙,violation,,,2026-03-04,11,closed,王小明\n")


def test_an_event_log_is_one_complaint_with_a_history(office):
    report = office.bring(LOG_ROWS, LOG)
    assert report.added == 2
    assert office.complaint("A1", "status, closed_at, source_unit_value") == ("closed", cn("2026-03-04 00:00"), "乙")
    entries = office.all("select params ->> 'order', params -> 'changes' ->> 'status' from event join complaint using (complaint_id)"
                         " where code = 'source_entry' and complaint_no = 'A1' order by event_id")
    assert entries == [("2", "new"), ("10", "active"), ("11", "closed")]
    assert not office.one("select exists (select from event x where x::text ~ '王小明')"), "no way around the identity"
    assert office.bring(LOG_ROWS, LOG).unchanged == 2
    assert office.one("select count(*) from event where code = 'source_entry'") == 4
    more = LOG_ROWS + "B1,2026-03-02 10:00,甲,violation,,,2026-03-05,2,closed,\n"
    assert office.bring(more, LOG).changed == 1
    assert office.one("select count(*) from event where code = 'source_entry'") == 5


# All or nothing

def test_a_dry_run_says_the_same_and_changes_nothing(office):
    office.bring(ONE)
    content = ONE.replace("violation", "新类") + "A2,2026-03-02,新支行,violation,,,\nA3,bad,x,y,,,\n"
    before = office.counts()
    dry = office.bring(content, dry_run=True)
    assert office.counts() == before
    real = office.bring(content)
    assert dry.dry_run and not real.dry_run
    names = ("rows", "added", "changed", "unchanged", "quarantined", "marked", "conflicts", "new_units",
             "new_categories")
    assert [getattr(dry, n) for n in names] == [getattr(real, n) for n in names] == [3, 1, 1, 0, 1, 0, 0, 1, 1]


def many(n):
    return HEADER + "".join(f"N{i},2026-03-{1 + i % 9:02} 10:00,支行{i % 40},violation,,,2026-03-{10 + i % 9}\n"
                            for i in range(n))


def test_a_source_that_breaks_off_leaves_nothing_half_done(office):
    office.bring(ONE)
    before = office.counts()
    packed = gzip.compress(many(20_000).encode(), 1)
    with pytest.raises(intake.ReadError, match="broken or truncated"):
        office.bring(packed[:len(packed) // 2], name="cut.csv.gz")
    assert office.counts() == before

    changing = office.folder / "file.csv"

    def cut_the_file(what, done, total):                    # while it is read, after it was checked
        changing.write_bytes(b"\xff" * 3_000_000)
    with pytest.raises(intake.ReadError, match="changed while it was read, or is broken"):
        office.bring(many(60_000), progress=cut_the_file)
    assert office.counts() == before
    base = sqlite3.connect(office.folder / "old.db")        # an SQL source fails after some rows
    base.executescript("""create table old (no, at, unit, kind, replied, closed);
                          insert into old values ('A8', '2026-03-02', '甲', 'x', null, null), ('A9', '2026-03-02', '甲', 'x', null, null)""")
    base.close()
    with pytest.raises(intake.ReadError, match="failed after row|integer overflow"):
        failing = QUERY.replace("replied,", "case no when 'A9' then abs(-9223372036854775807 - 1) end as replied,")
        office.bring(None, failing, url=f"sqlite:///{office.folder / 'old.db'}")
    assert office.counts() == before


def test_a_server_that_fails_in_mid_file_leaves_nothing_half_done(office):
    before = office.counts()

    def break_it(what, done, total):
        if what == "land":                                  # rows are in; the administrator ends the session
            office.all("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'desk_intake'")
    with pytest.raises((psycopg2.Error, DBAPIError), match="terminat"):
        office.bring(many(500), progress=break_it)
    assert office.counts() == before
    assert office.bring(many(500)).added == 500


class Enough(Exception):
    pass


def test_memory_is_bounded_for_200_000_rows(office):
    """Peak memory while 200,000 rows are read and sent; what follows is the database's work alone. (A few seconds.)"""
    office.bring(ONE)                                       # what is imported once is not counted
    (office.folder / "many.csv").write_text(many(200_000))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    told = []

    def until_all_is_sent(*said):
        told.append(said)
        if said[0] == "merge":
            raise Enough
    with pytest.raises(Enough):
        office.bring(None, name="many.csv", progress=until_all_is_sent)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert told[-1] == ("merge", 200_000, None)
    assert grown < 150, f"{grown:.0f} MB"


def test_the_reading_waits_for_the_server_and_ends_with_it(tmp_path, monkeypatch):
    """However slow the server is, no more than AHEAD characters and one piece wait."""
    monkeypatch.setattr("queries.intake.land.AHEAD", 100_000)
    (tmp_path / "m.toml").write_text(MAPPING)
    (tmp_path / "f.csv").write_text(many(20_000))
    mapping = intake.load(tmp_path / "m.toml")
    with intake.open_source(tmp_path / "f.csv", mapping) as source:
        ahead = _Ahead(source, mapping, datetime.now(timezone.utc), lambda *_: None)
        first = next(ahead.part())
        sleep(1)
        assert 0 < ahead.held <= 100_000 + 2 * len(first) and ahead.thread.is_alive()
        ahead.close()
        assert not ahead.thread.is_alive() and ahead.rows < 20_000


def test_progress_says_how_far_it_is(office):
    told = []
    office.bring(many(12_000), progress=lambda *said: told.append(said))
    assert [what for what, _, _ in told] == ["read", "merge", "land"]
    assert all(total is None or done <= 1.2 * total for _, done, total in told)
    assert told[-1] == ("land", 12_000, 12_000)
