"""A whole source: what lands, what is quarantined, repeated numbers, event logs."""
from datetime import datetime, timezone

import pytest

from queries.intake import Problem, Row, load, open_source, read

NOW = datetime(2024, 6, 1, tzinfo=timezone.utc)
FIELDS = 'complaint_no = "no"\nreceived_at = "at"\nunit = "unit"\nclosed_at = "closed"\n'
HEADER = "no,at,unit,closed\n"


@pytest.fixture
def intake(tmp_path):
    def from_text(text, source="", fields=FIELDS):
        (tmp_path / "m.toml").write_text(f"[source]\n{source}\n[fields]\n{fields}")
        (tmp_path / "f.csv").write_text(text)
        mapping = load(tmp_path / "m.toml")
        with open_source(tmp_path / "f.csv", mapping) as opened:
            items = list(read(opened, mapping, NOW))
        return [i for i in items if isinstance(i, Row)], [i for i in items if isinstance(i, Problem)], opened.repeated
    return from_text


def test_good_rows_land_and_bad_rows_say_line_column_value_and_reason(intake):
    rows, problems, _ = intake(HEADER + "1,2024-01-01,A,\n2,soon,A,\n,2024-01-01,A,\n4,2024-01-01\n5,2025-01-01,A,\n"
                                        "6,2024-01-02,B,2024-01-01\n")
    assert [(r.line, r.complaint_no) for r in rows] == [(2, "1"), (7, "6")]
    assert "closed_before_received" in rows[1].marks
    assert [(p.line, p.column, p.value, p.reason) for p in problems] == [
        (3, "at", "soon", "bad_date"), (4, "no", "", "missing_id"), (5, None, "4,2024-01-01", "malformed_row"),
        (6, "at", "2024-12-31T16:00:00+00:00", "future_date")]


def test_the_first_of_a_number_lands(intake):
    rows, problems, repeated = intake(HEADER + "1,2024-01-01,A,\n2,2024-01-01,A,\n1,2024-01-01,B,\n1,2024-1-1, A,\n")
    assert [(r.line, r.values["unit"]) for r in rows] == [(2, "A"), (3, "A")]
    assert problems == [Problem(4, "no", "1", "duplicate_id", "1")]
    assert repeated == 1                                     # line 5 says the same as line 2, in another writing


def test_a_number_whose_first_row_is_bad_lands_with_the_second(intake):
    rows, problems, _ = intake(HEADER + "1,soon,A,\n1,2024-01-01,A,\n")
    assert ([r.line for r in rows], [p.reason for p in problems]) == ([3], ["bad_date"])


def test_an_event_log_gives_one_complaint_a_key_with_its_history(intake):
    rows, problems, _ = intake(
        "no,at,unit,closed,n\n"
        "a,2024-01-01,A,,2\n"
        "b,2024-01-01,B,,0\n"
        "a,2024-01-01,B,2024-01-05,10\n"                     # 10 comes after 2
        "a,2024-01-01,A,,0\n"
        "a,2024-01-01,A,soon,3\n"
        ",2024-01-01,A,,1\n", source='collapse = { key = "no", order = "n" }')
    first, second = rows
    assert (first.complaint_no, first.line, first.values["unit"]) == ("a", 4, "B")
    assert [(e.line, e.order) for e in first.history] == [(5, "0"), (2, "2"), (4, "10")]
    assert first.history[0].changes.keys() == {"complaint_no", "received_at", "unit", "unit_path"}
    assert first.history[1].changes == {}
    assert first.history[2].changes.keys() == {"unit", "unit_path", "closed_at"}
    assert (second.complaint_no, len(second.history)) == ("b", 1)
    assert [(p.line, p.reason) for p in problems] == [(6, "bad_date"), (7, "missing_id")]


@pytest.mark.parametrize("order", [("1", "2", "10"), ("2024-1-2", "2024-1-10", "2024-02-01"), ("", "a", "b"),
                                   ("9", "2024-1-1", "x")])
def test_events_are_ordered_as_numbers_then_times_then_texts(intake, order):
    lines = [f"a,2024-01-01,{i},,{order[i]}\n" for i in (2, 0, 1)]
    (row,), _, _ = intake("no,at,unit,closed,n\n" + "".join(lines), source='collapse = { key = "no", order = "n" }')
    assert [event.order for event in row.history] == list(order)
    assert row.values["unit"] == "2"


def test_the_digest_of_an_event_log_follows_its_history(intake):
    source = 'collapse = { key = "no", order = "n" }'
    last = "a,2024-01-01,A,,2\n"
    (one,), _, _ = intake("no,at,unit,closed,n\n" + last, source)
    (two,), _, _ = intake("no,at,unit,closed,n\na,2024-01-01,B,,1\n" + last, source)
    assert one.values == two.values
    assert one.digest != two.digest
