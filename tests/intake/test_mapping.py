"""A mapping is read, or refused with file, line and key."""
import re
from pathlib import Path

import pytest

from queries.intake import MappingError, load
from queries.intake.mapping import FIELDS, ORIGIN_KEYS, SOURCE_KEYS

DOCS = Path(__file__).resolve().parents[2] / "docs" / "mappings"
GOOD = """\
[source]
name = "hotline"
timezone = "America/New_York"

[fields]
complaint_no = "No"
received_at = { column = "Received", format = "%m/%d/%Y %I:%M:%S %p" }
unit = "Unit"
source_verdict = "Flag"

[values.source_verdict]
"In time" = "on_time"
"""


@pytest.fixture
def mapping(tmp_path):
    def from_text(text):
        path = tmp_path / "m.toml"
        path.write_text(text, encoding="utf-8")
        return load(path)
    return from_text


def test_a_good_mapping_is_read(mapping):
    read = mapping(GOOD)
    assert (read.name, read.timezone.key, read.null) == ("hotline", "America/New_York", {""})
    assert read.columns == ("No", "Received", "Unit", "Flag")
    assert read.values == {"source_verdict": {"In time": "on_time"}}


def test_name_and_time_zone_have_defaults(mapping):
    read = mapping('[fields]\ncomplaint_no = "a"\nreceived_at = "b"\nunit = "c"\n')
    assert (read.name, read.timezone.key) == ("m", "Asia/Shanghai")


def test_every_key_of_the_contract_is_read(mapping):
    read = mapping("""
        [source]
        encoding = "gb18030"
        sheet = "Data"
        null = ["", "?", "N/A"]
        pack = "city"
        calendar = "CN"
        query = "select 1"
        collapse = { key = "number", order = "sys_mod_count" }
        [fields]
        complaint_no = { generate = "row" }
        received_at = { columns = ["Day", "Time"], join = " ", format = "%Y-%m-%d %H:%M" }
        unit_path = ["省行", { column = "市行" }, "网点"]
        channel = { value = "phone" }
        title = { column = "Subject", pattern = 'Re: (?P<title>.*)' }
        [defaults]
        category = "other"
        """)
    assert (read.sheet, read.pack, read.calendar, read.query) == ("Data", "city", "CN", "select 1")
    assert read.null == {"", "?", "N/A"}
    assert [origin.columns for origin in read.unit_path] == [("省行",), ("市行",), ("网点",)]
    assert read.columns == ("Day", "Time", "Subject", "省行", "市行", "网点", "number", "sys_mod_count")


