"""`python -m dashboard …` as a person or a script runs it: what it prints, where, and how it fails."""
import csv
import io
import json
import os
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from dashboard import periods
from queries import db, figures, quality
from queries.indicators import CATALOGUE, STATES
from tests import makers

ROOT = Path(__file__).resolve().parents[1]
SEVEN = list(STATES.values())
MAPPING = """
[source]
name = "ny"
timezone = "America/New_York"
pack = "bank"
[fields]
complaint_no = "no"
received_at = "at"
unit = "unit"
parent_unit = "branch"
category = "kind"
channel = "by"
closed_at = "closed"
source_verdict = "flag"
"""
ROWS = """no,at,unit,branch,kind,by,closed,flag
A1,2026-03-02 10:00,甲,东,service_attitude,phone,2026-03-04 10:00,on_time
A2,2026-03-02 10:00,甲,东,service_attitude,web,2026-03-09 10:00,late
A3,2026-03-05 23:30,乙,东,violation,phone,,
A4,2026-04-30 23:59,丙,西,financial_crime,letter,,
A5,2026-05-01 00:00,丙,西,violation,web,2026-05-04 09:00,on_time
A6,soon,丙,西,violation,web,,
"""
AS_OF = "2026-05-05T12:00"


class Shell:
    """Runs commands on one database."""

    def __init__(self, url, folder):
        self.url, self.folder = url, folder

    def run(self, *args, code=0, **env):
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("DASHBOARD_", "DESK_", "PG"))}
        environment |= {"DATABASE_URL": self.url, "DASHBOARD_DATA": str(self.folder)} | env
        done = subprocess.run([sys.executable, "-m", "dashboard", *map(str, args)], cwd=ROOT, env=environment,
                              capture_output=True, text=True, timeout=120)
        assert done.returncode == code, done.stderr or done.stdout
        assert "Traceback" not in done.stderr
        return done

    def ask(self, *args):
        return self.run(*args).stdout

    def refused(self, *args, **env):
        """The sentence on standard error of a command that fails."""
        done = self.run(*args, code=1, **env)
        assert done.stdout == ""
        sentence = done.stderr.strip()
        assert "\n" not in sentence and sentence
        return sentence

    def groups(self, *args):
        return {group["group"]: group for group in self.json("figures", *args)["groups"]}

    def json(self, *args):
        """The answer as JSON, in which NaN and Infinity are no numbers."""
        return json.loads(self.ask(*args, "--format", "json"), parse_constant=pytest.fail)


@pytest.fixture(scope="module")
def shell(desk_module, folder, tmp_path_factory):
    """A database with ROWS in it; the files lie in shell.files."""
    made = Shell(desk_module["admin"], folder)
    made.files = tmp_path_factory.mktemp("files")
    (made.files / "m.toml").write_text(MAPPING, encoding="utf-8")
    (made.files / "rows.csv").write_text(ROWS, encoding="utf-8")
    made.dry = made.run("import", made.files / "rows.csv", "--mapping", made.files / "m.toml", "--dry-run")
    made.before = made.ask("figures", "--format", "json")
    made.real = made.run("import", made.files / "rows.csv", "--mapping", made.files / "m.toml")
    return made


def test_help_lists_the_commands_and_the_periods(shell):
    listed = shell.ask("--help")
    for command in ("run", "setup", "stop", "demo", "import", "quarantine", "figures", "complaints", "due", "calendar",
                    "check", "users"):
        assert f"\n    {command}" in listed
    words = shell.ask("figures", "--help")
    assert all(code in words for code in periods.CODES if code != "custom")
    assert "this_week" in words


# Import

def test_import_says_what_it_did_and_shows_progress_on_standard_error(shell):
    assert ("6 rows; added 5, changed 0, unchanged 0, repeated 0, quarantined 1, marked 0, conflicts 0; "
            "new units 5, new categories 0") in shell.real.stdout
    assert "quarantine --source ny" in shell.real.stdout
    assert "ny: merge 6" in shell.real.stderr and "ny: land 5 100 %" in shell.real.stderr


