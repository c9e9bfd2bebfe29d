"""One raw row: times, numbers, codes, texts, units, and what is refused or marked."""
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from queries.intake import Converter, Row, load
from queries.intake.dates import general, parser

NOW = datetime(2024, 6, 1, tzinfo=timezone.utc)
FIELDS = {"complaint_no": '"no"', "received_at": '"at"', "unit": '"unit"', "category": '"category"'}
RAW = {"no": "1", "at": "2024-01-02 10:00", "unit": "城东支行", "category": "service_attitude"}


def mapping(tmp_path, fields=(), rest="", source=""):
    path = tmp_path / "m.toml"
    lines = [f"{key} = {value}" for key, value in (FIELDS | dict(fields)).items() if value]
    path.write_text("\n".join(["[source]", source, "[fields]", *lines, rest]), encoding="utf-8")
    return load(path)


@pytest.fixture
def convert(tmp_path):
    """convert(fields={…}, column=value, …) -> Row or list of Problem."""
    def one(fields=(), rest="", source="", now=NOW, **raw):
        return Converter(mapping(tmp_path, fields, rest, source), now, "f.csv").row(7, RAW | raw)
    return one


@pytest.fixture
def value(convert):
    def of_field(field, spec, rest="", source="", **raw):
        row = convert({field: spec}, rest, source, **raw)
        assert isinstance(row, Row), row
        return row.values[field]
    return of_field


def problems(items):
    assert isinstance(items, list), items
    return [(p.line, p.column, p.value, p.reason) for p in items]


# Times

@pytest.mark.parametrize("text", [
    "2019-04-05 09:32:09", "2019/4/5 9:32:09", "2019.4.5 9:32:09", "2019-04-05T09:32:09", "2019-04-05T09:32:09.000",
    "2019年4月5日 9时32分9秒", "2019年04月05日09:32:09", "2019-04-05T01:32:09Z", "2019-04-05 09:32:09+08:00",
    "2019-04-05T09:32:09+0800", "20190405093209", "20190405T093209", "2019/4/5 上午 9:32:09", "2019/4/5 9:32:09 AM",
    " 2019/4/5  9：32：09 ", datetime(2019, 4, 5, 9, 32, 9), datetime(2019, 4, 5, 1, 32, 9, tzinfo=timezone.utc),
    "43560.397326", 43560.397326,
])
def test_one_moment_in_every_writing(value, text):
    assert value("closed_at", '"c"', c=text) == datetime(2019, 4, 5, 1, 32, 9, tzinfo=timezone.utc)


@pytest.mark.parametrize("text", ["2019/4/5", "2019-04-05", "2019年4月5日", "20190405", 20190405, 43560, "43560",
                                  date(2019, 4, 5), datetime(2019, 4, 5)])
def test_a_date_alone_is_the_start_of_that_day(value, text):
    assert value("closed_at", '"c"', c=text) == datetime(2019, 4, 4, 16, tzinfo=timezone.utc)


def test_half_days_and_bare_hours():
    assert general("2019/4/5 下午 3:20").hour == 15
    assert general("2019/4/5 12:20 AM").hour == 0
    assert general("2019年4月5日 9时").hour == 9
    assert general("2019年4月5日 9时32分").minute == 32


@pytest.mark.parametrize("text", [
    "soon", "01/02/2019", "2019/13/1", "2019/2/29", "2019/4/5 24:00", "2019/4/5 9:61", "2019-4/5", "2019", "9:32",
    "123456",
    "上午 15:20", "0001-01-01", "9999-12-31", "2019-04-2509:32", 12.5, -1, True, timedelta(1), "NaN", float("nan"), "１"])
def test_what_is_no_date_is_a_problem_of_the_row(convert, text):
    items = convert({"closed_at": '"c"'}, c=text)
    assert problems(items)[0][:2] == (7, "c")
    assert [p.reason for p in items] == ["bad_date"]
    assert items[0].complaint_no == "1"


@pytest.mark.parametrize(("form", "text", "moment"), [
    ("%m/%d/%Y %I:%M:%S %p", "01/02/2015 12:20:09 AM", datetime(2015, 1, 2, 0, 20, 9)),
    ("%m/%d/%Y %I:%M:%S %p", "1/2/2015 12:20:09 PM", datetime(2015, 1, 2, 12, 20, 9)),
    ("%d.%m.%y %H:%M", "02.01.68 09:05", datetime(2068, 1, 2, 9, 5)), ("%d.%m.%y", "02.01.69", datetime(1969, 1, 2)),
    ("%d %b %Y", "2 Jan 2015", datetime(2015, 1, 2)),
    ("%A, %B %d, %Y", "Friday, January 2, 2015", datetime(2015, 1, 2)),
    ("%Y-%m-%dT%H:%M:%S.%f%z", "2015-01-02T03:04:05.5-05:00",
     datetime(2015, 1, 2, 3, 4, 5, 500_000, timezone(timedelta(hours=-5)))),
    ("%Y年%m月%d日", "2015年1月2日", datetime(2015, 1, 2)), ("100%% %Y%m%d", "100% 20150102", datetime(2015, 1, 2)),
])
def test_a_format_reads_what_strptime_would(form, text, moment):
    assert parser(form)(text) == moment
    if "2 Jan" not in text:
        assert datetime.strptime(text, form) == moment


