"""Files and databases as they come: encodings, damage, and what a person is told."""
import gzip
import io
import sqlite3
import zipfile
from datetime import datetime

import openpyxl
import pytest

from queries.intake import ReadError, load, open_source

COLUMNS = ["No", "Received", "Unit"]
ROWS = [["1", "2024-01-02 10:00", "城东支行"], ["2", "2024-01-03 10:00", "城西支行"]]
TEXT = "\n".join(",".join(row) for row in [COLUMNS, *ROWS]) + "\n"


@pytest.fixture
def mapping(tmp_path):
    def with_source(**source):
        lines = [f"{key} = '''{value}'''" for key, value in source.items()]
        path = tmp_path / "m.toml"
        path.write_text("\n".join(["[source]", *lines, "[fields]", 'complaint_no = "No"', 'received_at = "Received"',
                                   'unit = "Unit"']), encoding="utf-8")
        return load(path)
    return with_source


@pytest.fixture
def write(tmp_path):
    def to_file(content, name="data.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path
    return to_file


def rows(path, mapping):
    with open_source(path, mapping) as source:
        return list(source.rows())


def refused(path, mapping):
    """The one sentence, or two, with which a source is refused."""
    with pytest.raises(ReadError) as error:
        rows(path, mapping)
    assert "\n" not in str(error.value)
    return str(error.value)


def book(*rows, sheet="Sheet1"):
    content, workbook = io.BytesIO(), openpyxl.Workbook()
    workbook.active.title = sheet
    for row in rows:
        workbook.active.append(row)
    workbook.save(content)
    return content.getvalue()


# What can be read

@pytest.mark.parametrize(("content", "found"), [
    (TEXT.encode(), "utf-8"), (TEXT.encode("utf-8-sig"), "utf-8-sig"), (TEXT.encode("gb18030"), "gb18030"),
    (gzip.compress(TEXT.encode(), mtime=0), "utf-8"),  # no clock in a test's name: every worker collects the same
    (gzip.compress(TEXT.encode("gb18030"), mtime=0), "gb18030"),
    (TEXT.replace("\n", "\r\n").encode(), "utf-8"), (TEXT.replace(",", ";").encode(), "utf-8"),
    (TEXT.replace(",", "\t").encode("utf-8-sig"), "utf-8-sig"),
])
def test_a_csv_reads_the_same_in_every_encoding_and_wrapping(write, mapping, content, found):
    with open_source(write(content), mapping()) as source:
        assert source.encoding == found
        assert list(source.rows()) == [(2, dict(zip(COLUMNS, ROWS[0]))), (3, dict(zip(COLUMNS, ROWS[1])))]
        assert source.progress() == 1.0
        assert source.total > 0


def test_a_given_encoding_is_used(write, mapping):
    text = TEXT.replace("城东支行", "Zürich")
    text = text.replace("城西支行", "Genève")
    assert rows(write(text.encode("cp1252")), mapping(encoding="cp1252"))[0][1]["Unit"] == "Zürich"
    assert rows(write(text.encode("utf-16")), mapping(encoding="utf-16"))[1][1]["Unit"] == "Genève"


def test_a_character_cut_by_the_chunk_is_still_a_character(write, mapping, monkeypatch):
    monkeypatch.setattr("queries.intake.readers.CHUNK", 7)
    assert len(rows(write(TEXT.encode()), mapping())) == 2
    assert len(rows(write(TEXT.encode("gb18030")), mapping())) == 2


def test_the_line_is_that_of_the_file_even_after_line_breaks_in_a_cell(write, mapping):
    text = 'No,Received,Unit\n1,2024-01-01,"A\nB"\n\n2,2024-01-01,C\n'
    assert [line for line, _ in rows(write(text), mapping())] == [2, 5]


def test_a_title_above_the_header_is_passed_over(write, mapping):
    assert rows(write("投诉台账,,\n,,\n" + TEXT), mapping())[0] == (4, dict(zip(COLUMNS, ROWS[0])))


def test_digest_and_unused_columns(write, mapping):
    path = write("No,Received,Unit,Note\n1,2024-01-01,A,x\n")
    with open_source(path, mapping()) as source:
        assert source.unused_columns == ("Note",)
        first = source.digest
    with open_source(write(path.read_bytes() + b"2,2024-01-01,A,x\n"), mapping()) as source:
        assert source.digest != first


def test_a_row_of_another_length_is_handed_on_as_text(write, mapping):
    text = "No,Received,Unit\n1,2024-01-01\n2,2024-01-01,A,extra\n3,2024-01-01,A,,\n"
    assert rows(write(text), mapping()) == [
        (2, "1,2024-01-01"), (3, "2,2024-01-01,A,extra"), (4, {"No": "3", "Received": "2024-01-01", "Unit": "A"})]


def test_a_quote_that_never_ends_swallows_nothing_in_silence(write, mapping):
    read = rows(write('No,Received,Unit\n1,2024-01-01,A\n2,2024-01-01,"B\n3,2024-01-01,C\n'), mapping())
    assert read[0][1]["No"] == "1"
    assert read[1] == (3, "3–4: unexpected end of data")


def test_a_header_alone_is_a_file_with_no_rows(write, mapping):
    assert rows(write("No,Received,Unit\n"), mapping()) == []


def test_a_workbook_keeps_dates_and_numbers(write, mapping):
    content = book(COLUMNS, [1, datetime(2024, 1, 2, 10), "A"], [None, None, None], [2, 45293.5])
    assert rows(write(content, "b.xlsx"), mapping()) == [
        (2, {"No": 1, "Received": datetime(2024, 1, 2, 10), "Unit": "A"}),
        (4, {"No": 2, "Received": 45293.5, "Unit": None})]


def test_a_workbook_is_known_by_its_content_and_a_sheet_by_its_name(write, mapping):
    assert len(rows(write(book(COLUMNS, *ROWS, sheet="Data"), "b.csv"), mapping(sheet="Data"))) == 2


def test_a_query_is_a_source(tmp_path, mapping):
    path = tmp_path / "s.db"
    with sqlite3.connect(path) as database:
        database.execute("create table t (n, r, u)")
        database.executemany("insert into t values (?, ?, ?)", [(i, "2024-01-01", "100%") for i in range(2500)])
    query = """select n as "No", r as "Received", u as "Unit" from t where u like '%0%' and ':x' <> '' order by n"""
    with open_source(f"sqlite:///{path}", mapping(query=query)) as source:
        assert source.digest is None
        read = list(source.rows())
        assert (len(read), read[-1]) == (2500, (2500, {"No": 2499, "Received": "2024-01-01", "Unit": "100%"}))
        assert len(source.digest) == 64


# What cannot

def test_a_file_that_is_absent_or_a_folder_or_empty(tmp_path, write, mapping):
    assert "there is no such file" in refused(tmp_path / "absent.csv", mapping())
    assert "cannot be read" in refused(tmp_path, mapping())
    assert refused(write(b""), mapping()) == "data.csv is empty."
    assert refused(write("\ufeff\r\n \n"), mapping()) == "data.csv is empty."
    assert "no header" in refused(write(book([None, None]), "b.xlsx"), mapping())


def test_a_missing_column_names_those_that_exist_and_the_nearest(write, mapping):
    said = refused(write("No,Recieved,Unit\n1,2,3\n"), mapping())
    assert said == "data.csv has no column 'Received'; its columns are No, Recieved, Unit. Did you mean Recieved?"
    assert "(sheet Sheet1) has no column 'Unit'" in refused(write(book(["No", "Received"]), "b.xlsx"), mapping())


def test_a_column_that_is_there_twice(write, mapping):
    assert "'Unit' more than once" in refused(write("No,Received,Unit,Unit\n"), mapping())
    assert rows(write("No,Received,Unit,x,x\n1,2024-01-01,A,b,c\n"), mapping())      # but only if the mapping reads it


def test_bytes_of_no_encoding_name_what_was_tried_and_where(write, mapping):
    said = refused(write(TEXT.encode() + b"3,2024-01-01,\xff\n"), mapping())
    assert "not utf-8 (byte 94, line 4), not gb18030 (byte 94, line 4)" in said
    assert "not utf-8 (byte 94, line 4);" in refused(write(TEXT.encode() + b"3,2024-01-01,\xff\n"),
                                                    mapping(encoding="utf-8"))


def test_western_text_is_not_taken_for_chinese(write, mapping):
    said = refused(write("No,Received,Unit\n1,2024-01-01,Müller\n".encode("cp1252")), mapping())
    assert "not gb18030 (its characters would not be Chinese)" in said


def test_nul_bytes_in_the_header(write, mapping):
    assert "NUL bytes" in refused(write("No,Received,Unit\n".encode("utf-16-le")), mapping())


def test_broken_files(write, mapping):
    whole = book(COLUMNS, *ROWS * 500)
    assert "broken or truncated workbook" in refused(write(whole[:-200], "b.xlsx"), mapping())
    assert "broken or truncated workbook" in refused(write(b"PK\x03\x04 nothing", "b.xlsx"), mapping())
    assert "called a workbook" in refused(write(TEXT, "b.xlsx"), mapping())
    assert "old .xls" in refused(write(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "b.xls"), mapping())
    assert "broken or truncated gzip" in refused(write(gzip.compress(TEXT.encode() * 999)[:-30], "b.gz"), mapping())
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("a.txt", "not a workbook")
    assert "not a workbook" in refused(write(zipped.getvalue(), "b.xlsx"), mapping())


def test_a_workbook_that_breaks_off_in_mid_sheet(write, mapping):
    source, broken = zipfile.ZipFile(io.BytesIO(book(COLUMNS, *ROWS * 500))), io.BytesIO()
    with zipfile.ZipFile(broken, "w") as archive:
        for part in source.infolist():
            content = source.read(part)
            archive.writestr(part, content[:len(content) // 2] if "sheet1" in part.filename else content)
    assert "is broken after row" in refused(write(broken.getvalue(), "b.xlsx"), mapping())


def test_a_decompression_bomb_is_not_unpacked(write, mapping):
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        with archive.open("xl/worksheets/sheet1.xml", "w") as part:
            for _ in range(60):
                part.write(bytes(1 << 20))
    assert "decompression bomb" in refused(write(bomb.getvalue(), "b.xlsx"), mapping())
    packed = gzip.compress(b"No,Received,Unit\n" + b"1,2024-01-01,A\n" * (4 << 20), 9)
    assert "decompression bomb" in refused(write(packed, "b.gz"), mapping())
    assert "more than 16 MB" in refused(write(gzip.compress(b"x" * (20 << 20))), mapping())


def test_a_wrong_sheet_names_those_that_exist(write, mapping):
    said = refused(write(book(COLUMNS, sheet="Daten"), "b.xlsx"), mapping(sheet="Data"))
    assert said == "b.xlsx has no sheet 'Data'; its sheets are Daten. Did you mean Daten?"


@pytest.mark.parametrize(("url", "query", "says"), [
    ("sqlite://", "", "has no [source] query"),
    ("sqlite://", "select * from absent", "sqlite://: no such table: absent."),
    ("sqlite://", "select 1 as No", "has no column 'Received'; its columns are No."),
    ("sqlite://", "create table t (a)", "must be a select"),
    ("nothing://x", "select 1", "no such kind of database"), ("://", "select 1", "cannot be read"),
    ("postgresql://me:secret@127.0.0.1:1/x", "select 1", "me:***@127.0.0.1:1/x"),
])
def test_a_database_that_cannot_be_read(mapping, url, query, says):
    said = refused(url, mapping(query=query) if query else mapping())
    assert says in said
    assert "secret" not in said