def test_a_dry_run_says_the_same_and_leaves_the_database_empty(shell):
    assert "would be added 5, changed 0" in shell.dry.stdout
    assert "a dry run: nothing is changed" in shell.dry.stderr
    (group,) = json.loads(shell.before)["groups"]
    assert group["received"] == 0


def test_a_mapping_error_names_file_line_and_key(shell):
    bad = shell.files / "bad.toml"
    bad.write_text(MAPPING.replace("closed_at", "closed_ad"))
    sentence = shell.refused("import", shell.files / "rows.csv", "--mapping", bad)
    assert "bad.toml, line 13, fields.closed_ad: unknown key; did you mean closed_at?" in sentence


@pytest.mark.parametrize(("args", "words"), [
    (("import", "nowhere.csv", "--mapping", "{m}"), "nowhere.csv: there is no such file."),
    (("import", "{empty}", "--mapping", "{m}"), "empty.csv is empty."),
    (("import", "{m}", "--mapping", "{m}"), "m.toml has no column 'no'"),
    (("import", "{empty}", "--mapping", "nowhere.toml"), "nowhere.toml, line 1: cannot be read"),
    (("import", "--mapping", "{m}"), "Give a FILE or --source-url, one of the two."),
    (("import", "--source-url", "sqlite://", "--mapping", "{m}"), "no [source] query"),
    (("figures", "--source", "sf"), "There is no source 'sf'; there are: ny."),
    (("quarantine", "--source", "sf"), "There is no source 'sf'; there are: ny."),
    (("figures", "--period", "last_wek"), "There is no period 'last_wek'; there are: today, week"),
    (("figures", "--period", "week", "--from", "2026-03-01"), "not both"),
    (("figures", "--from", "2026-02-30"), "'2026-02-30' is not a day"),
    (("figures", "--from", "2026-03-02", "--to", "2026-03-01"), "--from lies after --to."),
    (("figures", "--as-of", "noon"), "'noon' is not a moment"),
    (("figures", "--viewer", "nobody"), "There is no active account nobody."),
    (("complaints", "--code", "backlogg"), "There is no indicator 'backlogg'"),
    (("due", "--category", "violatoin", "--received", "2026-03-02T10:00"), "bank has no category violatoin"),
    (("due", "--category", "violation", "--pack", "bonk", "--received", "2026-03-02T10:00"), "There is no pack bonk"),
    (("calendar", "--load", "nowhere.csv"), "nowhere.csv: cannot be read"),
    (("demo", "--complaints", "10"), "The database is not empty")])
def test_a_mistake_is_one_sentence(shell, args, words):
    (shell.files / "empty.csv").touch()
    places = {"m": shell.files / "m.toml", "empty": shell.files / "empty.csv"}
    assert words in shell.refused(*(arg.format(**places) for arg in args))


def test_a_database_that_is_away_is_said_within_five_seconds(shell):
    started = time.monotonic()
    sentence = shell.refused("figures", DATABASE_URL="postgresql://desk:secret@127.0.0.1:9/desk")
    assert sentence.startswith("The database does not answer: ") and "secret" not in sentence
    assert time.monotonic() - started < 5
    started = time.monotonic()                               # an address that never answers
    assert "secret" not in shell.refused("figures", DATABASE_URL="postgresql://desk:secret@10.255.255.1:5432/desk")
    assert time.monotonic() - started < 6


def test_quarantine_as_csv(shell):
    (row,) = csv.DictReader(io.StringIO(shell.ask("quarantine", "--source", "ny", "--format", "csv")))
    assert [row[k] for k in ("source", "file", "line", "complaint_no", "column", "value", "reason")] == [
        "ny", "rows.csv", "7", "A6", "at", "soon", "bad_date"]
    (row,) = json.loads(shell.ask("quarantine", "--format", "json"))
    assert row["line"] == 7
    assert "bad_date" in shell.ask("quarantine")


# Figures