def test_a_column_with_a_format_reads_that_format_alone(convert, value):
    form = '{ column = "c", format = "%d/%m/%Y" }'
    assert value("closed_at", form, c="02/01/2024") == datetime(2024, 1, 1, 16, tzinfo=timezone.utc)
    assert value("closed_at", form, c=datetime(2024, 1, 2)) == datetime(2024, 1, 1, 16, tzinfo=timezone.utc)   # xlsx
    assert convert({"closed_at": form}, c="2024-01-02")[0].reason == "bad_date"


def test_a_column_without_a_format_may_use_that_of_another(convert):
    fields = {"received_at": '{ column = "at", format = "%m/%d/%Y %I:%M:%S %p" }', "due_at": '"d"', "closed_at": '"c"'}
    row = convert(fields, at="01/02/2024 10:00:00 AM", d="01/03/2024 10:00:00 AM", c="2024-01-03")
    assert row.values["due_at"] == datetime(2024, 1, 3, 2, tzinfo=timezone.utc)
    assert row.values["closed_at"] == datetime(2024, 1, 2, 16, tzinfo=timezone.utc)


def test_the_double_hour_is_the_first_and_the_missing_hour_moves_forward(value):
    new_york = 'timezone = "America/New_York"'
    assert value("closed_at", '"c"', source=new_york, c="2023-11-05 01:30") == \
        datetime(2023, 11, 5, 5, 30, tzinfo=timezone.utc)           # still summer time
    assert value("closed_at", '"c"', source=new_york, c="2024-03-10 02:30") == \
        datetime(2024, 3, 10, 7, 30, tzinfo=timezone.utc)           # 03:30 summer time


# Other values

@pytest.mark.parametrize(("text", "number"), [
    ("1,234.5", "1234.50"), ("¥ 50,000元", "50000"), ("5万元", "50000"), ("1.2亿", "120000000"), (3, "3"), (0.1, "0.1"),
    ("１２３", "123"), (Decimal("9.999"), "10.00"), ("-5", "-5")])
def test_numbers(value, text, number):
    assert value("amount", '"a"', a=text) == Decimal(number)


@pytest.mark.parametrize("text", ["many", "1.234,5", "1,23", "nan", float("inf"), "9" * 30, True, "1e5", "5 or 6"])
def test_what_is_no_number(convert, text):
    assert [p.reason for p in convert({"amount": '"a"'}, a=text)] == ["bad_number"]


def test_closed_sets_refuse_and_free_fields_pass(convert, value):
    rest = '[values.source_verdict]\nYES = "on_time"\n"-" = ""'
    assert value("source_verdict", '"v"', rest, v="YES") == "on_time"
    assert value("source_verdict", '"v"', rest, v="-") is None
    assert value("source_verdict", '"v"', rest, v="") is None
    assert problems(convert({"source_verdict": '"v"'}, rest, v="maybe")) == [(7, "v", "maybe", "bad_value")]
    assert convert({"complexity": '"v"'}, v="hard")[0].reason == "bad_value"
    assert convert({"anonymous": '"v"'}, v="perhaps")[0].reason == "bad_value"
    assert value("anonymous", '"v"', v="是") is True
    assert value("anonymous", '"v"', v=0) is False
    assert value("channel", '"v"', '[values.channel]\nTel = "phone"', v="Fax") == "Fax"
    assert value("channel", '"v"', '[values.channel]\n5 = "phone"', v=5.0) == "phone"


def test_unknown_unit_and_category_pass_on(convert):
    row = convert(unit="没见过的网点", category="没见过的类别")
    assert (row.values["unit"], row.values["category"], row.marks) == ("没见过的网点", "没见过的类别", ())


def test_blank_unit_and_category_land_and_are_marked(convert):
    row = convert(unit=" ", category=None)
    assert (row.values["unit"], row.values["unit_path"], row.values["category"]) == (None, (), None)
    assert row.marks == ("no_unit", "no_category")


def test_null_words_and_defaults(value):
    source = 'null = ["?", "N/A"]'
    assert value("channel", '"v"', "", source, v=" ? ") is None
    assert value("channel", '"v"', '[defaults]\nchannel = "web"', source, v="N/A") == "web"
    assert value("channel", '"v"', '[values.channel]\n"" = "letter"', source, v="?") == "letter"
    assert value("channel", '{ value = "phone" }') == "phone"


