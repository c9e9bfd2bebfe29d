"""The quick way of reading a CSV gives the lines that the row-by-row way gives, whatever stands in the cells."""
from datetime import datetime, timezone
from random import Random

import pytest

from queries.intake import load, open_source, staging

NOW = datetime(2026, 6, 1, tzinfo=timezone.utc)
MAPPING = """
[source]
name = "s"
timezone = "{zone}"
null = ["", "-"]
[fields]
complaint_no = {number}
received_at = "at"
due_at = {{ column = "due", format = "%m/%d/%Y %I:%M:%S %p" }}
closed_at = {{ columns = ["day", "time"] }}
customer_replied_at = "replied"
{unit}
category = "kind"
channel = {{ value = "phone" }}
amount = "amount"
anonymous = "anon"
handler = {{ column = "who", pattern = "([A-Z]+)" }}
title = "title"
satisfaction = "score"
[values.satisfaction]
"好" = "satisfied"
[defaults]
category = "其他"
media_level = "none"
"""
CELLS = {
    "no": ("A1", "A2", "A2 ", "7", "", "x" * 201, "\\N", "A\\B"), "kind": ("服务", " 服务", "", "-"), "amount": ("", "5万元", "1,200", "much", "3"), "anon": ("", "是", "maybe", "0"),
    "at": ("2026-03-01 10:00:00", "2026-03-08 02:30:00", "2026-03-08 03:10:59", "2025-11-02 01:30:00", "2026/3/1 9:05:07", "2026-03-01", "soon", "", "2026-05-31 23:59:59", "2027-01-01 10:00:00",
           "2026-03-01 10:00:00.5", "2026-03-01T10:00:00+08:00", "2026-03-01 10:00:00Z", "2026年3月1日 9:32:09", "1883-11-18 12:10:00", "2026-03-01 24:00:00", "2026-03-01 10:61:00", "2026-03-01 下午 3:20:10"),
    "due": ("", "03/08/2026 02:10:11 AM", "12/31/2059 12:00:00 PM", "03/01/2026 13:00:00 PM", "2026-03-01 10:00:00", "03/01/2026 12:59:59 AM", "45000"),
    "day": ("2026-03-02", "", "2026-07-01"), "time": ("10:00:01", "", "25:00"), "replied": ("", "2026-02-01 10:00:00", "2026-03-09 11:12:13", "2026-08-01 00:00:00"),
    "a": ("行", "", "行"), "b": ("甲支行", "乙\"支\\行", "", "行"), "who": ("by AB", "", "none"), "title": ("一", "a\tb", "", "多\n行", "x"), "score": ("好", "satisfied", "坏", ""),
}


def both(folder, content, zone="America/New_York", number='"no"', unit='unit_path = ["a", "b"]'):
    (folder / "m.toml").write_text(MAPPING.format(zone=zone, number=number, unit=unit), encoding="utf-8")
    (folder / "f.csv").write_bytes(content.encode())
    mapping = load(folder / "m.toml")
    given = [name for name in staging.PLAIN if name in mapping.fields.keys() | mapping.defaults.keys()]
    for way in (staging.by_rows, staging.by_columns):
        with open_source(folder / "f.csv", mapping) as source:
            pieces = list(way(source, mapping, NOW, given))
            text = "".join(lines for _, lines in pieces)
            yield sorted(text.splitlines(), key=lambda line: int(line.split("\t", 1)[0])), sum(rows for rows, _ in pieces), source.repeated


def random_file(seed, rows, odd):
    rng = Random(seed)
    lines = [",".join(CELLS)]
    for n in range(rows):
        cells = [rng.choice(of) if rng.random() < odd else of[0] for of in CELLS.values()]
        if rng.random() > odd / 3:
            cells[0] = f"N{n}"
        lines.append(",".join('"' + cell.replace('"', '""') + '"' for cell in cells) if rng.random() > 0.02 else "too,few")
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Shanghai", "Australia/Lord_Howe", "Asia/Kolkata"])
def test_columns_and_rows_say_the_same_of_a_random_file(tmp_path, zone):
    for seed, odd in enumerate((0.02, 0.2, 0.7)):
        rows, columns = both(tmp_path, random_file(seed, 500, odd), zone)
        assert columns == rows


@pytest.mark.parametrize("more", [{"number": '{ generate = "row" }'}, {"unit": 'unit = "b"'}, {"unit": 'unit = "b"\nparent_unit = "a"'}, {"unit": 'unit = { value = "总行" }'}])
def test_columns_and_rows_agree_on_other_mappings(tmp_path, more):
    rows, columns = both(tmp_path, random_file(9, 300, 0.3), **more)
    assert columns == rows


def test_a_number_that_comes_again_is_found_over_many_batches(tmp_path, monkeypatch):
    monkeypatch.setattr(staging, "BATCH", 7)
    monkeypatch.setattr(staging, "REMEMBERED", 3)
    content = random_file(3, 200, 0.05)
    again = content.split("\n", 1)[1]
    rows, columns = both(tmp_path, content + again + again.replace("一", "二"))
    assert columns == rows and rows[2] > 100
    assert any("duplicate_id" in line for line in rows[0])


def test_a_header_alone_has_no_lines(tmp_path):
    assert [lines for lines, _, _ in both(tmp_path, ",".join(CELLS) + "\n")] == [[], []]