def test_figures_have_the_keys_of_the_contract(shell):
    answer = shell.json("figures", "--source", "ny", "--as-of", AS_OF)
    assert list(answer) == ["as_of", "zone", "basis", "groups"]
    assert [answer[k] for k in ("as_of", "zone", "basis")] == ["2026-05-05T12:00:00-04:00", "America/New_York", "received"]
    (group,) = answer["groups"]
    assert list(group)[:17] == ["group", "received", *SEVEN, "compliance", "compliance_num", "compliance_den",
                                "source_on_time", "days_median", "days_p90", "satisfaction", "answered"]
    assert SEVEN == ["on_time", "late", "open_not_due", "due_soon", "overdue", "excluded", "no_limit"]
    for code, indicator in CATALOGUE.items():
        if indicator.num:
            assert {code, f"{code}_num", f"{code}_den"} <= group.keys()
    assert [group[k] for k in ("group", "received", *SEVEN)] == ["all", 5, 2, 1, 0, 0, 1, 0, 1]
    assert group["source_on_time"] == pytest.approx(200 / 3)
    assert (group["source_on_time_num"], group["source_on_time_den"]) == (2, 3)
    assert group["satisfaction"] is None and group["answered"] == 0, "an empty denominator is null, never 0 or 100"


def test_the_seven_counts_add_up_to_the_cohort_of_each_basis(shell):
    for basis, cohort in (("received", 5), ("due", 4), ("closed", 3)):
        group = shell.groups("--source", "ny", "--as-of", AS_OF, "--basis", basis)["all"]
        assert sum(group[k] for k in SEVEN) == group["cohort"] == cohort, basis


@pytest.mark.parametrize(("by", "groups"), [
    ("unit", {"甲": 2, "乙": 1, "丙": 2}), ("parent_unit", {"东": 3, "西": 2}),
    ("month", {"2026-03": 3, "2026-04": 1, "2026-05": 1}), ("category", {"服务态度": 2, "违规操作": 2, "金融犯罪": 1}),
    ("channel", {"电话": 2, "网络及电子邮件": 2, "来信": 1})])
def test_groups(shell, by, groups):
    found = shell.groups("--source", "ny", "--as-of", AS_OF, "--by", by)
    assert {name: group["received"] for name, group in found.items() if group["received"]} == groups
    assert all(sum(group[k] for k in SEVEN) == group["received"] for group in found.values())


@pytest.mark.parametrize(("args", "received"), [
    (("--from", "2026-03-02", "--to", "2026-03-05"), 3), (("--from", "2026-03-03", "--to", "2026-03-04"), 0),
    (("--to", "2026-04-30"), 4), (("--from", "2026-04-30"), 2), (("--period", "month"), 1),
    (("--period", "this_month"), 1), (("--period", "last_month"), 1), (("--period", "quarter"), 2), ((), 5)])
def test_a_period_includes_its_last_day_in_the_zone_of_the_source(shell, args, received):
    assert shell.groups("--source", "ny", "--as-of", AS_OF, *args)["all"]["received"] == received


def test_a_naive_moment_is_in_the_zone_of_the_source(shell):
    def overdue(*args):
        return shell.groups("--source", "ny", "--as-of", *args)["all"]["overdue"]
    assert overdue("2026-03-05T23:00") == 0, "the limit of A2 ends with 5 March in New York"
    assert overdue("2026-03-05T23:00-05:00") == 0
    assert overdue("2026-03-06T00:00:01") == 1
    assert overdue("2026-03-06T12:00:01+08:00") == 0 and overdue("2026-03-06T13:00:01+08:00") == 1