def test_columns_are_joined_and_patterns_take_a_part(value):
    joined = '{ columns = ["day", "time"], join = " " }'
    assert value("closed_at", joined, day="2024-01-02", time="10:00") == datetime(2024, 1, 2, 2, tzinfo=timezone.utc)
    assert value("closed_at", joined, day=datetime(2024, 1, 2), time="10:00") == \
        datetime(2024, 1, 2, 2, tzinfo=timezone.utc)
    assert value("title", '{ columns = ["a", "b"], join = "/" }', a="", b="x") == "x"
    assert value("handler", "{ column = 'a', pattern = '(?P<who>[A-Z]+)(\\d*)' }", a="by AB12") == "AB"
    assert value("handler", "{ column = 'a', pattern = '([A-Z])(\\d*)', template = '\\1市' }", a="in A3区") == "A市"
    assert value("handler", "{ column = 'a', pattern = '([A-Z])' }", a="none") is None


def test_texts_are_cleaned_and_cut(value):
    assert value("text", '"t"', t="\n\t a\x00b\u202ec\ud800\ufeff\nd \u3000") == "abc\nd"
    assert len(value("text", '"t"', t="长" * 30_000)) == 20_000
    assert value("handler", '"t"', t="城东\n支行") == "城东 支行"
    assert value("text", '"t"', t="\u200e\x00") is None


def test_a_name_is_never_cut(convert):
    assert problems(convert(no="x" * 201)) == [(7, "no", "x" * 200, "bad_value")]


def test_numbers_of_a_workbook_are_texts_without_a_point(convert):
    assert convert(no=101001240734.0).complaint_no == "101001240734"
    assert convert(no="007").complaint_no == "007"


def test_a_number_can_be_made_of_file_and_line(convert):
    assert convert({"complaint_no": '{ generate = "row" }'}).complaint_no == "f.csv:7"


# Units

@pytest.mark.parametrize(("path", "unit", "parent"), [
    (("北京", "海淀", "城东"), "城东", "海淀"), (("北京", "海淀", ""), "海淀", "北京"), (("北京", "", "城东"), "城东", "北京"),
    (("", "", ""), None, None), (("北京", "北京", ""), "北京", None)])
def test_a_path_ends_with_the_unit(convert, path, unit, parent):
    row = convert({"unit": "", "unit_path": '["a", "b", "c"]'}, **dict(zip("abc", path)))
    assert (row.values["unit"], row.values["parent_unit"]) == (unit, parent)
    assert row.values["unit_path"] == tuple(dict.fromkeys(name for name in path if name))


def test_unit_and_parent_make_a_path(convert):
    fields = {"parent_unit": '"p"'}
    assert convert(fields, p="海淀").values["unit_path"] == ("海淀", "城东支行")
    assert convert(fields, p="城东支行").values["unit_path"] == ("城东支行",)      # its own parent is no parent
    assert convert(fields, p="海淀", unit="").values["unit_path"] == ()
    assert convert({"unit_path": '["a", "p"]'}, a="北京", p="海淀").values["unit_path"] == ("北京", "海淀", "城东支行")


# What keeps a row out, and what is only marked

def test_missing_number_and_missing_receipt(convert):
    assert problems(convert(no="", at=None)) == [(7, "no", "", "missing_id"), (7, "at", "", "missing_received")]


def test_a_bad_receipt_is_not_also_a_missing_one(convert):
    assert problems(convert(at="soon")) == [(7, "at", "soon", "bad_date")]


def test_every_problem_of_a_row_is_named(convert):
    items = convert({"closed_at": '"c"', "amount": '"a"'}, c="soon", a="many", no="")
    assert {(p.column, p.reason) for p in items} == {("c", "bad_date"), ("a", "bad_number"), ("no", "missing_id")}


def test_a_receipt_in_the_future(convert):
    assert isinstance(convert(at="2024-06-02 07:59"), Row)                        # up to a day: clocks differ
    assert problems(convert(at="2024-06-02 08:01")) == [(7, "at", "2024-06-02T00:01:00+00:00", "future_date")]


def test_a_row_that_could_not_be_split(tmp_path):
    assert problems(Converter(mapping(tmp_path), NOW).row(3, "1,2")) == [(3, None, "1,2", "malformed_row")]


@pytest.mark.parametrize(("field", "moment", "marks"), [
    ("closed_at", "2024-01-02 09:59:59", ("closed_before_received",)), ("closed_at", "2024-01-02 10:00", ()),
    ("customer_replied_at", "2024-01-01", ("closed_before_received",)), ("closed_at", "2024-07-01", ("future_close",)),
    ("due_at", "2024-01-01", ("due_before_received",)), ("due_at", "2059-01-01", ("far_limit",)),
    ("due_at", "2043-12-31", ())])
def test_odd_rows_land_and_are_marked(convert, field, moment, marks):
    row = convert({field: '"x"'}, x=moment)
    assert row.marks == marks
    assert row.values[field] is not None


def test_the_digest_follows_the_content_alone(convert):
    assert convert().digest == convert(now=NOW + timedelta(9)).digest
    assert convert().digest != convert(unit="城西支行").digest
    assert len(convert().digest) == 16