@pytest.mark.parametrize(("old", "new", "line", "key", "says"), [
    ('name = "hotline"', "nmae = 1", 2, "source.nmae", "did you mean name?"),
    ('name = "hotline"', "name = 1", 2, "source.name", "must be a text"),
    ("America/New_York", "America/Newyork", 3, "source.timezone", "unknown time zone"),
    ("America/New_York", "Asia", 3, "source.timezone", "unknown time zone"),
    ('name = "hotline"', 'encoding = "utf-9"', 2, "source.encoding", "utf-8, gb18030"),
    ('name = "hotline"', 'encoding = "base64"', 2, "source.encoding", "unknown encoding"),
    ('name = "hotline"', 'null = "?"', 2, "source.null", "a list of texts"),
    ('name = "hotline"', 'collapse = { key = "a" }', 2, "source.collapse", "order ="),
    ('unit = "Unit"', 'unit = "Unit"\nclosd_at = "x"', 9, "fields.closd_at", "did you mean closed_at?"),
    ('unit = "Unit"', "", 5, "fields", "unit is missing"),
    ('complaint_no = "No"', "", 5, "fields", "complaint_no is missing"),
    ("received_at =", "registered_at =", 5, "fields", "received_at is missing"),
    ('unit = "Unit"', 'unit_path = ["a"]\nparent_unit = "b"', 9, "fields.parent_unit", "not both"),
    ('unit = "Unit"', 'unit = { column = "a", patern = "(b)" }', 8, "fields.unit.patern", "did you mean pattern?"),
    ('unit = "Unit"', 'unit = { column = "a", pattern = "(b" }', 8, "fields.unit.pattern", "not a regular expression"),
    ('unit = "Unit"', 'unit = { column = "a", pattern = "b" }', 8, "fields.unit.pattern", "needs one group"),
    ('unit = "Unit"', "unit = { column = 'a', pattern = '(b)', template = '\\2' }", 8, "fields.unit.template", "fit"),
    ('unit = "Unit"', 'unit = { column = "a", columns = ["b"] }', 8, "fields.unit", "exactly one of"),
    ('unit = "Unit"', 'unit = { generate = "row" }', 8, "fields.unit", "only complaint_no"),
    ('unit = "Unit"', 'unit = { column = "a", format = "%Y" }', 8, "fields.unit.format", "only times have a format"),
    ("%m/%d/%Y %I:%M:%S %p", "%m/%d/%Q", 7, "fields.received_at.format", "unknown directive %Q"),
    ("%m/%d/%Y %I:%M:%S %p", "%H:%M", 7, "fields.received_at.format", "a year, a month and a day"),
    ("%m/%d/%Y %I:%M:%S %p", "%Y-%m-%d %I:%M", 7, "fields.received_at.format", "needs %p"),
    ("%m/%d/%Y %I:%M:%S %p", "%Y-%m-%d %Y", 7, "fields.received_at.format", "twice"),
    ('"on_time"', '"ontime"', 12, "values.source_verdict.In time", "on_time, late"),
    ("[values.source_verdict]", "[values.channel]", 11, "values.channel", "has no column"),
    ("[values.source_verdict]", "[values.verdict]", 11, "values.verdict", "did you mean source_verdict?"),
    ("[values.source_verdict]", "[defaults]\nclosed_at = 1\n[values.source_verdict]", 12, "defaults.closed_at",
     "a time cannot be"),
    ("[values.source_verdict]", "[defaults]\nmajor = 'x'\n[values.source_verdict]", 12, "defaults.major",
     "true or false"),
    ("[values.source_verdict]", "[value.source_verdict]", 11, "value", "did you mean values?"),
    ('name = "hotline"', "name = hotline", 2, "name", "not valid TOML"),
    ('name = "hotline"', 'name = "hotline"\nname = "again"', 3, "name", "not valid TOML"),
])
def test_an_error_names_file_line_and_key(mapping, tmp_path, old, new, line, key, says):
    with pytest.raises(MappingError) as error:
        mapping(GOOD.replace(old, new, 1))
    assert (error.value.line, error.value.key) == (line, key)
    assert str(error.value).startswith(f"{tmp_path / 'm.toml'}, line {line}, {key}: ")
    assert says in str(error.value)


def test_a_file_that_is_absent_or_not_utf8_is_refused(tmp_path):
    with pytest.raises(MappingError, match="cannot be read"):
        load(tmp_path / "absent.toml")
    (tmp_path / "gb.toml").write_bytes(GOOD.encode() + "# 网点".encode("gb18030"))
    with pytest.raises(MappingError, match="line 13.*not UTF-8"):
        load(tmp_path / "gb.toml")


def test_a_byte_order_mark_does_not_matter(tmp_path):
    (tmp_path / "m.toml").write_bytes(GOOD.encode("utf-8-sig"))
    assert load(tmp_path / "m.toml").name == "hotline"


@pytest.mark.parametrize("path", sorted(DOCS.glob("*.toml")), ids=lambda path: path.stem)
def test_the_mappings_we_ship_are_valid(path):
    assert load(path).name == path.stem


def test_the_documentation_names_every_key():
    words = set(re.findall(r"\w+", (DOCS / "README.md").read_text(encoding="utf-8")))
    assert not {*SOURCE_KEYS, *ORIGIN_KEYS, *FIELDS} - words