def test_figures_as_csv_and_as_a_table(shell):
    out = shell.ask("figures", "--source", "ny", "--as-of", AS_OF, "--by", "unit", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert {row["group"]: row["received"] for row in rows} == {"甲": "2", "乙": "1", "丙": "2"}
    assert {row["satisfaction"] for row in rows} == {""}
    table = shell.ask("figures", "--source", "ny", "--as-of", AS_OF)
    assert table.startswith("as of 2026-05-05T12:00:00-04:00 (America/New_York), basis received\n")
    assert "NaN" not in table and "None" not in table


def test_an_empty_database_prints_one_group_of_zeros_and_nulls(desk, folder):
    shell = Shell(desk["admin"], folder)
    out = shell.ask("figures", "--format", "json")
    (group,) = json.loads(out, parse_constant=pytest.fail)["groups"]
    assert group["group"] == "all"
    assert {group[k] for k in ("received", *SEVEN, "compliance_num", "compliance_den", "answered")} == {0}
    assert {group[k] for k in ("compliance", "source_on_time", "days_median", "days_p90", "satisfaction")} == {None}
    assert shell.groups("--by", "unit") == {}
    assert "all" in shell.ask("figures")
    assert shell.ask("complaints").strip() == "none"
    assert "CN" in shell.ask("calendar")
    assert shell.ask("check", "ledger").startswith("The ledger balances")


def test_the_demo_bank(desk, folder):
    shell = Shell(desk["admin"], folder)
    done = shell.run("demo", "--complaints", 500)
    assert "Demo bank: 500 complaints in" in done.stderr
    assert shell.groups()["all"]["received"] >= 500
    assert "demo-supervisor" in shell.ask("users")
    assert shell.ask("check", "spans").strip() == "Every span equals what the raw rows say."
    assert shell.ask("check", "ledger").startswith("The ledger balances")


# The rest

def test_due_explains_a_limit(shell):
    asked = ("due", "--pack", "bank", "--category", "service_attitude", "--channel", "phone",
             "--received", "2025-09-26T10:00")
    answer = shell.json(*asked)
    assert datetime.fromisoformat(answer["limit"]) == makers.end_of("2025-09-30")
    assert datetime.fromisoformat(answer["target"]) <= makers.end_of("2025-09-30")
    assert answer["provisional"] is False
    assert answer["title"] and answer["version"] == 1 and answer["article"] and answer["amount"] == 3
    assert [(day["day"], day["count"]) for day in answer["trace"] if day["count"] is not None] == [
        ("2025-09-26", 0), ("2025-09-28", 1), ("2025-09-29", 2), ("2025-09-30", 3)]
    assert "2025-09-30 24:00" in shell.ask(*asked)


def test_complaints_behind_a_figure(shell):
    rows = shell.json("complaints", "--code", "backlog", "--source", "ny", "--as-of", AS_OF)
    assert {row["complaint_no"] for row in rows} == {"A3", "A4"}
    by_number = {row["complaint_no"]: row for row in rows}
    assert by_number["A3"]["received_at"] == "2026-03-05T23:30:00-05:00" and by_number["A4"]["due_at"] is None
    late = shell.ask("complaints", "--code", "compliance", "--part", "rest", "--source", "ny", "--as-of", AS_OF,
                     "--format", "csv")
    assert {row["complaint_no"] for row in csv.DictReader(io.StringIO(late))} == {"A2", "A3"}
    assert "A3" in shell.ask("complaints", "--source", "ny")


def test_a_year_is_published(shell):
    year = datetime.now(ZoneInfo("Asia/Shanghai")).year + 1
    days = shell.files / "year.csv"
    start = datetime(year, 1, 1).toordinal()
    every = [datetime.fromordinal(n) for n in range(start, datetime(year + 1, 1, 1).toordinal())]
    days.write_text("date,is_workday\n" + "".join(f"{d:%Y-%m-%d},{int(d.weekday() < 5)}\n" for d in every))
    said = shell.ask("calendar", "--load", days)
    assert "complaints were computed again" in said
    assert any(line.split()[:4] == ["CN", "Asia/Shanghai", str(year), "published"] for line in said.splitlines())
    (shell.files / "half.csv").write_text("date,is_workday\n2027-01-01,0\n")
    assert "is missing" in shell.refused("calendar", "--load", shell.files / "half.csv")


def test_check(shell):
    assert shell.ask("check", "spans").strip() == "Every span equals what the raw rows say."
    assert shell.ask("check", "ledger").startswith("The ledger balances")


def test_the_figures_are_those_of_the_pages(shell, desk_module):
    as_of = datetime(2026, 5, 5, 12, tzinfo=ZoneInfo("America/New_York"))
    with db.reading(desk_module, db.viewer_of(desk_module, "service")) as conn:
        source = int(quality.sources(conn, as_of=as_of).source_id[0])
        table = figures.figures(conn, as_of=as_of, source=source, zone="America/New_York", by="unit")
    found = shell.groups("--source", "ny", "--as-of", AS_OF, "--by", "unit")
    for column in ("late", "compliance_num", "days_median"):
        known = {unit: group[column] for unit, group in found.items() if group[column] is not None}
        assert known == table[column].dropna().to_dict() != {}
